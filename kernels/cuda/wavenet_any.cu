// WaveNet generation for any network: weights in shared memory, as much of them as fits, and in global memory.
#include <tapedeck/kernels/cuda/wavenet_block.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

Kernel any_kernel() { return generate_kernel<Any>; }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
