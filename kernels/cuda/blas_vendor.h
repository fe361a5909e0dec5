// Products of matrices by the vendor's library, behind plain data; blas_vendor.cu speaks cuBLASLt.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// A matrix of a batch: rows (or, when `transposed`, columns) that are contiguous and `pitch` elements apart.
struct GemmOperand {
  const void* data = nullptr;
  std::int64_t pitch = 0;  // at least the length of what is contiguous
  std::int64_t batch = 0;  // elements from one matrix to the next; 0: all the same
  bool transposed = false;
};

// y [B,M,N] = a [B,M,K] @ b [B,K,N] + beta * y + bias [N] (when given) + add [B,M,N] (when given, which is with beta
// 0), then max(0, y) (relu). M, N, K, B >= 1.
struct Gemm {
  DType dtype = DType::f32;  // of a and b; f32, f64, bf16 or f16, the last two added up in f32
  DType out = DType::f32;    // of y and bias: dtype, or f32
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  GemmOperand a, b;
  void* y = nullptr;
  std::int64_t y_pitch = 0, y_batch = 0;
  double beta = 0;
  const void* bias = nullptr;  // contiguous; not with f64
  const void* add = nullptr;   // of y's type, rows contiguous
  std::int64_t add_pitch = 0, add_batch = 0;
  bool relu = false;  // not with f64
};

// Enqueues it; the same bits on every run. False, and nothing is done, when the library has no way to do it.
bool gemm(Device d, const Gemm& g);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
