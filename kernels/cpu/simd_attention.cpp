// Attention in blocks of 128 queries and 256 keys: scores of a block, their exponentials against the largest score so
// far, and products with the values (Dao et al., "FlashAttention", 2022; Milakov & Gimelshein, "Online normalizer
// calculation for softmax", 2018). The backward pass makes the weights again, block by block.
#include <tapedeck/kernels/cpu/attention_geometry.h>
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_attention.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_lanes-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

// s[0 … n) times scale; the largest of them and `largest`. NaN wins.
float attention_scores(float* s, std::int64_t n, double scale, float largest) {
  const F factor(scale);
  Block m;
  for (int k = 0; k < kParts; ++k) m.part[k] = F(static_cast<double>(largest));
  each_block(s, n, 0, [&](const Block& b, std::int64_t i, std::int64_t count) HWY_ATTR {
    Block y;
    for (int k = 0; k < kParts; ++k) y.part[k] = b.part[k] * factor;
    store_block(y, s + i, count);
    if (count < kBlock) return;
    for (int k = 0; k < kParts; ++k) {
      const F v = y.part[k], best = m.part[k];
      m.part[k] = select(v > best, v, select(v == v, best, v));
    }
  });
  HWY_ALIGN float l[kBlock];
  store_block(m, l, kBlock);
  float best = l[0];
  for (const float v : l)
    if (v > best || v != v) best = v;
  for (std::int64_t i = n / kBlock * kBlock; i < n; ++i)
    if (s[i] > best || s[i] != s[i]) best = s[i];
  return best;
}

// s[i] = exp(s[i] - m) and their sum.
double attention_weights(float* s, std::int64_t n, float m) {
  constexpr float lowest = -std::numeric_limits<float>::infinity();
  const F shift(static_cast<double>(m));
  Lanes total(0);
  each_block(s, n, lowest, [&](const Block& b, std::int64_t i, std::int64_t count) HWY_ATTR {
    Block y;
    for (int k = 0; k < kParts; ++k) y.part[k] = exp(b.part[k] - shift);
    store_block(y, s + i, count);
    total.add(y);
  });
  return total.sum();
}

double attention_exp(double x) { return hn::GetLane(exp(D(x)).v); }

// Never -0: that a hidden key adds 0 to a sum must not show.
void attention_rescale(float* y, std::int64_t n, double factor) {
  const F f(factor), zero(0.0);
  each_vector<1>(&y, y, n, [=](const F(&v)[1]) HWY_ATTR { return fma(v[0], f, zero); });
}

double attention_dot(const float* a, const float* b, std::int64_t n) {
  Lanes total(0);
  each_block(a, n, 0, [&](const Block& u, std::int64_t i, std::int64_t count) HWY_ATTR {
    each_block(b + i, count, 0, [&](const Block& v, std::int64_t, std::int64_t) HWY_ATTR { total.add_products(u, v); });
  });
  return total.sum();
}

// s: raw scores -> weights p = exp(scale s - m) / sum.
void attention_again(float* s, std::int64_t n, double scale, double m, double inverse) {
  const F factor(scale), shift(m), f(inverse);
  each_vector<1>(&s, s, n, [=](const F(&v)[1]) HWY_ATTR { return exp(v[0] * factor - shift) * f; });
}
// scale p (gp - mean), the gradients of the raw scores, from the weights p.
void attention_flow(const float* p, const float* gp, float* gs, std::int64_t n, double scale, double mean) {
  const F factor(scale), level(mean);
  const float* const in[] = {p, gp};
  each_vector<2>(in, gs, n, [=](const F(&v)[2]) HWY_ATTR { return v[0] * (v[1] - level) * factor; });
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kQueries = 128, kKeys = 256;
constexpr float kLowest = -std::numeric_limits<float>::infinity();
#define TD_TARGET(name) (use_avx512() ? N_AVX3::name : N_AVX2::name)

simd::Matrix rows_of(const Head<const float>& x, std::int64_t from) { return {x.row(from), x.stride, 1, 0, nullptr}; }
simd::Matrix transposed(simd::Matrix x) {
  std::swap(x.row, x.column);
  return x;
}
void product(std::int64_t m, std::int64_t n, std::int64_t k, const simd::Matrix& a, const simd::Matrix& b, float* y,
             std::int64_t y_row, bool add) {
  simd::Gemm g;
  g.m = m, g.n = n, g.k = k, g.a = a, g.b = b, g.y = y, g.y_row = y_row, g.add_to_y = add;
  simd::gemm(g);
}
void clear(const Head<float>& x, std::int64_t rows, std::int64_t channels) {
  for (std::int64_t t = 0; t < rows; ++t) std::fill_n(x.row(t), channels, 0.0f);
}

// Queries [t0, t1) of one head. s has room for them by a block of keys.
void attend_block(const AttentionArgs& a, const AttentionSizes& z, std::int64_t n, std::int64_t h, std::int64_t t0,
                  std::int64_t t1, float* s) {
  const Head<const float> q(a.q, n, h), k(a.k, n, h / z.per_group), v(a.v, n, h / z.per_group);
  const Head<float> y(a.y, n, h);
  const auto scores = TD_TARGET(attention_scores);
  const auto weights = TD_TARGET(attention_weights);
  const auto rescale = TD_TARGET(attention_rescale);
  const auto exp_of = TD_TARGET(attention_exp);
  float largest[kQueries];
  double total[kQueries] = {};
  std::fill_n(largest, kQueries, kLowest);
  const std::int64_t rows = t1 - t0, last = z.visible(t1 - 1);
  for (std::int64_t j = 0; j < last; j += kKeys) {
    const std::int64_t keys = std::min(kKeys, z.keys - j);
    product(rows, keys, z.channels, rows_of(q, t0), transposed(rows_of(k, j)), s, kKeys, false);
    for (std::int64_t t = t0; t < t1; ++t) {
      const std::int64_t r = t - t0, seen = std::clamp<std::int64_t>(z.visible(t) - j, 0, keys);
      float* p = s + r * kKeys;
      if (seen > 0) {
        if (a.mask) rescale(p, seen, z.scale), mask_scores<float>(a.mask, n, h, t, j, p, seen);
        const float before = largest[r], now = scores(p, seen, a.mask ? 1 : z.scale, before);
        const auto keep = static_cast<double>(static_cast<float>(  // what y's floats are scaled by
            before == kLowest ? 0 : exp_of(static_cast<double>(before) - static_cast<double>(now))));
        const float shift = now == kLowest ? 0 : now;  // all scores are -Inf
        total[r] = total[r] * keep + weights(p, seen, shift);
        largest[r] = now;
        if (j > 0 && keep != 1) rescale(y.row(t), z.width, keep);
      }
      std::fill(p + seen, p + keys, 0.0f);
    }
    product(rows, z.width, keys, {s, kKeys, 1, 0, nullptr}, rows_of(v, j), y.row(t0), y.stride, j > 0);
  }
  for (std::int64_t t = t0; t < t1; ++t) {
    const std::int64_t r = t - t0;
    double* stats = stats_of(a.stats, n, h, t);
    stats[0] = largest[r] == kLowest ? 0 : static_cast<double>(largest[r]), stats[1] = total[r];
    if (total[r] == 0) {
      std::fill_n(y.row(t), z.width, 0.0f);
    } else {
      rescale(y.row(t), z.width, 1 / total[r]);
    }
  }
}

void attend_f32(const AttentionArgs& a) {
  const AttentionSizes z(a);
  const std::int64_t blocks = (z.queries + kQueries - 1) / kQueries;
  parallel_for(z.batch * z.heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    auto* s = static_cast<float*>(workspace(kQueries * kKeys * sizeof(float), 1));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t t0 = i % blocks * kQueries, h = i / blocks % z.heads, n = i / blocks / z.heads;
      attend_block(a, z, n, h, t0, std::min(z.queries, t0 + kQueries), s);
    }
  });
}

// One head of k and v with the heads of q that go with it. p, gp: room for a block each; mean: for the queries.
void attend_backward_head(const AttentionGradArgs& a, const AttentionSizes& z, std::int64_t n, std::int64_t g, float* p,
                          float* gp, double* mean) {
  const Head<const float> k(a.k, n, g), v(a.v, n, g);
  const auto rescale = TD_TARGET(attention_rescale);
  const auto again = TD_TARGET(attention_again);
  const auto flow = TD_TARGET(attention_flow);
  const auto dot = TD_TARGET(attention_dot);
  if (a.gk) clear(Head<float>(a.gk, n, g), z.keys, z.channels);
  if (a.gv) clear(Head<float>(a.gv, n, g), z.keys, z.width);
  for (std::int64_t h = g * z.per_group; h < (g + 1) * z.per_group; ++h) {
    const Head<const float> q(a.q, n, h), y(a.y, n, h), gy(a.gy, n, h);
    if (a.gq) clear(Head<float>(a.gq, n, h), z.queries, z.channels);
    if (a.gmask) clear(Head<float>(a.gmask, n, h), z.queries, z.keys);
    for (std::int64_t t = 0; t < z.queries; ++t) mean[t] = dot(gy.row(t), y.row(t), z.width);
    for (std::int64_t j = 0; j < z.keys; j += kKeys) {
      const std::int64_t keys = std::min(kKeys, z.keys - j);
      const std::int64_t first = z.causal ? std::max<std::int64_t>(0, j - z.past) / kQueries * kQueries : 0;
      for (std::int64_t t0 = first; t0 < z.queries; t0 += kQueries) {
        const std::int64_t rows = std::min(kQueries, z.queries - t0);
        const auto each = [&](const auto& f) {
          for (std::int64_t r = 0; r < rows; ++r)
            f(t0 + r, p + r * kKeys, gp + r * kKeys, std::clamp<std::int64_t>(z.visible(t0 + r) - j, 0, keys));
        };
        product(rows, keys, z.channels, rows_of(q, t0), transposed(rows_of(k, j)), p, kKeys, false);
        each([&](std::int64_t t, float* weights, float*, std::int64_t seen) {
          const double* stats = stats_of(a.stats, n, h, t);
          if (a.mask) rescale(weights, seen, z.scale), mask_scores<float>(a.mask, n, h, t, j, weights, seen);
          again(weights, seen, a.mask ? 1 : z.scale, stats[0], stats[1] == 0 ? 0 : 1 / stats[1]);
          std::fill(weights + seen, weights + keys, 0.0f);
        });
        const simd::Matrix block{p, kKeys, 1, 0, nullptr};
        if (a.gv) {
          const Head<float> gv(a.gv, n, g);
          product(keys, z.width, rows, transposed(block), rows_of(gy, t0), gv.row(j), gv.stride, true);
        }
        if (!a.gq && !a.gk && !a.gmask) continue;
        product(rows, keys, z.width, rows_of(gy, t0), transposed(rows_of(v, j)), gp, kKeys, false);
        each([&](std::int64_t t, float* weights, float* gradient, std::int64_t seen) {
          if (a.gmask) flow(weights, gradient, Head<float>(a.gmask, n, h).row(t) + j, seen, 1, mean[t]);
          flow(weights, gradient, weights, seen, z.scale, mean[t]);
        });
        if (a.gq) {
          const Head<float> gq(a.gq, n, h);
          product(rows, z.channels, keys, block, rows_of(k, j), gq.row(t0), gq.stride, true);
        }
        if (a.gk) {
          const Head<float> gk(a.gk, n, g);
          product(keys, z.channels, rows, transposed(block), rows_of(q, t0), gk.row(j), gk.stride, true);
        }
      }
    }
  }
}

void attend_backward_f32(const AttentionGradArgs& a) {
  const AttentionSizes z(a);
  parallel_for(z.batch * z.groups, 1, [&](std::int64_t begin, std::int64_t end) {
    constexpr std::int64_t block = kQueries * kKeys;
    const auto bytes = static_cast<std::size_t>(z.queries) * sizeof(double) + 2 * block * sizeof(float);
    auto* mean = static_cast<double*>(workspace(bytes, 1));
    auto* p = reinterpret_cast<float*>(mean + z.queries);
    for (std::int64_t i = begin; i < end; ++i)
      attend_backward_head(a, z, i / z.groups, i % z.groups, p, p + block, mean);
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}

}  // namespace

void add_simd_attention() {
  attention.add(DeviceType::cpu, "simd", attend_f32, supports<AttentionArgs>);
  attention_backward.add(DeviceType::cpu, "simd", attend_backward_f32, supports<AttentionGradArgs>);
}

}  // namespace tapedeck::kernels
#endif
