// Convolution (cross-correlation) over one to three spatial dimensions, channels last; conv1d.h's rule on the index
// tap * I/groups + channel, taps in row-major order of the weight.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

struct ConvShape {  // per spatial dimension, outermost first
  std::int64_t stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  std::int64_t pad[3] = {0, 0, 0};  // zeros before x; as many behind it as y's size asks for
  std::int64_t groups = 1;
};

// x [B,S…,I], w [O,I/groups,K…], bias [O] or not given, y [B,S'…,O], S being of one to three dimensions:
// y[b,p,o] = bias[o] + sum_{k,i} w[o,i,k] * x[b, p*stride + k*dilation - pad, group(o)*I/groups + i]
// x, y: last dimension contiguous, the others any strides. w: any strides.
struct ConvArgs {
  TensorView x, w, bias, y;
  ConvShape shape;
  double beta = 0;
  DType dtype() const { return x.dtype; }
};
// gx = the gradient of sum(y * gy) with respect to x (the transposed convolution); beta 0 or 1. Each chain holds the
// taps that meet a multiple of the stride, and no others; then beta * gx, then bias [I] (when given).
struct ConvInputGradArgs {
  TensorView gy, w, gx;
  ConvShape shape;
  double beta = 0;
  TensorView bias = {};
  DType dtype() const { return gy.dtype; }
};
// gw likewise, any strides; sums over batch and space in chunks of 256 of the row index of gy.
struct ConvWeightGradArgs {
  TensorView gy, x, gw;
  ConvShape shape;
  double beta = 0;
  DType dtype() const { return gy.dtype; }
};
extern KernelSlot<ConvArgs> conv;
extern KernelSlot<ConvInputGradArgs> conv_input_grad;
extern KernelSlot<ConvWeightGradArgs> conv_weight_grad;

}  // namespace tapedeck::kernels
