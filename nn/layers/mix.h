// Layers that condition, gate or draw: FiLM, gated perceptrons, mixtures of vectors, learned noise.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/module.h>

#include <optional>

namespace tapedeck::nn {

// x [batch, ..., features], condition [batch, condition] for all of it, or [batch, ..., condition].
struct FiLMConfig {
  std::int64_t features = 1, condition = 1;
  static constexpr const char* type_name = "FiLM";
  static constexpr io::Doc doc{"(1 + s) x + b with [s, b] = Linear(condition).", "Perez et al. 2018"};
  static constexpr void fields(auto&& f) {
    f("features", &FiLMConfig::features, positive("channels of x"));
    f("condition", &FiLMConfig::condition, positive("channels of the condition"));
  }
};
class FiLM : public Configured<FiLMConfig, Module>, public Callable<FiLM> {
 public:
  explicit FiLM(FiLMConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& condition);

 private:
  Part<Linear> proj_;
};

struct GatedMLPConfig {
  std::int64_t in = 1, hidden = 1, out = 1;
  Act gate = Act::silu;
  bool bias = true;
  static constexpr const char* type_name = "GatedMLP";
  static constexpr io::Doc doc{
      "Linear((first half of h) * gate(second half of h)) with h = Linear(x): silu gives SwiGLU, gelu GEGLU.",
      "Shazeer 2020"};
  static constexpr void fields(auto&& f) {
    using C = GatedMLPConfig;
    f("in", &C::in, positive("input channels"));
    f("hidden", &C::hidden, positive("channels behind the gate"));
    f("out", &C::out, positive("output channels"));
    f("gate", &C::gate, io::Meta{.help = "function of the second half"});
    f("bias", &C::bias, io::Meta{.help = "add learned constants"});
  }
};
class GatedMLP : public Configured<GatedMLPConfig> {
 public:
  explicit GatedMLP(GatedMLPConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Linear> proj_, out_;
};

// vectors [hidden, out], N(0, 1) at the start. With a gate the Linear is twice as wide.
struct VectorMixConfig {
  std::int64_t in = 1, hidden = 128, out = 1;
  Act activation = Act::sigmoid;
  std::optional<Act> gate{};
  static constexpr const char* type_name = "VectorMix";
  static constexpr io::Doc doc{
      "activation(Linear(x)) V: learned vectors, mixed by learned weights; with a gate, as in GLU."};
  static constexpr void fields(auto&& f) {
    using C = VectorMixConfig;
    f("in", &C::in, positive("input channels"));
    f("hidden", &C::hidden, positive("vectors"));
    f("out", &C::out, positive("output channels"));
    f("activation", &C::activation, io::Meta{.help = "of the weights"});
    f("gate", &C::gate, io::Meta{.help = "of their second half; null: ungated"});
  }
};
class VectorMix : public Configured<VectorMixConfig> {
 public:
  explicit VectorMix(VectorMixConfig config = {});
  Tensor forward(const Tensor& x) override;
  Param vectors;

 private:
  Part<Linear> proj_;
};

struct GaussianConfig {
  std::int64_t in = 1, out = 1;
  double min_std = 1e-4;
  static constexpr const char* type_name = "Gaussian";
  static constexpr io::Doc doc{
      "[mean, log of the variance] = Linear(x): a draw around the mean while training, the mean in eval mode.",
      "Kingma & Welling 2014"};
  static constexpr void fields(auto&& f) {
    f("in", &GaussianConfig::in, positive("input channels"));
    f("out", &GaussianConfig::out, positive("output channels"));
    f("min_std", &GaussianConfig::min_std, io::Meta{.min = 0, .max = 1e3, .help = "least deviation", .log = true});
  }
};
class Gaussian : public Configured<GaussianConfig> {
 public:
  explicit Gaussian(GaussianConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Linear> proj_;
};

struct LogisticConfig {
  std::int64_t in = 1, out = 1;
  static constexpr const char* type_name = "Logistic";
  static constexpr io::Doc doc{
      "[mean, scale] = Linear(x): a draw of the logistic distribution while training, the mean in eval mode."};
  static constexpr void fields(auto&& f) {
    f("in", &LogisticConfig::in, positive("input channels"));
    f("out", &LogisticConfig::out, positive("output channels"));
  }
};
class Logistic : public Configured<LogisticConfig> {
 public:
  explicit Logistic(LogisticConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Linear> proj_;
};

struct AffineConfig {
  std::int64_t in = 1, out = 1;
  static constexpr const char* type_name = "Affine";
  static constexpr io::Doc doc{"[y, a, b] = Linear(x): a y + b."};
  static constexpr void fields(auto&& f) {
    f("in", &AffineConfig::in, positive("input channels"));
    f("out", &AffineConfig::out, positive("output channels"));
  }
};
class Affine : public Configured<AffineConfig> {
 public:
  explicit Affine(AffineConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Linear> proj_;
};

}  // namespace tapedeck::nn
