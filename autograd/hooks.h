// Hooks on gradients: of any tensor that a tape follows, and of parameters once they are complete.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace tapedeck {

// Keeps a hook in place; the tensor lives as long.
class GradHook {
 public:
  GradHook() = default;
  GradHook(GradHook&&) = default;
  GradHook& operator=(GradHook&& o) noexcept {
    remove();
    entry_ = std::exchange(o.entry_, nullptr);
    return *this;
  }
  ~GradHook() { remove(); }
  void remove();

 private:
  friend struct HookTable;
  struct Entry;
  std::shared_ptr<Entry> entry_;
};

namespace detail {
using GradFn = std::function<Tensor(const Tensor&)>;
GradHook add_gradient_hook(const Tensor& x, GradFn hook);
}  // namespace detail

// Calls hook(gradient) each time a backward pass has the whole gradient of x, before it goes on to what x was made from
// or is added to the parameter x. What it returns (of the same shape and dtype) takes the gradient's place; nothing, or
// an undefined tensor, leaves it. x is a parameter, was watched, or comes from a recorded op (TapeError otherwise).
// Hooks of one tensor run in the order in which they were set. The gradient itself must not be written to.
template <class F>
[[nodiscard]] GradHook register_hook(const Tensor& x, F hook) {
  if constexpr (std::is_void_v<std::invoke_result_t<F&, const Tensor&>>) {
    return detail::add_gradient_hook(x, [hook = std::move(hook)](const Tensor& g) mutable {
      hook(g);
      return Tensor();
    });
  } else {
    return detail::add_gradient_hook(x, std::move(hook));
  }
}

// Calls hook(parameter) when backward() is done with the parameter: after its last use on the tape and on those that
// checkpoints replay, with its gradient in grad() (undefined when none arrived).
[[nodiscard]] GradHook register_post_accumulate_grad_hook(const Tensor& parameter,
                                                          std::function<void(const Tensor& parameter)> hook);

namespace detail {
inline constexpr std::uint8_t kGradientHook = 1, kReadyHook = 2;  // TensorImpl::hooks
Tensor run_gradient_hooks(const Tensor& x, Tensor gradient);      // the gradient that takes its place
void run_ready_hooks(const Tensor& parameter);
}  // namespace detail

}  // namespace tapedeck
