#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

constinit KernelSlot<MatmulArgs> matmul("matmul");
constinit KernelSlot<GemvPackedArgs> gemv_packed("gemv_packed");

// simd takes all of f32; f64 is for checks, where the plain definition comes before speed: ref stands before eigen.
void register_matmul(std::vector<SlotBase*>& slots) {
  matmul.add(DeviceType::cpu, "simd", simd_matmul, f32_only);
  matmul.add(DeviceType::cpu, "ref", ref_matmul, f32_or_f64);
  matmul.add(DeviceType::cpu, "eigen", eigen_matmul, f32_or_f64);
  slots.push_back(&matmul);
  gemv_packed.add(DeviceType::cpu, "simd", simd_gemv_packed);
  gemv_packed.add(DeviceType::cpu, "ref", ref_gemv_packed);
  slots.push_back(&gemv_packed);
}

}  // namespace tapedeck::kernels
