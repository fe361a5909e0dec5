// Exec: everything a kernel may use besides its arguments. Kernels never allocate.
#pragma once
#include <tapedeck/tensor/device.h>

#include <cstddef>
#include <cstdint>

namespace tapedeck::kernels {

struct Exec {
  Device device{};
  void* stream = nullptr;  // CUDA stream; nullptr on the CPU
};

// Scratch of this thread, at least `bytes`, 64-byte aligned; valid until this thread's next call for the same block. A
// slot's kernel asks once and divides the block itself; one that hands work to another asks for block 1, a matrix
// product for what its threads share for block 2. It grows and is kept, so that steady work allocates nothing.
void* workspace(std::size_t bytes, int block = 0);

}  // namespace tapedeck::kernels
