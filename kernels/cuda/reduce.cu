// Sums, products, sums of squares and norms. f32 and its short forms are summed in f32, by trees; what f32 would lose
// (products, squares) in double.
#include <tapedeck/kernels/cuda/fold.h>
#include <tapedeck/kernels/reduce.h>

#include <cmath>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

template <class T>
struct Total {
  using In = T;
  using Out = std::conditional_t<kReal<T>, T, std::int64_t>;
  using State = std::conditional_t<kReal<T>, Compute<T>, std::uint64_t>;  // whole numbers wrap
  __device__ State none() const { return 0; }
  __device__ void take(State& s, Compute<T> v, std::int64_t) const { s += static_cast<State>(v); }
  __device__ State join(State a, State b) const { return a + b; }
  __device__ Out result(State s) const { return store<Out>(static_cast<Compute<Out>>(s)); }
};

template <class T>
struct Product {
  using In = T;
  using Out = std::conditional_t<kReal<T>, T, std::int64_t>;
  using State = std::conditional_t<kReal<T>, double, std::uint64_t>;
  __device__ State none() const { return 1; }
  __device__ void take(State& s, Compute<T> v, std::int64_t) const { s *= static_cast<State>(v); }
  __device__ State join(State a, State b) const { return a * b; }
  __device__ Out result(State s) const { return store<Out>(static_cast<Compute<Out>>(s)); }
};

template <class T>
struct Squares {
  using In = T;
  using Out = T;
  using State = double;
  bool root;
  __device__ State none() const { return 0; }
  __device__ void take(State& s, double v, std::int64_t) const { s = fma(v, v, s); }
  __device__ State join(State a, State b) const { return a + b; }
  __device__ Out result(State s) const { return static_cast<T>(root ? sqrt(s) : s); }
};
// Numbers whose squares leave the range of double are summed apart, scaled (Blue 1978).
struct Apart {
  double small, middle, large;
};
struct NormF64 {
  using In = double;
  using Out = double;
  using State = Apart;
  __device__ State none() const { return {0, 0, 0}; }
  __device__ void take(State& s, double v, std::int64_t) const {
    const double a = fabs(v);
    if (a > 0x1p500)
      s.large = fma(a * 0x1p-600, a * 0x1p-600, s.large);
    else if (a < 0x1p-450)
      s.small = fma(a * 0x1p600, a * 0x1p600, s.small);
    else
      s.middle = fma(a, a, s.middle);
  }
  __device__ State join(State a, State b) const { return {a.small + b.small, a.middle + b.middle, a.large + b.large}; }
  __device__ Out result(State s) const {
    if (s.large != 0) return sqrt(s.large + s.middle * 0x1p-600 * 0x1p-600) * 0x1p600;
    return s.middle == 0 ? sqrt(s.small) * 0x1p-600 : sqrt(s.middle + s.small * 0x1p-600 * 0x1p-600);
  }
};

template <template <class> class Op>
void reduce(const ReduceArgs& a) {
  each_fold_type(a.dtype(), [&](auto zero) { fold(Op<decltype(zero)>{}, a.x, a.y, a.dims); });
}
void reduce_squares(const ReduceArgs& a) {
  a.dtype() == DType::f32 ? fold(Squares<float>{false}, a.x, a.y, a.dims)
                          : fold(Squares<double>{false}, a.x, a.y, a.dims);
}
void reduce_norm(const ReduceArgs& a) {
  a.dtype() == DType::f32 ? fold(Squares<float>{true}, a.x, a.y, a.dims) : fold(NormF64(), a.x, a.y, a.dims);
}
const char* takes_wide(const ReduceArgs& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

}  // namespace

void add_reduce() {
  constexpr DeviceType cuda = DeviceType::cuda;
  sum.add(cuda, "cuda", reduce<Total>);
  prod.add(cuda, "cuda", reduce<Product>);
  sum_squares.add(cuda, "cuda", reduce_squares, takes_wide);
  norm.add(cuda, "cuda", reduce_norm, takes_wide);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
