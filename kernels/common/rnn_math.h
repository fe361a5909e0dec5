// The recurrent cells' formulas, for double and for vectors, in the terms of elementwise_math.h. SIMD files include
// this once per target, behind elementwise_math.h, with TD_CELL_NAMESPACE set to the target's namespace; others get
// `math`.
#ifndef TD_CELL_NAMESPACE
#pragma once
#define TD_CELL_NAMESPACE math
#include <tapedeck/kernels/common/elementwise_math.h>
#endif

namespace tapedeck::kernels::TD_CELL_NAMESPACE {

template <class T>
struct GruStep {
  T r, z, n, y;
};
template <class T>
TD_HD inline GruStep<T> gru_step(T ir, T iz, T in, T hr, T hz, T hn, T h) {
  const T r = logistic(ir + hr), z = logistic(iz + hz), n = tanh(in + r * hn);
  return {r, z, n, n + z * (h - n)};
}

template <class T>
struct GruSlopes {
  T r, z, n, hn, h;  // of the gates' arguments, of h_n, and of h directly
};
template <class T>
TD_HD inline GruSlopes<T> gru_slopes(T gy, T r, T z, T n, T hn, T h) {
  const T dn = gy * (T(1) - z) * ((T(1) - n) * (T(1) + n));
  return {dn * hn * (r * (T(1) - r)), gy * (h - n) * (z * (T(1) - z)), dn, dn * r, gy * z};
}

template <class T>
struct LstmStep {
  T i, f, g, o, c, y;
};
template <class T>
TD_HD inline LstmStep<T> lstm_step(T i, T f, T g, T o, T c) {
  i = logistic(i), f = logistic(f), g = tanh(g), o = logistic(o);
  const T cy = f * c + i * g;
  return {i, f, g, o, cy, o * tanh(cy)};
}

template <class T>
struct LstmSlopes {
  T i, f, g, o, c;
};
template <class T>
TD_HD inline LstmSlopes<T> lstm_slopes(T gy, T gcy, T i, T f, T g, T o, T c, T cy) {
  const T t = tanh(cy), dc = gcy + gy * o * ((T(1) - t) * (T(1) + t));
  return {dc * g * (i * (T(1) - i)), dc * c * (f * (T(1) - f)), dc * i * ((T(1) - g) * (T(1) + g)),
          gy * t * (o * (T(1) - o)), dc * f};
}

}  // namespace tapedeck::kernels::TD_CELL_NAMESPACE
#undef TD_CELL_NAMESPACE
