// Transposes of small squares in registers. Included per target.
#if defined(TAPEDECK_SIMD_TRANSPOSE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPEDECK_SIMD_TRANSPOSE_INL_H
#undef TAPEDECK_SIMD_TRANSPOSE_INL_H
#else
#define TAPEDECK_SIMD_TRANSPOSE_INL_H
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

constexpr int kSide = HWY_LANES(float) < 8 ? 4 : 8;
using SideTag = hwy::HWY_NAMESPACE::FixedTag<float, kSide>;

struct Square {
  hwy::HWY_NAMESPACE::Vec<SideTag> row[kSide];
};

HWY_INLINE Square transposed(const Square& x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const SideTag d;
  const hn::FixedTag<double, kSide / 2> pairs;
  Square s, r;
  HWY_UNROLL(4)
  for (int i = 0; i < kSide; i += 2) {
    s.row[i] = hn::InterleaveLower(d, x.row[i], x.row[i + 1]);
    s.row[i + 1] = hn::InterleaveUpper(d, x.row[i], x.row[i + 1]);
  }
  // s.row[i], s.row[i + 2] hold pairs of rows; join them as 64-bit units within each half.
  HWY_UNROLL(2)
  for (int i = 0; i < kSide; i += 4) {
    HWY_UNROLL(2)
    for (int j = 0; j < 2; ++j) {
      const auto a = hn::BitCast(pairs, s.row[i + j]), b = hn::BitCast(pairs, s.row[i + j + 2]);
      r.row[i + 2 * j] = hn::BitCast(d, hn::InterleaveLower(pairs, a, b));
      r.row[i + 2 * j + 1] = hn::BitCast(d, hn::InterleaveUpper(pairs, a, b));
    }
  }
  if (kSide == 4) return r;
  HWY_UNROLL(4)
  for (int i = 0; i < kSide / 2; ++i) {
    s.row[i] = hn::ConcatLowerLower(d, r.row[i + kSide / 2], r.row[i]);
    s.row[i + kSide / 2] = hn::ConcatUpperUpper(d, r.row[i + kSide / 2], r.row[i]);
  }
  return s;
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
