// Random ops: each takes the next stream of its name (tensor/random.h) and depends on nothing else.
#include <tapedeck/autograd/loss_helpers.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>

namespace tapedeck {
namespace {

// A stream with its own row ids: a rule draws it again after the scope that named the rows has ended.
struct KeptStream {
  std::uint64_t key;
  std::vector<std::int64_t> rows;
  explicit KeptStream(const RandomStream& s) : key(s.key), rows(s.rows.begin(), s.rows.end()) {}
  RandomStream get() const { return {key, rows}; }
};

std::int64_t rows_of(const Shape& shape) { return shape.rank() > 0 ? shape[0] : 1; }

void check_options(const char* op, const TensorOptions& options) {
  TD_CHECK(options.dtype == DType::f32 || options.dtype == DType::f64, DTypeError, op,
           ": random numbers are f32 or f64, not ", name(options.dtype), "; cast the result");
}

// The next stream of `op` for a tensor of this shape.
RandomStream stream_of(const char* op, const Shape& shape) { return next_stream(op, rows_of(shape)); }

Tensor uniform_of(const char* op, const Shape& shape, TensorOptions options) {
  check_options(op, options);
  const Tensor y = detail::empty_for(op, shape, options);
  kernels::uniform(y.device(), {y, stream_of(op, shape), 0, 1});
  return y;
}
Tensor normal_of(const char* op, const Shape& shape, TensorOptions options) {
  check_options(op, options);
  const Tensor y = detail::empty_for(op, shape, options);
  kernels::normal(y.device(), {y, stream_of(op, shape), 0, 1});
  return y;
}
Tensor integers_of(const char* op, std::int64_t low, std::int64_t high, const Shape& shape, TensorOptions options) {
  TD_CHECK(low < high, ValueError, op, ": low ", low, " must be below high ", high);
  const bool makes = options.dtype != DType::boolean && options.dtype != DType::bf16 && options.dtype != DType::f16;
  for (const std::int64_t end : {low, high - 1})
    TD_CHECK(makes && (is_real(options.dtype) || options.dtype == DType::i64 ||
                       fits(static_cast<double>(end), options.dtype)),
             DTypeError, op, ": ", end, " does not fit ", name(options.dtype));
  const Tensor y = detail::empty_for(op, shape, options);
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  kernels::integers(y.device(), {y, stream_of(op, shape), low, range});
  return y;
}

void check_p(const char* op, double p) { TD_CHECK(p >= 0 && p <= 1, ValueError, op, ": p must be in [0, 1], got ", p); }

// The mask is drawn from the stream, not stored; the gradient is the same mask again.
Tensor masked(const Tensor& x, double p, const KeptStream& stream) {
  const Tensor y = empty_like(x);
  kernels::dropout(x.device(), {detail::packed(x), y, stream.get(), p});
  record("dropout", y, {&x}, [p, stream](const Tensor& gy, Grads& g) { g.give(0, masked(gy, p, stream)); });
  return y;
}

// One draw for every channel (and every element of dimension 0 when it is a batch), for all places between.
Tensor channel_dropout(const char* op, const Tensor& x, double p, bool training, bool batched) {
  return detail::composed(op, [&] {
    detail::check_real(op, x);
    check_p(op, p);
    if (!training || p == 0) return x;
    if (p == 1) return mul(x, 0);
    Shape shape = x.sizes();
    for (int d = batched ? 1 : 0; d + 1 < shape.rank(); ++d) shape[d] = 1;
    const Tensor ones = full(shape, 1, x.options()), mask = empty_like(ones);
    kernels::dropout(x.device(), {ones, mask, stream_of(op, shape), p});
    return x * mask;
  });
}

}  // namespace

namespace detail {
Tensor open_uniform(const char* op, const Shape& shape, TensorOptions options) {
  return clamp(uniform_of(op, shape, options), 0x1p-25);
}
}  // namespace detail

// ---- dropout --------------------------------------------------------------------------------------------------------
Tensor dropout(const Tensor& x, double p, bool training) {
  return detail::composed("dropout", [&] {
    detail::check_real("dropout", x);
    check_p("dropout", p);
    if (!training || p == 0) return x;
    if (p == 1) return mul(x, 0);
    return masked(x, p, KeptStream(stream_of("dropout", x.sizes())));
  });
}

Tensor feature_dropout(const Tensor& x, double p, bool training) {
  detail::check_real("feature_dropout", x);
  TD_CHECK(x.dim() >= 2, ShapeError, "feature_dropout: x must be [B, ..., C]", arg("x", x));
  return channel_dropout("feature_dropout", x, p, training, true);
}
Tensor dropout1d(const Tensor& x, double p, bool training) {
  detail::check_real("dropout1d", x);
  TD_CHECK(x.dim() == 2 || x.dim() == 3, ShapeError, "dropout1d: x must be [B, T, C] or [T, C]", arg("x", x));
  return channel_dropout("dropout1d", x, p, training, x.dim() == 3);
}
Tensor dropout2d(const Tensor& x, double p, bool training) {
  detail::check_real("dropout2d", x);
  TD_CHECK(x.dim() == 3 || x.dim() == 4, ShapeError, "dropout2d: x must be [B, H, W, C] or [H, W, C]", arg("x", x));
  return channel_dropout("dropout2d", x, p, training, x.dim() == 4);
}

// What is dropped takes the value that selu has at minus infinity; an affine map restores mean and variance.
Tensor alpha_dropout(const Tensor& x, double p, bool training) {
  const char* op = "alpha_dropout";
  return detail::composed(op, [&] {
    detail::check_real(op, x);
    check_p(op, p);
    if (!training || p == 0) return x;
    if (p == 1) return mul(x, 0);
    constexpr double least = -1.7580993408473766;
    const double scale = 1 / std::sqrt((1 - p) * (1 + p * least * least)), shift = -scale * least * p;
    const Tensor u = uniform_of(op, x.sizes(), x.options()), dropped = lt(u, scalar(p, x.options()));
    return where(dropped, scalar(least, x.options()), x) * scale + shift;
  });
}

// ---- new tensors ----------------------------------------------------------------------------------------------------
Tensor rand(const Shape& shape, TensorOptions options) { return uniform_of("rand", shape, options); }
Tensor randn(const Shape& shape, TensorOptions options) { return normal_of("randn", shape, options); }
Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, TensorOptions options) {
  return integers_of("randint", low, high, shape, options);
}
Tensor randint(std::int64_t high, const Shape& shape, TensorOptions options) {
  return integers_of("randint", 0, high, shape, options);
}

Tensor rand_like(const Tensor& x) {
  detail::check_defined("rand_like", "x", x);
  return uniform_of("rand_like", x.sizes(), x.options());
}
Tensor randn_like(const Tensor& x) {
  detail::check_defined("randn_like", "x", x);
  return normal_of("randn_like", x.sizes(), x.options());
}
Tensor randint_like(const Tensor& x, std::int64_t low, std::int64_t high) {
  detail::check_defined("randint_like", "x", x);
  return integers_of("randint_like", low, high, x.sizes(), x.options());
}

Tensor randperm(std::int64_t n, TensorOptions options) {
  TD_CHECK(n >= 0, ShapeError, "randperm: n must be >= 0, not ", n);
  TD_CHECK(options.dtype == DType::i64, DTypeError, "randperm: indices are i64, not ", name(options.dtype));
  const Tensor y = detail::empty_for("randperm", {n}, options);
  kernels::permutation(y.device(), {y, next_stream("randperm", 1)});
  return y;
}

Tensor bernoulli(const Tensor& p) {
  const char* op = "bernoulli";
  return detail::composed(op, [&] {
    detail::check_real(op, p, "p");
    if (p.numel() > 0) {
      const double least = amin(detach(p)).item(), most = amax(detach(p)).item();
      TD_CHECK(least >= 0 && most <= 1, ValueError, op, ": p must lie in [0, 1], but reaches ",
               least >= 0 ? most : least, arg("p", p));
    }
    return cast(lt(uniform_of(op, p.sizes(), p.options()), detach(p)), p.dtype());
  });
}

Tensor bernoulli(const Tensor& x, double p) {
  detail::check_defined("bernoulli", "x", x);
  check_p("bernoulli", p);
  const Tensor y = empty_like(x);
  kernels::bernoulli(x.device(), {y, stream_of("bernoulli", x.sizes()), p, 0});
  return y;
}

Tensor multinomial(const Tensor& weights, std::int64_t num_samples, bool replacement) {
  const char* op = "multinomial";
  return detail::composed(op, [&] {
    const Tensor w = detach(weights);
    detail::check_real(op, w, "weights");
    TD_CHECK(w.dim() >= 1 && w.size(-1) >= 1, ShapeError, op, ": weights need a last dimension of classes",
             arg("weights", weights));
    TD_CHECK(num_samples >= 0, ValueError, op, ": num_samples must be >= 0, not ", num_samples);
    Shape shape = w.sizes();
    shape[w.dim() - 1] = num_samples;
    const Tensor y = empty({detail::row_count(w), num_samples}, {DType::i64, w.device()});
    if (y.numel() > 0) {
      const double least = amin(w).item(), most = amax(w).item();
      TD_CHECK(least >= 0 && std::isfinite(most), ValueError, op, ": weights must be finite and >= 0, but reach ",
               least >= 0 ? most : least, arg("weights", weights));
      const std::int64_t enough = replacement ? 1 : num_samples;
      const double positive = amin(sum(gt(w, scalar(0, w.options())), {-1})).item();
      TD_CHECK(positive >= static_cast<double>(enough), ValueError, op, ": a row needs ", enough,
               " weights above 0, but one has ", static_cast<std::int64_t>(positive), arg("weights", weights));
      kernels::multinomial(w.device(),
                           {detail::as_rows(w), y, stream_of(op, w.dim() > 1 ? w.sizes() : Shape{}), replacement});
    }
    return detail::try_reshape(y, shape);
  });
}

}  // namespace tapedeck
