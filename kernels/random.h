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

// y = low + floor(range * w / 2^64), w the 64-bit word of the element: words 2k and 2k+1 (low half first) of its row
// are element k's. Any number type; range 0 means 2^64.
struct IntegersArgs {
  TensorView y;
  RandomStream stream;
  std::int64_t low = 0;
  std::uint64_t range = 0;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<IntegersArgs> integers;

// y = 0 … n-1 in random order, i64 [n] contiguous: Fisher and Yates from the end, place i by the 64-bit word i of row
// 0.
struct PermutationArgs {
  TensorView y;
  RandomStream stream;
  DType dtype() const { return y.dtype; }
};
extern KernelSlot<PermutationArgs> permutation;

// S draws per row by the weights w [N, C] (>= 0, finite, rows contiguous), y i64 [N, S] contiguous; draw s of a row by
// the upper 53 bits of its 64-bit word s. Sums in double, in a binary tree whose shape depends on C alone. Without
// replacement a drawn weight counts no more; the op has seen to it that enough are positive.
struct MultinomialArgs {
  TensorView w, y;
  RandomStream stream;
  bool replacement = false;
  DType dtype() const { return w.dtype; }
};
extern KernelSlot<MultinomialArgs> multinomial;

// Rows of a [M, N], M <= N, f64 contiguous, become orthonormal in place: row i minus what rows before it span. (The Q
// of the QR decomposition of a's transpose, with a positive diagonal of R.)
struct OrthonormalArgs {
  TensorView a;
  DType dtype() const { return a.dtype; }
};
extern KernelSlot<OrthonormalArgs> orthonormal;

}  // namespace tapedeck::kernels
