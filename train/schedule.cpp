#include <tapedeck/tensor/error.h>
#include <tapedeck/train/schedule.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tapedeck::train {

void register_schedules() {
  io::Poly<Schedule>::add<ConstantConfig>();
  io::Poly<Schedule>::add<OneCycleConfig>();
}

double learning_rate(const ConstantConfig& config, std::int64_t step, std::int64_t) {
  if (step >= config.warmup) return config.lr;
  return config.lr * static_cast<double>(step + 1) / static_cast<double>(config.warmup);
}

double learning_rate(const OneCycleConfig& config, std::int64_t step, std::int64_t total) {
  const double first = config.max_lr / config.div_factor, last = first / config.final_div_factor;
  const double t = static_cast<double>(std::min(step, total - 1));
  const double top = config.pct_start * static_cast<double>(total) - 1, end = static_cast<double>(total - 1);
  const auto between = [](double from, double to, double part) {
    return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * part));
  };
  // A phase without length is its end.
  if (t <= top) return between(first, config.max_lr, top > 0 ? t / top : 1);
  return between(config.max_lr, last, end > top ? (t - top) / (end - top) : 1);
}

double learning_rate(const io::Poly<Schedule>& config, std::int64_t step, std::int64_t total) {
  if (const auto* c = config.get_if<ConstantConfig>()) return learning_rate(*c, step, total);
  if (const auto* c = config.get_if<OneCycleConfig>()) return learning_rate(*c, step, total);
  TD_FAIL(ConfigError, "schedule: \"", config.type(), "\" is none of Constant, OneCycle");
}

}  // namespace tapedeck::train
