#include <tapedeck/nn/layers/attention.h>
#include <tapedeck/nn/layers/types.h>

#include <cmath>
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

// A mask with `more` keys behind the others, which all take part.
Tensor with_more_keys(const Tensor& mask, std::int64_t keys, std::int64_t more) {
  Shape wide = mask.sizes(), rest = mask.sizes();
  wide[wide.rank() - 1] = keys, rest[rest.rank() - 1] = more;
  const bool boolean = mask.dtype() == DType::boolean;
  return cat({expand(mask, wide), full(rest, boolean ? 1 : 0, mask.options())}, -1);
}
Tensor causal_mask(std::int64_t queries, std::int64_t keys, Device device) {
  return logical_not(gt(triu(ones({queries, keys}, {DType::f32, device}), 1), 0));
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
  if (c.add_bias_kv) {
    const Init start = init::normal(0, 1 / std::sqrt(static_cast<double>(e)));
    bias_k = parameter("bias_k", {1, 1, e}, start, "bias"), bias_v = parameter("bias_v", {1, 1, e}, start, "bias");
  }
  child("out_proj", out_proj_ = make<Linear>(LinearConfig{e, e, c.bias}, init::constant(0)));
}

Tensor MultiheadAttention::heads(
    const Tensor& x) const {  // [batch, time, embed] -> [batch, heads, time, embed / heads]
  const std::int64_t n = config().num_heads;
  return permute(reshape(x, {x.size(0), x.size(1), n, config().embed_dim / n}), {0, 2, 1, 3});
}

MultiheadAttention::Inputs MultiheadAttention::prepare(const Tensor& query, const Tensor& key, const Tensor& value,
                                                       const Masks& masks) const {
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
  Inputs in;
  in.options.mask = joined(masks, key.size(0), key.size(1)), in.options.is_causal = masks.is_causal;
  in.options.dropout_p = training() ? c.dropout : 0;
  const Shape one{key.size(0), 1, e};
  std::vector<Tensor> keys{k}, values{v};
  if (bias_k) keys.push_back(expand(bias_k, one)), values.push_back(expand(bias_v, one));
  if (c.add_zero_attn) keys.push_back(zeros(one, k.options())), values.push_back(zeros(one, v.options()));
  if (keys.size() > 1) {
    Tensor& mask = in.options.mask;
    if (std::exchange(in.options.is_causal, false)) {
      const Tensor seen = causal_mask(query.size(1), key.size(1), key.device());
      const double never = -std::numeric_limits<double>::infinity();
      if (!mask.defined())
        mask = seen;
      else
        mask = mask.dtype() == DType::boolean ? logical_and(mask, seen)
                                              : where(seen, mask, full({}, never, mask.options()));
    }
    if (mask.defined()) mask = with_more_keys(mask, key.size(1), std::ssize(keys) - 1);
    k = cat(keys, 1), v = cat(values, 1);
  }
  in.query = heads(q), in.key = heads(k), in.value = heads(v);
  return in;
}

Tensor MultiheadAttention::joined_heads(const Tensor& mixed) {
  return out_proj_(reshape(permute(mixed, {0, 2, 1, 3}), {mixed.size(0), mixed.size(2), config().embed_dim}));
}

Tensor MultiheadAttention::forward(const Tensor& query, const Tensor& key, const Tensor& value, const Masks& masks) {
  const Inputs in = prepare(query, key, value, masks);
  return joined_heads(scaled_dot_product_attention(in.query, in.key, in.value, in.options));
}

std::pair<Tensor, Tensor> MultiheadAttention::forward(const Tensor& query, const Tensor& key, const Tensor& value,
                                                      const Masks& masks, NeedWeights need) {
  const Inputs in = prepare(query, key, value, masks);
  const double scale = 1 / std::sqrt(static_cast<double>(in.query.size(-1)));
  Tensor scores = matmul(in.query * scale, transpose(in.key, -1, -2)), mask = in.options.mask, hidden;
  const Tensor never = full({}, -std::numeric_limits<double>::infinity(), scores.options());
  if (in.options.is_causal) scores = where(causal_mask(query.size(1), key.size(1), key.device()), scores, never);
  if (mask.defined()) scores = mask.dtype() == DType::boolean ? where(mask, scores, never) : scores + mask;
  if (scores.size(-1) > 0) {  // rows that see no key, kept out of softmax and its gradient
    hidden = eq(amax(detach(scores), {-1}, true), never);
    scores = where(hidden, full({}, 0, scores.options()), scores);
  }
  Tensor weights = softmax(scores, -1);
  if (hidden.defined()) weights = where(hidden, full({}, 0, weights.options()), weights);
  weights = dropout(weights, in.options.dropout_p, true);
  const Tensor y = joined_heads(matmul(weights, in.value));
  return {y, need.average ? mean(weights, {1}) : weights};
}

std::vector<ModuleType> attention_types() {
  return {layer<MultiheadAttention>({.embed_dim = 4, .num_heads = 2, .kdim = 3, .vdim = 5},
                                    "query [batch, queries, embed_dim], key [batch, keys, kdim], "
                                    "value [batch, keys, vdim] -> [batch, queries, embed_dim]",
                                    {reals({2, 3, 4}), reals({2, 5, 3}), reals({2, 5, 5})})};
}

}  // namespace tapedeck::nn
