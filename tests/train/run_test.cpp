#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/run.h>
#include <tapedeck/train/signals.h>
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
  std::filesystem::create_directory(runs / "crashed/checkpoints");
  resume("crashed");
  EXPECT_EQ(outcome("crashed"), outcome("whole"));
}

// The folder of checkpoints is there from the start: a run that made steps has lost it.
TEST_F(RunTest, DoesNotStartAgainWhereItsCheckpointsAreGone) {
  {
    auto folder = train::RunFolder::create(runs / "a", config, io::Node::object(), false);
    EXPECT_TRUE(std::filesystem::is_directory(folder.checkpoints()));
  }
  std::filesystem::remove(runs / "a/checkpoints");  // as a run of an older release before its first checkpoint
  resume("a");
  const std::string metrics = text("a/metrics.jsonl");
  std::filesystem::remove_all(runs / "a/checkpoints");
  EXPECT_THAT(error_of<FormatError>([&] { resume("a"); }),
              testing::ContainsRegex("checkpoints: is missing, but metrics.jsonl tells of steps; bring it back.*\n"
                                     "or start anew with: .*--force"));
  EXPECT_EQ(text("a/metrics.jsonl"), metrics);
  EXPECT_THAT(train::run_health(runs / "a").problems, testing::Contains(testing::HasSubstr("checkpoints: is missing")));
}

TEST_F(RunTest, RefusesAConfigThatIsNotThatOfItsCheckpoints) {
  start("a");
  train::RunConfig other = config;
  auto* net = other.net.get_if<nn::WaveNetConfig>();
  net->channels = 12;
  const auto edit = [&](const train::RunConfig& to) {
    io::write_file_atomic(runs / "a/config.json", io::dump_json(io::save(to)), true);
  };
  edit(other);
  const std::string refusal = error_of<FormatError>([&] { resume("a"); });
  EXPECT_THAT(refusal, testing::ContainsRegex("^[^\n]*a/config.json: describes another net or io than the newest "
                                              "checkpoint does; take it from .*step-24/config.json[^\n]*$"));
  EXPECT_THAT(train::run_health(runs / "a").problems, testing::Contains(refusal));
  other = config;
  other.train.optimizer = train::SGDConfig{};
  edit(other);
  EXPECT_THAT(error_of<ConfigError>([&] { resume("a"); }), testing::HasSubstr("train.optimizer keeps another state"));
  other.train.optimizer = train::AdamWConfig{};  // it keeps what Adam does
  edit(other);
  EXPECT_EQ(resume("a").ending, Ending::finished);
}

// A run owns the weights that it was given to start from.
TEST_F(RunTest, GoesOnFromItsInitBeforeTheFirstCheckpoint) {
  start("other");
  config.train.seed = 8;
  const auto begin = [&](const std::string& run) {
    train::Trainer trainer = trainer_of(sounds.path(), config);
    train::load_weights(trainer.network(), runs / "other", {});
    const io::Node about = io::Node::object({{"data", sounds_of(sounds.path(), config).manifest()}});
    return train::RunFolder::create(runs / run, config, about, false,
                                    train::RunFolder::Init{"other", trainer.network().state_dict()});
  };
  {
    auto folder = begin("whole");
    go(folder);
  }
  { begin("stopped"); }
  { begin("spoilt"); }
  std::filesystem::remove_all(runs / "other");
  resume("stopped");
  EXPECT_EQ(outcome("stopped"), outcome("whole"));
  start("plain");
  EXPECT_NE(outcome("plain"), outcome("whole"));
  EXPECT_EQ(train::run_health(runs / "stopped").newest, runs / "stopped/checkpoints/step-24");

  io::write_file_atomic(runs / "spoilt/init.safetensors", std::string_view("x"), true);
  EXPECT_THAT(error_of<FormatError>([&] { resume("spoilt"); }), testing::HasSubstr("init.safetensors: is missing or"));
  EXPECT_THAT(train::run_health(runs / "spoilt").problems, testing::Contains(testing::HasSubstr("init.safetensors")));
}

// BEST is of the scheduled checkpoints, and is written again when a kill came before it.
TEST_F(RunTest, TheBestOneIsMarkedAgain) {
  config.train.valid_every = 4;
  start("whole");
  const std::string best = text("whole/checkpoints/BEST");
  const io::Node state = io::read_json(runs / "whole/checkpoints/step-24/trainer_state.json");
  EXPECT_EQ("step-" + std::to_string(state.at("best_step").integer()) + "\n", best);
  EXPECT_EQ(state.at("best_step").integer() % 8, 0);
  std::filesystem::remove(runs / "whole/checkpoints/BEST");
  resume("whole");
  EXPECT_EQ(text("whole/checkpoints/BEST"), best);
}

TEST_F(RunTest, ACheckpointThatIsNotFiniteEndsTheRun) {
  config.train.save_every = 2;
  config.train.optimizer = train::AdamConfig{.weight_decay = 1000};
  for (const std::int64_t steps : {1, 24}) {  // at the end, and on the way
    const std::string run = "spoilt" + std::to_string(steps);
    config.train.max_steps = steps;
    auto folder = train::RunFolder::create(runs / run, config, io::Node::object(), false);
    train::Trainer trainer = trainer_of(sounds.path(), config);
    trainer.network().named_parameters()[0].tensor.data<float>()[0] = 1e36f;  // of a code that no recording has
    const train::RunResult result = train::run_training(folder, trainer, train::Progress::Style::quiet);
    EXPECT_EQ(result.ending, Ending::not_finite);
    EXPECT_EQ(result.step, std::min<std::int64_t>(steps, 2));
    EXPECT_THAT(result.problem, testing::HasSubstr("bad/step-" + std::to_string(result.step)));
  }
}

TEST(StopSignals, TheSecondInterruptEndsTheProcessAtOnce) {
  for (const int first : {SIGINT, SIGTERM, SIGHUP}) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::signal(SIGHUP, SIG_DFL);
      const train::StopSignals signals;
      ::raise(first);
      if (train::StopSignals::received() != first) ::_exit(1);
      ::raise(SIGTERM);  // asks for nothing more
      ::raise(SIGINT);
      ::_exit(2);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 130) << first << " " << status;
  }
}

TEST(StopSignals, AnIgnoredHangUpStaysIgnored) {
  const auto before = ::signal(SIGHUP, SIG_IGN);
  {
    const train::StopSignals signals;
    ::raise(SIGHUP);
    EXPECT_EQ(train::StopSignals::received(), 0);
  }
  EXPECT_EQ(::signal(SIGHUP, before), SIG_IGN);
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
  std::filesystem::create_directory(runs / "none");
  io::write_file_atomic(runs / "none/mine.txt", std::string_view("kept"));
  for (const bool force : {false, true}) {
    EXPECT_THAT(error_of<ValueError>([&] { train::RunFolder::create(runs / "none", config, about, force); }),
                testing::ContainsRegex("holds files but no run.*choose another --out"));
  }
}

}  // namespace
}  // namespace tapedeck
