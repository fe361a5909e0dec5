// Generation on a device beside the CPU's plan, which equals the forward pass bit for bit.
#include <tapedeck/kernels/generate.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/tensor/random.h>

#include <cmath>
#include <limits>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

using Ints = std::vector<std::int64_t>;
const Device kCuda{DeviceType::cuda, 0};

WaveNetConfig random_config(std::uint64_t seed) {
  std::uint64_t draws = 0;
  const auto pick = [&](std::initializer_list<std::int64_t> from) {
    return from.begin()[mix64(seed + 1000, draws++) % from.size()];
  };
  const auto act = [&](std::initializer_list<Act> from) {
    return from.begin()[mix64(seed + 1000, draws++) % from.size()];
  };
  WaveNetConfig c;
  c.classes = pick({5, 16, 33, 256});
  c.input = static_cast<CodeInput>(pick({0, 1, 2}));
  c.kernel_sizes = {pick({2, 2, 3, 4})};
  c.blocks = {pick({1, 2, 3})};
  if (pick({0, 1})) c.blocks.push_back(pick({1, 2, 4}));
  c.channels = pick({1, 2, 5, 6, 16, 30});
  if (pick({0, 1})) c.residual_channels = pick({1, 3, 4, 18, 40});
  if (pick({0, 1})) c.skip_channels = pick({1, 3, 16, 70});
  if (c.channels % 2 == 0 && c.residual_channels.value_or(2) % 2 == 0) c.groups = pick({1, 2});
  c.activation = act({Act::tanh, Act::tanh, Act::relu, Act::mish});
  c.gate = pick({0, 1, 1, 1}) ? std::optional<Act>(act({Act::sigmoid, Act::sigmoid, Act::silu})) : std::nullopt;
  c.padding = pick({0, 1}) ? Padding::causal : Padding::valid;
  c.bias = pick({0, 1, 1, 1}) != 0;
  c.head.hidden = pick({1, 8, 48});
  c.head.layers = pick({0, 0, 1, 2});
  c.head.input_activation = act({Act::identity, Act::relu, Act::gelu});
  c.head.activation = act({Act::mish, Act::relu, Act::elu});
  if (pick({0, 1})) c.head.min_temperature = std::nullopt;
  return c;
}

WaveNetConfig small_config(Padding padding = Padding::causal) {
  return {.classes = 16,
          .blocks = {3, 3},
          .channels = 16,
          .residual_channels = 16,
          .skip_channels = 24,
          .padding = padding};
}

std::vector<float> uniforms_of(std::int64_t n, std::uint64_t seed) {
  std::vector<float> u(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < u.size(); ++i) u[i] = static_cast<float>(mix64(seed, i) >> 40) * 0x1p-24f;
  return u;
}

// Every logit within some roundings of the largest of its row.
void expect_near(std::span<const float> got, std::span<const float> want, std::int64_t classes) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t row = 0; row < got.size(); row += static_cast<std::size_t>(classes)) {
    double most = 0, worst = 0;
    for (std::size_t j = row; j < row + static_cast<std::size_t>(classes); ++j) {
      most = std::max(most, std::abs(static_cast<double>(want[j])));
      const double error = std::abs(static_cast<double>(got[j]) - static_cast<double>(want[j]));
      worst = error <= worst ? worst : error;  // NaN too
    }
    ASSERT_LE(worst, 1e-4 * most) << "row " << row / static_cast<std::size_t>(classes);
  }
}

// Whether `code` is what `u` draws from these logits, or lies beside a bin's edge that is within 1e-5 of u.
bool is_draw(std::span<const float> logits, float u, double temperature, std::int64_t code) {
  if (temperature == 0) {
    float most = logits[0];
    for (const float v : logits) most = std::max(most, v);
    return most - logits[static_cast<std::size_t>(code)] <= 1e-4f * std::max(1.0f, std::abs(most));
  }
  double most = -std::numeric_limits<double>::infinity(), total = 0, below = 0, upto = 0;
  for (const float v : logits) most = std::max(most, static_cast<double>(v));
  for (std::size_t j = 0; j < logits.size(); ++j) {
    const double e = std::exp((static_cast<double>(logits[j]) - most) / temperature);
    total += e;
    if (static_cast<std::int64_t>(j) < code) below += e;
    if (static_cast<std::int64_t>(j) <= code) upto += e;
  }
  // Errors of logits by 1e-6 of the largest shift edges by as much over the temperature.
  return below / total - 1e-5 <= u && u <= upto / total + 1e-5;
}

// One plan on the CPU, one on the device: a prompt, many samples at once, single steps, logits in between.
void compare(const WaveNetConfig& config, std::int64_t batch, std::int64_t steps, std::uint64_t seed,
             DType weights = DType::f32) {
  SCOPED_TRACE(io::dump_json(io::save(config, io::Save::minimal), -1));
  WaveNet net(config);
  materialise(net, {.seed = seed});
  net.eval();
  const auto cpu = net.plan(batch, weights);
  net.to(kCuda, DType::f32);
  const auto device = net.plan(batch, weights);
  const std::int64_t prompt = net.shift() + static_cast<std::int64_t>(seed % 5);
  const Tensor codes = some_codes(batch, prompt, config.classes, seed);
  cpu->prime(codes), device->prime(codes);
  expect_near(device->logits(), cpu->logits(), config.classes);
  const auto width = static_cast<std::size_t>(config.classes);
  const double temperatures[] = {1, 0, 0.7};
  for (int round = 0; round < 3; ++round) {
    const std::int64_t n = round == 1 ? 1 : steps;
    const std::vector<float> u = uniforms_of(n * batch, seed + static_cast<std::uint64_t>(round));
    Ints drawn(u.size());
    device->steps(u, temperatures[round], drawn);
    for (std::int64_t t = 0; t < n; ++t) {
      Ints now(static_cast<std::size_t>(batch));
      for (std::int64_t b = 0; b < batch; ++b) {
        const auto i = static_cast<std::size_t>(t * batch + b);
        now[static_cast<std::size_t>(b)] = drawn[i];
        ASSERT_TRUE(drawn[i] >= 0 && drawn[i] < config.classes);
        ASSERT_TRUE(is_draw(cpu->logits().subspan(static_cast<std::size_t>(b) * width, width), u[i],
                            temperatures[round], drawn[i]))
            << "round " << round << " step " << t << " stream " << b << ": " << drawn[i];
      }
      cpu->feed(now);
    }
    expect_near(device->logits(), cpu->logits(), config.classes);
    EXPECT_EQ(device->position(), cpu->position());
  }
  const Ints given(static_cast<std::size_t>(batch), config.classes / 2);
  cpu->feed(given), device->feed(given);
  expect_near(device->logits(), cpu->logits(), config.classes);
}

class DevicePlanEquals : public testing::TestWithParam<int> {};
TEST_P(DevicePlanEquals, TheCpusPlan) {
  const int seed = GetParam();
  compare(random_config(static_cast<std::uint64_t>(seed)), seed % 5 == 4 ? 17 : 1 + 2 * (seed % 2), 8,
          static_cast<std::uint64_t>(seed));
}
INSTANTIATE_TEST_SUITE_P(RandomConfigs, DevicePlanEquals, testing::Range(0, 24));

WaveNetConfig reference(std::int64_t channels, std::int64_t skip, std::vector<std::int64_t> blocks) {
  WaveNetConfig c{.blocks = std::move(blocks),
                  .channels = channels,
                  .residual_channels = channels,
                  .skip_channels = skip,
                  .padding = Padding::causal};
  c.head = {.hidden = skip, .input_activation = Act::relu, .activation = Act::relu, .min_temperature = {}};
  return c;
}
TEST(DevicePlan, ReferenceWidths) {  // weights in registers
  for (const char* plan : {"chain", "persistent", "global"}) {
    const kernels::Use guard(kernels::wavenet_generate, plan, DeviceType::cuda);
    compare(reference(64, 256, {5, 3}), 1, 3, 3);
  }
  compare(reference(64, 256, {5, 3}), 3, 2, 4);
}
std::string how(const WaveNetConfig& config, std::int64_t batch) {
  WaveNet net(config);
  materialise(net);
  net.to(kCuda, DType::f32);
  return net.plan(batch)->how();
}
bool emulated() { return std::string(runtime(DeviceType::cuda).name) == "emulated cuda"; }
// A stream to a cluster, where the device (the emulated one runs two clusters at a time) and the widths allow it.
TEST(DevicePlan, AChainForFewStreams) {
  if (!emulated()) GTEST_SKIP() << "what a real device runs at a time is its own";
  const auto chain = [](std::int64_t channels, std::vector<std::int64_t> blocks, std::int64_t batch) {
    return how(reference(channels, 128, std::move(blocks)), batch);
  };
  EXPECT_EQ(chain(64, {10, 10, 10}, 1), "one kernel: 1 clusters of 16 blocks, 1 streams each, a chain");
  EXPECT_EQ(chain(32, {10, 10, 10}, 2), "one kernel: 2 clusters of 8 blocks, 1 streams each, a chain");
  EXPECT_EQ(chain(32, {5}, 1), "one kernel: 1 clusters of 2 blocks, 1 streams each, a chain");
  for (const std::string& other : {chain(64, {8}, 3), chain(16, {8}, 1), chain(32, {1}, 1)})
    EXPECT_EQ(other.find("a chain"), std::string::npos) << other;
}
TEST(DevicePlan, ChainsOfAllSizes) {
  const kernels::Use guard(kernels::wavenet_generate, "chain", DeviceType::cuda);
  const auto compare = [](const WaveNetConfig& c, std::int64_t batch, std::int64_t steps, std::uint64_t with,
                          DType weights = DType::f32) {
    EXPECT_TRUE(!emulated() || how(c, batch).find("a chain") != std::string::npos);
    nn::compare(c, batch, steps, with, weights);
  };
  compare(reference(64, 256, {10, 10, 10}), 1, 2, 5);
  compare(reference(32, 128, {10, 10, 10}), 1, 2, 6);
  std::uint64_t seed = 7;
  for (const std::int64_t channels : {32, 64})
    for (const std::vector<std::int64_t>& blocks : {std::vector<std::int64_t>{2}, {3, 2}, {4, 4}, {6, 5}}) {
      WaveNetConfig c = reference(channels, seed % 2 ? 24 : 70, blocks);
      c.classes = seed % 3 ? 40 : 5, c.kernel_sizes = {seed % 4 == 0 ? 4 : 2};
      c.bias = seed % 3 != 0, c.padding = seed % 2 ? Padding::valid : Padding::causal;
      c.head.layers = static_cast<std::int64_t>(seed % 3), c.head.activation = Act::mish;
      if (seed % 2) c.head.min_temperature = 0.5;
      compare(c, 1 + static_cast<std::int64_t>(seed % 2), 9, seed);
      ++seed;
    }
  compare(reference(32, 40, {3}), 2, 70, 8);  // rings of several turns
  compare(reference(64, 40, {3}), 1, 3, 9, DType::bf16);
}
TEST(DevicePlan, ManyStreams) {  // mailboxes in global memory
  WaveNetConfig c = small_config();
  c.classes = 40;
  compare(c, 150, 2, 5);
}
TEST(DevicePlan, ManyClasses) {  // more than a lane keeps in registers when it draws
  WaveNetConfig c = small_config(), of_a_chain = reference(32, 40, {3});
  c.classes = 700, of_a_chain.classes = 300;
  compare(c, 2, 4, 5);
  const kernels::Use guard(kernels::wavenet_generate, "chain", DeviceType::cuda);
  compare(of_a_chain, 1, 4, 5);
}
TEST(DevicePlan, LongRuns) { compare(small_config(Padding::valid), 2, 150, 6); }
TEST(DevicePlan, WeightsRoundedToBf16) { compare(small_config(), 2, 5, 7, DType::bf16); }
TEST(DevicePlan, EveryActivationOfTheTable) {
  for (const auto& [act, name] : names(static_cast<Act*>(nullptr))) {
    SCOPED_TRACE(name);
    WaveNetConfig config{.classes = 8, .blocks = {2}, .channels = 4, .activation = act, .gate = Act::hardsigmoid};
    config.head.hidden = 6, config.head.activation = act;
    compare(config, 1, 2, 3);
  }
}

TEST(DevicePlan, ANetworkThatTheKernelDoesNotTake) {  // more layers on top than it has places for
  WaveNetConfig c = small_config(Padding::valid);
  c.head.layers = 9, c.blocks = {2};
  compare(c, 2, 2, 8);
  compare(c, 2, 2, 8, DType::bf16);
}

std::shared_ptr<WaveNet> on_device(const WaveNetConfig& config, std::uint64_t seed = 3) {
  const auto net = std::make_shared<WaveNet>(config);
  materialise(*net, {.seed = seed});
  net->eval();
  net->to(kCuda, DType::f32);
  return net;
}

TEST(DevicePlan, WhatTheKernelDoesNotTakeIsRecorded) {
  WaveNetConfig c = small_config(Padding::valid);
  c.head.layers = 9, c.blocks = {2};
  const auto net = on_device(c);
  const auto plan = net->plan(2);
  plan->prime(some_codes(2, net->shift(), c.classes));
  Ints drawn(6);
  plan->steps(uniforms_of(6, 1), 1, drawn);
  EXPECT_EQ(plan->how(), "forward passes, recorded");
  EXPECT_EQ(on_device(small_config())->plan(2)->how().substr(0, 11), "one kernel:");
}

TEST(DevicePlan, StepsAtOnceAreTheSameBits) {
  for (const std::int64_t channels : {16, 32})
    for (const std::int64_t batch : {1, 3}) {
      WaveNetConfig config = small_config();
      config.channels = config.residual_channels.emplace(channels);
      const auto net = on_device(config);
      const auto one = net->plan(batch), many = net->plan(batch);
      const Tensor codes = some_codes(batch, 20, 16);
      one->prime(codes), many->prime(codes);
      const std::vector<float> u = uniforms_of(10 * batch, 1);
      Ints a(u.size()), b(u.size());
      many->steps(u, 1, b);
      const auto width = static_cast<std::size_t>(batch);
      for (std::size_t i = 0; i < u.size(); i += width)
        one->step(std::span(u).subspan(i, width), 1, std::span(a).subspan(i, width));
      EXPECT_EQ(a, b);
      EXPECT_EQ(std::memcmp(one->logits().data(), many->logits().data(), one->logits().size_bytes()), 0);
      one->reset();
      EXPECT_EQ(one->position(), 0);
      one->prime(codes);
      one->steps(u, 1, a);
      EXPECT_EQ(a, b);
    }
}

TEST(DevicePlan, NaNWeightsGiveAClass) {
  for (const std::int64_t channels : {16, 32}) {
    WaveNetConfig config = small_config();
    config.channels = config.residual_channels.emplace(channels);
    const auto net = std::make_shared<WaveNet>(config);
    materialise(*net);
    for (const auto& [path, t] : net->state_dict())
      if (path.ends_with("conv.weight")) fill_(detach(t), std::numeric_limits<double>::quiet_NaN());
    const auto cpu = net->plan(2);
    net->to(kCuda, DType::f32);
    const auto plan = net->plan(2);
    cpu->prime(some_codes(2, 9, 16)), plan->prime(some_codes(2, 9, 16));
    EXPECT_TRUE(std::isnan(plan->logits()[0]));
    for (const double temperature : {1.0, 0.0}) {
      Ints a(10), b(10);
      const std::vector<float> u = uniforms_of(10, 1);
      plan->steps(u, temperature, a), cpu->steps(u, temperature, b);
      EXPECT_EQ(a, b);
    }
  }
}

TEST(DevicePlan, RefusesWhatDoesNotFit) {
  const auto net = on_device(small_config(Padding::valid));
  EXPECT_THROW(net->plan(0), ValueError);
  const auto plan = net->plan(2);
  const std::vector<float> u{0.1f, 0.2f};
  Ints codes(2);
  expect_has(message_of<ValueError>([&] { static_cast<void>(plan->logits()); }), {"at least 15 codes"});
  expect_has(message_of<ValueError>([&] { plan->step(u, 1, codes); }), {"at least 15 codes", "there were 0"});
  EXPECT_THROW(plan->prime(some_codes(2, 14, 16)), ValueError);
  EXPECT_THROW(plan->prime(some_codes(1, 20, 16)), ShapeError);
  plan->prime(some_codes(2, 15, 16));
  EXPECT_THROW(plan->feed(Ints{0, 16}), ValueError);
  EXPECT_THROW(plan->step(u, -1, codes), ValueError);
  EXPECT_THROW(plan->steps(std::vector<float>{0.1f, 0.5f, 0.2f}, 1, codes), ShapeError);
  EXPECT_THROW(plan->step(std::vector<float>{0.1f, 1.0f}, 1, codes), ValueError);
}

// A wait that is in vain ends with an error, not with a program that hangs; the plan can be used again.
TEST(DevicePlan, WaitsAreBounded) {
  const Tensor table = full({4, 3}, 0.5), conv = full({6, 3, 2}, 0.1), head = full({4, 3}, 0.2);
  kernels::WaveNetGenerateArgs args;
  args.table = table.view();
  kernels::WaveNetGenerateArgs::Layer layer;
  layer.conv = conv.view();
  layer.activation = {&kernels::tanh}, layer.gate = {&kernels::sigmoid};
  args.layers = {layer, layer};
  args.head.push_back({{head.view(), {}}, {}});
  args.device = kCuda, args.patience = 0;
  std::unique_ptr<kernels::StreamGenerator> made;
  args.made = &made;
  kernels::wavenet_generate(kCuda, args);
  const std::int32_t given[] = {1, 2};
  expect_has(message_of<DeviceError>([&] { made->run(2, given, nullptr, 1, nullptr); }),
             {"waited in vain", "2 blocks"});
  args.patience = 1 << 24;
  kernels::wavenet_generate(kCuda, args);
  made->run(2, given, nullptr, 1, nullptr);
  args.head.clear();
  expect_has(message_of<DeviceError>([&] { kernels::wavenet_generate(kCuda, args); }), {"no head"});
}
TEST(DevicePlan, WaitsOfAChainAreBounded) {
  const Tensor table = full({4, 32}, 0.5), conv = full({64, 32, 2}, 0.01), map = full({32, 32}, 0.01),
               head = full({4, 32}, 0.2);
  kernels::WaveNetGenerateArgs args;
  args.table = table.view();
  kernels::WaveNetGenerateArgs::Layer layer;
  layer.conv = conv.view(), layer.residual.weight = layer.skip.weight = map.view();
  layer.activation = {&kernels::tanh}, layer.gate = {&kernels::sigmoid};
  args.layers = {layer, layer, layer, layer, layer};
  args.head.push_back({{head.view(), {}}, {}});
  args.device = kCuda, args.patience = 0;
  std::unique_ptr<kernels::StreamGenerator> made;
  args.made = &made;
  kernels::wavenet_generate(kCuda, args);
  const std::vector<std::int32_t> given(40, 1);
  expect_has(message_of<DeviceError>([&] { made->run(40, given.data(), nullptr, 1, nullptr); }),
             {"waited in vain", emulated() ? "clusters of 2 blocks, 1 streams each, a chain" : "blocks"});
  args.patience = 1 << 24;
  kernels::wavenet_generate(kCuda, args);
  made->run(40, given.data(), nullptr, 1, nullptr);
}

}  // namespace
}  // namespace tapedeck::nn
