#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

constinit KernelSlot<Conv1dArgs> conv1d("conv1d");
constinit KernelSlot<Conv1dInputGradArgs> conv1d_input_grad("conv1d_input_grad");
constinit KernelSlot<Conv1dWeightGradArgs> conv1d_weight_grad("conv1d_weight_grad");

// The order of register_matmul: simd, ref, eigen.
void register_conv(std::vector<SlotBase*>& slots) {
  conv1d.add(DeviceType::cpu, "simd", simd_conv1d, f32_only);
  conv1d.add(DeviceType::cpu, "ref", ref_conv1d, f32_or_f64);
  conv1d.add(DeviceType::cpu, "eigen", eigen_conv1d, f32_or_f64);
  conv1d_input_grad.add(DeviceType::cpu, "simd", simd_conv1d_input_grad, f32_only);
  conv1d_input_grad.add(DeviceType::cpu, "ref", ref_conv1d_input_grad, f32_or_f64);
  conv1d_input_grad.add(DeviceType::cpu, "eigen", eigen_conv1d_input_grad, f32_or_f64);
  conv1d_weight_grad.add(DeviceType::cpu, "simd", simd_conv1d_weight_grad, f32_only);
  conv1d_weight_grad.add(DeviceType::cpu, "ref", ref_conv1d_weight_grad, f32_or_f64);
  conv1d_weight_grad.add(DeviceType::cpu, "eigen", eigen_conv1d_weight_grad, f32_or_f64);
  for (SlotBase* slot : std::initializer_list<SlotBase*>{&conv1d, &conv1d_input_grad, &conv1d_weight_grad})
    slots.push_back(slot);
}

}  // namespace tapedeck::kernels
