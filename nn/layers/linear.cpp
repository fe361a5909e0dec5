#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/layers/types.h>

#include <typeinfo>

namespace tapedeck::nn {

Linear::Linear(LinearConfig config) : Linear(config, init::fan_in_uniform(config.in_features)) {}
Linear::Linear(LinearConfig config, Init bias_start) : Configured(config) {
  const LinearConfig& c = this->config();
  weight = parameter("weight", {c.out_features, c.in_features}, init::fan_in_uniform(c.in_features));
  if (c.bias) bias = parameter("bias", {c.out_features}, bias_start, "bias");
}

Tensor linear_then(Act act, Linear& linear, const Tensor& x) {
  const bool one = act == Act::relu && typeid(linear) == typeid(Linear) && linear.plain();
  return one ? linear_relu(x, linear.weight, linear.bias) : activate(act, linear(x));
}

Bilinear::Bilinear(BilinearConfig config) : Configured(config) {
  const BilinearConfig& c = this->config();
  const Init start = init::fan_in_uniform(c.in1_features);
  weight = parameter("weight", {c.out_features, c.in1_features, c.in2_features}, start);
  if (c.bias) bias = parameter("bias", {c.out_features}, start, "bias");
}
Tensor Bilinear::forward(const Tensor& x1, const Tensor& x2) {
  const BilinearConfig& c = config();
  TD_CHECK(x1.defined() && x2.defined() && x1.dim() >= 1 && x1.dim() == x2.dim() && x1.size(-1) == c.in1_features &&
               x2.size(-1) == c.in2_features,
           ShapeError, "Bilinear: needs [..., ", c.in1_features, "] and [..., ", c.in2_features,
           "] with the same leading sizes", arg("x1", x1), arg("x2", x2));
  for (int d = 0; d + 1 < x1.dim(); ++d)
    TD_CHECK(x1.size(d) == x2.size(d), ShapeError, "Bilinear: the inputs must have the same leading sizes",
             arg("x1", x1), arg("x2", x2));
  const Tensor y = einsum("...i,oij,...j->...o", {x1, weight, x2});
  return bias ? y + bias.get() : y;
}

std::vector<ModuleType> linear_types() {
  return {
      layer<Linear>({.in_features = 3, .out_features = 4}, "x [..., in_features] -> [..., out_features]",
                    {reals({2, 5, 3})}),
      layer<Bilinear>({.in1_features = 3, .in2_features = 2, .out_features = 4},
                      "x1 [..., in1_features], x2 [..., in2_features] -> [..., out_features]",
                      {reals({2, 5, 3}), reals({2, 5, 2})}),
      layer<Identity>({}, "x [...] -> [...]", {reals({2, 5, 3})}),
      layer<Flatten>({}, "x [batch, height, width, channels] -> [batch, height * width * channels]",
                     {reals({2, 3, 4, 2})}),
      layer<Transpose>({}, "x [batch, time, channels] -> [batch, channels, time]", {reals({2, 5, 3})}),
  };
}

}  // namespace tapedeck::nn
