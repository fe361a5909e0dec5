// A layer of WaveNet (van den Oord et al., 2016, "WaveNet: A Generative Model for Raw Audio") as one kernel: a dilated
// convolution, tanh of one half times sigmoid of the other, and from that the residual and the skip path. Every number
// is what the ops one after the other would give (conv1d, gated_activation, two conv1d of one tap, two add): conv1d.h's
// order of additions, then bias, then what is added.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

struct WaveNetShape {
  std::int64_t dilation = 1;
  std::int64_t pad_left = 0;  // zeros before x
};

// x [B,T,I]; weight [2C,I,K], bias [2C] or not given: u = their convolution, [B,T',2C]. With c = tanh(u[:C]) *
// sigmoid(u[C:]):
// out [B,T',I] = c * residual [I,C,1] + residual_bias + the last T' steps of x; without residual out [B,T',C] = c.
// skips [B,keep,S] = the last `keep` steps of c * skip [S,C,1] + skip_bias + sum (when given); all or nothing of these.
// gates [B,T',2C] = tanh(u[:C]), sigmoid(u[C:]): for the gradient.
// gates, sum, out and skips contiguous, rows of x as well; weights and biases with any strides.
struct WaveNetLayerArgs {
  TensorView x, weight, bias, residual, residual_bias, skip, skip_bias, sum, gates, out, skips;
  WaveNetShape shape;
  DType dtype() const { return x.dtype; }
};
// From gout and gskips (one of them may not be given) what is given of gx and of the gradients of weights and biases,
// all contiguous as are residual and skip; gu [B,T',2C]: the gradient of u. Weight gradients sum as conv1d.h's; biases
// as a sum in `reduce.h`.
struct WaveNetLayerGradArgs {
  TensorView gout, gskips, x, gates, weight, residual, skip;
  TensorView gu, gx, gweight, gbias, gresidual, gresidual_bias, gskip, gskip_bias;
  WaveNetShape shape;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<WaveNetLayerArgs> wavenet_layer;
extern KernelSlot<WaveNetLayerGradArgs> wavenet_layer_backward;

}  // namespace tapedeck::kernels
