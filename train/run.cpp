#include <fmt/chrono.h>
#include <fmt/format.h>
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/generate.h>
#include <tapedeck/train/metrics.h>
#include <tapedeck/train/run.h>
#include <tapedeck/train/signals.h>
#include <tapedeck/train/sound_out.h>
#include <tapedeck/train/trained.h>

#include <cmath>
#include <ctime>
#include <limits>

namespace tapedeck::train {
namespace {

constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

// What the run itself has in trainer_state.json, beside the trainer.
struct RunState {
  std::int64_t metrics_bytes = 0;  // length of metrics.jsonl when the checkpoint was made
  double sum = 0;                  // of losses since its last row
  std::int64_t count = 0;          // of them
  double best = std::numeric_limits<double>::max();
  std::int64_t best_step = -1;  // whose checkpoint BEST names

  io::Node save() const {
    return io::Node::object(
        {{"metrics_bytes", metrics_bytes}, {"sum", sum}, {"count", count}, {"best", best}, {"best_step", best_step}});
  }
  static RunState load(const io::Node& node) {
    return {node.at("metrics_bytes").integer(), node.at("sum").real(), node.at("count").integer(),
            node.at("best").real(), node.at("best_step").integer()};
  }
};

class Runner {
 public:
  Runner(RunFolder& folder, Trainer& trainer, const RunState& state, Progress::Style style)
      : folder_(folder),
        trainer_(trainer),
        state_(state),
        log_(folder.file("train.log")),
        metrics_(folder.file("metrics.jsonl"), state.metrics_bytes),
        progress_(trainer.step(), trainer.config().train.max_steps, style),
        saved_(trainer.step() > 0 ? trainer.step() : -1) {}

  RunResult run();
  void say(const std::string& text);  // to people and to train.log

 private:
  bool advance(RunResult& result);  // false: give up
  void row(const io::Node& node) { metrics_.append(io::dump_json(node, -1)); }
  Score validate(std::int64_t most);
  void note_best(double bits);
  void sample();
  bool save(RunResult& result);         // false: it is not finite, which ends the run
  bool try_to_save(RunResult& result);  // the same; a full disk ends no run
  bool every(std::int64_t interval) const { return interval > 0 && trainer_.step() % interval == 0; }
  const TrainConfig& config() const { return trainer_.config().train; }

  RunFolder& folder_;
  Trainer& trainer_;
  RunState state_;
  LineFile log_, metrics_;
  Progress progress_;
  std::int64_t saved_;  // step of the newest checkpoint
  double started_ = Progress::steady(), recent_bits_ = 0;
};

void Runner::say(const std::string& text) {
  progress_.line(text);
  log_.append(fmt::format("{:%Y-%m-%dT%H:%M:%SZ} {}", fmt::gmtime(std::time(nullptr)), text));
}

Score Runner::validate(std::int64_t most) {
  const Score score = trainer_.validate(most);
  say(fmt::format("step {}: held out {:.4f} bits per sample (order-0 {:.4f}, order-1 {:.4f}; {} samples)",
                  trainer_.step(), score.bits, score.order0, score.order1, score.targets));
  row(io::Node::object({{"step", trainer_.step()},
                        {"valid_bits", std::isfinite(score.bits) ? io::Node(score.bits) : io::Node()},
                        {"order0_bits", score.order0},
                        {"order1_bits", score.order1},
                        {"valid_samples", score.targets}}));
  return score;
}

// Scores of the same windows are compared, those of steps that the config has saved; BEST is the checkpoint made at the
// step of the best one.
void Runner::note_best(double bits) {
  if (!(bits < state_.best)) return;
  state_.best = bits;
  state_.best_step = trainer_.step();
}

void Runner::sample() {
  const std::string samples = folder_.file("samples"), at = fmt::format("{}/step-{}", samples, trainer_.step());
  try {
    io::make_folders(at);
    const auto averaged = trainer_.use_average();
    trainer_.network().eval();
    const int rate = static_cast<int>(trainer_.config().io.sample_rate);
    const auto seed = static_cast<std::uint64_t>(config().seed);
    const auto codes = generate(trainer_.network(), trainer_.codec(), rows_of(trainer_.starts()),
                                {.samples = std::max<std::int64_t>(1, std::llround(config().sample_seconds * rate)),
                                 .temperature = config().sample_temperature,
                                 .seed = seed,
                                 .progress = [](std::int64_t) {
                                   TD_CHECK(StopSignals::received() == 0, Error, "a signal came before its end");
                                 }});
    write_sound(at + "/sample-1", trainer_.codec().decode(codes[0]), rate,
                io::Node::object(
                    {{"step", trainer_.step()}, {"seed", config().seed}, {"temperature", config().sample_temperature}}),
                true);
  } catch (const std::exception& error) {  // a sound is not worth a run
    say(std::string("no sample: ") + error.what());
  }
  trainer_.network().train();
}

bool Runner::save(RunResult& result) {
  if (saved_ == trainer_.step()) return true;
  metrics_.sync();  // a checkpoint counts on the lines before it
  state_.metrics_bytes = metrics_.bytes();
  const io::SavedCheckpoint saved =
      io::save_checkpoint(folder_.checkpoints(), trainer_.step(), trainer_.checkpoint_files(state_.save()),
                          {.keep_last = config().keep, .best = state_.best_step == trainer_.step()});
  for (const std::string& note : saved.notes) say(note);
  if (saved.finite) {
    saved_ = trainer_.step();
    return true;
  }
  result.ending = Ending::not_finite;
  result.problem = fmt::format(
      "stopped: the checkpoint of step {} holds values that are not finite and went to {}; lower the learning rate in "
      "train.schedule (--resume goes on from the checkpoint before, and takes --set); {}",
      trainer_.step(), io::printable(saved.folder), saved.notes.front());
  return false;
}

bool Runner::try_to_save(RunResult& result) {
  try {
    return save(result);
  } catch (const IoError& error) {
    say(fmt::format("warning: no checkpoint of step {}: {}; training goes on, the next try is at step {}",
                    trainer_.step(), error.what(), trainer_.step() + config().save_every));
    return true;
  }
}

bool Runner::advance(RunResult& result) {
  const StepReport report = trainer_.advance();
  if (report.applied) {
    state_.sum += report.bits;
    ++state_.count;
    recent_bits_ = recent_bits_ == 0 ? report.bits : 0.95 * recent_bits_ + 0.05 * report.bits;
  } else {
    say("warning: " + report.problem);
    row(io::Node::object({{"step", trainer_.step()}, {"skipped", report.problem}}));
    if (trainer_.bad_steps_in_row() >= config().max_bad_steps) {
      result.ending = Ending::not_finite;
      result.problem = fmt::format(
          "stopped: {} steps in a row without a finite loss and gradient; lower the learning "
          "rate or look at the recordings; {}",
          config().max_bad_steps, report.problem);
      return false;
    }
  }
  if (every(config().log_every) && state_.count > 0) {
    row(io::Node::object({{"step", trainer_.step()},
                          {"loss_bits", state_.sum / static_cast<double>(state_.count)},
                          {"grad_norm", report.applied ? io::Node(report.grad_norm) : io::Node()},
                          {"lr", report.rate}}));
    state_.sum = 0;
    state_.count = 0;
  }
  progress_.update(trainer_.step(),
                   [&] { return fmt::format("loss {:.3f} bits lr {:.1e}", recent_bits_, report.rate); });
  return true;
}

RunResult Runner::run() {
  RunResult result;
  const auto stop = [&](Ending ending) {
    result.ending = ending;
    return true;
  };
  const auto stopped = [&] {
    if (trainer_.finished()) return stop(Ending::finished);
    if ((result.signal = StopSignals::received()) != 0) return stop(Ending::interrupted);
    const double minutes = (Progress::steady() - started_) / 60;
    return config().max_minutes && minutes >= *config().max_minutes && stop(Ending::out_of_time);
  };
  while (!stopped() && advance(result)) {
    if (trainer_.finished()) continue;  // the last validation and checkpoint are those below
    if (every(config().valid_every)) {
      const double bits = validate(config().valid_windows).bits;
      if (every(config().save_every)) note_best(bits);
    }
    if (every(config().sample_every)) sample();
    if (every(config().save_every) && !try_to_save(result)) break;
  }
  if (result.ending == Ending::finished || result.ending == Ending::out_of_time) {
    // A run that was finished before, and saved, has its last row in metrics.jsonl already.
    result.score = saved_ == trainer_.step() ? trainer_.validate() : validate(kAll);
    if (saved_ != trainer_.step()) {
      note_best(trainer_.validate(config().valid_windows).bits);
      if (config().sample_every > 0) sample();
    }
  }
  if (result.ending != Ending::not_finite && save(result) && !std::isfinite(result.score.bits)) {
    result.ending = Ending::not_finite;
    result.problem = fmt::format(
        "the network of step {} predicts values that are not finite; lower the learning rate in train.schedule",
        trainer_.step());
  }
  result.step = trainer_.step();
  result.bad_steps = trainer_.bad_steps();
  result.seconds = Progress::steady() - started_;
  progress_.finish();
  return result;
}

// The checkpoint verifies and is of this network: only an optimizer that was made to keep something else does not fit.
io::Node restore(const RunFolder& folder, Trainer& trainer, const std::string& checkpoint) {
  try {
    return trainer.restore(checkpoint);
  } catch (const FormatError& error) {
    if (io::equal(trainer.config().train.optimizer, read_run_config(checkpoint + "/config.json").train.optimizer))
      throw;
    const std::string text = error.what();
    TD_FAIL(ConfigError, io::printable(folder.path()), ": train.optimizer keeps another state now (",
            text.substr(0, text.find(';')), "); give it the settings that it had, or start a new run with --init");
  }
}

}  // namespace

RunResult run_training(RunFolder& folder, Trainer& trainer, Progress::Style style) {
  const StopSignals signals;
  io::FoundCheckpoint found = folder.find_checkpoint();
  RunState state;
  if (found.folder.empty()) {
    folder.load_init(trainer.network());
  } else {
    state = RunState::load(restore(folder, trainer, found.folder));
    try {
      io::mark_best(folder.checkpoints(), state.best_step);
    } catch (const IoError& error) {
      found.notes.push_back(error.what());
    }
  }
  TD_CHECK(!trainer.finished() || trainer.step() == trainer.config().train.max_steps, ConfigError,
           io::printable(folder.path()), ": is at step ", trainer.step(),
           ", beyond train.max_steps = ", trainer.config().train.max_steps, "; choose a higher one");
  if (!io::equal(trainer.config(), folder.config())) folder.set_config(trainer.config());
  Runner runner(folder, trainer, state, style);
  for (const std::string& note : found.notes) runner.say(note);
  if (!found.folder.empty()) runner.say(fmt::format("going on from step {}", trainer.step()));
  return runner.run();
}

}  // namespace tapedeck::train
