// Convolutions over time.
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/cuda/conv_tiles.h>
#include <tapedeck/kernels/cuda/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

void forward(const Conv1dArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { forward_tiles<decltype(zero), 1>(any_rank(a)); });
}
void input_grad(const Conv1dInputGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { input_grad_tiles<decltype(zero), 1>(any_rank(a)); });
}
void weight_grad(const Conv1dWeightGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { weight_grad_tiles<decltype(zero), 1>(any_rank(a)); });
}

}  // namespace

void add_conv1d() {
  conv1d.add(DeviceType::cuda, "own", forward, takes_real<Conv1dArgs>);
  conv1d_input_grad.add(DeviceType::cuda, "own", input_grad, takes_real<Conv1dInputGradArgs>);
  conv1d_weight_grad.add(DeviceType::cuda, "own", weight_grad, takes_real<Conv1dWeightGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
