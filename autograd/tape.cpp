#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/tape.h>

#include <atomic>
#include <memory>
#include <optional>

namespace tapedeck {

// Of one thread. Those that outlive the thread are in no list any more.
struct RecordingList {
  Recording* innermost = nullptr;
  ~RecordingList() {
    for (; innermost; innermost = innermost->outer_) innermost->list_ = nullptr;
  }
};

namespace {

thread_local RecordingList recordings;
thread_local const char* running_rule = "";  // op whose rule is running, for error messages
std::atomic<std::uint64_t> next_tape_id{1};

bool uniquely_held(const Tensor& t) {
  return t.impl()->refs.load(std::memory_order_acquire) == 1 && t.impl()->storage->unique() && t.is_contiguous();
}

// Where a parameter's gradient goes: its arena segment, or a buffer of its own when it has none.
const Tensor& leaf_buffer(const Tensor& leaf) {
  if (!leaf.impl()->grad_buffer.defined()) leaf.set_grad_buffer(empty(leaf.sizes(), leaf.options()));
  return leaf.impl()->grad_buffer;
}

}  // namespace

// ---- Saved ----------------------------------------------------------------------------------------------------------
Saved save(const Tensor& x, const char* name) {
  Saved s;
  s.tensor_ = x;
  s.name_ = name;
  if (x.defined()) s.version_ = x.version();
  return s;
}

const Tensor& Saved::get() const {
  TD_CHECK(!tensor_.defined() || tensor_.version() == version_, TapeError, running_rule, ": saved input ", name_,
           " was modified in place (version ", version_, " -> ", tensor_.version(),
           "); run backward before writing to it", arg(name_, tensor_));
  return tensor_;
}

// ---- recording ------------------------------------------------------------------------------------------------------
Recording::Recording(Tape* tape) : tape_(tape), outer_(recordings.innermost), list_(&recordings) {
  recordings.innermost = this;
}

Recording::~Recording() {
  if (!list_) return;
  Recording** place = &list_->innermost;
  while (*place != this) place = &(*place)->outer_;
  *place = outer_;
}

TapeLists& Tape::spare() {
  thread_local TapeLists lists;
  return lists;
}

Tape::Tape() : Recording(this), id_(next_tape_id.fetch_add(1, std::memory_order_relaxed)) {
  std::swap(static_cast<TapeLists&>(*this), spare());
}

Tape::~Tape() {
  nodes_.clear(), edges_.clear(), slots_.clear();
  std::swap(static_cast<TapeLists&>(*this), spare());
}

Tape* Tape::current() { return recordings.innermost ? recordings.innermost->tape_ : nullptr; }

std::int32_t Tape::new_slot(const Tensor& x) {
  Slot& slot = slots_.emplace_back();
  slot.shape = x.sizes();
  slot.options = x.options();
  return static_cast<std::int32_t>(slots_.size() - 1);
}

// The gradient slot of x on this tape, or -1: outputs remember theirs, leaves are looked up.
std::int32_t Tape::slot_of(const Tensor& x, bool make_leaf) {
  if (!x.defined()) return -1;
  detail::TensorImpl* impl = x.impl();
  if (impl->tape == id_) return impl->slot;
  if (!impl->trainable && leaves_.empty()) return -1;
  if (const auto hit = leaves_.find(impl); hit != leaves_.end()) return hit->second;
  if (!impl->trainable || !make_leaf) return -1;
  const std::int32_t slot = new_slot(x);
  slots_.back().leaf = x;
  slots_.back().parameter = true;
  leaves_.emplace(impl, slot);
  return slot;
}

void Tape::watch(const Tensor& x) {
  TD_CHECK(!consumed_, TapeError, "watch: this tape was consumed by backward(); watch on a new Tape");
  TD_CHECK(is_real(x.dtype()), DTypeError, "watch: only real tensors have gradients", arg("x", x));
  TD_CHECK(x.impl()->tape != id_ && !leaves_.contains(x.impl()), TapeError,
           "watch: x is on this tape already; watch it before use", arg("x", x));
  const std::int32_t slot = new_slot(x);
  slots_.back().leaf = x;
  leaves_.emplace(x.impl(), slot);
}

bool is_recorded(const Tensor& x) {
  const Tensor* one[] = {&x};
  return record_wanted(one) && !Tape::current()->consumed_;
}

bool record_wanted(std::span<const Tensor* const> inputs) {
  const Tape* tape = Tape::current();
  if (!tape) return false;
  for (const Tensor* x : inputs) {
    if (!x->defined()) continue;
    if (x->impl()->tape == tape->id_ || x->impl()->trainable) return true;
    if (!tape->leaves_.empty() && tape->leaves_.contains(x->impl())) return true;
  }
  return false;
}

void record_node(const char* op, std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs,
                 detail::Rule rule) {
  Tape& tape = *Tape::current();
  TD_CHECK(!tape.consumed_, TapeError, op, ": this tape was consumed by backward(); record on a new Tape");
  const auto first = static_cast<std::int32_t>(tape.edges_.size());
  for (const Tensor* x : inputs) tape.edges_.push_back(tape.slot_of(*x, true));
  for (const Tensor* y : outputs) {
    const std::int32_t slot = tape.new_slot(*y);
    tape.edges_.push_back(slot);
    y->impl()->tape = tape.id_;
    y->impl()->slot = slot;
  }
  const auto n_in = static_cast<std::int32_t>(inputs.size()), n_out = static_cast<std::int32_t>(outputs.size());
  tape.nodes_.push_back({op, first, n_in, first + n_in, n_out, std::move(rule)});
}

// ---- what rules see -------------------------------------------------------------------------------------------------
bool Grads::wants(int input) const { return tape_.edges_[static_cast<std::size_t>(node_.first_input + input)] >= 0; }
Shape Grads::shape(int input) const { return tape_.edge(node_.first_input + input).shape; }
Tensor Grads::out(int output) const { return tape_.edge(node_.first_output + output).grad; }

void Grads::give(int input, Tensor g) {
  const std::int32_t slot = tape_.edges_[static_cast<std::size_t>(node_.first_input + input)];
  if (slot >= 0) tape_.accumulate(slot, std::move(g), keep_);
}

void Tape::accumulate(std::int32_t index, Tensor g, bool keep) {
  Slot& slot = slots_[static_cast<std::size_t>(index)];
  TD_CHECK(g.defined() && g.sizes() == slot.shape && g.dtype() == slot.options.dtype, TapeError, running_rule,
           ": the rule gave a gradient ", describe(g), " for an input of shape ", to_string(slot.shape));
  if (slot.parameter && !keep) {
    const Tensor& buffer = leaf_buffer(slot.leaf);
    if (slot.leaf.has_grad())
      add_(buffer, g);
    else
      copy_(buffer, g);
    slot.leaf.impl()->has_grad = true;
  } else if (!slot.grad.defined()) {
    slot.grad = std::move(g);
  } else if (!current() && uniquely_held(slot.grad)) {
    add_(slot.grad, g);
  } else {
    Tensor total = add(slot.grad, g);  // may record, and so move the slots
    slots_[static_cast<std::size_t>(index)].grad = std::move(total);
  }
}

Grads::Into Grads::into(int input) {
  Tape::Slot& slot = tape_.edge(node_.first_input + input);
  TD_CHECK(!graph_, TapeError, running_rule, ": this rule has no second form; gradients of gradients cannot pass it");
  if (slot.parameter && !keep_) {
    const Tensor& buffer = leaf_buffer(slot.leaf);
    const float beta = slot.leaf.has_grad() ? 1.f : 0.f;
    slot.leaf.impl()->has_grad = true;
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

// ---- backward -------------------------------------------------------------------------------------------------------
// Nodes from the end to the first. keep: the tape stays usable; graph: the rules' own ops are recorded.
void Tape::walk(bool keep, bool graph) {
  for (std::size_t count = nodes_.size(); count > 0;) {
    Node node = std::move(nodes_[--count]);                                 // a rule may record, and so move the list
    const auto put_back = [&](Node* n) { nodes_[count] = std::move(*n); };  // also when the rule throws
    const std::unique_ptr<Node, decltype(put_back)> kept(keep ? &node : nullptr, put_back);
    bool reached = false;
    for (std::int32_t j = 0; j < node.outputs; ++j) reached |= edge(node.first_output + j).grad.defined();
    if (reached) {
      const Tensor gy = edge(node.first_output).grad;
      running_rule = node.name;
      Grads grads(*this, node, keep, graph);
      std::optional<NoGrad> pause;
      if (!graph) pause.emplace();
      node.rule(gy, grads);
    }
    if (!keep) {
      for (std::int32_t j = 0; j < node.outputs; ++j) edge(node.first_output + j).grad = Tensor();
      nodes_.pop_back();
    }
  }
}

void Tape::backward(const Tensor& loss) {
  TD_CHECK(loss.numel() == 1, ShapeError, "backward: the loss must have one element; give its gradient otherwise",
           arg("loss", loss));
  backward(loss, full(loss.sizes(), 1, loss.options()));
}

void Tape::backward(const Tensor& y, const Tensor& gy) {
  TD_CHECK(!consumed_, TapeError, "backward: this tape was consumed by an earlier backward(); record on a new Tape");
  const std::int32_t slot = slot_of(y, false);
  TD_CHECK(slot >= 0, TapeError, "backward: y was not recorded on this tape (no trainable or watched input, or NoGrad)",
           arg("y", y));
  TD_CHECK(gy.defined() && gy.sizes() == y.sizes() && gy.dtype() == y.dtype(), ShapeError,
           "backward: the gradient must have the shape and dtype of y", arg("y", y), arg("gy", gy));
  consumed_ = true;
  accumulate(slot, gy, false);
  walk(false, false);
}

Tensor Tape::grad(const Tensor& watched) const {
  const auto hit = leaves_.find(watched.impl());
  TD_CHECK(hit != leaves_.end(), TapeError, "grad: x was not watched on this tape", arg("x", watched));
  return slots_[static_cast<std::size_t>(hit->second)].grad;
}

std::vector<Tensor> Tape::gradients(const Tensor& y, const std::vector<Tensor>& xs, GradientsOptions options) {
  TD_CHECK(!consumed_, TapeError, "gradients: this tape was consumed by backward(); record on a new Tape");
  const std::int32_t slot = slot_of(y, false);
  TD_CHECK(slot >= 0, TapeError, "gradients: y was not recorded on this tape", arg("y", y));
  TD_CHECK(!options.create_graph || current() == this, TapeError,
           "gradients: create_graph records on this tape, which must be the innermost of this thread and not paused");
  struct Clear {  // the slots, on both ways out
    std::vector<Slot>& slots;
    ~Clear() {
      for (Slot& s : slots) s.grad = Tensor();
    }
  } clear{slots_};
  accumulate(slot, full(y.sizes(), 1, y.options()), true);
  walk(true, options.create_graph);
  std::vector<Tensor> result;
  for (const Tensor& x : xs) {
    const std::int32_t s = slot_of(x, false);
    const bool reached = s >= 0 && slots_[static_cast<std::size_t>(s)].grad.defined();
    result.push_back(reached ? slots_[static_cast<std::size_t>(s)].grad : zeros_like(x));
  }
  return result;
}

}  // namespace tapedeck
