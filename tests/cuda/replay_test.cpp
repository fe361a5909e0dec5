// Recorded steps: the same results, the rules that a step has to keep to, and plans that are forward passes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/nn/wavenet_plan.h>
#include <tapedeck/tensor/replay.h>
#include <tapedeck/tensor/upload.h>

#include <string>
#include <vector>

#include "emulated_memory.h"
#include "nn/helpers.h"

namespace tapedeck {
namespace {

const Device kCuda{DeviceType::cuda, 0};

TEST(Replay, GivesWhatTheStepGives) {
  const Tensor x = zeros({3, 5}, {DType::f32, kCuda}), w = randn({5, 5}).to(kCuda), plain = zeros_like(x);
  int ran = 0;
  Replay step(kCuda, [&] {
    ++ran;
    copy_(x, tanh(matmul(x, w) + 0.5) * 0.75);
  });
  for (int i = 0; i < 10; ++i) {
    step();
    copy_(plain, tanh(matmul(plain, w) + 0.5) * 0.75);
    EXPECT_EQ(step.recorded(), i >= 1) << step.why_not();
    if (i == 4) {
      EXPECT_EQ(x.to_vector<float>(), plain.to_vector<float>());
    }
  }
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(step.why_not(), "");
  EXPECT_EQ(x.to_vector<float>(), plain.to_vector<float>());
}

TEST(Replay, WorksInMemoryOfItsOwn) {
  const Tensor x = zeros({1000}, {DType::f32, kCuda});
  const std::int64_t live = memory_stats(kCuda).live_bytes;
  {
    Replay step(kCuda, [&] { copy_(x, (x + 1) * (x + 2) * 0.125); });
    step(), step();
    EXPECT_GT(memory_stats(kCuda).live_bytes, live);
    ASSERT_TRUE(step.recorded()) << step.why_not();
    const std::uint64_t allocations = memory_stats(kCuda).allocations;
    for (int i = 0; i < 8; ++i) step();
    EXPECT_EQ(memory_stats(kCuda).allocations, allocations);
    const std::vector<float> before = x.to_vector<float>();
    std::vector<Tensor> others;  // what a step's memory would be given to, were it not kept
    for (int i = 0; i < 8; ++i) others.push_back(full({1000}, i, {DType::f32, kCuda}));
    step();
    for (int i = 0; i < 8; ++i) EXPECT_EQ(others[static_cast<std::size_t>(i)].to_vector<float>()[999], i);
    EXPECT_EQ(x.to_vector<float>()[7], (before[7] + 1) * (before[7] + 2) * 0.125f);
  }
  EXPECT_EQ(memory_stats(kCuda).live_bytes, live);
}

// Such steps are run plainly, and say why.
TEST(Replay, ChecksItsRules) {
  const Tensor x = zeros({100}, {DType::f32, kCuda});
  int calls = 0;
  Tensor kept;
  const std::pair<std::function<void()>, const char*> broken[] = {
      {[&] { copy_(x, x + x.to_vector<float>()[0] + 1); }, "a copy to"},
      {[&] { copy_(x, x + ones({100}).to(kCuda)); }, "a copy from"},
      {[&] { copy_(x, x + upload(ones({100}), kCuda).get()); }, "uploads"},
      {[&] { runtime(DeviceType::cuda).synchronize(0), copy_(x, x + 1); }, "waiting"},
      {[&] {
         copy_(x, x + full({2}, 1, {DType::f32, kCuda}).numel() * 0.0 + 1);
       },
       "a copy from"},
      {[&] { copy_(x, narrow(zeros({100 * ++calls}, x.options()), 0, 0, 100) + x + 1); }, "more were asked for"},
      {[&] { kept = x + 1, copy_(x, kept); }, "more were asked for"},
      {[&] {
         const Tensor t = x + 1;
         copy_(x, t);
         if (++calls == 2) kept = t;
       },
       "still in use"},
  };
  for (const auto& [f, why] : broken) {
    fill_(x, 0), calls = 0;
    Replay step(kCuda, f);
    for (int i = 0; i < 4; ++i) step();
    EXPECT_FALSE(step.recorded()) << why;
    EXPECT_THAT(step.why_not(), testing::HasSubstr(why));
    EXPECT_GE(x.to_vector<float>()[99], 1) << why;
  }
  EXPECT_EQ(x.to_vector<float>()[99], 4);
  EXPECT_FALSE(recording());
}

TEST(Replay, ThrowsWhatTheStepThrows) {
  const Tensor x = zeros({4}, {DType::f32, kCuda});
  int calls = 0;
  Replay step(kCuda, [&] {
    if (calls > 0) static_cast<void>(x + zeros({3}, x.options()));
  });
  step(), ++calls;
  EXPECT_THROW(step(), ShapeError);
  EXPECT_THROW(step(), ShapeError);
  calls = 0;
  step();
  EXPECT_FALSE(step.recorded());
}

TEST(Replay, OnTheCpuItIsTheStep) {
  int calls = 0;
  Replay step(kCpu, [&] { ++calls; });
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(calls, 5);
  EXPECT_FALSE(step.recorded());
}

// ---- plans ----------------------------------------------------------------------------------------------------------
void record_nothing(int) { TD_FAIL(DeviceError, "nothing is recorded in this test"); }

// The same network as forward passes, recorded and not: the same bits.
TEST(RecordedPlan, HasTheBitsOfPlainOnes) {
  for (const nn::CodeInput input : {nn::CodeInput::embedding, nn::CodeInput::one_hot, nn::CodeInput::linear})
    for (const Padding padding : {Padding::causal, Padding::valid}) {
      nn::WaveNetConfig config{.classes = 12,
                               .blocks = {2, 1},
                               .channels = 6,
                               .residual_channels = 8,
                               .skip_channels = 10,
                               .padding = padding};
      config.input = input;
      nn::WaveNet net(config);
      nn::materialise(net, {.seed = 5});
      net.eval();
      net.to(kCuda, DType::f32);
      const auto recorded = nn::forward_plan(net, 3, DType::f32);
      DeviceQueues q = *runtime(DeviceType::cuda).queues;
      q.begin_recording = record_nothing;
      DeviceRuntime other = runtime(DeviceType::cuda);
      other.queues = &q;
      const DeviceRuntime* const before = &runtime(DeviceType::cuda);
      set_runtime(DeviceType::cuda, &other);
      const auto plain = nn::forward_plan(net, 3, DType::f32);
      set_runtime(DeviceType::cuda, before);
      const Tensor prompt = nn::some_codes(3, net.shift() + 1, 12);
      recorded->prime(prompt), plain->prime(prompt);
      std::vector<float> u(3 * 20);
      for (std::size_t i = 0; i < u.size(); ++i) u[i] = static_cast<float>(mix64(2, i) >> 40) * 0x1p-24f;
      std::vector<std::int64_t> a(u.size()), b(u.size());
      recorded->steps(u, 0.8, a);
      EXPECT_EQ(recorded->how(), "forward passes, recorded");
      for (std::size_t i = 0; i < u.size(); i += 3)
        plain->step(std::span(u).subspan(i, 3), 0.8, std::span(b).subspan(i, 3));
      EXPECT_THAT(plain->how(), testing::HasSubstr("nothing is recorded in this test"));
      EXPECT_EQ(a, b);
      const auto bits = [](const auto& plan) {
        return std::vector<float>(plan->logits().begin(), plan->logits().end());
      };
      EXPECT_EQ(bits(recorded), bits(plain));
      const std::vector<std::int64_t> given{1, 11, 0};
      recorded->feed(given), plain->feed(given);
      EXPECT_EQ(bits(recorded), bits(plain));
      recorded->prime(prompt), plain->prime(prompt);  // the recorded step goes on with another start
      recorded->steps(u, 1, a), plain->steps(u, 1, b);
      EXPECT_EQ(a, b);
      EXPECT_THROW(recorded->feed(std::vector<std::int64_t>{1, 12, 0}), ValueError);
      const std::uint64_t asked = memory_stats(kCuda).device_allocations;
      recorded->steps(u, 1, a);
      if (emulation::kCached) {
        EXPECT_EQ(memory_stats(kCuda).device_allocations, asked);
      }
    }
}

}  // namespace
}  // namespace tapedeck
