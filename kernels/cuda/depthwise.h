// Convolutions over time in which every channel is a group of its own.
#pragma once
#include <tapedeck/kernels/conv1d.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// For weights [C, 1, K] and x of C channels; real types.
void depthwise(const Conv1dArgs& a);
void depthwise_input_grad(const Conv1dInputGradArgs& a);
void depthwise_weight_grad(const Conv1dWeightGradArgs& a);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
