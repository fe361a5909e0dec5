// Pooling: windows of every size, stride, padding and dilation that fit.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/pool.h>

#include <map>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using std::int64_t;

constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};
constexpr Values kValues[] = {Values::normal, Values::ties, Values::nonfinite, Values::special};

// More channels than a block, fewer than a vector; inputs of few elements are distinct on the grid of the differences.
const std::vector<Shape>& shapes_of(int space) {
  static const std::vector<Shape> lines{{1, 1, 1}, {2, 7, 2}, {1, 9, 4}, {3, 20, 17}, {0, 6, 3}, {2, 12, 300}},
      planes{{1, 1, 1, 1}, {1, 3, 6, 2}, {1, 6, 5, 1}, {2, 5, 7, 19}, {0, 4, 4, 3}, {1, 8, 6, 270}};
  return space == 1 ? lines : planes;
}

enum class Kind { largest, indices, average };

using Turns = std::map<std::string, std::size_t>;  // calls so far, by op: values do not depend on other families

// One call at a shape, in every dtype, with layouts and values in turns.
template <class F>
void add_case(std::vector<OpCase>& t, Turns& turns, const std::string& op, const std::string& text, const Shape& x,
              Kind kind, F f) {
  const std::size_t n = turns[op]++;
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Values values = kind == Kind::average ? (n % 3 == 0 ? Values::positive : Values::normal) : kValues[n % 4];
    OpCase c{.op = op, .text = text, .inputs = {{x, dtype, kLayouts[n % 3], values}}, .call = f};
    c.rows = 1;
    if (kind == Kind::average) {
      c.bound = c.gradient_bound = {.c = 4};
      c.relative = c.gradient_relative = Relative::absolute;
    }
    // Differences need distinct numbers, which the grid has for few.
    c.differentiable = kind == Kind::average || (kind == Kind::largest && (dtype == DType::f32 || x.numel() <= 40));
    t.push_back(std::move(c));
  }
}

struct Window {
  int64_t kernel, stride, padding, dilation;
  bool ceil;
  std::string text() const {
    return "kernel " + std::to_string(kernel) + " stride " + std::to_string(stride) + " padding " +
           std::to_string(padding) + " dilation " + std::to_string(dilation) + (ceil ? " ceil" : "");
  }
  bool fits(const Shape& x, int d) const {
    const int64_t room = x[d] + 2 * padding - (kernel - 1) * dilation - 1;
    if (room < 0) return false;
    // No window may see padding alone: it would start at or behind the end, or step over a short input.
    for (int64_t o = 0; o <= room / stride + 1; ++o) {
      bool any = false;
      for (int64_t k = 0; k < kernel; ++k) {
        const int64_t at = o * stride - padding + k * dilation;
        any = any || (at >= 0 && at < x[d]);
      }
      if (!any && o <= room / stride) return false;
    }
    return true;
  }
};
constexpr Window kWindows[] = {{1, 0, 0, 1, false}, {2, 0, 0, 1, false}, {3, 2, 1, 1, true}, {3, 1, 1, 1, false},
                               {2, 3, 0, 1, true},  {4, 2, 2, 1, false}, {5, 3, 2, 1, true}, {2, 1, 1, 3, false},
                               {3, 2, 1, 2, true},  {1, 2, 0, 1, true},  {6, 1, 3, 1, false}};

void add_windows(std::vector<OpCase>& t, Turns& turns) {
  for (const Shape& x : shapes_of(1))
    for (Window w : kWindows) {
      if (!Window{w.kernel, w.stride == 0 ? w.kernel : w.stride, w.padding, w.dilation, w.ceil}.fits(x, 1)) continue;
      const MaxPool1dOptions o{w.stride, w.padding, w.dilation, w.ceil};
      for (int twice = 0; twice < 2; ++twice) {
        const std::string text = w.text() + (twice ? " again" : "");
        add_case(t, turns, "max_pool1d", text, x, Kind::largest,
                 [=](Args a) { return Outputs{max_pool1d(a[0], w.kernel, o)}; });
        add_case(t, turns, "max_pool1d_with_indices", text, x, Kind::indices, [=](Args a) {
          const auto y = max_pool1d_with_indices(a[0], w.kernel, o);
          return Outputs{y.values, y.indices};
        });
      }
      if (w.dilation > 1) continue;
      for (const bool counted : {true, false})
        for (const int64_t divisor : {0, 3}) {
          const AvgPool1dOptions p{w.stride, w.padding, w.ceil, counted, divisor};
          add_case(t, turns, "avg_pool1d", w.text() + (counted ? " padding counts" : "") + (divisor ? " by 3" : ""), x,
                   Kind::average, [=](Args a) { return Outputs{avg_pool1d(a[0], w.kernel, p)}; });
        }
    }
  for (const Shape& x : shapes_of(2))
    for (const Window& h : kWindows)
      for (std::size_t j = 0; j < std::size(kWindows); j += 3) {
        const Window& w = kWindows[(j + static_cast<std::size_t>(h.kernel)) % std::size(kWindows)];
        const auto strided = [](Window v) { return v.stride = v.stride == 0 ? v.kernel : v.stride, v; };
        if (!strided(h).fits(x, 1) || !strided(w).fits(x, 2) || (h.stride == 0) != (w.stride == 0)) continue;
        const PerDim<2> kernel(h.kernel, w.kernel), stride(h.stride, w.stride), padding(h.padding, w.padding);
        const MaxPool2dOptions o{stride, padding, {h.dilation, w.dilation}, h.ceil};
        const std::string text = h.text() + "; " + w.text();
        add_case(t, turns, "max_pool2d", text, x, Kind::largest,
                 [=](Args a) { return Outputs{max_pool2d(a[0], kernel, o)}; });
        add_case(t, turns, "max_pool2d_with_indices", text, x, Kind::indices, [=](Args a) {
          const auto y = max_pool2d_with_indices(a[0], kernel, o);
          return Outputs{y.values, y.indices};
        });
        if (h.dilation > 1 || w.dilation > 1) continue;
        for (const bool counted : {true, false}) {
          const AvgPool2dOptions p{stride, padding, h.ceil, counted, counted ? 0 : h.kernel - 1};
          add_case(t, turns, "avg_pool2d", text + (counted ? " padding counts" : " without padding"), x, Kind::average,
                   [=](Args a) { return Outputs{avg_pool2d(a[0], kernel, p)}; });
        }
      }
}

void add_adaptive(std::vector<OpCase>& t, Turns& turns) {
  for (const Shape& x : shapes_of(1))
    for (const int64_t n : {1, 2, 3, 5, 7, 8, 11, 20, 31}) {
      const std::string text = "to " + std::to_string(n);
      add_case(t, turns, "adaptive_max_pool1d", text, x, Kind::largest,
               [=](Args a) { return Outputs{adaptive_max_pool1d(a[0], n)}; });
      add_case(t, turns, "adaptive_avg_pool1d", text, x, Kind::average,
               [=](Args a) { return Outputs{adaptive_avg_pool1d(a[0], n)}; });
      add_case(t, turns, "adaptive_max_pool1d_with_indices", text, x, Kind::indices, [=](Args a) {
        const auto y = adaptive_max_pool1d_with_indices(a[0], n);
        return Outputs{y.values, y.indices};
      });
    }
  for (const Shape& x : shapes_of(2))
    for (const int64_t n : {1, 2, 3, 5, 7, 9})
      for (const int64_t m : {1, 4, 7}) {
        const PerDim<2> size(n, m);
        const std::string text = "to " + std::to_string(n) + "," + std::to_string(m);
        add_case(t, turns, "adaptive_max_pool2d", text, x, Kind::largest,
                 [=](Args a) { return Outputs{adaptive_max_pool2d(a[0], size)}; });
        add_case(t, turns, "adaptive_avg_pool2d", text, x, Kind::average,
                 [=](Args a) { return Outputs{adaptive_avg_pool2d(a[0], size)}; });
        add_case(t, turns, "adaptive_max_pool2d_with_indices", text, x, Kind::indices, [=](Args a) {
          const auto y = adaptive_max_pool2d_with_indices(a[0], size);
          return Outputs{y.values, y.indices};
        });
      }
}

// The adjoint of max pooling's gradient, which gradients of gradients call; held against loops.
void add_pool_gather(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& [positions, windows] : {std::pair<int64_t, int64_t>{1, 1}, {7, 3}, {20, 33}, {0, 0}, {300, 2}})
      for (const int64_t channels : {1, 5, 17, 64})
        for (const Values values : {Values::normal, Values::special, Values::ties}) {
          OpCase c{.op = "kernel max_pool_gather",
                   .text = "",
                   .inputs = {{{2, positions, channels}, dtype, Layout::contiguous, values},
                              {{2, windows, channels},
                               DType::i64,
                               Layout::contiguous,
                               Values::range,
                               -1,
                               static_cast<double>(positions)}},
                   .call = [](Args x) {
                     const Tensor y = empty(x[1].sizes(), x[0].options());
                     kernels::max_pool_gather(x[0].device(), {x[0], x[1], y});
                     return Outputs{y};
                   }};
          c.rows = 3;
          c.oracle = [](Args x) {
            const Expected from = expected_from(x[0], x[0].dtype());
            const auto index = x[1].to_vector<int64_t>();
            const int64_t count = x[0].size(1), rows = x[1].size(1), width = x[0].size(2);
            Expected r{x[1].sizes(), x[0].dtype(), {}, {}};
            for (std::size_t i = 0; i < index.size(); ++i) {
              const auto at = static_cast<int64_t>(i), b = at / std::max<int64_t>(1, rows * width);
              r.value.push_back(
                  index[i] < 0 ? 0 : from.value[static_cast<std::size_t>((b * count + index[i]) * width + at % width)]);
            }
            return std::vector{r};
          };
          t.push_back(std::move(c));
        }
}

}  // namespace

void add_pool(std::vector<OpCase>& t) {
  Turns turns;
  add_windows(t, turns);
  add_adaptive(t, turns);
  add_pool_gather(t);
}

}  // namespace tapedeck::cases
