// The CUDA runtime behind tensor/device.h: devices, memory, copies, streams, launches.
#include <tapedeck/kernels/cuda/cuda.h>
#include <tapedeck/kernels/cuda/install.h>
#include <tapedeck/kernels/cuda/ranges.h>
#include <tapedeck/kernels/cuda/runtime.h>
#include <tapedeck/tensor/env.h>

#include <mutex>
#include <string>
#include <utility>

namespace tapedeck::kernels::cuda {
namespace {

constexpr int kMostDevices = 10;

struct State {
  std::once_flag once;
  cudaStream_t compute = nullptr;
  Limits limits;
  unsigned* tickets = nullptr;
};
State states[kMostDevices];
std::string why_none;  // what the driver said when it gave no device

// Any failure counts as no device: a build with CUDA works on a machine without a driver.
int count_devices() {
  static const int count = [] {
    int n = 0;
    const cudaError_t code = cudaGetDeviceCount(&n);
    if (code != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      why_none = cudaGetErrorString(code);
      return 0;
    }
    return n < kMostDevices ? n : kMostDevices;
  }();
  return count;
}
State& state(int index) {
  State& s = states[index];
  std::call_once(s.once, [&] {
    check(cudaSetDevice(index), "selecting the device");
    check(cudaStreamCreateWithFlags(&s.compute, cudaStreamNonBlocking), "making a stream");
    cudaDeviceProp p;
    check(cudaGetDeviceProperties(&p, index), "asking for the device's properties");
    s.limits = {p.multiProcessorCount, static_cast<int>(p.sharedMemPerBlockOptin), p.maxThreadsPerBlock};
    constexpr std::size_t kBytes = kTickets * sizeof(unsigned);
    check(cudaMalloc(&s.tickets, kBytes), "making counters");
    check(cudaMemsetAsync(s.tickets, 0, kBytes, s.compute), "making counters");
  });
  return s;
}

void* allocate(int index, std::size_t bytes) {
  make_current({DeviceType::cuda, static_cast<std::int8_t>(index)});
  void* p = nullptr;
  const cudaError_t code = cudaMalloc(&p, bytes == 0 ? 1 : bytes);
  if (code == cudaSuccess) return p;
  static_cast<void>(cudaGetLastError());
  TD_CHECK(code == cudaErrorMemoryAllocation, DeviceError, "allocate: ", bytes, " bytes on cuda:", index, ": ",
           cudaGetErrorString(code));
  return nullptr;
}
void release(int index, void* p) {
  if (cudaSetDevice(index) == cudaSuccess) static_cast<void>(cudaFree(p));  // at exit the driver may be gone already
  make_current({DeviceType::cuda, static_cast<std::int8_t>(index)});
}

thread_local struct {
  cudaStream_t stream = nullptr;
  int index = -1;
} recorded;

// What cannot be recorded: it would happen now, or read host memory later.
void not_recorded(Device d, const char* what) {
  TD_CHECK(!recording_stream(d), DeviceError, "cuda: ", what, " on ", to_string(d),
           " cannot be part of a recorded step (replay.h)");
}

void copy(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  if (bytes == 0) return;
  if (to_device.type == DeviceType::cpu) return download(from_device, to, from, bytes);
  if (from_device.type == DeviceType::cpu) {
    not_recorded(to_device, "a copy from the host");
    make_current(to_device);
    // Memory that is not pinned has been read when this returns.
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream(to_device)), "copying to the device");
  }
  if (to_device == from_device) {
    make_current(to_device);
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream(to_device)), "copying");
  }
  not_recorded(to_device, "a copy between devices"), not_recorded(from_device, "a copy between devices");
  // Between devices: behind what both have to do, and before what either does next.
  make_current(to_device);
  check(cudaStreamSynchronize(stream(to_device)), "waiting for the device");
  make_current(from_device);
  check(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, bytes, stream(from_device)),
        "copying between devices");
  check(cudaStreamSynchronize(stream(from_device)), "copying between devices");
}

// Why there is no device, or one line for each.
const char* about() {
  static const std::string text = [] {
    if (count_devices() == 0) return why_none;
    std::string lines;
    for (int i = 0; i < count_devices(); ++i) {
      cudaDeviceProp p;
      check(cudaGetDeviceProperties(&p, i), "asking for the device's properties");
      lines += tapedeck::detail::join({i ? "\n" : "", "cuda:", i, " ", p.name, ", ", p.totalGlobalMem >> 20, " MiB, ",
                                       p.multiProcessorCount, " multiprocessors, compute capability ", p.major, ".",
                                       p.minor});
    }
    return lines;
  }();
  return text.c_str();
}

void zero(int index, void* p, std::size_t bytes) {
  const Device d{DeviceType::cuda, static_cast<std::int8_t>(index)};
  make_current(d);
  if (bytes) check(cudaMemsetAsync(p, 0, bytes, stream(d)), "clearing memory");
}
void synchronize(int index) {
  const Device d{DeviceType::cuda, static_cast<std::int8_t>(index)};
  not_recorded(d, "waiting");
  make_current(d);
  check(cudaStreamSynchronize(stream(d)), "waiting for the device");
}

}  // namespace

const DeviceRuntime table{"cuda", count_devices, allocate, release, copy, zero, synchronize, about, &queues};

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) [[likely]]
    return;
  static_cast<void>(cudaGetLastError());  // what can be cleared is: the next call should tell of itself
  TD_FAIL(DeviceError, "cuda: ", what, ": ", cudaGetErrorString(code), " (", cudaGetErrorName(code),
          "); TAPEDECK_SYNC=1 names the op that did it");
}

const Limits& limits(Device d) { return state(d.index).limits; }
cudaStream_t stream(Device d) {
  const cudaStream_t recording = recording_stream(d);
  return recording ? recording : state(d.index).compute;
}
unsigned* tickets(Device d) { return state(d.index).tickets; }
cudaStream_t recording_stream(Device d) { return recorded.index == d.index ? recorded.stream : nullptr; }
void record_into(Device d, cudaStream_t s) { recorded.stream = s, recorded.index = s ? d.index : -1; }
void make_current(Device d) {
  int now = -1;
  if (cudaGetDevice(&now) != cudaSuccess || now != d.index) check(cudaSetDevice(d.index), "selecting the device");
}

namespace {
cudaLaunchConfig_t clustered(const Launch& l, cudaStream_t stream, cudaLaunchAttribute& cluster) {
  cluster = {};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = l.cluster, cluster.val.clusterDim.y = 1, cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t c = {};
  c.gridDim = {l.grid[0], l.grid[1], l.grid[2]}, c.blockDim = {l.block[0], l.block[1], l.block[2]};
  c.dynamicSmemBytes = l.shared, c.stream = stream, c.attrs = &cluster, c.numAttrs = 1;
  return c;
}
}  // namespace

int resident_clusters_any(Device d, const void* kernel, unsigned cluster, int threads, std::size_t shared) {
  make_current(d);
  const State& s = state(d.index);
  Launch l;
  l.grid[0] = cluster, l.block[0] = static_cast<unsigned>(threads);
  l.shared = static_cast<unsigned>(shared), l.cluster = cluster;
  cudaLaunchAttribute attribute;
  const cudaLaunchConfig_t c = clustered(l, s.compute, attribute);
  int count = 0;
  const bool known = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                          static_cast<int>(shared)) == cudaSuccess &&
                     cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1) == cudaSuccess &&
                     cudaOccupancyMaxActiveClusters(&count, kernel, &c) == cudaSuccess;
  if (known) return count;
  static_cast<void>(cudaGetLastError());  // a device before clusters
  return 0;
}

void launch_any(Device d, const Launch& l, const void* kernel, void** args) {
  make_current(d);
  const State& s = state(d.index);
  const cudaStream_t into = stream(d);
  if (l.shared > (48u << 10))  // more than that must be asked for
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(l.shared)),
          "asking for shared memory");
  const dim3 grid(l.grid[0], l.grid[1], l.grid[2]), block(l.block[0], l.block[1], l.block[2]);
  cudaError_t code = cudaSuccess;
  if (l.cluster > 1) {
    cudaLaunchAttribute cluster;
    const cudaLaunchConfig_t c = clustered(l, into, cluster);
    code = cudaFuncSetAttribute(kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1);
    if (code == cudaSuccess) code = cudaLaunchKernelExC(&c, kernel, args);
  } else if (l.cooperative) {
    code = cudaLaunchCooperativeKernel(kernel, grid, block, args, l.shared, into);
  } else {
    code = cudaLaunchKernel(kernel, grid, block, args, l.shared, into);
  }
  if (code == cudaSuccess) [[likely]]
    return;
  static_cast<void>(cudaGetLastError());
  TD_FAIL(DeviceError, "cuda: a kernel of ", l.grid[0], "x", l.grid[1], "x", l.grid[2], " blocks of ", l.block[0], "x",
          l.block[1], "x", l.block[2], " threads with ", l.shared,
          " bytes of shared memory was not launched: ", cudaGetErrorString(code), "; the device takes ",
          s.limits.threads, " threads and ", s.limits.shared_bytes, " bytes per block on ", s.limits.multiprocessors,
          " multiprocessors");
}

void download(Device d, void* to, const void* from, std::size_t bytes) {
  not_recorded(d, "a copy to the host");
  make_current(d);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream(d)), "copying to the host");
  check(cudaStreamSynchronize(stream(d)), "copying to the host");
}

namespace {

// Behind every kernel: wait for it, so that a fault is told where it happened.
void wait_for_kernel(const char* slot, const char* variant, kernels::detail::KernelEvent event) {
  if (event != kernels::detail::KernelEvent::done) return;
  for (State& s : states) {
    if (!s.compute) continue;
    const cudaError_t code = cudaStreamSynchronize(s.compute);
    if (code == cudaSuccess) continue;
    static_cast<void>(cudaGetLastError());
    TD_FAIL(DeviceError, slot, " (variant ", variant, "): ", cudaGetErrorString(code), " (", cudaGetErrorName(code),
            ")");
  }
}

}  // namespace

bool waits_for_kernels() {
  static const bool on = env("TAPEDECK_SYNC") == "1";
  return on;
}

void install() {
  register_kernels();
  show_ranges(wanted_ranges());
  if (waits_for_kernels()) kernels::detail::watch_kernels(wait_for_kernel, true);
}

}  // namespace tapedeck::kernels::cuda

namespace tapedeck {
const DeviceRuntime* cuda_runtime() { return &kernels::cuda::table; }
}  // namespace tapedeck
