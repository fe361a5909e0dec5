// What fft_vendor.cu does, in loops, with the library's ways: it destroys half spectra, and the imaginary parts that it
// leaves at both ends of half spectra are no zeros.
#include "emulated_fft.h"

#include <tapedeck/kernels/cuda/fft_stage.h>
#include <tapedeck/kernels/cuda/fft_vendor.h>

#include <cmath>
#include <vector>

std::atomic<bool> emulation::cufft_is_there{true};

namespace tapedeck::kernels::cuda_emulated {
namespace {

struct Call {
  FftRows rows;
  bool inverse;
  void *from, *to;
};

// One row of n numbers, forwards; roots of n.
std::vector<Pair<double>> transformed(const std::vector<Pair<double>>& x, const std::vector<Pair<double>>& roots) {
  const std::size_t n = x.size();
  std::vector<Pair<double>> y(n);
  for (std::size_t j = 0; j < n; ++j) {
    Pair<double> sum{0, 0};
    for (std::size_t k = 0, at = 0; k < n; ++k, at = at + j < n ? at + j : at + j - n) sum = sum + x[k] * roots[at];
    y[j] = sum;
  }
  return y;
}

template <class T>
void transform(Call c) {
  const FftRows& r = c.rows;
  const auto n = static_cast<std::size_t>(r.n), bins = n / 2 + 1;
  std::vector<Pair<double>> roots(n), x(n);
  for (std::size_t k = 0; k < n; ++k) roots[k] = root_of_unity<double>(static_cast<std::int64_t>(k), r.n);
  for (std::int64_t row = 0; row < r.rows; ++row) {
    if (r.kind == FftKind::to_half) {
      const T* from = static_cast<const T*>(c.from) + row * r.step;
      for (std::size_t k = 0; k < n; ++k) x[k] = {static_cast<double>(from[k]), 0};
      const std::vector<Pair<double>> y = transformed(x, roots);
      auto* to = static_cast<Pair<T>*>(c.to) + row * r.to_step;
      for (std::size_t k = 0; k < bins; ++k) to[k] = {static_cast<T>(y[k].re), static_cast<T>(y[k].im)};
      to[0].im = 1;
      if (n % 2 == 0) to[n / 2].im = -1;
      continue;
    }
    auto* from = static_cast<Pair<T>*>(c.from) + row * r.step;
    const bool half = r.kind == FftKind::from_half, back = half || c.inverse;
    for (std::size_t k = 0; k < n; ++k) {
      const Pair<T> v = from[half && 2 * k > n ? n - k : k];
      x[k] = {static_cast<double>(v.re), static_cast<double>(half && 2 * k > n ? -v.im : v.im)};
      if (half && (k == 0 || 2 * k == n) && v.im != 0) x[k].re = NAN;
      if (back) x[k] = swapped(x[k]);
    }
    const std::vector<Pair<double>> y = transformed(x, roots);
    if (half)
      for (std::size_t k = 0; k < bins; ++k) from[k] = {static_cast<T>(NAN), static_cast<T>(NAN)};
    for (std::size_t k = 0; k < n; ++k) {
      const Pair<double> v = back ? swapped(y[k]) : y[k];
      if (half)
        (static_cast<T*>(c.to) + row * r.to_step)[k] = static_cast<T>(v.re);
      else
        (static_cast<Pair<T>*>(c.to) + row * r.to_step)[k] = {static_cast<T>(v.re), static_cast<T>(v.im)};
    }
  }
}
void must(bool holds, const char* rule) { TD_CHECK(holds, ValueError, "fft_rows: ", rule); }

}  // namespace

const char* no_fft_library() { return emulation::cufft_is_there ? nullptr : "no cuFFT library is found"; }

void fft_rows(Device d, const FftRows& r, bool inverse, void* from, void* to) {
  const std::size_t number = r.dtype == DType::f64 ? 16 : 8;
  const std::int64_t half = r.n / 2 + 1;
  must(r.n >= 2 && r.n <= kMostFft && r.rows >= 1, "sizes must be 2 to kMostFft, and a row at least");
  must(r.dtype == DType::f32 || r.dtype == DType::f64, "f32 or f64");
  must(aligned(from, number) && aligned(to, number), "pointers must be at whole complex numbers");
  must(!inverse || r.kind == FftKind::complex, "only complex rows have an inverse");
  must(r.step >= (r.kind == FftKind::from_half ? half : r.n) && r.to_step >= (r.kind == FftKind::to_half ? half : r.n),
       "rows overlap");
  must(r.kind != FftKind::to_half || r.step % 2 == 0, "each real row must begin at a whole complex number");
  must(from != to || (r.kind == FftKind::complex && r.step == r.to_step) ||
           (r.kind == FftKind::to_half && r.step == 2 * r.to_step),
       "rows in place must begin where they end up");
  launch(d, Launch(), r.dtype == DType::f32 ? transform<float> : transform<double>, Call{r, inverse, from, to});
}

}  // namespace tapedeck::kernels::cuda_emulated
