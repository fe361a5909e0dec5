#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/fft.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<FftArgs> fft("fft");
KernelSlot<RfftArgs> rfft("rfft");
KernelSlot<IrfftArgs> irfft("irfft");

void register_fft(std::vector<SlotBase*>& slots) {
  add_simd_fft();
  add_stockham_fft();
  add_ref_fft();
  slots.insert(slots.end(), {&fft, &rfft, &irfft});
}

}  // namespace tapedeck::kernels
