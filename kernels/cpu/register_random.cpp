#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<RandomArgs> uniform("uniform"), normal("normal"), bernoulli("bernoulli");
KernelSlot<DropoutArgs> dropout("dropout");
KernelSlot<IntegersArgs> integers("integers");
KernelSlot<PermutationArgs> permutation("permutation");
KernelSlot<MultinomialArgs> multinomial("multinomial");
KernelSlot<OrthonormalArgs> orthonormal("orthonormal");

void register_random(std::vector<SlotBase*>& slots) {
  add_simd_random();
  add_ref_random();
  add_ref_draws();
  slots.insert(slots.end(),
               {&uniform, &normal, &bernoulli, &dropout, &integers, &permutation, &multinomial, &orthonormal});
}

}  // namespace tapedeck::kernels
