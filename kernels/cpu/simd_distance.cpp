// Distances in f32: differences in double, their sums in 16 virtual lanes (of rows shorter than that, in order, with
// many rows side by side); gradients in the order of the other rows.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/distance.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_distance.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_lanes-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

HWY_INLINE double power_of(double x, double p) { return hn::GetLane(pow(D(x), D(p)).v); }

// What a difference d = |a - b| adds to a sum. NaN wins.
struct Square {
  HWY_INLINE D operator()(D acc, D d) const { return fma(d, d, acc); }
};
struct Plain {
  HWY_INLINE D operator()(D acc, D d) const { return acc + d; }
};
struct Count {
  HWY_INLINE D operator()(D acc, D d) const { return acc + select(d == d, select(d == D(0), d, D(1)), d); }
};
struct Larger {
  HWY_INLINE D operator()(D acc, D d) const { return select(d > acc, d, select(d == d, acc, d)); }
};
struct Power {
  double p;
  HWY_INLINE D operator()(D acc, D d) const { return acc + pow(d, D(p)); }
};

// step(lanes, |a - b|) over both rows; what is padded differs by 0.
template <class Step>
HWY_INLINE Lanes over_differences(const float* a, const float* b, std::int64_t n, const Step& step) {
  Lanes l(0);
  each_block(a, n, 0, [&](const Block& u, std::int64_t i, std::int64_t count) HWY_ATTR {
    each_block(b + i, count, 0, [&](const Block& v, std::int64_t, std::int64_t) HWY_ATTR {
      for (int k = 0; k < kParts; ++k) {
        l.low[k] = step(l.low[k], abs(lower(u.part[k]) - lower(v.part[k])));
        l.high[k] = step(l.high[k], abs(upper(u.part[k]) - upper(v.part[k])));
      }
    });
  });
  return l;
}
double largest_difference(const float* a, const float* b, std::int64_t n) {
  const Lanes top = over_differences(a, b, n, Larger());
  HWY_ALIGN double l[kBlock];
  top.store_to(l);
  double best = 0;
  for (const double v : l)
    if (v > best || v != v) best = best != best ? best : v;
  return best;
}

// The distances of row a from `rows` rows of b.
void distance_row(const float* a, const float* b, std::int64_t stride, std::int64_t rows, std::int64_t n, double p,
                  float* y) {
  for (std::int64_t r = 0; r < rows; ++r, b += stride) {
    double d;
    if (p == 2) {
      d = std::sqrt(over_differences(a, b, n, Square()).sum());
    } else if (p == 1) {
      d = over_differences(a, b, n, Plain()).sum();
    } else if (p == 0) {
      d = over_differences(a, b, n, Count()).sum();
    } else if (std::isinf(p)) {
      d = largest_difference(a, b, n);
    } else {
      d = power_of(over_differences(a, b, n, Power{p}).sum(), 1 / p);
    }
    y[r] = static_cast<float>(d);
  }
}

// For short rows: the distances of row a from `rows` others, one to a lane; t holds those side by side, element m of
// row r at t[m * spacing + r], with room for whole vectors.
template <class Step, class Finish>
HWY_INLINE void distance_lanes(const float* a, const float* t, std::int64_t spacing, std::int64_t rows, std::int64_t n,
                               float* y, const Step& step, const Finish& finish) {
  for (std::int64_t r = 0; r < rows; r += kLanes) {
    D low(0), high(0);
    for (std::int64_t m = 0; m < n; ++m) {
      const F v = load(t + m * spacing + r);
      const D x(static_cast<double>(a[m]));
      low = step(low, abs(x - lower(v))), high = step(high, abs(x - upper(v)));
    }
    const F d = narrow(finish(low), finish(high));
    rows - r < kLanes ? store_first(d, y + r, rows - r) : store(d, y + r);
  }
}
void distance_columns(const float* a, const float* t, std::int64_t spacing, std::int64_t rows, std::int64_t n, double p,
                      float* y) {
  const auto as_it_is = [](D total) HWY_ATTR { return total; };
  if (p == 2) {
    distance_lanes(a, t, spacing, rows, n, y, Square(), [](D total) HWY_ATTR { return sqrt(total); });
  } else if (p == 1) {
    distance_lanes(a, t, spacing, rows, n, y, Plain(), as_it_is);
  } else if (p == 0) {
    distance_lanes(a, t, spacing, rows, n, y, Count(), as_it_is);
  } else if (std::isinf(p)) {
    distance_lanes(a, t, spacing, rows, n, y, Larger(), as_it_is);
  } else {
    const double root = 1 / p;
    distance_lanes(a, t, spacing, rows, n, y, Power{p}, [=](D total) HWY_ATTR { return pow(total, D(root)); });
  }
}

// total[c] += f(a[c] - b[c]); total has room for whole vectors.
template <class Fn>
HWY_INLINE void add_slopes(double* total, const float* a, const float* b, std::int64_t n, const Fn& f) {
  const auto step = [&](F u, F v, double* to) HWY_ATTR {
    hn::StoreU((D(hn::LoadU(DD(), to)) + f(lower(u) - lower(v))).v, DD(), to);
    hn::StoreU((D(hn::LoadU(DD(), to + kLanes / 2)) + f(upper(u) - upper(v))).v, DD(), to + kLanes / 2);
  };
  std::int64_t c = 0;
  for (; c + kLanes <= n; c += kLanes) step(load(a + c), load(b + c), total + c);
  if (c < n) step(load_first(a + c, n - c), load_first(b + c, n - c), total + c);
}
// One row's part of the gradient: g d|a - b| / da, where the distance is y.
void add_gradient(double* total, const float* a, const float* b, std::int64_t n, double p, double g, double y) {
  const D zero(0), plus(g), minus(-g);
  const auto signed_g = [=](D d) HWY_ATTR { return select(d > zero, plus, select(d < zero, minus, zero)); };
  if (std::isinf(p)) {
    y = largest_difference(a, b, n);
    if (y == 0) return;
    const D top(y);
    const double ties =
        over_differences(a, b, n, [=](D acc, D d) HWY_ATTR { return acc + select(d == top, D(1), D(0)); }).sum();
    const D share(1 / ties);
    add_slopes(total, a, b, n, [=](D d) HWY_ATTR { return select(abs(d) == top, signed_g(d) * share, zero); });
  } else if (y == 0 || p == 0) {
    return;
  } else if (p == 2) {
    const D factor(g / y);
    add_slopes(total, a, b, n, [=](D d) HWY_ATTR { return d * factor; });
  } else if (p == 1) {
    add_slopes(total, a, b, n, signed_g);
  } else {
    const D inverse(1 / y), exponent(p - 1);
    add_slopes(total, a, b, n,
               [=](D d) HWY_ATTR { return select(d == zero, zero, signed_g(d) * pow(abs(d) * inverse, exponent)); });
  }
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

#define TD_TARGET(name) (use_avx512() ? N_AVX3::name : N_AVX2::name)

// f(b, i) for every row of x1.
template <class F>
void each_row(const TensorView& x1, const TensorView& x2, double p, F&& f) {
  const std::int64_t rows = x1.sizes[1], cost = p == 0 || p == 1 || p == 2 ? 1 : 16;
  parallel_for(x1.sizes[0] * rows, row_grain(x2.sizes[1] * (x1.sizes[2] + 16), cost),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
               });
}
template <class T>
T* row_of(const TensorView& x, std::int64_t b, std::int64_t r) {
  return x.ptr<T>() + b * x.strides[0] + r * x.strides[1];
}

constexpr std::int64_t kShort = 16;   // rows below this length go side by side
constexpr std::int64_t kSide = 1024;  // so many at a time

// Each task lays the other rows side by side once for each run of its own rows.
void short_distances(const CdistArgs& a) {
  const auto columns = TD_TARGET(distance_columns);
  const std::int64_t n = a.x1.sizes[2], p = a.x1.sizes[1], others = a.x2.sizes[1];
  const std::int64_t spacing = (std::min(others, kSide) + 15) / 16 * 16;
  const std::int64_t grain = std::max<std::int64_t>(16, row_grain(others * (n + 4)));
  parallel_for(a.x1.sizes[0] * p, grain, [&](std::int64_t begin, std::int64_t end) {
    auto* side = static_cast<float*>(workspace(static_cast<std::size_t>((n + 1) * spacing) * sizeof(float)));
    std::fill_n(side, (n + 1) * spacing, 0.0f);
    for (std::int64_t i = begin, next; i < end; i = next) {
      const std::int64_t b = i / p;
      next = std::min(end, (b + 1) * p);
      for (std::int64_t r = 0; r < others; r += kSide) {
        const std::int64_t count = std::min(kSide, others - r);
        for (std::int64_t k = 0; k < count; ++k)
          for (std::int64_t m = 0; m < n; ++m) side[m * spacing + k] = row_of<const float>(a.x2, b, r + k)[m];
        for (std::int64_t j = i; j < next; ++j)
          columns(row_of<const float>(a.x1, b, j % p), side, spacing, count, n, a.p, row_of<float>(a.y, b, j % p) + r);
      }
    }
  });
}

void distances(const CdistArgs& a) {
  if (a.x1.sizes[2] < kShort) return short_distances(a);
  const auto row = TD_TARGET(distance_row);
  each_row(a.x1, a.x2, a.p, [&](std::int64_t b, std::int64_t i) {
    row(row_of<const float>(a.x1, b, i), row_of<const float>(a.x2, b, 0), a.x2.strides[1], a.x2.sizes[1], a.x1.sizes[2],
        a.p, row_of<float>(a.y, b, i));
  });
}

void distances_grad(const CdistGradArgs& a) {
  const auto add = TD_TARGET(add_gradient);
  const std::int64_t n = a.x1.sizes[2];
  each_row(a.x1, a.x2, a.p, [&](std::int64_t b, std::int64_t i) {
    auto* total = static_cast<double*>(workspace(static_cast<std::size_t>(n + 16) * sizeof(double)));
    std::fill_n(total, n + 16, 0.0);
    const float *gy = row_of<const float>(a.gy, b, i), *y = row_of<const float>(a.y, b, i);
    for (std::int64_t r = 0; r < a.x2.sizes[1]; ++r)
      add(total, row_of<const float>(a.x1, b, i), row_of<const float>(a.x2, b, r), n, a.p, gy[r * a.gy.strides[2]],
          y[r * a.y.strides[2]]);
    float* gx = row_of<float>(a.gx1, b, i);
    for (std::int64_t c = 0; c < n; ++c) gx[c] = static_cast<float>(total[c]);
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 ? nullptr : "dtype is not f32";
}

}  // namespace

void add_simd_distance() {
  constexpr DeviceType cpu = DeviceType::cpu;
  cdist.add(cpu, "simd", distances, supports<CdistArgs>);
  cdist_backward.add(cpu, "simd", distances_grad, supports<CdistGradArgs>);
}

}  // namespace tapedeck::kernels
#endif
