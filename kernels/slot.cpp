#include <tapedeck/kernels/cuda/install.h>
#include <tapedeck/kernels/registry.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/env.h>
#include <tapedeck/tensor/tensor.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

namespace tapedeck::kernels {
namespace {

std::vector<SlotBase*>& registered_slots() {
  static std::vector<SlotBase*> slots;
  return slots;
}

}  // namespace

void SlotBase::add_any(DeviceType d, const char* variant, AnyFn fn, AnyFn supports, const char* note) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  Table& table = table_[static_cast<int>(d)];
  const int n = table.count.load(std::memory_order_relaxed);
  for (int i = 0; i < n; ++i)
    TD_CHECK(std::strcmp(table.variants[i].name, variant) != 0, ValueError, name_, ": variant \"", variant,
             "\" is there already");
  TD_CHECK(n < kMaxVariants, ValueError, name_, ": at most ", kMaxVariants, " variants; no room for \"", variant, "\"");
  Variant& v = table.variants[n];
  v.name = variant, v.fn = fn, v.supports = supports, v.note = note;
  table.count.store(n + 1, std::memory_order_release);
}

void SlotBase::add_stamped(std::uint64_t stamp, const char* variant, AnyFn fn, AnyFn supports, const char* note) {
  TD_CHECK(stamp == stamp_, ValueError, name_, ": variant \"", variant,
           "\" takes other arguments than the slot's; use the struct of the slot's header, of this version");
  add_any(DeviceType::cpu, variant, fn, supports, note);
}

void SlotBase::use(DeviceType d, const std::string& variant) {
  detail::ensure_registered();
  Table& table = table_[static_cast<int>(d)];
  if (variant.empty()) return table.forced.store(-1, std::memory_order_relaxed);
  std::string known;
  for (int i = 0; i < table.count; ++i) {
    if (variant == table.variants[i].name) return table.forced.store(i, std::memory_order_relaxed);
    known += std::string(" ") + table.variants[i].name;
  }
  TD_FAIL(ValueError, "kernel ", name_, ": no variant \"", variant, "\" on this device; it has:", known);
}

std::string SlotBase::used(DeviceType d) const {
  const Table& table = table_[static_cast<int>(d)];
  const int forced = table.forced.load(std::memory_order_relaxed);
  return forced < 0 ? "" : table.variants[forced].name;
}

void SlotBase::refuse(DeviceType d, const std::vector<std::string>& reasons) const {
  std::string text;
  for (std::size_t i = 0; i < reasons.size(); ++i)
    text += std::string(i ? "; " : "") + variant_name(d, static_cast<int>(i)) + ": " + reasons[i];
  if (text.empty())
    text = d == DeviceType::cpu ? "none is registered" : "there is no CUDA kernel for it; use --device cpu";
  TD_FAIL(DeviceError, name_, ": no kernel variant takes these arguments (", text, ")");
}

namespace detail {

#ifdef TAPEDECK_HAS_CUDA
std::atomic<void (*)()> install_cuda{cuda::install};
#else
std::atomic<void (*)()> install_cuda{nullptr};
#endif
std::atomic<const char*> preferred{nullptr};

namespace {
constexpr int kMostWatchers = 8;
std::atomic<KernelWatch> watchers[kMostWatchers];
}  // namespace
std::atomic<bool> kernels_watched{false};

void watch_kernels(KernelWatch watch, bool on) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  std::vector<KernelWatch> all;
  for (const auto& w : watchers)
    if (w && w != watch) all.push_back(w);
  if (on) all.push_back(watch);
  TD_CHECK(all.size() <= kMostWatchers, ValueError, "watch_kernels: at most ", kMostWatchers, " can look on");
  for (std::size_t i = 0; i < kMostWatchers; ++i) watchers[i] = i < all.size() ? all[i] : nullptr;
  kernels_watched = !all.empty();
}

void run_watched(const char* slot, const char* variant, void (*call)(const void* with), const void* with) {
  KernelWatch looking[kMostWatchers];
  int n = 0;
  for (const auto& w : watchers)
    if (const KernelWatch watch = w) looking[n++] = watch;
  try {
    for (int i = 0; i < n; ++i) looking[i](slot, variant, KernelEvent::begins);
    call(with);
    while (n > 0) looking[--n](slot, variant, KernelEvent::done);
  } catch (...) {
    while (n > 0) looking[--n](slot, variant, KernelEvent::failed);
    throw;
  }
}

bool same_name(const char* a, const char* b) { return std::strcmp(a, b) == 0; }

void ensure_registered() {
  static std::atomic<bool> done{false};
  if (done.load(std::memory_order_acquire)) [[likely]]
    return;
  static std::recursive_mutex mutex;
  const std::lock_guard lock(mutex);
  static bool started = false;
  if (started) return;  // the list below is being run by this thread
  started = true;
  register_cpu_kernels(registered_slots());
  if (const auto install = install_cuda.load()) install();
  done.store(true, std::memory_order_release);
  const std::string plugins = env("TAPEDECK_PLUGINS");
  for (std::size_t at = 0, end; at < plugins.size(); at = end + 1) {
    end = std::min(plugins.find(':', at), plugins.size());
    if (end > at) load_plugin(plugins.substr(at, end - at));
  }
  if (const std::string text = env("TAPEDECK_KERNELS"); !text.empty()) select(text);
}

}  // namespace detail

const std::vector<SlotBase*>& all() {
  detail::ensure_registered();
  return registered_slots();
}

SlotBase& slot(const std::string& name) {
  std::string known;
  for (SlotBase* s : all()) {
    if (name == s->name()) return *s;
    known += std::string(" ") + s->name();
  }
  TD_FAIL(ValueError, "kernels: no slot is named \"", name, "\"; there are:", known);
}

void prefer(const std::string& variant) {
  if (variant.empty()) return detail::preferred.store(nullptr);
  for (SlotBase* s : all())
    for (int d = 0; d < kDeviceTypes; ++d)
      for (int i = 0; i < s->variant_count(static_cast<DeviceType>(d)); ++i) {
        const char* name = s->variant_name(static_cast<DeviceType>(d), i);
        if (variant == name) return detail::preferred.store(name);
      }
  TD_FAIL(ValueError, "kernels: no slot has a variant named \"", variant, "\"");
}

// On every device that has the variant.
static void force(SlotBase& s, const std::string& variant) {
  bool found = false;
  for (int d = 0; d < kDeviceTypes; ++d)
    for (int i = 0; i < s.variant_count(static_cast<DeviceType>(d)); ++i)
      if (variant == s.variant_name(static_cast<DeviceType>(d), i))
        s.use(static_cast<DeviceType>(d), variant), found = true;
  if (!found) s.use(DeviceType::cpu, variant);  // says which there are
}

void select(const std::string& text) {
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos)
      prefer(part);
    else
      force(slot(part.substr(0, equals)), part.substr(equals + 1));
    at = end + 1;
  }
}

void* workspace(std::size_t bytes, int block) {
  // Not from the cache of tensors: what one step takes from it for good, the next would have to ask the system for.
  struct Block {
    void* data = nullptr;
    std::size_t size = 0;
    ~Block() { std::free(data); }
  };
  thread_local Block blocks[3];
  Block& memory = blocks[block];
  if (memory.size < bytes) {
    const std::size_t size = (bytes + 63) / 64 * 64;
    void* const larger = std::aligned_alloc(64, size);
    TD_CHECK(larger, MemoryError, "workspace: the system has no ", size, " bytes; use smaller sizes or batches");
    std::free(std::exchange(memory.data, larger)), memory.size = size;
  }
  return memory.data;
}

}  // namespace tapedeck::kernels
