#include <tapedeck/nn/layers/conv.h>
#include <tapedeck/nn/layers/types.h>

#include <string>

namespace tapedeck::nn {
namespace {

void check_groups(std::int64_t in, std::int64_t out, std::int64_t groups, io::Issues& issues) {
  if (groups < 1) return;
  if (in % groups != 0) issues.add("/in_channels", "must be a multiple of groups (" + std::to_string(groups) + ")");
  if (out % groups != 0) issues.add("/out_channels", "must be a multiple of groups (" + std::to_string(groups) + ")");
}

template <int N>
Shape weight_shape(std::int64_t first, std::int64_t second, const Sizes<N>& kernel) {
  if constexpr (N == 1) {
    return {first, second, kernel};
  } else if constexpr (N == 2) {
    return {first, second, kernel[0], kernel[1]};
  } else {
    return {first, second, kernel[0], kernel[1], kernel[2]};
  }
}

PadMode pad_mode(PaddingMode mode) {
  switch (mode) {
    case PaddingMode::reflect:
      return PadMode::reflect;
    case PaddingMode::replicate:
      return PadMode::replicate;
    case PaddingMode::circular:
      return PadMode::circular;
    default:
      return PadMode::constant;
  }
}

// What conv's padding rule means in steps, for modes other than zeros: pairs from the last dimension backwards.
template <int N>
std::vector<std::int64_t> pads_of(const ConvConfig<N>& c) {
  std::vector<std::int64_t> out{0, 0};  // channels
  for (int d = N - 1; d >= 0; --d) {
    const std::int64_t span = (size_at<N>(c.kernel_size, d) - 1) * size_at<N>(c.dilation, d);
    const std::int64_t fixed = size_at<N>(c.pad, d);
    if (c.padding == Padding::valid) {
      out.insert(out.end(), {fixed, fixed});
    } else if (c.padding == Padding::causal && d == 0) {
      out.insert(out.end(), {span, 0});
    } else {
      out.insert(out.end(), {span / 2, span - span / 2});
    }
  }
  return out;
}

}  // namespace

template <int N>
void ConvConfig<N>::validate(io::Issues& issues) const {
  check_groups(in_channels, out_channels, groups, issues);
  for (int d = 0; d < N; ++d) {
    if (padding != Padding::valid && size_at<N>(pad, d) != 0)
      issues.add("/pad", "must be 0 with padding \"same\" and \"causal\", which say how much there is");
    if (padding == Padding::same && size_at<N>(stride, d) != 1)
      issues.add("/stride", "must be 1 with padding \"same\"");
  }
}
template <int N>
Conv<N>::Conv(ConvConfig<N> config) : Configured<ConvConfig<N>>(std::move(config)) {
  const ConvConfig<N>& c = this->config();
  const Shape shape = weight_shape<N>(c.out_channels, c.in_channels / c.groups, c.kernel_size);
  const Init start = init::fan_in_uniform(shape.numel() / c.out_channels);
  weight = this->parameter("weight", shape, start);
  if (c.bias) bias = this->parameter("bias", {c.out_channels}, start, "bias");
}
template <int N>
Tensor Conv<N>::forward(const Tensor& x) {
  const ConvConfig<N>& c = this->config();
  ConvOptions<N> o{.stride = per_dim<N>(c.stride), .dilation = per_dim<N>(c.dilation), .groups = c.groups};
  Tensor in = x;
  if (c.padding_mode != PaddingMode::zeros) {
    TD_CHECK(x.defined() && x.dim() == N + 2, ShapeError, c.type_name, ": x must have ", N + 2, " dimensions",
             arg("x", x));
    in = pad(x, pads_of(c), pad_mode(c.padding_mode));
  } else {
    o.padding.rule = c.padding;
    if (c.padding == Padding::valid) o.padding.before = o.padding.after = per_dim<N>(c.pad);
  }
  if constexpr (N == 1) return conv1d(in, weight, bias, o);
  if constexpr (N == 2) return conv2d(in, weight, bias, o);
  if constexpr (N == 3) return conv3d(in, weight, bias, o);
}

template <int N>
void ConvTransposeConfig<N>::validate(io::Issues& issues) const {
  check_groups(in_channels, out_channels, groups, issues);
  for (int d = 0; d < N; ++d)
    if (size_at<N>(output_padding, d) >= std::max(size_at<N>(stride, d), size_at<N>(dilation, d)))
      issues.add("/output_padding", "must be smaller than stride or dilation");
}
template <int N>
ConvTranspose<N>::ConvTranspose(ConvTransposeConfig<N> config) : Configured<ConvTransposeConfig<N>>(std::move(config)) {
  const ConvTransposeConfig<N>& c = this->config();
  const Shape shape = weight_shape<N>(c.in_channels, c.out_channels / c.groups, c.kernel_size);
  const Init start = init::fan_in_uniform(shape.numel() / c.in_channels);
  weight = this->parameter("weight", shape, start);
  if (c.bias) bias = this->parameter("bias", {c.out_channels}, start, "bias");
}
template <int N>
Tensor ConvTranspose<N>::forward(const Tensor& x) {
  const ConvTransposeConfig<N>& c = this->config();
  ConvTransposeOptions<N> o{.stride = per_dim<N>(c.stride)};
  o.padding.before = o.padding.after = per_dim<N>(c.pad);
  o.output_padding = per_dim<N>(c.output_padding), o.groups = c.groups, o.dilation = per_dim<N>(c.dilation);
  if constexpr (N == 1) return conv_transpose1d(x, weight, bias, o);
  if constexpr (N == 2) return conv_transpose2d(x, weight, bias, o);
  if constexpr (N == 3) return conv_transpose3d(x, weight, bias, o);
}

template struct ConvConfig<1>;
template struct ConvConfig<2>;
template struct ConvConfig<3>;
template class Conv<1>;
template class Conv<2>;
template class Conv<3>;
template struct ConvTransposeConfig<1>;
template struct ConvTransposeConfig<2>;
template struct ConvTransposeConfig<3>;
template class ConvTranspose<1>;
template class ConvTranspose<2>;
template class ConvTranspose<3>;

std::vector<ModuleType> conv_types() {
  const std::string in = "in_channels", out = "out_channels";
  const std::string size = "(@ + 2 * pad# - dilation# * (kernel_size# - 1) - 1) / stride# + 1";
  const std::string up = "(@ - 1) * stride# - 2 * pad# + dilation# * (kernel_size# - 1) + output_padding# + 1";
  return {
      layer<Conv1d>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = 2, .dilation = 2, .pad = 1},
                    spatial<1>(in, out, size), {reals({2, 9, 3})}),
      layer<Conv2d>({.in_channels = 2, .out_channels = 3, .kernel_size = {3, 2}, .stride = {2, 1}, .pad = {1, 0}},
                    spatial<2>(in, out, size), {reals({2, 6, 5, 2})}),
      layer<Conv3d>({.in_channels = 2, .out_channels = 3, .kernel_size = {2, 1, 3}, .pad = {0, 0, 1}},
                    spatial<3>(in, out, size), {reals({2, 3, 2, 4, 2})}),
      layer<ConvTranspose1d>({.in_channels = 3, .out_channels = 4, .kernel_size = 4, .stride = 2, .pad = 1},
                             spatial<1>(in, out, up), {reals({2, 5, 3})}),
      layer<ConvTranspose2d>({.in_channels = 2, .out_channels = 3, .kernel_size = {3, 2}, .stride = {2, 1}},
                             spatial<2>(in, out, up), {reals({2, 4, 3, 2})}),
      layer<ConvTranspose3d>({.in_channels = 2, .out_channels = 3, .kernel_size = {2, 1, 3}, .stride = {2, 1, 1}},
                             spatial<3>(in, out, up), {reals({2, 2, 3, 2, 2})}),
  };
}

}  // namespace tapedeck::nn
