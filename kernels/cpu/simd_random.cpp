// f32 random fills: Philox on vectors of counters, the same integers and uniforms as everywhere; normals by Box and
// Muller (1958) in double.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/tensor/philox.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_random.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

using DU = hn::RebindToUnsigned<DF>;
using U = hn::Vec<DU>;

// High and low halves of a * m for all 32-bit lanes: products of the even and of the odd ones, put together again.
HWY_INLINE void multiply(U a, std::uint32_t m, U& high, U& low) {
  const DU d;
  const hn::Repartition<std::uint64_t, DU> wide;
  const U factor = hn::Set(d, m);
  const auto even = hn::MulEven(a, factor);
  const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a))), factor);
  const auto upper_half = hn::Set(wide, 0xFFFFFFFF00000000ull);
  high = hn::BitCast(d, hn::Or(hn::ShiftRight<32>(even), hn::And(odd, upper_half)));
  low = hn::BitCast(d, hn::Or(hn::AndNot(upper_half, even), hn::ShiftLeft<32>(odd)));
}

// The four words of counters group, group + 1, … in the lanes of w[0] … w[3]. Groups stay below 2^32.
HWY_INLINE void philox_lanes(std::uint64_t key, std::uint32_t group, std::uint64_t row, U (&w)[4]) {
  const DU d;
  U c0 = hn::Add(hn::Set(d, group), hn::Iota(d, 0)), c1 = hn::Zero(d);
  U c2 = hn::Set(d, static_cast<std::uint32_t>(row)), c3 = hn::Set(d, static_cast<std::uint32_t>(row >> 32));
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    U high0, low0, high1, low1;
    multiply(c0, 0xD2511F53u, high0, low0);
    multiply(c2, 0xCD9E8D57u, high1, low1);
    c0 = hn::Xor(hn::Xor(high1, c1), hn::Set(d, k0));
    c2 = hn::Xor(hn::Xor(high0, c3), hn::Set(d, k1));
    c1 = low1, c3 = low0;
  }
  w[0] = c0, w[1] = c1, w[2] = c2, w[3] = c3;
}

HWY_INLINE F uniform_of(U word) {  // [0, 1), 24 bits
  const hn::RebindToSigned<DF> di;
  return F(hn::ConvertTo(DF(), hn::BitCast(di, hn::ShiftRight<8>(word)))) * F(0x1p-24);
}
// 2^52 + word, minus 2^52.
HWY_INLINE D word_as_double(hn::Vec<hn::Half<DU>> word) {
  const hn::RebindToUnsigned<DD> wide;
  return D(hn::BitCast(DD(), hn::Or(hn::PromoteTo(wide, word), hn::Set(wide, 0x4330000000000000ull)))) - D(0x1p52);
}

// Both normals of a pair of words.
HWY_INLINE void normal_pair(U first, U second, F& a, F& b) {
  const hn::Half<DU> half;
  const auto both = [](hn::Vec<hn::Half<DU>> u, hn::Vec<hn::Half<DU>> v, D& z0, D& z1) HWY_ATTR {
    const D radius = sqrt(D(-2) * log((word_as_double(u) + D(0.5)) * D(0x1p-32)));
    const D angle = word_as_double(v) * D(0x1p-32 * 6.283185307179586477);
    z0 = radius * cos(angle), z1 = radius * sin(angle);
  };
  D a0, b0, a1, b1;
  both(hn::LowerHalf(half, first), hn::LowerHalf(half, second), a0, b0);
  both(hn::UpperHalf(half, first), hn::UpperHalf(half, second), a1, b1);
  a = narrow(a0, a1), b = narrow(b0, b1);
}

enum class Kind { uniform, normal, bernoulli, dropout };

// Elements 4 * group … of one row, `n` of them at y (x: the input of dropout), in steps of 4 kLanes.
template <Kind kind>
void fill(std::uint64_t key, std::uint32_t group, std::uint64_t row, const float* x, float* y, std::int64_t n, double p,
          double q) {
  HWY_ALIGN float block[4 * kLanes];
  for (std::int64_t i = 0; i < n; i += 4 * kLanes, group += static_cast<std::uint32_t>(kLanes)) {
    U w[4];
    philox_lanes(key, group, row, w);
    F v[4];
    if constexpr (kind == Kind::normal) {
      normal_pair(w[0], w[1], v[0], v[1]);
      normal_pair(w[2], w[3], v[2], v[3]);
    } else {
      for (int k = 0; k < 4; ++k) v[k] = uniform_of(w[k]);
    }
    hn::StoreInterleaved4(v[0].v, v[1].v, v[2].v, v[3].v, DF(), block);
    const std::int64_t m = HWY_MIN(n - i, 4 * kLanes);
    const float* in[2] = {block, x + i};
    if constexpr (kind == Kind::bernoulli) {
      each_vector<1>(in, y + i, m, [=](const F(&u)[1]) HWY_ATTR { return select(u[0] < F(p), F(1), F(0)); });
    } else if constexpr (kind == Kind::dropout) {
      each_vector<2>(in, y + i, m, [=](const F(&u)[2]) HWY_ATTR { return select(u[0] < F(p), F(0), u[1] * F(q)); });
    } else {
      each_vector<1>(in, y + i, m, [=](const F(&u)[1]) HWY_ATTR {
        return in_width<true>([=](D z) HWY_ATTR { return D(p) + D(q) * z; }, u[0]);
      });
    }
  }
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kSegment = 4096;  // elements of a row that one task makes

// fill(key, group, row, x, y, n) for segments of rows; y + offset and x + offset are contiguous.
template <class Fill>
void each_segment(const TensorView& y, const RandomStream& stream, Fill&& fill) {
  const std::int64_t rows = y.rank == 0 ? 1 : y.sizes[0], numel = y.numel(), width = rows == 0 ? 0 : numel / rows;
  const std::int64_t segments = (width + kSegment - 1) / kSegment;
  parallel_for(rows * segments, row_grain(std::min(width, kSegment), 8), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t row = task / segments, first = task % segments * kSegment;
      fill(static_cast<std::uint32_t>(first / 4), stream.row(row), row * width + first,
           std::min(kSegment, width - first));
    }
  });
}

// The least multiple of 2^-24 that is not below p: exact in float, and u < p means u < it for all uniforms u.
double threshold(double p) { return std::ceil(p * 0x1p24) * 0x1p-24; }

#define TD_FILL(kind) (use_avx512() ? N_AVX3::fill<N_AVX3::Kind::kind> : N_AVX2::fill<N_AVX2::Kind::kind>)

template <class Fill>
void fill_all(const RandomArgs& a, Fill fill, double p, double q) {
  each_segment(a.y, a.stream, [&](std::uint32_t group, std::uint64_t row, std::int64_t offset, std::int64_t n) {
    fill(a.stream.key, group, row, nullptr, a.y.ptr<float>() + offset, n, p, q);
  });
}
void uniform_f32(const RandomArgs& a) { fill_all(a, TD_FILL(uniform), a.low, a.high - a.low); }
void normal_f32(const RandomArgs& a) { fill_all(a, TD_FILL(normal), a.low, a.high); }
void bernoulli_f32(const RandomArgs& a) { fill_all(a, TD_FILL(bernoulli), threshold(a.low), 0); }
void dropout_f32(const DropoutArgs& a) {
  const auto fill = TD_FILL(dropout);
  const double p = threshold(a.p), scale = a.p < 1 ? 1 / (1 - a.p) : 0;
  each_segment(a.y, a.stream, [&](std::uint32_t group, std::uint64_t row, std::int64_t offset, std::int64_t n) {
    fill(a.stream.key, group, row, a.x.ptr<const float>() + offset, a.y.ptr<float>() + offset, n, p, scale);
  });
}

template <class Args>
const char* supports(const Args& a) {
  if (a.dtype() != DType::f32) return "dtype is not f32";
  return a.y.numel() < (std::int64_t{1} << 34) ? nullptr : "a row may have more than 2^32 groups";
}

}  // namespace

void add_simd_random() {
  constexpr DeviceType cpu = DeviceType::cpu;
  uniform.add(cpu, "simd", uniform_f32, supports<RandomArgs>);
  normal.add(cpu, "simd", normal_f32, supports<RandomArgs>);
  bernoulli.add(cpu, "simd", bernoulli_f32, supports<RandomArgs>);
  dropout.add(cpu, "simd", dropout_f32, supports<DropoutArgs>);
}

}  // namespace tapedeck::kernels
#endif
