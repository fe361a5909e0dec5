// What the kernels of attention share: tiles of 64 x 64 in shared memory, and products of tiles. A block has 256
// threads as 16 x 16; thread (tx, ty) holds the rows ty + 16 i of a product, and its columns tx + 16 j (dots) or 4 tx +
// j (sums), i and j below 4.
#pragma once
#include <tapedeck/kernels/common/scalar_math.h>
#include <tapedeck/kernels/cuda/attention_rows.h>
#ifndef TAPEDECK_EMULATED
#include <mma.h>
#endif

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::tiles {

inline constexpr int kTile = 64, kSide = 16, kEach = 4, kThreads = kSide * kSide;

__device__ inline float chained(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double chained(double a, double b, double c) { return fma(a, b, c); }

template <class T>
__device__ inline bool not_finite(T v) {  // of bf16 and f16
  const int exponent = std::is_same_v<T, BFloat16> ? 0x7f80 : 0x7c00;
  return (v.bits & exponent) == exponent;
}

// 64 x 64 sums of a block's tensor cores: warp w has the 16 rows from w / 2 * 16 on and 32 columns from w % 2 * 32 on.
template <class T>
class Product {
#ifdef TAPEDECK_EMULATED  // the same by loops: a thread has 16 columns of a row
 public:
  template <bool Rows>
  __device__ void add(const T* a, const T* b, int step, int depth) {
    const int row = static_cast<int>(threadIdx.x) / 4, column = static_cast<int>(threadIdx.x) % 4 * 16;
    for (int k = 0; k < depth; ++k)
      for (int j = 0; j < 16; ++j)
        sums_[j] += load(a[row * step + k]) * load(Rows ? b[(column + j) * step + k] : b[k * step + column + j]);
  }
  __device__ void write(float* to, int step) const {
    const int row = static_cast<int>(threadIdx.x) / 4, column = static_cast<int>(threadIdx.x) % 4 * 16;
    for (int j = 0; j < 16; ++j) to[row * step + column + j] = sums_[j];
  }

 private:
  float sums_[16] = {};
#else
  using H = std::conditional_t<std::is_same_v<T, BFloat16>, __nv_bfloat16, __half>;

 public:
  __device__ Product() {
    for (auto& sum : sums_) nvcuda::wmma::fill_fragment(sum, 0.0f);
  }
  // The product of a and the rows of b (Rows) or b itself; tiles of rows `step` apart, `depth` rounded up to 16 deep.
  template <bool Rows>
  __device__ void add(const T* a, const T* b, int step, int depth) {
    using namespace nvcuda;
    using Right = std::conditional_t<Rows, wmma::col_major, wmma::row_major>;
    const int row = warp() / 2 * 16, column = warp() % 2 * 32;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, H, wmma::row_major> left;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, H, Right> right;
    for (int k = 0; k < depth; k += 16) {
      wmma::load_matrix_sync(left, reinterpret_cast<const H*>(a + row * step + k), static_cast<unsigned>(step));
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const T* const from = Rows ? b + (column + 16 * j) * step + k : b + k * step + column + 16 * j;
        wmma::load_matrix_sync(right, reinterpret_cast<const H*>(from), static_cast<unsigned>(step));
        wmma::mma_sync(sums_[j], left, right, sums_[j]);
      }
    }
  }
  __device__ void write(float* to, int step) const {
#pragma unroll
    for (int j = 0; j < 2; ++j)
      nvcuda::wmma::store_matrix_sync(to + warp() / 2 * 16 * step + warp() % 2 * 32 + 16 * j, sums_[j],
                                      static_cast<unsigned>(step), nvcuda::wmma::mem_row_major);
  }

 private:
  __device__ static int warp() { return static_cast<int>(threadIdx.x) / kWarp; }
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sums_[2];
#endif
};

template <class A>
__device__ inline Pack<A, 4> four(const A* p) {
  return *reinterpret_cast<const Pack<A, 4>*>(p);
}
template <class A>
using Block = A[kEach][kEach];  // what a thread holds of a product
template <class A>
__device__ inline void clear(Block<A>& x) {
  for (int i = 0; i < kEach; ++i)
    for (int j = 0; j < kEach; ++j) x[i][j] = 0;
}

// Rows first … and columns from … of x into a tile whose rows lie `step` apart; zeros where there is nothing. Gives
// whether this thread met infinities or NaN of bf16 or f16.
template <class T>
__device__ inline bool fetch_rows(T* to, int step, const Rows<const T>& x, std::int64_t n, std::int64_t h,
                                  std::int64_t first, std::int64_t rows, std::int64_t from, std::int64_t columns) {
  const std::int64_t left = rows - first, across = columns - from;
  const T* const start = x.row(n, h, first) + from;
  bool odd = false;
  const auto look = [&](T v) {
    if constexpr (kHalf<T>) odd = odd || not_finite(v);
    return v;
  };
  if (x.wide) {
    for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile / 4; i += kThreads) {
      const int r = i / (kTile / 4), c = i % (kTile / 4) * 4;
      Pack<T, 4> pack{};
      if (r < left && c < across) pack = *reinterpret_cast<const Pack<T, 4>*>(start + r * x.step + c);
      for (int k = 0; k < 4; ++k) look(pack.v[k]);
      *reinterpret_cast<Pack<T, 4>*>(to + r * step + c) = pack;
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < kTile * kTile; i += kThreads) {
      const int r = i / kTile, c = i % kTile;
      to[r * step + c] = r < left && c < across ? look(start[r * x.step + c]) : T{};
    }
  }
  return odd;
}

// sums[i][j] += the product of row ty + 16 i of `by` and column 4 tx + j of x. Some: row i of `by` takes the rows of x
// from low[i] to before high[i] alone: what it does not see may be no number.
template <bool Some, class A, class E>
__device__ inline void add_sums(Block<A>& sums, const E* by, const E* x, int step, const int (&low)[kEach],
                                const int (&high)[kEach]) {
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
#pragma unroll 2
  for (int r = 0; r < kTile; r += 4) {
    Pack<E, 4> left[kEach];
    for (int i = 0; i < kEach; ++i) left[i] = four(by + (ty + kSide * i) * step + r);
    for (int k = 0; k < 4; ++k) {
      const Pack<E, 4> right = four(x + (r + k) * step + 4 * tx);
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j)
          if (!Some || (r + k >= low[i] && r + k < high[i]))
            sums[i][j] = chained(load(left[i].v[k]), load(right.v[j]), sums[i][j]);
    }
  }
}

// Products of tiles in f32 and f64: tiles hold what is computed with, each thread chains its sums.
template <class T>
struct PlainTiles {
  using A = T;
  using E = T;
  static constexpr int kStep = kTile + 4;  // rows start in different banks, and fit Pack<.., 4>
  static constexpr int shared(int tiles) { return tiles * kTile * kStep * static_cast<int>(sizeof(E)); }
  __device__ static E* tile(int k) { return dynamic_shared<E>() + k * kTile * kStep; }
  __device__ static void put(int k, int r, int c, A v) { tile(k)[r * kStep + c] = v; }
  __device__ static void fetch(int k, const Rows<const T>& x, std::int64_t n, std::int64_t h, std::int64_t first,
                               std::int64_t rows, std::int64_t from, std::int64_t columns) {
    fetch_rows<T>(tile(k), kStep, x, n, h, first, rows, from, columns);
  }

  struct Dots {  // of the rows of tile 0 and those of tile 1: (ty + 16 i, tx + 16 j)
    Block<A> sum;
    __device__ Dots() { clear(sum); }
    __device__ void add(std::int64_t columns) {
      const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
      const int end = columns < kTile ? static_cast<int>(columns) : kTile;
      const E *const a = tile(0) + ty * kStep, *const b = tile(1) + tx * kStep;
#pragma unroll 2
      for (int c = 0; c < end; c += 4) {
        Pack<E, 4> left[kEach], right[kEach];
        for (int i = 0; i < kEach; ++i) left[i] = four(a + kSide * i * kStep + c);
        for (int j = 0; j < kEach; ++j) right[j] = four(b + kSide * j * kStep + c);
        for (int k = 0; k < 4; ++k)
          for (int i = 0; i < kEach; ++i)
            for (int j = 0; j < kEach; ++j) sum[i][j] = chained(left[i].v[k], right[j].v[k], sum[i][j]);
      }
    }
    __device__ void read(Block<A>& to) const {
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j) to[i][j] = sum[i][j];
    }
  };
  // sums += the product of tile `by` and tile x; all: every row of `by` sees every row of x.
  __device__ static void add(Block<A>& sums, int by, int x, bool all, const int (&low)[kEach],
                             const int (&high)[kEach]) {
    all ? add_sums<false>(sums, tile(by), tile(x), kStep, low, high)
        : add_sums<true>(sums, tile(by), tile(x), kStep, low, high);
  }
};

// The same for bf16 and f16 with tensor cores: tiles hold the type itself (weights are rounded to it), sums are f32 and
// pass through a tile of shared memory from the cores' order to the threads'.
template <class T>
struct TensorTiles {
  using A = float;
  using E = T;
  static constexpr int kStep = kTile + 8, kOutStep = kTile + 4;  // multiples of 16 bytes
  static constexpr int kOut = kTile * kOutStep * 4, kWarps = kThreads / kWarp, kFlags = 4 * kWarps * 4;
  static constexpr int shared(int tiles) { return kOut + kFlags + tiles * kTile * kStep * static_cast<int>(sizeof(E)); }
  __device__ static float* out() { return dynamic_shared<float>(); }
  // Of tile k, by warp: whether what it fetched has infinities or NaN.
  __device__ static int* flags(int k) { return reinterpret_cast<int*>(dynamic_shared<char>() + kOut) + k * kWarps; }
  __device__ static E* tile(int k) {
    return reinterpret_cast<E*>(dynamic_shared<char>() + kOut + kFlags) + k * kTile * kStep;
  }
  __device__ static void put(int k, int r, int c, A v) { tile(k)[r * kStep + c] = store<T>(v); }
  __device__ static void fetch(int k, const Rows<const T>& x, std::int64_t n, std::int64_t h, std::int64_t first,
                               std::int64_t rows, std::int64_t from, std::int64_t columns) {
    const bool odd = fetch_rows<T>(tile(k), kStep, x, n, h, first, rows, from, columns);
    const int any = __any_sync(kAllLanes, odd);
    if (threadIdx.x % kWarp == 0) flags(k)[threadIdx.x / kWarp] = any;
  }
  __device__ static bool finite(int k) {
    int any = 0;
    for (int w = 0; w < kWarps; ++w) any |= flags(k)[w];
    return any == 0;
  }

  struct Dots {
    Product<T> product;
    __device__ void add(std::int64_t columns) {
      product.template add<true>(tile(0), tile(1), kStep, columns < kTile ? static_cast<int>(columns) : kTile);
    }
    __device__ void read(Block<A>& to) const {
      const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
      product.write(out(), kOutStep);
      __syncthreads();
      for (int i = 0; i < kEach; ++i)
        for (int j = 0; j < kEach; ++j) to[i][j] = out()[(ty + kSide * i) * kOutStep + tx + kSide * j];
    }
  };
  __device__ static void add(Block<A>& sums, int by, int x, bool all, const int (&low)[kEach],
                             const int (&high)[kEach]) {
    if (!all && !finite(x)) return add_sums<true>(sums, tile(by), tile(x), kStep, low, high);
    const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
    Product<T> product;
    product.template add<false>(tile(by), tile(x), kStep, kTile);
    __syncthreads();  // what was read from `out` before has been read
    product.write(out(), kOutStep);
    __syncthreads();
    for (int i = 0; i < kEach; ++i)
      for (int j = 0; j < kEach; ++j) sums[i][j] += out()[(ty + kSide * i) * kOutStep + 4 * tx + j];
  }
};
template <class T>
using Tiles = std::conditional_t<kHalf<T>, TensorTiles<T>, PlainTiles<T>>;

// dots = the products of the rows from a0 on of a and those from b0 on of b. Starts and ends with tiles 0 and 1 free.
template <class T>
__device__ inline void scores_of(Block<Real<T>>& dots, const Rows<const T>& a, std::int64_t ha, std::int64_t a0,
                                 std::int64_t a_rows, const Rows<const T>& b, std::int64_t hb, std::int64_t b0,
                                 std::int64_t b_rows, std::int64_t n, std::int64_t columns) {
  typename Tiles<T>::Dots sums;
  for (std::int64_t c = 0; c < columns; c += kTile) {
    Tiles<T>::fetch(0, a, n, ha, a0, a_rows, c, columns);
    Tiles<T>::fetch(1, b, n, hb, b0, b_rows, c, columns);
    __syncthreads();
    sums.add(columns - c);
    __syncthreads();
  }
  sums.read(dots);
}

// A place counted from the start of a tile, as far as it matters there.
__device__ inline int within(std::int64_t place) {
  return place < 0 ? 0 : place > kTile ? kTile : static_cast<int>(place);
}

// Over the 16 threads of a row; every thread of the warp calls it.
template <class A, class F>
__device__ inline A row_of_16(A v, F f) {
  for (int step = kSide / 2; step > 0; step /= 2) v = f(v, __shfl_xor_sync(kAllLanes, v, step));
  return v;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::tiles
