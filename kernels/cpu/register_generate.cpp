#include <tapedeck/kernels/generate.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

constinit KernelSlot<WaveNetGenerateArgs> wavenet_generate("wavenet_generate");

void register_generate(std::vector<SlotBase*>& slots) { slots.push_back(&wavenet_generate); }

}  // namespace tapedeck::kernels
