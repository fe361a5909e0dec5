// Grads: what a backward rule sees of its inputs (by position in the list given to record) and outputs.
#pragma once
#include <tapedeck/tensor/tensor.h>

namespace tapedeck {

class Tape;
namespace detail {
struct Node;
}

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
  // Of gy's shape, to be written element by element while gy is read: gy itself where nobody else holds it.
  Tensor over_gy() const;
  Tensor so_far(int input) const;  // what has arrived for an input until now; undefined when nothing has

 private:
  friend class Tape;
  Grads(Tape& tape, const detail::Node& node, const Tensor& first, bool keep, bool graph)
      : tape_(tape), node_(node), first_(first), keep_(keep), graph_(graph) {}
  Grads(const Grads&) = delete;
  ~Grads();
  void landed() { begun_count_ = 0; }  // the rule has run to its end
  Tape& tape_;
  const detail::Node& node_;
  const Tensor& first_;  // of output 0, no longer on the tape
  bool keep_, graph_;
  static constexpr int kMost = 8;
  detail::TensorImpl* begun_[kMost];  // parameters whose first gradient into() promised: none if the rule throws
  int begun_count_ = 0;
};

}  // namespace tapedeck
