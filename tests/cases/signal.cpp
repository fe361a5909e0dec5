// Fourier transforms, short-time transforms, complex numbers and windows. Sums are bounded by the sum of the absolute
// values of their terms: |x| of all numbers of a row.
#include <tapedeck/autograd/ops.h>

#include <cmath>
#include <numbers>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

// What every output of a row of the transform along `axis` is bounded by: the row's sum of |numbers|, times scale.
Magnitudes row_sums(const Tensor& x, const Tensor& y, int axis, bool pairs_in, bool pairs_out, double scale) {
  Tensor m = sum(abs(pairs_in ? sum(abs(x), {-1}) : x), {axis}, true) * scale;
  Shape shape = y.sizes();
  if (pairs_out) m = unsqueeze(m, -1);
  return {values_of(contiguous(expand(m, shape)))};
}

struct Transform {
  const char* op;
  bool pairs_in, pairs_out;
  Tensor (*f)(const Tensor&, std::optional<std::int64_t>, int, FftNorm);
};
constexpr Transform kTransforms[] = {
    {"fft", true, true, fft}, {"ifft", true, true, ifft}, {"rfft", false, true, rfft}, {"irfft", true, false, irfft}};

double factor(const Transform& t, FftNorm norm, std::int64_t n) {
  const bool inverse = t.f == ifft || t.f == irfft;
  if (norm == FftNorm::ortho) return 1 / std::sqrt(static_cast<double>(n));
  return (norm == FftNorm::backward) == inverse ? 1 / static_cast<double>(n) : 1;
}

void add_transform(std::vector<OpCase>& table, const Transform& t, DType dtype, Shape shape, int axis,
                   std::optional<std::int64_t> n, FftNorm norm, Layout layout, Values values) {
  const std::int64_t have = shape[axis < 0 ? shape.rank() + axis : axis];
  const std::int64_t length = n.value_or(t.f == irfft ? 2 * (have - 1) : have);
  if (length < 1) return;
  if (t.pairs_in) shape.push(2);
  if (!has_layout(shape, layout)) return;
  OpCase c{.op = t.op,
           .text = "n " + std::to_string(length) +
                   (norm == FftNorm::ortho     ? " ortho"
                    : norm == FftNorm::forward ? " forward"
                                               : "") +
                   " dim " + std::to_string(axis),
           .inputs = {{shape, dtype, layout, values}},
           .call = [=](Args x) { return Outputs{t.f(x[0], n, axis, norm)}; }};
  const double scale = factor(t, norm, length);
  const int dim = axis < 0 ? axis : axis;
  c.bound = {.c = dtype == DType::f32 ? 1.5 : 6, .subnormal = dtype == DType::f32 ? 1. : 64.};
  c.magnitude = [=](Args x, const Outputs& y) { return row_sums(x[0], y[0], dim, t.pairs_in, t.pairs_out, 2 * scale); };
  if (shape.rank() > (t.pairs_in ? 2 : 1) && axis == -1) c.rows = 1;
  c.differentiable = values == Values::normal && shape.numel() < (dtype == DType::f64 ? 200 : 5000);
  c.gradient_bound = c.bound;
  c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
    Tensor m = abs(gy);
    if (t.pairs_out) m = sum(m, {-1});
    m = sum(m, {dim}, true) * (2 * scale);
    if (t.pairs_in) m = unsqueeze(m, -1);
    return Magnitudes{values_of(contiguous(expand(m, x[0].sizes())))};
  };
  table.push_back(std::move(c));
}

void add_transforms(std::vector<OpCase>& table) {
  for (const Transform& t : kTransforms)
    for (const DType dtype : {DType::f32, DType::f64}) {
      for (std::int64_t n = 1; n <= 32; ++n)
        add_transform(table, t, dtype, {2, n}, -1, {}, FftNorm::backward, Layout::contiguous, Values::normal);
      for (const std::int64_t n : {49, 55, 64, 100, 101, 128, 169, 243, 256, 289, 360, 509, 512})
        add_transform(table, t, dtype, {3, n}, -1, {}, FftNorm::backward, Layout::contiguous, Values::normal);
      for (const std::int64_t n : {32, 128, 2048})  // more rows than a vector has lanes
        add_transform(table, t, dtype, {n > 1000 ? 2 : 19, n}, -1, {}, FftNorm::ortho, Layout::contiguous,
                      Values::normal);
      for (const FftNorm norm : {FftNorm::backward, FftNorm::ortho, FftNorm::forward})
        for (const std::int64_t n : {7, 12, 13, 34}) {
          add_transform(table, t, dtype, {2, 12}, 1, n, norm, Layout::contiguous, Values::normal);
          add_transform(table, t, dtype, {12, 3}, 0, n, norm, Layout::contiguous, Values::normal);
        }
      for (const Layout layout : {Layout::transposed, Layout::sliced, Layout::expanded})
        for (const Shape& shape : {Shape{5, 9}, Shape{2, 3, 16}, Shape{1, 33}})
          for (const int axis : {-1, 0, shape.rank() - 2})
            add_transform(table, t, dtype, shape, axis, {}, FftNorm::backward, layout, Values::normal);
      for (const Values values : {Values::wide, Values::positive, Values::cancelling, Values::ties})
        for (const std::int64_t n : {5, 16, 30, 37})
          add_transform(table, t, dtype, {3, n}, -1, {}, FftNorm::backward, Layout::contiguous, values);
      add_transform(table, t, dtype, {0, 8}, -1, {}, FftNorm::backward, Layout::contiguous, Values::normal);
      add_transform(table, t, dtype, {9}, 0, {}, FftNorm::backward, Layout::contiguous, Values::normal);
    }
}

void add_stft(std::vector<OpCase>& table) {
  struct Form {
    std::int64_t n_fft, hop, width;
    bool center, normalized, onesided;
  };
  const Form forms[] = {{16, 4, 16, true, false, true},  {16, 8, 16, true, true, true}, {12, 3, 9, true, false, true},
                        {15, 5, 15, false, false, true}, {7, 2, 7, true, false, true},  {16, 4, 16, true, false, false},
                        {13, 3, 11, true, true, false},  {8, 8, 8, false, false, true}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Form& f : forms)
      for (const Shape& shape : {Shape{40}, Shape{1, 33}, Shape{3, 64}})
        for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced})
          for (const Values values : {Values::normal, Values::positive}) {
            if (!has_layout(shape, layout)) continue;
            const std::string text = "n_fft " + std::to_string(f.n_fft) + " hop " + std::to_string(f.hop) + " window " +
                                     std::to_string(f.width) + (f.center ? " center" : "") +
                                     (f.normalized ? " normalized" : "") + (f.onesided ? "" : " twosided");
            const auto options = [=](const Tensor& like) {
              return StftOptions{.hop_length = f.hop,
                                 .win_length = f.width,
                                 .window = hamming_window(f.width, true, 0.54, 0.46, like.options()),
                                 .center = f.center,
                                 .normalized = f.normalized,
                                 .onesided = f.onesided};
            };
            OpCase c{.op = "stft", .text = text, .inputs = {{shape, dtype, layout, values}}, .call = [=](Args x) {
                       return Outputs{stft(x[0], f.n_fft, options(x[0]))};
                     }};
            c.bound = {.c = 6};
            c.magnitude = [=](Args x, const Outputs& y) {  // all samples of a signal: more than those of a frame
              Tensor m = sum(abs(x[0]), {-1}, true);
              while (m.dim() < y[0].dim()) m = unsqueeze(m, -1);
              return Magnitudes{values_of(contiguous(expand(m, y[0].sizes())))};
            };
            if (shape.rank() == 2) c.rows = 1;
            c.prepares = true;
            c.differentiable = values == Values::normal;
            c.gradient_in_parts = true;
            c.gradient_bound = {.c = 8};
            c.gradient_magnitude = [](Args x, const Outputs&, const Tensor& gy) {
              return Magnitudes{std::vector<double>(static_cast<std::size_t>(x[0].numel()), sum(abs(gy)).item())};
            };
            table.push_back(c);
            // There and back.
            c.op = "istft";
            c.text += " of stft";
            c.call = [=](Args x) {
              const StftOptions o = options(x[0]);
              const std::int64_t covered =
                  f.center ? x[0].size(-1) : (x[0].size(-1) - f.n_fft) / f.hop * f.hop + f.n_fft;
              return Outputs{istft(stft(x[0], f.n_fft, o), f.n_fft, o, covered)};
            };
            c.oracle = [=](Args x) {
              Tensor kept = x[0];
              if (!f.center) kept = narrow(kept, -1, 0, (kept.size(-1) - f.n_fft) / f.hop * f.hop + f.n_fft);
              if (f.center && f.hop < f.n_fft) {  // what lies behind the last frame comes back as zeros
                const std::int64_t last = kept.size(-1) / f.hop * f.hop + f.n_fft - f.n_fft / 2;
                if (last < kept.size(-1)) return std::vector<Expected>{};
              }
              return std::vector{expected_from(kept, x[0].dtype())};
            };
            c.bound = {.c = 60};
            c.magnitude = [=](Args x, const Outputs& y) {
              Tensor m = sum(abs(x[0]), {-1}, true);
              return Magnitudes{values_of(contiguous(expand(m, y[0].sizes())))};
            };
            c.gradient_bound = {.c = 60};
            table.push_back(std::move(c));
          }
}

void add_overlap_add(std::vector<OpCase>& table) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape :
         {Shape{1, 1}, Shape{1, 5}, Shape{4, 3}, Shape{2, 5, 8}, Shape{2, 3, 4, 7}, Shape{3, 33, 16}})
      for (const std::int64_t hop : {1, 2, 3, 8, 11})
        for (const Layout layout : layouts(shape)) {
          OpCase c{.op = "overlap_add",
                   .text = "hop " + std::to_string(hop),
                   .inputs = {{shape, dtype, layout, Values::normal}},
                   .call = [=](Args x) { return Outputs{overlap_add(x[0], hop)}; }};
          c.bound = {.c = 4}, c.relative = Relative::absolute;
          if (shape.rank() > 2) c.rows = 1;
          c.differentiable = true;
          c.oracle = [=](Args x) {
            const Tensor& f = x[0];
            const std::int64_t count = f.size(-2), size = f.size(-1), whole = (count - 1) * hop + size;
            const auto v = values_of(cast(f, DType::f64));
            Shape out = f.sizes();
            out.erase(f.dim() - 1), out[out.rank() - 1] = whole;
            Expected r{out, f.dtype(), std::vector<long double>(static_cast<std::size_t>(out.numel()), 0), {}};
            for (std::size_t i = 0; i < v.size(); ++i) {
              const auto at = static_cast<std::int64_t>(i), row = at / (count * size), frame = at / size % count;
              r.value[static_cast<std::size_t>(row * whole + frame * hop + at % size)] += v[i];
            }
            return std::vector{r};
          };
          table.push_back(std::move(c));
        }
}

// ---- complex numbers: held against loops in long double -------------------------------------------------------------
using Wide = long double;
struct Pair {
  Wide re, im;
};
std::vector<Pair> pairs_of(const Tensor& x) {
  const auto v = values_of(cast(x, DType::f64));
  std::vector<Pair> out;
  for (std::size_t i = 0; i + 1 < v.size(); i += 2) out.push_back({v[i], v[i + 1]});
  return out;
}

void add_complex(std::vector<OpCase>& table) {
  const Shape kShapes[] = {{2}, {0, 2}, {7, 2}, {3, 5, 2}, {2, 3, 4, 2}, {33, 17, 2}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : kShapes)
      for (const Layout layout : layouts(shape))
        for (const Values values : {Values::normal, Values::wide, Values::ties}) {
          const Input in{shape, dtype, layout, values};
          const auto add = [&](const char* op, int inputs, Bound bound, std::function<Outputs(Args)> call,
                               std::function<void(const std::vector<Pair>&, const std::vector<Pair>&, std::size_t,
                                                  std::vector<Wide>&, std::vector<double>&)>
                                   one,
                               bool pairs_out) {
            OpCase c{.op = op,
                     .text = "",
                     .inputs = std::vector<Input>(static_cast<std::size_t>(inputs), in),
                     .call = std::move(call)};
            c.bound = bound;
            if (shape.rank() > 1) c.rows = inputs == 2 ? 3 : 1;
            c.oracle = [=](Args x) {
              const auto a = pairs_of(x[0]), b = pairs_of(x[static_cast<std::size_t>(inputs - 1)]);
              Shape out = x[0].sizes();
              if (!pairs_out) out.erase(out.rank() - 1);
              Expected r{out, x[0].dtype(), {}, {}};
              for (std::size_t i = 0; i < a.size(); ++i) one(a, b, i, r.value, r.magnitude);
              return std::vector{r};
            };
            c.differentiable = values == Values::normal && (dtype == DType::f32 || shape.numel() < 60);
            c.gradient_bound = {.c = 40};
            c.gradient_in_parts = true;
            c.gradient_magnitude = [inputs](Args x, const Outputs& y,
                                            const Tensor& gy) {  // the largest of a row will do
              Magnitudes m;
              const double g = amax(abs(gy)).item();
              for (int i = 0; i < inputs; ++i) {
                const Tensor other = inputs == 2 ? x[static_cast<std::size_t>(1 - i)] : x[0];
                const double size = inputs == 2 ? 2 * amax(abs(other)).item()
                                                : 4 + 4 / std::max(1e-3, y[0].numel() ? amin(abs(y[0])).item() : 1.0);
                m.emplace_back(static_cast<std::size_t>(x[0].numel()), g * size);
              }
              return m;
            };
            if (shape.numel() == 0) c.differentiable = false;
            if (inputs == 2 && values == Values::wide) return;  // products overflow, and their difference is NaN
            table.push_back(std::move(c));
          };
          add(
              "complex_mul", 2, {.c = 3}, [](Args x) { return Outputs{complex_mul(x[0], x[1])}; },
              [](const auto& a, const auto& b, std::size_t i, auto& value, auto& magnitude) {
                value.push_back(a[i].re * b[i].re - a[i].im * b[i].im);
                value.push_back(a[i].re * b[i].im + a[i].im * b[i].re);
                magnitude.push_back(static_cast<double>(fabsl(a[i].re * b[i].re) + fabsl(a[i].im * b[i].im)));
                magnitude.push_back(static_cast<double>(fabsl(a[i].re * b[i].im) + fabsl(a[i].im * b[i].re)));
              },
              true);
          add(
              "complex_conj", 1, {}, [](Args x) { return Outputs{complex_conj(x[0])}; },
              [](const auto& a, const auto&, std::size_t i, auto& value, auto&) {
                value.push_back(a[i].re), value.push_back(-a[i].im);
              },
              true);
          add(
              "complex_abs", 1, {.c = 4}, [](Args x) { return Outputs{complex_abs(x[0])}; },
              [](const auto& a, const auto&, std::size_t i, auto& value, auto&) {
                value.push_back(hypotl(a[i].re, a[i].im));
              },
              false);
          add(
              "complex_angle", 1, {.c = 6}, [](Args x) { return Outputs{complex_angle(x[0])}; },
              [](const auto& a, const auto&, std::size_t i, auto& value, auto& magnitude) {
                value.push_back(a[i].re == 0 && a[i].im == 0 ? 0 : atan2l(a[i].im, a[i].re));
                magnitude.push_back(fabs(static_cast<double>(value.back())));
              },
              false);
        }
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : shapes())
      for (const Layout layout : layouts(shape)) {
        const Input in{shape, dtype, layout, Values::range, -3, 3};
        OpCase c{
            .op = "polar", .text = "", .inputs = {in, in}, .call = [](Args x) { return Outputs{polar(x[0], x[1])}; }};
        c.bound = {.c = 4, .subnormal = 1};
        c.oracle = [](Args x) {
          const auto a = values_of(cast(x[0], DType::f64)), b = values_of(cast(x[1], DType::f64));
          Expected r{x[0].sizes(), x[0].dtype(), {}, {}};
          r.shape.push(2);
          for (std::size_t i = 0; i < a.size(); ++i)
            r.value.push_back(a[i] * cosl(b[i])), r.value.push_back(a[i] * sinl(b[i]));
          return std::vector{r};
        };
        if (shape.rank() > 0) c.rows = 3;
        c.differentiable = shape.numel() < (dtype == DType::f64 ? 40 : 5000);
        c.gradient_bound = {.c = 8}, c.gradient_in_parts = true;
        c.gradient_magnitude = [](Args x, const Outputs&, const Tensor& gy) {
          const Tensor g = sum(abs(gy), {-1});
          return Magnitudes{values_of(g), values_of(g * abs(x[0]))};
        };
        table.push_back(std::move(c));
      }
}

// Values of a tensor that is computed in double: rounded once to what is asked for.
std::vector<Expected> rounded(Expected r) {
  if (r.dtype == DType::f32 || r.dtype == DType::f64) return {std::move(r)};
  const std::vector<double> values(r.value.begin(), r.value.end());
  return {expected_from(cast(tensor(values, r.shape), r.dtype), r.dtype)};
}

// Windows: nothing goes in; the values are those of their definitions.
void add_windows(std::vector<OpCase>& table) {
  const auto add = [&](const char* op, auto make, auto define) {
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16})
      for (const bool periodic : {true, false})
        for (const std::int64_t n : {0, 1, 2, 3, 5, 8, 16, 33, 100, 1024}) {
          OpCase c{.op = op,
                   .text = std::to_string(n) + (periodic ? " periodic " : " symmetric ") + tapedeck::name(dtype),
                   .inputs = {},
                   .call = [=](Args) {
                     return Outputs{make(n, periodic, TensorOptions{dtype, here()})};
                   }};
          if (dtype == DType::f32 || dtype == DType::f64) c.bound = {.c = 24};  // arguments are rounded too
          c.oracle = [=](Args) {
            Expected r{{n}, dtype, {}, {}};
            for (std::int64_t k = 0; k < n; ++k) {
              const Wide t = n == 1 ? 0.5L : static_cast<Wide>(k) / static_cast<Wide>(periodic ? n : n - 1);
              r.value.push_back(n == 1 ? 1 : std::max<Wide>(0, define(std::min(t, 1 - t)))), r.magnitude.push_back(1);
            }
            return rounded(std::move(r));
          };
          table.push_back(std::move(c));
        }
  };
  constexpr Wide pi = std::numbers::pi_v<Wide>;
  add(
      "hann_window", [](std::int64_t n, bool p, TensorOptions o) { return hann_window(n, p, o); },
      [=](Wide t) { return 0.5L - 0.5L * cosl(2 * pi * t); });
  add(
      "hamming_window", [](std::int64_t n, bool p, TensorOptions o) { return hamming_window(n, p, 0.54, 0.46, o); },
      [=](Wide t) { return 0.54L - 0.46L * cosl(2 * pi * t); });
  add(
      "blackman_window", [](std::int64_t n, bool p, TensorOptions o) { return blackman_window(n, p, o); },
      [=](Wide t) { return 0.42L - 0.5L * cosl(2 * pi * t) + 0.08L * cosl(4 * pi * t); });
  add(
      "bartlett_window", [](std::int64_t n, bool p, TensorOptions o) { return bartlett_window(n, p, o); },
      [=](Wide t) { return t < 0.5L ? 2 * t : 2 - 2 * t; });
  add(
      "kaiser_window", [](std::int64_t n, bool p, TensorOptions o) { return kaiser_window(n, p, 6, o); },
      [=](Wide t) {
        const auto bessel = [](Wide x) {  // its power series
          Wide sum = 1, term = 1;
          for (int k = 1; k < 60; ++k) term *= (x / (2 * k)) * (x / (2 * k)), sum += term;
          return sum;
        };
        const Wide u = 2 * t - 1;
        return bessel(6 * sqrtl(1 - u * u)) / bessel(6);
      });
}

}  // namespace

void add_signal(std::vector<OpCase>& table) {
  add_transforms(table);
  add_stft(table);
  add_overlap_add(table);
  add_complex(table);
  add_windows(table);
}

}  // namespace tapedeck::cases
