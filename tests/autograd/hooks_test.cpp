// Hooks on gradients: when they run, what they see, and what becomes of what they return.
#include <gtest/gtest.h>

#include <optional>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using test::Args;
using test::error_of;
using test::f64;
using test::values;

using V = std::vector<double>;

Tensor parameter(std::vector<double> v, const Shape& shape) {
  const Tensor w = f64(std::move(v), shape);
  w.set_requires_grad(true);
  return w;
}

TEST(Hook, SeesTheWholeGradientOfAnOutputAndMayReplaceIt) {
  const Tensor x = f64({2, 3}, {2});
  Tape tape;
  tape.watch(x);
  const Tensor y = square(x);
  std::vector<V> seen;
  const GradHook looks = register_hook(y, [&](const Tensor& g) { seen.push_back(values(g)); });
  const GradHook doubles = register_hook(y, [](const Tensor& g) { return g * 2; });
  const GradHook after = register_hook(y, [&](const Tensor& g) { seen.push_back(values(g)); });
  tape.backward(sum(y * 3 + y * y));  // dy = 3 + 2y
  EXPECT_EQ(seen, (std::vector<V>{{11, 21}, {22, 42}}));
  EXPECT_EQ(values(tape.grad(x)), (V{22 * 4, 42 * 6}));
}

TEST(Hook, RunsOnWatchedTensors) {
  const Tensor x = f64({2}, {1}), other = f64({1}, {1});
  Tape tape;
  tape.watch(x);
  tape.watch(other);
  int calls = 0;
  const GradHook hook = register_hook(x, [&](const Tensor& g) { return ++calls, g + 1; });
  const GradHook unreached = register_hook(other, [&](const Tensor&) { calls = 100; });
  tape.backward(x * x * x);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(values(tape.grad(x)), (V{13}));
}

// As for any other tensor: the gradient of this pass, then added to what is there.
TEST(Hook, OfAParameterSeesThisPassAlone) {
  const Tensor w = parameter({1, 2}, {2});
  std::vector<V> seen;
  GradHook hook = register_hook(w, [&](const Tensor& g) {
    seen.push_back(values(g));
    return g * 10;
  });
  for (int pass = 0; pass < 2; ++pass) {
    Tape tape;
    tape.backward(sum(w * w + w));
  }
  EXPECT_EQ(seen, (std::vector<V>{{3, 5}, {3, 5}}));
  EXPECT_EQ(values(w.grad()), (V{60, 100}));
  hook.remove();
  hook.remove();
  Tape tape;
  tape.backward(sum(w));
  EXPECT_EQ(values(w.grad()), (V{61, 101}));
  EXPECT_EQ(seen.size(), 2u);
}

TEST(Hook, EndsWithItsHandleAndOutlivesTheTensor) {
  int calls = 0;
  const auto count = [&](const Tensor&) { ++calls; };
  Tensor w = parameter({1}, {1});
  std::optional<GradHook> first = register_hook(w, count), second = register_hook(w, count);
  GradHook moved = std::move(*first);
  first.reset();
  const auto run = [&] {
    Tape tape;
    tape.backward(w * 2);
  };
  run();
  EXPECT_EQ(calls, 2);
  second.reset();
  run();
  EXPECT_EQ(calls, 3);
  moved = register_hook(w, count);  // the one before it goes
  run();
  EXPECT_EQ(calls, 4);
  w = Tensor();
  moved = GradHook();
}

TEST(Hook, MayAddAndRemoveHooks) {
  const Tensor w = parameter({1}, {1});
  GradHook self, later;
  int calls = 0;
  self = register_hook(w, [&](const Tensor&) {
    ++calls;
    self.remove();
    later = register_hook(w, [&](const Tensor&) { calls += 10; });
  });
  for (int pass = 1; pass <= 2; ++pass) {
    Tape tape;
    tape.backward(w * 2);
    EXPECT_EQ(calls, pass == 1 ? 1 : 11);
    EXPECT_EQ(values(w.grad()), (V{2. * pass}));  // also when the last hook went while its gradient waited
  }
}

TEST(Hook, RemovedByAnotherOneOfThePassIsGone) {
  const Tensor w = parameter({1}, {1});
  int calls = 0;
  GradHook second;
  const GradHook first = register_hook(w, [&](const Tensor&) { second.remove(); });
  second = register_hook(w, [&](const Tensor&) { ++calls; });
  GradHook last;
  const GradHook ready = register_post_accumulate_grad_hook(w, [&](const Tensor&) { last.remove(); });
  last = register_post_accumulate_grad_hook(w, [&](const Tensor&) { ++calls; });
  Tape tape;
  tape.backward(w * 2);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(values(w.grad()), V{2});
}

TEST(Hook, RunsInGradientsToo) {
  const Tensor x = f64({2}, {1}), w = parameter({3}, {1});
  Tape tape;
  tape.watch(x);
  const GradHook on_w = register_hook(w, [](const Tensor& g) { return g * 5; });
  const Tensor y = x * w;
  const GradHook on_y = register_hook(y, [](const Tensor& g) { return g * 10; });
  const auto g = tape.gradients(square(y), {x, w}, {.create_graph = true});
  EXPECT_EQ(g[0].item(), 360);  // 10 * 2y * w
  EXPECT_EQ(g[1].item(), 5 * 240);
  EXPECT_FALSE(w.has_grad());
  EXPECT_EQ(tape.gradients(g[0], {x})[0].item(), 10 * 180);  // d/dx 20 x w^2, and the hook on y once more
}

TEST(Hook, SaysWhatIsWrong) {
  const Tensor constant = f64({1}, {1}), w = parameter({1}, {1});
  const auto nothing = [](const Tensor&) {};
  EXPECT_NE(error_of<TapeError>([&] { static_cast<void>(register_hook(constant, nothing)); }).find("is no parameter"),
            std::string::npos);
  Tape tape;
  EXPECT_THROW(static_cast<void>(register_hook(constant, nothing)), TapeError);
  EXPECT_THROW(static_cast<void>(register_hook(w, detail::GradFn())), ValueError);
  EXPECT_THROW(static_cast<void>(register_hook(Tensor(), nothing)), TapeError);
  EXPECT_THROW(static_cast<void>(register_post_accumulate_grad_hook(constant, nothing)), TapeError);
  EXPECT_THROW(static_cast<void>(register_post_accumulate_grad_hook(w, {})), ValueError);
  const GradHook wrong = register_hook(w, [](const Tensor&) { return f64({1, 2}, {2}); });
  const Tensor y = w * 2;
  const std::string what = error_of<TapeError>([&] { tape.backward(y); });
  EXPECT_NE(what.find("register_hook: a hook must return a gradient of the same shape"), std::string::npos) << what;
}

// ---- a parameter is ready -------------------------------------------------------------------------------------------
TEST(Ready, AfterTheLastUse) {
  const Tensor early = parameter({2}, {1}), late = parameter({3}, {1}), unused = parameter({4}, {1});
  std::vector<std::string> order;
  const auto tell = [&](const char* name) {
    return [&order, name](const Tensor& w) {
      order.push_back(std::string(name) + " " + (w.has_grad() ? std::to_string(w.grad().item()) : "none"));
    };
  };
  const GradHook hooks[] = {register_post_accumulate_grad_hook(early, tell("early")),
                            register_post_accumulate_grad_hook(late, tell("late")),
                            register_post_accumulate_grad_hook(unused, tell("unused"))};
  Tape tape;
  const Tensor y = early * 2, side = unused * 1;
  const GradHook on_y = register_hook(y, [&](const Tensor&) { order.push_back("y"); });
  tape.backward(y * late + early * 0);
  EXPECT_EQ(order, (std::vector<std::string>{"late 4.000000", "unused none", "y", "early 6.000000"}));
}

TEST(Ready, AfterAGradientHookHasSpoken) {
  const Tensor w = parameter({2}, {1});
  double seen = 0;
  const GradHook ready = register_post_accumulate_grad_hook(w, [&](const Tensor& p) { seen = p.grad().item(); });
  const GradHook half = register_hook(w, [](const Tensor& g) { return g * 0.5; });
  Tape tape;
  tape.backward(w * w);
  EXPECT_EQ(seen, 2);
}

// The parameter is used inside two checkpoints, one within another, and outside: once ready, after all of them.
TEST(Ready, AfterTheLastUseOverNestedTapes) {
  for (const bool gradient_hook : {false, true}) {
    const Tensor w = parameter({2}, {1}), v = parameter({5}, {1}), x = f64({3}, {1});
    std::vector<std::string> order;
    V seen;
    const GradHook hooks[] = {
        register_post_accumulate_grad_hook(w, [&](const Tensor& p) { order.push_back("w"), seen = values(p.grad()); }),
        register_post_accumulate_grad_hook(v, [&](const Tensor&) { order.push_back("v"); })};
    GradHook looks;
    V whole;
    if (gradient_hook) {
      looks = register_hook(w, [&](const Tensor& g) {
        EXPECT_TRUE(whole.empty());
        whole = values(g);
      });
    }
    const auto inner = [&](Args a) { return a[0] * w; };
    const auto outer = [&](Args a) { return checkpoint(inner, {a[0] * w}) * v; };
    Tape tape;
    tape.watch(x);
    const Tensor first = w * x;
    const Tensor between = square(first);
    const GradHook mark = register_hook(between, [&](const Tensor&) { order.push_back("between"); });
    tape.backward(checkpoint(outer, {between}) * w);  // w^5 x^2 v
    EXPECT_EQ(order, (std::vector<std::string>{"v", "between", "w"})) << gradient_hook;
    EXPECT_EQ(seen, (V{5 * 16 * 9 * 5}));
    EXPECT_EQ(values(v.grad()), (V{32 * 9}));
    EXPECT_EQ(values(tape.grad(x)), (V{32 * 6 * 5}));
    EXPECT_EQ(whole, gradient_hook ? seen : V{});
  }
}

TEST(Ready, NotByGradients) {
  const Tensor w = parameter({2}, {1});
  int calls = 0;
  const GradHook ready = register_post_accumulate_grad_hook(w, [&](const Tensor&) { ++calls; });
  Tape tape;
  const Tensor y = w * w;
  tape.gradients(y, {w});
  EXPECT_EQ(calls, 0);
  tape.backward(y);
  EXPECT_EQ(calls, 1);
}

// A tape that ended by an exception takes nothing from later ones.
TEST(Ready, AFailedBackwardAroundTakesNothing) {
  const Tensor w = parameter({2}, {1});
  const GradHook same = register_hook(w, [](const Tensor&) {});
  Tape outer;
  const Tensor y = w * 2;
  record("mine", y, {&w}, [](const Tensor&, Grads&) { throw ValueError("mine: no"); });
  EXPECT_THROW(outer.backward(y), ValueError);
  Tape inner;
  inner.backward(w * 3);
  EXPECT_EQ(values(w.grad()), (V{3}));
}

// An optimizer's step as soon as a parameter is ready: no rule needs its old value any more.
TEST(Ready, AllowsToStepAtOnce) {
  const Tensor a = parameter({2}, {1}), b = parameter({3}, {1});
  const auto step = [](const Tensor& w) {
    add_(w, w.grad() * -0.5);
    w.zero_grad();
  };
  const GradHook hooks[] = {register_post_accumulate_grad_hook(a, step), register_post_accumulate_grad_hook(b, step)};
  Tape tape;
  tape.backward(square(a * 2) * b);
  EXPECT_EQ(values(a), (V{2 - 0.5 * 48}));
  EXPECT_EQ(values(b), (V{3 - 0.5 * 16}));
}

}  // namespace
}  // namespace tapedeck
