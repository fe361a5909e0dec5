// A WaveNet's plan on a device (private to this folder).
#pragma once
#include <tapedeck/kernels/generate.h>
#include <tapedeck/nn/wavenet.h>

namespace tapedeck::nn {

kernels::PointFunction point_function(Act act);  // activation.cpp: for kernels that have it inside

// Any network, anywhere it runs: a forward pass over its receptive field for each code.
std::unique_ptr<GenerationPlan> forward_plan(const Network& net, std::int64_t batch, DType weights);
// The whole loop as one kernel; forward_plan() where the device has none for this network.
std::unique_ptr<GenerationPlan> device_plan(WaveNet& net, std::int64_t batch, DType weights);

}  // namespace tapedeck::nn
