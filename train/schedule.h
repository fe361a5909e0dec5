// Learning rates as pure functions of the step.
#pragma once
#include <tapedeck/io/config.h>

#include <cstdint>

namespace tapedeck::train {

// The family of the configs below.
struct Schedule {
  static constexpr const char* family_name = "schedule";
};

struct ConstantConfig {
  double lr = 1e-3;
  std::int64_t warmup = 0;
  static constexpr const char* type_name = "Constant";
  static constexpr io::Doc doc{
      "The same rate throughout; over the first warmup steps it grows in a line, step 0 having lr / warmup."};
  static constexpr void fields(auto&& f) {
    using C = ConstantConfig;
    f("lr", &C::lr, io::Meta{.min = 0, .max = 1e3, .help = "learning rate", .log = true});
    f("warmup", &C::warmup, io::Meta{.min = 0, .max = 1e12, .help = "steps until the rate is reached"});
  }
};

struct OneCycleConfig {
  double max_lr = 1e-3, pct_start = 0.3, div_factor = 25, final_div_factor = 1e4;
  static constexpr const char* type_name = "OneCycle";
  static constexpr io::Doc doc{
      "In cosines from max_lr / div_factor up to max_lr over pct_start of all steps, then down to max_lr / div_factor "
      "/ "
      "final_div_factor: PyTorch's OneCycleLR in two phases.",
      "Smith & Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates, 2018"};
  static constexpr void fields(auto&& f) {
    using C = OneCycleConfig;
    f("max_lr", &C::max_lr, io::Meta{.min = 0, .max = 1e3, .help = "highest learning rate", .log = true});
    f("pct_start", &C::pct_start, io::Meta{.min = 0, .max = 1, .help = "share of the steps until it is reached"});
    f("div_factor", &C::div_factor, io::Meta{.min = 1, .max = 1e9, .help = "first rate: max_lr divided by it"});
    f("final_div_factor", &C::final_div_factor,
      io::Meta{.min = 1, .max = 1e12, .help = "last rate: the first one divided by it"});
  }
};

void register_schedules();

// The rate of step 0, 1, …, total - 1; from `total` on it stays at the last. ConfigError for an empty config.
double learning_rate(const ConstantConfig& config, std::int64_t step, std::int64_t total);
double learning_rate(const OneCycleConfig& config, std::int64_t step, std::int64_t total);
double learning_rate(const io::Poly<Schedule>& config, std::int64_t step, std::int64_t total);

}  // namespace tapedeck::train
