// Elementwise functions of one, two and three arguments. T is double, a vector of float or of double, or a wide
// integer; it has + - * / and comparisons, construction from double, and the functions of scalar_math.h found beside it
// (a vector of float: those that functors with kWide = false use). `grad` is the incoming gradient times f'(x), by x or
// by y = f(x).
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

// (1 - x^2)^(1/2) without cancellation.
template <class T>
TD_HD inline T root_of_one_minus_square(T x) {
  return sqrt((T(1) - x) * (T(1) + x));
}
// gelu's tanh form is x logistic(2 (2/pi)^(1/2) (x + 0.044715 x^3)).
template <class T>
TD_HD inline T gelu_argument(T x) {
  return x * (T(1.5957691216057307118) + T(0.071354816272600244878) * x * x);
}
template <class T>
TD_HD inline T gelu_tanh_grad(T x) {
  const T u = gelu_argument(x), s = logistic(u);
  return s * (T(1) + x * logistic(-u) * (T(1.5957691216057307118) + T(0.21406444881780073463) * x * x));
}
// Beyond these bounds x / (1 + |x|) is 1 in any precision; Inf / Inf is kept away.
template <class T>
TD_HD inline T bounded(T x) {
  return select(x < T(-1e18), T(-1e18), select(x > T(1e18), T(1e18), x));
}
template <class T>
TD_HD inline T hard_step(T x) {
  return select(x <= T(-3), T(0), select(x >= T(3), T(1), (x + T(3)) / T(6)));
}
// x + sin^2(alpha x) / alpha, and x where alpha is 0 or x infinite.
template <class T>
TD_HD inline T snake_value(T x, T alpha) {
  const T s = sin(alpha * x);
  return select((alpha == T(0)) | (abs(x) > T(1e300)), x, x + s * s / alpha);
}
// fmod's result moved to the sign of the divisor.
template <class T>
TD_HD inline T with_sign_of(T r, T b) {
  return select(((r < T(0)) & (b > T(0))) | ((r > T(0)) & (b < T(0))), r + b, r);
}
template <class T>
TD_HD inline T expm1_of(T x) {  // keeps the sign of zero
  return select(x == T(0), x, expm1(x));
}
inline constexpr double kSelu = 1.0507009873554804934, kSeluAlpha = kSelu * 1.6732632423543772848;

TD_UNARY(Abs, false, abs(x), select(x > T(0), g, select(x < T(0), -g, x* T(0))))
TD_UNARY(Exp, false, exp(x), g* y)
TD_UNARY(Expm1, true, expm1_of(x), g* exp(x))
TD_UNARY(Log, true, log(x), g / x)
TD_UNARY(Log1p, true, select(x == T(0), x, log1p(x)), g / (x + T(1)))
TD_UNARY(Log2, true, log2(x), g / (x * T(0.69314718055994530942)))
TD_UNARY(Log10, true, log10(x), g / (x * T(2.30258509299404568402)))
TD_UNARY(Sqrt, false, sqrt(x), T(0.5) * g / y)
TD_UNARY(Rsqrt, true, T(1) / sqrt(x), T(-0.5) * g * y * y * y)
TD_UNARY(Square, false, x* x, T(2) * g * x)
TD_UNARY(Reciprocal, false, T(1) / x, -(g* y* y))
TD_UNARY(Sin, true, sin(x), g* cos(x))
TD_UNARY(Cos, true, cos(x), -(g* sin(x)))
TD_UNARY(Tan, true, tan(x), g*(T(1) + y * y))
TD_UNARY(Asin, true, asin(x), g / root_of_one_minus_square(x))
TD_UNARY(Acos, true, acos(x), -(g / root_of_one_minus_square(x)))
TD_UNARY(Atan, true, atan(x), g / (T(1) + x * x))
TD_UNARY(Sinh, true, sinh(x), g* cosh(x))
TD_UNARY(Cosh, true, cosh(x), g* sinh(x))
TD_UNARY(Asinh, true, asinh(x), g / select(abs(x) > T(1e9), abs(x), sqrt(x* x + T(1))))
TD_UNARY(Acosh, true, acosh(x), g / (sqrt(x - T(1)) * sqrt(x + T(1))))
TD_UNARY(Atanh, true, atanh(x), g / ((T(1) - x) * (T(1) + x)))
TD_UNARY(Erf, true, erf(x), g*(exp(-(x* x)) * T(1.1283791670955125739)))
TD_UNARY(Erfc, true, erfc(x), -(g*(exp(-(x* x)) * T(1.1283791670955125739))))
TD_UNARY(Clamp, false, select(x < p, p, select(x > q, q, x)), select(x < p, T(0), select(x > q, T(0), g)))
TD_UNARY(PowScalar, true, pow(x, p), select(p == T(0), T(0), g*(p* pow(x, p - T(1)))))

TD_UNARY(Sigmoid, false, logistic(x), g*(y*(T(1) - y)))
TD_UNARY(Logsigmoid, true, -softplus_of(-x), g* logistic(-x))
TD_UNARY(Tanh, false, tanh(x), g*((T(1) - y) * (T(1) + y)))
TD_UNARY(Relu, false, select(x <= T(0), T(0), x), select(x <= T(0), T(0), g))
TD_UNARY(LeakyRelu, false, select(x > T(0), x, x* p), select(x > T(0), g, g* p))
TD_UNARY(Elu, false, select(x > T(0), x, p* expm1_of(x)), select(x > T(0), g, g*(p* exp(x))))
TD_UNARY(Selu, false, select(x > T(0), x* T(kSelu), T(kSeluAlpha) * expm1_of(x)),
         g* select(x > T(0), T(kSelu), T(kSeluAlpha) * exp(x)))
TD_UNARY(Celu, true, select(x > T(0), x, p* expm1_of(x / p)), select(x > T(0), g, g* exp(x / p)))
TD_UNARY(Gelu, true, select(x > T(0), x, tamed(x)) * normal_cdf(x), g* gelu_grad(tamed(x)))
TD_UNARY(GeluTanh, true, select(x > T(0), x, tamed(x)) * logistic(gelu_argument(tamed(x))), g* gelu_tanh_grad(tamed(x)))
TD_UNARY(Silu, true, select(x > T(0), x, tamed(x)) * logistic(x), g* silu_grad(tamed(x)))
TD_UNARY(Mish, true, mish_value(select(x < T(-1000), T(-1000), x)), g* mish_grad(tamed(x)))
TD_UNARY(Softplus, true, select(x* p > q, x, softplus_of(x* p) / p), select(x* p > q, g, g* logistic(x* p)))
TD_UNARY(Softsign, false, bounded(x) / (T(1) + abs(bounded(x))), g / (T(1) + abs(x)) / (T(1) + abs(x)))
TD_UNARY(Softshrink, false, select(x > p, x - p, select(x < -p, x + p, select(x == x, T(0), x))),
         select(abs(x) <= p, T(0), g))
TD_UNARY(Hardshrink, false, select(abs(x) <= p, T(0), x), select(abs(x) <= p, T(0), g))
TD_UNARY(Hardtanh, false, select(x < p, p, select(x > q, q, x)), select(x <= p, T(0), select(x >= q, T(0), g)))
TD_UNARY(Hardsigmoid, false, hard_step(x), select(x <= T(-3), T(0), select(x >= T(3), T(0), g / T(6))))
TD_UNARY(Hardswish, false, select(x > T(0), x, tamed(x)) * hard_step(x),
         g* select(x < T(-3), T(0), select(x > T(3), T(1), x / T(3) + T(0.5))))

// Without a kernel of their gradient.
#define TD_MAP(Name, expression)                                                   \
  struct Name {                                                                    \
    static constexpr bool kWide = false;                                           \
    template <class T>                                                             \
    static TD_HD inline T value(T x, [[maybe_unused]] T p, [[maybe_unused]] T q) { \
      return expression;                                                           \
    }                                                                              \
  };
TD_MAP(Neg, -x)
TD_MAP(AddScalar, x + p)
TD_MAP(MulScalar, x* p)
TD_MAP(Sign, select(x > T(0), T(1), select(x < T(0), T(-1), T(0))))  // NaN gives 0
TD_MAP(Floor, floor(x))
TD_MAP(Ceil, ceil(x))
TD_MAP(Round, round(x))  // half to even
TD_MAP(Trunc, trunc(x))
TD_MAP(Frac, x - trunc(x))
#undef TD_MAP
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
TD_BINARY(Fmod, true, fmod(a, b))
TD_BINARY(Remainder, true, with_sign_of(fmod(a, b), b))
TD_BINARY(Atan2, true, atan2(a, b))
TD_BINARY(Hypot, true, hypot(a, b))
TD_BINARY(Prelu, false, select(a > T(0), a, a* b))
TD_BINARY(Snake, true, snake_value(a, b))
#undef TD_BINARY

#define TD_TERNARY(Name, expression)                                   \
  struct Name {                                                        \
    static constexpr bool kWide = true;                                \
    template <class T>                                                 \
    static TD_HD inline T value(T a, T b, T c, [[maybe_unused]] T p) { \
      return expression;                                               \
    }                                                                  \
  };
TD_TERNARY(Lerp, select(abs(c) < T(0.5), a + c * (b - a), b - (b - a) * (T(1) - c)))  // exact at both ends
TD_TERNARY(Addcmul, a + p * b * c)
TD_TERNARY(Addcdiv, a + p * b / c)
#undef TD_TERNARY

// Comparisons and predicates of scalars give bool.
#define TD_COMPARE(Name, expression)           \
  struct Name {                                \
    template <class T>                         \
    static TD_HD inline bool value(T a, T b) { \
      return expression;                       \
    }                                          \
  };
TD_COMPARE(Eq, a == b)
TD_COMPARE(Ne, a != b)
TD_COMPARE(Lt, a < b)
TD_COMPARE(Le, a <= b)
TD_COMPARE(Gt, a > b)
TD_COMPARE(Ge, a >= b)
TD_COMPARE(And, a != T(0) && b != T(0))
TD_COMPARE(Or, a != T(0) || b != T(0))
TD_COMPARE(Xor, (a != T(0)) != (b != T(0)))
#undef TD_COMPARE

#define TD_PREDICATE(Name, expression)    \
  struct Name {                           \
    template <class T>                    \
    static TD_HD inline bool value(T x) { \
      return expression;                  \
    }                                     \
  };
TD_PREDICATE(Isnan, !(x == x))
TD_PREDICATE(Isinf, x == x && !(x - x == T(0)))
TD_PREDICATE(Isfinite, x - x == T(0))
TD_PREDICATE(Not, x == T(0))
#undef TD_PREDICATE

}  // namespace tapedeck::kernels::TD_MATH_NAMESPACE
#undef TD_MATH_NAMESPACE
