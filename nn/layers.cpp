#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/registry.h>

#include <string>

namespace tapedeck::nn {
namespace {

struct ActEntry {
  Tensor (*op)(const Tensor&);
  const kernels::KernelSlot<kernels::UnaryArgs>* slot;
  double p0 = 0, p1 = 0;
};
const ActEntry& entry(Act act) {
  using namespace tapedeck::kernels;
  static const ActEntry table[] = {
      {[](const Tensor& x) { return x; }, nullptr},
      {[](const Tensor& x) { return tapedeck::relu(x); }, &kernels::relu},
      {[](const Tensor& x) { return tapedeck::leaky_relu(x); }, &kernels::leaky_relu, 0.01},
      {[](const Tensor& x) { return tapedeck::elu(x); }, &kernels::elu, 1},
      {[](const Tensor& x) { return tapedeck::gelu(x); }, &kernels::gelu},
      {[](const Tensor& x) { return tapedeck::silu(x); }, &kernels::silu},
      {[](const Tensor& x) { return tapedeck::mish(x); }, &kernels::mish},
      {[](const Tensor& x) { return tapedeck::softplus(x); }, &kernels::softplus, 1, 20},
      {[](const Tensor& x) { return tapedeck::tanh(x); }, &kernels::tanh},
      {[](const Tensor& x) { return tapedeck::sigmoid(x); }, &kernels::sigmoid},
  };
  return table[static_cast<std::size_t>(act)];
}

}  // namespace

Tensor activate(Act act, const Tensor& x) { return entry(act).op(x); }
void activate(Act act, const TensorView& x, const TensorView& y) {
  const ActEntry& e = entry(act);
  if (e.slot) {
    (*e.slot)(x.device, {x, y, e.p0, e.p1});
  } else if (x.data != y.data) {
    kernels::copy(x.device, {x, y});
  }
}

Linear::Linear(LinearConfig config) : Configured(std::move(config)) {
  const LinearConfig& c = this->config();
  weight = parameter("weight", {c.out_features, c.in_features}, init::fan_in_uniform(c.in_features));
  if (c.bias) bias = parameter("bias", {c.out_features}, init::fan_in_uniform(c.in_features), "bias");
}

Embedding::Embedding(EmbeddingConfig config) : Configured(std::move(config)) {
  weight =
      parameter("weight", {this->config().num_embeddings, this->config().embedding_dim}, init::normal(), "embedding");
}

void Conv1dConfig::validate(io::Issues& issues) const {
  if (groups < 1) return;
  if (in_channels % groups != 0)
    issues.add("/in_channels", "must be a multiple of groups (" + std::to_string(groups) + ")");
  if (out_channels % groups != 0)
    issues.add("/out_channels", "must be a multiple of groups (" + std::to_string(groups) + ")");
}
Conv1d::Conv1d(Conv1dConfig config) : Configured(std::move(config)) {
  const Conv1dConfig& c = this->config();
  const Init start = init::fan_in_uniform(c.in_channels / c.groups * c.kernel_size);
  weight = parameter("weight", {c.out_channels, c.in_channels / c.groups, c.kernel_size}, start);
  if (c.bias) bias = parameter("bias", {c.out_channels}, start, "bias");
}
Tensor Conv1d::forward(const Tensor& x) {
  const Conv1dConfig& c = config();
  return conv1d(x, weight, bias, {c.stride, c.dilation, c.groups, c.padding});
}

Tensor OneHot::forward(const Tensor& codes) { return one_hot(codes, config().classes, dtype()); }

Tensor Linearize::forward(const Tensor& codes) {
  return unsqueeze(sub(mul(cast(codes, dtype()), 2.0 / static_cast<double>(config().classes)), 1.0), -1);
}

Sequential::Sequential(const std::vector<Part<Layer>>& layers) {
  for (const auto& layer : layers) {
    layers_.push_back(std::make_unique<Part<Layer>>(layer));
    child(std::to_string(layers_.size() - 1), *layers_.back());
  }
}
io::Node Sequential::describe(Describer& d) const {
  io::Node list = io::Node::array();
  for (const Child& c : children()) list.push(d.part(c.name, *c.part->module()));
  return io::Node::object({{"type", type_name()}, {"version", 1}, {"layers", std::move(list)}});
}
std::shared_ptr<Sequential> Sequential::from_hparams(const io::Node& node, Builder& builder) {
  std::vector<Part<Layer>> layers;
  const io::Node* list = node.find("layers");
  for (const auto& [key, value] : node.members())
    if (key != "type" && key != "version" && key != "layers") builder.problem(key, "Sequential has no such key");
  if (!list || list->kind() != io::Node::Kind::array) {
    builder.problem("layers", "must be a list of layers");
    return nullptr;
  }
  for (std::size_t i = 0; i < list->size(); ++i)
    layers.push_back(builder.part<Layer>(node, std::to_string(i), "layers"));
  return builder.ok() ? std::make_shared<Sequential>(layers) : nullptr;
}
const Part<Layer>& Sequential::operator[](std::size_t i) const {
  TD_CHECK(i < size(), ValueError, "Sequential: there is no layer ", i, " among ", size());
  return *layers_[i];
}

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (const auto& layer : layers_) y = (*layer)(y);
  return y;
}

MLP::MLP(MLPConfig config) : Configured(std::move(config)), hidden_(make<ModuleList>()) {
  const MLPConfig& c = this->config();
  for (std::int64_t i = 0; i <= c.layers; ++i)
    hidden_->push(make<Linear>(LinearConfig{.in_features = i == 0 ? c.in : c.hidden, .out_features = c.hidden}));
  out_ = make<Linear>(LinearConfig{.in_features = c.hidden, .out_features = c.out + (c.min_temperature ? 1 : 0)});
  child("hidden", hidden_);
  child("out", out_);
}
Tensor MLP::forward(const Tensor& x) {
  const MLPConfig& c = config();
  Tensor h = x;
  for (std::size_t i = 0; i < hidden_->size(); ++i)
    h = dropout(activate(c.activation, hidden_->as<Linear>(i)(h)), c.dropout, training());
  const Tensor z = out_(h);
  if (!c.min_temperature) return z;
  const Tensor temperature = clamp(sigmoid(narrow(z, -1, c.out, 1)), *c.min_temperature);
  return div(narrow(z, -1, 0, c.out), temperature);
}

}  // namespace tapedeck::nn
