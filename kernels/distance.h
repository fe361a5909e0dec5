// Distances between all pairs of rows of two matrices.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y [B, P, R] = (sum over m of |x1[b, p, m] - x2[b, r, m]|^p)^(1/p) for x1 [B, P, M], x2 [B, R, M]; p = 0 counts the
// differences that are not 0, p = infinity takes the largest. Rows contiguous, batch stride 0 allowed; y contiguous.
struct CdistArgs {
  TensorView x1, x2, y;
  double p = 2;
  DType dtype() const { return x1.dtype; }
};
extern KernelSlot<CdistArgs> cdist;

// gx1 [B, P, M] from gy [B, P, R] (any strides) and the distances y (any strides). Where a distance is 0 so is its
// gradient; with p = infinity the largest differences share it evenly.
struct CdistGradArgs {
  TensorView gy, x1, x2, y, gx1;
  double p = 2;
  DType dtype() const { return x1.dtype; }
};
extern KernelSlot<CdistGradArgs> cdist_backward;

}  // namespace tapedeck::kernels
