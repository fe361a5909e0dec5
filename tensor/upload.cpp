#include <tapedeck/tensor/replay.h>
#include <tapedeck/tensor/upload.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

namespace tapedeck {
namespace {

// Pinned memory and the events of the copy that goes through it.
struct Pinned {
  void* p = nullptr;
  std::size_t capacity = 0;
  void* before = nullptr;  // in the compute queue: what may still use the tensor's memory
  void* done = nullptr;    // in the copy queue: it has read p
};

constexpr int kMostDevices = 10;
struct PinnedPool {
  std::mutex mutex;
  std::vector<Pinned> spare;
  std::int64_t bytes = 0;

  static PinnedPool& of(Device d) {
    static PinnedPool* const all = new PinnedPool[kMostDevices];  // never destroyed, as the cache of device memory
    return all[d.index];
  }
  Pinned take(Device d, const DeviceQueues& q, std::size_t wanted) {
    const std::lock_guard lock(mutex);
    const auto fits = [&](const Pinned& b) {  // nobody writes over what a copy has not read yet
      return b.capacity >= wanted && b.capacity / 4 <= wanted && q.passed(d.index, b.done);
    };
    if (const auto hit = std::find_if(spare.begin(), spare.end(), fits); hit != spare.end()) {
      const Pinned b = *hit;
      spare.erase(hit);
      return b;
    }
    Pinned b;
    b.capacity = std::bit_ceil(std::max<std::size_t>(wanted, 4096));
    b.p = q.pin(d.index, b.capacity);
    TD_CHECK(b.p, MemoryError, "upload: ", b.capacity, " bytes of pinned host memory were refused with ", bytes,
             " bytes in use; reduce the batch");
    b.before = q.make_event(d.index), b.done = q.make_event(d.index);
    bytes += static_cast<std::int64_t>(b.capacity);
    return b;
  }
  void put(const Pinned& b) {
    const std::lock_guard lock(mutex);
    spare.push_back(b);
  }
  void clear(Device d, const DeviceQueues& q) {
    const std::lock_guard lock(mutex);
    std::erase_if(spare, [&](const Pinned& b) {
      if (!q.passed(d.index, b.done)) return false;
      q.drop_event(d.index, b.before), q.drop_event(d.index, b.done);
      q.unpin(d.index, b.p);
      bytes -= static_cast<std::int64_t>(b.capacity);
      return true;
    });
  }
};

}  // namespace

struct Upload::State {
  Tensor there, here;                    // here: where the device has no queues of its own
  const DeviceQueues* queues = nullptr;  // of there
  Pinned pinned;
  std::size_t bytes = 0;
  bool started = false, waited = false;

  ~State() {
    if (!pinned.p) return;
    try {
      wait();                 // the tensor's memory goes back to what uses the compute queue
    } catch (const Error&) {  // a device that failed: the next call that waits for it says so
    }
    PinnedPool::of(device()).put(pinned);
  }
  Device device() const { return there.device(); }
  void wait() {
    if (!started || waited || !queues) return;
    queues->wait(device().index, Queue::compute, pinned.done);
    waited = true;
  }
};

namespace {
void not_recorded() {
  TD_CHECK(!recording(), DeviceError, "upload: uploads cannot be part of a recorded step (replay.h)");
}
}  // namespace

Upload::Upload(const Shape& shape, TensorOptions options) : state_(nullptr) {
  not_recorded();
  auto made = std::make_unique<State>();
  State& s = *made;
  s.there = empty(shape, options);
  s.bytes = static_cast<std::size_t>(s.there.numel()) * size_of(options.dtype);
  s.queues = runtime(options.device.type).queues;
  if (s.queues) {
    s.pinned = PinnedPool::of(options.device).take(options.device, *s.queues, s.bytes);
    s.queues->record(options.device.index, Queue::compute, s.pinned.before);
  } else {
    s.here = options.device == kCpu ? s.there : empty(shape, {options.dtype, kCpu});
  }
  state_ = made.release();
}

Upload::~Upload() { delete state_; }

const Shape& Upload::sizes() const { return state_->there.sizes(); }
DType Upload::dtype() const { return state_->there.dtype(); }

std::span<std::byte> Upload::bytes() {
  TD_CHECK(!state_->started, ValueError, "upload: its elements are on their way and cannot be written any more");
  return {static_cast<std::byte*>(state_->queues ? state_->pinned.p : state_->here.data()), state_->bytes};
}

void Upload::start() {
  State& s = *state_;
  TD_CHECK(!s.started, ValueError, "upload: it was started before");
  if (s.queues) {
    const int index = s.device().index;
    s.queues->wait(index, Queue::copy, s.pinned.before);
    s.queues->copy(index, s.there.data(), s.pinned.p, s.bytes);
    s.queues->record(index, Queue::copy, s.pinned.done);
  } else if (s.device() != kCpu) {
    runtime(s.device().type).copy(s.there.data(), s.device(), s.here.data(), kCpu, s.bytes);
  }
  s.started = true;
}

Tensor Upload::get() {
  not_recorded();
  if (!state_->started) start();
  state_->wait();
  return state_->there;
}

Upload upload(const Tensor& host, Device device) {
  TD_CHECK(host.device() == kCpu && host.is_contiguous(), ShapeError,
           "upload: needs a contiguous tensor on the CPU; make it so first", arg("x", host));
  Upload u(host.sizes(), {host.dtype(), device});
  const std::span<std::byte> to = u.bytes();
  if (!to.empty()) std::memcpy(to.data(), host.data(), to.size());
  u.start();
  return u;
}

std::int64_t detail::pinned_bytes(Device device) {
  PinnedPool& pool = PinnedPool::of(device);
  const std::lock_guard lock(pool.mutex);
  return pool.bytes;
}

void detail::unpin_unused(Device device) {
  if (const DeviceQueues* q = runtime(device.type).queues) PinnedPool::of(device).clear(device, *q);
}

}  // namespace tapedeck
