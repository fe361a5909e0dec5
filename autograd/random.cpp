// Random ops: each takes the next stream of its name (tensor/random.h) and depends on nothing else.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/random.h>

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
  TD_CHECK(is_real(options.dtype), DTypeError, op, ": random numbers are real, not ", name(options.dtype));
}

// The mask is drawn from the stream, not stored; the gradient is the same mask again.
Tensor masked(const Tensor& x, double p, const KeptStream& stream) {
  const Tensor y = empty_like(x);
  kernels::dropout(x.device(), {detail::packed(x), y, stream.get(), p});
  record("dropout", y, {&x}, [p, stream](const Tensor& gy, Grads& g) { g.give(0, masked(gy, p, stream)); });
  return y;
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training) {
  detail::check_real("dropout", x);
  TD_CHECK(p >= 0 && p <= 1, ValueError, "dropout: p must be in [0, 1], got ", p);
  if (!training || p == 0) return x;
  if (p == 1) return mul(x, 0);
  return masked(x, p, KeptStream(next_stream("dropout", rows_of(x.sizes()))));
}

Tensor rand(const Shape& shape, TensorOptions options) {
  check_options("rand", options);
  const Tensor y = empty(shape, options);
  kernels::uniform(y.device(), {y, next_stream("rand", rows_of(shape)), 0, 1});
  return y;
}

Tensor randn(const Shape& shape, TensorOptions options) {
  check_options("randn", options);
  const Tensor y = empty(shape, options);
  kernels::normal(y.device(), {y, next_stream("randn", rows_of(shape)), 0, 1});
  return y;
}

}  // namespace tapedeck
