// Pooling over one or two spatial dimensions, channels last.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// floor(a * b / c) for numbers >= 0 whose product may pass 2^63.
TD_HD inline std::int64_t mul_div(std::int64_t a, std::int64_t b, std::int64_t c) {
  __extension__ typedef __int128 Wide;
  return static_cast<std::int64_t>(static_cast<Wide>(a) * b / c);
}

// Where windows lie along one dimension: output o covers the places first, first + dilation, … of those inside of the
// input. Adaptive windows cut `size` places into `outputs` parts that may overlap by one.
struct PoolDim {
  std::int64_t size = 1, outputs = 1;
  std::int64_t kernel = 1, stride = 1, pad = 0, dilation = 1;
  bool adaptive = false;

  struct Range {
    std::int64_t first, count;
  };
  TD_HD Range window(std::int64_t o) const {
    if (adaptive) {
      const std::int64_t first = mul_div(o, size, outputs);
      return {first, size - mul_div(outputs - 1 - o, size, outputs) - first};  // the windows are symmetric
    }
    const std::int64_t start = o * stride - pad;
    const std::int64_t skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
    const std::int64_t first = start + skipped * dilation;
    const std::int64_t left = size - 1 - first;
    if (left < 0) return {first, 0};
    const std::int64_t inside = (dilation == 1 ? left : left / dilation) + 1;
    return {first, kernel - skipped < inside ? kernel - skipped : inside};
  }
  // The outputs whose windows may hold place p.
  TD_HD Range outputs_of(std::int64_t p) const {
    std::int64_t low, high;
    if (adaptive) {
      low = mul_div(p, outputs, size);
      high = mul_div(p + 1, outputs, size);
    } else {
      const std::int64_t behind = p + pad - (kernel - 1) * dilation;
      low = behind <= 0 ? 0 : (behind + stride - 1) / stride;
      high = (p + pad) / stride;
    }
    if (high > outputs - 1) high = outputs - 1;
    return {low, high < low ? 0 : high - low + 1};
  }
};
struct PoolShape {
  PoolDim dims[2];  // outermost first; a sequence has its time in the second
};

// y[b,o,c] = the largest of x's window; the last NaN wins, else the first of equals. index (when given) i64: its place
// h * W + w in the plane. x [B,S…,C], y and index [B,S'…,C]: last dimension contiguous, the others any strides. A
// window without a place gives -inf and index -1.
struct MaxPoolArgs {
  TensorView x, y, index;
  PoolShape shape;
  DType dtype() const { return x.dtype; }
};
// gx[b,p,c] = the sum, in the order of o, of the gy[b,o,c] whose index[b,o,c] is p.
struct MaxPoolGradArgs {
  TensorView gy, index, gx;
  PoolShape shape;
  DType dtype() const { return gy.dtype; }
};
// y[b,o,c] = x[b, index[b,o,c], c]: the adjoint of the gradient; 0 at index -1.
struct MaxPoolGatherArgs {
  TensorView x, index, y;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<MaxPoolArgs> max_pool;
extern KernelSlot<MaxPoolGradArgs> max_pool_backward;
extern KernelSlot<MaxPoolGatherArgs> max_pool_gather;

}  // namespace tapedeck::kernels
