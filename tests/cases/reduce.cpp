// Sums, means, products, extremes and their places, over every set of axes.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/reduce.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cases/lines.h"

namespace tapedeck::cases {
namespace {

bool reduces_rows(const std::vector<int>& dims, const Shape& shape) {
  return dims.empty() ||
         std::any_of(dims.begin(), dims.end(), [&](int d) { return (d + shape.rank()) % shape.rank() == 0; });
}

using Reduce = Tensor (*)(const Tensor&, const std::vector<int>&, bool);
struct Op {
  const char* op;
  Reduce f;
  bool chooses = false;  // an element of its input: exact, and not of nothing
};
const Op kOps[] = {{"sum", sum}, {"mean", mean}, {"amax", amax, true}, {"amin", amin, true}};

const Shape kShapes[] = {{},       {0},          {1},       {7},       {3, 0, 2}, {1, 1, 1},
                         {33, 17}, {2, 3, 4, 5}, {1, 4097}, {3, 1000}, {70, 1100}};

void add_reductions(std::vector<OpCase>& t) {
  for (const auto& [op, f, chooses] : kOps)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : kShapes)
        for (const auto& dims : axis_sets(shape.rank()))
          for (const Layout layout : layouts(shape))
            for (const Values values :
                 {Values::normal, Values::positive, Values::ties, Values::nonfinite, Values::cancelling}) {
              if (chooses && shape.numel() == 0) continue;
              if (!chooses && values == Values::ties) continue;
              const bool keepdim = dims.size() % 2 == 1;
              OpCase c{.op = op,
                       .text = text_of(dims, keepdim),
                       .inputs = {{shape, dtype, layout, values}},
                       .call = [=, f = f](Args x) { return Outputs{f(x[0], dims, keepdim)}; }};
              if (!chooses) c.bound = {.c = values == Values::positive ? 8. : 4.}, c.relative = Relative::absolute;
              if (shape.rank() > 0 && !reduces_rows(dims, shape)) c.rows = 1;
              c.differentiable = values == Values::normal;
              // Differences need distinct values where one is chosen; a full grid repeats them.
              if (chooses && dtype == DType::f64 && shape.numel() > 40) c.differentiable = false;
              c.gradient_bound = {.c = 4};
              t.push_back(std::move(c));
            }
}

// The places of extremes along a dimension, or of all elements, and what stands there.
long double place_of_extreme(const Line& line, bool largest) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < line.size() && !std::isnan(line[best]); ++i)
    if (std::isnan(line[i]) || (largest ? line[i] > line[best] : line[i] < line[best])) best = i;
  return static_cast<long double>(best);
}
long double extreme_of(const Line& line, bool largest) {
  return line[static_cast<std::size_t>(place_of_extreme(line, largest))];
}

void add_arg(std::vector<OpCase>& t, bool largest, const Input& in, std::optional<int> dim, bool keepdim) {
  const std::vector<int> dims = dim ? std::vector{*dim} : std::vector<int>{};
  const std::string text = text_of(dims, keepdim);
  const unsigned rows = dim && mask_of(dims, in.shape.rank()) != 1u ? 1u : 0u;
  const auto place = [=](const Line& line) { return place_of_extreme(line, largest); };
  const auto value = [=](const Line& line) { return extreme_of(line, largest); };
  OpCase arg{.op = largest ? "argmax" : "argmin",
             .text = text,
             .inputs = {in},
             .call = [=](Args x) { return Outputs{largest ? argmax(x[0], dim, keepdim) : argmin(x[0], dim, keepdim)}; },
             .rows = rows};
  arg.oracle = [=](Args x) { return std::vector{by_reduction(x[0], dims, keepdim, DType::i64, place)}; };
  OpCase both{.op = std::string(largest ? "max" : "min") + (dim ? " along" : ""),
              .text = text,
              .inputs = {in},
              .call =
                  [=](Args x) {
                    if (!dim) return Outputs{largest ? max(x[0]) : min(x[0])};
                    const ValuesIndices y = largest ? max(x[0], *dim, keepdim) : min(x[0], *dim, keepdim);
                    return Outputs{y.values, y.indices};
                  },
              .rows = rows};
  both.oracle = [=](Args x) {
    std::vector<Expected> r{by_reduction(x[0], dims, keepdim && dim, x[0].dtype(), value)};
    if (dim) r.push_back(by_reduction(x[0], dims, keepdim, DType::i64, place));
    return r;
  };
  // Differences need distinct values where one is chosen; a full grid repeats them. Indices have no gradient.
  OpCase values = both;
  const bool grid = in.dtype == DType::f32 || in.shape.numel() <= 40;
  values.differentiable = in.values == Values::normal && grid && is_real(in.dtype);
  if (values.differentiable && dim) {
    values.text += " values alone";
    values.call = [call = both.call](Args x) { return Outputs{call(x)[0]}; };
    values.oracle = [oracle = both.oracle](Args x) { return std::vector{oracle(x)[0]}; };
    t.push_back(values);
  }
  both.differentiable = values.differentiable && !dim;
  t.push_back(std::move(arg));
  t.push_back(std::move(both));
}

void add_args(std::vector<OpCase>& t) {
  for (const bool largest : {true, false})
    for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8, DType::boolean})
      for (const Shape& shape :
           {Shape{}, Shape{1}, Shape{7}, Shape{33, 17}, Shape{2, 3, 4, 5}, Shape{1, 4097}, Shape{0, 3}})
        for (int dim = -1; dim < std::max(shape.rank(), 1); ++dim)  // -1: all elements
          for (const Layout layout : layouts(shape))
            for (const Values values : {Values::normal, Values::ties, Values::nonfinite}) {
              if ((dim < 0 ? shape.numel() : shape.rank() > 0 ? shape[dim] : 1) == 0) continue;
              if (!is_real(dtype) && values != Values::ties) continue;
              add_arg(t, largest, {shape, dtype, layout, values}, dim < 0 ? std::optional<int>() : dim, dim % 2 != 0);
            }
}

// Products: of several orders of magnitude, of zeros, of everything.
void add_prod(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8, DType::boolean})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{3, 0, 2}, Shape{33, 17}, Shape{2, 3, 4, 5},
                               Shape{1, 4097}, Shape{3, 70}, Shape{70, 1100}})
      for (int dim = -1; dim < std::max(shape.rank(), 1); ++dim)  // -1: all elements
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::ties, Values::nonfinite, Values::range}) {
            const bool real = is_real(dtype), all = dim < 0;
            if (!real && values != Values::ties && values != Values::range) continue;
            if (shape.numel() > 10000 && (layout != Layout::contiguous || !real)) continue;
            const std::vector<int> dims = all ? std::vector<int>{} : std::vector{dim};
            const bool keepdim = dim % 2 == 1;
            const Input in{shape, dtype, layout, values, real ? 0.7 : -3, real ? 1.4 : 4};
            OpCase c{
                .op = all ? "prod" : "prod along", .text = text_of(dims, keepdim), .inputs = {in}, .call = [=](Args x) {
                  return Outputs{all ? prod(x[0]) : prod(x[0], dim, keepdim)};
                }};
            c.oracle = [=](Args x) {
              return std::vector{by_reduction(x[0], dims, keepdim, real ? dtype : DType::i64, [=](const Line& line) {
                long double product = 1;
                std::uint64_t whole = 1;
                for (const long double v : line)
                  product *= v, whole *= real ? 1 : static_cast<std::uint64_t>(static_cast<std::int64_t>(v));
                return real ? product : static_cast<long double>(static_cast<std::int64_t>(whole));
              })};
            };
            const std::int64_t terms = all ? shape.numel() : shape.rank() > 0 ? shape[dim] : 1;
            if (real) c.bound = {.c = dtype == DType::f32 ? 2. : static_cast<double>(terms + 1), .subnormal = 1000};
            if (!all && shape.rank() > 0 && dim > 0) c.rows = 1;
            c.differentiable = real && terms <= 40 && values != Values::nonfinite;
            c.low = 0.5, c.high = 1.6;
            c.gradient_bound = {.c = 4};
            t.push_back(std::move(c));
          }
}

// How many are not zero, whether one is, whether all are.
void add_truths(std::vector<OpCase>& t) {
  const auto count = [](const Line& line) {
    return static_cast<long double>(std::count_if(line.begin(), line.end(), [](long double v) { return v != 0; }));
  };
  for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8, DType::boolean})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{3, 0, 2}, Shape{33, 17}, Shape{2, 3, 4}})
      for (const auto& dims : axis_sets(shape.rank()))
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::ties, Values::special, Values::range}) {
            if (values == Values::special && !is_real(dtype)) continue;
            const bool keepdim = dims.size() % 2 == 1;
            const Input in{shape, dtype, layout, values, 1, 3};  // in the range: none is 0
            const auto add = [&](const char* op, auto f, DType y, bool keeps, auto judge) {
              OpCase c{.op = op, .text = text_of(dims, keeps), .inputs = {in}, .call = [=](Args x) {
                         return Outputs{f(x[0])};
                       }};
              c.oracle = [=](Args x) { return std::vector{by_reduction(x[0], dims, keeps, y, judge)}; };
              if (shape.rank() > 0 && !reduces_rows(dims, shape)) c.rows = 1;
              t.push_back(std::move(c));
            };
            add(
                "any", [=](const Tensor& x) { return any(x, dims, keepdim); }, DType::boolean, keepdim,
                [=](const Line& l) { return static_cast<long double>(count(l) > 0); });
            add(
                "all", [=](const Tensor& x) { return all(x, dims, keepdim); }, DType::boolean, keepdim,
                [=](const Line& l) {
                  return static_cast<long double>(count(l) == static_cast<long double>(l.size()));
                });
            add(
                "count_nonzero", [=](const Tensor& x) { return count_nonzero(x, dims); }, DType::i64, false, count);
          }
}

// Over several dimensions.
void add_logsumexp_dims(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{3, 0, 2}, Shape{33, 17}, Shape{2, 3, 4}})
      for (const auto& dims : axis_sets(shape.rank()))
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::range}) {
            const bool keepdim = dims.size() % 2 == 1;
            OpCase c{.op = "logsumexp dims",
                     .text = text_of(dims, keepdim),
                     .inputs = {{shape, dtype, layout, values, -300, 300}},
                     .call = [=](Args x) { return Outputs{logsumexp(x[0], dims, keepdim)}; }};
            c.oracle = [=](Args x) {
              Expected r = by_reduction(x[0], dims, keepdim, dtype, [](const Line& line) {
                long double most = -std::numeric_limits<long double>::infinity(), total = 0;
                for (const long double v : line) most = std::max(most, v);
                for (const long double v : line) total += std::exp(v - most);
                return line.empty() ? most : most + std::log(total);
              });
              for (const long double v : r.value) r.magnitude.push_back(static_cast<double>(std::fabs(v)) + 1);
              return std::vector{r};
            };
            c.bound = {.c = dtype == DType::f64 ? 4. : 2.};
            if (shape.rank() > 0 && !reduces_rows(dims, shape)) c.rows = 1;
            c.differentiable = values == Values::normal;
            c.gradient_bound = {.c = 8};
            c.gradient_magnitude = [=](Args x, const Outputs& y, const Tensor& gy) {
              const Shape kept = sum(x[0], dims, true).sizes();
              const Tensor total = reshape(y[0], kept), share = exp(x[0] - total);
              return Magnitudes{values_of(reshape(abs(gy), kept) * share * (abs(x[0]) + abs(total) + 2))};
            };
            t.push_back(std::move(c));
          }
}

// Sums of integers and bools are i64; extremes keep the type.
void add_integers(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::i64, DType::i32, DType::u8, DType::boolean})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{33, 17}, Shape{2, 3, 4}})
      for (const Layout layout : layouts(shape))
        for (const auto& dims : axis_sets(shape.rank())) {
          const Input in{shape, dtype, layout, Values::range, dtype == DType::u8 ? 0. : -9., 9};
          t.push_back({.op = "sum", .text = text_of(dims, false), .inputs = {in}, .call = [=](Args x) {
                         return Outputs{sum(x[0], dims)};
                       }});
          if (shape.numel() == 0 || dtype == DType::boolean) continue;
          t.push_back({.op = "amax", .text = text_of(dims, false), .inputs = {in}, .call = [=](Args x) {
                         return Outputs{amax(x[0], dims)};
                       }});
          t.push_back({.op = "amin", .text = text_of(dims, false), .inputs = {in}, .call = [=](Args x) {
                         return Outputs{amin(x[0], dims)};
                       }});
        }
}

// Without what is NaN.
void add_nan(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{3, 0, 2}, Shape{33, 17}, Shape{2, 3, 4}})
      for (const auto& dims : axis_sets(shape.rank()))
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::nonfinite, Values::cancelling})
            for (const bool average : {false, true}) {
              const bool keepdim = dims.size() % 2 == 1;
              OpCase c{.op = average ? "nanmean" : "nansum",
                       .text = text_of(dims, keepdim),
                       .inputs = {{shape, dtype, layout, values}},
                       .call = [=](Args x) {
                         return Outputs{average ? nanmean(x[0], dims, keepdim) : nansum(x[0], dims, keepdim)};
                       }};
              c.oracle = [=](Args x) {
                return std::vector{by_reduction(x[0], dims, keepdim, dtype, [=](const Line& line) {
                  long double total = 0, n = 0;
                  for (const long double v : line)
                    if (!std::isnan(v)) total += v, n += 1;
                  return average ? total / n : total;
                })};
              };
              c.bound = {.c = 4}, c.relative = Relative::absolute;
              if (shape.rank() > 0 && !reduces_rows(dims, shape)) c.rows = 1;
              c.differentiable = values == Values::normal;
              c.gradient_bound = {.c = 4};
              t.push_back(std::move(c));
            }
}

void add_sum_to(std::vector<OpCase>& t) {
  const std::pair<Shape, Shape> pairs[] = {{{3, 5}, {3, 5}},    {{3, 5}, {5}},          {{3, 5}, {}},
                                           {{2, 3, 4}, {3, 1}}, {{2, 3, 4}, {2, 1, 4}}, {{0, 3}, {1, 3}},
                                           {{7, 2}, {1, 1}},    {{33, 17}, {33, 1}}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [from, to] : pairs)
      for (const Layout layout : layouts(from))
        for (const Values values : {Values::normal, Values::positive, Values::cancelling}) {
          OpCase c{.op = "sum_to",
                   .text = to_string(to),
                   .inputs = {{from, dtype, layout, values}},
                   .call = [to = to](Args x) { return Outputs{sum_to(x[0], to)}; }};
          c.bound = {.c = values == Values::positive ? 8. : 4.}, c.relative = Relative::absolute;
          c.differentiable = values == Values::normal;
          t.push_back(std::move(c));
        }
}

// The squares of a gradient's elements: what clipping measures. No op of its own.
void add_sum_squares(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : shapes())
      for (const Layout layout : layouts(shape))
        for (const Values values : {Values::normal, Values::positive, Values::nonfinite}) {
          OpCase c{.op = "kernel sum_squares",
                   .text = "all",
                   .inputs = {{shape, dtype, layout, values}},
                   .call = [](Args x) {
                     Shape ones = x[0].sizes();
                     for (int d = 0; d < ones.rank(); ++d) ones[d] = 1;
                     const Tensor y = empty(ones, x[0].options());
                     kernels::sum_squares(x[0].device(), {x[0], y, (1u << x[0].dim()) - 1u});
                     return Outputs{y};
                   }};
          c.bound = {.c = 8}, c.relative = Relative::absolute;
          t.push_back(std::move(c));
        }
}

}  // namespace

void add_reduce(std::vector<OpCase>& t) {
  add_reductions(t);
  add_args(t);
  add_prod(t);
  add_truths(t);
  add_logsumexp_dims(t);
  add_integers(t);
  add_nan(t);
  add_sum_to(t);
  add_sum_squares(t);
}

}  // namespace tapedeck::cases
