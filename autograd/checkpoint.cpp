#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/random.h>

namespace tapedeck {

// The forward runs unrecorded; the rule runs it again on a tape of its own, from the same random position, so that the
// parameters inside get their gradients there and the inputs' gradients go on from here.
Tensor checkpoint(CheckpointFn fn, std::vector<Tensor> inputs) {
  Tape* const tape = Tape::current();
  if (!tape) return fn(inputs);
  const RandomState before = RandomState::capture();
  Tensor y;
  {
    const detail::FirstPass pass(*tape);
    std::vector<Tensor> unrecorded;
    for (const Tensor& x : inputs) unrecorded.push_back(x.defined() ? detach(x) : x);
    y = fn(unrecorded);
  }
  TD_CHECK(y.defined(), ValueError, "checkpoint: fn returned an undefined tensor");
  y = detach(y);  // fn may have given an input or a parameter back
  std::vector<const Tensor*> pointers;
  std::vector<Saved> saved;
  for (const Tensor& x : inputs) pointers.push_back(&x), saved.push_back(save(x, "input"));
  const Tensor* outputs[] = {&y};
  auto rule = [fn = std::move(fn), before, saved = std::move(saved)](const Tensor& gy, Grads& g) {
    TD_CHECK(!g.keeps(), TapeError, "checkpoint: gradients() cannot pass a checkpoint; use backward()");
    std::vector<Tensor> leaves;
    Tape tape;
    for (const Saved& s : saved) {
      const Tensor& x = s.get();
      leaves.push_back(x.defined() ? detach(x) : x);
      if (g.wants(static_cast<int>(leaves.size()) - 1)) tape.watch(leaves.back());
    }
    Tensor replayed;
    {
      struct Position {
        RandomState now = RandomState::capture();
        ~Position() { now.restore(); }
      } position;
      const detail::Replay replay;
      before.restore();
      replayed = fn(leaves);
    }
    if (is_recorded(replayed)) tape.backward(replayed, gy);
    for (std::size_t i = 0; i < leaves.size(); ++i)
      if (const Tensor gx = g.wants(static_cast<int>(i)) ? tape.grad(leaves[i]) : Tensor(); gx.defined())
        g.give(static_cast<int>(i), gx);
  };
  record_node("checkpoint", outputs, pointers,
              detail::Rule(std::move(rule)));  // always: fn may hold parameters of its own
  return y;
}

}  // namespace tapedeck
