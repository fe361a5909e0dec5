// What a file that includes Highway includes first: limits the targets to the two of which use_avx512() picks one.
#pragma once
#include <tapedeck/kernels/isa.h>

#ifdef __x86_64__
#define HWY_BASELINE_TARGETS HWY_AVX2
#define HWY_DISABLED_TARGETS (~(HWY_AVX2 | HWY_AVX3))
#else  // other processors have one target (on ARM: NEON), which both names mean
#define HWY_COMPILE_ONLY_STATIC
#define N_AVX2 HWY_NAMESPACE
#define N_AVX3 HWY_NAMESPACE
#endif

namespace tapedeck::kernels {

inline bool use_avx512() { return isa() == Isa::avx512; }

}  // namespace tapedeck::kernels
