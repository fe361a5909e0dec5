#include <gtest/gtest.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/kernels/conv1d.h>

#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <thread>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using test::Args;
using test::error_of;
using test::f64;
using test::i64;
using test::Layout;
using test::values;
using testing::Test;

using V = std::vector<double>;

// ---- what holds for every op of the table ---------------------------------------------------------------------------
std::vector<Tensor> gradients_of(const test::OpCase& c, const std::vector<Tensor>& inputs, unsigned watched,
                                 Layout incoming = Layout::contiguous) {
  Tape tape;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (watched >> i & 1u) tape.watch(inputs[i]);
  const Tensor y = c.fn(inputs);
  tape.backward(y, test::laid_out(test::spread(y.sizes(), -1, 1, 3), incoming));
  std::vector<Tensor> out;
  for (std::size_t i = 0; i < inputs.size(); ++i) out.push_back(watched >> i & 1u ? tape.grad(inputs[i]) : Tensor());
  return out;
}

TEST(EveryOp, GivesTheSameGradientsWhicheverInputsAreAskedFor) {
  for (const test::OpCase& c : test::op_table()) {
    const auto inputs = c.inputs(Layout::contiguous);
    const unsigned everything = (1u << inputs.size()) - 1;
    const auto all = gradients_of(c, inputs, everything);
    for (unsigned subset = 1; subset < everything; ++subset) {
      const int wanted = std::popcount(subset);  // of many inputs: one alone, and all but one
      if (inputs.size() > 5 && wanted != 1 && wanted + 1 != static_cast<int>(inputs.size())) continue;
      const auto some = gradients_of(c, inputs, subset);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!(subset >> i & 1u)) continue;
        EXPECT_EQ(values(some[i]), values(all[i])) << c.name << " subset " << subset;
      }
    }
  }
}

TEST(EveryOp, TakesAnIncomingGradientOfAnyLayout) {
  for (const test::OpCase& c : test::op_table()) {
    const auto inputs = c.inputs(Layout::contiguous);
    const unsigned everything = (1u << inputs.size()) - 1;
    const auto plain = gradients_of(c, inputs, everything);
    for (const Layout layout : {Layout::transposed, Layout::sliced}) {
      const auto other = gradients_of(c, inputs, everything, layout);
      for (std::size_t i = 0; i < inputs.size(); ++i)
        EXPECT_EQ(values(other[i]), values(plain[i])) << c.name << " " << test::name_of(layout);
    }
  }
}

TEST(EveryOp, AccumulatesIntoParameters) {
  for (const test::OpCase& c : test::op_table()) {
    const auto inputs = c.inputs(Layout::contiguous);
    const auto once = gradients_of(c, inputs, (1u << inputs.size()) - 1);
    for (const Tensor& x : inputs) x.set_requires_grad(true);
    for (int pass = 1; pass <= 3; ++pass) {
      Tape tape;
      const Tensor y = c.fn(inputs);
      tape.backward(y, test::spread(y.sizes(), -1, 1, 3));
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        const V expected = values(once[i] * pass), got = values(inputs[i].grad());
        ASSERT_EQ(got.size(), expected.size());
        for (std::size_t k = 0; k < got.size(); ++k)
          EXPECT_NEAR(got[k], expected[k], 1e-14 * (std::fabs(expected[k]) + 1)) << c.name << " pass " << pass;
      }
    }
  }
}

TEST(EveryOp, LeavesItsInputsAlone) {
  for (const test::OpCase& c : test::op_table()) {
    const auto inputs = c.inputs(Layout::sliced);
    std::vector<V> before;
    std::vector<std::uint64_t> versions;
    for (const Tensor& x : inputs) before.push_back(values(x)), versions.push_back(x.version());
    gradients_of(c, inputs, (1u << inputs.size()) - 1);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_EQ(values(inputs[i]), before[i]) << c.name;
      EXPECT_EQ(inputs[i].version(), versions[i]) << c.name;
    }
  }
}

TEST(EveryOp, RecordsNothingWithoutNeed) {
  for (const test::OpCase& c : test::op_table()) {
    const auto inputs = c.inputs(Layout::contiguous);
    Tape tape;
    c.fn(inputs);
    EXPECT_EQ(tape.size(), 0u) << c.name << ": constants only";
    for (const Tensor& x : inputs) tape.watch(x);
    {
      const NoGrad pause;
      c.fn(inputs);
    }
    EXPECT_EQ(tape.size(), 0u) << c.name << ": paused";
    c.fn(inputs);
    EXPECT_GT(tape.size(), 0u) << c.name;
  }
}

// ---- the tape -----------------------------------------------------------------------------------------------------
TEST(Tape, ChainsAndSharesASubexpression) {
  const Tensor x = f64({2, 3}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = x * x;
  tape.backward(sum(y * y + y));  // d/dx (x^4 + x^2)
  EXPECT_EQ(values(tape.grad(x)), (V{4 * 8 + 4, 4 * 27 + 6}));
}

TEST(Tape, ParametersCollectInTheirBuffer) {
  const Tensor w = f64({1, 2, 3}, {3}).set_requires_grad(true);
  const Tensor segment = full({3}, std::nan(""), {DType::f64});
  w.set_grad_buffer(segment);
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    tape.backward(sum(square(w)));
    EXPECT_TRUE(w.grad().shares_storage(segment));
    EXPECT_EQ(values(segment), (V{2. * pass, 4. * pass, 6. * pass}));
  }
  w.zero_grad();
  EXPECT_FALSE(w.grad().defined());
}

TEST(Tape, AKernelThatThrowsLeavesNoGradient) {
  kernels::conv1d_weight_grad.add(DeviceType::cpu, "throws",
                                  [](const kernels::Conv1dWeightGradArgs&) { TD_FAIL(DeviceError, "out of memory"); });
  const Tensor w = full({1, 1, 1}, 3, {DType::f64}).set_requires_grad(true);
  const Tensor segment = full({1, 1, 1}, 7, {DType::f64}), x = full({1, 2, 1}, 5, {DType::f64});
  w.set_grad_buffer(segment);
  const auto step = [&] {
    Tape tape;
    tape.backward(sum(conv1d(x, w)));
  };
  {
    const kernels::Use broken(kernels::conv1d_weight_grad, "throws", DeviceType::cpu);
    EXPECT_THROW(step(), DeviceError);
  }
  EXPECT_FALSE(w.has_grad());
  step();  // not added to what lay there
  EXPECT_EQ(values(w.grad()), (V{10}));
  {
    const kernels::Use broken(kernels::conv1d_weight_grad, "throws", DeviceType::cpu);
    EXPECT_THROW(step(), DeviceError);
  }
  EXPECT_TRUE(w.has_grad()) << "of the step before";
}

TEST(Tape, FrozenParametersAreNotTouched) {
  const Tensor w = f64({1, 2}, {2}).set_requires_grad(true), frozen = f64({3, 4}, {2});
  const Tensor buffer = full({2}, 7, {DType::f64});
  frozen.set_grad_buffer(buffer);
  Tape tape;
  tape.backward(sum(w * frozen));
  EXPECT_EQ(values(w.grad()), (V{3, 4}));
  EXPECT_FALSE(frozen.has_grad());
  EXPECT_EQ(values(buffer), (V{7, 7}));
}

TEST(Tape, OutputsThatNothingUsesCostNothing) {
  const Tensor x = f64({1, 2, 3, 4}, {4});
  Tape tape;
  tape.watch(x);
  const auto parts = split(x, 2);
  exp(parts[1]);
  tape.backward(sum(parts[0]));
  EXPECT_EQ(values(tape.grad(x)), (V{1, 1, 0, 0}));
}

TEST(Tape, AWatchedTensorThatIsNotReachedHasNoGradient) {
  const Tensor x = f64({1}, {1}), other = f64({2}, {1});
  Tape tape;
  tape.watch(x);
  tape.watch(other);
  tape.backward(x * 2);
  EXPECT_FALSE(tape.grad(other).defined());
  EXPECT_NE(error_of<TapeError>([&] { tape.grad(f64({1}, {1})); }).find("was not watched"), std::string::npos);
}

TEST(Tape, BackwardTwiceIsAnError) {
  const Tensor x = f64({2}, {1});
  Tape tape;
  tape.watch(x);
  const Tensor y = square(x);
  tape.backward(y);
  EXPECT_NE(error_of<TapeError>([&] { tape.backward(y); }).find("consumed"), std::string::npos);
}

TEST(Tape, BackwardOfAnUnrecordedTensorIsAnError) {
  Tape tape;
  EXPECT_NE(error_of<TapeError>([&] { tape.backward(f64({1}, {1})); }).find("not recorded"), std::string::npos);
  EXPECT_NE(error_of<ShapeError>([&] { tape.backward(f64({1, 2}, {2})); }).find("one element"), std::string::npos);
}

TEST(Tape, KeepsGradientsOfOutputsOnRequest) {
  const Tensor x = f64({2, 3}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = square(x), z = exp(y * 0), other = y * 2;
  tape.watch(y);
  tape.watch(y);
  tape.watch(other);
  tape.backward(sum(y * z * 3));
  EXPECT_EQ(values(tape.grad(y)), (V{3, 3}));
  EXPECT_EQ(values(tape.grad(x)), (V{12, 18}));
  EXPECT_FALSE(tape.grad(other).defined());  // nothing reached it
  EXPECT_NE(error_of<TapeError>([&] { tape.grad(z); }).find("was not watched"), std::string::npos);
}

TEST(Tape, WatchingAParameterAfterItsUseIsAnError) {
  const Tensor w = f64({2}, {1}).set_requires_grad(true);
  Tape tape;
  const Tensor y = square(w);
  EXPECT_NE(error_of<TapeError>([&] { tape.watch(w); }).find("used on this tape already"), std::string::npos);
  tape.backward(y);
  EXPECT_EQ(w.grad().item(), 4);
}

TEST(Tape, NoGradPauses) {
  const Tensor x = f64({3}, {1});
  Tape tape;
  tape.watch(x);
  Tensor constant;
  {
    const NoGrad pause;
    EXPECT_EQ(Tape::current(), nullptr);
    constant = square(x);
  }
  EXPECT_EQ(Tape::current(), &tape);
  tape.backward(x * constant);
  EXPECT_EQ(values(tape.grad(x)), (V{9}));
}

TEST(Tape, DetachMakesAConstantOfTheSameStorage) {
  const Tensor x = f64({3}, {1});
  Tape tape;
  tape.watch(x);
  const Tensor y = square(x), constant = detach(y);
  EXPECT_TRUE(constant.shares_storage(y));
  EXPECT_FALSE(is_recorded(constant));
  tape.backward(x * constant);
  EXPECT_EQ(values(tape.grad(x)), (V{9}));
}

TEST(Tape, InnerTapeRecordsAndTheOuterOneGoesOn) {
  const Tensor x = f64({3}, {1});
  Tape outer;
  outer.watch(x);
  const Tensor y = square(x);
  {
    Tape inner;
    EXPECT_EQ(Tape::current(), &inner);
    EXPECT_FALSE(is_recorded(y));  // another tape's tensor is a constant here
    const Tensor z = f64({2}, {1});
    inner.watch(z);
    inner.backward(z * y);
    EXPECT_EQ(values(inner.grad(z)), (V{9}));
  }
  EXPECT_EQ(Tape::current(), &outer);
  outer.backward(y);
  EXPECT_EQ(values(outer.grad(x)), (V{6}));
}

TEST(Tape, TensorsOfAnEndedTapeAreConstants) {
  const Tensor x = f64({3}, {1});
  Tensor y;
  {
    Tape tape;
    tape.watch(x);
    y = square(x);
  }
  Tape tape;
  EXPECT_FALSE(is_recorded(y));
  EXPECT_FALSE(is_recorded(x));
}

TEST(Tape, ThreadsHaveTapesOfTheirOwn) {
  const Tensor w = f64({3}, {1});
  Tape tape;
  tape.watch(w);
  std::thread([&] {
    EXPECT_EQ(Tape::current(), nullptr);
    Tape mine;
    mine.watch(w);
    mine.backward(square(w));
    EXPECT_EQ(values(mine.grad(w)), (V{6}));
  }).join();
  EXPECT_EQ(tape.size(), 0u);
}

TEST(Tape, MayEndInAnyOrderAndOnAnyThread) {
  auto outer = std::make_unique<Tape>(), inner = std::make_unique<Tape>();
  outer.reset();
  EXPECT_EQ(Tape::current(), inner.get());
  inner.reset();
  EXPECT_EQ(Tape::current(), nullptr);

  std::optional<NoGrad> first, second;
  {
    const Tape tape;
    first.emplace(), second.emplace();
    first.reset();
    EXPECT_EQ(Tape::current(), nullptr);
  }
  second.reset();
  EXPECT_EQ(Tape::current(), nullptr);  // not the tape that ended

  auto moved = std::make_unique<Tape>();
  std::thread([&] { moved.reset(); }).join();
  EXPECT_EQ(Tape::current(), nullptr);
  std::thread([&] { moved = std::make_unique<Tape>(); }).join();
  moved.reset();  // its thread has ended
}

TEST(Tape, ARuleThatThrowsInGradientsLeavesTheTapeUsable) {
  const Tensor x = f64({3}, {1}).set_requires_grad(true);
  Tape tape;
  const Tensor y = checkpoint([](const std::vector<Tensor>& in) { return square(in[0]); }, {x});
  EXPECT_THROW(tape.gradients(y, {x}), TapeError);
  tape.backward(y);
  EXPECT_EQ(x.grad().item(), 6);
}

TEST(Tape, BadArgumentsAreErrorsAndLeaveTheTapeAsItWas) {
  const Tensor x = f64({3, 4}, {2}).set_requires_grad(true);
  Tape tape;
  const Tensor y = square(x);
  EXPECT_THROW(tape.backward(y, f64({1, 2, 3}, {3})), ShapeError);
  EXPECT_THROW(tape.backward(y, Tensor()), ShapeError);
  EXPECT_THROW(tape.backward(Tensor()), ValueError);
  EXPECT_THROW(tape.watch(Tensor()), ValueError);
  EXPECT_THROW(tape.gradients(y, {Tensor()}), ValueError);
  {
    const Tape inner;
    EXPECT_THROW(tape.gradients(y, {x}, {.create_graph = true}), TapeError);
  }
  EXPECT_THROW(checkpoint([](const std::vector<Tensor>&) { return Tensor(); }, {x}), ValueError);
  tape.backward(y, f64({1, 1}, {2}));
  EXPECT_EQ(values(x.grad()), (V{6, 8}));
  EXPECT_THROW(tape.watch(f64({1}, {1})), TapeError);
}

TEST(InPlace, RefusesTargetsThatShareTheirElements) {
  EXPECT_THROW(add_(expand(f64({1}, {1}), {2}), f64({1, 2}, {2})), ValueError);
  EXPECT_THROW(mul_(unfold(f64({1, 2, 3}, {3}), 0, 2, 1), 2), ValueError);
}

TEST(InPlace, ReadsTheOldValuesOfWhatItWritesOver) {
  const Tensor x = f64({1, 2, 3, 4, 5}, {5}), y = f64({1, 2, 3, 4}, {2, 2});
  add_(narrow(x, 0, 1, 4), narrow(x, 0, 0, 4));
  EXPECT_EQ(values(x), (V{1, 3, 5, 7, 9}));
  copy_(narrow(x, 0, 1, 4), narrow(x, 0, 0, 4));
  EXPECT_EQ(values(x), (V{1, 1, 3, 5, 7}));
  add_(y, transpose(y, 0, 1));
  EXPECT_EQ(values(y), (V{2, 5, 5, 8}));
}

TEST(Scalars, MustFitIntegers) {
  EXPECT_THROW(add(zeros({1}, {DType::i64}), 1e30), DTypeError);
  EXPECT_THROW(fill_(zeros({1}, {DType::i64}), std::numeric_limits<double>::infinity()), DTypeError);
  EXPECT_EQ(clamp(full({1}, 5, {DType::i64}), 2).item(), 5);
}

TEST(Tape, SavedInputsKnowThatTheyWereWrittenTo) {
  const Tensor x = test::spread({1, 4, 2}, -1, 1), w = test::spread({3, 2, 2}, -1, 1);
  for (int n = 0; n < 3; ++n) fill_(x, 1);
  Tape tape;
  tape.watch(w);
  const Tensor y = sum(conv1d(x, w));
  mul_(x, 2);
  const std::string what = error_of<TapeError>([&] { tape.backward(y); });
  EXPECT_NE(what.find("conv1d: saved input x was modified in place (version 3 -> 4)"), std::string::npos) << what;
}

TEST(Tape, InPlaceWritesRefuseRecordedTensors) {
  const Tensor x = f64({1, 2}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = x * 2, constant = f64({0, 0}, {2});
  EXPECT_THROW(fill_(x, 0), TapeError);
  EXPECT_THROW(add_(y, constant), TapeError);
  EXPECT_NE(error_of<TapeError>([&] { copy_(constant, y); }).find("copy_: from is recorded by a live tape"),
            std::string::npos);
  copy_(constant, detach(y));
  EXPECT_EQ(values(constant), (V{2, 4}));
}

// An optimizer may step while the tape that gave the gradients is still in scope.
TEST(Tape, InPlaceWritesAreFreeAfterBackward) {
  const Tensor w = f64({1, 2}, {2}).set_requires_grad(true);
  Tape tape;
  const Tensor y = sum(square(w));
  EXPECT_THROW(mul_(w, 0), TapeError);
  tape.backward(y);
  add_(w, w.grad());
  EXPECT_EQ(values(w), (V{3, 6}));
}

TEST(Tape, AThrowingOpLeavesTheTapeAsItWas) {
  const Tensor x = test::spread({2, 3}, -1, 1), w = test::spread({4, 2, 1}, -1, 1);
  Tape tape;
  tape.watch(x);
  tape.watch(w);
  const Tensor y = exp(x);
  const std::size_t before = tape.size();
  EXPECT_THROW(y + test::spread({4}, -1, 1), ShapeError);
  EXPECT_THROW(y + tensor({1, 2, 3}), DTypeError);
  EXPECT_THROW(matmul(y, y), ShapeError);
  EXPECT_THROW(conv1d(y, w), ShapeError);
  EXPECT_THROW(cat({y, w}), ShapeError);
  EXPECT_THROW(softmax(y, 2), ShapeError);
  EXPECT_THROW(reshape(y, {5}), ShapeError);
  EXPECT_THROW(embedding(i64({9}, {1}), y), ValueError);
  EXPECT_THROW(cross_entropy(y, i64({0, 3}, {2})), ValueError);
  EXPECT_EQ(tape.size(), before);
  const auto expected = values(y);
  tape.backward(sum(y));
  EXPECT_EQ(values(tape.grad(x)), expected);
}

// A rule that throws is the user's to repair; the tape does not hang on to the thread.
TEST(Tape, AThrowingRuleLeavesRecordingAsItWas) {
  const Tensor x = f64({1}, {1});
  {
    Tape tape;
    tape.watch(x);
    const Tensor y = x * 2;
    record("mine", y, {&x}, [](const Tensor&, Grads&) { throw ValueError("mine: no"); });
    EXPECT_THROW(tape.backward(y), ValueError);
    EXPECT_EQ(Tape::current(), &tape);
  }
  EXPECT_EQ(Tape::current(), nullptr);
}

TEST(Tape, GradientsKeepTheTapeAndTouchNoParameter) {
  const Tensor w = f64({3}, {1}).set_requires_grad(true);
  Tape tape;
  const Tensor y = w * w * w;
  EXPECT_EQ(values(tape.gradients(y, {w})[0]), (V{27}));
  EXPECT_FALSE(w.has_grad());
  EXPECT_EQ(values(tape.gradients(y, {w})[0]), (V{27}));  // nothing is left over from the first
  const Tensor g = tape.gradients(y, {w}, {.create_graph = true})[0];
  const Tensor gg = tape.gradients(g, {w}, {.create_graph = true})[0];
  EXPECT_EQ(values(gg), (V{18}));
  EXPECT_EQ(values(tape.gradients(gg, {w})[0]), (V{6}));
  EXPECT_EQ(values(tape.gradients(y, {f64({1, 2}, {2})})[0]), (V{0, 0}));
}

// The penalty (|d D(x) / dx| - 1)^2 that trains a critic: its gradient reaches the parameters.
TEST(Tape, GradientPenaltyTrains) {
  const Tensor w = test::spread({3, 2, 2}, -1, 1).set_requires_grad(true);
  const auto penalty = [&](const Tensor& x, Tape& tape) {
    const Tensor d = sum(tanh(conv1d(x, w)));
    return square(sqrt(sum(square(tape.gradients(d, {x}, {.create_graph = true})[0]))) - 1);
  };
  const Tensor x = test::spread({1, 5, 2}, -1, 1, 1);
  {
    Tape tape;
    tape.watch(x);
    tape.backward(penalty(x, tape));
  }
  const auto at = [&](double d) {
    w.data<double>()[4] += d;
    Tape tape;
    tape.watch(x);
    const double p = penalty(x, tape).item();
    w.data<double>()[4] -= d;
    return p;
  };
  const double h = 1e-3, numeric = (at(-2 * h) - 8 * at(-h) + 8 * at(h) - at(2 * h)) / (12 * h);
  EXPECT_NEAR(w.grad().to_vector<double>()[4], numeric, 1e-9 * std::fabs(numeric));
}

TEST(Tape, ARuleWithoutASecondFormSaysSoByName) {
  const Tensor x = f64({1}, {1});
  Tape tape;
  tape.watch(x);
  const Tensor y = f64({1}, {1});
  record("mine", y, {&x}, [](const Tensor& gy, Grads& g) {
    const auto [buffer, beta] = g.into(0);
    copy_(buffer, beta == 0 ? gy : gy + buffer);
  });
  const std::string what = error_of<TapeError>([&] { tape.gradients(y, {x}, {.create_graph = true}); });
  EXPECT_EQ(what.find("mine: this rule has no second form"), 0u) << what;
  EXPECT_EQ(tape.gradients(y, {x})[0].item(), 1);  // of the first order there is no complaint
}

TEST(Tape, BackwardOfAParameterItself) {
  const Tensor w = f64({1}, {1}).set_requires_grad(true);
  Tape tape;
  tape.backward(w);
  EXPECT_EQ(w.grad().item(), 1);
}

// ---- a user's op --------------------------------------------------------------------------------------------------
// y = x^3, as a
// user would write it: the same three steps as a library op.
Tensor cube(const Tensor& x) {
  Tensor y;
  {
    const NoGrad pause;
    y = x * x * x;
  }
  record("cube", y, {&x}, [x = save(x, "x")](const Tensor& gy, Grads& g) { g.give(0, gy * 3 * square(x.get())); });
  return y;
}

// {sin x, cos x}, two outputs of one node; the gradient of an unused one is undefined.
std::pair<Tensor, Tensor> sin_cos(const Tensor& x) {
  std::pair<Tensor, Tensor> y;
  {
    const NoGrad pause;
    y = {sin(x), cos(x)};
  }
  const Tensor *outputs[] = {&y.first, &y.second}, *inputs[] = {&x};
  record("sin_cos", outputs, inputs, [s = save(y.first, "sin"), c = save(y.second, "cos")](const Tensor&, Grads& g) {
    if (g.out(0).defined()) g.give(0, g.out(0) * c.get());
    if (g.out(1).defined()) g.give(0, neg(g.out(1) * s.get()));
  });
  return y;
}

TEST(UserOp, LooksLikeALibraryOp) {
  const Tensor x = f64({2, -1}, {2});
  Tape tape;
  tape.watch(x);
  tape.backward(sum(cube(x) * 2));
  EXPECT_EQ(values(tape.grad(x)), (V{24, 6}));
}

TEST(UserOp, MayHaveSeveralOutputs) {
  const Tensor x = f64({0.3}, {1});
  for (int used = 1; used <= 3; ++used) {
    Tape tape;
    tape.watch(x);
    const auto [s, c] = sin_cos(x);
    tape.backward(used == 1 ? s : used == 2 ? c : s * c);
    const double expected = used == 1 ? std::cos(0.3) : used == 2 ? -std::sin(0.3) : std::cos(0.6);
    EXPECT_NEAR(tape.grad(x).item(), expected, 1e-15) << used;
  }
}

TEST(UserOp, AWrongShapeFromARuleIsNamed) {
  const Tensor x = f64({2, -1}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = f64({1, 1}, {2});
  record("mine", y, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, sum(gy)); });
  EXPECT_EQ(error_of<TapeError>([&] { tape.backward(y, f64({1, 1}, {2})); }).find("mine: the rule gave"), 0u);
}

TEST(Composed, ErrorsNameTheOpAndForgetItsNodes) {
  const Tensor x = full({3}, 2), weight = full({3}, 1);
  weight.set_requires_grad(true);
  Tape tape;
  tape.watch(x);
  const Tensor before = x * 2;
  const std::size_t nodes = tape.size();
  try {
    detail::composed("outer", [&] { return matmul(weight * x, full({4}, 1)); });
    FAIL();
  } catch (const ShapeError& e) {
    EXPECT_EQ(std::string(e.what()).rfind("outer: matmul: ", 0), 0u) << e.what();
  }
  EXPECT_EQ(tape.size(), nodes);
  const Tensor y = sum(before * weight);  // the tape goes on, the parameter is found again
  tape.backward(y);
  EXPECT_EQ(weight.grad().to_vector<float>(), (std::vector<float>{4, 4, 4}));
  EXPECT_EQ(tape.grad(x).to_vector<float>(), (std::vector<float>{2, 2, 2}));
}

}  // namespace
}  // namespace tapedeck
