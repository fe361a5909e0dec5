#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/registry.h>
#include <tapedeck/kernels/sort.h>

namespace tapedeck::kernels {

KernelSlot<SortArgs> sort("sort"), topk("topk");
KernelSlot<SelectArgs> select_rank("select_rank");
KernelSlot<SearchArgs> searchsorted("searchsorted");
KernelSlot<BincountArgs> bincount("bincount");
KernelSlot<HistogramArgs> histc("histc");

void register_sort(std::vector<SlotBase*>& slots) {
  add_ref_sort();
  slots.insert(slots.end(), {&sort, &topk, &select_rank, &searchsorted, &bincount, &histc});
}

}  // namespace tapedeck::kernels
