// Elementwise functions of one and two arguments. T is double, a vector of float or of double, or a wide integer; it
// has
// + - * / and comparisons, construction from double, and select, abs, sqrt, exp, expm1, log, log1p, sin, cos, tanh, pow
// and normal_cdf, found beside it. `grad` is the incoming gradient times f'(x), by x or by y = f(x).
// kWide: a float argument is evaluated in double, because float loses the result to cancellation or range.
// SIMD files include this once per target, with TD_MATH_NAMESPACE set to the target's namespace; others get `math`.
#ifndef TD_MATH_NAMESPACE
#pragma once
#define TD_MATH_NAMESPACE math
#endif
#include <tapedeck/kernels/common/scalar_math.h>

namespace tapedeck::kernels::TD_MATH_NAMESPACE {

// Unary: p, q are the parameters p0, p1 of UnaryArgs.
#define TD_UNARY(Name, wide, value_expression, grad_expression)                                                        \
  struct Name {                                                                                                        \
    static constexpr bool kWide = wide;                                                                                \
    template <class T>                                                                                                 \
    static TD_HD inline T value([[maybe_unused]] T x, [[maybe_unused]] T p, [[maybe_unused]] T q) {                    \
      return value_expression;                                                                                         \
    }                                                                                                                  \
    template <class T>                                                                                                 \
    static TD_HD inline T grad([[maybe_unused]] T g, [[maybe_unused]] T x, [[maybe_unused]] T y, [[maybe_unused]] T p, \
                               [[maybe_unused]] T q) {                                                                 \
      return grad_expression;                                                                                          \
    }                                                                                                                  \
  };

// Beyond these bounds the sigmoid is 0 or 1 in any precision; clamping keeps Inf * 0 away. NaN passes.
template <class T>
TD_HD inline T tamed(T x) {
  return select(x < T(-1000), T(-1000), select(x > T(1000), T(1000), x));
}
// The form below 0 keeps subnormal results.
template <class T>
TD_HD inline T logistic(T x) {
  const T e = exp(-abs(x));
  return select(x < T(0), e, T(1)) / (T(1) + e);
}
template <class T>
TD_HD inline T softplus_of(T x) {
  return select(x < T(0), T(0), x) + log1p(exp(-abs(x)));
}
template <class T>
TD_HD inline T silu_grad(T x) {
  const T s = logistic(x);
  return s * (T(1) + x * logistic(-x));
}
// tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2); it is 1 in double from 40 on.
template <class T>
TD_HD inline T mish_value(T x) {
  const T e = exp(select(x > T(40), T(40), x));
  const T n = e * (e + T(2));
  return x * (n / (n + T(2)));
}
template <class T>
TD_HD inline T mish_grad(T x) {
  const T e = exp(select(x > T(40), T(40), x));
  const T n = e * (e + T(2));
  return n / (n + T(2)) + x * (T(4) * e * (T(1) + e) / ((n + T(2)) * (n + T(2))));
}
template <class T>
TD_HD inline T gelu_grad(T x) {
  return normal_cdf(x) + x * (exp(T(-0.5) * x * x) * T(0.39894228040143267794));
}

TD_UNARY(Neg, false, -x, -g)
TD_UNARY(Abs, false, abs(x), select(x > T(0), g, select(x < T(0), -g, x* T(0))))
TD_UNARY(Exp, false, exp(x), g* y)
TD_UNARY(Log, true, log(x), g / x)
TD_UNARY(Log1p, true, log1p(x), g / (x + T(1)))
TD_UNARY(Sqrt, false, sqrt(x), T(0.5) * g / y)
TD_UNARY(Rsqrt, true, T(1) / sqrt(x), T(-0.5) * g * y * y * y)
TD_UNARY(Square, false, x* x, T(2) * g * x)
TD_UNARY(Reciprocal, false, T(1) / x, -(g* y* y))
TD_UNARY(Sin, true, sin(x), g* cos(x))
TD_UNARY(Cos, true, cos(x), -(g* sin(x)))
TD_UNARY(Sigmoid, false, logistic(x), g*(y*(T(1) - y)))
TD_UNARY(Logsigmoid, true, -softplus_of(-x), g* logistic(-x))
TD_UNARY(Tanh, false, tanh(x), g*((T(1) - y) * (T(1) + y)))
TD_UNARY(Relu, false, select(x <= T(0), T(0), x), select(x <= T(0), T(0), g))
TD_UNARY(LeakyRelu, false, select(x > T(0), x, x* p), select(x > T(0), g, g* p))
TD_UNARY(Elu, false, select(x > T(0), x, p* expm1(x)), select(x > T(0), g, g*(p* exp(x))))
TD_UNARY(Gelu, true, select(x > T(0), x, tamed(x)) * normal_cdf(x), g* gelu_grad(tamed(x)))
TD_UNARY(Silu, true, select(x > T(0), x, tamed(x)) * logistic(x), g* silu_grad(tamed(x)))
TD_UNARY(Mish, true, mish_value(select(x < T(-1000), T(-1000), x)), g* mish_grad(tamed(x)))
TD_UNARY(Softplus, true, softplus_of(x), g* logistic(x))
TD_UNARY(Clamp, false, select(x < p, p, select(x > q, q, x)), select(x < p, T(0), select(x > q, T(0), g)))
TD_UNARY(PowScalar, true, pow(x, p), select(p == T(0), T(0), g*(p* pow(x, p - T(1)))))
TD_UNARY(AddScalar, false, x + p, g)
TD_UNARY(MulScalar, false, x* p, g* p)
#undef TD_UNARY

#define TD_BINARY(Name, wide, expression)   \
  struct Name {                             \
    static constexpr bool kWide = wide;     \
    template <class T>                      \
    static TD_HD inline T value(T a, T b) { \
      return expression;                    \
    }                                       \
  };
TD_BINARY(Add, false, a + b)
TD_BINARY(Sub, false, a - b)
TD_BINARY(Mul, false, a* b)
TD_BINARY(Div, false, a / b)
TD_BINARY(Maximum, false, select(a > b, a, select(a == a, b, a)))  // NaN wins
TD_BINARY(Minimum, false, select(a < b, a, select(a == a, b, a)))
TD_BINARY(Pow, true, pow(a, b))
#undef TD_BINARY

// Comparisons give a mask (bool for scalars).
#define TD_COMPARE(Name, op)                                       \
  struct Name {                                                    \
    template <class T>                                             \
    static TD_HD inline auto value(T a, T b) -> decltype(a op b) { \
      return a op b;                                               \
    }                                                              \
  };
TD_COMPARE(Eq, ==)
TD_COMPARE(Ne, !=)
TD_COMPARE(Lt, <)
TD_COMPARE(Le, <=)
TD_COMPARE(Gt, >)
TD_COMPARE(Ge, >=)
#undef TD_COMPARE

}  // namespace tapedeck::kernels::TD_MATH_NAMESPACE
#undef TD_MATH_NAMESPACE

#ifndef TD_UNARY_FUNCTORS
// Slot name and functor, in the order of TD_UNARY_LIST, TD_BINARY_LIST and TD_COMPARE_LIST.
#define TD_UNARY_FUNCTORS(X)                                                                                        \
  X(neg, Neg)                                                                                                       \
  X(abs, Abs) X(exp, Exp) X(log, Log) X(log1p, Log1p) X(sqrt, Sqrt) X(rsqrt, Rsqrt) X(square, Square)               \
      X(reciprocal, Reciprocal) X(sin, Sin) X(cos, Cos) X(sigmoid, Sigmoid) X(logsigmoid, Logsigmoid) X(tanh, Tanh) \
          X(relu, Relu) X(leaky_relu, LeakyRelu) X(elu, Elu) X(gelu, Gelu) X(silu, Silu) X(mish, Mish)              \
              X(softplus, Softplus) X(clamp, Clamp) X(pow_scalar, PowScalar) X(add_scalar, AddScalar)               \
                  X(mul_scalar, MulScalar)
#define TD_BINARY_FUNCTORS(X) \
  X(add, Add) X(sub, Sub) X(mul, Mul) X(div, Div) X(maximum, Maximum) X(minimum, Minimum) X(pow, Pow)
#define TD_COMPARE_FUNCTORS(X) X(eq, Eq) X(ne, Ne) X(lt, Lt) X(le, Le) X(gt, Gt) X(ge, Ge)
#endif
