// Reference softmax family, cross entropy and categorical sampling: computed in double, rounded once.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/reduce.h>

#include <cmath>
#include <limits>

namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kCost = 8;  // of an exponential, in cheap elements

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
// Runs f<float>(a) or f<double>(a) by dtype.
#define TD_BY_TYPE(f) [](const auto& a) { a.dtype() == DType::f32 ? f<float>(a) : f<double>(a); }

template <class T>
double row_max(const T* x, std::int64_t n) {
  double m = -std::numeric_limits<double>::infinity();
  for (std::int64_t i = 0; i < n; ++i)
    if (x[i] > m || x[i] != x[i]) m = x[i];
  return m;
}
template <class T>
double sum_exp(const T* x, std::int64_t n, double m) {
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += std::exp(x[i] - m);
  return total;
}

// f(p..., n) for each row along the contiguous last dimension of all views, which have the outer shape of the last one.
template <int N, class F>
void each_row(const std::array<TensorView, N>& views, std::int64_t length, F&& f) {
  const Walk<N> walk(views, outer_dims(views[N - 1]));
  parallel_for(walk.numel, row_grain(length, kCost), [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](auto at, const auto& s, std::int64_t n) {
      for (std::int64_t r = 0; r < n; ++r) {
        f(at);
        for (int k = 0; k < N; ++k) at[k] += s[k] * walk.bytes[k];
      }
    });
  });
}
std::int64_t last_size(const TensorView& v) { return v.rank == 0 ? 1 : v.sizes[v.rank - 1]; }

template <class T>
void softmax_rows(const SoftmaxArgs& a) {
  const std::int64_t n = last_size(a.x);
  each_row<2>({a.x, a.y}, n, [n](const auto& at) {
    const T* x = reinterpret_cast<const T*>(at[0]);
    T* y = reinterpret_cast<T*>(at[1]);
    const double m = row_max(x, n), total = sum_exp(x, n, m);
    for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(std::exp(x[i] - m) / total);
  });
}
template <class T>
void log_softmax_rows(const SoftmaxArgs& a) {
  const std::int64_t n = last_size(a.x);
  each_row<2>({a.x, a.y}, n, [n](const auto& at) {
    const T* x = reinterpret_cast<const T*>(at[0]);
    T* y = reinterpret_cast<T*>(at[1]);
    const double m = row_max(x, n), log_total = std::log(sum_exp(x, n, m));
    for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<T>((x[i] - m) - log_total);
  });
}
// Rows of -Inf give -Inf and a single +Inf gives +Inf, as the limit does.
template <class T>
void logsumexp_rows(const SoftmaxArgs& a) {
  const std::int64_t n = last_size(a.x);
  each_row<2>({a.x, a.y}, n, [n](const auto& at) {
    const T* x = reinterpret_cast<const T*>(at[0]);
    const double top = row_max(x, n), m = std::isinf(top) ? 0 : top;
    *reinterpret_cast<T*>(at[1]) = static_cast<T>(m + std::log(sum_exp(x, n, m)));
  });
}

template <class T>
void softmax_grad(const SoftmaxGradArgs& a) {
  const std::int64_t n = last_size(a.y), step = a.gy.rank == 0 ? 0 : a.gy.strides[a.gy.rank - 1];
  each_row<3>({a.gy, a.y, a.gx}, n, [n, step](const auto& at) {
    const T *g = reinterpret_cast<const T*>(at[0]), *y = reinterpret_cast<const T*>(at[1]);
    T* gx = reinterpret_cast<T*>(at[2]);
    double dot = 0;
    for (std::int64_t i = 0; i < n; ++i) dot += static_cast<double>(g[i * step]) * y[i];
    for (std::int64_t i = 0; i < n; ++i) gx[i] = static_cast<T>(y[i] * (g[i * step] - dot));
  });
}
template <class T>
void log_softmax_grad(const SoftmaxGradArgs& a) {
  const std::int64_t n = last_size(a.y), step = a.gy.rank == 0 ? 0 : a.gy.strides[a.gy.rank - 1];
  each_row<3>({a.gy, a.y, a.gx}, n, [n, step](const auto& at) {
    const T *g = reinterpret_cast<const T*>(at[0]), *y = reinterpret_cast<const T*>(at[1]);
    T* gx = reinterpret_cast<T*>(at[2]);
    double total = 0;
    for (std::int64_t i = 0; i < n; ++i) total += g[i * step];
    for (std::int64_t i = 0; i < n; ++i)
      gx[i] = static_cast<T>(g[i * step] - std::exp(static_cast<double>(y[i])) * total);
  });
}

// f(row) for rows 0 … n-1 in parallel, each of `length` exponentials.
template <class F>
void each_index(std::int64_t n, std::int64_t length, F&& f) {
  parallel_for(n, row_grain(length, kCost), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i);
  });
}

template <class T>
void cross_entropy_rows(const CrossEntropyArgs& a) {
  const std::int64_t n = a.x.sizes[1];
  each_index(a.x.sizes[0], n, [&](std::int64_t i) {
    const T* x = a.x.ptr<const T>() + i * a.x.strides[0];
    T& loss = a.losses.ptr<T>()[i * a.losses.strides[0]];
    const std::int64_t target = a.target.ptr<const std::int64_t>()[i * a.target.strides[0]];
    if (target == a.ignore_index) {
      loss = 0;
      return;
    }
    const double m = row_max(x, n);
    loss = static_cast<T>(std::log(sum_exp(x, n, m)) + (m - x[target]));
  });
}
template <class T>
void cross_entropy_grad(const CrossEntropyGradArgs& a) {
  const std::int64_t n = a.x.sizes[1];
  each_index(a.x.sizes[0], n, [&](std::int64_t i) {
    const T* x = a.x.ptr<const T>() + i * a.x.strides[0];
    T* gx = a.gx.ptr<T>() + i * a.gx.strides[0];
    const double g = a.g.ptr<const T>()[i * a.g.strides[0]];
    const std::int64_t target = a.target.ptr<const std::int64_t>()[i * a.target.strides[0]];
    if (target == a.ignore_index) {
      std::fill_n(gx, n, T(0));
      return;
    }
    const double m = row_max(x, n), total = sum_exp(x, n, m);
    double others = 0;  // p - 1 at the target is minus the others' share: nothing cancels
    for (std::int64_t j = 0; j < n; ++j) {
      const double e = std::exp(x[j] - m);
      if (j != target) others += e;
      gx[j] = static_cast<T>(g * (e / total));
    }
    gx[target] = static_cast<T>(-g * (others / total));
  });
}

// A draw that no cumulative sum exceeds (rounding) takes the last class of non-zero probability; a row without one, or
// with NaN, gives class 0.
template <class T>
void sample(const SampleArgs& a) {
  const std::int64_t n = a.x.sizes[1];
  each_index(a.x.sizes[0], n, [&](std::int64_t i) {
    const T* x = a.x.ptr<const T>() + i * a.x.strides[0];
    std::int64_t& y = a.y.ptr<std::int64_t>()[i * a.y.strides[0]];
    y = 0;
    if (a.temperature == 0) {
      for (std::int64_t j = 1; j < n; ++j)
        if (x[j] > x[y]) y = j;
      return;
    }
    const double m = row_max(x, n);
    double total = 0;
    for (std::int64_t j = 0; j < n; ++j) total += std::exp((x[j] - m) / a.temperature);
    const double bound = a.u.ptr<const float>()[i * a.u.strides[0]] * total;
    double running = 0;
    for (std::int64_t j = 0; j < n; ++j) {
      const double e = std::exp((x[j] - m) / a.temperature);
      running += e;
      if (e > 0) y = j;
      if (running > bound) return;
    }
  });
}

}  // namespace

void add_ref_softmax() {
  constexpr DeviceType cpu = DeviceType::cpu;
  softmax.add(cpu, "ref", TD_BY_TYPE(softmax_rows), supports<SoftmaxArgs>);
  log_softmax.add(cpu, "ref", TD_BY_TYPE(log_softmax_rows), supports<SoftmaxArgs>);
  logsumexp.add(cpu, "ref", TD_BY_TYPE(logsumexp_rows), supports<SoftmaxArgs>);
  softmax_backward.add(cpu, "ref", TD_BY_TYPE(softmax_grad), supports<SoftmaxGradArgs>);
  log_softmax_backward.add(cpu, "ref", TD_BY_TYPE(log_softmax_grad), supports<SoftmaxGradArgs>);
  cross_entropy.add(cpu, "ref", TD_BY_TYPE(cross_entropy_rows), supports<CrossEntropyArgs>);
  cross_entropy_backward.add(cpu, "ref", TD_BY_TYPE(cross_entropy_grad), supports<CrossEntropyGradArgs>);
  sample_categorical.add(cpu, "ref", TD_BY_TYPE(sample), supports<SampleArgs>);
}

}  // namespace tapedeck::kernels
