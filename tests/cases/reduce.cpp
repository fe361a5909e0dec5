// Sums, means, variances, extremes, over every set of axes.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/reduce.h>

#include <algorithm>
#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

// Every set of dimensions of a shape, from none (which means all) to all of them.
std::vector<std::vector<int>> axis_sets(int rank) {
  std::vector<std::vector<int>> sets;
  for (unsigned mask = 0; mask < 1u << rank; ++mask) {
    std::vector<int>& dims = sets.emplace_back();
    for (int d = 0; d < rank; ++d)
      if (mask >> d & 1u) dims.push_back(mask % 2 ? d : d - rank);  // counted from either end
  }
  return sets;
}
std::string text_of(const std::vector<int>& dims, bool keepdim) {
  std::string text = "dims";
  for (const int d : dims) text += " " + std::to_string(d);
  return text + (keepdim ? " keepdim" : "");
}
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

// var, also far from zero. The bound grows with |mean| / std.
Magnitudes var_magnitude(const Tensor& x, const std::vector<int>& dims, const Outputs& y) {
  const auto centre = values_of(mean(x, dims)), variance = values_of(var(x, dims, false, false));
  std::vector<double> m = values_of(y[0]);
  for (std::size_t i = 0; i < m.size(); ++i)
    m[i] = std::fabs(m[i]) * (1 + std::fabs(centre[i]) / std::sqrt(variance[i]));
  return {m};
}
void add_var(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{7}, Shape{33, 17}, Shape{2, 3, 4, 5}, Shape{3, 1000}, Shape{2, 40, 3}})
      for (const auto& dims : axis_sets(shape.rank()))
        for (const Layout layout : layouts(shape))
          for (const bool offset : {false, true})
            for (const bool unbiased : {false, true}) {
              if (layout == Layout::expanded) continue;  // equal rows: the mean's rounding is all there is
              std::int64_t count = 1;
              for (int d = 0; d < shape.rank(); ++d)
                if (dims.empty() || std::any_of(dims.begin(), dims.end(),
                                                [&](int e) { return (e + shape.rank()) % shape.rank() == d; }))
                  count *= shape[d];
              if (count < 3) continue;
              OpCase c{.op = "var",
                       .text = text_of(dims, false) + (unbiased ? " unbiased" : ""),
                       .inputs = {{shape, dtype, layout, Values::range, offset ? 9998. : -2., offset ? 10002. : 2.}},
                       .call = [=](Args x) { return Outputs{var(x[0], dims, false, unbiased)}; }};
              c.bound = {.c = 16};
              c.magnitude = [dims](Args x, const Outputs& y) { return var_magnitude(x[0], dims, y); };
              if (!reduces_rows(dims, shape)) c.rows = 1;
              c.differentiable = !offset;
              c.gradient_bound = {.c = 16};
              c.gradient_in_parts = true;  // x and its mean
              // g 2 (x - mean) / n: what is lost in x - mean counts by |x| + |mean|.
              c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
                Shape kept = x[0].sizes();
                const Tensor centre = mean(abs(x[0]), dims, true);
                for (int d = 0; d < kept.rank(); ++d) kept[d] = centre.sizes()[d];
                const Tensor g = reshape(abs(gy), kept) * (2.0 / static_cast<double>(count - (unbiased ? 1 : 0)));
                return Magnitudes{values_of(g * (abs(x[0]) + centre))};
              };
              t.push_back(std::move(c));
            }
}

void add_arg(std::vector<OpCase>& t) {
  using Arg = Tensor (*)(const Tensor&, int, bool);
  const std::pair<const char*, Arg> ops[] = {{"argmax", argmax}, {"argmin", argmin}};
  for (const auto& [op, f] : ops)
    for (const DType dtype : {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8})
      for (const Shape& shape : {Shape{1}, Shape{7}, Shape{33, 17}, Shape{2, 3, 4, 5}, Shape{1, 4097}, Shape{0, 3}})
        for (int dim = 0; dim < shape.rank(); ++dim)
          for (const Layout layout : layouts(shape))
            for (const Values values : {Values::normal, Values::ties, Values::nonfinite}) {
              if (shape[dim] == 0 || (!is_real(dtype) && values != Values::ties)) continue;
              const bool keepdim = dim % 2 == 1;
              t.push_back({.op = op,
                           .text = text_of({dim}, keepdim),
                           .inputs = {{shape, dtype, layout, values}},
                           .call = [=, f = f](Args x) { return Outputs{f(x[0], dim, keepdim)}; },
                           .rows = dim > 0 ? 1u : 0u});
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
                     kernels::sum_squares(kCpu, {x[0], y, (1u << x[0].dim()) - 1u});
                     return Outputs{y};
                   }};
          c.bound = {.c = 8}, c.relative = Relative::absolute;
          t.push_back(std::move(c));
        }
}

}  // namespace

void add_reduce(std::vector<OpCase>& t) {
  add_reductions(t);
  add_var(t);
  add_arg(t);
  add_integers(t);
  add_sum_to(t);
  add_sum_squares(t);
}

}  // namespace tapedeck::cases
