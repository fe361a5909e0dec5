// Memory of the emulated devices: out of reach of host code, with canaries round every block.
#pragma once
#include <cstddef>
#include <string>

namespace emulation {

inline constexpr int kDevices = 2;
#ifdef TAPEDECK_SANITIZED
inline constexpr bool kCached = false;  // tensor/ takes each block from the device and gives it back at once
#else
inline constexpr bool kCached = true;
#endif

// While one lives, this process may touch device memory: kernels and copies open it.
class OpenMemory {
 public:
  OpenMemory();
  ~OpenMemory();
  OpenMemory(const OpenMemory&) = delete;
};

void* allocate(int device, std::size_t bytes);  // nullptr when there is none left
void release(int device, void* p);
bool owned(int device, const void* p, std::size_t bytes);  // inside of one block of the device
bool on_device(const void* p);                             // of any of them
extern void (*on_violation)(const std::string& what);      // an overwritten canary, a foreign block, a race
void limit_memory(std::size_t bytes);                      // of one block: more is refused

}  // namespace emulation
