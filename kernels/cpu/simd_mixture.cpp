// Mixtures of discretised logistics and of Gaussians in f32: a row's components in vectors of double, sums in their
// order.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/loss.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_mixture.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_lanes-inl.h>

#ifndef TAPEDECK_SIMD_MIXTURE_ONCE
#define TAPEDECK_SIMD_MIXTURE_ONCE
namespace tapedeck::kernels {
namespace {
// One row's components, each list padded to whole blocks of 16.
struct Components {
  double *logit, *mean, *scale, *log_p, *by_mean, *by_scale, *e;
  std::int64_t n, padded;
  static constexpr int kLists = 7;
  Components(double* room, std::int64_t n, std::int64_t padded)
      : logit(room),
        mean(room + padded),
        scale(room + 2 * padded),
        log_p(room + 3 * padded),
        by_mean(room + 4 * padded),
        by_scale(room + 5 * padded),
        e(room + 6 * padded),
        n(n),
        padded(padded) {}
};
struct MixtureRow {
  float y;
  double half_bin, floor;
};
}  // namespace
}  // namespace tapedeck::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

HWY_INLINE D load_d(const double* p) { return D(hn::LoadU(DD(), p)); }
HWY_INLINE void store_d(D x, double* p) { hn::StoreU(x.v, DD(), p); }
HWY_INLINE D softplus_d(D x) { return select(x < D(0), D(0), x) + log1p(exp(-abs(x))); }
HWY_INLINE D sigmoid_d(D x) {
  const D e = exp(-abs(x));
  return select(x < D(0), e, D(1)) / (D(1) + e);
}
HWY_INLINE D expm1_d(D x) {  // for x <= 700
  const auto e = exp_parts(clamped(x, -60, 700));
  const D scale = power_of_two(e.n);
  return fma(e.s, scale, scale - D(1));
}
HWY_INLINE double exp_of(double x) { return hn::GetLane(exp(D(x)).v); }
HWY_INLINE double log_of(double x) { return hn::GetLane(log(D(x)).v); }
HWY_INLINE double log1p_of(double x) { return hn::GetLane(log1p(D(x)).v); }

// y[k] = f(k) in vectors; lists are padded.
template <class Fn>
HWY_INLINE void each_d(double* y, std::int64_t n, const Fn& f) {
  constexpr std::int64_t step = HWY_LANES(double);
  for (std::int64_t k = 0; k < n; k += step) store_d(f(k), y + k);
}

enum class Part { logistic, gaussian };

// As in ref_mixture.cpp.
HWY_INLINE void logistic_terms(const Components& c, const MixtureRow& r) {
  constexpr std::int64_t step = HWY_LANES(double);
  const double y0 = static_cast<double>(r.y);
  const bool first = y0<r.half_bin - 1, last = y0> 1 - r.half_bin;
  const D y(y0), half(r.half_bin), floor(r.floor), zero(0), one(1), log_width(log_of(2 * r.half_bin));
  for (std::int64_t k = 0; k < c.n; k += step) {
    const D raw = load_d(c.scale + k), scale = select(raw < floor, floor, raw), s = exp(-scale);
    const D from = y - load_d(c.mean + k), p = s * (from + half), m = s * (from - half);
    D log_p = zero, by_mean = zero, by_scale = zero;
    if (!last) {
      const D share = sigmoid_d(-p);
      log_p = log_p - softplus_d(-p), by_mean = by_mean - s * share, by_scale = by_scale - p * share;
    }
    if (!first) {
      const D share = sigmoid_d(m);
      log_p = log_p - softplus_d(m), by_mean = by_mean + s * share, by_scale = by_scale + m * share;
    }
    if (!first && !last) {
      const D d = D(2) * half * s, e = expm1_d(-d);
      const Truth<DD> some = D(1e-300) < d;
      const D narrow = log_width - scale + select(some, log(-e / select(some, d, one)), zero);
      log_p = log_p + select(d > one, log1p(-exp(-d)), narrow);
      const D slope = select(some, d / expm1_d(select(d > D(700), D(700), select(some, d, one))), one);
      by_scale = by_scale - slope;
    }
    store_d(log_p, c.log_p + k), store_d(by_mean, c.by_mean + k), store_d(by_scale, c.by_scale + k);
  }
}
HWY_INLINE void gaussian_terms(const Components& c, const MixtureRow& r) {
  constexpr std::int64_t step = HWY_LANES(double);
  const D y(static_cast<double>(r.y)), floor(r.floor);
  for (std::int64_t k = 0; k < c.n; k += step) {
    const D raw = load_d(c.scale + k), scale = select(raw < floor, floor, raw), s = exp(-scale);
    const D z = s * (y - load_d(c.mean + k));
    store_d(fma(D(-0.5) * z, z, -scale) - D(0.91893853320467274178), c.log_p + k);
    store_d(z * s, c.by_mean + k), store_d(fma(z, z, D(-1)), c.by_scale + k);
  }
}

HWY_INLINE double largest(const double* v, std::int64_t n) {  // NaN wins
  double m = -std::numeric_limits<double>::infinity();
  for (std::int64_t k = 0; k < n; ++k)
    if (v[k] > m || v[k] != v[k]) m = v[k];
  return m;
}
HWY_INLINE double total(const double* v, std::int64_t n) {
  double sum = 0;
  for (std::int64_t k = 0; k < n; ++k) sum += v[k];
  return sum;
}
// log sum exp of the list in c.e, which is overwritten.
HWY_INLINE double log_sum(const Components& c) {
  const double m = largest(c.e, c.n);
  if (std::isinf(m)) return m;
  const D shift(m);
  each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR { return exp(load_d(c.e + k) - shift); });
  return m + log_of(total(c.e, c.n));
}

struct FitD {
  double prior, loss;
};
template <Part part>
HWY_INLINE FitD fit(const Components& c, const float* x, const MixtureRow& r) {
  for (std::int64_t k = 0; k < c.padded; ++k) {
    const bool in = k < c.n;
    c.logit[k] = in ? static_cast<double>(x[k]) : 0;
    c.mean[k] = in ? static_cast<double>(x[c.n + k]) : 0;
    c.scale[k] = in ? static_cast<double>(x[2 * c.n + k]) : 0;
  }
  if constexpr (part == Part::logistic)
    logistic_terms(c, r);
  else
    gaussian_terms(c, r);
  each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR { return load_d(c.logit + k); });
  FitD f{log_sum(c), 0};
  const double best_p = largest(c.log_p, c.n);
  const D prior(f.prior), best(best_p);
  each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR {
    return exp(load_d(c.logit + k) - prior) * expm1_d(load_d(c.log_p + k) - best);
  });
  if (const double less = total(c.e, c.n); less > -0.5) {
    f.loss = -(best_p + log1p_of(less));
  } else {
    each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR { return load_d(c.logit + k) + load_d(c.log_p + k); });
    f.loss = f.prior - log_sum(c);
  }
  return f;
}

template <Part part>
float mixture_row(const Components& c, const float* x, const MixtureRow& r) {
  return static_cast<float>(fit<part>(c, x, r).loss);
}

template <Part part>
float mixture_grad_row(const Components& c, const float* x, const MixtureRow& r, float g, float* gx) {
  const FitD f = fit<part>(c, x, r);
  const D prior(f.prior), loss(f.loss), one(1), scale(static_cast<double>(g)), floor(r.floor);
  const auto write = [&](float* to) {
    for (std::int64_t k = 0; k < c.n; ++k) to[k] = static_cast<float>(c.e[k]);
  };
  each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR {
    const D from = load_d(c.logit + k) - prior, gain = load_d(c.log_p + k) + loss, weight = exp(from);
    const D share = exp(from + gain);
    store_d(share, c.logit + k);
    return scale * select(abs(gain) < one, -weight * expm1_d(clamped(gain, -2, 2)), weight - share);
  });
  write(gx);
  each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR { return load_d(c.logit + k) * load_d(c.by_mean + k); });
  const double gy = total(c.e, c.n);
  each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR { return -scale * load_d(c.e + k); });
  write(gx + c.n);
  each_d(c.e, c.n, [&](std::int64_t k) HWY_ATTR {
    return select(load_d(c.scale + k) < floor, D(0), -scale * load_d(c.logit + k) * load_d(c.by_scale + k));
  });
  write(gx + 2 * c.n);
  return static_cast<float>(static_cast<double>(g) * gy);
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kCost = 30;  // of a component, in cheap elements

// f(components, row of x, y and options, i) for each row.
template <class Args, class F>
void each_row(const Args& a, F&& f) {
  const std::int64_t n = a.x.sizes[1] / 3, padded = (n + 15) / 16 * 16;
  parallel_for(a.x.sizes[0], row_grain(n, kCost), [&](std::int64_t begin, std::int64_t end) {
    void* room = workspace(static_cast<std::size_t>(Components::kLists * padded) * sizeof(double));
    const Components c(static_cast<double*>(room), n, padded);
    for (std::int64_t i = begin; i < end; ++i)
      f(c, a.x.template ptr<const float>() + i * a.x.strides[0],
        MixtureRow{a.y.template ptr<const float>()[i * a.y.strides[0]], a.half_bin, a.log_scale_min}, i);
  });
}

#define TD_MIXTURE(row, part) (use_avx512() ? N_AVX3::row<N_AVX3::Part::part> : N_AVX2::row<N_AVX2::Part::part>)

template <class Row>
void forward(const MixtureArgs& a, Row row) {
  each_row(a, [&](const Components& c, const float* x, const MixtureRow& r, std::int64_t i) {
    a.losses.ptr<float>()[i * a.losses.strides[0]] = row(c, x, r);
  });
}
template <class Row>
void backward(const MixtureGradArgs& a, Row row) {
  each_row(a, [&](const Components& c, const float* x, const MixtureRow& r, std::int64_t i) {
    a.gy.ptr<float>()[i] = row(c, x, r, a.g.ptr<const float>()[i * a.g.strides[0]], a.gx.ptr<float>() + i * 3 * c.n);
  });
}
void logistic_f32(const MixtureArgs& a) { forward(a, TD_MIXTURE(mixture_row, logistic)); }
void gaussian_f32(const MixtureArgs& a) { forward(a, TD_MIXTURE(mixture_row, gaussian)); }
void logistic_backward_f32(const MixtureGradArgs& a) { backward(a, TD_MIXTURE(mixture_grad_row, logistic)); }
void gaussian_backward_f32(const MixtureGradArgs& a) { backward(a, TD_MIXTURE(mixture_grad_row, gaussian)); }

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}

}  // namespace

void add_simd_mixture() {
  constexpr DeviceType cpu = DeviceType::cpu;
  mix_logistic.add(cpu, "simd", logistic_f32, supports<MixtureArgs>);
  mix_gaussian.add(cpu, "simd", gaussian_f32, supports<MixtureArgs>);
  mix_logistic_backward.add(cpu, "simd", logistic_backward_f32, supports<MixtureGradArgs>);
  mix_gaussian_backward.add(cpu, "simd", gaussian_backward_f32, supports<MixtureGradArgs>);
}

}  // namespace tapedeck::kernels
#endif
