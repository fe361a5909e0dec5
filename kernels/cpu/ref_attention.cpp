// Reference attention: scores, weights and sums of one query at a time, in double, rounded once.
#include <tapedeck/kernels/cpu/attention_geometry.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>

#include <cmath>

namespace tapedeck::kernels {
namespace {

template <class T>
double dot(const T* a, const T* b, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

template <class T>
void attend(const AttentionArgs& a) {
  const AttentionSizes s(a);
  const std::int64_t rows = s.batch * s.heads * s.queries;
  parallel_for(rows, row_grain(s.keys * (s.channels + s.width)), [&](std::int64_t begin, std::int64_t end) {
    auto* p = static_cast<double*>(workspace(static_cast<std::size_t>(s.keys + s.width) * sizeof(double)));
    double* sums = p + s.keys;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t t = i % s.queries, h = i / s.queries % s.heads, n = i / s.queries / s.heads;
      const Head<const T> q(a.q, n, h), k(a.k, n, h / s.per_group), v(a.v, n, h / s.per_group);
      const std::int64_t visible = s.visible(t);
      double m = -std::numeric_limits<double>::infinity(), total = 0;
      for (std::int64_t j = 0; j < visible; ++j) p[j] = dot(q.row(t), k.row(j), s.channels) * s.scale;
      mask_scores<T>(a.mask, n, h, t, 0, p, visible);
      for (std::int64_t j = 0; j < visible; ++j)
        if (p[j] > m || p[j] != p[j]) m = p[j];
      if (m == -std::numeric_limits<double>::infinity()) m = 0;
      std::fill_n(sums, s.width, 0.0);
      for (std::int64_t j = 0; j < visible; ++j) {
        p[j] = std::exp(p[j] - m), total += p[j];
        for (std::int64_t e = 0; e < s.width; ++e) sums[e] += p[j] * static_cast<double>(v.row(j)[e]);
      }
      double* stats = stats_of(a.stats, n, h, t);
      stats[0] = m, stats[1] = total;
      T* y = Head<T>(a.y, n, h).row(t);
      for (std::int64_t e = 0; e < s.width; ++e) y[e] = static_cast<T>(total == 0 ? 0 : sums[e] / total);
    }
  });
}

// One head of k and v at a time: its gradients are sums over the queries of its group.
template <class T>
void attend_backward(const AttentionGradArgs& a) {
  const AttentionSizes s(a);
  const std::int64_t work = s.per_group * s.queries * s.keys * (s.channels + s.width);
  parallel_for(s.batch * s.groups, row_grain(work), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t own = s.keys * (s.channels + s.width) + s.channels;
    auto* gk = static_cast<double*>(workspace(static_cast<std::size_t>(own) * sizeof(double)));
    double *gv = gk + s.keys * s.channels, *gq = gv + s.keys * s.width;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / s.groups, g = i % s.groups;
      const Head<const T> k(a.k, n, g), v(a.v, n, g);
      std::fill_n(gk, s.keys * (s.channels + s.width), 0.0);
      for (std::int64_t h = g * s.per_group; h < (g + 1) * s.per_group; ++h)
        for (std::int64_t t = 0; t < s.queries; ++t) {
          const T *q = Head<const T>(a.q, n, h).row(t), *gy = Head<const T>(a.gy, n, h).row(t);
          const double* stats = stats_of(a.stats, n, h, t);
          const auto weight = [&](std::int64_t j) {
            double score = dot(q, k.row(j), s.channels) * s.scale;
            mask_scores<T>(a.mask, n, h, t, j, &score, 1);
            return stats[1] == 0 ? 0 : std::exp(score - stats[0]) / stats[1];
          };
          double mean = 0;  // of the gradients of the weights, by weight
          for (std::int64_t j = 0; j < s.visible(t); ++j) mean += weight(j) * dot(gy, v.row(j), s.width);
          std::fill_n(gq, s.channels, 0.0);
          if (a.gmask) std::fill_n(Head<T>(a.gmask, n, h).row(t), s.keys, T(0));
          for (std::int64_t j = 0; j < s.visible(t); ++j) {
            const double p = weight(j), flow = p * (dot(gy, v.row(j), s.width) - mean), gs = flow * s.scale;
            if (a.gmask) Head<T>(a.gmask, n, h).row(t)[j] = static_cast<T>(flow);
            for (std::int64_t e = 0; e < s.width; ++e) gv[j * s.width + e] += p * static_cast<double>(gy[e]);
            for (std::int64_t c = 0; c < s.channels; ++c) {
              gk[j * s.channels + c] += gs * static_cast<double>(q[c]);
              gq[c] += gs * static_cast<double>(k.row(j)[c]);
            }
          }
          if (!a.gq) continue;
          for (std::int64_t c = 0; c < s.channels; ++c) Head<T>(a.gq, n, h).row(t)[c] = static_cast<T>(gq[c]);
        }
      for (std::int64_t j = 0; j < s.keys; ++j) {
        if (a.gk)
          for (std::int64_t c = 0; c < s.channels; ++c)
            Head<T>(a.gk, n, g).row(j)[c] = static_cast<T>(gk[j * s.channels + c]);
        if (a.gv)
          for (std::int64_t e = 0; e < s.width; ++e)
            Head<T>(a.gv, n, g).row(j)[e] = static_cast<T>(gv[j * s.width + e]);
      }
    }
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
#define TD_BY_TYPE(f) [](const auto& a) { a.dtype() == DType::f32 ? f<float>(a) : f<double>(a); }

}  // namespace

void add_ref_attention() {
  attention.add(DeviceType::cpu, "ref", TD_BY_TYPE(attend), supports<AttentionArgs>);
  attention_backward.add(DeviceType::cpu, "ref", TD_BY_TYPE(attend_backward), supports<AttentionGradArgs>);
}

}  // namespace tapedeck::kernels
