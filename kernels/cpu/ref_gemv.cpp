#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/ref_chain.h>

#include <algorithm>

namespace tapedeck::kernels {

void ref_gemv_packed(const GemvPackedArgs& a) {
  ref::ChainRow<float> chain(a.n);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const float* weight = a.weight;
    chain.begin();
    for (int s = 0; s < a.segments; ++s) {
      for (std::int64_t i = 0; i < a.x[s].length; ++i, weight += packed_columns(a.n)) {
        chain.next_index();
        chain.add(a.x[s].x[r * a.x[s].row_stride + i], weight, 1, 0, a.n);
      }
    }
    const float* sum = chain.end();
    float* y = a.y + r * a.y_row;
    for (std::int64_t j = 0; j < a.n; ++j) {
      float v = sum[j];
      if (a.beta != 0) v += y[j];
      if (a.bias) v += a.bias[j];
      y[j] = v;
    }
  }
}

void pack_linear(const TensorView& weight, float* packed) {
  TensorView one_tap = weight;
  one_tap.rank = 3, one_tap.sizes[2] = 1, one_tap.strides[2] = 0;
  pack_conv1d(one_tap, packed);
}

void pack_conv1d(const TensorView& weight, float* packed) {
  const std::int64_t n = weight.sizes[0], columns = packed_columns(n);
  for (std::int64_t tap = 0; tap < weight.sizes[2]; ++tap) {
    for (std::int64_t i = 0; i < weight.sizes[1]; ++i, packed += columns) {
      const float* from = weight.ptr<const float>() + i * weight.strides[1] + tap * weight.strides[2];
      for (std::int64_t o = 0; o < n; ++o) packed[o] = from[o * weight.strides[0]];
      std::fill(packed + n, packed + columns, 0.0f);
    }
  }
}

}  // namespace tapedeck::kernels
