// Elements on the device: what is computed with (f32 for f32, bf16 and f16; f64; whole numbers), loads and stores, and
// vectors of elements that move in one instruction.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>
#ifndef TAPEDECK_EMULATED
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <cstring>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

template <class T>
inline constexpr bool kHalf = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;
template <class T>
inline constexpr bool kReal = std::is_floating_point_v<T> || kHalf<T>;

__device__ inline float to_float(BFloat16 v) {
#ifdef TAPEDECK_EMULATED
  return v.to_float();
#else
  return __uint_as_float(static_cast<unsigned>(v.bits) << 16);
#endif
}
__device__ inline float to_float(Float16 v) {
#ifdef TAPEDECK_EMULATED
  return v.to_float();
#else
  return __half2float(__ushort_as_half(v.bits));
#endif
}
template <class T>
__device__ inline T from_float(float v) {
#ifdef TAPEDECK_EMULATED
  return T::from(v);
#else
  if constexpr (std::is_same_v<T, BFloat16>)
    return {__bfloat16_as_ushort(__float2bfloat16_rn(v))};
  else
    return {__half_as_ushort(__float2half_rn(v))};
#endif
}

// Computed with: f32 and its short forms in float, f64 in double, integers in i64.
template <class T>
using Compute = std::conditional_t<kHalf<T> || std::is_same_v<T, float>, float,
                                   std::conditional_t<std::is_same_v<T, double>, double, std::int64_t>>;
template <class T>
__device__ inline Compute<T> load(T v) {
  if constexpr (kHalf<T>)
    return to_float(v);
  else
    return static_cast<Compute<T>>(v);
}
template <class T>
__device__ inline T store(Compute<T> v) {
  if constexpr (kHalf<T>)
    return from_float<T>(v);
  else
    return static_cast<T>(v);
}

// a b + c, rounded once.
__device__ inline float fused(float a, float b, float c) { return fmaf(a, b, c); }
__device__ inline double fused(double a, double b, double c) { return fma(a, b, c); }

// Calls f with an unsigned integer of the size of an element: for moves.
template <class F>
void with_size(DType t, F&& f) {
  switch (size_of(t)) {
    case 1:
      return f(std::uint8_t{});
    case 2:
      return f(std::uint16_t{});
    case 4:
      return f(std::uint32_t{});
    default:
      return f(std::uint64_t{});
  }
}

// V elements that lie together and are aligned as one.
template <class T, int V>
struct alignas(sizeof(T) * V) Pack {
  T v[V];
};
// Writes them to global memory in as few accesses as there are 16 bytes: the compiler takes plain assignments apart
// where the elements come from different branches.
template <class T, int V>
__device__ inline void put_pack(T* to, const Pack<T, V>& pack) {
#ifndef TAPEDECK_EMULATED
  if constexpr (sizeof pack % 8 == 0) {
    unsigned w[sizeof pack / 4];
    memcpy(w, &pack, sizeof pack);
    if constexpr (sizeof pack == 8)
      asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(to), "r"(w[0]), "r"(w[1]) : "memory");
    else
#pragma unroll
      for (int i = 0; i < static_cast<int>(sizeof pack / 4); i += 4)
        asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(reinterpret_cast<unsigned*>(to) + i), "r"(w[i]),
                     "r"(w[i + 1]), "r"(w[i + 2]), "r"(w[i + 3])
                     : "memory");
    return;
  }
#endif
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}
inline bool aligned(const void* p, std::size_t bytes) { return reinterpret_cast<std::uintptr_t>(p) % bytes == 0; }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
