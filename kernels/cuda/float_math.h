// Numbers that stand for f32 in elementwise functors: Float computes in float, Double in double as accurately as a
// float result needs (relative error below 1e-10), which costs far less than CUDA's functions of double, and is within
// the bounds that CUDA's functions of float miss. The formulas and coefficients are those of the CPU's vectors
// (cpu/simd_math-inl.h): found by argument-dependent lookup from the functors of common/elementwise_math.h.
#pragma once
#include <tapedeck/kernels/cuda/number.h>

#include <cmath>
#include <limits>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace floats {  // apart from the slots, which have the same names

// What the hardware gives in one instruction. NaN passes the first two, of either side.
#ifdef TAPEDECK_EMULATED
inline float less_of(float a, float b) { return a != a || a < b ? a : b; }
inline float more_of(float a, float b) { return a != a || a > b ? a : b; }
// The hardware errs by up to one step: so does this, now up, now down.
inline float near_reciprocal(float x) {
  const float r = 1 / x;
  return __float_as_uint(x) % 8 < 4 ? r * (1 - 0x1p-24f) : r * (1 + 0x1p-23f);
}
inline float near_tanh(float x) { return ::tanhf(x) * (__float_as_uint(x) % 8 < 4 ? 1 - 0x1p-11f : 1 + 0x1p-11f); }
#else
__device__ inline float less_of(float a, float b) {
  float y;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
__device__ inline float more_of(float a, float b) {
  float y;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
__device__ inline float near_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float near_tanh(float x) {
  float y;
  asm("tanh.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif
// 1 / x and a / x rounded once, but for a few cases that are nearly ties: for x whose reciprocal is normal, as it is.
__device__ inline float reciprocal(float x) {
  const float r = near_reciprocal(x);
  return fmaf(r, fmaf(-x, r, 1), r);
}
__device__ inline float quotient(float a, float x) {
  const float r = near_reciprocal(x), q = a * r;
  return fmaf(fmaf(-q, x, a), r, q);
}

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

#define TD_NUMBER(Name, base)                                                                        \
  struct Name {                                                                                      \
    base v;                                                                                          \
    Name() = default;                                                                                \
    template <class A>                                                                               \
    __host__ __device__ explicit Name(A a) : v(static_cast<base>(a)) {}                              \
    __device__ explicit operator float() const { return static_cast<float>(v); }                     \
    friend __device__ inline Name operator+(Name a, Name b) { return Name(a.v + b.v); }              \
    friend __device__ inline Name operator-(Name a, Name b) { return Name(a.v - b.v); }              \
    friend __device__ inline Name operator*(Name a, Name b) { return Name(a.v * b.v); }              \
    friend __device__ inline Name operator/(Name a, Name b) { return Name(a.v / b.v); }              \
    friend __device__ inline Name operator-(Name a) { return Name(-a.v); }                           \
    friend __device__ inline bool operator<(Name a, Name b) { return a.v < b.v; }                    \
    friend __device__ inline bool operator>(Name a, Name b) { return a.v > b.v; }                    \
    friend __device__ inline bool operator<=(Name a, Name b) { return a.v <= b.v; }                  \
    friend __device__ inline bool operator>=(Name a, Name b) { return a.v >= b.v; }                  \
    friend __device__ inline bool operator==(Name a, Name b) { return a.v == b.v; }                  \
    friend __device__ inline bool operator!=(Name a, Name b) { return a.v != b.v; }                  \
    friend __device__ inline Name fma(Name a, Name b, Name c) { return Name(fused(a.v, b.v, c.v)); } \
    friend __device__ inline Name pick(bool which, Name a, Name b) { return which ? a : b; }         \
  };
TD_NUMBER(Float, float)
TD_NUMBER(Double, double)
#undef TD_NUMBER

#define TD_BOTH(name, fn)                                               \
  __device__ inline Float name(Float a) { return Float(::fn##f(a.v)); } \
  __device__ inline Double name(Double a) { return Double(::fn(a.v)); }
TD_BOTH(abs, fabs)
TD_BOTH(sqrt, sqrt)
TD_BOTH(floor, floor)
TD_BOTH(ceil, ceil)
TD_BOTH(trunc, trunc)
TD_BOTH(round, rint)  // half to even
#undef TD_BOTH
__device__ inline Float copysign(Float a, Float sign) { return Float(::copysignf(a.v, sign.v)); }
__device__ inline Double copysign(Double a, Double sign) { return Double(::copysign(a.v, sign.v)); }

// c[0] + c[1] x + … by Horner's rule.
template <class T, int N>
__device__ inline T horner(T x, const double (&c)[N]) {
  T r(c[N - 1]);
#pragma unroll
  for (int i = N - 2; i >= 0; --i) r = fma(r, x, T(c[i]));
  return r;
}

// 2^n for whole n in the range of normal numbers: adding the magic number leaves n in the low bits.
__device__ inline Double power_of_two(Double n) {
  return Double(__longlong_as_double(
      static_cast<long long>(static_cast<unsigned long long>(__double_as_longlong(n.v + (0x1.8p52 + 1023))) << 52)));
}

// e^x = 2^n (1 + s): n whole, s = e^r - 1 with |r| <= log(2)/2.
struct ExpParts {
  Double n, s;
};
__device__ inline ExpParts exp_parts(Double x) {
  constexpr double q[] = {0.4999999999995507,   0.16666666666662583,    0.041666666786337556,   0.008333333344209506,
                          0.001388883909064138, 0.00019841224581544105, 2.4867883453521802e-05, 2.761757684835413e-06};
  const Double n = round(x * Double(1.4426950408889634));
  const Double r = fma(n, Double(-0x1.abc9e3b39803fp-56), fma(n, Double(-0x1.62e42fefa39efp-1), x));
  return {n, fma(r * r, horner(r, q), r)};
}
// The same in float: the sum with the magic number rounds to n + 127 and has it in its low bits.
struct FloatExpParts {
  unsigned bits;
  float s;
  __device__ int n() const { return static_cast<int>(bits - 0x4b40007fu); }
  __device__ float power() const { return __uint_as_float(bits << 23); }  // 2^n, n in the range of normal numbers
};
__device__ inline FloatExpParts exp_parts(float x) {
  constexpr double q[] = {0.500000001346581,  0.16666666681623232,   0.041666464925285904,
                          0.0083333109254809, 0.0013933649996309251, 0.00019890990824673654};
  constexpr float magic = 0x1.8p23f + 127;
  const float shifted = fmaf(x, 1.4426950408889634f, magic), n = shifted - magic;
  const Float r(fmaf(n, 0x1.05c61p-29f, fmaf(n, -0x1.62e43p-1f, x)));
  return {__float_as_uint(shifted), fma(r * r, horner(r, q), r).v};
}
// NaN fails both comparisons and passes.
__device__ inline Double clamped(Double x, double low, double high) {
  return pick(x < Double(low), Double(low), pick(x > Double(high), Double(high), x));
}
__device__ inline float clamped(float x, float low, float high) { return less_of(more_of(x, low), high); }

// The scale is applied in two halves: the second product rounds once into subnormals, or overflows to Inf.
__device__ inline Float exp(Float x) {
  const FloatExpParts e = exp_parts(clamped(x.v, -110, 90));
  const int half = e.n() >> 1, rest = e.n() - half;
  const float a = __int_as_float((half + 127) << 23), b = __int_as_float((rest + 127) << 23);
  return Float((1 + e.s) * a * b);
}
__device__ inline Double exp(Double x) {  // results below 1e-307 become 0
  const ExpParts e = exp_parts(clamped(x, -708, 709));
  const Double scale = power_of_two(e.n), y = fma(e.s, scale, scale);
  return pick(x < Double(-708), Double(0), pick(x > Double(709), Double(kInfinity), y));
}
__device__ inline Float expm1(Float x) {  // for x <= 88
  const FloatExpParts e = exp_parts(clamped(x.v, -30, 88));
  return Float(fmaf(e.s, e.power(), e.power() - 1));
}
__device__ inline Double expm1(Double x) {  // above 709 the largest it knows, which is Inf in float
  const ExpParts e = exp_parts(clamped(x, -50, 709));
  const Double scale = power_of_two(e.n);
  return fma(e.s, scale, scale - Double(1));
}
__device__ inline Float tanh(Float x) {  // by expm1(2|x|); 1 in float from 9.02 on
  const float a = less_of(::fabsf(x.v), 10);
  const FloatExpParts parts = exp_parts(a + a);
  const float e = fmaf(parts.s, parts.power(), parts.power() - 1);
  return copysign(Float(quotient(e, e + 2)), x);
}
// Between 0 and 1 by e^-|x| <= 1, times 2^64 on the way: subnormal results are rounded once.
__device__ inline Float logistic(Float x) {
  const FloatExpParts e = exp_parts(-less_of(::fabsf(x.v), 110));
  const float grown = (1 + e.s) * __uint_as_float((e.bits << 23) + (64u << 23));
  const float share = reciprocal(fmaf(grown, 0x1p-64f, 1));
  return Float((x.v < 0 ? grown : 0x1p64f) * share * 0x1p-64f);
}

// log(x) for normal doubles (and 0, Inf, NaN, negatives): x = 2^k m, m in [sqrt(1/2), sqrt(2)), log m = 2 atanh(s).
__device__ inline Double log(Double x) {
  constexpr double q[] = {0.6666666666666208,  0.400000000112122,   0.2857142413651635,
                          0.22222862476849542, 0.18140185202493242, 0.16621947090177444};
  constexpr unsigned long long root = 0x3FE6A09E667F3BCDull;  // sqrt(1/2)
  const unsigned long long bits =
      static_cast<unsigned long long>(__double_as_longlong(x.v)) + (0x3FF0000000000000ull - root);
  const Double k(__longlong_as_double(static_cast<long long>(bits >> 52 | 0x4330000000000000ull)) - (0x1p52 + 1023));
  const Double m(__longlong_as_double(static_cast<long long>((bits & 0x000FFFFFFFFFFFFFull) + root)));
  const Double f = m - Double(1), s = f / (Double(2) + f), z = s * s;
  const Double log_m = fma(s * z, horner(z, q), s + s);
  const Double y = fma(k, Double(0x1.62e42fefa39efp-1), log_m);
  const Double edge(x.v == 0 ? -kInfinity : x.v == kInfinity ? kInfinity : kNaN);
  return pick(x.v > 0 && x.v < kInfinity, y, edge);
}
// The same in float, to one ulp: m in [2/3, 4/3), log m = f + f^2 P(f); subnormal numbers are brought up first.
__device__ inline Float log(Float x) {
  constexpr double p[] = {-0.5,
                          0.33333197236061096,
                          -0.24999919533729553,
                          0.20011496543884277,
                          -0.1667429804801941,
                          0.13987931609153748,
                          -0.12277942895889282,
                          0.1407371610403061,
                          -0.12452992796897888};
  const bool small = x.v < 0x1p-126f;
  const float a = small ? x.v * 0x1p23f : x.v;
  const int whole = static_cast<int>((__float_as_uint(a) - 0x3f2aaaabu) & 0xff800000u);  // 2^23 k
  const float f = __uint_as_float(__float_as_uint(a) - static_cast<unsigned>(whole)) - 1;
  const float k = fmaf(static_cast<float>(whole), 0x1p-23f, small ? -23.0f : 0.0f);
  const float y = fmaf(k, 0.693147180559945309f, fmaf(f * f, horner(Float(f), p).v, f));
  const float edge = x.v == 0 ? -INFINITY : x.v == INFINITY ? x.v : NAN;
  return Float(x.v > 0 && x.v < INFINITY ? y : edge);
}
__device__ inline Double log2(Double x) { return log(x) * Double(1.4426950408889634074); }
__device__ inline Double log10(Double x) { return log(x) * Double(0.43429448190325182765); }
// log(1 + x) with what the addition lost put back.
__device__ inline Double log1p(Double x) {
  const Double u = Double(1) + x, lost = (x - (u - Double(1))) / u;
  return log(u) + pick(u.v > 0 && u.v < 0x1p60, lost, Double(0));
}

// Reduction of huge numbers (Payne & Hanek 1983) as cpu/trig_reduce.h does it: exact bits of 2/pi times the mantissa.
// For finite |x| from 2^26 to 2^256: floats, and products of two.
struct Turns {
  Double rest;  // x = turn * pi/2 + rest, modulo 2 pi
  long long turn;
};
__device__ inline Turns turns_of_huge(double x) {
  __extension__ typedef unsigned __int128 Bits;
  __extension__ typedef __int128 SignedBits;
  static constexpr unsigned long long kTwoOverPi[8] = {0,  // for exponents below the first bits' weight
                                                       0xa2f9836e4e441529,
                                                       0xfc2757d1f534ddc0,
                                                       0xdb6295993c439041,
                                                       0xfe5163abdebbc561,
                                                       0xb7246e3a424dd2e0,
                                                       0x06492eea09d1921c,
                                                       0xfe1deb1cb129a73e};
  const unsigned long long bits = static_cast<unsigned long long>(__double_as_longlong(::fabs(x)));
  const unsigned long long mantissa = (bits & 0x000FFFFFFFFFFFFFull) | 0x0010000000000000ull;
  const int skip = static_cast<int>(bits >> 52) - 1022 - 53 - 2 + 64;  // these leading bits of 2/pi give whole turns
  const int word = skip / 64, bit = skip % 64;
  Bits window = (Bits{kTwoOverPi[word]} << 64) | kTwoOverPi[word + 1];
  if (bit) window = (window << bit) | (kTwoOverPi[word + 2] >> (64 - bit));
  const Bits product = window * mantissa;  // in units of 2^-126 quarter turns, modulo 4
  const auto rest = static_cast<SignedBits>(product << 2);
  const long long turn = static_cast<long long>(product >> 126) + (rest < 0 ? 1 : 0);
  const double high = static_cast<double>(static_cast<long long>(rest >> 64)) * 0x1p-64;
  const double r =
      (high + static_cast<double>(static_cast<unsigned long long>(rest)) * 0x1p-128) * 1.5707963267948966192;
  return x < 0 ? Turns{Double(-r), -turn} : Turns{Double(r), turn};
}
__device__ inline Turns quarter_turns(Double x) {
  if (::fabs(x.v) > 0x1p26 && ::fabs(x.v) < kInfinity) return turns_of_huge(x.v);
  const Double n = round(x * Double(0.63661977236758134308));
  Double rest = fma(n, Double(-0x1.921fb54442d18p+0), x);
  rest = fma(n, Double(-0x1.1a62633145c07p-54), rest);
  return {rest, __double_as_longlong(n.v + 0x1.8p52)};
}
__device__ inline Double sin_of_turns(Turns t) {
  constexpr double s[] = {-0.16666666666666666,  0.008333333333330946,    -0.0001984126983675497,
                          2.755731610068303e-06, -2.5051131455427946e-08, 1.591810123027412e-10};
  constexpr double c[] = {-0.5,
                          0.04166666666666664,
                          -0.0013888888888880767,
                          2.480158729368715e-05,
                          -2.755731556415141e-07,
                          2.0875886390883725e-09,
                          -1.1367978191553177e-11};
  const Double z = t.rest * t.rest;
  const Double y = t.turn & 1 ? fma(z, horner(z, c), Double(1)) : fma(t.rest * z, horner(z, s), t.rest);
  return t.turn & 2 ? -y : y;
}
__device__ inline Double sin(Double x) {
  return pick(x == Double(0), x, sin_of_turns(quarter_turns(x)));  // keeps -0
}
__device__ inline Double cos(Double x) {
  Turns t = quarter_turns(x);
  ++t.turn;
  return sin_of_turns(t);
}
__device__ inline Double tan(Double x) {
  const Turns t = quarter_turns(x), next{t.rest, t.turn + 1};
  return pick(x == Double(0), x, sin_of_turns(t) / sin_of_turns(next));
}

// The hyperbolic functions and their inverses keep the sign of zero and are relatively accurate around it.
__device__ inline Double sinh(Double x) {
  const Double e = expm1(abs(x));
  return copysign(Double(0.5) * (e + e / (e + Double(1))), x);
}
__device__ inline Double cosh(Double x) {
  const Double e = exp(abs(x));
  return Double(0.5) * (e + Double(1) / e);
}
__device__ inline Double asinh(Double x) {
  const Double a = abs(x), z = a * a;
  return copysign(log1p(a + pick(a > Double(1e18), a, z / (Double(1) + sqrt(Double(1) + z)))), x);
}
__device__ inline Double acosh(Double x) {
  const Double t = x - Double(1);
  return pick(x < Double(1), Double(kNaN), log1p(t + sqrt(t * (t + Double(2)))));
}
__device__ inline Double atanh(Double x) {
  const Double a = abs(x);
  return copysign(Double(0.5) * log1p(Double(2) * a / (Double(1) - a)), x);
}

// Arc tangent of t in [0, 1].
__device__ inline Double atan_of_part(Double t) {
  constexpr double c[] = {-0.3333333333230858,   0.1999999965269345,  -0.14285694570640292,  0.11110666303625419,
                          -0.09085624177887072,  0.07654295472644398, -0.06487062356606563,  0.052943908816199266,
                          -0.038767022568525905, 0.02324837369843582, -0.010257166271499646, 0.002875485609943425,
                          -0.0003778858076662609};
  const Double z = t * t;
  return fma(t * z, horner(z, c), t);
}
__device__ inline Double atan(Double x) {
  const Double a = abs(x), r = atan_of_part(pick(a > Double(1), Double(1) / a, a));
  return copysign(pick(a > Double(1), Double(1.57079632679489661923) - r, r), x);
}
__device__ inline Double asin(Double x) { return atan(x / sqrt((Double(1) - x) * (Double(1) + x))); }
__device__ inline Double acos(Double x) { return Double(2) * atan(sqrt((Double(1) - x) / (Double(1) + x))); }
// The angle of the point (x, y), with IEEE 754's values at zeros and infinities.
__device__ inline Double atan2(Double y, Double x) {
  const Double a = abs(y), b = abs(x), one(1), zero(0);
  const Double part = pick(a == b, pick(a == zero, zero, one), pick(a < b, a, b) / pick(a < b, b, a));
  Double r = atan_of_part(part);
  r = pick(a > b, Double(1.57079632679489661923) - r, r);
  r = pick(copysign(one, x) < zero, Double(3.14159265358979323846) - r, r);
  return copysign(r, y);
}
__device__ inline Double hypot(Double x, Double y) {  // of floats: squares do not overflow
  return pick(abs(x).v == kInfinity || abs(y).v == kInfinity, Double(kInfinity), sqrt(fma(x, x, y * y)));
}
// Exact, for floats: the quotient is taken off 28 bits at a time, never more than there are.
__device__ inline Double fmod(Double x, Double y) {
  const Double b = abs(y);
  Double a = abs(x);
  if (!(b.v > 0 && a.v < kInfinity)) return Double(kNaN);
  while (a >= b + b) {
    const Double q = a / b * Double(1 - 0x1p-50);
    const Double whole = trunc(Double(__longlong_as_double(__double_as_longlong(q.v) & ~0x1ffffffll)));
    a = fma(-whole, b, a);
  }
  return copysign(pick(a >= b, a - b, a), x);
}

// IEEE 754 pow: 1 for y = 0 and for x = 1 even with NaN; NaN for finite x < 0 and y not whole.
__device__ inline Double pow(Double x, Double y) {
  const Double one(1), a = abs(x);
  const Double size = pick(a == one && abs(y).v == kInfinity, one, exp(y * log(a)));
  const bool negative = copysign(one, x) < Double(0), whole = round(y) == y;
  const Double half = y * Double(0.5);
  const bool odd = whole && round(half) != half;
  Double r = pick(negative && odd, -size, size);
  r = pick(x < Double(0) && a.v < kInfinity && y != round(y), Double(kNaN), r);
  return pick(y == Double(0) || x == one, one, r);
}

// Distribution function of the standard normal. Its tail is exp(-z^2/2) M(z) with M(z) / t a polynomial in
// t = 1 / (1 + z/4), fitted for z <= 16; the tail is 0 in float beyond.
__device__ inline Double normal_cdf(Double x) {
  constexpr double c[] = {0.0997368432199058,  0.09969814867746007,   0.09399543858754178, 0.07717488472096533,
                          0.08348651736011863, -0.028891879464000243, 0.20957415295128307, -0.3382994855315742,
                          0.45187465105400676, -0.4152184417996558,   0.22377792879563507, -0.06481483250239566,
                          0.007906073929109126};
  const Double z = abs(x), t = Double(1) / fma(z, Double(0.25), Double(1));
  const Double tail = exp(Double(-0.5) * z * z) * t * horner(t, c);
  return pick(x < Double(0), tail, Double(1) - tail);
}
__device__ inline Double erfc(Double x) { return Double(2) * normal_cdf(x * Double(-1.4142135623730950488)); }
__device__ inline Double erf(Double x) {
  constexpr double c[] = {1.1283791670946768,    -0.3761263888963531,     0.11283791308604582,
                          -0.026866133235095593, 0.005223783477189248,    -0.0008542637997087229,
                          0.0001195656256820733, -1.3909340021874599e-05, 1.058938064107502e-06};
  const Double z = x * x, far = copysign(Double(1) - erfc(abs(x)), x);
  return pick(abs(x) < Double(1), x * horner(z, c), far);
}

}  // namespace floats
using floats::Double;
using floats::Float;

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
