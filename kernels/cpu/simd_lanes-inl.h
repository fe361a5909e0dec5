// Rows in blocks of 16 virtual lanes, whatever the vector length: lane l takes elements l, l + 16, …; the lanes are
// folded 8, 4, 2, 1. The last block is padded. Sums are kept in double: memory is slower, and it costs nothing.
#if defined(TAPEDECK_SIMD_LANES_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPEDECK_SIMD_LANES_INL_H
#undef TAPEDECK_SIMD_LANES_INL_H
#else
#define TAPEDECK_SIMD_LANES_INL_H
#endif

#include <tapedeck/kernels/cpu/simd_loops-inl.h>

#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

constexpr std::int64_t kBlock = 16;
constexpr int kParts = 16 / kLanes;  // vectors of float in a block

struct Block {
  F part[kParts];
};
// f(block, i, count) for each block of row x; the last one is filled up with `pad`.
template <class Fn>
HWY_INLINE void each_block(const float* x, std::int64_t n, float pad, const Fn& f) {
  Block b;
  std::int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {
    for (int k = 0; k < kParts; ++k) b.part[k] = load(x + i + k * kLanes);
    f(b, i, kBlock);
  }
  if (i == n) return;
  HWY_ALIGN float padded[kBlock];
  for (float& v : padded) v = pad;
  std::memcpy(padded, x + i, static_cast<std::size_t>(n - i) * sizeof(float));
  for (int k = 0; k < kParts; ++k) b.part[k] = load(padded + k * kLanes);
  f(b, i, n - i);
}
HWY_INLINE void store_block(const Block& b, float* y, std::int64_t count) {
  if (HWY_LIKELY(count == kBlock)) {
    for (int k = 0; k < kParts; ++k) store(b.part[k], y + k * kLanes);
  } else {
    HWY_ALIGN float padded[kBlock];
    for (int k = 0; k < kParts; ++k) store(b.part[k], padded + k * kLanes);
    std::memcpy(y, padded, static_cast<std::size_t>(count) * sizeof(float));
  }
}

// 16 accumulators in double.
struct Lanes {
  D low[kParts], high[kParts];
  explicit HWY_INLINE Lanes(double start) {
    for (int k = 0; k < kParts; ++k) low[k] = high[k] = D(start);
  }
  HWY_INLINE void load_from(const double* p) {
    for (int k = 0; k < kParts; ++k) {
      low[k] = D(hn::LoadU(DD(), p + k * kLanes));
      high[k] = D(hn::LoadU(DD(), p + k * kLanes + kLanes / 2));
    }
  }
  HWY_INLINE void store_to(double* p) const {
    for (int k = 0; k < kParts; ++k) {
      hn::StoreU(low[k].v, DD(), p + k * kLanes);
      hn::StoreU(high[k].v, DD(), p + k * kLanes + kLanes / 2);
    }
  }
  // acc = step(acc, x) in every lane.
  template <class Step>
  HWY_INLINE void take(const Block& b, const Step& step) {
    for (int k = 0; k < kParts; ++k) low[k] = step(low[k], lower(b.part[k])), high[k] = step(high[k], upper(b.part[k]));
  }
  HWY_INLINE void add(const Block& b) {
    take(b, [](D acc, D x) HWY_ATTR { return acc + x; });
  }
  HWY_INLINE void add_products(const Block& a, const Block& b) {
    for (int k = 0; k < kParts; ++k) {
      low[k] = fma(lower(a.part[k]), lower(b.part[k]), low[k]);
      high[k] = fma(upper(a.part[k]), upper(b.part[k]), high[k]);
    }
  }
  HWY_INLINE double sum() const {
    HWY_ALIGN double l[kBlock];
    store_to(l);
    for (int width = 8; width > 0; width /= 2)
      for (int i = 0; i < width; ++i) l[i] += l[i + width];
    return l[0];
  }
};

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
