// Reductions. Rules rebuild the kept-dimension shape from the input's shape and the reduced dimensions.
#include <tapedeck/autograd/along.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>

namespace tapedeck {
namespace {

using kernels::KernelSlot;
using kernels::ReduceArgs;

// Bit d for every dimension to reduce; no dims means all of them. A 0-d tensor takes dimension 0 as one of size 1.
std::uint32_t dim_mask(const char* op, const Tensor& x, const std::vector<int>& dims) {
  detail::check_defined(op, "x", x);
  if (dims.empty()) return (1u << x.dim()) - 1u;
  std::uint32_t mask = 0;
  for (const int d : dims) {
    const std::uint32_t bit = 1u << normalize_dim(op, d, std::max(x.dim(), 1));
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

// How many elements of x each result is made of.
std::int64_t count_of(const Tensor& x, std::uint32_t mask) {
  std::int64_t count = 1;
  for (int d = 0; d < x.dim(); ++d) count *= mask >> d & 1u ? x.sizes()[d] : 1;
  return count;
}

Tensor number(double value, const Tensor& like) { return scalar(value, like.options()); }
Tensor is_zero(const Tensor& x) { return eq(x, number(0, x)); }
Tensor is_nan(const Tensor& x) { return ne(x, x); }

// amax and amin: the gradient is shared evenly by all that are equal to the result, which may be NaN.
Tensor extreme(const char* op, const KernelSlot<ReduceArgs>& f, const Tensor& x, const std::vector<int>& dims,
               bool keepdim) {
  const std::uint32_t mask = dim_mask(op, x, dims);
  check_not_empty(op, x, mask);
  const Tensor y = reduce(f, x, mask, keepdim, x.dtype());
  record(op, y, {&x}, [x = save(x, "x"), y = save(y, "y"), mask](const Tensor& gy, Grads& g) {
    const Shape& shape = x.get().sizes();
    const Tensor equal = cast(eq(x.get(), with_dims(y.get(), shape, mask)), gy.dtype());
    const Tensor chosen = where(is_nan(x.get()), number(1, gy), equal);
    const Tensor count = sum_to(chosen, reduced(shape, mask, true));
    g.give(0, chosen * (with_dims(gy, shape, mask) / count));
  });
  return y;
}

Tensor arg_extreme(const char* op, const KernelSlot<kernels::ArgArgs>& f, const Tensor& x, std::optional<int> dim,
                   bool keepdim) {
  const std::uint32_t mask = dim_mask(op, x, dim ? std::vector{*dim} : std::vector<int>{});
  check_not_empty(op, x, mask);
  const Tensor y = empty(reduced(x.sizes(), mask, true), {DType::i64, x.device()});
  if (dim && x.dim() > 0) {
    f(x.device(), {x, y, normalize_dim(op, *dim, x.dim())});
  } else {
    const Tensor line = detail::try_reshape(detail::packed(x), {x.numel()});
    f(x.device(), {line, detail::try_reshape(y, {1}), 0});
  }
  return keepdim ? y : detail::try_reshape(y, reduced(x.sizes(), mask, false));
}

// max and min along one dimension: the place, and the element that stands there.
ValuesIndices extreme_along(const char* op, const KernelSlot<kernels::ArgArgs>& f, const Tensor& x, int dim,
                            bool keepdim) {
  const Tensor indices = arg_extreme(op, f, x, dim, true), values = gather(x, dim, indices);
  if (keepdim || x.dim() == 0) return {values, indices};
  return {squeeze(values, dim), detail::squeeze(indices, dim)};
}

// Its gradient is 0 where y is 0: the deviation of equal elements.
Tensor root_of_variance(const Tensor& variance) {
  Tensor y;
  {
    const NoGrad pause;
    y = sqrt(variance);
  }
  record("std", y, {&variance}, [y = save(y, "y")](const Tensor& gy, Grads& g) {
    const Tensor flat = is_zero(y.get()), slope = 0.5 / where(flat, number(1, gy), y.get());
    g.give(0, where(flat, number(0, gy), gy * slope));
  });
  return y;
}

// Two passes: the squares of what differs from the mean.
VarMean moments(const char* op, const Tensor& x, const std::vector<int>& dims, bool keepdim, double correction) {
  detail::check_real(op, x);
  const std::uint32_t mask = dim_mask(op, x, dims);
  return detail::composed(op, [&]() -> VarMean {
    const Tensor centre = mean(x, dims, true), total = sum(square(x - centre), dims, keepdim);
    const double freedom = std::max(static_cast<double>(count_of(x, mask)) - correction, 0.);
    return {div(total, freedom), keepdim ? centre : reshape(centre, total.sizes())};
  });
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
  return detail::composed("mean", [&] {
    if (size_of(x.dtype()) == 2) return cast(mean(cast(x, DType::f32), dims, keepdim), x.dtype());  // rounded once
    const Tensor total = sum(x, dims, keepdim);
    return div(total, static_cast<double>(x.numel()) / static_cast<double>(total.numel()));
  });
}

Tensor nansum(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return detail::composed("nansum", [&] {
    detail::check_defined("nansum", "x", x);
    return sum(is_real(x.dtype()) ? where(isnan(x), 0, x) : x, dims, keepdim);
  });
}

Tensor nanmean(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  detail::check_real("nanmean", x);
  return detail::composed("nanmean", [&] {
    const Tensor count = sum(logical_not(isnan(x)), dims, keepdim);
    return nansum(x, dims, keepdim) / cast(count, x.dtype());
  });
}

Tensor prod(const Tensor& x, int dim, bool keepdim) {
  const std::uint32_t mask = dim_mask("prod", x, {dim});
  const Tensor y = reduce(kernels::prod, x, mask, keepdim, is_real(x.dtype()) ? x.dtype() : DType::i64);
  record("prod", y, {&x}, [x = save(x, "x"), mask, dim](const Tensor& gy, Grads& g) {
    g.give(0, with_dims(gy, x.get().sizes(), mask) * detail::product_of_others(x.get(), dim));
  });
  return y;
}

Tensor prod(const Tensor& x) {
  detail::check_defined("prod", "x", x);
  return detail::composed("prod", [&] { return prod(reshape(x, {x.numel()}), 0); });
}

Tensor amax(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return extreme("amax", kernels::amax, x, dims, keepdim);
}
Tensor amin(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return extreme("amin", kernels::amin, x, dims, keepdim);
}
Tensor max(const Tensor& x) { return extreme("max", kernels::amax, x, {}, false); }
Tensor min(const Tensor& x) { return extreme("min", kernels::amin, x, {}, false); }
ValuesIndices max(const Tensor& x, int dim, bool keepdim) {
  return extreme_along("max", kernels::argmax, x, dim, keepdim);
}
ValuesIndices min(const Tensor& x, int dim, bool keepdim) {
  return extreme_along("min", kernels::argmin, x, dim, keepdim);
}
Tensor argmax(const Tensor& x, std::optional<int> dim, bool keepdim) {
  return arg_extreme("argmax", kernels::argmax, x, dim, keepdim);
}
Tensor argmin(const Tensor& x, std::optional<int> dim, bool keepdim) {
  return arg_extreme("argmin", kernels::argmin, x, dim, keepdim);
}

Tensor var(const Tensor& x, const std::vector<int>& dims, bool keepdim, double correction) {
  return moments("var", x, dims, keepdim, correction).var;
}
Tensor std(const Tensor& x, const std::vector<int>& dims, bool keepdim, double correction) {
  return root_of_variance(moments("std", x, dims, keepdim, correction).var);
}
VarMean var_mean(const Tensor& x, const std::vector<int>& dims, bool keepdim, double correction) {
  return moments("var_mean", x, dims, keepdim, correction);
}
StdMean std_mean(const Tensor& x, const std::vector<int>& dims, bool keepdim, double correction) {
  const VarMean m = moments("std_mean", x, dims, keepdim, correction);
  return {root_of_variance(m.var), m.mean};
}

namespace {

Tensor norm_value(const Tensor& x, double p, const std::vector<int>& dims, std::uint32_t mask, bool keepdim) {
  if (p == 2) return reduce(kernels::norm, x, mask, keepdim, x.dtype());
  if (p == 1) return sum(abs(x), dims, keepdim);
  if (p == 0) return sum(cast(ne(x, number(0, x)), x.dtype()), dims, keepdim);
  if (!std::isinf(p)) return pow(sum(pow(abs(x), p), dims, keepdim), 1 / p);
  if (count_of(x, mask) == 0) return full(reduced(x.sizes(), mask, keepdim), p > 0 ? 0 : -p, x.options());
  return p > 0 ? amax(abs(x), dims, keepdim) : amin(abs(x), dims, keepdim);
}

}  // namespace

// d/dx = sign(x) (|x| / y)^(p - 1), which neither overflows nor divides by 0.
Tensor norm(const Tensor& x, double p, const std::vector<int>& dims, bool keepdim) {
  detail::check_real("norm", x);
  TD_CHECK(!std::isnan(p), ValueError, "norm: p must be a number, inf or -inf, got NaN");
  const std::uint32_t mask = dim_mask("norm", x, dims);
  const Tensor y = detail::composed("norm", [&] {
    const NoGrad pause;
    return norm_value(x, p, dims, mask, keepdim);
  });
  record("norm", y, {&x}, [x = save(x, "x"), y = save(y, "y"), p, mask](const Tensor& gy, Grads& g) {
    const Tensor& v = x.get();
    const Tensor incoming = with_dims(gy, v.sizes(), mask), size = with_dims(y.get(), v.sizes(), mask);
    const Tensor zero = number(0, v), one = number(1, v), flat = is_zero(size);
    if (p == 0) return g.give(0, zeros_like(v));
    const Tensor sign = cast(gt(v, zero), v.dtype()) - cast(lt(v, zero), v.dtype());
    if (p == 1) return g.give(0, sign * incoming);
    if (std::isinf(p)) {
      const Tensor chosen = cast(eq(abs(v), size), v.dtype());
      return g.give(0, sign * chosen * (incoming / sum_to(chosen, size.sizes())));
    }
    const Tensor divisor = where(flat, one, size);
    const Tensor there = where(flat, zero, incoming);  // 0 where the norm is
    if (p == 2) return g.give(0, v / divisor * there);
    const Tensor here = p < 1 ? where(is_zero(v), one, abs(v)) : abs(v);
    g.give(0, sign * pow(here / divisor, p - 1) * there);
  });
  return y;
}

Tensor logsumexp(const Tensor& x, int dim, bool keepdim) {
  detail::check_real("logsumexp", x);
  dim = normalize_dim("logsumexp", dim, std::max(x.dim(), 1));
  if (x.dim() == 0) return logsumexp(x, std::vector<int>{}, keepdim);
  if (dim != x.dim() - 1)
    return detail::composed("logsumexp", [&] {
      const Tensor y = transpose(logsumexp(transpose(x, dim, -1), -1, true), dim, -1);
      return keepdim ? y : squeeze(y, dim);
    });
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

// The reduced dimensions as one last dimension.
Tensor logsumexp(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  detail::check_real("logsumexp", x);
  const std::uint32_t mask = dim_mask("logsumexp", x, dims);
  if (dims.size() == 1 && x.dim() > 0) return logsumexp(x, dims[0], keepdim);
  std::vector<int> order;
  for (const bool last : {false, true})
    for (int d = 0; d < x.dim(); ++d)
      if ((mask >> d & 1u) == (last ? 1u : 0u)) order.push_back(d);
  Shape rows = reduced(x.sizes(), mask, false);
  rows.push(count_of(x, mask));
  return detail::composed("logsumexp", [&] {
    return reshape(logsumexp(reshape(permute(x, order), rows), -1), reduced(x.sizes(), mask, keepdim));
  });
}

namespace {

// How many elements are 0, or are not.
Tensor count(const char* op, const Tensor& x, bool zeros, const std::vector<int>& dims, bool keepdim) {
  dim_mask(op, x, dims);
  return detail::composed(op, [&] {
    const NoGrad pause;
    return sum(zeros ? is_zero(x) : ne(x, number(0, x)), dims, keepdim);
  });
}

}  // namespace

Tensor count_nonzero(const Tensor& x, const std::vector<int>& dims) {
  return count("count_nonzero", x, false, dims, false);
}
Tensor any(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  const Tensor n = count("any", x, false, dims, keepdim);
  return ne(n, number(0, n));
}
Tensor all(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return is_zero(count("all", x, true, dims, keepdim));
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
  return detail::composed("sum_to", [&] { return reshape(sum(x, dims, true), shape); });
}

}  // namespace tapedeck
