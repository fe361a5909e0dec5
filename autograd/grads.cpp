// How gradients gather: in their slot on the tape, or in the parameter that they belong to.
#include <tapedeck/autograd/hooks.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/tape.h>

namespace tapedeck {

using detail::running_rule;
using detail::Slot;

namespace {

bool uniquely_held(const Tensor& t) {
  return t.impl()->refs.load(std::memory_order_acquire) == 1 && t.impl()->storage->unique() && t.is_contiguous();
}

// Where a parameter's gradient goes: its arena segment, or a buffer of its own when it has none.
const Tensor& buffer_of(const Tensor& parameter) {
  if (!parameter.impl()->grad_buffer.defined())
    parameter.set_grad_buffer(empty(parameter.sizes(), parameter.options()));
  return parameter.impl()->grad_buffer;
}

void add_to(const Tensor& parameter, const Tensor& g) {
  const Tensor& buffer = buffer_of(parameter);
  parameter.has_grad() ? add_(buffer, g) : copy_(buffer, g);
  parameter.impl()->has_grad = true;
}

// Does a gradient go to the parameter at once? Hooks see it whole first, so it waits for them in the slot.
bool direct(const Slot& slot, bool keep) {
  return slot.kind == Slot::Kind::parameter && !keep && !(slot.tensor.impl()->hooks & detail::kGradientHook);
}

}  // namespace

bool Grads::wants(int input) const { return tape_.edges_[static_cast<std::size_t>(node_.first_edge + input)] >= 0; }
Shape Grads::shape(int input) const { return tape_.edge(node_.first_edge + input).shape; }
Tensor Grads::out(int output) const {
  return output == 0 ? first_ : tape_.edge(node_.first_edge + node_.inputs + output).grad;
}

Tensor Grads::over_gy() const {
  return !keep_ && !graph_ && !detail::watched() && uniquely_held(first_) ? first_ : empty_like(first_);
}

Tensor Grads::so_far(int input) const {
  if (!wants(input)) return {};
  const Slot& slot = tape_.edge(node_.first_edge + input);
  return direct(slot, keep_) ? slot.tensor.grad() : slot.grad;
}

void Grads::give(int input, Tensor g) {
  if (wants(input))
    tape_.accumulate(tape_.edges_[static_cast<std::size_t>(node_.first_edge + input)], std::move(g), keep_);
}

Grads::~Grads() {
  for (int i = 0; i < begun_count_; ++i) begun_[i]->has_grad = false;
}

Grads::Into Grads::into(int input) {
  TD_CHECK(!graph_, TapeError, running_rule, ": this rule has no second form; gradients of gradients cannot pass it");
  Slot& slot = tape_.edge(node_.first_edge + input);
  if (direct(slot, keep_)) {
    const Tensor& buffer = buffer_of(slot.tensor);
    const float beta = slot.tensor.has_grad() ? 1.f : 0.f;
    if (beta == 0 && begun_count_ < kMost) begun_[begun_count_++] = slot.tensor.impl();
    slot.tensor.impl()->has_grad = true;
    buffer.impl()->storage->bump();
    return {buffer, beta};
  }
  const float beta = slot.grad.defined() ? 1.f : 0.f;
  if (!slot.grad.defined())
    slot.grad = empty(slot.shape, slot.options);
  else if (!uniquely_held(slot.grad))
    slot.grad = clone(slot.grad);
  return {slot.grad, beta};
}

void Tape::accumulate(std::int32_t index, Tensor g, bool keep) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  TD_CHECK(g.defined() && g.sizes() == slot.shape && g.dtype() == slot.options.dtype, TapeError, running_rule,
           ": the rule gave a gradient ", describe(g), " for an input of shape ", to_string(slot.shape));
  if (direct(slot, keep)) {
    add_to(slot.tensor, g);
  } else if (!slot.grad.defined()) {
    slot.grad = std::move(g);
  } else if (!current() && uniquely_held(slot.grad)) {
    add_(slot.grad, g);
  } else {
    Tensor total = add(slot.grad, g);  // may record, and so move the slots
    slots_[static_cast<std::size_t>(index)].grad = std::move(total);
  }
}

// The last term has arrived: hooks see the sum and may replace it, and a parameter's goes where optimizers read it.
// While a tape around this one still walks towards an earlier use of the parameter, it is that tape's to complete.
void Tape::complete(std::int32_t index, bool keep) {
  const auto grad = [&]() -> Tensor& { return slots_[static_cast<std::size_t>(index)].grad; };
  const Slot& slot = slots_[static_cast<std::size_t>(index)];
  const Tensor x = slot.tensor;
  const bool lands = slot.kind == Slot::Kind::parameter && !keep;
  if (!x.impl()->hooks && !(lands && grad().defined())) return;
  for (Recording* r = lands ? outer_ : nullptr; r; r = r->outer_) {
    if (!r->tape_ || r->tape_->open_ == 0) continue;
    const std::int32_t there = r->tape_->slot_of(x, false);
    if (there < 0 || there >= r->tape_->open_) continue;
    if (grad().defined()) r->tape_->accumulate(there, std::move(grad()), false);
    return;
  }
  if (grad().defined() && x.impl()->hooks & detail::kGradientHook) {
    Tensor seen = detail::run_gradient_hooks(x, grad());
    grad() = std::move(seen);
  }
  if (!lands) return;
  if (grad().defined()) add_to(x, std::exchange(grad(), Tensor()));
  if (x.impl()->hooks & detail::kReadyHook) detail::run_ready_hooks(x);
}

}  // namespace tapedeck
