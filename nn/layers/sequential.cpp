#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/layers/sequential.h>
#include <tapedeck/nn/layers/types.h>

#include <string>

namespace tapedeck::nn {

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

std::vector<ModuleType> container_types() {
  const auto example = [] {
    return Sequential({make<Linear>(LinearConfig{3, 4}), make<Activation>(ActivationConfig{Act::tanh}),
                       make<Linear>(LinearConfig{4, 2})})
        .hparams();
  };
  return {module_type<Sequential>({example, "x [..., channels] -> [..., channels']", {reals({2, 5, 3})}})};
}

}  // namespace tapedeck::nn
