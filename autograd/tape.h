// The tape: a linear list of recorded ops, walked once from the end.
#pragma once
#include <tapedeck/autograd/rule.h>
#include <tapedeck/tensor/tensor.h>

#include <functional>
#include <initializer_list>
#include <unordered_map>
#include <vector>

namespace tapedeck {

class Tape;
struct Node;

// A tensor kept for the backward pass; get() throws TapeError when the storage was written to since.
class Saved {
 public:
  const Tensor& get() const;

 private:
  friend Saved save(const Tensor&, const char*);
  Tensor tensor_;
  std::uint64_t version_ = 0;
  const char* name_ = "";
};
Saved save(const Tensor& x, const char* name = "tensor");  // undefined tensors are fine

// What a backward rule sees of its inputs (by position in the list given to record) and outputs.
class Grads {
 public:
  bool wants(int input) const;     // is a gradient of this input asked for?
  Shape shape(int input) const;    // of an input that wants(): rules need not capture it
  void give(int input, Tensor g);  // hands one over: the first is moved in, later ones are added
  struct Into {
    Tensor buffer;
    float beta;
  };                                     // write buffer = beta * buffer + gradient
  Into into(int input);                  // for kernels that accumulate by themselves; wants(input) must be true
  Tensor out(int output) const;          // gradient of output j of a multi-output op; undefined when there is none
  bool graph() const { return graph_; }  // a graph is being created: use recorded ops, not kernels
  bool keeps() const { return keep_; }   // gradients() is running: no parameter may be written

 private:
  friend class Tape;
  Grads(Tape& tape, const Node& node, bool keep, bool graph) : tape_(tape), node_(node), keep_(keep), graph_(graph) {}
  Tape& tape_;
  const Node& node_;
  bool keep_, graph_;
};

struct Node {
  const char* name;
  std::int32_t first_input, inputs, first_output, outputs;  // ranges in the tape's edge list
  detail::Rule rule;
};

struct GradientsOptions {
  bool create_graph = false;  // record the backward pass as well: gradients of gradients
};

// What a thread records on: its live tapes and NoGrads, innermost first. They may end in any order; on another thread
// only while their own is not recording (it waits, or has ended).
class Recording {
 public:
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 protected:
  explicit Recording(Tape* tape);  // nullptr: nothing is recorded
  ~Recording();

 private:
  friend class Tape;
  friend struct RecordingList;
  Tape* tape_;
  Recording* outer_;
  struct RecordingList* list_;
};

// A tape's lists; their memory goes from one tape of a thread to the next.
struct TapeLists {
  struct Slot {
    Tensor grad;
    Tensor leaf;  // parameter or watched tensor
    Shape shape;
    TensorOptions options;
    bool parameter = false;  // backward writes its gradient to the parameter itself
  };
  std::vector<Node> nodes_;
  std::vector<std::int32_t> edges_;
  std::vector<Slot> slots_;
};

// Records the ops of this thread while it lives; the innermost records. Backwards that share parameters take turns.
class Tape : private Recording, private TapeLists {
 public:
  Tape();
  ~Tape();

  void watch(const Tensor& x);        // x becomes a leaf whose gradient grad(x) can be asked for
  void backward(const Tensor& loss);  // one element; consumes the tape; TapeError when not recorded here
  void backward(const Tensor& y, const Tensor& gy);
  Tensor grad(const Tensor& watched) const;  // after backward; undefined when nothing reached it
  // d(sum of y) / d(xs), in the order of xs; zeros-like where nothing reaches. Keeps the tape and touches no parameter.
  std::vector<Tensor> gradients(const Tensor& y, const std::vector<Tensor>& xs, GradientsOptions options = {});

  std::size_t size() const { return nodes_.size(); }
  static Tape* current();  // the recording tape of this thread; nullptr without one and under NoGrad

 private:
  friend class Grads;
  friend bool is_recorded(const Tensor&);
  friend bool record_wanted(std::span<const Tensor* const>);
  friend void record_node(const char*, std::span<const Tensor* const>, std::span<const Tensor* const>, detail::Rule);
  static TapeLists& spare();
  std::int32_t slot_of(const Tensor& x, bool make_leaf);
  std::int32_t new_slot(const Tensor& x);
  void walk(bool keep, bool graph);
  void accumulate(std::int32_t slot, Tensor g, bool keep);
  Slot& edge(std::int32_t i) { return slots_[static_cast<std::size_t>(edges_[static_cast<std::size_t>(i)])]; }

  std::uint64_t id_;
  bool consumed_ = false;
  std::unordered_map<const detail::TensorImpl*, std::int32_t> leaves_;
};

// Pauses recording on this thread while alive.
class NoGrad : private Recording {
 public:
  NoGrad() : Recording(nullptr) {}
};

bool is_recorded(const Tensor& x);                          // would an op on x be recorded now?
bool record_wanted(std::span<const Tensor* const> inputs);  // does a tape record, and an input need a gradient?
void record_node(const char* op, std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs,
                 detail::Rule rule);

// The last line of every op: records `rule` when a tape is alive and an input needs a gradient. `rule` is
// void(const Tensor& gy, Grads& g); gy is the gradient of the (first) output, never undefined for single outputs.
template <class F>
void record(const char* op, const Tensor& y, std::initializer_list<const Tensor*> inputs, F&& rule) {
  if (!record_wanted({inputs.begin(), inputs.size()})) return;
  const Tensor* outputs[] = {&y};
  record_node(op, outputs, {inputs.begin(), inputs.size()}, detail::Rule(std::forward<F>(rule)));
}
template <class F>
void record(const char* op, std::span<const Tensor* const> outputs, std::span<const Tensor* const> inputs, F&& rule) {
  if (record_wanted(inputs)) record_node(op, outputs, inputs, detail::Rule(std::forward<F>(rule)));
}

// Runs fn without recording and replays it during backward, with the same random numbers: memory for time.
using CheckpointFn = std::function<Tensor(const std::vector<Tensor>&)>;
Tensor checkpoint(CheckpointFn fn, std::vector<Tensor> inputs);

}  // namespace tapedeck
