// Random numbers by Philox: element e of row r of a stream depends on (key, r, e) alone.
#pragma once
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/random.h>

namespace tapedeck::kernels {

// y contiguous; row = index in dimension 0 (mapped through stream.rows), element = index inside the row; a 0-d y is one
// row. uniform: low + (high - low) * u. normal: mean low, standard deviation high (Box-Muller in f64 from two words per
// pair). bernoulli: 1 with probability low, else 0.
struct RandomArgs {
  TensorView y;
  RandomStream stream;
  double low = 0, high = 1;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<RandomArgs> uniform, normal, bernoulli;

// y = x * keep / (1 - p), keep = u >= p; x, y contiguous. The backward draws the same stream again.
struct DropoutArgs {
  TensorView x, y;
  RandomStream stream;
  double p = 0;
  DType dtype() const { return x.dtype; }
};
extern KernelSlot<DropoutArgs> dropout;

}  // namespace tapedeck::kernels
