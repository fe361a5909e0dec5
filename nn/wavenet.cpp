#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet.h>

#include <algorithm>
#include <numeric>
#include <typeinfo>

namespace tapedeck::nn {
namespace {

struct Taps {
  std::int64_t kernel, dilation;
};
constexpr std::int64_t kMostDilation = std::int64_t{1} << 30;

// The layers that kernel_sizes and blocks mean; returns the problem, or "".
std::string resolve_taps(const WaveNetConfig& c, std::vector<Taps>& out) {
  const auto& kernels = c.kernel_sizes;
  if (kernels.empty()) return "kernel_sizes must not be empty";
  std::vector<std::int64_t> blocks = c.blocks;
  const auto kernel_count = static_cast<std::int64_t>(kernels.size());
  if (blocks.empty()) blocks = {kernel_count};  // one block
  const std::int64_t layers = std::accumulate(blocks.begin(), blocks.end(), std::int64_t{0});
  const bool repeated =
      std::all_of(blocks.begin(), blocks.end(), [&](std::int64_t length) { return length == kernel_count; });
  if (!repeated && kernel_count != 1 && kernel_count != layers)
    return "blocks of " + std::to_string(layers) + " layers need 1, " + std::to_string(layers) +
           " or (all blocks alike) one block's kernel_sizes, not " + std::to_string(kernel_count);
  std::size_t layer = 0;
  for (const std::int64_t length : blocks) {
    std::int64_t dilation = 1;
    for (std::int64_t i = 0; i < length; ++i, ++layer) {
      const std::int64_t kernel = kernels[layer % kernels.size()];
      if (dilation > kMostDilation) return "the dilation of layer " + std::to_string(layer) + " exceeds 2^30";
      out.push_back({kernel, dilation});
      dilation *= std::max<std::int64_t>(kernel, 1);
    }
  }
  return "";
}

io::Node parts_node(const WaveNetParts& parts, io::Save how) {
  Describer d(how);
  io::Node node = io::Node::object({{"input", d.part("input", *parts.input)}, {"layers", io::Node::array()}});
  for (std::size_t i = 0; i < parts.layers.size(); ++i)
    node["layers"].push(d.part("layers." + std::to_string(i), *parts.layers[i]));
  node["head"] = d.part("head", *parts.head);
  return node;
}

std::int64_t width_behind(const WaveNetLayerConfig& c) { return c.residual ? c.in : c.channels; }

// Parts that were made elsewhere must agree with what the config states.
void check_parts(const WaveNetConfig& config, const WaveNetParts& parts) {
  TD_CHECK(
      parts.input && parts.head &&
          std::all_of(parts.layers.begin(), parts.layers.end(), [](const auto& p) { return static_cast<bool>(p); }),
      ConfigError, "WaveNet: a part is empty");
  io::Issues issues;
  const auto wanted = config.layer_configs();
  if (parts.layers.size() != wanted.size())
    issues.add("/layers", "the config means " + std::to_string(wanted.size()) + " layers, not " +
                              std::to_string(parts.layers.size()));
  for (std::size_t i = 0; i < std::min(wanted.size(), parts.layers.size()); ++i) {
    const WaveNetLayerConfig &have = parts.layers[i]->config(), &want = wanted[i];
    const std::string at = "/layers/" + std::to_string(i);
    if (have.kernel != want.kernel || have.dilation != want.dilation || have.padding != want.padding)
      issues.add(at, "kernel, dilation and padding must be those of the config");
    if (i > 0 && have.in != width_behind(parts.layers[i - 1]->config()))
      issues.add(at + "/in", "must be " + std::to_string(width_behind(parts.layers[i - 1]->config())));
    if (have.skip_channels != want.skip_channels) issues.add(at + "/skip_channels", "must be that of the config");
  }
  const MLPConfig& head = parts.head->config();
  if (!parts.layers.empty()) {
    const std::int64_t width = config.skip_channels.value_or(width_behind(parts.layers.back()->config()));
    if (head.in != width) issues.add("/head/in", "must be " + std::to_string(width));
  }
  if (head.residual) issues.add("/head/residual", "must be false");
  if (head.out != config.classes) issues.add("/head/out", "must be " + std::to_string(config.classes));
  issues.raise("WaveNet");
}

Tensor gate(const WaveNetLayerConfig& c, const Tensor& u) {
  if (!c.gate) return activate(c.activation, u);
  if (c.activation == Act::tanh && *c.gate == Act::sigmoid) return gated_activation(u);
  return mul(activate(c.activation, narrow(u, 2, 0, c.channels)),
             activate(*c.gate, narrow(u, 2, c.channels, c.channels)));
}

// Is calling this part (or none) nothing but conv1d: no hook sees it, no other module has taken its place?
bool just_convolves(const Part<Conv1d>& part, std::int64_t kernel = 1, std::int64_t dilation = 1,
                    Padding padding = Padding::valid) {
  if (!part) return true;
  const Conv1dConfig& c = part->config();
  return typeid(*part) == typeid(Conv1d) && part->plain() && c.kernel_size == kernel && c.stride == 1 &&
         c.dilation == dilation && c.groups == 1 && c.padding == padding && c.pad == 0 &&
         c.padding_mode == PaddingMode::zeros;
}

Tensor last_steps(const Tensor& x, std::int64_t n) { return x.size(1) == n ? x : narrow(x, 1, x.size(1) - n, n); }

}  // namespace

// ---- configs ------------------------------------------------------------------------------------------------------

void WaveNetLayerConfig::validate(io::Issues& issues) const {
  if (padding == Padding::same) issues.add("/padding", "must be \"valid\" or \"causal\"");
  if (groups < 1) return;
  if (in % groups != 0) issues.add("/in", "must be a multiple of groups (" + std::to_string(groups) + ")");
  if ((gate ? 2 * channels : channels) % groups != 0)
    issues.add("/channels", "must divide into groups (" + std::to_string(groups) + ")");
}

void WaveNetConfig::validate(io::Issues& issues) const {
  std::vector<Taps> taps;
  if (const std::string problem = resolve_taps(*this, taps); !problem.empty()) issues.add("/kernel_sizes", problem);
  if (padding == Padding::same) issues.add("/padding", "must be \"valid\" or \"causal\"");
  if (groups < 1) return;
  const bool fits =
      (gate ? 2 * channels : channels) % groups == 0 && residual_channels.value_or(channels) % groups == 0;
  if (!fits) issues.add("/groups", "must divide the channels of every layer");
}

std::int64_t WaveNetConfig::receptive_field() const {
  std::int64_t rf = 1;
  for (const auto& layer : layer_configs()) rf += (layer.kernel - 1) * layer.dilation;
  return rf;
}
std::int64_t WaveNetConfig::shift() const { return padding == Padding::valid ? receptive_field() : 1; }

std::vector<WaveNetLayerConfig> WaveNetConfig::layer_configs() const {
  std::vector<Taps> taps;
  const std::string problem = resolve_taps(*this, taps);
  TD_CHECK(problem.empty(), ConfigError, "WaveNet: ", problem);
  std::vector<WaveNetLayerConfig> out;
  for (const Taps& t : taps) {
    const bool last = out.size() + 1 == taps.size();
    out.push_back({.in = residual_channels.value_or(channels),
                   .channels = channels,
                   .kernel = t.kernel,
                   .dilation = t.dilation,
                   .groups = groups,
                   .activation = activation,
                   .gate = gate,
                   .residual = residual_channels.has_value() && !last,
                   .skip_channels = skip_channels,
                   .padding = padding,
                   .bias = bias});
  }
  return out;
}

MLPConfig WaveNetConfig::head_config() const {
  return {.in = skip_channels.value_or(channels),
          .hidden = head.hidden,
          .layers = head.layers,
          .out = classes,
          .activation = head.activation,
          .dropout = head.dropout,
          .min_temperature = head.min_temperature};
}

// ---- one layer ----------------------------------------------------------------------------------------------------

WaveNetLayer::WaveNetLayer(WaveNetLayerConfig config) : Configured(std::move(config)) {
  const WaveNetLayerConfig& c = this->config();
  const auto conv1x1 = [&](std::int64_t out) {
    return make<Conv1d>(Conv1dConfig{.in_channels = c.channels, .out_channels = out, .bias = c.bias});
  };
  conv_ = make<Conv1d>(Conv1dConfig{.in_channels = c.in,
                                    .out_channels = c.gate ? 2 * c.channels : c.channels,
                                    .kernel_size = c.kernel,
                                    .dilation = c.dilation,
                                    .groups = c.groups,
                                    .padding = c.padding,
                                    .bias = c.bias});
  child("conv", conv_);
  if (c.skip_channels) child("skip", skip_ = conv1x1(*c.skip_channels));
  if (c.residual) child("residual", residual_ = conv1x1(c.in));
}

std::pair<Tensor, Tensor> WaveNetLayer::forward(const Tensor& x, const Tensor& skips, std::int64_t keep) {
  const WaveNetLayerConfig& c = config();
  if (c.groups == 1 && c.activation == Act::tanh && c.gate == Act::sigmoid &&
      just_convolves(conv_, c.kernel, c.dilation, c.padding) && just_convolves(skip_) && just_convolves(residual_)) {
    const std::int64_t before = c.padding == Padding::causal ? 0 : (c.kernel - 1) * c.dilation;
    const auto weight = [](const Part<Conv1d>& part) { return part ? part->weight.get() : Tensor(); };
    const auto bias = [](const Part<Conv1d>& part) { return part && part->bias ? part->bias.get() : Tensor(); };
    const bool longer = skips.defined() && skip_ && x.size(1) > before;
    const Tensor so_far = longer ? last_steps(skips, std::min(keep, x.size(1) - before)) : skips;
    const WaveNetLayerResult y = wavenet_layer(
        x, so_far, {weight(conv_), bias(conv_), weight(residual_), bias(residual_), weight(skip_), bias(skip_)},
        {c.dilation, c.padding, keep});
    return {y.output, y.skips};
  }
  const Tensor y = gate(c, conv_(x));
  Tensor sum = skips;
  if (skip_) {
    sum = skip_(last_steps(y, std::min(keep, y.size(1))));
    if (skips.defined()) sum = add(sum, last_steps(skips, sum.size(1)));
  }
  return {residual_ ? add(last_steps(x, y.size(1)), residual_(y)) : y, sum};
}

// ---- the network --------------------------------------------------------------------------------------------------

WaveNetParts WaveNet::make_parts(const WaveNetConfig& config) {
  io::check(config, WaveNetConfig::type_name);
  WaveNetParts parts;
  const std::int64_t width = config.residual_channels.value_or(config.channels);
  if (config.input == CodeInput::embedding) {
    parts.input = make<Embedding>(EmbeddingConfig{.num_embeddings = config.classes, .embedding_dim = width});
  } else {
    const bool one_hot = config.input == CodeInput::one_hot;
    const Part<Layer> first = one_hot ? Part<Layer>(make<OneHot>(OneHotConfig{config.classes}))
                                      : Part<Layer>(make<Linearize>(LinearizeConfig{config.classes}));
    const Part<Layer> then =
        make<Linear>(LinearConfig{.in_features = one_hot ? config.classes : 1, .out_features = width});
    parts.input = make<Sequential>(std::vector<Part<Layer>>{first, then});
  }
  for (const auto& layer : config.layer_configs()) parts.layers.push_back(make<WaveNetLayer>(layer));
  parts.head = make<MLP>(config.head_config());
  return parts;
}

WaveNet::WaveNet(WaveNetConfig config) : WaveNet(config, make_parts(config)) {}

WaveNet::WaveNet(WaveNetConfig config, const WaveNetParts& parts)
    : Configured(std::move(config)), input_(parts.input), layers_(make<ModuleList>()), head_(parts.head) {
  check_parts(this->config(), parts);
  for (const auto& layer : parts.layers) layers_->push(layer);
  child("input", input_);
  child("layers", layers_);
  child("head", head_);
  own_parts_ = parts_node(parts, io::Save::full) != parts_node(make_parts(this->config()), io::Save::full);
}

io::Node WaveNet::describe(Describer& d) const {
  if (!own_parts_ && !holds_given() && !d.shares(*this)) return Configured::describe(d);
  io::Node node = io::save(config(), d.how());
  node["parts"] = d.children(*this);
  return node;
}

std::shared_ptr<WaveNet> WaveNet::from_hparams(const io::Node& node, Builder& builder) {
  io::Node own = node;
  const bool ready = own.erase("parts");
  WaveNetConfig config;
  if (!builder.load(own, config)) return nullptr;
  if (!ready) return std::make_shared<WaveNet>(config);
  WaveNetParts parts;
  parts.input = builder.part<Layer>(node, "input", "parts");
  const auto layers = builder.part<ModuleList>(node, "layers", "parts");
  parts.head = builder.part<MLP>(node, "head", "parts");
  if (!builder.ok()) return nullptr;
  for (std::size_t i = 0; i < layers->size(); ++i) parts.layers.push_back(part_cast<WaveNetLayer>((*layers)[i]));
  return std::make_shared<WaveNet>(config, parts);
}

std::int64_t WaveNet::output_length(std::int64_t n) const {
  if (config().padding == Padding::causal) return n;
  return std::max<std::int64_t>(0, n - receptive_field() + 1);
}

Tensor WaveNet::forward(const Tensor& codes) {
  TD_CHECK(codes.defined() && codes.dim() == 2, ShapeError, "WaveNet: codes must be [batch, time]");
  const std::int64_t keep = output_length(codes.size(1));
  TD_CHECK(keep > 0 || config().padding == Padding::causal, ShapeError, "WaveNet: needs at least ", receptive_field(),
           " codes per row, its receptive field, but there are ", codes.size(1), arg("codes", codes));
  Tensor x = input_(codes), skips;
  for (std::size_t i = 0; i < layers_->size(); ++i) std::tie(x, skips) = layers_->as<WaveNetLayer>(i)(x, skips, keep);
  return head_(activate(config().head.input_activation, skips.defined() ? skips : x));
}

}  // namespace tapedeck::nn
