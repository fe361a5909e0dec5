#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/optim.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<AdamArgs> adam("adam");

void register_optim(std::vector<SlotBase*>& slots) {
  add_simd_optim();
  add_ref_optim();
  slots.push_back(&adam);
}

}  // namespace tapedeck::kernels
