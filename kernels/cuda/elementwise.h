// Which element types a functor of elementwise_math.h takes on the device, and in what it is computed.
#pragma once
#include <tapedeck/kernels/cuda/convert.h>
#include <tapedeck/kernels/cuda/float_forms.h>
#include <tapedeck/kernels/cuda/map.h>
#include <tapedeck/kernels/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

template <class F, class... Some>
inline constexpr bool any_of = (std::is_same_v<F, Some> || ...);
template <class F>
inline constexpr bool kIntegers =
    any_of<F, math::Neg, math::Abs, math::Square, math::Relu, math::Clamp, math::Hardtanh, math::AddScalar,
           math::MulScalar, math::Sign, math::Floor, math::Ceil, math::Round, math::Trunc, math::Add, math::Sub,
           math::Mul, math::Maximum, math::Minimum, math::Fmod, math::Remainder, math::Addcmul>;

// bf16 and f16 with a scalar of f32: float would round before the 16 bits do.
template <class F, class T>
inline constexpr bool kRoundsTwice = kHalf<T>&& any_of<F, math::AddScalar, math::MulScalar>;
template <class F, class T>
using Working = std::conditional_t<
    std::is_same_v<Compute<T>, float>,
    std::conditional_t<kRoundsTwice<F, T>, double, std::conditional_t<InFloat<F>::kWide, Double, Float>>, Compute<T>>;
// What computes F for elements of T.
template <class F, class T>
using Form = std::conditional_t<std::is_same_v<Compute<T>, float>, InFloat<F>, F>;
template <class F, class T>
__device__ inline Working<F, T> start(T v) {
  return static_cast<Working<F, T>>(load(v));
}
template <class T, class C>
__device__ inline T finish(C v) {
  if constexpr (kHalf<T> && std::is_same_v<C, double>)
    return convert<T>(v);
  else
    return store<T>(static_cast<Compute<T>>(v));
}

// g++ 12 takes two such conversions side by side, to float and back, for none at all: hence volatile.
inline float rounded_to_float(double p) {
  volatile float f = static_cast<float>(p);
  return f;
}
// Parameters of f32 functions are f32 numbers; limits of clamp are infinite by default: saturated for integers.
template <class F, class T>
Working<F, T> parameter(double p) {
  if constexpr (std::is_same_v<Compute<T>, float>)
    return static_cast<Working<F, T>>(rounded_to_float(p));
  else if constexpr (std::is_same_v<T, double>)
    return p;
  else
    return static_cast<std::int64_t>(p < -0x1p62 ? -0x1p62 : p > 0x1p62 ? 0x1p62 : p);
}

template <class F>
void each_real_type(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  if (t == DType::f64) return f(double());
  if (t == DType::bf16) return f(BFloat16());
  return f(Float16());
}
template <class F>
void each_plain_type(DType t, F&& f) {  // without bf16 and f16
  if (t == DType::f32) return f(float());
  if (t == DType::f64) return f(double());
  if (t == DType::i64) return f(std::int64_t());
  if (t == DType::i32) return f(std::int32_t());
  if (t == DType::u8) return f(std::uint8_t());
  return f(bool());
}
template <class Functor, class F>
void each_type(DType t, F&& f) {
  if constexpr (kIntegers<Functor>) {
    if (!is_real(t)) return each_plain_type(t, f);
  }
  each_real_type(t, f);
}

template <class Args>
const char* takes_real(const Args& a) {
  return is_real(a.dtype()) ? nullptr : "dtype is not real";
}
template <class F, class Args>
const char* takes(const Args& a) {
  return is_real(a.dtype()) || kIntegers<F> ? nullptr : "dtype is not real";
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
