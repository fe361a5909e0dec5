// Oracles that work line by line: the elements of a tensor along its reduced dimensions, in order, as long double.
#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "cases/op_case.h"

namespace tapedeck::cases {

using Line = std::vector<long double>;
using LineFn = std::function<Line(const Line&)>;

// Every set of dimensions of a shape, from none (which means all) to all of them.
inline std::vector<std::vector<int>> axis_sets(int rank) {
  std::vector<std::vector<int>> sets;
  for (unsigned mask = 0; mask < 1u << rank; ++mask) {
    std::vector<int>& dims = sets.emplace_back();
    for (int d = 0; d < rank; ++d)
      if (mask >> d & 1u) dims.push_back(mask % 2 ? d : d - rank);  // counted from either end
  }
  return sets;
}
inline std::string text_of(const std::vector<int>& dims, bool keepdim = false) {
  std::string text = "dims";
  for (const int d : dims) text += " " + std::to_string(d);
  return text + (keepdim ? " keepdim" : "");
}

// Bit d for each of dims; none: all dimensions.
inline unsigned mask_of(const std::vector<int>& dims, int rank) {
  unsigned mask = dims.empty() ? (1u << rank) - 1u : 0u;
  for (const int d : dims) mask |= 1u << (d + rank) % std::max(rank, 1);
  return mask;
}

// The lines of x over the dimensions of `mask`, in the order of what is left.
inline std::vector<Line> lines_of(const Tensor& x, unsigned mask) {
  const Expected all = expected_from(x, x.dtype());
  std::int64_t count = 1;
  for (int d = 0; d < x.dim(); ++d) count *= mask >> d & 1u ? 1 : x.sizes()[d];
  std::vector<Line> lines(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < all.value.size(); ++i) {
    std::int64_t rest = static_cast<std::int64_t>(i), line = 0, step = 1;
    for (int d = x.dim() - 1; d >= 0; --d) {
      if (!(mask >> d & 1u)) line += rest % x.sizes()[d] * step, step *= x.sizes()[d];
      rest /= x.sizes()[d];
    }
    lines[static_cast<std::size_t>(line)].push_back(all.value[i]);
  }
  return lines;
}

// One value for each line.
inline Expected by_reduction(const Tensor& x, const std::vector<int>& dims, bool keepdim, DType dtype,
                             const std::function<long double(const Line&)>& f) {
  const unsigned mask = mask_of(dims, x.dim());
  Expected r{{}, dtype, {}, {}};
  for (int d = 0; d < x.dim(); ++d) {
    if (!(mask >> d & 1u)) r.shape.push(x.sizes()[d]);
    if ((mask >> d & 1u) && keepdim) r.shape.push(1);
  }
  for (const Line& line : lines_of(x, mask)) r.value.push_back(f(line));
  return r;
}

// A line of `length` values for each line along dim, in its place. -1: as many as x has.
inline Expected by_line(const Tensor& x, int dim, std::int64_t length, DType dtype, const LineFn& f) {
  const int rank = x.dim(), at = rank == 0 ? 0 : (dim + rank) % rank;
  Expected r{x.sizes(), dtype, {}, {}};
  if (length < 0) length = rank == 0 ? 1 : x.sizes()[at];
  if (rank > 0) r.shape[at] = length;
  std::int64_t inner = 1;
  for (int d = at + 1; d < rank; ++d) inner *= x.sizes()[d];
  r.value.resize(static_cast<std::size_t>(r.shape.numel()));
  if (r.value.empty()) return r;
  const auto lines = lines_of(x, rank == 0 ? 1u : 1u << at);
  for (std::size_t l = 0; l < lines.size(); ++l) {
    const Line y = f(lines[l]);
    const std::int64_t outer = static_cast<std::int64_t>(l) / inner, side = static_cast<std::int64_t>(l) % inner;
    for (std::int64_t k = 0; k < length; ++k)
      r.value[static_cast<std::size_t>((outer * length + k) * inner + side)] = y[static_cast<std::size_t>(k)];
  }
  return r;
}

// Is a in front of b? NaN is behind all numbers.
inline bool in_front(long double a, long double b) { return a < b || (std::isnan(b) && !std::isnan(a)); }

}  // namespace tapedeck::cases
