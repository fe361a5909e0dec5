// How the CUDA backend joins the program. No CUDA header: slot.cpp includes this.
#pragma once

namespace tapedeck::kernels::cuda {

void install();  // the device runtime and every kernel

}  // namespace tapedeck::kernels::cuda
