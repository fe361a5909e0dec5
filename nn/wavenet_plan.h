// A WaveNet's plan on a device (private to this folder).
#pragma once
#include <tapedeck/kernels/generate.h>
#include <tapedeck/nn/wavenet.h>

namespace tapedeck::nn {

kernels::PointFunction point_function(Act act);  // activation.cpp: for kernels that have it inside

std::unique_ptr<GenerationPlan> device_plan(WaveNet& net, std::int64_t batch, DType weights);

}  // namespace tapedeck::nn
