// Elementwise ops: the forward and, beside it, the rule of its gradient.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>

#include <cmath>

namespace tapedeck {
namespace {

using kernels::BinaryArgs;
using kernels::KernelSlot;
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

// A function of one argument. slope: f'(x) in ops, for gradients of gradients (nullptr: there are none).
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
           if (g.graph()) {
             TD_CHECK(f->slope, TapeError, f->name, ": this op has no gradient of its gradient");
             return g.give(0, mul(gy, f->slope(s, p0, p1)));
           }
           const Tensor gx = empty_like(gy);
           f->backward(gy.device(), {gy, s, s, gx, p0, p1});  // the kernel looks at one of x and y only
           g.give(0, gx);
         });
  return y;
}

Tensor number(double value, const Tensor& like) { return scalar(value, like.options()); }
Tensor as_number(const Tensor& condition, const Tensor& like) { return cast(condition, like.dtype()); }
Tensor is_positive(const Tensor& x) { return gt(x, number(0, x)); }

}  // namespace

// One line per function: what it takes, what its derivative is computed from, and the derivative in ops.
// clang-format off
#define TD_UNARY_OP(name, takes, v, ...)                                                                    \
  Tensor name(const Tensor& argument) {                                                                     \
    static constexpr Unary f{#name, kernels::name, kernels::name##_backward, Takes::takes, Reads::v,        \
                             [](const Tensor& v, double, double) -> Tensor { return __VA_ARGS__; }};        \
    return unary(f, argument);                                                                              \
  }
TD_UNARY_OP(abs, integers_too, x, as_number(is_positive(x), x) - as_number(is_positive(neg(x)), x))
TD_UNARY_OP(exp, reals, y, y)
TD_UNARY_OP(log, reals, x, reciprocal(x))
TD_UNARY_OP(log1p, reals, x, reciprocal(x + 1))
TD_UNARY_OP(sqrt, reals, y, 0.5 / y)
TD_UNARY_OP(rsqrt, reals, y, -0.5 * (y * y * y))
TD_UNARY_OP(square, integers_too, x, x * 2)
TD_UNARY_OP(reciprocal, reals, y, neg(square(y)))
TD_UNARY_OP(sin, reals, x, cos(x))
TD_UNARY_OP(cos, reals, x, neg(sin(x)))
TD_UNARY_OP(sigmoid, reals, y, y * (1 - y))
TD_UNARY_OP(logsigmoid, reals, x, sigmoid(neg(x)))
TD_UNARY_OP(tanh, reals, y, 1 - square(y))
TD_UNARY_OP(relu, integers_too, y, as_number(is_positive(y), y))  // y is positive where x is: x need not be kept
TD_UNARY_OP(silu, reals, x, sigmoid(x) * (1 + x * sigmoid(neg(x))))
TD_UNARY_OP(mish, reals, x, tanh(softplus(x)) + x * sigmoid(x) * (1 - square(tanh(softplus(x)))))
TD_UNARY_OP(softplus, reals, x, sigmoid(x))
#undef TD_UNARY_OP
// clang-format on

Tensor gelu(const Tensor& x) {
  static constexpr Unary f{"gelu", kernels::gelu, kernels::gelu_backward, Takes::reals, Reads::x, nullptr};
  return unary(f, x);
}

Tensor leaky_relu(const Tensor& x, double negative_slope) {
  static constexpr Unary f{
      "leaky_relu",
      kernels::leaky_relu,
      kernels::leaky_relu_backward,
      Takes::reals,
      Reads::x,
      [](const Tensor& x, double slope, double) { return where(is_positive(x), number(1, x), number(slope, x)); }};
  return unary(f, x, negative_slope);
}

Tensor elu(const Tensor& x, double alpha) {
  static constexpr Unary f{
      "elu", kernels::elu, kernels::elu_backward, Takes::reals, Reads::x, [](const Tensor& x, double alpha, double) {
        return where(is_positive(x), number(1, x), exp(minimum(x, number(0, x))) * alpha);
      }};
  return unary(f, x, alpha);
}

Tensor clamp(const Tensor& x, double low, double high) {
  static constexpr Unary f{"clamp",
                           kernels::clamp,
                           kernels::clamp_backward,
                           Takes::integers_too,
                           Reads::x,
                           [](const Tensor& x, double low, double high) {
                             return as_number(ge(x, number(low, x)), x) * as_number(le(x, number(high, x)), x);
                           }};
  for (const double bound : {low, high}) check_scalar("clamp", x, std::isinf(bound) ? 0 : bound);
  TD_CHECK(low <= high, ValueError, "clamp: low ", low, " must not be above high ", high);
  return unary(f, x, low, high);
}

Tensor pow(const Tensor& x, double exponent) {
  static constexpr Unary f{
      "pow",
      kernels::pow_scalar,
      kernels::pow_scalar_backward,
      Takes::reals,
      Reads::x,
      [](const Tensor& x, double p, double) { return p == 0 ? zeros_like(x) : pow(x, p - 1) * p; }};
  return unary(f, x, exponent);
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

Tensor sub(const Tensor& x, double b) { return add(x, -b); }

Tensor mul(const Tensor& x, double b) {
  check_scalar("mul", x, b);
  const Tensor y = apply(kernels::mul_scalar, x, b);
  record("mul", y, {&x}, [b](const Tensor& gy, Grads& g) { g.give(0, mul(gy, b)); });
  return y;
}

// A true division, rounded once: not a product with 1 / b.
Tensor div(const Tensor& x, double b) {
  detail::check_real("div", x);
  return div(x, number(b, x));
}

// ---- binary, broadcasting -------------------------------------------------------------------------------------------
namespace {

Tensor binary(const char* op, const KernelSlot<BinaryArgs>& f, const Tensor& a, const Tensor& b) {
  detail::check_same(op, "a", a, "b", b);
  check_number(op, a, "a");
  const Shape shape = broadcast_shapes(op, a.sizes(), b.sizes());
  Tensor y = empty(shape, a.options());
  f(y.device(), {detail::broadcast(a, shape), detail::broadcast(b, shape), y});
  return y;
}

Tensor compare(const char* op, const KernelSlot<BinaryArgs>& f, const Tensor& a, const Tensor& b) {
  detail::check_same(op, "a", a, "b", b);
  const Shape shape = broadcast_shapes(op, a.sizes(), b.sizes());
  Tensor y = empty(shape, {DType::boolean, a.device()});
  f(y.device(), {detail::broadcast(a, shape), detail::broadcast(b, shape), y});
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

Tensor maximum(const Tensor& a, const Tensor& b) { return extremum("maximum", kernels::maximum, a, b, gt); }
Tensor minimum(const Tensor& a, const Tensor& b) { return extremum("minimum", kernels::minimum, a, b, lt); }

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

Tensor eq(const Tensor& a, const Tensor& b) { return compare("eq", kernels::eq, a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare("ne", kernels::ne, a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare("lt", kernels::lt, a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return compare("le", kernels::le, a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare("gt", kernels::gt, a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare("ge", kernels::ge, a, b); }

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
