// Normalisation in f32. Statistics in double and in two passes: along one row in 16 virtual lanes; over many rows as
// sums of columns in chunks of fixed size, then over the group's channels in the same lanes. The mean is taken off in
// two parts, so that an offset costs nothing.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/norm.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_norm.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_lanes-inl.h>

#ifndef TAPEDECK_SIMD_NORM_ONCE
#define TAPEDECK_SIMD_NORM_ONCE
namespace tapedeck::kernels {

// What one set of statistics says to a loop over floats: d = (x - high) - low, times rstd.
struct Standard {
  double mean = 0, rstd = 1;
  float high = 0, low = 0, scale = 1;
  Standard() = default;
  Standard(double m, double variance, double eps)
      : mean(m),
        rstd(1 / std::sqrt(variance + eps)),
        high(static_cast<float>(m)),
        low(static_cast<float>(m - high)),
        scale(static_cast<float>(rstd)) {}
};

// Per channel, for parts with many rows; each array has room for whole vectors.
struct NormColumns {
  double *mean, *rstd;
  float *high, *low, *scale, *a, *b;
};

inline double fold_lanes(double* l) {
  for (int width = 8; width > 0; width /= 2)
    for (int i = 0; i < width; ++i) l[i] += l[i + width];
  return l[0];
}

}  // namespace tapedeck::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

// ---- one row --------------------------------------------------------------------------------------------------------
double row_sum(const float* x, std::int64_t n) {
  Lanes total(0);
  each_block(x, n, 0, [&](const Block& b, std::int64_t, std::int64_t) HWY_ATTR { total.add(b); });
  return total.sum();
}
double row_squares(const float* x, double mean, std::int64_t n) {
  Lanes total(0);
  const D m(mean);
  const std::int64_t whole = n / kBlock * kBlock;
  each_block(x, whole, 0, [&](const Block& b, std::int64_t, std::int64_t) HWY_ATTR {
    total.take(b, [m](D acc, D v) HWY_ATTR {
      const D d = v - m;
      return fma(d, d, acc);
    });
  });
  HWY_ALIGN double l[kBlock];
  total.store_to(l);
  for (std::int64_t i = whole; i < n; ++i) {
    const double d = x[i] - mean;
    l[i - whole] = std::fma(d, d, l[i - whole]);
  }
  return fold_lanes(l);
}

HWY_INLINE F off_mean(F x, F high, F low) { return (x - high) - low; }

// w, b may be null.
void norm_row(const float* x, const float* w, const float* b, float* y, std::int64_t n, const Standard& s) {
  const F high(static_cast<double>(s.high)), low(static_cast<double>(s.low)), scale(static_cast<double>(s.scale));
  const auto standard = [=](F v) HWY_ATTR { return off_mean(v, high, low) * scale; };
  if (w && b) {
    const float* const in[] = {x, w, b};
    each_vector<3>(in, y, n, [=](const F(&v)[3]) HWY_ATTR { return fma(standard(v[0]), v[1], v[2]); });
  } else if (w) {
    const float* const in[] = {x, w};
    each_vector<2>(in, y, n, [=](const F(&v)[2]) HWY_ATTR { return standard(v[0]) * v[1]; });
  } else if (b) {
    const float* const in[] = {x, b};
    each_vector<2>(in, y, n, [=](const F(&v)[2]) HWY_ATTR { return standard(v[0]) + v[1]; });
  } else {
    each_vector<1>(&x, y, n, [=](const F(&v)[1]) HWY_ATTR { return standard(v[0]); });
  }
}

// The sums of gy w and of gy w (x - mean); w may be null.
HWY_INLINE void grad_sums(const float* g, const float* x, const float* w, std::int64_t n, double mean, double& sum,
                          double& dot) {
  Lanes sums(0), dots(0);
  const D m(mean);
  const auto take = [&](const Block& u, const Block& v, const Block* f) HWY_ATTR {
    for (int k = 0; k < kParts; ++k) {
      D low = lower(u.part[k]), high = upper(u.part[k]);
      if (f) low = low * lower(f->part[k]), high = high * upper(f->part[k]);
      sums.low[k] = sums.low[k] + low, sums.high[k] = sums.high[k] + high;
      dots.low[k] = fma(low, lower(v.part[k]) - m, dots.low[k]);
      dots.high[k] = fma(high, upper(v.part[k]) - m, dots.high[k]);
    }
  };
  each_block(g, n, 0, [&](const Block& u, std::int64_t i, std::int64_t count) HWY_ATTR {
    each_block(x + i, count, 0, [&](const Block& v, std::int64_t, std::int64_t) HWY_ATTR {
      if (!w) return take(u, v, nullptr);
      each_block(w + i, count, 0, [&](const Block& f, std::int64_t, std::int64_t) HWY_ATTR { take(u, v, &f); });
    });
  });
  sum = sums.sum(), dot = dots.sum();
}
// gx = rstd gy w - shift - slope (x - mean) rstd
void norm_grad_row(const float* g, const float* x, const float* w, float* gx, std::int64_t n, const Standard& s,
                   bool centred) {
  double sum, dot;
  grad_sums(g, x, w, n, s.mean, sum, dot);
  const double terms = static_cast<double>(n);
  const F high(static_cast<double>(s.high)), low(static_cast<double>(s.low)), scale(static_cast<double>(s.scale));
  const F shift(centred ? sum / terms * s.rstd : 0), slope(dot / terms * s.rstd * s.rstd);
  const auto value = [=](F h, F v)
                         HWY_ATTR { return fma(-slope, off_mean(v, high, low) * scale, fma(h, scale, -shift)); };
  if (w) {
    const float* const in[] = {g, x, w};
    each_vector<3>(in, gx, n, [=](const F(&v)[3]) HWY_ATTR { return value(v[0] * v[2], v[1]); });
  } else {
    const float* const in[] = {g, x};
    each_vector<2>(in, gx, n, [=](const F(&v)[2]) HWY_ATTR { return value(v[0], v[1]); });
  }
}

// ---- many rows ------------------------------------------------------------------------------------------------------
HWY_INLINE D load_double(const double* p) { return D(hn::LoadU(DD(), p)); }

// sums[k * spacing + c] takes the k-th term of rows 0 … rows - 1, in order; a group of columns stays in registers.
// term(r, c, load, s) adds to the halves s[2k], s[2k + 1] of a vector of columns.
template <int kSums, int group, class Term, class Load>
HWY_INLINE void column_group(double* sums, std::int64_t spacing, std::int64_t c, std::int64_t rows, const Term& term,
                             const Load& load_n) {
  D s[group][2 * kSums];
  for (int v = 0; v < group; ++v)
    for (int k = 0; k < 2 * kSums; ++k)
      s[v][k] = load_double(sums + k / 2 * spacing + c + v * kLanes + k % 2 * (kLanes / 2));
  for (std::int64_t r = 0; r < rows; ++r)
    for (int v = 0; v < group; ++v) term(r, c + v * kLanes, load_n, s[v]);
  for (int v = 0; v < group; ++v)
    for (int k = 0; k < 2 * kSums; ++k)
      hn::StoreU(s[v][k].v, DD(), sums + k / 2 * spacing + c + v * kLanes + k % 2 * (kLanes / 2));
}
template <int kSums, class Term>
HWY_INLINE void each_column(double* sums, std::int64_t spacing, std::int64_t rows, std::int64_t n, const Term& term) {
  constexpr int group = kSums == 1 ? 4 : 2;
  const auto all = [](const float* p) HWY_ATTR { return load(p); };
  std::int64_t c = 0;
  for (; c + group * kLanes <= n; c += group * kLanes) column_group<kSums, group>(sums, spacing, c, rows, term, all);
  for (; c + kLanes <= n; c += kLanes) column_group<kSums, 1>(sums, spacing, c, rows, term, all);
  if (c == n) return;
  const std::int64_t rest = n - c;
  column_group<kSums, 1>(sums, spacing, c, rows, term, [rest](const float* p) HWY_ATTR { return load_first(p, rest); });
}

void sum_columns(double* sums, const float* x, std::int64_t stride, std::int64_t rows, std::int64_t n) {
  each_column<1>(sums, 0, rows, n, [=](std::int64_t r, std::int64_t c, const auto& load_n, D* s) HWY_ATTR {
    const F v = load_n(x + r * stride + c);
    s[0] = s[0] + lower(v), s[1] = s[1] + upper(v);
  });
}
void square_columns(double* sums, const double* mean, const float* x, std::int64_t stride, std::int64_t rows,
                    std::int64_t n) {
  each_column<1>(sums, 0, rows, n, [=](std::int64_t r, std::int64_t c, const auto& load_n, D* s) HWY_ATTR {
    const F v = load_n(x + r * stride + c);
    const D low = lower(v) - load_double(mean + c), high = upper(v) - load_double(mean + c + kLanes / 2);
    s[0] = fma(low, low, s[0]), s[1] = fma(high, high, s[1]);
  });
}
// The sums of gy and, `spacing` behind, of gy (x - mean) rstd; mean and rstd per column, or per row.
template <bool per_row>
void grad_columns(double* sums, std::int64_t spacing, const double* mean, const double* rstd, const float* g,
                  std::int64_t g_stride, const float* x, std::int64_t x_stride, std::int64_t rows, std::int64_t n) {
  each_column<2>(sums, spacing, rows, n, [=](std::int64_t r, std::int64_t c, const auto& load_n, D* s) HWY_ATTR {
    const F u = load_n(g + r * g_stride + c), v = load_n(x + r * x_stride + c);
    const auto standard = [=](D value, std::int64_t at) HWY_ATTR {
      if constexpr (per_row)
        return (value - D(mean[r])) * D(rstd[r]);
      else
        return (value - load_double(mean + at)) * load_double(rstd + at);
    };
    s[0] = s[0] + lower(u), s[1] = s[1] + upper(u);
    s[2] = fma(lower(u), standard(lower(v), c), s[2]);
    s[3] = fma(upper(u), standard(upper(v), c + kLanes / 2), s[3]);
  });
}

// y = (x - mean) a + b of one row
void norm_columns(const float* x, float* y, std::int64_t n, const NormColumns& k) {
  const float* const in[] = {x, k.high, k.low, k.a, k.b};
  each_vector<5>(in, y, n, [](const F(&v)[5]) HWY_ATTR { return fma(off_mean(v[0], v[1], v[2]), v[3], v[4]); });
}
// gx = gy a - shift - slope (x - mean) rstd of one row
void norm_grad_columns(const float* g, const float* x, float* gx, std::int64_t n, const NormColumns& k,
                       const float* slope, const float* shift) {
  const float* const in[] = {g, x, k.high, k.low, k.scale, k.a, slope, shift};
  each_vector<8>(in, gx, n, [](const F(&v)[8]) HWY_ATTR {
    return fma(-v[6], off_mean(v[1], v[2], v[3]) * v[4], fma(v[0], v[5], -v[7]));
  });
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

#define TD_TARGET(name) (use_avx512() ? N_AVX3::name : N_AVX2::name)

constexpr std::int64_t kCost = 4;           // of an element, in cheap ones
constexpr std::int64_t kRowChunk = 1024;    // rows that one task takes
constexpr std::int64_t kColumnBlock = 256;  // columns that one task takes
constexpr std::int64_t kOneThread = 65536;  // elements of a part that one thread takes alone

std::int64_t up(std::int64_t n) { return (n + 15) / 16 * 16; }

struct Extent {
  std::int64_t parts, rows, channels, groups, width, padded, chunks;
  Extent(const TensorView& x, const TensorView& stats)
      : parts(x.sizes[0]),
        rows(x.sizes[1]),
        channels(x.sizes[2]),
        groups(stats.sizes[1]),
        width(channels / groups),
        padded(up(channels)),
        chunks((rows + kRowChunk - 1) / kRowChunk) {}
  double terms() const { return static_cast<double>(rows * width); }
  // f(r) for every part: parts side by side when they are small, else one after the other with f's own threads.
  template <class F>
  void each_part(F&& f) const {
    const std::int64_t n = rows * channels;
    if (n > kOneThread) {
      for (std::int64_t r = 0; r < parts; ++r) f(r);
    } else {
      parallel_for(parts, row_grain(n, kCost), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t r = begin; r < end; ++r) f(r);
      });
    }
  }
  // f(chunk, first row, rows, first column, columns)
  template <class F>
  void each_task(F&& f) const {
    const std::int64_t blocks = (channels + kColumnBlock - 1) / kColumnBlock;
    parallel_for(chunks * blocks, row_grain(std::min(rows, kRowChunk) * std::min(channels, kColumnBlock)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     const std::int64_t k = i / blocks, s = k * kRowChunk, c = i % blocks * kColumnBlock;
                     f(k, s, std::min(kRowChunk, rows - s), c, std::min(kColumnBlock, channels - c));
                   }
                 });
  }
  template <class F>
  void each_row(F&& f) const {
    parallel_for(rows, row_grain(channels, kCost), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) f(s);
    });
  }
  // sums[c] += those of the other chunks, which lie `spacing` apart.
  void merge(double* sums, std::int64_t spacing, std::int64_t n) const {
    for (std::int64_t k = 1; k < chunks; ++k)
      for (std::int64_t c = 0; c < n; ++c) sums[c] += sums[k * spacing + c];
  }
  // The sum of v over the channels of group g.
  double fold(const double* v, std::int64_t g) const {
    if (width == 1) return v[g];
    alignas(64) double l[16] = {};
    for (std::int64_t i = 0; i < width; ++i) l[i % 16] += v[g * width + i];
    return fold_lanes(l);
  }
};

template <class T>
T* row_of(const TensorView& v, std::int64_t r, std::int64_t s) {
  return v.ptr<T>() + r * v.strides[0] + s * v.strides[1];
}
double* stats_of(const TensorView& stats, std::int64_t r) { return stats.ptr<double>() + r * stats.sizes[1] * 2; }
const float* optional(const TensorView& v, std::int64_t at = 0) { return v ? v.ptr<const float>() + at : nullptr; }

// Memory of a part: the sums of its chunks, then what stands per column.
struct Room {
  double* sums;
  NormColumns k;
  float* more[2];
  Room(const Extent& e, std::int64_t sums_of_chunk) {
    const std::int64_t p = e.padded, doubles = (e.chunks * sums_of_chunk + 2) * p;
    sums = static_cast<double*>(workspace(static_cast<std::size_t>(doubles + 4 * p) * sizeof(double)));
    k.mean = sums + e.chunks * sums_of_chunk * p, k.rstd = k.mean + p;
    float* f = reinterpret_cast<float*>(sums + doubles);
    k.high = f, k.low = f + p, k.scale = f + 2 * p, k.a = f + 3 * p, k.b = f + 4 * p;
    more[0] = f + 5 * p, more[1] = f + 6 * p;
  }
  void set(const Extent& e, const double* stats, double eps) const {
    for (std::int64_t g = 0, c = 0; g < e.groups; ++g) {
      const Standard s(stats[2 * g], stats[2 * g + 1], eps);
      for (; c < (g + 1) * e.width; ++c)
        k.mean[c] = s.mean, k.rstd[c] = s.rstd, k.high[c] = s.high, k.low[c] = s.low, k.scale[c] = s.scale;
    }
  }
};

void norm_single_rows(const GroupNormArgs& a, const Extent& e) {
  const auto sum = TD_TARGET(row_sum);
  const auto squares = TD_TARGET(row_squares);
  const auto row = TD_TARGET(norm_row);
  parallel_for(e.parts, row_grain(e.channels, kCost), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      double* stats = stats_of(a.stats, r);
      for (std::int64_t g = 0; g < e.groups; ++g) {
        const std::int64_t at = g * e.width;
        const float* x = row_of<const float>(a.x, r, 0) + at;
        const double mean = a.centred ? sum(x, e.width) / e.terms() : 0;
        const double variance = squares(x, mean, e.width) / e.terms();
        stats[2 * g] = mean, stats[2 * g + 1] = variance;
        row(x, optional(a.weight, at), optional(a.bias, at), row_of<float>(a.y, r, 0) + at, e.width,
            Standard(mean, variance, a.eps));
      }
    }
  });
}

void norm_part(const GroupNormArgs& a, const Extent& e, std::int64_t r) {
  const Room room(e, 1);
  const NormColumns& k = room.k;
  double* stats = stats_of(a.stats, r);
  const auto sums = [&](auto f) {
    std::fill_n(room.sums, e.chunks * e.padded, 0.0);
    e.each_task([&](std::int64_t chunk, std::int64_t s, std::int64_t rows, std::int64_t c, std::int64_t n) {
      f(room.sums + chunk * e.padded + c, row_of<const float>(a.x, r, s) + c, c, rows, n);
    });
    e.merge(room.sums, e.padded, e.channels);
  };
  const auto add = TD_TARGET(sum_columns);
  const auto add_squares = TD_TARGET(square_columns);
  for (std::int64_t g = 0; g < 2 * e.groups; ++g) stats[g] = 0;
  if (a.centred) {
    sums([&](double* to, const float* x, std::int64_t, std::int64_t rows, std::int64_t n) {
      add(to, x, a.x.strides[1], rows, n);
    });
    for (std::int64_t g = 0; g < e.groups; ++g) stats[2 * g] = e.fold(room.sums, g) / e.terms();
  }
  room.set(e, stats, a.eps);
  sums([&](double* to, const float* x, std::int64_t c, std::int64_t rows, std::int64_t n) {
    add_squares(to, k.mean + c, x, a.x.strides[1], rows, n);
  });
  for (std::int64_t g = 0; g < e.groups; ++g) stats[2 * g + 1] = e.fold(room.sums, g) / e.terms();
  room.set(e, stats, a.eps);
  const float *w = optional(a.weight), *b = optional(a.bias);
  for (std::int64_t c = 0; c < e.channels; ++c) {
    k.a[c] = static_cast<float>(k.rstd[c] * (w ? w[c] : 1));
    k.b[c] = b ? b[c] : 0;
  }
  const auto row = TD_TARGET(norm_columns);
  e.each_row([&](std::int64_t s) { row(row_of<const float>(a.x, r, s), row_of<float>(a.y, r, s), e.channels, k); });
}

void norm(const GroupNormArgs& a) {
  const Extent e(a.x, a.stats);
  if (e.rows == 1) return norm_single_rows(a, e);
  e.each_part([&](std::int64_t r) { norm_part(a, e, r); });
}

void grad_single_rows(const GroupNormGradArgs& a, const Extent& e) {
  const auto row = TD_TARGET(norm_grad_row);
  parallel_for(e.parts, row_grain(e.channels, kCost), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t g = 0; g < e.groups; ++g) {
        const std::int64_t at = g * e.width;
        const double* stats = stats_of(a.stats, r) + 2 * g;
        row(row_of<const float>(a.gy, r, 0) + at, row_of<const float>(a.x, r, 0) + at, optional(a.weight, at),
            row_of<float>(a.gx, r, 0) + at, e.width, Standard(stats[0], stats[1], a.eps), a.centred);
      }
  });
}

void grad_part(const GroupNormGradArgs& a, const Extent& e, std::int64_t r) {
  const Room room(e, 2);
  const NormColumns& k = room.k;
  room.set(e, stats_of(a.stats, r), a.eps);
  std::fill_n(room.sums, 2 * e.chunks * e.padded, 0.0);
  const auto columns = TD_TARGET(grad_columns<false>);
  e.each_task([&](std::int64_t chunk, std::int64_t s, std::int64_t rows, std::int64_t c, std::int64_t n) {
    columns(room.sums + 2 * chunk * e.padded + c, e.padded, k.mean + c, k.rstd + c, row_of<const float>(a.gy, r, s) + c,
            a.gy.strides[1], row_of<const float>(a.x, r, s) + c, a.x.strides[1], rows, n);
  });
  double *sum = room.sums, *dot = room.sums + e.padded;
  e.merge(sum, 2 * e.padded, e.channels), e.merge(dot, 2 * e.padded, e.channels);
  const float* w = optional(a.weight);
  for (std::int64_t c = 0; c < e.channels; ++c) {
    const double f = w ? w[c] : 1;
    sum[c] *= f, dot[c] *= f;
    k.a[c] = static_cast<float>(k.rstd[c] * f);
  }
  float *slope = room.more[0], *shift = room.more[1];
  for (std::int64_t g = 0; g < e.groups; ++g) {
    const std::int64_t c = g * e.width;
    const double rstd = k.rstd[c];
    std::fill_n(slope + c, e.width, static_cast<float>(e.fold(dot, g) / e.terms() * rstd));
    std::fill_n(shift + c, e.width, a.centred ? static_cast<float>(e.fold(sum, g) / e.terms() * rstd) : 0);
  }
  const auto row = TD_TARGET(norm_grad_columns);
  e.each_row([&](std::int64_t s) {
    row(row_of<const float>(a.gy, r, s), row_of<const float>(a.x, r, s), row_of<float>(a.gx, r, s), e.channels, k,
        slope, shift);
  });
}

void norm_grad(const GroupNormGradArgs& a) {
  const Extent e(a.x, a.stats);
  if (e.rows == 1) return grad_single_rows(a, e);
  e.each_part([&](std::int64_t r) { grad_part(a, e, r); });
}

// Tasks take chunks of the rows of all parts; in each, the rows of one part (or all of them, when every row has
// statistics of its own) at a time.
void param_grad(const GroupNormParamGradArgs& a) {
  const Extent e(a.x, a.stats);
  const bool per_row = e.rows == 1 && e.groups == 1;
  const std::int64_t total = e.parts * e.rows, chunks = (total + kRowChunk - 1) / kRowChunk;
  const std::int64_t blocks = (e.channels + kColumnBlock - 1) / kColumnBlock;
  double* sums = static_cast<double*>(workspace(static_cast<std::size_t>(2 * chunks * e.padded) * sizeof(double)));
  std::fill_n(sums, 2 * chunks * e.padded, 0.0);
  const auto by_row = TD_TARGET(grad_columns<true>), by_column = TD_TARGET(grad_columns<false>);
  parallel_for(chunks * blocks, row_grain(std::min(total, kRowChunk) * std::min(e.channels, kColumnBlock), kCost),
               [&](std::int64_t begin, std::int64_t end) {
                 alignas(64) double mean[kRowChunk], rstd[kRowChunk];
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t chunk = i / blocks, c = i % blocks * kColumnBlock;
                   const std::int64_t n = std::min(kColumnBlock, e.channels - c);
                   const std::int64_t last = std::min(total, (chunk + 1) * kRowChunk);
                   double* to = sums + 2 * chunk * e.padded + c;
                   for (std::int64_t at = chunk * kRowChunk, count; at < last; at += count) {
                     const std::int64_t r = at / e.rows, s = at % e.rows;
                     count = per_row ? last - at : std::min(last - at, e.rows - s);
                     for (std::int64_t j = 0; j < (per_row ? count : n); ++j) {
                       const double* stats =
                           per_row ? stats_of(a.stats, r + j) : stats_of(a.stats, r) + 2 * ((c + j) / e.width);
                       mean[j] = stats[0], rstd[j] = 1 / std::sqrt(stats[1] + a.eps);
                     }
                     const int step = per_row ? 0 : 1;
                     (per_row ? by_row : by_column)(to, e.padded, mean, rstd, row_of<const float>(a.gy, r, s) + c,
                                                    a.gy.strides[step], row_of<const float>(a.x, r, s) + c,
                                                    a.x.strides[step], count, n);
                   }
                 }
               });
  for (std::int64_t k = 1; k < chunks; ++k)
    for (std::int64_t c = 0; c < 2 * e.padded; ++c) sums[c] += sums[2 * k * e.padded + c];
  for (std::int64_t c = 0; c < e.channels; ++c) {
    if (a.gbias) a.gbias.ptr<float>()[c] = static_cast<float>(sums[c]);
    if (a.gweight) a.gweight.ptr<float>()[c] = static_cast<float>(sums[e.padded + c]);
  }
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}

}  // namespace

void add_simd_norm() {
  constexpr DeviceType cpu = DeviceType::cpu;
  group_norm.add(cpu, "simd", norm, supports<GroupNormArgs>);
  group_norm_backward.add(cpu, "simd", norm_grad, supports<GroupNormGradArgs>);
  group_norm_param_grad.add(cpu, "simd", param_grad, supports<GroupNormParamGradArgs>);
}

}  // namespace tapedeck::kernels
#endif
