// What the variants of attention share: rows of heads, masks, statistics.
#pragma once
#include <tapedeck/kernels/common/attention_sizes.h>

#include <limits>

namespace tapedeck::kernels {

// The rows of one head: row(t) has the channels of step t.
template <class T>
struct Head {
  T* data;
  std::int64_t stride;
  Head(const TensorView& x, std::int64_t n, std::int64_t h)
      : data(x.ptr<T>() + n * x.strides[0] + h * x.strides[1]), stride(x.strides[2]) {}
  T* row(std::int64_t t) const { return data + t * stride; }
};

// Applies the mask of query t to n of its scores from key j on.
template <class T, class S>
void mask_scores(const TensorView& mask, std::int64_t n, std::int64_t h, std::int64_t t, std::int64_t j, S* scores,
                 std::int64_t count) {
  if (!mask) return;
  const std::int64_t at = n * mask.strides[0] + h * mask.strides[1] + t * mask.strides[2] + j * mask.strides[3];
  const std::int64_t step = mask.strides[3];
  if (mask.dtype == DType::boolean) {
    const bool* seen = mask.ptr<const bool>() + at;
    for (std::int64_t i = 0; i < count; ++i)
      scores[i] = seen[i * step] ? scores[i] : -std::numeric_limits<S>::infinity();
  } else {
    const T* add = mask.ptr<const T>() + at;
    for (std::int64_t i = 0; i < count; ++i) scores[i] += static_cast<S>(add[i * step]);
  }
}

inline double* stats_of(const TensorView& stats, std::int64_t n, std::int64_t h, std::int64_t t) {
  return stats.ptr<double>() + ((n * stats.sizes[1] + h) * stats.sizes[2] + t) * 2;
}

}  // namespace tapedeck::kernels
