// Which vector instructions the SIMD kernels use. A file that includes Highway includes this first: it limits the
// targets to the two of which use_avx512() picks one.
#pragma once
#include <tapedeck/tensor/env.h>

#define HWY_BASELINE_TARGETS HWY_AVX2
#define HWY_DISABLED_TARGETS (~(HWY_AVX2 | HWY_AVX3))

namespace tapedeck::kernels {

// True when this machine has AVX-512 (F, BW, DQ, VL) and TAPEDECK_ISA=avx2 does not forbid it. Decided once.
inline bool use_avx512() {
  static const bool yes = env("TAPEDECK_ISA") != "avx2" && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl");
  return yes;
}

}  // namespace tapedeck::kernels
