#include <tapedeck/kernels/isa.h>
#include <tapedeck/tensor/env.h>
#include <tapedeck/tensor/error.h>

#include <atomic>
#include <string>

namespace tapedeck::kernels {
namespace {

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> isa = best_isa();
  return isa;
}

}  // namespace

Isa best_isa() {  // AVX-512 here means F, BW, DQ and VL
#ifdef __x86_64__
  static const std::string wanted = env("TAPEDECK_ISA", "avx512");
  TD_CHECK(wanted == "avx2" || wanted == "avx512", ValueError, "TAPEDECK_ISA: expected avx2 or avx512, got '", wanted,
           "'");
  static const bool avx512 = wanted == "avx512" && __builtin_cpu_supports("avx512f") &&
                             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                             __builtin_cpu_supports("avx512vl");
  return avx512 ? Isa::avx512 : Isa::avx2;
#else
  return Isa::avx2;
#endif
}

Isa isa() { return chosen().load(std::memory_order_relaxed); }

void use_isa(Isa wanted) {
  TD_CHECK(wanted <= best_isa(), ValueError, "use_isa: this machine (or TAPEDECK_ISA) has no AVX-512");
  chosen().store(wanted, std::memory_order_relaxed);
}

}  // namespace tapedeck::kernels
