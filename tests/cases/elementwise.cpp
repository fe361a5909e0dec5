// Elementwise functions of one and two arguments, comparisons, where. Transcendental functions are held against
// formulas in long double that share nothing with the kernels; exact ones against f64, rounded once.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using Wide = long double;

struct Unary {
  const char* op;
  const char* text;
  Tensor (*f)(const Tensor&);
  Bound bound{};  // f32; f64 gets one ulp more for its reference
  Wide (*oracle)(Wide) = nullptr;
  double low = -1.5, high = 1.5;  // of the gradient check
  Bound gradient{};
  bool smooth_gradient = true;  // its gradient's bound is relative to its slope; else to the factor below
  double (*condition)(double x, double y) = nullptr;  // what |gy| is multiplied with in the gradient's magnitude
};

std::function<std::vector<Expected>(Args)> oracle_of(Wide (*f)(Wide)) {
  if (!f) return {};
  return [f](Args x) {
    Expected r = expected_from(x[0], x[0].dtype());
    for (Wide& v : r.value) {
      v = f(v);
      if (x[0].dtype() == DType::f64) v = static_cast<double>(v);
    }
    return std::vector{r};
  };
}

Wide softplus_exact(Wide x) { return (x > 0 ? x : 0) + log1pl(expl(-fabsl(x))); }
Wide sigmoid_exact(Wide x) { return x < 0 ? expl(x) / (1 + expl(x)) : 1 / (1 + expl(-x)); }
// At -Inf the limit of x times something that falls faster.
Wide times(Wide x, Wide factor) { return std::isinf(x) && x < 0 ? -0.0L : x * factor; }
Wide gelu_exact(Wide x) { return times(x, 0.5L * erfcl(-x * 0.70710678118654752440084436210485L)); }
Wide silu_exact(Wide x) { return times(x, sigmoid_exact(x)); }
Wide mish_exact(Wide x) { return times(x, tanhl(softplus_exact(x))); }

const Unary kUnary[] = {
    {"neg", "", neg},
    {"operator- unary", "", [](const Tensor& x) { return -x; }},
    {"abs", "", abs},
    {"exp", "", exp, {.ulps = 1}, expl, -1.5, 1.5, {.c = 4}},
    {"log", "", log, {.ulps = 1}, logl, 0.5, 2, {.c = 4}},
    {"log1p", "", log1p, {.ulps = 1}, log1pl, -0.5, 2, {.c = 4}},
    {"sqrt", "", sqrt, {}, nullptr, 0.5, 2, {.c = 4}},
    {"rsqrt", "", rsqrt, {.ulps = 1}, [](Wide x) { return 1 / sqrtl(x); }, 0.5, 2, {.c = 4}},
    {"square", "", square, {}, nullptr, -1.5, 1.5, {.c = 4}},
    {"reciprocal", "", reciprocal, {}, nullptr, 0.5, 2, {.c = 4}},
    {"sin", "", sin, {.ulps = 1}, sinl, -1.5, 1.5, {.c = 6}},
    {"cos", "", cos, {.ulps = 1}, cosl, -1.5, 1.5, {.c = 6}},
    {"sigmoid",
     "",
     sigmoid,
     {.c = 4, .ulps = 3},
     sigmoid_exact,
     -1.5,
     1.5,
     {.c = 6},
     true,
     [](double, double y) { return y; }},
    {"logsigmoid",
     "",
     logsigmoid,
     {.c = 4, .ulps = 3},
     [](Wide x) { return -softplus_exact(-x); },
     -1.5,
     1.5,
     {.c = 6}},
    {"tanh", "", tanh, {.c = 4, .ulps = 3}, tanhl, -1.5, 1.5, {.c = 6}, true, [](double, double y) { return y * y; }},
    {"relu", "", relu},
    {"leaky_relu", "slope 0.25", [](const Tensor& x) { return leaky_relu(x, 0.25); }},
    {"elu",
     "",
     [](const Tensor& x) { return elu(x); },
     {.c = 4},
     [](Wide x) { return x > 0 ? x : expm1l(x); },
     -1.5,
     1.5,
     {.c = 6}},
    {"elu",
     "alpha 2",
     [](const Tensor& x) { return elu(x, 2); },
     {.c = 4},
     [](Wide x) { return x > 0 ? x : 2 * expm1l(x); },
     -1.5,
     1.5,
     {.c = 6}},
    {"gelu",
     "",
     gelu,
     {.c = 4},
     gelu_exact,
     -1.5,
     1.5,
     {.c = 6},
     false,
     [](double x, double) {
       return 0.5 * std::erfc(-x * 0.7071067811865476) + std::fabs(x) * std::exp(-x * x / 2) * (1 + x * x);
     }},
    {"silu", "", silu, {.c = 4}, silu_exact, -1.5, 1.5, {.c = 8}},
    {"mish", "", mish, {.c = 4}, mish_exact, -1.5, 1.5, {.c = 8}},
    {"softplus", "", softplus, {.c = 4, .ulps = 3}, softplus_exact, -1.5, 1.5, {.c = 6}},
    {"clamp", "-0.5 to 0.75", [](const Tensor& x) { return clamp(x, -0.5, 0.75); }},
    {"clamp", "low only", [](const Tensor& x) { return clamp(x, 0.25); }},
    {"pow scalar",
     "2.5",
     [](const Tensor& x) { return pow(x, 2.5); },
     {.ulps = 2},
     [](Wide x) { return powl(x, 2.5L); },
     0.5,
     2,
     {.c = 8}},
    {"pow scalar",
     "-3",
     [](const Tensor& x) { return pow(x, -3); },
     {.ulps = 2},
     [](Wide x) { return powl(x, -3); },
     0.5,
     2,
     {.c = 8}},
    {"add scalar", "1.5", [](const Tensor& x) { return add(x, 1.5); }},
    {"sub scalar", "1.5", [](const Tensor& x) { return sub(x, 1.5); }},
    {"mul scalar", "-1.25", [](const Tensor& x) { return mul(x, -1.25); }},
    {"div scalar", "1.75", [](const Tensor& x) { return div(x, 1.75); }},
    {"operator+ scalar", "", [](const Tensor& x) { return x + 1.5; }},
    {"operator- scalar", "", [](const Tensor& x) { return x - 1.5; }},
    {"operator* scalar", "", [](const Tensor& x) { return x * 1.25; }},
    {"operator/ scalar", "", [](const Tensor& x) { return x / 1.75; }},
    {"operator+ left", "", [](const Tensor& x) { return 1.5 + x; }},
    {"operator* left", "", [](const Tensor& x) { return 1.25 * x; }},
    {"operator- left", "", [](const Tensor& x) { return 1.5 - x; }},
    {"operator/ left", "", [](const Tensor& x) { return 2 / x; }, {}, nullptr, 0.5, 2, {.c = 4}},
};

std::function<Magnitudes(Args, const Outputs&, const Tensor&)> conditioned(double (*condition)(double, double)) {
  if (!condition) return {};
  return [condition](Args x, const Outputs& y, const Tensor& gy) {
    std::vector<double> m = values_of(gy);
    const auto u = values_of(x[0]), v = values_of(y[0]);
    for (std::size_t i = 0; i < m.size(); ++i) m[i] = std::fabs(m[i] * condition(u[i], v[i]));
    return Magnitudes{m};
  };
}

// f64 references are rounded like the results; and x times a subnormal factor has up to |x| times its rounding, which
// f32 does not see because it is computed in double.
Bound for_dtype(Bound b, DType t) {
  if (t == DType::f64 && b.c > 0 && b.ulps == 0) b.subnormal = 1000;
  if (t == DType::f64 && b.c > 0) b.c += 2;
  if (t == DType::f64 && b.ulps > 0) b.ulps += 1;
  return b;
}

// Backward slots that no op calls, since the op's rule is another op: their list gives them to every function.
void add_unused_backward(std::vector<OpCase>& t) {
  using Slot = kernels::KernelSlot<kernels::UnaryGradArgs>;
  const std::pair<const char*, const Slot*> slots[] = {{"kernel neg_backward", &kernels::neg_backward},
                                                       {"kernel add_scalar_backward", &kernels::add_scalar_backward},
                                                       {"kernel mul_scalar_backward", &kernels::mul_scalar_backward}};
  for (const auto& [op, slot] : slots)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : shapes())
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::wide, Values::special}) {
            const Input in{shape, dtype, layout, values};
            t.push_back({.op = op,
                         .text = "",
                         .inputs = {in, in},
                         .call =
                             [slot = slot](Args x) {
                               const Tensor gx = empty_like(x[0]);
                               (*slot)(kCpu, {x[0], x[1], x[1], gx, 0.75, 0});
                               return Outputs{gx};
                             },
                         .rows = 3});
          }
}

// Long enough for several threads.
const Shape kLong[] = {{70001}, {9, 9001}};

void add_unary(std::vector<OpCase>& t) {
  const auto add = [&](const Unary& u, const Input& in) {
    OpCase c{.op = u.op, .text = u.text, .inputs = {in}, .call = [f = u.f](Args x) { return Outputs{f(x[0])}; }};
    c.bound = for_dtype(u.bound, in.dtype);
    if (c.bound.c > 0) c.relative = Relative::slope;
    c.oracle = oracle_of(u.oracle);
    c.rows = 1;
    c.differentiable = in.values == Values::normal && (in.shape.numel() < 5000 || in.dtype == DType::f32);
    c.low = u.low, c.high = u.high;
    if (in.values == Values::normal && u.low > 0)
      c.inputs[0].values = Values::range, c.inputs[0].low = 0.25, c.inputs[0].high = 4;
    c.gradient_bound = u.gradient;
    c.gradient_relative = u.gradient.c > 0 && u.smooth_gradient ? Relative::slope : Relative::value;
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
}

// Functions that integers have too.
void add_integers(std::vector<OpCase>& t) {
  const std::pair<const char*, Tensor (*)(const Tensor&)> unary[] = {
      {"neg", neg},
      {"abs", abs},
      {"square", square},
      {"relu", relu},
      {"clamp", [](const Tensor& x) { return clamp(x, -2, 3); }},
      {"add scalar", [](const Tensor& x) { return add(x, 3); }},
      {"mul scalar", [](const Tensor& x) { return mul(x, -2); }}};
  const std::pair<const char*, Tensor (*)(const Tensor&, const Tensor&)> binary[] = {
      {"add", add},         {"sub", sub}, {"mul", mul}, {"maximum", maximum},
      {"minimum", minimum}, {"eq", eq},   {"ne", ne},   {"lt", lt},
      {"le", le},           {"gt", gt},   {"ge", ge}};
  for (const DType dtype : {DType::i64, DType::i32, DType::u8})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{33, 17}, Shape{2, 3, 4}}) {
      for (const Layout layout : layouts(shape)) {
        const Input in{shape, dtype, layout, Values::range, dtype == DType::u8 ? 0. : -9., 9};
        for (const auto& [op, f] : unary)
          t.push_back({.op = op,
                       .text = "integers",
                       .inputs = {in},
                       .call = [f = f](Args x) { return Outputs{f(x[0])}; },
                       .rows = 1});
        for (const auto& [op, f] : binary)
          t.push_back({.op = op,
                       .text = "integers",
                       .inputs = {in, in},
                       .call = [f = f](Args x) { return Outputs{f(x[0], x[1])}; },
                       .rows = 3});
      }
    }
}

struct Binary {
  const char* op;
  Tensor (*f)(const Tensor&, const Tensor&);
  Bound bound{};
  bool differentiable = true;
  double low = -1, high = 1;
  Bound gradient{.c = 8};
};
const Binary kBinary[] = {{"add", add}, {"sub", sub}, {"mul", mul}, {"div", div, {}, true, 0.5, 2},
                          {"maximum", maximum}, {"minimum", minimum},
                          {"pow", pow, {.ulps = 2}, true, 0.5, 2, {.c = 16}},
                          {"operator+", operator+ },
                           {"operator-", operator- },
                            {
                                "operator*",
                                operator* },
                                {"operator/", operator/, {}, true, 0.5, 2},
                                {"eq", eq, {}, false},
                                {"ne", ne, {}, false},
                                {"lt", lt, {}, false},
                                {"le", le, {}, false},
                                {"gt", gt, {}, false},
                                {"ge", ge, {}, false},
                           };

const std::pair<Shape, Shape> kBroadcast[] = {
    {{7}, {7}},           {{33, 17}, {33, 17}}, {{2, 3, 4}, {4}},    {{2, 3, 4}, {3, 1}},
    {{5, 1}, {1, 6}},     {{}, {3, 5}},         {{3, 5}, {}},        {{2, 1, 3}, {4, 1}},
    {{0, 3}, {1, 3}},     {{3, 0, 2}, {2}},     {{1, 4097}, {2, 1}}, {{2, 3, 4, 5}, {3, 1, 5}},
    {{40, 2000}, {2000}},
};

unsigned rows_of(std::initializer_list<Shape> inputs, const Shape& out) {
  unsigned rows = 0, bit = 1;
  for (const Shape& s : inputs) {
    if (s.rank() == out.rank() && s.rank() > 0 && s[0] == out[0] && s[0] > 1) rows |= bit;
    bit *= 2;
  }
  return rows;
}

Wide pow_exact(Wide a, Wide b) { return powl(a, b); }

void add_binary(std::vector<OpCase>& t) {
  for (const Binary& b : kBinary)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const auto& [left, right] : kBroadcast)
        for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded}) {
          if (!has_layout(left, layout) && !has_layout(right, layout)) continue;
          for (const Values values :
               {Values::normal, Values::wide, Values::special, Values::ties, Values::cancelling}) {
            OpCase c{.op = b.op,
                     .text = "",
                     .inputs = {{left, dtype, layout, values}, {right, dtype, layout, values}},
                     .call = [f = b.f](Args x) { return Outputs{f(x[0], x[1])}; }};
            c.bound = for_dtype(b.bound, dtype);
            c.rows = rows_of({left, right}, broadcast_shapes("case", left, right));
            c.differentiable = b.differentiable && values == Values::normal;
            c.low = b.low, c.high = b.high;
            if (c.differentiable && b.low > 0)
              for (Input& in : c.inputs) in.values = Values::range, in.low = 0.25, in.high = 4;
            c.gradient_bound = b.gradient;
            c.gradient_relative = Relative::slope;
            if (b.f == static_cast<Tensor (*)(const Tensor&, const Tensor&)>(pow))
              c.oracle = [](Args x) {
                const Shape shape = broadcast_shapes("case", x[0].sizes(), x[1].sizes());
                Expected r = expected_from(expand(x[0], shape), x[0].dtype());
                const Expected e = expected_from(expand(x[1], shape), x[0].dtype());
                for (std::size_t i = 0; i < r.value.size(); ++i) r.value[i] = pow_exact(r.value[i], e.value[i]);
                return std::vector{r};
              };
            t.push_back(std::move(c));
          }
        }
}

void add_where(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [left, right] : kBroadcast)
      for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded})
        for (const Values values : {Values::normal, Values::special}) {
          if (!has_layout(left, layout) && !has_layout(right, layout)) continue;
          for (const bool swapped : {false, true}) {
            const Shape& a = swapped ? right : left;
            const Shape& b = swapped ? left : right;
            OpCase c{.op = "where",
                     .text = "",
                     .inputs = {{left, DType::boolean, layout}, {a, dtype, layout, values}, {b, dtype, layout, values}},
                     .call = [](Args x) { return Outputs{where(x[0], x[1], x[2])}; }};
            c.rows = rows_of({left, a, b}, broadcast_shapes("case", left, right));
            c.differentiable = values == Values::normal;
            c.gradient_bound = {.c = 8};
            c.gradient_relative = Relative::slope;
            t.push_back(std::move(c));
          }
        }
}

}  // namespace

void add_elementwise(std::vector<OpCase>& t) {
  add_unary(t);
  add_unused_backward(t);
  add_integers(t);
  add_binary(t);
  add_where(t);
}

}  // namespace tapedeck::cases
