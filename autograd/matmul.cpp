// Matrix products. Gradients are products too, and accumulate in place where a parameter waits for them.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/matmul.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {
namespace {

Shape batch_of(const Tensor& x) {
  Shape batch = x.sizes();
  batch.erase(x.dim() - 1);
  batch.erase(x.dim() - 2);
  return batch;
}

// x [..., R, C] broadcast over `batch`, as the kernel's [B, R, C]; a copy only when no strides say that.
Tensor as_batch(const Tensor& x, const Shape& batch) {
  Shape shape = batch;
  shape.push(x.size(-2));
  shape.push(x.size(-1));
  const Tensor wide = detail::expand(x, shape);
  const Shape flat{batch.numel(), x.size(-2), x.size(-1)};
  const Tensor view = detail::try_reshape(wide, flat);
  return view.defined() ? view : detail::try_reshape(detail::packed(wide), flat);
}

// y [..., M, N] (contiguous) = a @ b + beta * y + bias, the batches of a and b broadcast to y's.
void product(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& y, double beta) {
  if (y.numel() == 0) return;
  const Shape batch = batch_of(y);
  kernels::matmul(y.device(), {as_batch(a, batch), as_batch(b, batch), bias, as_batch(y, batch), beta});
}

// Gives input i the gradient l @ r, summed over the batches that i was broadcast over.
void give_product(Grads& g, int i, const Tensor& l, const Tensor& r) {
  const Shape shape = g.shape(i);
  Shape batch = broadcast_shapes("matmul", batch_of(l), batch_of(r));
  batch.push(l.size(-2));
  batch.push(r.size(-1));
  if (g.graph() || batch != shape) return g.give(i, sum_to(matmul(l, r), shape));
  const auto [buffer, beta] = g.into(i);
  product(l, r, {}, buffer, beta);
}

// x [..., C] as [N, C] when its strides allow, else undefined.
Tensor flat_view(const Tensor& x) { return detail::try_reshape(x, {detail::row_count(x), x.size(-1)}); }

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  detail::check_same("matmul", "a", a, "b", b);
  detail::check_real("matmul", a, "a");
  TD_CHECK(a.dim() >= 1 && b.dim() >= 1, ShapeError, "matmul: operands need at least one dimension", arg("a", a),
           arg("b", b));
  const std::int64_t inner = b.size(b.dim() > 1 ? -2 : -1);
  TD_CHECK(a.size(-1) == inner, ShapeError, "matmul: a has ", a.size(-1), " columns but b has ", inner, " rows",
           arg("a", a), arg("b", b));
  if (a.dim() == 1) return squeeze(matmul(unsqueeze(a, 0), b), b.dim() == 1 ? 0 : -2);
  if (b.dim() == 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  if (a.dim() > 2 && b.dim() == 2) {  // one large product instead of many small ones
    if (flat_view(a).defined()) {
      Shape shape = a.sizes();
      shape[a.dim() - 1] = b.size(1);
      return reshape(matmul(reshape(a, {detail::row_count(a), inner}), b), shape);
    }
  }
  Shape shape = broadcast_shapes("matmul", batch_of(a), batch_of(b));
  shape.push(a.size(-2));
  shape.push(b.size(-1));
  const Tensor y = empty(shape, a.options());
  product(a, b, {}, y, 0);
  record("matmul", y, {&a, &b},
         [a = detail::save_for(b, a, "a"), b = detail::save_for(a, b, "b")](const Tensor& gy, Grads& g) {
           if (g.wants(0)) give_product(g, 0, gy, transpose(b.get(), -1, -2));
           if (g.wants(1)) give_product(g, 1, transpose(a.get(), -1, -2), gy);
         });
  return y;
}

namespace {

// y [..., O] = x [..., I] @ w [I, O] + beta * y + bias; y is contiguous.
void linear_product(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y, double beta) {
  const Tensor flat = flat_view(x);
  product(flat.defined() ? flat : x, w, bias, flat.defined() ? flat_view(y) : y, beta);
}

// gw [O, I] = beta * gw + the sum over rows of gy[r, o] * x[r, i]. Rows that no one stride walks (a part of the time of
// each recording) go to the convolution of width 1, which adds in the same order.
void linear_weight_product(const Tensor& gy, const Tensor& x, const Tensor& gw, double beta) {
  const Tensor gy_flat = flat_view(gy), x_flat = flat_view(x);
  if (gy_flat.defined() && x_flat.defined()) return product(detail::transpose(gy_flat, 0, 1), x_flat, {}, gw, beta);
  if (x.dim() == 3)
    return kernels::conv1d_weight_grad(
        gy.device(), {detail::rows_contiguous(gy), detail::rows_contiguous(x), detail::unsqueeze(gw, 2), {}, beta});
  product(detail::transpose(detail::as_rows(gy), 0, 1), detail::as_rows(x), {}, gw, beta);
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  detail::check_same("linear", "x", x, "weight", weight);
  detail::check_real("linear", x);
  TD_CHECK(x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1), ShapeError,
           "linear: the weight [out, in] must have as many inputs as x has channels", arg("x", x),
           arg("weight", weight));
  if (bias.defined()) {
    detail::check_same("linear", "x", x, "bias", bias);
    TD_CHECK(bias.sizes() == Shape{weight.size(0)}, ShapeError, "linear: the bias must be [", weight.size(0), "]",
             arg("bias", bias), arg("weight", weight));
  }
  Shape shape = x.sizes();
  shape[x.dim() - 1] = weight.size(0);
  const Tensor y = empty(shape, x.options());
  linear_product(x, detail::transpose(weight, 0, 1), detail::packed(bias), y, 0);
  record(
      "linear", y, {&x, &weight, &bias},
      [x = detail::save_for(weight, x, "x"), w = detail::save_for(x, weight, "weight")](const Tensor& gy, Grads& g) {
        if (g.wants(2)) g.give(2, sum_to(gy, g.shape(2)));
        if (g.graph()) {
          if (g.wants(0)) g.give(0, matmul(gy, w.get()));
          if (g.wants(1)) {
            const std::int64_t n = detail::row_count(gy);
            g.give(1, matmul(transpose(reshape(gy, {n, gy.size(-1)}), 0, 1), reshape(x.get(), {n, x.get().size(-1)})));
          }
          return;
        }
        if (g.wants(0)) {
          const auto [buffer, beta] = g.into(0);
          linear_product(gy, w.get(), {}, buffer, beta);
        }
        if (g.wants(1)) {
          const auto [buffer, beta] = g.into(1);
          linear_weight_product(gy, x.get(), buffer, beta);
        }
      });
  return y;
}

}  // namespace tapedeck
