// Discrete Fourier transforms of rows, of any length. A complex number is a pair (re, im): a trailing dimension of 2.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y[r, j] = scale * sum over k of x[r, k] e^(-+2 pi i j k / n), + when inverse. x, y [R, n, 2], contiguous.
struct FftArgs {
  TensorView x, y;
  bool inverse = false;
  double scale = 1;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<FftArgs> fft;

// The first n/2 + 1 of them for real rows, each times the window [n] (contiguous, or not given): x [P, R, n] with
// contiguous rows that may overlap, y [P R, n/2 + 1, 2], contiguous.
struct RfftArgs {
  TensorView x, window, y;
  const auto* row(std::int64_t r, const auto* data) const {
    return data + r / x.sizes[1] * x.strides[0] + r % x.sizes[1] * x.strides[1];
  }
  double scale = 1;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<RfftArgs> rfft;

// Real rows from their half spectra, without a division by n: x [R, n/2 + 1, 2], y [R, n], contiguous. The imaginary
// parts of the bins 0 and n/2 (n even) are ignored.
struct IrfftArgs {
  TensorView x, y;
  double scale = 1;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<IrfftArgs> irfft;

}  // namespace tapedeck::kernels
