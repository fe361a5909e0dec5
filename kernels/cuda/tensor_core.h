// Instructions of the matrix units (sm_80 and later) and what feeds them, one function each: products of fragments,
// fragments from shared memory, copies from device to shared memory that go on in the background. Fragments lie in the
// lanes of a warp as the PTX ISA says: with g = lane / 4 and t = lane % 4,
//   a  [16][16]  a[i]: the numbers 2 t and 2 t + 1 (from 8 on where i is 2 or 3) of row g (g + 8 where i is odd)
//   b  [16][8]   b[i]: the numbers of the rows 2 t + 8 i and 2 t + 8 i + 1 in column g
//   c  [16][8]   c[i]: the sum in row g (g + 8 where i is 2 or 3) and column 2 t + i % 2
// Every lane of the warp calls them.
#pragma once
#include <tapedeck/kernels/cuda/number.h>
#ifdef TAPEDECK_EMULATED
#include <emulated_copies.h>
#endif

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::cores {

// A place in shared memory, counted in bytes.
#ifdef TAPEDECK_EMULATED
using Spot = std::uintptr_t;
#else
using Spot = unsigned;
#endif
__device__ inline Spot spot(const void* shared) {
#ifdef TAPEDECK_EMULATED
  return reinterpret_cast<Spot>(shared);
#else
  return static_cast<Spot>(__cvta_generic_to_shared(shared));
#endif
}

// v itself, but what follows from it is computed where it is used, not kept in registers over a loop.
__device__ inline int afresh(int v) {
#ifndef TAPEDECK_EMULATED
  asm volatile("" : "+r"(v));
#endif
  return v;
}
__device__ inline std::int64_t afresh(std::int64_t v) {
#ifndef TAPEDECK_EMULATED
  asm volatile("" : "+l"(v));
#endif
  return v;
}

// Two numbers side by side, the first in the low half.
template <class T>
__device__ inline unsigned pair(float first, float second) {
#ifdef TAPEDECK_EMULATED
  return from_float<T>(first).bits | static_cast<unsigned>(from_float<T>(second).bits) << 16;
#else
  unsigned both;
  if constexpr (std::is_same_v<T, BFloat16>)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
#endif
}

// 2^x within 2 units in the last place; results below the normal numbers are 0.
__device__ inline float power_of_two(float x) {
#ifdef TAPEDECK_EMULATED
  const float y = std::exp2(x);
  return y < 0x1p-126f ? 0 : y;
#else
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
#endif
}

// c += the product of a and b.
template <class T>
__device__ inline void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#ifdef TAPEDECK_EMULATED
  const auto number = [](unsigned pair, unsigned half) {
    return to_float(T{static_cast<std::uint16_t>(half ? pair >> 16 : pair & 0xffffu)});
  };
  const unsigned lane = emulation::lane(), g = lane / 4, t = lane % 4, b[2] = {b0, b1};
  float left[2][16], right[2][16];
  emulation::put(a, sizeof a);
  emulation::wait_warp();
  for (unsigned u = 0; u < 4; ++u) {
    unsigned theirs[4];
    emulation::get(4 * g + u, theirs, sizeof theirs);
    for (unsigned i = 0; i < 4; ++i)
      for (unsigned half = 0; half < 2; ++half) left[i % 2][i / 2 * 8 + 2 * u + half] = number(theirs[i], half);
  }
  emulation::wait_warp();
  emulation::put(b, sizeof b);
  emulation::wait_warp();
  for (unsigned j = 0; j < 2; ++j)
    for (unsigned u = 0; u < 4; ++u) {
      unsigned theirs[2];
      emulation::get(4 * (2 * t + j) + u, theirs, sizeof theirs);
      for (unsigned i = 0; i < 2; ++i)
        for (unsigned half = 0; half < 2; ++half) right[j][i * 8 + 2 * u + half] = number(theirs[i], half);
    }
  emulation::wait_warp();
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned k = 0; k < 16; ++k) c[i] += left[i / 2][k] * right[i % 2][k];
#else
  if constexpr (std::is_same_v<T, BFloat16>)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Four matrices of 8 x 8: lane l says where row l % 8 of matrix l / 8 starts, a multiple of 16 bytes. v[i] has of
// matrix i the numbers 2 t and 2 t + 1 of row g; Turned: those of column g.
template <bool Turned>
__device__ inline void load_matrices(unsigned (&v)[4], Spot row) {
#ifdef TAPEDECK_EMULATED
  emulation::check_aligned(row, 16);
  emulation::put(&row, sizeof row);
  emulation::wait_warp();
  const unsigned lane = emulation::lane(), g = lane / 4, t = lane % 4;
  for (unsigned i = 0; i < 4; ++i) {
    v[i] = 0;
    for (unsigned half = 0; half < 2; ++half) {
      Spot from = 0;
      emulation::get(8 * i + (Turned ? 2 * t + half : g), &from, sizeof from);
      v[i] |= static_cast<unsigned>(reinterpret_cast<const std::uint16_t*>(from)[Turned ? g : 2 * t + half])
              << 16 * half;
    }
  }
  emulation::wait_warp();
#else
  if constexpr (Turned)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                 : "r"(row)
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
                 : "r"(row)
                 : "memory");
#endif
}

// Asks for a copy of 16 bytes, aligned on both sides; zeros instead where there is nothing to copy (`from` is not read
// then). What a thread asks for between two calls of close_copies() is a group. wait_copies(n): until at most the n
// youngest groups of this thread are under way; other threads see them after a barrier.
__device__ inline void copy_16(Spot to, const void* from, bool there) {
#ifdef TAPEDECK_EMULATED
  emulation::check_aligned(to, 16), emulation::check_aligned(reinterpret_cast<std::uintptr_t>(from), 16);
  emulation::copy_later(reinterpret_cast<void*>(to), there ? from : nullptr, 16);
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
               "r"(there ? 16 : 0)
               : "memory");
#endif
}
// The same of 8 bytes, by the way of the block's own cache.
__device__ inline void copy_8(Spot to, const void* from, bool there) {
#ifdef TAPEDECK_EMULATED
  emulation::check_aligned(to, 8), emulation::check_aligned(reinterpret_cast<std::uintptr_t>(from), 8);
  emulation::copy_later(reinterpret_cast<void*>(to), there ? from : nullptr, 8);
#else
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
               "r"(there ? 8 : 0)
               : "memory");
#endif
}
__device__ inline void close_copies() {
#ifdef TAPEDECK_EMULATED
  emulation::close_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int Groups>
__device__ inline void wait_copies() {
#ifdef TAPEDECK_EMULATED
  emulation::wait_copies(Groups);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
#endif
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::cores
