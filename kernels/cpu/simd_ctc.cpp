// Connectionist temporal classification in f32: the states of one time in vectors of double.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/loss.h>

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_ctc.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

#ifndef TAPEDECK_SIMD_CTC_ONCE
#define TAPEDECK_SIMD_CTC_ONCE
namespace tapedeck::kernels {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// One row: states are blank, label, blank, …, label, blank. Lists of states have 8 that are never reached before the
// first and after the last, and are padded to whole vectors.
struct CtcRow {
  const float* x;  // [steps, classes], `time` apart
  std::int64_t time, classes, steps, labels, blank;
  const std::int64_t* label;
  static constexpr std::int64_t kMargin = 8;
  std::int64_t states() const { return 2 * labels + 1; }
  std::int64_t padded() const { return (states() + 7) / 8 * 8; }
  std::int64_t width() const { return padded() + 2 * kMargin; }
  std::int64_t at(std::int64_t s) const { return s % 2 == 0 ? blank : label[s / 2]; }
  // Doubles: alpha of every time, beta twice, what skipping costs, emissions, shares of classes.
  std::int64_t room() const { return (steps + 4) * width() + (classes + 15) / 16 * 16; }
};

}  // namespace
}  // namespace tapedeck::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

HWY_INLINE D load_d(const double* p) { return D(hn::LoadU(DD(), p)); }
HWY_INLINE void store_d(D x, double* p) { hn::StoreU(x.v, DD(), p); }
HWY_INLINE D larger(D a, D b) { return select(a > b, a, b); }

// log(e^a + e^b + e^c) + shift.
HWY_INLINE D log_sum(D a, D b, D c, D shift) {
  const D m = larger(larger(a, b), c), from = select(m == D(kNever), D(0), m);
  return log(exp(a - from) + exp(b - from) + exp(c - from)) + from + shift;
}

struct CtcRoom {
  double *alpha, *beta, *next, *skip, *emit, *share;
  CtcRoom(const CtcRow& r, double* room)
      : alpha(room + CtcRow::kMargin),
        beta(alpha + r.steps * r.width()),
        next(beta + r.width()),
        skip(next + r.width()),
        emit(skip + r.width()),
        share(emit + r.width() - CtcRow::kMargin) {}
};

// skip[s]: 0 where state s may come straight from s - 2, else minus infinity.
HWY_INLINE void prepare(const CtcRow& r, const CtcRoom& m) {
  std::fill_n(m.alpha - CtcRow::kMargin, (r.steps + 4) * r.width(), kNever);
  for (std::int64_t s = 3; s < r.states(); s += 2)
    if (r.at(s) != r.at(s - 2)) m.skip[s] = 0;
}
HWY_INLINE void emissions(const CtcRow& r, std::int64_t t, double* emit) {
  const float* x = r.x + t * r.time;
  const double blank = static_cast<double>(x[r.blank]);
  for (std::int64_t s = 0; s < r.states(); ++s) emit[s] = s % 2 == 0 ? blank : static_cast<double>(x[r.label[s / 2]]);
}

HWY_INLINE double forward(const CtcRow& r, const CtcRoom& m) {
  constexpr std::int64_t step = HWY_LANES(double);
  const std::int64_t n = r.states();
  if (r.steps == 0) return r.labels == 0 ? 0 : -kNever;
  emissions(r, 0, m.emit);
  for (std::int64_t s = 0; s < std::min<std::int64_t>(n, 2); ++s) m.alpha[s] = m.emit[s];
  for (std::int64_t t = 1; t < r.steps; ++t) {
    emissions(r, t, m.emit);
    const double* before = m.alpha + (t - 1) * r.width();
    double* now = m.alpha + t * r.width();
    for (std::int64_t s = 0; s < n; s += step)
      store_d(log_sum(load_d(before + s), load_d(before + s - 1), load_d(before + s - 2) + load_d(m.skip + s),
                      load_d(m.emit + s)),
              now + s);
  }
  const double* last = m.alpha + (r.steps - 1) * r.width();
  return -hn::GetLane(log_sum(D(last[n - 1]), D(last[n - 2]), D(kNever), D(0)).v);
}

float ctc_row(const CtcRow& r, double* room) {
  const CtcRoom m(r, room);
  prepare(r, m);
  return static_cast<float>(forward(r, m));
}

// Writes the gradient of all steps, contiguous.
void ctc_grad_row(const CtcRow& r, float g, bool skip_infinite, float* gx, double* room) {
  constexpr std::int64_t step = HWY_LANES(double);
  CtcRoom m(r, room);
  prepare(r, m);
  const std::int64_t n = r.states();
  const double nll = forward(r, m);
  if (nll == -kNever) {  // no alignment
    std::fill_n(gx, r.steps * r.classes, skip_infinite ? 0 : std::numeric_limits<float>::quiet_NaN());
    return;
  }
  const D loss(nll), scale(static_cast<double>(g)), never(kNever);
  for (std::int64_t t = r.steps - 1; t >= 0; --t) {
    emissions(r, t, m.emit);
    if (t == r.steps - 1) {
      for (std::int64_t s = std::max<std::int64_t>(0, n - 2); s < n; ++s) m.next[s] = m.emit[s];
    } else {
      for (std::int64_t s = 0; s < n; s += step)
        store_d(log_sum(load_d(m.beta + s), load_d(m.beta + s + 1), load_d(m.beta + s + 2) + load_d(m.skip + s + 2),
                        load_d(m.emit + s)),
                m.next + s);
    }
    std::swap(m.beta, m.next);
    const double* alpha = m.alpha + t * r.width();
    std::fill_n(m.share, (r.classes + 15) / 16 * 16, 0.0);
    for (std::int64_t s = 0; s < n; s += step) {
      HWY_ALIGN double part[step];
      const D e = load_d(m.emit + s);
      store_d(select(e == never, D(0), exp(load_d(alpha + s) + load_d(m.beta + s) - e + loss)), part);
      for (std::int64_t k = s; k < std::min(n, s + step); ++k) m.share[r.at(k)] += part[k - s];
    }
    const float* x = r.x + t * r.time;
    float* out = gx + t * r.classes;
    for (std::int64_t c = 0; c < r.classes; c += kLanes) {
      const std::int64_t some = std::min(kLanes, r.classes - c);
      const F v = some == kLanes ? load(x + c) : load_first(x + c, some);
      const F y =
          narrow(scale * (exp(lower(v)) - load_d(m.share + c)), scale * (exp(upper(v)) - load_d(m.share + c + step)));
      if (some == kLanes)
        store(y, out + c);
      else
        store_first(y, out + c, some);
    }
  }
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kCost = 15;  // of a state at a time, in cheap elements

template <class Args>
CtcRow row_of(const Args& a, std::int64_t n) {
  const TensorView& x = a.log_probs;
  return {x.template ptr<const float>() + n * x.strides[0],
          x.strides[1],
          x.sizes[2],
          a.input_lengths.template ptr<const std::int64_t>()[n],
          a.target_lengths.template ptr<const std::int64_t>()[n],
          a.blank,
          a.targets.template ptr<const std::int64_t>() + a.starts.template ptr<const std::int64_t>()[n]};
}
template <class Args, class F>
void each_row(const Args& a, F&& f) {
  std::int64_t most = 0;
  for (std::int64_t n = 0; n < a.log_probs.sizes[0]; ++n) most = std::max(most, row_of(a, n).room());
  parallel_for(a.log_probs.sizes[0], row_grain(most, kCost), [&](std::int64_t begin, std::int64_t end) {
    auto* room = static_cast<double*>(workspace(static_cast<std::size_t>(most) * sizeof(double)));
    for (std::int64_t n = begin; n < end; ++n) f(row_of(a, n), n, room);
  });
}

void ctc_f32(const CtcArgs& a) {
  const auto row = use_avx512() ? N_AVX3::ctc_row : N_AVX2::ctc_row;
  each_row(a, [&](const CtcRow& r, std::int64_t n, double* room) { a.losses.ptr<float>()[n] = row(r, room); });
}
void ctc_backward_f32(const CtcGradArgs& a) {
  const auto row = use_avx512() ? N_AVX3::ctc_grad_row : N_AVX2::ctc_grad_row;
  const std::int64_t each = a.gx.sizes[1] * a.gx.sizes[2];
  each_row(a, [&](const CtcRow& r, std::int64_t n, double* room) {
    float* gx = a.gx.ptr<float>() + n * each;
    row(r, a.g.ptr<const float>()[n * a.g.strides[0]], a.skip_infinite, gx, room);
    std::fill_n(gx + r.steps * r.classes, each - r.steps * r.classes, 0.0f);
  });
}

template <class Args>
const char* supports(const Args& a) {
  if (a.dtype() != DType::f32) return "dtype is not f32";
  return a.log_probs.strides[2] == 1 || a.log_probs.sizes[2] == 1 ? nullptr : "classes are not contiguous";
}

}  // namespace

void add_simd_ctc() {
  constexpr DeviceType cpu = DeviceType::cpu;
  ctc.add(cpu, "simd", ctc_f32, supports<CtcArgs>);
  ctc_backward.add(cpu, "simd", ctc_backward_f32, supports<CtcGradArgs>);
}

}  // namespace tapedeck::kernels
#endif
