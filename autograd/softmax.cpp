// The softmax family and the losses of classes.
#include <tapedeck/autograd/along.h>
#include <tapedeck/autograd/loss_helpers.h>
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
  if (x.dim() == 0) return detail::along("softmax", x, dim, [](const Tensor& line, int d) { return softmax(line, d); });
  dim = normalize_dim("softmax", dim, x.dim());
  if (dim != x.dim() - 1)
    return detail::composed("softmax", [&] { return transpose(softmax(transpose(x, dim, -1), -1), dim, -1); });
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
  if (x.dim() == 0)
    return detail::along("log_softmax", x, dim, [](const Tensor& line, int d) { return log_softmax(line, d); });
  dim = normalize_dim("log_softmax", dim, x.dim());
  if (dim != x.dim() - 1)
    return detail::composed("log_softmax", [&] { return transpose(log_softmax(transpose(x, dim, -1), -1), dim, -1); });
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

// Noise -log(-log u), u in (0, 1): both logarithms stay finite.
Tensor gumbel_softmax(const Tensor& logits, double tau, bool hard, int dim) {
  const char* op = "gumbel_softmax";
  return detail::composed(op, [&] {
    detail::check_real(op, logits, "logits");
    TD_CHECK(tau > 0, ValueError, op, ": tau must be above 0, not ", tau);
    if (logits.dim() == 0) return reshape(gumbel_softmax(reshape(logits, {1}), tau, hard, dim), {});
    dim = normalize_dim(op, dim, logits.dim());
    if (dim != logits.dim() - 1) return transpose(gumbel_softmax(transpose(logits, dim, -1), tau, hard, -1), dim, -1);
    const Tensor noise = neg(log(neg(log(detail::open_uniform(op, logits.sizes(), logits.options())))));
    const Tensor soft = softmax((logits + noise) / tau, -1);
    if (!hard || soft.numel() == 0) return soft;
    const Tensor y = one_hot(argmax(soft, -1), soft.size(-1), soft.dtype());
    record(op, y, {&soft}, [](const Tensor& gy, Grads& g) { g.give(0, gy); });
    return y;
  });
}

// ---- classes --------------------------------------------------------------------------------------------------------
namespace {

Tensor only(std::int64_t value) { return tensor(std::vector{value}, {}); }

// target must be i64 and of the shape of x without its last dimension.
void check_classes(const char* op, const Tensor& x, const Tensor& target) {
  TD_CHECK(target.dtype() == DType::i64, DTypeError, op, ": target must be i64 class indices", arg("target", target));
  Shape shape = x.sizes();
  shape.erase(x.dim() - 1);
  TD_CHECK(target.sizes() == shape, ShapeError, op, ": target must have shape ", to_string(shape), arg("x", x),
           arg("target", target));
}

// How many targets count; ValueError when one that counts is outside [0, classes). Every target is looked at once, or
// twice when some are ignored.
std::int64_t count_targets(const char* op, const Tensor& target, std::int64_t classes, std::int64_t ignore_index) {
  if (target.numel() == 0) return 0;
  std::int64_t range[2];
  kernels::index_range(target.device(), {target, range});
  const bool some_ignored = range[0] <= ignore_index && ignore_index <= range[1];
  if (!some_ignored) {
    detail::check_index(op, "target", target, classes);
    return target.numel();
  }
  const TensorOptions i64 = target.options();
  const Tensor counts = ne(target, only(ignore_index).to(target.device()));
  detail::check_index(op, "target", where(counts, target, zeros({}, i64)), classes);
  return static_cast<std::int64_t>(sum(counts).item());
}

// The class of every target, 0 where it is ignored; and which count.
struct Classes {
  Tensor index, counts;
  Classes(const Tensor& target, std::int64_t ignored) : counts(ne(target, only(ignored).to(target.device()))) {
    index = where(counts, target, zeros({}, target.options()));
  }
  Tensor hot(std::int64_t classes, DType dtype) const { return one_hot(index, classes, dtype); }
  // What each target weighs: its class's weight (1 without weights), 0 when it is ignored.
  Tensor weights(const Tensor& weight, const Tensor& like) const {
    const Tensor counted = cast(counts, like.dtype());
    return weight.defined() ? counted * squeeze(embedding(index, unsqueeze(weight, 1)), -1) : counted;
  }
};

void check_class_inputs(const char* op, const Tensor& x, const Tensor& target, const Tensor& weight,
                        Reduction reduction) {
  detail::check_real(op, x);
  detail::check_defined(op, "target", target);
  TD_CHECK(target.device() == x.device(), DeviceError, op, ": devices differ", arg("x", x), arg("target", target));
  TD_CHECK(x.dim() >= 1, ShapeError, op, ": x needs a last dimension of classes", arg("x", x));
  detail::check_reduction(op, reduction);
  if (!weight.defined()) return;
  detail::check_same(op, "x", x, "weight", weight);
  TD_CHECK(weight.sizes() == Shape{x.size(-1)}, ShapeError, op, ": weight must have one element for each of ",
           x.size(-1), " classes", arg("weight", weight));
}

Tensor weighted(const Tensor& each, const Tensor& weights, Reduction reduction) {
  if (reduction == Reduction::none) return each;
  return reduction == Reduction::sum ? sum(each) : sum(each) / sum(weights);
}

// Targets i64, no weights and no smoothing: one kernel.
Tensor plain_cross_entropy(const Tensor& x, const Tensor& target, std::int64_t ignore_index, Reduction reduction) {
  const char* op = "cross_entropy";
  const std::int64_t counted = count_targets(op, target, x.size(-1), ignore_index), n = target.numel();
  const Tensor flat = detail::try_reshape(detail::packed(target), {n}), losses = empty({n}, x.options());
  kernels::cross_entropy(x.device(), {as_rows(x), flat, losses, ignore_index});
  const bool each = reduction == Reduction::none;
  const double divisor = reduction == Reduction::mean ? static_cast<double>(counted) : 1;
  Tensor y;
  {
    const NoGrad pause;
    y = each ? detail::try_reshape(losses, target.sizes()) : sum(losses) / divisor;
  }
  record(op, y, {&x},
         [x = save(x, "x"), target = save(flat, "target"), divisor, each, ignored = ignore_index](const Tensor& gy,
                                                                                                  Grads& g) {
           const Tensor &logits = x.get(), &t = target.get();
           const std::int64_t n = t.numel(), classes = logits.size(-1);
           const Tensor each_g = each ? reshape(gy, {n}) : expand(gy / divisor, {n});
           Tensor gx;
           if (g.graph()) {
             const Classes of(t, ignored);
             const Tensor scale = each_g * cast(of.counts, gy.dtype());
             gx = (softmax(reshape(logits, {n, classes}), -1) - of.hot(classes, gy.dtype())) * unsqueeze(scale, 1);
           } else {
             gx = empty({n, classes}, logits.options());
             kernels::cross_entropy_backward(gy.device(), {each_g, as_rows(logits), t, gx, ignored});
           }
           g.give(0, reshape(gx, logits.sizes()));
         });
  return y;
}

// The target is a distribution of its own in every row.
Tensor soft_cross_entropy(const Tensor& x, const Tensor& target, const CrossEntropyOptions& o) {
  const char* op = "cross_entropy";
  detail::check_same(op, "x", x, "target", target);
  TD_CHECK(target.sizes() == x.sizes(), ShapeError, op, ": target probabilities must have the shape of x", arg("x", x),
           arg("target", target));
  const double share = o.label_smoothing / static_cast<double>(x.size(-1));
  const Tensor p = o.label_smoothing > 0 ? target * (1 - o.label_smoothing) + share : target;
  const Tensor terms = log_softmax(x, -1) * (o.weight.defined() ? p * o.weight : p), each = neg(sum(terms, {-1}));
  if (o.reduction == Reduction::none) return each;
  return o.reduction == Reduction::mean ? sum(each) / static_cast<double>(each.numel()) : sum(each);
}

}  // namespace

Tensor cross_entropy(const Tensor& x, const Tensor& target, CrossEntropyOptions o) {
  const char* op = "cross_entropy";
  return detail::composed(op, [&] {
    check_class_inputs(op, x, target, o.weight, o.reduction);
    TD_CHECK(o.label_smoothing >= 0 && o.label_smoothing <= 1, ValueError, op,
             ": label_smoothing must be in [0, 1], not ", o.label_smoothing);
    if (is_real(target.dtype()) && target.dim() == x.dim()) return soft_cross_entropy(x, target, o);
    check_classes(op, x, target);
    if (!o.weight.defined() && o.label_smoothing == 0)
      return plain_cross_entropy(x, target, o.ignore_index, o.reduction);
    Tensor each = plain_cross_entropy(x, target, o.ignore_index, Reduction::none);
    const Classes of(target, o.ignore_index);
    const Tensor weights = of.weights(o.weight, x);
    if (o.weight.defined()) each = each * weights;
    if (o.label_smoothing > 0) {
      const Tensor logs = log_softmax(x, -1), all = sum(o.weight.defined() ? logs * o.weight : logs, {-1});
      const Tensor spread = where(of.counts, all, scalar(0, x.options()));
      each = each * (1 - o.label_smoothing) - spread * (o.label_smoothing / static_cast<double>(x.size(-1)));
    }
    return weighted(each, weights, o.reduction);
  });
}

Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& weight, std::int64_t ignore_index,
                Reduction reduction) {
  const char* op = "nll_loss";
  return detail::composed(op, [&] {
    check_class_inputs(op, x, target, weight, reduction);
    check_classes(op, x, target);
    count_targets(op, target, x.size(-1), ignore_index);
    const Classes of(target, ignore_index);
    const Tensor chosen = squeeze(gather(x, -1, unsqueeze(of.index, -1)), -1), weights = of.weights(weight, x);
    Tensor each = where(of.counts, neg(chosen), scalar(0, x.options()));
    if (weight.defined()) each = each * weights;
    return weighted(each, weights, reduction);
  });
}

}  // namespace tapedeck
