// Lookups by integer index.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {
namespace {

Tensor flat_index(const Tensor& index) { return detail::try_reshape(detail::packed(index), {index.numel()}); }

}  // namespace

Tensor embedding(const Tensor& index, const Tensor& table) {
  detail::check_real("embedding", table, "table");
  TD_CHECK(table.dim() == 2, ShapeError, "embedding: the table must be [entries, channels]", arg("table", table));
  detail::check_index("embedding", "index", index, table.size(0));
  TD_CHECK(index.device() == table.device(), DeviceError, "embedding: devices differ", arg("index", index),
           arg("table", table));
  const Tensor flat = flat_index(index);
  const Tensor rows = empty({index.numel(), table.size(1)}, table.options());
  kernels::embedding(table.device(), {detail::rows_contiguous(table), flat, rows});
  Shape shape = index.sizes();
  shape.push(table.size(1));
  const Tensor y = detail::try_reshape(rows, shape);
  record("embedding", y, {&table}, [index = save(flat, "index")](const Tensor& gy, Grads& g) {
    if (g.graph()) {
      const Tensor hot = one_hot(index.get(), g.shape(0)[0], gy.dtype());
      return g.give(0, matmul(transpose(hot, 0, 1), reshape(gy, {index.get().numel(), gy.size(-1)})));
    }
    const auto [buffer, beta] = g.into(0);
    kernels::embedding_backward(gy.device(), {detail::as_rows(gy), index.get(), buffer, beta});
  });
  return y;
}

Tensor one_hot(const Tensor& index, std::int64_t classes, DType dtype) {
  detail::check_index("one_hot", "index", index, classes);
  const Tensor y = empty({index.numel(), classes}, {dtype, index.device()});
  kernels::one_hot(index.device(), {flat_index(index), y});
  Shape shape = index.sizes();
  shape.push(classes);
  return detail::try_reshape(y, shape);
}

Tensor sample_categorical(const Tensor& logits, const Tensor& u, double temperature) {
  const char* op = "sample_categorical";
  detail::check_real(op, logits, "logits");
  detail::check_defined(op, "u", u);
  TD_CHECK(u.dtype() == DType::f32 && u.device() == logits.device(), DTypeError, op,
           ": u must be f32 on the device of logits", arg("logits", logits), arg("u", u));
  TD_CHECK(temperature >= 0, ValueError, op, ": temperature must be >= 0, got ", temperature);
  TD_CHECK(logits.dim() >= 1 && logits.size(-1) >= 1, ShapeError, op, ": logits need a last dimension of classes",
           arg("logits", logits));
  Shape shape = logits.sizes();
  shape.erase(logits.dim() - 1);
  TD_CHECK(u.sizes() == shape, ShapeError, op, ": u must have shape ", to_string(shape), arg("logits", logits),
           arg("u", u));
  const Tensor y = empty({u.numel()}, {DType::i64, logits.device()});
  kernels::sample_categorical(
      logits.device(), {detail::as_rows(logits), detail::try_reshape(detail::packed(u), {u.numel()}), y, temperature});
  return detail::try_reshape(y, shape);
}

}  // namespace tapedeck
