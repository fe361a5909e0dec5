// Where a tensor is not 0: each block counts its elements, the counts become places, each block writes from its own on.
#include <tapedeck/kernels/cuda/rows.h>
#include <tapedeck/kernels/index.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256, kItems = 8;  // of a block; neighbours that a thread looks at

struct Grid {  // row-major
  int rank;
  std::int64_t numel, sizes[8], strides[8];
  explicit Grid(const TensorView& v) : rank(v.rank), numel(v.numel()) {
    for (int d = 0; d < rank; ++d) sizes[d] = v.sizes[d], strides[d] = v.strides[d];
  }
  // The index of element `at` along each dimension; where it lies.
  __device__ std::int64_t index(std::int64_t at, std::int64_t (&out)[8]) const {
    std::int64_t offset = 0;
#pragma unroll
    for (int d = 7; d >= 0; --d) {
      if (d >= rank) continue;
      const std::int64_t next = at / sizes[d];
      out[d] = at - next * sizes[d], offset += out[d] * strides[d], at = next;
    }
    return offset;
  }
};

// Of the values of a block's threads: the sum of those before this one, and all.
__device__ inline int before_me(int v, int* all) {
  __shared__ int room[kThreads / kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  int sum = v;
  for (int step = 1; step < kWarp; step *= 2) {
    const int lower = __shfl_up_sync(kAllLanes, sum, static_cast<unsigned>(step));
    if (lane >= step) sum += lower;
  }
  __syncthreads();
  if (lane == kWarp - 1) room[warp] = sum;
  __syncthreads();
  int others = 0;
  *all = 0;
  for (int w = 0; w < kThreads / kWarp; ++w) {
    if (w < warp) others += room[w];
    *all += room[w];
  }
  return others + sum - v;
}

// counts: of each block, written (y is nullptr) or, as places, read.
template <class T>
__global__ void __launch_bounds__(kThreads)
    find(Grid grid, const T* x, std::int64_t* counts, std::int64_t* y, std::int64_t y_row, std::int64_t y_step) {
  const std::int64_t first = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kItems;
  unsigned found = 0;
  std::int64_t index[8];
  for (int i = 0; i < kItems; ++i)
    if (first + i < grid.numel && load(x[grid.index(first + i, index)]) != 0) found |= 1u << i;
  int all = 0;
  const int before = before_me(__popc(found), &all);
  if (!y) {
    if (threadIdx.x == 0) counts[blockIdx.x] = all;
    return;
  }
  std::int64_t row = counts[blockIdx.x] + before;
  for (int i = 0; i < kItems; ++i) {
    if (!(found >> i & 1u)) continue;
    grid.index(first + i, index);
#pragma unroll
    for (int d = 0; d < 8; ++d)
      if (d < grid.rank) y[row * y_row + d * y_step] = index[d];
    ++row;
  }
}
// counts[i] becomes the sum of those before it, counts[n] of all; one block.
__global__ void __launch_bounds__(kThreads) sum_counts(std::int64_t n, std::int64_t* counts) {
  std::int64_t before = 0;
  for (std::int64_t base = 0; base < n; base += kThreads) {
    const std::int64_t i = base + threadIdx.x;
    int all = 0;
    const int mine = i < n ? static_cast<int>(counts[i]) : 0, lower = before_me(mine, &all);
    if (i < n) counts[i] = before + lower;
    before += all;
  }
  if (threadIdx.x == 0) counts[n] = before;
}

void find_nonzero(const NonzeroArgs& a) {
  const Grid grid(a.x);
  const Device d = a.x.device;
  *a.count = 0;
  if (grid.numel == 0) return;
  const std::int64_t blocks = ceil_div(grid.numel, kThreads * kItems);
  const Scratch counts(d, static_cast<std::size_t>(blocks + 1) * 8);
  Launch l;
  l.grid[0] = static_cast<unsigned>(blocks), l.block[0] = kThreads;
  Launch one;
  one.block[0] = kThreads;
  visit(a.dtype(), [&](auto zero) {
    using T = std::conditional_t<std::is_same_v<decltype(zero), bool>, std::uint8_t, decltype(zero)>;
    const T* const x = static_cast<const T*>(a.x.data);
    launch(d, l, find<T>, grid, x, counts.as<std::int64_t>(), nullptr, 0, 0);
    launch(d, one, sum_counts, blocks, counts.as<std::int64_t>());
    if (a.y.given())
      launch(d, l, find<T>, grid, x, counts.as<std::int64_t>(), a.y.ptr<std::int64_t>(), a.y.strides[0],
             a.y.strides[1]);
  });
  download(d, a.count, counts.as<std::int64_t>() + blocks, 8);
}

}  // namespace

void add_nonzero() { nonzero.add(DeviceType::cuda, "cuda", find_nonzero); }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
