// Reference distances: computed in double, rounded once.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/distance.h>

#include <cmath>
#include <vector>

namespace tapedeck::kernels {
namespace {

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}
#define TD_BY_TYPE(f) [](const auto& a) { a.dtype() == DType::f32 ? f<float>(a) : f<double>(a); }

template <class T>
double difference(const T* a, const T* b, std::int64_t i) {
  return static_cast<double>(a[i]) - b[i];
}

template <class T>
double distance(const T* a, const T* b, std::int64_t n, double p) {
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double d = std::fabs(difference(a, b, i));
    if (p == 0)
      total += d == 0 || d != d ? d : 1;
    else if (std::isinf(p))
      total = d > total || d != d ? d : total;
    else
      total += p == 1 ? d : p == 2 ? d * d : std::pow(d, p);
  }
  return p == 2 ? std::sqrt(total) : p == 0 || p == 1 || std::isinf(p) ? total : std::pow(total, 1 / p);
}

// f(b, p) for every row of x1.
template <class F>
void each_row(const TensorView& x1, const TensorView& x2, F&& f) {
  const std::int64_t rows = x1.sizes[1];
  parallel_for(x1.sizes[0] * rows, row_grain(x2.sizes[1] * x1.sizes[2], 4), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
  });
}
template <class T>
T* row_of(const TensorView& x, std::int64_t b, std::int64_t r) {
  return x.ptr<T>() + b * x.strides[0] + r * x.strides[1];
}

template <class T>
void distances(const CdistArgs& a) {
  const std::int64_t n = a.x1.sizes[2];
  each_row(a.x1, a.x2, [&](std::int64_t b, std::int64_t i) {
    for (std::int64_t r = 0; r < a.x2.sizes[1]; ++r)
      row_of<T>(a.y, b, i)[r] =
          static_cast<T>(distance(row_of<const T>(a.x1, b, i), row_of<const T>(a.x2, b, r), n, a.p));
  });
}

// d |difference|_p / d difference, the distance y being known.
double slope(double d, double y, double p) {
  if (y == 0 || d == 0 || p == 0) return 0;
  const double sign = d > 0 ? 1 : -1;
  return p == 1 ? sign : p == 2 ? d / y : sign * std::pow(std::fabs(d) / y, p - 1);
}

template <class T>
void distances_grad(const CdistGradArgs& a) {
  const std::int64_t n = a.x1.sizes[2];
  each_row(a.x1, a.x2, [&](std::int64_t b, std::int64_t i) {
    std::vector<double> total(static_cast<std::size_t>(n));
    const T* x1 = row_of<const T>(a.x1, b, i);
    for (std::int64_t r = 0; r < a.x2.sizes[1]; ++r) {
      const T* x2 = row_of<const T>(a.x2, b, r);
      const double g = row_of<const T>(a.gy, b, i)[r * a.gy.strides[2]];
      double y = row_of<const T>(a.y, b, i)[r * a.y.strides[2]], ties = 0;
      if (std::isinf(a.p)) {
        y = distance(x1, x2, n, a.p);
        for (std::int64_t c = 0; c < n; ++c) ties += std::fabs(difference(x1, x2, c)) == y;
      }
      for (std::int64_t c = 0; c < n; ++c) {
        const double d = difference(x1, x2, c);
        if (std::isinf(a.p))
          total[static_cast<std::size_t>(c)] += std::fabs(d) == y ? g * slope(d, y, 1) / ties : 0;
        else
          total[static_cast<std::size_t>(c)] += g * slope(d, y, a.p);
      }
    }
    for (std::int64_t c = 0; c < n; ++c) row_of<T>(a.gx1, b, i)[c] = static_cast<T>(total[static_cast<std::size_t>(c)]);
  });
}

}  // namespace

void add_ref_distance() {
  constexpr DeviceType cpu = DeviceType::cpu;
  cdist.add(cpu, "ref", TD_BY_TYPE(distances), supports<CdistArgs>);
  cdist_backward.add(cpu, "ref", TD_BY_TYPE(distances_grad), supports<CdistGradArgs>);
}

}  // namespace tapedeck::kernels
