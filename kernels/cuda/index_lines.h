// What moves and sums along one dimension share: operands that stand still along it, numbers of places.
#pragma once
#include <tapedeck/kernels/cuda/map.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// v without its steps along dim: every element of a line is at the line's first.
inline TensorView at_line(TensorView v, int dim) {
  v.strides[dim] = 0;
  return v;
}
// In the shape of v, a number for each line along dim: strides of `length` times the line's number and 0 along dim.
inline TensorView line_numbers(TensorView v, int dim, std::int64_t length) {
  std::int64_t step = length;
  for (int d = v.rank - 1; d >= 0; --d) {
    v.strides[d] = d == dim ? 0 : step;
    if (d != dim) step *= v.sizes[d];
  }
  return v;
}
// In the shape of v, a stride of `step` along dim alone.
inline TensorView along(TensorView v, int dim, std::int64_t step) {
  for (int d = 0; d < v.rank; ++d) v.strides[d] = d == dim ? step : 0;
  return v;
}
// An index of one dimension in the shape of v.
inline TensorView spread_index(const TensorView& index, TensorView v, int dim) {
  v = along(v, dim, index.strides[0]);
  v.data = index.data, v.dtype = index.dtype;
  return v;
}
// An index that is the same for all lines along dim.
inline bool same_for_lines(const TensorView& index, int dim) {
  for (int d = 0; d < index.rank; ++d)
    if (d != dim && index.sizes[d] != 1 && index.strides[d] != 0) return false;
  return true;
}
inline std::int64_t lines_of(const TensorView& v, int dim) {
  std::int64_t n = 1;
  for (int d = 0; d < v.rank; ++d) n *= d == dim ? 1 : v.sizes[d];
  return n;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
