// What blas_vendor.cu does, in loops.
#include <tapedeck/kernels/cuda/blas_vendor.h>
#include <tapedeck/kernels/cuda/number.h>

namespace tapedeck::kernels::cuda_emulated {
namespace {

template <class T, class Out>
void product(Gemm g) {
  using Sum = Compute<T>;
  const auto at = [](const GemmOperand& o, std::int64_t batch, std::int64_t row, std::int64_t column) {
    const T* matrix = static_cast<const T*>(o.data) + batch * o.batch;
    return load(o.transposed ? matrix[column * o.pitch + row] : matrix[row * o.pitch + column]);
  };
  const std::int64_t batch = blockIdx.x;
  for (std::int64_t i = 0; i < g.m; ++i)
    for (std::int64_t j = 0; j < g.n; ++j) {
      Sum sum = 0;
      for (std::int64_t k = 0; k < g.k; ++k) sum = std::fma(at(g.a, batch, i, k), at(g.b, batch, k, j), sum);
      Out& y = static_cast<Out*>(g.y)[batch * g.y_batch + i * g.y_pitch + j];
      if (g.beta != 0) sum += static_cast<Sum>(g.beta) * static_cast<Sum>(load(y));
      if (g.bias) sum += static_cast<Sum>(load(static_cast<const Out*>(g.bias)[j]));
      if (g.add)
        sum += static_cast<Sum>(load(static_cast<const Out*>(g.add)[batch * g.add_batch + i * g.add_pitch + j]));
      if (g.relu && sum < 0) sum = 0;  // NaN stays
      y = store<Out>(static_cast<Compute<Out>>(sum));
    }
}
void must(bool holds, const char* rule) { TD_CHECK(holds, ValueError, "gemm: ", rule); }

}  // namespace

bool gemm(Device d, const Gemm& g) {
  must(g.batch >= 1 && g.m >= 1 && g.n >= 1 && g.k >= 1, "sizes must be at least 1");
  must(g.a.pitch >= (g.a.transposed ? g.m : g.k) && g.b.pitch >= (g.b.transposed ? g.k : g.n) && g.y_pitch >= g.n,
       "rows overlap");
  must(!g.add || (g.beta == 0 && g.add_pitch >= g.n), "what is added lies in rows, and beta is 0");
  must(g.out == g.dtype || g.out == DType::f32, "y must be f32 or of the operands' type");
  must(!g.bias || (g.dtype != DType::f64 && aligned(g.bias, 16)), "no bias with f64, and aligned to 16 bytes");
  must(!g.relu || g.dtype != DType::f64, "no activation with f64");
  Launch l;
  l.grid[0] = static_cast<unsigned>(g.batch);
  const bool narrow = g.out == g.dtype;
  if (g.dtype == DType::f32)
    launch(d, l, product<float, float>, g);
  else if (g.dtype == DType::f64)
    launch(d, l, product<double, double>, g);
  else if (g.dtype == DType::bf16)
    launch(d, l, narrow ? product<BFloat16, BFloat16> : product<BFloat16, float>, g);
  else
    launch(d, l, narrow ? product<Float16, Float16> : product<Float16, float>, g);
  return true;
}

}  // namespace tapedeck::kernels::cuda_emulated
