// Elementwise ops: the forward and, beside it, the rule of its gradient.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>

#include <cmath>

namespace tapedeck {
namespace {

using kernels::BinaryArgs;
using kernels::KernelSlot;
using kernels::TernaryArgs;
using kernels::UnaryArgs;
using kernels::UnaryGradArgs;

void check_number(const char* op, const Tensor& x, const char* name = "x") {
  detail::check_defined(op, name, x);
  TD_CHECK(x.dtype() != DType::boolean, DTypeError, op, ": bool tensors have no arithmetic; cast them", arg(name, x));
}

void check_scalar(const char* op, const Tensor& x, double b) {
  check_number(op, x);
  TD_CHECK(is_real(x.dtype()) || fits(b, DType::i64), DTypeError, op, ": the real scalar ", b,
           " does not fit an integer tensor; cast it", arg("x", x));
}

Tensor apply(const KernelSlot<UnaryArgs>& f, const Tensor& x, double p0 = 0, double p1 = 0) {
  Tensor y = empty_like(x);
  f(x.device(), {x, y, p0, p1});
  return y;
}

// ---- unary ----------------------------------------------------------------------------------------------------------
enum class Reads { x, y };  // what the derivative is computed from, and so what is saved
enum class Takes { reals, integers_too };

// A function of one argument. slope: f'(x) in ops, for gradients of gradients.
struct Unary {
  const char* name;
  const KernelSlot<UnaryArgs>& forward;
  const KernelSlot<UnaryGradArgs>& backward;
  Takes takes;
  Reads reads;
  Tensor (*slope)(const Tensor& saved, double p0, double p1);
};

Tensor unary(const Unary& f, const Tensor& x, double p0 = 0, double p1 = 0) {
  f.takes == Takes::reals ? detail::check_real(f.name, x) : check_number(f.name, x);
  const Tensor y = apply(f.forward, x, p0, p1);
  record(f.name, y, {&x},
         [f = &f, saved = f.reads == Reads::x ? save(x, "x") : save(y, "y"), p0, p1](const Tensor& gy, Grads& g) {
           const Tensor& s = saved.get();
           if (g.graph()) return g.give(0, mul(gy, f->slope(s, p0, p1)));
           const Tensor gx = g.over_gy();
           f->backward(gy.device(), {gy, s, s, gx, p0, p1});  // the kernel looks at one of x and y only
           g.give(0, gx);
         });
  return y;
}

Tensor number(double value, const Tensor& like) { return scalar(value, like.options()); }
Tensor as_number(const Tensor& condition, const Tensor& like) { return cast(condition, like.dtype()); }

constexpr double kErfSlope = 1.1283791670955125739;  // 2 / pi^(1/2)
constexpr double kGauss = 0.39894228040143267794;    // 1 / (2 pi)^(1/2)
constexpr double kSelu = 1.0507009873554804934, kSeluAlpha = 1.6732632423543772848;

// Of x s(v) with v = a x + b x^3: s(v) (1 + x s(-v) (a + 3 b x^2)).
Tensor gelu_tanh_slope(const Tensor& x) {
  constexpr double a = 2 * 0.79788456080286535588, b = a * 0.044715;
  const Tensor v = x * (square(x) * b + a);
  return sigmoid(v) * (1 + x * sigmoid(neg(v)) * (square(x) * (3 * b) + a));
}

}  // namespace

// One line per function: what it takes, what its derivative is computed from, and the derivative in ops.
// clang-format off
#define TD_UNARY_OP(name, takes, v, ...)                                                                    \
  Tensor name(const Tensor& argument) {                                                                     \
    static constexpr Unary f{#name, kernels::name, kernels::name##_backward, Takes::takes, Reads::v,        \
                             [](const Tensor& v, double, double) -> Tensor { return __VA_ARGS__; }};        \
    return unary(f, argument);                                                                              \
  }
TD_UNARY_OP(abs, integers_too, x, sign(x))
TD_UNARY_OP(exp, reals, y, y)
TD_UNARY_OP(expm1, reals, x, exp(x))
TD_UNARY_OP(log, reals, x, reciprocal(x))
TD_UNARY_OP(log1p, reals, x, reciprocal(x + 1))
TD_UNARY_OP(log2, reals, x, reciprocal(x) * 1.4426950408889634074)
TD_UNARY_OP(log10, reals, x, reciprocal(x) * 0.43429448190325182765)
TD_UNARY_OP(sqrt, reals, y, 0.5 / y)
TD_UNARY_OP(rsqrt, reals, y, -0.5 * (y * y * y))
TD_UNARY_OP(square, integers_too, x, x * 2)
TD_UNARY_OP(reciprocal, reals, y, neg(square(y)))
TD_UNARY_OP(sin, reals, x, cos(x))
TD_UNARY_OP(cos, reals, x, neg(sin(x)))
TD_UNARY_OP(tan, reals, y, square(y) + 1)
TD_UNARY_OP(asin, reals, x, rsqrt((1 - x) * (1 + x)))
TD_UNARY_OP(acos, reals, x, neg(rsqrt((1 - x) * (1 + x))))
TD_UNARY_OP(atan, reals, x, reciprocal(square(x) + 1))
TD_UNARY_OP(sinh, reals, x, cosh(x))
TD_UNARY_OP(cosh, reals, x, sinh(x))
TD_UNARY_OP(asinh, reals, x, rsqrt(square(x) + 1))
TD_UNARY_OP(acosh, reals, x, rsqrt((x - 1) * (x + 1)))
TD_UNARY_OP(atanh, reals, x, reciprocal((1 - x) * (1 + x)))
TD_UNARY_OP(erf, reals, x, exp(neg(square(x))) * kErfSlope)
TD_UNARY_OP(erfc, reals, x, exp(neg(square(x))) * -kErfSlope)
TD_UNARY_OP(sigmoid, reals, y, y * (1 - y))
TD_UNARY_OP(logsigmoid, reals, x, sigmoid(neg(x)))
TD_UNARY_OP(tanh, reals, y, 1 - square(y))
TD_UNARY_OP(relu, integers_too, y, as_number(gt(y, 0), y))  // y is positive where x is: x need not be kept
TD_UNARY_OP(selu, reals, x, where(gt(x, 0), number(kSelu, x), exp(minimum(x, number(0, x))) * (kSelu * kSeluAlpha)))
TD_UNARY_OP(silu, reals, x, sigmoid(x) * (1 + x * sigmoid(neg(x))))
TD_UNARY_OP(mish, reals, x, tanh(softplus(x)) + x * sigmoid(x) * (1 - square(tanh(softplus(x)))))
TD_UNARY_OP(softsign, reals, x, reciprocal(square(abs(x) + 1)))
TD_UNARY_OP(hardsigmoid, reals, x, as_number(lt(abs(x), 3), x) / 6)
TD_UNARY_OP(hardswish, reals, x, where(gt(abs(x), 3), as_number(gt(x, 0), x), x / 3 + 0.5))
#undef TD_UNARY_OP

// Functions with parameters: the description, then the function that checks them.
namespace {
#define TD_RULE(rule, op, slot, takes, v, ...)                                                              \
  constexpr Unary rule{op, kernels::slot, kernels::slot##_backward, Takes::takes, Reads::v,                 \
                       []([[maybe_unused]] const Tensor& v, [[maybe_unused]] double p, [[maybe_unused]] double q) \
                           -> Tensor { return __VA_ARGS__; }};
TD_RULE(kLeakyRelu, "leaky_relu", leaky_relu, reals, x, where(gt(x, 0), number(1, x), number(p, x)))
TD_RULE(kElu, "elu", elu, reals, x, where(gt(x, 0), number(1, x), exp(minimum(x, number(0, x))) * p))
TD_RULE(kCelu, "celu", celu, reals, x, where(gt(x, 0), number(1, x), exp(minimum(x, number(0, x)) / p)))
TD_RULE(kGelu, "gelu", gelu, reals, x, erfc(x * -0.70710678118654752440) * 0.5 + x * exp(square(x) * -0.5) * kGauss)
TD_RULE(kGeluTanh, "gelu", gelu_tanh, reals, x, gelu_tanh_slope(x))
TD_RULE(kSoftplus, "softplus", softplus, reals, x, where(gt(x * p, q), number(1, x), sigmoid(x * p)))
TD_RULE(kSoftshrink, "softshrink", softshrink, reals, x, as_number(gt(abs(x), p), x))
TD_RULE(kHardshrink, "hardshrink", hardshrink, reals, x, as_number(gt(abs(x), p), x))
TD_RULE(kHardtanh, "hardtanh", hardtanh, integers_too, x, as_number(logical_and(gt(x, p), lt(x, q)), x))
TD_RULE(kRelu6, "relu6", hardtanh, integers_too, x, as_number(logical_and(gt(x, p), lt(x, q)), x))
TD_RULE(kClamp, "clamp", clamp, integers_too, x, as_number(logical_and(ge(x, p), le(x, q)), x))
TD_RULE(kPow, "pow", pow_scalar, reals, x, p == 0 ? zeros_like(x) : pow(x, p - 1) * p)
#undef TD_RULE
// clang-format on

void check_bounds(const char* op, const Tensor& x, double low, double high) {
  for (const double bound : {low, high}) check_scalar(op, x, std::isinf(bound) ? 0 : bound);
  TD_CHECK(low <= high, ValueError, op, ": low ", low, " must not be above high ", high);
}
}  // namespace

Tensor leaky_relu(const Tensor& x, double negative_slope) { return unary(kLeakyRelu, x, negative_slope); }
Tensor elu(const Tensor& x, double alpha) { return unary(kElu, x, alpha); }
Tensor relu6(const Tensor& x) {
  return detail::composed("relu6", [&] { return unary(kRelu6, x, 0, 6); });
}
Tensor pow(const Tensor& x, double exponent) { return unary(kPow, x, exponent); }

Tensor celu(const Tensor& x, double alpha) {
  TD_CHECK(alpha != 0, ValueError, "celu: alpha must not be 0");
  return unary(kCelu, x, alpha);
}

// Computed without PyTorch's 1 + erf and 1 + tanh, which lose the left tail.
Tensor gelu(const Tensor& x, Approximate approximate) {
  return unary(approximate == Approximate::tanh ? kGeluTanh : kGelu, x);
}

Tensor softplus(const Tensor& x, double beta, double threshold) {
  TD_CHECK(beta != 0, ValueError, "softplus: beta must not be 0");
  return unary(kSoftplus, x, beta, threshold);
}

Tensor softshrink(const Tensor& x, double lambd) {
  TD_CHECK(lambd >= 0, ValueError, "softshrink: lambd ", lambd, " must not be negative");
  return unary(kSoftshrink, x, lambd);
}

Tensor hardshrink(const Tensor& x, double lambd) { return unary(kHardshrink, x, lambd); }

Tensor hardtanh(const Tensor& x, double min_val, double max_val) {
  check_bounds("hardtanh", x, min_val, max_val);
  return unary(kHardtanh, x, min_val, max_val);
}

Tensor clamp(const Tensor& x, double low, double high) {
  check_bounds("clamp", x, low, high);
  return unary(kClamp, x, low, high);
}

// ---- unary: without a kernel of the gradient ------------------------------------------------------------------------
// Steps: flat wherever they have a slope.
#define TD_STEP_OP(name)                                                                   \
  Tensor name(const Tensor& x) {                                                           \
    check_number(#name, x);                                                                \
    const Tensor y = apply(kernels::name, x);                                              \
    record(#name, y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, zeros_like(gy)); }); \
    return y;                                                                              \
  }
TD_STEP_OP(sign)
TD_STEP_OP(floor)
TD_STEP_OP(ceil)
TD_STEP_OP(round)
TD_STEP_OP(trunc)
#undef TD_STEP_OP

Tensor frac(const Tensor& x) {
  detail::check_real("frac", x);
  const Tensor y = apply(kernels::frac, x);
  record("frac", y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, gy); });
  return y;
}

namespace {
// What kernels that answer yes or no take: short forms as the f32 that they stand for.
Tensor widened(const Tensor& x) {
  const NoGrad pause;
  return x.dtype() == DType::bf16 || x.dtype() == DType::f16 ? cast(x, DType::f32) : x;
}
Tensor predicate(const char* op, const KernelSlot<UnaryArgs>& f, const Tensor& x) {
  detail::check_defined(op, "x", x);
  Tensor y = empty(x.sizes(), {DType::boolean, x.device()});
  f(x.device(), {widened(x), y});
  return y;
}
}  // namespace

Tensor isnan(const Tensor& x) { return predicate("isnan", kernels::isnan, x); }
Tensor isinf(const Tensor& x) { return predicate("isinf", kernels::isinf, x); }
Tensor isfinite(const Tensor& x) { return predicate("isfinite", kernels::isfinite, x); }
Tensor logical_not(const Tensor& x) { return predicate("logical_not", kernels::logical_not, x); }

Tensor nan_to_num(const Tensor& x, double nan, std::optional<double> posinf, std::optional<double> neginf) {
  check_number("nan_to_num", x);
  if (!is_real(x.dtype())) return clone(x);
  const double most = x.dtype() == DType::f64 ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max();
  const Tensor y = detail::composed("nan_to_num", [&] {
    const NoGrad pause;
    const double inf = std::numeric_limits<double>::infinity();
    const Tensor low = where(eq(x, -inf), number(neginf.value_or(-most), x), where(isnan(x), number(nan, x), x));
    return where(eq(x, inf), number(posinf.value_or(most), x), low);
  });
  record("nan_to_num", y, {&x},
         [x = save(x, "x")](const Tensor& gy, Grads& g) { g.give(0, where(isfinite(x.get()), gy, number(0, gy))); });
  return y;
}

Tensor neg(const Tensor& x) {
  check_number("neg", x);
  const Tensor y = apply(kernels::neg, x);
  record("neg", y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, neg(gy)); });
  return y;
}

// ---- with a scalar --------------------------------------------------------------------------------------------------
Tensor add(const Tensor& x, double b) {
  check_scalar("add", x, b);
  const Tensor y = apply(kernels::add_scalar, x, b);
  record("add", y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, gy); });
  return y;
}

Tensor sub(const Tensor& x, double b) {
  return detail::composed("sub", [&] { return add(x, -b); });
}

Tensor mul(const Tensor& x, double b) {
  check_scalar("mul", x, b);
  const Tensor y = apply(kernels::mul_scalar, x, b);
  record("mul", y, {&x}, [b](const Tensor& gy, Grads& g) { g.give(0, mul(gy, b)); });
  return y;
}

// A true division, rounded once: not a product with 1 / b.
Tensor div(const Tensor& x, double b) {
  detail::check_real("div", x);
  if (size_of(x.dtype()) == 2) return cast(div(cast(x, DType::f32), b), x.dtype());  // b is not rounded to 16 bits
  return div(x, number(b, x));
}

// ---- binary, broadcasting -------------------------------------------------------------------------------------------
namespace {

Tensor binary(const char* op, const KernelSlot<BinaryArgs>& f, const Tensor& a, const Tensor& b) {
  detail::check_same(op, "a", a, "b", b);
  check_number(op, a, "a");
  if (a.sizes() == b.sizes()) {  // most calls, and the fastest
    Tensor y = empty_like(a);
    f(y.device(), {a, b, y});
    return y;
  }
  const Shape shape = broadcast_shapes(op, a.sizes(), b.sizes());
  Tensor y = empty(shape, a.options());
  f(y.device(), {detail::broadcast(a, shape), detail::broadcast(b, shape), y});
  return y;
}

Tensor compare(const char* op, const KernelSlot<BinaryArgs>& f, const Tensor& a, const Tensor& b) {
  detail::check_same(op, "a", a, "b", b);
  const Shape shape = broadcast_shapes(op, a.sizes(), b.sizes());
  Tensor y = empty(shape, {DType::boolean, a.device()});
  const Tensor left = widened(a), right = widened(b);
  f(y.device(), {detail::broadcast(left, shape), detail::broadcast(right, shape), y});
  return y;
}

Tensor compare(const char* op, const KernelSlot<BinaryArgs>& f, const Tensor& a, double b) {
  check_scalar(op, a, b);
  return compare(op, f, a, detail::named(op, [&] { return number(b, a); }));
}

Tensor ternary(const char* op, const KernelSlot<TernaryArgs>& f, const Tensor& a, const Tensor& b, const Tensor& c,
               const char* a_name, const char* b_name, const char* c_name, double p = 0) {
  detail::check_same(op, a_name, a, b_name, b);
  detail::check_same(op, a_name, a, c_name, c);
  check_number(op, a, a_name);
  const Shape shape = broadcast_shapes(op, broadcast_shapes(op, a.sizes(), b.sizes()), c.sizes());
  Tensor y = empty(shape, a.options());
  f(y.device(), {detail::broadcast(a, shape), detail::broadcast(b, shape), detail::broadcast(c, shape), y, p});
  return y;
}

// Hands a gradient of the broadcast shape to an input: summed down to what the input is.
void give_reduced(Grads& g, int input, const Tensor& gradient) { g.give(input, sum_to(gradient, g.shape(input))); }

// maximum and minimum: the winner takes the gradient, a tie gives half to each.
Tensor extremum(const char* op, const KernelSlot<BinaryArgs>& f, const Tensor& a, const Tensor& b,
                Tensor (*wins)(const Tensor&, const Tensor&)) {
  const Tensor y = binary(op, f, a, b);
  record(op, y, {&a, &b}, [a = save(a, "a"), b = save(b, "b"), wins](const Tensor& gy, Grads& g) {
    const Tensor none = number(0, gy), tied = where(eq(a.get(), b.get()), gy * 0.5, none);
    if (g.wants(0)) give_reduced(g, 0, where(wins(a.get(), b.get()), gy, tied));
    if (g.wants(1)) give_reduced(g, 1, where(wins(b.get(), a.get()), gy, tied));
  });
  return y;
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  const Tensor y = binary("add", kernels::add, a, b);
  record("add", y, {&a, &b}, [](const Tensor& gy, Grads& g) {
    if (g.wants(0)) give_reduced(g, 0, gy);
    if (g.wants(1)) give_reduced(g, 1, gy);
  });
  return y;
}

Tensor sub(const Tensor& a, const Tensor& b) {
  const Tensor y = binary("sub", kernels::sub, a, b);
  record("sub", y, {&a, &b}, [](const Tensor& gy, Grads& g) {
    if (g.wants(0)) give_reduced(g, 0, gy);
    if (g.wants(1)) g.give(1, neg(sum_to(gy, g.shape(1))));
  });
  return y;
}

Tensor mul(const Tensor& a, const Tensor& b) {
  const Tensor y = binary("mul", kernels::mul, a, b);
  record("mul", y, {&a, &b},
         [a = detail::save_for(b, a, "a"), b = detail::save_for(a, b, "b")](const Tensor& gy, Grads& g) {
           if (g.wants(0)) give_reduced(g, 0, mul(gy, b.get()));
           if (g.wants(1)) give_reduced(g, 1, mul(gy, a.get()));
         });
  return y;
}

Tensor div(const Tensor& a, const Tensor& b) {
  detail::check_real("div", a, "a");
  const Tensor y = binary("div", kernels::div, a, b);
  record("div", y, {&a, &b}, [b = save(b, "b"), y = detail::save_for(b, y, "y")](const Tensor& gy, Grads& g) {
    const Tensor ga = div(gy, b.get());
    if (g.wants(0)) give_reduced(g, 0, ga);
    if (g.wants(1)) give_reduced(g, 1, neg(mul(ga, y.get())));
  });
  return y;
}

Tensor operator/(double a, const Tensor& b) {
  detail::check_real("div", b, "b");
  return div(number(a, b), b);
}

Tensor add(const Tensor& a, const Tensor& b, double alpha) {
  return detail::composed("add", [&] {
    detail::check_same("add", "a", a, "b", b);
    return alpha == 1 ? add(a, b) : add(a, mul(b, alpha));
  });
}
Tensor sub(const Tensor& a, const Tensor& b, double alpha) {
  return detail::composed("sub", [&] {
    detail::check_same("sub", "a", a, "b", b);
    return alpha == 1 ? sub(a, b) : sub(a, mul(b, alpha));
  });
}

Tensor maximum(const Tensor& a, const Tensor& b) { return extremum("maximum", kernels::maximum, a, b, gt); }
Tensor minimum(const Tensor& a, const Tensor& b) { return extremum("minimum", kernels::minimum, a, b, lt); }
Tensor max(const Tensor& a, const Tensor& b) {
  return detail::composed("max", [&] { return maximum(a, b); });
}
Tensor min(const Tensor& a, const Tensor& b) {
  return detail::composed("min", [&] { return minimum(a, b); });
}

// d/da = b a^(b-1), 0 where b is 0; d/db = y log a, 0 where a is 0 and b is not negative.
Tensor pow(const Tensor& a, const Tensor& b) {
  detail::check_real("pow", a, "a");
  const Tensor y = binary("pow", kernels::pow, a, b);
  record("pow", y, {&a, &b},
         [a = save(a, "a"), b = save(b, "b"), y = detail::save_for(b, y, "y")](const Tensor& gy, Grads& g) {
           const Tensor &base = a.get(), &exponent = b.get(), none = number(0, gy);
           if (g.wants(0)) {
             const Tensor slope = exponent * pow(base, exponent - 1);
             give_reduced(g, 0, gy * where(eq(exponent, none), none, slope));
           }
           if (g.wants(1)) {
             const Tensor slope = y.get() * log(base);
             const Tensor flat = where(eq(base, none), ge(exponent, none), full({}, 0, {DType::boolean, gy.device()}));
             give_reduced(g, 1, gy * where(flat, none, slope));
           }
         });
  return y;
}

Tensor pow(double base, const Tensor& exponent) {
  detail::check_real("pow", exponent, "exponent");
  return pow(number(base, exponent), exponent);
}

namespace {
// fmod and remainder: y = a - q b with a whole q, which the gradient of b is the negative of. Found from y, since
// rounding a / b may step over a whole number.
Tensor modulo(const char* op, const KernelSlot<BinaryArgs>& f, const Tensor& a, const Tensor& b) {
  if (b.defined() && !is_real(b.dtype()) && b.numel() > 0 && b.dtype() != DType::boolean) {
    detail::check_same(op, "a", a, "b", b);
    TD_CHECK(sum(eq(b, number(0, b))).item() == 0, ValueError, op, ": the divisor of an integer must not be 0",
             arg("b", b));
  }
  const Tensor y = binary(op, f, a, b);
  record(
      op, y, {&a, &b},
      [a = detail::save_for(b, a, "a"), b = save(b, "b"), y = detail::save_for(b, y, "y")](const Tensor& gy, Grads& g) {
        if (g.wants(0)) give_reduced(g, 0, gy);
        if (g.wants(1)) give_reduced(g, 1, neg(gy * round((a.get() - y.get()) / b.get())));
      });
  return y;
}
}  // namespace

Tensor fmod(const Tensor& a, const Tensor& b) { return modulo("fmod", kernels::fmod, a, b); }
Tensor remainder(const Tensor& a, const Tensor& b) { return modulo("remainder", kernels::remainder, a, b); }
Tensor fmod(const Tensor& a, double b) {
  check_scalar("fmod", a, b);
  return fmod(a, detail::named("fmod", [&] { return number(b, a); }));
}
Tensor remainder(const Tensor& a, double b) {
  check_scalar("remainder", a, b);
  return remainder(a, detail::named("remainder", [&] { return number(b, a); }));
}

Tensor atan2(const Tensor& y, const Tensor& x) {
  detail::check_real("atan2", y, "y");
  const Tensor angle = binary("atan2", kernels::atan2, y, x);
  record("atan2", angle, {&y, &x}, [y = save(y, "y"), x = save(x, "x")](const Tensor& gy, Grads& g) {
    const Tensor radius = hypot(y.get(), x.get());  // its square may overflow
    if (g.wants(0)) give_reduced(g, 0, gy * (x.get() / radius / radius));
    if (g.wants(1)) give_reduced(g, 1, neg(gy * (y.get() / radius / radius)));
  });
  return angle;
}

Tensor hypot(const Tensor& a, const Tensor& b) {
  detail::check_real("hypot", a, "a");
  const Tensor y = binary("hypot", kernels::hypot, a, b);
  record("hypot", y, {&a, &b}, [a = save(a, "a"), b = save(b, "b"), y = save(y, "y")](const Tensor& gy, Grads& g) {
    if (g.wants(0)) give_reduced(g, 0, gy * (a.get() / y.get()));
    if (g.wants(1)) give_reduced(g, 1, gy * (b.get() / y.get()));
  });
  return y;
}

Tensor prelu(const Tensor& x, const Tensor& weight) {
  detail::check_real("prelu", x);
  detail::check_same("prelu", "x", x, "weight", weight);
  TD_CHECK(weight.numel() == 1 || (weight.dim() == 1 && x.dim() > 0 && weight.size(0) == x.size(-1)), ShapeError,
           "prelu: weight must have one element, or one per channel (last dimension of x)", arg("x", x),
           arg("weight", weight));
  return detail::composed("prelu", [&] {
    const Tensor w = weight.numel() == 1 ? reshape(weight, {}) : weight;
    const Tensor y = binary("prelu", kernels::prelu, x, w);
    record("prelu", y, {&x, &w}, [x = save(x, "x"), w = save(w, "weight")](const Tensor& gy, Grads& g) {
      const Tensor positive = gt(x.get(), 0), none = number(0, gy);
      if (g.wants(0)) give_reduced(g, 0, where(positive, gy, gy * w.get()));
      if (g.wants(1)) give_reduced(g, 1, gy * where(positive, none, x.get()));
    });
    return y;
  });
}

Tensor snake(const Tensor& x, const Tensor& alpha) {
  detail::check_real("snake", x);
  const Tensor y = binary("snake", kernels::snake, x, alpha);
  record("snake", y, {&x, &alpha}, [x = save(x, "x"), alpha = save(alpha, "alpha")](const Tensor& gy, Grads& g) {
    const Tensor &a = alpha.get(), angle = a * x.get(), wave = sin(angle * 2);
    if (g.wants(0)) give_reduced(g, 0, gy * (wave + 1));
    if (g.wants(1)) give_reduced(g, 1, gy * ((x.get() * wave - square(sin(angle)) / a) / a));
  });
  return y;
}

Tensor snake(const Tensor& x, double alpha) {
  detail::check_real("snake", x);
  return snake(x, number(alpha, x));
}

// ---- ternary --------------------------------------------------------------------------------------------------------
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
  detail::check_real("lerp", start, "start");
  const Tensor y = ternary("lerp", kernels::lerp, start, end, weight, "start", "end", "weight");
  record("lerp", y, {&start, &end, &weight},
         [start = detail::save_for(weight, start, "start"), end = detail::save_for(weight, end, "end"),
          weight = save(weight, "weight")](const Tensor& gy, Grads& g) {
           if (g.wants(0)) give_reduced(g, 0, gy * (1 - weight.get()));
           if (g.wants(1)) give_reduced(g, 1, gy * weight.get());
           if (g.wants(2)) give_reduced(g, 2, gy * (end.get() - start.get()));
         });
  return y;
}

Tensor lerp(const Tensor& start, const Tensor& end, double weight) {
  detail::check_real("lerp", start, "start");
  return lerp(start, end, number(weight, start));
}

Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
  check_scalar("addcmul", x, value);
  const Tensor y = ternary("addcmul", kernels::addcmul, x, a, b, "x", "a", "b", value);
  record("addcmul", y, {&x, &a, &b},
         [a = detail::save_for(b, a, "a"), b = detail::save_for(a, b, "b"), value](const Tensor& gy, Grads& g) {
           if (g.wants(0)) give_reduced(g, 0, gy);
           if (g.wants(1)) give_reduced(g, 1, gy * (b.get() * value));
           if (g.wants(2)) give_reduced(g, 2, gy * (a.get() * value));
         });
  return y;
}

Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
  detail::check_real("addcdiv", x);
  const Tensor y = ternary("addcdiv", kernels::addcdiv, x, a, b, "x", "a", "b", value);
  record("addcdiv", y, {&x, &a, &b},
         [a = detail::save_for(b, a, "a"), b = save(b, "b"), value](const Tensor& gy, Grads& g) {
           if (g.wants(0)) give_reduced(g, 0, gy);
           const Tensor slope = value / b.get();
           if (g.wants(1)) give_reduced(g, 1, gy * slope);
           if (g.wants(2)) give_reduced(g, 2, neg(gy * (slope * (a.get() / b.get()))));
         });
  return y;
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  detail::check_same("where", "a", a, "b", b);
  detail::check_defined("where", "condition", condition);
  TD_CHECK(condition.dtype() == DType::boolean, DTypeError, "where: the condition must be bool",
           arg("condition", condition));
  TD_CHECK(condition.device() == a.device(), DeviceError, "where: devices differ; move one with to()",
           arg("condition", condition), arg("a", a));
  const Shape shape = broadcast_shapes("where", broadcast_shapes("where", a.sizes(), b.sizes()), condition.sizes());
  Tensor y = empty(shape, a.options());
  kernels::where(y.device(),
                 {detail::broadcast(condition, shape), detail::broadcast(a, shape), detail::broadcast(b, shape), y});
  record("where", y, {&a, &b}, [condition = save(condition, "condition")](const Tensor& gy, Grads& g) {
    const Tensor none = number(0, gy);
    if (g.wants(0)) give_reduced(g, 0, where(condition.get(), gy, none));
    if (g.wants(1)) give_reduced(g, 1, where(condition.get(), none, gy));
  });
  return y;
}

Tensor where(const Tensor& condition, const Tensor& a, double b) {
  detail::check_defined("where", "a", a);
  TD_CHECK(fits(b, a.dtype()), DTypeError, "where: the number ", b, " does not fit", arg("a", a));
  return where(condition, a, number(b, a));
}
Tensor where(const Tensor& condition, double a, const Tensor& b) {
  detail::check_defined("where", "b", b);
  TD_CHECK(fits(a, b.dtype()), DTypeError, "where: the number ", a, " does not fit", arg("b", b));
  return where(condition, number(a, b), b);
}

Tensor eq(const Tensor& a, const Tensor& b) { return compare("eq", kernels::eq, a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare("ne", kernels::ne, a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare("lt", kernels::lt, a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return compare("le", kernels::le, a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare("gt", kernels::gt, a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare("ge", kernels::ge, a, b); }
Tensor eq(const Tensor& a, double b) { return compare("eq", kernels::eq, a, b); }
Tensor ne(const Tensor& a, double b) { return compare("ne", kernels::ne, a, b); }
Tensor lt(const Tensor& a, double b) { return compare("lt", kernels::lt, a, b); }
Tensor le(const Tensor& a, double b) { return compare("le", kernels::le, a, b); }
Tensor gt(const Tensor& a, double b) { return compare("gt", kernels::gt, a, b); }
Tensor ge(const Tensor& a, double b) { return compare("ge", kernels::ge, a, b); }

Tensor logical_and(const Tensor& a, const Tensor& b) { return compare("logical_and", kernels::logical_and, a, b); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return compare("logical_or", kernels::logical_or, a, b); }
Tensor logical_xor(const Tensor& a, const Tensor& b) { return compare("logical_xor", kernels::logical_xor, a, b); }

// ---- fused ----------------------------------------------------------------------------------------------------------
Tensor gated_activation(const Tensor& x, const Tensor& condition) {
  const char* op = "gated_activation";
  detail::check_real(op, x);
  TD_CHECK(x.dim() >= 1 && x.size(-1) % 2 == 0, ShapeError, op, ": the last dimension must hold two halves",
           arg("x", x));
  if (condition.defined()) {
    detail::check_same(op, "x", x, "condition", condition);
    TD_CHECK(condition.sizes() == x.sizes(), ShapeError, op, ": condition must have the shape of x", arg("x", x),
             arg("condition", condition));
  }
  Shape shape = x.sizes();
  shape[x.dim() - 1] /= 2;
  const Tensor y = empty(shape, x.options());
  const auto rows = [](const Tensor& t) { return t.defined() ? detail::rows_contiguous(t) : t; };
  kernels::gated_activation(x.device(), {rows(x), rows(condition), y});
  record(op, y, {&x, &condition},
         [x = save(x, "x"), c = save(condition, "condition"), rows](const Tensor& gy, Grads& g) {
           Tensor gx;
           if (g.graph()) {
             const auto halves = chunk(c.get().defined() ? x.get() + c.get() : x.get(), 2, -1);
             const Tensor a = tanh(halves[0]), b = sigmoid(halves[1]);
             gx = cat({gy * b * (1 - square(a)), gy * a * b * (1 - b)}, -1);
           } else {
             gx = empty_like(x.get());
             kernels::gated_activation_backward(gy.device(), {rows(gy), rows(x.get()), rows(c.get()), gx});
           }
           g.give(0, gx);
           g.give(1, gx);
         });
  return y;
}

}  // namespace tapedeck
