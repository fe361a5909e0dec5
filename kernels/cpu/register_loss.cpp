#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/loss.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<CtcArgs> ctc("ctc");
KernelSlot<CtcGradArgs> ctc_backward("ctc_backward");
KernelSlot<MixtureArgs> mix_logistic("mix_logistic"), mix_gaussian("mix_gaussian");
KernelSlot<MixtureGradArgs> mix_logistic_backward("mix_logistic_backward"),
    mix_gaussian_backward("mix_gaussian_backward");

void register_loss(std::vector<SlotBase*>& slots) {
  add_simd_ctc();
  add_simd_mixture();
  add_ref_ctc();
  add_ref_mixture();
  slots.insert(slots.end(),
               {&ctc, &ctc_backward, &mix_logistic, &mix_logistic_backward, &mix_gaussian, &mix_gaussian_backward});
}

}  // namespace tapedeck::kernels
