// Ops that are made of others, against formulas in long double.
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <cmath>

#include "cases/lines.h"
#include "cases/moves.h"

namespace tapedeck::cases {
namespace {

using Wide = long double;

struct Single {
  const char *op, *text;
  Tensor (*f)(const Tensor&);
  Wide (*oracle)(Wide);
  Bound bound{};
  double low = -1, high = 1;
  double from = -2, to = 2;  // what the values are drawn from
};
const Single kSingle[] = {
    {"exp2", "", exp2, [](Wide v) { return std::exp2(v); }, {.c = 4}, -1, 1, -100, 100},
    {"logit",
     "",
     [](const Tensor& x) { return logit(x); },
     [](Wide v) { return std::log(v / (1 - v)); },
     {.c = 4},
     0.1,
     0.9,
     0,
     1},
    {"logit",
     "eps 0.25",
     [](const Tensor& x) { return logit(x, 0.25); },
     [](Wide v) {
       const Wide p = std::clamp<Wide>(v, 0.25, 0.75);
       return std::log(p / (1 - p));
     },
     {.c = 4},
     0.3,
     0.7,
     0,
     1},
    {"threshold",
     "",
     [](const Tensor& x) { return threshold(x, 0.25, -3); },
     [](Wide v) -> Wide { return v <= 0.25L ? -3 : v; },
     {},
     0.3,
     1},
};

void add_single(std::vector<OpCase>& t) {
  for (const Single& s : kSingle)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : shapes())
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::range, Values::special, Values::ties}) {
            OpCase c{.op = s.op,
                     .text = s.text,
                     .inputs = {{shape, dtype, layout, values, s.from, s.to}},
                     .call = [f = s.f](Args x) { return Outputs{f(x[0])}; },
                     .rows = 1};
            c.oracle = [f = s.oracle](Args x) {
              Expected r = expected_from(x[0], x[0].dtype());
              for (Wide& v : r.value) v = f(v);
              return std::vector{r};
            };
            c.bound = s.bound;
            if (s.bound.c > 0) c.relative = Relative::slope;
            if (dtype == DType::f64) c.bound.c *= 2;
            c.differentiable = values == Values::range;
            c.low = s.low, c.high = s.high;
            c.gradient_bound = {.c = 32}, c.gradient_relative = Relative::slope;
            c.gradient_in_parts = true;
            t.push_back(std::move(c));
          }
}

void add_two(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64})
    for (const auto& [left, right] : std::vector<std::pair<Shape, Shape>>{
             {{7}, {7}}, {{33, 17}, {33, 17}}, {{2, 3, 4}, {3, 1}}, {{}, {3, 5}}, {{0, 3}, {3}}})
      for (const Layout layout : layouts(left))
        for (const Values values : {Values::normal, Values::special, Values::ties, Values::range}) {
          if (!is_real(dtype) && values != Values::ties) continue;
          const std::vector<Input> inputs{{left, dtype, layout, values, 0.1, 4},
                                          {right, dtype, Layout::contiguous, values, 0.1, 4}};
          const auto by = [](auto f, bool truth) {
            return [=](Args x) {
              const Shape shape = broadcast_shapes("case", x[0].sizes(), x[1].sizes());
              Expected r = expected_from(expand(x[0], shape), truth ? DType::boolean : x[0].dtype());
              const Expected b = expected_from(expand(x[1], shape), x[1].dtype());
              for (std::size_t i = 0; i < r.value.size(); ++i) r.value[i] = f(r.value[i], b.value[i]);
              return std::vector{r};
            };
          };
          for (const double tolerance : {0., 0.5}) {
            OpCase c{.op = "isclose",
                     .text = tolerance == 0 ? "exact" : "within 0.5 and half, NaN too",
                     .inputs = inputs,
                     .call = [=](Args x) { return Outputs{isclose(x[0], x[1], tolerance, tolerance, tolerance > 0)}; }};
            c.oracle = by(
                [=](Wide a, Wide b) -> Wide {
                  const double u = static_cast<double>(a), v = static_cast<double>(b), apart = std::fabs(u - v);
                  if (std::isnan(u) && std::isnan(v)) return tolerance > 0;
                  return u == v || (std::isfinite(apart) && apart <= tolerance + tolerance * std::fabs(v));
                },
                true);
            t.push_back(std::move(c));
          }
          if (!is_real(dtype)) continue;
          OpCase c{
              .op = "xlogy", .text = "", .inputs = inputs, .call = [](Args x) { return Outputs{xlogy(x[0], x[1])}; }};
          c.oracle = by([](Wide a, Wide b) -> Wide { return a == 0 && !std::isnan(b) ? 0 : a * std::log(b); }, false);
          c.bound = {.c = 8}, c.relative = Relative::slope;
          c.differentiable = values == Values::range;
          c.low = 0.2, c.high = 3;
          c.gradient_bound = {.c = 16}, c.gradient_relative = Relative::slope;
          c.gradient_in_parts = true;
          if (values != Values::special) t.push_back(std::move(c));
        }
}

void add_lines(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{6}, Shape{4, 6}, Shape{2, 4, 8}, Shape{33, 34}, Shape{0, 2}, Shape{2, 0}})
      for (int dim = 0; dim < shape.rank(); ++dim)
        for (const Layout layout : layouts(shape)) {
          const Input in{shape, dtype, layout, Values::normal};
          const int back = dim - shape.rank();
          const std::string text = "dim " + std::to_string(dim);
          const unsigned rows = dim > 0 ? 1 : 0;
          if (shape[dim] % 2 == 0) {
            OpCase c{
                .op = "glu", .text = text, .inputs = {in}, .call = [=](Args x) { return Outputs{glu(x[0], back)}; }};
            c.oracle = [=](Args x) {
              return std::vector{by_line(x[0], dim, shape[dim] / 2, dtype, [](const Line& line) {
                const std::size_t half = line.size() / 2;
                Line y;
                for (std::size_t i = 0; i < half; ++i) y.push_back(line[i] / (1 + std::exp(-line[half + i])));
                return y;
              })};
            };
            c.bound = {.c = 8};
            c.rows = rows;
            c.differentiable = true;
            c.gradient_bound = {.c = 16};
            c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
              const Tensor a = abs(narrow(x[0], dim, 0, shape[dim] / 2)), one = ones_like(a), g = abs(gy);
              return Magnitudes{values_of(cat({g * one, g * a}, dim))};
            };
            t.push_back(std::move(c));
          }
          OpCase soft{.op = "softmin", .text = text, .inputs = {in}, .call = [=](Args x) {
                        return Outputs{softmin(x[0], dim)};
                      }};
          soft.oracle = [=](Args x) {
            return std::vector{by_line(x[0], dim, -1, dtype, [](const Line& line) {
              Wide total = 0;
              Line y;
              for (const Wide v : line) y.push_back(std::exp(-v)), total += y.back();
              for (Wide& v : y) v /= total;
              return y;
            })};
          };
          soft.bound = {.c = 32};
          soft.rows = rows;
          soft.differentiable = true;
          soft.gradient_bound = {.c = 32};
          soft.gradient_magnitude = [=](Args x, const Outputs& y, const Tensor& gy) {
            const Tensor part = y[0] * abs(gy);
            return Magnitudes{values_of(part + y[0] * sum(part, {dim}, true) + x[0] * 0)};
          };
          t.push_back(std::move(soft));
          for (const std::int64_t n : {0, 1, 3}) {
            OpCase c{.op = "diff", .text = std::to_string(n) + " " + text, .inputs = {in}, .call = [=](Args x) {
                       return Outputs{diff(x[0], n, back)};
                     }};
            c.oracle = [=](Args x) {
              return std::vector{by_line(x[0], dim, std::max<std::int64_t>(shape[dim] - n, 0), dtype, [=](Line line) {
                for (std::int64_t k = 0; k < n && !line.empty(); ++k) {
                  for (std::size_t i = 0; i + 1 < line.size(); ++i) line[i] = line[i + 1] - line[i];
                  line.pop_back();
                }
                return line;
              })};
            };
            c.bound = {.c = n > 1 ? 64. : 2.};
            if (n > 1)
              c.magnitude = [](Args x, const Outputs& y) {
                return Magnitudes{
                    std::vector<double>(values_of(y[0]).size(), x[0].numel() ? amax(abs(x[0])).item() : 0)};
              };
            c.rows = rows;
            c.differentiable = true;
            c.gradient_bound = {.c = 64};
            c.gradient_in_parts = true;
            c.gradient_magnitude = [](Args x, const Outputs&, const Tensor& gy) {
              return Magnitudes{
                  std::vector<double>(static_cast<std::size_t>(x[0].numel()), gy.numel() ? amax(abs(gy)).item() : 0)};
            };
            t.push_back(std::move(c));
          }
        }
}

void add_products(std::vector<OpCase>& t) {
  struct Pair {
    Shape a, b;
    std::vector<int> left, right;
    std::string equation;
  };
  const Pair pairs[] = {{{3, 4}, {4, 2}, {1}, {0}, "ij,jk->ik"},
                        {{3, 4}, {3, 4}, {0, 1}, {0, 1}, "ij,ij->"},
                        {{2, 3, 4}, {4, 3, 5}, {-1, 1}, {0, 1}, "abc,cbd->ad"},
                        {{2, 3}, {4}, {}, {}, "ij,k->ijk"},
                        {{33, 17}, {5, 33}, {0}, {1}, "ij,ki->jk"},
                        {{3, 0}, {0, 2}, {1}, {0}, "ij,jk->ik"}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Pair& p : pairs)
      for (const Layout layout : layouts(p.a))
        for (const Values values : {Values::normal, Values::positive, Values::cancelling}) {
          OpCase c{
              .op = "tensordot lists",
              .text = p.equation,
              .inputs = {{p.a, dtype, layout, values}, {p.b, dtype, Layout::contiguous, values}},
              .call = [left = p.left, right = p.right](Args x) { return Outputs{tensordot(x[0], x[1], left, right)}; }};
          c.oracle = [equation = p.equation](Args x) {
            const Tensor y = einsum(equation, {cast(x[0], DType::f64), cast(x[1], DType::f64)});
            return std::vector{expected_from(y, x[0].dtype())};
          };
          c.bound = {.c = 32}, c.relative = Relative::absolute;
          c.differentiable = values == Values::normal;
          c.gradient_bound = {.c = 32}, c.gradient_relative = Relative::absolute;
          c.gradient_in_parts = true;
          t.push_back(c);
          const int n = static_cast<int>(p.left.size());
          if (p.equation != "ij,jk->ik" && p.equation != "ij,ij->" && p.equation != "ij,k->ijk") continue;
          c.op = "tensordot";
          c.call = [n](Args x) { return Outputs{tensordot(x[0], x[1], n)}; };
          t.push_back(std::move(c));
        }
  for (const DType dtype : {DType::f32, DType::f64, DType::i64})
    for (const Shape& shape : {Shape{3, 3}, Shape{2, 5}, Shape{33, 17}, Shape{0, 4}, Shape{1, 1}})
      for (const Layout layout : layouts(shape))
        for (const Values values : {Values::normal, Values::ties, Values::cancelling}) {
          if (!is_real(dtype) && values != Values::ties) continue;
          OpCase c{.op = "trace", .text = "", .inputs = {{shape, dtype, layout, values}}, .call = [](Args x) {
                     return Outputs{trace(x[0])};
                   }};
          c.oracle = [](Args x) {
            const Expected from = expected_from(x[0], x[0].dtype());
            Expected r{{}, x[0].dtype(), {0}, {0}};
            for (std::int64_t i = 0; i < std::min(x[0].size(0), x[0].size(1)); ++i) {
              const Wide v = from.value[static_cast<std::size_t>(i * x[0].size(1) + i)];
              r.value[0] += v, r.magnitude[0] += static_cast<double>(std::fabs(v));
            }
            return std::vector{r};
          };
          if (is_real(dtype)) c.bound = {.c = 8};
          c.differentiable = values == Values::normal;
          t.push_back(std::move(c));
        }
}

void add_frequencies(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const std::int64_t n : {1, 2, 3, 7, 8, 33, 400, 4097})
      for (const double d : {1., 1. / 16000, -0.5})
        for (const bool real : {false, true}) {
          OpCase c{.op = real ? "rfftfreq" : "fftfreq",
                   .text = std::to_string(n) + " by " + std::to_string(d) + " " + name(dtype),
                   .inputs = {},
                   .call = [=](Args) { return Outputs{real ? rfftfreq(n, d, {dtype}) : fftfreq(n, d, {dtype})}; }};
          c.oracle = [=](Args) {
            Expected r{{real ? n / 2 + 1 : n}, dtype, {}, {}};
            for (std::int64_t k = 0; k < r.shape[0]; ++k) {
              const std::int64_t bin = real || k < (n + 1) / 2 ? k : k - n;
              r.value.push_back(static_cast<Wide>(bin) / (static_cast<Wide>(n) * d));
            }
            return std::vector{r};
          };
          c.bound = {.ulps = 2};
          t.push_back(std::move(c));
        }
}

}  // namespace

void add_composed(std::vector<OpCase>& t) {
  add_single(t);
  add_two(t);
  add_lines(t);
  add_products(t);
  add_frequencies(t);
}

}  // namespace tapedeck::cases
