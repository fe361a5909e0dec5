// Elementwise kernels by Eigen's array functions: a second implementation for contiguous f32 and f64 operands. Its exp
// and log are left out: they are wrong where the result or the argument is subnormal, and exp(-Inf) is not 0.
#define EIGEN_FAST_MATH 0
#define EIGEN_DONT_PARALLELIZE
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/elementwise.h>

#include <Eigen/Core>

namespace tapedeck::kernels {
namespace {

bool plain(const TensorView& v) { return v.contiguous() || v.numel() == 0; }

template <class T>
using Values = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;

const char* supports(const UnaryArgs& a) {
  if (a.dtype() != DType::f32 && a.dtype() != DType::f64) return "dtype is not f32 or f64";
  return plain(a.x) && plain(a.y) ? nullptr : "not contiguous";
}
const char* supports(const BinaryArgs& a) {
  if (a.dtype() != DType::f32 && a.dtype() != DType::f64) return "dtype is not f32 or f64";
  return plain(a.a) && plain(a.b) && plain(a.y) ? nullptr : "not contiguous";
}

// f(x, y) on pieces of contiguous x and y.
template <class F>
void unary(const UnaryArgs& a, F&& f) {
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    parallel_for(a.y.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      f(Values<T>(a.x.ptr<T>() + begin, end - begin), Values<T>(a.y.ptr<T>() + begin, end - begin));
    });
  };
  a.dtype() == DType::f32 ? run(float{}) : run(double{});
}
template <class F>
void binary(const BinaryArgs& a, F&& f) {
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    parallel_for(a.y.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      f(Values<T>(a.a.ptr<T>() + begin, end - begin), Values<T>(a.b.ptr<T>() + begin, end - begin),
        Values<T>(a.y.ptr<T>() + begin, end - begin));
    });
  };
  a.dtype() == DType::f32 ? run(float{}) : run(double{});
}

}  // namespace

void add_eigen_elementwise() {
  constexpr DeviceType cpu = DeviceType::cpu;
#define TD_UNARY(name, expression) \
  name.add(                        \
      cpu, "eigen", [](const UnaryArgs& a) { unary(a, [&](auto x, auto y) { y = expression; }); }, supports);
  TD_UNARY(neg, x * typename decltype(x)::Scalar(-1))  // Eigen's -x is 0 - x, which loses the sign of zero
  TD_UNARY(abs, x.abs())
  TD_UNARY(sqrt, x.sqrt())
  TD_UNARY(square, x.square())
  TD_UNARY(reciprocal, x.inverse())
  TD_UNARY(tanh, x.tanh())
  TD_UNARY(add_scalar, x + static_cast<typename decltype(x)::Scalar>(a.p0))
  TD_UNARY(mul_scalar, x * static_cast<typename decltype(x)::Scalar>(a.p0))
#undef TD_UNARY
#define TD_BINARY(name, expression) \
  name.add(                         \
      cpu, "eigen", [](const BinaryArgs& a) { binary(a, [](auto u, auto v, auto y) { y = expression; }); }, supports);
  TD_BINARY(add, u + v)
  TD_BINARY(sub, u - v)
  TD_BINARY(mul, u * v)
  TD_BINARY(div, u / v)
#undef TD_BINARY
}

}  // namespace tapedeck::kernels
