// Elementwise kernels. Any strides, stride 0 included: the op has broadcast all views to the shape of y.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y = f(x). p0, p1: parameters of the few that have them (leaky_relu: slope; clamp, hardtanh: low, high; softplus:
// beta, threshold; pow_scalar: exponent; …).
struct UnaryArgs {
  TensorView x, y;
  double p0 = 0, p1 = 0;
  DType dtype() const { return x.dtype; }
};
// gx = gy * f'(x), written with x and y = f(x), whichever is cheaper (both are given).
struct UnaryGradArgs {
  TensorView gy, x, y, gx;
  double p0 = 0, p1 = 0;
  DType dtype() const { return x.dtype; }
};
// The lists X(slot, functor): a functor in common/elementwise_math.h defines the function, and its line here makes its
// slot, its kernels and its registration. Functions of one argument, with the slot `name_backward` of their gradient:
// clang-format off
#define TD_MATH_LIST(X)                                                                                             \
  X(abs, Abs) X(exp, Exp) X(expm1, Expm1) X(log, Log) X(log1p, Log1p) X(log2, Log2) X(log10, Log10) X(sqrt, Sqrt)   \
  X(rsqrt, Rsqrt) X(square, Square) X(reciprocal, Reciprocal) X(sin, Sin) X(cos, Cos) X(tan, Tan) X(asin, Asin)     \
  X(acos, Acos) X(atan, Atan) X(sinh, Sinh) X(cosh, Cosh) X(asinh, Asinh) X(acosh, Acosh) X(atanh, Atanh)           \
  X(erf, Erf) X(erfc, Erfc) X(clamp, Clamp) X(pow_scalar, PowScalar)
#define TD_ACTIVATION_LIST(X)                                                                                       \
  X(sigmoid, Sigmoid) X(logsigmoid, Logsigmoid) X(tanh, Tanh) X(relu, Relu) X(leaky_relu, LeakyRelu) X(elu, Elu)    \
  X(selu, Selu) X(celu, Celu) X(gelu, Gelu) X(gelu_tanh, GeluTanh) X(silu, Silu) X(mish, Mish) X(softplus, Softplus) \
  X(softsign, Softsign) X(softshrink, Softshrink) X(hardshrink, Hardshrink) X(hardtanh, Hardtanh)                   \
  X(hardsigmoid, Hardsigmoid) X(hardswish, Hardswish)
#define TD_UNARY_LIST(X) TD_MATH_LIST(X) TD_ACTIVATION_LIST(X)
// Without one: their gradient is another op, or nothing.
#define TD_MAP_LIST(X)                                                                                              \
  X(neg, Neg) X(add_scalar, AddScalar) X(mul_scalar, MulScalar) X(sign, Sign) X(floor, Floor) X(ceil, Ceil)         \
  X(round, Round) X(trunc, Trunc) X(frac, Frac)
#define TD_PREDICATE_LIST(X) X(isnan, Isnan) X(isinf, Isinf) X(isfinite, Isfinite) X(logical_not, Not)  // y is bool
// clang-format on
#define TD_DECLARE(name, Name)       \
  extern KernelSlot<UnaryArgs> name; \
  extern KernelSlot<UnaryGradArgs> name##_backward;
TD_UNARY_LIST(TD_DECLARE)
#undef TD_DECLARE
#define TD_DECLARE(name, Name) extern KernelSlot<UnaryArgs> name;
TD_MAP_LIST(TD_DECLARE)
TD_PREDICATE_LIST(TD_DECLARE)
#undef TD_DECLARE

// y = f(a, b); integers too (division of integers is refused by the op, a divisor 0 of fmod and remainder as well).
struct BinaryArgs {
  TensorView a, b, y;
  DType dtype() const { return a.dtype; }
};
// clang-format off
#define TD_BINARY_LIST(X)                                                                                           \
  X(add, Add) X(sub, Sub) X(mul, Mul) X(div, Div) X(maximum, Maximum) X(minimum, Minimum) X(pow, Pow) X(fmod, Fmod) \
  X(remainder, Remainder) X(atan2, Atan2) X(hypot, Hypot) X(prelu, Prelu) X(snake, Snake)
#define TD_COMPARE_LIST(X) /* y is bool */                                                                          \
  X(eq, Eq) X(ne, Ne) X(lt, Lt) X(le, Le) X(gt, Gt) X(ge, Ge) X(logical_and, And) X(logical_or, Or)                 \
  X(logical_xor, Xor)
// clang-format on
#define TD_DECLARE(name, Name) extern KernelSlot<BinaryArgs> name;
TD_BINARY_LIST(TD_DECLARE)
TD_COMPARE_LIST(TD_DECLARE)
#undef TD_DECLARE

// y = f(a, b, c). p0: value of addcmul (a + value b c) and addcdiv (a + value b / c); lerp: c is the weight.
struct TernaryArgs {
  TensorView a, b, c, y;
  double p0 = 0;
  DType dtype() const { return a.dtype; }
};
#define TD_TERNARY_LIST(X) X(lerp, Lerp) X(addcmul, Addcmul) X(addcdiv, Addcdiv)
#define TD_DECLARE(name, Name) extern KernelSlot<TernaryArgs> name;
TD_TERNARY_LIST(TD_DECLARE)
#undef TD_DECLARE

struct WhereArgs {
  TensorView condition /*bool*/, a, b, y;
  DType dtype() const { return a.dtype; }
};
extern KernelSlot<WhereArgs> where;

// y = x converted to y's dtype (any pair, any strides). Real to integer truncates; NaN becomes 0; out of range
// saturates.
struct CopyArgs {
  TensorView x, y;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<CopyArgs> copy;

// y = value everywhere.
struct FillArgs {
  TensorView y;
  double value = 0;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<FillArgs> fill;

// gated_activation: x [..., 2C] (plus condition c of the same shape, when given) -> y [..., C] = tanh(u[:C]) *
// sigmoid(u[C:]), u = x + c. x, c, y: last dimension contiguous, outer dimensions any strides.
struct GateArgs {
  TensorView x, c, y;
  DType dtype() const { return x.dtype; }
};
struct GateGradArgs {
  TensorView gy, x, c, gx;  // gx [..., 2C]; it is the gradient of c as well
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<GateArgs> gated_activation;
extern KernelSlot<GateGradArgs> gated_activation_backward;

}  // namespace tapedeck::kernels
