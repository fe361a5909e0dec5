// Limits that are tensors, quotients that are rounded, and sums of exponentials of two.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

namespace tapedeck {
namespace {

// Hands a gradient of the broadcast shape to an input: summed down to what the input is.
void give_where(Grads& g, int input, const Tensor& condition, const Tensor& gy) {
  if (g.wants(input)) g.give(input, sum_to(where(condition, gy, 0), g.shape(input)));
}

// x within low and high, each of which may be missing. The gradient goes to what the result is; x keeps it at a bound.
Tensor clamped(const char* op, const Tensor& x, const Tensor& low, const Tensor& high) {
  Tensor y = x;
  detail::composed(op, [&] {
    const NoGrad pause;
    if (low.defined()) y = maximum(y, low);
    if (high.defined()) y = minimum(y, high);
  });
  record(op, y, {&x, &low, &high},
         [x = save(x, "x"), low = save(low, "low"), high = save(high, "high")](const Tensor& gy, Grads& g) {
           const Tensor &v = x.get(), &l = low.get(), &h = high.get();
           if (!h.defined()) {
             give_where(g, 0, ge(v, l), gy);
             return give_where(g, 1, lt(v, l), gy);
           }
           if (!l.defined()) {
             give_where(g, 0, le(v, h), gy);
             return give_where(g, 2, gt(v, h), gy);
           }
           give_where(g, 0, logical_and(ge(v, l), le(v, h)), gy);
           give_where(g, 1, logical_and(lt(v, l), lt(l, h)), gy);
           give_where(g, 2, logical_or(gt(v, h), lt(h, l)), gy);
         });
  return y;
}

// Flat wherever it has a slope.
Tensor without_slope(const char* op, const Tensor& a, const Tensor& b, const Tensor& y) {
  record(op, y, {&a, &b}, [](const Tensor& gy, Grads& g) {
    for (const int i : {0, 1})
      if (g.wants(i)) g.give(i, zeros(g.shape(i), gy.options()));
  });
  return y;
}

}  // namespace

Tensor clamp(const Tensor& x, const Tensor& low, const Tensor& high) {
  detail::check_defined("clamp", "x", x);
  TD_CHECK(low.defined() || high.defined(), ValueError, "clamp: low and high are undefined; one may be", arg("x", x));
  return clamped("clamp", x, low, high);
}
Tensor clamp_min(const Tensor& x, const Tensor& low) {
  detail::check_defined("clamp_min", "x", x);
  detail::check_defined("clamp_min", "low", low);
  return clamped("clamp_min", x, low, {});
}
Tensor clamp_max(const Tensor& x, const Tensor& high) {
  detail::check_defined("clamp_max", "x", x);
  detail::check_defined("clamp_max", "high", high);
  return clamped("clamp_max", x, {}, high);
}
Tensor clamp_min(const Tensor& x, double low) {
  return detail::composed("clamp_min", [&] { return clamp(x, low); });
}
Tensor clamp_max(const Tensor& x, double high) {
  return detail::composed("clamp_max", [&] { return clamp(x, -std::numeric_limits<double>::infinity(), high); });
}

// floor by the remainder, as Python's //: the quotient of two numbers may round up to a whole one.
Tensor div(const Tensor& a, const Tensor& b, Rounding rounding) {
  if (rounding == Rounding::none) return div(a, b);
  const Tensor y = detail::composed("div", [&] {
    const NoGrad pause;
    const Tensor q = div(a, b);
    if (rounding == Rounding::trunc) return trunc(q);
    const Tensor rest = fmod(a, b), none = scalar(0, rest.options());
    const Tensor apart = logical_and(ne(rest, none), logical_xor(lt(rest, none), lt(b, none)));
    const Tensor whole = round((a - rest) / b - cast(apart, q.dtype()));
    return where(logical_or(eq(b, none), isnan(b)), q, whole);
  });
  return without_slope("div", a, b, y);
}

Tensor logaddexp(const Tensor& a, const Tensor& b) {
  const char* op = "logaddexp";
  detail::check_real(op, a, "a");
  detail::check_same(op, "a", a, "b", b);
  return detail::composed(op, [&] {
    const auto gap = [](const Tensor& u, const Tensor& v) { return where(eq(u, v), 0, u - v); };  // of infinities too
    Tensor y;
    {
      const NoGrad pause;
      y = maximum(a, b) + log1p(exp(neg(abs(gap(a, b)))));
    }
    record(op, y, {&a, &b}, [a = save(a, "a"), b = save(b, "b"), gap](const Tensor& gy, Grads& g) {
      const Tensor d = gap(a.get(), b.get());
      if (g.wants(0)) g.give(0, sum_to(gy * sigmoid(d), g.shape(0)));
      if (g.wants(1)) g.give(1, sum_to(gy * sigmoid(neg(d)), g.shape(1)));
    });
    return y;
  });
}

}  // namespace tapedeck
