// Reference normalisation: computed in double, rounded once.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/norm.h>

#include <cmath>

namespace tapedeck::kernels {
namespace {

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
#define TD_BY_TYPE(f) [](const auto& a) { a.dtype() == DType::f32 ? f<float>(a) : f<double>(a); }

template <class T>
struct Cube {  // [R, S, C]
  T* data;
  std::int64_t part, row;
  explicit Cube(const TensorView& v) : data(v.ptr<T>()), part(v.strides[0]), row(v.strides[1]) {}
  T& operator()(std::int64_t r, std::int64_t s, std::int64_t c) const { return data[r * part + s * row + c]; }
};
struct Moments {
  double mean, variance;
  double rstd(double eps) const { return 1 / std::sqrt(variance + eps); }
};

struct Extent {
  std::int64_t parts, rows, channels, groups, width;  // width: channels of a group
  Extent(const TensorView& x, const TensorView& stats)
      : parts(x.sizes[0]), rows(x.sizes[1]), channels(x.sizes[2]), groups(stats.sizes[1]), width(channels / groups) {}
  double terms() const { return static_cast<double>(rows * width); }
  // f(r, g) for every set of statistics.
  template <class F>
  void each(F&& f) const {
    parallel_for(parts * groups, row_grain(rows * width, 4), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) f(i / groups, i % groups);
    });
  }
  // f(s, c) for every element of group g.
  template <class F>
  void walk(std::int64_t g, F&& f) const {
    for (std::int64_t s = 0; s < rows; ++s)
      for (std::int64_t c = g * width; c < (g + 1) * width; ++c) f(s, c);
  }
};
Moments moments_of(const TensorView& stats, std::int64_t r, std::int64_t g) {
  const double* p = stats.ptr<const double>() + (r * stats.sizes[1] + g) * 2;
  return {p[0], p[1]};
}

// Two passes, the second corrected by what the first mean was off.
template <class T>
void norm(const GroupNormArgs& a) {
  const Extent e(a.x, a.stats);
  const Cube<const T> x(a.x);
  const Cube<T> y(a.y);
  e.each([&](std::int64_t r, std::int64_t g) {
    Moments m{0, 0};
    double sum = 0, squares = 0;
    if (a.centred) {
      e.walk(g, [&](std::int64_t s, std::int64_t c) { sum += x(r, s, c); });
      m.mean = sum / e.terms(), sum = 0;
    }
    e.walk(g, [&](std::int64_t s, std::int64_t c) {
      const double d = x(r, s, c) - m.mean;
      sum += d, squares += d * d;
    });
    if (!a.centred) sum = 0;
    m.variance = std::fmax(squares - sum * sum / e.terms(), 0) / e.terms();
    if (squares != squares) m.variance = squares;
    m.mean += sum / e.terms();
    double* stats = a.stats.ptr<double>() + (r * e.groups + g) * 2;
    stats[0] = m.mean, stats[1] = m.variance;
    const double rstd = m.rstd(a.eps);
    e.walk(g, [&](std::int64_t s, std::int64_t c) {
      double v = (x(r, s, c) - m.mean) * rstd;
      if (a.weight) v *= a.weight.ptr<const T>()[c];
      if (a.bias) v += a.bias.ptr<const T>()[c];
      y(r, s, c) = static_cast<T>(v);
    });
  });
}

template <class T>
void norm_grad(const GroupNormGradArgs& a) {
  const Extent e(a.x, a.stats);
  const Cube<const T> x(a.x), gy(a.gy);
  const Cube<T> gx(a.gx);
  e.each([&](std::int64_t r, std::int64_t g) {
    const Moments m = moments_of(a.stats, r, g);
    const double rstd = m.rstd(a.eps);
    const auto scaled = [&](std::int64_t s, std::int64_t c) {
      return static_cast<double>(gy(r, s, c)) * (a.weight ? a.weight.ptr<const T>()[c] : T(1));
    };
    double sum = 0, dot = 0;
    e.walk(g, [&](std::int64_t s, std::int64_t c) {
      sum += scaled(s, c), dot += scaled(s, c) * ((x(r, s, c) - m.mean) * rstd);
    });
    sum = a.centred ? sum / e.terms() : 0, dot /= e.terms();
    e.walk(g, [&](std::int64_t s, std::int64_t c) {
      gx(r, s, c) = static_cast<T>((scaled(s, c) - sum - (x(r, s, c) - m.mean) * rstd * dot) * rstd);
    });
  });
}

template <class T>
void param_grad(const GroupNormParamGradArgs& a) {
  const Extent e(a.x, a.stats);
  const Cube<const T> x(a.x), gy(a.gy);
  parallel_for(e.channels, row_grain(e.parts * e.rows, 4), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      double weight = 0, bias = 0;
      for (std::int64_t r = 0; r < e.parts; ++r) {
        const Moments m = moments_of(a.stats, r, c / e.width);
        const double rstd = m.rstd(a.eps);
        for (std::int64_t s = 0; s < e.rows; ++s)
          bias += gy(r, s, c), weight += gy(r, s, c) * ((x(r, s, c) - m.mean) * rstd);
      }
      if (a.gweight) a.gweight.ptr<T>()[c] = static_cast<T>(weight);
      if (a.gbias) a.gbias.ptr<T>()[c] = static_cast<T>(bias);
    }
  });
}

}  // namespace

void add_ref_norm() {
  constexpr DeviceType cpu = DeviceType::cpu;
  group_norm.add(cpu, "ref", TD_BY_TYPE(norm), supports<GroupNormArgs>);
  group_norm_backward.add(cpu, "ref", TD_BY_TYPE(norm_grad), supports<GroupNormGradArgs>);
  group_norm_param_grad.add(cpu, "ref", TD_BY_TYPE(param_grad), supports<GroupNormParamGradArgs>);
}

}  // namespace tapedeck::kernels
