// Distances between all pairs of rows, in double as the reference has them.
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>
#include <tapedeck/kernels/distance.h>

#include <cmath>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

enum class Norm { count, sum, square, most, power };  // p = 0, 1, 2, infinity, any other
Norm norm_of(double p) {
  return p == 0 ? Norm::count : p == 1 ? Norm::sum : p == 2 ? Norm::square : std::isinf(p) ? Norm::most : Norm::power;
}

template <Norm N>
__device__ inline double join(double total, double difference, double p) {
  const double d = fabs(difference);
  if constexpr (N == Norm::count) return total + (d == 0 || d != d ? d : 1);
  if constexpr (N == Norm::sum) return total + d;
  if constexpr (N == Norm::square) return total + d * d;
  if constexpr (N == Norm::most) return d > total || d != d ? d : total;
  return total + pow(d, p);
}
template <Norm N>
__device__ inline double finish(double total, double p) {
  if constexpr (N == Norm::square) return sqrt(total);
  if constexpr (N == Norm::power) return pow(total, 1 / p);
  return total;
}

// A batch of matrices with contiguous rows.
template <class T>
struct Matrices {
  T* data;
  std::int64_t batch, row, column, rows;
  explicit Matrices(const TensorView& v)
      : data(v.ptr<T>()), batch(v.strides[0]), row(v.strides[1]), column(v.strides[2]), rows(v.sizes[1]) {}
  __device__ T* operator()(std::int64_t b, std::int64_t r) const { return data + b * batch + r * row; }
};

constexpr int kSide = 16, kDepth = 16;  // of a tile of pairs, and numbers of a row at a time

template <class T, Norm N>
__global__ void distance_kernel(Matrices<const T> x1, Matrices<const T> x2, T* y, std::int64_t width, double p,
                                std::int64_t tiles1, std::int64_t tiles2) {
  __shared__ T left[kSide][kDepth + 1];
  __shared__ T right[kSide][kDepth + 1];
  std::int64_t at = blockIdx.x;
  const std::int64_t r0 = at % tiles2 * kSide, i0 = at / tiles2 % tiles1 * kSide, b = at / tiles2 / tiles1;
  const int x = static_cast<int>(threadIdx.x) % kSide, row = static_cast<int>(threadIdx.x) / kSide;
  double total = 0;
  for (std::int64_t c = 0; c < width; c += kDepth) {
    const bool there = c + x < width;
    left[row][x] = there && i0 + row < x1.rows ? x1(b, i0 + row)[c + x] : T(0);
    right[row][x] = there && r0 + row < x2.rows ? x2(b, r0 + row)[c + x] : T(0);
    __syncthreads();
    const int depth = width - c < kDepth ? static_cast<int>(width - c) : kDepth;
    for (int k = 0; k < depth; ++k)
      total = join<N>(total, static_cast<double>(left[row][k]) - static_cast<double>(right[x][k]), p);
    __syncthreads();
  }
  if (i0 + row < x1.rows && r0 + x < x2.rows)
    y[(b * x1.rows + i0 + row) * x2.rows + r0 + x] = static_cast<T>(finish<N>(total, p));
}

template <class F>
void each_norm(double p, F&& f) {
  switch (norm_of(p)) {
    case Norm::count:
      return f(std::integral_constant<Norm, Norm::count>());
    case Norm::sum:
      return f(std::integral_constant<Norm, Norm::sum>());
    case Norm::square:
      return f(std::integral_constant<Norm, Norm::square>());
    case Norm::most:
      return f(std::integral_constant<Norm, Norm::most>());
    default:
      return f(std::integral_constant<Norm, Norm::power>());
  }
}

template <class T>
void distances(const CdistArgs& a) {
  if (a.y.numel() == 0) return;
  const std::int64_t tiles1 = ceil_div(a.x1.sizes[1], kSide), tiles2 = ceil_div(a.x2.sizes[1], kSide);
  Launch l;
  l.grid[0] = static_cast<unsigned>(tiles1 * tiles2 * a.y.sizes[0]), l.block[0] = kSide * kSide;
  each_norm(a.p, [&](auto norm) {
    launch(a.y.device, l, distance_kernel<T, norm.value>, Matrices<const T>(a.x1), Matrices<const T>(a.x2),
           a.y.ptr<T>(), a.x1.sizes[2], a.p, tiles1, tiles2);
  });
}

// ---- the gradient ---------------------------------------------------------------------------------------------------
// d |difference|_p / d difference, the distance y being known.
template <Norm N>
__device__ inline double slope(double d, double y, double p) {
  if (N == Norm::count || y == 0 || d == 0) return 0;
  const double sign = d > 0 ? 1 : -1;
  if constexpr (N == Norm::square) return d / y;
  if constexpr (N == Norm::power) return sign * pow(fabs(d) / y, p - 1);
  return sign;
}

// Of every pair: the largest difference, and how many are as large.
template <class T>
__global__ void ties_kernel(Matrices<const T> x1, Matrices<const T> x2, double2* out, std::int64_t pairs,
                            std::int64_t width) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < pairs; at += step) {
    const std::int64_t b = at / x2.rows / x1.rows;
    const T *const left = x1(b, at / x2.rows % x1.rows), *const right = x2(b, at % x2.rows);
    double most = 0, ties = 0;
    for (std::int64_t c = 0; c < width; ++c)
      most = join<Norm::most>(most, static_cast<double>(left[c]) - static_cast<double>(right[c]), 0);
    for (std::int64_t c = 0; c < width; ++c)
      ties += fabs(static_cast<double>(left[c]) - static_cast<double>(right[c])) == most;
    out[at] = make_double2(most, ties);
  }
}

template <class T, Norm N>
__global__ void distance_grad_kernel(Matrices<const T> gy, Matrices<const T> x1, Matrices<const T> x2,
                                     Matrices<const T> y, const double2* ties, Matrices<T> gx1, std::int64_t items,
                                     std::int64_t width, double p) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < items; at += step) {
    const std::int64_t c = at % width, i = at / width % x1.rows, b = at / width / x1.rows;
    const double left = static_cast<double>(x1(b, i)[c]);
    double total = 0;
    for (std::int64_t r = 0; r < x2.rows; ++r) {
      const double d = left - static_cast<double>(x2(b, r)[c]);
      const double g = static_cast<double>(gy(b, i)[r * gy.column]);
      if constexpr (N == Norm::most) {
        const double2 t = ties[(b * x1.rows + i) * x2.rows + r];
        total += fabs(d) == t.x ? g * slope<N>(d, t.x, p) / t.y : 0;
      } else {
        total += g * slope<N>(d, static_cast<double>(y(b, i)[r * y.column]), p);
      }
    }
    gx1(b, i)[c] = static_cast<T>(total);
  }
}

template <class T>
void distances_grad(const CdistGradArgs& a) {
  const std::int64_t items = a.gx1.numel(), width = a.x1.sizes[2];
  if (items == 0) return;
  using In = Matrices<const T>;
  const std::int64_t pairs = std::isinf(a.p) ? a.x1.sizes[0] * a.x1.sizes[1] * a.x2.sizes[1] : 0;
  const Scratch ties(a.gx1.device, static_cast<std::size_t>(pairs) * sizeof(double2));
  launch(a.gx1.device, plan_items(pairs), ties_kernel<T>, In(a.x1), In(a.x2), ties.as<double2>(), pairs, width);
  each_norm(a.p, [&](auto norm) {
    launch(a.gx1.device, plan_items(items), distance_grad_kernel<T, norm.value>, In(a.gy), In(a.x1), In(a.x2), In(a.y),
           ties.as<double2>(), Matrices<T>(a.gx1), items, width, a.p);
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

}  // namespace

void add_distance() {
  constexpr DeviceType cuda = DeviceType::cuda;
  cdist.add(
      cuda, "cuda", [](const CdistArgs& a) { a.dtype() == DType::f32 ? distances<float>(a) : distances<double>(a); },
      supports<CdistArgs>);
  cdist_backward.add(
      cuda, "cuda",
      [](const CdistGradArgs& a) { a.dtype() == DType::f32 ? distances_grad<float>(a) : distances_grad<double>(a); },
      supports<CdistGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
