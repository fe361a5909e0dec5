// Running sums, products, extremes and logarithms of sums, against loops written here.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/scan.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cases/lines.h"

namespace tapedeck::cases {
namespace {

const Shape kShapes[] = {{}, {0}, {1}, {7}, {3, 0, 2}, {33, 17}, {2, 3, 4, 5}, {1, 4097}, {50, 70}};
const DType kTypes[] = {DType::f32, DType::f64, DType::i64, DType::i32, DType::u8, DType::boolean};

// f(shape, dim, layout) over all of them.
template <class F>
void each_scan(F&& f) {
  for (const Shape& shape : kShapes)
    for (int dim = 0; dim < std::max(shape.rank(), 1); ++dim)
      for (const Layout layout : layouts(shape)) f(shape, dim % 2 ? dim - std::max(shape.rank(), 1) : dim, layout);
}
// Rows do not mix where the scan is not along dimension 0.
unsigned rows_of(const Shape& shape, int dim) {
  return shape.rank() > 0 && (dim + shape.rank()) % shape.rank() > 0 ? 1u : 0u;
}
Input input(const Shape& shape, DType dtype, Layout layout, Values values) {
  return {shape, dtype, layout, values, is_real(dtype) ? 0.7 : -3, is_real(dtype) ? 1.4 : 4};
}

Expected sums(const Tensor& x, int dim) {
  const bool real = is_real(x.dtype());
  const auto running = [=](const Line& line, bool absolute) {
    Line y;
    long double total = 0;
    for (const long double v : line) y.push_back(total += absolute ? std::fabs(v) : v);
    return y;
  };
  const auto of = [&](bool absolute) {
    return by_line(x, dim, -1, real ? x.dtype() : DType::i64, [&](const Line& l) { return running(l, absolute); });
  };
  Expected r = of(false);
  for (const long double m : of(true).value) r.magnitude.push_back(static_cast<double>(m));
  return r;
}

void add_cumsum(std::vector<OpCase>& t, const Input& in, int dim) {
  OpCase c{.op = "cumsum", .text = "dim " + std::to_string(dim), .inputs = {in}, .call = [=](Args x) {
             return Outputs{cumsum(x[0], dim)};
           }};
  if (is_real(in.dtype)) c.bound = {.c = 4};
  c.oracle = [=](Args x) { return std::vector{sums(x[0], dim)}; };
  c.rows = rows_of(in.shape, dim);
  c.differentiable = in.values == Values::normal && is_real(in.dtype);
  c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
  t.push_back(std::move(c));
}
void add_cumsums(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    each_scan([&](const Shape& shape, int dim, Layout layout) {
      for (const Values values :
           {Values::normal, Values::positive, Values::cancelling, Values::nonfinite, Values::ties}) {
        if (is_real(dtype) == (values == Values::ties)) continue;
        add_cumsum(t, input(shape, dtype, layout, values), dim);
      }
    });
  for (const Values values : {Values::normal, Values::positive})  // long, and wide enough for several threads
    for (const DType dtype : {DType::f32, DType::f64}) {
      add_cumsum(t, input({1000003}, dtype, Layout::contiguous, values), 0);
      add_cumsum(t, input({2, 3000, 70}, dtype, Layout::contiguous, values), 1);
      t.back().differentiable = false, t[t.size() - 2].differentiable = false;
    }
}

void add_cumprods(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    each_scan([&](const Shape& shape, int dim, Layout layout) {
      for (const Values values : {Values::normal, Values::ties, Values::nonfinite, Values::range}) {
        const bool real = is_real(dtype), longest = shape.numel() > 4000;
        if (real ? longest && values != Values::range : values != Values::ties) continue;
        OpCase c{.op = "cumprod",
                 .text = "dim " + std::to_string(dim),
                 .inputs = {input(shape, dtype, layout, values)},
                 .call = [=](Args x) { return Outputs{cumprod(x[0], dim)}; }};
        c.oracle = [=](Args x) {
          return std::vector{by_line(x[0], dim, -1, real ? dtype : DType::i64, [=](const Line& line) {
            Line y;
            long double product = 1;
            std::uint64_t whole = 1;  // wraps
            for (const long double v : line) {
              product *= v, whole *= real ? 1 : static_cast<std::uint64_t>(static_cast<std::int64_t>(v));
              y.push_back(real ? product : static_cast<long double>(static_cast<std::int64_t>(whole)));
            }
            return y;
          })};
        };
        const std::int64_t terms = shape.rank() == 0 ? 1 : shape[(dim + shape.rank()) % shape.rank()];
        if (real) c.bound = {.c = dtype == DType::f32 ? 2. : static_cast<double>(terms + 1), .subnormal = 64};
        c.rows = rows_of(shape, dim);
        c.differentiable = real && values != Values::nonfinite && terms <= 100;
        c.low = 0.5, c.high = 1.6;
        c.gradient_bound = {.c = 4}, c.gradient_relative = Relative::absolute;
        t.push_back(std::move(c));
      }
    });
}

Line places_of_extremes(const Line& line, bool largest) {
  Line y;
  std::size_t best = 0;
  for (std::size_t k = 0; k < line.size(); ++k) {
    const bool beats = largest ? line[k] >= line[best] : line[k] <= line[best];
    if (std::isnan(line[k]) || beats) best = k;
    y.push_back(static_cast<long double>(best));
  }
  return y;
}
void add_cumextremes(std::vector<OpCase>& t) {
  for (const bool largest : {true, false})
    for (const DType dtype : kTypes)
      each_scan([&](const Shape& shape, int dim, Layout layout) {
        for (const Values values : {Values::normal, Values::ties, Values::nonfinite}) {
          if (!is_real(dtype) && values != Values::ties) continue;
          OpCase c{.op = largest ? "cummax" : "cummin",
                   .text = "dim " + std::to_string(dim),
                   .inputs = {input(shape, dtype, layout, values)},
                   .call =
                       [=](Args x) {
                         const ValuesIndices y = largest ? cummax(x[0], dim) : cummin(x[0], dim);
                         return Outputs{y.values, y.indices};
                       },
                   .rows = rows_of(shape, dim)};
          c.oracle = [=](Args x) {
            const auto places = [=](const Line& line) { return places_of_extremes(line, largest); };
            const auto values_there = [=](const Line& line) {
              Line y = places(line);
              for (long double& v : y) v = line[static_cast<std::size_t>(v)];
              return y;
            };
            return std::vector{by_line(x[0], dim, -1, dtype, values_there), by_line(x[0], dim, -1, DType::i64, places)};
          };
          if (is_real(dtype) && values == Values::normal && (dtype == DType::f32 || shape.numel() <= 40)) {
            OpCase alone = c;
            alone.text += " values alone";
            alone.call = [call = c.call](Args x) { return Outputs{call(x)[0]}; };
            alone.oracle = [oracle = c.oracle](Args x) { return std::vector{oracle(x)[0]}; };
            alone.differentiable = true;
            alone.gradient_bound = {.c = 4};
            alone.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
              Tape tape;
              tape.watch(x[0]);
              const Tensor y = largest ? cummax(x[0], dim).values : cummin(x[0], dim).values;
              return Magnitudes{values_of(tape.gradients(y * abs(gy), {x[0]})[0])};
            };
            t.push_back(std::move(alone));
          }
          t.push_back(std::move(c));
        }
      });
}

void add_logcumsumexps(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    each_scan([&](const Shape& shape, int dim, Layout layout) {
      for (const Values values : {Values::normal, Values::range, Values::nonfinite}) {
        OpCase c{.op = "logcumsumexp",
                 .text = "dim " + std::to_string(dim),
                 .inputs = {{shape, dtype, layout, values, -300, 300}},
                 .call = [=](Args x) { return Outputs{logcumsumexp(x[0], dim)}; }};
        c.oracle = [=](Args x) {
          Expected r = by_line(x[0], dim, -1, dtype, [](const Line& line) {
            Line y;
            long double most = -std::numeric_limits<long double>::infinity();
            bool none = false;
            for (std::size_t k = 0; k < line.size(); ++k) {
              none = none || std::isnan(line[k]);
              if (line[k] > most) most = line[k];
              long double total = 0;
              for (std::size_t i = 0; i <= k && !std::isinf(most); ++i) total += std::exp(line[i] - most);
              y.push_back(none ? std::nanl("") : std::isinf(most) ? most : most + std::log(total));
            }
            return y;
          });
          for (const long double v : r.value) r.magnitude.push_back(static_cast<double>(std::fabs(v)) + 1);
          return std::vector{r};
        };
        c.bound = {.c = dtype == DType::f64 ? 8. : 2.};
        c.rows = rows_of(shape, dim);
        if (shape.numel() > 4000 && values != Values::normal) continue;  // the oracle is quadratic
        c.differentiable = values != Values::nonfinite;
        c.low = -3, c.high = 3;
        c.gradient_bound = {.c = 8};
        c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
          if (x[0].numel() == 0) return Magnitudes{{}};
          Tape tape;
          tape.watch(x[0]);
          const Tensor y = logcumsumexp(x[0], dim), size = abs(x[0]) + amax(abs(y)) + 2;
          return Magnitudes{values_of(tape.gradients(y * abs(gy), {x[0]})[0] * size)};
        };
        t.push_back(std::move(c));
      }
    });
}

// What gradients of gradients are made of. No op of its own.
void add_recurrences(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    each_scan([&](const Shape& shape, int dim, Layout layout) {
      if (shape.rank() == 0) return;
      for (const bool reverse : {false, true})
        for (const Values values : {Values::normal, Values::positive}) {
          const int at = (dim + shape.rank()) % shape.rank();
          OpCase c{.op = "kernel recurrence",
                   .text = "dim " + std::to_string(at) + (reverse ? " reverse" : ""),
                   .inputs = {{shape, dtype, layout, Values::range, -1, 1}, {shape, dtype, layout, values}},
                   .call = [=](Args x) {
                     const Tensor y = empty(x[1].sizes(), x[1].options());
                     kernels::recurrence(x[0].device(), {x[0], x[1], y, at, reverse});
                     return Outputs{y};
                   }};
          c.bound = {.c = dtype == DType::f64 ? 16. : 4.};
          c.oracle = [=](Args x) {
            const auto a = lines_of(x[0], 1u << at), b = lines_of(x[1], 1u << at);
            std::size_t next = 0;
            const auto run = [&](bool absolute) {
              next = 0;
              return by_line(x[1], at, -1, dtype, [&](const Line& line) {
                const Line& factors = a[next++];
                Line y(line.size());
                long double state = 0;
                for (std::size_t k = 0; k < line.size(); ++k) {
                  const std::size_t i = reverse ? line.size() - 1 - k : k;
                  const long double f = absolute ? std::fabs(factors[i]) : factors[i];
                  state = (absolute ? std::fabs(line[i]) : line[i]) + (k == 0 ? 0 : f * state);
                  y[i] = state;
                }
                return y;
              });
            };
            Expected r = run(false);
            for (const long double m : run(true).value) r.magnitude.push_back(static_cast<double>(m));
            return std::vector{r};
          };
          if (at > 0) c.rows = 3;
          t.push_back(std::move(c));
        }
    });
}

}  // namespace

void add_scan(std::vector<OpCase>& t) {
  add_cumsums(t);
  add_cumprods(t);
  add_cumextremes(t);
  add_logcumsumexps(t);
  add_recurrences(t);
}

}  // namespace tapedeck::cases
