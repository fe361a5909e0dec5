#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>

namespace tapedeck::kernels {

void simd_matmul(const MatmulArgs& args) {
  const TensorView &a = args.a, &b = args.b, &y = args.y;
  simd::Gemm g;
  g.batches = y.sizes[0], g.m = y.sizes[1], g.n = y.sizes[2], g.k = a.sizes[2];
  g.a = {a.ptr<const float>(), a.strides[1], a.strides[2], a.strides[0], nullptr};
  g.b = {b.ptr<const float>(), b.strides[1], b.strides[2], b.strides[0], nullptr};
  g.y = y.ptr<float>(), g.y_row = y.strides[1], g.y_batch = y.strides[0];
  g.add_to_y = args.beta != 0;
  if (args.bias) g.bias = args.bias.ptr<const float>(), g.bias_stride = args.bias.strides[0];
  // One b for all matrices of a: one tall product.
  if (g.batches > 1 && g.b.batch == 0 && g.a.batch == g.m * g.a.row && g.y_batch == g.m * g.y_row)
    g.m *= g.batches, g.batches = 1;
  simd::gemm(g);
}

}  // namespace tapedeck::kernels
