#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/random.h>

namespace tapedeck {

// The forward runs unrecorded; the rule runs it again on a tape of its own, from the same random position, so that the
// parameters inside get their gradients there and the inputs' gradients go on from here.
Tensor checkpoint(CheckpointFn fn, std::vector<Tensor> inputs) {
  if (!Tape::current()) return fn(inputs);
  const RandomState before = RandomState::capture();
  Tensor y;
  {
    const NoGrad pause;
    y = fn(inputs);
  }
  TD_CHECK(y.defined(), ValueError, "checkpoint: fn returned an undefined tensor");
  std::vector<const Tensor*> pointers;
  for (const Tensor& x : inputs) pointers.push_back(&x);
  const Tensor* outputs[] = {&y};
  auto rule = [fn = std::move(fn), before, inputs](const Tensor& gy, Grads& g) {
    TD_CHECK(!g.keeps(), TapeError, "checkpoint: gradients() cannot pass a checkpoint; use backward()");
    const RandomState now = RandomState::capture();
    before.restore();
    std::vector<Tensor> leaves;
    Tape tape;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      leaves.push_back(detach(inputs[i]));
      if (g.wants(static_cast<int>(i))) tape.watch(leaves.back());
    }
    const Tensor replayed = fn(leaves);
    now.restore();
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
