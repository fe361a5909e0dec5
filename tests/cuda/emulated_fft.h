// The emulated vendor's Fourier transforms.
#pragma once
#include <atomic>

namespace emulation {

extern std::atomic<bool> cufft_is_there;  // true unless a test says otherwise

}  // namespace emulation
