#include <tapedeck/nn/layers/transformer.h>
#include <tapedeck/nn/layers/types.h>

#include <string>

namespace tapedeck::nn {
namespace {

template <bool D>
Part<MultiheadAttention> attention_of(const TransformerLayerConfig<D>& c) {
  return make<MultiheadAttention>(
      MultiheadAttentionConfig{.embed_dim = c.d_model, .num_heads = c.nhead, .dropout = c.dropout});
}
template <bool D>
Part<LayerNorm> norm_of(const TransformerLayerConfig<D>& c) {
  return make<LayerNorm>(LayerNormConfig{{c.d_model}, c.layer_norm_eps});
}
Part<Linear> linear_of(std::int64_t in, std::int64_t out) { return make<Linear>(LinearConfig{in, out}); }

// x plus what the part makes of it, normalised before the part or behind the sum.
template <bool D, class F>
Tensor residual(const TransformerLayerConfig<D>& c, bool training, const Part<LayerNorm>& norm, const Tensor& x,
                F part) {
  if (c.norm_first) return x + dropout(part(norm(x)), c.dropout, training);
  return norm(x + dropout(part(x), c.dropout, training));
}
template <bool D>
Tensor feed_forward(const TransformerLayerConfig<D>& c, bool training, const Part<Linear>& linear1,
                    const Part<Linear>& linear2, const Tensor& x) {
  return linear2(dropout(linear_then(c.activation, *linear1, x), c.dropout, training));
}
template <bool D>
Masks with_causal(Masks masks, const TransformerLayerConfig<D>& c) {
  masks.is_causal = masks.is_causal || c.causal;
  return masks;
}

}  // namespace

template <bool Decoder>
void TransformerLayerConfig<Decoder>::validate(io::Issues& issues) const {
  if (nhead >= 1 && d_model % nhead != 0)
    issues.add("/d_model", "must be a multiple of nhead (" + std::to_string(nhead) + ")");
}

template struct TransformerLayerConfig<false>;
template struct TransformerLayerConfig<true>;

TransformerEncoderLayer::TransformerEncoderLayer(TransformerEncoderLayerConfig config) : Configured(std::move(config)) {
  const auto& c = this->config();
  child("self_attn", self_attn_ = attention_of(c));
  child("linear1", linear1_ = linear_of(c.d_model, c.dim_feedforward));
  child("linear2", linear2_ = linear_of(c.dim_feedforward, c.d_model));
  child("norm1", norm1_ = norm_of(c)), child("norm2", norm2_ = norm_of(c));
}
Tensor TransformerEncoderLayer::forward(const Tensor& x, const Masks& masks) {
  const auto& c = config();
  const Masks own = with_causal(masks, c);
  const Tensor y = residual(c, training(), norm1_, x, [&](const Tensor& h) { return self_attn_(h, h, h, own); });
  return residual(c, training(), norm2_, y,
                  [&](const Tensor& h) { return feed_forward(c, training(), linear1_, linear2_, h); });
}

TransformerDecoderLayer::TransformerDecoderLayer(TransformerDecoderLayerConfig config) : Configured(std::move(config)) {
  const auto& c = this->config();
  child("self_attn", self_attn_ = attention_of(c)), child("multihead_attn", multihead_attn_ = attention_of(c));
  child("linear1", linear1_ = linear_of(c.d_model, c.dim_feedforward));
  child("linear2", linear2_ = linear_of(c.dim_feedforward, c.d_model));
  child("norm1", norm1_ = norm_of(c)), child("norm2", norm2_ = norm_of(c)), child("norm3", norm3_ = norm_of(c));
}
Tensor TransformerDecoderLayer::forward(const Tensor& x, const Tensor& memory, const Masks& masks,
                                        const Masks& memory_masks) {
  const auto& c = config();
  const Masks own = with_causal(masks, c);
  Tensor y = residual(c, training(), norm1_, x, [&](const Tensor& h) { return self_attn_(h, h, h, own); });
  y = residual(c, training(), norm2_, y,
               [&](const Tensor& h) { return multihead_attn_(h, memory, memory, memory_masks); });
  return residual(c, training(), norm3_, y,
                  [&](const Tensor& h) { return feed_forward(c, training(), linear1_, linear2_, h); });
}

TransformerEncoder::TransformerEncoder(TransformerEncoderConfig config)
    : Configured(std::move(config)), layers_(make<ModuleList>()) {
  const TransformerEncoderConfig& c = this->config();
  for (std::int64_t i = 0; i < c.num_layers; ++i) layers_->push(make<TransformerEncoderLayer>(c.layer));
  child("layers", layers_);
  if (c.norm) child("norm", norm_ = norm_of(c.layer));
}
Tensor TransformerEncoder::forward(const Tensor& x, const Masks& masks) {
  Tensor y = x;
  for (std::size_t i = 0; i < layers_->size(); ++i) y = layers_->as<TransformerEncoderLayer>(i)(y, masks);
  return norm_ ? norm_(y) : y;
}

TransformerDecoder::TransformerDecoder(TransformerDecoderConfig config)
    : Configured(std::move(config)), layers_(make<ModuleList>()) {
  const TransformerDecoderConfig& c = this->config();
  for (std::int64_t i = 0; i < c.num_layers; ++i) layers_->push(make<TransformerDecoderLayer>(c.layer));
  child("layers", layers_);
  if (c.norm) child("norm", norm_ = norm_of(c.layer));
}
Tensor TransformerDecoder::forward(const Tensor& x, const Tensor& memory, const Masks& masks,
                                   const Masks& memory_masks) {
  Tensor y = x;
  for (std::size_t i = 0; i < layers_->size(); ++i)
    y = layers_->as<TransformerDecoderLayer>(i)(y, memory, masks, memory_masks);
  return norm_ ? norm_(y) : y;
}

Transformer::Transformer(TransformerConfig config) : Configured(std::move(config)) {
  child("encoder", encoder_ = make<TransformerEncoder>(this->config().encoder));
  child("decoder", decoder_ = make<TransformerDecoder>(this->config().decoder));
}
Tensor Transformer::forward(const Tensor& source, const Tensor& x, const Masks& source_masks, const Masks& masks,
                            const Masks& memory_masks) {
  return decoder_(x, encoder_(source, source_masks), masks, memory_masks);
}

std::vector<ModuleType> transformer_types() {
  const TransformerEncoderLayerConfig encoder{.d_model = 4, .nhead = 2, .dim_feedforward = 6};
  const TransformerDecoderLayerConfig decoder{.d_model = 4, .nhead = 2, .dim_feedforward = 6};
  const Sample x = reals({2, 3, 4}), memory = reals({2, 5, 4});
  return {
      layer<TransformerEncoderLayer>(encoder, "x [batch, time, d_model] -> [batch, time, d_model]", {x}),
      layer<TransformerDecoderLayer>(
          decoder, "x [batch, time, d_model], memory [batch, keys, d_model] -> [batch, time, d_model]", {x, memory}),
      layer<TransformerEncoder>({.layer = encoder, .norm = true},
                                "x [batch, time, layer.d_model] -> [batch, time, layer.d_model]", {x}),
      layer<TransformerDecoder>(
          {.layer = decoder},
          "x [batch, time, layer.d_model], memory [batch, keys, layer.d_model] -> [batch, time, layer.d_model]",
          {x, memory}),
      layer<Transformer>({.encoder = {.layer = encoder}, .decoder = {.layer = decoder, .norm = true}},
                         "source [batch, keys, encoder.layer.d_model], x [batch, time, decoder.layer.d_model] -> "
                         "[batch, time, decoder.layer.d_model]",
                         {memory, x}),
  };
}

}  // namespace tapedeck::nn
