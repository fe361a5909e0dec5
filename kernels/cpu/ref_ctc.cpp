// Reference connectionist temporal classification (Graves et al., 2006): both recursions in double, in log space.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/loss.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tapedeck::kernels {
namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();
constexpr std::int64_t kCost = 40;  // of a state at a time, in cheap elements

double log_sum(double a, double b, double c) {
  const double m = std::max({a, b, c});
  if (a != a || b != b || c != c) return std::numeric_limits<double>::quiet_NaN();
  return m == kNever ? kNever : m + std::log(std::exp(a - m) + std::exp(b - m) + std::exp(c - m));
}

// One row: states are blank, label, blank, …, label, blank.
template <class T>
struct Row {
  const T* x;
  std::int64_t time, class_step, steps, labels, blank;
  const std::int64_t* label;
  std::int64_t states() const { return 2 * labels + 1; }
  std::int64_t at(std::int64_t s) const { return s % 2 == 0 ? blank : label[s / 2]; }
  double emit(std::int64_t t, std::int64_t s) const { return x[t * time + at(s) * class_step]; }
  bool skips(std::int64_t s) const { return s >= 2 && s % 2 == 1 && at(s) != at(s - 2); }  // from s - 2 to s

  // alpha[t * states + s]: all ways to be at s at time t. Gives the loss.
  double forward(double* alpha) const {
    const std::int64_t n = states();
    if (steps == 0) return labels == 0 ? 0 : -kNever;
    for (std::int64_t s = 0; s < n; ++s) alpha[s] = s < 2 ? emit(0, s) : kNever;
    for (std::int64_t t = 1; t < steps; ++t) {
      const double* before = alpha + (t - 1) * n;
      for (std::int64_t s = 0; s < n; ++s)
        alpha[t * n + s] =
            emit(t, s) + log_sum(before[s], s > 0 ? before[s - 1] : kNever, skips(s) ? before[s - 2] : kNever);
    }
    const double* last = alpha + (steps - 1) * n;
    return -log_sum(last[n - 1], n > 1 ? last[n - 2] : kNever, kNever);
  }
  // Turns beta from time t + 1 into that of time t.
  void backward(double* beta, std::int64_t t) const {
    const std::int64_t n = states();
    for (std::int64_t s = 0; s < n; ++s) {
      if (t == steps - 1)
        beta[s] = s >= n - 2 ? emit(t, s) : kNever;
      else
        beta[s] = emit(t, s) +
                  log_sum(beta[s], s + 1 < n ? beta[s + 1] : kNever, s + 2 < n && skips(s + 2) ? beta[s + 2] : kNever);
    }
  }
};
template <class T, class Args>
Row<T> row_of(const Args& a, std::int64_t n) {
  const TensorView& x = a.log_probs;
  return {x.template ptr<const T>() + n * x.strides[0],
          x.strides[1],
          x.strides[2],
          a.input_lengths.template ptr<const std::int64_t>()[n],
          a.target_lengths.template ptr<const std::int64_t>()[n],
          a.blank,
          a.targets.template ptr<const std::int64_t>() + a.starts.template ptr<const std::int64_t>()[n]};
}
// f(row, n, room) for each row; room for the forward recursion, another state list and a list of classes.
template <class T, class Args, class F>
void each_row(const Args& a, F&& f) {
  std::int64_t most = 0;
  for (std::int64_t n = 0; n < a.log_probs.sizes[0]; ++n) {
    const Row<T> row = row_of<T>(a, n);
    most = std::max(most, (row.steps + 1) * row.states());
  }
  most += a.log_probs.sizes[2];
  parallel_for(a.log_probs.sizes[0], row_grain(most, kCost), [&](std::int64_t begin, std::int64_t end) {
    auto* room = static_cast<double*>(workspace(static_cast<std::size_t>(most) * sizeof(double)));
    for (std::int64_t n = begin; n < end; ++n) f(row_of<T>(a, n), n, room);
  });
}

template <class T>
void loss(const CtcArgs& a) {
  each_row<T>(a, [&](const Row<T>& row, std::int64_t n, double* room) {
    a.losses.ptr<T>()[n] = static_cast<T>(row.forward(room));
  });
}

template <class T>
void gradient(const CtcGradArgs& a) {
  const std::int64_t steps = a.gx.sizes[1], classes = a.gx.sizes[2];
  each_row<T>(a, [&](const Row<T>& row, std::int64_t n, double* alpha) {
    T* gx = a.gx.ptr<T>() + n * steps * classes;
    const double nll = row.forward(alpha), g = a.g.ptr<const T>()[n * a.g.strides[0]];
    const std::int64_t states = row.states();
    std::fill_n(gx + row.steps * classes, (steps - row.steps) * classes, T(0));
    if (nll == -kNever) {  // no alignment
      std::fill_n(gx, row.steps * classes, a.skip_infinite ? T(0) : std::numeric_limits<T>::quiet_NaN());
      return;
    }
    double *beta = alpha + row.steps * states, *share = beta + states;
    for (std::int64_t t = row.steps - 1; t >= 0; --t) {
      row.backward(beta, t);
      std::fill_n(share, classes, 0.0);
      for (std::int64_t s = 0; s < states; ++s)
        if (const double e = row.emit(t, s); e != kNever)
          share[row.at(s)] += std::exp(alpha[t * states + s] + beta[s] - e + nll);
      for (std::int64_t c = 0; c < classes; ++c)
        gx[t * classes + c] =
            static_cast<T>(g * (std::exp(static_cast<double>(row.x[t * row.time + c * row.class_step])) - share[c]));
    }
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
#define TD_BY_TYPE(f) [](const auto& a) { a.dtype() == DType::f32 ? f<float>(a) : f<double>(a); }

}  // namespace

void add_ref_ctc() {
  constexpr DeviceType cpu = DeviceType::cpu;
  ctc.add(cpu, "ref", TD_BY_TYPE(loss), supports<CtcArgs>);
  ctc_backward.add(cpu, "ref", TD_BY_TYPE(gradient), supports<CtcGradArgs>);
}

}  // namespace tapedeck::kernels
