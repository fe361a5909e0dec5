// Ops that are a line or two of others.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>

#include <cmath>

namespace tapedeck {
namespace {

Tensor is_zero(const Tensor& x) { return eq(x, scalar(0, x.options())); }

void check_spacing(const char* op, std::int64_t n, double d, const TensorOptions& options) {
  TD_CHECK(n > 0, ShapeError, op, ": n must be >= 1, got ", n);
  TD_CHECK(std::isfinite(d) && d != 0, ValueError, op, ": the spacing d must be finite and not 0, got ", d);
  TD_CHECK(is_real(options.dtype), DTypeError, op, ": frequencies are real, not ", name(options.dtype));
}

// The dimensions of x in order: `first`, then the others, or the other way round; and how many elements each part has.
struct Parts {
  std::vector<int> order;
  Shape others;
  std::int64_t chosen = 1, rest = 1;
};
Parts parts_of(const char* op, const Tensor& x, const std::vector<int>& dims, bool last) {
  Parts p;
  unsigned mask = 0;
  std::vector<int> chosen;
  for (const int dim : dims) {
    const int d = normalize_dim(op, dim, x.dim());
    TD_CHECK(!(mask >> d & 1u), ValueError, op, ": dimension ", dim, " is given twice", arg("x", x));
    mask |= 1u << d;
    chosen.push_back(d);
    p.chosen *= x.sizes()[d];
  }
  for (int d = 0; d < x.dim(); ++d)
    if (!(mask >> d & 1u)) p.order.push_back(d), p.others.push(x.sizes()[d]), p.rest *= x.sizes()[d];
  p.order.insert(last ? p.order.end() : p.order.begin(), chosen.begin(), chosen.end());
  return p;
}

}  // namespace

Tensor exp2(const Tensor& x) {
  return detail::composed("exp2", [&] { return pow(2, x); });
}

Tensor logit(const Tensor& x, std::optional<double> eps) {
  const char* op = "logit";
  return detail::composed(op, [&] {
    detail::check_real(op, x);
    TD_CHECK(!eps || (*eps >= 0 && *eps <= 0.5), ValueError, op, ": eps must be in [0, 0.5], got ", *eps);
    const Tensor p = eps ? clamp(x, *eps, 1 - *eps) : x;
    return log(p / (1 - p));
  });
}

Tensor threshold(const Tensor& x, double threshold, double value) {
  return detail::composed("threshold", [&] { return where(le(x, threshold), value, x); });
}

Tensor xlogy(const Tensor& a, const Tensor& b) {
  const char* op = "xlogy";
  return detail::composed(op, [&] {
    detail::check_real(op, a, "a");
    detail::check_same(op, "a", a, "b", b);
    const Tensor nothing = logical_and(is_zero(a), logical_or(le(b, 0), isinf(b)));
    return a * log(where(nothing, 1, b));
  });
}

Tensor glu(const Tensor& x, int dim) {
  const char* op = "glu";
  return detail::composed(op, [&] {
    detail::check_real(op, x);
    const int d = normalize_dim(op, dim, x.dim());
    TD_CHECK(x.size(d) % 2 == 0, ShapeError, op, ": dimension ", d, " must hold two halves", arg("x", x));
    const std::int64_t half = x.size(d) / 2;
    return narrow(x, d, 0, half) * sigmoid(narrow(x, d, half, half));
  });
}

Tensor softmin(const Tensor& x, int dim) {
  return detail::composed("softmin", [&] { return softmax(neg(x), dim); });
}

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  const char* op = "isclose";
  return detail::composed(op, [&] {
    detail::check_same(op, "a", a, "b", b);
    TD_CHECK(rtol >= 0 && atol >= 0, ValueError, op, ": rtol ", rtol, " and atol ", atol, " must be >= 0");
    const NoGrad pause;
    const Tensor u = cast(a, DType::f64), v = cast(b, DType::f64), apart = abs(u - v);
    Tensor y = logical_or(eq(u, v), logical_and(isfinite(apart), le(apart, abs(v) * rtol + atol)));
    if (equal_nan) y = logical_or(y, logical_and(isnan(u), isnan(v)));
    return y;
  });
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  return detail::composed("allclose", [&] { return all(isclose(a, b, rtol, atol, equal_nan)).item() != 0; });
}

Tensor diff(const Tensor& x, std::int64_t n, int dim) {
  const char* op = "diff";
  return detail::composed(op, [&] {
    detail::check_defined(op, "x", x);
    TD_CHECK(n >= 0, ValueError, op, ": n must be >= 0, got ", n);
    const int d = normalize_dim(op, dim, x.dim());
    Tensor y = reshape(x, x.sizes());
    for (std::int64_t k = 0; k < n && y.size(d) > 0; ++k)
      y = narrow(y, d, 1, y.size(d) - 1) - narrow(y, d, 0, y.size(d) - 1);
    return y;
  });
}

Tensor trace(const Tensor& x) {
  return detail::composed("trace", [&] {
    detail::check_defined("trace", "x", x);
    TD_CHECK(x.dim() == 2, ShapeError, "trace: x must be a matrix", arg("x", x));
    return sum(diagonal(x));
  });
}

Tensor tensordot(const Tensor& a, const Tensor& b, const std::vector<int>& dims_a, const std::vector<int>& dims_b) {
  const char* op = "tensordot";
  return detail::composed(op, [&] {
    detail::check_real(op, a, "a");
    detail::check_same(op, "a", a, "b", b);
    const Parts left = parts_of(op, a, dims_a, true), right = parts_of(op, b, dims_b, false);
    bool fit = dims_a.size() == dims_b.size();
    for (std::size_t i = 0; fit && i < dims_a.size(); ++i) fit = a.size(dims_a[i]) == b.size(dims_b[i]);
    TD_CHECK(fit, ShapeError, op, ": the dimensions to contract differ", arg("a", a), arg("b", b));
    const Tensor y = matmul(reshape(permute(a, left.order), {left.rest, left.chosen}),
                            reshape(permute(b, right.order), {right.chosen, right.rest}));
    Shape shape = left.others;
    for (int d = 0; d < right.others.rank(); ++d) shape.push(right.others[d]);
    return reshape(y, shape);
  });
}

Tensor tensordot(const Tensor& a, const Tensor& b, int dims) {
  return detail::composed("tensordot", [&] {
    detail::check_defined("tensordot", "a", a);
    detail::check_defined("tensordot", "b", b);
    TD_CHECK(dims >= 0 && dims <= a.dim() && dims <= b.dim(), ShapeError, "tensordot: ", dims,
             " dimensions to contract are not there", arg("a", a), arg("b", b));
    std::vector<int> last, first;
    for (int d = 0; d < dims; ++d) last.push_back(a.dim() - dims + d), first.push_back(d);
    return tensordot(a, b, last, first);
  });
}

Tensor rfftfreq(std::int64_t n, double d, TensorOptions options) {
  check_spacing("rfftfreq", n, d, options);
  return detail::composed("rfftfreq", [&] {
    const Tensor bins = arange(0, n / 2 + 1, 1, {DType::f64, options.device});
    return cast(bins / (static_cast<double>(n) * d), options.dtype);
  });
}

Tensor fftfreq(std::int64_t n, double d, TensorOptions options) {
  check_spacing("fftfreq", n, d, options);
  return detail::composed("fftfreq", [&] {
    const TensorOptions wide{DType::f64, options.device};
    const Tensor bins = cat({arange(0, n - n / 2, 1, wide), arange(-(n / 2), 0, 1, wide)});
    return cast(bins / (static_cast<double>(n) * d), options.dtype);
  });
}

}  // namespace tapedeck
