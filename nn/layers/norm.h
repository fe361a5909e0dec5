// Normalisation; channels are the last dimension.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

#include <optional>
#include <utility>
#include <vector>

namespace tapedeck::nn {

constexpr io::Meta small(const char* help) { return {.min = 0, .max = 1, .help = help, .log = true}; }

// Over the last dimensions, whose sizes are normalized_shape: weight's and bias's shape.
struct LayerNormConfig {
  std::vector<std::int64_t> normalized_shape{1};
  double eps = 1e-5;
  bool elementwise_affine = true, bias = true;
  static constexpr const char* type_name = "LayerNorm";
  static constexpr io::Doc doc{
      "(x - mean) / sqrt(variance + eps) over the last dimensions, times a weight, plus a bias.",
      "Ba, Kiros & Hinton 2016"};
  static constexpr void fields(auto&& f) {
    using C = LayerNormConfig;
    f("normalized_shape", &C::normalized_shape, positive("sizes of the last dimensions"));
    f("eps", &C::eps, small("added to the variance"));
    f("elementwise_affine", &C::elementwise_affine, io::Meta{.help = "multiply by a learned weight"});
    f("bias", &C::bias, io::Meta{.help = "and add a learned bias"});
  }
  void validate(io::Issues& issues) const;
};
class LayerNorm : public Configured<LayerNormConfig> {
 public:
  explicit LayerNorm(LayerNormConfig config = {});
  Tensor forward(const Tensor& x) override { return layer_norm(x, shape_, weight, bias, config().eps); }
  Param weight, bias;

 private:
  Shape shape_;
};

struct RMSNormConfig {
  std::vector<std::int64_t> normalized_shape{1};
  std::optional<double> eps{};
  bool elementwise_affine = true;
  static constexpr const char* type_name = "RMSNorm";
  static constexpr io::Doc doc{"x / sqrt(mean of x^2 + eps) over the last dimensions, times a weight.",
                               "Zhang & Sennrich 2019"};
  static constexpr void fields(auto&& f) {
    using C = RMSNormConfig;
    f("normalized_shape", &C::normalized_shape, positive("sizes of the last dimensions"));
    f("eps", &C::eps, small("added to the mean square; null: the precision of the dtype"));
    f("elementwise_affine", &C::elementwise_affine, io::Meta{.help = "multiply by a learned weight"});
  }
  void validate(io::Issues& issues) const;
};
class RMSNorm : public Configured<RMSNormConfig> {
 public:
  explicit RMSNorm(RMSNormConfig config = {});
  Tensor forward(const Tensor& x) override { return rms_norm(x, shape_, weight, config().eps); }
  Param weight;

 private:
  Shape shape_;
};

// x [batch, ..., channels].
struct GroupNormConfig {
  std::int64_t num_groups = 1, num_channels = 1;
  double eps = 1e-5;
  bool affine = true;
  static constexpr const char* type_name = "GroupNorm";
  static constexpr io::Doc doc{"Each run of channels of each part of the batch, normalised by itself.", "Wu & He 2018"};
  static constexpr void fields(auto&& f) {
    using C = GroupNormConfig;
    f("num_groups", &C::num_groups, positive("runs of channels"));
    f("num_channels", &C::num_channels, positive("channels"));
    f("eps", &C::eps, small("added to the variance"));
    f("affine", &C::affine, io::Meta{.help = "a learned weight and bias"});
  }
  void validate(io::Issues& issues) const;
};
class GroupNorm : public Configured<GroupNormConfig> {
 public:
  explicit GroupNorm(GroupNormConfig config = {});
  Tensor forward(const Tensor& x) override { return group_norm(x, config().num_groups, weight, bias, config().eps); }
  Param weight, bias;
};

// What BatchNorm and InstanceNorm hold: per channel, weight and bias, and running statistics, as the config says.
template <class C>
class TrackedNorm : public Configured<C> {
 public:
  explicit TrackedNorm(C config) : Configured<C>(std::move(config)) {
    const Shape channels{this->config().num_features};
    if (this->config().affine) {
      weight = this->parameter("weight", channels, init::constant(1), "norm");
      bias = this->parameter("bias", channels, init::constant(0), "norm");
    }
    if (this->config().track_running_stats) {
      running_mean = this->buffer("running_mean", channels, 0);
      running_var = this->buffer("running_var", channels, 1);
      num_batches_tracked = this->buffer("num_batches_tracked", {}, 0, true, DType::i64);
    }
  }
  Param weight, bias, running_mean, running_var, num_batches_tracked;
};

// x [batch, ..., channels] of any rank (PyTorch's BatchNorm1d, 2d and 3d). Training: by the statistics of x, which the
// running ones follow by `momentum`, or whose plain average they are without one; else by the running ones.
struct BatchNormConfig {
  std::int64_t num_features = 1;
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;
  bool affine = true, track_running_stats = true;
  static constexpr const char* type_name = "BatchNorm";
  static constexpr io::Doc doc{"Each channel normalised by the statistics of the batch; in eval mode, by running ones.",
                               "Ioffe & Szegedy 2015"};
  static constexpr void fields(auto&& f) {
    using C = BatchNormConfig;
    f("num_features", &C::num_features, positive("channels"));
    f("eps", &C::eps, small("added to the variance"));
    f("momentum", &C::momentum, io::Meta{.min = 0, .max = 1, .help = "part of the newest; null: plain average"});
    f("affine", &C::affine, io::Meta{.help = "a learned weight and bias"});
    f("track_running_stats", &C::track_running_stats, io::Meta{.help = "keep statistics for evaluation"});
  }
};
class BatchNorm : public TrackedNorm<BatchNormConfig> {
 public:
  explicit BatchNorm(BatchNormConfig config = {}) : TrackedNorm(std::move(config)) {}
  Tensor forward(const Tensor& x) override;
};

// x [batch, ..., channels].
struct InstanceNormConfig {
  std::int64_t num_features = 1;
  double eps = 1e-5, momentum = 0.1;
  bool affine = false, track_running_stats = false;
  static constexpr const char* type_name = "InstanceNorm";
  static constexpr io::Doc doc{"Each channel of each part of the batch, normalised by itself.",
                               "Ulyanov, Vedaldi & Lempitsky 2016"};
  static constexpr void fields(auto&& f) {
    using C = InstanceNormConfig;
    f("num_features", &C::num_features, positive("channels"));
    f("eps", &C::eps, small("added to the variance"));
    f("momentum", &C::momentum, io::Meta{.min = 0, .max = 1, .help = "part of the newest in the running statistics"});
    f("affine", &C::affine, io::Meta{.help = "a learned weight and bias"});
    f("track_running_stats", &C::track_running_stats, io::Meta{.help = "keep statistics for evaluation"});
  }
};
class InstanceNorm : public TrackedNorm<InstanceNormConfig> {
 public:
  explicit InstanceNorm(InstanceNormConfig config = {}) : TrackedNorm(std::move(config)) {}
  Tensor forward(const Tensor& x) override;
};

struct LocalResponseNormConfig {
  std::int64_t size = 5;
  double alpha = 1e-4, beta = 0.75, k = 1;
  static constexpr const char* type_name = "LocalResponseNorm";
  static constexpr io::Doc doc{"x / (k + alpha * the mean of squares of `size` neighbouring channels)^beta.",
                               "Krizhevsky, Sutskever & Hinton 2012"};
  static constexpr void fields(auto&& f) {
    using C = LocalResponseNormConfig;
    f("size", &C::size, positive("neighbouring channels"));
    f("alpha", &C::alpha, io::Meta{.min = 0, .max = 1e6, .help = "factor of the mean square"});
    f("beta", &C::beta, io::Meta{.min = 0, .max = 100, .help = "exponent"});
    f("k", &C::k, io::Meta{.min = 0, .max = 1e6, .help = "constant"});
  }
};
class LocalResponseNorm : public Configured<LocalResponseNormConfig> {
 public:
  explicit LocalResponseNorm(LocalResponseNormConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override {
    return local_response_norm(x, config().size, config().alpha, config().beta, config().k);
  }
};

}  // namespace tapedeck::nn
