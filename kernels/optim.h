// Optimizer steps over one parameter segment; they write in place.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// Adam and AdamW (Kingma & Ba 2015; Loshchilov & Hutter 2019), PyTorch's formulas and order. All views contiguous, one
// shape. gscale multiplies the gradient first (clipping). step counts from 1.
struct AdamArgs {
  TensorView p, g, m, v;
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0, gscale = 1;
  bool decoupled = true;  // AdamW; false adds weight_decay * p to the gradient
  std::int64_t step = 1;
  DType dtype() const { return p.dtype; }
};
extern KernelSlot<AdamArgs> adam;

}  // namespace tapedeck::kernels
