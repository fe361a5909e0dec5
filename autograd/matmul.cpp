// Matrix products. Gradients are products too, and accumulate in place where a parameter waits for them.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/matmul.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>

namespace tapedeck {
namespace {

Shape batch_of(const Tensor& x) {
  Shape batch = x.sizes();
  batch.erase(x.dim() - 1);
  batch.erase(x.dim() - 2);
  return batch;
}

// The batch dimensions of a product, merged as far as the strides of a, b and y allow. Strides count elements.
struct Batches {
  static constexpr int kOperands = 3;
  int rank = 0;
  std::int64_t sizes[kMaxRank], strides[kOperands][kMaxRank];

  Batches(const Tensor* const (&x)[kOperands], int dims) {
    for (int d = 0; d < dims; ++d) {
      const std::int64_t size = x[2]->sizes()[d];
      if (size == 1) continue;
      std::int64_t step[kOperands];
      bool merge = rank > 0;
      for (int k = 0; k < kOperands; ++k) {
        const int at = d - (dims + 2 - x[k]->dim());
        step[k] = at < 0 || x[k]->sizes()[at] == 1 ? 0 : x[k]->strides()[at];
        merge = merge && strides[k][rank - 1] == step[k] * size;
      }
      if (!merge) sizes[rank++] = 1;
      sizes[rank - 1] *= size;
      for (int k = 0; k < kOperands; ++k) strides[k][rank - 1] = step[k];
    }
    if (rank == 0) {
      sizes[rank++] = 1;
      for (auto& s : strides) s[0] = 0;
    }
  }
};

// y [..., M, N] = a @ b + beta * y + bias, the batches of a and b broadcast to y's. Nothing is copied: the longest
// merged batch dimension goes to the kernel, which is called for each index of the others.
void product(const Tensor& a, const Tensor& b, const Tensor& bias, const Tensor& y, double beta,
             const kernels::KernelSlot<kernels::MatmulArgs>& slot = kernels::matmul) {
  if (y.numel() == 0) return;
  const Tensor* const operands[] = {&a, &b, &y};
  const Batches batches(operands, y.dim() - 2);
  const int inner = static_cast<int>(std::max_element(batches.sizes, batches.sizes + batches.rank) - batches.sizes);
  kernels::MatmulArgs args{{}, {}, bias, {}, beta};
  TensorView* const views[] = {&args.a, &args.b, &args.y};
  for (int k = 0; k < 3; ++k) {
    const Tensor& x = *operands[k];
    TensorView& v = *views[k];
    v.data = x.data(), v.dtype = x.dtype(), v.device = x.device(), v.rank = 3;
    v.sizes[0] = batches.sizes[inner], v.sizes[1] = x.size(-2), v.sizes[2] = x.size(-1);
    v.strides[0] = batches.strides[k][inner];
    v.strides[1] = x.strides()[x.dim() - 2], v.strides[2] = x.strides()[x.dim() - 1];
  }
  std::int64_t index[kMaxRank] = {};
  for (;;) {
    slot(y.device(), args);
    int d = batches.rank - 1;
    for (; d >= 0; --d) {
      if (d == inner) continue;
      const bool more = ++index[d] < batches.sizes[d];
      const std::int64_t move = more ? 1 : 1 - batches.sizes[d];
      for (int k = 0; k < 3; ++k)
        views[k]->data = static_cast<char*>(views[k]->data) +
                         move * batches.strides[k][d] * static_cast<std::int64_t>(size_of(y.dtype()));
      if (more) break;
      index[d] = 0;
    }
    if (d < 0) return;
  }
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
void linear_product(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y, double beta,
                    const kernels::KernelSlot<kernels::MatmulArgs>& slot = kernels::matmul) {
  const Tensor flat = flat_view(x);
  product(flat.defined() ? flat : x, w, bias, flat.defined() ? flat_view(y) : y, beta, slot);
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

// The slot's product of x, with the checks and shapes of linear(), whose name errors have.
Tensor linear_by(const char* op, const kernels::KernelSlot<kernels::MatmulArgs>& slot, const Tensor& x,
                 const Tensor& weight, const Tensor& bias) {
  detail::check_same(op, "x", x, "weight", weight);
  detail::check_real(op, x);
  TD_CHECK(x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1), ShapeError, op,
           ": the weight [out, in] must have as many inputs as x has channels", arg("x", x), arg("weight", weight));
  if (bias.defined()) {
    detail::check_same(op, "x", x, "bias", bias);
    TD_CHECK(bias.sizes() == Shape{weight.size(0)}, ShapeError, op, ": the bias must be [", weight.size(0), "]",
             arg("bias", bias), arg("weight", weight));
  }
  Shape shape = x.sizes();
  shape[x.dim() - 1] = weight.size(0);
  const Tensor y = empty(shape, x.options());
  linear_product(x, detail::transpose(weight, 0, 1), detail::packed(bias), y, 0, slot);
  return y;
}
// From the gradient of the sums: those of x (0), the weight (1) and the bias (2).
void give_linear(Grads& g, const Tensor& gy, const Saved& x, const Saved& w) {
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
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor y = linear_by("linear", kernels::matmul, x, weight, bias);
  record("linear", y, {&x, &weight, &bias},
         [x = detail::save_for(weight, x, "x"), w = detail::save_for(x, weight, "weight")](const Tensor& gy, Grads& g) {
           give_linear(g, gy, x, w);
         });
  return y;
}

Tensor linear_relu(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor y = linear_by("linear_relu", kernels::matmul_relu, x, weight, bias);
  record("linear_relu", y, {&x, &weight, &bias},
         [x = detail::save_for(weight, x, "x"), w = detail::save_for(x, weight, "weight"), y = save(y, "y")](
             const Tensor& gy, Grads& g) {
           const Tensor& made = y.get();  // it is positive where the sum is
           if (g.graph()) return give_linear(g, mul(gy, cast(gt(made, 0), gy.dtype())), x, w);
           const Tensor gz = g.over_gy();
           kernels::relu_backward(gy.device(), {gy, made, made, gz});
           give_linear(g, gz, x, w);
         });
  return y;
}

}  // namespace tapedeck
