#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/registry.h>
#include <tapedeck/kernels/wavenet.h>

namespace tapedeck::kernels {

constinit KernelSlot<WaveNetLayerArgs> wavenet_layer("wavenet_layer");
constinit KernelSlot<WaveNetLayerGradArgs> wavenet_layer_backward("wavenet_layer_backward");

void register_wavenet(std::vector<SlotBase*>& slots) {
  add_simd_wavenet();
  add_ref_wavenet();
  slots.insert(slots.end(), {&wavenet_layer, &wavenet_layer_backward});
}

}  // namespace tapedeck::kernels
