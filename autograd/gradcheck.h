// Gradients against finite differences, in f64: how every rule earns trust.
#pragma once
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/tensor.h>

#include <span>
#include <string>
#include <vector>

namespace tapedeck {

struct GradcheckOptions {
  double bound = 1e-8;             // of the sum of |gradient * direction| over the inputs
  double step = 1e-3;              // of the 4-point stencil, times max(1, |x|)
  std::int64_t full_limit = 4096;  // the whole Jacobian up to this many inputs x outputs, else random directions
  int directions = 8;
};

struct GradcheckReport {
  bool ok = true;
  double worst = 0;   // largest difference as a part of that sum; NaN when a derivative is not finite
  std::string where;  // the worst place: input, element, output
};

using GradcheckFn = FunctionRef<Tensor(std::span<const Tensor>)>;

// Compares the gradients of fn with a 4-point stencil. Inputs are f64 of any strides without overlap: they are moved
// and put back in place, so that their layout is what fn sees. fn must be repeatable (random ops: open a RandomScope
// inside).
GradcheckReport gradcheck(GradcheckFn fn, const std::vector<Tensor>& inputs, GradcheckOptions options = {});

// The same for the gradients themselves: they are checked as functions of the inputs and of the incoming gradient, and
// against those that are computed without a graph.
GradcheckReport gradgradcheck(GradcheckFn fn, const std::vector<Tensor>& inputs, GradcheckOptions options = {});

}  // namespace tapedeck
