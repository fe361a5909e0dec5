// Configs with a member of every kind, for the tests of the config protocol.
#pragma once
#include <tapedeck/io/config.h>

namespace tapedeck::io::testing_configs {

enum class Padding { same, valid, causal };
constexpr auto names(Padding*) {
  return enum_names<Padding>({{Padding::same, "same"}, {Padding::valid, "valid"}, {Padding::causal, "causal"}});
}

struct OptimizerFamily {
  static constexpr const char* family_name = "optimizer";
};

struct Adam {
  double lr = 1e-3;
  std::array<double, 2> betas{0.9, 0.999};
  static constexpr const char* type_name = "Adam";
  static constexpr void fields(auto&& f) {
    f("lr", &Adam::lr, Meta{.min = 1e-7, .max = 1, .help = "step size", .log = true});
    f("betas", &Adam::betas, Meta{.min = 0, .max = 1, .help = "decay of the moments"});
  }
};

struct Sgd {
  double lr = 0.1;
  bool nesterov = false;
  static constexpr const char* type_name = "Sgd";
  static constexpr void fields(auto&& f) {
    f("lr", &Sgd::lr, Meta{.min = 0, .max = 10, .help = "step size"});
    f("nesterov", &Sgd::nesterov);
  }
};

struct Conv {
  std::int64_t channels = 64;
  int kernel = 3;
  int dilation = 1;
  Padding padding = Padding::same;
  double dropout = 0;

  std::int64_t receptive_field() const { return (kernel - 1) * std::int64_t{dilation} + 1; }
  std::int64_t divided() const { return 1024 / kernel; }  // would trap on a kernel that check() refuses
  void validate(Issues& issues) const {
    if (padding == Padding::causal && kernel < 2) issues.add("/kernel", "must be at least 2 with causal padding");
  }
  static constexpr const char* type_name = "Conv";
  static constexpr Doc doc{"a convolution"};
  static constexpr void fields(auto&& f) {
    f("channels", &Conv::channels, Meta{.min = 1, .max = 65536, .help = "width of the output"});
    f("kernel", &Conv::kernel, Meta{.min = 1, .max = 1023, .help = "taps", .unit = "samples", .aliases = {"taps"}});
    f("dilation", &Conv::dilation, Meta{.min = 1});
    f("padding", &Conv::padding);
    f("dropout", &Conv::dropout, Meta{.min = 0, .max = 0.9});
  }
  static constexpr void computed(auto&& f) {
    f("receptive_field", &Conv::receptive_field, "samples that an output sees");
    f("divided", &Conv::divided);
  }
};

struct RunConfig {
  std::string name = "run";
  std::int64_t seed = 0;
  int rate = 16000;
  bool resume = false;
  std::string window = "hann";
  Conv net{.channels = 32};  // another default than Conv's own
  std::vector<Conv> blocks{};
  std::vector<std::int64_t> dilations{1, 2, 4};
  std::optional<double> clip = 1.0;
  std::optional<Conv> post{};
  std::map<std::string, double> weights{{"nll", 1.0}};
  Poly<OptimizerFamily> optim = Adam{};
  std::vector<Poly<OptimizerFamily>> others{};
  std::array<Conv, 2> pair{{{.channels = 1}, {.channels = 2}}};

  static constexpr const char* type_name = "Run";
  static constexpr void fields(auto&& f) {
    f("name", &RunConfig::name, Meta{.help = "shown in the log"});
    f("seed", &RunConfig::seed);
    f("rate", &RunConfig::rate, Meta{.unit = "Hz", .choices = {"8000", "16000", "44100"}});
    f("resume", &RunConfig::resume);
    f("window", &RunConfig::window, Meta{.choices = {"hann", "hamming", "rectangular"}});
    f("net", &RunConfig::net, Meta{.help = "the network"});
    f("blocks", &RunConfig::blocks);
    f("dilations", &RunConfig::dilations, Meta{.min = 1, .max = 4096});
    f("clip", &RunConfig::clip, Meta{.min = 0});
    f("post", &RunConfig::post);
    f("weights", &RunConfig::weights, Meta{.min = 0, .max = 100});
    f("optim", &RunConfig::optim);
    f("others", &RunConfig::others);
    f("pair", &RunConfig::pair);
  }
};

inline void register_all() {
  Poly<OptimizerFamily>::add<Adam>();
  Poly<OptimizerFamily>::add<Sgd>();
}

}  // namespace tapedeck::io::testing_configs
