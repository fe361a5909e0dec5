// Transposes of small squares in registers. Included per target.
#if defined(TAPEDECK_SIMD_TRANSPOSE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPEDECK_SIMD_TRANSPOSE_INL_H
#undef TAPEDECK_SIMD_TRANSPOSE_INL_H
#else
#define TAPEDECK_SIMD_TRANSPOSE_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

constexpr int kSide = HWY_LANES(float) < 8 ? 4 : 8;
using SideTag = hwy::HWY_NAMESPACE::FixedTag<float, kSide>;

struct Square {
  hwy::HWY_NAMESPACE::Vec<SideTag> row[kSide];
};

// The four vectors' blocks of four lanes, each block a square of its own.
template <class V>
HWY_INLINE void transpose_blocks(V* x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::DFromV<V> d;
  const hn::Repartition<double, decltype(d)> pairs;
  const auto low = hn::BitCast(pairs, hn::InterleaveLower(d, x[0], x[1]));
  const auto high = hn::BitCast(pairs, hn::InterleaveUpper(d, x[0], x[1]));
  const auto low2 = hn::BitCast(pairs, hn::InterleaveLower(d, x[2], x[3]));
  const auto high2 = hn::BitCast(pairs, hn::InterleaveUpper(d, x[2], x[3]));
  x[0] = hn::BitCast(d, hn::InterleaveLower(pairs, low, low2));
  x[1] = hn::BitCast(d, hn::InterleaveUpper(pairs, low, low2));
  x[2] = hn::BitCast(d, hn::InterleaveLower(pairs, high, high2));
  x[3] = hn::BitCast(d, hn::InterleaveUpper(pairs, high, high2));
}

// A square as wide as a vector: x[i] becomes what was lane i of all.
template <class V>
HWY_INLINE void transpose_vectors(V* x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::DFromV<V> d;
  constexpr int n = static_cast<int>(hn::MaxLanes(hn::DFromV<V>())), half = n / 2;
  if constexpr (n > 4) {  // x[i] and x[i + half] change halves
    HWY_UNROLL(8)
    for (int i = 0; i < half; ++i) {
      const V low = hn::ConcatLowerLower(d, x[i + half], x[i]);
      x[i + half] = hn::ConcatUpperUpper(d, x[i + half], x[i]);
      x[i] = low;
    }
  }
  HWY_UNROLL(4)
  for (int i = 0; i < n; i += 4) transpose_blocks(x + i);
  if constexpr (n == 16) {  // x[i] and x[i + 4] change blocks
    HWY_UNROLL(2)
    for (int i = 0; i < n; i += half) {
      HWY_UNROLL(4)
      for (int j = i; j < i + 4; ++j) {
        const V even = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(x[j + 4]), x[j]);
        x[j + 4] = hn::OddEvenBlocks(x[j + 4], hn::SwapAdjacentBlocks(x[j]));
        x[j] = even;
      }
    }
  }
}

HWY_INLINE Square transposed(Square x) {
  transpose_vectors(x.row);
  return x;
}

// The same of rows `stride` floats apart in memory: whole cache lines, since many rows in one set of a cache push each
// other out.
template <class V>
HWY_INLINE void load_transposed(const float* from, std::int64_t stride, V* x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::DFromV<V> d;
  HWY_UNROLL(4)
  for (int i = 0; i < HWY_LANES(float); i += 4) {
    const float* row = from + i * stride;
    asm volatile("" : "+r"(row));  // or the compiler keeps a pointer per row, more than there are registers
    HWY_UNROLL(4)
    for (int r = 0; r < 4; ++r) x[i + r] = hn::LoadU(d, row + r * stride);
  }
  transpose_vectors(x);
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
