#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/pool.h>
#include <tapedeck/tensor/reserve.h>
#include <tapedeck/tensor/upload.h>

#include <bit>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace tapedeck {
namespace {

constexpr std::size_t kSmallest = 64, kLargestClass = std::size_t{1} << 20;
constexpr int kClasses = 15;  // 2^6 .. 2^20
#ifdef TAPEDECK_SANITIZED
bool caching = false;  // every block goes back at once, so that a sanitizer sees each misuse
#else
bool caching = true;
#endif

int class_of(std::size_t capacity) { return std::countr_zero(capacity) - 6; }

std::size_t capacity_for(std::size_t bytes) {
  if (bytes <= kSmallest) return kSmallest;
  if (bytes <= kLargestClass) return std::bit_ceil(bytes);
  return (bytes + kLargestClass - 1) / kLargestClass * kLargestClass;
}

// The shared cache of one device.
class CachingAllocator {
 public:
  void* take(std::size_t* capacity) {
    const std::lock_guard lock(mutex_);
    if (*capacity <= kLargestClass) {
      auto& list = small_[class_of(*capacity)];
      if (list.empty()) return nullptr;
      void* p = list.back();
      list.pop_back();
      return p;
    }
    const auto hit = large_.lower_bound(*capacity);
    if (hit == large_.end() || hit->first >= 2 * *capacity) return nullptr;
    *capacity = hit->first;
    void* p = hit->second;
    large_.erase(hit);
    return p;
  }
  void put(void* p, std::size_t capacity) {
    const std::lock_guard lock(mutex_);
    if (capacity <= kLargestClass)
      small_[class_of(capacity)].push_back(p);
    else
      large_.emplace(capacity, p);
  }
  void clear(Device device) {
    const std::lock_guard lock(mutex_);
    const DeviceRuntime& rt = runtime(device.type);
    for (int c = 0; c < kClasses; ++c) {
      for (void* p : small_[c]) rt.release(device.index, p), cached -= static_cast<std::int64_t>(kSmallest << c);
      small_[c].clear();
    }
    for (auto& [capacity, p] : large_) rt.release(device.index, p), cached -= static_cast<std::int64_t>(capacity);
    large_.clear();
  }
  void raise_peak(std::int64_t to) {
    std::int64_t was = peak.load(std::memory_order_relaxed);
    while (to > was && !peak.compare_exchange_weak(was, to, std::memory_order_relaxed)) {
    }
  }
  // Blocks in use beyond the classes, by size: what an error of memory names.
  void hold(std::size_t capacity, int change) {
    if (capacity <= kLargestClass) return;
    const std::lock_guard lock(mutex_);
    if ((held_[capacity] += change) == 0) held_.erase(capacity);
  }
  std::string largest() {
    const std::lock_guard lock(mutex_);
    std::string text;
    int named = 0;
    for (auto at = held_.rbegin(); at != held_.rend() && named < 4; ++at, ++named)
      text += (named ? ", " : "; the largest blocks: ") + std::to_string(at->second) + " of " +
              std::to_string(at->first >> 20) + " MiB";
    return text;
  }
  std::atomic<std::int64_t> live{0}, peak{0}, cached{0}, blocks{0};
  std::atomic<std::uint64_t> allocations{0}, device_allocations{0};

 private:
  std::mutex mutex_;
  std::vector<void*> small_[kClasses];
  std::multimap<std::size_t, void*> large_;
  std::map<std::size_t, int> held_;
};

constexpr int kDevicesPerType = 10;
CachingAllocator& allocator(Device d) {
  // Never destroyed: tensors with static lifetime may outlive any static.
  static CachingAllocator* all = new CachingAllocator[kDeviceTypes * kDevicesPerType];
  return all[static_cast<int>(d.type) * kDevicesPerType + d.index];
}

// A number that one thread writes and others may read: no locked instruction.
template <class T>
class Tally {
 public:
  operator T() const { return value_.load(std::memory_order_relaxed); }
  void set(T v) { value_.store(v, std::memory_order_relaxed); }
  void add(T v) { set(*this + v); }
  T take() {
    const T v = *this;
    set(0);
    return v;
  }

 private:
  std::atomic<T> value_{0};
};

// A few small CPU blocks kept per thread, and what it has to add to the statistics: the common case takes no lock.
struct Front {
  static constexpr int kKept = 16, kFrontClasses = 11;  // up to 64 KiB
  static constexpr std::int64_t kMostApart = 1 << 20;   // bytes in use that the statistics do not know of yet
  void* blocks[kFrontClasses][kKept] = {};
  int count[kFrontClasses] = {};
  bool opened = false, dead = false;
  Tally<std::int64_t> live, high, cached, in_use;  // high: the most of live since it was settled
  Tally<std::uint64_t> allocations;
  void open() {
    const std::lock_guard lock(all().mutex);
    all().fronts.push_back(this);
    opened = true;
  }
  void close() {
    const std::lock_guard lock(all().mutex);
    std::erase(all().fronts, this);
    settle();
    dead = true;
    for (int c = 0; c < kFrontClasses; ++c)
      for (int i = 0; i < count[c]; ++i) allocator(kCpu).put(blocks[c][i], kSmallest << c);
    for (int& n : count) n = 0;
  }
  struct All {
    std::mutex mutex;
    std::vector<Front*> fronts;
  };
  static All& all() {
    static All* all = new All;
    return *all;
  }

  void made(std::int64_t bytes) {
    cached.add(-bytes), in_use.add(1), allocations.add(1);
    live.add(bytes);
    if (live > high) high.set(live);
    if (live > kMostApart) settle();
  }
  void freed(std::int64_t bytes) {
    cached.add(bytes), in_use.add(-1);
    live.add(-bytes);
    if (live < -kMostApart) settle();
  }
  void settle() {
    CachingAllocator& a = allocator(kCpu);
    const std::int64_t most = a.live + high.take();
    a.raise_peak(most);
    a.live += live.take(), a.cached += cached.take(), a.blocks += in_use.take(), a.allocations += allocations.take();
  }
};
constinit thread_local Front front;  // plain data: reaching it needs no look whether it was constructed

void open_front() {
  struct AtExit {
    ~AtExit() { front.close(); }
  };
  static thread_local AtExit at_exit;
  static_cast<void>(at_exit);
  front.open();
}
Front* front_for(Device device, std::size_t capacity) {
  if (device != kCpu || capacity > kSmallest << (Front::kFrontClasses - 1) || front.dead) return nullptr;
  if (!front.opened) [[unlikely]]
    open_front();
  return &front;
}

}  // namespace

namespace {
constinit thread_local detail::Reserve* open_reserve = nullptr;
}

namespace detail {

void bypass_cache() { caching = false; }

Reserve::~Reserve() {
  for (const auto& [wanted, block] : spare_) cached_release(block.p, block.capacity, device_);
}
Reserve::Open::Open(Reserve& r) : before_(std::exchange(open_reserve, &r)) {}
Reserve::Open::~Open() { open_reserve = before_; }

void* Reserve::take(std::size_t wanted, std::size_t* capacity) {
  const auto hit = spare_.find(wanted);
  if (hit == spare_.end()) return nullptr;
  const Block block = hit->second;
  spare_.erase(hit);
  out_[block.p] = wanted;
  *capacity = block.capacity;
  return block.p;
}
void Reserve::put(void* p, std::size_t capacity) {
  const auto mine = out_.find(p);
  spare_.emplace(mine == out_.end() ? capacity : mine->second, Block{p, capacity});
  if (mine != out_.end()) out_.erase(mine);
}

void* cached_allocate(std::size_t bytes, Device device, std::size_t* capacity) {
  TD_CHECK(bytes < (std::size_t{1} << 62), MemoryError, "allocate: ", bytes, " bytes is more than any machine has");
  *capacity = caching ? capacity_for(bytes) : bytes;
  if (Front* mine = caching ? front_for(device, *capacity) : nullptr) {
    const int c = class_of(*capacity);
    if (mine->count[c] > 0) {
      mine->made(static_cast<std::int64_t>(*capacity));
      return mine->blocks[c][--mine->count[c]];
    }
  }
  if (device != kCpu)
    TD_CHECK(device.index >= 0 && device.index < device_count(device.type), DeviceError, "device ", to_string(device),
             ": this machine has ", device_count(device.type), " usable CUDA devices; use an index below that");
  const std::size_t wanted = *capacity;
  Reserve* const reserve = open_reserve && open_reserve->device_ == device ? open_reserve : nullptr;
  if (reserve) [[unlikely]] {
    if (void* p = reserve->take(wanted, capacity)) return p;
    TD_CHECK(!reserve->strict_, DeviceError, "allocate: a recorded step works in the memory of the step before, and ",
             bytes, " bytes more were asked for");
  }
  CachingAllocator& a = allocator(device);
  void* p = caching ? a.take(capacity) : nullptr;
  if (p) a.cached.fetch_sub(static_cast<std::int64_t>(*capacity), std::memory_order_relaxed);
  if (!p) {
    const DeviceRuntime& rt = runtime(device.type);
    p = rt.allocate(device.index, *capacity);
    if (!p) {
      a.clear(device);
      p = rt.allocate(device.index, *capacity);
    }
    TD_CHECK(p, MemoryError, "allocate: ", *capacity, " bytes on ", to_string(device), " were refused with ",
             memory_stats(device).live_bytes, " bytes in use, ", memory_stats(device).cached_bytes, " cached, ",
             memory_stats(device).peak_live_bytes, " at the most so far", a.largest(),
             "; reduce the batch or the segment length");
    a.device_allocations.fetch_add(1, std::memory_order_relaxed);
  }
  if (device == kCpu && !front.dead) front.settle();
  a.allocations.fetch_add(1, std::memory_order_relaxed);
  a.blocks.fetch_add(1, std::memory_order_relaxed);
  a.hold(*capacity, 1);
  const auto more = static_cast<std::int64_t>(*capacity);
  a.raise_peak(a.live.fetch_add(more, std::memory_order_relaxed) + more);
  if (reserve) [[unlikely]]
    reserve->out_[p] = wanted;
  return p;
}

void cached_release(void* p, std::size_t capacity, Device device) {
  if (Front* mine = caching ? front_for(device, capacity) : nullptr) {
    const int c = class_of(capacity);
    if (mine->count[c] < Front::kKept) {
      mine->freed(static_cast<std::int64_t>(capacity));
      mine->blocks[c][mine->count[c]++] = p;
      return;
    }
  }
  if (open_reserve && open_reserve->device_ == device) [[unlikely]]
    return open_reserve->put(p, capacity);
  CachingAllocator& a = allocator(device);
  a.hold(capacity, -1);
  a.live.fetch_sub(static_cast<std::int64_t>(capacity), std::memory_order_relaxed);
  a.blocks.fetch_sub(1, std::memory_order_relaxed);
  if (!caching) return runtime(device.type).release(device.index, p);
  a.cached.fetch_add(static_cast<std::int64_t>(capacity), std::memory_order_relaxed);
  a.put(p, capacity);
}

}  // namespace detail

Storage* Storage::create(std::size_t bytes, Device device) {
  std::size_t capacity = 0;
  void* data = detail::cached_allocate(bytes, device, &capacity);
  auto* s = new (detail::Pool<Storage>::take()) Storage;
  s->data_ = data, s->bytes_ = bytes, s->capacity_ = capacity, s->device_ = device;
  return s;
}

Storage* Storage::alias(Storage* owner, std::size_t offset, std::size_t bytes) {
  TD_CHECK(offset <= owner->bytes_ && bytes <= owner->bytes_ - offset, ValueError, "alias: bytes ", offset, "+", bytes,
           " lie outside a storage of ", owner->bytes_);
  auto* s = new (detail::Pool<Storage>::take()) Storage;
  s->data_ = static_cast<char*>(owner->data_) + offset;
  s->bytes_ = bytes, s->device_ = owner->device_, s->owner_ = owner;
  owner->retain();
  return s;
}

std::atomic<void (*)(const Storage&)> detail::storage_ended{nullptr};

void Storage::destroy() {
  if (watched_) [[unlikely]]
    if (const auto tell = detail::storage_ended.load(std::memory_order_acquire)) tell(*this);
  if (owner_)
    owner_->release();
  else
    detail::cached_release(data_, capacity_, device_);
  this->~Storage();
  detail::Pool<Storage>::give(this);
}

// Other threads may be apart by kMostApart each, and have been higher meanwhile.
MemoryStats memory_stats(Device device) {
  CachingAllocator& a = allocator(device);
  if (device != kCpu)
    return {a.live, a.peak, a.cached, a.blocks, a.allocations, a.device_allocations, detail::pinned_bytes(device)};
  if (!front.dead) front.settle();
  const std::lock_guard lock(Front::all().mutex);
  MemoryStats s{a.live, 0, a.cached, a.blocks, a.allocations, a.device_allocations};
  for (const Front* f : Front::all().fronts) {
    s.live_bytes += f->live, s.cached_bytes += f->cached, s.live_blocks += f->in_use;
    s.allocations += f->allocations;
  }
  a.raise_peak(s.live_bytes);
  s.peak_live_bytes = a.peak;
  return s;
}

void reset_peak_memory(Device device) {
  const std::int64_t live = memory_stats(device).live_bytes;
  allocator(device).peak = live;
}

void empty_cache() {
  for (int c = 0; c < Front::kFrontClasses; ++c)
    while (front.count[c] > 0) allocator(kCpu).put(front.blocks[c][--front.count[c]], kSmallest << c);
  for (const DeviceType type : {DeviceType::cpu, DeviceType::cuda}) {
    for (std::int8_t i = 0; i < device_count(type) && i < kDevicesPerType; ++i) {
      allocator({type, i}).clear({type, i});
      detail::unpin_unused({type, i});
    }
  }
}

}  // namespace tapedeck
