// Attention and positions, made of other ops.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

#include <cmath>
#include <limits>

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
    TD_CHECK(query.size(-1) == key.size(-1) && query.size(-1) >= 1 && key.size(-2) == value.size(-2), ShapeError, op,
             ": query and key must agree in channels, key and value in length", arg("query", query), arg("key", key),
             arg("value", value));
    TD_CHECK(o.past >= 0 && o.past <= std::int64_t{1} << 40, ValueError, op, ": past must be 0 to 2^40, got ", o.past);
    TD_CHECK(o.dropout_p >= 0 && o.dropout_p <= 1, ValueError, op, ": dropout_p must be 0 to 1, got ", o.dropout_p);
    Tensor k = key, v = value;
    if (o.enable_gqa) {
      TD_CHECK(query.dim() >= 3 && key.dim() >= 3 && value.dim() >= 3, ShapeError, op,
               ": grouped heads need [..., heads, length, channels]", arg("query", query));
      const std::int64_t heads = query.size(-3);
      TD_CHECK(key.size(-3) >= 1 && value.size(-3) == key.size(-3) && heads % key.size(-3) == 0, ShapeError, op,
               ": the heads of query must be a multiple of those of key and value", arg("query", query),
               arg("key", key), arg("value", value));
      k = grouped(key, heads), v = grouped(value, heads);
    }
    const double scale = o.scale.value_or(1 / std::sqrt(static_cast<double>(query.size(-1))));
    Tensor scores = matmul(query * scale, transpose(k, -1, -2));
    const Tensor outside = scalar(-std::numeric_limits<double>::infinity(), query.options());
    if (o.is_causal) {
      const Tensor seen = causal_mask(query.size(-2), key.size(-2), o.past, query.device());
      scores = where(seen, scores, outside);
    }
    if (o.mask.defined()) {
      if (o.mask.dtype() == DType::boolean) {
        scores = where(o.mask, scores, outside);
      } else {
        detail::check_same(op, "query", query, "mask", o.mask);
        scores = scores + o.mask;
      }
    }
    Tensor empty_rows;  // rows without a key: 0 / 0, kept out of softmax and its gradient
    const Tensor zero = scalar(0, query.options());
    if ((o.is_causal || o.mask.defined()) && key.size(-2) > 0) {
      empty_rows = eq(amax(detach(scores), {-1}, true), outside);
      scores = where(empty_rows, zero, scores);
    }
    Tensor weights = softmax(scores, -1);
    if (empty_rows.defined()) weights = where(empty_rows, zero, weights);
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
