#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/optim.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<AdamArgs> adam("adam");
KernelSlot<SgdArgs> sgd("sgd");
KernelSlot<RmspropArgs> rmsprop("rmsprop");
KernelSlot<AdagradArgs> adagrad("adagrad");
KernelSlot<AverageArgs> average("average");

void register_optim(std::vector<SlotBase*>& slots) {
  add_simd_optim();
  add_ref_optim();
  slots.insert(slots.end(), {&adam, &sgd, &rmsprop, &adagrad, &average});
}

}  // namespace tapedeck::kernels
