// Convolutions: over time [batch, time, channels], images [batch, height, width, channels] and volumes.
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

namespace tapedeck {
constexpr auto names(Padding*) {
  return io::enum_names<Padding>({{Padding::valid, "valid"}, {Padding::causal, "causal"}, {Padding::same, "same"}});
}
}  // namespace tapedeck

namespace tapedeck::nn {

enum class PaddingMode { zeros, reflect, replicate, circular };  // what stands outside the input
constexpr auto names(PaddingMode*) {
  return io::enum_names<PaddingMode>({{PaddingMode::zeros, "zeros"},
                                      {PaddingMode::reflect, "reflect"},
                                      {PaddingMode::replicate, "replicate"},
                                      {PaddingMode::circular, "circular"}});
}

// weight [out, in / groups, kernel...], bias [out].
template <int N>
struct ConvConfig {
  std::int64_t in_channels = 1, out_channels = 1;
  Sizes<N> kernel_size = each<N>(1), stride = each<N>(1), dilation = each<N>(1);
  std::int64_t groups = 1;
  Padding padding = Padding::valid;
  bool bias = true;
  Sizes<N> pad = each<N>(0);
  PaddingMode padding_mode = PaddingMode::zeros;
  static constexpr const char* type_name = by_rank<N>("Conv1d", "Conv2d", "Conv3d");
  static constexpr io::Doc doc{
      by_rank<N>("Convolution over time.", "Convolution over images.", "Convolution over volumes."),
      by_rank<N>("Waibel et al. 1989", "LeCun et al. 1989", "Ji et al. 2013")};
  static constexpr void fields(auto&& f) {
    using C = ConvConfig;
    f("in_channels", &C::in_channels, positive("input channels"));
    f("out_channels", &C::out_channels, positive("output channels"));
    f("kernel_size", &C::kernel_size, io::Meta{.min = 1, .max = 1 << 20, .help = "taps"});
    f("stride", &C::stride, io::Meta{.min = 1, .max = 1 << 20, .help = "steps between outputs"});
    f("dilation", &C::dilation, positive("steps between taps"));
    f("groups", &C::groups, positive("channel groups that do not mix"));
    f("padding", &C::padding, io::Meta{.help = "how far the input is continued"});
    f("bias", &C::bias, io::Meta{.help = "add a learned constant"});
    f("pad", &C::pad, io::Meta{.min = 0, .max = 1 << 20, .help = "steps on both sides, with padding valid"});
    f("padding_mode", &C::padding_mode, io::Meta{.help = "what stands outside the input"});
  }
  void validate(io::Issues& issues) const;
};
template <int N>
class Conv : public Configured<ConvConfig<N>> {
 public:
  explicit Conv(ConvConfig<N> config = {});
  Tensor forward(const Tensor& x) override;
  Param weight, bias;
};
using Conv1dConfig = ConvConfig<1>;
using Conv2dConfig = ConvConfig<2>;
using Conv3dConfig = ConvConfig<3>;
using Conv1d = Conv<1>;
using Conv2d = Conv<2>;
using Conv3d = Conv<3>;

// The adjoints: (size - 1) * stride - 2 pad + (kernel - 1) * dilation + output_padding + 1 steps. weight [in,
// out / groups, kernel...], bias [out].
template <int N>
struct ConvTransposeConfig {
  std::int64_t in_channels = 1, out_channels = 1;
  Sizes<N> kernel_size = each<N>(1), stride = each<N>(1), dilation = each<N>(1);
  std::int64_t groups = 1;
  bool bias = true;
  Sizes<N> pad = each<N>(0), output_padding = each<N>(0);
  static constexpr const char* type_name = by_rank<N>("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d");
  static constexpr io::Doc doc{by_rank<N>("Adjoint of Conv1d: every step is spread over the steps of a kernel.",
                                          "Adjoint of Conv2d: every pixel is spread over the pixels of a kernel.",
                                          "Adjoint of Conv3d: every cell is spread over the cells of a kernel."),
                               "Zeiler et al. 2010"};
  static constexpr void fields(auto&& f) {
    using C = ConvTransposeConfig;
    f("in_channels", &C::in_channels, positive("input channels"));
    f("out_channels", &C::out_channels, positive("output channels"));
    f("kernel_size", &C::kernel_size, io::Meta{.min = 1, .max = 1 << 20, .help = "taps"});
    f("stride", &C::stride, io::Meta{.min = 1, .max = 1 << 20, .help = "output steps per input step"});
    f("dilation", &C::dilation, positive("steps between taps"));
    f("groups", &C::groups, positive("channel groups that do not mix"));
    f("bias", &C::bias, io::Meta{.help = "add a learned constant"});
    f("pad", &C::pad, io::Meta{.min = 0, .max = 1 << 20, .help = "steps cut off both ends of the output"});
    f("output_padding", &C::output_padding, io::Meta{.min = 0, .max = 1 << 20, .help = "steps added to its end"});
  }
  void validate(io::Issues& issues) const;
};
template <int N>
class ConvTranspose : public Configured<ConvTransposeConfig<N>> {
 public:
  explicit ConvTranspose(ConvTransposeConfig<N> config = {});
  Tensor forward(const Tensor& x) override;
  Param weight, bias;
};
using ConvTranspose1dConfig = ConvTransposeConfig<1>;
using ConvTranspose2dConfig = ConvTransposeConfig<2>;
using ConvTranspose3dConfig = ConvTransposeConfig<3>;
using ConvTranspose1d = ConvTranspose<1>;
using ConvTranspose2d = ConvTranspose<2>;
using ConvTranspose3d = ConvTranspose<3>;

}  // namespace tapedeck::nn
