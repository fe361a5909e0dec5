// Activations: one table of those without parameters, which configs choose by name; layers of those with parameters,
// fixed or learned.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

#include <optional>

namespace tapedeck::nn {

enum class Act {
  identity,
  relu,
  leaky_relu,
  elu,
  gelu,
  silu,
  mish,
  softplus,
  tanh,
  sigmoid,  //
  relu6,
  selu,
  celu,
  gelu_tanh,
  logsigmoid,
  softsign,
  softshrink,
  hardshrink,
  hardtanh,
  hardsigmoid,
  hardswish,
  sin,
  cos,
  abs
};
constexpr auto names(Act*) {
  return io::enum_names<Act>({{Act::identity, "identity"},
                              {Act::relu, "relu"},
                              {Act::leaky_relu, "leaky_relu"},
                              {Act::elu, "elu"},
                              {Act::gelu, "gelu"},
                              {Act::silu, "silu"},
                              {Act::mish, "mish"},
                              {Act::softplus, "softplus"},
                              {Act::tanh, "tanh"},
                              {Act::sigmoid, "sigmoid"},
                              {Act::relu6, "relu6"},
                              {Act::selu, "selu"},
                              {Act::celu, "celu"},
                              {Act::gelu_tanh, "gelu_tanh"},
                              {Act::logsigmoid, "logsigmoid"},
                              {Act::softsign, "softsign"},
                              {Act::softshrink, "softshrink"},
                              {Act::hardshrink, "hardshrink"},
                              {Act::hardtanh, "hardtanh"},
                              {Act::hardsigmoid, "hardsigmoid"},
                              {Act::hardswish, "hardswish"},
                              {Act::sin, "sin"},
                              {Act::cos, "cos"},
                              {Act::abs, "abs"}});
}
Tensor activate(Act act, const Tensor& x);  // with the op's default parameters
// The same on views, for plans; x and y may be the same memory.
void activate(Act act, const TensorView& x, const TensorView& y);

struct ActivationConfig {
  Act kind = Act::relu;
  static constexpr const char* type_name = "Activation";
  static constexpr io::Doc doc{"A function without parameters, by its name."};
  static constexpr void fields(auto&& f) { f("kind", &ActivationConfig::kind, io::Meta{.help = "the function"}); }
};
class Activation : public Configured<ActivationConfig> {
 public:
  explicit Activation(ActivationConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return activate(config().kind, x); }
};

// ---- with fixed parameters ----
constexpr io::Meta real(const char* help) { return {.min = -1e6, .max = 1e6, .help = help}; }

struct LeakyReLUConfig {
  double negative_slope = 0.01;
  static constexpr const char* type_name = "LeakyReLU";
  static constexpr io::Doc doc{"x above 0, negative_slope * x below.", "Maas, Hannun & Ng 2013"};
  static constexpr void fields(auto&& f) { f("negative_slope", &LeakyReLUConfig::negative_slope, real("below 0")); }
};
class LeakyReLU : public Configured<LeakyReLUConfig> {
 public:
  explicit LeakyReLU(LeakyReLUConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return leaky_relu(x, config().negative_slope); }
};

struct ELUConfig {
  double alpha = 1;
  static constexpr const char* type_name = "ELU";
  static constexpr io::Doc doc{"x above 0, alpha (exp(x) - 1) below.", "Clevert, Unterthiner & Hochreiter 2016"};
  static constexpr void fields(auto&& f) { f("alpha", &ELUConfig::alpha, real("minus the value at minus infinity")); }
};
class ELU : public Configured<ELUConfig> {
 public:
  explicit ELU(ELUConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return elu(x, config().alpha); }
};

struct CELUConfig {
  double alpha = 1;
  static constexpr const char* type_name = "CELU";
  static constexpr io::Doc doc{"x above 0, alpha (exp(x / alpha) - 1) below.", "Barron 2017"};
  static constexpr void fields(auto&& f) {
    f("alpha", &CELUConfig::alpha, io::Meta{.min = 1e-6, .max = 1e6, .help = "minus the value at minus infinity"});
  }
};
class CELU : public Configured<CELUConfig> {
 public:
  explicit CELU(CELUConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return celu(x, config().alpha); }
};

struct SoftplusConfig {
  double beta = 1, threshold = 20;
  static constexpr const char* type_name = "Softplus";
  static constexpr io::Doc doc{"log(1 + exp(beta x)) / beta.", "Dugas et al. 2001"};
  static constexpr void fields(auto&& f) {
    f("beta", &SoftplusConfig::beta, io::Meta{.min = 1e-6, .max = 1e6, .help = "sharpness"});
    f("threshold", &SoftplusConfig::threshold, real("beta x from which the result is x"));
  }
};
class Softplus : public Configured<SoftplusConfig> {
 public:
  explicit Softplus(SoftplusConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return softplus(x, config().beta, config().threshold); }
};

struct HardtanhConfig {
  double min_val = -1, max_val = 1;
  static constexpr const char* type_name = "Hardtanh";
  static constexpr io::Doc doc{"x from min_val to max_val, else the nearer of the two."};
  static constexpr void fields(auto&& f) {
    f("min_val", &HardtanhConfig::min_val, real("lowest value"));
    f("max_val", &HardtanhConfig::max_val, real("highest value"));
  }
  void validate(io::Issues& issues) const {
    if (!(min_val < max_val)) issues.add("/max_val", "must be larger than min_val");
  }
};
class Hardtanh : public Configured<HardtanhConfig> {
 public:
  explicit Hardtanh(HardtanhConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return hardtanh(x, config().min_val, config().max_val); }
};

struct SoftshrinkConfig {
  double lambd = 0.5;
  static constexpr const char* type_name = "Softshrink";
  static constexpr io::Doc doc{"x, moved towards 0 by lambd, but not beyond.", "Donoho 1995"};
  static constexpr void fields(auto&& f) {
    f("lambd", &SoftshrinkConfig::lambd, io::Meta{.min = 0, .max = 1e6, .help = "how far values move towards 0"});
  }
};
class Softshrink : public Configured<SoftshrinkConfig> {
 public:
  explicit Softshrink(SoftshrinkConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return softshrink(x, config().lambd); }
};

struct HardshrinkConfig {
  double lambd = 0.5;
  static constexpr const char* type_name = "Hardshrink";
  static constexpr io::Doc doc{"x where it is further from 0 than lambd, else 0.", "Donoho & Johnstone 1994"};
  static constexpr void fields(auto&& f) {
    f("lambd", &HardshrinkConfig::lambd, io::Meta{.min = 0, .max = 1e6, .help = "up to where values are 0"});
  }
};
class Hardshrink : public Configured<HardshrinkConfig> {
 public:
  explicit Hardshrink(HardshrinkConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return hardshrink(x, config().lambd); }
};

struct ThresholdConfig {
  double threshold = 0, value = 0;
  static constexpr const char* type_name = "Threshold";
  static constexpr io::Doc doc{"x where it is above the threshold, else the value."};
  static constexpr void fields(auto&& f) {
    f("threshold", &ThresholdConfig::threshold, real("above it x stays"));
    f("value", &ThresholdConfig::value, real("elsewhere"));
  }
};
class Threshold : public Configured<ThresholdConfig> {
 public:
  explicit Threshold(ThresholdConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override;
};

struct RReLUConfig {
  double lower = 1.0 / 8, upper = 1.0 / 3;
  static constexpr const char* type_name = "RReLU";
  static constexpr io::Doc doc{
      "LeakyReLU with a slope drawn for each element from [lower, upper) while training, and their mean else.",
      "Xu et al. 2015"};
  static constexpr void fields(auto&& f) {
    f("lower", &RReLUConfig::lower, real("least slope below 0"));
    f("upper", &RReLUConfig::upper, real("largest slope below 0"));
  }
  void validate(io::Issues& issues) const {
    if (!(lower <= upper)) issues.add("/upper", "must be at least lower");
  }
};
class RReLU : public Configured<RReLUConfig> {
 public:
  explicit RReLU(RReLUConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override;
};

struct TanhshrinkConfig {
  static constexpr const char* type_name = "Tanhshrink";
  static constexpr io::Doc doc{"x - tanh(x)."};
  static constexpr void fields(auto&&) {}
};
class Tanhshrink : public Configured<TanhshrinkConfig> {
 public:
  explicit Tanhshrink(TanhshrinkConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return x - tapedeck::tanh(x); }
};

struct ExpMSqConfig {
  static constexpr const char* type_name = "ExpMSq";
  static constexpr io::Doc doc{"exp(-x^2)."};
  static constexpr void fields(auto&&) {}
};
class ExpMSq : public Configured<ExpMSqConfig> {
 public:
  explicit ExpMSq(ExpMSqConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return tapedeck::exp(neg(square(x))); }
};

// ---- along a dimension ----
constexpr io::Meta dimension() { return {.min = -8, .max = 7, .help = "the dimension; negative from the end"}; }

struct SoftmaxConfig {
  int dim = -1;
  static constexpr const char* type_name = "Softmax";
  static constexpr io::Doc doc{"exp(x) over its sum along a dimension.", "Bridle 1990"};
  static constexpr void fields(auto&& f) { f("dim", &SoftmaxConfig::dim, dimension()); }
};
class Softmax : public Configured<SoftmaxConfig> {
 public:
  explicit Softmax(SoftmaxConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return softmax(x, config().dim); }
};

struct SoftminConfig {
  int dim = -1;
  static constexpr const char* type_name = "Softmin";
  static constexpr io::Doc doc{"exp(-x) over its sum along a dimension."};
  static constexpr void fields(auto&& f) { f("dim", &SoftminConfig::dim, dimension()); }
};
class Softmin : public Configured<SoftminConfig> {
 public:
  explicit Softmin(SoftminConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return softmax(neg(x), config().dim); }
};

struct LogSoftmaxConfig {
  int dim = -1;
  static constexpr const char* type_name = "LogSoftmax";
  static constexpr io::Doc doc{"The logarithm of Softmax, without overflow."};
  static constexpr void fields(auto&& f) { f("dim", &LogSoftmaxConfig::dim, dimension()); }
};
class LogSoftmax : public Configured<LogSoftmaxConfig> {
 public:
  explicit LogSoftmax(LogSoftmaxConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return log_softmax(x, config().dim); }
};

struct GLUConfig {
  int dim = -1;
  Act gate = Act::sigmoid;
  static constexpr const char* type_name = "GLU";
  static constexpr io::Doc doc{
      "The first half of a dimension times gate(second half): sigmoid gives GLU, gelu GEGLU, silu SwiGLU.",
      "Dauphin et al. 2017; Shazeer 2020"};
  static constexpr void fields(auto&& f) {
    f("dim", &GLUConfig::dim, dimension());
    f("gate", &GLUConfig::gate, io::Meta{.help = "function of the second half"});
  }
};
class GLU : public Configured<GLUConfig> {
 public:
  explicit GLU(GLUConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override;  // ShapeError when the dimension is odd
};

struct GatedActivationConfig {
  static constexpr const char* type_name = "GatedActivation";
  static constexpr io::Doc doc{"tanh of the first half of the channels times sigmoid of the second half.",
                               "van den Oord et al. 2016"};
  static constexpr void fields(auto&&) {}
};
class GatedActivation : public Configured<GatedActivationConfig> {
 public:
  explicit GatedActivation(GatedActivationConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return gated_activation(x); }
};

// ---- learned ----
struct PReLUConfig {
  std::int64_t num_parameters = 1;
  double init = 0.25;
  static constexpr const char* type_name = "PReLU";
  static constexpr io::Doc doc{"x above 0, a learned slope times x below.", "He et al. 2015"};
  static constexpr void fields(auto&& f) {
    f("num_parameters", &PReLUConfig::num_parameters, positive("slopes: one, or one per channel"));
    f("init", &PReLUConfig::init, real("their initial value"));
  }
};
class PReLU : public Configured<PReLUConfig> {
 public:
  explicit PReLU(PReLUConfig config = {});
  Tensor forward(const Tensor& x) override { return prelu(x, weight); }
  Param weight;
};

enum class SnakeKind { sin, cos };
constexpr auto names(SnakeKind*) {
  return io::enum_names<SnakeKind>({{SnakeKind::sin, "sin"}, {SnakeKind::cos, "cos"}});
}
struct SnakeConfig {
  std::int64_t channels = 1;
  double init = 1;
  SnakeKind kind = SnakeKind::sin;
  static constexpr const char* type_name = "Snake";
  static constexpr io::Doc doc{"x + sin^2(alpha x) / alpha, or with cos, with a learned alpha for each channel.",
                               "Ziyin, Hartwig & Ueda 2020"};
  static constexpr void fields(auto&& f) {
    f("channels", &SnakeConfig::channels, positive("channels, each with its frequency"));
    f("init", &SnakeConfig::init, io::Meta{.min = 1e-6, .max = 1e6, .help = "the initial frequency"});
    f("kind", &SnakeConfig::kind, io::Meta{.help = "the wave"});
  }
};
class Snake : public Configured<SnakeConfig> {
 public:
  explicit Snake(SnakeConfig config = {});
  Tensor forward(const Tensor& x) override;
  Param alpha;
};

// s act(r x / s). Linear scales: s = Linear(x), and r = Linear(x) or 1; static ones: s and r are learned per channel.
struct ScaledActivationConfig {
  std::int64_t channels = 1;
  Act kind = Act::tanh;
  bool learned_static = false, with_rate = false;
  static constexpr const char* type_name = "ScaledActivation";
  static constexpr io::Doc doc{"s f(r x / s) with learned scales s (and rates r), static or linear in x."};
  static constexpr void fields(auto&& f) {
    using C = ScaledActivationConfig;
    f("channels", &C::channels, positive("channels"));
    f("kind", &C::kind, io::Meta{.help = "the function"});
    f("learned_static", &C::learned_static, io::Meta{.help = "scales that do not depend on the input"});
    f("with_rate", &C::with_rate, io::Meta{.help = "scale the input as well"});
  }
};
class Linear;
class ScaledActivation : public Configured<ScaledActivationConfig> {
 public:
  explicit ScaledActivation(ScaledActivationConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Linear> scale_, rate_;
  Param static_scale_, static_rate_;
};

enum class PhaseKind { a, b, c };
constexpr auto names(PhaseKind*) {
  return io::enum_names<PhaseKind>({{PhaseKind::a, "a"}, {PhaseKind::b, "b"}, {PhaseKind::c, "c"}});
}
struct PhaseActivationConfig {
  std::int64_t channels = 1;
  PhaseKind kind = PhaseKind::a;
  static constexpr const char* type_name = "PhaseActivation";
  static constexpr io::Doc doc{
      "Angles of polar spectra: a cos(tanh(x) psi) pi, b cos(x psi) pi, c tanh(x) pi; psi is learned per channel."};
  static constexpr void fields(auto&& f) {
    f("channels", &PhaseActivationConfig::channels, positive("bins, each with its psi"));
    f("kind", &PhaseActivationConfig::kind, io::Meta{.help = "the formula"});
  }
};
class PhaseActivation : public Configured<PhaseActivationConfig> {
 public:
  explicit PhaseActivation(PhaseActivationConfig config = {});
  Tensor forward(const Tensor& x) override;
  Param psi;
};

}  // namespace tapedeck::nn
