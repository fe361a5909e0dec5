// Other sizes of [batch, time, channels] and [batch, height, width, channels].
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/sizes.h>
#include <tapedeck/nn/module.h>

#include <vector>

namespace tapedeck {
constexpr auto names(Interpolation*) {
  return io::enum_names<Interpolation>({{Interpolation::nearest, "nearest"},
                                        {Interpolation::nearest_exact, "nearest-exact"},
                                        {Interpolation::linear, "linear"},
                                        {Interpolation::bilinear, "bilinear"},
                                        {Interpolation::area, "area"}});
}
}  // namespace tapedeck

namespace tapedeck::nn {

struct UpsampleConfig {
  std::vector<std::int64_t> size{};
  std::vector<double> scale_factor{};
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;
  static constexpr const char* type_name = "Upsample";
  static constexpr io::Doc doc{"Another size by interpolation."};
  static constexpr void fields(auto&& f) {
    using C = UpsampleConfig;
    f("size", &C::size, positive("of the output, by dimension or one for all; empty: by the factor"));
    f("scale_factor", &C::scale_factor,
      io::Meta{.min = 1e-6, .max = 1e6, .help = "by dimension or one for all; empty: by the size, or 2 without one"});
    f("mode", &C::mode, io::Meta{.help = "where the elements between come from"});
    f("align_corners", &C::align_corners, io::Meta{.help = "(bi)linear: the outermost elements keep their places"});
  }
  void validate(io::Issues& issues) const;
};
class Upsample : public Configured<UpsampleConfig> {
 public:
  explicit Upsample(UpsampleConfig config = {}) : Configured(std::move(config)) {}
  Tensor forward(const Tensor& x) override;
};

struct PixelShuffleConfig {
  std::int64_t upscale_factor = 2;
  static constexpr const char* type_name = "PixelShuffle";
  static constexpr io::Doc doc{"Channels become steps.", "Shi et al. 2016"};
  static constexpr void fields(auto&& f) {
    f("upscale_factor", &PixelShuffleConfig::upscale_factor, io::Meta{.min = 1, .max = 4096, .help = "steps for one"});
  }
};
class PixelShuffle : public Configured<PixelShuffleConfig> {
 public:
  explicit PixelShuffle(PixelShuffleConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return pixel_shuffle(x, config().upscale_factor); }
};
struct PixelUnshuffleConfig {
  std::int64_t downscale_factor = 2;
  static constexpr const char* type_name = "PixelUnshuffle";
  static constexpr io::Doc doc{"Steps become channels: the inverse of PixelShuffle.", "Shi et al. 2016"};
  static constexpr void fields(auto&& f) {
    f("downscale_factor", &PixelUnshuffleConfig::downscale_factor,
      io::Meta{.min = 1, .max = 4096, .help = "steps that become one"});
  }
};
class PixelUnshuffle : public Configured<PixelUnshuffleConfig> {
 public:
  explicit PixelUnshuffle(PixelUnshuffleConfig config = {}) : Configured(config) {}
  Tensor forward(const Tensor& x) override { return pixel_unshuffle(x, config().downscale_factor); }
};

// Learned: x [batch, time, in] -> [batch, time * up / down, out], one of the two factors being 1. linear and lstm give
// up * out (or out / down) channels for each step, which are then cut into steps (or joined); conv is one without
// overlap: its kernel is its stride.
enum class ResamplerKind { linear, conv, lstm };
template <ResamplerKind K>
struct ResamplerConfig {
  std::int64_t in_channels = 1, out_channels = 1, up = 1, down = 1;
  static constexpr const char* type_name = K == ResamplerKind::linear ? "LinearResampler"
                                           : K == ResamplerKind::conv ? "Conv1dResampler"
                                                                      : "LSTMResampler";
  static constexpr io::Doc doc{K == ResamplerKind::linear ? "Steps from a linear map of each step."
                               : K == ResamplerKind::conv ? "Steps from a convolution whose kernel is its stride."
                                                          : "Steps from the outputs of an LSTM."};
  static constexpr void fields(auto&& f) {
    using C = ResamplerConfig;
    f("in_channels", &C::in_channels, positive("input channels"));
    f("out_channels", &C::out_channels, positive("output channels"));
    f("up", &C::up, io::Meta{.min = 1, .max = 1 << 20, .help = "steps for one"});
    f("down", &C::down, io::Meta{.min = 1, .max = 1 << 20, .help = "steps that become one; time must be a multiple"});
  }
  void validate(io::Issues& issues) const;
};
template <ResamplerKind K>
class Resampler : public Configured<ResamplerConfig<K>> {
 public:
  explicit Resampler(ResamplerConfig<K> config = {});
  Tensor forward(const Tensor& x) override;  // ShapeError when time is no multiple of down

 private:
  Part<Layer> part_;  // "linear", "conv" or "lstm"
};
using LinearResamplerConfig = ResamplerConfig<ResamplerKind::linear>;
using Conv1dResamplerConfig = ResamplerConfig<ResamplerKind::conv>;
using LSTMResamplerConfig = ResamplerConfig<ResamplerKind::lstm>;
using LinearResampler = Resampler<ResamplerKind::linear>;
using Conv1dResampler = Resampler<ResamplerKind::conv>;
using LSTMResampler = Resampler<ResamplerKind::lstm>;

}  // namespace tapedeck::nn
