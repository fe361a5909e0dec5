// Fourier transforms of rows. What fits in shared memory is transformed there in one pass, real rows of even length as
// half as many complex numbers; longer rows pass through memory step by step; lengths with prime factors above 7 become
// convolutions (Bluestein's algorithm).
#include <tapedeck/kernels/cuda/fft_real.h>
#include <tapedeck/kernels/fft.h>

#include <utility>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

enum class Kind { complex, to_half, from_half };  // fft; rfft; irfft

// Rows, where they lie and what is done to them.
template <class T>
struct Job {
  Kind kind;
  bool inverse;
  std::int64_t n, rows;
  const T *x, *window;
  std::int64_t inner, x_outer, x_inner;  // row r of x lies at r / inner * x_outer + r % inner * x_inner
  T* y;
  double scale;

  __device__ const T* row(std::int64_t r) const { return x + r / inner * x_outer + r % inner * x_inner; }
  __device__ std::int64_t bins() const { return n / 2 + 1; }

  // Number k of row r as the forward transform of length n takes it: an inverse is a forward transform with real and
  // imaginary parts exchanged on both sides.
  template <class C>
  __device__ Pair<C> load_full(std::int64_t r, std::int64_t k) const {
    const T* from = row(r);
    if (kind == Kind::to_half) return {static_cast<C>(from[k]) * (window ? static_cast<C>(window[k]) : C(1)), C(0)};
    if (kind == Kind::complex) {
      const Pair<C> v{static_cast<C>(from[2 * k]), static_cast<C>(from[2 * k + 1])};
      return inverse ? swapped(v) : v;
    }
    return swapped(half<C>(from, k));
  }
  // Bin k of the whole spectrum of a real row, from the half that is there.
  template <class C>
  __device__ Pair<C> half(const T* from, std::int64_t k) const {
    const std::int64_t at = 2 * k > n ? n - k : k;
    const C im = at == 0 || 2 * at == n ? C(0) : static_cast<C>(from[2 * at + 1]);
    return {static_cast<C>(from[2 * at]), 2 * k > n ? -im : im};
  }
  template <class C>
  __device__ void store_full(std::int64_t r, std::int64_t k, Pair<C> v) const {
    const C s = static_cast<C>(scale);
    if (kind == Kind::from_half) {
      y[r * n + k] = static_cast<T>(v.im * s);
      return;
    }
    if (kind == Kind::to_half) {
      if (k < bins()) store_bin(r, k, v);
      return;
    }
    if (inverse) v = swapped(v);
    T* const to = y + (r * n + k) * 2;
    to[0] = static_cast<T>(v.re * s), to[1] = static_cast<T>(v.im * s);
  }
  template <class C>
  __device__ void store_bin(std::int64_t r, std::int64_t k, Pair<C> v) const {
    const C s = static_cast<C>(scale);
    T* const to = y + (r * bins() + k) * 2;
    to[0] = static_cast<T>(v.re * s), to[1] = k == 0 || 2 * k == n ? T(0) : static_cast<T>(v.im * s);
  }
};

// ---- in shared memory -----------------------------------------------------------------------------------------------
// Rows of a block lie side by side (threadIdx.y). `size` numbers of each are transformed: n, or n / 2 where neighbours
// of a real row are the parts of one number (`packed`).
template <class T, class C>
__global__ void shared_kernel(Job<T> job, Radices radices, int size, bool packed) {
  Pair<C>* const roots = dynamic_shared<Pair<C>>();
  const int n = static_cast<int>(job.n), x = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  for (int k = static_cast<int>(threadIdx.y) * threads + x; k < n; k += threads * static_cast<int>(blockDim.y))
    roots[k] = root_of_unity<C>(k, n);
  const KeptRoots<C> kept{roots, packed ? 2 : 1};
  __syncthreads();
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t base = std::int64_t{blockIdx.x} * blockDim.y; base < job.rows; base += step) {
    const std::int64_t r = base + threadIdx.y;
    const bool mine = r < job.rows;
    Pair<C>* in = roots + n + static_cast<int>(threadIdx.y) * 2 * size;
    Pair<C>* out = in + size;
    for (int k = x; k < size && mine; k += threads) {
      if (!packed) {
        in[k] = job.template load_full<C>(r, k);
      } else if (job.kind == Kind::to_half) {
        const Pair<C> even = job.template load_full<C>(r, 2 * k), odd = job.template load_full<C>(r, 2 * k + 1);
        in[k] = {even.re, odd.re};
      } else {  // (X[k] + conj X[size - k]) + i e^(2 pi i k / n) (X[k] - conj X[size - k])
        const T* from = job.row(r);
        const Pair<C> a = job.template half<C>(from, k), b = job.template half<C>(from, size - k), w = roots[k];
        const Pair<C> sum{a.re + b.re, a.im - b.im}, turned = Pair<C>{a.re - b.re, a.im + b.im} * Pair<C>{w.re, -w.im};
        in[k] = swapped(sum + Pair<C>{-turned.im, turned.re});
      }
    }
    __syncthreads();
    int done = 1;
    for (int s = 0; s < radices.count; ++s) {
      const int radix = radices.radix[s];
      for (int t = x; t < size / radix && mine; t += threads) fft_butterfly(radix, in, out, t, done, size, kept);
      done *= radix;
      __syncthreads();
      Pair<C>* const other = in;
      in = out, out = other;
    }
    if (packed && job.kind == Kind::to_half) {
      for (int k = x; k <= size && mine; k += threads) {  // X[k] = even[k] + e^(-2 pi i k / n) odd[k]
        const Pair<C> a = in[k == size ? 0 : k], b = in[k == 0 ? 0 : size - k];
        const Pair<C> even{(a.re + b.re) / 2, (a.im - b.im) / 2}, odd{(a.im + b.im) / 2, (b.re - a.re) / 2};
        job.store_bin(r, k, even + odd * roots[k]);
      }
    } else if (packed) {
      const C scale = static_cast<C>(job.scale);
      for (int k = x; k < size && mine; k += threads) {
        T* const to = job.y + r * n + 2 * k;
        to[0] = static_cast<T>(in[k].im * scale), to[1] = static_cast<T>(in[k].re * scale);
      }
    } else {
      for (int k = x; k < size && mine; k += threads) job.store_full(r, k, in[k]);
    }
    __syncthreads();  // the next rows go where these were
  }
}

struct SharedPlan {
  Launch launch;
  int size;
  bool packed, fits;
};
template <class T>
SharedPlan plan_shared(const Job<T>& job, std::size_t number, const Limits& l) {
  SharedPlan p{};
  p.packed = job.kind != Kind::complex && job.n % 2 == 0;
  const std::int64_t size = p.packed ? job.n / 2 : job.n, most = l.shared_bytes / static_cast<std::int64_t>(number);
  p.fits = job.n + 2 * size <= most && Radices(size).fits;
  if (!p.fits) return p;
  p.size = static_cast<int>(size);
  unsigned x = 1;
  while (x < 256 && x * 4 < size) x *= 2;
  std::int64_t rows = std::max<std::int64_t>(1, 128 / x);
  while (rows > 1 && x * rows > kWarp && job.n + 2 * size * rows > std::min<std::int64_t>(most, 4096)) rows /= 2;
  p.launch.block[0] = x, p.launch.block[1] = static_cast<unsigned>(rows);
  p.launch.shared = static_cast<unsigned>((job.n + 2 * size * rows) * static_cast<std::int64_t>(number));
  // Blocks stay and walk over rows: each makes its table of roots once.
  const std::int64_t resident = std::max<std::int64_t>(1, std::min<std::int64_t>(16, l.shared_bytes / p.launch.shared));
  p.launch.grid[0] =
      static_cast<unsigned>(std::min(ceil_div(job.rows, rows), resident * std::int64_t{l.multiprocessors}));
  return p;
}

// ---- through memory -------------------------------------------------------------------------------------------------
template <class C>
__global__ void step_kernel(const Pair<C>* in, Pair<C>* out, std::int64_t items, int radix, std::int64_t done,
                            std::int64_t n) {
  const std::int64_t each = n / radix, step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < items; at += step) {
    const std::int64_t row = at / each;
    fft_butterfly(radix, in + row * n, out + row * n, at - row * each, done, n, FreshRoots());
  }
}
// Forward transforms of rows of n in a; where the result is, is returned: a or b.
template <class C>
Pair<C>* transform(Device d, Pair<C>* a, Pair<C>* b, std::int64_t rows, std::int64_t n) {
  const Job<C> job{Kind::complex, false, n, rows, &a->re, nullptr, rows, 0, 2 * n, &b->re, 1};
  const Radices radices(n);
  if (const SharedPlan p = plan_shared(job, sizeof(Pair<C>), limits(d)); p.fits) {
    launch(d, p.launch, shared_kernel<C, C>, job, radices, p.size, p.packed);
    return b;
  }
  std::int64_t done = 1;
  for (int s = 0; s < radices.count; ++s) {
    const int radix = radices.radix[s];
    launch(d, plan_items(rows * (n / radix)), step_kernel<C>, a, b, rows * (n / radix), radix, done, n);
    done *= radix;
    std::swap(a, b);
  }
  return a;
}

// e^(-i pi k k / n), k < n.
__device__ inline Pair<double> chirp(std::int64_t k, std::int64_t n) {
  return root_of_unity<double>(k * k % (2 * n), 2 * n);
}
// Rows first … of the job as numbers, zeros behind n; times the chirp, and one more row with the chirp itself, when m
// is more than n.
template <class T, class C>
__global__ void fill_kernel(Job<T> job, std::int64_t first, std::int64_t rows, std::int64_t m, Pair<C>* to) {
  const std::int64_t all = (m > job.n ? rows + 1 : rows) * m, step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < all; at += step) {
    const std::int64_t r = at / m, k = at - r * m;
    Pair<C> v{0, 0};
    if (r < rows) {
      if (k < job.n) v = job.template load_full<C>(first + r, k);
      if constexpr (sizeof(C) == 8)
        if (m > job.n && k < job.n) v = v * chirp(k, job.n);
    } else {
      const std::int64_t away = k < job.n ? k : m - k;
      if constexpr (sizeof(C) == 8)
        if (away < job.n) v = chirp(away, job.n), v.im = -v.im;
    }
    to[at] = v;
  }
}
// Row r times the last row, parts exchanged for the way back.
__global__ void multiply_kernel(Pair<double>* x, std::int64_t rows, std::int64_t m) {
  const std::int64_t all = rows * m, step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < all; at += step)
    x[at] = swapped(x[at] * x[all + at % m]);
}
template <class T, class C>
__global__ void take_kernel(Job<T> job, std::int64_t first, std::int64_t rows, std::int64_t m, const Pair<C>* from) {
  const std::int64_t all = rows * job.n, step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < all; at += step) {
    const std::int64_t r = at / job.n, k = at - r * job.n;
    Pair<C> v = from[r * m + k];
    if constexpr (sizeof(C) == 8)
      if (m > job.n) {
        v = swapped(v) * chirp(k, job.n);
        v.re /= static_cast<double>(m), v.im /= static_cast<double>(m);
      }
    job.store_full(first + r, k, v);
  }
}

template <class T, class C>
void in_memory(Device d, const Job<T>& job, std::int64_t m) {
  const bool chirped = m > job.n;
  const std::int64_t row = m * static_cast<std::int64_t>(sizeof(Pair<C>));
  const std::int64_t most = std::max<std::int64_t>(1, (std::int64_t{128} << 20) / row);  // rows at a time
  const std::int64_t some = std::min(job.rows, most) + chirped;
  const Scratch one(d, static_cast<std::size_t>(some * row)), two(d, static_cast<std::size_t>(some * row));
  for (std::int64_t first = 0; first < job.rows; first += most) {
    const std::int64_t rows = std::min(most, job.rows - first), all = rows + chirped;
    Pair<C>*a = one.as<Pair<C>>(), *b = two.as<Pair<C>>();
    launch(d, plan_items(all * m), fill_kernel<T, C>, job, first, rows, m, a);
    Pair<C>* at = transform(d, a, b, all, m);
    if constexpr (sizeof(C) == 8) {
      if (chirped) {
        launch(d, plan_items(rows * m), multiply_kernel, at, rows, m);
        at = transform(d, at, at == a ? b : a, rows, m);
      }
    }
    launch(d, plan_items(rows * job.n), take_kernel<T, C>, job, first, rows, m, at);
  }
}

template <class C, class T>
bool in_shared(Device d, const Job<T>& job) {
  const SharedPlan p = plan_shared(job, sizeof(Pair<C>), limits(d));
  if (p.fits) launch(d, p.launch, shared_kernel<T, C>, job, Radices(p.size), p.size, p.packed);
  return p.fits;
}
// Powers of two in the rows' own type; short rows, and other lengths, whose steps round more, in double.
template <class T>
void run(Device d, const Job<T>& job) {
  if (job.n == 0 || job.rows == 0) return;
  const bool power = job.n >= 64 && (job.n & (job.n - 1)) == 0;
  if (power ? in_shared<T>(d, job) : in_shared<double>(d, job)) return;
  if (power) return in_memory<T, T>(d, job, job.n);
  if (Radices(job.n).fits) return in_memory<T, double>(d, job, job.n);
  std::int64_t m = 1;
  while (m < 2 * job.n - 1) m *= 2;
  in_memory<T, double>(d, job, m);
}

template <class T>
void complex_rows(const FftArgs& a) {
  const std::int64_t n = a.x.sizes[1], rows = a.x.sizes[0];
  run(a.y.device, Job<T>{Kind::complex, a.inverse, n, rows, a.x.ptr<const T>(), nullptr,
                         std::max<std::int64_t>(rows, 1), 0, 2 * n, a.y.ptr<T>(), a.scale});
}
template <class T>
void real_rows(const RfftArgs& a) {
  const std::int64_t inner = std::max<std::int64_t>(a.x.sizes[1], 1), rows = a.x.sizes[0] * a.x.sizes[1];
  if constexpr (sizeof(T) == 4)
    if (rows == 0 || real_rows_in_registers(a.y.device, a.x.sizes[2],
                                            {rows, a.x.strides[0], a.x.strides[1], Divisor(inner),
                                             a.x.ptr<const float>(), a.window ? a.window.ptr<const float>() : nullptr,
                                             a.y.ptr<Pair<float>>(), static_cast<float>(a.scale)}))
      return;
  run(a.y.device, Job<T>{Kind::to_half, false, a.x.sizes[2], a.x.sizes[0] * a.x.sizes[1], a.x.ptr<const T>(),
                         a.window ? a.window.ptr<const T>() : nullptr, std::max<std::int64_t>(a.x.sizes[1], 1),
                         a.x.strides[0], a.x.strides[1], a.y.ptr<T>(), a.scale});
}
template <class T>
void to_real_rows(const IrfftArgs& a) {
  const std::int64_t n = a.y.sizes[1], rows = a.x.sizes[0];
  run(a.y.device, Job<T>{Kind::from_half, true, n, rows, a.x.ptr<const T>(), nullptr, std::max<std::int64_t>(rows, 1),
                         0, 2 * (n / 2 + 1), a.y.ptr<T>(), a.scale});
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

}  // namespace

void add_fft() {
  constexpr DeviceType cuda = DeviceType::cuda;
  fft.add(
      cuda, "cuda",
      [](const FftArgs& a) { a.dtype() == DType::f32 ? complex_rows<float>(a) : complex_rows<double>(a); },
      supports<FftArgs>);
  rfft.add(
      cuda, "cuda", [](const RfftArgs& a) { a.dtype() == DType::f32 ? real_rows<float>(a) : real_rows<double>(a); },
      supports<RfftArgs>);
  irfft.add(
      cuda, "cuda",
      [](const IrfftArgs& a) { a.dtype() == DType::f32 ? to_real_rows<float>(a) : to_real_rows<double>(a); },
      supports<IrfftArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
