// Scaled dot-product attention without the matrix of weights in memory.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y = softmax(scale q k^T) v, head by head: q [N, H, T, D], k [N, G, S, D], v [N, G, S, E], y [N, H, T, E], where head
// h of q goes with head h / (H / G) of k and v. All have contiguous channels and any other strides; those of y do not
// overlap. Causal: query t sees the keys 0 … past + t, else all of them; one that sees none gives 0.
// stats f64 [N, H, T, 2], contiguous: each query's largest score m and the sum of exp(score - m); 0 without a key.
// Keys are met in blocks of 256 from key 0, whatever the queries: a query alone has the bits that it has in a sequence.
struct AttentionArgs {
  TensorView q, k, v, y, stats;
  double scale = 1;
  bool causal = false;
  std::int64_t past = 0;
  DType dtype() const { return q.dtype; }
};
extern KernelSlot<AttentionArgs> attention;

// The gradients of q, k and v from that of y; gq, gk, gv are contiguous, and written, not added to.
struct AttentionGradArgs {
  TensorView gy, q, k, v, y, stats, gq, gk, gv;
  double scale = 1;
  bool causal = false;
  std::int64_t past = 0;
  DType dtype() const { return q.dtype; }
};
extern KernelSlot<AttentionGradArgs> attention_backward;

}  // namespace tapedeck::kernels
