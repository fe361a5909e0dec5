// Fourier transforms of rows by the vendor's library, behind plain data; fft_vendor.cu speaks cuFFT, which it opens at
// run time.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>

#include <compare>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// n complex numbers to as many; n real ones to the first n / 2 + 1 complex ones; the way back.
enum class FftKind { complex, to_half, from_half };

// Rows of one kind of transform: what the library plans for.
struct FftRows {
  FftKind kind = FftKind::complex;
  DType dtype = DType::f32;            // or f64
  std::int64_t n = 2, rows = 1;        // n 2 to kMostFft, rows at least 1
  std::int64_t step = 0, to_step = 0;  // numbers from row to row (complex or real ones), at least as many as a row has
  auto operator<=>(const FftRows&) const = default;
};
inline constexpr std::int64_t kMostFft = std::int64_t{1} << 26;

// Why there is no such library here; nullptr: there is one. It is looked for at the first call.
const char* no_fft_library();

// Enqueues the transforms, unscaled; `inverse` is of complex rows alone. Both pointers are at whole complex numbers.
// `to` may be `from` where a row of it starts where one of `from` does; from_half destroys what it reads. The
// imaginary parts of the bins 0 and n / 2 (n even) must be 0 on the way back, and may be anything on the way there.
void fft_rows(Device d, const FftRows& rows, bool inverse, void* from, void* to);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
