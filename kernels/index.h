// Lookups and scatters by integer index.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y[n, :] = table[index[n], :]. index i64 [N], table [V, D] rows contiguous, y [N, D]. Indices are checked by the op.
struct EmbeddingArgs {
  TensorView table, index, y;
  DType dtype() const { return table.dtype; }
};
// gtable[v, :] = beta * gtable[v, :] + sum over n with index[n] == v of gy[n, :], in the order of n. Row `padding` gets
// no sum.
struct EmbeddingGradArgs {
  TensorView gy, index, gtable;
  double beta = 0;
  std::int64_t padding = -1;
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

// Adds windows back: gx[..., s*step + k*dilation] += gy[..., s, k] along `dim` (the gradient of unfold). gx is cleared
// first. All numbers.
struct FoldArgs {
  TensorView gy, gx;
  int dim = 0;
  std::int64_t step = 1, dilation = 1;
  DType dtype() const { return gx.dtype; }
};
extern KernelSlot<FoldArgs> unfold_backward;

// y[..., n, ...] = x[..., index[n], ...] along dim. index i64 [N]; x and y of any one type, any strides.
struct IndexSelectArgs {
  TensorView x, index, y;
  int dim = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<IndexSelectArgs> index_select;
// y[..., index[n], ...] = source[..., n, ...] along dim in the order of n: the last one stays. y holds values already.
struct IndexCopyArgs {
  TensorView source, index, y;
  int dim = 0;
  DType dtype() const { return source.dtype; }
};
extern KernelSlot<IndexCopyArgs> index_copy;
// y[..., v, ...] = beta * y[..., v, ...] + alpha * sum over n with index[n] == v of source[..., n, ...], in the order
// of n. All numbers; integers wrap, reals are summed in double.
struct IndexAddArgs {
  TensorView source, index, y;
  int dim = 0;
  double alpha = 1, beta = 1;
  DType dtype() const { return source.dtype; }
};
extern KernelSlot<IndexAddArgs> index_add;

// The same line by line: index i64 has the shape of y (gather) or of source (the others), which differ from x's or y's
// along dim only.
struct GatherArgs {
  TensorView x, index, y;
  int dim = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<GatherArgs> gather;
struct ScatterArgs {
  TensorView source, index, y;
  int dim = 0;
  DType dtype() const { return source.dtype; }
};
extern KernelSlot<ScatterArgs> scatter;
struct ScatterAddArgs {
  TensorView source, index, y;
  int dim = 0;
  double beta = 1;  // y = beta * y + sums
  DType dtype() const { return source.dtype; }
};
extern KernelSlot<ScatterAddArgs> scatter_add;

// y[i] = y[i] op every source that index sends there, in order: reals in double, rounded once; integers wrap; NaN wins.
enum class Meet { prod, amax, amin };
struct ScatterReduceArgs {
  TensorView source, index, y;
  int dim = 0;
  Meet op = Meet::prod;
  DType dtype() const { return source.dtype; }
};
extern KernelSlot<ScatterReduceArgs> scatter_reduce;  // all numbers

// y = x where column - row <= diagonal (upper: >=) in the last two dimensions, elsewhere 0. Any type and strides.
struct TriangleArgs {
  TensorView x, y;
  std::int64_t diagonal = 0;
  bool upper = false;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<TriangleArgs> triangle;

// Where x is not 0 (NaN is not): *count (host memory) alone when y is not given, else their indices in row-major order
// into y i64 [count, rank].
struct NonzeroArgs {
  TensorView x, y;
  std::int64_t* count = nullptr;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<NonzeroArgs> nonzero;

}  // namespace tapedeck::kernels
