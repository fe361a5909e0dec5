#include <tapedeck/kernels/precision.h>

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace tapedeck::kernels {
namespace {

std::atomic<Precision>& chosen() {
  static std::atomic<Precision> p{[] {
    const char* text = std::getenv("TAPEDECK_TF32");
    return text && std::string_view(text) == "1" ? Precision::tf32 : Precision::f32;
  }()};
  return p;
}

}  // namespace

void set_matmul_precision(Precision p) { chosen() = p; }
Precision matmul_precision() { return chosen(); }

}  // namespace tapedeck::kernels
