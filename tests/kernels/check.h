// Measures of error for kernel tests: per element, without absolute tolerance, and NaN in the metric fails.
#pragma once
#include <gtest/gtest.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/tensor.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace tapedeck {

// Distance of y from the exact r in units of the last place of a float near r; +Inf where kinds differ.
inline double ulps(float y, double r) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  if (std::isnan(r) || std::isnan(y)) return std::isnan(r) && std::isnan(y) ? 0 : kWrong;
  const float rounded = static_cast<float>(r);
  if (std::isinf(rounded) || std::isinf(y)) {
    if (rounded == y) return 0;
    // Next to the largest float, one of the two may already be infinite.
    const double limit = 0x1p128, a = std::isinf(y) ? std::copysign(limit, y) : y, b = std::isinf(r) ? kWrong : r;
    return std::fabs(b) > 0x1.fffffp127 && std::fabs(b) < limit * 1.000001 ? std::fabs(a - b) / 0x1p104 : kWrong;
  }
  int e = 0;
  std::frexp(r, &e);
  return std::fabs(y - r) / std::ldexp(1.0, std::max(e - 24, -149));
}

inline std::vector<float> special_values() {
  using L = std::numeric_limits<float>;
  std::vector<float> v = {0,
                          L::denorm_min(),
                          3 * L::denorm_min(),
                          L::min() / 2,
                          L::min(),
                          1e-20f,
                          1e-6f,
                          0.25f,
                          0.5f,
                          1,
                          1 + L::epsilon(),
                          1 - L::epsilon() / 2,
                          1.5f,
                          2,
                          3,
                          10,
                          50,
                          88.7f,
                          89,
                          103.9f,
                          104,
                          150,
                          1e5f,
                          1e9f,
                          1e20f,
                          L::max(),
                          L::infinity()};
  for (std::size_t i = 0, n = v.size(); i < n; ++i) v.push_back(-v[i]);
  v.push_back(L::quiet_NaN());
  return v;
}

template <class T = float>
Tensor random_tensor(const Shape& shape, std::uint32_t seed, double low = -3, double high = 3) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<double> draw(low, high);
  std::vector<T> v(static_cast<std::size_t>(shape.numel()));
  for (T& x : v) x = static_cast<T>(draw(generator));
  return tensor(std::span<const T>(v), shape);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && a.dtype() == b.dtype() && a.is_contiguous() && b.is_contiguous() &&
         std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.numel()) * size_of(a.dtype())) == 0;
}

// Runs body(variant name) for each CPU variant of the slot, forced.
template <class Body>
void each_variant(kernels::SlotBase& slot, Body&& body) {
  kernels::all();
  for (int i = 0; i < slot.variant_count(DeviceType::cpu); ++i) {
    const std::string variant = slot.variant_name(DeviceType::cpu, i);
    const kernels::Use use(slot, variant);
    SCOPED_TRACE(std::string(slot.name()) + " " + variant);
    body(variant);
  }
}

// True when `call` ran; false when a variant other than ref declined the layout (ref declines none).
template <class Call>
bool accepted(const std::string& variant, Call&& call) {
  try {
    call();
    return true;
  } catch (const DeviceError&) {
    EXPECT_NE(variant, "ref");
    return false;
  }
}

// Checks that `run` (which returns a tensor) gives the same bits with 1, 2 and 4 threads; returns the result.
template <class Run>
Tensor on_any_threads(Run&& run) {
  const int before = num_threads();
  set_num_threads(1);
  const Tensor one = run();
  for (const int n : {2, 4}) {
    set_num_threads(n);
    EXPECT_TRUE(same_bits(one, run())) << n << " threads";
  }
  set_num_threads(before);
  return one;
}

}  // namespace tapedeck
