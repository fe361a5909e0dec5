#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/distance.h>
#include <tapedeck/kernels/norm.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<GroupNormArgs> group_norm("group_norm");
KernelSlot<GroupNormGradArgs> group_norm_backward("group_norm_backward");
KernelSlot<GroupNormParamGradArgs> group_norm_param_grad("group_norm_param_grad");
KernelSlot<CdistArgs> cdist("cdist");
KernelSlot<CdistGradArgs> cdist_backward("cdist_backward");

void register_norm(std::vector<SlotBase*>& slots) {
  add_simd_norm();
  add_ref_norm();
  add_simd_distance();
  add_ref_distance();
  slots.insert(slots.end(), {&group_norm, &group_norm_backward, &group_norm_param_grad, &cdist, &cdist_backward});
}

}  // namespace tapedeck::kernels
