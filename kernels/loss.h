// Losses that are recursions or mixtures: computed in double and rounded once.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// Connectionist temporal classification: losses[n] = -log of the sum over all alignments. log_probs [N, T, C], any
// strides of N and T; targets i64, row n's labels from targets[starts[n]] on; input_lengths <= T, target_lengths i64
// [N], checked by the op. States are the labels with blanks around each.
struct CtcArgs {
  TensorView log_probs, targets, starts, input_lengths, target_lengths, losses;
  std::int64_t blank = 0;
  DType dtype() const { return log_probs.dtype; }
};
// gx = g[n] (exp(log_probs) - the share of the alignments that pass each class), 0 after a row's input length. With
// skip_infinite, rows without an alignment get 0. g [N], stride 0 allowed.
struct CtcGradArgs {
  TensorView g, log_probs, targets, starts, input_lengths, target_lengths, gx;
  std::int64_t blank = 0;
  bool skip_infinite = false;
  DType dtype() const { return log_probs.dtype; }
};
extern KernelSlot<CtcArgs> ctc;
extern KernelSlot<CtcGradArgs> ctc_backward;

// Mixtures: x [N, 3 K] rows contiguous holds logits, means m and log-scales (at least log_scale_min; s = their exp),
// y [N]; losses [N] = -log sum over components of softmax(logits) P.
//   mix_logistic: P = sigmoid((y - m + half_bin) / s) - sigmoid((y - m - half_bin) / s), without its second (first)
//   term's complement for y below -1 + half_bin (above 1 - half_bin). half_bin > 0.
//   mix_gaussian: P = the normal density of mean m and deviation s; half_bin unused.
struct MixtureArgs {
  TensorView x, y, losses;
  double half_bin = 0, log_scale_min = 0;
  DType dtype() const { return x.dtype; }
};
// gx [N, 3 K] and gy [N] contiguous. g [N], stride 0 allowed.
struct MixtureGradArgs {
  TensorView g, x, y, gx, gy;
  double half_bin = 0, log_scale_min = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<MixtureArgs> mix_logistic, mix_gaussian;
extern KernelSlot<MixtureGradArgs> mix_logistic_backward, mix_gaussian_backward;

}  // namespace tapedeck::kernels
