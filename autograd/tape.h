// The tape: a linear list of recorded ops, walked once from the end.
#pragma once
#include <tapedeck/autograd/grads.h>
#include <tapedeck/autograd/hooks.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/autograd/rule.h>
#include <tapedeck/autograd/saved.h>
#include <tapedeck/autograd/watch.h>

#include <functional>
#include <initializer_list>
#include <unordered_map>
#include <vector>

namespace tapedeck {
namespace detail {
class TapeMark;
}

struct GradientsOptions {
  bool create_graph = false;  // record the backward pass as well: gradients of gradients
};

// Records the ops of this thread while it lives; the innermost records. Nothing locks parameters: backwards of two
// threads that share one must not run at the same time.
class Tape : private Recording, private detail::TapeLists {
 public:
  Tape();
  ~Tape();

  // Asks for grad(x): x becomes a leaf, or it is an output of an op recorded here, whose gradient is then kept.
  void watch(const Tensor& x);
  void backward(const Tensor& loss);  // one element; consumes the tape; TapeError when not recorded here
  void backward(const Tensor& y, const Tensor& gy);
  Tensor grad(const Tensor& watched) const;  // after backward; undefined when nothing reached it
  // d(sum of y) / d(xs), in the order of xs; zeros-like where nothing reaches. Keeps the tape and touches no parameter.
  std::vector<Tensor> gradients(const Tensor& y, const std::vector<Tensor>& xs, GradientsOptions options = {});

  std::size_t size() const { return nodes_.size(); }
  // The recording tape of this thread; nullptr without one and under NoGrad.
  static Tape* current() { return detail::innermost ? detail::innermost->tape_ : nullptr; }
  // Will a gradient of x arrive? Of a parameter always; of others when a live tape of this thread has them, which from
  // now on holds the tensor as well.
  static bool follow(const Tensor& x);

 private:
  friend class Grads;
  friend class detail::TapeMark;
  friend bool is_recorded(const Tensor&);
  friend bool record_wanted(std::span<const Tensor* const>);
  friend void record_node(const char*, std::span<const Tensor* const>, std::span<const Tensor* const>, detail::Rule);
  friend std::string to_dot(const Tape&);
  static detail::TapeLists& spare();
  bool has(const Tensor& x) const;
  std::int32_t slot_of(const Tensor& x, bool make_leaf);
  std::int32_t new_slot(const Tensor& x);
  std::int32_t new_leaf(const Tensor& x, detail::Slot::Kind kind);
  void accumulate(std::int32_t slot, Tensor g, bool keep);
  void complete(std::int32_t slot, bool keep);
  void walk(bool keep, bool graph);
  detail::Slot& slot(std::int32_t i) { return slots_[static_cast<std::size_t>(i)]; }
  detail::Slot& edge(std::int32_t i) { return slot(edges_[static_cast<std::size_t>(i)]); }

  std::uint64_t id_;
  bool consumed_ = false;
  std::int32_t open_ = 0;  // while walking: gradients of the slots below may still grow
  std::unordered_map<const detail::TensorImpl*, std::int32_t> leaves_;
};

bool is_recorded(const Tensor& x);                          // would an op on x be recorded now?
bool record_wanted(std::span<const Tensor* const> inputs);  // does a tape record, and an input need a gradient?
void record_node(const char* op, std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs,
                 detail::Rule rule);

// The last line of every op: records `rule` when a tape is alive and an input needs a gradient. `rule` is
// void(const Tensor& gy, Grads& g); gy is the gradient of the (first) output, never undefined for single outputs.
template <class F>
void record(const char* op, std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs, F&& rule) {
  if (detail::watched()) [[unlikely]]
    detail::watch_op(op, outputs, inputs);
  if (record_wanted(inputs)) record_node(op, outputs, inputs, detail::Rule(std::forward<F>(rule)));
}
template <class F>
void record(const char* op, const Tensor& y, std::initializer_list<const Tensor*> inputs, F&& rule) {
  const Tensor* outputs[] = {&y};
  record(op, std::span<const Tensor* const>(outputs), {inputs.begin(), inputs.size()}, std::forward<F>(rule));
}

// Runs fn without recording and replays it during backward, with the same random numbers: memory for time. fn computes
// with its inputs, parameters, and what the tape does not know (TapeError otherwise: a gradient would be lost).
using CheckpointFn = std::function<Tensor(const std::vector<Tensor>&)>;
Tensor checkpoint(CheckpointFn fn, std::vector<Tensor> inputs);

}  // namespace tapedeck
