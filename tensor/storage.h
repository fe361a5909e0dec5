// Storage: a reference-counted block with a version counter; CachingAllocator: where blocks come from.
#pragma once
#include <tapedeck/tensor/device.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tapedeck {

// Memory of one device. In-place writes bump `version`, so that a saved tensor can tell that it changed.
// An alias is a part of another storage (a parameter in its arena) with a version of its own.
class Storage {
 public:
  static Storage* create(std::size_t bytes, Device device);                      // one reference; MemoryError
  static Storage* alias(Storage* owner, std::size_t offset, std::size_t bytes);  // one reference; keeps owner alive

  void retain() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() {  // the only holder needs no locked instruction: nobody else can take a reference
    if (unique() || refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  bool unique() const { return refs_.load(std::memory_order_acquire) == 1; }

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool is_alias() const { return owner_ != nullptr; }
  const Storage* owner() const { return owner_; }  // of an alias, else nullptr
  std::uint64_t version() const {  // a write to the whole changes its parts, a write to a part the part alone
    return version_.load(std::memory_order_relaxed) + (owner_ ? owner_->version() : 0);
  }
  void bump() { version_.fetch_add(1, std::memory_order_relaxed); }
  void tell_end() { watched_ = true; }  // detail::storage_ended is called when it dies

 private:
  Storage() = default;
  void destroy();
  std::atomic<std::int64_t> refs_{1};
  std::atomic<std::uint64_t> version_{0};
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t capacity_ = 0;
  Device device_{};
  Storage* owner_ = nullptr;
  bool watched_ = false;
};

namespace detail {
extern std::atomic<void (*)(const Storage&)> storage_ended;
}

struct MemoryStats {
  std::int64_t live_bytes = 0;       // in use now (rounded to the block sizes handed out)
  std::int64_t peak_live_bytes = 0;  // when several threads allocate: to about 1 MiB each
  std::int64_t cached_bytes = 0;     // kept for reuse
  std::int64_t live_blocks = 0;
  std::uint64_t allocations = 0;         // requests served, from the cache or not
  std::uint64_t device_allocations = 0;  // requests that went to the device runtime
  std::int64_t pinned_bytes = 0;         // host memory that uploads to this device go through
};
MemoryStats memory_stats(Device device = kCpu);
void reset_peak_memory(Device device = kCpu);
void empty_cache();  // gives cached blocks back to their runtimes (those of other threads' fronts stay)

namespace detail {
// Size classes: powers of two from 64 B to 1 MiB, then multiples of 1 MiB served best-fit up to twice the need.
// A freed block may be handed out again at once: all that uses it stands in the device's compute queue, in order.
void* cached_allocate(std::size_t bytes, Device device, std::size_t* capacity);  // MemoryError
void cached_release(void* p, std::size_t capacity, Device device);
// From now on every block comes from the device runtime at its exact size and goes back at once, so that a guarding
// runtime (or a sanitizer) sees each misuse. Once, before the first allocation.
void bypass_cache();

}  // namespace detail
}  // namespace tapedeck
