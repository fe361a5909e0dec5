// Tiles of products on the matrix units: factors of bf16 and f16, sums in f32. Included by tile.h.
#pragma once
#include <mma.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kUnit = 16, kUnitDepth = 32, kUnitPad = 8;  // a unit's side; terms of a tile at a time

// An operand in shared memory: [width][depth] where it is fetched along k, else [depth][width].
template <class T, int Width>
struct UnitTile {
  using Number = std::conditional_t<std::is_same_v<T, BFloat16>, __nv_bfloat16, __half>;
  static constexpr int kAcross = Width + kUnitPad, kAlong = kUnitDepth + kUnitPad;
  static constexpr int kNumbers = kUnitDepth * kAcross > Width* kAlong ? kUnitDepth* kAcross : Width* kAlong;
  static constexpr int kEach = Width * kUnitDepth / 4 / kTileThreads;  // groups of four for each thread

  __device__ static void place(bool along_k, int t, int j, int* w, int* k) {
    const int g = t + j * kTileThreads;
    if (along_k)
      *w = g / (kUnitDepth / 4), *k = g % (kUnitDepth / 4) * 4;
    else
      *w = g % (Width / 4) * 4, *k = g / (Width / 4);
  }
  __device__ static void write(bool along_k, T* tile, int w, int k, const Pack<T, 4>& v) {
    *reinterpret_cast<Pack<T, 4>*>(tile + (along_k ? w * kAlong + k : k * kAcross + w)) = v;
  }
  // Where the unit at (w, k) starts.
  __device__ static const Number* at(bool along_k, const T* tile, int w, int k) {
    return reinterpret_cast<const Number*>(tile + (along_k ? w * kAlong + k : k * kAcross + w));
  }
};

// Eight warps, four along m and two along n.
template <int kM, int kN, class P>
struct UnitWarp {
  using TileA = UnitTile<typename P::T, kM>;
  using TileB = UnitTile<typename P::T, kN>;
  static constexpr int kRows = kM / 4 / kUnit, kColumns = kN / 2 / kUnit;
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, kUnit, kUnit, kUnit, float> sum[kRows][kColumns];

  __device__ static int first_m() { return static_cast<int>(threadIdx.x) / kWarp / 2 * (kM / 4); }
  __device__ static int first_n() { return static_cast<int>(threadIdx.x) / kWarp % 2 * (kN / 2); }

  template <bool AlongA, bool AlongB>
  __device__ void step(const typename P::T* tile_a, const typename P::T* tile_b) {
    using namespace nvcuda::wmma;
    using Number = typename TileA::Number;
    using LayoutA = std::conditional_t<AlongA, row_major, col_major>;
    using LayoutB = std::conditional_t<AlongB, col_major, row_major>;
#pragma unroll
    for (int k = 0; k < kUnitDepth; k += kUnit) {
      fragment<matrix_a, kUnit, kUnit, kUnit, Number, LayoutA> a[kRows];
      fragment<matrix_b, kUnit, kUnit, kUnit, Number, LayoutB> b[kColumns];
#pragma unroll
      for (int i = 0; i < kRows; ++i)
        load_matrix_sync(a[i], TileA::at(AlongA, tile_a, first_m() + i * kUnit, k),
                         AlongA ? TileA::kAlong : TileA::kAcross);
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        load_matrix_sync(b[j], TileB::at(AlongB, tile_b, first_n() + j * kUnit, k),
                         AlongB ? TileB::kAlong : TileB::kAcross);
#pragma unroll
      for (int i = 0; i < kRows; ++i)
#pragma unroll
        for (int j = 0; j < kColumns; ++j) mma_sync(sum[i][j], a[i], b[j], sum[i][j]);
    }
  }
};

template <int kM, int kN, class P>
__global__ void __launch_bounds__(kTileThreads, kTileBlocks<P, kM * kN <= 64 * 64>)
    unit_kernel(P p, TileGrid grid, float* parts) {
  using T = typename P::T;
  using Warp = UnitWarp<kM, kN, P>;
  using TileA = typename Warp::TileA;
  using TileB = typename Warp::TileB;
  __align__(32) __shared__ unsigned char room[2 * (TileA::kNumbers + TileB::kNumbers) * sizeof(T)];
  T* const tiles = reinterpret_cast<T*>(room);
  const auto tile_a = [&](int buffer) { return tiles + buffer * TileA::kNumbers; };
  const auto tile_b = [&](int buffer) { return tiles + 2 * TileA::kNumbers + buffer * TileB::kNumbers; };

  std::int64_t at = blockIdx.x;
  const std::int64_t n0 = at % grid.tiles_n * kN;
  at /= grid.tiles_n;
  const std::int64_t m0 = at % grid.tiles_m * kM;
  at /= grid.tiles_m;
  const std::int64_t part = at % grid.parts, z = at / grid.parts;
  p.enter(z);
  if (m0 >= p.m || n0 >= p.n) return;  // the whole block
  const std::int64_t k_begin = part * grid.part;
  const std::int64_t k_end = grid.parts == 1 || k_begin + grid.part > p.k ? p.k : k_begin + grid.part;

  const int t = static_cast<int>(threadIdx.x);
  const bool along_a = p.a_along_k(), along_b = p.b_along_k();
  typename P::LineA line_a[TileA::kEach];
  typename P::LineB line_b[TileB::kEach];
  for (int j = 0; j < TileA::kEach; ++j) {
    int w, k;
    TileA::place(along_a, t, j, &w, &k);
    if (m0 + w < p.m) line_a[j] = p.a_line(m0 + w);
  }
  for (int j = 0; j < TileB::kEach; ++j) {
    int w, k;
    TileB::place(along_b, t, j, &w, &k);
    if (n0 + w < p.n) line_b[j] = p.b_line(n0 + w);
  }
  Pack<T, 4> next_a[TileA::kEach], next_b[TileB::kEach];
  const auto rounded = [](const float(&v)[4]) {  // exact: they come from T
    return Pack<T, 4>{{store<T>(v[0]), store<T>(v[1]), store<T>(v[2]), store<T>(v[3])}};
  };
  const auto fetch = [&](std::int64_t k0) {
#pragma unroll
    for (int j = 0; j < TileA::kEach; ++j) {
      int w, k;
      TileA::place(along_a, t, j, &w, &k);
      float v[4] = {};
      const int count = along_a ? tile_count(k0 + k, k_end) : tile_count(m0 + w, p.m);
      if (count > 0 && m0 + w < p.m && k0 + k < k_end) p.a(line_a[j], k0 + k, count, v);
      next_a[j] = rounded(v);
    }
#pragma unroll
    for (int j = 0; j < TileB::kEach; ++j) {
      int w, k;
      TileB::place(along_b, t, j, &w, &k);
      float v[4] = {};
      const int count = along_b ? tile_count(k0 + k, k_end) : tile_count(n0 + w, p.n);
      if (count > 0 && n0 + w < p.n && k0 + k < k_end) p.b(line_b[j], k0 + k, count, v);
      next_b[j] = rounded(v);
    }
  };
  const auto keep = [&](int buffer) {
    for (int j = 0; j < TileA::kEach; ++j) {
      int w, k;
      TileA::place(along_a, t, j, &w, &k);
      TileA::write(along_a, tile_a(buffer), w, k, next_a[j]);
    }
    for (int j = 0; j < TileB::kEach; ++j) {
      int w, k;
      TileB::place(along_b, t, j, &w, &k);
      TileB::write(along_b, tile_b(buffer), w, k, next_b[j]);
    }
  };

  Warp warp;
#pragma unroll
  for (int i = 0; i < Warp::kRows; ++i)
#pragma unroll
    for (int j = 0; j < Warp::kColumns; ++j) nvcuda::wmma::fill_fragment(warp.sum[i][j], 0.f);
  if (k_begin < k_end) {
    fetch(k_begin);
    keep(0);
  }
  __syncthreads();
  int buffer = 0;
  for (std::int64_t k0 = k_begin; k0 < k_end; k0 += kUnitDepth) {
    const bool more = k0 + kUnitDepth < k_end;
    if (more) fetch(k0 + kUnitDepth);
    if (along_a)
      along_b ? warp.template step<true, true>(tile_a(buffer), tile_b(buffer))
              : warp.template step<true, false>(tile_a(buffer), tile_b(buffer));
    else
      along_b ? warp.template step<false, true>(tile_a(buffer), tile_b(buffer))
              : warp.template step<false, false>(tile_a(buffer), tile_b(buffer));
    buffer ^= 1;
    if (more) keep(buffer);  // nobody reads this one: all have passed the last barrier
    __syncthreads();
  }

  // Each warp hands its sums on through shared memory, a unit at a time.
  float* const mine = reinterpret_cast<float*>(room) + t / kWarp * kUnit * kUnit;
  const int lane = t % kWarp;
#pragma unroll
  for (int i = 0; i < Warp::kRows; ++i)
#pragma unroll
    for (int j = 0; j < Warp::kColumns; ++j) {
      nvcuda::wmma::store_matrix_sync(mine, warp.sum[i][j], kUnit, nvcuda::wmma::mem_row_major);
      __syncwarp();
      for (int g = lane; g < kUnit * kUnit / 4; g += kWarp) {
        const std::int64_t m = m0 + Warp::first_m() + i * kUnit + g / 4,
                           n = n0 + Warp::first_n() + j * kUnit + g % 4 * 4;
        const int count = tile_count(n, p.n);
        if (m >= p.m || count == 0) continue;
        float out[4];
        for (int e = 0; e < 4; ++e) out[e] = mine[g * 4 + e];
        if (grid.parts == 1) {
          p.put(m, n, count, out);
        } else {
          float* const to = parts + ((part * grid.problems + z) * grid.m + m) * grid.n + n;
          for (int e = 0; e < 4; ++e)
            if (e < count) to[e] = out[e];
        }
      }
      __syncwarp();
    }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
