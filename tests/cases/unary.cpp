// Functions of one argument, held against formulas that share nothing with the kernels: in long double, rounded once.
#include "cases/unary.h"

#include <tapedeck/autograd/ops.h>

#include <cmath>

namespace tapedeck::cases {
namespace {

template <class T>
T softplus_exact(T x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
}
template <class T>
T sigmoid_exact(T x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}
// At -Inf the limit of x times something that falls faster.
template <class T>
T times(T x, T factor) {
  return std::isinf(x) && x < 0 ? T(-0.0L) : x * factor;
}
template <class T>
T gelu_exact(T x) {
  return times(x, T(0.5L) * std::erfc(-x * T(0.70710678118654752440084436210485L)));
}
template <class T>
T gelu_tanh_exact(T x) {
  const T u = T(0.79788456080286535587989211986876L) * (x + T(0.044715L) * x * x * x);
  return times(x, sigmoid_exact(2 * u));
}
template <class T>
T mish_exact(T x) {
  const T e = std::exp(std::fmin(x, T(100)));
  return times(x, e * (e + 2) / (e * (e + 2) + 2));
}
template <class T>
T between(T x, T low, T high) {
  return x < low ? low : x > high ? high : x;
}
template <class T>
T snake_exact(T x, T alpha) {
  const T s = std::sin(alpha * x);
  return std::isinf(x) ? x : x + s * s / alpha;
}
template <class T>
T softshrink_exact(T x, T lambd) {
  return std::isnan(x) ? x : x > lambd ? x - lambd : x < -lambd ? x + lambd : 0;
}
// Half to even without the rounding mode.
template <class T>
T round_exact(T x) {
  const T low = std::floor(x), up = low + 1, part = x - low;
  if (!std::isfinite(x) || low == x) return x;
  const T r = part < T(0.5L) || (part == T(0.5L) && std::fmod(low, T(2)) == 0) ? low : up;
  return std::copysign(r, x);
}

constexpr Bound kUlp{.ulps = 1}, kSmooth{.c = 4, .ulps = 3}, kActivation{.c = 4};
constexpr Wide kSelu = 1.0507009873554804934193349852946L, kSeluAlpha = 1.6732632423543772848170429916717L;

#define TD_ORACLE(...)                             \
  Oracle {                                         \
    [](Wide x) -> Wide {                           \
      using T [[maybe_unused]] = Wide;             \
      return __VA_ARGS__;                          \
    },                                             \
        [](double x) -> double {                   \
          using T [[maybe_unused]] = double;       \
          return static_cast<double>(__VA_ARGS__); \
        }                                          \
  }
#define TD_CALL(...) [](const Tensor& x) { return __VA_ARGS__; }

// clang-format off
const Unary kUnary[] = {
    // exact: rounded once
    {.op = "neg", .f = neg, .oracle = TD_ORACLE(-x)},
    {.op = "operator- unary", .f = TD_CALL(-x), .oracle = TD_ORACLE(-x)},
    {.op = "abs", .f = abs, .oracle = TD_ORACLE(std::fabs(x))},
    {.op = "sign", .f = sign, .oracle = TD_ORACLE(x > 0 ? 1 : x < 0 ? -1 : 0)},
    {.op = "floor", .f = floor, .oracle = TD_ORACLE(std::floor(x)), .low = 0.1, .high = 0.9},
    {.op = "ceil", .f = ceil, .oracle = TD_ORACLE(std::ceil(x)), .low = 0.1, .high = 0.9},
    {.op = "round", .f = round, .oracle = TD_ORACLE(round_exact(x)), .low = -0.4, .high = 0.4},
    {.op = "trunc", .f = trunc, .oracle = TD_ORACLE(std::trunc(x)), .low = -0.9, .high = 0.9},
    {.op = "frac", .f = frac, .oracle = TD_ORACLE(x - std::trunc(x)), .low = -0.9, .high = 0.9},
    {.op = "sqrt", .f = sqrt, .oracle = TD_ORACLE(std::sqrt(x)), .low = 0.5, .high = 2, .gradient = {.c = 4}},
    {.op = "square", .f = square, .oracle = TD_ORACLE(x * x), .gradient = {.c = 4}},
    {.op = "reciprocal", .f = reciprocal, .oracle = TD_ORACLE(1 / x), .low = 0.5, .high = 2, .gradient = {.c = 4}},
    {.op = "clamp", .text = "-0.5 to 0.75", .f = TD_CALL(clamp(x, -0.5, 0.75)),
     .oracle = TD_ORACLE(between(x, T(-0.5L), T(0.75L)))},
    {.op = "clamp", .text = "low only", .f = TD_CALL(clamp(x, 0.25)), .oracle = TD_ORACLE(x < T(0.25L) ? T(0.25L) : x)},
    {.op = "nan_to_num", .f = TD_CALL(nan_to_num(x, 0.5, 7, -3)),
     .oracle = TD_ORACLE(std::isnan(x) ? T(0.5L) : std::isinf(x) ? (x > 0 ? 7 : -3) : x)},
    {.op = "add scalar", .text = "1.5", .f = TD_CALL(add(x, 1.5)), .oracle = TD_ORACLE(x + T(1.5L))},
    {.op = "sub scalar", .text = "1.5", .f = TD_CALL(sub(x, 1.5)), .oracle = TD_ORACLE(x - T(1.5L))},
    {.op = "mul scalar", .text = "-1.25", .f = TD_CALL(mul(x, -1.25)), .oracle = TD_ORACLE(x * T(-1.25L))},
    {.op = "div scalar", .text = "1.75", .f = TD_CALL(div(x, 1.75)), .oracle = TD_ORACLE(x / T(1.75L))},
    {.op = "operator+ scalar", .f = TD_CALL(x + 1.5), .oracle = TD_ORACLE(x + T(1.5L))},
    {.op = "operator- scalar", .f = TD_CALL(x - 1.5), .oracle = TD_ORACLE(x - T(1.5L))},
    {.op = "operator* scalar", .f = TD_CALL(x * 1.25), .oracle = TD_ORACLE(x * T(1.25L))},
    {.op = "operator/ scalar", .f = TD_CALL(x / 1.75), .oracle = TD_ORACLE(x / T(1.75L))},
    {.op = "operator+ left", .f = TD_CALL(1.5 + x), .oracle = TD_ORACLE(x + T(1.5L))},
    {.op = "operator* left", .f = TD_CALL(1.25 * x), .oracle = TD_ORACLE(x * T(1.25L))},
    {.op = "operator- left", .f = TD_CALL(1.5 - x), .oracle = TD_ORACLE(T(1.5L) - x)},
    {.op = "operator/ left", .f = TD_CALL(2 / x), .oracle = TD_ORACLE(2 / x), .low = 0.5, .high = 2,
     .gradient = {.c = 6}},
    {.op = "relu", .f = relu, .oracle = TD_ORACLE(x <= 0 ? 0 : x)},
    {.op = "relu6", .f = relu6, .oracle = TD_ORACLE(between(x, T(0), T(6)))},
    {.op = "leaky_relu", .text = "slope 0.25", .f = TD_CALL(leaky_relu(x, 0.25)),
     .oracle = TD_ORACLE(x > 0 ? x : x * T(0.25L))},
    {.op = "hardtanh", .f = TD_CALL(hardtanh(x)), .oracle = TD_ORACLE(between(x, T(-1), T(1)))},
    {.op = "hardtanh", .text = "-0.5 to 2", .f = TD_CALL(hardtanh(x, -0.5, 2)),
     .oracle = TD_ORACLE(between(x, T(-0.5L), T(2)))},
    {.op = "softshrink", .f = TD_CALL(softshrink(x)), .oracle = TD_ORACLE(softshrink_exact(x, T(0.5L)))},
    {.op = "softshrink", .text = "lambd 0", .f = TD_CALL(softshrink(x, 0)),
     .oracle = TD_ORACLE(softshrink_exact(x, T(0)))},
    {.op = "hardshrink", .text = "lambd 0.75", .f = TD_CALL(hardshrink(x, 0.75)),
     .oracle = TD_ORACLE(std::fabs(x) <= T(0.75L) ? 0 : x)},

    // functions
    {.op = "exp", .f = exp, .oracle = TD_ORACLE(std::exp(x)), .bound = kUlp, .gradient = {.c = 4}},
    {.op = "expm1", .f = expm1, .oracle = TD_ORACLE(std::expm1(x)), .bound = kUlp, .gradient = {.c = 4}},
    {.op = "log", .f = log, .oracle = TD_ORACLE(std::log(x)), .bound = kUlp, .low = 0.5, .high = 2,
     .gradient = {.c = 4}},
    {.op = "log1p", .f = log1p, .oracle = TD_ORACLE(std::log1p(x)), .bound = kUlp, .low = -0.5, .high = 2,
     .gradient = {.c = 4}},
    {.op = "log2", .f = log2, .oracle = TD_ORACLE(std::log2(x)), .bound = kUlp, .low = 0.5, .high = 2,
     .gradient = {.c = 4}},
    {.op = "log10", .f = log10, .oracle = TD_ORACLE(std::log10(x)), .bound = kUlp, .low = 0.5, .high = 2,
     .gradient = {.c = 4}},
    {.op = "rsqrt", .f = rsqrt, .oracle = TD_ORACLE(1 / std::sqrt(x)), .bound = kUlp, .low = 0.5, .high = 2,
     .gradient = {.c = 4}},
    {.op = "sin", .f = sin, .oracle = TD_ORACLE(std::sin(x)), .bound = kUlp, .gradient = {.c = 6}},
    {.op = "cos", .f = cos, .oracle = TD_ORACLE(std::cos(x)), .bound = kUlp, .gradient = {.c = 6}},
    {.op = "tan", .f = tan, .oracle = TD_ORACLE(std::tan(x)), .bound = kUlp, .low = -1, .high = 1,
     .gradient = {.c = 6}},
    {.op = "asin", .f = asin, .oracle = TD_ORACLE(std::asin(x)), .bound = kUlp, .low = -0.8, .high = 0.8,
     .gradient = {.c = 6}},
    {.op = "acos", .f = acos, .oracle = TD_ORACLE(std::acos(x)), .bound = kUlp, .low = -0.8, .high = 0.8,
     .gradient = {.c = 6}},
    {.op = "atan", .f = atan, .oracle = TD_ORACLE(std::atan(x)), .bound = kUlp, .gradient = {.c = 6}},
    {.op = "sinh", .f = sinh, .oracle = TD_ORACLE(std::sinh(x)), .bound = kUlp, .gradient = {.c = 6}},
    {.op = "cosh", .f = cosh, .oracle = TD_ORACLE(std::cosh(x)), .bound = kUlp, .gradient = {.c = 6}},
    {.op = "asinh", .f = asinh, .oracle = TD_ORACLE(std::asinh(x)), .bound = kUlp, .gradient = {.c = 6}},
    {.op = "acosh", .f = acosh, .oracle = TD_ORACLE(std::acosh(x)), .bound = kUlp, .low = 1.25, .high = 3,
     .gradient = {.c = 6}},
    {.op = "atanh", .f = atanh, .oracle = TD_ORACLE(std::atanh(x)), .bound = kUlp, .low = -0.8, .high = 0.8,
     .gradient = {.c = 6}},
    {.op = "erf", .f = erf, .oracle = TD_ORACLE(std::erf(x)), .bound = kUlp, .gradient = {.c = 6}},
    {.op = "erfc", .f = erfc, .oracle = TD_ORACLE(std::erfc(x)), .bound = {.ulps = 3}, .gradient = {.c = 6}},
    {.op = "pow scalar", .text = "2.5", .f = TD_CALL(pow(x, 2.5)), .oracle = TD_ORACLE(std::pow(x, T(2.5L))),
     .bound = {.ulps = 2}, .low = 0.5, .high = 2, .gradient = {.c = 8}},
    {.op = "pow scalar", .text = "-3", .f = TD_CALL(pow(x, -3)), .oracle = TD_ORACLE(std::pow(x, T(-3))),
     .bound = {.ulps = 2}, .low = 0.5, .high = 2, .gradient = {.c = 8}},

    // activations
    {.op = "sigmoid", .f = sigmoid, .oracle = TD_ORACLE(sigmoid_exact(x)), .bound = kSmooth, .gradient = {.c = 6},
     .condition = [](double, double y) { return y; }},
    {.op = "logsigmoid", .f = logsigmoid, .oracle = TD_ORACLE(-softplus_exact(-x)), .bound = kSmooth,
     .gradient = {.c = 6}},
    {.op = "tanh", .f = tanh, .oracle = TD_ORACLE(std::tanh(x)), .bound = kSmooth, .gradient = {.c = 6},
     .condition = [](double, double y) { return y * y; }},
    {.op = "elu", .f = TD_CALL(elu(x)), .oracle = TD_ORACLE(x > 0 ? x : std::expm1(x)), .bound = kActivation,
     .ulps = 3, .gradient = {.c = 6}},
    {.op = "elu", .text = "alpha 2", .f = TD_CALL(elu(x, 2)), .oracle = TD_ORACLE(x > 0 ? x : 2 * std::expm1(x)),
     .bound = kActivation, .ulps = 3, .gradient = {.c = 6}},
    {.op = "selu", .f = selu,
     .oracle = TD_ORACLE(static_cast<T>(kSelu) * (x > 0 ? x : static_cast<T>(kSeluAlpha) * std::expm1(x))),
     .bound = kActivation, .ulps = 3, .gradient = {.c = 6}},
    {.op = "celu", .text = "alpha 1.5", .f = TD_CALL(celu(x, 1.5)),
     .oracle = TD_ORACLE(x > 0 ? x : T(1.5L) * std::expm1(x / T(1.5L))), .bound = kActivation, .ulps = 1,
     .gradient = {.c = 6}},
    {.op = "gelu", .f = TD_CALL(gelu(x)), .oracle = TD_ORACLE(gelu_exact(x)), .bound = kActivation, .ulps = 1,
     .gradient = {.c = 6}},
    {.op = "gelu", .text = "tanh", .f = TD_CALL(gelu(x, Approximate::tanh)), .oracle = TD_ORACLE(gelu_tanh_exact(x)),
     .bound = kActivation, .ulps = 1, .gradient = {.c = 6}},
    {.op = "silu", .f = silu, .oracle = TD_ORACLE(times(x, sigmoid_exact(x))), .bound = kActivation, .ulps = 1,
     .gradient = {.c = 8}},
    {.op = "mish", .f = mish, .oracle = TD_ORACLE(mish_exact(x)), .bound = kActivation, .ulps = 1,
     .gradient = {.c = 8}},
    {.op = "softplus", .f = TD_CALL(softplus(x)), .oracle = TD_ORACLE(x > 20 ? x : softplus_exact(x)),
     .bound = kSmooth, .gradient = {.c = 6}},
    {.op = "softplus", .text = "beta 2, threshold 3", .f = TD_CALL(softplus(x, 2, 3)),
     .oracle = TD_ORACLE(2 * x > 3 ? x : softplus_exact(2 * x) / 2), .bound = kSmooth, .gradient = {.c = 6}},
    {.op = "softsign", .f = softsign,
     .oracle = TD_ORACLE(std::isinf(x) ? std::copysign(T(1), x) : x / (1 + std::fabs(x))), .bound = kActivation,
     .ulps = 2, .gradient = {.c = 6}},
    {.op = "hardsigmoid", .f = hardsigmoid, .oracle = TD_ORACLE(between((x + 3) / 6, T(0), T(1))),
     .bound = kActivation, .ulps = 2, .gradient = {.c = 4}},
    {.op = "hardswish", .f = hardswish, .oracle = TD_ORACLE(times(x, between((x + 3) / 6, T(0), T(1)))),
     .bound = kActivation, .ulps = 3, .gradient = {.c = 6}},
    {.op = "snake", .f = TD_CALL(snake(x)), .oracle = TD_ORACLE(snake_exact(x, T(1))), .bound = {.c = 6},
     .ulps = 1, .low = -0.6, .gradient = {.c = 6}, .condition = [](double, double) { return 1.0; }},
    {.op = "snake", .text = "alpha 2.75", .f = TD_CALL(snake(x, 2.75)), .oracle = TD_ORACLE(snake_exact(x, T(2.75L))),
     .bound = {.c = 6}, .ulps = 1, .low = 0, .high = 0.7, .gradient = {.c = 6},
     .condition = [](double, double) { return 1.0; }},
};
// clang-format on
#undef TD_CALL
#undef TD_ORACLE

// What is exact or rounded once is computed in double for f64: in long double it would be rounded twice.
std::function<std::vector<Expected>(Args)> oracle_of(const Oracle& oracle, bool exact) {
  return [oracle, exact](Args x) {
    Expected r = expected_from(x[0], x[0].dtype());
    const bool f64 = x[0].dtype() == DType::f64;
    for (Wide& v : r.value) {
      v = f64 && exact ? oracle.narrow(static_cast<double>(v)) : oracle.wide(v);
      if (f64) v = static_cast<double>(v);
    }
    return std::vector{r};
  };
}

std::function<Magnitudes(Args, const Outputs&, const Tensor&)> conditioned(double (*condition)(double, double)) {
  if (!condition) return {};
  return [condition](Args x, const Outputs& y, const Tensor& gy) {
    std::vector<double> m = values_of(gy);
    const auto u = values_of(x[0]), v = values_of(y[0]);
    for (std::size_t i = 0; i < m.size(); ++i) m[i] = std::fabs(m[i] * condition(u[i], v[i]));
    return Magnitudes{m};
  };
}

// Long enough for several threads.
const Shape kLong[] = {{70001}, {9, 9001}};

struct Predicate {
  const char* op;
  Tensor (*f)(const Tensor&);
  bool (*oracle)(Wide);
};
const Predicate kPredicates[] = {{"isnan", isnan, [](Wide x) { return std::isnan(x); }},
                                 {"isinf", isinf, [](Wide x) { return std::isinf(x); }},
                                 {"isfinite", isfinite, [](Wide x) { return std::isfinite(x); }},
                                 {"logical_not", logical_not, [](Wide x) { return x == 0; }}};

void add_predicates(std::vector<OpCase>& t) {
  for (const Predicate& p : kPredicates)
    for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8, DType::boolean})
      for (const Shape& shape : shapes())
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::special, Values::ties}) {
            if (!is_real(dtype) && values == Values::special) continue;
            t.push_back({.op = p.op,
                         .text = "",
                         .inputs = {{shape, dtype, layout, values}},
                         .call = [f = p.f](Args x) { return Outputs{f(x[0])}; },
                         .oracle =
                             [f = p.oracle](Args x) {
                               Expected r = expected_from(x[0], DType::boolean);
                               for (Wide& v : r.value) v = f(v);
                               return std::vector{r};
                             },
                         .rows = 1});
          }
}

}  // namespace

// f64 references are rounded like the results; and x times a subnormal factor has up to |x| times its rounding, which
// f32 does not see because it is computed in double.
Bound for_dtype(Bound b, DType t) {
  if (t == DType::f64 && b.c > 0 && b.ulps == 0) b.subnormal = 1000;
  if (t == DType::f64 && b.c > 0) b.c += 2;
  if (t == DType::f64 && b.ulps > 0) b.ulps += 1;
  return b;
}

std::span<const Unary> unary_ops() { return kUnary; }

void add_unary(std::vector<OpCase>& t) {
  const auto add = [&](const Unary& u, const Input& in) {
    OpCase c{.op = u.op, .text = u.text, .inputs = {in}, .call = [f = u.f](Args x) { return Outputs{f(x[0])}; }};
    c.bound = for_dtype(u.bound, in.dtype);
    if (c.bound.c > 0) c.relative = Relative::slope;
    c.oracle = oracle_of(u.oracle, u.bound.c == 0 && u.bound.ulps == 0);
    c.rows = 1;
    c.differentiable = in.values == Values::normal && (in.shape.numel() < 5000 || in.dtype == DType::f32);
    c.low = u.low, c.high = u.high;
    if (in.values == Values::normal && u.low > 0)
      c.inputs[0].values = Values::range, c.inputs[0].low = 0.25, c.inputs[0].high = 4;
    c.gradient_bound = u.gradient;
    c.gradient_relative = u.gradient.c > 0 ? Relative::slope : Relative::value;
    c.gradient_magnitude = conditioned(u.condition);
    t.push_back(std::move(c));
  };
  for (const Unary& u : kUnary)
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (const Shape& shape : shapes())
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::wide, Values::special, Values::ties})
            add(u, {shape, dtype, layout, values});
      for (const Shape& shape : kLong)
        add(u, {shape, dtype, shape.rank() == 1 ? Layout::contiguous : Layout::sliced, Values::normal});
    }
  add_predicates(t);
}

}  // namespace tapedeck::cases
