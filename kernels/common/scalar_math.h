// The functions of one number that the elementwise functors are written with. Host and device code (C++17).
#pragma once
#include <cmath>

#ifndef TD_HD
#ifdef __CUDACC__
#define TD_HD __host__ __device__
#else
#define TD_HD
#endif
#endif

namespace tapedeck::kernels::math {

template <class T>
TD_HD T select(bool condition, T a, T b) {
  return condition ? a : b;
}
template <class T>
TD_HD T abs(T x) {
  return x < T(0) ? -x : x == T(0) ? T(0) : x;
}
#define TD_REAL(name, fn)                                \
  TD_HD inline double name(double x) { return ::fn(x); } \
  TD_HD inline float name(float x) { return ::fn##f(x); }  // GPUs compute f32 in float
TD_REAL(abs, fabs)
TD_REAL(sqrt, sqrt)
TD_REAL(exp, exp)
TD_REAL(expm1, expm1)
TD_REAL(log, log)
TD_REAL(log1p, log1p)
TD_REAL(log2, log2)
TD_REAL(log10, log10)
TD_REAL(sin, sin)
TD_REAL(cos, cos)
TD_REAL(tan, tan)
TD_REAL(asin, asin)
TD_REAL(acos, acos)
TD_REAL(atan, atan)
TD_REAL(sinh, sinh)
TD_REAL(cosh, cosh)
TD_REAL(tanh, tanh)
TD_REAL(asinh, asinh)
TD_REAL(acosh, acosh)
TD_REAL(atanh, atanh)
TD_REAL(erf, erf)
TD_REAL(erfc, erfc)
TD_REAL(floor, floor)
TD_REAL(ceil, ceil)
TD_REAL(trunc, trunc)
TD_REAL(round, nearbyint)  // half to even
#undef TD_REAL
TD_HD inline float pow(float x, float y) { return ::powf(x, y); }
TD_HD inline float fmod(float x, float y) { return ::fmodf(x, y); }
TD_HD inline float atan2(float y, float x) { return ::atan2f(y, x); }
TD_HD inline float hypot(float x, float y) { return ::hypotf(x, y); }
TD_HD inline double pow(double x, double y) { return ::pow(x, y); }
TD_HD inline double fmod(double x, double y) { return ::fmod(x, y); }
TD_HD inline double atan2(double y, double x) { return ::atan2(y, x); }
TD_HD inline double hypot(double x, double y) { return ::hypot(x, y); }
// Integers are whole, and % has the sign of the dividend.
template <class T>
TD_HD T floor(T x) {
  return x;
}
template <class T>
TD_HD T ceil(T x) {
  return x;
}
template <class T>
TD_HD T trunc(T x) {
  return x;
}
template <class T>
TD_HD T round(T x) {
  return x;
}
template <class T>
TD_HD T fmod(T x, T y) {
  return x % y;
}
// Distribution function of the standard normal, relatively accurate in the left tail.
TD_HD inline double normal_cdf(double x) { return 0.5 * ::erfc(x * -0.70710678118654752440); }

}  // namespace tapedeck::kernels::math
