// Reference mixtures of discretised logistics and of Gaussians, in double.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/loss.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kCost = 60;  // of a component, in cheap elements

// log P of a component and its derivatives by mean (that by y is the opposite) and log-scale.
struct Term {
  double log_p, by_mean, by_scale;
};

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }

// With p and m the ends of the bin in scales and d = p - m: sigmoid(p) - sigmoid(m) =
// (1 - e^-d) sigmoid(p) sigmoid(-m). Every logarithm is of one sign, and log(1 - e^-d) is log d + log((1 - e^-d) / d)
// for small d.
struct Logistic {
  static Term at(double y, double mean, double log_scale, double half_bin) {
    const double s = std::exp(-log_scale), c = y - mean, p = s * (c + half_bin), m = s * (c - half_bin);
    const bool first = y<half_bin - 1, last = y> 1 - half_bin;
    Term t{0, 0, 0};
    if (!last) t.log_p -= softplus(-p), t.by_mean -= s * sigmoid(-p), t.by_scale -= p * sigmoid(-p);
    if (!first) t.log_p -= softplus(m), t.by_mean += s * sigmoid(m), t.by_scale += m * sigmoid(m);
    if (first || last) return t;
    const double d = 2 * half_bin * s;
    t.log_p += d > 1 ? std::log1p(-std::exp(-d))
                     : std::log(2 * half_bin) - log_scale + (d > 0 ? std::log(-std::expm1(-d) / d) : 0);
    t.by_scale -= d > 0 ? d / std::expm1(d) : 1;
    return t;
  }
};
struct Gaussian {
  static Term at(double y, double mean, double log_scale, double) {
    const double s = std::exp(-log_scale), z = s * (y - mean);
    return {-0.5 * z * z - log_scale - 0.91893853320467274178, z * s, z * z - 1};
  }
};

// log sum of exp(f(k)).
template <class F>
double log_sum(std::int64_t n, F&& f) {
  double m = -std::numeric_limits<double>::infinity(), total = 0;
  for (std::int64_t k = 0; k < n; ++k)
    if (const double v = f(k); v > m || v != v) m = v;
  if (std::isinf(m)) return m;
  for (std::int64_t k = 0; k < n; ++k) total += std::exp(f(k) - m);
  return m + std::log(total);
}

template <class T>
struct Row {
  const T* x;
  std::int64_t n;
  double y, half_bin, floor;
  double logit(std::int64_t k) const { return x[k]; }
  double raw_scale(std::int64_t k) const { return x[2 * n + k]; }
  template <class P>
  Term term(std::int64_t k) const {
    const double scale = raw_scale(k) < floor ? floor : raw_scale(k);
    return P::at(y, x[n + k], scale, half_bin);
  }
};

template <class F>
void each_row(std::int64_t rows, std::int64_t components, F&& f) {
  parallel_for(rows, row_grain(components, kCost), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i);
  });
}
template <class T, class Args>
Row<T> row_of(const Args& a, std::int64_t i) {
  return {a.x.template ptr<const T>() + i * a.x.strides[0], a.x.sizes[1] / 3,
          static_cast<double>(a.y.template ptr<const T>()[i * a.y.strides[0]]), a.half_bin, a.log_scale_min};
}

// prior: log sum exp of the logits. loss = -log sum of w P with w = exp(logit - prior): around the best component,
// w sums to 1, so that small losses do not cancel; when its weight is small, the plain form is the better one.
struct Fit {
  double prior, loss;
};
template <class P, class T>
Fit fit(const Row<T>& row) {
  Fit f{log_sum(row.n, [&](std::int64_t k) { return row.logit(k); }), 0};
  double best = -std::numeric_limits<double>::infinity(), less = 0;
  for (std::int64_t k = 0; k < row.n; ++k)
    if (const double v = row.template term<P>(k).log_p; v > best || v != v) best = v;
  for (std::int64_t k = 0; k < row.n; ++k)
    less += std::exp(row.logit(k) - f.prior) * std::expm1(row.template term<P>(k).log_p - best);
  if (less > -0.5)
    f.loss = -(best + std::log1p(less));
  else
    f.loss = f.prior - log_sum(row.n, [&](std::int64_t k) { return row.logit(k) + row.template term<P>(k).log_p; });
  return f;
}

template <class P, class T>
void forward(const MixtureArgs& a) {
  each_row(a.x.sizes[0], a.x.sizes[1] / 3, [&](std::int64_t i) {
    a.losses.ptr<T>()[i * a.losses.strides[0]] = static_cast<T>(fit<P>(row_of<T>(a, i)).loss);
  });
}

template <class P, class T>
void backward(const MixtureGradArgs& a) {
  const std::int64_t n = a.x.sizes[1] / 3;
  each_row(a.x.sizes[0], n, [&](std::int64_t i) {
    const Row<T> row = row_of<T>(a, i);
    const double g = a.g.ptr<const T>()[i * a.g.strides[0]];
    const Fit f = fit<P>(row);
    T* gx = a.gx.ptr<T>() + i * 3 * n;
    double gy = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      const Term t = row.template term<P>(k);
      const double gain = t.log_p + f.loss, weight = std::exp(row.logit(k) - f.prior);
      const double share = std::exp(row.logit(k) - f.prior + gain);  // of the likelihood
      gx[k] = static_cast<T>(g * (std::fabs(gain) < 1 ? -weight * std::expm1(gain) : weight - share));
      gx[n + k] = static_cast<T>(-g * share * t.by_mean);
      gx[2 * n + k] = static_cast<T>(row.raw_scale(k) < row.floor ? 0 : -g * share * t.by_scale);
      gy += share * t.by_mean;
    }
    a.gy.ptr<T>()[i] = static_cast<T>(g * gy);
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
#define TD_BY_TYPE(f, P) [](const auto& a) { a.dtype() == DType::f32 ? f<P, float>(a) : f<P, double>(a); }

}  // namespace

void add_ref_mixture() {
  constexpr DeviceType cpu = DeviceType::cpu;
  mix_logistic.add(cpu, "ref", TD_BY_TYPE(forward, Logistic), supports<MixtureArgs>);
  mix_gaussian.add(cpu, "ref", TD_BY_TYPE(forward, Gaussian), supports<MixtureArgs>);
  mix_logistic_backward.add(cpu, "ref", TD_BY_TYPE(backward, Logistic), supports<MixtureGradArgs>);
  mix_gaussian_backward.add(cpu, "ref", TD_BY_TYPE(backward, Gaussian), supports<MixtureGradArgs>);
}

}  // namespace tapedeck::kernels
