#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/ref_chain.h>

#include <algorithm>
#include <type_traits>

namespace tapedeck::kernels {

namespace {

template <class W>
void product(const GemvPackedArgs& a, const W* packed) {
  ref::ChainRow<float> chain(a.n);
  for (std::int64_t r = 0; r < a.rows; ++r) {
    const W* weight = packed;
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

template <class W>
void pack(const TensorView& weight, W* packed) {
  const std::int64_t n = weight.sizes[0], columns = packed_columns(n);
  for (std::int64_t tap = 0; tap < weight.sizes[2]; ++tap) {
    for (std::int64_t i = 0; i < weight.sizes[1]; ++i, packed += columns) {
      const float* from = weight.ptr<const float>() + i * weight.strides[1] + tap * weight.strides[2];
      for (std::int64_t o = 0; o < n; ++o) {
        if constexpr (std::is_same_v<W, float>)
          packed[o] = from[o * weight.strides[0]];
        else
          packed[o] = W::from(from[o * weight.strides[0]]);
      }
      std::fill(packed + n, packed + columns, W{});
    }
  }
}

template <class W>
void pack_matrix(TensorView weight, W* packed) {
  weight.rank = 3, weight.sizes[2] = 1, weight.strides[2] = 0;
  pack(weight, packed);
}

}  // namespace

void ref_gemv_packed(const GemvPackedArgs& a) { a.weight_bf16 ? product(a, a.weight_bf16) : product(a, a.weight); }
void pack_linear(const TensorView& weight, float* packed) { pack_matrix(weight, packed); }
void pack_linear(const TensorView& weight, BFloat16* packed) { pack_matrix(weight, packed); }
void pack_conv1d(const TensorView& weight, float* packed) { pack(weight, packed); }
void pack_conv1d(const TensorView& weight, BFloat16* packed) { pack(weight, packed); }

}  // namespace tapedeck::kernels
