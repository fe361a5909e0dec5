// The device runtime: transfers, memory, errors, and training there beside the CPU's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/train/optim.h>
#include <tapedeck/train/precision.h>

#include <cmath>

#include "emulated_memory.h"
#include "io/throws.h"

namespace tapedeck {
namespace {

const Device kCuda{DeviceType::cuda, 0};
bool emulated() { return std::string(runtime(DeviceType::cuda).name) == "emulated cuda"; }

TEST(DeviceRuntime, EveryTypeComesBackAsItWent) {
  for (const DType t :
       {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8, DType::boolean}) {
    const Tensor x = cast(randint(0, 2, {3, 5, 7}), t), there = x.to(kCuda), back = there.to(kCpu);
    EXPECT_EQ(there.device(), kCuda);
    EXPECT_EQ(std::memcmp(x.data(), back.data(), static_cast<std::size_t>(x.numel()) * size_of(t)), 0) << name(t);
  }
  EXPECT_EQ(zeros({0, 3}, {DType::f32, kCuda}).to(kCpu).numel(), 0);
}

TEST(DeviceRuntime, ViewsAreReadInTheirOwnLayout) {
  const Tensor x = randn({4, 6}), there = x.to(kCuda);
  EXPECT_EQ(transpose(there, 0, 1).to_vector<float>(), contiguous(transpose(x, 0, 1)).to_vector<float>());
  EXPECT_EQ(narrow(there, 1, 2, 3).to_vector<float>(), contiguous(narrow(x, 1, 2, 3)).to_vector<float>());
  EXPECT_NEAR(sum(there).item(), sum(x).item(), 1e-5);
}

TEST(DeviceRuntime, OpsNeverMixDevices) {
  const Tensor here = randn({3}), there = here.to(kCuda);
  EXPECT_THAT(error_of<DeviceError>([&] { static_cast<void>(add(here, there)); }), testing::HasSubstr("cuda:0"));
  EXPECT_THAT(error_of<DeviceError>([&] {
                static_cast<void>(matmul(randn({2, 3}), there));
              }),
              testing::HasSubstr("device"));
}

TEST(DeviceRuntime, SeveralDevicesCopyExplicitly) {
  if (device_count(DeviceType::cuda) < 2) GTEST_SKIP() << "one device only";
  const Device second{DeviceType::cuda, 1};
  const Tensor x = randn({5, 3}), a = x.to(kCuda), b = a.to(second);
  EXPECT_EQ(b.device(), second);
  EXPECT_EQ(b.to_vector<float>(), x.to_vector<float>());
  EXPECT_THROW(static_cast<void>(add(a, b)), DeviceError);
  EXPECT_EQ(add(b, b).to_vector<float>(), add(x, x).to_vector<float>());
}

TEST(DeviceRuntime, OpsNeverMixTwoGpus) {
  if (device_count(DeviceType::cuda) < 2) GTEST_SKIP() << "one device only";
  const Device second{DeviceType::cuda, 1};
  const Tensor a = rand({2, 6, 6}).to(kCuda), b = rand({2, 6, 6}).to(second), i = zeros({4}, {DType::i64, second});
  const Tensor square = select(a, 0, 0), x = select(b, 0, 0), w = rand({6, 6, 2}).to(second);
  const std::pair<const char*, std::function<void()>> calls[] = {
      {"add", [&] { static_cast<void>(a + b); }},
      {"matmul", [&] { static_cast<void>(matmul(square, x)); }},
      {"bmm", [&] { static_cast<void>(matmul(a, b)); }},
      {"where", [&] { static_cast<void>(where(gt(a, a), a, b)); }},
      {"cat",
       [&] {
         static_cast<void>(cat({a, b}, 0));
       }},
      {"conv1d", [&] { static_cast<void>(conv1d(a, w)); }},
      {"embedding", [&] { static_cast<void>(embedding(i, square)); }},
      {"gather",
       [&] {
         static_cast<void>(gather(square, 0, zeros({6, 6}, {DType::i64, second})));
       }},
      {"cross_entropy",
       [&] {
         static_cast<void>(cross_entropy(square, zeros({6}, {DType::i64, second})));
       }},
      {"add_", [&] { add_(a, b); }},
  };
  const std::vector<float> before = a.to_vector<float>();
  for (const auto& [op, call] : calls) {
    const std::string text = error_of<DeviceError>(call);
    EXPECT_THAT(text, testing::AllOf(testing::HasSubstr("cuda:0"), testing::HasSubstr("cuda:1"))) << op;
  }
  EXPECT_EQ(a.to_vector<float>(), before);
  EXPECT_EQ(copy_(zeros_like(a), b).to_vector<float>(), b.to_vector<float>());  // a copy says where to
}

TEST(DeviceRuntime, AnIndexThatIsNotThereIsAnErrorEverywhere) {
  for (const int index : {-1, 8, 99}) {
    const Device nowhere{DeviceType::cuda, static_cast<std::int8_t>(index)};
    EXPECT_THAT(error_of<DeviceError>([&] {
                  static_cast<void>(zeros({3}, {DType::f32, nowhere}));
                }),
                testing::HasSubstr("usable CUDA devices"))
        << index;
    EXPECT_THROW(static_cast<void>(randn({3}).to(nowhere)), DeviceError) << index;
  }
}

TEST(DeviceRuntime, AnIndexThatIsNotThereSaysHowManyThereAre) {
  EXPECT_THAT(error_of<DeviceError>([] { static_cast<void>(parse_device("cuda:9")); }),
              testing::HasSubstr("usable CUDA devices"));
}

TEST(DeviceRuntime, CountsItsMemory) {
  empty_cache();
  const MemoryStats before = memory_stats(kCuda);
  {
    const Tensor x = zeros({1 << 20}, {DType::f32, kCuda});
    EXPECT_EQ(memory_stats(kCuda).live_bytes - before.live_bytes, 4 << 20);
  }
  EXPECT_EQ(memory_stats(kCuda).live_bytes, before.live_bytes);
  EXPECT_GE(memory_stats(kCuda).cached_bytes, emulation::kCached ? 4 << 20 : 0);
  EXPECT_GE(memory_stats(kCuda).peak_live_bytes, before.live_bytes + (4 << 20));
  empty_cache();
  EXPECT_EQ(memory_stats(kCuda).cached_bytes, 0);
}

TEST(DeviceRuntime, OutOfMemoryNamesTheHoldersAndLeavesTheTapeAsItWas) {
  const Tensor held = zeros({1 << 20}, {DType::f32, kCuda}), x = randn({8}).to(kCuda);
  x.set_requires_grad(true);
  Tape tape;
  const Tensor y = x * 2;
  const std::int64_t live = memory_stats(kCuda).live_bytes;
  if (emulated()) emulation::limit_memory(2 << 20);
  const std::int64_t many = emulated() ? std::int64_t{1} << 20 : std::int64_t{1} << 40;
  const std::string text = error_of<MemoryError>([&] {
    static_cast<void>(expand(y, {many, 8}) + expand(y, {many, 8}));
  });
  if (emulated()) emulation::limit_memory(SIZE_MAX);
  EXPECT_THAT(text, testing::AllOf(testing::HasSubstr("bytes on cuda:0 were refused"),
                                   testing::HasSubstr("the largest blocks: "), testing::HasSubstr("reduce the batch")));
  EXPECT_EQ(memory_stats(kCuda).live_bytes, live);
  tape.backward(sum(y));
  EXPECT_EQ(x.grad().to_vector<float>(), std::vector<float>(8, 2.0f));
}

// ---- training -------------------------------------------------------------------------------------------------------
nn::WaveNetConfig small() {
  return {.classes = 16,
          .blocks = {3},
          .channels = 8,
          .residual_channels = 8,
          .skip_channels = 12,
          .padding = Padding::causal};
}
struct Course {
  std::vector<double> losses;
  std::vector<float> weights;
  std::uint64_t allocations = 0;  // of the last step, from the device
};
Course course(Device device, DType precision, int steps) {
  const nn::Part<nn::Network> net(std::make_shared<nn::WaveNet>(small()));
  nn::materialise(*net, {.seed = 3});
  if (device != kCpu) net->to(device, DType::f32);
  const auto optimizer = train::make_optimizer(train::AdamConfig{}, *net);
  std::optional<train::ShortNetwork> low;
  if (precision != DType::f32) low.emplace(net, precision);
  train::LossScale scale(precision);
  Tensor codes;
  {
    const RandomScope scope(5, 0);
    codes = randint(0, 16, {2, 64}).to(device);
  }
  Course out;
  while (std::ssize(out.losses) < steps) {
    const std::uint64_t before = memory_stats(device).device_allocations;
    if (low) low->take_weights();
    nn::Network& trained = low ? low->network() : *net;
    trained.zero_grad();
    Tape tape;
    const Tensor loss = trained.loss(codes);
    tape.backward(loss, full(loss.sizes(), scale.value(), loss.options()));
    if (low) low->give_gradients();
    if (!std::isfinite(train::gradient_norm(*net))) {
      if (!scale.overflowed()) break;  // losses.back() is not there: the test fails
      continue;
    }
    optimizer->step(0.003, 1 / scale.value());
    out.losses.push_back(loss.item());
    out.allocations = memory_stats(device).device_allocations - before;
  }
  out.weights = net->arenas()[0].values.to_vector<float>();
  return out;
}

TEST(DeviceTraining, FollowsTheCpu) {
  const Course here = course(kCpu, DType::f32, 12), there = course(kCuda, DType::f32, 12);
  for (std::size_t i = 0; i < here.losses.size(); ++i)
    EXPECT_NEAR(there.losses[i], here.losses[i], 1e-4 * here.losses[i]) << i;
  if (emulation::kCached) {
    EXPECT_EQ(there.allocations, 0u) << "a step after the first asked the device for memory";
  }
}

TEST(DeviceTraining, IsTheSameEveryTime) {
  const Course a = course(kCuda, DType::f32, 4), b = course(kCuda, DType::f32, 4);
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.weights, b.weights);
}

// The weights that are kept are f32, so that short gradients move them: the losses stay in a band of 5 %.
TEST(DeviceTraining, InShortNumbersStaysNearF32) {
  const Course full = course(kCuda, DType::f32, 20);
  for (const DType t : {DType::bf16, DType::f16}) {
    const Course low = course(kCuda, t, 20);
    ASSERT_EQ(low.losses.size(), full.losses.size()) << name(t);
    for (std::size_t i = 0; i < full.losses.size(); ++i)
      EXPECT_NEAR(low.losses[i], full.losses[i], 0.05 * full.losses[i]) << name(t) << " step " << i;
    EXPECT_LT(low.losses.back(), 0.9 * low.losses.front()) << name(t);
  }
}

TEST(DeviceTraining, LossScaleGrowsSlowlyAndHalvesAtOnce) {
  train::LossScale f16(DType::f16), bf16(DType::bf16);
  EXPECT_EQ(f16.value(), 65536);
  for (int i = 0; i < 2000; ++i) f16.good_step(), bf16.good_step();
  EXPECT_EQ(f16.value(), 131072);
  EXPECT_TRUE(f16.overflowed());
  EXPECT_EQ(f16.value(), 65536);
  EXPECT_EQ(bf16.value(), 1);
  EXPECT_FALSE(bf16.overflowed());
  f16.set(1, 0);
  EXPECT_FALSE(f16.overflowed()) << "nothing smaller helps";
}

TEST(DeviceTraining, ShortWeightsAreBf16OrF16) {
  const nn::Part<nn::Network> net(std::make_shared<nn::WaveNet>(small()));
  nn::materialise(*net, {.seed = 3});
  EXPECT_THROW(train::ShortNetwork(net, DType::i64), DTypeError);
}

}  // namespace
}  // namespace tapedeck
