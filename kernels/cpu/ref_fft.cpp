// Reference Fourier transforms: the sums as they are defined, in long double.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/fft.h>

#include <cmath>
#include <numbers>

namespace tapedeck::kernels {
namespace {

using Wide = long double;

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

// f(row, roots): roots[2k], roots[2k + 1] = cos and sin of 2 pi k / n.
template <class F>
void each_row(std::int64_t rows, std::int64_t n, F&& f) {
  parallel_for(rows, row_grain(n * n, 8), [&](std::int64_t begin, std::int64_t end) {
    auto* roots = static_cast<Wide*>(workspace(static_cast<std::size_t>(2 * n) * sizeof(Wide)));
    for (std::int64_t k = 0; k < n; ++k) {
      const Wide angle = 2 * std::numbers::pi_v<Wide> * static_cast<Wide>(k) / static_cast<Wide>(n);
      roots[2 * k] = std::cos(angle), roots[2 * k + 1] = std::sin(angle);
    }
    for (std::int64_t r = begin; r < end; ++r) f(r, roots);
  });
}

template <class T>
void complex_rows(const FftArgs& a) {
  const std::int64_t n = a.x.sizes[1];
  const Wide sign = a.inverse ? 1 : -1;
  each_row(a.x.sizes[0], n, [&](std::int64_t r, const Wide* roots) {
    const T* x = a.x.ptr<const T>() + 2 * n * r;
    T* y = a.y.ptr<T>() + 2 * n * r;
    for (std::int64_t j = 0; j < n; ++j) {
      Wide re = 0, im = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        const Wide c = roots[2 * (j * k % n)], s = sign * roots[2 * (j * k % n) + 1];
        re += x[2 * k] * c - x[2 * k + 1] * s, im += x[2 * k] * s + x[2 * k + 1] * c;
      }
      y[2 * j] = static_cast<T>(re * a.scale), y[2 * j + 1] = static_cast<T>(im * a.scale);
    }
  });
}

template <class T>
void real_rows(const RfftArgs& a) {
  const std::int64_t n = a.x.sizes[2], bins = n / 2 + 1;
  const T* window = a.window ? a.window.ptr<const T>() : nullptr;
  each_row(a.y.sizes[0], n, [&](std::int64_t r, const Wide* roots) {
    const T* x = a.row(r, a.x.ptr<const T>());
    T* y = a.y.ptr<T>() + 2 * bins * r;
    for (std::int64_t j = 0; j < bins; ++j) {
      Wide re = 0, im = 0;
      for (std::int64_t k = 0; k < n; ++k) {
        const Wide v = window ? static_cast<Wide>(x[k]) * window[k] : x[k];
        re += v * roots[2 * (j * k % n)], im -= v * roots[2 * (j * k % n) + 1];
      }
      const bool real = j == 0 || 2 * j == n;
      y[2 * j] = static_cast<T>(re * a.scale), y[2 * j + 1] = static_cast<T>(real ? 0 : im * a.scale);
    }
  });
}

template <class T>
void to_real_rows(const IrfftArgs& a) {
  const std::int64_t n = a.y.sizes[1], bins = n / 2 + 1;
  each_row(a.x.sizes[0], n, [&](std::int64_t r, const Wide* roots) {
    const T* x = a.x.ptr<const T>() + 2 * bins * r;
    T* y = a.y.ptr<T>() + n * r;
    for (std::int64_t k = 0; k < n; ++k) {
      Wide sum = x[0];
      for (std::int64_t j = 1; j < bins; ++j) {
        if (2 * j == n)
          sum += x[2 * j] * roots[2 * (j * k % n)];
        else
          sum += 2 * (x[2 * j] * roots[2 * (j * k % n)] - x[2 * j + 1] * roots[2 * (j * k % n) + 1]);
      }
      y[k] = static_cast<T>(sum * a.scale);
    }
  });
}

}  // namespace

void add_ref_fft() {
  constexpr DeviceType cpu = DeviceType::cpu;
  fft.add(
      cpu, "ref", [](const FftArgs& a) { a.dtype() == DType::f32 ? complex_rows<float>(a) : complex_rows<double>(a); },
      supports<FftArgs>);
  rfft.add(
      cpu, "ref", [](const RfftArgs& a) { a.dtype() == DType::f32 ? real_rows<float>(a) : real_rows<double>(a); },
      supports<RfftArgs>);
  irfft.add(
      cpu, "ref",
      [](const IrfftArgs& a) { a.dtype() == DType::f32 ? to_real_rows<float>(a) : to_real_rows<double>(a); },
      supports<IrfftArgs>);
}

}  // namespace tapedeck::kernels
