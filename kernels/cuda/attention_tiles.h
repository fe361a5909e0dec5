// What the kernels of attention share: rows of heads, tiles of 64 x 64 in shared memory, and products of tiles. A block
// has 256 threads as 16 x 16; thread (tx, ty) holds the rows ty + 16 i of a product, and its columns tx + 16 j (dots)
// or 4 tx + j (sums), i and j below 4.
#pragma once
#include <tapedeck/kernels/attention.h>
#include <tapedeck/kernels/common/scalar_math.h>
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::tiles {

inline constexpr int kTile = 64, kSide = 16, kEach = 4, kThreads = kSide * kSide;
inline constexpr int kRow = kTile + 4;  // elements from row to row: rows start in different banks, and fit Pack<.., 4>
inline constexpr int kTileSize = kTile * kRow;

// What scores, weights and sums are held in.
template <class T>
using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

__device__ inline float chained(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double chained(double a, double b, double c) { return fma(a, b, c); }

// The rows of one head of an operand; missing: data is nullptr.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t batch = 0, head = 0, step = 0;
  bool wide = false;  // four neighbours from a multiple of four on are aligned as one
  explicit Rows(const TensorView& x) {
    if (!x) return;
    data = x.ptr<T>(), batch = x.strides[0], head = x.strides[1], step = x.strides[2];
    wide = x.sizes[3] % 4 == 0 && aligned(data, 4 * sizeof(T));
    for (int d = 0; d < 3; ++d) wide = wide && (x.sizes[d] == 1 || x.strides[d] % 4 == 0);
  }
  __device__ T* row(std::int64_t n, std::int64_t h, std::int64_t t) const {
    return data + n * batch + h * head + t * step;
  }
};

struct Sizes {
  std::int64_t batch, heads, groups, per_group, queries, keys, channels, width, past;
  bool causal;
  double scale;
  template <class Args>
  explicit Sizes(const Args& a)
      : batch(a.q.sizes[0]),
        heads(a.q.sizes[1]),
        groups(a.k.sizes[1]),
        per_group(groups == 0 ? 0 : heads / groups),
        queries(a.q.sizes[2]),
        keys(a.k.sizes[2]),
        channels(a.q.sizes[3]),
        width(a.v.sizes[3]),
        past(a.past),
        causal(a.causal),
        scale(a.scale) {}
  // How many keys query t sees: 0 … visible - 1.
  __device__ std::int64_t visible(std::int64_t t) const { return causal && past + t + 1 < keys ? past + t + 1 : keys; }
};

struct Mask {
  const void* data = nullptr;
  bool boolean = false;
  std::int64_t strides[4] = {};
  explicit Mask(const TensorView& m) {
    if (!m) return;
    data = m.data, boolean = m.dtype == DType::boolean;
    for (int d = 0; d < 4; ++d) strides[d] = m.strides[d];
  }
  template <class T>
  __device__ Real<T> apply(Real<T> score, std::int64_t n, std::int64_t h, std::int64_t t, std::int64_t j) const {
    if (data == nullptr) return score;
    const std::int64_t at = n * strides[0] + h * strides[1] + t * strides[2] + j * strides[3];
    if (boolean) return static_cast<const bool*>(data)[at] ? score : -static_cast<Real<T>>(INFINITY);
    return score + load(static_cast<const T*>(data)[at]);
  }
};

// Rows first … and columns from … of x into a tile; zeros where there is nothing.
template <class T>
__device__ inline void fetch_tile(Real<T>* to, const Rows<const T>& x, std::int64_t n, std::int64_t h,
                                  std::int64_t first, std::int64_t rows, std::int64_t from, std::int64_t columns) {
  const std::int64_t left = rows - first, across = columns - from;
  const T* const start = x.row(n, h, first) + from;
  if (x.wide) {
    for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile / 4; i += kThreads) {
      const int r = i / (kTile / 4), c = i % (kTile / 4) * 4;
      Pack<Real<T>, 4> pack{};
      if (r < left && c < across) {
        const Pack<T, 4> in = *reinterpret_cast<const Pack<T, 4>*>(start + r * x.step + c);
        for (int k = 0; k < 4; ++k) pack.v[k] = load(in.v[k]);
      }
      *reinterpret_cast<Pack<Real<T>, 4>*>(to + r * kRow + c) = pack;
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile; i += kThreads) {
      const int r = i / kTile, c = i % kTile;
      to[r * kRow + c] = r < left && c < across ? load(start[r * x.step + c]) : Real<T>(0);
    }
  }
}

template <class A>
__device__ inline Pack<A, 4> four(const A* p) {
  return *reinterpret_cast<const Pack<A, 4>*>(p);
}

// dots[i][j] += the product of row ty + 16 i of a and row tx + 16 j of b over their first columns.
template <class A>
__device__ inline void add_dots(A (&dots)[kEach][kEach], const A* a, const A* b, std::int64_t columns) {
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  const int end = columns < kTile ? static_cast<int>(columns) : kTile;
#pragma unroll 4
  for (int c = 0; c < end; c += 4) {
    Pack<A, 4> left[kEach], right[kEach];
    for (int i = 0; i < kEach; ++i) left[i] = four(a + (ty + kSide * i) * kRow + c);
    for (int j = 0; j < kEach; ++j) right[j] = four(b + (tx + kSide * j) * kRow + c);
    for (int k = 0; k < 4; ++k)
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j) dots[i][j] = chained(left[i].v[k], right[j].v[k], dots[i][j]);
  }
}

// sums[i][j] += the product of row ty + 16 i of `by` and column 4 tx + j of x over the rows of x below `rows`. Some:
// row i of `by` takes rows from low[i] to before high[i] alone: what it does not see may be no number.
template <bool Some, class A>
__device__ inline void add_sums(A (&sums)[kEach][kEach], const A* by, const A* x, std::int64_t rows,
                                const std::int64_t (&low)[kEach], const std::int64_t (&high)[kEach]) {
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  const int end = rows < kTile ? static_cast<int>(rows) : kTile;
#pragma unroll 2
  for (int r = 0; r < end; r += 4) {
    Pack<A, 4> left[kEach];
    for (int i = 0; i < kEach; ++i) left[i] = four(by + (ty + kSide * i) * kRow + r);
    for (int k = 0; k < 4; ++k) {
      const Pack<A, 4> right = four(x + (r + k) * kRow + 4 * tx);
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j)
          if (!Some || (r + k >= low[i] && r + k < high[i])) sums[i][j] = chained(left[i].v[k], right.v[j], sums[i][j]);
    }
  }
}

// Over the 16 threads of a row; every thread of the warp calls it.
template <class A, class F>
__device__ inline A row_of_16(A v, F f) {
  for (int step = kSide / 2; step > 0; step /= 2) v = f(v, __shfl_xor_sync(kAllLanes, v, step));
  return v;
}

// Columns of results that one block makes: W tiles; more of them lie in further blocks.
inline std::int64_t tiles_across(std::int64_t columns, int w) { return ceil_div(columns, kTile * w); }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::tiles
