// Short lines of records, sorted in registers: W warps have a line, a thread E neighbours of its order. Bitonic merges
// (Batcher 1968) whose first step meets the other half from its end, so that the smaller one always goes to the left:
// inside a thread by itself, inside a warp by shuffles, between warps through shared memory.
#pragma once
#include <tapedeck/kernels/cuda/reduce.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kSortRowThreads = 128;  // of a block whose warps have a line each

__device__ inline void order(std::uint64_t& a, std::uint64_t& b) {
  const std::uint64_t x = a, y = b;
  const bool swap = y < x;
  a = swap ? y : x, b = swap ? x : y;
}
// Of two records the one that stays at this end.
__device__ inline std::uint64_t kept(std::uint64_t mine, std::uint64_t other, bool left) {
  return (other < mine) == left ? other : mine;
}

template <int E>
__device__ inline void sort_thread(std::uint64_t (&r)[E]) {
#pragma unroll
  for (int size = 2; size <= E; size *= 2) {
#pragma unroll
    for (int i = 0; i < E; ++i) {
      const int other = i ^ (size - 1);
      if (i < other) order(r[i], r[other]);
    }
#pragma unroll
    for (int step = size / 4; step > 0; step /= 2)
#pragma unroll
      for (int i = 0; i < E; ++i)
        if ((i & step) == 0) order(r[i], r[i + step]);
  }
}

// The records of thread t of the line's 32 W, sorted over the first `threads` of them (a power of two). `room`: shared
// memory of 32 E W records where W > 1. Every thread of the line must call it.
template <int E, int W>
__device__ inline void sort_line(std::uint64_t (&r)[E], int t, int threads, std::uint64_t* room) {
  constexpr int kThreads = kWarp * W;
  sort_thread(r);
#pragma unroll 1
  for (int span = 2; span <= threads; span *= 2) {
#pragma unroll 1
    for (int step = span / 2; step > 0; step /= 2) {
      const bool first = step == span / 2, left = (t & step) == 0;
      const int apart = first ? span - 1 : step;  // from this thread to the other, as bits
      if (W > 1 && step >= kWarp) {
        __syncthreads();  // what was read there before has been read
#pragma unroll
        for (int i = 0; i < E; ++i) room[i * kThreads + t] = r[i];
        __syncthreads();
        const std::uint64_t* const other = room + (t ^ apart);
#pragma unroll
        for (int i = 0; i < E; ++i) r[i] = kept(r[i], other[(first ? E - 1 - i : i) * kThreads], left);
      } else if (first) {
#pragma unroll
        for (int i = 0; i < E / 2; ++i) {
          const std::uint64_t a = shuffle_xor(r[E - 1 - i], apart), b = shuffle_xor(r[i], apart);
          r[i] = kept(r[i], a, left), r[E - 1 - i] = kept(r[E - 1 - i], b, left);
        }
      } else {
#pragma unroll
        for (int i = 0; i < E; ++i) r[i] = kept(r[i], shuffle_xor(r[i], apart), left);
      }
    }
#pragma unroll
    for (int step = E / 2; step > 0; step /= 2)
#pragma unroll
      for (int i = 0; i < E; ++i)
        if ((i & step) == 0) order(r[i], r[i + step]);
  }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
