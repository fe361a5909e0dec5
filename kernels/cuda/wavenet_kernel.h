// What the host and the kernels of WaveNet generation agree on.
#pragma once
#include <tapedeck/kernels/cuda/wavenet.h>
#include <tapedeck/kernels/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

#define TD_POINT_LIST(X) TD_ACTIVATION_LIST(X) X(sin, Sin) X(cos, Cos) X(abs, Abs)
enum Kind {
  kIdentity,
#define TD_KIND(name, Name) k##Name,
  TD_POINT_LIST(TD_KIND)
#undef TD_KIND
};

using Message = unsigned long long;

struct Run {
  Network net;
  const Part* parts;
  const Layer* layers;
  const float4* weights;
  const float* table;
  float* state;
  Message* mail;  // nullptr: in shared memory
  float* logits;
  const std::int32_t* given;  // or nullptr
  const float* uniforms;
  std::int32_t* drawn;
  float temperature;
  int steps;
  unsigned tag;                 // of the first step
  unsigned long long position;  // codes taken in before
  int* error;
  int patience;
};

// Weights that never leave the registers: WaveNets of 64 channels, two layers to a block, blocks of 512 threads. Eight
// lanes have a channel: both halves of its gate, then the residual.
struct Fixed {
  static constexpr bool kHeld = true;
  static constexpr int kThreads = 512, kLayers = 2, kLanes = 3, kConvSteps = 4, kResidualSteps = 2, kUnroll = 1;
};
struct Any {
  static constexpr bool kHeld = false;
  static constexpr int kThreads = 512, kLayers = 1, kConvSteps = 1, kResidualSteps = 1, kUnroll = 4;
};

constexpr int whole16(int bytes) { return (bytes + 15) / 16 * 16; }
// One stream in a cluster (wavenet_chain.h): kCritical threads hand x on, kHelpers work ahead of them and behind.
template <int kWide, int kHeld>
struct ChainForm {
  static constexpr int kChannels = kWide, kLayers = kHeld, kSteps = kWide / 32, kUnroll = kWide == 64 ? 2 : 4,
                       kUnrollPast = kWide == 64 ? 1 : 4;
  static constexpr int kCritical = 4 * kWide, kHelpers = 2 * kWide, kThreads = kCritical + kHelpers;
  // Of shared memory: bytes before the mailbox; its elements that have a fixed place (y and x of the layer before, x of
  // each layer, sums of the helpers, y of the layers at the end), then floats (y and x of the layer before, y and x of
  // each layer, x of two steps, x as the helpers take it in, y of the layers at the end, sums of the past, rows of the
  // rings, biases of x, weights that registers do not hold).
  static constexpr int kMailAt =
      whole16(kHeld * static_cast<int>(sizeof(Layer))) + whole16(static_cast<int>(sizeof(Part)));
  static constexpr int kMailIn = 0, kMailInner = 2 * kWide, kMailSums = kMailInner + kHeld * kWide,
                       kMailTail = kMailSums + kHeld * 2 * kWide, kMailEnd = kMailTail + 2 * kHeld * kWide;
  static constexpr int kIn = 0, kY = 2 * kWide, kX = kY + kHeld * kWide, kTaken = kX + 2 * kHeld * kWide,
                       kTail = kTaken + kHeld * kWide, kAhead = kTail + 2 * kHeld * kWide,
                       kStart = kAhead + kHeld * 2 * kWide, kBias = kStart + 4, kSpareAt = kBias + kHeld * kWide,
                       kSpare = kWide == 64 ? kCritical * 4 : 0, kFloats = kSpareAt + kSpare;
};
using Chain64 = ChainForm<64, 2>;
using Chain32 = ChainForm<32, 4>;

using Kernel = void (*)(Run);
Kernel any_kernel();                // wavenet_any.cu
Kernel fixed_kernel();              // wavenet_fixed.cu
Kernel chain_kernel(int channels);  // wavenet_chain.cu

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
