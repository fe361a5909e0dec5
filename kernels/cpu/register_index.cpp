#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<EmbeddingArgs> embedding("embedding");
KernelSlot<EmbeddingGradArgs> embedding_backward("embedding_backward");
KernelSlot<OneHotArgs> one_hot("one_hot");
KernelSlot<IndexRangeArgs> index_range("index_range");
KernelSlot<FoldArgs> unfold_backward("unfold_backward");

void register_index(std::vector<SlotBase*>& slots) {
  add_ref_index();
  slots.insert(slots.end(), {&embedding, &embedding_backward, &one_hot, &index_range, &unfold_backward});
}

}  // namespace tapedeck::kernels
