// Attention, and positions made of other ops.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/attention.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>
#include <limits>
#include <optional>

namespace tapedeck {
namespace {

using detail::composed;

// [queries, keys], true where query i may see key j: j <= past + i.
Tensor causal_mask(std::int64_t queries, std::int64_t keys, std::int64_t past, Device device) {
  std::vector<std::int64_t> i(static_cast<std::size_t>(queries)), j(static_cast<std::size_t>(keys));
  for (std::size_t k = 0; k < i.size(); ++k) i[k] = static_cast<std::int64_t>(k) + past;
  for (std::size_t k = 0; k < j.size(); ++k) j[k] = static_cast<std::int64_t>(k);
  return le(tensor(j, {1, keys}).to(device), tensor(i, {queries, 1}).to(device));
}

// Heads of key or value, each repeated for its group of query heads.
Tensor grouped(const Tensor& x, std::int64_t heads) {
  const std::int64_t have = x.size(-3);
  if (have == heads) return x;
  Shape wide = x.sizes();
  const int d = x.dim() - 3;
  Shape split;
  for (int k = 0; k < x.dim(); ++k) {
    split.push(wide[k]);
    if (k == d) split.push(heads / have);
  }
  wide[d] = heads;
  return reshape(expand(unsqueeze(x, d + 1), split), wide);
}

// Scores that queries do not see are -Inf; rows without a key are 0 / 0, kept out of softmax and its gradient.
Tensor weights_of(const Tensor& query, const Tensor& key, const AttentionOptions& o, double scale) {
  const char* op = "scaled_dot_product_attention";
  const Tensor outside = scalar(-std::numeric_limits<double>::infinity(), query.options());
  Tensor scores = matmul(query * scale, transpose(key, -1, -2));
  if (o.is_causal) scores = where(causal_mask(query.size(-2), key.size(-2), o.past, query.device()), scores, outside);
  if (o.mask.defined() && o.mask.dtype() == DType::boolean) {
    scores = where(o.mask, scores, outside);
  } else if (o.mask.defined()) {
    detail::check_same(op, "query", query, "mask", o.mask);
    scores = scores + o.mask;
  }
  if (!(o.is_causal || o.mask.defined()) || key.size(-2) == 0) return softmax(scores, -1);
  const Tensor zero = scalar(0, query.options());
  const Tensor empty_rows = eq(amax(detach(scores), {-1}, true), outside);
  return where(empty_rows, zero, softmax(where(empty_rows, zero, scores), -1));
}

// [..., heads, length, channels] as [N, heads, length, channels] with contiguous channels, for the kernels.
Tensor by_heads(const Tensor& x, std::int64_t heads) {
  const std::int64_t step = heads * x.size(-2) * x.size(-1);
  const Shape shape{step == 0 ? 0 : x.numel() / step, heads, x.size(-2), x.size(-1)};
  const Tensor view = detail::try_reshape(x, shape);
  if (view.defined() && (x.size(-1) <= 1 || view.strides()[3] == 1)) return view;
  return detail::try_reshape(detail::packed(x), shape);
}

// The mask as [N, heads, queries, keys]; undefined when it cannot be seen that way.
Tensor mask_by_heads(const Tensor& q, const Tensor& k, const Tensor& mask, std::int64_t heads) {
  Shape shape = q.sizes();
  shape[q.dim() - 1] = k.size(-2);
  if (mask.dim() > shape.rank()) return {};
  for (int d = 1; d <= mask.dim(); ++d)
    if (mask.size(-d) != 1 && mask.size(-d) != shape[shape.rank() - d]) return {};
  const std::int64_t parts = q.numel() / q.size(-1) / q.size(-2) / heads;
  return detail::try_reshape(detail::expand(mask, shape), {parts, heads, q.size(-2), k.size(-2)});
}

// The kernels take what has no dropout and the same leading sizes everywhere.
bool fits_kernel(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
  if (o.dropout_p > 0 || q.numel() == 0 || k.numel() == 0 || v.numel() == 0) return false;
  if (o.mask.defined() && o.mask.dtype() != DType::boolean && o.mask.dtype() != q.dtype()) return false;
  if (q.dim() != k.dim() || q.dim() != v.dim()) return false;
  for (int d = 0; d + 2 < q.dim(); ++d) {
    const bool heads = o.enable_gqa && d == q.dim() - 3;
    if (k.sizes()[d] != v.sizes()[d] || (!heads && q.sizes()[d] != k.sizes()[d])) return false;
  }
  return !o.mask.defined() || mask_by_heads(q, k, o.mask, q.dim() > 2 ? q.size(-3) : 1).defined();
}

// Heads of x summed by the groups that `like` has.
Tensor summed(const Tensor& x, const Tensor& like) {
  if (x.dim() < 3 || x.size(-3) == like.size(-3)) return x;
  return sum(unflatten(x, -3, {like.size(-3), x.size(-3) / like.size(-3)}), {-3});
}
// The gradients in ops: each has gradients of its own.
void give_in_ops(Grads& g, const Tensor& gy, const Tensor& q, const Tensor& key, const Tensor& value,
                 const AttentionOptions& o, double scale) {
  const Tensor k = o.enable_gqa ? grouped(key, q.size(-3)) : key, v = o.enable_gqa ? grouped(value, q.size(-3)) : value;
  const Tensor p = weights_of(q, k, o, scale), gp = matmul(gy, transpose(v, -1, -2));
  const Tensor flow = p * (gp - sum(p * gp, {-1}, true)), gs = flow * scale;
  if (g.wants(0)) g.give(0, matmul(gs, k));
  if (g.wants(1)) g.give(1, summed(matmul(transpose(gs, -1, -2), q), key));
  if (g.wants(2)) g.give(2, summed(matmul(transpose(p, -1, -2), gy), value));
  if (g.wants(3)) g.give(3, sum_to(flow, g.shape(3)));
}

Tensor fused(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o, double scale) {
  const std::int64_t heads = q.dim() > 2 ? q.size(-3) : 1, groups = k.dim() > 2 ? k.size(-3) : 1;
  Shape shape = q.sizes();
  shape[q.dim() - 1] = v.size(-1);
  const Tensor y = empty(shape, q.options());
  const Tensor by_head = by_heads(q, heads);
  const Tensor mask = o.mask.defined() ? mask_by_heads(q, k, o.mask, heads) : Tensor();
  const Tensor stats = empty({by_head.size(0), heads, q.size(-2), 2}, {DType::f64, q.device()});
  kernels::attention(q.device(), {by_head, by_heads(k, groups), by_heads(v, groups), mask, by_heads(y, heads), stats,
                                  scale, o.is_causal, o.past});
  record("scaled_dot_product_attention", y, {&q, &k, &v, &o.mask},
         [q = save(q, "query"), k = save(k, "key"), v = save(v, "value"), y = save(y, "y"), stats, heads, groups, o,
          scale, mask = save(mask, "mask")](const Tensor& gy, Grads& g) {
           if (g.graph()) return give_in_ops(g, gy, q.get(), k.get(), v.get(), o, scale);
           const auto room = [&](int i) { return g.wants(i) ? empty(g.shape(i), gy.options()) : Tensor(); };
           const auto seen = [](const Tensor& x, std::int64_t h) { return x.defined() ? by_heads(x, h) : x; };
           const Tensor gq = room(0), gk = room(1), gv = room(2);
           Tensor gmask;
           if (g.wants(3)) gmask = empty({stats.size(0), heads, stats.size(2), k.get().size(-2)}, gy.options());
           kernels::attention_backward(
               gy.device(), {by_heads(gy, heads), by_heads(q.get(), heads), by_heads(k.get(), groups),
                             by_heads(v.get(), groups), mask.get(), by_heads(y.get(), heads), stats, seen(gq, heads),
                             seen(gk, groups), seen(gv, groups), gmask, scale, o.is_causal, o.past});
           if (g.wants(0)) g.give(0, gq);
           if (g.wants(1)) g.give(1, gk);
           if (g.wants(2)) g.give(2, gv);
           if (!g.wants(3)) return;
           Shape whole = q.get().sizes();
           whole[whole.rank() - 1] = k.get().size(-2);
           g.give(3, sum_to(detail::try_reshape(gmask, whole), g.shape(3)));
         });
  return y;
}

// Radians of position t and pair k: t / base^(2 k / channels).
double angle(std::int64_t t, std::int64_t k, std::int64_t channels, double base) {
  return static_cast<double>(t) * std::pow(base, -2 * static_cast<double>(k) / static_cast<double>(channels));
}

void check_positions(const char* op, std::int64_t offset, double base) {
  TD_CHECK(offset >= 0 && offset <= std::int64_t{1} << 40, ValueError, op, ": offset must be 0 to 2^40, got ", offset);
  TD_CHECK(base > 0 && std::isfinite(base), ValueError, op, ": base must be positive, got ", base);
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const AttentionOptions& o) {
  const char* op = "scaled_dot_product_attention";
  return composed(op, [&] {
    detail::check_real(op, query, "query");
    detail::check_same(op, "query", query, "key", key), detail::check_same(op, "query", query, "value", value);
    TD_CHECK(query.dim() >= 2 && key.dim() >= 2 && value.dim() >= 2, ShapeError, op,
             ": query, key and value must be [..., length, channels]", arg("query", query), arg("key", key),
             arg("value", value));
    TD_CHECK(query.size(-1) == key.size(-1) && key.size(-2) == value.size(-2), ShapeError, op,
             ": query and key must agree in channels, key and value in length", arg("query", query), arg("key", key),
             arg("value", value));
    TD_CHECK(query.size(-1) >= 1, ShapeError, op, ": query and key need at least 1 channel", arg("query", query),
             arg("key", key));
    TD_CHECK(o.past >= 0 && o.past <= std::int64_t{1} << 40, ValueError, op, ": past must be 0 to 2^40, got ", o.past);
    TD_CHECK(o.dropout_p >= 0 && o.dropout_p <= 1, ValueError, op, ": dropout_p must be 0 to 1, got ", o.dropout_p);
    const double scale = o.scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
    if (o.enable_gqa) {
      TD_CHECK(query.dim() >= 3 && key.dim() >= 3 && value.dim() >= 3, ShapeError, op,
               ": grouped heads need [..., heads, length, channels]", arg("query", query));
      TD_CHECK(key.size(-3) >= 1 && value.size(-3) == key.size(-3) && query.size(-3) % key.size(-3) == 0, ShapeError,
               op, ": the heads of query must be a multiple of those of key and value", arg("query", query),
               arg("key", key), arg("value", value));
    }
    if (fits_kernel(query, key, value, o)) return fused(query, key, value, o, scale);
    const std::int64_t heads = o.enable_gqa ? query.size(-3) : 0;
    const Tensor k = o.enable_gqa ? grouped(key, heads) : key, v = o.enable_gqa ? grouped(value, heads) : value;
    Tensor weights = weights_of(query, k, o, scale);
    if (o.dropout_p > 0) weights = dropout(weights, o.dropout_p);
    return matmul(weights, v);
  });
}

Tensor rotary_embedding(const Tensor& x, std::int64_t offset, double base, bool interleaved) {
  const char* op = "rotary_embedding";
  return composed(op, [&] {
    detail::check_real(op, x);
    TD_CHECK(x.dim() >= 2 && x.size(-1) % 2 == 0, ShapeError, op, ": x must be [..., time, an even number of channels]",
             arg("x", x));
    check_positions(op, offset, base);
    const std::int64_t time = x.size(-2), pairs = x.size(-1) / 2;
    std::vector<double> cosines, sines;
    for (std::int64_t t = 0; t < time; ++t)
      for (std::int64_t k = 0; k < pairs; ++k) {
        const double a = angle(t + offset, k, x.size(-1), base);
        cosines.push_back(std::cos(a)), sines.push_back(std::sin(a));
      }
    const auto table = [&](const std::vector<double>& v) {
      return cast(tensor(v, {time, pairs}), x.dtype()).to(x.device());
    };
    const Tensor c = table(cosines), s = table(sines);
    if (!interleaved) {
      const Tensor a = narrow(x, -1, 0, pairs), b = narrow(x, -1, pairs, pairs);
      return cat({a * c - b * s, b * c + a * s}, -1);
    }
    const Tensor a = slice(x, -1, 0, 2 * pairs, 2), b = slice(x, -1, 1, 2 * pairs, 2);
    return flatten(stack({a * c - b * s, b * c + a * s}, -1), -2, -1);
  });
}

Tensor sinusoidal_positions(std::int64_t time, std::int64_t channels, std::int64_t offset, double base,
                            TensorOptions options) {
  const char* op = "sinusoidal_positions";
  TD_CHECK(time >= 0 && channels >= 0 && time <= (std::int64_t{1} << 40) / std::max<std::int64_t>(1, channels),
           ValueError, op, ": time and channels must not be negative nor hold more than 2^40 numbers, got ", time,
           " and ", channels);
  TD_CHECK(is_real(options.dtype), DTypeError, op, ": positions are real, not ", name(options.dtype));
  check_positions(op, offset, base);
  const Tensor values = detail::empty_for(op, {time, channels}, {DType::f64});
  for (std::int64_t t = 0; t < time; ++t)
    for (std::int64_t c = 0; c < channels; ++c) {
      const double a = angle(t + offset, c / 2, channels, base);
      values.data<double>()[t * channels + c] = c % 2 == 0 ? std::sin(a) : std::cos(a);
    }
  return cast(values, options.dtype).to(options.device);
}

}  // namespace tapedeck
