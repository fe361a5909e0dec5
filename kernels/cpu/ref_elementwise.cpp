// Reference elementwise kernels: reals are computed in double and rounded once, integers exactly and then wrapped.
#include <tapedeck/kernels/common/elementwise_math.h>
#include <tapedeck/kernels/cpu/half.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>

#include <type_traits>

namespace tapedeck::kernels {
namespace {

__extension__ typedef __int128 Wide;
template <class T>
using Compute = std::conditional_t<std::is_floating_point_v<T> || kHalf<T>, double, Wide>;
template <class T>
Compute<T> load(T v) {
  if constexpr (kHalf<T>)
    return v.to_float();
  else
    return static_cast<Compute<T>>(v);
}
template <class T>
T store(Compute<T> v) {
  if constexpr (kHalf<T>)
    return round_half<T>(v);
  else
    return static_cast<T>(v);
}

template <class F>
constexpr bool any_of() {
  return false;
}
template <class F, class First, class... Rest>
constexpr bool any_of() {
  return std::is_same_v<F, First> || any_of<F, Rest...>();
}
template <class F>
constexpr bool kIntegers =
    any_of<F, math::Neg, math::Abs, math::Square, math::Relu, math::Clamp, math::Hardtanh, math::AddScalar,
           math::MulScalar, math::Sign, math::Floor, math::Ceil, math::Round, math::Trunc, math::Add, math::Sub,
           math::Mul, math::Maximum, math::Minimum, math::Fmod, math::Remainder, math::Addcmul>();
// What bf16 and f16 have: gradients gather and are scaled in them.
template <class F>
constexpr bool kHalves =
    any_of<F, math::Neg, math::AddScalar, math::MulScalar, math::Add, math::Sub, math::Mul, math::Div>();

template <class Args>
const char* takes_reals(const Args& a) {
  const DType t = a.dtype();
  return t == DType::f32 || t == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
template <class Args>
const char* takes_integers(const Args& a) {
  return takes_reals(a) && is_real(a.dtype()) ? "dtype is not f32, f64 or an integer" : nullptr;
}
template <class F, class Args>
const char* takes(const Args& a) {
  if (kHalves<F> && (a.dtype() == DType::bf16 || a.dtype() == DType::f16)) return nullptr;
  return kIntegers<F> ? takes_integers(a) : takes_reals(a);
}

// Limits of clamp are infinite by default: saturated, since a conversion out of range is undefined.
template <class C, class T>
C parameter(double p) {
  if constexpr (kHalf<T>)
    return static_cast<float>(p);  // not rounded to 16 bits, as in PyTorch
  else if constexpr (std::is_floating_point_v<T>)
    return static_cast<C>(static_cast<T>(p));
  else
    return static_cast<C>(p < -0x1p62 ? -0x1p62 : p > 0x1p62 ? 0x1p62 : p);
}

// A row of n elements: pointers to the operands' first ones (the output last), strides in elements.
template <std::size_t N>
using Row = void (*)(const std::array<char*, N>& at, const std::int64_t* s, std::int64_t n, double p0, double p1);

// rows<T> for the element type; one walk for all functions.
template <std::size_t N>
void walk(const std::array<TensorView, N>& views, Row<N> row, double p0, double p1) {
  Walk<static_cast<int>(N)>(views).parallel_rows(
      [=](const auto& at, const auto& s, std::int64_t n) { row(at, s, n, p0, p1); });
}

template <class T>
struct Type {
  using type = T;
};
// row(Type<T>) is the row function of element type T.
template <bool integers, bool halves, std::size_t N, class Choose>
void walk(DType t, const std::array<TensorView, N>& views, Choose row, double p0 = 0, double p1 = 0) {
  if (t == DType::f32) return walk<N>(views, row(Type<float>()), p0, p1);
  if (t == DType::f64) return walk<N>(views, row(Type<double>()), p0, p1);
  if constexpr (halves) {
    if (t == DType::bf16) return walk<N>(views, row(Type<BFloat16>()), p0, p1);
    if (t == DType::f16) return walk<N>(views, row(Type<Float16>()), p0, p1);
  }
  if constexpr (integers) {
    if (t == DType::i64) return walk<N>(views, row(Type<std::int64_t>()), p0, p1);
    if (t == DType::i32) return walk<N>(views, row(Type<std::int32_t>()), p0, p1);
    if (t == DType::u8) return walk<N>(views, row(Type<std::uint8_t>()), p0, p1);
    if (t == DType::boolean) return walk<N>(views, row(Type<bool>()), p0, p1);
  }
}
template <class T>
T* data(char* p) {
  return reinterpret_cast<T*>(p);
}

template <class F, class T>
void unary_row(const std::array<char*, 2>& at, const std::int64_t* s, std::int64_t n, double p0, double p1) {
  using C = Compute<T>;
  const C p = parameter<C, T>(p0), q = parameter<C, T>(p1);
  for (std::int64_t i = 0; i < n; ++i)
    data<T>(at[1])[i * s[1]] = store<T>(F::value(load(data<T>(at[0])[i * s[0]]), p, q));
}
template <class F, class T>
void grad_row(const std::array<char*, 4>& at, const std::int64_t* s, std::int64_t n, double p0, double p1) {
  const double p = parameter<double, T>(p0), q = parameter<double, T>(p1);
  const auto in = [&](std::size_t k, std::int64_t i) { return static_cast<double>(data<T>(at[k])[i * s[k]]); };
  for (std::int64_t i = 0; i < n; ++i)
    data<T>(at[3])[i * s[3]] = static_cast<T>(F::grad(in(0, i), in(1, i), in(2, i), p, q));
}
template <class F, class T>
void predicate_row(const std::array<char*, 2>& at, const std::int64_t* s, std::int64_t n, double, double) {
  for (std::int64_t i = 0; i < n; ++i) data<bool>(at[1])[i * s[1]] = F::value(data<T>(at[0])[i * s[0]]);
}
template <class F, class T>
void binary_row(const std::array<char*, 3>& at, const std::int64_t* s, std::int64_t n, double, double) {
  for (std::int64_t i = 0; i < n; ++i)
    data<T>(at[2])[i * s[2]] = store<T>(F::value(load(data<T>(at[0])[i * s[0]]), load(data<T>(at[1])[i * s[1]])));
}
template <class F, class T>
void compare_row(const std::array<char*, 3>& at, const std::int64_t* s, std::int64_t n, double, double) {
  for (std::int64_t i = 0; i < n; ++i)
    data<bool>(at[2])[i * s[2]] = F::value(data<T>(at[0])[i * s[0]], data<T>(at[1])[i * s[1]]);
}
template <class F, class T>
void ternary_row(const std::array<char*, 4>& at, const std::int64_t* s, std::int64_t n, double p0, double) {
  using C = Compute<T>;
  const C p = parameter<C, T>(p0);
  const auto in = [&](std::size_t k, std::int64_t i) { return static_cast<C>(data<T>(at[k])[i * s[k]]); };
  for (std::int64_t i = 0; i < n; ++i)
    data<T>(at[3])[i * s[3]] = static_cast<T>(F::value(in(0, i), in(1, i), in(2, i), p));
}

template <class F>
void unary(const UnaryArgs& a) {
  walk<kIntegers<F>, kHalves<F>, 2>(
      a.dtype(), {a.x, a.y}, []<class T>(Type<T>) { return unary_row<F, T>; }, a.p0, a.p1);
}
template <class F>
void unary_backward(const UnaryGradArgs& a) {
  walk<false, false, 4>(
      a.dtype(), {a.gy, a.x, a.y, a.gx}, []<class T>(Type<T>) { return grad_row<F, T>; }, a.p0, a.p1);
}
template <class F>
void predicate(const UnaryArgs& a) {
  walk<true, false, 2>(a.dtype(), {a.x, a.y}, []<class T>(Type<T>) { return predicate_row<F, T>; });
}
template <class F>
void binary(const BinaryArgs& a) {
  walk<kIntegers<F>, kHalves<F>, 3>(a.dtype(), {a.a, a.b, a.y}, []<class T>(Type<T>) { return binary_row<F, T>; });
}
template <class F>
void compare(const BinaryArgs& a) {
  walk<true, false, 3>(a.dtype(), {a.a, a.b, a.y}, []<class T>(Type<T>) { return compare_row<F, T>; });
}
template <class F>
void ternary(const TernaryArgs& a) {
  walk<kIntegers<F>, false, 4>(
      a.dtype(), {a.a, a.b, a.c, a.y}, []<class T>(Type<T>) { return ternary_row<F, T>; }, a.p0);
}
template <class F, class Args>
constexpr auto kSupports = takes<F, Args>;

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
#define TD_ADD(name, Name)                                                   \
  name.add(cpu, "ref", unary<math::Name>, kSupports<math::Name, UnaryArgs>); \
  name##_backward.add(cpu, "ref", unary_backward<math::Name>, takes_reals<UnaryGradArgs>);
  TD_UNARY_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "ref", unary<math::Name>, kSupports<math::Name, UnaryArgs>);
  TD_MAP_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "ref", predicate<math::Name>, takes_integers<UnaryArgs>);
  TD_PREDICATE_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "ref", binary<math::Name>, kSupports<math::Name, BinaryArgs>);
  TD_BINARY_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "ref", compare<math::Name>, takes_integers<BinaryArgs>);
  TD_COMPARE_LIST(TD_ADD)
#undef TD_ADD
#define TD_ADD(name, Name) name.add(cpu, "ref", ternary<math::Name>, kSupports<math::Name, TernaryArgs>);
  TD_TERNARY_LIST(TD_ADD)
#undef TD_ADD
  where.add(cpu, "ref", where_elements);
}

}  // namespace tapedeck::kernels
