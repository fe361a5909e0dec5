// WaveNet generation of one stream in a cluster, for networks of 32 and of 64 channels.
#include <tapedeck/kernels/cuda/wavenet_chain.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet {

Kernel chain_kernel(int channels) { return channels == 64 ? generate_chain<Chain64> : generate_chain<Chain32>; }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::wavenet
