// Layers. Activations are [batch, time, channels]; weights have PyTorch's names, shapes and initial distributions.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/nn/module.h>

#include <optional>

namespace tapedeck {
constexpr auto names(Padding*) {
  return io::enum_names<Padding>({{Padding::valid, "valid"}, {Padding::causal, "causal"}, {Padding::same, "same"}});
}
}  // namespace tapedeck

namespace tapedeck::nn {

enum class Act { identity, relu, leaky_relu, elu, gelu, silu, mish, softplus, tanh, sigmoid };
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
                              {Act::sigmoid, "sigmoid"}});
}
Tensor activate(Act act, const Tensor& x);  // with the op's default parameters
// The same on views, for plans; x and y may be the same memory.
void activate(Act act, const TensorView& x, const TensorView& y);

// y = x weight^T + bias. weight [out, in], bias [out].
struct LinearConfig {
  std::int64_t in_features = 1, out_features = 1;
  bool bias = true;
  static constexpr const char* type_name = "Linear";
  static constexpr void fields(auto&& f) {
    f("in_features", &LinearConfig::in_features, io::Meta{.min = 1, .max = 1 << 24, .help = "input channels"});
    f("out_features", &LinearConfig::out_features, io::Meta{.min = 1, .max = 1 << 24, .help = "output channels"});
    f("bias", &LinearConfig::bias, io::Meta{.help = "add a learned constant"});
  }
};
class Linear : public Configured<LinearConfig> {
 public:
  explicit Linear(LinearConfig config = {});
  Tensor forward(const Tensor& x) override { return tapedeck::linear(x, weight, bias); }
  Param weight, bias;
};

// Rows of a table: codes i64 [...] -> [..., channels]. weight [num_embeddings, embedding_dim], N(0, 1) at the start.
struct EmbeddingConfig {
  std::int64_t num_embeddings = 1, embedding_dim = 1;
  static constexpr const char* type_name = "Embedding";
  static constexpr void fields(auto&& f) {
    f("num_embeddings", &EmbeddingConfig::num_embeddings,
      io::Meta{.min = 1, .max = 1 << 24, .help = "rows of the table"});
    f("embedding_dim", &EmbeddingConfig::embedding_dim, io::Meta{.min = 1, .max = 1 << 24, .help = "width of a row"});
  }
};
class Embedding : public Configured<EmbeddingConfig> {
 public:
  explicit Embedding(EmbeddingConfig config = {});
  Tensor forward(const Tensor& codes) override { return tapedeck::embedding(codes, weight); }
  Param weight;
};

// Convolution over time: x [batch, time, in] -> [batch, time', out]. weight [out, in / groups, kernel], bias [out].
struct Conv1dConfig {
  std::int64_t in_channels = 1, out_channels = 1, kernel_size = 1, stride = 1, dilation = 1, groups = 1;
  Padding padding = Padding::valid;
  bool bias = true;
  static constexpr const char* type_name = "Conv1d";
  static constexpr void fields(auto&& f) {
    f("in_channels", &Conv1dConfig::in_channels, io::Meta{.min = 1, .max = 1 << 24, .help = "input channels"});
    f("out_channels", &Conv1dConfig::out_channels, io::Meta{.min = 1, .max = 1 << 24, .help = "output channels"});
    f("kernel_size", &Conv1dConfig::kernel_size, io::Meta{.min = 1, .max = 1 << 20, .help = "taps"});
    f("stride", &Conv1dConfig::stride, io::Meta{.min = 1, .max = 1 << 20, .help = "steps between outputs"});
    f("dilation", &Conv1dConfig::dilation, io::Meta{.min = 1, .max = 1 << 24, .help = "steps between taps"});
    f("groups", &Conv1dConfig::groups, io::Meta{.min = 1, .max = 1 << 24, .help = "channel groups that do not mix"});
    f("padding", &Conv1dConfig::padding, io::Meta{.help = "zeros around the input"});
    f("bias", &Conv1dConfig::bias, io::Meta{.help = "add a learned constant"});
  }
  void validate(io::Issues& issues) const;
};
class Conv1d : public Configured<Conv1dConfig> {
 public:
  explicit Conv1d(Conv1dConfig config = {});
  Tensor forward(const Tensor& x) override;
  Param weight, bias;
};

struct DropoutConfig {
  double p = 0.5;
  static constexpr const char* type_name = "Dropout";
  static constexpr void fields(auto&& f) {
    f("p", &DropoutConfig::p, io::Meta{.min = 0, .max = 1, .help = "probability of a zero while training"});
  }
};
class Dropout : public Configured<DropoutConfig> {
 public:
  explicit Dropout(DropoutConfig config = {}) : Configured(std::move(config)) {}
  Tensor forward(const Tensor& x) override { return tapedeck::dropout(x, config().p, training()); }
};

struct ActivationConfig {
  Act kind = Act::relu;
  static constexpr const char* type_name = "Activation";
  static constexpr void fields(auto&& f) { f("kind", &ActivationConfig::kind, io::Meta{.help = "the function"}); }
};
class Activation : public Configured<ActivationConfig> {
 public:
  explicit Activation(ActivationConfig config = {}) : Configured(std::move(config)) {}
  Tensor forward(const Tensor& x) override { return activate(config().kind, x); }
};

// codes i64 [...] -> one-hot rows [..., classes].
struct OneHotConfig {
  std::int64_t classes = 256;
  static constexpr const char* type_name = "OneHot";
  static constexpr void fields(auto&& f) {
    f("classes", &OneHotConfig::classes, io::Meta{.min = 1, .max = 1 << 24, .help = "number of codes"});
  }
};
class OneHot : public Configured<OneHotConfig> {
 public:
  explicit OneHot(OneHotConfig config = {}) : Configured(std::move(config)) {}
  Tensor forward(const Tensor& codes) override;
};

// codes i64 [...] -> 2 (code / classes - 1/2) in [-1, 1), as [..., 1].
struct LinearizeConfig {
  std::int64_t classes = 256;
  static constexpr const char* type_name = "Linearize";
  static constexpr void fields(auto&& f) {
    f("classes", &LinearizeConfig::classes, io::Meta{.min = 1, .max = 1 << 24, .help = "number of codes"});
  }
};
class Linearize : public Configured<LinearizeConfig> {
 public:
  explicit Linearize(LinearizeConfig config = {}) : Configured(std::move(config)) {}
  Tensor forward(const Tensor& codes) override;
};

// Layers one after the other; paths "0", "1", …
class Sequential : public Layer {
 public:
  static constexpr const char* registered_name = "Sequential";
  explicit Sequential(const std::vector<Part<Layer>>& layers = {});
  static std::shared_ptr<Sequential> from_hparams(const io::Node& node, Builder& builder);
  const char* type_name() const override { return registered_name; }
  io::Node describe(Describer& d) const override;
  Tensor forward(const Tensor& x) override;
  std::size_t size() const { return layers_.size(); }
  const Part<Layer>& operator[](std::size_t i) const;  // ValueError outside

 private:
  std::vector<std::unique_ptr<Part<Layer>>> layers_;
};

// Linear(in -> hidden), activation, dropout, `layers` times the same (hidden -> hidden), Linear(hidden -> out). With
// min_temperature the last Linear gives one more output z, the learned temperature: logits / max(sigmoid(z), min).
struct MLPConfig {
  std::int64_t in = 128, hidden = 128, layers = 1, out = 256;
  Act activation = Act::mish;
  double dropout = 0;
  std::optional<double> min_temperature = 1e-4;
  static constexpr const char* type_name = "MLP";
  static constexpr void fields(auto&& f) {
    f("in", &MLPConfig::in, io::Meta{.min = 1, .max = 1 << 24, .help = "input channels"});
    f("hidden", &MLPConfig::hidden, io::Meta{.min = 1, .max = 1 << 24, .help = "width of the hidden layers"});
    f("layers", &MLPConfig::layers, io::Meta{.min = 0, .max = 1024, .help = "hidden layers after the first"});
    f("out", &MLPConfig::out, io::Meta{.min = 1, .max = 1 << 24, .help = "output channels"});
    f("activation", &MLPConfig::activation, io::Meta{.help = "after each hidden layer"});
    f("dropout", &MLPConfig::dropout, io::Meta{.min = 0, .max = 1, .help = "after each activation"});
    f("min_temperature", &MLPConfig::min_temperature,
      io::Meta{.min = 1e-12, .max = 1, .help = "least learned temperature; null: none is learned"});
  }
};
class MLP : public Configured<MLPConfig> {
 public:
  explicit MLP(MLPConfig config = {});
  Tensor forward(const Tensor& x) override;
  const ModuleList& hidden() const { return *hidden_; }  // Linear, config().layers + 1 of them
  const Linear& out() const { return *out_; }

 private:
  Part<ModuleList> hidden_;
  Part<Linear> out_;
};

}  // namespace tapedeck::nn
