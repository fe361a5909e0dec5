// Copies between all element types and layouts, and fills. Same-type copies move bytes.
#include <tapedeck/kernels/cpu/half.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

template <class To, class From>
To convert(From v) {
  if constexpr (kHalf<From>) {
    return convert<To>(v.to_float());
  } else if constexpr (kHalf<To>) {
    if constexpr (std::is_same_v<From, float>)
      return To::from(v);
    else
      return round_half<To>(static_cast<long double>(v));
  } else if constexpr (std::is_same_v<To, bool>) {
    return v != From(0);
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (v != v) return 0;
    // 2^digits is the first value beyond the range; it is exact in any real type.
    const From above = std::ldexp(From(1), std::numeric_limits<To>::digits);
    if (v >= above) return std::numeric_limits<To>::max();
    if (std::is_unsigned_v<To> ? v <= From(-1) : v < -above) return std::numeric_limits<To>::min();
    return static_cast<To>(v);
  } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
    const std::int64_t wide = v;
    return static_cast<To>(
        std::clamp<std::int64_t>(wide, std::numeric_limits<To>::min(), std::numeric_limits<To>::max()));
  } else {
    return static_cast<To>(v);
  }
}

template <class T>
void move_rows(const CopyArgs& a) {
  const Walk<2> walk({a.x, a.y});
  walk.parallel_rows([](const auto& at, const auto& s, std::int64_t n) {
    const T* x = reinterpret_cast<const T*>(at[0]);
    T* y = reinterpret_cast<T*>(at[1]);
    if (s[0] == 1 && s[1] == 1) {
      std::memmove(y, x, static_cast<std::size_t>(n) * sizeof(T));
    } else {
      for (std::int64_t i = 0; i < n; ++i) y[i * s[1]] = x[i * s[0]];
    }
  });
}

void copy_elements(const CopyArgs& a) {
  if (a.x.dtype == a.y.dtype) {
    switch (size_of(a.x.dtype)) {
      case 1:
        return move_rows<std::uint8_t>(a);
      case 2:
        return move_rows<std::uint16_t>(a);
      case 4:
        return move_rows<std::uint32_t>(a);
      default:
        return move_rows<std::uint64_t>(a);
    }
  }
  visit(a.x.dtype, [&](auto from) {
    visit(a.y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      Walk<2>({a.x, a.y}).parallel_rows([](const auto& at, const auto& s, std::int64_t n) {
        const From* x = reinterpret_cast<const From*>(at[0]);
        To* y = reinterpret_cast<To*>(at[1]);
        for (std::int64_t i = 0; i < n; ++i) y[i * s[1]] = convert<To>(x[i * s[0]]);
      });
    });
  });
}

void fill_elements(const FillArgs& a) {
  visit(a.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    const T value = convert<T>(a.value);
    Walk<1>({a.y}).parallel_rows([=](const auto& at, const auto& s, std::int64_t n) {
      T* y = reinterpret_cast<T*>(at[0]);
      for (std::int64_t i = 0; i < n; ++i) y[i * s[0]] = value;
    });
  });
}

}  // namespace

void add_ref_copy() {
  copy.add(DeviceType::cpu, "ref", copy_elements);
  fill.add(DeviceType::cpu, "ref", fill_elements);
}

}  // namespace tapedeck::kernels
