// One step of Stockham's algorithm: from sums of `done` terms to sums of done * R of them. Lengths are products of the
// radices 2, 3, 4, 5 and 7; results come out in order.
#pragma once
#include <tapedeck/kernels/cuda/tile.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

template <class C>
struct alignas(2 * sizeof(C)) Pair {
  C re, im;
};
template <class C>
__device__ inline Pair<C> operator+(Pair<C> a, Pair<C> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class C>
__device__ inline Pair<C> operator-(Pair<C> a, Pair<C> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class C>
__device__ inline Pair<C> operator*(Pair<C> a, Pair<C> b) {
  return {tile_fma(a.re, b.re, -(a.im * b.im)), tile_fma(a.re, b.im, a.im * b.re)};
}
template <class C>
__device__ inline Pair<C> swapped(Pair<C> a) {
  return {a.im, a.re};
}

// e^(-2 pi i k / n), k < n, computed where it is needed: from the nearest quarter turn, at most an eighth away.
template <class C>
__device__ inline Pair<C> root_of_unity(std::int64_t k, std::int64_t n) {
  const std::int64_t quarter = (8 * k + n) / (2 * n), rest = 4 * k - quarter * n;
  double s, c;
  sincospi(-static_cast<double>(rest) / static_cast<double>(2 * n), &s, &c);
  const Pair<C> v{static_cast<C>(c), static_cast<C>(s)};
  switch (quarter % 4) {
    case 0:
      return v;
    case 1:
      return {v.im, -v.re};
    case 2:
      return {-v.re, -v.im};
    default:
      return {-v.im, v.re};
  }
}
struct FreshRoots {
  template <class C>
  __device__ Pair<C> get(std::int64_t k, std::int64_t n) const {
    return root_of_unity<C>(k, n);
  }
};
// From a table of the roots of step * n.
template <class T>
struct KeptRoots {
  const Pair<T>* table;
  int step;
  template <class C>
  __device__ Pair<C> get(std::int64_t k, std::int64_t) const {
    return table[k * step];
  }
};

// The transform of R numbers in registers, R = 2, 4, 8 or 16, in order.
template <int R, class C>
__device__ inline void fft_in_place(Pair<C> (&a)[R]) {
  if constexpr (R == 2) {
    const Pair<C> sum = a[0] + a[1];
    a[1] = a[0] - a[1], a[0] = sum;
  } else if constexpr (R == 4) {
    const Pair<C> even = a[0] + a[2], odd = a[1] + a[3], d = a[0] - a[2], e = a[1] - a[3];
    const Pair<C> turned{e.im, -e.re};  // -i e
    a[0] = even + odd, a[1] = d + turned, a[2] = even - odd, a[3] = d - turned;
  } else {  // fours of every (R / 4)-th number, then transforms across them
    constexpr int Q = R / 4;
    constexpr double root = 0.70710678118654752440, c = 0.92387953251128675613, s = 0.38268343236508977173;
    constexpr double re[] = {1, c, root, s, 0, -s, -root, -c, -1, -c},
                     im[] = {0, -s, -root, -c, -1, -c, -root, -s, 0, s};
    Pair<C> four[Q][4];
#pragma unroll
    for (int b = 0; b < Q; ++b) {
#pragma unroll
      for (int j = 0; j < 4; ++j) four[b][j] = a[b + Q * j];
      fft_in_place<4>(four[b]);
    }
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      Pair<C> across[Q];
#pragma unroll
      for (int b = 0; b < Q; ++b) {
        const int turn = b * k * 16 / R;  // in sixteenths
        const Pair<C> v = four[b][k];
        across[b] = turn == 0   ? v
                    : turn == 4 ? Pair<C>{v.im, -v.re}
                                : v * Pair<C>{static_cast<C>(re[turn]), static_cast<C>(im[turn])};
      }
      fft_in_place<Q>(across);
#pragma unroll
      for (int b = 0; b < Q; ++b) a[k + 4 * b] = across[b];
    }
  }
}

// Butterfly t of n / R.
template <int R, class C, class Index, class Roots>
__device__ inline void fft_butterfly(const Pair<C>* in, Pair<C>* out, Index t, Index done, Index n,
                                     const Roots& roots) {
  const Index each = n / R, p = t / done, q = t - p * done;
  Pair<C> a[R], b[R];
#pragma unroll
  for (int j = 0; j < R; ++j) a[j] = in[t + each * j];
  if constexpr (R == 2) {
    b[0] = a[0] + a[1], b[1] = a[0] - a[1];
  } else if constexpr (R == 4) {
    const Pair<C> even = a[0] + a[2], odd = a[1] + a[3], d = a[0] - a[2], e = a[1] - a[3];
    const Pair<C> turned{e.im, -e.re};  // -i e
    b[0] = even + odd, b[1] = d + turned, b[2] = even - odd, b[3] = d - turned;
  } else {
    Pair<C> w[R];
#pragma unroll
    for (int j = 1; j < R; ++j) w[j] = roots.template get<C>(each * j, n);
#pragma unroll
    for (int k = 0; k < R; ++k) {
      b[k] = a[0];
#pragma unroll
      for (int j = 1; j < R; ++j) b[k] = b[k] + (j * k % R == 0 ? a[j] : a[j] * w[j * k % R]);
    }
  }
  out[q + done * (R * p)] = b[0];
#pragma unroll
  for (int k = 1; k < R; ++k)
    out[q + done * (R * p + k)] = p == 0 ? b[k] : b[k] * roots.template get<C>(done * p * k, n);
}
template <class C, class Index, class Roots>
__device__ inline void fft_butterfly(int radix, const Pair<C>* in, Pair<C>* out, Index t, Index done, Index n,
                                     const Roots& roots) {
  switch (radix) {
    case 2:
      return fft_butterfly<2>(in, out, t, done, n, roots);
    case 3:
      return fft_butterfly<3>(in, out, t, done, n, roots);
    case 4:
      return fft_butterfly<4>(in, out, t, done, n, roots);
    case 5:
      return fft_butterfly<5>(in, out, t, done, n, roots);
    default:
      return fft_butterfly<7>(in, out, t, done, n, roots);
  }
}

// The radices of a length, in the order of the steps; none for a length that has other factors, and for 1.
struct Radices {
  int count = 0;
  std::int8_t radix[40];
  bool fits = true;

  explicit Radices(std::int64_t n) {
    for (const int r : {4, 2, 3, 5, 7})
      for (; n % r == 0 && n > 1; n /= r) radix[count++] = static_cast<std::int8_t>(r);
    fits = n == 1;
  }
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
