// Loops over contiguous floats: whole vectors, then the tail as one masked vector of the same code. Included per
// target.
#if defined(TAPEDECK_SIMD_LOOPS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPEDECK_SIMD_LOOPS_INL_H
#undef TAPEDECK_SIMD_LOOPS_INL_H
#else
#define TAPEDECK_SIMD_LOOPS_INL_H
#endif

#include <tapedeck/kernels/cpu/simd_math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

constexpr std::int64_t kLanes = HWY_LANES(float);

HWY_INLINE F load(const float* p) { return F(hn::LoadU(DF(), p)); }
HWY_INLINE void store(F x, float* p) { hn::StoreU(x.v, DF(), p); }
// The first n < kLanes elements; the other lanes are 0 and are not touched in memory.
HWY_INLINE F load_first(const float* p, std::int64_t n) {
  return F(hn::MaskedLoad(hn::FirstN(DF(), static_cast<std::size_t>(n)), DF(), p));
}
HWY_INLINE void store_first(F x, float* p, std::int64_t n) {
#if HWY_ARCH_X86
  hn::BlendedStore(x.v, hn::FirstN(DF(), static_cast<std::size_t>(n)), DF(), p);
#else  // elsewhere it reads and writes back the other lanes, which may be another thread's
  HWY_ALIGN float all[HWY_LANES(float)];
  hn::Store(x.v, DF(), all);
  for (std::int64_t i = 0; i < n; ++i) p[i] = all[i];
#endif
}

HWY_INLINE D lower(F x) { return D(hn::PromoteTo(DD(), hn::LowerHalf(hn::Half<DF>(), x.v))); }
HWY_INLINE D upper(F x) { return D(hn::PromoteTo(DD(), hn::UpperHalf(hn::Half<DF>(), x.v))); }
HWY_INLINE F narrow(D low, D high) {
  const hn::Half<DF> half;
  return F(hn::Combine(DF(), hn::DemoteTo(half, high.v), hn::DemoteTo(half, low.v)));
}

// f of vectors of float, or of their halves as double.
template <bool wide, class Fn, class... X>
HWY_INLINE F in_width(const Fn& f, X... x) {
  if constexpr (wide)
    return narrow(f(lower(x)...), f(upper(x)...));
  else
    return f(x...);
}

// y[i] = f({in[0][i], …, in[N-1][i]}).
template <int N, class Fn>
HWY_INLINE void each_vector(const float* const* in, float* y, std::int64_t n, const Fn& f) {
  F x[N];
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int k = 0; k < N; ++k) x[k] = load(in[k] + i);
    store(f(x), y + i);
  }
  if (i == n) return;
  for (int k = 0; k < N; ++k) x[k] = load_first(in[k] + i, n - i);
  store_first(f(x), y + i, n - i);
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
