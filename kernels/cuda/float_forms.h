// Activations that f32, bf16 and f16 compute in float in forms of their own: the common ones lose digits in float, and
// in double cost more than the memory that they read and write. Errors are within a few roundings, relative to |f| + |x
// f'|.
#pragma once
#include <tapedeck/kernels/common/elementwise_math.h>
#include <tapedeck/kernels/cuda/float_math.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace floats {

// e^-z = 2^n (1 + r q) for z in [0, 110]; n + 64 is in the low bits of `bits`.
struct Decay {
  unsigned bits;
  float r, q;
};
template <bool exact = false>  // for few roundings at any z; else the error grows by 2^-29 with each power of two
__device__ inline Decay decay(float z, float low) {  // of z + low
  constexpr double q[] = {
      1, 0.4999999403953552, 0.16666430234909058, 0.04166800528764725, 0.008374196477234364, 0.0013843602500855923};
  constexpr float magic = 0x1.8p23f + 64;
  const float shifted = fmaf(z, -1.4426950408889634f, magic), n = shifted - magic;
  const float most = fmaf(n, -0x1.62e43p-1f, -z), r = (exact ? fmaf(n, 0x1.05c61p-29f, most) : most) - low;
  return {__float_as_uint(shifted), r, horner(Float(r), q).v};
}
// e^-z 2^64: normal where e^-z is none. Of a NaN it makes any number: one to be multiplied with it.
template <bool exact = false>
__device__ inline float grown_decay(float z, float low = 0) {
  const Decay d = decay<exact>(z, low);
  return __uint_as_float(__float_as_uint(fmaf(d.r, d.q, 1)) + (d.bits << 23));
}
inline constexpr float kShrink = 0x1p-64f;
__device__ inline float shrunk(float grown, float plus) { return fmaf(grown, kShrink, plus); }  // rounded once

// x f(x) with f(-z) = 1 - f(z): max(x, 0) - z f(-z), z = |x|; `tail` is z f(-z) 2^64.
__device__ inline Float less_tail(Float x, float tail) { return Float(fmaf(tail, -kShrink, ::fmaxf(x.v, 0))); }

// The standard normal's distribution function at -z, by e^(-z^2/2), for z in [0, 15]: y (1 + off), y = s Q(s - 1/4)
// with s = 1 / (z + 3) but for its rounding, which comes to twice as much in y.
struct NormalRatio {
  float y, off;
};
__device__ inline NormalRatio normal_ratio(float z) {
  constexpr double q[] = {1.0463131666183472, 4.606042385101318,   10.008399963378906,
                          2.8481712341308594, -27.148107528686523, -6.245145797729492,
                          108.33827209472656, -66.82164001464844,  -496.1142883300781};
  const float sum = z + 3, near = near_reciprocal(sum), s = fmaf(near, fmaf(-near, sum, 1), near);
  return {s * horner(Float(s - 0.25f), q).v, 2 * fmaf(-s, z, fmaf(s, -3, 1))};
}

// log(1 + e) / e for e in [0, 1].
__device__ inline float log1p_ratio(float e) {
  constexpr double c[] = {1,
                          -0.49999934434890747,
                          0.33330512046813965,
                          -0.24958586692810059,
                          0.19695407152175903,
                          -0.1535542607307434,
                          0.10680611431598663,
                          -0.057665012776851654,
                          0.02020489051938057,
                          -0.003318540519103408};
  return horner(Float(e), c).v;
}
__device__ inline Float softplus(Float x) {  // log(1 + e^x)
  const float grown = grown_decay<true>(less_of(::fabsf(x.v), 110));
  return Float(shrunk(grown * log1p_ratio(grown * kShrink), more_of(x.v, 0)));
}

// s scale = e^x / (1 + e^x) and rest = 1 / (1 + e^x) for x in [-110, 110].
struct Halves {
  float s, scale, rest;
};
__device__ inline Halves logistic_halves(float x, float low = 0) {
  const float grown = grown_decay(::fabsf(x), low), below = shrunk(grown, 1);
  const float share = reciprocal(below), small = quotient(grown, below);
  return x < 0 ? Halves{small, kShrink, share} : Halves{share, 1, small * kShrink};
}

// e^x in two scales, and the numbers of mish: tanh(log(1 + e)) = e m / (e m + 2) with m = e + 2. For x in [-110, 20].
struct MishParts {
  float grown, e, m, below;
};
__device__ inline MishParts mish_parts(float x) {
  const float grown = grown_decay(-x), e = grown * kShrink, m = e + 2;
  return {grown, e, m, fmaf(e, m, 2)};
}

}  // namespace floats

// What stands for functor F where f32, bf16 and f16 are computed.
template <class F>
struct InFloat : F {};

template <>
struct InFloat<math::Gelu> {
  static constexpr bool kWide = false;
  static __device__ Float value(Float x, Float, Float) {
    const float z = floats::less_of(::fabsf(x.v), 15);
    const floats::Decay d = floats::decay(z * (0.5f * z), 0);
    const floats::NormalRatio r = floats::normal_ratio(z);
    const float tail = r.y * (z * __uint_as_float((d.bits << 23) + 0x3f800000u));
    return floats::less_tail(x, fmaf(tail, fmaf(d.r, d.q, r.off), tail));
  }
  // At -z the slope is density (ratio - z / (2 pi)^(1/2)), at z one less that.
  static __device__ Float grad(Float g, Float x, Float, Float, Float) {
    const float z = floats::less_of(::fabsf(x.v), 15);
    const floats::NormalRatio r = floats::normal_ratio(z);
    const float tail = floats::grown_decay(z * (0.5f * z)) * fmaf(z, -0.39894228040143267794f, fmaf(r.y, r.off, r.y));
    return g * Float(floats::shrunk(x.v < 0 ? tail : -tail, x.v < 0 ? 0.0f : 1.0f));
  }
};

template <>
struct InFloat<math::GeluTanh> {
  static constexpr bool kWide = false;
  static constexpr float kFirst = 1.5957691216057307118f, kRest = -0x1.857936p-25f;  // together the first coefficient
  static constexpr float kSecond = 0.071354816272600244878f;
  static __device__ float argument(float x) { return x * fmaf(x * x, kSecond, kFirst); }
  static __device__ Float value(Float x, Float, Float) {
    const float z = floats::less_of(::fabsf(x.v), 11), grown = floats::grown_decay(argument(z), z * kRest);
    return floats::less_tail(x, floats::quotient(z * grown, floats::shrunk(grown, 1)));
  }
  static __device__ Float grad(Float g, Float x, Float, Float, Float) {
    const float z = floats::clamped(x.v, -11, 11);
    const float square = z * z, sum = fmaf(square, kSecond, kFirst),
                under = fmaf(square, kSecond, kFirst - sum) + kRest;
    const float u = z * sum, low = fmaf(z, under, fmaf(z, sum, -u));  // slopes take more of what u lost than values do
    const floats::Halves h = floats::logistic_halves(u, x.v < 0 ? -low : low);
    const float slope = fmaf(square, 3 * kSecond, kFirst), rest = fmaf(square, 3 * kSecond, kFirst - slope) + kRest;
    const float way = z * slope, way_low = fmaf(z, rest, fmaf(z, slope, -way));
    return g * Float(h.s * fmaf(h.rest, way_low, fmaf(h.rest, way, 1)) * h.scale);
  }
};

template <>
struct InFloat<math::Silu> {
  static constexpr bool kWide = false;
  static __device__ Float value(Float x, Float, Float) {
    const float z = floats::less_of(::fabsf(x.v), 110), grown = floats::grown_decay(z);
    return floats::less_tail(x, floats::quotient(z * grown, floats::shrunk(grown, 1)));
  }
  static __device__ Float grad(Float g, Float x, Float, Float, Float) {
    const float z = floats::clamped(x.v, -110, 110);
    const floats::Halves h = floats::logistic_halves(z);
    return g * Float(h.s * fmaf(z, h.rest, 1) * h.scale);
  }
};

template <>
struct InFloat<math::Mish> {
  static constexpr bool kWide = false;
  static __device__ Float value(Float x, Float, Float) {
    const float z = floats::clamped(x.v, -110, 20);
    const floats::MishParts p = floats::mish_parts(z);
    const float y = z * floats::quotient(p.grown * p.m, p.below) * floats::kShrink;
    return pick(x > Float(20), x, Float(y));
  }
  static __device__ Float grad(Float g, Float x, Float, Float, Float) {
    const float z = floats::clamped(x.v, -110, 20);
    const floats::MishParts p = floats::mish_parts(z);
    const float share = floats::reciprocal(p.below), bend = 4 * z * (1 + p.e);
    const float slope = p.grown * share * fmaf(bend, share, p.m) * floats::kShrink;
    return pick(x > Float(20), g, g * Float(slope));
  }
};

template <>
struct InFloat<math::Log> : math::Log {
  static constexpr bool kWide = false;
};
template <>
struct InFloat<math::Celu> : math::Celu {
  static constexpr bool kWide = false;
};

template <>
struct InFloat<math::Logsigmoid> {
  static constexpr bool kWide = false;
  static __device__ Float value(Float x, Float, Float) { return -floats::softplus(-x); }
  static __device__ Float grad(Float g, Float x, Float, Float, Float) { return g * floats::logistic(-x); }
};

template <>
struct InFloat<math::Softplus> {
  static constexpr bool kWide = false;
  static __device__ bool beyond(Float x, Float beta, Float threshold) {
    return fma(x, beta, -threshold) > Float(0);  // no rounding decides it
  }
  static __device__ Float value(Float x, Float beta, Float threshold) {
    if (beta == Float(1)) return pick(x > threshold, x, floats::softplus(x));
    return pick(beyond(x, beta, threshold), x, floats::softplus(x * beta) / beta);
  }
  static __device__ Float grad(Float g, Float x, Float, Float beta, Float threshold) {
    return pick(beyond(x, beta, threshold), g, g * floats::logistic(x * beta));
  }
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
