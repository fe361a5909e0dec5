#include <tapedeck/autograd/ops.h>
#include <tapedeck/autograd/tape.h>
#include <tapedeck/tensor/random.h>

#include <atomic>
#include <memory>
#include <optional>

namespace tapedeck {

using detail::Node, detail::Slot;

namespace {
std::atomic<std::uint64_t> next_tape_id{1};
}

// ---- recording ------------------------------------------------------------------------------------------------------
detail::TapeLists& Tape::spare() {
  thread_local detail::TapeLists lists;
  return lists;
}

Tape::Tape() : Recording(this), id_(next_tape_id.fetch_add(1, std::memory_order_relaxed)) {
  std::swap(static_cast<detail::TapeLists&>(*this), spare());
}

Tape::~Tape() {
  nodes_.clear(), edges_.clear(), slots_.clear();
  std::swap(static_cast<detail::TapeLists&>(*this), spare());
}

std::int32_t Tape::new_slot(const Tensor& x) {
  Slot& slot = slots_.emplace_back();
  slot.shape = x.sizes();
  slot.options = x.options();
  return static_cast<std::int32_t>(slots_.size() - 1);
}

std::int32_t Tape::new_leaf(const Tensor& x, Slot::Kind kind) {
  const std::int32_t index = new_slot(x);
  slots_.back().kind = kind;
  slots_.back().tensor = x;
  leaves_.emplace(x.impl(), index);
  return index;
}

// The gradient slot of x on this tape, or -1: outputs remember theirs, leaves are looked up.
std::int32_t Tape::slot_of(const Tensor& x, bool make_leaf) {
  if (!x.defined()) return -1;
  const detail::TensorImpl* impl = x.impl();
  if (impl->tape == id_) return impl->slot;
  if (!leaves_.empty())
    if (const auto hit = leaves_.find(impl); hit != leaves_.end()) return hit->second;
  return impl->trainable && make_leaf ? new_leaf(x, Slot::Kind::parameter) : -1;
}

void Tape::watch(const Tensor& x) {
  TD_CHECK(!consumed_, TapeError, "watch: this tape was consumed by backward(); watch on a new Tape");
  TD_CHECK(is_real(x.dtype()), DTypeError, "watch: only real tensors have gradients", arg("x", x));
  std::int32_t index = slot_of(x, false);
  if (index < 0) index = new_leaf(x, Slot::Kind::watched);
  TD_CHECK(slot(index).kind != Slot::Kind::parameter, TapeError,
           "watch: the parameter x was used on this tape already; watch it before, or read its grad()", arg("x", x));
  slot(index).tensor = x;
  slot(index).kept = true;
}

bool Tape::follow(const Tensor& x) {
  for (Recording* r = detail::innermost; r; r = r->outer_) {
    if (!r->tape_ || r->tape_->consumed_) continue;
    const std::int32_t index = r->tape_->slot_of(x, false);
    if (index < 0) continue;
    r->tape_->slot(index).tensor = x;
    return true;
  }
  return x.requires_grad();
}

bool Tape::has(const Tensor& x) const {
  if (!x.defined()) return false;
  return x.impl()->tape == id_ || x.impl()->trainable || (!leaves_.empty() && leaves_.contains(x.impl()));
}

bool is_recorded(const Tensor& x) {
  const Tape* tape = Tape::current();
  return tape && !tape->consumed_ && tape->has(x);
}

bool record_wanted(std::span<const Tensor* const> inputs) {
  const Recording* top = detail::innermost;
  if (top && top->tape_)
    for (const Tensor* x : inputs)
      if (top->tape_->has(*x)) return true;
  detail::note = {};
  if (top && top->noted_)
    for (const Tensor* x : inputs)  // the parameters, used in the node to come
      if (const auto s = top->noted_->slot_of(*x, true); s >= 0)
        TD_CHECK(top->noted_->slot(s).kind == Slot::Kind::parameter, TapeError, "checkpoint: fn uses a tensor of the ",
                 "tape that is none of its inputs; pass it as one, or detach() it", arg("it is", *x));
  return false;
}

void record_node(const char* op, std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs,
                 detail::Rule rule) {
  Tape& tape = *Tape::current();
  TD_CHECK(!tape.consumed_, TapeError, op, ": this tape was consumed by backward(); record on a new Tape");
  const auto first = static_cast<std::int32_t>(tape.edges_.size());
  for (const Tensor* x : inputs) tape.edges_.push_back(tape.slot_of(*x, true));
  for (const Tensor* y : outputs) {
    y->impl()->slot = tape.edges_.emplace_back(tape.new_slot(*y));
    y->impl()->tape = tape.id_;
  }
  const auto n_in = static_cast<std::int32_t>(inputs.size()), n_out = static_cast<std::int32_t>(outputs.size());
  const auto end_slot = static_cast<std::int32_t>(tape.slots_.size());
  tape.nodes_.push_back({op, detail::module_path, detail::note, first, n_in, n_out, end_slot, std::move(rule)});
  detail::note = {};
}

// ---- backward -------------------------------------------------------------------------------------------------------
// Nodes from the end to the first. keep: the tape stays usable; graph: the rules' own ops are recorded.
void Tape::walk(bool keep, bool graph) {
  struct Ended {
    Tape& tape;
    const char* outer = detail::running_rule;
    ~Ended() { tape.open_ = 0, detail::running_rule = outer; }
  } ended{*this};
  std::optional<NoGrad> pause;
  if (!graph) pause.emplace();
  open_ = static_cast<std::int32_t>(slots_.size());
  for (std::size_t count = nodes_.size();;) {
    for (const std::int32_t end = count > 0 ? nodes_[count - 1].end_slot : 0; open_ > end;)
      if (slot(--open_).kind != Slot::Kind::output) complete(open_, keep);  // no earlier node uses this leaf
    if (count == 0) return;
    Node node = std::move(nodes_[--count]);                                 // a rule may record, and so move the list
    const auto put_back = [&](Node* n) { nodes_[count] = std::move(*n); };  // also when the rule throws
    const std::unique_ptr<Node, decltype(put_back)> kept(keep ? &node : nullptr, put_back);
    const std::int32_t first = node.first_edge + node.inputs;
    bool reached = false;
    detail::running_rule = node.name;
    for (std::int32_t e = first; e < first + node.outputs; ++e) {
      if (!edge(e).grad.defined()) continue;
      reached = true;
      if (edge(e).tensor.defined()) complete(edges_[static_cast<std::size_t>(e)], keep);
    }
    if (reached) {
      const bool stays = keep || edge(first).kept;  // else it is moved out: copies cost more than many a rule
      const Tensor gy = stays ? edge(first).grad : std::move(edge(first).grad);
      Grads grads(*this, node, gy, keep, graph);
      detail::watched() ? detail::watch_rule(node, gy, grads) : node.rule(gy, grads);
      grads.landed();
    }
    if (keep) continue;
    for (std::int32_t e = first; e < first + node.outputs; ++e)
      if (!edge(e).kept) edge(e).grad = Tensor();
    nodes_.pop_back();
  }
}

void Tape::backward(const Tensor& loss) {
  TD_CHECK(loss.numel() == 1, ShapeError, "backward: the loss must have one element; give its gradient otherwise",
           arg("loss", loss));
  backward(loss, full(loss.sizes(), 1, loss.options()));
}

void Tape::backward(const Tensor& y, const Tensor& gy) {
  TD_CHECK(!consumed_, TapeError, "backward: this tape was consumed by an earlier backward(); record on a new Tape");
  const std::int32_t index = slot_of(y, true);
  TD_CHECK(index >= 0, TapeError,
           "backward: y was not recorded on this tape (no trainable or watched input, or NoGrad)", arg("y", y));
  TD_CHECK(gy.defined() && gy.sizes() == y.sizes() && gy.dtype() == y.dtype(), ShapeError,
           "backward: the gradient must have the shape and dtype of y", arg("y", y), arg("gy", gy));
  consumed_ = true;
  accumulate(index, gy, false);
  walk(false, false);
}

Tensor Tape::grad(const Tensor& watched) const {
  const std::int32_t index = const_cast<Tape*>(this)->slot_of(watched, false);
  TD_CHECK(index >= 0 && slots_[static_cast<std::size_t>(index)].kept, TapeError,
           "grad: x was not watched on this tape", arg("x", watched));
  return slots_[static_cast<std::size_t>(index)].grad;
}

std::vector<Tensor> Tape::gradients(const Tensor& y, const std::vector<Tensor>& xs, GradientsOptions options) {
  TD_CHECK(!consumed_, TapeError, "gradients: this tape was consumed by backward(); record on a new Tape");
  const std::int32_t index = slot_of(y, false);
  TD_CHECK(index >= 0, TapeError, "gradients: y was not recorded on this tape", arg("y", y));
  TD_CHECK(!options.create_graph || current() == this, TapeError,
           "gradients: create_graph records on this tape, which must be the innermost of this thread and not paused");
  struct Clear {  // the slots, on both ways out
    std::vector<Slot>& slots;
    ~Clear() {
      for (Slot& s : slots) s.grad = Tensor();
    }
  } clear{slots_};
  accumulate(index, full(y.sizes(), 1, y.options()), true);
  walk(true, options.create_graph);
  std::vector<Tensor> result;
  for (const Tensor& x : xs) {
    const std::int32_t i = slot_of(x, false);
    result.push_back(i >= 0 && slot(i).grad.defined() ? slot(i).grad : zeros_like(x));
  }
  return result;
}

}  // namespace tapedeck
