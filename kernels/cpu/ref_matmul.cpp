#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/ref_chain.h>
#include <tapedeck/tensor/parallel.h>

namespace tapedeck::kernels {
namespace {

template <class T>
void matmul_of(const MatmulArgs& args) {
  const TensorView &a = args.a, &b = args.b, &y = args.y;
  const std::int64_t rows = y.sizes[1], n = y.sizes[2], k = a.sizes[2];
  const T* bias = args.bias ? args.bias.ptr<const T>() : nullptr;
  parallel_for(y.sizes[0] * rows, ref::row_grain(n * k), [&](std::int64_t begin, std::int64_t end) {
    ref::ChainRow<T> chain(n);
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t batch = r / rows, m = r % rows;
      const T* a_row = a.ptr<const T>() + batch * a.strides[0] + m * a.strides[1];
      const T* b_matrix = b.ptr<const T>() + batch * b.strides[0];
      T* y_row = y.ptr<T>() + batch * y.strides[0] + m * y.strides[1];
      chain.begin();
      for (std::int64_t i = 0; i < k; ++i) {
        chain.next_index();
        chain.add(a_row[i * a.strides[2]], b_matrix + i * b.strides[1], b.strides[2], 0, n);
      }
      const T* sum = chain.end();
      for (std::int64_t j = 0; j < n; ++j) {
        T v = sum[j];
        if (args.beta != 0) v += y_row[j];
        if (bias) v += bias[j * args.bias.strides[0]];
        y_row[j] = v;
      }
    }
  });
}

}  // namespace

void ref_matmul(const MatmulArgs& a) { a.dtype() == DType::f32 ? matmul_of<float>(a) : matmul_of<double>(a); }

}  // namespace tapedeck::kernels
