// tanh and sigmoid as gates compute them: f32, bf16 and f16 in float, f64 in double.
#pragma once
#include <tapedeck/kernels/cuda/elementwise.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

template <class T>
using GateNumber = Working<math::Tanh, T>;  // Sigmoid's too
template <class T>
__device__ inline GateNumber<T> tanh_of(GateNumber<T> u) {
  return math::Tanh::value(u, GateNumber<T>(0), GateNumber<T>(0));
}
template <class T>
__device__ inline GateNumber<T> sigmoid_of(GateNumber<T> v) {
  return math::Sigmoid::value(v, GateNumber<T>(0), GateNumber<T>(0));
}
// The gradients with respect to u and v of tanh(u) sigmoid(v), whose factors are t and s.
template <class T>
__device__ inline void gate_slopes(GateNumber<T> g, GateNumber<T> t, GateNumber<T> s, GateNumber<T>* gu,
                                   GateNumber<T>* gv) {
  const GateNumber<T> none(0);
  *gu = math::Tanh::grad(g * s, none, t, none, none);
  *gv = math::Sigmoid::grad(g * t, none, s, none, none);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
