// Tensors made of numbers alone.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>

namespace tapedeck {
namespace {

constexpr double kMost = 0x1p59;  // elements

template <class T, class F>
Tensor made(const char* op, std::int64_t n, TensorOptions options, F value) {
  const Tensor y = detail::empty_for(op, {n}, {dtype_of<T>(), kCpu});
  for (std::int64_t i = 0; i < n; ++i) y.data<T>()[i] = value(i);
  return cast(y, options.dtype).to(options.device);
}

std::int64_t whole_count(const Number& start, const Number& end, const Number& step) {
  std::int64_t span;
  TD_CHECK(!__builtin_sub_overflow(end.whole, start.whole, &span), ValueError, "arange: from ", start.whole, " to ",
           end.whole, " is too far");
  return span / step.whole + (span % step.whole != 0);
}

}  // namespace

Tensor arange(Number start, Number end, Number step, TensorOptions options) {
  TD_CHECK(options.dtype != DType::boolean, DTypeError, "arange: counts in numbers, not bools");
  TD_CHECK(std::isfinite(start.real) && std::isfinite(end.real) && std::isfinite(step.real) && step.real != 0 &&
               (end.real - start.real) / step.real >= 0,
           ValueError, "arange: steps of ", step.real, " do not lead from ", start.real, " to ", end.real);
  if (is_real(options.dtype)) {
    const double n = std::ceil((end.real - start.real) / step.real);
    TD_CHECK(n < kMost, ValueError, "arange: ", n, " elements are too many");
    return made<double>("arange", static_cast<std::int64_t>(n), options,
                        [&](std::int64_t i) { return start.real + static_cast<double>(i) * step.real; });
  }
  for (Number* v : {&start, &end, &step}) {
    if (v->is_whole) continue;
    TD_CHECK(fits(v->real, DType::i64), DTypeError, "arange: ", v->real, " is no ", name(options.dtype));
    v->whole = static_cast<std::int64_t>(v->real);
  }
  const std::int64_t n = whole_count(start, end, step);
  TD_CHECK(static_cast<double>(n) < kMost, ShapeError, "arange: ", n, " elements are too many");
  const auto value = [&](std::int64_t i) { return start.whole + i * step.whole; };
  if (n > 0)
    for (const std::int64_t v : {value(0), value(n - 1)})
      TD_CHECK(options.dtype == DType::i64 || fits(static_cast<double>(v), options.dtype), DTypeError, "arange: ", v,
               " is no ", name(options.dtype));
  return made<std::int64_t>("arange", n, options, value);
}

Tensor arange(Number start, Number end, Number step) {
  const bool whole = start.is_whole && end.is_whole && step.is_whole;
  return arange(start, end, step, {whole ? DType::i64 : DType::f32});
}

Tensor arange(Number end) { return arange(0, end, 1); }
Tensor arange(Number end, TensorOptions options) { return arange(0, end, 1, options); }

// From both ends to the middle: exact at both, and symmetric.
Tensor linspace(double start, double end, std::int64_t steps, TensorOptions options) {
  TD_CHECK(steps >= 0, ValueError, "linspace: steps must be >= 0, got ", steps);
  const double step = steps > 1 ? (end - start) / static_cast<double>(steps - 1) : 0;
  return made<double>("linspace", steps, options, [&](std::int64_t i) {
    return i < (steps + 1) / 2 ? start + step * static_cast<double>(i)
                               : end - step * static_cast<double>(steps - 1 - i);
  });
}

Tensor logspace(double start, double end, std::int64_t steps, double base, TensorOptions options) {
  TD_CHECK(steps >= 0, ValueError, "logspace: steps must be >= 0, got ", steps);
  const Tensor exponents = detail::named("logspace", [&] { return linspace(start, end, steps, {DType::f64}); });
  return made<double>("logspace", steps, options,
                      [&](std::int64_t i) { return std::pow(base, exponents.data<double>()[i]); });
}

Tensor eye(std::int64_t rows, std::int64_t columns, TensorOptions options) {
  TD_CHECK(rows >= 0 && columns >= -1, ValueError, "eye: sizes must be >= 0, got ", rows, " and ", columns);
  const Shape shape{rows, columns < 0 ? rows : columns};
  const Tensor y = detail::named("eye", [&] { return zeros(shape, options); });
  kernels::fill(y.device(), {diagonal(y), 1});
  return y;
}

Tensor ones(const Shape& shape, TensorOptions options) {
  return detail::named("ones", [&] { return full(shape, 1, options); });
}

Tensor ones_like(const Tensor& x) {
  return detail::named("ones_like", [&] { return full_like(x, 1); });
}

Tensor full_like(const Tensor& x, double value) {
  detail::check_defined("full_like", "x", x);
  return detail::named("full_like", [&] { return full(x.sizes(), value, x.options()); });
}

}  // namespace tapedeck
