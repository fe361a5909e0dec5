// The products of units.h for f32, in threads: each sum is one FMA chain over k in order, and a thread holds 64 of them
// (32 where the tile is narrow). Problems are the same.
#pragma once
#include <tapedeck/kernels/cuda/reduce.h>
#include <tapedeck/kernels/cuda/units.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units {

inline constexpr int kChainDepth = 16;
template <int N>
struct ChainStage {
  static constexpr int kA = kChainDepth + 4, kTurnedA = kRows + 4, kB = N + 4;
  static constexpr int kNumbers = kRows * kA + kChainDepth * kB, kBytes = kStages * kNumbers * 4;
  static_assert(kChainDepth * kTurnedA <= kRows * kA);
};

template <int N, class P>
__global__ void __launch_bounds__(kThreads, 2) chains_kernel(P p, int tiles_across) {
  using S = ChainStage<N>;
  using Four = Pack<float, 4>;
  constexpr int kGroups = N / 64;  // of four neighbouring columns, 64 apart
  constexpr int kFetchA = kRows * kChainDepth / 4 / kThreads, kFetchB = N * kChainDepth / 4 / kThreads;
  float* const room = dynamic_shared<float>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  const int m0 = static_cast<int>(blockIdx.x) / tiles_across * kRows, n0 = static_cast<int>(blockIdx.x) % tiles_across * N;
  // 16 threads down and 16 across, four and eight of them in a warp.
  const int down = warp / 2 * 4 + lane / 8, across = warp % 2 * 8 + lane % 8;
  const auto row_of = [&](int i) { return kTurned<P> ? down * 4 + i % 4 + i / 4 * 64 : down + 16 * i; };
  int k_begin = 0, k_end = p.k;
  if constexpr (kTurned<P>) {
    k_begin = static_cast<int>(blockIdx.y) * p.length;
    if (k_end - k_begin > p.length) k_end = k_begin + p.length;
  }

  typename P::Line lines[kFetchA];
  if constexpr (!kTurned<P>)
#pragma unroll
    for (int j = 0; j < kFetchA; ++j) {
      const int m = m0 + thread / 4 + j * (kThreads / 4);
      lines[j] = p.line(m < p.m ? m : p.m - 1);
    }
  const auto fetch = [&](int step) {
    float* const a = room + step % kStages * S::kNumbers;
    float* const b = a + kRows * S::kA;
    const int k0 = k_begin + step * kChainDepth;
#pragma unroll
    for (int j = 0; j < kFetchA; ++j)
      if constexpr (kTurned<P>) {
        const int at = thread + j * kThreads, row = at / (kRows / 4), column = at % (kRows / 4) * 4;
        const float* const from = k0 + row < k_end && m0 + column < p.m ? p.a(k0 + row, m0 + column) : nullptr;
        copy_16(spot(a + row * S::kTurnedA + column), from, from != nullptr);
      } else {
        const int k = k0 + thread % 4 * 4;
        const float* const from = k < k_end ? p.a(lines[j], k) : nullptr;
        copy_16(spot(a + (thread / 4 + j * (kThreads / 4)) * S::kA + thread % 4 * 4), from, from != nullptr);
      }
#pragma unroll
    for (int j = 0; j < kFetchB; ++j) {
      const int at = thread + j * kThreads, row = at / (N / 4), column = at % (N / 4) * 4;
      const float* const from = k0 + row < k_end && n0 + column < p.n ? p.b(k0 + row, n0 + column) : nullptr;
      copy_16(spot(b + row * S::kB + column), from, from != nullptr);
    }
  };

  float sums[8][kGroups][4], of_row = 0;  // of_row: of row m0 + thread
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int g = 0; g < kGroups; ++g)
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][g][e] = 0;
  bool wants_rows = false;
  if constexpr (kTurned<P>) wants_rows = p.wants_rows && n0 == 0 && thread < kRows;
  const int steps = (k_end - k_begin + kChainDepth - 1) / kChainDepth;
#pragma unroll
  for (int s = 0; s < kStages - 1; ++s) {
    if (s < steps) fetch(s);
    close_copies();
  }
  for (int s = 0; s < steps; ++s) {
    wait_copies<kStages - 2>();
    __syncthreads();  // this step's operands are there, and nobody reads those of the last one
    if (s + kStages - 1 < steps) fetch(s + kStages - 1);
    close_copies();
    const float* const a = room + s % kStages * S::kNumbers;
    const float* const b = a + kRows * S::kA + across * 4;
    const auto four = [](const float* at) { return *reinterpret_cast<const Four*>(at); };
    const auto add = [&](int i, float by, const Four(&right)[kGroups]) {
#pragma unroll
      for (int g = 0; g < kGroups; ++g)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[i][g][e] = fmaf(by, right[g].v[e], sums[i][g][e]);
    };
    if constexpr (kTurned<P>) {
#pragma unroll 4
      for (int k = 0; k < kChainDepth; ++k) {
        const Four low = four(a + k * S::kTurnedA + down * 4), high = four(a + k * S::kTurnedA + 64 + down * 4);
        Four right[kGroups];
#pragma unroll
        for (int g = 0; g < kGroups; ++g) right[g] = four(b + k * S::kB + g * 64);
#pragma unroll
        for (int e = 0; e < 4; ++e) add(e, low.v[e], right), add(4 + e, high.v[e], right);
      }
      if (wants_rows)
        for (int k = 0; k < kChainDepth; ++k) of_row += a[k * S::kTurnedA + thread];
    } else {
#pragma unroll 1  // more would take more registers than there are
      for (int k = 0; k < kChainDepth; k += 2) {
        Pack<float, 2> left[8];
#pragma unroll
        for (int i = 0; i < 8; ++i)
          left[i] = *reinterpret_cast<const Pack<float, 2>*>(a + row_of(i) * S::kA + k);
#pragma unroll
        for (int u = 0; u < 2; ++u) {
          Four right[kGroups];
#pragma unroll
          for (int g = 0; g < kGroups; ++g) right[g] = four(b + (k + u) * S::kB + g * 64);
#pragma unroll
          for (int i = 0; i < 8; ++i) add(i, left[i].v[u], right);
        }
      }
    }
  }
  if constexpr (kTurned<P>)
    if (wants_rows && m0 + thread < p.m) p.put_row(m0 + thread, of_row);

  // Two threads side by side exchange fours, so that each has eight neighbours: of one group of columns, or, where
  // there is but one, of one of two rows.
  const bool odd = lane % 2 != 0;
  const int n = n0 + (across - odd) * 4 + (odd && kGroups == 2 ? 64 : 0);
  const bool inside = n < p.n;
  const typename P::Columns columns = p.columns(inside ? n : 0);
  constexpr int kPuts = kGroups == 2 ? 8 : 4;
  const auto row_put = [&](int i) { return kGroups == 2 ? row_of(i) : odd ? row_of(2 * i + 1) : row_of(2 * i); };
#pragma unroll
  for (int i0 = 0; i0 < kPuts; i0 += P::kAhead) {
    typename P::More more[P::kAhead];
#pragma unroll
    for (int u = 0; u < P::kAhead; ++u) {
      const int m = m0 + row_put(i0 + u);
      if (inside && m < p.m) more[u] = p.more(m, n);
    }
#pragma unroll
    for (int u = 0; u < P::kAhead; ++u) {
      const int i = i0 + u, m = m0 + row_put(i);
      float out[8];
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const float first = kGroups == 2 ? sums[i][0][e] : sums[2 * i % 8][0][e],
                    second = kGroups == 2 ? sums[i][kGroups - 1][e] : sums[(2 * i + 1) % 8][0][e];
        const float theirs = shuffle_xor(odd ? first : second, 1);
        out[e] = odd ? theirs : first, out[4 + e] = odd ? second : theirs;
      }
      if (inside && m < p.m) p.put(m, n, columns, more[u], out);
    }
  }
}

template <int N, class P>
void solve_with(Device d, const P& p) {
  const std::int64_t across = ceil_div(p.n, N);
  Launch l;
  l.grid[0] = static_cast<unsigned>(ceil_div(p.m, kRows) * across);
  if constexpr (kTurned<P>) l.grid[1] = static_cast<unsigned>(ceil_div(p.k, p.length));
  l.block[0] = kThreads;
  if constexpr (std::is_same_v<typename P::T, float>) {
    l.shared = ChainStage<N>::kBytes;
    launch(d, l, chains_kernel<N, P>, p, static_cast<int>(across));
  } else {
    l.shared = Stage<N>::kBytes;
    launch(d, l, units_kernel<N, P>, p, static_cast<int>(across));
  }
}
template <class P>
void solve(Device d, const P& p) {
  if (p.m == 0 || p.n == 0) return;
  p.n % 128 == 0 ? solve_with<128>(d, p) : solve_with<64>(d, p);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units
