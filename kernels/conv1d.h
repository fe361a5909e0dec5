// 1-d convolution (cross-correlation) over [batch, time, channels]. One FMA chain per output over the taps in order and
// the channels within a tap, in chunks of 256 (matmul.h's rule on the index tap * I/groups + channel), then beta * y,
// then bias.
#pragma once
#include <tapedeck/kernels/conv.h>

namespace tapedeck::kernels {

struct Conv1dShape {
  std::int64_t stride = 1, dilation = 1, groups = 1;
  std::int64_t pad_left = 0;  // zeros before x; as many zeros behind it as y's length asks for
};

// x [B,T,I], w [O,I/groups,K], bias [O] or not given, y [B,T',O]:
// y[b,t,o] = bias[o] + sum_{k,i} w[o,i,k] * x[b, t*stride + k*dilation - pad_left, group(o)*I/groups + i]
// x, y: last dimension contiguous, batch and time any strides. w: any strides.
struct Conv1dArgs {
  TensorView x, w, bias, y;
  Conv1dShape shape;
  double beta = 0;
  DType dtype() const { return x.dtype; }
};
// gx = the gradient of sum(y * gy) with respect to x (the transposed convolution); beta 0 or 1. Each chain holds the
// taps that meet a multiple of the stride, and no others; then beta * gx, then bias [I] (when given).
struct Conv1dInputGradArgs {
  TensorView gy, w, gx;
  Conv1dShape shape;
  double beta = 0;
  TensorView bias = {};
  DType dtype() const { return gy.dtype; }
};
// gw likewise, any strides; sums over batch and time in chunks of 256 of the index b*T' + t.
struct Conv1dWeightGradArgs {
  TensorView gy, x, gw;
  Conv1dShape shape;
  double beta = 0;
  DType dtype() const { return gy.dtype; }
};
// The same for any number of dimensions.
inline ConvShape any_rank(const Conv1dShape& s) {
  return {{s.stride, 1, 1}, {s.dilation, 1, 1}, {s.pad_left, 0, 0}, s.groups};
}
inline ConvArgs any_rank(const Conv1dArgs& a) { return {a.x, a.w, a.bias, a.y, any_rank(a.shape), a.beta}; }
inline ConvInputGradArgs any_rank(const Conv1dInputGradArgs& a) {
  return {a.gy, a.w, a.gx, any_rank(a.shape), a.beta, a.bias};
}
inline ConvWeightGradArgs any_rank(const Conv1dWeightGradArgs& a) {
  return {a.gy, a.x, a.gw, any_rank(a.shape), a.beta};
}
extern KernelSlot<Conv1dArgs> conv1d;
extern KernelSlot<Conv1dInputGradArgs> conv1d_input_grad;
extern KernelSlot<Conv1dWeightGradArgs> conv1d_weight_grad;

}  // namespace tapedeck::kernels
