// Functions of two or three tensors beside the plain ones: bounds that are tensors, rounded quotients, multiples, and
// numbers in place of a tensor. Checked by formulas in long double, rounded as the op rounds.
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using Wide = long double;

Wide rounded(Wide v, DType t) { return t == DType::f32 ? static_cast<float>(v) : static_cast<double>(v); }
// Of equals the second: zeros have signs.
Wide larger(Wide a, Wide b) { return std::isnan(a) || a > b ? a : b; }
Wide smaller(Wide a, Wide b) { return std::isnan(a) || a < b ? a : b; }
Wide whole_quotient(Wide a, Wide b, DType) {
  if (b == 0 || std::isnan(b)) return a / b;
  const Wide rest = std::fmod(a, b);
  return std::nearbyint((a - rest) / b - (rest != 0 && (rest < 0) != (b < 0)));
}
Wide whole_part(Wide a, Wide b, DType t) {
  return t == DType::f32 ? std::trunc(static_cast<float>(a) / static_cast<float>(b))
                         : std::trunc(static_cast<double>(a) / static_cast<double>(b));
}
Wide log_of_sum(Wide a, Wide b, DType) {
  const Wide gap = a == b ? 0 : a - b;
  return std::max(a, b) + std::log1p(std::exp(-std::fabs(gap))) + (std::isnan(gap) ? gap : 0);
}

struct Pair {
  const char* op;
  Tensor (*f)(const Tensor&, const Tensor&);
  Wide (*oracle)(Wide a, Wide b, DType t);
  Bound bound{};
  bool slopes = false;  // the bound counts what the inputs are multiplied with
  double low = -1, high = 1;
  bool second = true;  // differentiable where the inputs broadcast, too
};
// clang-format off
const Pair kPairs[] = {
    {.op = "max pair", .f = max, .oracle = [](Wide a, Wide b, DType) { return larger(a, b); }},
    {.op = "min pair", .f = min, .oracle = [](Wide a, Wide b, DType) { return smaller(a, b); }},
    {.op = "add alpha", .f = [](const Tensor& a, const Tensor& b) { return add(a, b, -2.5); },
     .oracle = [](Wide a, Wide b, DType t) { return a + rounded(-2.5L * b, t); }, .bound = {.c = 2}, .slopes = true},
    {.op = "sub alpha", .f = [](const Tensor& a, const Tensor& b) { return sub(a, b, 0.75); },
     .oracle = [](Wide a, Wide b, DType t) { return a - rounded(0.75L * b, t); }, .bound = {.c = 2}, .slopes = true},
    {.op = "div floor", .f = [](const Tensor& a, const Tensor& b) { return div(a, b, Rounding::floor); },
     .oracle = whole_quotient, .bound = {.ulps = 4}, .low = 0.55, .high = 1, .second = false},
    {.op = "div trunc", .f = [](const Tensor& a, const Tensor& b) { return div(a, b, Rounding::trunc); },
     .oracle = whole_part, .low = 0.55, .high = 1, .second = false},
    {.op = "logaddexp", .f = logaddexp, .oracle = log_of_sum, .bound = {.c = 4}, .slopes = true},
    {.op = "clamp_min tensor", .f = [](const Tensor& a, const Tensor& b) { return clamp_min(a, b); },
     .oracle = [](Wide a, Wide b, DType) { return larger(a, b); }},
    {.op = "clamp_max tensor", .f = [](const Tensor& a, const Tensor& b) { return clamp_max(a, b); },
     .oracle = [](Wide a, Wide b, DType) { return smaller(a, b); }},
};
// clang-format on
const std::pair<Shape, Shape> kBroadcast[] = {{{7}, {7}},       {{33, 17}, {33, 17}}, {{2, 3, 4}, {3, 1}},
                                              {{5, 1}, {1, 6}}, {{}, {3, 5}},         {{0, 3}, {1, 3}},
                                              {{3, 5}, {}},     {{1, 4097}, {2, 1}},  {{2, 3, 4, 5}, {3, 1, 5}}};

// The inputs spread to the shape of the result.
std::vector<Expected> spread(Args x) {
  Shape shape;
  for (const Tensor& v : x) shape = broadcast_shapes("case", shape, v.sizes());
  std::vector<Expected> out;
  for (const Tensor& v : x) out.push_back(expected_from(expand(v, shape), v.dtype()));
  return out;
}

void add_pairs(std::vector<OpCase>& t) {
  for (const Pair& p : kPairs)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const auto& [left, right] : kBroadcast)
        for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced, Layout::expanded})
          for (const Values values : {Values::normal, Values::special, Values::ties, Values::cancelling}) {
            if (!has_layout(left, layout) && !has_layout(right, layout)) continue;
            OpCase c{.op = p.op,
                     .text = "",
                     .inputs = {{left, dtype, layout, values}, {right, dtype, layout, values}},
                     .call = [f = p.f](Args x) { return Outputs{f(x[0], x[1])}; }};
            c.oracle = [f = p.oracle, dtype](Args x) {
              const auto in = spread(x);
              Expected r = in[0];
              for (std::size_t i = 0; i < r.value.size(); ++i)
                r.value[i] = rounded(f(in[0].value[i], in[1].value[i], dtype), DType::f64);
              return std::vector{r};
            };
            c.bound = p.bound;
            if (p.slopes) c.relative = Relative::slope;
            c.differentiable = values == Values::normal && (p.second || dtype == DType::f32 || left == right);
            c.low = p.low, c.high = p.high;
            c.gradient_bound = {.c = 12}, c.gradient_relative = Relative::slope;
            c.gradient_in_parts = true;
            t.push_back(std::move(c));
          }
  for (const DType dtype : {DType::i64, DType::i32})
    for (const Pair& p : kPairs) {
      const std::string op = p.op;
      if (op.starts_with("div") || op.starts_with("log") || op.ends_with("alpha")) continue;
      OpCase c{.op = p.op,
               .text = "integers",
               .inputs = {{{3, 5}, dtype, {}, Values::range, -9, 9}, {{5}, dtype, {}, Values::range, -9, 9}},
               .call = [f = p.f](Args x) { return Outputs{f(x[0], x[1])}; }};
      c.oracle = [f = p.oracle](Args x) {
        const auto in = spread(x);
        Expected r = in[0];
        for (std::size_t i = 0; i < r.value.size(); ++i) r.value[i] = f(in[0].value[i], in[1].value[i], r.dtype);
        return std::vector{r};
      };
      t.push_back(std::move(c));
    }
}

// Both bounds, crossing ones too; or numbers.
void add_clamps(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::u8})
    for (const auto& [s, bounds] : kBroadcast)
      for (const Layout layout : layouts(s))
        for (const Values values : {Values::normal, Values::special, Values::ties}) {
          if (!is_real(dtype) && values != Values::ties) continue;
          const Input in{s, dtype, layout, values}, bound{bounds, dtype, Layout::contiguous, values};
          const auto add = [&](const char* op, std::vector<Input> inputs, auto f, auto oracle) {
            OpCase c{.op = op, .text = "", .inputs = std::move(inputs), .call = [f](Args x) { return Outputs{f(x)}; }};
            c.oracle = [oracle](Args x) {
              const auto each = spread(x);
              Expected r = each[0];
              for (std::size_t i = 0; i < r.value.size(); ++i)
                r.value[i] = oracle(r.value[i], each.size() > 1 ? each[1].value[i] : 0, each.back().value[i]);
              return std::vector{r};
            };
            c.differentiable = values == Values::normal;
            c.gradient_bound = {.c = 8}, c.gradient_relative = Relative::slope;
            c.gradient_in_parts = true;
            t.push_back(std::move(c));
          };
          add(
              "clamp tensors", {in, bound, bound}, [](Args x) { return clamp(x[0], x[1], x[2]); },
              [](Wide v, Wide l, Wide h) { return smaller(larger(v, l), h); });
          add(
              "clamp tensors", {in, bound}, [](Args x) { return clamp(x[0], {}, x[1]); },
              [](Wide v, Wide, Wide h) { return smaller(v, h); });
          add(
              "clamp_min", {in}, [](Args x) { return clamp_min(x[0], 1); },
              [](Wide v, Wide, Wide) { return larger(v, 1); });
          add(
              "clamp_max", {in}, [](Args x) { return clamp_max(x[0], 1); },
              [](Wide v, Wide, Wide) { return smaller(v, 1); });
        }
}

void add_numbers(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64})
    for (const Shape& s : shapes())
      for (const Layout layout : layouts(s))
        for (const Values values : {Values::normal, Values::special, Values::range}) {
          if (!is_real(dtype) && values != Values::range) continue;
          for (const bool left : {false, true}) {
            OpCase c{.op = left ? "where left" : "where right",
                     .text = "",
                     .inputs = {{s, DType::boolean, layout}, {s, dtype, layout, values}},
                     .call = [=](Args x) { return Outputs{left ? where(x[0], 3, x[1]) : where(x[0], x[1], 3)}; },
                     .rows = 3};
            c.oracle = [left](Args x) {
              const Expected condition = expected_from(x[0], DType::boolean);
              Expected r = expected_from(x[1], x[1].dtype());
              for (std::size_t i = 0; i < r.value.size(); ++i)
                if ((condition.value[i] != 0) == left) r.value[i] = 3;
              return std::vector{r};
            };
            c.differentiable = values == Values::normal;
            t.push_back(std::move(c));
          }
          if (!is_real(dtype)) continue;
          OpCase c{.op = "pow base", .text = "", .inputs = {{s, dtype, layout, values}}, .call = [](Args x) {
                     return Outputs{pow(2.5, x[0])};
                   }};
          c.oracle = [](Args x) {
            Expected r = expected_from(x[0], x[0].dtype());
            for (Wide& v : r.value) v = powl(2.5L, v);
            return std::vector{r};
          };
          c.bound = {.ulps = dtype == DType::f64 ? 3. : 2.};
          c.differentiable = values == Values::normal;
          c.gradient_bound = {.c = 16}, c.gradient_relative = Relative::slope;
          t.push_back(std::move(c));
        }
}

}  // namespace

void add_bounds(std::vector<OpCase>& t) {
  add_pairs(t);
  add_clamps(t);
  add_numbers(t);
}

}  // namespace tapedeck::cases
