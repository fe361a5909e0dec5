// Scaled dot-product attention without the matrix of weights in memory.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y = softmax(scale q k^T) v, head by head: q [N, H, T, D], k [N, G, S, D], v [N, G, S, E], y [N, H, T, E], where head
// h of q goes with head h / (H / G) of k and v. All have contiguous channels and any other strides; those of y do not
// overlap. Causal: query t sees the keys 0 … past + t, else all of them. mask [N, H, T, S] of any strides (or none):
// bool, true for what is seen, or of q's dtype, added to the scores. A query whose scores are all -Inf gives 0.
// stats f64 [N, H, T, 2], contiguous: each query's largest score m (0 for -Inf) and the sum of exp(score - m).
// Keys are met in blocks of 256 from key 0, whatever the queries: a query alone has the bits that it has in a sequence.
struct AttentionArgs {
  TensorView q, k, v, mask, y, stats;
  double scale = 1;
  bool causal = false;
  std::int64_t past = 0;
  DType dtype() const { return q.dtype; }
};
extern KernelSlot<AttentionArgs> attention;

// The gradients of q, k and v from that of y, and of the scores before the mask is added (gmask [N, H, T, S], which is
// the one matrix of that size, made when it is asked for). All are contiguous, written, not added to, and may be
// missing.
struct AttentionGradArgs {
  TensorView gy, q, k, v, mask, y, stats, gq, gk, gv, gmask;
  double scale = 1;
  bool causal = false;
  std::int64_t past = 0;
  DType dtype() const { return q.dtype; }
};
extern KernelSlot<AttentionGradArgs> attention_backward;

}  // namespace tapedeck::kernels
