// Optimizer steps in f32: constants in double, rounded once; each element by IEEE operations and explicit FMA.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/optim.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_optim.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

#ifndef TD_ADAM_STEP
#define TD_ADAM_STEP
namespace tapedeck::kernels {
struct AdamStep {
  double beta1, beta2, rest1, rest2, eps, gscale;
  double rate;        // lr / (1 - beta1^t)
  double root;        // 1 / sqrt(1 - beta2^t)
  double keep, pull;  // decoupled and coupled weight decay
};
}  // namespace tapedeck::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

// block(i, load_n, store_n) for whole vectors, then for what is left.
template <class Block>
HWY_INLINE void each_block(std::int64_t n, const Block& block) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    block(
        i, [](const float* q) HWY_ATTR { return load(q); }, [](F r, float* q) HWY_ATTR { store(r, q); });
  const std::int64_t rest = n - i;
  if (rest)
    block(
        i, [=](const float* q) HWY_ATTR { return load_first(q, rest); },
        [=](F r, float* q) HWY_ATTR { store_first(r, q, rest); });
}

void adam_range(const AdamStep& s, float* p, const float* g, float* m, float* v, std::int64_t n) {
  each_block(n, [&](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
    const F old = load_n(p + i), slope = fma(F(s.pull), old, F(s.gscale) * load_n(g + i));
    const F mean = fma(F(s.rest1), slope, F(s.beta1) * load_n(m + i));
    const F square = fma(F(s.rest2) * slope, slope, F(s.beta2) * load_n(v + i));
    store_n(mean, m + i);
    store_n(square, v + i);
    const F move = F(s.rate) * mean / fma(sqrt(square), F(s.root), F(s.eps));
    store_n(fma(old, F(s.keep), -move), p + i);
  });
}

void sgd_range(const SgdArgs& a, float* p, const float* g, float* buf, std::int64_t n) {
  const double taken = a.step == 1 ? 1 : 1 - a.dampening;
  each_block(n, [&](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
    const F old = load_n(p + i), slope = fma(F(a.weight_decay), old, F(a.gscale) * load_n(g + i));
    F move = slope;
    if (buf) {
      move = F(taken) * slope;
      if (a.step != 1) move = fma(F(a.momentum), load_n(buf + i), move);
      store_n(move, buf + i);
      if (a.nesterov) move = fma(F(a.momentum), move, slope);
    }
    store_n(fma(F(-a.lr), move, old), p + i);
  });
}

void rmsprop_range(const RmspropArgs& a, float* p, const float* g, float* v, float* mean, float* buf, std::int64_t n) {
  const double rest = 1 - a.alpha;
  each_block(n, [&](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
    const F old = load_n(p + i), slope = fma(F(a.weight_decay), old, F(a.gscale) * load_n(g + i));
    F square = fma(F(rest) * slope, slope, F(a.alpha) * load_n(v + i));
    store_n(square, v + i);
    if (mean) {
      const F centre = fma(F(rest), slope, F(a.alpha) * load_n(mean + i));
      store_n(centre, mean + i);
      const F left = fma(-centre, centre, square);
      square = select(left < F(0), F(0), left);
    }
    F move = slope / (sqrt(square) + F(a.eps));
    if (buf) {
      move = fma(F(a.momentum), load_n(buf + i), move);
      store_n(move, buf + i);
    }
    store_n(fma(F(-a.lr), move, old), p + i);
  });
}

void adagrad_range(const AdagradArgs& a, float* p, const float* g, float* sum, std::int64_t n) {
  each_block(n, [&](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
    const F old = load_n(p + i), slope = fma(F(a.weight_decay), old, F(a.gscale) * load_n(g + i));
    const F squares = fma(slope, slope, load_n(sum + i));
    store_n(squares, sum + i);
    store_n(fma(F(-a.lr), slope / (sqrt(squares) + F(a.eps)), old), p + i);
  });
}

// From the nearer end: two factors that are rounded apart do not add up to 1, and many steps would shrink y.
void average_range(double keep, float* y, const float* x, std::int64_t n) {
  each_block(n, [&](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
    const F old = load_n(y + i), now = load_n(x + i);
    store_n(keep < 0.5 ? fma(F(keep), old - now, now) : fma(F(1 - keep), now - old, old), y + i);
  });
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

// beta^t by repeated squaring: the same bits everywhere, unlike a library's pow.
double power(double base, std::int64_t exponent) {
  double r = 1;
  for (; exponent > 0; exponent /= 2, base *= base)
    if (exponent % 2) r *= base;
  return r;
}

void adam_f32(const AdamArgs& a) {
  const AdamStep step{a.beta1,
                      a.beta2,
                      1 - a.beta1,
                      1 - a.beta2,
                      a.eps,
                      a.gscale,
                      a.lr / (1 - power(a.beta1, a.step)),
                      1 / std::sqrt(1 - power(a.beta2, a.step)),
                      a.decoupled ? 1 - a.lr * a.weight_decay : 1,
                      a.decoupled ? 0 : a.weight_decay};
  const auto range = use_avx512() ? N_AVX3::adam_range : N_AVX2::adam_range;
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    range(step, a.p.ptr<float>() + begin, a.g.ptr<const float>() + begin, a.m.ptr<float>() + begin,
          a.v.ptr<float>() + begin, end - begin);
  });
}
float* at(const TensorView& view, std::int64_t i) { return view ? view.ptr<float>() + i : nullptr; }

void sgd_f32(const SgdArgs& a) {
  const auto range = use_avx512() ? N_AVX3::sgd_range : N_AVX2::sgd_range;
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    range(a, at(a.p, begin), at(a.g, begin), at(a.buf, begin), end - begin);
  });
}
void rmsprop_f32(const RmspropArgs& a) {
  const auto range = use_avx512() ? N_AVX3::rmsprop_range : N_AVX2::rmsprop_range;
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    range(a, at(a.p, begin), at(a.g, begin), at(a.v, begin), at(a.mean, begin), at(a.buf, begin), end - begin);
  });
}
void adagrad_f32(const AdagradArgs& a) {
  const auto range = use_avx512() ? N_AVX3::adagrad_range : N_AVX2::adagrad_range;
  parallel_for(a.p.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    range(a, at(a.p, begin), at(a.g, begin), at(a.sum, begin), end - begin);
  });
}

void average_f32(const AverageArgs& a) {
  const auto range = use_avx512() ? N_AVX3::average_range : N_AVX2::average_range;
  parallel_for(a.y.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    range(a.keep, at(a.y, begin), at(a.x, begin), end - begin);
  });
}

template <class Args>
void add(KernelSlot<Args>& slot, void (*run)(const Args&)) {
  slot.add(DeviceType::cpu, "simd", run,
           [](const Args& a) -> const char* { return a.dtype() == DType::f32 ? nullptr : "dtype is not f32"; });
}

}  // namespace

void add_simd_optim() {
  add(adam, adam_f32), add(sgd, sgd_f32), add(rmsprop, rmsprop_f32), add(adagrad, adagrad_f32);
  add(average, average_f32);
}

}  // namespace tapedeck::kernels
#endif
