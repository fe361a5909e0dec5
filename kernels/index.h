// Lookups and scatters by integer index.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y[n, :] = table[index[n], :]. index i64 [N], table [V, D] rows contiguous, y [N, D]. Indices are checked by the op.
struct EmbeddingArgs {
  TensorView table, index, y;
  DType dtype() const { return table.dtype; }
};
// gtable[v, :] = beta * gtable[v, :] + sum over n with index[n] == v of gy[n, :], in the order of n.
struct EmbeddingGradArgs {
  TensorView gy, index, gtable;
  double beta = 0;
  DType dtype() const { return gy.dtype; }
};
extern KernelSlot<EmbeddingArgs> embedding;
extern KernelSlot<EmbeddingGradArgs> embedding_backward;

// y[n, c] = index[n] == c. index i64 [N], y [N, C] of any dtype.
struct OneHotArgs {
  TensorView index, y;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<OneHotArgs> one_hot;

// {smallest, largest} of an i64 tensor into out[0], out[1] (host memory): the range check of lookups.
struct IndexRangeArgs {
  TensorView index;
  std::int64_t* out = nullptr;
  DType dtype() const { return index.dtype; }
};
extern KernelSlot<IndexRangeArgs> index_range;

// Adds windows back: gx[..., s*step + k] += gy[..., s, k] along `dim` (the gradient of unfold). gx is cleared first.
struct FoldArgs {
  TensorView gy, gx;
  int dim = 0;
  std::int64_t step = 1;
  DType dtype() const { return gx.dtype; }
};
extern KernelSlot<FoldArgs> unfold_backward;

}  // namespace tapedeck::kernels
