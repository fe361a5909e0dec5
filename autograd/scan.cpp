// Scans. Every rule is a scan from the other end, without divisions: zeros and infinities stay where they are.
#include <tapedeck/autograd/along.h>
#include <tapedeck/kernels/scan.h>
#include <tapedeck/tensor/detail_views.h>

#include <limits>

namespace tapedeck {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor number(double value, const Tensor& like) { return scalar(value, like.options()); }

// y[k] = x[k - 1] along dim (reverse: x[k + 1]); `fill` where there is none.
Tensor shift(const Tensor& x, int dim, bool reverse, double fill) {
  const std::int64_t n = x.size(dim);
  if (n == 0) return x;
  Shape shape = x.sizes();
  shape[normalize_dim("shift", dim, x.dim())] = 1;
  const Tensor edge = full(shape, fill, x.options());
  return reverse ? cat({narrow(x, dim, 1, n - 1), edge}, dim) : cat({edge, narrow(x, dim, 0, n - 1)}, dim);
}

DType of_sums(const Tensor& x) { return is_real(x.dtype()) ? x.dtype() : DType::i64; }

Tensor running_sum(const Tensor& x, int dim, bool reverse) {
  const Tensor y = empty(x.sizes(), {of_sums(x), x.device()});
  kernels::cumsum(x.device(), {x, y, dim, reverse});
  record("cumsum", y, {&x}, [dim, reverse](const Tensor& gy, Grads& g) { g.give(0, running_sum(gy, dim, !reverse)); });
  return y;
}

// y[k] = b[k] + a[k] y[k - 1] (reverse: y[k + 1]). Its gradients are recurrences from the other end.
Tensor recurrence(const Tensor& a, const Tensor& b, int dim, bool reverse) {
  const Tensor y = empty(b.sizes(), b.options());
  kernels::recurrence(y.device(), {a, b, y, dim, reverse});
  record("recurrence", y, {&a, &b}, [a = save(a, "a"), y = save(y, "y"), dim, reverse](const Tensor& gy, Grads& g) {
    const Tensor gb = recurrence(shift(a.get(), dim, !reverse, 0), gy, dim, !reverse);
    if (g.wants(0)) g.give(0, gb * shift(y.get(), dim, reverse, 0));
    g.give(1, gb);
  });
  return y;
}

// The gradient of element k: the product before it, times what gy and the elements behind it make of a recurrence.
Tensor running_product(const Tensor& x, int dim, bool reverse) {
  const Tensor y = empty(x.sizes(), {of_sums(x), x.device()});
  kernels::cumprod(x.device(), {x, y, dim, reverse});
  record("cumprod", y, {&x}, [x = save(x, "x"), dim, reverse](const Tensor& gy, Grads& g) {
    if (!g.graph() && !reverse) {
      const Tensor gx = empty_like(gy);
      kernels::cumprod_backward(gy.device(), {gy, x.get(), gx, dim});
      return g.give(0, gx);
    }
    const Tensor before = shift(running_product(x.get(), dim, reverse), dim, reverse, 1);
    g.give(0, before * recurrence(shift(x.get(), dim, !reverse, 1), gy, dim, !reverse));
  });
  return y;
}

// In ops: gx[k] = exp(x[k] - y[k]) r[k] with r[k] = gy[k] + exp(y[k] - y[k + 1]) r[k + 1]. Where y is -inf, x is, and
// the gradient is 0.
Tensor running_logsumexp(const Tensor& x) {
  const int dim = x.dim() - 1;
  const Tensor y = empty_like(x), rows = detail::rows_contiguous(x);
  kernels::logcumsumexp(x.device(), {rows, y, dim});
  record("logcumsumexp", y, {&x}, [x = save(x, "x"), y = save(y, "y"), dim](const Tensor& gy, Grads& g) {
    if (!g.graph()) {
      const Tensor gx = empty_like(gy);
      kernels::logcumsumexp_backward(gy.device(),
                                     {detail::rows_contiguous(gy), detail::rows_contiguous(x.get()), y.get(), gx, dim});
      return g.give(0, gx);
    }
    const Tensor nothing = eq(y.get(), number(-kInf, gy)), finite = where(nothing, number(0, gy), y.get());
    const Tensor decay = exp(y.get() - shift(finite, dim, true, kInf));
    g.give(0, exp(x.get() - finite) * recurrence(decay, gy, dim, true));
  });
  return y;
}

// The places, and what stands there.
ValuesIndices running_extreme(const char* op, const kernels::KernelSlot<kernels::CumExtremeArgs>& f, const Tensor& x,
                              int dim) {
  const auto places = [&] {
    const NoGrad pause;
    return detail::along(op, x, dim, [&](const Tensor& line, int d) {
      const Tensor y = empty(line.sizes(), {DType::i64, x.device()});
      f(x.device(), {line, y, d});
      return y;
    });
  };
  const Tensor indices = places();
  return {gather(x, dim, indices), indices};
}

}  // namespace

Tensor detail::product_of_others(const Tensor& x, int dim) {
  if (x.dim() == 0) return full({}, 1, x.options());
  dim = normalize_dim("prod", dim, x.dim());
  if (!is_recorded(x)) {
    const Tensor y = empty_like(x);
    kernels::product_of_others(x.device(), {x, y, dim});
    return y;
  }
  const auto before = [&](bool reverse) { return shift(running_product(x, dim, reverse), dim, reverse, 1); };
  return before(false) * before(true);
}

Tensor cumsum(const Tensor& x, int dim) {
  return detail::along("cumsum", x, dim, [](const Tensor& line, int d) { return running_sum(line, d, false); });
}
Tensor cumprod(const Tensor& x, int dim) {
  return detail::along("cumprod", x, dim, [](const Tensor& line, int d) { return running_product(line, d, false); });
}
ValuesIndices cummax(const Tensor& x, int dim) { return running_extreme("cummax", kernels::cummax, x, dim); }
ValuesIndices cummin(const Tensor& x, int dim) { return running_extreme("cummin", kernels::cummin, x, dim); }

Tensor logcumsumexp(const Tensor& x, int dim) {
  detail::check_real("logcumsumexp", x);
  return detail::along("logcumsumexp", x, dim, [](const Tensor& line, int d) {
    if (d == line.dim() - 1) return running_logsumexp(line);
    return detail::composed("logcumsumexp",
                            [&] { return transpose(running_logsumexp(transpose(line, d, -1)), d, -1); });
  });
}

}  // namespace tapedeck
