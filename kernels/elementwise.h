// Elementwise kernels. Any strides, stride 0 included: the op has broadcast all views to the shape of y.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y = f(x). p0, p1: parameters of the few that have them (leaky_relu: slope; clamp: low, high; pow_scalar: exponent;
// …).
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
// Every elementwise function of one argument: its functor in common/elementwise_math.h defines value and derivative,
// and this list makes its slots `name` and `name_backward`, its kernels and its registration.
#define TD_UNARY_LIST(X)                                                                                            \
  X(neg)                                                                                                            \
  X(abs) X(exp) X(log) X(log1p) X(sqrt) X(rsqrt) X(square) X(reciprocal) X(sin) X(cos) X(sigmoid) X(logsigmoid)     \
      X(tanh) X(relu) X(leaky_relu) X(elu) X(gelu) X(silu) X(mish) X(softplus) X(clamp) X(pow_scalar) X(add_scalar) \
          X(mul_scalar)
#define TD_DECLARE(name)             \
  extern KernelSlot<UnaryArgs> name; \
  extern KernelSlot<UnaryGradArgs> name##_backward;
TD_UNARY_LIST(TD_DECLARE)
#undef TD_DECLARE

// y = f(a, b); integers too (division of integers is refused by the op).
struct BinaryArgs {
  TensorView a, b, y;
  DType dtype() const { return a.dtype; }
};
#define TD_BINARY_LIST(X) X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(pow)
#define TD_COMPARE_LIST(X) X(eq) X(ne) X(lt) X(le) X(gt) X(ge)  // y is bool
#define TD_DECLARE(name) extern KernelSlot<BinaryArgs> name;
TD_BINARY_LIST(TD_DECLARE)
TD_COMPARE_LIST(TD_DECLARE)
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
