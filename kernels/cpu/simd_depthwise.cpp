// Depthwise convolutions: channels along the vectors, one FMA chain per output over the taps.
#include <tapedeck/kernels/cpu/conv_geometry.h>
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/tensor/parallel.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_depthwise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kChunk = 256;

// One vector of channels of kRows rows. `x`: the input rows of all taps of the first row, then of the next, …
template <int kRows, class Load, class Store>
HWY_INLINE void outputs(const simd::Depthwise& d, std::int64_t taps, const float* const* x, float* const* y,
                        const float* bias, std::int64_t c, const Load& load_n, const Store& store_n) {
  F total[kRows];
  for (std::int64_t k0 = 0; k0 == 0 || k0 < taps; k0 += kChunk) {
    F sum[kRows];
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) sum[r] = F(0);
    for (std::int64_t k = k0; k < std::min(taps, k0 + kChunk); ++k) {
      const F w = load_n(d.weights + k * d.channels + c);
      HWY_UNROLL(8)
      for (int r = 0; r < kRows; ++r) sum[r] = fma(load_n(x[r * taps + k] + c), w, sum[r]);
    }
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) total[r] = k0 == 0 ? sum[r] : total[r] + sum[r];
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    if (d.add) total[r] = total[r] + load_n(y[r] + c);
    if (bias) total[r] = total[r] + load_n(bias + c);
    store_n(total[r], y[r] + c);
  }
}

// The rows of the next block come from memory meanwhile: going through 8 rows side by side, the processor does not see
// them coming.
template <int kRows>
HWY_NOINLINE void rows(const simd::Depthwise& d, std::int64_t taps, const float* const* x, float* const* y,
                       const float* bias) {
  std::int64_t c = 0;
  std::uintptr_t ahead = 0, step = 0;  // the farthest row, and how far the next ones are apart: hints, nothing is read
  if constexpr (kRows > 1) {
    if (taps > 0) {
      const auto address = [&](std::int64_t i) { return reinterpret_cast<std::uintptr_t>(x[i]); };
      ahead = std::max(address(kRows * taps - 1), address((kRows - 1) * taps));
      step = address((kRows - 1) * taps) - address((kRows - 2) * taps);
    }
  }
  for (; c + kLanes <= d.channels; c += kLanes) {
    if constexpr (kRows > 1) {
      HWY_UNROLL(8)
      for (std::uintptr_t r = 1; r <= kRows; ++r)
        __builtin_prefetch(
            reinterpret_cast<const void*>(ahead + r * step + static_cast<std::uintptr_t>(c) * sizeof(float)));
    }
    outputs<kRows>(
        d, taps, x, y, bias, c, [](const float* p) HWY_ATTR { return load(p); },
        [](F v, float* p) HWY_ATTR { store(v, p); });
  }
  if (const std::int64_t rest = d.channels - c; rest > 0)
    outputs<kRows>(
        d, taps, x, y, bias, c, [=](const float* p) HWY_ATTR { return load_first(p, rest); },
        [=](F v, float* p) HWY_ATTR { store_first(v, p, rest); });
}

// Adds the products of `rows` rows of gy to the sums of kTaps taps from k on.
template <int kTaps, class Load, class Store>
HWY_INLINE void products(std::int64_t rows, std::int64_t taps, const float* const* gy, const float* const* x,
                         float* sum, std::int64_t channels, std::int64_t c, const Load& load_n, const Store& store_n) {
  F s[kTaps];
  HWY_UNROLL(8)
  for (int k = 0; k < kTaps; ++k) s[k] = load_n(sum + k * channels + c);
  for (std::int64_t r = 0; r < rows; ++r) {
    const F g = load_n(gy[r] + c);
    HWY_UNROLL(8)
    for (int k = 0; k < kTaps; ++k) s[k] = fma(g, load_n(x[r * taps + k] + c), s[k]);
  }
  HWY_UNROLL(8)
  for (int k = 0; k < kTaps; ++k) store_n(s[k], sum + k * channels + c);
}

template <int kTaps>
HWY_NOINLINE void some_taps(std::int64_t rows, std::int64_t taps, const float* const* gy, const float* const* x,
                            float* sum, std::int64_t channels) {
  std::int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes)
    products<kTaps>(
        rows, taps, gy, x, sum, channels, c, [](const float* p) HWY_ATTR { return load(p); },
        [](F v, float* p) HWY_ATTR { store(v, p); });
  if (const std::int64_t rest = channels - c; rest > 0)
    products<kTaps>(
        rows, taps, gy, x, sum, channels, c, [=](const float* p) HWY_ATTR { return load_first(p, rest); },
        [=](F v, float* p) HWY_ATTR { store_first(v, p, rest); });
}

}  // namespace

void output_rows(const simd::Depthwise& d, std::int64_t taps, std::int64_t count, const float* const* x,
                 float* const* y, const float* bias) {
  if (count == simd::kDepthwiseRows) return rows<simd::kDepthwiseRows>(d, taps, x, y, bias);
  for (std::int64_t r = 0; r < count; ++r) rows<1>(d, taps, x + r * taps, y + r, bias);
}

void weight_rows(std::int64_t rows, std::int64_t taps, const float* const* gy, const float* const* x, float* sum,
                 std::int64_t channels) {
  std::int64_t k = 0;
  for (; k + 8 <= taps; k += 8) some_taps<8>(rows, taps, gy, x + k, sum + k * channels, channels);
  for (; k + 3 <= taps; k += 3) some_taps<3>(rows, taps, gy, x + k, sum + k * channels, channels);
  for (; k < taps; ++k) some_taps<1>(rows, taps, gy, x + k, sum + k * channels, channels);
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels::simd {

void depthwise(const Depthwise& d) {
  constexpr int64_t kRows = kDepthwiseRows;
  const auto output_rows = use_avx512() ? N_AVX3::output_rows : N_AVX2::output_rows;
  const int64_t taps = d.window->tap_count(), all = d.y->rows();
  const int64_t grain = kRows * (1 + 65536 / (kRows * d.channels * (taps + 2)));
  parallel_for(all, grain, [&](int64_t begin, int64_t end) {
    auto* x = static_cast<const float**>(workspace(static_cast<std::size_t>(kRows * taps) * sizeof(const float*) +
                                                   static_cast<std::size_t>(d.channels) * sizeof(float)));
    auto* bias = reinterpret_cast<float*>(x + kRows * taps);
    if (d.bias)
      for (int64_t c = 0; c < d.channels; ++c) bias[c] = d.bias[c * d.bias_stride];
    float* y[kRows];
    WindowRows row(*d.window, begin);
    for (int64_t r = begin; r < end; r += kRows) {
      const int64_t count = std::min(kRows, end - r);
      for (int64_t i = 0; i < count; ++i, row.next()) row.pointers(d.zeros, x + i * taps), y[i] = row.row(*d.y);
      output_rows(d, taps, count, x, y, d.bias ? bias : nullptr);
    }
  });
}

void depthwise_weight(const DepthwiseWeight& d) {
  constexpr int64_t kChunk = 256, kRows = 16;
  const auto weight_rows = use_avx512() ? N_AVX3::weight_rows : N_AVX2::weight_rows;
  const int64_t taps = d.window->tap_count(), floats = taps * d.channels, all = d.gy->rows();
  const int64_t chunks = (all + kChunk - 1) / kChunk;
  std::fill_n(d.sum, floats, 0.0f);
  for (int64_t first = 0; first < chunks; first += d.wave) {
    const int64_t here = std::min(d.wave, chunks - first);
    parallel_for(here, 1 + 65536 / (kChunk * floats), [&](int64_t begin, int64_t end) {
      auto* x = static_cast<const float**>(workspace(static_cast<std::size_t>(kRows * taps) * sizeof(const float*)));
      const float* gy[kRows];
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        float* sum = d.partial + chunk * floats;
        std::fill_n(sum, floats, 0.0f);
        const int64_t r0 = (first + chunk) * kChunk, r1 = std::min(all, r0 + kChunk);
        WindowRows row(*d.window, r0);
        for (int64_t r = r0; r < r1; r += kRows) {
          const int64_t count = std::min(kRows, r1 - r);
          for (int64_t i = 0; i < count; ++i, row.next()) row.pointers(d.zeros, x + i * taps), gy[i] = row.row(*d.gy);
          weight_rows(count, taps, gy, x, sum, d.channels);
        }
      }
    });
    for (int64_t chunk = 0; chunk < here; ++chunk) {
      const float* part = d.partial + chunk * floats;
      for (int64_t i = 0; i < floats; ++i) d.sum[i] = first + chunk == 0 ? part[i] : d.sum[i] + part[i];
    }
  }
}

}  // namespace tapedeck::kernels::simd
#endif
