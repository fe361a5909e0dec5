// Inspector: looks into the calls of a tree's modules and changes them, by path and by call index, as long as it lives.
#pragma once
#include <tapedeck/nn/module.h>

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::nn {

// What was captured of one call: copies of the tensors, and the gradients that a later backward brought (undefined
// until then, or when nothing reaches them).
struct CallRecord {
  std::string path;
  std::int64_t index = 0;  // how often the module was called before; -1: in the replay of a checkpoint
  std::vector<Tensor> inputs, outputs, input_gradients, output_gradients;
};

// Globs are those of paths in the root ("layers.*.conv"; "" is the root itself): ValueError when none matches. With an
// index only that call since the last restart is meant; in a checkpoint that is a ValueError, because its replay has no
// index. On the way into a module operations run in the order in which they were added, on the way out in reverse.
class Inspector {
 public:
  enum What : unsigned { inputs = 1, outputs = 2, input_gradients = 4, output_gradients = 8 };
  enum class Ablation { zero, mean, noise };  // mean: over everything but the channels; noise: with x's mean and std
  using Index = std::optional<std::int64_t>;
  using Change = std::function<Tensor(const Tensor&)>;
  using Forward = std::function<Tensor(std::span<const Tensor> inputs)>;

  explicit Inspector(Module& root);

  void capture(std::string_view glob, unsigned what = outputs);
  void patch(std::string_view glob, Change change, Index index = {});  // of the (first) output
  void patch(std::string_view glob, const Tensor& value, Index index = {});
  void patch_input(std::string_view glob, Change change, Index index = {});
  void ablate(std::string_view glob, Ablation with = Ablation::zero, Index index = {});
  void bypass(std::string_view glob, Index index = {});  // the output is the input; ShapeError unless they are alike
  void swap(std::string_view glob, Forward forward, Index index = {});  // runs in the module's place; one output
  void stop(std::string_view glob, Index index = {});  // behind the call and all other operations on it

  // Runs f from call index 0, without what was captured before; false when a stop ended it.
  bool run(const std::function<void()>& f);
  void restart();
  void clear();  // no operations any more

  const std::deque<CallRecord>& records() const;  // in the order in which the calls ended
  const CallRecord& record(std::string_view path, std::int64_t index = 0) const;  // ValueError when there is none

 private:
  struct State;
  std::shared_ptr<State> state_;
  HookHandle hook_;
};

}  // namespace tapedeck::nn
