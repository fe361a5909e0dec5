#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/interpolate.h>
#include <tapedeck/kernels/pool.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

constinit KernelSlot<MaxPoolArgs> max_pool("max_pool");
constinit KernelSlot<MaxPoolGradArgs> max_pool_backward("max_pool_backward");
constinit KernelSlot<MaxPoolGatherArgs> max_pool_gather("max_pool_gather");
constinit KernelSlot<InterpolateArgs> interpolate("interpolate");

void register_pool(std::vector<SlotBase*>& slots) {
  add_ref_pool();
  slots.insert(slots.end(), {&max_pool, &max_pool_backward, &max_pool_gather, &interpolate});
}

}  // namespace tapedeck::kernels
