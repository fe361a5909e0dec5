// Variances and deviations, also far from zero, and norms.
#include <tapedeck/autograd/ops.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cases/lines.h"

namespace tapedeck::cases {
namespace {

bool mixes_rows(const std::vector<int>& dims, const Shape& shape) { return mask_of(dims, shape.rank()) & 1u; }

// The bound grows with |mean| / std: of y = var or std, and of the mean.
Magnitudes moment_magnitudes(const Tensor& x, const std::vector<int>& dims, const Outputs& y) {
  const auto centre = values_of(mean(x, dims)), variance = values_of(var(x, dims, false, false));
  std::vector<double> m = values_of(y[0]);
  for (std::size_t i = 0; i < m.size(); ++i)
    m[i] = std::fabs(m[i]) * (1 + std::fabs(centre[i]) / std::sqrt(variance[i]));
  Magnitudes all{m};
  if (y.size() > 1) all.push_back(values_of(mean(abs(x), dims)));
  return all;
}

using Moments = Outputs (*)(const Tensor&, const std::vector<int>&, double);
struct Op {
  const char* op;
  Moments f;
  bool root = false, with_mean = false;
};
const Op kOps[] = {
    {"var", [](const Tensor& x, const std::vector<int>& d, double u) { return Outputs{var(x, d, false, u)}; }},
    {"std", [](const Tensor& x, const std::vector<int>& d, double u) { return Outputs{tapedeck::std(x, d, false, u)}; },
     true},
    {"var_mean",
     [](const Tensor& x, const std::vector<int>& d, double u) {
       const VarMean m = var_mean(x, d, false, u);
       return Outputs{m.var, m.mean};
     },
     false, true},
    {"std_mean",
     [](const Tensor& x, const std::vector<int>& d, double u) {
       const StdMean m = std_mean(x, d, false, u);
       return Outputs{m.std, m.mean};
     },
     true, true}};

void add_moment(std::vector<OpCase>& t, const Op& op, const Input& in, const std::vector<int>& dims,
                double correction) {
  const Shape& shape = in.shape;
  std::int64_t count = 1;
  for (int d = 0; d < shape.rank(); ++d) count *= mask_of(dims, shape.rank()) >> d & 1u ? shape[d] : 1;
  if (count < 3) return;
  OpCase c{.op = op.op,
           .text = text_of(dims) + " correction " + std::to_string(correction).substr(0, 3),
           .inputs = {in},
           .call = [=, f = op.f](Args x) { return f(x[0], dims, correction); }};
  c.bound = {.c = 16};
  c.magnitude = [dims](Args x, const Outputs& y) { return moment_magnitudes(x[0], dims, y); };
  if (!mixes_rows(dims, shape)) c.rows = 1;
  c.differentiable = in.low > -10;
  c.gradient_bound = {.c = 16};
  c.gradient_in_parts = true;  // x and its mean
  // g 2 (x - mean) / n, or g (x - mean) / (n std): what is lost in x - mean counts by |x| + |mean|.
  c.gradient_magnitude = [=, root = op.root, with_mean = op.with_mean](Args x, const Outputs& y, const Tensor& gy) {
    Shape kept = x[0].sizes();
    const Tensor centre = mean(abs(x[0]), dims, true);
    for (int d = 0; d < kept.rank(); ++d) kept[d] = centre.sizes()[d];
    const auto part = [&](std::int64_t i) {
      return reshape(narrow(abs(reshape(gy, {-1})), 0, i * centre.numel(), centre.numel()), kept);
    };
    Tensor g = part(0) * (2.0 / (static_cast<double>(count) - correction));
    if (root) g = g / reshape(y[0], kept);
    Tensor m = g * (abs(x[0]) + centre);
    if (with_mean) m = m + part(1) / static_cast<double>(count);
    return Magnitudes{values_of(m)};
  };
  t.push_back(std::move(c));
}

void add_moments_of(std::vector<OpCase>& t, const Op& op) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{7}, Shape{33, 17}, Shape{2, 3, 4, 5}, Shape{3, 1000}, Shape{2, 40, 3}})
      for (const auto& dims : axis_sets(shape.rank()))
        for (const Layout layout : layouts(shape))
          for (const bool offset : {false, true})
            for (const double correction : {0., 1., 2.5}) {
              if (layout == Layout::expanded) continue;  // equal rows: the mean's rounding is all there is
              if (op.with_mean && layout == Layout::sliced) continue;
              if (correction > 1 && layout != Layout::contiguous) continue;
              // Below -10: not differentiated.
              const double low = offset ? -10002 : -2, high = offset ? -9998 : 2;
              add_moment(t, op, {shape, dtype, layout, Values::range, low, high}, dims, correction);
            }
}

// ---- norm -----------------------------------------------------------------------------------------------------------
constexpr double kInf = std::numeric_limits<double>::infinity();

long double norm_of(const Line& line, double p) {
  long double total = 0, most = 0, least = line.empty() ? (p < 0 ? kInf : 0) : kInf;
  for (const long double v : line) {
    const long double a = std::fabs(v);
    if (std::isnan(a) && p != 0) return std::numeric_limits<long double>::quiet_NaN();
    most = std::max(most, a), least = std::min(least, a);
    total += p == 0 ? (v != 0 ? 1 : 0) : p == 2 ? a * a : std::isinf(p) ? 0 : std::pow(a, static_cast<long double>(p));
  }
  if (std::isinf(p)) return p > 0 ? most : least;
  if (p == 0 || p == 1) return total;
  return p == 2 ? std::sqrt(total) : std::pow(total, 1 / static_cast<long double>(p));
}

void add_norm(std::vector<OpCase>& t, double p, const Input& in, const std::vector<int>& dims) {
  const bool keepdim = dims.size() % 2 == 1, chooses = std::isinf(p) || p == 0;
  OpCase c{.op = "norm",
           .text = "p " + std::to_string(p).substr(0, 4) + " " + text_of(dims) + (keepdim ? " keepdim" : ""),
           .inputs = {in},
           .call = [=](Args x) { return Outputs{norm(x[0], p, dims, keepdim)}; }};
  const bool exponents = !chooses && p != 1 && p != 2;
  // A power's relative error is that of its base times the exponent, and 1 / p is rounded.
  if (!chooses) c.bound = {.c = exponents ? 32. : p == 1 ? 8. : 3.};
  c.oracle = [=](Args x) {
    return std::vector{by_reduction(x[0], dims, keepdim, x[0].dtype(), [p](const Line& l) { return norm_of(l, p); })};
  };
  if (in.shape.rank() > 0 && !mixes_rows(dims, in.shape)) c.rows = 1;
  c.differentiable = in.values == Values::normal && !(chooses && in.dtype == DType::f64 && in.shape.numel() > 40);
  if (exponents) c.low = 0.5, c.high = 2;  // differences of powers need room to 0
  c.gradient_bound = {.c = 16};
  t.push_back(std::move(c));
}

void add_norms(std::vector<OpCase>& t) {
  const Shape shapes[] = {{}, {0}, {7}, {3, 0, 2}, {33, 17}, {2, 3, 4}, {1, 4097}, {70, 1100}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : shapes)
      for (const auto& dims : axis_sets(shape.rank())) {
        if (shape.numel() == 0 && dims.size() < 2) continue;
        for (const double p : {2., 1., 0., kInf, -kInf, 0.5, 1.5, 3., -1.}) {
          const bool simple = p == 2 || p == 1 || p == 0 || std::isinf(p);
          for (const Layout layout : layouts(shape)) {
            if (p != 2 && layout != Layout::contiguous && layout != Layout::transposed) continue;
            if (p != 2 && shape.numel() > 10000) continue;
            add_norm(t, p, {shape, dtype, layout, Values::normal}, dims);
            if (shape.numel() <= 24 || p == 2) add_norm(t, p, {shape, dtype, layout, Values::nonfinite}, dims);
            if (simple && shape.numel() <= 600) add_norm(t, p, {shape, dtype, layout, Values::wide}, dims);
            if (simple) add_norm(t, p, {shape, dtype, layout, Values::ties}, dims);
          }
        }
      }
  // Squares that leave the range of f64.
  for (const auto& [low, high] : {std::pair{1e300, 1.5e300}, {1e-320, 1e-310}, {1e-200, 1e-140}, {1e150, 1e160}})
    for (const auto& dims : axis_sets(2))
      add_norm(t, 2, {{9, 11}, DType::f64, Layout::contiguous, Values::range, low, high}, dims);
}

}  // namespace

void add_moments(std::vector<OpCase>& t) {
  for (const Op& op : kOps) add_moments_of(t, op);
  add_norms(t);
}

}  // namespace tapedeck::cases
