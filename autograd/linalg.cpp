// Linear algebra made of products and norms, and the distances of all pairs.
#include <tapedeck/autograd/along.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/distance.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {
namespace {

void check_ranks(const char* op, const Tensor& a, int a_rank, const Tensor& b, int b_rank) {
  detail::check_same(op, "a", a, "b", b);
  TD_CHECK(a.dim() == a_rank && b.dim() == b_rank, ShapeError, op, ": needs ", a_rank, " and ", b_rank, " dimensions",
           arg("a", a), arg("b", b));
}

// beta * x + alpha * product, x broadcast to the product.
Tensor plus_product(const char* op, const Tensor& x, const Tensor& a, const Tensor& b, double beta, double alpha) {
  detail::check_same(op, "x", x, "a", a);
  const Tensor product = matmul(a, b);
  TD_CHECK(broadcast_shapes(op, x.sizes(), product.sizes()) == product.sizes(), ShapeError, op,
           ": x does not broadcast to the product ", to_string(product.sizes()), arg("x", x), arg("a", a), arg("b", b));
  const Tensor y = alpha == 1 ? product : product * alpha;
  return beta == 0 ? y : y + (beta == 1 ? x : x * beta);
}

Tensor norm_along(const char* op, const Tensor& x, double p, int dim, bool keepdim) {
  TD_CHECK(p >= 0, ValueError, op, ": p must be 0 or greater but is ", p, arg("x", x));
  return norm(x, p, {dim}, keepdim);
}

}  // namespace

Tensor mm(const Tensor& a, const Tensor& b) {
  return detail::composed("mm", [&] {
    check_ranks("mm", a, 2, b, 2);
    return matmul(a, b);
  });
}
Tensor mv(const Tensor& a, const Tensor& x) {
  return detail::composed("mv", [&] {
    check_ranks("mv", a, 2, x, 1);
    return matmul(a, x);
  });
}
Tensor bmm(const Tensor& a, const Tensor& b) {
  return detail::composed("bmm", [&] {
    check_ranks("bmm", a, 3, b, 3);
    TD_CHECK(a.size(0) == b.size(0), ShapeError, "bmm: batches of ", a.size(0), " and ", b.size(0), arg("a", a),
             arg("b", b));
    return matmul(a, b);
  });
}
Tensor dot(const Tensor& a, const Tensor& b) {
  return detail::composed("dot", [&] {
    check_ranks("dot", a, 1, b, 1);
    return matmul(a, b);
  });
}
Tensor outer(const Tensor& a, const Tensor& b) {
  return detail::composed("outer", [&] {
    check_ranks("outer", a, 1, b, 1);
    return mul(unsqueeze(a, 1), unsqueeze(b, 0));
  });
}

Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta, double alpha) {
  return detail::composed("addmm", [&]() -> Tensor {
    check_ranks("addmm", a, 2, b, 2);
    detail::check_same("addmm", "x", x, "a", a);
    if (beta == 1 && alpha == 1 && x.sizes() == Shape{b.size(1)} && a.size(1) == b.size(0))
      return linear(a, transpose(b, 0, 1), x);  // the bias is added inside
    return plus_product("addmm", x, a, b, beta, alpha);
  });
}
Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, double beta, double alpha) {
  return detail::composed("baddbmm", [&] {
    check_ranks("baddbmm", a, 3, b, 3);
    TD_CHECK(a.size(0) == b.size(0), ShapeError, "baddbmm: batches of ", a.size(0), " and ", b.size(0), arg("a", a),
             arg("b", b));
    return plus_product("baddbmm", x, a, b, beta, alpha);
  });
}

// ---- distances ------------------------------------------------------------------------------------------------------
namespace {

// x [..., N, M] broadcast over `batch`, as the kernel's [B, N, M] with contiguous rows.
Tensor as_batch(const Tensor& x, const Shape& batch) {
  Shape shape = batch;
  shape.push(x.size(-2));
  shape.push(x.size(-1));
  const Tensor wide = detail::expand(detail::rows_contiguous(x), shape);
  const Shape flat{batch.numel(), x.size(-2), x.size(-1)};
  const Tensor view = detail::try_reshape(wide, flat);
  return view.defined() ? view : detail::try_reshape(detail::packed(wide), flat);
}
Shape batch_of(const Tensor& x) {
  Shape batch = x.sizes();
  batch.erase(x.dim() - 1);
  batch.erase(x.dim() - 2);
  return batch;
}

// The gradient of x1, for x1 the rows of gy and y.
void give_distance(Grads& g, int i, const Tensor& gy, const Tensor& x1, const Tensor& x2, const Tensor& y, double p) {
  Shape batch = batch_of(y), shape = batch;
  shape.push(x1.size(-2));
  shape.push(x1.size(-1));
  const Tensor gx = empty(shape, x1.options());
  const Shape flat{batch.numel(), x1.size(-2), x2.size(-2)};
  if (gx.numel() > 0)
    kernels::cdist_backward(
        gy.device(), {detail::try_reshape(gy, flat), as_batch(x1, batch), as_batch(x2, batch),
                      detail::try_reshape(y, flat), detail::try_reshape(gx, {flat[0], flat[1], x1.size(-1)}), p});
  g.give(i, sum_to(gx, g.shape(i)));
}

}  // namespace

Tensor cdist(const Tensor& x1, const Tensor& x2, double p) {
  detail::check_same("cdist", "x1", x1, "x2", x2);
  detail::check_real("cdist", x1, "x1");
  TD_CHECK(p >= 0, ValueError, "cdist: p must be 0 or greater but is ", p);
  TD_CHECK(x1.dim() >= 2 && x2.dim() >= 2 && x1.size(-1) == x2.size(-1), ShapeError,
           "cdist: needs [..., P, M] and [..., R, M] with rows of one length", arg("x1", x1), arg("x2", x2));
  const Shape batch = broadcast_shapes("cdist", batch_of(x1), batch_of(x2));
  Shape shape = batch;
  shape.push(x1.size(-2));
  shape.push(x2.size(-2));
  const Tensor y = empty(shape, x1.options());
  if (y.numel() > 0)
    kernels::cdist(x1.device(), {as_batch(x1, batch), as_batch(x2, batch),
                                 detail::try_reshape(y, {batch.numel(), x1.size(-2), x2.size(-2)}), p});
  record("cdist", y, {&x1, &x2},
         [x1 = save(x1, "x1"), x2 = save(x2, "x2"), y = save(y, "y"), p](const Tensor& gy, Grads& g) {
           TD_CHECK(!g.graph(), TapeError, "cdist: this op has no gradient of its gradient");
           const Tensor whole = detail::packed(gy);
           const auto turned = [](const Tensor& t) { return detail::packed(detail::transpose(t, -1, -2)); };
           if (g.wants(0)) give_distance(g, 0, whole, x1.get(), x2.get(), y.get(), p);
           if (g.wants(1)) give_distance(g, 1, turned(whole), x2.get(), x1.get(), turned(y.get()), p);
         });
  return y;
}

Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps, bool keepdim) {
  return detail::composed("pairwise_distance", [&] {
    detail::check_same("pairwise_distance", "x1", x1, "x2", x2);
    detail::check_real("pairwise_distance", x1, "x1");
    TD_CHECK(x1.dim() >= 1 && x2.dim() >= 1, ShapeError, "pairwise_distance: needs a last dimension to sum over",
             arg("x1", x1), arg("x2", x2));
    return norm_along("pairwise_distance", (x1 - x2) + eps, p, -1, keepdim);
  });
}

Tensor normalize(const Tensor& x, double p, int dim, double eps) {
  return detail::composed("normalize", [&] {
    detail::check_real("normalize", x);
    TD_CHECK(eps >= 0, ValueError, "normalize: eps must be 0 or greater but is ", eps, arg("x", x));
    return detail::along("normalize", x, dim, [&](const Tensor& line, int d) {
      return line / clamp(norm_along("normalize", line, p, d, true), eps);
    });
  });
}

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, int dim, double eps) {
  return detail::composed("cosine_similarity", [&]() -> Tensor {
    detail::check_same("cosine_similarity", "x1", x1, "x2", x2);
    detail::check_real("cosine_similarity", x1, "x1");
    const Shape shape = broadcast_shapes("cosine_similarity", x1.sizes(), x2.sizes());
    if (shape.rank() == 0) return cosine_similarity(reshape(x1, {1}), reshape(x2, {1}), dim, eps);
    dim = normalize_dim("cosine_similarity", dim, shape.rank());
    // Norms before broadcasting, but for the dimension that they run along.
    const auto direction = [&](Tensor x) {
      while (x.dim() < shape.rank()) x = unsqueeze(x, 0);
      Shape wide = x.sizes();
      wide[dim] = shape[dim];
      return normalize(expand(x, wide), 2, dim, eps);
    };
    return sum(direction(x1) * direction(x2), {dim});
  });
}

}  // namespace tapedeck
