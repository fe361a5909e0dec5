#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/run.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "io/throws.h"
#include "train/size_limit.h"
#include "train/small_run.h"

namespace tapedeck {
namespace {

using train::Ending;

class RunTest : public testing::Test {
 protected:
  RunTest() { write_sounds(sounds.path()); }

  train::RunResult start(const std::string& run) {
    auto folder = train::RunFolder::create(runs / run, config, io::Node::object({{"seed", config.train.seed}}), false);
    return go(folder);
  }
  train::RunResult resume(const std::string& run) {
    auto folder = train::RunFolder::open(runs / run);
    return go(folder);
  }
  train::RunResult go(train::RunFolder& folder) {
    train::Trainer trainer = trainer_of(sounds.path(), folder.config());
    return train::run_training(folder, trainer, train::Progress::Style::quiet);
  }
  std::string text(const std::string& file) { return io::read_text_file(runs / file, 1 << 24); }
  // Everything that must not depend on interruptions.
  std::string outcome(const std::string& run) {
    std::string all = text(run + "/metrics.jsonl");
    for (const char* name : {"model.safetensors", "optimizer.safetensors", "trainer_state.json", "config.json"}) {
      all += text(run + "/checkpoints/step-" + std::to_string(config.train.max_steps) + "/" + name);
    }
    return all;
  }

  TempFolder sounds, runs;
  train::RunConfig config = small_config();
};

TEST_F(RunTest, WritesWhatItPromises) {
  config.train.sample_every = 12;
  config.train.sample_seconds = 0.1;
  config.io.sample_rate = 8000;
  const train::RunResult result = start("a");
  EXPECT_EQ(result.ending, Ending::finished);
  EXPECT_EQ(result.step, 24);
  EXPECT_GT(result.score.targets, 0);
  for (const char* file :
       {"config.json", "run.json", "train.log", "checkpoints/LATEST", "checkpoints/step-24/manifest.json",
        "samples/step-12/sample-1.wav", "samples/step-24/sample-1.png"}) {
    EXPECT_FALSE(text(std::string("a/") + file).empty()) << file;
  }
  EXPECT_EQ(text("a/checkpoints/step-24/config.json"), text("a/config.json"));
  const std::string metrics = text("a/metrics.jsonl");
  EXPECT_EQ(std::ranges::count(metrics, '\n'), 4 + 3);  // losses at 5, 10, 15, 20; validations at 8, 16 and the end
  EXPECT_THAT(metrics, testing::HasSubstr("\"valid_bits\""));
  // A run that is finished stays as it is.
  const std::string before = outcome("a");
  EXPECT_EQ(resume("a").ending, Ending::finished);
  EXPECT_EQ(outcome("a"), before);
}

TEST_F(RunTest, InterruptedAndResumedIsTheSameRun) {
  config.train.max_steps = 120;
  start("whole");
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string run = "parts" + std::to_string(signal);
    std::thread later([signal] {
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      ::kill(::getpid(), signal);
    });
    ::signal(signal, SIG_IGN);  // should the run be over before
    const train::RunResult first = start(run);
    later.join();
    if (first.ending == Ending::interrupted) {
      EXPECT_EQ(first.signal, signal);
      EXPECT_LT(first.step, 120);
      EXPECT_FALSE(text(run + "/checkpoints/step-" + std::to_string(first.step) + "/manifest.json").empty());
    }
    ::signal(signal, SIG_DFL);
    EXPECT_EQ(resume(run).ending, Ending::finished);
    EXPECT_EQ(outcome(run), outcome("whole"));
  }
}

// A crash between checkpoints: rows of metrics that came after the last one are made again, not doubled.
TEST_F(RunTest, ResumesFromTheLastCheckpointAfterACrash) {
  start("whole");
  start("crashed");
  std::filesystem::remove_all(runs / "crashed/checkpoints/step-24");
  std::filesystem::remove_all(runs / "crashed/checkpoints/LATEST");
  resume("crashed");
  EXPECT_EQ(outcome("crashed"), outcome("whole"));
  // Before the first checkpoint: from the start.
  std::filesystem::remove_all(runs / "crashed/checkpoints");
  resume("crashed");
  EXPECT_EQ(outcome("crashed"), outcome("whole"));
}

TEST_F(RunTest, StopsWhenNothingIsFinite) {
  config.train.max_bad_steps = 3;
  auto folder = train::RunFolder::create(runs / "bad", config, io::Node::object(), false);
  train::Trainer trainer = trainer_of(sounds.path(), config);
  fill_(trainer.network().named_parameters()[0].tensor, std::numeric_limits<double>::infinity());
  const train::RunResult result = train::run_training(folder, trainer, train::Progress::Style::quiet);
  EXPECT_EQ(result.ending, Ending::not_finite);
  EXPECT_EQ(result.bad_steps, 3);
  EXPECT_THAT(result.problem, testing::ContainsRegex("3 steps in a row.*tone[0-3].wav@"));
}

TEST_F(RunTest, StopsWhenItsTimeIsUp) {
  config.train.max_minutes = 0;
  const train::RunResult result = start("short");
  EXPECT_EQ(result.ending, Ending::out_of_time);
  EXPECT_EQ(result.step, 0);
}

TEST_F(RunTest, GoesOnWithoutACheckpointThatCannotBeWritten) {
  auto folder = train::RunFolder::create(runs / "full", config, io::Node::object(), false);
  train::Trainer trainer = trainer_of(sounds.path(), config);
  {
    const SizeLimit full(4096);  // room for lines, not for weights
    EXPECT_THAT(error_of<IoError>([&] { train::run_training(folder, trainer, train::Progress::Style::quiet); }),
                testing::HasSubstr("step-24"));
  }
  EXPECT_EQ(trainer.step(), 24);
  EXPECT_THAT(text("full/train.log"), testing::HasSubstr("no checkpoint of step 8"));
}

TEST_F(RunTest, FolderIsRefusedUnlessEmptyOrForced) {
  const io::Node about = io::Node::object();
  { train::RunFolder::create(runs / "a", config, about, false); }
  EXPECT_THAT(error_of<ValueError>([&] { train::RunFolder::create(runs / "a", config, about, false); }),
              testing::HasSubstr("--force"));
  io::write_file_atomic(runs / "a/mine.txt", std::string_view("kept"));
  { train::RunFolder::create(runs / "a", config, about, true); }
  EXPECT_EQ(text("a/mine.txt"), "kept");
  const auto held = train::RunFolder::open(runs / "a");
  EXPECT_THAT(error_of<ValueError>([&] { train::RunFolder::open(runs / "a"); }),
              testing::HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(error_of<FormatError>([&] { train::RunFolder::open(runs / "none"); }),
              testing::HasSubstr("is not a run"));
}

}  // namespace
}  // namespace tapedeck
