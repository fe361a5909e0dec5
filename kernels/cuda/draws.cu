// Integers, permutations and draws by weights, and rows made orthonormal.
#include <tapedeck/kernels/cuda/draw.h>
#include <tapedeck/kernels/cuda/reduce.h>
#include <tapedeck/kernels/random.h>

#include <algorithm>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

// ---- integers -------------------------------------------------------------------------------------------------------
template <class T>
__global__ void integers_kernel(Rows rows, std::int64_t width, std::int64_t pairs, std::uint64_t low,
                                std::uint64_t range, T* y) {
  const std::int64_t per_row = ceil_div(width, 2), step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < pairs; n += step) {
    const std::int64_t row = n / per_row, pair = n - row * per_row;
    const Philox4 r = philox(rows.key, static_cast<std::uint64_t>(pair), rows.id(row));
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if (2 * pair + i >= width) continue;
      const std::uint64_t word = r.word[2 * i] | std::uint64_t{r.word[2 * i + 1]} << 32;
      const std::uint64_t value = low + (range == 0 ? word : __umul64hi(word, range));
      y[row * width + 2 * pair + i] = static_cast<T>(static_cast<std::int64_t>(value));
    }
  }
}
void draw_integers(const IntegersArgs& a) {
  const std::int64_t rows = a.y.rank == 0 ? 1 : a.y.sizes[0], numel = a.y.numel(), width = rows == 0 ? 0 : numel / rows;
  if (numel == 0) return;
  const std::int64_t pairs = rows * ceil_div(width, 2);
  const DeviceRows ids(a.y.device, a.stream);
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
      launch(a.y.device, plan_items(pairs), integers_kernel<T>, ids.rows, width, pairs,
             static_cast<std::uint64_t>(a.low), a.range, a.y.ptr<T>());
  });
}
const char* supports_integers(const IntegersArgs& a) {
  const DType t = a.dtype();
  return t == DType::bf16 || t == DType::f16 || t == DType::boolean ? "dtype is not i64, i32, u8, f32 or f64" : nullptr;
}

// ---- permutations ---------------------------------------------------------------------------------------------------
// Every swap needs what those before it left: made on the host, where memory answers sooner, and copied.
void permute(const PermutationArgs& a) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(a.y.numel()));
  if (order.empty()) return;
  PermutationArgs host = a;
  host.y.data = order.data(), host.y.device = kCpu;
  permutation(kCpu, host);
  runtime(DeviceType::cuda).copy(a.y.data, a.y.device, order.data(), kCpu, order.size() * sizeof order[0]);
}
const char* supports_permutation(const PermutationArgs& a) {
  return a.dtype() == DType::i64 ? nullptr : "dtype is not i64";
}

// ---- draws by weights -----------------------------------------------------------------------------------------------
// Sums of weights in a complete binary tree: the leaves are node[leaves] …, the root is node[1]. Nothing is ever
// subtracted: a leaf that is taken out has the sums above it made anew.
__device__ std::int64_t leaf_at(const double* node, std::int64_t leaves, double u) {
  double rest = u * node[1];
  std::int64_t i = 1;
  while (i < leaves) {
    i *= 2;
    if (rest < node[i] || node[i + 1] == 0) continue;
    rest -= node[i++];
  }
  return i - leaves;
}
__device__ inline double unit(std::uint64_t word) { return static_cast<double>(word >> 11) * 0x1p-53; }

// A block makes a row; each block has a tree of its own.
template <class T>
__global__ void multinomial_kernel(Rows ids, const T* w, std::int64_t w_row, std::int64_t rows, std::int64_t n,
                                   std::int64_t leaves, std::int64_t draws, bool replacement, double* trees,
                                   std::int64_t* y) {
  double* const node = trees + 2 * leaves * blockIdx.x;
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    for (std::int64_t i = threadIdx.x; i < leaves; i += blockDim.x)
      node[leaves + i] = i < n ? static_cast<double>(w[row * w_row + i]) : 0;
    for (std::int64_t level = leaves / 2; level > 0; level /= 2) {
      __syncthreads();
      for (std::int64_t i = level + threadIdx.x; i < 2 * level; i += blockDim.x)
        node[i] = node[2 * i] + node[2 * i + 1];
    }
    __syncthreads();
    if (replacement) {
      for (std::int64_t s = threadIdx.x; s < draws; s += blockDim.x)
        y[row * draws + s] = leaf_at(node, leaves, unit(ids.long_word(row, s)));
    } else if (threadIdx.x == 0) {
      for (std::int64_t s = 0; s < draws; ++s) {
        const std::int64_t drawn = leaf_at(node, leaves, unit(ids.long_word(row, s)));
        y[row * draws + s] = drawn;
        std::int64_t i = leaves + drawn;
        node[i] = 0;
        while (i /= 2) node[i] = node[2 * i] + node[2 * i + 1];
      }
    }
    __syncthreads();  // before the tree is made anew
  }
}
template <class T>
void draw_by_weight(const MultinomialArgs& a) {
  const Device d = a.w.device;
  const std::int64_t rows = a.w.sizes[0], n = a.w.sizes[1], draws = a.y.sizes[1];
  if (rows == 0 || draws == 0) return;
  std::int64_t leaves = 1;
  while (leaves < n) leaves *= 2;
  Launch plan = plan_items(rows, 1, 8 * limits(d).multiprocessors);
  plan.block[0] = static_cast<unsigned>(std::clamp<std::int64_t>(leaves, kWarp, 256));
  const Scratch trees(d, plan.grid[0] * static_cast<std::size_t>(2 * leaves) * sizeof(double));
  const DeviceRows ids(d, a.stream);
  launch(d, plan, multinomial_kernel<T>, ids.rows, a.w.ptr<const T>(), a.w.strides[0], rows, n, leaves, draws,
         a.replacement, trees.as<double>(), a.y.ptr<std::int64_t>());
}
void multinomial_rows(const MultinomialArgs& a) {
  a.dtype() == DType::f32 ? draw_by_weight<float>(a) : draw_by_weight<double>(a);
}
const char* supports_multinomial(const MultinomialArgs& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

// ---- orthonormal rows -----------------------------------------------------------------------------------------------
__device__ inline double dot(const double* a, const double* b, std::int64_t n, double* spare) {
  double sum = 0;
  for (std::int64_t k = threadIdx.x; k < n; k += blockDim.x) sum = fma(a[k], b[k], sum);
  return row_fold(sum, Plus(), spare);
}
__global__ void normalise_kernel(double* q, std::int64_t n) {
  __shared__ double spare[kWarp];
  const double length = sqrt(dot(q, q, n, spare));
  for (std::int64_t k = threadIdx.x; k < n; k += blockDim.x) q[k] /= length;
}
// Rows behind q lose what lies along it.
__global__ void project_kernel(const double* q, double* rows, std::int64_t count, std::int64_t n) {
  __shared__ double spare[kWarp];
  for (std::int64_t j = blockIdx.x; j < count; j += gridDim.x) {
    double* const v = rows + j * n;
    const double along = dot(q, v, n, spare);
    for (std::int64_t k = threadIdx.x; k < n; k += blockDim.x) v[k] = fma(-along, q[k], v[k]);
  }
}
// Gram and Schmidt, modified; a second pass over rows that are nearly orthonormal leaves errors of rounding only.
void orthonormal_rows(const OrthonormalArgs& a) {
  const Device d = a.a.device;
  const std::int64_t m = a.a.sizes[0], n = a.a.sizes[1];
  if (m == 0 || n == 0) return;
  double* const x = a.a.ptr<double>();
  const auto threads = static_cast<unsigned>(std::clamp<std::int64_t>(ceil_div(n, kWarp) * kWarp, kWarp, 256));
  for (int pass = 0; pass < 2; ++pass)
    for (std::int64_t i = 0; i < m; ++i) {
      double* const q = x + i * n;
      Launch plan;
      plan.block[0] = threads;
      launch(d, plan, normalise_kernel, q, n);
      plan.grid[0] = plan_items(m - i - 1, 1).grid[0];
      launch(d, plan, project_kernel, q, q + n, m - i - 1, n);
    }
}
const char* supports_orthonormal(const OrthonormalArgs& a) {
  return a.dtype() == DType::f64 ? nullptr : "dtype is not f64";
}

}  // namespace

void add_draws() {
  integers.add(DeviceType::cuda, "cuda", draw_integers, supports_integers);
  permutation.add(DeviceType::cuda, "cuda", permute, supports_permutation);
  multinomial.add(DeviceType::cuda, "cuda", multinomial_rows, supports_multinomial);
  orthonormal.add(DeviceType::cuda, "cuda", orthonormal_rows, supports_orthonormal);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
