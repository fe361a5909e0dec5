// Attention of several heads (Vaswani et al., "Attention is all you need", 2017).
#pragma once
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/dropout.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/module.h>

#include <optional>
#include <utility>

namespace tapedeck::nn {

// in_proj_weight [3 embed_dim, embed_dim] for query, key and value, one below the other; q_proj_weight, k_proj_weight
// and v_proj_weight when kdim or vdim differ from embed_dim; in_proj_bias; bias_k and bias_v [1, 1, embed_dim], the
// learned key and value; out_proj.
struct MultiheadAttentionConfig {
  std::int64_t embed_dim = 4, num_heads = 1;
  double dropout = 0;
  bool bias = true;
  std::optional<std::int64_t> kdim{}, vdim{};
  bool add_bias_kv = false, add_zero_attn = false;
  static constexpr const char* type_name = "MultiheadAttention";
  static constexpr io::Doc doc{
      "softmax(Q K^T / sqrt(d)) V for each head of linear maps of query, key and value, then a linear map.",
      "Vaswani et al. 2017"};
  static constexpr void fields(auto&& f) {
    using C = MultiheadAttentionConfig;
    f("embed_dim", &C::embed_dim, positive("channels of queries and outputs"));
    f("num_heads", &C::num_heads, positive("parts of the channels that attend each by itself"));
    f("dropout", &C::dropout, probability("that a weight is zero while training"));
    f("bias", &C::bias, io::Meta{.help = "add learned constants"});
    f("kdim", &C::kdim, positive("channels of keys; null: embed_dim"));
    f("vdim", &C::vdim, positive("channels of values; null: embed_dim"));
    f("add_bias_kv", &C::add_bias_kv, io::Meta{.help = "a learned key and value behind the others"});
    f("add_zero_attn", &C::add_zero_attn, io::Meta{.help = "a key and value of zeros behind the others"});
  }
  void validate(io::Issues& issues) const;
};
// Masks as PyTorch's module has them, not its function: true keeps away.
struct Masks {
  Tensor attn_mask{};         // broadcasts to [batch, heads, queries, keys]; bool, or real: added to the scores
  Tensor key_padding_mask{};  // bool [batch, keys]
  bool is_causal = false;     // query i sees the keys 0 … i
};
// Asks for the weights beside the output: [batch, queries, keys], the mean over the heads, or those of each head,
// [batch, heads, queries, keys]; with dropout, as they were used. Keys that are put behind the others count.
struct NeedWeights {
  bool average = true;
};
// query [batch, queries, embed_dim], key [batch, keys, kdim], value [batch, keys, vdim] -> [batch, queries, embed_dim].
// A query that sees no key gives out_proj's bias, and weights of 0. No mask hides keys that are put behind the others.
class MultiheadAttention : public Configured<MultiheadAttentionConfig, Module>, public Callable<MultiheadAttention> {
 public:
  explicit MultiheadAttention(MultiheadAttentionConfig config = {});
  Tensor forward(const Tensor& query, const Tensor& key, const Tensor& value, const Masks& masks = {});
  std::pair<Tensor, Tensor> forward(const Tensor& query, const Tensor& key, const Tensor& value, const Masks& masks,
                                    NeedWeights need);
  Param in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias, bias_k, bias_v;
  const Linear& out_proj() const { return *out_proj_; }

 private:
  struct Inputs {
    Tensor query, key, value;  // [batch, heads, time, channels]
    AttentionOptions options;
  };
  Inputs prepare(const Tensor& query, const Tensor& key, const Tensor& value, const Masks& masks) const;
  Tensor heads(const Tensor& x) const;
  Tensor joined_heads(const Tensor& mixed);
  Part<Linear> out_proj_;
};

}  // namespace tapedeck::nn
