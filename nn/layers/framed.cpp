#include <tapedeck/nn/layers/framed.h>
#include <tapedeck/nn/layers/types.h>

namespace tapedeck::nn {

ChunkedLinear::ChunkedLinear(ChunkedLinearConfig config) : Configured(config) {
  const ChunkedLinearConfig& c = this->config();
  child("proj", proj_ = make<Linear>(LinearConfig{c.in_features, c.out_features * c.chunks, c.bias}));
}
Tensor ChunkedLinear::forward(const Tensor& x) {
  const std::vector<Tensor> parts = chunk(proj_(x), config().chunks, -1);
  Tensor total = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) total = total + parts[i];
  return total;
}

template <FramedKind K>
Framed<K>::Framed(FramedConfig<K> config) : Configured<FramedConfig<K>>(std::move(config)) {
  const FramedConfig<K>& c = this->config();
  const auto conv_of = [&](std::int64_t in) {
    return make<Conv1d>(
        Conv1dConfig{.in_channels = in, .out_channels = c.out_features, .kernel_size = c.frame_size, .stride = c.hop});
  };
  if constexpr (K == FramedKind::linear) {
    this->child("proj", proj_ = make<Linear>(LinearConfig{c.frame_size, c.out_features}));
  } else if constexpr (K == FramedKind::conv) {
    this->child("conv", conv_ = conv_of(1));
  } else if constexpr (K == FramedKind::embedding_conv) {
    this->child("embedding", embedding_ = make<Embedding>(EmbeddingConfig{c.classes, c.out_features}));
    this->child("conv", conv_ = conv_of(c.out_features));
  } else {
    this->child("embedding", embedding_ = make<Embedding>(EmbeddingConfig{c.classes, c.out_features}));
  }
}
template <FramedKind K>
Tensor Framed<K>::forward(const Tensor& codes) {
  const FramedConfig<K>& c = this->config();
  TD_CHECK(codes.defined() && codes.dim() == 2 && codes.size(1) >= c.frame_size, ShapeError, c.type_name,
           ": codes must be [batch, time] with a time of at least ", c.frame_size, arg("codes", codes));
  if constexpr (K == FramedKind::embedding_conv) return conv_(embedding_(codes));
  if constexpr (K == FramedKind::embedding_bag) return mean(unfold(embedding_(codes), 1, c.frame_size, c.hop), {-1});
  const Tensor line = sub(mul(cast(codes, this->dtype()), 2.0 / static_cast<double>(c.classes)), 1.0);
  if constexpr (K == FramedKind::linear) return proj_(contiguous(unfold(line, 1, c.frame_size, c.hop)));
  if constexpr (K == FramedKind::conv) return conv_(unsqueeze(line, -1));
}

template class Framed<FramedKind::linear>;
template class Framed<FramedKind::conv>;
template class Framed<FramedKind::embedding_conv>;
template class Framed<FramedKind::embedding_bag>;

std::vector<ModuleType> framed_types() {
  const std::string frames = "codes [batch, time] -> [batch, (time - frame_size) / hop + 1, out_features]";
  const std::vector<Sample> x{codes({2, 8}, 5)};
  return {
      layer<ChunkedLinear>({.in_features = 3, .out_features = 2, .chunks = 3},
                           "x [..., in_features] -> [..., out_features]", {reals({2, 5, 3})}),
      layer<FramedLinear>({.classes = 5, .frame_size = 3, .out_features = 4}, frames, x),
      layer<FramedConv1d>({.classes = 5, .frame_size = 3, .out_features = 4}, frames, x),
      layer<FramedEmbeddingConv1d>({.classes = 5, .frame_size = 3, .out_features = 4}, frames, x),
      layer<FramedEmbeddingBag>({.classes = 5, .frame_size = 3, .out_features = 4}, frames, x),
  };
}

}  // namespace tapedeck::nn
