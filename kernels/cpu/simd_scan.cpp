// logcumsumexp of f32 rows and its gradient: exponentials and logarithms of 16 elements at a time, the running sum
// between them in order and in double.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/scan.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_scan.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_lanes-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

constexpr double kLowest = -std::numeric_limits<double>::infinity();

// v[i] = f(v[i]) for the 16 of a block.
template <class Fn>
HWY_INLINE void map_block(double* v, const Fn& f) {
  for (std::int64_t i = 0; i < kBlock; i += static_cast<std::int64_t>(HWY_LANES(double)))
    hn::Store(f(D(hn::Load(DD(), v + i))).v, DD(), v + i);
}

// The sum is kept relative to the largest element so far. Equal infinities must not meet in a difference.
void logcumsumexp_row(const float* x, float* y, std::int64_t n) {
  double most = kLowest, total = 0;
  HWY_ALIGN double most_at[kBlock], rescale[kBlock], term[kBlock];
  for (std::int64_t i = 0; i < n; i += kBlock) {
    const std::int64_t count = std::min(kBlock, n - i);
    for (std::int64_t k = 0; k < kBlock; ++k) {
      const double v = k < count ? static_cast<double>(x[i + k]) : most, before = most;
      if (v > most) most = v;
      most_at[k] = most;
      rescale[k] = before == most ? 0 : before - most;
      term[k] = v == most ? 0 : v - most;
    }
    map_block(rescale, [](D v) HWY_ATTR { return exp(v); });
    map_block(term, [](D v) HWY_ATTR { return exp(v); });
    for (std::int64_t k = 0; k < count; ++k) term[k] = total = total * rescale[k] + term[k];
    map_block(term, [](D v) HWY_ATTR { return log(v); });
    for (std::int64_t k = 0; k < count; ++k) y[i + k] = static_cast<float>(most_at[k] + term[k]);
  }
}

// gx[k] = exp(x[k] - y[k]) r[k], r[k] = gy[k] + exp(y[k] - y[k + 1]) r[k + 1].
void logcumsumexp_grad_row(const float* gy, const float* x, const float* y, float* gx, std::int64_t n) {
  double r = 0;
  HWY_ALIGN double decay[kBlock], share[kBlock];
  for (std::int64_t end = n; end > 0; end -= kBlock) {
    const std::int64_t begin = std::max<std::int64_t>(0, end - kBlock), count = end - begin;
    for (std::int64_t k = 0; k < kBlock; ++k) {
      const std::int64_t i = begin + std::min(k, count - 1);
      decay[k] = i + 1 == n || y[i] == kLowest ? kLowest : static_cast<double>(y[i]) - y[i + 1];
      share[k] = x[i] == kLowest ? kLowest : static_cast<double>(x[i]) - y[i];
    }
    map_block(decay, [](D v) HWY_ATTR { return exp(v); });
    map_block(share, [](D v) HWY_ATTR { return exp(v); });
    for (std::int64_t k = count - 1; k >= 0; --k) {
      r = gy[begin + k] + decay[k] * r;
      gx[begin + k] = static_cast<float>(share[k] * r);
    }
  }
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

void logcumsumexp_rows(const ScanArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  const auto row = use_avx512() ? N_AVX3::logcumsumexp_row : N_AVX2::logcumsumexp_row;
  const Walk<2> walk({a.x, a.y}, ~(1u << a.dim));
  parallel_for(walk.numel, row_grain(n, 8), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t rows) {
      for (std::int64_t r = 0; r < rows; ++r)
        row(reinterpret_cast<const float*>(at[0]) + r * s[0], reinterpret_cast<float*>(at[1]) + r * s[1], n);
    });
  });
}
void logcumsumexp_grad_rows(const LogcumsumexpGradArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  const auto row = use_avx512() ? N_AVX3::logcumsumexp_grad_row : N_AVX2::logcumsumexp_grad_row;
  const Walk<4> walk({a.gy, a.x, a.y, a.gx}, ~(1u << a.dim));
  parallel_for(walk.numel, row_grain(n, 8), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t rows) {
      const auto in = [&](int k, std::int64_t r) { return reinterpret_cast<const float*>(at[k]) + r * s[k]; };
      for (std::int64_t r = 0; r < rows; ++r)
        row(in(0, r), in(1, r), in(2, r), reinterpret_cast<float*>(at[3]) + r * s[3], n);
    });
  });
}
const char* supports_grad(const LogcumsumexpGradArgs& a) {
  if (a.dtype() != DType::f32) return "dtype is not f32";
  for (const TensorView* v : {&a.gy, &a.x, &a.y, &a.gx})
    if (v->sizes[a.dim] > 1 && v->strides[a.dim] != 1) return "rows are not contiguous";
  return nullptr;
}
const char* supports(const ScanArgs& a) {
  if (a.dtype() != DType::f32) return "dtype is not f32";
  if (a.reverse) return "from the end";
  const bool rows = a.x.sizes[a.dim] <= 1 || (a.x.strides[a.dim] == 1 && a.y.strides[a.dim] == 1);
  return rows ? nullptr : "rows are not contiguous";
}

}  // namespace

void add_simd_scan() {
  logcumsumexp.add(DeviceType::cpu, "simd", logcumsumexp_rows, supports);
  logcumsumexp_backward.add(DeviceType::cpu, "simd", logcumsumexp_grad_rows, supports_grad);
}

}  // namespace tapedeck::kernels
#endif
