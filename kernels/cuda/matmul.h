// Products of matrices on the device, for the other families.
#pragma once
#include <tapedeck/kernels/cuda/blas_vendor.h>
#include <tapedeck/kernels/matmul.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// A matrix [.., M, N] of strides `row`, `column` and `batch` as the vendor's library takes it; false when neither rows
// nor columns are contiguous, or when they overlap.
bool gemm_operand(const void* data, std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column,
                  std::int64_t batch, GemmOperand* out);
// to = from, element by element: the same shape and dtype (of 2, 4 or 8 bytes), any strides.
void lay_out(const TensorView& from, const TensorView& to);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
