// The products of units.h for f32, in threads: each sum is one FMA chain over k in order, and a thread holds 64 of them
// (32 where the tile is narrow). Problems are the same.
#pragma once
#include <tapedeck/kernels/cuda/reduce.h>
#include <tapedeck/kernels/cuda/units.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units {

inline constexpr int kChainsDepth = 16;

template <int N, class P>
__global__ void __launch_bounds__(kThreads, 2) chains_kernel(P p, int tiles_across) {
  using O = Operands<N, kChainsDepth, P>;
  using Four = Pack<float, 4>;
  constexpr int kGroups = N / 64;  // of four neighbouring columns, 64 apart
  O from(p, tiles_across);
  const int lane = from.thread % kWarp, warp = from.thread / kWarp, m0 = from.m0, n0 = from.n0, thread = from.thread;
  // 16 threads down and 16 across, four and eight of them in a warp.
  const int down = warp / 2 * 4 + lane / 8, across = warp % 2 * 8 + lane % 8;
  const auto row_of = [&](int i) { return kTurned<P> ? down * 4 + i % 4 + i / 4 * 64 : down + 16 * i; };

  float sums[8][kGroups][4] = {}, of_row = 0;  // of_row: of row m0 + thread
  bool wants_rows = false;
  if constexpr (kTurned<P>) wants_rows = p.wants_rows && n0 == 0 && thread < kRows;
  const int steps = from.steps();
  from.start();
  for (int s = 0; s < steps; ++s) {
    from.await(s);
    const float *const a = from.a(s), *const b = from.b(s) + across * 4;
    const auto four = [](const float* at) { return *reinterpret_cast<const Four*>(at); };
    const auto add = [&](int i, float by, const Four(&right)[kGroups]) {
#pragma unroll
      for (int g = 0; g < kGroups; ++g)
#pragma unroll
        for (int e = 0; e < 4; ++e) sums[i][g][e] = fmaf(by, right[g].v[e], sums[i][g][e]);
    };
    if constexpr (kTurned<P>) {
#pragma unroll 4
      for (int k = 0; k < kChainsDepth; ++k) {
        const Four low = four(a + k * O::kA + down * 4), high = four(a + k * O::kA + 64 + down * 4);
        Four right[kGroups];
#pragma unroll
        for (int g = 0; g < kGroups; ++g) right[g] = four(b + k * O::kB + g * 64);
#pragma unroll
        for (int e = 0; e < 4; ++e) add(e, low.v[e], right), add(4 + e, high.v[e], right);
      }
      if (wants_rows)
        for (int k = 0; k < kChainsDepth; ++k) of_row += a[k * O::kA + thread];
    } else {
#pragma unroll 1  // more would take more registers than there are
      for (int k = 0; k < kChainsDepth; k += 2) {
        Pack<float, 2> left[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) left[i] = *reinterpret_cast<const Pack<float, 2>*>(a + row_of(i) * O::kA + k);
#pragma unroll
        for (int u = 0; u < 2; ++u) {
          Four right[kGroups];
#pragma unroll
          for (int g = 0; g < kGroups; ++g) right[g] = four(b + (k + u) * O::kB + g * 64);
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
    l.shared = Operands<N, kChainsDepth, P>::kBytes;
    launch(d, l, chains_kernel<N, P>, p, static_cast<int>(across));
  } else {
    l.shared = Operands<N, kUnitsDepth, P>::kBytes;
    launch(d, l, units_kernel<N, P>, p, static_cast<int>(across));
  }
}
template <class P>
void solve(Device d, const P& p) {
  if (p.m == 0 || p.n == 0) return;
  p.n % 128 == 0 ? solve_with<128>(d, p) : solve_with<64>(d, p);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units
