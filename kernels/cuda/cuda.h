// What every .cu file starts from: streams, launches, scratch memory of the device. nvcc compiles these files for the
// GPU; tests/cuda compiles the same files as host code (TAPEDECK_EMULATED), where a block's threads are fibers, so that
// the kernels themselves run in tests on any machine. They therefore keep to: launch() instead of <<< >>>, shuffles and
// votes of whole warps, __shared__ arrays without constructors, dynamic_shared() in cooperative kernels.
#pragma once
#ifdef TAPEDECK_EMULATED
#include <emulation.h>
#define TD_CUDA_NAMESPACE cuda_emulated
#else
#include <cuda_runtime.h>
#define TD_CUDA_NAMESPACE cuda
#endif
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/device.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/view.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// How a kernel is launched. Planned by pure functions (plan.h), so that plans are tested without a device.
struct Launch {
  unsigned grid[3] = {1, 1, 1};  // blocks; 0 in any dimension: nothing to do
  unsigned block[3] = {1, 1, 1};
  unsigned shared = 0;  // bytes of dynamic shared memory
  bool cooperative = false;
  unsigned cluster = 0;  // > 1: so many neighbouring blocks run side by side and reach each other's shared memory
};

// What launches and plans ask of a device.
struct Limits {
  int multiprocessors = 1;
  int shared_bytes = 48 << 10;  // of dynamic shared memory, at most, per block
  int threads = 1024;           // per block
};
const Limits& limits(Device d);

// The compute stream: one per device, so that freed memory may be used again at once (storage.h).
cudaStream_t stream(Device d);
void make_current(Device d);  // for this thread; cheap when it is already
// Throws DeviceError with CUDA's words when `code` is no success; `what` names what was tried.
void check(cudaError_t code, const char* what);

// Enqueues kernel(args...). DeviceError when it cannot be launched, with its sizes and the device's limits.
void launch_any(Device d, const Launch& l, const void* kernel, void** args);
template <class... P>
void launch(Device d, const Launch& l, void (*kernel)(P...), std::type_identity_t<P>... args) {
  if (l.grid[0] == 0 || l.grid[1] == 0 || l.grid[2] == 0) return;
#ifdef TAPEDECK_EMULATED
  emulation::enqueue(d.index, [l, kernel, args...] {
    emulation::run(l.grid, l.block, l.shared, {l.cooperative, l.cluster}, [&] { kernel(args...); });
  });
#else
  void* pointers[] = {const_cast<void*>(static_cast<const void*>(&args))..., nullptr};
  launch_any(d, l, reinterpret_cast<const void*>(kernel), pointers);
#endif
}
// Blocks of `kernel` with these sizes that run at the same time on one multiprocessor: what cooperative kernels need.
template <class... P>
int resident_blocks(Device d, void (*kernel)(P...), int threads, std::size_t shared) {
#ifdef TAPEDECK_EMULATED
  static_cast<void>(d), static_cast<void>(kernel), static_cast<void>(threads), static_cast<void>(shared);
  return 1;
#else
  make_current(d);
  int blocks = 0;
  check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(shared)),
        "asking for shared memory");
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared), "occupancy");
  return blocks;
#endif
}

// Clusters of `cluster` blocks that run at the same time on the whole device; 0 where there are none.
int resident_clusters_any(Device d, const void* kernel, unsigned cluster, int threads, std::size_t shared);
template <class... P>
int resident_clusters(Device d, void (*kernel)(P...), unsigned cluster, int threads, std::size_t shared) {
  return resident_clusters_any(d, reinterpret_cast<const void*>(kernel), cluster, threads, shared);
}

// Memory of the device for the kernels enqueued while it lives (and, in stream order, no longer).
class Scratch {
 public:
  Scratch() = default;
  Scratch(Device d, std::size_t bytes);
  ~Scratch();
  Scratch(Scratch&& o) noexcept;
  Scratch& operator=(Scratch&&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::size_t capacity_ = 0;
  Device device_{};
};
// A copy of host memory on the device; the source may be freed or changed when this returns.
Scratch upload(Device d, const void* from, std::size_t bytes);
// Copies to the host and waits until it is there.
void download(Device d, void* to, const void* from, std::size_t bytes);

// Counters at zero, kTickets of them, for kernels of the compute stream: each leaves them at zero.
inline constexpr int kTickets = 640;
unsigned* tickets(Device d);

// Dynamic shared memory of the running block.
template <class T>
__device__ inline T* dynamic_shared() {
#ifdef TAPEDECK_EMULATED
  return static_cast<T*>(emulation::dynamic_shared());
#else
  extern __shared__ __align__(16) unsigned char td_dynamic_shared[];
  return reinterpret_cast<T*>(td_dynamic_shared);
#endif
}

// The explicit list: each family adds its variants to its slots. One function per .cu file.
void add_elementwise();
void add_elementwise_backward();
void add_binary();
void add_copy();
void add_gate();
void add_optim();
void add_random();
void add_draws();
void add_matmul();
void add_reduce();
void add_extremes();
void add_softmax();
void add_conv();
void add_conv1d();
void add_conv_cudnn();  // behind those two
void add_index();
void add_index_sums();
void add_pool();
void add_interpolate();
void add_attention();
void add_ctc();
void add_mixture();
void add_wavenet();
void add_wavenet_layer();
void add_norm();
void add_scan();
void add_rnn();
void add_rnn_sequence();
void add_fft();
void add_fft_library();
void add_distance();
void add_sort();
void add_nonzero();

void register_kernels();  // all of them

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
