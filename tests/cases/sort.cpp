// Sorting, selection, search and counting, against loops written here.
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "cases/lines.h"

namespace tapedeck::cases {
namespace {

const DType kTypes[] = {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8, DType::boolean};
const Shape kShapes[] = {{}, {0}, {1}, {7}, {3, 0, 2}, {33, 17}, {2, 3, 4, 5}, {1, 4097}, {3, 300}};

Input input(const Shape& shape, DType dtype, Layout layout, Values values) {
  return {shape, dtype, layout, values, is_real(dtype) ? -2. : 0, is_real(dtype) ? 2. : 100};
}
int size_along(const Shape& shape, int dim) { return shape.rank() == 0 ? 1 : static_cast<int>(shape[dim]); }
unsigned rows_of(const Shape& shape, int dim) { return shape.rank() > 0 && dim > 0 ? 1u : 0u; }
std::string dim_text(int dim, const std::string& rest) { return "dim " + std::to_string(dim) + " " + rest; }

// The places of a line's elements in sorted order, equal ones by their place.
Line order_of(const Line& line, bool descending) {
  std::vector<std::size_t> order(line.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return descending ? in_front(line[b], line[a]) : in_front(line[a], line[b]);
  });
  return Line(order.begin(), order.end());
}
std::vector<Expected> taken(const Tensor& x, int dim, std::int64_t length, const LineFn& places) {
  const auto values = [&](const Line& line) {
    Line y = places(line);
    for (long double& v : y) v = line[static_cast<std::size_t>(v)];
    return y;
  };
  return {by_line(x, dim, length, x.dtype(), values), by_line(x, dim, length, DType::i64, places)};
}

// A case of values and indices, and one of the values alone, which have a gradient.
void add_pair(std::vector<OpCase>& t, OpCase c) {
  const Input& in = c.inputs[0];
  if (is_real(in.dtype) && in.values == Values::normal && (in.dtype == DType::f32 || in.shape.numel() <= 40)) {
    OpCase alone = c;
    alone.text += " values alone";
    alone.call = [call = c.call](Args x) { return Outputs{call(x)[0]}; };
    alone.oracle = [oracle = c.oracle](Args x) { return std::vector{oracle(x)[0]}; };
    alone.differentiable = true;
    t.push_back(std::move(alone));
  }
  t.push_back(std::move(c));
}

template <class F>
void each_line_case(F&& f) {
  for (const DType dtype : kTypes)
    for (const Shape& shape : kShapes)
      for (int dim = 0; dim < std::max(shape.rank(), 1); ++dim)
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::ties, Values::nonfinite, Values::special, Values::range})
            if (is_real(dtype) ? values != Values::range : values == Values::ties || values == Values::range)
              f(input(shape, dtype, layout, values), dim);
}

void add_sorts(std::vector<OpCase>& t) {
  each_line_case([&](const Input& in, int dim) {
    for (const bool descending : {false, true}) {
      const auto places = [=](const Line& line) { return order_of(line, descending); };
      OpCase c{.op = "sort",
               .text = dim_text(dim, descending ? "descending" : "ascending"),
               .inputs = {in},
               .call =
                   [=](Args x) {
                     const ValuesIndices y = sort(x[0], dim, descending);
                     return Outputs{y.values, y.indices};
                   },
               .rows = rows_of(in.shape, dim)};
      c.oracle = [=](Args x) { return taken(x[0], dim, -1, places); };
      OpCase arg = c;
      arg.op = "argsort";
      arg.call = [=](Args x) { return Outputs{argsort(x[0], dim, descending)}; };
      arg.oracle = [=](Args x) { return std::vector{taken(x[0], dim, -1, places)[1]}; };
      add_pair(t, std::move(c));
      if (in.layout != Layout::sliced) t.push_back(std::move(arg));
    }
  });
}

void add_topk(std::vector<OpCase>& t) {
  each_line_case([&](const Input& in, int dim) {
    const int n = size_along(in.shape, dim);
    std::vector<int> counts{1, 2, n / 2, n};
    std::sort(counts.begin(), counts.end());
    counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
    for (const int k : counts)
      for (const bool largest : {true, false}) {
        if (k > n || (in.shape.rank() == 0 && k != 1) || (k == 2 && in.layout != Layout::contiguous)) continue;
        OpCase c{.op = "topk",
                 .text = dim_text(dim, std::to_string(k) + (largest ? " largest" : " smallest")),
                 .inputs = {in},
                 .call =
                     [=](Args x) {
                       const ValuesIndices y = topk(x[0], k, dim, largest, k % 2 == 0);
                       return Outputs{y.values, y.indices};
                     },
                 .rows = rows_of(in.shape, dim)};
        c.oracle = [=](Args x) {
          return taken(x[0], dim, k, [=](const Line& line) {
            Line order = order_of(line, largest);
            order.resize(static_cast<std::size_t>(k));
            return order;
          });
        };
        add_pair(t, std::move(c));
      }
  });
}

long double median_place(const Line& line) {
  for (std::size_t i = 0; i < line.size(); ++i)
    if (std::isnan(line[i])) return static_cast<long double>(i);
  return order_of(line, false)[(line.size() - 1) / 2];
}
void add_medians(std::vector<OpCase>& t) {
  each_line_case([&](const Input& in, int dim) {
    if (in.shape.numel() == 0) return;
    const bool keepdim = dim % 2 == 1;
    const std::vector<int> dims{dim};
    const auto value = [](const Line& line) { return line[static_cast<std::size_t>(median_place(line))]; };
    OpCase c{.op = "median along",
             .text = dim_text(dim, keepdim ? "keepdim" : ""),
             .inputs = {in},
             .call =
                 [=](Args x) {
                   const ValuesIndices y = median(x[0], dim, keepdim);
                   return Outputs{y.values, y.indices};
                 },
             .rows = rows_of(in.shape, dim)};
    c.oracle = [=](Args x) {
      return std::vector{by_reduction(x[0], dims, keepdim, in.dtype, value),
                         by_reduction(x[0], dims, keepdim, DType::i64, median_place)};
    };
    add_pair(t, std::move(c));
    if (dim > 0) return;
    OpCase all{.op = "median", .text = "all", .inputs = {in}, .call = [](Args x) { return Outputs{median(x[0])}; }};
    all.oracle = [=](Args x) { return std::vector{by_reduction(x[0], {}, false, in.dtype, value)}; };
    all.differentiable =
        is_real(in.dtype) && in.values == Values::normal && (in.dtype == DType::f32 || in.shape.numel() <= 40);
    t.push_back(std::move(all));
  });
}

void add_kth(std::vector<OpCase>& t) {
  each_line_case([&](const Input& in, int dim) {
    const int n = size_along(in.shape, dim);
    const bool keepdim = dim % 2 == 1;
    for (const int k : {1, (n + 1) / 2, n}) {
      if (n == 0 || (k == n && n > 1 && in.layout != Layout::contiguous)) continue;
      const auto place = [=](const Line& line) { return order_of(line, false)[static_cast<std::size_t>(k - 1)]; };
      OpCase c{.op = "kthvalue",
               .text = dim_text(dim, std::to_string(k) + (keepdim ? " keepdim" : "")),
               .inputs = {in},
               .call =
                   [=](Args x) {
                     const ValuesIndices y = kthvalue(x[0], k, dim, keepdim);
                     return Outputs{y.values, y.indices};
                   },
               .rows = rows_of(in.shape, dim)};
      c.oracle = [=](Args x) {
        const auto value = [&](const Line& line) { return line[static_cast<std::size_t>(place(line))]; };
        return std::vector{by_reduction(x[0], {dim}, keepdim, in.dtype, value),
                           by_reduction(x[0], {dim}, keepdim, DType::i64, place)};
      };
      add_pair(t, std::move(c));
    }
  });
}

// ---- quantile -------------------------------------------------------------------------------------------------------
struct Mixed {
  long double value, magnitude;
};
Mixed quantile_of(const Line& line, double q, QuantileMode mode) {
  for (const long double v : line)
    if (std::isnan(v)) return {v, 1};
  const Line order = order_of(line, false);
  const auto element = [&](double place) {
    return line[static_cast<std::size_t>(order[static_cast<std::size_t>(place)])];
  };
  const double at = q * static_cast<double>(line.size() - 1), floor = std::floor(at), part = at - floor;
  const long double low = element(floor), high = element(std::ceil(at));
  const long double weight = mode == QuantileMode::midpoint ? 0.5L : static_cast<long double>(part);
  long double y = low * (1 - weight) + high * weight;
  if (part == 0 || low == high || mode == QuantileMode::lower) y = low;
  if (part != 0 && mode == QuantileMode::higher) y = high;
  if (part != 0 && mode == QuantileMode::nearest)
    y = part < 0.5 || (part == 0.5 && std::fmod(floor, 2) == 0) ? low : high;
  return {y, std::fabs(low) + std::fabs(high)};
}
Expected quantiles(const Tensor& x, const std::vector<int>& dims, bool keepdim, double q, QuantileMode mode) {
  Expected r = by_reduction(x, dims, keepdim, x.dtype(), [=](const Line& l) { return quantile_of(l, q, mode).value; });
  const auto m =
      by_reduction(x, dims, keepdim, x.dtype(), [=](const Line& l) { return quantile_of(l, q, mode).magnitude; });
  for (const long double v : m.value) r.magnitude.push_back(static_cast<double>(v));
  return r;
}

void add_quantile(std::vector<OpCase>& t, const Input& in, std::optional<int> dim, const std::vector<double>& q,
                  QuantileMode mode) {
  constexpr const char* names[] = {"linear", "lower", "higher", "midpoint", "nearest"};
  const std::vector<int> dims = dim ? std::vector{*dim} : std::vector<int>{};
  const bool keepdim = in.shape.rank() % 2 == 0, list = q.size() > 1;
  std::string text = text_of(dims, keepdim) + " " + names[static_cast<int>(mode)];
  for (const double one : q) text += " " + std::to_string(one).substr(0, 5);
  OpCase c{.op = list ? "quantile list" : "quantile", .text = text, .inputs = {in}, .call = [=](Args x) {
             return Outputs{list ? quantile(x[0], q, dim, keepdim, mode) : quantile(x[0], q[0], dim, keepdim, mode)};
           }};
  const bool mixes = mode == QuantileMode::linear || mode == QuantileMode::midpoint;
  if (mixes) c.bound = {.c = 4};
  c.oracle = [=](Args x) {
    Expected all = quantiles(x[0], dims, keepdim, q[0], mode);
    if (list) all.shape.insert(0, static_cast<std::int64_t>(q.size()));
    for (std::size_t i = 1; i < q.size(); ++i) {
      const Expected next = quantiles(x[0], dims, keepdim, q[i], mode);
      all.value.insert(all.value.end(), next.value.begin(), next.value.end());
      all.magnitude.insert(all.magnitude.end(), next.magnitude.begin(), next.magnitude.end());
    }
    return std::vector{all};
  };
  if (!list && dim && *dim > 0) c.rows = 1;
  c.differentiable = in.values == Values::normal && (in.dtype == DType::f32 || in.shape.numel() <= 40);
  c.gradient_bound = {.c = 6};
  c.gradient_in_parts = true;
  c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
    Tape tape;
    tape.watch(x[0]);
    const Tensor y = list ? quantile(x[0], q, dim, keepdim, mode) : quantile(x[0], q[0], dim, keepdim, mode);
    // Both parts come from gy itself: gy w and gy - gy w.
    return Magnitudes{values_of(tape.gradients(y * abs(gy), {x[0]})[0] + amax(abs(gy)))};
  };
  t.push_back(std::move(c));
}
void add_quantiles(std::vector<OpCase>& t) {
  const QuantileMode modes[] = {QuantileMode::linear, QuantileMode::lower, QuantileMode::higher, QuantileMode::midpoint,
                                QuantileMode::nearest};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{}, Shape{1}, Shape{7}, Shape{33, 17}, Shape{2, 3, 4}, Shape{3, 300}})
      for (int dim = -1; dim < std::max(shape.rank(), 1); ++dim)  // -1: over everything
        for (const Layout layout : layouts(shape))
          for (const Values values : {Values::normal, Values::ties, Values::nonfinite}) {
            const Input in = input(shape, dtype, layout, values);
            const std::optional<int> along = dim < 0 ? std::optional<int>() : dim;
            const bool plain = layout == Layout::contiguous;
            for (const QuantileMode mode : modes) {
              if (mode != QuantileMode::linear && !plain) continue;
              for (const double q : {0., 0.1, 0.25, 0.5, 1.})
                if (plain || q == 0.1) add_quantile(t, in, along, {q}, mode);
              add_quantile(t, in, along, {0.9, 0.3, 0.5}, mode);
            }
          }
}

// ---- search and counting --------------------------------------------------------------------------------------------
// The sequence to search in; what cannot be sorted stays as it is, for the op to refuse.
Tensor in_order(const Tensor& x) {
  const NoGrad pause;
  return x.defined() && x.dtype() != DType::bf16 && x.dtype() != DType::f16 ? sort(x).values : x;
}

void add_searches(std::vector<OpCase>& t) {
  const auto places = [](const Line& sorted, const Line& values, bool right) {
    Line y;
    for (const long double v : values)
      y.push_back(static_cast<long double>(std::count_if(
          sorted.begin(), sorted.end(), [&](long double s) { return right ? !in_front(v, s) : in_front(s, v); })));
    return y;
  };
  const std::pair<Shape, Shape> shapes[] = {
      {{7}, {}},         {{7}, {0}},          {{0}, {5}},       {{1}, {3, 4}},
      {{33}, {2, 3, 4}}, {{300}, {70}},       {{2, 5}, {2, 9}}, {{3, 2, 17}, {3, 2, 4}},
      {{3, 0}, {3, 2}},  {{40, 65}, {40, 30}}};
  for (const DType dtype : kTypes)
    for (const auto& [sequence, shape] : shapes)
      for (const Layout layout : layouts(shape))
        for (const Values values : {Values::normal, Values::ties, Values::nonfinite, Values::special, Values::range})
          for (const bool right : {false, true}) {
            if (is_real(dtype) ? values == Values::range : values != Values::ties && values != Values::range) continue;
            const Input sorted_input = input(sequence, dtype, Layout::contiguous, values);
            OpCase c{.op = "searchsorted",
                     .text = right ? "right" : "left",
                     .inputs = {sorted_input, input(shape, dtype, layout, values)},
                     .call = [=](Args x) { return Outputs{searchsorted(in_order(x[0]), x[1], right)}; }};
            c.oracle = [=](Args x) {
              const Expected all = expected_from(x[1], x[1].dtype());
              const auto lines = lines_of(sort(x[0]).values, 1u << (x[0].dim() - 1));
              Expected r{x[1].sizes(), DType::i64, {}, {}};
              const std::size_t per = all.value.size() / std::max<std::size_t>(lines.size(), 1);
              for (std::size_t l = 0; l < lines.size(); ++l) {
                const auto begin = all.value.begin() + static_cast<std::ptrdiff_t>(l * per);
                const Line y = places(lines[l], Line(begin, begin + static_cast<std::ptrdiff_t>(per)), right);
                r.value.insert(r.value.end(), y.begin(), y.end());
              }
              return std::vector{r};
            };
            if (sequence.rank() > 1) c.rows = 3;
            t.push_back(c);
            if (layout == Layout::contiguous) {
              OpCase by = c;
              by.text += " by its sorter";
              by.call = [=](Args x) { return Outputs{searchsorted(x[0], x[1], right, argsort(x[0]))}; };
              by.prepares = true;
              t.push_back(std::move(by));
            }
            if (sequence.rank() > 1) continue;
            std::swap(c.inputs[0], c.inputs[1]);
            c.op = "bucketize";
            c.call = [=](Args x) { return Outputs{bucketize(x[0], in_order(x[1]), right)}; };
            c.oracle = [oracle = c.oracle](Args x) {
              const Tensor swapped[] = {x[1], x[0]};
              return oracle(swapped);
            };
            if (shape.rank() > 0) c.rows = 1;
            t.push_back(std::move(c));
          }
}

void add_counts(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::i64, DType::i32, DType::u8})
    for (const std::int64_t n : {0, 1, 7, 300, 4097})
      for (const double most : {1., 5., 200.})
        for (const std::int64_t minlength : {0, 3, 500})
          for (const Layout layout : layouts({n}))
            for (const int weighted : {0, 1, 2}) {
              if (layout == Layout::expanded) continue;
              const DType real = weighted == 2 ? DType::f64 : DType::f32;
              OpCase c{.op = "bincount",
                       .text = "minlength " + std::to_string(minlength) + " to " + std::to_string(most).substr(0, 3),
                       .inputs = {{{n}, dtype, layout, Values::range, 0, most}},
                       .call = [=](Args x) {
                         return Outputs{weighted ? bincount(x[0], x[1], minlength) : bincount(x[0], {}, minlength)};
                       }};
              if (weighted) c.inputs.push_back({{n}, real, layout, Values::normal}), c.bound = {.c = 4};
              c.oracle = [=](Args x) {
                const Line places = expected_from(x[0], dtype).value;
                const Line weights = weighted ? expected_from(x[1], real).value : Line(places.size(), 1);
                std::size_t bins = static_cast<std::size_t>(minlength);
                for (const long double p : places) bins = std::max(bins, static_cast<std::size_t>(p) + 1);
                Expected r{{static_cast<std::int64_t>(bins)}, weighted ? real : DType::i64, Line(bins), {}};
                r.magnitude.resize(bins);
                for (std::size_t i = 0; i < places.size(); ++i) {
                  r.value[static_cast<std::size_t>(places[i])] += weights[i];
                  r.magnitude[static_cast<std::size_t>(places[i])] += static_cast<double>(std::fabs(weights[i]));
                }
                return std::vector{r};
              };
              t.push_back(std::move(c));
            }
}

void add_histograms(std::vector<OpCase>& t) {
  struct Range {
    double low, high;
  };
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{7}, Shape{3, 0, 2}, Shape{33, 17}, Shape{1, 4097}})
      for (const Layout layout : layouts(shape))
        for (const Values values : {Values::normal, Values::ties, Values::nonfinite, Values::special})
          for (const auto& [low, high] : {Range{0, 0}, {-1, 2}, {0.5, 0.75}, {3, 3}})
            for (const std::int64_t bins : {1, 3, 100}) {
              const bool finite = values == Values::normal || values == Values::ties;
              if (low == high && !finite) continue;  // refused: the range is not finite
              OpCase c{.op = "histc",
                       .text = std::to_string(bins) + " bins of " + std::to_string(low) + " to " + std::to_string(high),
                       .inputs = {{shape, dtype, layout, values}},
                       .call = [=, low = low, high = high](Args x) { return Outputs{histc(x[0], bins, low, high)}; }};
              c.oracle = [=, low = low, high = high](Args x) {
                const Line all = expected_from(x[0], dtype).value;
                double from = low, to = high;
                if (from == to && !all.empty()) {
                  const auto [least, most] = std::minmax_element(all.begin(), all.end());
                  from = static_cast<double>(*least), to = static_cast<double>(*most);
                }
                if (from == to) from -= 1, to += 1;
                Expected r{{bins}, dtype, Line(static_cast<std::size_t>(bins)), {}};
                for (const long double v : all) {
                  if (!(v >= from && v <= to)) continue;
                  const double part = (static_cast<double>(v) - from) / (to - from) * static_cast<double>(bins);
                  ++r.value[std::min(static_cast<std::size_t>(part), static_cast<std::size_t>(bins) - 1)];
                }
                return std::vector{r};
              };
              t.push_back(std::move(c));
            }
}

}  // namespace

void add_sort(std::vector<OpCase>& t) {
  add_sorts(t);
  add_topk(t);
  add_medians(t);
  add_kth(t);
  add_quantiles(t);
  add_searches(t);
  add_counts(t);
  add_histograms(t);
}

}  // namespace tapedeck::cases
