// Sums and other folds over the threads of a warp or a block: fixed trees, so that a result depends on sizes alone.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>

#include <cstring>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// Lanes exchange a number, or any plain struct of whole words, which f moves.
template <class T, class F>
__device__ inline T exchange(T v, F f) {
  if constexpr (std::is_arithmetic_v<T>) {
    return f(v);
  } else {
    static_assert(sizeof(T) % 4 == 0 && std::is_trivially_copyable_v<T>);
    unsigned word[sizeof(T) / 4];
    memcpy(word, &v, sizeof v);
    for (unsigned& w : word) w = f(w);
    memcpy(&v, word, sizeof v);
    return v;
  }
}
template <class T>
__device__ inline T shuffle_xor(T v, int bits) {
  return exchange(v, [=](auto w) { return __shfl_xor_sync(kAllLanes, w, bits); });
}
template <class T>
__device__ inline T shuffle_up(T v, int lanes) {
  return exchange(v, [=](auto w) { return __shfl_up_sync(kAllLanes, w, static_cast<unsigned>(lanes)); });
}
template <class T>
__device__ inline T shuffle_from(T v, int lane) {
  return exchange(v, [=](auto w) { return __shfl_sync(kAllLanes, w, lane); });
}

// f(f(a, b), …) over the lanes of a warp; every lane has the result. All 32 lanes must call it.
template <class T, class F>
__device__ inline T warp_fold(T v, F f) {
  for (int step = kWarp / 2; step > 0; step /= 2) v = f(v, __shfl_xor_sync(kAllLanes, v, step));
  return v;
}
// The same over blockDim.x threads of one row (threadIdx.y), a multiple of the warp; `spare` is shared memory of 32
// elements for each row. Every thread of the block must call it; every thread of a row has the result.
template <class T, class F>
__device__ inline T row_fold(T v, F f, T* spare) {
  v = warp_fold(v, f);
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  if (warps == 1) return v;
  T* const mine = spare + threadIdx.y * kWarp;
  __syncthreads();  // what was read from `spare` before has been read
  if (threadIdx.x % kWarp == 0) mine[threadIdx.x / kWarp] = v;
  __syncthreads();
  v = mine[0];
  for (int w = 1; w < warps; ++w) v = f(v, mine[w]);
  return v;
}

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Most {  // NaN wins
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};
struct Least {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
