// Scans: every element from those before it along one dimension. Any strides; each line is walked in order, and lines
// share the threads.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y = running sum, product or log of the sum of exponentials. `reverse`: from the end. Sums and products of integers
// and bools are i64 and wrap.
struct ScanArgs {
  TensorView x, y;
  int dim = 0;
  bool reverse = false;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<ScanArgs> cumsum, cumprod;
extern KernelSlot<ScanArgs> logcumsumexp;  // f32 and f64

// y (i64): the place of the largest (smallest) element so far, the last of equals; NaN wins from where it stands.
struct CumExtremeArgs {
  TensorView x, y;
  int dim = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<CumExtremeArgs> cummax, cummin;

// gx[k] = sum over i >= k of gy[i] exp(x[k] - y[i]), 0 where x is -inf. f32 and f64; every factor is at most 1.
struct LogcumsumexpGradArgs {
  TensorView gy, x, y, gx;
  int dim = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<LogcumsumexpGradArgs> logcumsumexp_backward;

// What gradients need, without divisions, so that zeros are right. f32 and f64, products in double.
// gx[k] = sum over i >= k of gy[i] times the product of x[0 … i] without x[k].
struct CumprodGradArgs {
  TensorView gy, x, gx;
  int dim = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<CumprodGradArgs> cumprod_backward;
// y[k] = the product of all x along dim but x[k].
extern KernelSlot<ScanArgs> product_of_others;
// y[k] = b[k] + a[k] y[k - 1]; `reverse`: y[k + 1]. The first a does not count.
struct RecurrenceArgs {
  TensorView a, b, y;
  int dim = 0;
  bool reverse = false;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<RecurrenceArgs> recurrence;

}  // namespace tapedeck::kernels
