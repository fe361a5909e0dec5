// Makes "cuda" mean two devices in host memory that run the kernels of kernels/cuda.
#pragma once

namespace tapedeck::kernels::cuda_emulated {

void install();  // before the first kernel call; in place of a real device

}  // namespace tapedeck::kernels::cuda_emulated
