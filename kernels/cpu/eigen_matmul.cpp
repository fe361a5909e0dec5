#include <tapedeck/kernels/cpu/eigen_map.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>

namespace tapedeck::kernels {
namespace {

template <class T>
void matmul_of(const MatmulArgs& args) {
  const TensorView &a = args.a, &b = args.b, &y = args.y;
  const std::int64_t m = y.sizes[1], n = y.sizes[2], k = a.sizes[2];
  if (y.numel() == 0) return;
  const std::int64_t block = std::clamp<std::int64_t>(1'000'000 / (n * k + 1), 64, 1024);
  const std::int64_t blocks = (m + block - 1) / block;
  const std::int64_t grain = 1 + 200'000 / (std::min(block, m) * n * k + 1);
  parallel_for(y.sizes[0] * blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t batch = i / blocks, from = i % blocks * block, rows = std::min(block, m - from);
      eigen::Rows<T> out(y.ptr<T>() + batch * y.strides[0] + from * y.strides[1], rows, n,
                         Eigen::OuterStride<>(y.strides[1]));
      if (args.beta == 0) out.setZero();
      const T* a_data = a.ptr<const T>() + batch * a.strides[0] + from * a.strides[1];
      const T* b_data = b.ptr<const T>() + batch * b.strides[0];
      if (k > 0) {
        eigen::with_matrix(a_data, rows, k, a.strides[1], a.strides[2], [&](const auto& left) {
          eigen::with_matrix(b_data, k, n, b.strides[1], b.strides[2],
                             [&](const auto& right) { out.noalias() += left * right; });
        });
      }
      if (args.bias)
        out.rowwise() += eigen::ConstStrided<T>(args.bias.ptr<const T>(), 1, n, {0, args.bias.strides[0]}).row(0);
    }
  });
}

}  // namespace

void eigen_matmul(const MatmulArgs& a) { a.dtype() == DType::f32 ? matmul_of<float>(a) : matmul_of<double>(a); }

}  // namespace tapedeck::kernels
