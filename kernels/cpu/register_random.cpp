#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<RandomArgs> uniform("uniform"), normal("normal"), bernoulli("bernoulli");
KernelSlot<DropoutArgs> dropout("dropout");

void register_random(std::vector<SlotBase*>& slots) {
  add_simd_random();
  add_ref_random();
  slots.insert(slots.end(), {&uniform, &normal, &bernoulli, &dropout});
}

}  // namespace tapedeck::kernels
