#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

constinit KernelSlot<Conv1dArgs> conv1d("conv1d");
constinit KernelSlot<Conv1dInputGradArgs> conv1d_input_grad("conv1d_input_grad");
constinit KernelSlot<Conv1dWeightGradArgs> conv1d_weight_grad("conv1d_weight_grad");
constinit KernelSlot<ConvArgs> conv("conv");
constinit KernelSlot<ConvInputGradArgs> conv_input_grad("conv_input_grad");
constinit KernelSlot<ConvWeightGradArgs> conv_weight_grad("conv_weight_grad");

// The order of register_matmul: simd, ref, eigen.
void register_conv(std::vector<SlotBase*>& slots) {
  const auto add = [&](auto& slot, auto simd, auto ref, auto eigen) {
    slot.add(DeviceType::cpu, "simd", simd, f32_only);
    slot.add(DeviceType::cpu, "ref", ref, f32_or_f64);
    slot.add(DeviceType::cpu, "eigen", eigen, f32_or_f64);
    slots.push_back(&slot);
  };
  add(conv1d, simd_conv1d, ref_conv1d, eigen_conv1d);
  add(conv1d_input_grad, simd_conv1d_input_grad, ref_conv1d_input_grad, eigen_conv1d_input_grad);
  add(conv1d_weight_grad, simd_conv1d_weight_grad, ref_conv1d_weight_grad, eigen_conv1d_weight_grad);
  add(conv, simd_conv, ref_conv, eigen_conv);
  add(conv_input_grad, simd_conv_input_grad, ref_conv_input_grad, eigen_conv_input_grad);
  add(conv_weight_grad, simd_conv_weight_grad, ref_conv_weight_grad, eigen_conv_weight_grad);
}

}  // namespace tapedeck::kernels
