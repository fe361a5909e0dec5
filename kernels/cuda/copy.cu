// Copies between all element types and layouts, fills, triangles and one-hot rows. Same-type copies move bytes.
#include <tapedeck/kernels/cuda/convert.h>
#include <tapedeck/kernels/cuda/map.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>

#include <cmath>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

template <class T>
struct Same {
  __device__ T operator()(T x) const { return x; }
};
template <class To, class From>
struct Convert {
  __device__ To operator()(From x) const { return convert<To>(x); }
};
template <class T>
struct Constant {
  double value;
  __device__ T operator()() const { return convert<T>(value); }
};

// Matrices whose neighbours lie along the columns in y and along the rows in x: tiles through shared memory, so that
// both sides move lines.
constexpr int kTile = 32, kTileRows = 8;
struct Plane {
  std::int64_t rows, columns, y_row, y_column, x_row, x_column;
};
template <class T>
__global__ void transpose_kernel(Layout<2> beside, Plane p, T* y, const T* x) {
  __shared__ T tile[kTile][kTile + 1];
  const std::int64_t across = ceil_div(p.columns, kTile), tiles = across * ceil_div(p.rows, kTile);
  const int lane = static_cast<int>(threadIdx.x), line = static_cast<int>(threadIdx.y);
  for (std::int64_t n = blockIdx.x; n < beside.numel * tiles; n += gridDim.x) {
    std::int64_t at[2];
    beside.offsets(n / tiles, at);
    const std::int64_t row = n % tiles / across * kTile, column = n % tiles % across * kTile;
#pragma unroll
    for (int i = line; i < kTile; i += kTileRows)
      if (row + lane < p.rows && column + i < p.columns)
        tile[i][lane] = x[at[1] + (row + lane) * p.x_row + (column + i) * p.x_column];
    __syncthreads();
#pragma unroll
    for (int i = line; i < kTile; i += kTileRows)
      if (row + i < p.rows && column + lane < p.columns)
        y[at[0] + (row + i) * p.y_row + (column + lane) * p.y_column] = tile[lane][i];
    __syncthreads();
  }
}

template <class T>
bool transposes(const CopyArgs& a, const Layout<2>& l) {
  const int column = l.rank - 1;
  if (l.rank < 2 || l.strides[1][column] == 1 || l.sizes[column] < kTileRows) return false;
  int row = 0;
  while (row < column && (l.strides[1][row] != 1 || l.sizes[row] < kTileRows)) ++row;
  if (row == column) return false;
  const Plane p{l.sizes[row],         l.sizes[column],   l.strides[0][row],
                l.strides[0][column], l.strides[1][row], l.strides[1][column]};
  Layout<2> beside = l;
  beside.rank = 0, beside.numel = 1;
  for (int d = 0; d < column; ++d) {
    if (d == row) continue;
    beside.numel *= beside.sizes[beside.rank] = l.sizes[d];
    for (int k = 0; k < 2; ++k) beside.strides[k][beside.rank] = l.strides[k][d];
    ++beside.rank;
  }
  const std::int64_t tiles = ceil_div(p.rows, kTile) * ceil_div(p.columns, kTile) * beside.numel;
  Launch plan = plan_items(tiles, 1);
  plan.block[0] = kTile, plan.block[1] = kTileRows;
  launch(a.y.device, plan, transpose_kernel<T>, beside, p, a.y.ptr<T>(), a.x.ptr<const T>());
  return true;
}

void copy_elements(const CopyArgs& a) {
  if (a.x.dtype != a.y.dtype)
    return visit(a.x.dtype, [&](auto from) {
      visit(a.y.dtype, [&](auto to) {
        using From = decltype(from);
        using To = decltype(to);
        if constexpr (!std::is_same_v<From, To>) map<To, From>(Convert<To, From>(), a.y, a.x);
      });
    });
  const Layout<2> l({a.y, a.x});
  if (l.numel == 0) return;
  const bool dense = l.rank == 0 || (l.rank == 1 && l.strides[0][0] == 1 && l.strides[1][0] == 1);
  if (dense)
    return runtime(DeviceType::cuda)
        .copy(a.y.data, a.y.device, a.x.data, a.x.device, static_cast<std::size_t>(l.numel) * size_of(a.x.dtype));
  with_size(a.x.dtype, [&](auto zero) {
    using T = decltype(zero);
    if (!transposes<T>(a, l)) map<T, T>(Same<T>(), a.y, a.x);
  });
}

void fill_elements(const FillArgs& a) {
  const Layout<1> l({a.y});
  if (a.value == 0 && !std::signbit(a.value) && l.numel > 0 && l.rank == 1 && l.strides[0][0] == 1)
    return runtime(DeviceType::cuda)
        .zero(a.y.device.index, a.y.data, static_cast<std::size_t>(l.numel) * size_of(a.y.dtype));
  visit(a.y.dtype, [&](auto zero) {
    using T = decltype(zero);
    map<T>(Constant<T>{a.value}, a.y);
  });
}

// Lines of a matrix by warps: blocks of 8 lines, walked by 32 threads each.
Launch plan_lines(std::int64_t lines) {
  Launch plan = plan_items(lines, kTileRows);
  plan.block[0] = kWarp, plan.block[1] = kTileRows;
  return plan;
}
__device__ inline std::int64_t first_line() { return std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; }
__device__ inline std::int64_t line_step() { return std::int64_t{gridDim.x} * blockDim.y; }

template <class T>
__global__ void triangle_kernel(Layout<2> matrices, Plane p, std::int64_t diagonal, bool upper, T* y, const T* x) {
  for (std::int64_t n = first_line(); n < matrices.numel * p.rows; n += line_step()) {
    std::int64_t at[2];
    matrices.offsets(n / p.rows, at);
    const std::int64_t row = n % p.rows;
    for (std::int64_t c = threadIdx.x; c < p.columns; c += kWarp) {
      const bool kept = upper ? c - row >= diagonal : c - row <= diagonal;
      y[at[0] + row * p.y_row + c * p.y_column] = kept ? x[at[1] + row * p.x_row + c * p.x_column] : T(0);
    }
  }
}
void triangle_elements(const TriangleArgs& a) {
  const int r = a.y.rank;
  TensorView x = a.x, y = a.y;
  x.rank = y.rank = r - 2;
  const Layout<2> matrices({y, x});
  const Plane p{y.sizes[r - 2], y.sizes[r - 1], y.strides[r - 2], y.strides[r - 1], x.strides[r - 2], x.strides[r - 1]};
  with_size(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(y.device, plan_lines(p.columns == 0 ? 0 : matrices.numel * p.rows), triangle_kernel<T>, matrices, p,
           a.diagonal, a.upper, y.ptr<T>(), x.ptr<const T>());
  });
}

template <class T>
__global__ void one_hot_kernel(Plane p, std::int64_t step, T* y, const std::int64_t* index) {
  for (std::int64_t row = first_line(); row < p.rows; row += line_step()) {
    const std::int64_t hot = index[row * step];
    for (std::int64_t c = threadIdx.x; c < p.columns; c += kWarp)
      y[row * p.y_row + c * p.y_column] = convert<T>(std::int64_t{c == hot});
  }
}
void one_hot_rows(const OneHotArgs& a) {
  const Plane p{a.y.sizes[0], a.y.sizes[1], a.y.strides[0], a.y.strides[1], 0, 0};
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(a.y.device, plan_lines(p.columns == 0 ? 0 : p.rows), one_hot_kernel<T>, p, a.index.strides[0], a.y.ptr<T>(),
           a.index.ptr<const std::int64_t>());
  });
}

}  // namespace

void add_copy() {
  copy.add(DeviceType::cuda, "cuda", copy_elements);
  fill.add(DeviceType::cuda, "cuda", fill_elements);
  triangle.add(DeviceType::cuda, "cuda", triangle_elements);
  one_hot.add(DeviceType::cuda, "cuda", one_hot_rows);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
