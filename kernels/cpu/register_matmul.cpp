#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

constinit KernelSlot<MatmulArgs> matmul("matmul");

void register_matmul(std::vector<SlotBase*>& slots) {
  matmul.add(DeviceType::cpu, "simd", simd_matmul, f32_only);
  matmul.add(DeviceType::cpu, "ref", ref_matmul, f32_or_f64);
  slots.push_back(&matmul);
}

}  // namespace tapedeck::kernels
