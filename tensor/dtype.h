// Element types. bf16 and f16 are storage types on the CPU: kernels compute in f32.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tapedeck {

enum class DType : std::uint8_t { f32, f64, bf16, f16, i64, i32, u8, boolean };
inline constexpr int kDTypes = 8;

constexpr std::size_t size_of(DType t) {
  constexpr std::size_t bytes[kDTypes] = {4, 8, 2, 2, 8, 4, 1, 1};
  return bytes[static_cast<int>(t)];
}
constexpr const char* name(DType t) {
  constexpr const char* names[kDTypes] = {"f32", "f64", "bf16", "f16", "i64", "i32", "u8", "bool"};
  return names[static_cast<int>(t)];
}
constexpr bool is_real(DType t) { return t <= DType::f16; }
bool fits(double value, DType t);  // integers: a whole number in their range; everything else takes any value

// bf16 and f16 as two raw bytes with conversions (round to nearest even); no arithmetic of their own.
struct BFloat16 {
  std::uint16_t bits;
  static BFloat16 from(float v);
  float to_float() const;
};
struct Float16 {
  std::uint16_t bits;
  static Float16 from(float v);
  float to_float() const;
};

// DType of a C++ element type: dtype_of<float>() is DType::f32.
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
constexpr DType dtype_of() {
  return DTypeOf<T>::value;
}

// Calls f(T{}) with the C++ type of t: visit(x.dtype(), [&](auto zero) { using T = decltype(zero); ... }).
template <class F>
decltype(auto) visit(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::f16:
      return f(Float16{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::boolean:
      break;
  }
  return f(bool{});
}

}  // namespace tapedeck
