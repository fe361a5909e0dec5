// Vectors of float and of double with operators, and the functions that common/elementwise_math.h asks for. Included
// once per target. Every function works lane by lane with IEEE operations and explicit FMA, hence the same bits on any
// target. Functions of double are as accurate as a float result needs (relative error below 1e-10, log far below), not
// more. Coefficients: interpolation at Chebyshev nodes, computed with 110 digits.
#if defined(TAPEDECK_SIMD_MATH_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPEDECK_SIMD_MATH_INL_H
#undef TAPEDECK_SIMD_MATH_INL_H
#else
#define TAPEDECK_SIMD_MATH_INL_H
#endif

#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/trig_reduce.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class Tag>
struct Num {
  using V = hn::Vec<Tag>;
  V v;
  Num() = default;
  HWY_INLINE Num(V value) : v(value) {}
  HWY_INLINE explicit Num(double value) : v(hn::Set(Tag(), static_cast<hn::TFromD<Tag>>(value))) {}
};
template <class Tag>
struct Truth {
  hn::Mask<Tag> m;
};
using DF = hn::ScalableTag<float>;
using DD = hn::ScalableTag<double>;
using F = Num<DF>;
using D = Num<DD>;

#define TD_NUM         \
  template <class Tag> \
  HWY_INLINE Num<Tag>
TD_NUM operator+(Num<Tag> a, Num<Tag> b) { return hn::Add(a.v, b.v); }
TD_NUM operator-(Num<Tag> a, Num<Tag> b) { return hn::Sub(a.v, b.v); }
TD_NUM operator*(Num<Tag> a, Num<Tag> b) { return hn::Mul(a.v, b.v); }
TD_NUM operator/(Num<Tag> a, Num<Tag> b) { return hn::Div(a.v, b.v); }
TD_NUM operator-(Num<Tag> a) { return hn::Neg(a.v); }
TD_NUM abs(Num<Tag> a) { return hn::Abs(a.v); }
TD_NUM sqrt(Num<Tag> a) { return hn::Sqrt(a.v); }
TD_NUM round(Num<Tag> a) { return hn::Round(a.v); }  // half to even
TD_NUM floor(Num<Tag> a) { return hn::Floor(a.v); }
TD_NUM ceil(Num<Tag> a) { return hn::Ceil(a.v); }
TD_NUM trunc(Num<Tag> a) { return hn::Trunc(a.v); }
TD_NUM fma(Num<Tag> a, Num<Tag> b, Num<Tag> c) { return hn::MulAdd(a.v, b.v, c.v); }
TD_NUM select(Truth<Tag> t, Num<Tag> a, Num<Tag> b) { return hn::IfThenElse(t.m, a.v, b.v); }
TD_NUM copysign(Num<Tag> a, Num<Tag> sign) { return hn::CopySign(a.v, sign.v); }
#undef TD_NUM
#define TD_TRUTH       \
  template <class Tag> \
  HWY_INLINE Truth<Tag>
TD_TRUTH operator<(Num<Tag> a, Num<Tag> b) { return {hn::Lt(a.v, b.v)}; }
TD_TRUTH operator>(Num<Tag> a, Num<Tag> b) { return {hn::Gt(a.v, b.v)}; }
TD_TRUTH operator<=(Num<Tag> a, Num<Tag> b) { return {hn::Le(a.v, b.v)}; }
TD_TRUTH operator>=(Num<Tag> a, Num<Tag> b) { return {hn::Ge(a.v, b.v)}; }
TD_TRUTH operator==(Num<Tag> a, Num<Tag> b) { return {hn::Eq(a.v, b.v)}; }
TD_TRUTH operator!=(Num<Tag> a, Num<Tag> b) { return {hn::Ne(a.v, b.v)}; }
TD_TRUTH operator&(Truth<Tag> a, Truth<Tag> b) { return {hn::And(a.m, b.m)}; }
TD_TRUTH operator|(Truth<Tag> a, Truth<Tag> b) { return {hn::Or(a.m, b.m)}; }
#undef TD_TRUTH

// c[0] + c[1] x + … by Horner's rule.
template <class T, int N>
HWY_INLINE T horner(T x, const double (&c)[N]) {
  T r(c[N - 1]);
  for (int i = N - 2; i >= 0; --i) r = fma(r, x, T(c[i]));
  return r;
}

// 2^n for whole n in the range of normal numbers: adding the magic number leaves n in the low bits.
HWY_INLINE F power_of_two(F n) {
  const hn::RebindToUnsigned<DF> du;
  const F shifted = n + F(0x1.8p23 + 127);
  return F(hn::BitCast(DF(), hn::ShiftLeft<23>(hn::BitCast(du, shifted.v))));
}
HWY_INLINE D power_of_two(D n) {
  const hn::RebindToUnsigned<DD> du;
  const D shifted = n + D(0x1.8p52 + 1023);
  return D(hn::BitCast(DD(), hn::ShiftLeft<52>(hn::BitCast(du, shifted.v))));
}

// e^x = 2^n (1 + s): n whole, s = e^r - 1 with |r| <= log(2)/2.
template <class T>
struct ExpParts {
  T n, s;
};
HWY_INLINE ExpParts<F> exp_parts(F x) {
  constexpr double q[] = {0.500000001346581,  0.16666666681623232,   0.041666464925285904,
                          0.0083333109254809, 0.0013933649996309251, 0.00019890990824673654};
  const F n = round(x * F(1.4426950408889634));
  const F r = fma(n, F(0x1.05c61p-29), fma(n, F(-0x1.62e43p-1), x));
  return {n, fma(r * r, horner(r, q), r)};
}
HWY_INLINE ExpParts<D> exp_parts(D x) {
  constexpr double q[] = {0.4999999999995507,   0.16666666666662583,    0.041666666786337556,   0.008333333344209506,
                          0.001388883909064138, 0.00019841224581544105, 2.4867883453521802e-05, 2.761757684835413e-06};
  const D n = round(x * D(1.4426950408889634));
  const D r = fma(n, D(-0x1.abc9e3b39803fp-56), fma(n, D(-0x1.62e42fefa39efp-1), x));
  return {n, fma(r * r, horner(r, q), r)};
}
// NaN passes: x86 takes the second operand then.
template <class T>
HWY_INLINE T at_most(T x, double high) {
#if HWY_ARCH_X86
  return hn::Min(T(high).v, x.v);
#else
  return select(x > T(high), T(high), x);
#endif
}
template <class T>
HWY_INLINE T clamped(T x, double low, double high) {
#if HWY_ARCH_X86
  return at_most(T(hn::Max(T(low).v, x.v)), high);
#else
  return at_most(select(x < T(low), T(low), x), high);
#endif
}

// x 2^n, rounded once into subnormals, or Inf.
HWY_INLINE F times_power(F x, F n) {
#if HWY_TARGET == HWY_AVX3
  return hn::Vec<DF>{_mm512_scalef_ps(x.v.raw, n.v.raw)};
#else
  const F half = round(n * F(0.5));  // in two halves: the second product alone rounds
  return x * power_of_two(half) * power_of_two(n - half);
#endif
}
HWY_INLINE F exp(F x) {
  const ExpParts<F> e = exp_parts(clamped(x, -110, 90));
  return times_power(F(1) + e.s, e.n);
}
HWY_INLINE D exp(D x) {  // results below 1e-307 become 0
  const ExpParts<D> e = exp_parts(clamped(x, -708, 709));
  const D scale = power_of_two(e.n), y = fma(e.s, scale, scale);
  return select(x < D(-708), D(0), select(x > D(709), D(std::numeric_limits<double>::infinity()), y));
}
// e^x - 1 of what exp_parts took apart.
HWY_INLINE F less_one(ExpParts<F> e) {
  const F scale = power_of_two(e.n);
  return fma(e.s, scale, scale - F(1));
}
HWY_INLINE F expm1(F x) { return less_one(exp_parts(clamped(x, -30, 88))); }  // for x <= 88
HWY_INLINE D expm1(D x) {  // above 709 the largest it knows, which is Inf in float
  const ExpParts<D> e = exp_parts(clamped(x, -50, 709));
  const D scale = power_of_two(e.n);
  return fma(e.s, scale, scale - D(1));
}
HWY_INLINE F tanh(F x) {  // by expm1(2|x|); 1 in float from 9.02 on
  const F a = abs(x), e = less_one(exp_parts(F(2) * at_most(a, 10)));
  return copysign(e / (e + F(2)), x);
}

// log(x) for normal doubles (and 0, Inf, NaN, negatives): x = 2^k m, m in [sqrt(1/2), sqrt(2)), log m = 2 atanh(s).
HWY_INLINE D log(D x) {
  constexpr double q[] = {0.6666666666666208,  0.400000000112122,   0.2857142413651635,
                          0.22222862476849542, 0.18140185202493242, 0.16621947090177444};
  const DD d;
  const hn::RebindToUnsigned<DD> du;
  const auto root = hn::Set(du, 0x3FE6A09E667F3BCDull);  // sqrt(1/2)
  const auto bits = hn::Add(hn::BitCast(du, x.v), hn::Set(du, 0x3FF0000000000000ull - 0x3FE6A09E667F3BCDull));
  const D k =
      D(hn::BitCast(d, hn::Or(hn::ShiftRight<52>(bits), hn::Set(du, 0x4330000000000000ull)))) - D(0x1p52 + 1023);
  const D m(hn::BitCast(d, hn::Add(hn::And(bits, hn::Set(du, 0x000FFFFFFFFFFFFFull)), root)));
  const D f = m - D(1), s = f / (D(2) + f), z = s * s;
  const D log_m = fma(s * z, horner(z, q), s + s);
  const D y = fma(k, D(0x1.62e42fefa39efp-1), log_m);
  const D infinity(std::numeric_limits<double>::infinity());
  const D edge =
      select(x == D(0), -infinity, select(x == infinity, infinity, D(std::numeric_limits<double>::quiet_NaN())));
  return select((x > D(0)) & (x < infinity), y, edge);
}
HWY_INLINE D log2(D x) { return log(x) * D(1.4426950408889634074); }
HWY_INLINE D log10(D x) { return log(x) * D(0.43429448190325182765); }
// log(1 + x) with what the addition lost put back.
HWY_INLINE D log1p(D x) {
  const D u = D(1) + x, lost = (x - (u - D(1))) / u;
  return log(u) + select((u > D(0)) & (u < D(0x1p60)), lost, D(0));
}

// x = turn * pi/2 + rest. Three parts of pi/2 keep `rest` relatively exact up to 2^26; beyond, lanes go one by one.
struct Turns {
  D rest;
  hn::Vec<hn::RebindToSigned<DD>> turn;
};
HWY_INLINE Turns quarter_turns(D x) {
  const DD d;
  const hn::RebindToSigned<DD> di;
  const D n = round(x * D(0.63661977236758134308));
  D rest = fma(n, D(-0x1.921fb54442d18p+0), x);
  rest = fma(n, D(-0x1.1a62633145c07p-54), rest);
  auto turn = hn::BitCast(di, (n + D(0x1.8p52)).v);
  const Truth<DD> huge{hn::And(hn::Gt(hn::Abs(x.v), hn::Set(d, 0x1p26)),
                               hn::Lt(hn::Abs(x.v), hn::Set(d, std::numeric_limits<double>::infinity())))};
  if (HWY_UNLIKELY(!hn::AllFalse(d, huge.m))) {
    HWY_ALIGN double xs[hn::MaxLanes(d)], rests[hn::MaxLanes(d)];
    HWY_ALIGN std::int64_t turns[hn::MaxLanes(d)];
    hn::Store(x.v, d, xs), hn::Store(rest.v, d, rests), hn::Store(turn, di, turns);
    for (std::size_t i = 0; i < hn::Lanes(d); ++i)
      if (std::fabs(xs[i]) > 0x1p26 && std::isfinite(xs[i])) {
        const Quadrant r = reduce_huge(xs[i]);
        rests[i] = r.rest, turns[i] = r.turn;
      }
    rest = D(hn::Load(d, rests)), turn = hn::Load(di, turns);
  }
  return {rest, turn};
}
HWY_INLINE D sin_of_turns(Turns t) {
  constexpr double s[] = {-0.16666666666666666,  0.008333333333330946,    -0.0001984126983675497,
                          2.755731610068303e-06, -2.5051131455427946e-08, 1.591810123027412e-10};
  constexpr double c[] = {-0.5,
                          0.04166666666666664,
                          -0.0013888888888880767,
                          2.480158729368715e-05,
                          -2.755731556415141e-07,
                          2.0875886390883725e-09,
                          -1.1367978191553177e-11};
  const DD d;
  const hn::RebindToSigned<DD> di;
  const D z = t.rest * t.rest;
  const D sine = fma(t.rest * z, horner(z, s), t.rest), cosine = fma(z, horner(z, c), D(1));
  const auto one = hn::Set(di, 1);
  const auto odd = hn::MaskFromVec(hn::BitCast(d, hn::VecFromMask(di, hn::Eq(hn::And(t.turn, one), one))));
  const D y = select(Truth<DD>{odd}, cosine, sine);
  const auto sign = hn::ShiftLeft<62>(hn::And(t.turn, hn::Set(di, 2)));
  return D(hn::Xor(y.v, hn::BitCast(d, sign)));
}
HWY_INLINE D sin(D x) {
  return select(x == D(0), x, sin_of_turns(quarter_turns(x)));  // keeps -0
}
HWY_INLINE D cos(D x) {
  Turns t = quarter_turns(x);
  t.turn = hn::Add(t.turn, hn::Set(hn::RebindToSigned<DD>(), 1));
  return sin_of_turns(t);
}

HWY_INLINE D tan(D x) {
  const Turns t = quarter_turns(x);
  const Turns next{t.rest, hn::Add(t.turn, hn::Set(hn::RebindToSigned<DD>(), 1))};
  return select(x == D(0), x, sin_of_turns(t) / sin_of_turns(next));
}

// The hyperbolic functions and their inverses keep the sign of zero and are relatively accurate around it.
HWY_INLINE D sinh(D x) {
  const D e = expm1(abs(x));
  return copysign(D(0.5) * (e + e / (e + D(1))), x);
}
HWY_INLINE D cosh(D x) {
  const D e = exp(abs(x));
  return D(0.5) * (e + D(1) / e);
}
HWY_INLINE D asinh(D x) {
  const D a = abs(x), z = a * a;
  return copysign(log1p(a + select(a > D(1e18), a, z / (D(1) + sqrt(D(1) + z)))), x);
}
HWY_INLINE D acosh(D x) {
  const D t = x - D(1);
  return select(x < D(1), D(std::numeric_limits<double>::quiet_NaN()), log1p(t + sqrt(t * (t + D(2)))));
}
HWY_INLINE D atanh(D x) {
  const D a = abs(x);
  return copysign(D(0.5) * log1p(D(2) * a / (D(1) - a)), x);
}

// Arc tangent of t in [0, 1].
HWY_INLINE D atan_of_part(D t) {
  constexpr double c[] = {-0.3333333333230858,   0.1999999965269345,  -0.14285694570640292,  0.11110666303625419,
                          -0.09085624177887072,  0.07654295472644398, -0.06487062356606563,  0.052943908816199266,
                          -0.038767022568525905, 0.02324837369843582, -0.010257166271499646, 0.002875485609943425,
                          -0.0003778858076662609};
  const D z = t * t;
  return fma(t * z, horner(z, c), t);
}
HWY_INLINE D atan(D x) {
  const D a = abs(x), r = atan_of_part(select(a > D(1), D(1) / a, a));
  return copysign(select(a > D(1), D(1.57079632679489661923) - r, r), x);
}
HWY_INLINE D asin(D x) { return atan(x / sqrt((D(1) - x) * (D(1) + x))); }
HWY_INLINE D acos(D x) { return D(2) * atan(sqrt((D(1) - x) / (D(1) + x))); }
// The angle of the point (x, y), with IEEE 754's values at zeros and infinities.
HWY_INLINE D atan2(D y, D x) {
  const D a = abs(y), b = abs(x), one(1), zero(0);
  const D part = select(a == b, select(a == zero, zero, one), select(a < b, a, b) / select(a < b, b, a));
  D r = atan_of_part(part);
  r = select(a > b, D(1.57079632679489661923) - r, r);
  r = select(copysign(one, x) < zero, D(3.14159265358979323846) - r, r);
  return copysign(r, y);
}
HWY_INLINE D hypot(D x, D y) {  // of floats: squares do not overflow
  const D infinity(std::numeric_limits<double>::infinity()), r = sqrt(fma(x, x, y * y));
  return select((abs(x) == infinity) | (abs(y) == infinity), infinity, r);
}
// Exact, for floats: the quotient is taken off 28 bits at a time, never more than there are.
HWY_INLINE D fmod(D x, D y) {
  const DD d;
  const hn::RebindToUnsigned<DD> du;
  const D b = abs(y), infinity(std::numeric_limits<double>::infinity());
  D a = abs(x);
  const Truth<DD> defined = (b > D(0)) & (a < infinity);
  a = select(defined, a, D(0));
  const D two = b + b;
  for (Truth<DD> more = a >= two; !hn::AllFalse(d, more.m); more = a >= two) {
    const D q = a / b * D(1 - 0x1p-50);
    const D whole = trunc(D(hn::BitCast(d, hn::And(hn::BitCast(du, q.v), hn::Set(du, ~0x1ffffffull)))));
    a = select(more, fma(-whole, b, a), a);
  }
  a = select(a >= b, a - b, a);
  return select(defined, copysign(a, x), D(std::numeric_limits<double>::quiet_NaN()));
}

// IEEE 754 pow: 1 for y = 0 and for x = 1 even with NaN; NaN for finite x < 0 and y not whole.
HWY_INLINE D pow(D x, D y) {
  const D one(1), infinity(std::numeric_limits<double>::infinity()), a = abs(x);
  const D size = select((a == one) & (abs(y) == infinity), one, exp(y * log(a)));
  const Truth<DD> negative = copysign(one, x) < D(0), whole = round(y) == y;
  const D half = y * D(0.5);
  const Truth<DD> odd = whole & (round(half) != half);
  D r = select(negative & odd, -size, size);
  r = select((x < D(0)) & (a < infinity) & (y != round(y)), D(std::numeric_limits<double>::quiet_NaN()), r);
  return select((y == D(0)) | (x == one), one, r);
}

// Distribution function of the standard normal. Its tail is exp(-z^2/2) M(z) with M(z) / t a polynomial in
// t = 1 / (1 + z/4), fitted for z <= 16; the tail is 0 in float beyond.
HWY_INLINE D normal_cdf(D x) {
  constexpr double c[] = {0.0997368432199058,  0.09969814867746007,   0.09399543858754178, 0.07717488472096533,
                          0.08348651736011863, -0.028891879464000243, 0.20957415295128307, -0.3382994855315742,
                          0.45187465105400676, -0.4152184417996558,   0.22377792879563507, -0.06481483250239566,
                          0.007906073929109126};
  const D z = abs(x), t = D(1) / fma(z, D(0.25), D(1));
  const D tail = exp(D(-0.5) * z * z) * t * horner(t, c);
  return select(x < D(0), tail, D(1) - tail);
}
HWY_INLINE D erfc(D x) { return D(2) * normal_cdf(x * D(-1.4142135623730950488)); }
HWY_INLINE D erf(D x) {
  constexpr double c[] = {1.1283791670946768,    -0.3761263888963531,     0.11283791308604582,
                          -0.026866133235095593, 0.005223783477189248,    -0.0008542637997087229,
                          0.0001195656256820733, -1.3909340021874599e-05, 1.058938064107502e-06};
  const D z = x * x, far = copysign(D(1) - erfc(abs(x)), x);
  return select(abs(x) < D(1), x * horner(z, c), far);
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
