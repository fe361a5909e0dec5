// The emulated vendor's library of layers.
#pragma once
#include <atomic>

namespace emulation {

extern std::atomic<bool> cudnn_is_there;  // true unless a test says otherwise

}  // namespace emulation
