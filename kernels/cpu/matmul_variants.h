// The variants of the matrix-product slots, one function each, and the checks that they share. Private to kernels/cpu.
#pragma once
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/steps.h>
#include <tapedeck/kernels/matmul.h>

namespace tapedeck::kernels {

void simd_matmul(const MatmulArgs&);
void simd_conv(const ConvArgs&);
void simd_conv_input_grad(const ConvInputGradArgs&);
void simd_conv_weight_grad(const ConvWeightGradArgs&);
void simd_conv1d(const Conv1dArgs&);
void simd_conv1d_input_grad(const Conv1dInputGradArgs&);
void simd_conv1d_weight_grad(const Conv1dWeightGradArgs&);
void simd_steps(const StepsArgs&);
void eigen_matmul(const MatmulArgs&);
void eigen_conv(const ConvArgs&);
void eigen_conv_input_grad(const ConvInputGradArgs&);
void eigen_conv_weight_grad(const ConvWeightGradArgs&);
void eigen_conv1d(const Conv1dArgs&);
void eigen_conv1d_input_grad(const Conv1dInputGradArgs&);
void eigen_conv1d_weight_grad(const Conv1dWeightGradArgs&);
void ref_matmul(const MatmulArgs&);
void ref_conv(const ConvArgs&);
void ref_conv_input_grad(const ConvInputGradArgs&);
void ref_conv_weight_grad(const ConvWeightGradArgs&);
void ref_conv1d(const Conv1dArgs&);
void ref_conv1d_input_grad(const Conv1dInputGradArgs&);
void ref_conv1d_weight_grad(const Conv1dWeightGradArgs&);
void ref_steps(const StepsArgs&);

// A supports() reason, or nullptr: all operands have one real dtype that the variant computes in.
inline const char* f32_or_f64(DType x, DType y, DType z) {
  if (x != y || x != z) return "operands of different dtypes";
  return x == DType::f32 || x == DType::f64 ? nullptr : "computes in f32 and f64 only";
}
inline const char* f32_or_f64(const MatmulArgs& a) { return f32_or_f64(a.a.dtype, a.b.dtype, a.y.dtype); }
inline const char* f32_or_f64(const ConvArgs& a) { return f32_or_f64(a.x.dtype, a.w.dtype, a.y.dtype); }
inline const char* f32_or_f64(const ConvInputGradArgs& a) { return f32_or_f64(a.gy.dtype, a.w.dtype, a.gx.dtype); }
inline const char* f32_or_f64(const ConvWeightGradArgs& a) { return f32_or_f64(a.gy.dtype, a.x.dtype, a.gw.dtype); }
inline const char* f32_or_f64(const Conv1dArgs& a) { return f32_or_f64(a.x.dtype, a.w.dtype, a.y.dtype); }
inline const char* f32_or_f64(const Conv1dInputGradArgs& a) { return f32_or_f64(a.gy.dtype, a.w.dtype, a.gx.dtype); }
inline const char* f32_or_f64(const Conv1dWeightGradArgs& a) { return f32_or_f64(a.gy.dtype, a.x.dtype, a.gw.dtype); }
template <class Args>
const char* f32_only(const Args& a) {
  return a.dtype() == DType::f32 ? f32_or_f64(a) : "computes in f32 only";
}

}  // namespace tapedeck::kernels
