// Blocks of convolutions over [batch, sizes..., channels]; dims 1, 2 or 3 sizes. Kernels are odd and keep the sizes.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/layers/norm.h>
#include <tapedeck/nn/module.h>

#include <vector>

namespace tapedeck::nn {

constexpr io::Meta spatial_dims() { return {.min = 1, .max = 3, .help = "1: time, 2: images, 3: volumes"}; }
void check_odd(std::int64_t kernel_size, io::Issues& issues);

// conv1 (with the stride), bn1, activation, conv2, bn2, plus x (or downsample(x), a 1x1 convolution and a norm, where
// the shape changes), activation.
struct ResBlockConfig {
  int dims = 1;
  std::int64_t in_channels = 1, out_channels = 1, kernel_size = 3, stride = 1;
  Act activation = Act::relu;
  static constexpr const char* type_name = "ResBlock";
  static constexpr io::Doc doc{
      "Two convolutions with batch norms beside a path that keeps x, the activation behind their sum.",
      "He et al. 2016"};
  static constexpr void fields(auto&& f) {
    using C = ResBlockConfig;
    f("dims", &C::dims, spatial_dims());
    f("in_channels", &C::in_channels, positive("input channels"));
    f("out_channels", &C::out_channels, positive("output channels"));
    f("kernel_size", &C::kernel_size, io::Meta{.min = 1, .max = 4095, .help = "taps; odd"});
    f("stride", &C::stride, io::Meta{.min = 1, .max = 4096, .help = "steps between outputs"});
    f("activation", &C::activation, io::Meta{.help = "between the parts"});
  }
  void validate(io::Issues& issues) const { check_odd(kernel_size, issues); }
};
class ResBlock : public Configured<ResBlockConfig> {
 public:
  explicit ResBlock(ResBlockConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Layer> conv1_, conv2_, downsample_;
  Part<BatchNorm> bn1_, bn2_;
};

struct BottleneckConfig {
  int dims = 1;
  std::int64_t in_channels = 4, width = 1, expansion = 4, kernel_size = 3, stride = 1;
  Act activation = Act::relu;
  static constexpr const char* type_name = "Bottleneck";
  static constexpr io::Doc doc{
      "A ResBlock of three convolutions: 1x1 down to width, the kernel, 1x1 up to width * expansion.",
      "He et al. 2016"};
  static constexpr void fields(auto&& f) {
    using C = BottleneckConfig;
    f("dims", &C::dims, spatial_dims());
    f("in_channels", &C::in_channels, positive("input channels"));
    f("width", &C::width, positive("channels in the middle"));
    f("expansion", &C::expansion, io::Meta{.min = 1, .max = 1024, .help = "output channels over the width"});
    f("kernel_size", &C::kernel_size, io::Meta{.min = 1, .max = 4095, .help = "taps; odd"});
    f("stride", &C::stride, io::Meta{.min = 1, .max = 4096, .help = "steps between outputs"});
    f("activation", &C::activation, io::Meta{.help = "between the parts"});
  }
  void validate(io::Issues& issues) const { check_odd(kernel_size, issues); }
};
class Bottleneck : public Configured<BottleneckConfig> {
 public:
  explicit Bottleneck(BottleneckConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Layer> conv1_, conv2_, conv3_, downsample_;
  Part<BatchNorm> bn1_, bn2_, bn3_;
};

// y = activation(bn1(x)); conv2(activation(bn2(conv1(y)))) plus x, or plus downsample(y), a 1x1 convolution, where the
// shape changes.
struct PreActBlockConfig {
  int dims = 1;
  std::int64_t in_channels = 1, out_channels = 1, kernel_size = 3, stride = 1;
  Act activation = Act::relu;
  static constexpr const char* type_name = "PreActBlock";
  static constexpr io::Doc doc{
      "A ResBlock with norm and activation before each convolution, so that nothing stands on the path of x.",
      "He et al. 2016 (Identity mappings in deep residual networks)"};
  static constexpr void fields(auto&& f) {
    using C = PreActBlockConfig;
    f("dims", &C::dims, spatial_dims());
    f("in_channels", &C::in_channels, positive("input channels"));
    f("out_channels", &C::out_channels, positive("output channels"));
    f("kernel_size", &C::kernel_size, io::Meta{.min = 1, .max = 4095, .help = "taps; odd"});
    f("stride", &C::stride, io::Meta{.min = 1, .max = 4096, .help = "steps between outputs"});
    f("activation", &C::activation, io::Meta{.help = "before each convolution"});
  }
  void validate(io::Issues& issues) const { check_odd(kernel_size, issues); }
};
class PreActBlock : public Configured<PreActBlockConfig> {
 public:
  explicit PreActBlock(PreActBlockConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Layer> conv1_, conv2_, downsample_;
  Part<BatchNorm> bn1_, bn2_;
};

// x and `growth` new channels behind it: norm1, activation, conv1 (1x1, to bottleneck * growth), norm2, activation,
// conv2.
struct DenseUnitConfig {
  int dims = 1;
  std::int64_t in_channels = 1, growth = 1, bottleneck = 4, kernel_size = 3;
  Act activation = Act::relu;
  static constexpr const char* type_name = "DenseUnit";
  static constexpr io::Doc doc{"x with new channels behind it, which two convolutions make of all that came before.",
                               "Huang et al. 2017"};
  static constexpr void fields(auto&& f) {
    using C = DenseUnitConfig;
    f("dims", &C::dims, spatial_dims());
    f("in_channels", &C::in_channels, positive("input channels"));
    f("growth", &C::growth, positive("new channels"));
    f("bottleneck", &C::bottleneck, io::Meta{.min = 1, .max = 1024, .help = "channels in the middle over growth"});
    f("kernel_size", &C::kernel_size, io::Meta{.min = 1, .max = 4095, .help = "taps; odd"});
    f("activation", &C::activation, io::Meta{.help = "before each convolution"});
  }
  void validate(io::Issues& issues) const { check_odd(kernel_size, issues); }
};
class DenseUnit : public Configured<DenseUnitConfig> {
 public:
  explicit DenseUnit(DenseUnitConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Layer> conv1_, conv2_;
  Part<BatchNorm> norm1_, norm2_;
};

struct SEBlockConfig {
  std::int64_t channels = 1, reduction = 16;
  Act activation = Act::relu;
  static constexpr const char* type_name = "SEBlock";
  static constexpr io::Doc doc{
      "Squeeze and excitation: x times sigmoid(fc2(activation(fc1(mean of x over all sizes)))), by channel.",
      "Hu, Shen & Sun 2018"};
  static constexpr void fields(auto&& f) {
    f("channels", &SEBlockConfig::channels, positive("channels"));
    f("reduction", &SEBlockConfig::reduction, positive("channels over the width in the middle, which is at least 1"));
    f("activation", &SEBlockConfig::activation, io::Meta{.help = "in the middle"});
  }
};
class SEBlock : public Configured<SEBlockConfig> {
 public:
  explicit SEBlock(SEBlockConfig config = {});
  Tensor forward(const Tensor& x) override;

 private:
  Part<Linear> fc1_, fc2_;
};

// down (its kernel is its stride, `factor`), inner (the next level, or a convolution at the bottom), up, and merge of x
// and what came back. channels: one width per level.
struct UNetBlockConfig {
  int dims = 1;
  std::int64_t in_channels = 1;
  std::vector<std::int64_t> channels{2};
  std::int64_t kernel_size = 3, factor = 2;
  Act activation = Act::relu;
  static constexpr const char* type_name = "UNetBlock";
  static constexpr io::Doc doc{"A level of a U-Net: a shorter path down to the next level and up again, merged with x.",
                               "Ronneberger, Fischer & Brox 2015"};
  static constexpr void fields(auto&& f) {
    using C = UNetBlockConfig;
    f("dims", &C::dims, spatial_dims());
    f("in_channels", &C::in_channels, positive("input and output channels"));
    f("channels", &C::channels, positive("width of each level below"));
    f("kernel_size", &C::kernel_size, io::Meta{.min = 1, .max = 4095, .help = "taps; odd"});
    f("factor", &C::factor, io::Meta{.min = 1, .max = 4096, .help = "by which each level is shorter"});
    f("activation", &C::activation, io::Meta{.help = "after each part but the last"});
  }
  void validate(io::Issues& issues) const;
};
class UNetBlock : public Configured<UNetBlockConfig> {
 public:
  explicit UNetBlock(UNetBlockConfig config = {});
  Tensor forward(const Tensor& x) override;  // ShapeError unless all sizes are multiples of factor^levels

 private:
  Part<Layer> down_, inner_, up_, merge_;
};

}  // namespace tapedeck::nn
