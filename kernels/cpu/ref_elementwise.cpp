// Reference elementwise kernels: reals are computed in double and rounded once, integers exactly and then wrapped.
#include <tapedeck/kernels/common/elementwise_math.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>

#include <type_traits>

namespace tapedeck::kernels {
namespace {

__extension__ typedef __int128 Wide;
template <class T>
using Compute = std::conditional_t<std::is_floating_point_v<T>, double, Wide>;

template <class F>
constexpr bool any_of() {
  return false;
}
template <class F, class First, class... Rest>
constexpr bool any_of() {
  return std::is_same_v<F, First> || any_of<F, Rest...>();
}
template <class F>
constexpr bool kIntegers = any_of<F, math::Neg, math::Abs, math::Square, math::Relu, math::Clamp, math::AddScalar,
                                  math::MulScalar, math::Add, math::Sub, math::Mul, math::Maximum, math::Minimum>();

// Calls f with a zero of the element type: f32 and f64, and integers where `integers`.
template <bool integers, class F>
void with_type(DType t, F&& f) {
  if (t == DType::f32) return f(float{});
  if (t == DType::f64) return f(double{});
  if constexpr (integers) {
    if (t == DType::i64) return f(std::int64_t{});
    if (t == DType::i32) return f(std::int32_t{});
    if (t == DType::u8) return f(std::uint8_t{});
    if (t == DType::boolean) return f(bool{});
  }
}
template <bool integers, class Args>
const char* supports(const Args& a) {
  const DType t = a.dtype();
  if (t == DType::f32 || t == DType::f64) return nullptr;
  if (integers && !is_real(t)) return nullptr;
  return integers ? "dtype is not f32, f64 or an integer" : "dtype is not f32 or f64";
}

// Limits of clamp are infinite by default: saturated, since a conversion out of range is undefined.
template <class C>
C parameter(double p, float) {
  return static_cast<C>(static_cast<float>(p));
}
template <class C>
C parameter(double p, double) {
  return static_cast<C>(p);
}
template <class C, class T>
C parameter(double p, T) {
  return static_cast<C>(p < -0x1p62 ? -0x1p62 : p > 0x1p62 ? 0x1p62 : p);
}

template <class F>
void unary(const UnaryArgs& a) {
  with_type<kIntegers<F>>(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    const C p = parameter<C>(a.p0, zero), q = parameter<C>(a.p1, zero);
    Walk<2>({a.x, a.y}).parallel_rows([=](const auto& at, const auto& s, std::int64_t n) {
      const T* x = reinterpret_cast<const T*>(at[0]);
      T* y = reinterpret_cast<T*>(at[1]);
      for (std::int64_t i = 0; i < n; ++i) y[i * s[1]] = static_cast<T>(F::value(static_cast<C>(x[i * s[0]]), p, q));
    });
  });
}

template <class F>
void unary_backward(const UnaryGradArgs& a) {
  with_type<false>(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const double p = parameter<double>(a.p0, zero), q = parameter<double>(a.p1, zero);
    Walk<4>({a.gy, a.x, a.y, a.gx}).parallel_rows([=](const auto& at, const auto& s, std::int64_t n) {
      const T *g = reinterpret_cast<const T*>(at[0]), *x = reinterpret_cast<const T*>(at[1]);
      const T* y = reinterpret_cast<const T*>(at[2]);
      T* gx = reinterpret_cast<T*>(at[3]);
      for (std::int64_t i = 0; i < n; ++i)
        gx[i * s[3]] = static_cast<T>(F::grad(static_cast<double>(g[i * s[0]]), static_cast<double>(x[i * s[1]]),
                                              static_cast<double>(y[i * s[2]]), p, q));
    });
  });
}

template <class F>
void binary(const BinaryArgs& a) {
  with_type<kIntegers<F>>(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using C = Compute<T>;
    Walk<3>({a.a, a.b, a.y}).parallel_rows([](const auto& at, const auto& s, std::int64_t n) {
      const T *u = reinterpret_cast<const T*>(at[0]), *v = reinterpret_cast<const T*>(at[1]);
      T* y = reinterpret_cast<T*>(at[2]);
      for (std::int64_t i = 0; i < n; ++i)
        y[i * s[2]] = static_cast<T>(F::value(static_cast<C>(u[i * s[0]]), static_cast<C>(v[i * s[1]])));
    });
  });
}

template <class F>
void compare(const BinaryArgs& a) {
  with_type<true>(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Walk<3>({a.a, a.b, a.y}).parallel_rows([](const auto& at, const auto& s, std::int64_t n) {
      const T *u = reinterpret_cast<const T*>(at[0]), *v = reinterpret_cast<const T*>(at[1]);
      bool* y = reinterpret_cast<bool*>(at[2]);
      for (std::int64_t i = 0; i < n; ++i) y[i * s[2]] = F::value(u[i * s[0]], v[i * s[1]]);
    });
  });
}

void where_elements(const WhereArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Walk<4>({a.condition, a.a, a.b, a.y}).parallel_rows([](const auto& at, const auto& s, std::int64_t n) {
      const bool* condition = reinterpret_cast<const bool*>(at[0]);
      const T *u = reinterpret_cast<const T*>(at[1]), *v = reinterpret_cast<const T*>(at[2]);
      T* y = reinterpret_cast<T*>(at[3]);
      for (std::int64_t i = 0; i < n; ++i) y[i * s[3]] = condition[i * s[0]] ? u[i * s[1]] : v[i * s[2]];
    });
  });
}

}  // namespace

void add_ref_elementwise() {
  constexpr DeviceType cpu = DeviceType::cpu;
#define TD_ADD(name, Name)                                                             \
  name.add(cpu, "ref", unary<math::Name>, supports<kIntegers<math::Name>, UnaryArgs>); \
  name##_backward.add(cpu, "ref", unary_backward<math::Name>, supports<false, UnaryGradArgs>);
  TD_UNARY_FUNCTORS(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "ref", binary<math::Name>, supports<kIntegers<math::Name>, BinaryArgs>);
  TD_BINARY_FUNCTORS(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "ref", compare<math::Name>, supports<true, BinaryArgs>);
  TD_COMPARE_FUNCTORS(TD_ADD)
#undef TD_ADD
  where.add(cpu, "ref", where_elements);
}

}  // namespace tapedeck::kernels
