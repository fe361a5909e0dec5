// Fourier transforms by the vendor's library. It scales nothing, takes no window and destroys what it makes real rows
// of: such rows are prepared first, some at a time, so that they still lie in the cache when they are transformed.
#include <tapedeck/kernels/cuda/divide.h>
#include <tapedeck/kernels/cuda/fft_stage.h>
#include <tapedeck/kernels/cuda/fft_vendor.h>
#include <tapedeck/kernels/fft.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr std::int64_t kPreparedBytes = std::int64_t{32} << 20, kPlainNumbers = std::int64_t{1} << 27;  // at a time

// An even number of rows of so many numbers: where the rest begins is then at a whole complex number, whatever a row
// is.
std::int64_t rows_at_once(std::int64_t row, std::int64_t most) { return std::max<std::int64_t>(2, most / row / 2 * 2); }

template <class T>
struct Scale {
  double by;
  __device__ T operator()(T x) const { return by == 1 ? x : static_cast<T>(static_cast<double>(x) * by); }
};

// Complex numbers; where they are the n / 2 + 1 bins of real rows (n > 0), those that stand for themselves are real.
template <class T>
__global__ void scale_kernel(const Pair<T>* x, Pair<T>* y, std::int64_t numbers, Divisor row, std::int64_t n,
                             Scale<T> scale) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < numbers; at += step) {
    const Pair<T> v = x[at];
    std::int64_t k = 0;
    row(at, &k);
    const bool real = n > 0 && (k == 0 || 2 * k == n);
    y[at] = {scale(v.re), real ? T(0) : scale(v.im)};
  }
}

// Real rows, row r of x at r / inner * outer + r % inner * step.
template <class T>
struct RealLines {
  const T *x, *window;
  std::int64_t n, outer, step;
  Divisor inner;
};
// Rows first … times the window, side by side, each in the place of its n / 2 + 1 bins.
template <class T>
__global__ void frame_kernel(RealLines<T> lines, Pair<T>* y, std::int64_t first, std::int64_t pairs, Divisor row,
                             Scale<T> scale) {
  const std::int64_t n = lines.n, stride = std::int64_t{gridDim.x} * blockDim.x;
  const auto value = [&](const T* from, std::int64_t k) {
    return scale(lines.window ? from[k] * lines.window[k] : from[k]);
  };
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < pairs; at += stride) {
    std::int64_t p = 0, along = 0;
    const std::int64_t r = row(at, &p), side = lines.inner(first + r, &along), k = 2 * p;
    const T* const from = lines.x + side * lines.outer + along * lines.step;
    y[(first + r) * (n / 2 + 1) + p] = {value(from, k), k + 1 < n ? value(from, k + 1) : T(0)};
  }
}
// The bins of real rows that stand for themselves are real.
template <class T>
__global__ void real_ends_kernel(Pair<T>* y, std::int64_t rows, std::int64_t n) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x, bins = n / 2 + 1;
  for (std::int64_t r = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; r < rows; r += step) {
    y[r * bins].im = 0;
    if (n % 2 == 0) y[r * bins + n / 2].im = 0;
  }
}

template <class T>
void complex_rows(const FftArgs& a) {
  const std::int64_t rows = a.x.sizes[0], n = a.x.sizes[1];
  const Device d = a.y.device;
  auto *x = a.x.ptr<Pair<T>>(), *y = a.y.ptr<Pair<T>>();
  const bool plain = a.scale == 1;
  const std::int64_t some = rows_at_once(n, plain ? kPlainNumbers : kPreparedBytes / std::int64_t{sizeof(Pair<T>)});
  for (std::int64_t first = 0; first < rows; first += some) {
    const std::int64_t now = std::min(some, rows - first), at = first * n;
    if (!plain)
      launch(d, plan_items(now * n), scale_kernel<T>, x + at, y + at, now * n, Divisor(n), 0, Scale<T>{a.scale});
    fft_rows(d, {FftKind::complex, a.dtype(), n, now, n, n}, a.inverse, plain ? x + at : y + at, y + at);
  }
}

template <class T>
void real_rows(const RfftArgs& a) {
  const std::int64_t inner = a.x.sizes[1], rows = a.x.sizes[0] * inner, n = a.x.sizes[2], bins = n / 2 + 1;
  if (rows == 0) return;
  const Device d = a.y.device;
  auto* const x = a.x.ptr<T>();
  auto* const y = a.y.ptr<Pair<T>>();
  // Rows that can be read where they lie: one behind the other, each at a whole complex number.
  const std::int64_t step = inner > 1 ? a.x.strides[1] : a.x.sizes[0] > 1 ? a.x.strides[0] : n + n % 2;
  const bool even = a.x.sizes[0] == 1 || inner == 1 || a.x.strides[0] == inner * step;
  if (!a.window && a.scale == 1 && even && step >= n && step % 2 == 0 && aligned(x, sizeof(Pair<T>))) {
    const std::int64_t some = rows_at_once(step, kPlainNumbers);
    for (std::int64_t first = 0; first < rows; first += some)
      fft_rows(d, {FftKind::to_half, a.dtype(), n, std::min(some, rows - first), step, bins}, false, x + first * step,
               y + first * bins);
  } else {
    const RealLines<T> lines{
        x, a.window ? a.window.ptr<const T>() : nullptr, n, a.x.strides[0], a.x.strides[1], Divisor(inner)};
    const std::int64_t pairs = (n + 1) / 2, some = rows_at_once(bins, kPreparedBytes / std::int64_t{sizeof(Pair<T>)});
    for (std::int64_t first = 0; first < rows; first += some) {
      const std::int64_t now = std::min(some, rows - first);
      launch(d, plan_items(now * pairs), frame_kernel<T>, lines, y, first, now * pairs, Divisor(pairs),
             Scale<T>{a.scale});
      Pair<T>* const here = y + first * bins;
      fft_rows(d, {FftKind::to_half, a.dtype(), n, now, 2 * bins, bins}, false, here, here);
    }
  }
  launch(d, plan_items(rows), real_ends_kernel<T>, y, rows, n);
}

template <class T>
void to_real_rows(const IrfftArgs& a) {
  const std::int64_t rows = a.x.sizes[0], n = a.y.sizes[1], bins = n / 2 + 1;
  if (rows == 0) return;
  const Device d = a.y.device;
  const auto* const x = a.x.ptr<const Pair<T>>();
  T* const y = a.y.ptr<T>();
  const std::int64_t some =
      std::min(rows, rows_at_once(bins, kPreparedBytes / static_cast<std::int64_t>(sizeof(Pair<T>))));
  const Scratch copy(d, static_cast<std::size_t>(some * bins) * sizeof(Pair<T>));
  for (std::int64_t first = 0; first < rows; first += some) {
    const std::int64_t now = std::min(some, rows - first);
    launch(d, plan_items(now * bins), scale_kernel<T>, x + first * bins, copy.as<Pair<T>>(), now * bins, Divisor(bins),
           n, Scale<T>{a.scale});
    fft_rows(d, {FftKind::from_half, a.dtype(), n, now, bins, n}, false, copy.as<void>(), y + first * n);
  }
}

constexpr const char* kNote = "the vendor's library, where it is there";

// What it makes and reads in place are complex numbers.
template <class Args>
const char* supports(const Args& a, std::int64_t n, bool complex_input) {
  const std::size_t number = a.dtype() == DType::f64 ? 16 : 8;
  if (a.dtype() != DType::f32 && a.dtype() != DType::f64) return "dtype is not f32 or f64";
  if (n < 2 || n > kMostFft) return "rows are not of 2 to 2^26 numbers";
  if (!aligned(a.y.data, number) || (complex_input && !aligned(a.x.data, number)))
    return "rows do not begin at a multiple of a complex number";
  return no_fft_library();
}

}  // namespace

void add_fft_library() {
  constexpr DeviceType cuda = DeviceType::cuda;
  fft.add(
      cuda, "cufft",
      [](const FftArgs& a) { a.dtype() == DType::f32 ? complex_rows<float>(a) : complex_rows<double>(a); },
      [](const FftArgs& a) { return supports(a, a.x.sizes[1], true); }, kNote);
  rfft.add(
      cuda, "cufft", [](const RfftArgs& a) { a.dtype() == DType::f32 ? real_rows<float>(a) : real_rows<double>(a); },
      [](const RfftArgs& a) { return supports(a, a.x.sizes[2], false); }, kNote);
  irfft.add(
      cuda, "cufft",
      [](const IrfftArgs& a) { a.dtype() == DType::f32 ? to_real_rows<float>(a) : to_real_rows<double>(a); },
      [](const IrfftArgs& a) { return supports(a, a.y.sizes[1], true); }, kNote);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
