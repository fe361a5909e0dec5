// Functions of several arguments: comparisons, where and what integers have too. Held against formulas that share
// nothing with the kernels, in long double; exact ones against f64, rounded once.
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <cmath>

#include "cases/unary.h"

namespace tapedeck::cases {
namespace {

// Functions that integers have too: computed in i64, then wrapped.
using Whole = std::int64_t;
struct IntegerUnary {
  const char* op;
  Tensor (*f)(const Tensor&);
  Whole (*oracle)(Whole);
};
struct IntegerBinary {
  const char* op;
  Tensor (*f)(const Tensor&, const Tensor&);
  Whole (*oracle)(Whole, Whole);
  bool divides = false;
};
Whole same(Whole v) { return v; }
const IntegerUnary kIntegerUnary[] = {
    {"neg", neg, [](Whole v) { return -v; }},
    {"abs", abs, [](Whole v) { return v < 0 ? -v : v; }},
    {"square", square, [](Whole v) { return v * v; }},
    {"relu", relu, [](Whole v) { return std::max<Whole>(v, 0); }},
    {"relu6", relu6, [](Whole v) { return std::clamp<Whole>(v, 0, 6); }},
    {"hardtanh", [](const Tensor& x) { return hardtanh(x, -2, 3); },
     [](Whole v) { return std::clamp<Whole>(v, -2, 3); }},
    {"clamp", [](const Tensor& x) { return clamp(x, -2, 3); }, [](Whole v) { return std::clamp<Whole>(v, -2, 3); }},
    {"sign", sign, [](Whole v) { return Whole{v > 0} - Whole{v < 0}; }},
    {"floor", floor, same},
    {"ceil", ceil, same},
    {"round", round, same},
    {"trunc", trunc, same},
    {"nan_to_num", [](const Tensor& x) { return nan_to_num(x); }, same},
    {"add scalar", [](const Tensor& x) { return add(x, 3); }, [](Whole v) { return v + 3; }},
    {"mul scalar", [](const Tensor& x) { return mul(x, -2); }, [](Whole v) { return -2 * v; }},
    {"fmod scalar", [](const Tensor& x) { return fmod(x, 4); }, [](Whole v) { return v % 4; }},
    {"remainder scalar", [](const Tensor& x) { return remainder(x, 4); }, [](Whole v) { return (v % 4 + 4) % 4; }},
    {"eq scalar", [](const Tensor& x) { return eq(x, 3); }, [](Whole v) { return Whole{v == 3}; }},
    {"lt scalar", [](const Tensor& x) { return lt(x, 3); }, [](Whole v) { return Whole{v < 3}; }},
};
const IntegerBinary kIntegerBinary[] = {
    {"add", add, [](Whole a, Whole b) { return a + b; }},
    {"sub", sub, [](Whole a, Whole b) { return a - b; }},
    {"mul", mul, [](Whole a, Whole b) { return a * b; }},
    {"maximum", maximum, [](Whole a, Whole b) { return std::max(a, b); }},
    {"minimum", minimum, [](Whole a, Whole b) { return std::min(a, b); }},
    {"fmod", fmod, [](Whole a, Whole b) { return a - b * (a / b); }, true},
    {"remainder", remainder,
     [](Whole a, Whole b) { return a - b * static_cast<Whole>(std::floor(double(a) / double(b))); }, true},
    {"eq", eq, [](Whole a, Whole b) { return Whole{a == b}; }},
    {"ne", ne, [](Whole a, Whole b) { return Whole{a != b}; }},
    {"lt", lt, [](Whole a, Whole b) { return Whole{a < b}; }},
    {"le", le, [](Whole a, Whole b) { return Whole{a <= b}; }},
    {"gt", gt, [](Whole a, Whole b) { return Whole{a > b}; }},
    {"ge", ge, [](Whole a, Whole b) { return Whole{a >= b}; }},
    {"logical_and", logical_and, [](Whole a, Whole b) { return Whole{a && b}; }},
    {"logical_or", logical_or, [](Whole a, Whole b) { return Whole{a || b}; }},
    {"logical_xor", logical_xor, [](Whole a, Whole b) { return Whole{!a != !b}; }},
};
Wide wrapped(Whole v, DType t) {
  return t == DType::u8 ? static_cast<Wide>(static_cast<std::uint8_t>(v)) : static_cast<Wide>(v);
}

void add_integers(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::i64, DType::i32, DType::u8})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{33, 17}, Shape{2, 3, 4}})
      for (const Layout layout : layouts(shape)) {
        const Input in{shape, dtype, layout, Values::range, dtype == DType::u8 ? 0. : -9., 9};
        const Input divisor{shape, dtype, layout, Values::range, 1, 9};
        for (const IntegerUnary& u : kIntegerUnary)
          t.push_back({.op = u.op,
                       .text = "integers",
                       .inputs = {in},
                       .call = [f = u.f](Args x) { return Outputs{f(x[0])}; },
                       .oracle =
                           [&u](Args x) {
                             Expected r = expected_from(x[0], u.f(x[0]).dtype());
                             for (Wide& v : r.value) v = wrapped(u.oracle(static_cast<Whole>(v)), r.dtype);
                             return std::vector{r};
                           },
                       .rows = 1});
        for (const IntegerBinary& b : kIntegerBinary)
          t.push_back({.op = b.op,
                       .text = "integers",
                       .inputs = {in, b.divides ? divisor : in},
                       .call = [f = b.f](Args x) { return Outputs{f(x[0], x[1])}; },
                       .oracle =
                           [&b](Args x) {
                             Expected r = expected_from(x[0], b.f(x[0], x[1]).dtype());
                             const Expected other = expected_from(x[1], r.dtype);
                             for (std::size_t i = 0; i < r.value.size(); ++i)
                               r.value[i] =
                                   wrapped(b.oracle(static_cast<Whole>(r.value[i]), static_cast<Whole>(other.value[i])),
                                           r.dtype);
                             return std::vector{r};
                           },
                       .rows = 3});
      }
}

struct Binary {
  const char* op;
  Tensor (*f)(const Tensor&, const Tensor&);
  Bound bound{};
  Wide (*oracle)(Wide, Wide) = nullptr;  // without one: f64 rounded once
  bool differentiable = true;
  double low = -1, high = 1;  // low > 0: normal inputs are replaced by [0.25, 4)
  Bound gradient{.c = 8};
  bool jumps = false;  // where a / b is whole: differences are taken on equal shapes, whose grids keep a and b apart
  Magnitudes (*terms)(Args, const Outputs&, const Tensor&) = nullptr;  // of the gradients, where terms cancel
};
Wide pow_exact(Wide a, Wide b) { return powl(a, b); }
Wide remainder_exact(Wide a, Wide b) {
  const Wide r = fmodl(a, b);  // exact; the sum is rounded once
  return (r < 0 && b > 0) || (r > 0 && b < 0) ? static_cast<double>(r) + static_cast<double>(b) : r;
}
Wide snake_exact(Wide x, Wide alpha) {
  const Wide s = sinl(static_cast<double>(alpha * x));
  return alpha == 0 || std::fabs(x) > 1e300L ? x : x + s * s / alpha;
}
// 1 + sin(2 alpha x), and of alpha: x sin(2 alpha x) / alpha - sin^2(alpha x) / alpha^2.
Magnitudes snake_terms(Args x, const Outputs& y, const Tensor& gy) {
  const Shape shape = y[0].sizes();
  const Tensor g = abs(gy), a = abs(x[1]), of_alpha = g * (abs(x[0]) + 1 / a) / a;
  return {values_of(sum_to(expand(g, shape), x[0].sizes())), values_of(sum_to(of_alpha, x[1].sizes()))};
}
bool true_(Wide v) { return v != 0; }
// clang-format off
const Binary kBinary[] = {
    {.op = "add", .f = add}, {.op = "operator+", .f = operator+},
    {.op = "sub", .f = sub}, {.op = "operator-", .f = operator-},
    {.op = "mul", .f = mul}, {.op = "operator*", .f = operator*},
    {.op = "div", .f = div, .low = 0.5, .high = 2}, {.op = "operator/", .f = operator/, .low = 0.5, .high = 2},
    {.op = "maximum", .f = maximum}, {.op = "minimum", .f = minimum},
    {.op = "pow", .f = pow, .bound = {.ulps = 2}, .oracle = pow_exact, .low = 0.5, .high = 2, .gradient = {.c = 16}},
    {.op = "fmod", .f = fmod, .oracle = [](Wide a, Wide b) -> Wide { return fmodl(a, b); }, .low = 0.55, .high = 1, .jumps = true},
    {.op = "remainder", .f = remainder, .oracle = remainder_exact, .low = 0.55, .high = 1, .jumps = true},
    {.op = "atan2", .f = atan2, .bound = {.ulps = 1}, .oracle = [](Wide a, Wide b) -> Wide { return atan2l(a, b); },
     .low = -2, .high = -0.5},
    {.op = "hypot", .f = hypot, .bound = {.ulps = 1}, .oracle = [](Wide a, Wide b) -> Wide { return hypotl(a, b); },
     .low = -2, .high = -0.5},
    {.op = "snake tensor", .f = snake, .bound = {.c = 6}, .oracle = snake_exact, .low = 0.5, .high = 1.2,
     .gradient = {.c = 24}, .terms = snake_terms},
    {.op = "eq", .f = eq, .oracle = [](Wide a, Wide b) -> Wide { return a == b; }, .differentiable = false},
    {.op = "ne", .f = ne, .oracle = [](Wide a, Wide b) -> Wide { return a != b; }, .differentiable = false},
    {.op = "lt", .f = lt, .oracle = [](Wide a, Wide b) -> Wide { return a < b; }, .differentiable = false},
    {.op = "le", .f = le, .oracle = [](Wide a, Wide b) -> Wide { return a <= b; }, .differentiable = false},
    {.op = "gt", .f = gt, .oracle = [](Wide a, Wide b) -> Wide { return a > b; }, .differentiable = false},
    {.op = "ge", .f = ge, .oracle = [](Wide a, Wide b) -> Wide { return a >= b; }, .differentiable = false},
    {.op = "logical_and", .f = logical_and, .oracle = [](Wide a, Wide b) -> Wide { return true_(a) && true_(b); },
     .differentiable = false},
    {.op = "logical_or", .f = logical_or, .oracle = [](Wide a, Wide b) -> Wide { return true_(a) || true_(b); },
     .differentiable = false},
    {.op = "logical_xor", .f = logical_xor, .oracle = [](Wide a, Wide b) -> Wide { return true_(a) != true_(b); },
     .differentiable = false},
};
// clang-format on
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

// The inputs spread to the shape of the result.
std::vector<Expected> spread(Args x, const Shape& shape) {
  std::vector<Expected> out;
  for (const Tensor& v : x) out.push_back(expected_from(expand(v, shape), v.dtype()));
  return out;
}

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
            if (c.bound.c > 0) c.relative = Relative::slope;
            c.rows = rows_of({left, right}, broadcast_shapes("case", left, right));
            c.differentiable =
                b.differentiable && values == Values::normal && (!b.jumps || dtype == DType::f32 || left == right);
            c.low = b.low, c.high = b.high;
            if (c.differentiable && b.low > 0)
              for (Input& in : c.inputs) in.values = Values::range, in.low = 0.25, in.high = 4;
            c.gradient_bound = b.gradient;
            c.gradient_relative = Relative::slope;
            if (b.terms) c.gradient_magnitude = b.terms;
            if (b.oracle)
              c.oracle = [f = b.oracle, truth = !b.differentiable](Args x) {
                const auto in = spread(x, broadcast_shapes("case", x[0].sizes(), x[1].sizes()));
                Expected r = in[0];
                if (truth) r.dtype = DType::boolean;
                for (std::size_t i = 0; i < r.value.size(); ++i) {
                  r.value[i] = f(in[0].value[i], in[1].value[i]);
                  if (r.dtype == DType::f64) r.value[i] = static_cast<double>(r.value[i]);
                }
                return std::vector{r};
              };
            t.push_back(std::move(c));
          }
        }
}

// With a scalar on the right: fmod, remainder, comparisons.
struct WithScalar {
  const char* op;
  Tensor (*f)(const Tensor&);
  Wide (*oracle)(Wide);
  bool truth = true;
};
const WithScalar kWithScalar[] = {
    {"fmod scalar", [](const Tensor& x) { return fmod(x, 0.75); }, [](Wide v) { return fmodl(v, 0.75L); }, false},
    {"remainder scalar", [](const Tensor& x) { return remainder(x, -0.75); },
     [](Wide v) { return remainder_exact(v, -0.75L); }, false},
    {"eq scalar", [](const Tensor& x) { return eq(x, 1); }, [](Wide v) -> Wide { return v == 1; }},
    {"ne scalar", [](const Tensor& x) { return ne(x, 1); }, [](Wide v) -> Wide { return v != 1; }},
    {"lt scalar", [](const Tensor& x) { return lt(x, 1); }, [](Wide v) -> Wide { return v < 1; }},
    {"le scalar", [](const Tensor& x) { return le(x, 1); }, [](Wide v) -> Wide { return v <= 1; }},
    {"gt scalar", [](const Tensor& x) { return gt(x, 1); }, [](Wide v) -> Wide { return v > 1; }},
    {"ge scalar", [](const Tensor& x) { return ge(x, 1); }, [](Wide v) -> Wide { return v >= 1; }},
};

void add_with_scalar(std::vector<OpCase>& t) {
  for (const WithScalar& s : kWithScalar)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : shapes())
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::special, Values::ties}) {
            OpCase c{.op = s.op, .text = "", .inputs = {{shape, dtype, layout, values}}, .call = [f = s.f](Args x) {
                       return Outputs{f(x[0])};
                     }};
            c.oracle = [f = s.oracle, truth = s.truth](Args x) {
              Expected r = expected_from(x[0], truth ? DType::boolean : x[0].dtype());
              for (Wide& v : r.value) v = f(v);
              return std::vector{r};
            };
            c.rows = 1;
            c.differentiable = !s.truth && values == Values::normal;
            c.low = 0.05, c.high = 0.7;
            t.push_back(std::move(c));
          }
}

void add_prelu(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : shapes())
      for (const bool shared : {true, false}) {
        if (!shared && shape.rank() == 0) continue;
        const Shape weight = shape.rank() == 0 ? Shape{} : Shape{shared ? 1 : shape[shape.rank() - 1]};
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::wide, Values::special}) {
            OpCase c{.op = "prelu",
                     .text = "",
                     .inputs = {{shape, dtype, layout, values}, {weight, dtype, Layout::contiguous, values}},
                     .call = [](Args x) { return Outputs{prelu(x[0], x[1])}; }};
            c.oracle = [](Args x) {
              const auto in = spread(x, x[0].sizes());
              Expected r = in[0];
              for (std::size_t i = 0; i < r.value.size(); ++i)
                if (Wide& v = r.value[i]; !(v > 0)) v = static_cast<double>(v) * static_cast<double>(in[1].value[i]);
              return std::vector{r};
            };
            c.rows = shape.rank() > 1 ? 1 : 0;
            c.differentiable = values == Values::normal;
            c.gradient_bound = {.c = 8};
            c.gradient_magnitude = [](Args x, const Outputs&, const Tensor& gy) {
              const Tensor g = abs(gy), w = x[1].numel() == 1 ? reshape(x[1], {}) : x[1];
              return Magnitudes{values_of(g * (abs(w) + 1)), values_of(sum_to(g * abs(x[0]), x[1].sizes()))};
            };
            t.push_back(std::move(c));
          }
      }
}

struct Ternary {
  const char* op;
  Tensor (*f)(const Tensor&, const Tensor&, const Tensor&);
  double (*oracle)(double, double, double);  // its own rounding is what the bound leaves room for
  double low = -1, high = 1;
};
const Ternary kTernary[] = {
    {"lerp", [](const Tensor& a, const Tensor& b, const Tensor& c) { return lerp(a, b, c); },
     [](double a, double b, double w) { return std::fabs(w) < 0.5 ? a + w * (b - a) : b - (1 - w) * (b - a); }},
    {"addcmul", [](const Tensor& a, const Tensor& b, const Tensor& c) { return addcmul(a, b, c, -1.5); },
     [](double a, double b, double c) { return a - 1.5 * b * c; }},
    {"addcdiv", [](const Tensor& a, const Tensor& b, const Tensor& c) { return addcdiv(a, b, c, 0.75); },
     [](double a, double b, double c) { return a + 0.75 * b / c; }, 0.5, 2},
    {"lerp scalar", [](const Tensor& a, const Tensor& b, const Tensor&) { return lerp(a, b, 0.75); },
     [](double a, double b, double) { return b - 0.25 * (b - a); }},
};

void add_ternary(std::vector<OpCase>& t) {
  for (const Ternary& f : kTernary)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const auto& [left, right] : kBroadcast)
        for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded})
          for (const Values values :
               {Values::normal, Values::wide, Values::special, Values::ties, Values::cancelling}) {
            if (!has_layout(left, layout) && !has_layout(right, layout)) continue;
            const Input a{left, dtype, layout, values}, b{right, dtype, layout, values};
            OpCase c{.op = f.op, .text = "", .inputs = {a, b, a}, .call = [f = f.f](Args x) {
                       return Outputs{f(x[0], x[1], x[2])};
                     }};
            c.bound = for_dtype({.c = 4}, dtype);
            c.relative = Relative::slope;
            c.oracle = [f = f.oracle](Args x) {
              const auto in = spread(x, broadcast_shapes("case", x[0].sizes(), x[1].sizes()));
              Expected r = in[0];
              for (std::size_t i = 0; i < r.value.size(); ++i)
                r.value[i] = f(static_cast<double>(in[0].value[i]), static_cast<double>(in[1].value[i]),
                               static_cast<double>(in[2].value[i]));
              return std::vector{r};
            };
            c.rows = rows_of({left, right, left}, broadcast_shapes("case", left, right));
            c.differentiable = values == Values::normal;
            c.low = f.low, c.high = f.high;
            if (c.differentiable && f.low > 0)
              for (Input& in : c.inputs) in.values = Values::range, in.low = 0.25, in.high = 4;
            c.gradient_bound = {.c = 12};
            c.gradient_relative = Relative::slope;
            t.push_back(std::move(c));
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
  add_integers(t);
  add_binary(t);
  add_with_scalar(t);
  add_prelu(t);
  add_ternary(t);
  add_where(t);
}

}  // namespace tapedeck::cases
