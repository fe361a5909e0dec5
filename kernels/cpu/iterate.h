// Walking strided views: dimensions are merged where all operands allow it, then rows along the last one are handed to
// a kernel. Chunks depend on sizes only.
#pragma once
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/view.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace tapedeck::kernels {

inline constexpr std::int64_t kGrain = 32768;  // elements of cheap work that are worth a thread
// Rows per chunk so that a chunk holds about kGrain elements, each costing `cost` cheap ones.
inline std::int64_t row_grain(std::int64_t row, std::int64_t cost = 1) {
  return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, row * cost));
}

// N operands of one shape, merged to at least one dimension. Strides count elements.
template <int N>
struct Walk {
  int rank = 0;
  std::int64_t numel = 1;
  std::int64_t sizes[8];
  std::int64_t strides[N][8];
  char* data[N];
  std::int64_t bytes[N];  // per element

  // All views have the shape of the last one, whose order of dimensions is followed. `only`: bits of the dimensions to
  // walk.
  explicit Walk(const std::array<TensorView, N>& v, std::uint32_t only = ~0u) {
    const TensorView& last = v[N - 1];
    for (int k = 0; k < N; ++k) {
      data[k] = static_cast<char*>(v[k].data);
      bytes[k] = static_cast<std::int64_t>(size_of(v[k].dtype));
    }
    for (int d = 0; d < last.rank; ++d) {
      if (!(only >> d & 1u) || last.sizes[d] == 1) continue;
      numel *= last.sizes[d];
      bool merge = rank > 0;
      for (int k = 0; k < N; ++k) merge = merge && strides[k][rank - 1] == v[k].strides[d] * last.sizes[d];
      if (!merge) sizes[rank++] = 1;
      sizes[rank - 1] *= last.sizes[d];
      for (int k = 0; k < N; ++k) strides[k][rank - 1] = v[k].strides[d];
    }
    if (rank == 0) {
      sizes[rank++] = 1;
      for (int k = 0; k < N; ++k) strides[k][0] = 1;
    }
  }

  std::int64_t inner() const { return sizes[rank - 1]; }

  // f(p, strides, n) for each piece of a row in elements [begin, end) of the walk; p are byte pointers.
  template <class F>
  void rows(std::int64_t begin, std::int64_t end, F&& f) const {
    if (begin >= end) return;
    std::int64_t index[8], step[N];
    std::array<char*, N> p;
    for (int k = 0; k < N; ++k) p[k] = data[k], step[k] = strides[k][rank - 1];
    for (std::int64_t rest = begin, d = rank - 1; d >= 0; --d) {
      index[d] = rest % sizes[d];
      rest /= sizes[d];
      for (int k = 0; k < N; ++k) p[k] += index[d] * strides[k][d] * bytes[k];
    }
    for (std::int64_t at = begin;;) {
      const std::int64_t n = std::min(end - at, inner() - index[rank - 1]);
      f(p, step, n);
      if ((at += n) >= end) return;
      for (int k = 0; k < N; ++k) p[k] -= index[rank - 1] * step[k] * bytes[k];
      index[rank - 1] = 0;
      for (int d = rank - 2; d >= 0; --d) {
        for (int k = 0; k < N; ++k) p[k] += strides[k][d] * bytes[k];
        if (++index[d] < sizes[d]) break;
        for (int k = 0; k < N; ++k) p[k] -= sizes[d] * strides[k][d] * bytes[k];
        index[d] = 0;
      }
    }
  }
  template <class F>
  void rows(F&& f) const {
    rows(0, numel, f);
  }

  // The same on all threads; each element costs `cost` cheap ones.
  template <class F>
  void parallel_rows(F&& f, std::int64_t cost = 1) const {
    parallel_for(numel, kGrain / cost, [&](std::int64_t begin, std::int64_t end) { rows(begin, end, f); });
  }
};

// Bits of all dimensions but the last.
inline std::uint32_t outer_dims(const TensorView& v) { return v.rank == 0 ? 0u : (1u << (v.rank - 1)) - 1u; }

}  // namespace tapedeck::kernels
