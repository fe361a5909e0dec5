#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/registry.h>
#include <tapedeck/kernels/scan.h>

namespace tapedeck::kernels {

KernelSlot<ScanArgs> cumsum("cumsum"), cumprod("cumprod"), logcumsumexp("logcumsumexp"),
    product_of_others("product_of_others");
KernelSlot<CumExtremeArgs> cummax("cummax"), cummin("cummin");
KernelSlot<CumprodGradArgs> cumprod_backward("cumprod_backward");
KernelSlot<LogcumsumexpGradArgs> logcumsumexp_backward("logcumsumexp_backward");
KernelSlot<RecurrenceArgs> recurrence("recurrence");

void register_scan(std::vector<SlotBase*>& slots) {
  add_simd_scan();
  add_ref_scan();
  slots.insert(slots.end(), {&cumsum, &cumprod, &logcumsumexp, &logcumsumexp_backward, &cummax, &cummin,
                             &cumprod_backward, &product_of_others, &recurrence});
}

}  // namespace tapedeck::kernels
