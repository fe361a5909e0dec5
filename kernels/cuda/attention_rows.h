// The operands of attention as kernels see them: rows of heads, masks.
#pragma once
#include <tapedeck/kernels/common/attention_sizes.h>
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::tiles {

// What scores, weights and sums are held in.
template <class T>
using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

// The rows of one head of an operand; missing: data is nullptr.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t batch = 0, head = 0, step = 0;
  bool wide = false;  // four neighbours from a multiple of four on are aligned as one
  explicit Rows(const TensorView& x) {
    if (!x) return;
    data = x.ptr<T>(), batch = x.strides[0], head = x.strides[1], step = x.strides[2];
    wide = x.sizes[3] % 4 == 0 && aligned(data, 4 * sizeof(T));
    for (int d = 0; d < 3; ++d) wide = wide && (x.sizes[d] == 1 || x.strides[d] % 4 == 0);
  }
  __device__ T* row(std::int64_t n, std::int64_t h, std::int64_t t) const {
    return data + n * batch + h * head + t * step;
  }
};

using Sizes = AttentionSizes;

struct Mask {
  const void* data = nullptr;
  bool boolean = false;
  std::int64_t strides[4] = {};
  explicit Mask(const TensorView& m) {
    if (!m) return;
    data = m.data, boolean = m.dtype == DType::boolean;
    for (int d = 0; d < 4; ++d) strides[d] = m.strides[d];
  }
  template <class T>
  __device__ Real<T> apply(Real<T> score, std::int64_t n, std::int64_t h, std::int64_t t, std::int64_t j) const {
    if (data == nullptr) return score;
    const std::int64_t at = n * strides[0] + h * strides[1] + t * strides[2] + j * strides[3];
    if (boolean) return static_cast<const bool*>(data)[at] ? score : -static_cast<Real<T>>(INFINITY);
    return score + load(static_cast<const T*>(data)[at]);
  }
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::tiles
