// Products on the matrix units for bf16 and f16 with sums in f32 (and in threads for f32: chains.h): y[m, n] = sum over
// k of a(m, k) * b(k, n), in tiles that are copied in the background, two steps of k ahead. A problem says where the
// factors lie, 16 aligned bytes of neighbours at a time, and what becomes of the sums.
//
// A problem P has
//   T                  BFloat16, Float16 or float
//   m, n, k            int; n and k (of Turned ones n and m) are multiples of eight
//   Line line(m)       what is known of a row, whatever k
//   a(line, k)         where its factors k … k + 7 (float: k + 3) lie; nullptr: they are zeros
//   b(k, n)            where the factors n … n + 7 (n + 3) of row k lie; nullptr: zeros
//   Columns columns(n) what is known of eight columns, whatever m
//   More more(m, n)    what else is read for the sums of (m, n) … (m, n + 7)
//   kAhead             rows (1 or 2) for which a thread reads that at a time
//   put(m, n, columns, more, sums)
// Its factors a may lie the other way, neighbours along m (Turned); then there are no lines, the sums are cut into parts
// (part: blockIdx.y), and it has
//   a(k, m)            where the factors m … m + 7 (m + 3) of row k lie
//   length             terms of a part, a multiple of kDepth
//   put_row(m, sum)    the sum of a(m, k) over k, when `wants_rows`
#pragma once
#include <tapedeck/kernels/cuda/plan.h>
#include <tapedeck/kernels/cuda/tensor_core.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units {

using namespace cores;

inline constexpr int kThreads = 256, kRows = 128, kDepth = 32, kStages = 3;
inline constexpr int kWarpsDown = 4, kWarpsAcross = 2;  // warps of a block: where their sums lie

// A tile's operands for kDepth terms: rows of a, then rows of b; eight rows in a row lie in different banks.
template <int N>
struct Stage {
  static constexpr int kA = kDepth + 8, kTurnedA = kRows + 8, kB = N + 8, kNumbers = kRows * kA + kDepth * kB;
  static constexpr int kBytes = kStages * kNumbers * 2;  // of all stages
  static constexpr int kOut = N / kWarpsAcross + 4;      // rows of a warp's sums, on their way out
  static_assert(kThreads / kWarp * 16 * kOut * 4 <= kBytes);
};

template <class P>
inline constexpr bool kTurned = requires { typename P::Turned; };

template <int N, class P>
__global__ void __launch_bounds__(kThreads, 2) units_kernel(P p, int tiles_across) {
  using T = typename P::T;
  using S = Stage<N>;
  constexpr int kDown = kRows / kWarpsDown / 16, kAcross = N / kWarpsAcross / 8;  // fragments of a warp
  constexpr int kFetchA = kRows * kDepth / 8 / kThreads, kFetchB = N * kDepth / 8 / kThreads;
  T* const room = dynamic_shared<T>();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  const int m0 = static_cast<int>(blockIdx.x) / tiles_across * kRows, n0 = static_cast<int>(blockIdx.x) % tiles_across * N;
  const int own_m = warp / kWarpsAcross * (kRows / kWarpsDown), own_n = warp % kWarpsAcross * (N / kWarpsAcross);

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
    T* const a = room + step % kStages * S::kNumbers;
    T* const b = a + kRows * S::kA;
    const int k0 = k_begin + step * kDepth;
#pragma unroll
    for (int j = 0; j < kFetchA; ++j)
      if constexpr (kTurned<P>) {
        const int at = thread + j * kThreads, row = at / (kRows / 8), column = at % (kRows / 8) * 8;
        const T* const from = k0 + row < k_end && m0 + column < p.m ? p.a(k0 + row, m0 + column) : nullptr;
        copy_16(spot(a + row * S::kTurnedA + column), from, from != nullptr);
      } else {
        const int k = k0 + thread % 4 * 8;
        const T* const from = k < k_end ? p.a(lines[j], k) : nullptr;
        copy_16(spot(a + (thread / 4 + j * (kThreads / 4)) * S::kA + thread % 4 * 8), from, from != nullptr);
      }
#pragma unroll
    for (int j = 0; j < kFetchB; ++j) {
      const int at = thread + j * kThreads, row = at / (N / 8), column = at % (N / 8) * 8;
      const T* const from = k0 + row < k_end && n0 + column < p.n ? p.b(k0 + row, n0 + column) : nullptr;
      copy_16(spot(b + row * S::kB + column), from, from != nullptr);
    }
  };

  float sums[kDown][kAcross][4], of_rows[kDown][4] = {};
#pragma unroll
  for (int i = 0; i < kDown; ++i)
#pragma unroll
    for (int j = 0; j < kAcross; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][j][e] = 0;
  const int steps = (k_end - k_begin + kDepth - 1) / kDepth;
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
    const T* const a = room + s % kStages * S::kNumbers;
    const Spot left = kTurned<P> ? spot(a + (lane / 16 * 8 + lane % 8) * S::kTurnedA + own_m + lane / 8 % 2 * 8)
                                 : spot(a + (own_m + lane % 16) * S::kA + lane / 16 * 8);
    const Spot right = spot(a + kRows * S::kA + lane % 16 * S::kB + own_n + lane / 16 * 8);
#pragma unroll
    for (int k = 0; k < kDepth; k += 16) {
      unsigned by[kDown][4];
#pragma unroll
      for (int i = 0; i < kDown; ++i)
        load_matrices<kTurned<P>>(
            by[i], left + static_cast<Spot>((kTurned<P> ? k * S::kTurnedA + i * 16 : i * 16 * S::kA + k) * sizeof(T)));
      if constexpr (kTurned<P>)
        if (p.wants_rows && n0 + own_n == 0) {  // times ones
          const unsigned one = pair<T>(1, 1);
#pragma unroll
          for (int i = 0; i < kDown; ++i) multiply<T>(of_rows[i], by[i], one, one);
        }
#pragma unroll
      for (int j = 0; j < kAcross; j += 2) {
        unsigned b[4];
        load_matrices<true>(b, right + static_cast<Spot>((k * S::kB + j * 8) * sizeof(T)));
#pragma unroll
        for (int i = 0; i < kDown; ++i) {
          multiply<T>(sums[i][j], by[i], b[0], b[1]);
          multiply<T>(sums[i][j + 1], by[i], b[2], b[3]);
        }
      }
    }
  }

  if constexpr (kTurned<P>)
    if (p.wants_rows && n0 + own_n == 0 && lane % 4 == 0)
      for (int i = 0; i < kDown; ++i)
        for (int half = 0; half < 2; ++half) {
          const int m = m0 + own_m + i * 16 + half * 8 + lane / 4;
          if (m < p.m) p.put_row(m, of_rows[i][half * 2]);
        }
  // Each warp's sums pass through shared memory, 16 rows at a time, so that a thread has eight neighbours of a row.
  wait_copies<0>();
  __syncthreads();
  constexpr int kEights = N / kWarpsAcross / 8, kAtOnce = kWarp / kEights, kPasses = 16 / kAtOnce;
  float* const mine = reinterpret_cast<float*>(room) + warp * 16 * S::kOut;
  const int n = n0 + own_n + lane % kEights * 8;
  const bool inside = n < p.n;
  const typename P::Columns columns = p.columns(inside ? n : 0);
#pragma unroll
  for (int i = 0; i < kDown; ++i) {
    __syncwarp();
#pragma unroll
    for (int j = 0; j < kAcross; ++j)
#pragma unroll
      for (int e = 0; e < 4; e += 2)
        *reinterpret_cast<Pack<float, 2>*>(mine + (lane / 4 + e / 2 * 8) * S::kOut + j * 8 + lane % 4 * 2) = {
            sums[i][j][e], sums[i][j][e + 1]};
    __syncwarp();
    const int first = lane / kEights;
#pragma unroll
    for (int r0 = 0; r0 < kPasses; r0 += P::kAhead) {
      typename P::More more[P::kAhead];
#pragma unroll
      for (int u = 0; u < P::kAhead; ++u) {
        const int m = m0 + own_m + i * 16 + first + (r0 + u) * kAtOnce;
        if (inside && m < p.m) more[u] = p.more(m, n);
      }
#pragma unroll
      for (int u = 0; u < P::kAhead; ++u) {
        const int r = first + (r0 + u) * kAtOnce, m = m0 + own_m + i * 16 + r;
        if (!inside || m >= p.m) continue;
        const Pack<float, 4>* const from =
            reinterpret_cast<const Pack<float, 4>*>(mine + r * S::kOut + lane % kEights * 8);
        const Pack<float, 4> low = from[0], high = from[1];
        float out[8];
#pragma unroll
        for (int e = 0; e < 4; ++e) out[e] = low.v[e], out[4 + e] = high.v[e];
        p.put(m, n, columns, more[u], out);
      }
    }
  }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units
