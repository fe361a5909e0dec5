// KernelSlot: the named variants of one kernel, per device, and the rule that picks one.
#pragma once
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/plugin.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/view.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tapedeck::kernels {

inline constexpr int kMaxVariants = 8;

namespace detail {
enum class KernelEvent : std::uint8_t { begins, done, failed };  // failed: it threw, or who looked at its end did
using KernelWatch = void (*)(const char* slot, const char* variant, KernelEvent event);
void watch_kernels(KernelWatch watch, bool on);  // told of every kernel; who came last is told of its end first
extern std::atomic<bool> kernels_watched;
void run_watched(const char* slot, const char* variant, void (*call)(const void* with), const void* with);
}  // namespace detail

// What is common to all slots: names, selection, counters. Slots are constant-initialised globals.
class SlotBase {
 public:
  constexpr SlotBase(const char* name, std::uint64_t stamp) : name_(name), stamp_(stamp) {}
  SlotBase(const SlotBase&) = delete;

  const char* name() const { return name_; }
  int variant_count(DeviceType d) const { return table_[static_cast<int>(d)].count.load(std::memory_order_acquire); }
  const char* variant_name(DeviceType d, int i) const { return table_[static_cast<int>(d)].variants[i].name; }
  const char* variant_note(DeviceType d, int i) const { return table_[static_cast<int>(d)].variants[i].note; }
  std::uint64_t calls(DeviceType d, int i, DType t) const {
    return table_[static_cast<int>(d)].variants[i].calls[static_cast<int>(t)].load(std::memory_order_relaxed);
  }
  // Forces a variant by name for all later calls; "" makes selection automatic again. ValueError lists the names.
  void use(DeviceType d, const std::string& variant);
  std::string used(DeviceType d) const;  // the forced variant, or ""

  using AnyFn = void (*)();
  // A plug-in's variant for the CPU; `stamp` is type_stamp of the arguments that it takes. ValueError when they are not
  // the slot's.
  void add_stamped(std::uint64_t stamp, const char* variant, AnyFn fn, AnyFn supports, const char* note);

 protected:
  struct Variant {
    const char* name = nullptr;
    AnyFn fn = nullptr;
    AnyFn supports = nullptr;
    const char* note = "";
    mutable std::atomic<std::uint64_t> calls[kDTypes] = {};
  };
  struct Table {
    Variant variants[kMaxVariants];
    std::atomic<int> count{0};
    std::atomic<int> forced{-1};
  };
  void add_any(DeviceType d, const char* variant, AnyFn fn, AnyFn supports, const char* note);
  [[noreturn, gnu::cold]] void refuse(DeviceType d, const std::vector<std::string>& reasons) const;

  const char* name_;
  std::uint64_t stamp_;
  Table table_[kDeviceTypes];
};

// Args: a struct of TensorViews and options with `DType dtype() const` (the type that selects the code path).
// Fn: void(const Args&). Supports: returns nullptr when the variant takes the arguments, else the reason in a few
// words.
template <class Args>
class KernelSlot : public SlotBase {
 public:
  using Fn = void (*)(const Args&);
  using Supports = const char* (*)(const Args&);
  explicit constexpr KernelSlot(const char* name) : SlotBase(name, type_stamp<Args>()) {}

  // Appends a variant; the first that supports the arguments is chosen. A variant of a user is inert until used.
  void add(DeviceType d, const char* variant, Fn fn, Supports supports = nullptr, const char* note = "") {
    add_any(d, variant, reinterpret_cast<AnyFn>(fn), reinterpret_cast<AnyFn>(supports), note);
  }

  void operator()(Device device, const Args& a) const;

 private:
  static const char* ask(const Variant& v, const Args& a) {
    return v.supports ? reinterpret_cast<Supports>(v.supports)(a) : nullptr;
  }
  void run(const Variant& v, const Args& a) const {
    auto& calls = v.calls[static_cast<int>(a.dtype())];  // several threads may lose a count: it tells used from unused
    calls.store(calls.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (!detail::kernels_watched.load(std::memory_order_relaxed)) [[likely]]
      return reinterpret_cast<Fn>(v.fn)(a);
    using Call = std::pair<Fn, const Args*>;
    const Call call{reinterpret_cast<Fn>(v.fn), &a};
    const auto make = [](const void* c) { static_cast<const Call*>(c)->first(*static_cast<const Call*>(c)->second); };
    detail::run_watched(name_, v.name, make, &call);
  }
};

// Scoped choice of a variant on the CPU (or another device): Use guard(kernels::conv1d, "ref");
class Use {
 public:
  Use(SlotBase& slot, const std::string& variant, DeviceType d = DeviceType::cpu)
      : slot_(slot), device_(d), before_(slot.used(d)) {
    slot.use(d, variant);
  }
  ~Use() { slot_.use(device_, before_); }
  Use(const Use&) = delete;

 private:
  SlotBase& slot_;
  DeviceType device_;
  std::string before_;
};

// All slots, in order of registration. Registration is an explicit list (kernels/cpu/register.cpp), run once on first
// use.
const std::vector<SlotBase*>& all();
SlotBase& slot(const std::string& name);  // ValueError with the nearest name
// Scoped preference over all slots: the named variant wherever a slot has one that supports the arguments, else the
// usual order. What TAPEDECK_KERNELS=eigen does for a whole process.
void prefer(const std::string& variant);  // "" ends it
// Applies a TAPEDECK_KERNELS text: "eigen" (preference) or "conv1d=ref,matmul=eigen" (forced). ValueError names the bad
// part.
void select(const std::string& text);
// Adds the variants of a plug-in (plugin.h). ValueError: not loadable, no plug-in, made for another ABI.
void load_plugin(const std::string& file);

namespace detail {
void ensure_registered();                     // cheap after the first call
extern std::atomic<void (*)()> install_cuda;  // called by the first; nullptr: this build has no CUDA kernels
extern std::atomic<const char*> preferred;    // variant name or nullptr
bool same_name(const char* a, const char* b);
}  // namespace detail

template <class Args>
void KernelSlot<Args>::operator()(Device device, const Args& a) const {
  detail::ensure_registered();
  const Table& table = table_[static_cast<int>(device.type)];
  if (const int forced = table.forced.load(std::memory_order_relaxed); forced >= 0) [[unlikely]] {
    const Variant& v = table.variants[forced];
    const char* why = ask(v, a);
    TD_CHECK(!why, DeviceError, name_, ": the forced variant \"", v.name, "\" refuses these arguments: ", why);
    return run(v, a);
  }
  const int count = table.count.load(std::memory_order_acquire);
  if (const char* preferred = detail::preferred.load(std::memory_order_relaxed); preferred) [[unlikely]] {
    for (int i = 0; i < count; ++i)
      if (detail::same_name(table.variants[i].name, preferred) && !ask(table.variants[i], a))
        return run(table.variants[i], a);
  }
  for (int i = 0; i < count; ++i)
    if (!ask(table.variants[i], a)) return run(table.variants[i], a);
  std::vector<std::string> reasons;
  for (int i = 0; i < count; ++i) reasons.emplace_back(ask(table.variants[i], a));
  refuse(device.type, reasons);
}

}  // namespace tapedeck::kernels
