// Normalisation by mean and variance: layer, root-mean-square, group, instance and batch norm are one family.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// x [R, S, C]: each of the R parts has statistics of its own for each of G groups of neighbouring channels, over its S
// rows and the group's channels. Layer norm is S = 1, G = 1; group norm R = batch, S = time; instance norm G = C; batch
// norm R = 1, G = C. All of [R, S, C] have contiguous channels and any other strides; weight, bias [C] are contiguous.

// y = (x - mean) / sqrt(variance + eps) * weight + bias (when given). stats f64 [R, G, 2], contiguous: mean and
// (biased) variance. Not centred: the mean is 0, the variance the mean square.
struct GroupNormArgs {
  TensorView x, weight, bias, y, stats;
  double eps = 1e-5;
  bool centred = true;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<GroupNormArgs> group_norm;

// The gradient of x from that of y.
struct GroupNormGradArgs {
  TensorView gy, x, weight, stats, gx;
  double eps = 1e-5;
  bool centred = true;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<GroupNormGradArgs> group_norm_backward;

// gweight [C] = the sum over rows of gy * (x - mean) / sqrt(variance + eps), gbias [C] = the sum of gy; each may be
// missing.
struct GroupNormParamGradArgs {
  TensorView gy, x, stats, gweight, gbias;
  double eps = 1e-5;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<GroupNormParamGradArgs> group_norm_param_grad;

}  // namespace tapedeck::kernels
