// Matrix products: by the vendor's library where rows or columns of the operands are contiguous, and by tiles of our
// own for operands of any strides.
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/matmul.h>
#include <tapedeck/kernels/cuda/tile.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

bool gemm_operand(const void* data, std::int64_t rows, std::int64_t columns, std::int64_t row, std::int64_t column,
                  std::int64_t batch, GemmOperand* out) {
  constexpr std::int64_t kMost = 0x7fffffff;
  const auto fits = [&](std::int64_t inner, std::int64_t inner_step, std::int64_t outer, std::int64_t outer_step) {
    if (inner != 1 && inner_step != 1) return false;
    out->pitch = outer == 1 ? std::max<std::int64_t>(inner, 1) : outer_step;
    return out->pitch >= inner && out->pitch <= kMost;
  };
  out->data = data, out->batch = batch, out->transposed = false;
  if (rows > kMost || columns > kMost || batch < 0) return false;
  if (fits(columns, column, rows, row)) return true;
  out->transposed = true;
  return fits(rows, row, columns, column);
}

namespace {
struct Same {
  template <class T>
  __device__ T operator()(T x) const {
    return x;
  }
};
}  // namespace

void lay_out(const TensorView& from, const TensorView& to) {
  const std::size_t bytes = size_of(from.dtype);
  if (bytes == 8) return map<std::uint64_t, std::uint64_t>(Same(), to, from);
  if (bytes == 4) return map<std::uint32_t, std::uint32_t>(Same(), to, from);
  map<std::uint16_t, std::uint16_t>(Same(), to, from);
}

namespace {

// ---- the vendor's library -------------------------------------------------------------------------------------------
bool describe(const MatmulArgs& a, Gemm* g) {
  const auto operand = [](const TensorView& v, GemmOperand* out) {
    return gemm_operand(v.data, v.sizes[1], v.sizes[2], v.strides[1], v.strides[2], v.sizes[0] == 1 ? 0 : v.strides[0],
                        out);
  };
  GemmOperand y;
  if (!operand(a.a, &g->a) || !operand(a.b, &g->b) || !operand(a.y, &y) || y.transposed) return false;
  g->dtype = g->out = a.dtype();
  g->batch = a.y.sizes[0], g->m = a.y.sizes[1], g->n = a.y.sizes[2], g->k = a.a.sizes[2];
  g->y = a.y.data, g->y_pitch = y.pitch, g->y_batch = y.batch, g->beta = a.beta;
  return g->batch <= 0x7fffffff;
}

void own(const MatmulArgs& args);

// False where the library does nothing.
bool by_vendor(const MatmulArgs& a, bool relu) {
  Gemm g;
  if (a.y.numel() == 0) return true;
  if (a.a.sizes[2] == 0 || !describe(a, &g)) return false;
  g.relu = relu;
  const bool lie = !a.bias || ((a.bias.strides[0] == 1 || g.n == 1) && aligned(a.bias.data, 16));
  const Scratch bias(a.y.device, lie ? 0 : static_cast<std::size_t>(g.n) * size_of(a.dtype()));
  if (a.bias) g.bias = a.bias.data;
  if (!lie) {
    TensorView to = a.bias;
    to.data = bias.as<void>(), to.strides[0] = 1;
    lay_out(a.bias, to);
    g.bias = to.data;
  }
  return gemm(a.y.device, g);
}
void vendor(const MatmulArgs& a) {
  if (!by_vendor(a, false)) own(a);
}
void vendor_relu(const MatmulArgs& a) {
  if (!by_vendor(a, true)) composed_matmul_relu(a);
}
const char* vendor_supports(const MatmulArgs& a) {
  Gemm g;
  if (!is_real(a.dtype())) return "dtype is not real";
  if (a.bias && a.dtype() == DType::f64) return "f64 with a bias";
  if (a.y.numel() > 0 && a.a.sizes[2] > 0 && !describe(a, &g))
    return "neither rows nor columns of an operand are contiguous";
  return nullptr;
}
const char* vendor_relu_supports(const MatmulArgs& a) {
  return a.dtype() == DType::f64 ? "dtype is f64" : vendor_supports(a);
}

// ---- our own tiles --------------------------------------------------------------------------------------------------
// A matrix by strides: of its outer index (m or n), of k, and of the batch.
template <class Type>
struct Strided {
  const Type* data = nullptr;
  std::int64_t outer = 0, k = 0, batch = 0;
  bool along_k = true, wide = false;

  Strided(const TensorView& v, int outer_dim, int k_dim)
      : data(v.ptr<const Type>()),
        outer(v.strides[outer_dim]),
        k(v.strides[k_dim]),
        batch(v.strides[0]),
        along_k(k == 1 || outer != 1) {
    const std::int64_t other = along_k ? outer : k;
    wide = (along_k ? k : outer) == 1 && other % 4 == 0 && (batch % 4 == 0 || v.sizes[0] == 1) &&
           aligned(data, 4 * sizeof(Type));
  }
  __device__ void fetch(const Type* line, std::int64_t at, int count, Compute<Type> (&out)[4]) const {
    fetch_four(line + at * k, along_k ? k : outer, wide, count, out);
  }
};

template <class Type>
struct MatrixProblem {
  using T = Type;
  using LineA = const T*;
  using LineB = const T*;
  static constexpr bool kLean = true;
  std::int64_t m, n, k, entered = 0;
  Strided<T> left, right;
  T* y;
  std::int64_t y_row, y_batch;
  const T* bias;
  std::int64_t bias_step;
  bool add, wide;

  explicit MatrixProblem(const MatmulArgs& a)
      : m(a.y.sizes[1]),
        n(a.y.sizes[2]),
        k(a.a.sizes[2]),
        left(a.a, 1, 2),
        right(a.b, 2, 1),
        y(a.y.ptr<T>()),
        y_row(a.y.strides[1]),
        y_batch(a.y.strides[0]),
        bias(a.bias ? a.bias.ptr<const T>() : nullptr),
        bias_step(a.bias ? a.bias.strides[0] : 0),
        add(a.beta != 0),
        wide(y_row % 4 == 0 && (y_batch % 4 == 0 || a.y.sizes[0] == 1) && aligned(y, 4 * sizeof(T))) {}

  __device__ bool a_along_k() const { return left.along_k; }
  __device__ bool b_along_k() const { return right.along_k; }
  __device__ void enter(std::int64_t z) {
    left.data += (z - entered) * left.batch, right.data += (z - entered) * right.batch;
    y += (z - entered) * y_batch, entered = z;
  }
  __device__ LineA a_line(std::int64_t at) const { return left.data + at * left.outer; }
  __device__ LineB b_line(std::int64_t at) const { return right.data + at * right.outer; }
  __device__ void a(LineA line, std::int64_t at, int count, Compute<T> (&out)[4]) const {
    left.fetch(line, at, count, out);
  }
  __device__ void b(LineB line, std::int64_t at, int count, Compute<T> (&out)[4]) const {
    right.fetch(line, at, count, out);
  }
  __device__ void put(std::int64_t row, std::int64_t column, int count, Compute<T> (&sum)[4]) const {
    put_four(y + row * y_row + column, bias ? bias + column * bias_step : nullptr, bias_step, add, wide, count, sum);
  }
};

template <class T>
void own_of(const MatmulArgs& a) {
  solve_tiles(a.y.device, MatrixProblem<T>(a), a.y.sizes[1], a.y.sizes[2], a.a.sizes[2], a.y.sizes[0]);
}
void own(const MatmulArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { own_of<decltype(zero)>(a); });
}

}  // namespace

void add_matmul() {
  matmul.add(DeviceType::cuda, "cublas", vendor, vendor_supports);
  matmul.add(DeviceType::cuda, "own", own, takes_real<MatmulArgs>, "tiles in shared memory, any strides");
  matmul_relu.add(DeviceType::cuda, "cublas", vendor_relu, vendor_relu_supports, "the activation ends the product");
  matmul_relu.add(DeviceType::cuda, "composed", composed_matmul_relu, takes_real<MatmulArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
