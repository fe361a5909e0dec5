// Products whose factors are computed where they are read: y[m, n] = sum over k of a(m, k) * b(k, n), in tiles through
// shared memory. A problem says where the factors lie and where the sums go: matrices of any strides (matmul.cu),
// convolutions in place (conv.cu).
//
// A problem P has
//   T                          the type of its factors; sums are Compute<T>
//   kLean                      its fetches leave registers for the largest tiles
//   enter(z)                   makes this copy the z-th problem: sets m, n, k (sizes; any may be 0)
//   a_along_k(), b_along_k()   four neighbours along k are fetched together, not along m, or n
//   a_line(m), b_line(n)       what is known of a row or column, whatever k
//   a(line, k, count, out)     factors of four neighbours, the first `count` (>= 1) of them wanted, the others 0
//   b(line, k, count, out)
//   put(m, n, count, sums)     the finished sums of (m, n) … (m, n + count - 1), count 1 to 4
//   Fours                      (a type) put takes nothing but four columns, the first a multiple of four: n is one too
// The sum runs in one FMA chain over k, or, when there are too few tiles for the device, in chains over parts of it,
// which are added in order.
#pragma once
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>

#include <algorithm>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kTileThreads = 256, kTileDepth = 16, kTilePad = 4;
template <class P>
inline constexpr bool kFours = requires {
  typename P::Fours;
};
// Blocks that share a multiprocessor: what bounds their registers.
template <class P, bool small>
inline constexpr int kTileBlocks = small&& P::kLean ? 2 : 1;

template <class C>
__device__ inline C tile_fma(C a, C b, C c) {
  if constexpr (sizeof(C) == 4)
    return fmaf(a, b, c);
  else
    return fma(a, b, c);
}

// `count` of four neighbours `step` apart; `wide`: all four in one access.
template <class T>
__device__ inline void fetch_four(const T* p, std::int64_t step, bool wide, int count, Compute<T> (&out)[4]) {
  if (wide && count == 4) {
    const Pack<T, 4> four = *reinterpret_cast<const Pack<T, 4>*>(p);
    for (int i = 0; i < 4; ++i) out[i] = load(four.v[i]);
  } else {
    for (int i = 0; i < 4; ++i) out[i] = i < count ? load(p[i * step]) : Compute<T>(0);
  }
}

// y[i] = sums[i] + y[i] (when `add`) + bias[i * bias_step] (when given).
template <class T>
__device__ inline void put_four(T* y, const T* bias, std::int64_t bias_step, bool add, bool wide, int count,
                                Compute<T> (&sum)[4]) {
  if (wide && count == 4) {
    Pack<T, 4>* const to = reinterpret_cast<Pack<T, 4>*>(y);
    Pack<T, 4> four;
    if (add) four = *to;
    for (int i = 0; i < 4; ++i) {
      if (add) sum[i] += load(four.v[i]);
      if (bias) sum[i] += load(bias[i * bias_step]);
      four.v[i] = store<T>(sum[i]);
    }
    *to = four;
    return;
  }
  for (int i = 0; i < 4; ++i) {
    if (i >= count) return;
    if (add) sum[i] += load(y[i]);
    if (bias) sum[i] += load(bias[i * bias_step]);
    y[i] = store<T>(sum[i]);
  }
}

// How the threads of a block share the fetching of one operand: groups of four, some for each thread.
template <int Width>
struct TileShare {
  static constexpr int kGroups = Width * kTileDepth / 4;
  static constexpr int kEach = (kGroups + kTileThreads - 1) / kTileThreads;
  // Group j of thread t: its first place along the width and along k.
  __device__ static bool place(bool along_k, int t, int j, int* w, int* k) {
    const int g = t + j * kTileThreads;
    if (along_k)
      *w = g / (kTileDepth / 4), *k = g % (kTileDepth / 4) * 4;
    else
      *w = g % (Width / 4) * 4, *k = g / (Width / 4);
    return kGroups % kTileThreads == 0 || g < kGroups;
  }
  template <class C>
  __device__ static void write(bool along_k, C (*tile)[Width + kTilePad], int w, int k, const C (&v)[4]) {
    if (along_k)
      for (int i = 0; i < 4; ++i) tile[k + i][w] = v[i];
    else
      *reinterpret_cast<Pack<C, 4>*>(&tile[k][w]) = {v[0], v[1], v[2], v[3]};
  }
};

__device__ inline int tile_count(std::int64_t from, std::int64_t end) {  // of four neighbours, those before `end`
  return end - from >= 4 ? 4 : end > from ? static_cast<int>(end - from) : 0;
}

struct TileGrid {
  std::int64_t tiles_m = 1, tiles_n = 1, problems = 1;
  std::int64_t parts = 1, part = 0;  // pieces of k, and their length
  std::int64_t m = 0, n = 0;         // the largest of all problems: what the parts' sums are laid out by
};

// Rows and columns of a tile: 16 * M by 16 * N.
template <int M, int N, class P>
__global__ void __launch_bounds__(kTileThreads, kTileBlocks<P, M * N * sizeof(Compute<typename P::T>) <= 64>)
    tile_kernel(P p, TileGrid grid, Compute<typename P::T>* parts) {
  using C = Compute<typename P::T>;
  constexpr int kM = 16 * M, kN = 16 * N, kVm = M < 4 ? M : 4, kVn = N < 4 ? N : 4;
  using ShareA = TileShare<kM>;
  using ShareB = TileShare<kN>;
  __align__(32) __shared__ C tile_a[2][kTileDepth][kM + kTilePad];
  __align__(32) __shared__ C tile_b[2][kTileDepth][kN + kTilePad];
  std::int64_t at = blockIdx.x;
  const std::int64_t n0 = at % grid.tiles_n * kN;
  at /= grid.tiles_n;
  const std::int64_t m0 = at % grid.tiles_m * kM;
  at /= grid.tiles_m;
  const std::int64_t part = at % grid.parts, z = at / grid.parts;
  p.enter(z);
  if (m0 >= p.m || n0 >= p.n) return;  // the whole block
  const std::int64_t k_begin = part * grid.part,
                     k_end = grid.parts == 1 || k_begin + grid.part > p.k ? p.k : k_begin + grid.part;

  const int t = static_cast<int>(threadIdx.x), row = t / 16, column = t % 16;
  typename P::LineA line_a[ShareA::kEach];
  typename P::LineB line_b[ShareB::kEach];
  for (int j = 0; j < ShareA::kEach; ++j) {
    int w, k;
    ShareA::place(p.a_along_k(), t, j, &w, &k);
    if (m0 + w < p.m) line_a[j] = p.a_line(m0 + w);
  }
  for (int j = 0; j < ShareB::kEach; ++j) {
    int w, k;
    ShareB::place(p.b_along_k(), t, j, &w, &k);
    if (n0 + w < p.n) line_b[j] = p.b_line(n0 + w);
  }
  C next_a[ShareA::kEach][4], next_b[ShareB::kEach][4];
  const auto fetch = [&](std::int64_t k0) {
#pragma unroll
    for (int j = 0; j < ShareA::kEach; ++j) {
      int w, k;
      const bool mine = ShareA::place(p.a_along_k(), t, j, &w, &k);
      for (int i = 0; i < 4; ++i) next_a[j][i] = 0;
      const int count = p.a_along_k() ? tile_count(k0 + k, k_end) : tile_count(m0 + w, p.m);
      if (mine && count > 0 && m0 + w < p.m && k0 + k < k_end) p.a(line_a[j], k0 + k, count, next_a[j]);
    }
#pragma unroll
    for (int j = 0; j < ShareB::kEach; ++j) {
      int w, k;
      const bool mine = ShareB::place(p.b_along_k(), t, j, &w, &k);
      for (int i = 0; i < 4; ++i) next_b[j][i] = 0;
      const int count = p.b_along_k() ? tile_count(k0 + k, k_end) : tile_count(n0 + w, p.n);
      if (mine && count > 0 && n0 + w < p.n && k0 + k < k_end) p.b(line_b[j], k0 + k, count, next_b[j]);
    }
  };
  const auto keep = [&](int buffer) {
#pragma unroll
    for (int j = 0; j < ShareA::kEach; ++j) {
      int w, k;
      if (ShareA::place(p.a_along_k(), t, j, &w, &k)) ShareA::write(p.a_along_k(), tile_a[buffer], w, k, next_a[j]);
    }
#pragma unroll
    for (int j = 0; j < ShareB::kEach; ++j) {
      int w, k;
      if (ShareB::place(p.b_along_k(), t, j, &w, &k)) ShareB::write(p.b_along_k(), tile_b[buffer], w, k, next_b[j]);
    }
  };

  C sum[M][N];
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) sum[i][j] = 0;
  if (k_begin < k_end) {
    fetch(k_begin);
    keep(0);
  }
  __syncthreads();
  int buffer = 0;
  for (std::int64_t k0 = k_begin; k0 < k_end; k0 += kTileDepth) {
    const bool more = k0 + kTileDepth < k_end;
    if (more) fetch(k0 + kTileDepth);
#pragma unroll
    for (int k = 0; k < kTileDepth; ++k) {
      C va[M], vb[N];
#pragma unroll
      for (int i = 0; i < M; i += kVm) {
        const Pack<C, kVm> v = *reinterpret_cast<const Pack<C, kVm>*>(&tile_a[buffer][k][i * 16 + row * kVm]);
        for (int e = 0; e < kVm; ++e) va[i + e] = v.v[e];
      }
#pragma unroll
      for (int j = 0; j < N; j += kVn) {
        const Pack<C, kVn> v = *reinterpret_cast<const Pack<C, kVn>*>(&tile_b[buffer][k][j * 16 + column * kVn]);
        for (int e = 0; e < kVn; ++e) vb[j + e] = v.v[e];
      }
#pragma unroll
      for (int i = 0; i < M; ++i)
#pragma unroll
        for (int j = 0; j < N; ++j) sum[i][j] = tile_fma(va[i], vb[j], sum[i][j]);
    }
    buffer ^= 1;
    if (more) keep(buffer);  // nobody reads this one: all have passed the last barrier
    __syncthreads();
  }

#pragma unroll
  for (int i = 0; i < M; ++i) {
    const std::int64_t m = m0 + i / kVm * 16 * kVm + row * kVm + i % kVm;
#pragma unroll
    for (int j = 0; j < N; j += kVn) {
      const std::int64_t n = n0 + j * 16 + column * kVn;
      int count = tile_count(n, p.n);
      count = count > kVn ? kVn : count;
      if (m >= p.m || count == 0) continue;
      C out[4] = {};
      for (int e = 0; e < kVn; ++e) out[e] = sum[i][j + e];
      if (grid.parts == 1) {
        p.put(m, n, count, out);
      } else {
        C* const to = parts + ((part * grid.problems + z) * grid.m + m) * grid.n + n;
        for (int e = 0; e < kVn; ++e)
          if (e < count) to[e] = out[e];
      }
    }
  }
}

template <class P>
__global__ void tile_parts_kernel(P p, TileGrid grid, const Compute<typename P::T>* parts) {
  using C = Compute<typename P::T>;
  const std::int64_t each = grid.m * grid.n, all = each * grid.problems, step = std::int64_t{gridDim.x} * blockDim.x;
  std::int64_t entered = -1;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < all; at += step) {
    const std::int64_t z = at / each, m = at % each / grid.n, n = at % grid.n;
    if (z != entered) p.enter(z), entered = z;
    if (m >= p.m || n >= p.n) continue;
    C sum[4] = {};
    for (std::int64_t part = 0; part < grid.parts; ++part) sum[0] += parts[part * all + at];
    p.put(m, n, 1, sum);
  }
}

// The pieces of k that fill the device with tiles, each long enough to be worth its sum.
inline TileGrid plan_tiles(std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t problems, int tile_m,
                           int tile_n, const Limits& l) {
  TileGrid g{ceil_div(m, tile_m), ceil_div(n, tile_n), problems, 1, k, m, n};
  const std::int64_t tiles = g.tiles_m * g.tiles_n * problems, wanted = 2 * l.multiprocessors;
  if (tiles < wanted && k >= 512) {
    const std::int64_t parts = std::min(ceil_div(wanted, tiles), k / 256);
    g.part = ceil_div(ceil_div(k, parts), 32) * 32;
    g.parts = ceil_div(k, g.part);
  }
  return g;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
#ifndef TAPEDECK_EMULATED
#include <tapedeck/kernels/cuda/tile_units.h>
#endif
namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// With a kernel for tiles of these sizes.
template <class P>
void run_tiles(Device d, void (*kernel)(P, TileGrid, Compute<typename P::T>*), int tile_m, int tile_n, const P& p,
               std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t problems) {
  using C = Compute<typename P::T>;
  const TileGrid grid = plan_tiles(m, n, kFours<P> ? 0 : k, problems, tile_m, tile_n, limits(d));
  Launch l;
  l.grid[0] = static_cast<unsigned>(grid.tiles_m * grid.tiles_n * grid.parts * problems);
  l.block[0] = kTileThreads;
  if (grid.parts == 1) return launch(d, l, kernel, p, grid, nullptr);
  if constexpr (!kFours<P>) {
    const Scratch parts(d, static_cast<std::size_t>(grid.parts * problems * m * n) * sizeof(C));
    launch(d, l, kernel, p, grid, parts.as<C>());
    launch(d, plan_items(problems * m * n), tile_parts_kernel<P>, p, grid, parts.as<C>());
  }
}

// Solves `problems` problems of at most these sizes.
template <class P>
void solve_tiles(Device d, const P& p, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t problems) {
  if (m == 0 || n == 0 || problems == 0) return;
  using T = typename P::T;
  // Large tiles where they, or they and the parts of their sums, fill the device.
  const std::int64_t fill = limits(d).multiprocessors;
  const std::int64_t parts = (kFours<P> ? 1 : std::max<std::int64_t>(1, k / 512)) * problems;
  constexpr bool kLargest = P::kLean || !kHalf<T>;
  const bool large = kLargest && n > 64 && m > 64 && ceil_div(m, 128) * ceil_div(n, 128) * parts >= fill;
#ifndef TAPEDECK_EMULATED
  if constexpr (kHalf<T>) {
    if constexpr (kLargest)
      if (large) return run_tiles(d, unit_kernel<128, 128, P>, 128, 128, p, m, n, k, problems);
    run_tiles(d, unit_kernel<64, 64, P>, 64, 64, p, m, n, k, problems);
  } else
#endif
  {
    if constexpr (std::is_same_v<T, float>) {
      if (large) return run_tiles(d, tile_kernel<8, 8, P>, 128, 128, p, m, n, k, problems);
      if constexpr (!kFours<P>)
        if (n <= 32 && ceil_div(m, 128) * parts >= fill)
          return run_tiles(d, tile_kernel<8, 2, P>, 128, 32, p, m, n, k, problems);
    }
    run_tiles(d, tile_kernel<4, 4, P>, 64, 64, p, m, n, k, problems);
  }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
