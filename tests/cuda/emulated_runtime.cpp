// The emulated device runtime: what kernels/cuda/runtime.cu is for a real device. Copies and clears are checked.
#include "emulated_runtime.h"

#include <tapedeck/kernels/cuda/cuda.h>

#include <cstring>

#include "emulated_memory.h"

namespace tapedeck::kernels::cuda_emulated {
namespace {

void must_own(Device d, const void* p, std::size_t bytes, const char* what) {
  TD_CHECK(d.type == DeviceType::cpu || emulation::owned(d.index, p, bytes), DeviceError, what,
           ": memory that is not of ", to_string(d));
}
void copy(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  if (bytes == 0) return;
  must_own(to_device, to, bytes, "copy to"), must_own(from_device, from, bytes, "copy from");
  const emulation::OpenMemory open;
  std::memcpy(to, from, bytes);
}
void zero(int index, void* p, std::size_t bytes) {
  if (bytes == 0) return;
  must_own({DeviceType::cuda, static_cast<std::int8_t>(index)}, p, bytes, "zero");
  const emulation::OpenMemory open;
  std::memset(p, 0, bytes);
}

const DeviceRuntime table{"emulated cuda",
                          [] { return emulation::kDevices; },
                          emulation::allocate,
                          emulation::release,
                          copy,
                          zero,
                          [](int) {},
                          [] { return ""; }};

}  // namespace

void check(cudaError_t, const char*) {}
const Limits& limits(Device) {
  static const Limits l{4, 200 << 10, 1024};
  return l;
}
cudaStream_t stream(Device) { return nullptr; }
void make_current(Device) {}
int resident_clusters_any(Device, const void*, unsigned cluster, int, std::size_t) { return cluster <= 4 ? 2 : 0; }
void download(Device d, void* to, const void* from, std::size_t bytes) { copy(to, kCpu, from, d, bytes); }

void install() {
  set_runtime(DeviceType::cuda, &table);
  kernels::detail::install_cuda = register_kernels;
}

}  // namespace tapedeck::kernels::cuda_emulated
