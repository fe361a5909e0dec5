#include <tapedeck/nn/layers/norm.h>
#include <tapedeck/nn/layers/types.h>

#include <string>

namespace tapedeck::nn {
namespace {

Shape shape_of(const std::vector<std::int64_t>& sizes) { return Shape(std::span(sizes)); }

void check_shape(const std::vector<std::int64_t>& sizes, io::Issues& issues) {
  if (sizes.empty() || sizes.size() > 4) issues.add("/normalized_shape", "must have 1 to 4 sizes");
}

// The batches seen so far, this one included.
double count_batch(const Tensor& batches) {
  if (replaying()) return batches.item();
  const NoGrad pause;
  fill_(batches, batches.item() + 1);
  return batches.item();
}

}  // namespace

void LayerNormConfig::validate(io::Issues& issues) const { check_shape(normalized_shape, issues); }
LayerNorm::LayerNorm(LayerNormConfig config)
    : Configured(std::move(config)), shape_(shape_of(this->config().normalized_shape)) {
  const LayerNormConfig& c = this->config();
  if (c.elementwise_affine) weight = parameter("weight", shape_, init::constant(1), "norm");
  if (c.elementwise_affine && c.bias) bias = parameter("bias", shape_, init::constant(0), "norm");
}

void RMSNormConfig::validate(io::Issues& issues) const { check_shape(normalized_shape, issues); }
RMSNorm::RMSNorm(RMSNormConfig config)
    : Configured(std::move(config)), shape_(shape_of(this->config().normalized_shape)) {
  if (this->config().elementwise_affine) weight = parameter("weight", shape_, init::constant(1), "norm");
}

void GroupNormConfig::validate(io::Issues& issues) const {
  if (num_groups >= 1 && num_channels % num_groups != 0)
    issues.add("/num_channels", "must be a multiple of num_groups (" + std::to_string(num_groups) + ")");
}
GroupNorm::GroupNorm(GroupNormConfig config) : Configured(std::move(config)) {
  if (!this->config().affine) return;
  weight = parameter("weight", {this->config().num_channels}, init::constant(1), "norm");
  bias = parameter("bias", {this->config().num_channels}, init::constant(0), "norm");
}

Tensor BatchNorm::forward(const Tensor& x) {
  const BatchNormConfig& c = config();
  double momentum = c.momentum.value_or(0);
  if (training() && c.track_running_stats) {
    const double batches = count_batch(num_batches_tracked);
    if (!c.momentum) momentum = 1 / batches;
  }
  return batch_norm(x, running_mean, running_var, weight, bias, training() || !c.track_running_stats, momentum, c.eps);
}

Tensor InstanceNorm::forward(const Tensor& x) {
  const InstanceNormConfig& c = config();
  return instance_norm(x, running_mean, running_var, weight, bias, training() || !c.track_running_stats, c.momentum,
                       c.eps);
}

std::vector<ModuleType> norm_types() {
  const std::string same = "x [batch, ..., channels] -> [batch, ..., channels]";
  return {
      layer<LayerNorm>({.normalized_shape = {4}}, "x [..., normalized_shape[0]] -> [..., normalized_shape[0]]",
                       {reals({2, 5, 4})}),
      layer<RMSNorm>({.normalized_shape = {4}}, "x [..., normalized_shape[0]] -> [..., normalized_shape[0]]",
                     {reals({2, 5, 4})}),
      layer<GroupNorm>({.num_groups = 2, .num_channels = 4},
                       "x [batch, ..., num_channels] -> [batch, ..., num_channels]", {reals({2, 5, 4})}),
      layer<BatchNorm>({.num_features = 3}, "x [batch, ..., num_features] -> [batch, ..., num_features]",
                       {reals({4, 5, 3})}),
      layer<InstanceNorm>({.num_features = 3, .affine = true},
                          "x [batch, ..., num_features] -> [batch, ..., num_features]", {reals({2, 5, 3})}),
      layer<LocalResponseNorm>({.size = 3}, same, {reals({2, 5, 4})}),
  };
}

}  // namespace tapedeck::nn
