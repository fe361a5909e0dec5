#include "cases/compare.h"

#include <tapedeck/kernels/elementwise.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tapedeck::cases {
namespace {

template <class T>
constexpr bool kHalf = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;

template <class T>
long double wide(T v) {
  if constexpr (kHalf<T>)
    return v.to_float();
  else
    return v;
}

// The elements in row-major order; bools as the bytes that they are, since a wrong one may be neither 0 nor 1.
template <class T, class F>
void each(const Tensor& x, F&& f) {
  std::int64_t at[kMaxRank] = {};
  const T* p = static_cast<const T*>(x.data());
  for (std::int64_t n = x.numel(); n > 0; --n) {
    f(*p);
    for (int d = x.dim() - 1; d >= 0; --d) {
      p += x.strides()[d];
      if (++at[d] < x.sizes()[d]) break;
      p -= x.sizes()[d] * x.strides()[d];
      at[d] = 0;
    }
  }
}
template <class F>
void each_of(const Tensor& x, F&& f) {
  visit(x.dtype(), [&](auto zero) {
    using T = std::conditional_t<std::is_same_v<decltype(zero), bool>, std::uint8_t, decltype(zero)>;
    each<T>(x, f);
  });
}

// The part of its bound that the error of y takes: at most 1 when it fits, NaN when it has no measure.
template <class T>
double excess(T y, long double r, double magnitude, Bound bound) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  const long double v = wide(y);
  if (std::isnan(v) || std::isnan(r)) return std::isnan(v) && std::isnan(r) ? 0 : kNever;
  if constexpr (!std::is_floating_point_v<T>) {
    return v == r && std::signbit(v) == std::signbit(r) ? 0 : kNever;
  } else {
    using Limits = std::numeric_limits<T>;
    const T nearest = static_cast<T>(r);
    if (y == nearest && std::signbit(y) == std::signbit(nearest)) return 0;
    if (bound.c == 0 && bound.ulps == 0) return kNever;
    if (std::isinf(r)) return kNever;
    if (!std::isfinite(magnitude)) magnitude = static_cast<double>(std::fabs(r));
    const long double size = std::fabs(r), step = Limits::denorm_min();
    long double allowed = std::numeric_limits<long double>::infinity();
    if (bound.c > 0) allowed = static_cast<long double>(bound.c) * (Limits::epsilon() / 2) * magnitude;
    if (bound.ulps > 0) {
      int exponent;
      std::frexp(size, &exponent);
      const long double ulp = std::max(step, std::ldexp(static_cast<long double>(Limits::epsilon()), exponent - 1));
      allowed = std::min(allowed, bound.ulps * (r == 0 ? 0 : ulp));
    }
    if (r != 0 || magnitude != 0) allowed = std::max(allowed, bound.subnormal * step);
    if (std::isinf(v))  // an overflow is right when the bound reaches beyond the largest number
      return size + allowed >= Limits::max() && std::signbit(v) == std::signbit(r) ? 1 : kNever;
    const long double error = std::fabs(v - r);
    if (error == 0) return 0;
    return allowed == 0 ? kNever : static_cast<double>(error / allowed);
  }
}

std::string position(std::int64_t at, const Shape& shape) {
  std::string text;
  for (int d = shape.rank() - 1; d >= 0; --d) {
    text = std::to_string(at % shape[d]) + (text.empty() ? "" : ",") + text;
    at /= shape[d];
  }
  return "[" + text + "]";
}

std::string number(long double v) {
  char text[64];
  std::snprintf(text, sizeof text, "%.17Lg", v);
  return text;
}

}  // namespace

Expected expected_from(const Tensor& reference, DType dtype) {
  Expected r{reference.sizes(), dtype, {}, {}};
  r.value.reserve(static_cast<std::size_t>(reference.numel()));
  each_of(reference, [&](auto v) { r.value.push_back(wide(v)); });
  return r;
}

Comparison compare(const Tensor& y, const Expected& r, Bound bound) {
  if (!y.defined()) return {"no result"};
  if (y.dtype() != r.dtype) return {std::string("dtype ") + name(y.dtype()) + " instead of " + name(r.dtype)};
  if (!(y.sizes() == r.shape)) return {"shape " + to_string(y.sizes()) + " instead of " + to_string(r.shape)};
  Comparison result;
  std::int64_t at = 0, wrong = 0;
  each_of(y, [&](auto v) {
    const std::size_t i = static_cast<std::size_t>(at++);
    const long double want = r.value[i];
    const double part =
        excess(v, want, r.magnitude.empty() ? static_cast<double>(std::fabs(want)) : r.magnitude[i], bound);
    if (!(part <= result.worst)) result.worst = part;
    if (part <= 1) return;
    if (++wrong == 1)
      result.fault = "at " + position(at - 1, r.shape) + " got " + number(wide(v)) + ", expected " + number(want) +
                     (std::isfinite(part) ? ", the error is " + number(part) + " times its bound" : "");
  });
  if (wrong > 0)
    result.fault = std::to_string(wrong) + " of " + std::to_string(at) + " elements are wrong; " + result.fault;
  return result;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.sizes() == b.sizes())) return false;
  const std::size_t size = size_of(a.dtype());
  std::string left, right;
  const auto collect = [size](const Tensor& x, std::string& bytes) {
    each_of(x, [&](auto v) {
      if (std::isnan(wide(v))) std::memset(&v, 0xff, sizeof v);
      bytes.append(reinterpret_cast<const char*>(&v), size);
    });
  };
  collect(a, left), collect(b, right);
  return left == right;
}

}  // namespace tapedeck::cases
