// bf16 and f16 in kernels: elements are loaded as reals, and a result is rounded to them once.
#pragma once
#include <tapedeck/tensor/dtype.h>

#include <cmath>
#include <cstring>
#include <type_traits>

namespace tapedeck::kernels {

template <class T>
inline constexpr bool kHalf = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;

// To float with rounding to odd, so that the second rounding to 16 bits gives what one rounding would.
template <class T, class Real>
T round_half(Real v) {
  float f = static_cast<float>(v);
  if (static_cast<Real>(f) != v && std::isfinite(f)) {
    std::uint32_t bits;
    std::memcpy(&bits, &f, sizeof bits);
    if (!(bits & 1u)) f = std::nextafter(f, v > static_cast<Real>(f) ? HUGE_VALF : -HUGE_VALF);
  }
  return T::from(f);
}

}  // namespace tapedeck::kernels
