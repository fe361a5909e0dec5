// Losses of pairs and of rows, composed of ops: every one has gradients of gradients. Formulas are chosen so that terms
// of one sign are added and nothing cancels that the inputs do not cancel themselves.
#include <tapedeck/autograd/loss_helpers.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

#include <cmath>

namespace tapedeck {
namespace detail {

void check_reduction(const char* op, Reduction reduction) {
  TD_CHECK(reduction != Reduction::batchmean, ValueError, op, ": Reduction::batchmean is for kl_div; use mean");
}

Tensor reduced_loss(const Tensor& each, Reduction reduction) {
  switch (reduction) {
    case Reduction::none:
      return each;
    case Reduction::mean:
      return mean(each);
    case Reduction::sum:
      return sum(each);
    case Reduction::batchmean:
      return sum(each) / static_cast<double>(each.dim() > 0 ? each.size(0) : 1);
  }
  return each;
}

}  // namespace detail
namespace {

using detail::check_reduction;
using detail::reduced_loss;

Tensor number(double value, const Tensor& like) { return scalar(value, like.options()); }

void check_shape(const char* op, const char* x_name, const Tensor& x, const char* y_name, const Tensor& y) {
  detail::check_real(op, x, x_name);
  detail::check_same(op, x_name, x, y_name, y);
  TD_CHECK(x.sizes() == y.sizes(), ShapeError, op, ": ", x_name, " and ", y_name, " must have one shape",
           arg(x_name, x), arg(y_name, y));
}
void check_pair(const char* op, const Tensor& x, const Tensor& target, Reduction reduction) {
  check_shape(op, "x", x, "target", target);
  check_reduction(op, reduction);
}

// A weight, when given, must broadcast to x.
void check_weight(const char* op, const char* name, const Tensor& weight, const Tensor& x) {
  if (!weight.defined()) return;
  detail::check_same(op, "x", x, name, weight);
  TD_CHECK(broadcast_shapes(op, x.sizes(), weight.sizes()) == x.sizes(), ShapeError, op, ": ", name,
           " does not broadcast to x", arg("x", x), arg(name, weight));
}

// All of x lies in [low, high]; NaN does not.
void check_between(const char* op, const char* name, const Tensor& x, double low, double high) {
  if (x.numel() == 0) return;
  const NoGrad pause;
  const double least = amin(x).item(), most = amax(x).item();
  TD_CHECK(least >= low && most <= high, ValueError, op, ": ", name, " must lie in [", low, ", ", high,
           "], but reaches ", least >= low ? most : least, arg(name, x));
}

Tensor distance(const char* op, const Tensor& x, const Tensor& target, Reduction reduction) {
  check_pair(op, x, target, reduction);
  return abs(x - target);
}

// value, with the gradient of x: a limit that gradients pass.
Tensor in_place_of(const char* op, const Tensor& x, const Tensor& value) {
  record(op, value, {&x}, [](const Tensor& gy, Grads& g) { g.give(0, gy); });
  return value;
}

// -(target log x + (1 - target) log(1 - x)), logarithms at least -100; the gradient as if they had no end.
Tensor bernoulli_nll(const Tensor& x, const Tensor& target) {
  Tensor y;
  {
    const NoGrad pause;
    y = neg(target * clamp(log(x), -100) + (1 - target) * clamp(log1p(neg(x)), -100));
  }
  record("binary_cross_entropy", y, {&x, &target},
         [x = save(x, "x"), target = save(target, "target")](const Tensor& gy, Grads& g) {
           const Tensor &p = x.get(), &t = target.get();
           if (g.wants(0)) g.give(0, gy * (p - t) / clamp((1 - p) * p, 1e-12));
           if (g.wants(1)) g.give(1, gy * (clamp(log1p(neg(p)), -100) - clamp(log(p), -100)));
         });
  return y;
}

// weight target softplus(-x) + (1 - target) softplus(x), written with softplus(x) = max(x, 0) + softplus(-|x|): terms
// of one sign, and the gradient of the target is -x itself.
Tensor logit_nll(const Tensor& x, const Tensor& target, const Tensor& weight) {
  const Tensor up = ge(x, number(0, x)), size = where(up, x, neg(x)), no = 1 - target;  // |x| with slope 1 at 0
  const Tensor yes = weight.defined() ? target * weight : target, rest = softplus(neg(size));
  return size * where(up, no, yes) + (weight.defined() ? rest * (yes + no) : rest);
}

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return detail::composed("mse_loss", [&] {
    check_pair("mse_loss", x, target, reduction);
    return reduced_loss(square(x - target), reduction);
  });
}

Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return detail::composed("l1_loss",
                          [&] { return reduced_loss(distance("l1_loss", x, target, reduction), reduction); });
}

Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction, double beta) {
  return detail::composed("smooth_l1_loss", [&] {
    TD_CHECK(beta >= 0, ValueError, "smooth_l1_loss: beta must be >= 0, not ", beta);
    const Tensor d = distance("smooth_l1_loss", x, target, reduction);
    if (beta == 0) return reduced_loss(d, reduction);
    const Tensor near = square(d) * 0.5 / beta;
    return reduced_loss(where(lt(d, number(beta, d)), near, d - 0.5 * beta), reduction);
  });
}

Tensor huber_loss(const Tensor& x, const Tensor& target, Reduction reduction, double delta) {
  return detail::composed("huber_loss", [&] {
    TD_CHECK(delta > 0, ValueError, "huber_loss: delta must be above 0, not ", delta);
    const Tensor d = distance("huber_loss", x, target, reduction);
    return reduced_loss(where(le(d, number(delta, d)), square(d) * 0.5, (d - 0.5 * delta) * delta), reduction);
  });
}

Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  const char* op = "binary_cross_entropy";
  return detail::composed(op, [&] {
    check_pair(op, x, target, reduction);
    check_weight(op, "weight", weight, x);
    check_between(op, "x", x, 0, 1);
    const Tensor each = bernoulli_nll(x, target);
    return reduced_loss(weight.defined() ? each * weight : each, reduction);
  });
}

Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight,
                                        Reduction reduction, const Tensor& pos_weight) {
  const char* op = "binary_cross_entropy_with_logits";
  return detail::composed(op, [&] {
    check_pair(op, x, target, reduction);
    check_weight(op, "weight", weight, x);
    check_weight(op, "pos_weight", pos_weight, x);
    const Tensor each = logit_nll(x, target, pos_weight);
    return reduced_loss(weight.defined() ? each * weight : each, reduction);
  });
}

Tensor kl_div(const Tensor& x, const Tensor& target, Reduction reduction, bool log_target) {
  return detail::composed("kl_div", [&] {
    check_shape("kl_div", "x", x, "target", target);
    if (log_target) return reduced_loss(exp(target) * (target - x), reduction);
    const Tensor certain = where(eq(target, number(0, target)), number(1, target), target);  // 0 log 0 is 0
    return reduced_loss(target * (log(certain) - x), reduction);
  });
}

Tensor gaussian_nll_loss(const Tensor& x, const Tensor& target, const Tensor& var, bool full, double eps,
                         Reduction reduction) {
  const char* op = "gaussian_nll_loss";
  return detail::composed(op, [&] {
    check_pair(op, x, target, reduction);
    detail::check_same(op, "x", x, "var", var);
    TD_CHECK(eps > 0, ValueError, op, ": eps must be above 0, not ", eps);
    Shape shared = x.sizes();
    if (shared.rank() > 0) shared[shared.rank() - 1] = 1;
    Tensor v = var;
    if (v.dim() + 1 == x.dim()) v = unsqueeze(v, -1);
    TD_CHECK(v.sizes() == x.sizes() || v.sizes() == shared, ShapeError, op,
             ": var must have the shape of x, or without its last dimension, or 1 there", arg("x", x), arg("var", var));
    check_between(op, "var", v, 0, std::numeric_limits<double>::infinity());
    {
      Tensor limited;
      {
        const NoGrad pause;
        limited = maximum(v, number(eps, v));
      }
      v = in_place_of(op, v, limited);
    }
    const Tensor each = (log(v) + square(x - target) / v) * 0.5;
    return reduced_loss(full ? each + 0.91893853320467274178 : each, reduction);  // log(2 pi) / 2
  });
}

Tensor poisson_nll_loss(const Tensor& x, const Tensor& target, bool log_input, bool full, double eps,
                        Reduction reduction) {
  return detail::composed("poisson_nll_loss", [&] {
    check_pair("poisson_nll_loss", x, target, reduction);
    TD_CHECK(eps >= 0, ValueError, "poisson_nll_loss: eps must be >= 0, not ", eps);
    Tensor each = log_input ? exp(x) - target * x : x - target * log(x + eps);
    if (full) {  // Stirling's approximation of log(target!), for targets above 1
      const Tensor large = gt(target, number(1, target)), n = where(large, target, number(1, target));
      const Tensor factorial = n * log(n) - n + log(n * 6.28318530717958647692) * 0.5;
      each = each + where(large, factorial, number(0, target));
    }
    return reduced_loss(each, reduction);
  });
}

Tensor soft_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return detail::composed("soft_margin_loss", [&] {
    check_pair("soft_margin_loss", x, target, reduction);
    return reduced_loss(softplus(neg(x * target)), reduction);
  });
}

// A target that is neither 1 nor -1 gets both parts, as in PyTorch.
Tensor hinge_embedding_loss(const Tensor& x, const Tensor& target, double margin, Reduction reduction) {
  return detail::composed("hinge_embedding_loss", [&] {
    check_pair("hinge_embedding_loss", x, target, reduction);
    const Tensor none = number(0, x);
    const Tensor far = where(eq(target, number(1, target)), none, relu(margin - x));
    const Tensor near = where(eq(target, number(-1, target)), none, x);
    return reduced_loss(far + near, reduction);
  });
}

Tensor margin_ranking_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin,
                           Reduction reduction) {
  const char* op = "margin_ranking_loss";
  return detail::composed(op, [&] {
    check_shape(op, "x1", x1, "x2", x2);
    check_shape(op, "x1", x1, "target", target);
    check_reduction(op, reduction);
    return reduced_loss(relu(target * (x2 - x1) + margin), reduction);
  });
}

// ---- rows -----------------------------------------------------------------------------------------------------------
namespace {

void check_row_target(const char* op, const Tensor& x, const Tensor& target) {
  TD_CHECK(x.dim() >= 1, ShapeError, op, ": needs a last dimension to reduce", arg("x", x));
  TD_CHECK(target.device() == x.device(), DeviceError, op, ": devices differ", arg("x", x), arg("target", target));
  Shape shape = x.sizes();
  shape.erase(x.dim() - 1);
  TD_CHECK(target.sizes() == shape, ShapeError, op, ": target must have shape ", to_string(shape), arg("x", x),
           arg("target", target));
}

}  // namespace

Tensor multi_margin_loss(const Tensor& x, const Tensor& target, double p, double margin, const Tensor& weight,
                         Reduction reduction) {
  const char* op = "multi_margin_loss";
  return detail::composed(op, [&] {
    detail::check_real(op, x);
    detail::check_defined(op, "target", target);
    check_reduction(op, reduction);
    TD_CHECK(p == 1 || p == 2, ValueError, op, ": p must be 1 or 2, not ", p);
    TD_CHECK(target.dtype() == DType::i64, DTypeError, op, ": target must be i64 class indices", arg("target", target));
    check_row_target(op, x, target);
    const std::int64_t classes = x.size(-1);
    if (weight.defined()) {
      detail::check_same(op, "x", x, "weight", weight);
      TD_CHECK(weight.sizes() == Shape{classes}, ShapeError, op, ": weight must have one element for each of ", classes,
               " classes", arg("weight", weight));
    }
    const Tensor hot = one_hot(target, classes, DType::boolean), none = number(0, x);
    const Tensor own = gather(x, -1, unsqueeze(target, -1));
    Tensor short_by = where(hot, none, relu(x - own + margin));
    if (p == 2) short_by = square(short_by);
    Tensor each = sum(short_by, {-1}) / static_cast<double>(classes);
    if (weight.defined()) each = each * squeeze(embedding(target, unsqueeze(weight, 1)), -1);
    return reduced_loss(each, reduction);
  });
}

Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  const char* op = "multilabel_margin_loss";
  return detail::composed(op, [&] {
    detail::check_real(op, x);
    detail::check_defined(op, "target", target);
    check_reduction(op, reduction);
    TD_CHECK(target.dtype() == DType::i64, DTypeError, op, ": target must be i64 class indices", arg("target", target));
    TD_CHECK(target.device() == x.device(), DeviceError, op, ": devices differ", arg("x", x), arg("target", target));
    TD_CHECK(x.dim() >= 1 && target.sizes() == x.sizes(), ShapeError, op, ": target must have the shape of x",
             arg("x", x), arg("target", target));
    const std::int64_t classes = x.size(-1);
    if (target.numel() > 0) check_between(op, "target", target, -1, static_cast<double>(classes) - 1);
    const Tensor counts = cumprod(cast(ge(target, 0), DType::i64), -1);  // 1 up to the first -1
    const Tensor own = target * counts, none = number(0, x);
    const Tensor hit = scatter_add(zeros_like(target), -1, own, counts);
    const Tensor apart = logical_and(unsqueeze(gt(counts, 0), -1), unsqueeze(eq(hit, 0), -2));
    const Tensor short_by = relu(1 - unsqueeze(gather(x, -1, own), -1) + unsqueeze(x, -2));  // of [..., label, class]
    return reduced_loss(sum(where(apart, short_by, none), {-2, -1}) / static_cast<double>(classes), reduction);
  });
}

Tensor multilabel_soft_margin_loss(const Tensor& x, const Tensor& target, const Tensor& weight, Reduction reduction) {
  const char* op = "multilabel_soft_margin_loss";
  return detail::composed(op, [&] {
    check_pair(op, x, target, reduction);
    TD_CHECK(x.dim() >= 1, ShapeError, op, ": x needs a last dimension of classes", arg("x", x));
    check_weight(op, "weight", weight, x);
    const Tensor each = logit_nll(x, target, {});
    return reduced_loss(mean(weight.defined() ? each * weight : each, {-1}), reduction);
  });
}

// PyTorch's 1e-12 under the root keeps rows of zeros finite.
Tensor cosine_embedding_loss(const Tensor& x1, const Tensor& x2, const Tensor& target, double margin,
                             Reduction reduction) {
  const char* op = "cosine_embedding_loss";
  return detail::composed(op, [&] {
    check_shape(op, "x1", x1, "x2", x2);
    detail::check_same(op, "x1", x1, "target", target);
    check_row_target(op, x1, target);
    check_reduction(op, reduction);
    const Tensor a = sum(square(x1), {-1}) + 1e-12, b = sum(square(x2), {-1}) + 1e-12;
    const Tensor cosine = sum(x1 * x2, {-1}) / sqrt(a * b), none = number(0, x1);
    const Tensor like = where(eq(target, number(1, target)), 1 - cosine, none);
    const Tensor unlike = where(eq(target, number(-1, target)), relu(cosine - margin), none);
    return reduced_loss(like + unlike, reduction);
  });
}

Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin,
                           double p, double eps, bool swap, Reduction reduction) {
  const char* op = "triplet_margin_loss";
  return detail::composed(op, [&] {
    check_shape(op, "anchor", anchor, "positive", positive);
    check_shape(op, "anchor", anchor, "negative", negative);
    check_reduction(op, reduction);
    const Tensor near = pairwise_distance(anchor, positive, p, eps);
    Tensor far = pairwise_distance(anchor, negative, p, eps);
    if (swap) far = minimum(far, pairwise_distance(positive, negative, p, eps));
    return reduced_loss(relu(near - far + margin), reduction);
  });
}

}  // namespace tapedeck
