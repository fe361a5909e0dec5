#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

constinit KernelSlot<MatmulArgs> matmul("matmul"), matmul_relu("matmul_relu");
constinit KernelSlot<StepsArgs> steps("steps");

void composed_matmul_relu(const MatmulArgs& a) {
  matmul(a.y.device, a);
  relu(a.y.device, {a.y, a.y});
}

// simd takes all of f32; f64 is for checks, where the plain definition comes before speed: ref stands before eigen.
void register_matmul(std::vector<SlotBase*>& slots) {
  matmul.add(DeviceType::cpu, "simd", simd_matmul, f32_only);
  matmul.add(DeviceType::cpu, "ref", ref_matmul, f32_or_f64);
  matmul.add(DeviceType::cpu, "eigen", eigen_matmul, f32_or_f64);
  matmul_relu.add(DeviceType::cpu, "composed", composed_matmul_relu, f32_or_f64);
  slots.insert(slots.end(), {&matmul, &matmul_relu});
  steps.add(DeviceType::cpu, "simd", simd_steps);
  steps.add(DeviceType::cpu, "ref", ref_steps);
  slots.push_back(&steps);
}

}  // namespace tapedeck::kernels
