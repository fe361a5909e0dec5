// WaveNet generation for networks of 64 channels: the layers' weights stay in registers.
#include <tapedeck/kernels/cuda/wavenet_block.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

Kernel fixed_kernel() { return generate_kernel<Fixed>; }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
