// CUDA's kernel language on the CPU, as much of it as kernels/cuda uses: a block's threads are fibers that run in turns
// from one barrier or shuffle to the next, in an order that changes from launch to launch: forwards, backwards or
// shuffled, as are blocks. TAPEDECK_TEST_ORDER is `forward`, `backward` or a number that draws other orders. A barrier
// that not all threads reach is reported; races are under -fsanitize=thread (races.h). Device memory may be touched by
// kernels and copies alone (emulated_runtime.cpp).
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#include "races.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static  // one block runs at a time; cooperative kernels use dynamic shared memory alone
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0 };

namespace emulation {

struct Here {  // of the running thread
  uint3 thread, block;
};
extern const Here* here;
extern dim3 block_dim, grid_dim;

using Body = void (*)(const void*);
struct Together {  // blocks that run at the same time: none, all, all in clusters of so many
  bool all = false;
  unsigned cluster = 0;
};
void run_body(const unsigned (&grid)[3], const unsigned (&block)[3], std::size_t shared, Together together, Body body,
              const void* with);
template <class F>
void run(const unsigned (&grid)[3], const unsigned (&block)[3], std::size_t shared, Together together, const F& f) {
  run_body(
      grid, block, shared, together, [](const void* p) { (*static_cast<const F*>(p))(); }, &f);
}
void enqueue(int device, std::function<void()> work);  // in its compute queue (emulated_queues.cpp)
void* dynamic_shared();
void wait_block();
void wait_some(unsigned barrier, unsigned threads);  // bar.sync: a barrier of so many threads of the block
void wait_warp();                                    // for what lanes hand each other: orders no accesses
void sync_warp();
void wait_cluster();
bool any_of_block(bool vote);
void* shared_of(unsigned block, void* mine);  // what lies there in the other block's shared memory
unsigned lane();
void put(const void* value, std::size_t bytes);  // this lane's slot in its warp
void get(unsigned lane, void* value, std::size_t bytes);
unsigned lanes();  // threads of this warp

template <class T>
T from_lane(T v, unsigned source) {
  static_assert(sizeof(T) <= 16 && std::is_trivially_copyable_v<T>);
  put(&v, sizeof v);
  wait_warp();
  T out = v;
  if (source < lanes()) get(source, &out, sizeof out);
  wait_warp();
  return out;
}

}  // namespace emulation

#define threadIdx (::emulation::here->thread)
#define blockIdx (::emulation::here->block)
#define blockDim (::emulation::block_dim)
#define gridDim (::emulation::grid_dim)

inline void __syncthreads() { emulation::wait_block(); }
inline void __syncwarp(unsigned = 0xffffffffu) { emulation::sync_warp(); }
inline int __syncthreads_or(int vote) { return emulation::any_of_block(vote != 0); }
inline void __threadfence() { emulation::races::fence(false); }
inline void __threadfence_block() { emulation::races::fence(true); }
inline void __nanosleep(unsigned) { emulation::wait_warp(); }
template <class T>
T __shfl_sync(unsigned, T v, int source, int width = 32) {
  const unsigned lane = emulation::lane(), base = lane / unsigned(width) * unsigned(width);
  return emulation::from_lane(v, base + unsigned(source) % unsigned(width));
}
template <class T>
T __shfl_xor_sync(unsigned, T v, int bits, int = 32) {
  return emulation::from_lane(v, emulation::lane() ^ unsigned(bits));
}
template <class T>
T __shfl_up_sync(unsigned, T v, unsigned n, int width = 32) {
  const unsigned lane = emulation::lane();
  return emulation::from_lane(v, lane % unsigned(width) >= n ? lane - n : lane);
}
template <class T>
T __shfl_down_sync(unsigned, T v, unsigned n, int width = 32) {
  const unsigned lane = emulation::lane();
  return emulation::from_lane(v, lane % unsigned(width) + n < unsigned(width) ? lane + n : lane);
}
inline unsigned __ballot_sync(unsigned, int vote) {
  unsigned out = 0;
  emulation::put(&vote, sizeof vote);
  emulation::wait_warp();
  for (unsigned l = 0; l < emulation::lanes(); ++l) {
    int other = 0;
    emulation::get(l, &other, sizeof other);
    if (other) out |= 1u << l;
  }
  emulation::wait_warp();
  return out;
}
inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
inline int __all_sync(unsigned mask, int vote) { return __ballot_sync(mask, !vote) == 0; }
inline int __popc(unsigned v) { return __builtin_popcount(v); }
inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
inline int __clz(int v) { return v == 0 ? 32 : __builtin_clz(unsigned(v)); }
inline int __ffs(int v) { return __builtin_ffs(v); }
inline unsigned __float_as_uint(float v) {
  unsigned out;
  std::memcpy(&out, &v, sizeof out);
  return out;
}
inline float __uint_as_float(unsigned v) {
  float out;
  std::memcpy(&out, &v, sizeof out);
  return out;
}
inline int __float_as_int(float v) { return int(__float_as_uint(v)); }
inline float __int_as_float(int v) { return __uint_as_float(unsigned(v)); }
inline long long __double_as_longlong(double v) {
  long long out;
  std::memcpy(&out, &v, sizeof out);
  return out;
}
inline double __longlong_as_double(long long v) {
  double out;
  std::memcpy(&out, &v, sizeof out);
  return out;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(std::uint64_t{a} * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ typedef unsigned __int128 Wide;
  return static_cast<unsigned long long>(Wide(a) * b >> 64);
}
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline void sincospi(double x, double* s, double* c) {
  *s = std::sin(3.14159265358979323846 * x), *c = std::cos(3.14159265358979323846 * x);
}
inline void sincospif(float x, float* s, float* c) {
  double a, b;
  sincospi(double(x), &a, &b);
  *s = float(a), *c = float(b);
}

// Atomic accesses, which race with plain ones alone.
#ifdef TAPEDECK_RACES
#define TD_ATOMIC [[gnu::noipa, gnu::no_sanitize_thread]]
#else
#define TD_ATOMIC
#endif
namespace emulation {
template <class T>
TD_ATOMIC T strong_load(const T* p) {
  races::strong(p, sizeof *p, true, false, __builtin_return_address(0));
  return *p;
}
template <class T>
TD_ATOMIC void strong_store(T* p, std::type_identity_t<T> v) {
  races::strong(p, sizeof *p, false, true, __builtin_return_address(0));
  *p = v;
}
}  // namespace emulation
template <class T>
TD_ATOMIC T atomicAdd(T* p, std::type_identity_t<T> v) {
  static_assert(std::is_integral_v<T>, "sums of reals in the order of arrival have no fixed value");
  emulation::races::strong(p, sizeof *p, true, true, __builtin_return_address(0));
  const T before = *p;
  *p = T(before + v);
  return before;
}
template <class T>
TD_ATOMIC T atomicMax(T* p, std::type_identity_t<T> v) {
  emulation::races::strong(p, sizeof *p, true, true, __builtin_return_address(0));
  const T before = *p;
  if (v > before) *p = v;
  return before;
}
template <class T>
TD_ATOMIC T atomicMin(T* p, std::type_identity_t<T> v) {
  emulation::races::strong(p, sizeof *p, true, true, __builtin_return_address(0));
  const T before = *p;
  if (v < before) *p = v;
  return before;
}
template <class T>
TD_ATOMIC T atomicOr(T* p, std::type_identity_t<T> v) {
  emulation::races::strong(p, sizeof *p, true, true, __builtin_return_address(0));
  const T before = *p;
  *p |= v;
  return before;
}
template <class T>
TD_ATOMIC T atomicExch(T* p, std::type_identity_t<T> v) {
  emulation::races::strong(p, sizeof *p, true, true, __builtin_return_address(0));
  const T before = *p;
  *p = v;
  return before;
}
template <class T>
TD_ATOMIC T atomicCAS(T* p, std::type_identity_t<T> old, std::type_identity_t<T> v) {
  emulation::races::strong(p, sizeof *p, true, true, __builtin_return_address(0));
  const T before = *p;
  if (before == old) *p = v;
  return before;
}
