// Transformers (Vaswani et al., 2017) in both orders of normalisation.
#pragma once
#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/attention.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/layers/norm.h>

namespace tapedeck::nn {

// Of both kinds of layers.
template <bool Decoder>
struct TransformerLayerConfig {
  std::int64_t d_model = 64, nhead = 4, dim_feedforward = 2048;
  double dropout = 0.1;
  Act activation = Act::relu;
  double layer_norm_eps = 1e-5;
  bool norm_first = false, causal = false;
  static constexpr const char* type_name = Decoder ? "TransformerDecoderLayer" : "TransformerEncoderLayer";
  static constexpr io::Doc doc{
      Decoder ? "Self-attention, attention to a memory and two linear layers, each with a residual path and a norm."
              : "Self-attention and two linear layers, each with a residual path and a norm.",
      "Vaswani et al. 2017; Xiong et al. 2020 (norm_first)"};
  static constexpr void fields(auto&& f) {
    using C = TransformerLayerConfig;
    f("d_model", &C::d_model, positive("channels"));
    f("nhead", &C::nhead, positive("heads of the attention"));
    f("dim_feedforward", &C::dim_feedforward, positive("width between the two linear layers"));
    f("dropout", &C::dropout, probability("of a zero while training"));
    f("activation", &C::activation, io::Meta{.help = "between the two linear layers"});
    f("layer_norm_eps", &C::layer_norm_eps, small("added to the variance"));
    f("norm_first", &C::norm_first, io::Meta{.help = "normalise before each part instead of behind it"});
    f("causal", &C::causal, io::Meta{.help = "a step sees itself and what came before"});
  }
  void validate(io::Issues& issues) const;
};

using TransformerEncoderLayerConfig = TransformerLayerConfig<false>;
using TransformerDecoderLayerConfig = TransformerLayerConfig<true>;

// x [batch, time, d_model] -> the same shape.
class TransformerEncoderLayer : public Configured<TransformerEncoderLayerConfig>,
                                public Callable<TransformerEncoderLayer> {
 public:
  explicit TransformerEncoderLayer(TransformerEncoderLayerConfig config = {});
  using Callable<TransformerEncoderLayer>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, Masks{}); }
  Tensor forward(const Tensor& x, const Masks& masks);

 private:
  Part<MultiheadAttention> self_attn_;
  Part<Linear> linear1_, linear2_;
  Part<LayerNorm> norm1_, norm2_;
};

// x [batch, time, d_model], memory [batch, keys, d_model] -> the shape of x. memory_masks are those of x's attention
// to the memory.
class TransformerDecoderLayer : public Configured<TransformerDecoderLayerConfig, Module>,
                                public Callable<TransformerDecoderLayer> {
 public:
  explicit TransformerDecoderLayer(TransformerDecoderLayerConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& memory, const Masks& masks = {}, const Masks& memory_masks = {});

 private:
  Part<MultiheadAttention> self_attn_, multihead_attn_;
  Part<Linear> linear1_, linear2_;
  Part<LayerNorm> norm1_, norm2_, norm3_;
};

// Layers "layers.0", …, and one more normalisation "norm" at the end.
struct TransformerEncoderConfig {
  TransformerEncoderLayerConfig layer{};
  std::int64_t num_layers = 2;
  bool norm = false;
  static constexpr const char* type_name = "TransformerEncoder";
  static constexpr io::Doc doc{"TransformerEncoderLayer, num_layers times.", "Vaswani et al. 2017"};
  static constexpr void fields(auto&& f) {
    using C = TransformerEncoderConfig;
    f("layer", &C::layer, io::Meta{.help = "sizes and options of each layer"});
    f("num_layers", &C::num_layers, io::Meta{.min = 1, .max = 1024, .help = "layers"});
    f("norm", &C::norm, io::Meta{.help = "normalise at the end"});
  }
};
class TransformerEncoder : public Configured<TransformerEncoderConfig>, public Callable<TransformerEncoder> {
 public:
  explicit TransformerEncoder(TransformerEncoderConfig config = {});
  using Callable<TransformerEncoder>::operator();
  Tensor forward(const Tensor& x) override { return forward(x, Masks{}); }
  Tensor forward(const Tensor& x, const Masks& masks);

 private:
  Part<ModuleList> layers_;
  Part<LayerNorm> norm_;
};

struct TransformerDecoderConfig {
  TransformerDecoderLayerConfig layer{};
  std::int64_t num_layers = 2;
  bool norm = false;
  static constexpr const char* type_name = "TransformerDecoder";
  static constexpr io::Doc doc{"TransformerDecoderLayer, num_layers times, over one memory.", "Vaswani et al. 2017"};
  static constexpr void fields(auto&& f) {
    using C = TransformerDecoderConfig;
    f("layer", &C::layer, io::Meta{.help = "sizes and options of each layer"});
    f("num_layers", &C::num_layers, io::Meta{.min = 1, .max = 1024, .help = "layers"});
    f("norm", &C::norm, io::Meta{.help = "normalise at the end"});
  }
};
class TransformerDecoder : public Configured<TransformerDecoderConfig, Module>, public Callable<TransformerDecoder> {
 public:
  explicit TransformerDecoder(TransformerDecoderConfig config = {});
  Tensor forward(const Tensor& x, const Tensor& memory, const Masks& masks = {}, const Masks& memory_masks = {});

 private:
  Part<ModuleList> layers_;
  Part<LayerNorm> norm_;
};

// x [batch, time, d_model] from source [batch, keys, d_model]: "encoder" over the source, "decoder" over x.
struct TransformerConfig {
  TransformerEncoderConfig encoder{.norm = true};
  TransformerDecoderConfig decoder{.norm = true};
  static constexpr const char* type_name = "Transformer";
  static constexpr io::Doc doc{
      "A TransformerEncoder over the source, and a TransformerDecoder over x that attends to it.",
      "Vaswani et al. 2017"};
  static constexpr void fields(auto&& f) {
    f("encoder", &TransformerConfig::encoder, io::Meta{.help = "of the source"});
    f("decoder", &TransformerConfig::decoder, io::Meta{.help = "of the target; of the same d_model"});
  }
  void validate(io::Issues& issues) const {
    if (encoder.layer.d_model != decoder.layer.d_model)
      issues.add("/decoder/layer/d_model", "must be that of the encoder");
  }
};
class Transformer : public Configured<TransformerConfig, Module>, public Callable<Transformer> {
 public:
  explicit Transformer(TransformerConfig config = {});
  Tensor forward(const Tensor& source, const Tensor& x, const Masks& source_masks = {}, const Masks& masks = {},
                 const Masks& memory_masks = {});

 private:
  Part<TransformerEncoder> encoder_;
  Part<TransformerDecoder> decoder_;
};

}  // namespace tapedeck::nn
