#include <tapedeck/autograd/hooks.h>
#include <tapedeck/autograd/tape.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace tapedeck {

struct GradHook::Entry {
  Entry(const Tensor& of, detail::GradFn hook, std::function<void(const Tensor&)> at_the_end)
      : tensor(of), gradient(std::move(hook)), ready(std::move(at_the_end)) {}
  Tensor tensor;
  detail::GradFn gradient;  // one of the two
  std::function<void(const Tensor&)> ready;
  std::atomic<bool> removed = false;  // by another hook of the same pass, perhaps
};

// The hooks of every tensor that has some. TensorImpl::hooks says so, so that the others need no look.
struct HookTable {
  using Entry = GradHook::Entry;
  using Entries = std::vector<std::shared_ptr<Entry>>;
  std::mutex mutex;
  std::unordered_map<const detail::TensorImpl*, Entries> of;

  static HookTable& all() {  // never destroyed: handles with static lifetime may outlive any static
    static HookTable* table = new HookTable;
    return *table;
  }
  Entries copy(const Tensor& x) {  // a hook may set and remove hooks
    const std::lock_guard lock(mutex);
    const auto found = of.find(x.impl());
    return found == of.end() ? Entries{} : found->second;
  }
  void mark(const Tensor& x, const Entries& entries) {
    std::uint8_t bits = 0;
    for (const auto& e : entries) bits |= e->gradient ? detail::kGradientHook : detail::kReadyHook;
    x.impl()->hooks = bits;
  }
  GradHook add(const Tensor& tensor, detail::GradFn gradient, std::function<void(const Tensor&)> ready) {
    const std::lock_guard lock(mutex);
    GradHook handle;
    handle.entry_ = std::make_shared<Entry>(tensor, std::move(gradient), std::move(ready));
    Entries& entries = of[handle.entry_->tensor.impl()];
    entries.push_back(handle.entry_);
    mark(handle.entry_->tensor, entries);
    return handle;
  }
  void remove(const std::shared_ptr<Entry>& entry) {
    const std::lock_guard lock(mutex);
    entry->removed = true;
    const auto found = of.find(entry->tensor.impl());
    std::erase(found->second, entry);
    mark(entry->tensor, found->second);
    if (found->second.empty()) of.erase(found);
  }
};

void GradHook::remove() {
  if (const auto entry = std::exchange(entry_, nullptr)) HookTable::all().remove(entry);
}

GradHook detail::add_gradient_hook(const Tensor& x, GradFn hook) {
  TD_CHECK(hook, ValueError, "register_hook: the hook is empty");
  TD_CHECK(Tape::follow(x), TapeError, "register_hook: x is no parameter, and no live tape of this thread follows it; ",
           "watch it, or make it from what is watched", arg("x", x));
  return HookTable::all().add(x, std::move(hook), {});
}

GradHook register_post_accumulate_grad_hook(const Tensor& parameter, std::function<void(const Tensor&)> hook) {
  TD_CHECK(hook, ValueError, "register_post_accumulate_grad_hook: the hook is empty");
  TD_CHECK(parameter.requires_grad(), TapeError, "register_post_accumulate_grad_hook: the tensor is no parameter; ",
           "set_requires_grad(true) first, or use register_hook()");
  return HookTable::all().add(parameter, {}, std::move(hook));
}

Tensor detail::run_gradient_hooks(const Tensor& x, Tensor gradient) {
  for (const auto& entry : HookTable::all().copy(x)) {
    if (!entry->gradient || entry->removed) continue;
    const Tensor result = entry->gradient(gradient);
    if (!result.defined()) continue;
    TD_CHECK(result.sizes() == gradient.sizes() && result.dtype() == gradient.dtype(), TapeError,
             "register_hook: a hook must return a gradient of the same shape and dtype, or nothing",
             arg("gradient", gradient), arg("returned", result));
    gradient = result;
  }
  return gradient;
}

void detail::run_ready_hooks(const Tensor& parameter) {
  for (const auto& entry : HookTable::all().copy(parameter))
    if (entry->ready && !entry->removed) entry->ready(parameter);
}

}  // namespace tapedeck
