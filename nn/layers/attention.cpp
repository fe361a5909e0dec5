#include <tapedeck/nn/layers/attention.h>
#include <tapedeck/nn/layers/types.h>

#include <limits>
#include <string>

namespace tapedeck::nn {
namespace {

// The two masks as one that scaled_dot_product_attention takes: true takes part, real is added.
Tensor joined(const Masks& masks, std::int64_t batch, std::int64_t keys) {
  Tensor padding = masks.key_padding_mask;
  if (padding.defined()) {
    TD_CHECK(padding.dtype() == DType::boolean && padding.sizes() == (Shape{batch, keys}), ShapeError,
             "MultiheadAttention: key_padding_mask must be bool [", batch, ",", keys, "]",
             arg("key_padding_mask", padding));
    padding = reshape(padding, {batch, 1, 1, keys});
  }
  const Tensor& mask = masks.attn_mask;
  if (!mask.defined()) return padding.defined() ? logical_not(padding) : Tensor();
  if (mask.dtype() == DType::boolean) return logical_not(padding.defined() ? logical_or(mask, padding) : mask);
  if (!padding.defined()) return mask;
  const Tensor never = full({}, -std::numeric_limits<double>::infinity(), mask.options());
  return where(padding, never, mask);
}

}  // namespace

void MultiheadAttentionConfig::validate(io::Issues& issues) const {
  if (num_heads >= 1 && embed_dim % num_heads != 0)
    issues.add("/embed_dim", "must be a multiple of num_heads (" + std::to_string(num_heads) + ")");
}

MultiheadAttention::MultiheadAttention(MultiheadAttentionConfig config) : Configured(std::move(config)) {
  const MultiheadAttentionConfig& c = this->config();
  const std::int64_t e = c.embed_dim, k = c.kdim.value_or(e), v = c.vdim.value_or(e);
  if (k == e && v == e) {
    in_proj_weight = parameter("in_proj_weight", {3 * e, e}, init::xavier_uniform(e, 3 * e));
  } else {
    q_proj_weight = parameter("q_proj_weight", {e, e}, init::xavier_uniform(e, e));
    k_proj_weight = parameter("k_proj_weight", {e, k}, init::xavier_uniform(k, e));
    v_proj_weight = parameter("v_proj_weight", {e, v}, init::xavier_uniform(v, e));
  }
  if (c.bias) in_proj_bias = parameter("in_proj_bias", {3 * e}, init::constant(0), "bias");
  child("out_proj", out_proj_ = make<Linear>(LinearConfig{e, e, c.bias}, init::constant(0)));
}

Tensor MultiheadAttention::heads(
    const Tensor& x) const {  // [batch, time, embed] -> [batch, heads, time, embed / heads]
  const std::int64_t n = config().num_heads;
  return permute(reshape(x, {x.size(0), x.size(1), n, config().embed_dim / n}), {0, 2, 1, 3});
}

Tensor MultiheadAttention::forward(const Tensor& query, const Tensor& key, const Tensor& value, const Masks& masks) {
  const MultiheadAttentionConfig& c = config();
  const std::int64_t e = c.embed_dim;
  for (const Tensor* x : {&query, &key, &value})
    TD_CHECK(x->defined() && x->dim() == 3 && x->size(0) == query.size(0) && (x == &query || x->size(1) == key.size(1)),
             ShapeError, "MultiheadAttention: needs query [batch, queries, ", e, "], key [batch, keys, ",
             c.kdim.value_or(e), "] and value [batch, keys, ", c.vdim.value_or(e), "]", arg("query", query),
             arg("key", key), arg("value", value));
  const Tensor bias = in_proj_bias;
  const auto third = [&](const Tensor& of, std::int64_t i) { return of.defined() ? narrow(of, 0, i * e, e) : of; };
  Tensor q, k, v;
  if (in_proj_weight && query.impl() == key.impl() && key.impl() == value.impl()) {
    const std::vector<Tensor> all = chunk(linear(query, in_proj_weight, bias), 3, -1);
    q = all[0], k = all[1], v = all[2];
  } else if (in_proj_weight) {
    const Tensor& w = in_proj_weight;
    q = linear(query, third(w, 0), third(bias, 0));
    k = linear(key, third(w, 1), third(bias, 1)), v = linear(value, third(w, 2), third(bias, 2));
  } else {
    q = linear(query, q_proj_weight, third(bias, 0));
    k = linear(key, k_proj_weight, third(bias, 1)), v = linear(value, v_proj_weight, third(bias, 2));
  }
  AttentionOptions options;
  options.mask = joined(masks, key.size(0), key.size(1)), options.is_causal = masks.is_causal;
  options.dropout_p = training() ? c.dropout : 0;
  const Tensor mixed = scaled_dot_product_attention(heads(q), heads(k), heads(v), options);
  return out_proj_(reshape(permute(mixed, {0, 2, 1, 3}), {query.size(0), query.size(1), e}));
}

std::vector<ModuleType> attention_types() {
  return {layer<MultiheadAttention>({.embed_dim = 4, .num_heads = 2, .kdim = 3, .vdim = 5},
                                    "query [batch, queries, embed_dim], key [batch, keys, kdim], "
                                    "value [batch, keys, vdim] -> [batch, queries, embed_dim]",
                                    {reals({2, 3, 4}), reals({2, 5, 3}), reals({2, 5, 5})})};
}

}  // namespace tapedeck::nn
