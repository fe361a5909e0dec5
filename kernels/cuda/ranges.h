// Ranges with the names of ops, for profilers: Nsight Systems shows them above the kernels that they started.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

struct RangeSink {
  void (*push)(const char* name);
  void (*pop)();
};
void show_ranges(const RangeSink* sink);  // around every kernel call from now on; nullptr: no more
// NVTX with TAPEDECK_NVTX=1, or when a profiler started this process and TAPEDECK_NVTX is not 0; else nullptr.
const RangeSink* wanted_ranges();

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
