// The softmax family and the losses made of it.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {

using detail::as_rows;
using detail::rows_contiguous;

Tensor softmax(const Tensor& x, int dim) {
  detail::check_real("softmax", x);
  dim = normalize_dim("softmax", dim, x.dim());
  if (dim != x.dim() - 1) return transpose(softmax(transpose(x, dim, -1), -1), dim, -1);
  const Tensor y = empty_like(x);
  kernels::softmax(x.device(), {rows_contiguous(x), y});
  record("softmax", y, {&x}, [y = save(y, "y")](const Tensor& gy, Grads& g) {
    if (g.graph()) return g.give(0, y.get() * (gy - sum(gy * y.get(), {-1}, true)));
    const Tensor gx = empty_like(gy);
    kernels::softmax_backward(gy.device(), {rows_contiguous(gy), y.get(), gx});
    g.give(0, gx);
  });
  return y;
}

Tensor log_softmax(const Tensor& x, int dim) {
  detail::check_real("log_softmax", x);
  dim = normalize_dim("log_softmax", dim, x.dim());
  if (dim != x.dim() - 1) return transpose(log_softmax(transpose(x, dim, -1), -1), dim, -1);
  const Tensor y = empty_like(x);
  kernels::log_softmax(x.device(), {rows_contiguous(x), y});
  record("log_softmax", y, {&x}, [y = save(y, "y")](const Tensor& gy, Grads& g) {
    if (g.graph()) return g.give(0, gy - exp(y.get()) * sum(gy, {-1}, true));
    const Tensor gx = empty_like(gy);
    kernels::log_softmax_backward(gy.device(), {rows_contiguous(gy), y.get(), gx});
    g.give(0, gx);
  });
  return y;
}

namespace {

Tensor only(std::int64_t value) { return tensor(std::vector{value}, {}); }

// How many targets count; ValueError when one that counts is outside [0, classes). Every target is looked at once, or
// twice when some are ignored.
std::int64_t count_targets(const Tensor& target, std::int64_t classes, std::int64_t ignore_index) {
  if (target.numel() == 0) return 0;
  std::int64_t range[2];
  kernels::index_range(target.device(), {target, range});
  const bool some_ignored = range[0] <= ignore_index && ignore_index <= range[1];
  if (!some_ignored) {
    detail::check_index("cross_entropy", "target", target, classes);
    return target.numel();
  }
  const TensorOptions i64 = target.options();
  const Tensor counts = ne(target, only(ignore_index).to(target.device()));
  detail::check_index("cross_entropy", "target", where(counts, target, zeros({}, i64)), classes);
  return static_cast<std::int64_t>(sum(counts).item());
}

}  // namespace

Tensor cross_entropy(const Tensor& x, const Tensor& target, CrossEntropyOptions options) {
  const char* op = "cross_entropy";
  detail::check_real(op, x);
  detail::check_defined(op, "target", target);
  TD_CHECK(target.dtype() == DType::i64, DTypeError, op, ": target must be i64 class indices", arg("target", target));
  TD_CHECK(target.device() == x.device(), DeviceError, op, ": devices differ", arg("x", x), arg("target", target));
  TD_CHECK(x.dim() >= 1, ShapeError, op, ": x needs a last dimension of classes", arg("x", x));
  Shape shape = x.sizes();
  shape.erase(x.dim() - 1);
  TD_CHECK(target.sizes() == shape, ShapeError, op, ": target must have shape ", to_string(shape), arg("x", x),
           arg("target", target));
  const std::int64_t counted = count_targets(target, x.size(-1), options.ignore_index), n = target.numel();

  const Tensor flat = detail::try_reshape(detail::packed(target), {n}), losses = empty({n}, x.options());
  kernels::cross_entropy(x.device(), {as_rows(x), flat, losses, options.ignore_index});
  const bool each = options.reduction == Reduction::none;
  const double divisor = options.reduction == Reduction::mean ? static_cast<double>(counted) : 1;
  const Tensor y = each ? detail::try_reshape(losses, shape) : sum(losses) / divisor;
  record(op, y, {&x},
         [x = save(x, "x"), target = save(flat, "target"), divisor, each, ignored = options.ignore_index](
             const Tensor& gy, Grads& g) {
           const Tensor &logits = x.get(), &t = target.get();
           const std::int64_t n = t.numel(), classes = logits.size(-1);
           const Tensor each_g = each ? reshape(gy, {n}) : expand(gy / divisor, {n});
           Tensor gx;
           if (g.graph()) {
             const Tensor counts = ne(t, only(ignored).to(t.device()));
             const Tensor hot = one_hot(where(counts, t, zeros({}, t.options())), classes, gy.dtype());
             const Tensor scale = each_g * cast(counts, gy.dtype());
             gx = (softmax(reshape(logits, {n, classes}), -1) - hot) * unsqueeze(scale, 1);
           } else {
             gx = empty({n, classes}, logits.options());
             kernels::cross_entropy_backward(gy.device(), {each_g, as_rows(logits), t, gx, ignored});
           }
           g.give(0, reshape(gx, logits.sizes()));
         });
  return y;
}

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  detail::check_real("mse_loss", x);
  detail::check_same("mse_loss", "x", x, "target", target);
  TD_CHECK(x.sizes() == target.sizes(), ShapeError, "mse_loss: shapes must be equal", arg("x", x),
           arg("target", target));
  const Tensor squares = square(x - target);
  if (reduction == Reduction::none) return squares;
  return reduction == Reduction::mean ? mean(squares) : sum(squares);
}

}  // namespace tapedeck
