// Optimizer steps: one pass over a segment, constants in double, rounded once; elements by IEEE operations and FMA.
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>
#include <tapedeck/kernels/optim.h>

#include <cmath>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

// The parameter and what a step keeps beside it; nullptr where there is none.
constexpr int kStates = 4;
template <class T>
struct States {
  T* at[kStates];
};

// A rule's operator() takes the gradient and changes the states of one element in place: s[0] is the parameter.
template <int V, class T, class Rule>
__global__ void step_kernel(Rule rule, States<T> states, const T* g, std::int64_t n) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x * V;
  for (std::int64_t i = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * V; i < n; i += step) {
    using P = Pack<T, V>;
    const P slope = *reinterpret_cast<const P*>(g + i);
    P s[kStates];
#pragma unroll
    for (int k = 0; k < kStates; ++k)
      if (states.at[k]) s[k] = *reinterpret_cast<const P*>(states.at[k] + i);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      T one[kStates];
#pragma unroll
      for (int k = 0; k < kStates; ++k) one[k] = states.at[k] ? s[k].v[v] : T(0);
      rule(slope.v[v], one);
#pragma unroll
      for (int k = 0; k < kStates; ++k) s[k].v[v] = one[k];
    }
#pragma unroll
    for (int k = 0; k < kStates; ++k)
      if (states.at[k]) *reinterpret_cast<P*>(states.at[k] + i) = s[k];
  }
}

template <class T, class Rule>
void run(Device d, const Rule& rule, std::int64_t n, const TensorView& g, const TensorView (&views)[kStates]) {
  constexpr int V = 16 / sizeof(T);
  States<T> states{};
  const T* slope = g.ptr<const T>();
  bool wide = aligned(slope, 16);
  for (int k = 0; k < kStates; ++k) {
    if (!views[k]) continue;
    states.at[k] = views[k].ptr<T>();
    wide = wide && aligned(states.at[k], 16);
  }
  const std::int64_t most = wide ? n / V * V : 0;
  launch(d, plan_items(most / V), step_kernel<V, T, Rule>, rule, states, slope, most);
  for (T*& p : states.at)
    if (p) p += most;
  launch(d, plan_items(n - most), step_kernel<1, T, Rule>, rule, states, slope + most, n - most);
}

__device__ inline float root_of(float x) { return sqrtf(x); }
__device__ inline double root_of(double x) { return sqrt(x); }

template <class T>
struct AdamRule {
  T beta1, beta2, rest1, rest2, eps, scale;
  T rate;        // lr / (1 - beta1^t)
  T root;        // 1 / sqrt(1 - beta2^t)
  T keep, pull;  // decoupled and coupled weight decay
  explicit AdamRule(const AdamArgs& a)
      : beta1(T(a.beta1)),
        beta2(T(a.beta2)),
        rest1(T(1 - a.beta1)),
        rest2(T(1 - a.beta2)),
        eps(T(a.eps)),
        scale(T(a.gscale)),
        rate(T(a.lr / (1 - std::pow(a.beta1, double(a.step))))),
        root(T(1 / std::sqrt(1 - std::pow(a.beta2, double(a.step))))),
        keep(T(a.decoupled ? 1 - a.lr * a.weight_decay : 1)),
        pull(T(a.decoupled ? 0 : a.weight_decay)) {}
  __device__ void operator()(T g, T (&s)[kStates]) const {
    const T slope = fused(pull, s[0], scale * g);
    s[1] = fused(rest1, slope, beta1 * s[1]);
    s[2] = fused(rest2 * slope, slope, beta2 * s[2]);
    s[0] = fused(s[0], keep, -(rate * s[1] / fused(root_of(s[2]), root, eps)));
  }
};

template <class T>
struct SgdRule {
  T rate, momentum, taken, decay, scale;
  bool first, kept, nesterov;
  explicit SgdRule(const SgdArgs& a)
      : rate(T(-a.lr)),
        momentum(T(a.momentum)),
        taken(T(a.step == 1 ? 1 : 1 - a.dampening)),
        decay(T(a.weight_decay)),
        scale(T(a.gscale)),
        first(a.step == 1),
        kept(a.buf.given()),
        nesterov(a.nesterov) {}
  __device__ void operator()(T g, T (&s)[kStates]) const {
    const T slope = fused(decay, s[0], scale * g);
    T move = slope;
    if (kept) {
      move = taken * slope;
      if (!first) move = fused(momentum, s[1], move);
      s[1] = move;
      if (nesterov) move = fused(momentum, move, slope);
    }
    s[0] = fused(rate, move, s[0]);
  }
};

template <class T>
struct RmspropRule {
  T rate, alpha, rest, eps, decay, momentum, scale;
  bool centered, kept;
  explicit RmspropRule(const RmspropArgs& a)
      : rate(T(-a.lr)),
        alpha(T(a.alpha)),
        rest(T(1 - a.alpha)),
        eps(T(a.eps)),
        decay(T(a.weight_decay)),
        momentum(T(a.momentum)),
        scale(T(a.gscale)),
        centered(a.mean.given()),
        kept(a.buf.given()) {}
  __device__ void operator()(T g, T (&s)[kStates]) const {
    const T slope = fused(decay, s[0], scale * g);
    T square = s[1] = fused(rest * slope, slope, alpha * s[1]);
    if (centered) {
      s[2] = fused(rest, slope, alpha * s[2]);
      square = fused(-s[2], s[2], square);
      if (square < T(0)) square = T(0);
    }
    T move = slope / (root_of(square) + eps);
    if (kept) s[3] = move = fused(momentum, s[3], move);
    s[0] = fused(rate, move, s[0]);
  }
};

template <class T>
struct AdagradRule {
  T rate, eps, decay, scale;
  explicit AdagradRule(const AdagradArgs& a)
      : rate(T(-a.lr)), eps(T(a.eps)), decay(T(a.weight_decay)), scale(T(a.gscale)) {}
  __device__ void operator()(T g, T (&s)[kStates]) const {
    const T slope = fused(decay, s[0], scale * g);
    s[1] = fused(slope, slope, s[1]);
    s[0] = fused(rate, slope / (root_of(s[1]) + eps), s[0]);
  }
};

// From the nearer end: two factors that are rounded apart do not add up to 1, and many steps would shrink y.
template <class T>
struct AverageRule {
  T keep, rest;
  explicit AverageRule(const AverageArgs& a) : keep(T(a.keep)), rest(T(1 - a.keep)) {}
  __device__ void operator()(T x, T (&s)[kStates]) const {
    s[0] = keep < T(0.5) ? fused(keep, s[0] - x, x) : fused(rest, x - s[0], s[0]);
  }
};

template <class T>
void step(const AdamArgs& a) {
  run<T>(a.p.device, AdamRule<T>(a), a.p.numel(), a.g, {a.p, a.m, a.v, {}});
}
template <class T>
void step(const SgdArgs& a) {
  run<T>(a.p.device, SgdRule<T>(a), a.p.numel(), a.g, {a.p, a.buf, {}, {}});
}
template <class T>
void step(const RmspropArgs& a) {
  run<T>(a.p.device, RmspropRule<T>(a), a.p.numel(), a.g, {a.p, a.v, a.mean, a.buf});
}
template <class T>
void step(const AdagradArgs& a) {
  run<T>(a.p.device, AdagradRule<T>(a), a.p.numel(), a.g, {a.p, a.sum, {}, {}});
}
template <class T>
void step(const AverageArgs& a) {
  run<T>(a.y.device, AverageRule<T>(a), a.y.numel(), a.x, {a.y, {}, {}, {}});
}

template <class Args>
void add(KernelSlot<Args>& slot) {
  slot.add(
      DeviceType::cuda, "cuda", [](const Args& a) { a.dtype() == DType::f32 ? step<float>(a) : step<double>(a); },
      [](const Args& a) -> const char* {
        return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
      });
}

}  // namespace

void add_optim() { add(adam), add(sgd), add(rmsprop), add(adagrad), add(average); }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
