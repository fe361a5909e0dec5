// Trainer: a network, its data and its optimizer, one step at a time. It knows no files: run.h does.
#pragma once
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/dataset.h>
#include <tapedeck/nn/network.h>
#include <tapedeck/train/autoregressive.h>
#include <tapedeck/train/average.h>
#include <tapedeck/train/batch_feed.h>
#include <tapedeck/train/precision.h>
#include <tapedeck/train/run_config.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tapedeck::train {

struct StepReport {
  double bits = 0;  // mean loss per predicted code
  double grad_norm = 0;
  double rate = 0;      // learning rate
  bool applied = true;  // false: loss or gradient was not finite, and no parameter was touched
  std::string problem;  // then: what was not finite, in which step, in which recordings
};

// What a batch needs and what recordings must have: the samples of one window.
std::int64_t window_length(const nn::Network& network, const TrainConfig& config);

class Trainer {
 public:
  // Checks everything that can be checked before the first step. The network gets its weights from train.seed, the
  // same on every device, and moves to `device`; it stays f32, and with `precision` bf16 or f16 a copy of it in that
  // type runs forward and backward (precision.h). ConfigError, DataError.
  Trainer(RunConfig config, nn::Part<nn::Network> network, const io::SoundSet& sounds, Device device = kCpu,
          DType precision = DType::f32);

  const RunConfig& config() const { return config_; }
  nn::Network& network() { return *network_; }
  const CodeSet& codes() const { return codes_; }
  const Codec& codec() const { return codec_; }

  // Steps done. Everything that a step depends on is this number, the config, the data, the weights and the optimizer's
  // state: so that a run can stop and go on as if it had not.
  std::int64_t step() const { return step_; }
  bool finished() const { return step_ >= config_.train.max_steps; }
  StepReport advance();
  std::int64_t bad_steps() const { return bad_steps_; }                // skipped so far
  std::int64_t bad_steps_in_row() const { return bad_steps_in_row_; }  // ending with the last step

  // While it lives the network has the average of its weights that train.average asks for; nullptr: there is none.
  std::unique_ptr<WeightAverage::Use> use_average() const;

  // Bits per code on the held-out recordings: all of it, or the same `most` windows each time.
  Score validate(std::int64_t most = std::numeric_limits<std::int64_t>::max()) const;

  // Excerpts of the recordings that generation starts from when it is given no prompt: i64 [8, n].
  Tensor starts() const { return codes_.starts(static_cast<std::uint64_t>(config_.train.seed), codec_.silence()); }

  // What a checkpoint holds: config.json, model.safetensors, optimizer.safetensors, starts.safetensors and
  // trainer_state.json, to which `more` is added; with train.average the model is the average, and the weights that
  // training goes on with are in unaveraged.safetensors. restore() takes such a folder, verified, and gives the
  // trainer_state.json; an average begins anew where the folder has none. FormatError: the weights are then either as
  // they were or all loaded.
  std::vector<io::CheckpointFile> checkpoint_files(const io::Node& more = io::Node::object()) const;
  io::Node restore(const std::string& folder);

 private:
  std::vector<io::Window> windows_of(std::int64_t step) const;
  double shard_gradients(const std::vector<io::Window>& windows);  // into the arenas; the mean loss in nats

  RunConfig config_;
  nn::Part<nn::Network> network_;
  Codec codec_;
  CodeSet codes_;
  std::vector<ScoredWindow> held_out_;
  BatchFeed feed_;
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<WeightAverage> average_;  // from the first step on: the network may be given other weights before
  std::optional<ShortNetwork> short_;
  LossScale loss_scale_;
  std::int64_t step_ = 0, bad_steps_ = 0, bad_steps_in_row_ = 0;
};

}  // namespace tapedeck::train
