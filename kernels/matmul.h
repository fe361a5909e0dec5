// Matrix products with the fixed order of additions: one FMA chain per output inside K-chunks of 256, the chunks added
// in order, then beta * y, then bias. The same bits for any thread count, for a row alone or in any batch.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y [B,M,N] = a [B,M,K] @ b [B,K,N] + beta * y + bias [N] (when given). beta is 0 or 1; with 0, y is not read.
// Any strides (transposed operands are strides), batch stride 0 allowed; y's last dimension is contiguous. K = 0 gives
// 0.
struct MatmulArgs {
  TensorView a, b, bias, y;
  double beta = 0;
  DType dtype() const { return a.dtype; }
};
extern KernelSlot<MatmulArgs> matmul;
// The same with beta 0, then max(0, y); NaN stays.
extern KernelSlot<MatmulArgs> matmul_relu;
// Its variant `composed`: the product, then the activation in place.
void composed_matmul_relu(const MatmulArgs& a);

}  // namespace tapedeck::kernels
