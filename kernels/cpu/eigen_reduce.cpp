// Reductions and softmax by Eigen: contiguous f32 and f64, reducing everything or the last dimension.
#define EIGEN_FAST_MATH 0
#define EIGEN_DONT_PARALLELIZE
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/reduce.h>

#include <Eigen/Core>
#include <cmath>

namespace tapedeck::kernels {
namespace {

template <class T>
using Row = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;

const char* supports_type(DType t) { return t == DType::f32 || t == DType::f64 ? nullptr : "dtype is not f32 or f64"; }
const char* supports(const ReduceArgs& a) {
  if (const char* why = supports_type(a.dtype())) return why;
  // The reduced dimensions are the last ones, and something is reduced.
  int first = a.x.rank;
  while (first > 0 && (a.dims >> (first - 1) & 1u)) --first;
  if (first == a.x.rank || (a.dims & ((1u << first) - 1u))) return "the reduced dimensions are not the last ones";
  if (a.x.numel() == 0) return "empty";
  return a.x.contiguous() && a.y.contiguous() ? nullptr : "not contiguous";
}
const char* supports(const SoftmaxArgs& a) {
  if (const char* why = supports_type(a.dtype())) return why;
  if (a.x.numel() == 0) return "empty";
  return a.x.contiguous() && a.y.contiguous() ? nullptr : "not contiguous";
}

// Eigen's exp is wrong where the result is subnormal, and not 0 at -Inf: there it is the square of half the argument's.
template <class X>
auto exponential(const X& x) {
  using T = typename X::Scalar;
  return (x < T(sizeof(T) == 4 ? -87 : -708)).select((x * T(0.5)).exp().square(), x.exp());
}

// Sums are in double.
template <class X>
double total(const X& x) {
  return x.template cast<double>().sum();
}

// f(x, y): x a row of the input, y its row (or element) of the output.
template <class F>
void rows(const TensorView& x, const TensorView& y, std::int64_t count, F&& f) {
  const std::int64_t n = x.numel() / count, m = y.numel() / count;
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    parallel_for(count, row_grain(n, 4), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) f(Row<T>(x.ptr<T>() + r * n, n), Row<T>(y.ptr<T>() + r * m, m));
    });
  };
  x.dtype == DType::f32 ? run(float{}) : run(double{});
}
template <class F>
void reduce(const ReduceArgs& a, F&& f) {
  rows(a.x, a.y, a.y.numel(), f);
}
template <class F>
void softmax_rows(const SoftmaxArgs& a, F&& f) {
  rows(a.x, a.y, a.x.rank == 0 ? 1 : a.x.numel() / a.x.sizes[a.x.rank - 1], f);
}

}  // namespace

void add_eigen_reduce() {
  constexpr DeviceType cpu = DeviceType::cpu;
#define TD_REDUCE(name, expression)                                                                      \
  name.add(                                                                                              \
      cpu, "eigen",                                                                                      \
      [](const ReduceArgs& a) {                                                                          \
        reduce(a, [](auto x, auto y) { y[0] = static_cast<typename decltype(y)::Scalar>(expression); }); \
      },                                                                                                 \
      supports);
  TD_REDUCE(sum, total(x))
  TD_REDUCE(sum_squares, total(x.template cast<double>().square()))
  TD_REDUCE(amax, x.template maxCoeff<Eigen::PropagateNaN>())
  TD_REDUCE(amin, x.template minCoeff<Eigen::PropagateNaN>())
#undef TD_REDUCE
#define TD_ROWS(name, ...) \
  name.add(                \
      cpu, "eigen", [](const SoftmaxArgs& a) { softmax_rows(a, [](auto x, auto y) { __VA_ARGS__; }); }, supports);
  TD_ROWS(softmax, y = x - x.template maxCoeff<Eigen::PropagateNaN>(); y = exponential(y);
          y /= static_cast<typename decltype(y)::Scalar>(total(y)))
  TD_ROWS(log_softmax, y = x - x.template maxCoeff<Eigen::PropagateNaN>();
          y -= static_cast<typename decltype(y)::Scalar>(std::log(total(exponential(y)))))
#undef TD_ROWS
}

}  // namespace tapedeck::kernels
