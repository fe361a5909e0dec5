// Fourier transforms, short-time transforms and complex numbers as a trailing dimension of 2 (re, im).
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/fft.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>
#include <numbers>

namespace tapedeck {
namespace {

using detail::composed;
using detail::save_for;

// ---- transforms of the last dimension, unnormalised but for `scale`; each is the adjoint of another ----------------
Tensor rows_fft(const Tensor& x, bool inverse, double scale) {  // [..., n, 2]
  const Tensor y = empty_like(x);
  const std::int64_t n = x.size(-2);
  const Shape rows{n == 0 ? 0 : x.numel() / (2 * n), n, 2};
  if (y.numel() > 0)
    kernels::fft(x.device(),
                 {detail::try_reshape(detail::packed(x), rows), detail::try_reshape(y, rows), inverse, scale});
  record("fft", y, {&x}, [=](const Tensor& gy, Grads& g) { g.give(0, rows_fft(gy, !inverse, scale)); });
  return y;
}

// Interior bins of a half spectrum stand for two: their weight in the adjoint.
Tensor bin_weights(std::int64_t n, double interior, const Tensor& like) {
  const Tensor w = full({n / 2 + 1, 1}, interior, {DType::f64});
  w.data<double>()[0] = 1;
  if (n % 2 == 0) w.data<double>()[n / 2] = 1;
  return cast(w, like.dtype()).to(like.device());
}

Tensor rows_irfft(const Tensor& x, std::int64_t n, double scale);
// Rows as the kernels see them, [P, R, n]: frames of a signal may overlap.
Tensor in_parts(const Tensor& x) {
  const std::int64_t n = x.size(-1), rows = x.dim() > 1 ? x.size(-2) : 1;
  const Shape shape{rows == 0 ? 0 : x.numel() / n / rows, rows, n};
  const Tensor view = detail::try_reshape(x, shape);
  if (view.defined() && (n == 1 || view.strides()[2] == 1)) return view;
  return detail::try_reshape(detail::packed(x), shape);
}
// [..., n] -> [..., n/2 + 1, 2]; each row times the window [n] when there is one.
Tensor rows_rfft(const Tensor& x, double scale, const Tensor& window = {}) {
  const std::int64_t n = x.size(-1), bins = n / 2 + 1, rows = x.numel() / n;
  Shape shape = x.sizes();
  shape[x.dim() - 1] = bins;
  shape.push(2);
  const Tensor y = empty(shape, x.options());
  if (rows > 0)
    kernels::rfft(x.device(), {in_parts(x), detail::packed(window), detail::try_reshape(y, {rows, bins, 2}), scale});
  record("rfft", y, {&x, &window},
         [=, x = window.defined() ? save_for(window, x, "x") : Saved(), window = save(window, "window")](
             const Tensor& gy, Grads& g) {
           const Tensor rows = rows_irfft(gy * bin_weights(n, 0.5, gy), n, scale);
           if (g.wants(0)) g.give(0, window.get().defined() ? rows * window.get() : rows);
           if (g.wants(1)) g.give(1, sum_to(rows * x.get(), {n}));
         });
  return y;
}

Tensor rows_irfft(const Tensor& x, std::int64_t n, double scale) {  // [..., n/2 + 1, 2] -> [..., n]
  const std::int64_t bins = n / 2 + 1, rows = x.numel() / (2 * bins);
  Shape shape = x.sizes();
  shape.erase(x.dim() - 1);
  shape[shape.rank() - 1] = n;
  const Tensor y = empty(shape, x.options());
  if (rows > 0)
    kernels::irfft(x.device(),
                   {detail::try_reshape(detail::packed(x), {rows, bins, 2}), detail::try_reshape(y, {rows, n}), scale});
  record("irfft", y, {&x},
         [=](const Tensor& gy, Grads& g) { g.give(0, rows_rfft(gy, scale) * bin_weights(n, 2, gy)); });
  return y;
}

// ---- what the public functions share --------------------------------------------------------------------------------
double scale_of(FftNorm norm, bool inverse, std::int64_t n) {
  if (norm == FftNorm::ortho) return 1 / std::sqrt(static_cast<double>(n));
  return (norm == FftNorm::backward) == inverse ? 1 / static_cast<double>(n) : 1;
}

int axis_of(const char* op, const Tensor& x, int dim, int dims) {
  TD_CHECK(dim >= -dims && dim < dims, ShapeError, op, ": dimension ", dim, " is outside [", -dims, ", ", dims, ")",
           arg("x", x));
  return dim < 0 ? dim + dims : dim;
}

void check_complex(const char* op, const Tensor& x) {
  detail::check_real(op, x);
  TD_CHECK(x.dim() >= 1 && x.size(-1) == 2, ShapeError, op, ": complex numbers are a last dimension of 2 (re, im)",
           arg("x", x));
}

std::int64_t length_of(const char* op, const Tensor& x, std::optional<std::int64_t> n, std::int64_t otherwise) {
  const std::int64_t length = n.value_or(otherwise);
  TD_CHECK(length >= 1, ValueError, op, ": the transform needs a length of at least 1, got ", length, arg("x", x));
  TD_CHECK(length <= std::int64_t{1} << 40, ValueError, op, ": the length ", length, " is above 2^40", arg("x", x));
  return length;
}

// x cut, or continued with zeros, to `size` along dim.
Tensor resized(const Tensor& x, int dim, std::int64_t size) {
  const std::int64_t have = x.size(dim);
  if (have == size) return x;
  if (have > size) return narrow(x, dim, 0, size);
  Shape rest = x.sizes();
  rest[dim] = size - have;
  return cat({x, zeros(rest, x.options())}, dim);
}

Tensor moved(const Tensor& x, int from, int to) {
  if (from == to) return x;
  std::vector<int> order;
  for (int d = 0; d < x.dim(); ++d)
    if (d != from) order.push_back(d);
  order.insert(order.begin() + to, from);
  return permute(x, order);
}

Tensor complex_transform(const char* op, const Tensor& x, bool inverse, std::optional<std::int64_t> n, int dim,
                         FftNorm norm) {
  return composed(op, [&] {
    check_complex(op, x);
    TD_CHECK(x.dim() >= 2, ShapeError, op, ": needs a dimension before that of (re, im)", arg("x", x));
    const int axis = axis_of(op, x, dim, x.dim() - 1), last = x.dim() - 2;
    const std::int64_t length = length_of(op, x, n, x.size(axis));
    const Tensor rows = moved(resized(x, axis, length), axis, last);
    return moved(rows_fft(rows, inverse, scale_of(norm, inverse, length)), last, axis);
  });
}

}  // namespace

Tensor fft(const Tensor& x, std::optional<std::int64_t> n, int dim, FftNorm norm) {
  return complex_transform("fft", x, false, n, dim, norm);
}

Tensor ifft(const Tensor& x, std::optional<std::int64_t> n, int dim, FftNorm norm) {
  return complex_transform("ifft", x, true, n, dim, norm);
}

Tensor rfft(const Tensor& x, std::optional<std::int64_t> n, int dim, FftNorm norm) {
  return composed("rfft", [&] {
    detail::check_real("rfft", x);
    const int axis = axis_of("rfft", x, dim, x.dim()), last = x.dim() - 1;
    const std::int64_t length = length_of("rfft", x, n, x.size(axis));
    const Tensor rows = moved(resized(x, axis, length), axis, last);
    return moved(rows_rfft(rows, scale_of(norm, false, length)), last, axis);
  });
}

Tensor irfft(const Tensor& x, std::optional<std::int64_t> n, int dim, FftNorm norm) {
  return composed("irfft", [&] {
    check_complex("irfft", x);
    TD_CHECK(x.dim() >= 2, ShapeError, "irfft: needs a dimension before that of (re, im)", arg("x", x));
    const int axis = axis_of("irfft", x, dim, x.dim() - 1), last = x.dim() - 2;
    const std::int64_t length = length_of("irfft", x, n, 2 * (x.size(axis) - 1));
    const Tensor rows = moved(resized(x, axis, length / 2 + 1), axis, last);
    return moved(rows_irfft(rows, length, scale_of(norm, true, length)), last, axis);
  });
}

// ---- complex numbers ------------------------------------------------------------------------------------------------
namespace {

Tensor re(const Tensor& x) { return select(x, -1, 0); }
Tensor im(const Tensor& x) { return select(x, -1, 1); }

}  // namespace

Tensor complex_mul(const Tensor& a, const Tensor& b) {
  return composed("complex_mul", [&] {
    check_complex("complex_mul", a), check_complex("complex_mul", b);
    return stack({re(a) * re(b) - im(a) * im(b), re(a) * im(b) + im(a) * re(b)}, -1);
  });
}

Tensor complex_conj(const Tensor& x) {
  return composed("complex_conj", [&] {
    check_complex("complex_conj", x);
    return stack({re(x), neg(im(x))}, -1);
  });
}

// hypot has no overflow; its gradient at 0 is 0 here, as PyTorch's abs of complex numbers has it.
Tensor complex_abs(const Tensor& x) {
  return composed("complex_abs", [&] {
    check_complex("complex_abs", x);
    const Tensor zero = scalar(0, x.options()), one = scalar(1, x.options());
    const Tensor nothing = eq(amax(abs(detach(x)), {-1}), zero);
    return where(nothing, zero, hypot(where(nothing, one, re(x)), im(x)));
  });
}

Tensor complex_angle(const Tensor& x) {
  return composed("complex_angle", [&] {
    check_complex("complex_angle", x);
    const Tensor one = scalar(1, x.options());
    const Tensor nothing = eq(amax(abs(detach(x)), {-1}), scalar(0, x.options()));
    return atan2(im(x), where(nothing, one, re(x)));
  });
}

Tensor polar(const Tensor& abs, const Tensor& angle) {
  return composed("polar", [&] {
    detail::check_same("polar", "abs", abs, "angle", angle);
    return stack({abs * cos(angle), abs * sin(angle)}, -1);
  });
}

// ---- windows --------------------------------------------------------------------------------------------------------
namespace {

// w(t) for t in [0, 1/2], mirrored, at n points; a periodic window is a symmetric one of n + 1 points without the last.
template <class F>
Tensor window(const char* op, std::int64_t n, bool periodic, TensorOptions options, F&& w) {
  TD_CHECK(n >= 0 && n <= std::int64_t{1} << 40, ValueError, op, ": the length must be 0 to 2^40, got ", n);
  TD_CHECK(is_real(options.dtype), DTypeError, op, ": windows are real, not ", name(options.dtype));
  const Tensor values = detail::empty_for(op, {n}, {DType::f64});
  double* to = values.data<double>();
  std::fill_n(to, n, 1);
  const double span = static_cast<double>(periodic ? n : n - 1);
  for (std::int64_t k = 0; n > 1 && k < n; ++k)
    to[k] = w(std::min(static_cast<double>(k), span - static_cast<double>(k)) / span);
  return cast(values, options.dtype).to(options.device);
}

double cosine(double t, int times) { return std::cos(2 * std::numbers::pi * times * t); }

}  // namespace

Tensor hann_window(std::int64_t n, bool periodic, TensorOptions options) {
  return window("hann_window", n, periodic, options, [](double t) {
    const double s = std::sin(std::numbers::pi * t);
    return s * s;
  });
}

Tensor hamming_window(std::int64_t n, bool periodic, double alpha, double beta, TensorOptions options) {
  return window("hamming_window", n, periodic, options, [=](double t) { return alpha - beta * cosine(t, 1); });
}

Tensor blackman_window(std::int64_t n, bool periodic, TensorOptions options) {
  return window("blackman_window", n, periodic, options,
                [](double t) { return std::max(0.0, 0.42 - 0.5 * cosine(t, 1) + 0.08 * cosine(t, 2)); });
}

Tensor bartlett_window(std::int64_t n, bool periodic, TensorOptions options) {
  return window("bartlett_window", n, periodic, options, [](double t) { return 1 - std::fabs(2 * t - 1); });
}

Tensor kaiser_window(std::int64_t n, bool periodic, double beta, TensorOptions options) {
  constexpr double kMost = 700;  // the Bessel function of more is no number
  TD_CHECK(beta >= -kMost && beta <= kMost, ValueError, "kaiser_window: beta must be in [", -kMost, ", ", kMost,
           "], not ", beta);
  beta = std::fabs(beta);  // the window is the same
  return window("kaiser_window", n, periodic, options, [=](double t) {
    const double u = 2 * t - 1;
    return std::cyl_bessel_i(0.0, beta * std::sqrt(std::max(0.0, 1 - u * u))) / std::cyl_bessel_i(0.0, beta);
  });
}

// ---- short-time transforms ------------------------------------------------------------------------------------------
Tensor overlap_add(const Tensor& frames, std::int64_t hop) {
  const char* op = "overlap_add";
  return composed(op, [&] {
    detail::check_real(op, frames, "frames");
    TD_CHECK(frames.dim() >= 2, ShapeError, op, ": frames must be [..., frames, size]", arg("frames", frames));
    const std::int64_t count = frames.size(-2), size = frames.size(-1);
    TD_CHECK(hop >= 1, ValueError, op, ": hop must be at least 1, got ", hop);
    TD_CHECK(count >= 1 && size >= 1 && hop <= (std::int64_t{1} << 40) / count, ShapeError, op,
             ": needs a frame of at least one sample, and a hop that keeps the sum below 2^40, not ", hop,
             arg("frames", frames));
    return fold(frames, frames.dim() - 2, (count - 1) * hop + size, hop);
  });
}

namespace {

struct Frames {
  std::int64_t hop;
  Tensor window;  // of n_fft samples
};

Frames frames_of(const char* op, const Tensor& x, std::int64_t n_fft, const StftOptions& o) {
  TD_CHECK(n_fft >= 1 && n_fft <= std::int64_t{1} << 40, ValueError, op, ": n_fft must be 1 to 2^40, got ", n_fft);
  const std::int64_t hop = o.hop_length.value_or(std::max<std::int64_t>(1, n_fft / 4));
  const std::int64_t width = o.win_length.value_or(n_fft);
  TD_CHECK(hop >= 1, ValueError, op, ": hop_length must be at least 1, got ", hop);
  TD_CHECK(width >= 1 && width <= n_fft, ValueError, op, ": win_length must be 1 to n_fft ", n_fft, ", got ", width);
  Tensor w = o.window.defined() ? o.window : full({width}, 1, x.options());
  detail::check_same(op, "x", x, "window", w);
  TD_CHECK(w.dim() == 1 && w.size(0) == width, ShapeError, op, ": window must have win_length ", width, " samples",
           arg("window", w));
  const std::int64_t left = (n_fft - width) / 2;
  if (width < n_fft) w = cat({zeros({left}, w.options()), w, zeros({n_fft - width - left}, w.options())});
  return {hop, w};
}

}  // namespace

Tensor stft(const Tensor& x, std::int64_t n_fft, const StftOptions& o) {
  return composed("stft", [&] {
    detail::check_real("stft", x);
    TD_CHECK(x.dim() == 1 || x.dim() == 2, ShapeError, "stft: x must be [time] or [batch, time]", arg("x", x));
    const auto [hop, w] = frames_of("stft", x, n_fft, o);
    Tensor signal = x;
    if (o.center) signal = pad(x, {n_fft / 2, n_fft / 2}, o.pad_mode);
    TD_CHECK(signal.size(-1) >= n_fft, ShapeError, "stft: ", signal.size(-1), " samples are less than n_fft ", n_fft,
             arg("x", x));
    const Tensor frames = unfold(signal, -1, n_fft, hop);
    const double scale = o.normalized ? 1 / std::sqrt(static_cast<double>(n_fft)) : 1;
    if (o.onesided) return rows_rfft(frames, scale, w);
    const Tensor windowed = frames * w;
    return rows_fft(stack({windowed, zeros_like(windowed)}, -1), false, scale);
  });
}

Tensor istft(const Tensor& x, std::int64_t n_fft, const StftOptions& o, std::optional<std::int64_t> length) {
  return composed("istft", [&] {
    check_complex("istft", x);
    TD_CHECK(x.dim() == 3 || x.dim() == 4, ShapeError, "istft: x must be [frames, bins, 2] or [batch, frames, bins, 2]",
             arg("x", x));
    const auto [hop, w] = frames_of("istft", x, n_fft, o);
    TD_CHECK(!length || (*length >= 1 && *length <= std::int64_t{1} << 40), ShapeError,
             "istft: length must be 1 to 2^40, got ", *length);
    const std::int64_t bins = o.onesided ? n_fft / 2 + 1 : n_fft, count = x.size(-3);
    TD_CHECK(x.size(-2) == bins && count >= 1, ShapeError, "istft: n_fft ", n_fft, " has ", bins,
             " bins, and there must be a frame", arg("x", x));
    const double scale = (o.normalized ? std::sqrt(static_cast<double>(n_fft)) : 1) / static_cast<double>(n_fft);
    const Tensor frames = o.onesided ? rows_irfft(x, n_fft, scale) : re(rows_fft(x, true, scale));
    const Tensor sums = overlap_add(frames * w, hop);
    const Tensor envelope = overlap_add(contiguous(expand(square(w), {count, n_fft})), hop);
    const std::int64_t start = o.center ? n_fft / 2 : 0, whole = sums.size(-1);
    const std::int64_t end = length ? start + *length : whole - start;
    TD_CHECK(end > start, ShapeError, "istft: no samples are left between ", start, " and ", end, arg("x", x));
    const std::int64_t have = std::min(end, whole) - start;
    const Tensor below = narrow(envelope, 0, start, have);
    TD_CHECK(amin(below).item() > 1e-11, ValueError,
             "istft: the windows leave samples uncovered; choose a window and a hop_length whose squares sum to more "
             "than 0 everywhere",
             arg("window", w));
    return resized(narrow(sums, -1, start, have) / below, x.dim() - 3, end - start);
  });
}

}  // namespace tapedeck
