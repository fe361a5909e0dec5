#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/kernels/registry.h>

namespace tapedeck::kernels {

KernelSlot<EmbeddingArgs> embedding("embedding");
KernelSlot<EmbeddingGradArgs> embedding_backward("embedding_backward");
KernelSlot<OneHotArgs> one_hot("one_hot");
KernelSlot<IndexRangeArgs> index_range("index_range");
KernelSlot<FoldArgs> unfold_backward("unfold_backward");
KernelSlot<IndexSelectArgs> index_select("index_select");
KernelSlot<IndexCopyArgs> index_copy("index_copy");
KernelSlot<IndexAddArgs> index_add("index_add");
KernelSlot<GatherArgs> gather("gather");
KernelSlot<ScatterArgs> scatter("scatter");
KernelSlot<ScatterAddArgs> scatter_add("scatter_add");
KernelSlot<ScatterReduceArgs> scatter_reduce("scatter_reduce");
KernelSlot<TriangleArgs> triangle("triangle");
KernelSlot<NonzeroArgs> nonzero("nonzero");

void register_index(std::vector<SlotBase*>& slots) {
  add_ref_index();
  add_ref_index_moves();
  add_ref_index_sums();
  add_ref_scatter_reduce();
  slots.insert(slots.end(),
               {&embedding, &embedding_backward, &one_hot, &index_range, &unfold_backward, &index_select, &index_copy,
                &index_add, &gather, &scatter, &scatter_add, &scatter_reduce, &triangle, &nonzero});
}

}  // namespace tapedeck::kernels
