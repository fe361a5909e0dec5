// All that a network computes for one time step of a few streams, in one call: products with weights that were packed
// once, in the order in which they are read, and what follows each. The same bits as matmul, conv1d and
// gated_activation on the same numbers.
#pragma once
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/team.h>

namespace tapedeck::kernels {

// A run of the contraction index that lies in one piece: x[r * row_stride + i] for i < length, r the row.
struct StepSegment {
  const float* x = nullptr;
  std::int64_t length = 0, row_stride = 0;
};

// What becomes of the sums of a product, s = x weight + bias.
enum class StepThen {
  store,  // y = s
  add,    // y = add + s
  gate,   // y = tanh(f) * sigmoid(g); the product has 2 n outputs, first all f, then all g
};

// x is the segments one behind the other (the taps of a ring buffer: nothing is copied together). Chains and chunks of
// 256 run over the contraction index through all segments.
struct StepProduct {
  static constexpr int kMaxSegments = 8;

  StepSegment x[kMaxSegments];
  int segments = 0;
  std::int64_t rows = 1, k = 0, n = 0;  // y [rows, n]; k: all segments together
  StepThen then = StepThen::store;
  bool bias = false;
  DType weights = DType::f32;  // or bf16: half of the bytes, the same products and sums
  const void* weight = nullptr;
  const float* add = nullptr;
  std::int64_t add_row = 0;  // from row to row
  float* y = nullptr;
  std::int64_t y_row = 0;
  // A product over the first indices of a longer one, which `then` is of: y is the bare sums, [rows, step_columns(p)],
  // without a bias.
  bool partial = false;
  // And the longer one, which goes on from such sums: weight and x are of the indices behind the first begun_k, which
  // are at most kMaxBegun (the sums are of one chunk).
  static constexpr std::int64_t kMaxBegun = 256;
  const float* begun = nullptr;
  std::int64_t begun_k = 0, begun_row = 0;
  // Outputs are shared out to this many threads; the weights of share i begin i * share_stride bytes behind the first.
  int shares = 1;
  std::int64_t share_stride = 0;
};

struct StepPart {
  StepProduct product;
  bool idle = false;  // nothing is done
  // Before it reads segments from `needs_from` on, all threads must have done the part of this index and those before.
  int needs = -1, needs_from = 0;
  // Instead of a product: the first thread calls this.
  void (*call)(void* with) = nullptr;
  void* with = nullptr;
};

struct StepsArgs {
  const StepPart* parts = nullptr;
  std::int64_t count = 0;
  Team* team = nullptr;  // of as many threads as all products have shares; nullptr: the caller alone
  DType dtype() const { return DType::f32; }
};
extern KernelSlot<StepsArgs> steps;

// Packs the weight [N,K] of a linear layer or [N,I,K] of a convolution (f32, any strides; N is n, or 2 n with a gate)
// and the bias [N] (when p.bias) to p.weight's form at `packed`, 64-byte aligned: as floats, or rounded to bf16. For a
// grouped convolution, one product per group.
void pack_step(const TensorView& weight, const TensorView& bias, const StepProduct& p, void* packed);
std::int64_t step_bytes(const StepProduct& p);    // of a share of packed weights
std::int64_t step_columns(const StepProduct& p);  // of packed weights, those behind the last output among them

}  // namespace tapedeck::kernels
