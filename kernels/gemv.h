// Products of one or a few rows with weights that were packed once: the steps of generation plans. The same bits as
// matmul and conv1d on the same numbers.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// A run of the contraction index that lies in one piece: x[r * row_stride + i] for i < length, r the row.
struct GemvSegment {
  const float* x = nullptr;
  std::int64_t length = 0, row_stride = 0;
};

// y[r, n] = sum_k x[r, k] * weight[k, n] + beta * y + bias. x is the segments one behind the other (the taps of a ring
// buffer: nothing is copied together). Chains and chunks of 256 run over k through all segments. With beta 0, y is not
// read.
struct GemvPackedArgs {
  static constexpr int kMaxSegments = 8;

  GemvSegment x[kMaxSegments];
  int segments = 0;
  std::int64_t rows = 1;
  std::int64_t n = 0;                     // outputs
  const float* weight = nullptr;          // packed: k rows of packed_columns(n), 64-byte aligned
  const BFloat16* weight_bf16 = nullptr;  // or these in its place: half of the bytes, the same products and sums
  const float* bias = nullptr;            // [n] or nullptr
  float* y = nullptr;                     // rows of n, y_row apart
  std::int64_t y_row = 0;
  double beta = 0;

  std::int64_t k() const {
    std::int64_t total = 0;
    for (int i = 0; i < segments; ++i) total += x[i].length;
    return total;
  }
  DType dtype() const { return DType::f32; }
};
extern KernelSlot<GemvPackedArgs> gemv_packed;

// Floats in a row of packed weights with n outputs: n rounded up to 16.
constexpr std::int64_t packed_columns(std::int64_t n) { return (n + 15) / 16 * 16; }

// Packs a linear layer's weight [N,K] (f32, any strides) to K rows of packed_columns(N), zeros behind N. As BFloat16,
// rounded to nearest.
void pack_linear(const TensorView& weight, float* packed);
void pack_linear(const TensorView& weight, BFloat16* packed);
// Packs a convolution's weight [O,I,K] (f32, any strides) to K * I rows (tap-major) of packed_columns(O). For a grouped
// convolution, one pack and one product per group.
void pack_conv1d(const TensorView& weight, float* packed);
void pack_conv1d(const TensorView& weight, BFloat16* packed);

}  // namespace tapedeck::kernels
