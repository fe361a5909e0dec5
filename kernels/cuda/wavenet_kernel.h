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
  static constexpr int kThreads = 512, kLayers = 2, kLanes = 3, kConvSteps = 4, kResidualSteps = 2, kUnroll = 2;
};
struct Any {
  static constexpr bool kHeld = false;
  static constexpr int kThreads = 512, kLayers = 1, kConvSteps = 1, kResidualSteps = 1, kUnroll = 4;
};

using Kernel = void (*)(Run);
Kernel any_kernel();    // wavenet_any.cu
Kernel fixed_kernel();  // wavenet_fixed.cu

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
