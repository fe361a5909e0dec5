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
// Its factors a may lie the other way, neighbours along m (Turned); then there are no lines, the sums are cut into
// parts (part: blockIdx.y), and it has
//   a(k, m)            where the factors m … m + 7 (m + 3) of row k lie
//   length             terms of a part, a multiple of 32
//   put_row(m, sum)    the sum of a(m, k) over k, when `wants_rows`
#pragma once
#include <tapedeck/kernels/cuda/plan.h>
#include <tapedeck/kernels/cuda/tensor_core.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units {

using namespace cores;

inline constexpr int kThreads = 256, kRows = 128, kStages = 3;
template <class P>
inline constexpr bool kTurned = requires {
  typename P::Turned;
};

// What a block multiplies: kRows rows of a and N columns of b, Depth terms at a time. Eight rows in a row of a stage
// lie in different banks.
template <int N, int Depth, class P>
struct Operands {
  using T = typename P::T;
  static constexpr int kEach = 16 / sizeof(T);  // neighbours that are copied together
  static constexpr int kA = kTurned<P> ? kRows + kEach : Depth + kEach, kB = N + kEach;
  static constexpr int kNumbersA = kTurned<P> ? Depth * kA : kRows * kA, kNumbers = kNumbersA + Depth * kB;
  static constexpr int kBytes = kStages * kNumbers * static_cast<int>(sizeof(T));
  static constexpr int kFetchA = kRows * Depth / kEach / kThreads, kFetchB = N * Depth / kEach / kThreads;
  static_assert(Depth == 4 * kEach);  // four threads to a row of a

  const P& p;
  T* const room;
  const int thread, m0, n0;
  int k_begin = 0, k_end;
  typename P::Line lines[kFetchA];

  __device__ Operands(const P& problem, int tiles_across)
      : p(problem),
        room(dynamic_shared<T>()),
        thread(static_cast<int>(threadIdx.x)),
        m0(static_cast<int>(blockIdx.x) / tiles_across * kRows),
        n0(static_cast<int>(blockIdx.x) % tiles_across * N),
        k_end(p.k) {
    if constexpr (kTurned<P>) {
      k_begin = static_cast<int>(blockIdx.y) * p.length;
      if (k_end - k_begin > p.length) k_end = k_begin + p.length;
    } else {
#pragma unroll
      for (int j = 0; j < kFetchA; ++j) {
        const int m = m0 + thread / 4 + j * (kThreads / 4);
        lines[j] = p.line(m < p.m ? m : p.m - 1);
      }
    }
  }
  __device__ int steps() const { return (k_end - k_begin + Depth - 1) / Depth; }
  __device__ const T* a(int step) const { return room + step % kStages * kNumbers; }
  __device__ const T* b(int step) const { return a(step) + kNumbersA; }

  // Asks for the operands of a step, if there is one.
  __device__ void fetch(int step) const {
    if (step < steps()) {
      T *const to_a = room + step % kStages * kNumbers, *const to_b = to_a + kNumbersA;
      const int k0 = k_begin + step * Depth;
#pragma unroll
      for (int j = 0; j < kFetchA; ++j)
        if constexpr (kTurned<P>) {
          const int at = thread + j * kThreads, row = at / (kRows / kEach), column = at % (kRows / kEach) * kEach;
          const T* const from = k0 + row < k_end && m0 + column < p.m ? p.a(k0 + row, m0 + column) : nullptr;
          copy_16(spot(to_a + row * kA + column), from, from != nullptr);
        } else {
          const int k = k0 + thread % 4 * kEach;
          const T* const from = k < k_end ? p.a(lines[j], k) : nullptr;
          copy_16(spot(to_a + (thread / 4 + j * (kThreads / 4)) * kA + thread % 4 * kEach), from, from != nullptr);
        }
#pragma unroll
      for (int j = 0; j < kFetchB; ++j) {
        const int at = thread + j * kThreads, row = at / (N / kEach), column = at % (N / kEach) * kEach;
        const T* const from = k0 + row < k_end && n0 + column < p.n ? p.b(k0 + row, n0 + column) : nullptr;
        copy_16(spot(to_b + row * kB + column), from, from != nullptr);
      }
    }
    close_copies();
  }
  __device__ void start() const {
#pragma unroll
    for (int s = 0; s < kStages - 1; ++s) fetch(s);
  }
  // Until the operands of a step are there; nobody reads those of the last one any more, whose place the next ones
  // take.
  __device__ void await(int step) const {
    wait_copies<kStages - 2>();
    __syncthreads();
    fetch(step + kStages - 1);
  }
};

// ---- bf16 and f16 ---------------------------------------------------------------------------------------------------
inline constexpr int kUnitsDepth = 32, kWarpsDown = 4, kWarpsAcross = 2;  // warps of a block: where their sums lie

template <int N, class P>
__global__ void __launch_bounds__(kThreads, 2) units_kernel(P p, int tiles_across) {
  using T = typename P::T;
  using O = Operands<N, kUnitsDepth, P>;
  constexpr int kDown = kRows / kWarpsDown / 16, kAcross = N / kWarpsAcross / 8;  // fragments of a warp
  constexpr int kOut = N / kWarpsAcross + 8;                                      // a row of its sums, on their way out
  static_assert(kThreads / kWarp * 16 * kOut * 4 <= O::kBytes);
  O from(p, tiles_across);
  const int lane = from.thread % kWarp, warp = from.thread / kWarp, m0 = from.m0, n0 = from.n0;
  const int own_m = warp / kWarpsAcross * (kRows / kWarpsDown), own_n = warp % kWarpsAcross * (N / kWarpsAcross);

  float sums[kDown][kAcross][4] = {}, of_rows[kDown][4] = {};
  const int steps = from.steps();
  from.start();
  for (int s = 0; s < steps; ++s) {
    from.await(s);
    const T *const a = from.a(s), *const b = from.b(s);
    const Spot left = kTurned<P> ? spot(a + (lane / 16 * 8 + lane % 8) * O::kA + own_m + lane / 8 % 2 * 8)
                                 : spot(a + (own_m + lane % 16) * O::kA + lane / 16 * 8);
    const Spot right = spot(b + lane % 16 * O::kB + own_n + lane / 16 * 8);
#pragma unroll
    for (int k = 0; k < kUnitsDepth; k += 16) {
      unsigned by[kDown][4];
#pragma unroll
      for (int i = 0; i < kDown; ++i)
        load_matrices<kTurned<P>>(
            by[i], left + static_cast<Spot>((kTurned<P> ? k * O::kA + i * 16 : i * 16 * O::kA + k) * sizeof(T)));
      if constexpr (kTurned<P>)
        if (p.wants_rows && n0 + own_n == 0) {  // times ones
          const unsigned one = pair<T>(1, 1);
#pragma unroll
          for (int i = 0; i < kDown; ++i) multiply<T>(of_rows[i], by[i], one, one);
        }
#pragma unroll
      for (int j = 0; j < kAcross; j += 2) {
        unsigned pair_of_b[4];
        load_matrices<true>(pair_of_b, right + static_cast<Spot>((k * O::kB + j * 8) * sizeof(T)));
#pragma unroll
        for (int i = 0; i < kDown; ++i) {
          multiply<T>(sums[i][j], by[i], pair_of_b[0], pair_of_b[1]);
          multiply<T>(sums[i][j + 1], by[i], pair_of_b[2], pair_of_b[3]);
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
  float* const mine = reinterpret_cast<float*>(from.room) + warp * 16 * kOut;
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
        *reinterpret_cast<Pack<float, 2>*>(mine + (lane / 4 + e / 2 * 8) * kOut + j * 8 + lane % 4 * 2) = {
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
        const Pack<float, 4>* const at = reinterpret_cast<const Pack<float, 4>*>(mine + r * kOut + lane % kEights * 8);
        const Pack<float, 4> low = at[0], high = at[1];
        float out[8];
#pragma unroll
        for (int e = 0; e < 4; ++e) out[e] = low.v[e], out[4 + e] = high.v[e];
        p.put(m, n, columns, more[u], out);
      }
    }
  }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units
