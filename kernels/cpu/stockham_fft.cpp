// The default FFT kernels: rows by a plan of their length, in double, rounded once. A real row of even length is a
// complex one of half the length, whose spectrum is untangled.
#include <tapedeck/kernels/cpu/fft_plan.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/fft.h>

#include <utility>

namespace tapedeck::kernels {
namespace {

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

// f(row, x, scratch): x holds plan.size() complex numbers.
template <class F>
void each_row(const FftPlan& plan, std::int64_t rows, F&& f) {
  const std::int64_t n = plan.size();
  parallel_for(rows, row_grain(n, 40), [&](std::int64_t begin, std::int64_t end) {
    auto* room = static_cast<double*>(workspace(static_cast<std::size_t>(2 * n + plan.scratch()) * sizeof(double)));
    for (std::int64_t r = begin; r < end; ++r) f(r, Split{room, room + n}, room + 2 * n);
  });
}

template <class T>
void complex_rows(const FftArgs& a) {
  const std::int64_t n = a.x.sizes[1];
  const auto plan = fft_plan(n);
  each_row(*plan, a.x.sizes[0], [&](std::int64_t r, Split x, double* scratch) {
    const T* in = a.x.ptr<const T>() + 2 * n * r;
    T* out = a.y.ptr<T>() + 2 * n * r;
    if (a.inverse) std::swap(x.re, x.im);
    for (std::int64_t k = 0; k < n; ++k) x.re[k] = in[2 * k], x.im[k] = in[2 * k + 1];
    if (a.inverse) std::swap(x.re, x.im);
    Split y = plan->run(x, scratch);
    if (a.inverse) std::swap(y.re, y.im);
    for (std::int64_t k = 0; k < n; ++k) {
      out[2 * k] = static_cast<T>(y.re[k] * a.scale);
      out[2 * k + 1] = static_cast<T>(y.im[k] * a.scale);
    }
  });
}

template <class T>
void real_rows(const RfftArgs& a) {
  const std::int64_t n = a.x.sizes[2], bins = n / 2 + 1, half = n / 2;
  const bool even = n % 2 == 0;
  const auto plan = fft_plan(even ? half : n);
  const T* window = a.window ? a.window.ptr<const T>() : nullptr;
  each_row(*plan, a.y.sizes[0], [&](std::int64_t r, Split x, double* scratch) {
    const T* row = a.row(r, a.x.ptr<const T>());
    const auto in = [=](std::int64_t k) {
      return window ? static_cast<double>(row[k]) * static_cast<double>(window[k]) : static_cast<double>(row[k]);
    };
    T* out = a.y.ptr<T>() + 2 * bins * r;
    const auto put = [&](std::int64_t k, double re, double im) {
      out[2 * k] = static_cast<T>(re * a.scale), out[2 * k + 1] = static_cast<T>(im * a.scale);
    };
    if (!even) {
      for (std::int64_t k = 0; k < n; ++k) x.re[k] = in(k), x.im[k] = 0;
      const Split y = plan->run(x, scratch);
      put(0, y.re[0], 0);
      for (std::int64_t k = 1; k < bins; ++k) put(k, y.re[k], y.im[k]);
      return;
    }
    for (std::int64_t k = 0; k < half; ++k) x.re[k] = in(2 * k), x.im[k] = in(2 * k + 1);
    const Split z = plan->run(x, scratch);
    put(0, z.re[0] + z.im[0], 0), put(half, z.re[0] - z.im[0], 0);
    for (std::int64_t k = 1; k < half; ++k) {  // even samples e, odd ones o: y = e + w o
      const Root w = root_of_unity(k, n);
      const double er = 0.5 * (z.re[k] + z.re[half - k]), ei = 0.5 * (z.im[k] - z.im[half - k]);
      const double our = 0.5 * (z.im[k] + z.im[half - k]), oui = 0.5 * (z.re[half - k] - z.re[k]);
      put(k, er + (our * w.re + oui * w.im), ei + (oui * w.re - our * w.im));
    }
  });
}

template <class T>
void to_real_rows(const IrfftArgs& a) {
  const std::int64_t n = a.y.sizes[1], bins = n / 2 + 1, half = n / 2;
  const bool even = n % 2 == 0;
  const auto plan = fft_plan(even ? half : n);
  each_row(*plan, a.x.sizes[0], [&](std::int64_t r, Split x, double* scratch) {
    const T* in = a.x.ptr<const T>() + 2 * bins * r;
    T* out = a.y.ptr<T>() + n * r;
    const auto re = [in](std::int64_t k) { return static_cast<double>(in[2 * k]); };
    const auto im = [in](std::int64_t k) { return static_cast<double>(in[2 * k + 1]); };
    if (!even) {  // an inverse transform: re and im exchanged on both sides
      x.im[0] = re(0), x.re[0] = 0;
      for (std::int64_t k = 1; k < bins; ++k) {
        x.im[k] = x.im[n - k] = re(k);
        x.re[k] = im(k), x.re[n - k] = -im(k);
      }
      const Split y = plan->run(x, scratch);
      for (std::int64_t k = 0; k < n; ++k) out[k] = static_cast<T>(y.im[k] * a.scale);
      return;
    }
    x.im[0] = re(0) + re(half), x.re[0] = re(0) - re(half);
    for (std::int64_t k = 1; k < half; ++k) {  // the spectrum of even + i odd samples, each twice as large
      const Root w = root_of_unity(k, n);
      const double er = re(k) + re(half - k), ei = im(k) - im(half - k);
      const double dr = re(k) - re(half - k), di = im(k) + im(half - k);
      const double our = dr * w.re - di * w.im, oui = dr * w.im + di * w.re;
      x.im[k] = er - oui, x.re[k] = ei + our;
    }
    const Split y = plan->run(x, scratch);
    for (std::int64_t k = 0; k < half; ++k) {
      out[2 * k] = static_cast<T>(y.im[k] * a.scale);
      out[2 * k + 1] = static_cast<T>(y.re[k] * a.scale);
    }
  });
}

}  // namespace

void add_stockham_fft() {
  constexpr DeviceType cpu = DeviceType::cpu;
  fft.add(
      cpu, "stockham",
      [](const FftArgs& a) { a.dtype() == DType::f32 ? complex_rows<float>(a) : complex_rows<double>(a); },
      supports<FftArgs>);
  rfft.add(
      cpu, "stockham", [](const RfftArgs& a) { a.dtype() == DType::f32 ? real_rows<float>(a) : real_rows<double>(a); },
      supports<RfftArgs>);
  irfft.add(
      cpu, "stockham",
      [](const IrfftArgs& a) { a.dtype() == DType::f32 ? to_real_rows<float>(a) : to_real_rows<double>(a); },
      supports<IrfftArgs>);
}

}  // namespace tapedeck::kernels
