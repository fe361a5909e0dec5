// Noise while training; nothing in eval mode.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

namespace tapedeck::nn {

constexpr io::Meta probability(const char* help) { return {.min = 0, .max = 1, .help = help}; }

struct DropoutConfig {
  double p = 0.5;
  static constexpr const char* type_name = "Dropout";
  static constexpr io::Doc doc{"While training, elements become 0 with probability p, and the others x / (1 - p).",
                               "Srivastava et al. 2014"};
  static constexpr void fields(auto&& f) { f("p", &DropoutConfig::p, probability("of a zero while training")); }
};
class Dropout : public Configured<DropoutConfig> {
 public:
  explicit Dropout(DropoutConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return tapedeck::dropout(x, config().p, training()); }
};

// Whole channels of [B, T, C], [B, H, W, C] and [B, D, H, W, C].
template <int N>
struct ChannelDropoutConfig {
  double p = 0.5;
  static constexpr const char* type_name = by_rank<N>("Dropout1d", "Dropout2d", "Dropout3d");
  static constexpr io::Doc doc{
      "While training, whole channels become 0 with probability p, and the others x / (1 - p).", "Tompson et al. 2015"};
  static constexpr void fields(auto&& f) { f("p", &ChannelDropoutConfig::p, probability("of a zero channel")); }
};
template <int N>
class ChannelDropout : public Configured<ChannelDropoutConfig<N>> {
 public:
  explicit ChannelDropout(ChannelDropoutConfig<N> config = {}) : Configured<ChannelDropoutConfig<N>>(config) {}
  Tensor forward(const Tensor& x) override {
    const double p = this->config().p;
    if constexpr (N == 1) return dropout1d(x, p, this->training());
    if constexpr (N == 2) return dropout2d(x, p, this->training());
    if constexpr (N == 3) return feature_dropout(x, p, this->training());
  }
};
using Dropout1d = ChannelDropout<1>;
using Dropout2d = ChannelDropout<2>;
using Dropout3d = ChannelDropout<3>;

struct AlphaDropoutConfig {
  double p = 0.5;
  static constexpr const char* type_name = "AlphaDropout";
  static constexpr io::Doc doc{
      "While training, elements become selu's lowest value with probability p; mean and variance are kept.",
      "Klambauer et al. 2017"};
  static constexpr void fields(auto&& f) { f("p", &AlphaDropoutConfig::p, probability("of selu's lowest value")); }
};
class AlphaDropout : public Configured<AlphaDropoutConfig> {
 public:
  explicit AlphaDropout(AlphaDropoutConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return alpha_dropout(x, config().p, training()); }
};

}  // namespace tapedeck::nn
