// WaveNet (van den Oord et al., 2016, "WaveNet: A Generative Model for Raw Audio"): dilated gated convolutions in
// blocks over codes, residual and skip paths, an MLP on top.
#pragma once
#include <tapedeck/nn/layers/conv.h>
#include <tapedeck/nn/layers/embedding.h>
#include <tapedeck/nn/layers/mlp.h>
#include <tapedeck/nn/layers/sequential.h>
#include <tapedeck/nn/network.h>

#include <limits>
#include <optional>
#include <vector>

namespace tapedeck::nn {

enum class CodeInput { embedding, one_hot, linear };
constexpr auto names(CodeInput*) {
  return io::enum_names<CodeInput>(
      {{CodeInput::embedding, "embedding"}, {CodeInput::one_hot, "one_hot"}, {CodeInput::linear, "linear"}});
}

struct WaveNetLayerConfig {
  std::int64_t in = 128, channels = 128, kernel = 2, dilation = 1, groups = 1;
  Act activation = Act::tanh;
  std::optional<Act> gate = Act::sigmoid;
  bool residual = false;
  std::optional<std::int64_t> skip_channels{};
  Padding padding = Padding::valid;
  bool bias = true;
  static constexpr const char* type_name = "WaveNetLayer";
  static constexpr io::Doc doc{"A dilated convolution, activation(f) * gate(g), with a residual and a skip path.",
                               "van den Oord et al. 2016"};
  static constexpr void fields(auto&& f) {
    using C = WaveNetLayerConfig;
    f("in", &C::in, io::Meta{.min = 1, .max = 1 << 20, .help = "input channels"});
    f("channels", &C::channels, io::Meta{.min = 1, .max = 1 << 20, .help = "channels behind the gate"});
    f("kernel", &C::kernel, io::Meta{.min = 2, .max = 4096, .help = "taps"});
    f("dilation", &C::dilation, io::Meta{.min = 1, .max = 1 << 30, .help = "steps between taps"});
    f("groups", &C::groups, io::Meta{.min = 1, .max = 1 << 20, .help = "channel groups of the dilated convolution"});
    f("activation", &C::activation, io::Meta{.help = "of the signal half"});
    f("gate", &C::gate, io::Meta{.help = "of the gate half; null: ungated"});
    f("residual", &C::residual, io::Meta{.help = "add the input to the output, through a 1x1 convolution"});
    f("skip_channels", &C::skip_channels, io::Meta{.min = 1, .max = 1 << 20, .help = "width of the skip path"});
    f("padding", &C::padding, io::Meta{.help = "valid or causal"});
    f("bias", &C::bias, io::Meta{.help = "of all convolutions"});
  }
  void validate(io::Issues& issues) const;
};

// One dilated layer: y = activation(f) * gate(g) of one convolution; skip' = skip + Conv1x1(y), taken before the
// residual; output = x + Conv1x1(y), or y without residual.
class WaveNetLayer : public Configured<WaveNetLayerConfig, Module>, public Callable<WaveNetLayer> {
 public:
  explicit WaveNetLayer(WaveNetLayerConfig config = {});
  // x [B, T, in] and the sum of the skips so far (undefined: none) -> the same one layer on. Skips are made for the
  // last `keep` steps only: those that the network's output needs.
  std::pair<Tensor, Tensor> forward(const Tensor& x, const Tensor& skips = {},
                                    std::int64_t keep = std::numeric_limits<std::int64_t>::max());

  const Conv1d& conv() const { return *conv_; }
  const Conv1d* skip() const { return skip_.get(); }          // nullptr without
  const Conv1d* residual() const { return residual_.get(); }  // nullptr without

 private:
  Part<Conv1d> conv_, skip_, residual_;
};

struct WaveNetHeadConfig {
  std::int64_t hidden = 128, layers = 0;
  Act input_activation = Act::identity, activation = Act::mish;
  double dropout = 0;
  std::optional<double> min_temperature = 1e-4;
  static constexpr const char* type_name = "WaveNetHead";
  static constexpr io::Doc doc{"The MLP on top of a WaveNet."};
  static constexpr void fields(auto&& f) {
    using C = WaveNetHeadConfig;
    f("hidden", &C::hidden, io::Meta{.min = 1, .max = 1 << 20, .help = "width of the hidden layers"});
    f("layers", &C::layers, io::Meta{.min = 0, .max = 1024, .help = "hidden layers after the first"});
    f("input_activation", &C::input_activation, io::Meta{.help = "before the first layer"});
    f("activation", &C::activation, io::Meta{.help = "after each hidden layer"});
    f("dropout", &C::dropout, io::Meta{.min = 0, .max = 1, .help = "after each activation"});
    f("min_temperature", &C::min_temperature,
      io::Meta{.min = 1e-12, .max = 1, .help = "least learned temperature; null: none is learned"});
  }
};

struct WaveNetConfig {
  std::int64_t classes = 256;
  CodeInput input = CodeInput::embedding;
  std::vector<std::int64_t> kernel_sizes{2};
  std::vector<std::int64_t> blocks{4};
  std::int64_t channels = 128;
  std::optional<std::int64_t> residual_channels{};
  std::optional<std::int64_t> skip_channels{};
  Act activation = Act::tanh;
  std::optional<Act> gate = Act::sigmoid;
  Padding padding = Padding::valid;
  bool bias = true;
  std::int64_t groups = 1;
  WaveNetHeadConfig head{};
  static constexpr const char* type_name = "WaveNet";
  static constexpr io::Doc doc{
      "Dilated gated convolutions over codes in blocks, an MLP on top: each code from those before it.",
      "van den Oord et al. 2016"};
  static constexpr void fields(auto&& f) {
    using C = WaveNetConfig;
    f("classes", &C::classes, io::Meta{.min = 2, .max = 65536, .help = "number of codes"});
    f("input", &C::input, io::Meta{.help = "how codes enter"});
    f("kernel_sizes", &C::kernel_sizes,
      io::Meta{.min = 2, .max = 4096, .help = "taps: one, one per layer, or a block's"});
    f("blocks", &C::blocks,
      io::Meta{.min = 1, .max = 1024, .help = "layers per block; the dilation starts at 1 in each; empty: one block"});
    f("channels", &C::channels, io::Meta{.min = 1, .max = 1 << 20, .help = "channels behind each gate"});
    f("residual_channels", &C::residual_channels,
      io::Meta{.min = 1, .max = 1 << 20, .help = "width of the residual path; null: no residuals"});
    f("skip_channels", &C::skip_channels,
      io::Meta{.min = 1, .max = 1 << 20, .help = "width of the skip path; null: the last layer feeds the head"});
    f("activation", &C::activation, io::Meta{.help = "of the signal half"});
    f("gate", &C::gate, io::Meta{.help = "of the gate half; null: ungated"});
    f("padding", &C::padding, io::Meta{.help = "valid or causal"});
    f("bias", &C::bias, io::Meta{.help = "of all convolutions"});
    f("groups", &C::groups, io::Meta{.min = 1, .max = 1 << 20, .help = "channel groups of the dilated convolutions"});
    f("head", &C::head, io::Meta{.help = "the MLP on top"});
  }
  void validate(io::Issues& issues) const;
  static constexpr void computed(auto&& f) {
    f("receptive_field", &WaveNetConfig::receptive_field, "samples that one prediction depends on");
    f("shift", &WaveNetConfig::shift, "position of the first predicted sample");
  }
  std::int64_t receptive_field() const;  // 1 + sum of (kernel - 1) * dilation
  std::int64_t shift() const;            // valid: the receptive field; causal: 1

  // What follows from the config: the layers in order, and the MLP. ConfigError when kernel_sizes and blocks do not
  // fit.
  std::vector<WaveNetLayerConfig> layer_configs() const;
  MLPConfig head_config() const;
};

// The parts that a WaveNet is made of: `input` takes codes to [B, T, width of the first layer], each step by itself.
struct WaveNetParts {
  Part<Layer> input;
  std::vector<Part<WaveNetLayer>> layers;
  Part<MLP> head;
};

class WaveNet : public Configured<WaveNetConfig, Network> {
 public:
  explicit WaveNet(WaveNetConfig config = {});
  // From ready parts (shared ones, or with another shape inside); ConfigError when their widths do not fit. hparams()
  // then holds the parts as well.
  WaveNet(WaveNetConfig config, const WaveNetParts& parts);
  static constexpr const char* registered_name = WaveNetConfig::type_name;
  static std::shared_ptr<WaveNet> from_hparams(const io::Node& node, Builder& builder);
  static WaveNetParts make_parts(const WaveNetConfig& config);

  io::Node describe(Describer& d) const override;
  Tensor forward(const Tensor& codes) override;
  std::int64_t receptive_field() const override { return config().receptive_field(); }
  std::int64_t shift() const override { return config().shift(); }
  std::int64_t output_length(std::int64_t n) const override;
  std::int64_t classes() const override { return config().classes; }
  std::unique_ptr<GenerationPlan> plan(std::int64_t batch, DType weights = DType::f32, int threads = 1) override;

  const Part<Layer>& input() const { return input_; }
  const ModuleList& layers() const { return *layers_; }  // WaveNetLayer
  const MLP& head() const { return *head_; }

 private:
  Part<Layer> input_;
  Part<ModuleList> layers_;
  Part<MLP> head_;
  bool own_parts_ = false;
};

}  // namespace tapedeck::nn
