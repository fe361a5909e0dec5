// Adam in f32: constants in double, rounded once; each element by IEEE operations and explicit FMA.
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

void adam_range(const AdamStep& s, float* p, const float* g, float* m, float* v, std::int64_t n) {
  const auto block = [&](std::int64_t i, auto load_n, auto store_n) HWY_ATTR {
    const F old = load_n(p + i), slope = fma(F(s.pull), old, F(s.gscale) * load_n(g + i));
    const F mean = fma(F(s.rest1), slope, F(s.beta1) * load_n(m + i));
    const F square = fma(F(s.rest2) * slope, slope, F(s.beta2) * load_n(v + i));
    store_n(mean, m + i);
    store_n(square, v + i);
    const F move = F(s.rate) * mean / fma(sqrt(square), F(s.root), F(s.eps));
    store_n(fma(old, F(s.keep), -move), p + i);
  };
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
const char* supports(const AdamArgs& a) { return a.dtype() == DType::f32 ? nullptr : "dtype is not f32"; }

}  // namespace

void add_simd_optim() { adam.add(DeviceType::cpu, "simd", adam_f32, supports); }

}  // namespace tapedeck::kernels
#endif
