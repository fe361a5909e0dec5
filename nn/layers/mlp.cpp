#include <tapedeck/nn/layers/mlp.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {

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
  for (std::size_t i = 0; i < hidden_->size(); ++i) {
    const Tensor next = dropout(linear_then(c.activation, hidden_->as<Linear>(i), h), c.dropout, training());
    h = c.residual && i > 0 ? h + next : next;
  }
  const Tensor z = out_(h);
  if (!c.min_temperature) return z;
  const Tensor temperature = clamp(sigmoid(narrow(z, -1, c.out, 1)), *c.min_temperature);
  return div(narrow(z, -1, 0, c.out), temperature);
}

std::vector<ModuleType> mlp_types() {
  return {layer<MLP>({.in = 3, .hidden = 4, .layers = 1, .out = 2}, "x [..., in] -> [..., out]", {reals({2, 5, 3})})};
}

}  // namespace tapedeck::nn
