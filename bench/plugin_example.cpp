// A kernel of one's own as a plug-in: a matrix product to put against the library's. It links nothing of Tapedeck:
//   g++ -std=c++20 -O3 -march=native -shared -fPIC -Ibuild/include/kernels -Ibuild/include/tensor
//     bench/plugin_example.cpp -o mine.so
//   build/bin/ab matmul simd mine --plugin mine.so
#include <tapedeck/kernels/matmul.h>
#include <tapedeck/kernels/plugin.h>

#include <algorithm>

namespace {

using std::int64_t;
using tapedeck::kernels::MatmulArgs;

tapedeck::kernels::Registry* program = nullptr;

// Row by row in the order i, k, j: the inner loop runs along b and y. Partial sums of 256 terms keep the error small.
void multiply(const MatmulArgs& a) {
  const int64_t m = a.y.sizes[1], n = a.y.sizes[2], depth = a.a.sizes[2];
  const float *x = a.a.ptr<const float>(), *b = a.b.ptr<const float>();
  program->parallel_for(a.y.sizes[0] * m, 8, [&](int64_t begin, int64_t end) {
    auto* part = static_cast<float*>(program->workspace(static_cast<std::size_t>(n) * sizeof(float)));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t batch = row / m, i = row % m;
      float* y = a.y.ptr<float>() + batch * a.y.strides[0] + i * a.y.strides[1];
      if (a.beta == 0) std::fill_n(y, n, 0.0f);
      for (int64_t k0 = 0; k0 < depth; k0 += 256) {
        std::fill_n(part, n, 0.0f);
        for (int64_t k = k0; k < std::min(depth, k0 + 256); ++k) {
          const float v = x[batch * a.a.strides[0] + i * a.a.strides[1] + k * a.a.strides[2]];
          const float* line = b + batch * a.b.strides[0] + k * a.b.strides[1];
          for (int64_t j = 0; j < n; ++j) part[j] += v * line[j];
        }
        for (int64_t j = 0; j < n; ++j) y[j] += part[j];
      }
      if (a.bias)
        for (int64_t j = 0; j < n; ++j) y[j] += a.bias.ptr<const float>()[j * a.bias.strides[0]];
    }
  });
}

// What it does not take goes to the library's own kernels.
const char* supports(const MatmulArgs& a) {
  if (a.dtype() != tapedeck::DType::f32) return "only f32";
  return a.b.strides[2] == 1 || a.b.sizes[2] <= 1 ? nullptr : "the rows of b are not contiguous";
}

}  // namespace

TAPEDECK_PLUGIN(registry) {
  program = &registry;
  registry.add<MatmulArgs>("matmul", "mine", multiply, supports, "i, k, j loops");
}
