#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_gemv.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::simd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using std::int64_t;
constexpr int kLanes = HWY_TARGET == HWY_AVX2 ? 8 : 16;
constexpr int64_t kChunk = 256;

// Vectors of outputs that are summed at a time for a number of rows: enough independent chains to hide an FMA's
// latency.
constexpr int max_vectors(int rows) {
  return HWY_TARGET == HWY_AVX2 ? (rows == 1 ? 8 : rows == 2 ? 4 : 2) : rows <= 2 ? 8 : 4;
}

HWY_INLINE V weights(const float* w) { return hn::LoadU(D(), w); }
HWY_INLINE V weights(const BFloat16* w) {  // its bits are the upper half of a float's
  const hn::Rebind<std::uint16_t, D> half;
  const hn::RebindToUnsigned<D> whole;
  const auto bits = hn::LoadU(half, reinterpret_cast<const std::uint16_t*>(w));
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(whole, bits)));
}

// kRows rows from `row` on, kVectors vectors of outputs from `column` on.
template <class W, int kRows, int kVectors>
HWY_NOINLINE void tile(const GemvPackedArgs& a, const W* w, int64_t row, int64_t column) {
  const D d;
  const int64_t w_row = packed_columns(a.n);
  w += column;
  V acc[kRows][kVectors], total[kRows][kVectors];
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) acc[r][v] = total[r][v] = hn::Zero(d);
  }
  int64_t left = kChunk;  // of the current chunk
  bool first = true;
  for (int s = 0; s < a.segments; ++s) {
    const GemvSegment& segment = a.x[s];
    const float* x[kRows];
    HWY_UNROLL(4)
    for (int r = 0; r < kRows; ++r) x[r] = segment.x + (row + r) * segment.row_stride;
    for (int64_t i = 0; i < segment.length;) {
      if (left == 0) {
        HWY_UNROLL(4)
        for (int r = 0; r < kRows; ++r) {
          HWY_UNROLL(8)
          for (int v = 0; v < kVectors; ++v) {
            total[r][v] = first ? acc[r][v] : hn::Add(total[r][v], acc[r][v]);
            acc[r][v] = hn::Zero(d);
          }
        }
        first = false, left = kChunk;
      }
      const int64_t end = std::min(segment.length, i + left);
      left -= end - i;
      for (; i < end; ++i, w += w_row) {
        V xv[kRows];
        HWY_UNROLL(4)
        for (int r = 0; r < kRows; ++r) xv[r] = hn::Set(d, x[r][i]);
        HWY_UNROLL(8)
        for (int v = 0; v < kVectors; ++v) {
          const V wv = weights(w + v * kLanes);
          HWY_UNROLL(4)
          for (int r = 0; r < kRows; ++r) acc[r][v] = hn::MulAdd(xv[r], wv, acc[r][v]);
        }
      }
    }
  }
  HWY_UNROLL(4)
  for (int r = 0; r < kRows; ++r) {
    float* y = a.y + (row + r) * a.y_row + column;
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) {
      const int64_t here = a.n - column - v * kLanes;
      V sum = first ? acc[r][v] : hn::Add(total[r][v], acc[r][v]);
      if (here >= kLanes) {
        if (a.beta != 0) sum = hn::Add(sum, hn::LoadU(d, y + v * kLanes));
        if (a.bias) sum = hn::Add(sum, hn::LoadU(d, a.bias + column + v * kLanes));
        hn::StoreU(sum, d, y + v * kLanes);
      } else {
        const auto mask = hn::FirstN(d, static_cast<std::size_t>(here));
        if (a.beta != 0) sum = hn::Add(sum, hn::MaskedLoad(mask, d, y + v * kLanes));
        if (a.bias) sum = hn::Add(sum, hn::MaskedLoad(mask, d, a.bias + column + v * kLanes));
        hn::BlendedStore(sum, mask, d, y + v * kLanes);
      }
    }
  }
}

template <int kRows, int kVectors = max_vectors(kRows)>
void run_tile(int vectors, const GemvPackedArgs& a, int64_t row, int64_t column) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) return run_tile<kRows, kVectors - 1>(vectors, a, row, column);
  }
  a.weight_bf16 ? tile<BFloat16, kRows, kVectors>(a, a.weight_bf16, row, column)
                : tile<float, kRows, kVectors>(a, a.weight, row, column);
}

// Rows [r0, r1), all outputs of vectors [v0, v1), cut evenly: a thin last tile would wait for its few chains.
template <int kRows>
void run_rows(const GemvPackedArgs& a, int64_t row, int64_t v0, int64_t v1) {
  const int64_t tiles = (v1 - v0 + max_vectors(kRows) - 1) / max_vectors(kRows);
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t from = v0 + (v1 - v0) * t / tiles, to = v0 + (v1 - v0) * (t + 1) / tiles;
    run_tile<kRows>(static_cast<int>(to - from), a, row, from * kLanes);
  }
}

void block(const GemvPackedArgs& a, int64_t r0, int64_t r1, int64_t v0, int64_t v1) {
  int64_t r = r0;
  for (; r + 4 <= r1; r += 4) run_rows<4>(a, r, v0, v1);
  for (; r + 2 <= r1; r += 2) run_rows<2>(a, r, v0, v1);
  if (r < r1) run_rows<1>(a, r, v0, v1);
}

}  // namespace

void run_gemv(const GemvPackedArgs& a) {
  const int64_t vectors = (a.n + kLanes - 1) / kLanes;
  const int64_t per_vector = 2 * a.rows * a.k() * kLanes;  // flops
  if (per_vector * vectors < 1'000'000) return block(a, 0, a.rows, 0, vectors);
  const int64_t parts = std::min<int64_t>((vectors + 7) / 8, 16);
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    block(a, 0, a.rows, vectors * begin / parts, vectors * end / parts);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tapedeck::kernels::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {

void simd_gemv_packed(const GemvPackedArgs& a) { use_avx512() ? simd::N_AVX3::run_gemv(a) : simd::N_AVX2::run_gemv(a); }

}  // namespace tapedeck::kernels
#endif
