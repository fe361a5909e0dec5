// Lines along one dimension: what lies beside it is walked.
#pragma once
#include <tapedeck/tensor/view.h>

namespace tapedeck::kernels {

// A view of x without its dimension dim, at its first element there.
inline TensorView at_first(TensorView x, int dim) {
  for (int d = dim; d + 1 < x.rank; ++d) x.sizes[d] = x.sizes[d + 1], x.strides[d] = x.strides[d + 1];
  --x.rank;
  return x;
}

}  // namespace tapedeck::kernels
