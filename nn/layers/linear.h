// Linear maps, and layers that only rename or regroup dimensions.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

namespace tapedeck::nn {

// weight [out, in], bias [out].
struct LinearConfig {
  std::int64_t in_features = 1, out_features = 1;
  bool bias = true;
  static constexpr const char* type_name = "Linear";
  static constexpr io::Doc doc{"y = x W^T + b, over the last dimension."};
  static constexpr void fields(auto&& f) {
    f("in_features", &LinearConfig::in_features, positive("input channels"));
    f("out_features", &LinearConfig::out_features, positive("output channels"));
    f("bias", &LinearConfig::bias, io::Meta{.help = "add a learned constant"});
  }
};
class Linear : public Configured<LinearConfig> {
 public:
  explicit Linear(LinearConfig config = {});
  Linear(LinearConfig config, Init bias_start);
  Tensor forward(const Tensor& x) override { return tapedeck::linear(x, weight, bias); }
  Param weight, bias;
};

// act(linear(x)): one op where the activation is relu and nobody sees what comes between.
Tensor linear_then(Act act, Linear& linear, const Tensor& x);

// x1 [..., in1] and x2 [..., in2] of the same leading sizes. weight [out, in1, in2].
struct BilinearConfig {
  std::int64_t in1_features = 1, in2_features = 1, out_features = 1;
  bool bias = true;
  static constexpr const char* type_name = "Bilinear";
  static constexpr io::Doc doc{"y_o = sum over i and j of x1_i W_oij x2_j, plus b_o."};
  static constexpr void fields(auto&& f) {
    f("in1_features", &BilinearConfig::in1_features, positive("channels of the first input"));
    f("in2_features", &BilinearConfig::in2_features, positive("channels of the second input"));
    f("out_features", &BilinearConfig::out_features, positive("output channels"));
    f("bias", &BilinearConfig::bias, io::Meta{.help = "add a learned constant"});
  }
};
class Bilinear : public Configured<BilinearConfig, Module>, public Callable<Bilinear> {
 public:
  explicit Bilinear(BilinearConfig config = {});
  Tensor forward(const Tensor& x1, const Tensor& x2);  // ShapeError unless the sizes are those
  Param weight, bias;
};

struct IdentityConfig {
  static constexpr const char* type_name = "Identity";
  static constexpr io::Doc doc{"Its input as it is."};
  static constexpr void fields(auto&&) {}
};
class Identity : public Configured<IdentityConfig> {
 public:
  explicit Identity(IdentityConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return x; }
};

struct FlattenConfig {
  int start_dim = 1, end_dim = -1;
  static constexpr const char* type_name = "Flatten";
  static constexpr io::Doc doc{"The dimensions from start_dim to end_dim as one."};
  static constexpr void fields(auto&& f) {
    f("start_dim", &FlattenConfig::start_dim, io::Meta{.min = -8, .max = 8, .help = "first of the dimensions"});
    f("end_dim", &FlattenConfig::end_dim, io::Meta{.min = -8, .max = 8, .help = "last of the dimensions"});
  }
};
class Flatten : public Configured<FlattenConfig> {
 public:
  explicit Flatten(FlattenConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return flatten(x, config().start_dim, config().end_dim); }
};

struct TransposeConfig {
  int dim0 = 1, dim1 = 2;
  static constexpr const char* type_name = "Transpose";
  static constexpr io::Doc doc{"Two dimensions change places."};
  static constexpr void fields(auto&& f) {
    f("dim0", &TransposeConfig::dim0, io::Meta{.min = -8, .max = 8, .help = "one dimension"});
    f("dim1", &TransposeConfig::dim1, io::Meta{.min = -8, .max = 8, .help = "the dimension that takes its place"});
  }
};
class Transpose : public Configured<TransposeConfig> {
 public:
  explicit Transpose(TransposeConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return transpose(x, config().dim0, config().dim1); }
};

}  // namespace tapedeck::nn
