// Normalisation. A row's bound is 8 u (|x'| |w| + |b|) with x' the standardised value, and the mean's own rounding in
// double: an offset of 1e4 costs nothing.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f64};
constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};

struct Range {
  const char* text;
  Values values;
  double low = -1, high = 1;
};
const Range kRanges[] = {{"", Values::normal},
                         {"offset 1e4", Values::range, 9999, 10001},
                         {"positive", Values::positive},
                         {"nonfinite", Values::nonfinite},
                         {"huge", Values::range, -1e30, 1e30}};

// The standardised x by definition, seen as [R, S, G, C / G] like the kernels; in f64.
struct Standard {
  Shape view, shape;
  Tensor x, rstd, value, offset;  // offset: mean |x| / std, what the mean's rounding is relative to
  Standard(const Tensor& from, const Shape& grouped, double eps, bool centred) : view(grouped), shape(from.sizes()) {
    x = reshape(from, view);
    const Tensor m = mean(x, {1, 3}, true), d = centred ? x - m : x;
    rstd = rsqrt(mean(square(d), {1, 3}, true) + eps);
    value = d * rstd, offset = mean(abs(x), {1, 3}, true) * rstd;
  }
  Tensor per_channel(const Tensor& w) const {
    return w.defined() ? reshape(abs(w), {1, 1, view[2], view[3]}) : Tensor();
  }
};

struct Family {
  const char* op;
  std::function<Tensor(const Tensor& x, const Tensor& w, const Tensor& b)> call;
  Shape x, param, grouped;
  double eps;
  bool centred = true, has_bias = true;
  unsigned rows = 1;
};

void add_case(std::vector<OpCase>& t, const Family& f, DType dtype, Layout layout, const Range& range, int params,
              const std::string& text) {
  OpCase c{.op = f.op,
           .text = text + (params == 0   ? " plain"
                           : params == 1 ? " weight"
                                         : " weight bias"),
           .inputs = {{f.x, dtype, layout, range.values, range.low, range.high}}};
  for (int i = 0; i < params; ++i)
    c.inputs.push_back({f.param, dtype, f.param.rank() > 1 ? layout : Layout::contiguous});
  const auto at = [](Args x, std::size_t i) { return i < x.size() ? x[i] : Tensor(); };
  c.call = [=](Args x) { return Outputs{f.call(x[0], at(x, 1), at(x, 2))}; };
  c.bound = {.c = dtype == DType::f64 ? 24. : 8.};  // f64 is summed in f64, f32 in double
  c.magnitude = [=](Args x, const Outputs& y) {
    if (x[0].numel() == 0) return Magnitudes{{}};
    const Standard s(x[0], f.grouped, f.eps, f.centred);
    const Tensor w = s.per_channel(at(x, 1)), b = s.per_channel(at(x, 2));
    Tensor m = abs(s.value) + s.offset * (dtype == DType::f64 ? 1 : 0x1p-24);
    if (w.defined()) m = m * w;
    if (b.defined()) m = m + b;
    return Magnitudes{values_of(reshape(m, y[0].sizes()))};
  };
  c.rows = f.rows;
  const bool finite = range.values == Values::normal || range.values == Values::positive;
  c.differentiable = finite && f.x.numel() > 0 && (dtype == DType::f32 || f.x.numel() < 200) &&
                     f.grouped[1] * f.grouped[3] > 2;  // of two values only the sign is left
  if (f.grouped[1] * f.grouped[3] <= 2 && f.centred && range.values == Values::positive) return;
  c.gradient_bound = {.c = 16};
  c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
    const Standard s(x[0], f.grouped, f.eps, f.centred);
    const Tensor w = s.per_channel(at(x, 1)), up = abs(reshape(gy, s.view)), v = abs(s.value) + s.offset * 0x1p-24;
    const Tensor h = w.defined() ? up * w : up;
    const Tensor gx = (h + mean(h, {1, 3}, true) + v * mean(h * v, {1, 3}, true)) * s.rstd;
    Magnitudes m{values_of(reshape(gx, s.shape))};
    if (x.size() > 1) m.push_back(values_of(sum(up * v, {0, 1})));
    if (x.size() > 2) m.push_back(values_of(sum(up, {0, 1})));
    return m;
  };
  t.push_back(std::move(c));
}

void add_family(std::vector<OpCase>& t, const Family& f, const std::string& text) {
  for (const DType dtype : kTypes)
    for (const Layout layout : kLayouts)
      for (const Range& range : kRanges)
        for (const int params : {0, 1, 2}) {
          if (!has_layout(f.x, layout) || (params == 2 && !f.has_bias)) continue;
          if (range.values != Values::normal && (layout == Layout::sliced || params == 1) && f.has_bias) continue;
          if (dtype == DType::f64 && range.low < -1) continue;
          if (f.x.numel() > 20000 && (layout != Layout::contiguous || params == 1 || dtype == DType::f64)) continue;
          add_case(t, f, dtype, layout, range, params, text + (*range.text ? " " : "") + range.text);
        }
}

void add_trailing(std::vector<OpCase>& t) {
  for (const auto& [x, shape] : std::vector<std::pair<Shape, Shape>>{{{7}, {7}},
                                                                     {{3, 5}, {5}},
                                                                     {{2, 3, 16}, {16}},
                                                                     {{2, 3, 4}, {3, 4}},
                                                                     {{5, 1}, {1}},
                                                                     {{0, 5}, {5}},
                                                                     {{4, 15}, {15}},
                                                                     {{4, 17}, {17}},
                                                                     {{33, 65}, {65}},
                                                                     {{2, 4097}, {4097}},
                                                                     {{2100, 40}, {40}}}) {
    const Shape s = shape;
    const std::int64_t n = shape.numel(), rows = n == 0 ? 0 : x.numel() / n;
    for (const double eps : {1e-5, 0.5}) {
      if (eps > 0.1 && n > 20) continue;
      const std::string text = "over " + to_string(shape) + " eps " + std::to_string(eps);
      add_family(t,
                 {"layer_norm",
                  [=](const Tensor& v, const Tensor& w, const Tensor& b) { return layer_norm(v, s, w, b, eps); },
                  x,
                  shape,
                  {rows, 1, 1, n},
                  eps,
                  true,
                  true,
                  x.rank() > shape.rank() ? 1u : 0u},
                 text);
      add_family(t,
                 {"rms_norm",
                  [=](const Tensor& v, const Tensor& w, const Tensor&) { return rms_norm(v, s, w, eps); },
                  x,
                  shape,
                  {rows, 1, 1, n},
                  eps,
                  false,
                  false,
                  x.rank() > shape.rank() ? 1u : 0u},
                 text);
    }
  }
}

void add_channelwise(std::vector<OpCase>& t) {
  for (const Shape& x : {Shape{2, 7, 6}, Shape{3, 6}, Shape{1, 2, 3, 6}, Shape{2, 0, 6}, Shape{2, 33, 48},
                         Shape{2, 1030, 18}, Shape{2, 1100, 66}}) {
    const std::int64_t channels = x[x.rank() - 1], batch = x[0], rows = x.numel() == 0 ? 0 : x.numel() / channels;
    for (const std::int64_t groups : {std::int64_t{1}, std::int64_t{2}, channels / 3})
      add_family(t,
                 {"group_norm",
                  [=](const Tensor& v, const Tensor& w, const Tensor& b) { return group_norm(v, groups, w, b); },
                  x,
                  {channels},
                  {batch, rows / batch, groups, channels / groups},
                  1e-5},
                 "groups " + std::to_string(groups));
    if (x.numel() == 0) continue;
    add_family(t,
               {"batch_norm",
                [](const Tensor& v, const Tensor& w, const Tensor& b) { return batch_norm(v, {}, {}, w, b, true); },
                x,
                {channels},
                {1, rows, channels, 1},
                1e-5,
                true,
                true,
                0},
               "training");
    if (x.rank() > 2)
      add_family(t,
                 {"instance_norm",
                  [](const Tensor& v, const Tensor& w, const Tensor& b) { return instance_norm(v, {}, {}, w, b); },
                  x,
                  {channels},
                  {batch, rows / batch, channels, 1},
                  1e-5},
                 "");
  }
}

// Equal values: what comes out is the bias, to the bit, wherever they lie.
void add_constant_rows(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    for (const auto& [rows, n] : {std::pair<std::int64_t, std::int64_t>{3, 5}, {2, 16}, {7, 4097}, {2, 48}})
      for (const double size : {1., 1e4, 1e-20}) {
        const auto add = [&](const char* op, std::function<Tensor(const Tensor&, const Tensor&)> f) {
          OpCase c{.op = op,
                   .text = "constant rows of " + std::to_string(size),
                   .inputs = {{{rows, 1, 1}, dtype, Layout::contiguous, Values::range, -size, size}, {{n}, dtype}},
                   .call = [=, n = n](Args x) {
                     return detail::composed(op, [&] { return Outputs{f(expand(x[0], {-1, 4, n}), x[1])}; });
                   }};
          c.oracle = [=, rows = rows, n = n](Args x) {
            return std::vector<Expected>{expected_from(expand(x[1], {rows, 4, n}), dtype)};
          };
          t.push_back(std::move(c));
        };
        add("layer_norm", [n = n](const Tensor& x, const Tensor& b) { return layer_norm(x, {n}, {}, b); });
        add("group_norm", [](const Tensor& x, const Tensor& b) { return group_norm(x, 1, {}, b); });
        add("instance_norm", [](const Tensor& x, const Tensor& b) { return instance_norm(x, {}, {}, {}, b); });
      }
}

// The running statistics beside the result, moved in place (on copies).
void add_running(std::vector<OpCase>& t) {
  for (const bool instance : {false, true})
    for (const DType dtype : kTypes)
      for (const Shape& x : {Shape{2, 7, 6}, Shape{1, 2, 3, 6}, Shape{3, 33, 17}, Shape{2, 1100, 5}})
        for (const Layout layout : kLayouts)
          for (const double momentum : {0.1, 1., 0.}) {
            const std::int64_t channels = x[x.rank() - 1];
            OpCase c{.op = instance ? "instance_norm" : "batch_norm",
                     .text = "follows by " + std::to_string(momentum),
                     .inputs = {{x, dtype, layout},
                                {{channels}, dtype},
                                {{channels}, dtype, Layout::contiguous, Values::positive}},
                     .call = [=](Args v) {
                       return detail::composed(instance ? "instance_norm" : "batch_norm", [&] {
                         const Tensor mean = detach(clone(v[1])), var = detach(clone(v[2]));
                         const Tensor y = instance ? instance_norm(v[0], mean, var, {}, {}, true, momentum)
                                                   : batch_norm(v[0], mean, var, {}, {}, true, momentum);
                         return Outputs{y, mean, var};
                       });
                     }};
            const std::int64_t parts = instance ? x[0] : 1;
            const Shape grouped{parts, x.numel() / channels / parts, channels, 1};
            const double share = dtype == DType::f64 ? 1 : 0x1p-24;
            c.bound = {.c = 8};
            c.magnitude = [=](Args v, const Outputs& y) {
              const Standard s(v[0], grouped, 1e-5, true);
              return Magnitudes{values_of(reshape(abs(s.value) + s.offset * share, y[0].sizes())),
                                values_of(abs(v[1]) + abs(y[1])), values_of(v[2] + y[2])};
            };
            t.push_back(c);
            c.text = "by running statistics";
            if (momentum != 0.1) continue;
            c.call = [=](Args v) {
              return Outputs{instance ? instance_norm(v[0], v[1], v[2], {}, {}, false) : batch_norm(v[0], v[1], v[2])};
            };
            c.magnitude = nullptr;
            c.rows = 1;
            t.push_back(c);
            // Its gradient, with constants made inside.
            c.text += " weight bias";
            c.inputs = {{x, dtype, layout}, {{channels}, dtype}, {{channels}, dtype}};
            c.call = [=](Args v) {
              return detail::composed(instance ? "instance_norm" : "batch_norm", [&] {
                const Tensor mean = full({channels}, 0.25, v[0].options()), var = full({channels}, 1.5, v[0].options());
                return Outputs{instance ? instance_norm(v[0], mean, var, v[1], v[2], false)
                                        : batch_norm(v[0], mean, var, v[1], v[2])};
              });
            };
            c.magnitude = [](Args v, const Outputs& y) { return Magnitudes{values_of(abs(y[0]) + 2 * abs(v[2]))}; };
            c.differentiable = dtype == DType::f32 || x.numel() < 200;
            c.gradient_bound = {.c = 8};
            c.gradient_magnitude = [](Args v, const Outputs&, const Tensor& gy) {
              std::vector<int> all;
              for (int d = 0; d + 1 < gy.dim(); ++d) all.push_back(d);
              const Tensor g = abs(gy);
              return Magnitudes{values_of(g * abs(v[1])), values_of(sum(g * (abs(v[0]) + 0.25), all)),
                                values_of(sum(g, all))};
            };
            t.push_back(c);
          }
}

// The sum over each window of `size` channels, zeros beyond the ends; turned: of the windows that a channel lies in.
Tensor windows(const Tensor& x, std::int64_t size, bool turned) {
  const std::int64_t n = x.size(-1), front = turned ? (size - 1) / 2 : size / 2;
  Tensor total = zeros_like(x);
  for (std::int64_t k = -front; k < size - front; ++k) {
    Shape edge = x.sizes();
    edge[x.dim() - 1] = std::min(std::abs(k), n);
    const Tensor none = zeros(edge, x.options());
    const std::int64_t kept = n - edge[x.dim() - 1];
    total = total + (k < 0 ? cat({none, narrow(x, -1, 0, kept)}, -1) : cat({narrow(x, -1, n - kept, kept), none}, -1));
  }
  return total;
}
void add_response(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    for (const Shape& x : {Shape{3, 5}, Shape{1, 1}, Shape{0, 3}, Shape{2, 3, 16}, Shape{2, 2, 3, 4}, Shape{33, 17}})
      for (const Layout layout : kLayouts)
        for (const std::int64_t size : {1, 2, 5, 40})
          for (const double alpha : {1e-4, 0.7}) {
            if (!has_layout(x, layout)) continue;
            OpCase c{.op = "local_response_norm",
                     .text = "size " + std::to_string(size) + " alpha " + std::to_string(alpha),
                     .inputs = {{x, dtype, layout}},
                     .call = [=](Args v) { return Outputs{local_response_norm(v[0], size, alpha)}; }};
            c.bound = {.c = 8};
            c.rows = 1;
            c.differentiable = dtype == DType::f32 || x.numel() < 100;
            c.gradient_bound = {.c = 16};
            c.gradient_in_parts = true;
            c.gradient_magnitude = [=](Args v, const Outputs&, const Tensor& gy) {
              const double share = alpha / static_cast<double>(size);
              const Tensor base = windows(square(v[0]), size, false) * share + 1;
              const Tensor back = windows(abs(gy * v[0]) * pow(base, -1.75), size, true);
              return Magnitudes{values_of(abs(gy) * pow(base, -0.75) + abs(v[0]) * back * (1.5 * share))};
            };
            t.push_back(std::move(c));
          }
}

void add_weight_norm(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    for (const Shape& v : {Shape{5}, Shape{3, 5}, Shape{1, 1}, Shape{3, 4, 2}, Shape{16, 17, 3}, Shape{2, 300}})
      for (const int dim : {0, -1, 100})  // 100: one norm for all
        for (const Layout layout : kLayouts)
          for (const Values values : {Values::normal, Values::positive}) {
            if (!has_layout(v, layout) || (v.rank() == 1 && dim == -1)) continue;
            const std::optional<int> kept = dim == 100 ? std::nullopt : std::optional(dim);
            Shape g;
            for (int d = 0; d < v.rank() && kept; ++d) g.push(d == (dim + v.rank()) % v.rank() ? v[d] : 1);
            std::vector<int> over;
            for (int d = 0; d < v.rank(); ++d)
              if (!kept || d != (dim + v.rank()) % v.rank()) over.push_back(d);
            const auto total = [over](const Tensor& x) { return over.empty() ? x : sum(x, over, true); };
            OpCase c{.op = "weight_norm",
                     .text = kept ? "dim " + std::to_string(dim) : "all",
                     .inputs = {{v, dtype, layout, values}, {g, dtype, Layout::contiguous, values}},
                     .call = [=](Args x) { return Outputs{weight_norm(x[0], x[1], kept)}; }};
            c.bound = {.c = 8};
            c.rows = dim == 0 && v.rank() > 1 ? 3 : 0;
            c.differentiable = dtype == DType::f32 || v.numel() < 100;
            c.gradient_bound = {.c = 16};
            c.gradient_in_parts = true;
            c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
              const Tensor norm = sqrt(total(square(x[0]))), unit = abs(x[0]) / norm, inner = total(abs(gy) * unit);
              return Magnitudes{values_of((abs(gy) + unit * inner) * abs(x[1]) / norm), values_of(sum_to(inner, g))};
            };
            t.push_back(std::move(c));
          }
}

void add_spectral_norm(std::vector<OpCase>& t) {
  for (const DType dtype : kTypes)
    for (const Shape& w : {Shape{1, 1}, Shape{3, 5}, Shape{5, 3}, Shape{4, 3, 2}, Shape{17, 33}, Shape{16, 4, 3}})
      for (const int dim : {0, -1})
        for (const Layout layout : kLayouts)
          for (const int iterations : {0, 1, 5}) {
            if (!has_layout(w, layout)) continue;
            OpCase c{.op = "spectral_norm",
                     .text = std::to_string(iterations) + " steps, dim " + std::to_string(dim),
                     .inputs = {{w, dtype, layout, Values::positive},
                                {{w[dim == 0 ? 0 : w.rank() - 1]}, dtype, Layout::contiguous, Values::positive}},
                     .call = [=](Args x) {
                       const SpectralNorm s = spectral_norm(x[0], x[1], iterations, 1e-12, dim);
                       return Outputs{s.weight, s.u};
                     }};
            c.bound = {.c = 24};  // all terms are positive: nothing cancels
            t.push_back(c);
            if (iterations != 5 || w.numel() > 40) continue;
            // At the end of the iteration the vectors may count as constants: the difference of sigma is that of W.
            c.text = "converged, dim " + std::to_string(dim);
            c.inputs.pop_back();
            c.call = [=](Args x) {
              return detail::composed("spectral_norm", [&] {
                const Tensor u = full({w[dim == 0 ? 0 : w.rank() - 1]}, 1, x[0].options());
                return Outputs{spectral_norm(x[0], u, 40, 1e-12, dim).weight};
              });
            };
            c.differentiable = true, c.low = 0.5, c.high = 2;
            c.gradient_bound = {.c = 64}, c.gradient_in_parts = true;
            c.gradient_magnitude = [=](Args x, const Outputs& y, const Tensor& gy) {
              const Tensor inverse = amax(y[0]) / amax(x[0]);  // 1 / sigma
              return Magnitudes{values_of((abs(gy) + sum(abs(gy) * y[0])) * inverse)};
            };
            t.push_back(std::move(c));
          }
}

}  // namespace

void add_norm(std::vector<OpCase>& t) {
  add_trailing(t);
  add_channelwise(t);
  add_constant_rows(t);
  add_running(t);
  add_response(t);
  add_weight_norm(t);
  add_spectral_norm(t);
}

}  // namespace tapedeck::cases
