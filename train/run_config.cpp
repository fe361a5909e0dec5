#include <tapedeck/nn/registry.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/train/run_config.h>

namespace tapedeck::train {

void TrainConfig::validate(io::Issues& issues) const {
  if (shards >= 1 && batch_size % shards != 0) {
    issues.add("/shards", "a batch of " + std::to_string(batch_size) + " windows does not divide into " +
                              std::to_string(shards) + " equal parts");
  }
}

void register_all() {
  nn::register_networks();
  register_optimizers();
  register_schedules();
}

nn::Part<nn::Network> build_network(const RunConfig& config) {
  nn::Part<nn::Network> network = nn::build_network(config.net);
  TD_CHECK(network->classes() == config.io.levels, ConfigError, "config: /net/classes: the network predicts ",
           network->classes(), " codes but io.levels = ", config.io.levels, "; give both the same value");
  return network;
}

namespace {

RunConfig wavenet(std::vector<std::int64_t> blocks, std::int64_t channels, std::int64_t skips) {
  RunConfig config;
  nn::WaveNetConfig net;
  net.blocks = std::move(blocks);
  net.channels = channels;
  net.residual_channels = channels;
  net.skip_channels = skips;
  net.head.hidden = skips;
  net.head.input_activation = nn::Act::relu;
  net.head.activation = nn::Act::relu;
  net.head.min_temperature.reset();
  config.net = net;
  config.train.schedule = OneCycleConfig{.max_lr = 4e-3};
  return config;
}

RunConfig tiny() {
  RunConfig config = wavenet({5}, 16, 32);
  config.train.batch_size = 4;
  config.train.segment = 256;
  config.train.max_steps = 300;
  config.train.valid_every = config.train.save_every = 100;
  return config;
}

RunConfig small() {
  RunConfig config = wavenet({7, 7}, 32, 64);
  config.train.batch_size = 8;
  config.train.segment = 1024;
  config.train.max_steps = 1500;
  return config;
}

RunConfig medium() {
  RunConfig config = wavenet({8, 8, 8}, 64, 128);
  config.train.batch_size = 8;
  config.train.segment = 2000;
  config.train.max_steps = 20000;
  return config;
}

RunConfig large() {
  RunConfig config = wavenet({10, 10, 10}, 64, 256);
  config.train.batch_size = 8;
  config.train.segment = 4000;
  config.train.shards = 2;
  config.train.max_steps = 100000;
  return config;
}

}  // namespace

std::vector<Preset> presets() {
  return {{"wavenet", "tiny", "for trying things out: seconds", tiny()},
          {"wavenet", "small", "speech at 8 kHz in minutes on two cores", small()},
          {"wavenet", "medium", "an hour or two on two cores", medium()},
          {"wavenet", "large", "three blocks of ten layers, as published: days on two cores", large()}};
}

}  // namespace tapedeck::train
