// The emulated device runtime: what kernels/cuda/runtime.cu is for a real device. Copies and clears are checked.
#include "emulated_runtime.h"

#include <tapedeck/kernels/cuda/cuda.h>

#include <cstring>
#include <vector>

#include "emulated_memory.h"
#include "emulated_queues.h"

namespace tapedeck::kernels::cuda_emulated {
namespace {

void must_own(Device d, const void* p, std::size_t bytes, const char* what) {
  TD_CHECK(d.type == DeviceType::cpu || emulation::owned(d.index, p, bytes), DeviceError, what,
           ": memory that is not of ", to_string(d));
}
// What cannot be recorded: it would happen now, or read host memory later.
void not_recorded(Device d, const char* what) {
  TD_CHECK(d.type == DeviceType::cpu || !emulation::recording(d.index), DeviceError, "cuda: ", what, " on ",
           to_string(d), " cannot be part of a recorded step (replay.h)");
}
void copy(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  if (bytes == 0) return;
  must_own(to_device, to, bytes, "copy to"), must_own(from_device, from, bytes, "copy from");
  if (to_device == from_device)
    return emulation::enqueue(to_device.index, [=] {
      const emulation::OpenMemory open;
      std::memmove(to, from, bytes);
    });
  not_recorded(to_device, "a copy from elsewhere"), not_recorded(from_device, "a copy to elsewhere");
  if (from_device.type == DeviceType::cpu) {  // read before this returns
    const auto* p = static_cast<const char*>(from);
    return emulation::enqueue(to_device.index, [to, read = std::vector<char>(p, p + bytes)] {
      const emulation::OpenMemory open;
      std::memcpy(to, read.data(), read.size());
    });
  }
  if (to_device.type == DeviceType::cuda) emulation::finish(to_device.index, Queue::compute);
  emulation::finish(from_device.index, Queue::compute);
  const emulation::OpenMemory open;
  std::memcpy(to, from, bytes);
}
void zero(int index, void* p, std::size_t bytes) {
  if (bytes == 0) return;
  must_own({DeviceType::cuda, static_cast<std::int8_t>(index)}, p, bytes, "zero");
  emulation::enqueue(index, [=] {
    const emulation::OpenMemory open;
    std::memset(p, 0, bytes);
  });
}
void release(int index, void* p) {  // waits for the device, as cudaFree does
  emulation::finish(index);
  emulation::release(index, p);
}
void synchronize(int index) {
  not_recorded({DeviceType::cuda, static_cast<std::int8_t>(index)}, "waiting");
  emulation::finish(index, Queue::compute);
}

const DeviceRuntime table{"emulated cuda",
                          [] { return emulation::kDevices; },
                          emulation::allocate,
                          release,
                          copy,
                          zero,
                          synchronize,
                          [] { return ""; },
                          &emulation::queues};

}  // namespace

void check(cudaError_t, const char*) {}
const Limits& limits(Device) {
  static const Limits l{4, 200 << 10, 1024};
  return l;
}
cudaStream_t stream(Device) { return nullptr; }
unsigned* tickets(Device d) {
  static unsigned all[emulation::kDevices][kTickets];
  return all[d.index];
}
void make_current(Device) {}
int resident_clusters_any(Device, const void*, unsigned cluster, int, std::size_t) { return cluster <= 16 ? 2 : 0; }
void download(Device d, void* to, const void* from, std::size_t bytes) { copy(to, kCpu, from, d, bytes); }

void install() {
  set_runtime(DeviceType::cuda, &table);
  kernels::detail::install_cuda = register_kernels;
}

}  // namespace tapedeck::kernels::cuda_emulated
