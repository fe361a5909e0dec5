// Convolutions over two and three dimensions, in tiles of our own; those over one dimension are conv1d.cu's.
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/cuda/conv_tiles.h>
#include <tapedeck/kernels/cuda/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

// Two dimensions are three, the first of which has size 1.
TensorView volume(TensorView v, int first) {
  if (v.rank == 5) return v;
  for (int d = v.rank; d > first; --d) v.sizes[d] = v.sizes[d - 1], v.strides[d] = v.strides[d - 1];
  v.sizes[first] = 1, v.strides[first] = 0, ++v.rank;
  return v;
}
ConvShape volume(const ConvShape& s, int space) {
  if (space == 3) return s;
  return {{1, s.stride[0], s.stride[1]}, {1, s.dilation[0], s.dilation[1]}, {0, s.pad[0], s.pad[1]}, s.groups};
}
Conv1dShape line(const ConvShape& s) { return {s.stride[0], s.dilation[0], s.groups, s.pad[0]}; }

void forward(const ConvArgs& a) {
  if (a.x.rank == 3) return conv1d(a.y.device, {a.x, a.w, a.bias, a.y, line(a.shape), a.beta});
  const ConvArgs three{volume(a.x, 1), volume(a.w, 2), a.bias, volume(a.y, 1), volume(a.shape, a.x.rank - 2), a.beta};
  each_real_type(a.dtype(), [&](auto zero) { forward_tiles<decltype(zero), 3>(three); });
}
void input_grad(const ConvInputGradArgs& a) {
  if (a.gx.rank == 3) return conv1d_input_grad(a.gx.device, {a.gy, a.w, a.gx, line(a.shape), a.beta, a.bias});
  const ConvInputGradArgs three{volume(a.gy, 1), volume(a.w, 2), volume(a.gx, 1), volume(a.shape, a.gx.rank - 2),
                                a.beta,          a.bias};
  each_real_type(a.dtype(), [&](auto zero) { input_grad_tiles<decltype(zero), 3>(three); });
}
void weight_grad(const ConvWeightGradArgs& a) {
  if (a.x.rank == 3) return conv1d_weight_grad(a.x.device, {a.gy, a.x, a.gw, line(a.shape), a.beta});
  const ConvWeightGradArgs three{volume(a.gy, 1), volume(a.x, 1), volume(a.gw, 2), volume(a.shape, a.x.rank - 2),
                                 a.beta};
  each_real_type(a.dtype(), [&](auto zero) { weight_grad_tiles<decltype(zero), 3>(three); });
}

}  // namespace

void add_conv() {
  conv.add(DeviceType::cuda, "own", forward, takes_real<ConvArgs>);
  conv_input_grad.add(DeviceType::cuda, "own", input_grad, takes_real<ConvInputGradArgs>);
  conv_weight_grad.add(DeviceType::cuda, "own", weight_grad, takes_real<ConvWeightGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
