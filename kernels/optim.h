// Optimizer steps over one parameter segment, and averages of parameters; they write in place.
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

// Stochastic gradient descent with momentum (Sutskever et al. 2013 in PyTorch's form). g' = gscale * g + weight_decay *
// p; buf = g' in the first step, else momentum * buf + (1 - dampening) * g'; p -= lr * (nesterov ? g' + momentum * buf
// : buf). Without buf: p -= lr * g'.
struct SgdArgs {
  TensorView p, g, buf;
  double lr = 1e-3, momentum = 0, dampening = 0, weight_decay = 0, gscale = 1;
  bool nesterov = false;
  std::int64_t step = 1;
  DType dtype() const { return p.dtype; }
};
extern KernelSlot<SgdArgs> sgd;

// RMSprop (Hinton 2012; centered: Graves 2013). v = alpha * v + (1 - alpha) * g'^2, with mean given the same of g', and
// v - mean^2 (at least 0) in place of v below; move = g' / (sqrt(v) + eps); with buf given, buf = momentum * buf + move
// takes its place; p -= lr * move.
struct RmspropArgs {
  TensorView p, g, v, mean, buf;
  double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0, gscale = 1;
  DType dtype() const { return p.dtype; }
};
extern KernelSlot<RmspropArgs> rmsprop;

// Adagrad (Duchi et al. 2011). sum += g'^2; p -= lr * g' / (sqrt(sum) + eps).
struct AdagradArgs {
  TensorView p, g, sum;
  double lr = 1e-2, eps = 1e-10, weight_decay = 0, gscale = 1;
  DType dtype() const { return p.dtype; }
};
extern KernelSlot<AdagradArgs> adagrad;

// The exponential moving average of what x is from step to step: y = keep * y + (1 - keep) * x.
struct AverageArgs {
  TensorView y, x;
  double keep = 0.9999;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<AverageArgs> average;

}  // namespace tapedeck::kernels
