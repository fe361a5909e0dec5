// What a file that includes Highway includes first: limits the targets to the two of which use_avx512() picks one.
#pragma once
#include <tapedeck/kernels/isa.h>

#define HWY_BASELINE_TARGETS HWY_AVX2
#define HWY_DISABLED_TARGETS (~(HWY_AVX2 | HWY_AVX3))

namespace tapedeck::kernels {

inline bool use_avx512() { return isa() == Isa::avx512; }

}  // namespace tapedeck::kernels
