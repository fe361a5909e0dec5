#include <tapedeck/kernels/attention.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<AttentionArgs> attention("attention");
KernelSlot<AttentionGradArgs> attention_backward("attention_backward");

void register_attention(std::vector<SlotBase*>& slots) {
  add_simd_attention();
  add_ref_attention();
  slots.insert(slots.end(), {&attention, &attention_backward});
}

}  // namespace tapedeck::kernels
