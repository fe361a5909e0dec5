// Small recordings, a small network and a small run for the tests of training.
#pragma once
#include <tapedeck/io/audio.h>
#include <tapedeck/io/dataset.h>
#include <tapedeck/io/safetensors.h>
#include <tapedeck/train/data.h>
#include <tapedeck/train/trained.h>
#include <tapedeck/train/trainer.h>

#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "io/temp_folder.h"

namespace tapedeck {

inline std::vector<float> tone(std::int64_t samples, double period, double level = 0.5) {
  std::vector<float> x;
  for (std::int64_t i = 0; i < samples; ++i) {
    x.push_back(static_cast<float>(level * std::sin(2 * std::numbers::pi * static_cast<double>(i) / period)));
  }
  return x;
}

// Four recordings of tones of different periods.
inline void write_sounds(const std::string& folder) {
  for (int i = 0; i < 4; ++i) {
    io::write_wav(folder + "/tone" + std::to_string(i) + ".wav", tone(3000 + 100 * i, 20 + 3 * i), 1, 8000);
  }
}

inline train::RunConfig small_config() {
  train::register_all();
  train::RunConfig config;
  nn::WaveNetConfig net;
  net.classes = config.io.levels = 32;
  net.blocks = {3};
  net.channels = 8;
  net.residual_channels = 8;
  net.skip_channels = 8;
  net.head.hidden = 16;
  net.head.dropout = 0.1;  // so that random numbers matter
  net.head.min_temperature.reset();
  config.net = net;
  config.io.valid_fraction = 0.3;
  config.train.seed = 7;
  config.train.batch_size = 4;
  config.train.segment = 50;
  config.train.max_steps = 24;
  config.train.log_every = 5;
  config.train.valid_every = 8;
  config.train.valid_windows = 6;
  config.train.save_every = 8;
  config.train.schedule = train::OneCycleConfig{.max_lr = 5e-3};
  return config;
}

inline io::SoundSet sounds_of(const std::string& folder, const train::RunConfig& config) {
  return train::read_sounds(folder, config, *train::build_network(config), false);
}

inline train::Trainer trainer_of(const std::string& folder, const train::RunConfig& config) {
  return {config, train::build_network(config), sounds_of(folder, config)};
}

// The bytes of weights and optimizer.
inline std::string state_bytes(const train::Trainer& trainer) {
  std::string all;
  for (const io::CheckpointFile& file : trainer.checkpoint_files()) {
    if (const auto* tensors = std::get_if<io::SafeTensors>(&file.content)) {
      const auto bytes = io::serialize_safetensors(*tensors, file.name);
      all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
  }
  return all;
}

}  // namespace tapedeck
