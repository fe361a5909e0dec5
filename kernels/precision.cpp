#include <tapedeck/kernels/precision.h>
#include <tapedeck/tensor/env.h>

#include <atomic>

namespace tapedeck::kernels {
namespace {

std::atomic<Precision>& chosen() {
  static std::atomic<Precision> p{[] { return env("TAPEDECK_TF32") == "1" ? Precision::tf32 : Precision::f32; }()};
  return p;
}

}  // namespace

void set_matmul_precision(Precision p) { chosen() = p; }
Precision matmul_precision() { return chosen(); }

}  // namespace tapedeck::kernels
