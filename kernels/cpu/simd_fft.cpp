// Real transforms of power-of-two length in f32: 16 (or 8) rows side by side, one in each lane, so that every step is
// whole vectors and a row's bits depend on that row alone. A row of n is a complex one of n / 2, in Stockham's order by
// radix 4, whose spectrum is untangled.
#include <tapedeck/kernels/cpu/fft_plan.h>
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/fft.h>

#include <algorithm>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_fft.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>
#include <tapedeck/kernels/cpu/simd_transpose-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {
namespace {

// kLanes complex numbers for each index: re[index * kLanes + lane].
struct Lanes2 {
  float *re, *im;
};
HWY_INLINE F all(float x) { return F(hn::Set(DF(), x)); }

// Columns [from, from + n), n a multiple of 8, of kLanes rows, times the window (when there is one): column c of them
// goes to lane vector to(c).
template <class To>
HWY_INLINE void gather(const float* const* rows, std::int64_t from, std::int64_t n, const float* window, const To& to) {
  const SideTag d;
  for (std::int64_t c = from; c < from + n; c += kSide) {
    const hn::Vec<SideTag> w = window ? hn::LoadU(d, window + c) : hn::Set(d, 1.0f);
    for (int lane = 0; lane < kLanes; lane += kSide) {
      Square x;
      for (int i = 0; i < kSide; ++i) x.row[i] = hn::Mul(hn::LoadU(d, rows[lane + i] + c), w);
      const Square t = transposed(x);
      for (int i = 0; i < kSide; ++i) hn::StoreU(t.row[i], d, to(c + i) + lane);
    }
  }
}
// The way back: columns [0, n) of `count` rows from lane vectors from(c).
template <class From>
HWY_INLINE void scatter(float* const* rows, std::int64_t count, std::int64_t n, const From& from) {
  const SideTag d;
  const std::int64_t whole = n / kSide * kSide;
  for (std::int64_t c = 0; c < whole; c += kSide)
    for (std::int64_t lane = 0; lane < count; lane += kSide) {
      Square x;
      for (int i = 0; i < kSide; ++i) x.row[i] = hn::LoadU(d, from(c + i) + lane);
      const Square t = transposed(x);
      for (std::int64_t i = 0; i < std::min<std::int64_t>(kSide, count - lane); ++i)
        hn::StoreU(t.row[i], d, rows[lane + i] + c);
    }
  for (std::int64_t c = whole; c < n; ++c)
    for (std::int64_t lane = 0; lane < count; ++lane) rows[lane][c] = from(c)[lane];
}

// One stage: see fft_plan.cpp. The roots of `step` times the stage's own length lie at re, im.
HWY_NOINLINE void radix4(std::int64_t m, std::int64_t s, const float* re, const float* im, std::int64_t step, Lanes2 x,
                         Lanes2 y) {
  const std::int64_t from = s * m * kLanes, to = s * kLanes;
  for (std::int64_t i = 0; i < m; ++i) {
    const std::int64_t k = i * s * step;
    const F w1r = all(re[k]), w1i = all(im[k]), w2r = all(re[2 * k]), w2i = all(im[2 * k]);
    const F w3r = all(re[3 * k]), w3i = all(im[3 * k]);
    const float *xr = x.re + s * i * kLanes, *xi = x.im + s * i * kLanes;
    float *yr = y.re + s * 4 * i * kLanes, *yi = y.im + s * 4 * i * kLanes;
    for (std::int64_t q = 0; q < to; q += kLanes) {
      const F ar = load(xr + q), ai = load(xi + q), br = load(xr + q + from), bi = load(xi + q + from);
      const F cr = load(xr + q + 2 * from), ci = load(xi + q + 2 * from);
      const F dr = load(xr + q + 3 * from), di = load(xi + q + 3 * from);
      const F sr = ar + cr, si = ai + ci, tr = ar - cr, ti = ai - ci;
      const F ur = br + dr, ui = bi + di, vr = bi - di, vi = dr - br;  // v = -i (b - d)
      const F pr = tr + vr, pi = ti + vi, qr = sr - ur, qi = si - ui, rr = tr - vr, ri = ti - vi;
      store(sr + ur, yr + q), store(si + ui, yi + q);
      store(fma(pr, w1r, -(pi * w1i)), yr + q + to), store(fma(pr, w1i, pi * w1r), yi + q + to);
      store(fma(qr, w2r, -(qi * w2i)), yr + q + 2 * to), store(fma(qr, w2i, qi * w2r), yi + q + 2 * to);
      store(fma(rr, w3r, -(ri * w3i)), yr + q + 3 * to), store(fma(rr, w3i, ri * w3r), yi + q + 3 * to);
    }
  }
}
HWY_NOINLINE void radix2(std::int64_t s, Lanes2 x, Lanes2 y) {  // the last stage: its root is 1
  const std::int64_t half = s * kLanes;
  for (std::int64_t q = 0; q < half; q += kLanes) {
    const F ar = load(x.re + q), ai = load(x.im + q), br = load(x.re + q + half), bi = load(x.im + q + half);
    store(ar + br, y.re + q), store(ai + bi, y.im + q);
    store(ar - br, y.re + q + half), store(ai - bi, y.im + q + half);
  }
}
// The forward transform of h = n / 2 numbers; the result stands in x. The roots are those of n.
HWY_INLINE void transform(std::int64_t h, const float* re, const float* im, Lanes2& x, Lanes2& spare) {
  std::int64_t n = h, s = 1;
  for (; n >= 4; n /= 4, s *= 4) radix4(n / 4, s, re, im, 2, x, spare), std::swap(x, spare);
  if (n == 2) radix2(s, x, spare), std::swap(x, spare);
}

}  // namespace

// `count` rows; rows[lane] beyond are repeated ones. room: 2 n + 2 vectors.
void rfft_rows(const float* const* rows, float* const* out, std::int64_t count, const float* window, std::int64_t n,
               const float* re, const float* im, double scale, float* room) {
  const std::int64_t h = n / 2;
  float* const second = room + n * kLanes;
  Lanes2 z{room, room + h * kLanes}, spare{second, second + h * kLanes};
  gather(rows, 0, n, window, [&](std::int64_t c) { return (c % 2 == 0 ? z.re : z.im) + c / 2 * kLanes; });
  transform(h, re, im, z, spare);
  // The transform may end in either half of the room, whose other half takes pairs (re, im); they need two vectors
  // more.
  float* const y = z.re == room ? second : room;
  float* const last = room + 2 * n * kLanes;
  const auto at = [=](std::int64_t c) { return c < n ? y + c * kLanes : last + (c - n) * kLanes; };
  const F f(scale), half(0.5);
  const auto put = [&](std::int64_t k, F r, F i) HWY_ATTR { store(r * f, at(2 * k)), store(i * f, at(2 * k + 1)); };
  put(0, load(z.re) + load(z.im), F(0.0)), put(h, load(z.re) - load(z.im), F(0.0));
  for (std::int64_t k = 1, j = h - 1; k <= j; ++k, --j) {  // even samples e, odd ones o: y = e + w o
    const F zr = load(z.re + k * kLanes), zi = load(z.im + k * kLanes);
    const F cr = load(z.re + j * kLanes), ci = load(z.im + j * kLanes);
    const F er = half * (zr + cr), ei = half * (zi - ci), odd_r = half * (zi + ci), odd_i = half * (cr - zr);
    const F wr = all(re[k]), wi = all(im[k]);
    const F tr = fma(odd_r, wr, -(odd_i * wi)), ti = fma(odd_r, wi, odd_i * wr);
    put(k, er + tr, ei + ti), put(j, er - tr, ti - ei);
  }
  scatter(out, count, n + 2, at);
}

void irfft_rows(const float* const* rows, float* const* out, std::int64_t count, std::int64_t n, const float* re,
                const float* im, double scale, float* room) {
  const std::int64_t h = n / 2;
  float* const second = room + n * kLanes;
  float* const last = room + 2 * n * kLanes;
  // Bins as they are read into the second half; re and im are exchanged, which makes the transform an inverse one.
  const auto at = [=](std::int64_t c) { return c < n ? second + c * kLanes : last + (c - n) * kLanes; };
  gather(rows, 0, n, nullptr, at);
  for (int lane = 0; lane < kLanes; ++lane) at(n)[lane] = rows[lane][n];
  Lanes2 z{room, room + h * kLanes}, spare{second, second + h * kLanes};
  store(load(at(0)) + load(at(n)), z.im), store(load(at(0)) - load(at(n)), z.re);
  for (std::int64_t k = 1, j = h - 1; k <= j; ++k, --j) {  // the spectrum of even + i odd samples, each twice as large
    const F xr = load(at(2 * k)), xi = load(at(2 * k + 1)), cr = load(at(2 * j)), ci = load(at(2 * j + 1));
    const F er = xr + cr, ei = xi - ci, dr = xr - cr, di = xi + ci, wr = all(re[k]), wi = all(im[k]);
    const F odd_r = fma(dr, wr, di * wi), odd_i = fma(di, wr, -(dr * wi));
    store(er - odd_i, z.im + k * kLanes), store(ei + odd_r, z.re + k * kLanes);
    store(er + odd_i, z.im + j * kLanes), store(odd_r - ei, z.re + j * kLanes);
  }
  transform(h, re, im, z, spare);
  const F f(scale);
  for (std::int64_t i = 0; i < h * kLanes; i += kLanes)
    store(load(z.re + i) * f, z.re + i), store(load(z.im + i) * f, z.im + i);
  scatter(out, count, n, [&](std::int64_t c) { return (c % 2 == 0 ? z.im : z.re) + c / 2 * kLanes; });
}

std::int64_t fft_lanes() { return kLanes; }

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

constexpr int kMostLanes = 16;
#define TD_TARGET(name) (use_avx512() ? N_AVX3::name : N_AVX2::name)

const char* supports_length(DType dtype, std::int64_t n) {
  if (dtype != DType::f32) return "dtype is not f32";
  return n >= 32 && n <= 16384 && (n & (n - 1)) == 0 ? nullptr : "the length is no power of two from 32 to 16384";
}

// f(rows, out, count, room) for blocks of rows; from(r), to(r) are where row r begins.
template <class From, class To, class Fn>
void each_block_of_rows(std::int64_t rows, std::int64_t n, const From& from, const To& to, const Fn& f) {
  const std::int64_t lanes = TD_TARGET(fft_lanes)(), blocks = (rows + lanes - 1) / lanes;
  parallel_for(blocks, row_grain(n * lanes, 4), [&](std::int64_t begin, std::int64_t end) {
    auto* room = static_cast<float*>(workspace(static_cast<std::size_t>((2 * n + 2) * lanes) * sizeof(float)));
    for (std::int64_t b = begin; b < end; ++b) {
      const float* in[kMostLanes];
      float* out[kMostLanes];
      const std::int64_t count = std::min(lanes, rows - b * lanes);
      for (std::int64_t i = 0; i < lanes; ++i) {
        const std::int64_t r = b * lanes + std::min(i, count - 1);
        in[i] = from(r), out[i] = to(r);
      }
      f(in, out, count, room);
    }
  });
}

void rfft_f32(const RfftArgs& a) {
  const std::int64_t n = a.x.sizes[2];
  const auto plan = fft_plan(n);
  const auto run = TD_TARGET(rfft_rows);
  const auto from = [&](std::int64_t r) { return a.row(r, a.x.ptr<const float>()); };
  const auto to = [&](std::int64_t r) { return a.y.ptr<float>() + r * (n + 2); };
  const float* window = a.window ? a.window.ptr<const float>() : nullptr;
  each_block_of_rows(a.y.sizes[0], n, from, to, [&](auto in, auto out, std::int64_t count, float* room) {
    run(in, out, count, window, n, plan->cosines_f32(), plan->sines_f32(), a.scale, room);
  });
}

void irfft_f32(const IrfftArgs& a) {
  const std::int64_t n = a.y.sizes[1];
  const auto plan = fft_plan(n);
  const auto run = TD_TARGET(irfft_rows);
  const auto from = [&](std::int64_t r) { return a.x.ptr<const float>() + r * (n + 2); };
  const auto to = [&](std::int64_t r) { return a.y.ptr<float>() + r * n; };
  each_block_of_rows(a.y.sizes[0], n, from, to, [&](auto in, auto out, std::int64_t count, float* room) {
    run(in, out, count, n, plan->cosines_f32(), plan->sines_f32(), a.scale, room);
  });
}

}  // namespace

void add_simd_fft() {
  constexpr DeviceType cpu = DeviceType::cpu;
  rfft.add(cpu, "simd", rfft_f32, [](const RfftArgs& a) { return supports_length(a.dtype(), a.x.sizes[2]); });
  irfft.add(cpu, "simd", irfft_f32, [](const IrfftArgs& a) { return supports_length(a.dtype(), a.y.sizes[1]); });
}

}  // namespace tapedeck::kernels
#endif
