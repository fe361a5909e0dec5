// Reductions. Rules rebuild the kept-dimension shape from the input's shape and the reduced dimensions.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>

namespace tapedeck {
namespace {

using kernels::KernelSlot;
using kernels::ReduceArgs;

// Bit d for every dimension to reduce; no dims means all of them.
std::uint32_t dim_mask(const char* op, const Tensor& x, const std::vector<int>& dims) {
  detail::check_defined(op, "x", x);
  if (dims.empty()) return (1u << x.dim()) - 1u;
  std::uint32_t mask = 0;
  for (const int d : dims) {
    const std::uint32_t bit = 1u << normalize_dim(op, d, x.dim());
    TD_CHECK(!(mask & bit), ValueError, op, ": dimension ", d, " is given twice", arg("x", x));
    mask |= bit;
  }
  return mask;
}

Shape reduced(const Shape& shape, std::uint32_t mask, bool keepdim) {
  Shape out;
  for (int d = 0; d < shape.rank(); ++d) {
    if (!(mask >> d & 1u))
      out.push(shape[d]);
    else if (keepdim)
      out.push(1);
  }
  return out;
}

Tensor reduce(const KernelSlot<ReduceArgs>& f, const Tensor& x, std::uint32_t mask, bool keepdim, DType dtype) {
  const Tensor y = empty(reduced(x.sizes(), mask, true), {dtype, x.device()});
  f(x.device(), {x, y, mask});
  return keepdim ? y : detail::try_reshape(y, reduced(x.sizes(), mask, false));
}

Tensor with_dims(const Tensor& y, const Shape& shape, std::uint32_t mask) {
  return reshape(y, reduced(shape, mask, true));
}

void check_not_empty(const char* op, const Tensor& x, std::uint32_t mask) {
  for (int d = 0; d < x.dim(); ++d)
    TD_CHECK(!(mask >> d & 1u) || x.sizes()[d] > 0, ShapeError, op, ": nothing to choose from in dimension ", d,
             arg("x", x));
}

// amax and amin: the gradient is shared evenly by all that are equal to the result.
Tensor extreme(const char* op, const KernelSlot<ReduceArgs>& f, const Tensor& x, const std::vector<int>& dims,
               bool keepdim) {
  const std::uint32_t mask = dim_mask(op, x, dims);
  check_not_empty(op, x, mask);
  const Tensor y = reduce(f, x, mask, keepdim, x.dtype());
  record(op, y, {&x}, [x = save(x, "x"), y = save(y, "y"), mask](const Tensor& gy, Grads& g) {
    const Shape& shape = x.get().sizes();
    const Tensor chosen = cast(eq(x.get(), with_dims(y.get(), shape, mask)), gy.dtype());
    const Tensor count = sum_to(chosen, reduced(shape, mask, true));
    g.give(0, chosen * (with_dims(gy, shape, mask) / count));
  });
  return y;
}

Tensor arg_extreme(const char* op, const KernelSlot<kernels::ArgArgs>& f, const Tensor& x, int dim, bool keepdim) {
  const std::uint32_t mask = dim_mask(op, x, {dim});
  check_not_empty(op, x, mask);
  const Tensor y = empty(reduced(x.sizes(), mask, true), {DType::i64, x.device()});
  f(x.device(), {x, y, normalize_dim(op, dim, x.dim())});
  return keepdim ? y : detail::try_reshape(y, reduced(x.sizes(), mask, false));
}

}  // namespace

Tensor sum(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  const std::uint32_t mask = dim_mask("sum", x, dims);
  const Tensor y = reduce(kernels::sum, x, mask, keepdim, is_real(x.dtype()) ? x.dtype() : DType::i64);
  record("sum", y, {&x}, [mask](const Tensor& gy, Grads& g) {
    const Shape shape = g.shape(0);
    g.give(0, expand(with_dims(gy, shape, mask), shape));
  });
  return y;
}

Tensor mean(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  detail::check_real("mean", x);
  const Tensor total = sum(x, dims, keepdim);
  return div(total, static_cast<double>(x.numel()) / static_cast<double>(total.numel()));
}

Tensor amax(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return extreme("amax", kernels::amax, x, dims, keepdim);
}

Tensor amin(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return extreme("amin", kernels::amin, x, dims, keepdim);
}

// Two passes: the squares of what differs from the mean.
Tensor var(const Tensor& x, const std::vector<int>& dims, bool keepdim, bool unbiased) {
  detail::check_real("var", x);
  const std::uint32_t mask = dim_mask("var", x, dims);
  std::int64_t count = 1;
  for (int d = 0; d < x.dim(); ++d) count *= mask >> d & 1u ? x.sizes()[d] : 1;
  const Tensor total = sum(square(x - mean(x, dims, true)), dims, keepdim);
  return div(total, static_cast<double>(std::max<std::int64_t>(count - (unbiased ? 1 : 0), 0)));
}

Tensor argmax(const Tensor& x, int dim, bool keepdim) {
  return arg_extreme("argmax", kernels::argmax, x, dim, keepdim);
}
Tensor argmin(const Tensor& x, int dim, bool keepdim) {
  return arg_extreme("argmin", kernels::argmin, x, dim, keepdim);
}

Tensor logsumexp(const Tensor& x, int dim, bool keepdim) {
  detail::check_real("logsumexp", x);
  dim = normalize_dim("logsumexp", dim, x.dim());
  if (dim != x.dim() - 1) {
    const Tensor y = transpose(logsumexp(transpose(x, dim, -1), -1, true), dim, -1);
    return keepdim ? y : squeeze(y, dim);
  }
  const std::uint32_t mask = 1u << dim;
  Tensor y = empty(reduced(x.sizes(), mask, true), x.options());
  kernels::logsumexp(x.device(), {detail::rows_contiguous(x), y});
  if (!keepdim) y = detail::squeeze(y, dim);
  record("logsumexp", y, {&x}, [x = save(x, "x"), y = save(y, "y"), mask](const Tensor& gy, Grads& g) {
    const Shape& shape = x.get().sizes();
    g.give(0, with_dims(gy, shape, mask) * exp(x.get() - with_dims(y.get(), shape, mask)));
  });
  return y;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  detail::check_defined("sum_to", "x", x);
  if (x.sizes() == shape) return x;
  TD_CHECK(broadcast_shapes("sum_to", x.sizes(), shape) == x.sizes(), ShapeError, "sum_to: ", to_string(shape),
           " does not broadcast to x", arg("x", x));
  const int lead = x.dim() - shape.rank();
  std::vector<int> dims;
  for (int d = 0; d < x.dim(); ++d)
    if (d < lead || (shape[d - lead] == 1 && x.sizes()[d] != 1)) dims.push_back(d);
  return reshape(sum(x, dims, true), shape);
}

}  // namespace tapedeck
