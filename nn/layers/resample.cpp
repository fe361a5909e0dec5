#include <tapedeck/nn/layers/conv.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/layers/resample.h>
#include <tapedeck/nn/layers/rnn.h>
#include <tapedeck/nn/layers/types.h>

#include <string>

namespace tapedeck::nn {

void UpsampleConfig::validate(io::Issues& issues) const {
  if (!size.empty() && !scale_factor.empty()) issues.add("/scale_factor", "must be empty when the size is given");
}
Tensor Upsample::forward(const Tensor& x) {
  const UpsampleConfig& c = config();
  const bool by_default = c.size.empty() && c.scale_factor.empty();
  return interpolate(x, {c.size, by_default ? std::vector<double>{2} : c.scale_factor, c.mode, c.align_corners});
}

template <ResamplerKind K>
void ResamplerConfig<K>::validate(io::Issues& issues) const {
  if (up != 1 && down != 1) issues.add("/down", "must be 1 when up is not");
  if (K != ResamplerKind::conv && down >= 1 && out_channels % down != 0)
    issues.add("/out_channels", "must be a multiple of down (" + std::to_string(down) + ")");
}
template <ResamplerKind K>
Resampler<K>::Resampler(ResamplerConfig<K> config) : Configured<ResamplerConfig<K>>(std::move(config)) {
  const ResamplerConfig<K>& c = this->config();
  const std::int64_t width = c.out_channels * c.up / c.down;
  if constexpr (K == ResamplerKind::linear) {
    this->child("linear", part_ = make<Linear>(LinearConfig{c.in_channels, width}));
  } else if constexpr (K == ResamplerKind::lstm) {
    this->child("lstm", part_ = make<LSTM>(LSTMConfig{c.in_channels, width}));
  } else if (c.up > 1) {
    this->child(
        "conv",
        part_ = make<ConvTranspose1d>(ConvTranspose1dConfig{
            .in_channels = c.in_channels, .out_channels = c.out_channels, .kernel_size = c.up, .stride = c.up}));
  } else {
    this->child(
        "conv",
        part_ = make<Conv1d>(Conv1dConfig{
            .in_channels = c.in_channels, .out_channels = c.out_channels, .kernel_size = c.down, .stride = c.down}));
  }
}
template <ResamplerKind K>
Tensor Resampler<K>::forward(const Tensor& x) {
  const ResamplerConfig<K>& c = this->config();
  TD_CHECK(x.defined() && x.dim() == 3 && x.size(2) == c.in_channels && x.size(1) % c.down == 0, ShapeError,
           c.type_name, ": x must be [batch, time, ", c.in_channels, "] with a time that is a multiple of ", c.down,
           arg("x", x));
  const Tensor y = part_(x);
  if constexpr (K == ResamplerKind::conv) return y;
  return reshape(y, {x.size(0), x.size(1) * c.up / c.down, c.out_channels});
}

template struct ResamplerConfig<ResamplerKind::linear>;
template struct ResamplerConfig<ResamplerKind::conv>;
template struct ResamplerConfig<ResamplerKind::lstm>;
template class Resampler<ResamplerKind::linear>;
template class Resampler<ResamplerKind::conv>;
template class Resampler<ResamplerKind::lstm>;

std::vector<ModuleType> resample_types() {
  const std::string resampled = "x [batch, time, in_channels] -> [batch, time * up / down, out_channels]";
  return {
      layer<Upsample>({.scale_factor = {3}}, "x [batch, time, channels] -> [batch, time * scale_factor[0], channels]",
                      {reals({2, 4, 3})}),
      layer<PixelShuffle>({}, "x [batch, time, channels] -> [batch, time * upscale_factor, channels / upscale_factor]",
                          {reals({2, 3, 4})}),
      layer<PixelUnshuffle>(
          {}, "x [batch, time, channels] -> [batch, time / downscale_factor, channels * downscale_factor]",
          {reals({2, 6, 3})}),
      layer<LinearResampler>({.in_channels = 3, .out_channels = 4, .up = 2}, resampled, {reals({2, 4, 3})}),
      layer<Conv1dResampler>({.in_channels = 3, .out_channels = 4, .down = 2}, resampled, {reals({2, 6, 3})}),
      layer<LSTMResampler>({.in_channels = 3, .out_channels = 4, .up = 2}, resampled, {reals({2, 4, 3})}),
  };
}

}  // namespace tapedeck::nn
