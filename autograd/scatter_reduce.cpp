// Scatter with reductions: what meets at a place is summed, multiplied, averaged, or the largest or smallest stays.
#include <tapedeck/autograd/index_lines.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>
#include <tapedeck/tensor/detail_views.h>

#include <limits>

namespace tapedeck {
namespace {

using kernels::Meet;

Tensor number(double value, const Tensor& like) { return scalar(value, like.options()); }
Tensor is_zero(const Tensor& x) { return eq(x, number(0, x)); }
Tensor as_number(const Tensor& condition, const Tensor& like) { return cast(condition, like.dtype()); }

// What changes nothing: the start of a place that does not count what it held.
Tensor neutral(const Tensor& x, Meet op) {
  if (op == Meet::prod) return number(1, x);
  const bool most = op == Meet::amin;
  constexpr double inf = std::numeric_limits<double>::infinity();
  if (is_real(x.dtype())) return number(most ? inf : -inf, x);
  return visit(x.dtype(),
               [&](auto zero) {
                 using T = decltype(zero);
                 if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
                   return tensor(
                       std::vector<T>{most ? std::numeric_limits<T>::max() : std::numeric_limits<T>::lowest()}, {});
                 else
                   return Tensor();
               })
      .to(x.device());
}

// d/dv of a product: the product of all others, from that of what is not 0 and how many are 0.
Tensor others(const Tensor& v, const Tensor& product, const Tensor& zeros) {
  const Tensor none = number(0, v), here = is_zero(v);
  return where(here, where(eq(zeros, 1), product, none),
               where(is_zero(zeros), product / where(here, number(1, v), v), none));
}

void product_rule(const Tensor& gy, Grads& g, const Tensor& x, const Tensor& source, const Tensor& index, int dim) {
  const auto nonzero = [](const Tensor& v) { return where(is_zero(v), number(1, v), v); };
  const Tensor zeros = scatter_add(as_number(is_zero(x), x), dim, index, as_number(is_zero(source), source));
  TD_CHECK(!g.graph() || sum(zeros).item() == 0, TapeError,
           "scatter_reduce: the second form of prod does not hold where an element is 0", arg("x", x),
           arg("source", source));
  const Tensor product = scatter_reduce(nonzero(x), dim, index, nonzero(source), ScatterReduce::prod);
  if (g.wants(0)) g.give(0, gy * others(x, product, zeros));
  if (!g.wants(1)) return;
  const auto there = [&](const Tensor& t) { return gather(t, dim, index); };
  g.give(1, there(gy) * others(source, there(product), there(zeros)));
}

// Shared evenly by all that are equal to the result, which may be NaN.
void extreme_rule(const Tensor& gy, Grads& g, const Tensor& x, const Tensor& source, const Tensor& y,
                  const Tensor& index, int dim) {
  const auto chosen = [](const Tensor& v, const Tensor& best) {
    return where(isnan(v), number(1, v), as_number(eq(v, best), v));
  };
  const Tensor own = chosen(x, y), theirs = chosen(source, gather(y, dim, index));
  const Tensor share = gy / scatter_add(own, dim, index, theirs);
  if (g.wants(0)) g.give(0, own * share);
  if (g.wants(1)) g.give(1, theirs * gather(share, dim, index));
}

// By the kernel; x counts.
Tensor met(const Tensor& x, int dim, const Tensor& index, const Tensor& source, Meet op) {
  const Tensor y = empty_like(x);
  kernels::copy(x.device(), {x, y});
  kernels::scatter_reduce(x.device(), {source, index, detail::lines_met(index, dim, y), dim, op});
  record("scatter_reduce", y, {&x, &source},
         [x = save(x, "x"), source = save(source, "source"), index = save(index, "index"),
          y = op == Meet::prod ? Saved() : save(y, "y"), dim, op](const Tensor& gy, Grads& g) {
           op == Meet::prod ? product_rule(gy, g, x.get(), source.get(), index.get(), dim)
                            : extreme_rule(gy, g, x.get(), source.get(), y.get(), index.get(), dim);
         });
  return y;
}

Tensor at_least_1d(const Tensor& x) { return x.dim() == 0 ? reshape(x, {1}) : x; }

}  // namespace

Tensor scatter_reduce(const Tensor& x, int dim, const Tensor& index, const Tensor& source, ScatterReduce reduce,
                      bool include_self) {
  return detail::composed("scatter_reduce", [&] {
    const char* op = "scatter_reduce";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "index", index);
    detail::check_defined(op, "source", source);
    TD_CHECK(x.dtype() != DType::boolean, DTypeError, op, ": reduces numbers, not bools; cast them first", arg("x", x));
    if (x.dim() == 0)
      return reshape(scatter_reduce(at_least_1d(x), dim, at_least_1d(index), at_least_1d(source), reduce, include_self),
                     {});
    dim = detail::check_lines(op, x, dim, index);
    const Tensor part = detail::source_part(op, x, index, source);
    const bool mean = reduce == ScatterReduce::mean, adds = mean || reduce == ScatterReduce::sum;
    if (mean) detail::check_real(op, x);
    const Meet how = reduce == ScatterReduce::amax   ? Meet::amax
                     : reduce == ScatterReduce::amin ? Meet::amin
                                                     : Meet::prod;
    Tensor start = x;
    if (!include_self) {
      const Tensor touched = scatter(zeros(x.sizes(), {DType::boolean, x.device()}), dim, index, 1);
      start = where(touched, adds ? number(0, x) : neutral(x, how), x);
    }
    if (!adds) return met(start, dim, index, part, how);
    const Tensor total = scatter_add(start, dim, index, part);
    if (!mean) return total;
    const Tensor count = scatter_add(full(x.sizes(), include_self ? 1 : 0, {DType::i64, x.device()}), dim, index,
                                     full(index.sizes(), 1, {DType::i64, x.device()}));
    return total / cast(clamp(count, 1), x.dtype());  // what nothing reached stays
  });
}

Tensor index_reduce(const Tensor& x, int dim, const Tensor& index, const Tensor& source, ScatterReduce reduce,
                    bool include_self) {
  return detail::composed("index_reduce", [&] {
    const char* op = "index_reduce";
    detail::check_defined(op, "x", x);
    detail::check_defined(op, "source", source);
    if (x.dim() == 0)
      return reshape(index_reduce(at_least_1d(x), dim, index, at_least_1d(source), reduce, include_self), {});
    const int d = normalize_dim(op, dim, x.dim());
    const Tensor at = detail::check_rows(op, x, d, index, source);
    Shape line;
    for (int k = 0; k < x.dim(); ++k) line.push(k == d ? at.numel() : 1);
    return scatter_reduce(x, d, expand(reshape(at, line), source.sizes()), source, reduce, include_self);
  });
}

}  // namespace tapedeck
