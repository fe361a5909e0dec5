#include <tapedeck/nn/layers/blocks.h>
#include <tapedeck/nn/layers/conv.h>
#include <tapedeck/nn/layers/sequential.h>
#include <tapedeck/nn/layers/types.h>

#include <algorithm>

namespace tapedeck::nn {
namespace {

struct Kernel {
  std::int64_t size = 1, stride = 1, pad = 0;
  bool bias = false;
};
template <int N>
Part<Layer> conv_of(std::int64_t in, std::int64_t out, const Kernel& k) {
  return make<Conv<N>>(ConvConfig<N>{.in_channels = in,
                                     .out_channels = out,
                                     .kernel_size = each<N>(k.size),
                                     .stride = each<N>(k.stride),
                                     .bias = k.bias,
                                     .pad = each<N>(k.pad)});
}
Part<Layer> conv_of(int dims, std::int64_t in, std::int64_t out, const Kernel& k) {
  return dims == 1 ? conv_of<1>(in, out, k) : dims == 2 ? conv_of<2>(in, out, k) : conv_of<3>(in, out, k);
}
template <int N>
Part<Layer> up_of(std::int64_t in, std::int64_t out, std::int64_t factor) {
  return make<ConvTranspose<N>>(ConvTransposeConfig<N>{
      .in_channels = in, .out_channels = out, .kernel_size = each<N>(factor), .stride = each<N>(factor)});
}
Part<Layer> up_of(int dims, std::int64_t in, std::int64_t out, std::int64_t factor) {
  return dims == 1 ? up_of<1>(in, out, factor) : dims == 2 ? up_of<2>(in, out, factor) : up_of<3>(in, out, factor);
}
Kernel centred(std::int64_t size, std::int64_t stride = 1) { return {size, stride, size / 2}; }
Part<BatchNorm> norm_of(std::int64_t channels) { return make<BatchNorm>(BatchNormConfig{channels}); }
// What brings x to another shape beside a block: empty when it has it.
Part<Layer> shortcut(int dims, std::int64_t in, std::int64_t out, std::int64_t stride) {
  if (in == out && stride == 1) return {};
  return make<Sequential>(std::vector<Part<Layer>>{conv_of(dims, in, out, {.stride = stride}), norm_of(out)});
}

}  // namespace

void check_odd(std::int64_t kernel_size, io::Issues& issues) {
  if (kernel_size % 2 == 0) issues.add("/kernel_size", "must be odd");
}

ResBlock::ResBlock(ResBlockConfig config) : Configured(config) {
  const ResBlockConfig& c = this->config();
  child("conv1", conv1_ = conv_of(c.dims, c.in_channels, c.out_channels, centred(c.kernel_size, c.stride)));
  child("bn1", bn1_ = norm_of(c.out_channels));
  child("conv2", conv2_ = conv_of(c.dims, c.out_channels, c.out_channels, centred(c.kernel_size)));
  child("bn2", bn2_ = norm_of(c.out_channels));
  downsample_ = shortcut(c.dims, c.in_channels, c.out_channels, c.stride);
  if (downsample_) child("downsample", downsample_);
}
Tensor ResBlock::forward(const Tensor& x) {
  const Act act = config().activation;
  const Tensor y = bn2_(conv2_(activate(act, bn1_(conv1_(x)))));
  return activate(act, y + (downsample_ ? downsample_(x) : x));
}

Bottleneck::Bottleneck(BottleneckConfig config) : Configured(config) {
  const BottleneckConfig& c = this->config();
  const std::int64_t out = c.width * c.expansion;
  child("conv1", conv1_ = conv_of(c.dims, c.in_channels, c.width, {}));
  child("bn1", bn1_ = norm_of(c.width));
  child("conv2", conv2_ = conv_of(c.dims, c.width, c.width, centred(c.kernel_size, c.stride)));
  child("bn2", bn2_ = norm_of(c.width));
  child("conv3", conv3_ = conv_of(c.dims, c.width, out, {}));
  child("bn3", bn3_ = norm_of(out));
  downsample_ = shortcut(c.dims, c.in_channels, out, c.stride);
  if (downsample_) child("downsample", downsample_);
}
Tensor Bottleneck::forward(const Tensor& x) {
  const Act act = config().activation;
  const Tensor y = bn3_(conv3_(activate(act, bn2_(conv2_(activate(act, bn1_(conv1_(x))))))));
  return activate(act, y + (downsample_ ? downsample_(x) : x));
}

PreActBlock::PreActBlock(PreActBlockConfig config) : Configured(config) {
  const PreActBlockConfig& c = this->config();
  child("bn1", bn1_ = norm_of(c.in_channels));
  child("conv1", conv1_ = conv_of(c.dims, c.in_channels, c.out_channels, centred(c.kernel_size, c.stride)));
  child("bn2", bn2_ = norm_of(c.out_channels));
  child("conv2", conv2_ = conv_of(c.dims, c.out_channels, c.out_channels, centred(c.kernel_size)));
  if (c.in_channels != c.out_channels || c.stride != 1)
    child("downsample", downsample_ = conv_of(c.dims, c.in_channels, c.out_channels, {.stride = c.stride}));
}
Tensor PreActBlock::forward(const Tensor& x) {
  const Act act = config().activation;
  const Tensor y = activate(act, bn1_(x));
  return conv2_(activate(act, bn2_(conv1_(y)))) + (downsample_ ? downsample_(y) : x);
}

DenseUnit::DenseUnit(DenseUnitConfig config) : Configured(config) {
  const DenseUnitConfig& c = this->config();
  const std::int64_t middle = c.bottleneck * c.growth;
  child("norm1", norm1_ = norm_of(c.in_channels));
  child("conv1", conv1_ = conv_of(c.dims, c.in_channels, middle, {}));
  child("norm2", norm2_ = norm_of(middle));
  child("conv2", conv2_ = conv_of(c.dims, middle, c.growth, centred(c.kernel_size)));
}
Tensor DenseUnit::forward(const Tensor& x) {
  const Act act = config().activation;
  return cat({x, conv2_(activate(act, norm2_(conv1_(activate(act, norm1_(x))))))}, -1);
}

SEBlock::SEBlock(SEBlockConfig config) : Configured(config) {
  const SEBlockConfig& c = this->config();
  const std::int64_t middle = std::max<std::int64_t>(c.channels / c.reduction, 1);
  child("fc1", fc1_ = make<Linear>(LinearConfig{c.channels, middle}));
  child("fc2", fc2_ = make<Linear>(LinearConfig{middle, c.channels}));
}
Tensor SEBlock::forward(const Tensor& x) {
  TD_CHECK(x.defined() && x.dim() >= 3 && x.size(-1) == config().channels, ShapeError,
           "SEBlock: x must be [batch, sizes..., ", config().channels, "]", arg("x", x));
  std::vector<int> sizes;
  for (int d = 1; d + 1 < x.dim(); ++d) sizes.push_back(d);
  return x * sigmoid(fc2_(activate(config().activation, fc1_(mean(x, sizes, true)))));
}

void UNetBlockConfig::validate(io::Issues& issues) const {
  check_odd(kernel_size, issues);
  if (channels.empty() || channels.size() > 16) issues.add("/channels", "must have widths for 1 to 16 levels");
}
UNetBlock::UNetBlock(UNetBlockConfig config) : Configured(std::move(config)) {
  const UNetBlockConfig& c = this->config();
  const std::int64_t width = c.channels.front();
  Kernel keeps = centred(c.kernel_size);
  keeps.bias = true;
  child("down", down_ = conv_of(c.dims, c.in_channels, width, {.size = c.factor, .stride = c.factor, .bias = true}));
  if (c.channels.size() > 1) {
    UNetBlockConfig next = c;
    next.in_channels = width, next.channels.erase(next.channels.begin());
    inner_ = make<UNetBlock>(std::move(next));
  } else {
    inner_ = conv_of(c.dims, width, width, keeps);
  }
  child("inner", inner_);
  child("up", up_ = up_of(c.dims, width, c.in_channels, c.factor));
  child("merge", merge_ = conv_of(c.dims, 2 * c.in_channels, c.in_channels, keeps));
}
Tensor UNetBlock::forward(const Tensor& x) {
  const UNetBlockConfig& c = config();
  TD_CHECK(x.defined() && x.dim() == c.dims + 2, ShapeError, "UNetBlock: x must have ", c.dims + 2, " dimensions",
           arg("x", x));
  for (int d = 1; d <= c.dims; ++d)
    TD_CHECK(x.size(d) % c.factor == 0 && x.size(d) > 0, ShapeError, "UNetBlock: every size must be a multiple of ",
             c.factor, " at each level", arg("x", x));
  const Tensor below = activate(c.activation, inner_(activate(c.activation, down_(x))));
  return merge_(cat({x, activate(c.activation, up_(below))}, -1));
}

std::vector<ModuleType> block_types() {
  const std::string strided = "x [batch, time, in_channels] -> [batch, (time - 1) / stride + 1, ";
  const std::vector<Sample> x{reals({2, 7, 3})};
  return {
      layer<ResBlock>({.in_channels = 3, .out_channels = 4, .stride = 2}, strided + "out_channels]", x),
      layer<Bottleneck>({.in_channels = 3, .width = 2, .expansion = 2}, strided + "width * expansion]", x),
      layer<PreActBlock>({.in_channels = 3, .out_channels = 4, .stride = 2}, strided + "out_channels]", x),
      layer<DenseUnit>({.in_channels = 3, .growth = 2, .bottleneck = 2},
                       "x [batch, time, in_channels] -> [batch, time, in_channels + growth]", x),
      layer<SEBlock>({.channels = 4, .reduction = 2}, "x [batch, ..., channels] -> [batch, ..., channels]",
                     {reals({2, 5, 4})}),
      layer<UNetBlock>({.in_channels = 2, .channels = {3, 4}},
                       "x [batch, time, in_channels] -> [batch, time, in_channels]", {reals({2, 8, 2})}),
  };
}

}  // namespace tapedeck::nn
