// Sorting, selection, search and counting. One order of elements: NaN behind all numbers, -0 beside 0, equal ones by
// their place. Any strides.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y (i64): the places of the elements of x along dim in sorted order. topk: of the first ones, as many as y has there.
struct SortArgs {
  TensorView x, y;
  int dim = 0;
  bool descending = false;  // equal ones still by their place
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<SortArgs> sort, topk;

// y (i64, size 1 along dim): the place of the element at `rank` of the ascending order; nan_wins: of the first NaN
// where there is one.
struct SelectArgs {
  TensorView x, y;
  int dim = 0;
  std::int64_t rank = 0;
  bool nan_wins = false;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<SelectArgs> select_rank;

// y[r, i] (i64) = how many of sorted[r, :] are less than values[r, i]; right: or equal to it.
struct SearchArgs {
  TensorView sorted, values, y;
  bool right = false;
  DType dtype() const { return values.dtype; }
};
extern KernelSlot<SearchArgs> searchsorted;

// y[v] = how many x[i] (i64 [N]) are v, or the sum of their weights [N] (f32 or f64, when given) in the order of i.
// The op has checked that all x are in [0, size of y). y is i64, or of the weights' type.
struct BincountArgs {
  TensorView x, weights, y;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<BincountArgs> bincount;

// y[b] = how many elements of x (f32 or f64) fall into part b of [low, high], divided evenly; high into the last.
// Computed in double. y 1-d, of x's type.
struct HistogramArgs {
  TensorView x, y;
  double low = 0, high = 1;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<HistogramArgs> histc;

}  // namespace tapedeck::kernels
