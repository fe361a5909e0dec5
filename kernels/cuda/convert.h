// Conversions between all element types, as the CPU's copies do them: real to integer truncates and saturates, NaN
// becomes 0; to bf16 and f16 with one rounding.
#pragma once
#include <tapedeck/kernels/cuda/number.h>

#include <limits>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

template <class T>
inline constexpr T kMost = std::numeric_limits<T>::max();
template <class T>
inline constexpr T kLeast = std::numeric_limits<T>::min();
template <class From, class To>  // the first whole number above those of To; exact in any real type
inline constexpr From kAbove = static_cast<From>(std::uint64_t{1} << std::numeric_limits<To>::digits);

// A double that is rounded once more comes to float with rounding to odd: then both together are one rounding.
__device__ inline float float_to_odd(double v) {
  const float f = static_cast<float>(v);
  const double back = f;
  if (back == v || v != v) return f;
  unsigned bits = __float_as_uint(f);
  const bool beyond = v < 0 ? back < v : back > v;
  if (beyond && (bits & 1u) == 0) bits -= 1;
  return __uint_as_float(bits | 1u);
}
// A double to f16 in one rounding, to even, subnormal results too: by whole numbers of its last place.
__device__ inline Float16 half_from_double(double v) {
  const auto bits = static_cast<std::uint64_t>(__double_as_longlong(v));
  const auto sign = static_cast<std::uint16_t>(bits >> 48 & 0x8000u);
  if (v != v) return {static_cast<std::uint16_t>(sign | 0x7e00u)};
  const double size = v < 0 ? -v : v;
  if (size >= 65520) return {static_cast<std::uint16_t>(sign | 0x7c00u)};
  int exponent = static_cast<int>(bits >> 52 & 0x7ffu) - 1023;
  if (exponent < -14) exponent = -14;
  const double places = __longlong_as_double(static_cast<std::int64_t>(1023 + 10 - exponent) << 52);
  const auto whole = static_cast<int>(rint(size * places));  // below 1024: subnormal; 2048: the next power of two
  return {static_cast<std::uint16_t>(sign + ((exponent + 14) << 10) + whole)};
}
// The same from an integer to double: what is cut off stays as a last bit.
__device__ inline double double_to_odd(std::int64_t v) {
  std::uint64_t m = v < 0 ? 0 - static_cast<std::uint64_t>(v) : static_cast<std::uint64_t>(v);
  if (m >> 53) m = (m & ~std::uint64_t{0xfff}) | (m & 0xfff ? 0x1000u : 0u);
  const double d = static_cast<double>(m);
  return v < 0 ? -d : d;
}

template <class To, class From>
__device__ inline To convert(From v) {
  if constexpr (std::is_same_v<To, From>) {
    return v;
  } else if constexpr (kHalf<From>) {
    return convert<To>(to_float(v));
  } else if constexpr (kHalf<To>) {
    if constexpr (std::is_same_v<From, float>)
      return from_float<To>(v);
    else if constexpr (std::is_same_v<From, double>)
      if constexpr (std::is_same_v<To, Float16>)
        return half_from_double(v);
      else
        return from_float<To>(float_to_odd(v));
    else
      return from_float<To>(float_to_odd(double_to_odd(static_cast<std::int64_t>(v))));
  } else if constexpr (std::is_same_v<To, bool>) {
    return v != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    constexpr From above = kAbove<From, To>;
    if (v != v) return 0;
    if (v >= above) return kMost<To>;
    if (std::is_unsigned_v<To> ? v <= From(-1) : v < -above) return kLeast<To>;
    return static_cast<To>(v);
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    constexpr std::int64_t most = kMost<To>, least = kLeast<To>;
    const std::int64_t wide = v;
    return static_cast<To>(wide < least ? least : wide > most ? most : wide);
  } else {
    return static_cast<To>(v);
  }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
