// How many digits the products of f32 matrices keep on devices that can trade them for speed.
#pragma once

namespace tapedeck::kernels {

// f32: every product and sum in f32. tf32: CUDA's matrix units round the factors to 10 digits behind the point and add
// in f32, several times faster; the CPU and f64, bf16 and f16 do not change.
enum class Precision { f32, tf32 };

// For the whole process; f32 unless TAPEDECK_TF32=1 is in the environment.
void set_matmul_precision(Precision p);
Precision matmul_precision();

}  // namespace tapedeck::kernels
