// Mixtures of discretised logistics and of Gaussians, in double: a group of lanes for each row, a lane for each
// component (or every so many of them).
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/reduce.h>
#include <tapedeck/kernels/loss.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 128;

// log P of a component and its derivatives by mean (that by y is the opposite) and log-scale.
struct Term {
  double log_p, by_mean, by_scale;
};

__device__ inline double softplus(double x) { return (x > 0 ? x : 0.0) + math::log1p(math::exp(-fabs(x))); }
__device__ inline double sigmoid(double x) {
  const double e = math::exp(-fabs(x));
  return (x < 0 ? e : 1.0) / (1 + e);
}

// With p and m the ends of the bin in scales and d = p - m: sigmoid(p) - sigmoid(m) =
// (1 - e^-d) sigmoid(p) sigmoid(-m). Every logarithm is of one sign, and log(1 - e^-d) is log d + log((1 -
// e^-d) / d) for small d.
struct Logistic {
  static __device__ Term at(double y, double mean, double log_scale, double half_bin) {
    const double s = math::exp(-log_scale), c = y - mean, p = s * (c + half_bin), m = s * (c - half_bin);
    const bool first = y<half_bin - 1, last = y> 1 - half_bin;
    Term t{0, 0, 0};
    if (!last) {
      const double out = sigmoid(-p);
      t.log_p -= softplus(-p), t.by_mean -= s * out, t.by_scale -= p * out;
    }
    if (!first) {
      const double in = sigmoid(m);
      t.log_p -= softplus(m), t.by_mean += s * in, t.by_scale += m * in;
    }
    if (first || last) return t;
    const double d = 2 * half_bin * s;
    t.log_p += d > 1 ? math::log1p(-math::exp(-d))
                     : math::log(2 * half_bin) - log_scale + (d > 0 ? math::log(-math::expm1(-d) / d) : 0);
    t.by_scale -= d > 0 ? d / math::expm1(d) : 1;
    return t;
  }
};
struct Gaussian {
  static __device__ Term at(double y, double mean, double log_scale, double) {
    const double s = math::exp(-log_scale), z = s * (y - mean);
    return {-0.5 * z * z - log_scale - 0.91893853320467274178, z * s, z * z - 1};
  }
};

struct Options {
  std::int64_t rows, components, x_step, y_step;
  double half_bin, floor;
  int lanes;  // of a row's group: a power of two
};

// One row as its lanes see it: lane `first` has the components first, first + lanes, …
template <class P, class T>
struct Row {
  const T* x;
  const Options& o;
  std::int64_t first;
  double y;
  Term own{};

  __device__ Row(const T* x_, const T* y_, const Options& o_, std::int64_t row, int lane)
      : x(x_ + row * o_.x_step), o(o_), first(lane), y(static_cast<double>(load(y_[row * o_.y_step]))) {
    if (first < o.components) own = make(first);
  }
  __device__ double logit(std::int64_t k) const { return static_cast<double>(load(x[k])); }
  __device__ double raw_scale(std::int64_t k) const { return static_cast<double>(load(x[2 * o.components + k])); }
  __device__ Term make(std::int64_t k) const {
    const double scale = raw_scale(k);
    return P::at(y, static_cast<double>(load(x[o.components + k])), scale < o.floor ? o.floor : scale, o.half_bin);
  }
  __device__ Term term(std::int64_t k) const { return k == first ? own : make(k); }

  // Over all components; every lane of the warp calls them and has the result. Sums are in the order of components.
  template <class F>
  __device__ double most(F f) const {
    double v = -static_cast<double>(INFINITY);
    for (std::int64_t k = first; k < o.components; k += o.lanes) v = Most()(v, f(k));
    for (int step = o.lanes / 2; step > 0; step /= 2) v = Most()(v, __shfl_xor_sync(kAllLanes, v, step));
    return v;
  }
  template <class F>
  __device__ double sum(F f) const {
    double total = 0;
    for (std::int64_t k0 = 0; k0 < o.components; k0 += o.lanes) {
      const double v = k0 + first < o.components ? f(k0 + first) : 0;
      const int some = o.components - k0 < o.lanes ? static_cast<int>(o.components - k0) : o.lanes;
      for (int lane = 0; lane < some; ++lane) total += __shfl_sync(kAllLanes, v, lane, o.lanes);
    }
    return total;
  }
  template <class F>
  __device__ double log_sum(F f) const {  // of exp(f(k))
    const double m = most(f), total = sum([&](std::int64_t k) { return math::exp(f(k) - m); });
    return fabs(m) == INFINITY ? m : m + math::log(total);
  }
};

// prior: log sum exp of the logits. loss = -log sum of w P with w = exp(logit - prior): around the best
// component, w sums to 1, so that small losses do not cancel; when its weight is small, the plain form is the better
// one.
struct Fit {
  double prior, loss;
};
template <class P, class T>
__device__ inline Fit fit(const Row<P, T>& row) {
  Fit f{row.log_sum([&](std::int64_t k) { return row.logit(k); }), 0};
  const double best = row.most([&](std::int64_t k) { return row.term(k).log_p; });
  const double less = row.sum(
      [&](std::int64_t k) { return math::exp(row.logit(k) - f.prior) * math::expm1(row.term(k).log_p - best); });
  const double all = row.log_sum([&](std::int64_t k) { return row.logit(k) + row.term(k).log_p; });
  f.loss = less > -0.5 ? -(best + math::log1p(less)) : f.prior - all;
  return f;
}

// The row and lane of this thread; rows behind the last do its work again and write nothing.
struct Where {
  std::int64_t row;
  int lane;
  bool writes;
  __device__ explicit Where(const Options& o) {
    const std::int64_t at = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / o.lanes;
    lane = static_cast<int>(threadIdx.x) % o.lanes;
    writes = at < o.rows, row = writes ? at : o.rows - 1;
  }
};

template <class P, class T>
__global__ void forward_kernel(Options o, const T* x, const T* y, T* losses, std::int64_t step) {
  const Where at(o);
  const Row<P, T> row(x, y, o, at.row, at.lane);
  const double loss = fit(row).loss;
  if (at.writes && at.lane == 0) losses[at.row * step] = store<T>(static_cast<Compute<T>>(loss));
}

template <class P, class T>
__global__ void backward_kernel(Options o, const T* g_of, std::int64_t g_step, const T* x, const T* y, T* gx, T* gy) {
  const Where at(o);
  const Row<P, T> row(x, y, o, at.row, at.lane);
  const double g = static_cast<double>(load(g_of[at.row * g_step]));
  const Fit f = fit(row);
  const std::int64_t n = o.components;
  T* const to = gx + at.row * 3 * n;
  const auto put = [&](std::int64_t k, double v) { to[k] = store<T>(static_cast<Compute<T>>(v)); };
  const double slope = row.sum([&](std::int64_t k) {
    const Term t = row.term(k);
    const double gain = t.log_p + f.loss, from = row.logit(k) - f.prior, weight = math::exp(from);
    const double share = math::exp(from + gain);  // of the likelihood
    if (at.writes) {
      put(k, g * (fabs(gain) < 1 ? -weight * math::expm1(gain) : weight - share));
      put(n + k, -g * share * t.by_mean);
      put(2 * n + k, row.raw_scale(k) < o.floor ? 0 : -g * share * t.by_scale);
    }
    return share * t.by_mean;
  });
  if (at.writes && at.lane == 0) gy[at.row] = store<T>(static_cast<Compute<T>>(g * slope));
}

template <class Args>
Options options(const Args& a) {
  Options o{a.x.sizes[0], a.x.sizes[1] / 3, a.x.strides[0], a.y.strides[0], a.half_bin, a.log_scale_min, 1};
  while (o.lanes < kWarp && o.lanes < o.components) o.lanes *= 2;
  return o;
}
Launch plan(const Options& o) {
  Launch l;
  l.grid[0] = static_cast<unsigned>(ceil_div(o.rows, kThreads / o.lanes)), l.block[0] = kThreads;
  return l;
}

template <class P>
void forward(const MixtureArgs& a) {
  const Options o = options(a);
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.x.device, plan(o), forward_kernel<P, T>, o, a.x.ptr<const T>(), a.y.ptr<const T>(), a.losses.ptr<T>(),
           a.losses.strides[0]);
  });
}
template <class P>
void backward(const MixtureGradArgs& a) {
  const Options o = options(a);
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.x.device, plan(o), backward_kernel<P, T>, o, a.g.ptr<const T>(), a.g.strides[0], a.x.ptr<const T>(),
           a.y.ptr<const T>(), a.gx.ptr<T>(), a.gy.ptr<T>());
  });
}

}  // namespace

void add_mixture() {
  constexpr DeviceType cuda = DeviceType::cuda;
  mix_logistic.add(cuda, "cuda", forward<Logistic>, takes_real<MixtureArgs>);
  mix_gaussian.add(cuda, "cuda", forward<Gaussian>, takes_real<MixtureArgs>);
  mix_logistic_backward.add(cuda, "cuda", backward<Logistic>, takes_real<MixtureGradArgs>);
  mix_gaussian_backward.add(cuda, "cuda", backward<Gaussian>, takes_real<MixtureGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
