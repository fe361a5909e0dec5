// Reductions, the softmax family and fused cross entropy.
#pragma once
#include <tapedeck/kernels/slot.h>

namespace tapedeck::kernels {

// y = reduction of x over `dims` (bit d set: dimension d of x). y has x's rank with size 1 at the reduced dimensions.
// Empty sums are 0, empty products 1; max/min of nothing is refused by the op. Integer and bool sums and products are
// i64 and wrap. NaN wins in max and min.
struct ReduceArgs {
  TensorView x, y;
  std::uint32_t dims = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<ReduceArgs> sum, prod, amax, amin;
extern KernelSlot<ReduceArgs> sum_squares;  // f32 and f64
extern KernelSlot<ReduceArgs> norm;         // f32 and f64: the square root of that, which overflows only by itself

// Index of the first largest (smallest) element along `dim`, NaN winning; y i64 with size 1 at dim.
struct ArgArgs {
  TensorView x, y;
  int dim = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<ArgArgs> argmax, argmin;

// Softmax family along the last dimension (the op moves it there); x, y: last dimension contiguous.
struct SoftmaxArgs {
  TensorView x, y;
  DType dtype() const { return x.dtype; }
};
struct SoftmaxGradArgs {
  TensorView gy, y, gx;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<SoftmaxArgs> softmax, log_softmax, logsumexp;  // logsumexp: y has size 1 there
extern KernelSlot<SoftmaxGradArgs> softmax_backward, log_softmax_backward;

// losses[i] = -log_softmax(x[i])[target[i]], 0 where target[i] == ignore_index. x [N, C] rows contiguous, target i64
// [N], losses [N]. Targets outside [0, C) that are not ignore_index are refused by the op before the call.
struct CrossEntropyArgs {
  TensorView x, target, losses;
  std::int64_t ignore_index = -100;
  DType dtype() const { return x.dtype; }
};
// gx[i] = g[i] * (softmax(x[i]) - one_hot(target[i])), 0 for ignored rows. g [N], stride 0 allowed.
struct CrossEntropyGradArgs {
  TensorView g, x, target, gx;
  std::int64_t ignore_index = -100;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<CrossEntropyArgs> cross_entropy;
extern KernelSlot<CrossEntropyGradArgs> cross_entropy_backward;

// Categorical draw per row: y[i] = the first class whose cumulative softmax(x[i] / temperature) exceeds u[i].
// temperature 0: argmax (first of equals). x [N, C] rows contiguous, u f32 [N], y i64 [N]. The sum runs in class order.
struct SampleArgs {
  TensorView x, u, y;
  double temperature = 1;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<SampleArgs> sample_categorical;

}  // namespace tapedeck::kernels
