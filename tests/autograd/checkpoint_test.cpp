// Checkpoints: the same bits as the plain run, and a replay that nobody notices.
#include <gtest/gtest.h>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using test::Args;
using test::error_of;
using test::f64;
using test::values;

using V = std::vector<double>;

TEST(Checkpoint, GivesTheBitsOfThePlainRun) {
  const Tensor w = test::spread({4, 4}, -1, 1), x = test::spread({3, 4}, -1, 1, 1);
  const auto block = [&](Args a) { return dropout(tanh(linear(a[0], w)), 0.5) * a[0]; };
  const auto run = [&](bool replayed) {
    const RandomScope scope(5, 6);
    w.set_requires_grad(false).set_requires_grad(true).zero_grad();
    Tape tape;
    tape.watch(x);
    Tensor y = replayed ? checkpoint(block, {x}) : block(std::vector<Tensor>{x});
    y = dropout(y, 0.5);  // the draws behind the block are the same as well
    const Tensor second = replayed ? checkpoint(block, {y}) : block(std::vector<Tensor>{y});
    tape.backward(sum(second));
    return std::tuple(values(second), values(tape.grad(x)), values(w.grad()));
  };
  const auto plain = run(false), replayed = run(true);
  EXPECT_EQ(std::get<0>(plain), std::get<0>(replayed));
  EXPECT_EQ(std::get<1>(plain), std::get<1>(replayed));
  const auto &a = std::get<2>(plain), &b = std::get<2>(replayed);
  EXPECT_EQ(a, b);
}

TEST(Checkpoint, RecordsOneNode) {
  const Tensor x = f64({1, 2}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = checkpoint([](Args a) { return exp(sin(a[0]) * a[0]); }, {x});
  EXPECT_EQ(tape.size(), 1u);
  tape.backward(sum(y));
  Tape plain;
  plain.watch(x);
  plain.backward(sum(exp(sin(x) * x)));
  EXPECT_EQ(values(tape.grad(x)), values(plain.grad(x)));
}

// Inputs, parameters and constants may come back as they are.
// Inputs that want no gradient stand before, between and behind those that do.
TEST(Checkpoint, GivesEachInputItsOwnGradient) {
  const Tensor a = full({2}, 3), x = full({2}, 5), b = full({2}, 7), y = full({2}, 11), c = full({2}, 13);
  Tape tape;
  tape.watch(x), tape.watch(y);
  tape.backward(
      sum(checkpoint([](const std::vector<Tensor>& v) { return v[0] * v[1] + v[2] * v[3] + v[4]; }, {a, x, b, y, c})));
  EXPECT_EQ(tape.grad(x).to_vector<float>(), std::vector<float>({3, 3}));
  EXPECT_EQ(tape.grad(y).to_vector<float>(), std::vector<float>({7, 7}));
}

TEST(Checkpoint, MayGiveAnInputBack) {
  const Tensor x = f64({1, 2}, {2}), w = f64({3, 4}, {2}).set_requires_grad(true);
  Tape tape;
  tape.watch(x);
  const Tensor same = checkpoint([](Args a) { return a[0]; }, {x}), weight = checkpoint([&](Args) { return w; }, {});
  tape.backward(sum(same * weight));
  EXPECT_EQ(values(tape.grad(x)), (V{3, 4}));
  EXPECT_EQ(values(w.grad()), (V{1, 2}));
}

// A gradient that the replay could not hand on is refused, never dropped.
TEST(Checkpoint, RefusesWhatItIsNotGiven) {
  const Tensor w = f64({2, 3}, {2}), x = f64({1, 4}, {2});
  w.set_requires_grad(true);
  const auto refusal = [&](const auto& use) {
    Tape tape;
    tape.watch(x);
    return error_of<TapeError>([&] { use(); });
  };
  const auto says = [](const std::string& text) { return text.find("none of its inputs") != std::string::npos; };
  EXPECT_TRUE(says(refusal([&] {
    const Tensor made = tanh(w);
    checkpoint([&](Args a) { return a[0] * made; }, {x});
  })));
  EXPECT_TRUE(says(refusal([&] { checkpoint([&](Args a) { return a[0] * x; }, {w}); })));  // watched
  EXPECT_TRUE(says(refusal([&] { checkpoint([&](Args a) { return a[0] * x; }, {x}); })));  // an input, past the inputs
  EXPECT_TRUE(says(refusal([&] {
    const Tensor made = x * 2;
    checkpoint([&](Args a) { return checkpoint([&](Args b) { return b[0] * made; }, {a[0]}); }, {x});
  })));
  EXPECT_TRUE(says(refusal([&] {  // a parameter that was watched is a leaf of this tape
    Tape::current()->watch(w);
    checkpoint([&](Args a) { return a[0] * w; }, {x});
  })));
  // What the tape does not know may be there, and given as an input it has its gradient.
  Tape tape;
  tape.watch(x);
  const Tensor made = x * 2, known = f64({5, 6}, {2});
  tape.backward(sum(checkpoint([&](Args a) { return a[0] * a[1] * known * detach(w); }, {x, made})));
  EXPECT_EQ(values(tape.grad(x)), (std::vector<double>{4 * 1 * 5 * 2, 4 * 4 * 6 * 3}));
}

TEST(Checkpoint, SaysWhenItsInputWasWrittenTo) {
  const Tensor x = f64({1, 2}, {2}), w = f64({3, 4}, {2}).set_requires_grad(true);
  Tape tape;
  const Tensor y = sum(checkpoint([&](Args a) { return a[0] * w; }, {x}));
  mul_(x, 2);
  const std::string what = error_of<TapeError>([&] { tape.backward(y); });
  EXPECT_NE(what.find("checkpoint: saved input input was modified"), std::string::npos) << what;
}

TEST(Checkpoint, OnlyTheReplayIsAReplay) {
  const Tensor x = f64({1, 2}, {2});
  std::vector<bool> seen;
  const auto block = [&](Args a) {
    seen.push_back(replaying());
    return exp(a[0]);
  };
  {
    Tape tape;
    tape.watch(x);
    const auto outer = [&](Args a) { return checkpoint(block, {checkpoint(block, {a[0]})}); };
    const Tensor y = sum(checkpoint(outer, {x}));
    EXPECT_EQ(seen, (std::vector<bool>{false, false}));
    EXPECT_FALSE(replaying());
    tape.backward(y);
  }
  // the outer replay runs both inner first passes, then each inner one replays
  EXPECT_EQ(seen, (std::vector<bool>{false, false, true, true, true, true}));
  EXPECT_FALSE(replaying());
  block(std::vector<Tensor>{x});
  EXPECT_FALSE(seen.back());
}

TEST(Checkpoint, AThrowingReplayLeavesTheThreadAsItWas) {
  const Tensor x = f64({1, 2}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = sum(checkpoint(
      [](Args a) {
        if (replaying()) throw ValueError("mine: no");
        return exp(a[0]);
      },
      {x}));
  manual_seed(3);
  const RandomState before = RandomState::capture();
  rand({2});
  const RandomState now = RandomState::capture();
  EXPECT_THROW(tape.backward(y), ValueError);
  EXPECT_FALSE(replaying());
  EXPECT_EQ(Tape::current(), &tape);
  EXPECT_NE(before.global_draws, now.global_draws);
  EXPECT_EQ(RandomState::capture().global_draws, now.global_draws);
}

}  // namespace
}  // namespace tapedeck
