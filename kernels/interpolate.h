// A sparse linear map along one dimension: interpolation, average pooling, and the gradients of both.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y[n,o,c] = the sum over the terms j in [first[o], last[o]) of weight[j] * x[n,index[j],c], in their order and in
// double, divided by divisor[o]; 0 where there is none. x [N,I,C], y [N,O,C] contiguous; the tables are in host memory.
struct InterpolateArgs {
  TensorView x, y;
  const std::int64_t *first = nullptr, *last = nullptr;
  const std::int64_t* index = nullptr;                 // nullptr: index[j] = j
  const double *weight = nullptr, *divisor = nullptr;  // nullptr: 1
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<InterpolateArgs> interpolate;

}  // namespace tapedeck::kernels
