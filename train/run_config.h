// The config of a run: how sound becomes codes (io), the network (net), how it is trained (train).
#pragma once
#include <tapedeck/io/audio.h>
#include <tapedeck/io/config.h>
#include <tapedeck/nn/network.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/train/codec.h>
#include <tapedeck/train/optim.h>
#include <tapedeck/train/schedule.h>

#include <optional>
#include <string>
#include <vector>

namespace tapedeck::train {

struct IoConfig {
  std::int64_t sample_rate = 0;
  std::optional<std::int64_t> channel;
  Encoding encoding = Encoding::mulaw;
  std::int64_t levels = 256;
  double valid_fraction = 0.05;
  bool strict = false;
  bool repair = false;
  static constexpr const char* type_name = "Io";
  static constexpr void fields(auto&& f) {
    using C = IoConfig;
    f("sample_rate", &C::sample_rate,
      io::Meta{
          .min = 0, .max = 768000, .help = "recordings are resampled to it; 0: the most common one", .unit = "Hz"});
    f("channel", &C::channel, io::Meta{.min = 0, .max = 63, .help = "channel number from 0; null: the mean of all"});
    f("encoding", &C::encoding, io::Meta{.help = "of samples as codes"});
    f("levels", &C::levels, io::Meta{.min = 2, .max = 1024, .help = "number of codes"});
    f("valid_fraction", &C::valid_fraction, io::Meta{.min = 1e-6, .max = 0.9, .help = "share that is held out"});
    f("strict", &C::strict, io::Meta{.help = "skip files that hold less than their header promises"});
    f("repair", &C::repair, io::Meta{.help = "set NaN and Inf samples to 0 instead of skipping the file"});
  }
  int channel_policy() const { return channel ? static_cast<int>(*channel) : io::mix_channels; }
};

struct TrainConfig {
  std::int64_t seed = 0;
  std::int64_t max_steps = 2000;
  std::optional<double> max_minutes;
  std::int64_t batch_size = 8;
  std::int64_t segment = 1000;
  std::int64_t shards = 1;
  io::Poly<Optimizer> optimizer = AdamConfig{};
  io::Poly<Schedule> schedule = OneCycleConfig{};
  double clip = 1;
  double average = 0;
  std::int64_t max_bad_steps = 20;
  std::int64_t log_every = 10;
  std::int64_t valid_every = 500;
  std::int64_t valid_windows = 64;
  std::int64_t save_every = 500;
  std::int64_t keep = 3;
  std::int64_t sample_every = 0;
  double sample_seconds = 2;
  double sample_temperature = 1;
  static constexpr const char* type_name = "Train";
  static constexpr void fields(auto&& f) {
    using C = TrainConfig;
    constexpr double most = 1e12;
    f("seed", &C::seed, io::Meta{.min = 0, .help = "of the weights, the batches and everything drawn"});
    f("max_steps", &C::max_steps, io::Meta{.min = 1, .max = most, .help = "length of the run and of its schedule"});
    f("max_minutes", &C::max_minutes,
      io::Meta{
          .min = 0, .max = 1e6, .help = "stop and save earlier; the schedule still spans max_steps", .unit = "min"});
    f("batch_size", &C::batch_size, io::Meta{.min = 1, .max = 65536, .help = "windows in a step"});
    f("segment", &C::segment, io::Meta{.min = 1, .max = 1 << 24, .help = "samples predicted in each window"});
    f("shards", &C::shards,
      io::Meta{.min = 1, .max = 65536, .help = "equal parts of a step, one after the other: less memory"});
    f("optimizer", &C::optimizer);
    f("schedule", &C::schedule, io::Meta{.help = "of the learning rate over max_steps"});
    f("clip", &C::clip, io::Meta{.min = 0, .max = most, .help = "largest norm of the gradient; 0: any"});
    f("average", &C::average,
      io::Meta{.min = 0,
               .max = 1,
               .help = "decay of a moving average of the weights, such as 0.999, which is then what is validated, "
                       "saved and generated with; 0: none"});
    f("max_bad_steps", &C::max_bad_steps,
      io::Meta{.min = 1, .max = most, .help = "steps in a row with a loss or gradient that is not finite: give up"});
    f("log_every", &C::log_every, io::Meta{.min = 1, .max = most, .help = "steps per row of metrics.jsonl"});
    f("valid_every", &C::valid_every, io::Meta{.min = 1, .max = most, .help = "steps between validations"});
    f("valid_windows", &C::valid_windows,
      io::Meta{.min = 1, .max = most, .help = "windows of a validation during training; all at the end"});
    f("save_every", &C::save_every, io::Meta{.min = 1, .max = most, .help = "steps between checkpoints"});
    f("keep", &C::keep, io::Meta{.min = 2, .max = most, .help = "checkpoints kept, the newest ones"});
    f("sample_every", &C::sample_every, io::Meta{.min = 0, .max = most, .help = "steps between sounds; 0: none"});
    f("sample_seconds", &C::sample_seconds, io::Meta{.min = 0.01, .max = 3600, .help = "of a sound", .unit = "s"});
    f("sample_temperature", &C::sample_temperature, io::Meta{.min = 0, .max = 100, .help = "of a sound"});
  }
  void validate(io::Issues& issues) const;
};

struct RunConfig {
  IoConfig io;
  io::Poly<nn::Network> net = nn::WaveNetConfig{};
  TrainConfig train;
  static constexpr const char* type_name = "Run";
  static constexpr void fields(auto&& f) {
    f("io", &RunConfig::io, io::Meta{.help = "how sound becomes codes"});
    f("net", &RunConfig::net, io::Meta{.help = "the network"});
    f("train", &RunConfig::train, io::Meta{.help = "how it is trained"});
  }
};

// Makes the networks, optimizers and schedules known that a config can name. Call it before reading one.
void register_all();

// The network that the config describes, not materialised; ConfigError when its codes do not fit to io.levels.
nn::Part<nn::Network> build_network(const RunConfig& config);

// Ready-made configs, per network type ("wavenet").
struct Preset {
  std::string network, name, help;
  RunConfig config;
};
std::vector<Preset> presets();

}  // namespace tapedeck::train
