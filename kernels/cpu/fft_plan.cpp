#include <tapedeck/kernels/cpu/fft_plan.h>

#include <algorithm>
#include <mutex>
#include <numbers>
#include <utility>

namespace tapedeck::kernels {
namespace {

constexpr int kLargestFactor = 13;

// The factors in the order of the stages; empty when one is too large.
std::vector<int> factors_of(std::int64_t n) {
  std::vector<int> out;
  for (const int p : {4, 2, 3, 5, 7, 11, kLargestFactor})
    for (; n % p == 0; n /= p) out.push_back(p);
  return n == 1 ? out : std::vector<int>{};
}

// One stage: `s` interleaved transforms of length n become p * s of length n / p.
//   y[q + s (p i + j)] = w^(i j) * sum over k of x[q + s (i + m k)] e^(-2 pi i j k / p),  w = e^(-2 pi i / n), m = n /
//   p
struct Stage {
  std::int64_t n, s, m, whole;  // whole = n s: the length of the plan, in whose roots all roots are found
  const double *re, *im;

  double root_re(std::int64_t k) const { return re[k * s]; }  // k < n
  double root_im(std::int64_t k) const { return im[k * s]; }
};

void radix2(const Stage& g, Split x, Split y) {
  for (std::int64_t i = 0; i < g.m; ++i) {
    const double wr = g.root_re(i), wi = g.root_im(i);
    const double *ar = x.re + g.s * i, *ai = x.im + g.s * i;
    const double *br = ar + g.s * g.m, *bi = ai + g.s * g.m;
    double *cr = y.re + g.s * 2 * i, *ci = y.im + g.s * 2 * i;
    double *dr = cr + g.s, *di = ci + g.s;
    for (std::int64_t q = 0; q < g.s; ++q) {
      const double er = ar[q] - br[q], ei = ai[q] - bi[q];
      cr[q] = ar[q] + br[q], ci[q] = ai[q] + bi[q];
      dr[q] = er * wr - ei * wi, di[q] = er * wi + ei * wr;
    }
  }
}

void radix4(const Stage& g, Split x, Split y) {
  for (std::int64_t i = 0; i < g.m; ++i) {
    const double w1r = g.root_re(i), w1i = g.root_im(i), w2r = g.root_re(2 * i), w2i = g.root_im(2 * i);
    const double w3r = g.root_re(3 * i), w3i = g.root_im(3 * i);
    const double *xr = x.re + g.s * i, *xi = x.im + g.s * i;
    double *yr = y.re + g.s * 4 * i, *yi = y.im + g.s * 4 * i;
    const std::int64_t from = g.s * g.m, to = g.s;
    for (std::int64_t q = 0; q < g.s; ++q) {
      const double ar = xr[q], ai = xi[q], br = xr[q + from], bi = xi[q + from];
      const double cr = xr[q + 2 * from], ci = xi[q + 2 * from], dr = xr[q + 3 * from], di = xi[q + 3 * from];
      const double sr = ar + cr, si = ai + ci, tr = ar - cr, ti = ai - ci;
      const double ur = br + dr, ui = bi + di, vr = bi - di, vi = dr - br;  // v = -i (b - d)
      const double pr = tr + vr, pi = ti + vi, rr = sr - ur, ri = si - ui, or_ = tr - vr, oi = ti - vi;
      yr[q] = sr + ur, yi[q] = si + ui;
      yr[q + to] = pr * w1r - pi * w1i, yi[q + to] = pr * w1i + pi * w1r;
      yr[q + 2 * to] = rr * w2r - ri * w2i, yi[q + 2 * to] = rr * w2i + ri * w2r;
      yr[q + 3 * to] = or_ * w3r - oi * w3i, yi[q + 3 * to] = or_ * w3i + oi * w3r;
    }
  }
}

void radix_any(const Stage& g, int p, Split x, Split y) {
  double root_re[kLargestFactor], root_im[kLargestFactor];
  for (int k = 0; k < p; ++k) root_re[k] = g.re[g.whole / p * k], root_im[k] = g.im[g.whole / p * k];
  for (std::int64_t i = 0; i < g.m; ++i)
    for (int j = 0; j < p; ++j) {
      const double wr = g.root_re(i * j), wi = g.root_im(i * j);
      double *yr = y.re + g.s * (p * i + j), *yi = y.im + g.s * (p * i + j);
      for (std::int64_t q = 0; q < g.s; ++q) {
        double sr = x.re[q + g.s * i], si = x.im[q + g.s * i];
        for (int k = 1; k < p; ++k) {
          const double cr = root_re[j * k % p], ci = root_im[j * k % p];
          const double ar = x.re[q + g.s * (i + g.m * k)], ai = x.im[q + g.s * (i + g.m * k)];
          sr += ar * cr - ai * ci, si += ar * ci + ai * cr;
        }
        yr[q] = sr * wr - si * wi, yi[q] = sr * wi + si * wr;
      }
    }
}

}  // namespace

// The angle is reduced to the first octant in integers; there the Taylor series of both functions are used up to the
// first term below half an ulp.
Root root_of_unity(std::int64_t k, std::int64_t n) {
  k %= n;
  const int octant = static_cast<int>(8 * k / n);
  // 8k mod n counts eighths of the circle's n-th parts; odd octants are mirrored.
  const std::int64_t rest = octant % 2 == 0 ? 8 * k - octant * n : (octant + 1) * n - 8 * k;
  const double a = static_cast<double>(rest) / static_cast<double>(n) * (std::numbers::pi / 4), z = a * a;
  double s = 1, c = 1;
  for (int i = 18; i > 0; i -= 2) s = 1 - z / (i * (i + 1)) * s, c = 1 - z / (i * (i - 1)) * c;
  s *= a;
  if (((octant + 1) / 2) % 2) std::swap(c, s);  // octants 1, 2, 5, 6: nearer to the other axis
  if (octant >= 2 && octant < 6) c = -c;
  if (octant >= 4) s = -s;
  return {c, s};
}

FftPlan::FftPlan(std::int64_t n) : n_(n), scratch_(2 * n), factors_(factors_of(n)) {
  const auto size = static_cast<std::size_t>(n);
  if (n == 1 || !factors_.empty()) {
    re_.resize(size), im_.resize(size);
    for (std::int64_t k = 0; k < n; ++k) {
      const Root w = root_of_unity(k, n);
      re_[static_cast<std::size_t>(k)] = w.re, im_[static_cast<std::size_t>(k)] = -w.im;
    }
    re_f32_.assign(re_.begin(), re_.end()), im_f32_.assign(im_.begin(), im_.end());
    return;
  }
  // X_j = c_j sum over k of (x_k c_k) conj(c_(j - k)), c_k = e^(-pi i k^2 / n): a circular convolution of length m.
  std::int64_t m = 1;
  while (m < 2 * n - 1) m *= 2;
  convolution_ = std::make_unique<FftPlan>(m);
  scratch_ = 2 * m + convolution_->scratch();
  chirp_re_.resize(size), chirp_im_.resize(size);
  kernel_re_.assign(static_cast<std::size_t>(m), 0), kernel_im_.assign(static_cast<std::size_t>(m), 0);
  std::int64_t square = 0;  // k^2 mod 2n, without overflow
  for (std::int64_t k = 0; k < n; ++k) {
    const Root w = root_of_unity(square, 2 * n);
    square = (square + 2 * k + 1) % (2 * n);
    chirp_re_[static_cast<std::size_t>(k)] = w.re, chirp_im_[static_cast<std::size_t>(k)] = -w.im;
    for (const std::int64_t at : {k, (m - k) % m})
      kernel_re_[static_cast<std::size_t>(at)] = w.re, kernel_im_[static_cast<std::size_t>(at)] = w.im;
  }
  std::vector<double> room(static_cast<std::size_t>(convolution_->scratch()));
  const Split spectrum = convolution_->run({kernel_re_.data(), kernel_im_.data()}, room.data());
  const double scale = 1.0 / static_cast<double>(m);  // exact: a power of two
  std::vector<double> re(spectrum.re, spectrum.re + m), im(spectrum.im, spectrum.im + m);
  for (double& v : re) v *= scale;
  for (double& v : im) v *= scale;
  kernel_re_ = std::move(re), kernel_im_ = std::move(im);
}

void FftPlan::mixed(Split& x, Split& spare) const {
  std::int64_t n = n_, s = 1;
  for (const int p : factors_) {
    const Stage g{n, s, n / p, n_, re_.data(), im_.data()};
    p == 4 ? radix4(g, x, spare) : p == 2 ? radix2(g, x, spare) : radix_any(g, p, x, spare);
    std::swap(x, spare);
    n /= p, s *= p;
  }
}

Split FftPlan::run(Split x, double* scratch) const {
  if (!convolution_) {
    Split spare{scratch, scratch + n_};
    mixed(x, spare);
    return x;
  }
  const std::int64_t m = convolution_->size();
  const Split work{scratch, scratch + m};
  const double *cr = chirp_re_.data(), *ci = chirp_im_.data(), *hr = kernel_re_.data(), *hi = kernel_im_.data();
  for (std::int64_t k = 0; k < n_; ++k) {
    work.re[k] = x.re[k] * cr[k] - x.im[k] * ci[k];
    work.im[k] = x.re[k] * ci[k] + x.im[k] * cr[k];
  }
  std::fill(work.re + n_, work.re + m, 0.0), std::fill(work.im + n_, work.im + m, 0.0);
  Split y = convolution_->run(work, scratch + 2 * m);
  for (std::int64_t k = 0; k < m; ++k) {  // times the chirp's spectrum; exchanged, so that the next run is an inverse
    const double re = y.re[k] * hr[k] - y.im[k] * hi[k];
    y.im[k] = y.re[k] * hi[k] + y.im[k] * hr[k];
    y.re[k] = re;
  }
  const bool in_work = y.re == work.re;
  double* other = in_work ? scratch + 2 * m : scratch;
  const Split back = convolution_->run({y.im, y.re}, other);
  for (std::int64_t k = 0; k < n_; ++k) {
    x.re[k] = back.im[k] * cr[k] - back.re[k] * ci[k];
    x.im[k] = back.im[k] * ci[k] + back.re[k] * cr[k];
  }
  return x;
}

std::shared_ptr<const FftPlan> fft_plan(std::int64_t n) {
  static std::mutex mutex;
  static std::vector<std::shared_ptr<const FftPlan>> recent;  // the last one used stands first
  constexpr std::size_t kKept = 32;
  const std::lock_guard lock(mutex);
  auto hit = std::find_if(recent.begin(), recent.end(), [n](const auto& plan) { return plan->size() == n; });
  if (hit == recent.end()) {
    if (recent.size() == kKept) recent.pop_back();
    hit = recent.insert(recent.end(), std::make_shared<FftPlan>(n));
  }
  std::rotate(recent.begin(), hit, hit + 1);
  return recent.front();
}

}  // namespace tapedeck::kernels
