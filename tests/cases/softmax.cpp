// The softmax family and the losses of classes.
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using Op = Tensor (*)(const Tensor&, int);

// r (2 + |x - max| + log2 N) for softmax, the same without r for its logarithm (|r| + 1 bounds |x - max|).
Magnitudes softmax_magnitude(const Tensor& x, int dim, const Outputs& y, bool logarithm) {
  const double n = static_cast<double>(x.size(dim));
  const Tensor distance = abs(x - amax(x, {dim}, true)) + (2 + std::log2(n + 1));
  return {values_of(logarithm ? abs(y[0]) + distance : abs(y[0]) * distance)};
}

std::vector<std::pair<Shape, int>> shapes_and_dims() {
  std::vector<std::pair<Shape, int>> all;
  for (const Shape& s : {Shape{1}, Shape{7}, Shape{0, 3}, Shape{3, 5}, Shape{33, 17}, Shape{2, 3, 4}, Shape{2, 3, 4, 5},
                         Shape{1, 4097}, Shape{40, 256}})
    for (int d = 0; d < s.rank(); ++d)
      if (s[d] > 0) all.emplace_back(s, d);
  return all;
}

struct Range {
  Values values;
  double low = -1, high = 1;
};
const Range kRanges[] = {
    {Values::normal}, {Values::ties}, {Values::range, -88, 88}, {Values::range, -1e30, 1e30}, {Values::nonfinite}};

void add_family(std::vector<OpCase>& t) {
  for (const bool logarithm : {false, true})
    for (const DType dtype : {DType::f32, DType::f64})
      for (const auto& [shape, dim] : shapes_and_dims())
        for (const Layout layout : layouts(shape))
          for (const auto& [values, low, high] : kRanges) {
            const Op f = logarithm ? Op(log_softmax) : Op(softmax);
            OpCase c{.op = logarithm ? "log_softmax" : "softmax",
                     .text = "dim " + std::to_string(dim),
                     .inputs = {{shape, dtype, layout, values, low, high}},
                     .call = [=, dim = dim](Args x) { return Outputs{f(x[0], dim)}; }};
            c.bound = {.c = dtype == DType::f64 ? 16. : 2.};  // f64 is summed in f64, f32 in double
            c.magnitude = [=, dim = dim](Args x, const Outputs& y) {
              return softmax_magnitude(x[0], dim, y, logarithm);
            };
            if (dim > 0) c.rows = 1;
            c.differentiable = values == Values::normal;
            c.gradient_bound = {.c = 8};
            c.gradient_magnitude = [=, dim = dim](Args x, const Outputs& y, const Tensor& gy) {
              const double n = 2 + std::log2(static_cast<double>(x[0].size(dim)) + 1);
              const Tensor p = logarithm ? exp(y[0]) * (abs(y[0]) + n) : y[0] * n;
              const Tensor total = sum(logarithm ? abs(gy) : abs(gy) * y[0], {dim}, true);
              return Magnitudes{values_of(logarithm ? abs(gy) + p * total : p * (abs(gy) + total))};
            };
            t.push_back(std::move(c));
          }
}

void add_logsumexp(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [shape, dim] : shapes_and_dims())
      for (const Layout layout : layouts(shape))
        for (const auto& [values, low, high] : kRanges) {
          const bool keepdim = shape.rank() % 2 == 1;
          OpCase c{.op = "logsumexp",
                   .text = "dim " + std::to_string(dim) + (keepdim ? " keepdim" : ""),
                   .inputs = {{shape, dtype, layout, values, low, high}},
                   .call = [=, dim = dim](Args x) { return Outputs{logsumexp(x[0], dim, keepdim)}; }};
          c.bound = {.c = dtype == DType::f64 ? 4. : 2.};
          c.magnitude = [](Args, const Outputs& y) { return Magnitudes{values_of(abs(y[0]) + 1)}; };
          if (dim > 0) c.rows = 1;
          c.differentiable = values == Values::normal;
          c.gradient_bound = {.c = 8};
          // gy exp(x - y): both are rounded before the difference.
          c.gradient_magnitude = [dim = dim](Args x, const Outputs&, const Tensor& gy) {
            const Tensor wide = expand(reshape(gy, sum(x[0], {dim}, true).sizes()), x[0].sizes());
            const Tensor total = logsumexp(x[0], dim, true);
            return Magnitudes{values_of(abs(wide) * softmax(x[0], dim) * (abs(x[0]) + abs(total) + 2))};
          };
          t.push_back(std::move(c));
        }
}

const char* text_of(Reduction r) { return r == Reduction::none ? "none" : r == Reduction::mean ? "mean" : "sum"; }

// One row's bound is |loss| + max |x|; sums and means add theirs.
Magnitudes cross_entropy_magnitude(const Tensor& x, const Outputs& y, Reduction reduction) {
  const Tensor each = amax(abs(x), {-1}) + logsumexp(abs(x), -1);
  if (reduction == Reduction::none) return {values_of(each + abs(y[0]))};
  const Tensor total =
      reduction == Reduction::sum ? sum(each) : mean(each) * 4;  // a fourth of the targets count at least
  return {values_of(total + abs(y[0]))};
}

void add_cross_entropy(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{5}, Shape{1, 1}, Shape{7, 3}, Shape{2, 3, 5}, Shape{33, 17}, Shape{6, 256},
                               Shape{2, 8, 65}, Shape{0, 4}})
      for (const Layout layout : layouts(shape))
        for (const auto& [values, low, high] : {kRanges[0], kRanges[1], kRanges[2]})
          for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum})
            for (const bool ignores : {false, true}) {
              Shape rows = shape;
              rows.erase(shape.rank() - 1);
              const std::int64_t classes = shape[shape.rank() - 1];
              if (ignores && (rows.numel() < 8 || classes < 5)) continue;
              if (shape.numel() == 0 && reduction == Reduction::mean) continue;  // 0 / 0
              const CrossEntropyOptions options{.ignore_index = ignores ? 0 : -100, .reduction = reduction};
              OpCase c{
                  .op = "cross_entropy",
                  .text = std::string(text_of(reduction)) + (ignores ? " ignore 0" : ""),
                  .inputs = {{shape, dtype, layout, values, low, high},
                             {rows, DType::i64, Layout::contiguous, Values::range, 0, static_cast<double>(classes)}},
                  .call = [=](Args x) { return Outputs{cross_entropy(x[0], x[1], options)}; }};
              c.bound = {.c = dtype == DType::f64 ? 6. : 4.};
              c.magnitude = [=](Args x, const Outputs& y) { return cross_entropy_magnitude(x[0], y, reduction); };
              if (reduction == Reduction::none && rows.rank() > 0) c.rows = 3;
              c.differentiable = values == Values::normal;
              c.gradient_bound = {.c = 16};
              // |g| (p + the target's 1), p with softmax's own bound.
              c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
                const double n = static_cast<double>(x[0].numel() / std::max<std::int64_t>(1, x[0].size(-1)));
                const Tensor g = reduction == Reduction::none   ? unsqueeze(abs(gy), -1)
                                 : reduction == Reduction::mean ? abs(gy) * (4 / n)
                                                                : abs(gy);
                return Magnitudes{
                    values_of(g * softmax(x[0], -1) * (abs(x[0]) + 8) + g * one_hot(x[1], x[0].size(-1), DType::f64))};
              };
              t.push_back(std::move(c));
            }
}

// Class weights, smoothing and soft targets; nll_loss. |terms| of the sum over classes, and each term's own error.
void add_class_losses(std::vector<OpCase>& t) {
  struct Kind {
    const char *op, *text;
    bool weighted = false, soft = false;
    double smoothing = 0;
  };
  const Kind kinds[] = {{"cross_entropy", "weighted", true},
                        {"cross_entropy", "smoothed", false, false, 0.1},
                        {"cross_entropy", "weighted, smoothed", true, false, 0.3},
                        {"cross_entropy", "soft", false, true},
                        {"cross_entropy", "soft, weighted, smoothed", true, true, 0.2},
                        {"nll_loss", ""},
                        {"nll_loss", "weighted", true}};
  for (const Kind& k : kinds)
    for (const DType dtype : {DType::f32, DType::f64})
      for (const Shape& shape : {Shape{5}, Shape{1, 1}, Shape{7, 3}, Shape{2, 3, 5}, Shape{33, 17}, Shape{0, 4}})
        for (const Layout layout : layouts(shape))
          for (const auto& [values, low, high] : {kRanges[0], kRanges[2]})
            for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum})
              for (const bool ignores : {false, true}) {
                const std::int64_t classes = shape[shape.rank() - 1];
                if (ignores && (k.soft || shape.numel() < 40)) continue;
                if (shape.numel() == 0 && r == Reduction::mean) continue;
                if (r != Reduction::none && layout != Layout::contiguous) continue;
                Shape rows = shape;
                rows.erase(shape.rank() - 1);
                const bool nll = std::string(k.op) == "nll_loss";
                const std::int64_t ignored = ignores ? 1 : -100;
                const auto call = [=](Args x, Reduction how) {
                  const Tensor weight = k.weighted ? x[2] : Tensor();
                  if (nll) return nll_loss(x[0], x[1], weight, ignored, how);
                  return cross_entropy(
                      x[0], x[1],
                      {.weight = weight, .ignore_index = ignored, .reduction = how, .label_smoothing = k.smoothing});
                };
                OpCase c{.op = k.op,
                         .text = std::string(k.text) + " " + text_of(r) + (ignores ? " ignore 1" : ""),
                         .inputs = {{shape, dtype, layout, values, low, high}},
                         .call = [=](Args x) { return Outputs{call(x, r)}; }};
                if (k.soft)
                  c.inputs.push_back({shape, dtype, layout, Values::positive});
                else
                  c.inputs.push_back(
                      {rows, DType::i64, Layout::contiguous, Values::range, 0, static_cast<double>(classes)});
                if (k.weighted) c.inputs.push_back({{classes}, dtype, Layout::contiguous, Values::range, 0.25, 2});
                if (r == Reduction::none && rows.rank() > 0) c.rows = 3;
                c.bound = {.c = dtype == DType::f64 ? 32. : 8.};
                // Of a row: the terms p w |log p| with the bound of log_softmax, or the chosen one.
                const auto of_row = [=](Args x) {
                  const double n = 2 + std::log2(static_cast<double>(classes) + 1);
                  const Tensor each = nll ? abs(x[0]) : abs(x[0]) + abs(logsumexp(abs(x[0]), -1, true)) + n;
                  Tensor p = k.soft ? x[1] : one_hot(x[1], classes, DType::f64);
                  if (k.smoothing > 0) p = p + k.smoothing / static_cast<double>(classes);
                  return sum(each * (k.weighted ? p * x[2] : p), {-1});
                };
                c.magnitude = [=](Args x, const Outputs& y) {
                  const Tensor m = of_row(x);
                  if (r == Reduction::none) return Magnitudes{values_of(m + abs(y[0]))};
                  const double share = k.weighted ? 32 : 4;  // of the targets that count, by weight
                  return Magnitudes{values_of((r == Reduction::sum ? sum(m) : mean(m) * share) + abs(y[0]))};
                };
                c.differentiable = values == Values::normal && layout != Layout::expanded;
                c.gradient_in_parts = true;
                c.gradient_bound = {.c = 32};
                c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
                  const Tensor spread = abs(x[0]) + logsumexp(abs(x[0]), -1, true) + 8;
                  Tensor w = k.soft ? x[1] + k.smoothing : one_hot(x[1], classes, DType::f64) + k.smoothing;
                  if (k.weighted) w = w * x[2];
                  Tensor g = r == Reduction::none ? unsqueeze(abs(gy), -1) : abs(gy);
                  if (r == Reduction::mean)
                    g = g * ((k.weighted ? 32. : 4.) / static_cast<double>(std::max<std::int64_t>(1, rows.numel())));
                  Magnitudes m{values_of(nll ? g * w : g * (w + softmax(x[0], -1) * sum(w, {-1}, true)) * spread)};
                  if (k.soft)
                    m.push_back(values_of(g * spread * (k.weighted ? x[2] : full(x[0].sizes(), 1, x[0].options()))));
                  if (k.weighted) {
                    Tensor p = k.soft ? x[1] + k.smoothing : one_hot(x[1], classes, DType::f64) + k.smoothing;
                    const Tensor all = g * p * spread;
                    Tensor of = sum(reshape(all, {rows.numel(), classes}), {0});
                    // The divisor has a gradient too.
                    if (r == Reduction::mean) of = of + sum(of) * 32;
                    m.push_back(values_of(of));
                  }
                  return m;
                };
                t.push_back(std::move(c));
              }
}

Tensor largest(const Tensor& x) { return x.numel() > 0 ? amax(abs(x)) : scalar(0, x.options()); }

void add_gumbel_softmax(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [shape, dim] : shapes_and_dims())
      for (const Layout layout : layouts(shape))
        for (const bool hard : {false, true}) {
          const double tau = layout == Layout::sliced ? 0.5 : 1;
          OpCase c{
              .op = "gumbel_softmax",
              .text = "dim " + std::to_string(dim) + " tau " + std::to_string(tau).substr(0, 3) + (hard ? " hard" : ""),
              .inputs = {{shape, dtype, layout}},
              .call = [=, dim = dim](Args x) { return Outputs{gumbel_softmax(x[0], tau, hard, dim)}; }};
          c.bound = {.c = 8};
          // exp of numbers up to (|x| + 18) / tau, which are rounded before.
          const auto scale = [=](const Tensor& x) { return (abs(x) + (20 + std::log2(x.numel() + 1.))) * (2 / tau); };
          c.magnitude = [=](Args x, const Outputs& y) {
            return Magnitudes{values_of(hard ? abs(y[0]) : y[0] * (scale(x[0]) + largest(x[0]) * (2 / tau)))};
          };
          c.differentiable = !hard;
          c.gradient_in_parts = true;
          c.gradient_bound = {.c = 16};
          c.gradient_magnitude = [=, dim = dim](Args x, const Outputs& y, const Tensor& gy) {
            const Tensor total = sum(abs(gy) * y[0], {dim}, true);
            const Tensor reach = scale(x[0]) + largest(x[0]) * (2 / tau);
            return Magnitudes{values_of(y[0] * (abs(gy) + total) * reach / tau)};
          };
          t.push_back(std::move(c));
        }
}

}  // namespace

void add_softmax(std::vector<OpCase>& t) {
  add_family(t);
  add_logsumexp(t);
  add_cross_entropy(t);
  add_class_losses(t);
  add_gumbel_softmax(t);
}

}  // namespace tapedeck::cases
