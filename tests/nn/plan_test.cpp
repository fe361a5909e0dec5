#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/nn/plan.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/tensor/parallel.h>

#include <cstring>
#include <limits>

#include "nn/allocation_counter.h"
#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

using Ints = std::vector<std::int64_t>;

std::string text_of(const WaveNetConfig& c) { return io::dump_json(io::save(c, io::Save::minimal), -1); }

// A config drawn from everything that a WaveNet can be.
WaveNetConfig random_config(std::uint64_t seed) {
  std::uint64_t draws = 0;
  const auto pick = [&](std::initializer_list<std::int64_t> from) {
    return from.begin()[mix64(seed, draws++) % from.size()];
  };
  const auto act = [&](std::initializer_list<Act> from) { return from.begin()[mix64(seed, draws++) % from.size()]; };
  WaveNetConfig c;
  c.classes = pick({5, 16, 33, 256});
  c.input = static_cast<CodeInput>(pick({0, 1, 2}));
  c.kernel_sizes = {pick({2, 2, 3, 4})};
  c.blocks = {pick({1, 2, 3})};
  if (pick({0, 1})) c.blocks.push_back(pick({1, 2}));
  c.groups = pick({1, 1, 2});
  c.channels = pick({2, 6, 16, 34, 64});
  if (pick({0, 1})) c.residual_channels = pick({2, 4, 18, 64, 160});
  if (pick({0, 1})) c.skip_channels = pick({1, 3, 16, 70});
  c.activation = act({Act::tanh, Act::tanh, Act::relu, Act::mish});
  c.gate = pick({0, 1, 1, 1}) ? std::optional<Act>(act({Act::sigmoid, Act::sigmoid, Act::silu})) : std::nullopt;
  c.padding = pick({0, 1}) ? Padding::causal : Padding::valid;
  c.bias = pick({0, 1, 1, 1}) != 0;
  c.head.hidden = pick({1, 8, 48, 300});
  c.head.layers = pick({0, 0, 1, 2});
  c.head.input_activation = act({Act::identity, Act::relu, Act::gelu});
  c.head.activation = act({Act::mish, Act::relu, Act::elu});
  c.head.dropout = pick({0, 1}) ? 0.5 : 0;  // no part of generation
  if (pick({0, 1})) c.head.min_temperature = std::nullopt;
  if (c.head.min_temperature && pick({0, 1})) c.head.min_temperature = 0.5;  // reached by about half of the steps
  return c;
}

std::vector<float> row_of(const Tensor& logits, std::int64_t j) {
  return contiguous(select(logits, 1, j)).to_vector<float>();
}
bool same(std::span<const float> a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), b.size() * sizeof(float)) == 0;
}
Ints column(const Tensor& codes, std::int64_t t) { return contiguous(select(codes, 1, t)).to_vector<std::int64_t>(); }
std::int64_t least_prompt(const Network& net) { return net.shift(); }

class PlanEqualsForward : public testing::TestWithParam<int> {};

// Stepping through a recording gives the forward pass at every position, bit for bit.
TEST_P(PlanEqualsForward, AtEveryPosition) {
  const WaveNetConfig c = random_config(static_cast<std::uint64_t>(GetParam()));
  SCOPED_TRACE(text_of(c));
  WaveNet net(c);
  materialise(net, {.seed = static_cast<std::uint64_t>(GetParam())});
  net.eval();
  const std::int64_t batch = 1 + GetParam() % 3, n = net.receptive_field() + 9;
  const Tensor codes = some_codes(batch, n, c.classes);
  const Tensor logits = net(codes);
  const auto plan = net.plan(batch);
  const std::int64_t least = least_prompt(net);
  plan->prime(narrow(codes, 1, 0, least));
  ASSERT_TRUE(same(plan->logits(), row_of(logits, 0)));
  for (std::int64_t t = least; t < n; ++t) {
    plan->feed(column(codes, t));
    ASSERT_TRUE(same(plan->logits(), row_of(logits, t + 1 - least))) << "position " << t;
  }
  EXPECT_EQ(plan->position(), n);
  // A long prompt at once, after all that.
  plan->prime(codes);
  EXPECT_TRUE(same(plan->logits(), row_of(logits, logits.size(1) - 1)));
  EXPECT_EQ(plan->position(), n);
  plan->prime(narrow(codes, 1, 0, n - 1));
  plan->feed(column(codes, n - 1));
  EXPECT_TRUE(same(plan->logits(), row_of(logits, logits.size(1) - 1)));
}
INSTANTIATE_TEST_SUITE_P(RandomConfigs, PlanEqualsForward, testing::Range(0, 60));

WaveNetConfig small_config(Padding padding = Padding::causal) {
  WaveNetConfig c{.classes = 16,
                  .blocks = {3, 3},
                  .channels = 16,
                  .residual_channels = 16,
                  .skip_channels = 24,
                  .padding = padding};
  return c;
}

// So do plans of several threads, at every step.
class PlanOfThreads : public testing::TestWithParam<int> {};
TEST_P(PlanOfThreads, EqualsPlanOfOne) {
  const WaveNetConfig c = random_config(static_cast<std::uint64_t>(GetParam()));
  SCOPED_TRACE(text_of(c));
  WaveNet net(c);
  materialise(net);
  const std::int64_t batch = 1 + GetParam() % 3;
  const auto dtype = GetParam() % 2 ? DType::f32 : DType::bf16;
  const auto one = net.plan(batch, dtype), many = net.plan(batch, dtype, 2 + GetParam() % 3);
  const Tensor codes = some_codes(batch, net.receptive_field() + 20, c.classes);
  for (const auto& plan : {one.get(), many.get()}) plan->prime(narrow(codes, 1, 0, net.receptive_field()));
  for (std::int64_t t = net.receptive_field(); t < codes.size(1); ++t) {
    ASSERT_TRUE(same(many->logits(), {one->logits().begin(), one->logits().end()})) << "position " << t;
    one->feed(column(codes, t)), many->feed(column(codes, t));
  }
}
INSTANTIATE_TEST_SUITE_P(RandomConfigs, PlanOfThreads, testing::Range(0, 24));

// A bf16 plan is the network whose products have weights rounded to bf16, bit for bit.
TEST(Plan, OfHalfTheBytesEqualsForwardWithRoundedWeights) {
  for (int seed = 0; seed < 20; ++seed) {
    const WaveNetConfig c = random_config(static_cast<std::uint64_t>(seed));
    SCOPED_TRACE(text_of(c));
    WaveNet net(c), rounded(c);
    materialise(net, {.seed = 3}), materialise(rounded, {.seed = 3});
    net.eval(), rounded.eval();
    for (const auto& [path, w] : rounded.named_parameters())
      if (path.ends_with(".weight") && !path.starts_with("input.")) copy_(w, cast(cast(w, DType::bf16), DType::f32));
    const std::int64_t n = net.receptive_field() + 5, least = least_prompt(net);
    const Tensor codes = some_codes(2, n, c.classes), logits = rounded(codes);
    const auto plan = net.plan(2, DType::bf16);
    plan->prime(narrow(codes, 1, 0, least));
    for (std::int64_t t = least; t < n; ++t) {
      ASSERT_TRUE(same(plan->logits(), row_of(logits, t - least))) << "position " << t;
      plan->feed(column(codes, t));
    }
    EXPECT_FALSE(same(plan->logits(), row_of(net(codes), logits.size(1) - 1)));
  }
  WaveNet net;
  materialise(net);
  EXPECT_THROW(net.plan(1, DType::f64), DTypeError);
}

TEST(Plan, WideKernelsEqualForwardToo) {
  WaveNet net(
      WaveNetConfig{.classes = 6, .kernel_sizes = {11, 2}, .blocks = {}, .channels = 5, .padding = Padding::causal});
  materialise(net);
  const Tensor codes = some_codes(2, 40, 6), logits = net(codes);
  const auto plan = net.plan(2);
  for (std::int64_t t = 0; t < 40; ++t) {
    plan->feed(column(codes, t));
    ASSERT_TRUE(same(plan->logits(), row_of(logits, t))) << t;
  }
}

// Layers take the products of old taps for up to 8 steps at once: as many as the batch and the dilation allow, none for
// odd dilations, wide products, many taps; from the first step on and after a reset at any of them.
TEST(Plan, StepsTakenAheadEqualForward) {
  const WaveNetConfig configs[] = {
      {.classes = 9, .blocks = {5, 4}, .channels = 16, .residual_channels = 20, .skip_channels = 24},
      {.classes = 9, .kernel_sizes = {4, 4, 4}, .blocks = {}, .channels = 34, .residual_channels = 12, .groups = 2},
      {.classes = 9, .kernel_sizes = {3, 3, 2, 2}, .blocks = {}, .channels = 6, .gate = std::nullopt},
      {.classes = 9, .blocks = {4}, .channels = 16, .residual_channels = 256},
      {.classes = 9, .blocks = {4}, .channels = 16, .residual_channels = 257}};
  for (WaveNetConfig c : configs) {
    c.padding = Padding::causal;
    SCOPED_TRACE(text_of(c));
    WaveNet net(c);
    materialise(net);
    for (const std::int64_t batch : {1, 2, 3, 4, 5, 9}) {
      const Tensor codes = some_codes(batch, 60, c.classes), logits = net(codes);
      for (const int threads : {1, 2}) {
        const auto plan = net.plan(batch, DType::f32, threads);
        for (const std::int64_t n : {1, 2, 3, 5, 6, 7, 8, 13, 60}) {
          plan->reset();
          for (std::int64_t t = 0; t < n; ++t) {
            plan->feed(column(codes, t));
            ASSERT_TRUE(same(plan->logits(), row_of(logits, t))) << batch << " streams, " << n << " steps, step " << t;
          }
        }
      }
    }
  }
}

// Drawing and taking in: the same codes as growing the sequence with the forward pass and the op.
TEST(Plan, StepsEqualTheSlowWay) {
  for (const Padding padding : {Padding::causal, Padding::valid}) {
    WaveNet net(small_config(padding));
    materialise(net, {.seed = 8});
    net.eval();
    const auto plan = net.plan(2);
    Tensor codes = some_codes(2, net.receptive_field(), 16);
    plan->prime(codes);
    for (int i = 0; i < 40; ++i) {
      const double temperature = i % 4 == 0 ? 0 : 0.25 * (i % 4);
      const std::vector<float> u{static_cast<float>(i % 7) / 7, static_cast<float>(i % 11) / 11};
      const Tensor logits = net(codes);
      const Tensor next = sample_categorical(select(logits, 1, logits.size(1) - 1), tensor(u, {2}), temperature);
      Ints got(2);
      plan->step(u, temperature, got);
      ASSERT_EQ(got, next.to_vector<std::int64_t>()) << "step " << i;
      codes = cat({codes, unsqueeze(next, 1)}, 1);
    }
  }
}

TEST(Plan, AStreamAloneEqualsTheStreamInABatch) {
  WaveNet net(small_config());
  materialise(net);
  const Tensor codes = some_codes(5, 30, 16);
  const auto all = net.plan(5), one = net.plan(1);
  all->prime(codes);
  one->prime(narrow(codes, 0, 3, 1));
  EXPECT_TRUE(same(one->logits(), {all->logits().begin() + 3 * 16, all->logits().begin() + 4 * 16}));
}

TEST(Plan, HoldsCopiesOfTheWeights) {
  WaveNet net(small_config());
  materialise(net);
  const Tensor codes = some_codes(1, 20, 16);
  const auto plan = net.plan(1);
  plan->prime(codes);
  const std::vector<float> before(plan->logits().begin(), plan->logits().end());
  for (const auto& [path, t] : net.state_dict()) fill_(detach(t), 0.5);
  plan->prime(codes);
  EXPECT_TRUE(same(plan->logits(), before));
  const auto later = net.plan(1);
  later->prime(codes);
  EXPECT_FALSE(same(later->logits(), before));
}

TEST(Plan, SharedLayersKeepARingEach) {
  const WaveNetConfig c = small_config();
  WaveNetParts parts = WaveNet::make_parts(c);
  parts.layers[3] = parts.layers[0];
  WaveNet net(c, parts);
  materialise(net);
  const Tensor codes = some_codes(1, 30, 16), logits = net(codes);
  const auto plan = net.plan(1);
  for (std::int64_t t = 0; t < 30; ++t) plan->feed(column(codes, t));
  EXPECT_TRUE(same(plan->logits(), row_of(logits, 29)));
}

TEST(Plan, ResetForgetsEverything) {
  WaveNet net(small_config());
  materialise(net);
  const Tensor codes = some_codes(1, 9, 16);
  const auto plan = net.plan(1);
  plan->feed(column(codes, 0));
  const std::vector<float> first(plan->logits().begin(), plan->logits().end());
  plan->prime(some_codes(1, 50, 16, 7));
  plan->reset();
  EXPECT_EQ(plan->position(), 0);
  plan->feed(column(codes, 0));
  EXPECT_TRUE(same(plan->logits(), first));
}

// ---- memory -------------------------------------------------------------------------------------------------------

TEST(AllocationCounter, SeesWhatItMustSee) {
  const std::int64_t start = allocations();
  const auto by_new = std::make_unique<int>(3);
  EXPECT_EQ(allocations(), start + 1);
  void* volatile by_malloc = std::malloc(100);
  EXPECT_EQ(allocations(), start + 2);
  std::free(by_malloc);
  std::vector<int> v(1000);
  EXPECT_EQ(allocations(), start + 3);
  const std::uint64_t tensors = memory_stats().allocations;
  const Tensor t = zeros({1000});
  EXPECT_EQ(memory_stats().allocations, tensors + 1);
}

TEST(Plan, AStepAllocatesNothing) {
  for (const std::int64_t batch : {1, 3}) {
    WaveNet net(small_config());
    materialise(net);
    const auto plan = net.plan(batch, DType::f32, batch > 1 ? 2 : 1);
    plan->prime(some_codes(batch, 40, 16));
    const std::vector<float> u(static_cast<std::size_t>(batch), 0.4f);
    Ints codes(static_cast<std::size_t>(batch));
    plan->step(u, 1, codes);  // scratch that is kept grows here
    const std::uint64_t tensors = memory_stats().allocations;  // its first call allocates
    const std::int64_t before = allocations();
    for (int i = 0; i < 200; ++i) plan->step(u, i % 2, codes);
    EXPECT_EQ(allocations(), before);
    EXPECT_EQ(memory_stats().allocations, tensors);
  }
}

TEST(Plan, StateIsTheRings) {
  const auto state = [](std::vector<std::int64_t> blocks) {
    WaveNet net(WaveNetConfig{.blocks = std::move(blocks), .channels = 8});
    materialise(net);
    return net.plan(1)->state_bytes();
  };
  // One layer more with dilation 256: its ring of 256 columns, sums that were begun, and a few rows of scratch.
  const std::size_t grown = state({9}) - state({8});
  EXPECT_GE(grown, 256 * 8 * sizeof(float));
  EXPECT_LT(grown, (256 * 8 + 8 * 32 + 256) * sizeof(float));
}

// ---- refusals -----------------------------------------------------------------------------------------------------

TEST(Plan, RefusesWhatDoesNotFit) {
  WaveNet net(small_config(Padding::valid));
  expect_has(message_of<ValueError>([&] { net.plan(1); }), {"not materialised"});
  materialise(net);
  EXPECT_THROW(net.plan(0), ValueError);
  EXPECT_THROW(net.plan(1, DType::f32, 0), ValueError);
  EXPECT_THROW(net.plan(1, DType::f32, 65), ValueError);
  const auto plan = net.plan(2);
  const std::vector<float> u{0.1f, 0.2f};
  Ints codes(2);
  expect_has(message_of<ValueError>([&] { static_cast<void>(plan->logits()); }), {"at least 15 codes"});
  expect_has(message_of<ValueError>([&] { plan->step(u, 1, codes); }), {"at least 15 codes", "there were 0"});
  expect_has(message_of<ValueError>([&] { plan->prime(some_codes(2, 14, 16)); }), {"at least 15", "not 14"});
  EXPECT_THROW(plan->prime(some_codes(1, 20, 16)), ShapeError);
  EXPECT_THROW(plan->prime(zeros({2, 20})), ShapeError);
  EXPECT_THROW(plan->prime(Tensor()), ShapeError);
  plan->prime(some_codes(2, 15, 16));
  const std::vector<float> before(plan->logits().begin(), plan->logits().end());
  EXPECT_THROW(plan->prime(add(some_codes(2, 20, 16), 16)), ValueError);
  EXPECT_THROW(plan->feed(Ints{0, 16}), ValueError);
  EXPECT_THROW(plan->feed(Ints{0, -1}), ValueError);
  EXPECT_THROW(plan->feed(Ints{0}), ShapeError);
  EXPECT_THROW(plan->step(u, -1, codes), ValueError);
  EXPECT_THROW(plan->step(u, std::numeric_limits<double>::quiet_NaN(), codes), ValueError);
  EXPECT_THROW(plan->step(std::vector<float>{0.1f, 1.0f}, 1, codes), ValueError);
  EXPECT_THROW(plan->step(std::vector<float>{0.1f}, 1, codes), ShapeError);
  EXPECT_TRUE(same(plan->logits(), before));  // none of that changed anything

  net.to({.dtype = DType::f64});
  expect_has(message_of<DTypeError>([&] { net.plan(1); }), {"f32", "f64"});
}

// What a kernel throws within a step comes out of it, while other threads wait for what it would have made.
TEST(Plan, AKernelThatFailsEndsTheStepInEveryThread) {
  WaveNetConfig config = small_config(Padding::causal);
  config.activation = Act::mish;
  WaveNet net(config);
  materialise(net);
  kernels::mish.add(DeviceType::cpu, "fails", [](const auto&) { throw ValueError("no mish today"); });
  const Tensor codes = some_codes(1, 20, 16);
  const auto whole = net.plan(1);
  whole->prime(codes);
  for (const int threads : {1, 2, 3}) {
    const auto plan = net.plan(1, DType::f32, threads);
    for (int i = 0; i < 3; ++i) {
      const kernels::Use guard(kernels::mish, "fails");
      expect_has(message_of<ValueError>([&] { plan->prime(codes); }), {"no mish today"});
    }
    plan->prime(codes);
    EXPECT_TRUE(same(plan->logits(), {whole->logits().begin(), whole->logits().end()}));
  }
}

// Every function of the table, in the layers and on top of them: what plans run on views are the ops' kernels.
TEST(Plan, EveryActivationOfTheTable) {
  for (const auto& [act, name] : names(static_cast<Act*>(nullptr))) {
    SCOPED_TRACE(name);
    WaveNetConfig config{.classes = 8, .blocks = {2}, .channels = 4, .activation = act, .gate = Act::hardsigmoid};
    config.head.hidden = 6, config.head.activation = act;
    const auto net = make<WaveNet>(config);
    materialise(*net, {.seed = 3});
    net->eval();
    const Tensor codes = some_codes(2, 12, 8), logits = net(codes);
    const auto plan = net->plan(2);
    plan->prime(codes);
    const auto last = select(logits, 1, logits.size(1) - 1).to_vector<float>();
    EXPECT_EQ(std::memcmp(plan->logits().data(), last.data(), last.size() * sizeof(float)), 0);
  }
}

// ---- hooks cost nothing when there are none -------------------------------------------------------------------------
TEST(Module, ACallWithoutHooksAllocatesWhatItsForwardDoes) {
  const auto linear = make<Linear>(LinearConfig{3, 3});
  materialise(*linear);
  const Tensor x = full({2, 3}, 1);
  const auto count = [](auto run) {
    run();
    const std::int64_t before = allocations();
    for (int i = 0; i < 10; ++i) run();
    return allocations() - before;
  };
  const std::int64_t bare = count([&] { linear->forward(x); });
  EXPECT_EQ(count([&] { linear(x); }), bare);
  {
    const HookHandle hook(*linear, "", [](const Call&) {});
    EXPECT_GT(count([&] { linear(x); }), bare);
  }
  EXPECT_EQ(count([&] { linear(x); }), bare);
}

}  // namespace
}  // namespace tapedeck::nn
