// Drawing a class from logits in shared memory, by one warp: that of the block's first 32 threads.
#pragma once
#include <tapedeck/kernels/cuda/reduce.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

__device__ inline int likeliest(const float* z, int classes) {
  const int lane = static_cast<int>(threadIdx.x);
  int best = 0;
  float most = z[0];
  for (int j = lane; j < classes; j += kWarp)
    if (z[j] > most) most = z[j], best = j;
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, most, step);
    const int index = __shfl_xor_sync(kAllLanes, best, step);
    if (other > most || (other == most && index < best)) most = other, best = index;
  }
  return best;
}
__device__ inline float over(float v, float temperature) { return temperature == 1 ? v : v / temperature; }
// sample_categorical: lanes have runs of classes. z is overwritten.
__device__ inline int draw(float* z, int classes, float u, float temperature) {
  if (temperature == 0) return likeliest(z, classes);
  const int lane = static_cast<int>(threadIdx.x), run = (classes + kWarp - 1) / kWarp;
  const int begin = lane * run < classes ? lane * run : classes;
  const int end = begin + run < classes ? begin + run : classes;
  float most = z[0];
  for (int j = lane; j < classes; j += kWarp) most = Most()(z[j], most);
  most = warp_fold(most, Most());
  constexpr int kInRegisters = 8;
  const bool few = run <= kInRegisters;
  float each[kInRegisters] = {};
  double sum = 0;  // of the lane's classes
  unsigned positive = 0;
  if (few) {
#pragma unroll
    for (int m = 0; m < kInRegisters; ++m) {
      each[m] = begin + m < end ? ::expf(over(z[begin + m] - most, temperature)) : 0.0f;
      sum += static_cast<double>(each[m]);
      positive |= each[m] > 0 ? 1u << m : 0u;
    }
  } else {
    __syncwarp();  // all have read z
    for (int j = begin; j < end; ++j) {
      z[j] = ::expf(over(z[j] - most, temperature));
      sum += static_cast<double>(z[j]);
    }
  }
  double before = sum;  // of all lanes so far: first with this one, then without
  for (int step = 1; step < kWarp; step *= 2) {
    const double other = __shfl_up_sync(kAllLanes, before, static_cast<unsigned>(step));
    if (lane >= step) before += other;
  }
  const double bound = static_cast<double>(u) * __shfl_sync(kAllLanes, before, kWarp - 1);
  before = __shfl_up_sync(kAllLanes, before, 1u);
  if (lane == 0) before = 0;
  int found = -1, last = -1;
  if (few) {
    double upto = 0;  // once more: kept they would take twice the registers
#pragma unroll
    for (int m = 0; m < kInRegisters; ++m) {
      upto += static_cast<double>(each[m]);
      if (found < 0 && begin + m < end && before + upto > bound) found = begin + m;
    }
    if (positive != 0) last = begin + kWarp - 1 - __clz(static_cast<int>(positive));
  } else {
    for (int j = begin; j < end && found < 0; ++j) {
      before += static_cast<double>(z[j]);
      if (z[j] > 0) last = j;
      if (before > bound) found = j;
    }
  }
  const unsigned have = __ballot_sync(kAllLanes, found >= 0);
  const unsigned some = __ballot_sync(kAllLanes, last >= 0);
  if (have != 0) return __shfl_sync(kAllLanes, found, __ffs(static_cast<int>(have)) - 1);
  if (some != 0) return __shfl_sync(kAllLanes, last, kWarp - 1 - __clz(static_cast<int>(some)));
  return 0;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
