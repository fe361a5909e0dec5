#include <tapedeck/nn/layers/mix.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {
namespace {

Part<Linear> linear_of(std::int64_t in, std::int64_t out, bool bias = true) {
  return make<Linear>(LinearConfig{in, out, bias});
}

}  // namespace

FiLM::FiLM(FiLMConfig config) : Configured(config) {
  child("proj", proj_ = linear_of(this->config().condition, 2 * this->config().features));
}
Tensor FiLM::forward(const Tensor& x, const Tensor& condition) {
  const FiLMConfig& c = config();
  TD_CHECK(x.defined() && condition.defined() && x.dim() >= 2 && x.size(-1) == c.features && condition.dim() >= 2 &&
               (condition.dim() == 2 || condition.dim() == x.dim()) && condition.size(0) == x.size(0),
           ShapeError, "FiLM: needs x [batch, ..., ", c.features, "] and condition [batch, ", c.condition,
           "] or [batch, ..., ", c.condition, "]", arg("x", x), arg("condition", condition));
  Tensor both = proj_(condition);
  while (both.dim() < x.dim()) both = unsqueeze(both, 1);
  const std::vector<Tensor> parts = chunk(both, 2, -1);
  return x * (parts[0] + 1.0) + parts[1];
}

GatedMLP::GatedMLP(GatedMLPConfig config) : Configured(config) {
  const GatedMLPConfig& c = this->config();
  child("proj", proj_ = linear_of(c.in, 2 * c.hidden, c.bias));
  child("out", out_ = linear_of(c.hidden, c.out, c.bias));
}
Tensor GatedMLP::forward(const Tensor& x) {
  const std::vector<Tensor> parts = chunk(proj_(x), 2, -1);
  return out_(parts[0] * activate(config().gate, parts[1]));
}

VectorMix::VectorMix(VectorMixConfig config) : Configured(std::move(config)) {
  const VectorMixConfig& c = this->config();
  vectors = parameter("vectors", {c.hidden, c.out}, init::normal());
  child("proj", proj_ = linear_of(c.in, c.gate ? 2 * c.hidden : c.hidden));
}
Tensor VectorMix::forward(const Tensor& x) {
  const VectorMixConfig& c = config();
  const Tensor h = proj_(x);
  if (!c.gate) return matmul(activate(c.activation, h), vectors);
  const std::vector<Tensor> parts = chunk(h, 2, -1);
  return matmul(activate(c.activation, parts[0]) * activate(*c.gate, parts[1]), vectors);
}

Gaussian::Gaussian(GaussianConfig config) : Configured(config) {
  child("proj", proj_ = linear_of(this->config().in, 2 * this->config().out));
}
Tensor Gaussian::forward(const Tensor& x) {
  const std::vector<Tensor> parts = chunk(proj_(x), 2, -1);
  if (!training()) return parts[0];
  return parts[0] + clamp(tapedeck::exp(parts[1] * 0.5), config().min_std) * randn_like(parts[0]);
}

Logistic::Logistic(LogisticConfig config) : Configured(config) {
  child("proj", proj_ = linear_of(this->config().in, 2 * this->config().out));
}
Tensor Logistic::forward(const Tensor& x) {
  const std::vector<Tensor> parts = chunk(proj_(x), 2, -1);
  if (!training()) return parts[0];
  const Tensor u = clamp(rand_like(parts[0]), 1e-7, 1 - 1e-7);
  return parts[0] + parts[1] * (tapedeck::log(u) - log1p(neg(u)));
}

Affine::Affine(AffineConfig config) : Configured(config) {
  child("proj", proj_ = linear_of(this->config().in, 3 * this->config().out));
}
Tensor Affine::forward(const Tensor& x) {
  const std::vector<Tensor> parts = chunk(proj_(x), 3, -1);
  return parts[0] * parts[1] + parts[2];
}

std::vector<ModuleType> mix_types() {
  const std::string all = "x [..., in] -> [..., out]";
  const std::vector<Sample> x{reals({2, 5, 3})};
  return {
      layer<FiLM>({.features = 3, .condition = 2},
                  "x [batch, ..., features], condition [batch, condition] -> [batch, ..., features]",
                  {reals({2, 5, 3}), reals({2, 2})}),
      layer<GatedMLP>({.in = 3, .hidden = 4, .out = 2}, all, x),
      layer<VectorMix>({.in = 3, .hidden = 4, .out = 2}, all, x),
      layer<Gaussian>({.in = 3, .out = 2}, all, x),
      layer<Logistic>({.in = 3, .out = 2}, all, x),
      layer<Affine>({.in = 3, .out = 2}, all, x),
  };
}

}  // namespace tapedeck::nn
