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
TD_HD inline double abs(double x) { return ::fabs(x); }
TD_HD inline double sqrt(double x) { return ::sqrt(x); }
TD_HD inline double exp(double x) { return ::exp(x); }
TD_HD inline double expm1(double x) { return ::expm1(x); }
TD_HD inline double log(double x) { return ::log(x); }
TD_HD inline double log1p(double x) { return ::log1p(x); }
TD_HD inline double sin(double x) { return ::sin(x); }
TD_HD inline double cos(double x) { return ::cos(x); }
TD_HD inline double tanh(double x) { return ::tanh(x); }
TD_HD inline double pow(double x, double y) { return ::pow(x, y); }
// Distribution function of the standard normal, relatively accurate in the left tail.
TD_HD inline double normal_cdf(double x) { return 0.5 * ::erfc(x * -0.70710678118654752440); }

}  // namespace tapedeck::kernels::math
