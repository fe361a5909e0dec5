#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/train/trained.h>

#include <algorithm>

#include "io/throws.h"
#include "train/small_run.h"

namespace tapedeck {
namespace {

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() { write_sounds(sounds.path()); }
  TempFolder sounds, other;
  train::RunConfig config = small_config();
};

void advance(train::Trainer& trainer, int steps) {
  for (int i = 0; i < steps; ++i) ASSERT_TRUE(trainer.advance().applied);
}

TEST_F(TrainerTest, ResumesBitForBit) {
  train::Trainer whole = trainer_of(sounds.path(), config);
  advance(whole, 12);
  train::Trainer first = trainer_of(sounds.path(), config);
  advance(first, 5);
  const auto saved = io::save_checkpoint(other / "checkpoints", first.step(), first.checkpoint_files());
  train::Trainer second = trainer_of(sounds.path(), config);
  advance(second, 2);  // what it did before does not matter
  second.restore(saved.folder);
  EXPECT_EQ(second.step(), 5);
  EXPECT_EQ(state_bytes(second), state_bytes(first));
  advance(second, 7);
  EXPECT_EQ(second.step(), whole.step());
  EXPECT_EQ(state_bytes(second), state_bytes(whole));
  EXPECT_EQ(second.validate().bits, whole.validate().bits);
}

std::vector<float> all_of(const Tensor& t) { return t.to_vector<float>(); }

// The average is what is validated and saved as the model; training goes on with the weights beside it, bit for bit.
TEST_F(TrainerTest, AveragesItsWeights) {
  train::Trainer plain = trainer_of(sounds.path(), config);
  advance(plain, 12);
  config.train.average = 0.9;
  train::Trainer whole = trainer_of(sounds.path(), config);
  const nn::Arena& arena = whole.network().arenas()[0];
  std::vector<float> expected = all_of(arena.values);
  for (int n = 1; n <= 12; ++n) {
    advance(whole, 1);
    const std::vector<float> now = all_of(arena.values);
    const float decay = static_cast<float>(std::min(0.9, n / (n + 9.0)));
    for (std::size_t i = 0; i < now.size(); ++i) expected[i] = decay * expected[i] + (1 - decay) * now[i];
  }
  EXPECT_EQ(all_of(arena.values), all_of(plain.network().arenas()[0].values));  // it changes no step
  EXPECT_NE(whole.validate().bits, plain.validate().bits);
  EXPECT_EQ(all_of(arena.values), all_of(plain.network().arenas()[0].values));
  {
    const auto averaged = whole.use_average();
    const std::vector<float> average = all_of(arena.values);
    for (std::size_t i = 0; i < average.size(); ++i) ASSERT_NEAR(average[i], expected[i], 1e-6);
  }

  train::Trainer first = trainer_of(sounds.path(), config);
  advance(first, 5);
  const std::string checkpoints = other / "checkpoints";
  const auto saved = io::save_checkpoint(checkpoints, first.step(), first.checkpoint_files());
  train::Trainer second = trainer_of(sounds.path(), config);
  advance(second, 2);
  second.restore(saved.folder);
  advance(second, 7);
  EXPECT_EQ(state_bytes(second), state_bytes(whole));
  EXPECT_EQ(second.validate().bits, whole.validate().bits);
  // Whoever loads the checkpoint gets the average.
  const auto end = io::save_checkpoint(checkpoints, second.step(), second.checkpoint_files());
  const train::Trained trained = train::load_trained(end.folder);
  EXPECT_NEAR(trained.network->arenas()[0].values.to_vector<float>()[3], expected[3], 1e-6);

  // Without one from here on: the weights of training. With one from here on: it begins with them.
  config.train.average = 0;
  train::Trainer without = trainer_of(sounds.path(), config);
  without.restore(end.folder);
  EXPECT_EQ(state_bytes(without), state_bytes(plain));
  const auto unaveraged = io::save_checkpoint(other / "plain", plain.step(), plain.checkpoint_files());
  config.train.average = 0.5;
  train::Trainer from_now_on = trainer_of(sounds.path(), config);
  from_now_on.restore(unaveraged.folder);
  EXPECT_EQ(from_now_on.validate().bits, plain.validate().bits);
}

TEST_F(TrainerTest, ThreadsDoNotMatter) {
  std::string bytes[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    train::Trainer trainer = trainer_of(sounds.path(), config);
    advance(trainer, 6);
    bytes[threads - 1] = state_bytes(trainer);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST_F(TrainerTest, SeedMatters) {
  train::Trainer a = trainer_of(sounds.path(), config);
  config.train.seed = 8;
  train::Trainer b = trainer_of(sounds.path(), config);
  EXPECT_NE(state_bytes(a), state_bytes(b));
  EXPECT_NE(a.advance().bits, b.advance().bits);
}

// The same step as one part and as equal parts: the same gradient but for rounding, with dropout drawn per row.
TEST_F(TrainerTest, ShardsAreTheSameStep) {
  const train::StepReport whole = trainer_of(sounds.path(), config).advance();
  for (const std::int64_t shards : {2, 4}) {
    config.train.shards = shards;
    train::Trainer parts = trainer_of(sounds.path(), config), again = trainer_of(sounds.path(), config);
    const train::StepReport report = parts.advance();
    EXPECT_NEAR(report.bits, whole.bits, 1e-5 * whole.bits) << shards;
    EXPECT_NEAR(report.grad_norm, whole.grad_norm, 1e-4 * whole.grad_norm) << shards;
    again.advance();
    EXPECT_EQ(state_bytes(parts), state_bytes(again));
  }
}

// Steps after the first find all their memory in the cache, which stays as large as it was.
TEST_F(TrainerTest, LaterStepsAskTheSystemForNothing) {
  for (const int threads : {1, 2}) {
    empty_cache();
    train::Trainer trainer = trainer_of(sounds.path(), config);
    const int before = num_threads();
    set_num_threads(threads);
    trainer.advance();
    const MemoryStats first = memory_stats();
    if (first.cached_bytes == 0) {
      set_num_threads(before);
      GTEST_SKIP() << "nothing is cached under sanitizers";
    }
    for (int i = 0; i < 10; ++i) trainer.advance();
    const MemoryStats last = memory_stats();
    EXPECT_GT(last.allocations, first.allocations + 100);
    EXPECT_EQ(last.device_allocations, first.device_allocations) << threads;
    EXPECT_EQ(last.live_bytes, first.live_bytes);
    set_num_threads(before);
  }
}

TEST_F(TrainerTest, ShardsMustDivideTheBatch) {
  config.train.shards = 3;
  EXPECT_THAT(error_of<ConfigError>([&] { trainer_of(sounds.path(), config); }), testing::HasSubstr("/train/shards"));
}

TEST_F(TrainerTest, LearnsOnEveryKernelVariant) {
  config.train.max_steps = 40;
  for (const char* variant : {"", "ref", "eigen"}) {
    kernels::prefer(variant);
    train::Trainer trainer = trainer_of(sounds.path(), config);
    const double before = trainer.validate().bits;
    advance(trainer, 40);
    EXPECT_LT(trainer.validate().bits, 0.8 * before) << variant;
  }
  kernels::prefer("");
}

TEST_F(TrainerTest, MemorisesATone) {
  TempFolder one;
  io::write_wav(one / "sine.wav", tone(8000, 16), 1, 8000);
  auto net = *config.net.get_if<nn::WaveNetConfig>();
  net.head.dropout = 0;
  config.net = net;
  config.train.max_steps = 200;
  config.train.schedule = train::OneCycleConfig{.max_lr = 2e-2};
  train::Trainer trainer = trainer_of(one.path(), config);
  advance(trainer, 200);
  const train::Score score = trainer.validate();
  EXPECT_LT(score.bits, 0.1);
  EXPECT_LT(score.bits, score.order1);
  EXPECT_LT(score.order1, score.order0);
}

TEST_F(TrainerTest, StepThatIsNotFiniteTouchesNothing) {
  train::Trainer trainer = trainer_of(sounds.path(), config);
  advance(trainer, 3);
  const std::string before = state_bytes(trainer);
  const Tensor weight = trainer.network().named_parameters()[0].tensor;
  const Tensor kept = clone(weight);
  fill_(weight, std::numeric_limits<double>::quiet_NaN());
  const std::string poisoned = state_bytes(trainer);
  const train::StepReport report = trainer.advance();
  EXPECT_FALSE(report.applied);
  EXPECT_THAT(report.problem, testing::ContainsRegex("step 3: the loss is not finite.*tone[0-3].wav@[0-9]+"));
  EXPECT_EQ(trainer.bad_steps(), 1);
  EXPECT_EQ(trainer.step(), 4);
  EXPECT_EQ(state_bytes(trainer), poisoned);
  copy_(weight, kept);
  EXPECT_EQ(state_bytes(trainer), before);
  EXPECT_TRUE(trainer.advance().applied);
  EXPECT_EQ(trainer.bad_steps(), 1);
  EXPECT_EQ(trainer.bad_steps_in_row(), 0);
}

TEST_F(TrainerTest, CodesMustFitTheNetwork) {
  config.io.levels = 64;
  EXPECT_THAT(error_of<ConfigError>([&] { train::build_network(config); }),
              testing::HasSubstr("predicts 32 codes but io.levels = 64"));
}

TEST_F(TrainerTest, RestoreNamesEveryDifference) {
  train::Trainer first = trainer_of(sounds.path(), config);
  const auto saved = io::save_checkpoint(other / "checkpoints", 0, first.checkpoint_files());
  auto net = *config.net.get_if<nn::WaveNetConfig>();
  net.blocks = {4};
  net.head.hidden = 12;
  config.net = net;
  train::Trainer second = trainer_of(sounds.path(), config);
  const std::string before = state_bytes(second);
  const std::string message = error_of<FormatError>([&] { second.restore(saved.folder); });
  EXPECT_THAT(message, testing::HasSubstr("layers.3.conv.weight"));
  EXPECT_THAT(message, testing::HasSubstr("head"));
  EXPECT_EQ(state_bytes(second), before);
}

}  // namespace
}  // namespace tapedeck
