// Running sums and products of rows that lie in one piece, forward or backward: W warps hold a tile of a row in their
// registers, so that it is read once and written once. The order of the joins depends on the place in the row alone.
#pragma once
#include <tapedeck/kernels/cuda/map.h>
#include <tapedeck/kernels/cuda/reduce.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kScanRowThreads = 128;  // of a block whose warps have a row each

// A thread's V neighbours joined one after another, and what stands before them in their warp's kWarp * V.
template <class Join, int V, class State = typename Join::State>
struct ScanPass {
  State sums[V], before, total;
  template <class T>
  __device__ ScanPass(const Pack<T, V>& held, bool reverse, int lane) {
    const Join join;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const State v = static_cast<State>(held.v[reverse ? V - 1 - i : i]);
      sums[i] = i == 0 ? v : join(sums[i > 0 ? i - 1 : 0], v);
    }
    State sum = sums[V - 1];
#pragma unroll
    for (int step = 1; step < kWarp; step *= 2) {
      const State lower = shuffle_up(sum, step);
      if (lane >= step) sum = join(lower, sum);
    }
    total = shuffle_from(sum, kWarp - 1);
    before = shuffle_up(sum, 1);
    if (lane == 0) before = Join::none();
  }
  template <class Out>
  __device__ Pack<Out, V> behind(State base, bool reverse) const {
    const Join join;
    base = join(base, before);
    Pack<Out, V> out;
#pragma unroll
    for (int i = 0; i < V; ++i) out.v[reverse ? V - 1 - i : i] = static_cast<Out>(join(base, sums[i]));
    return out;
  }
};

// Join has State, none() and operator(). Threads take V neighbours at a time, P times. What lies behind the end of a
// row is joined too: nothing in the row comes after it.
template <class Join, int V, int P, int W, bool reverse, class T, class Out, class State = typename Join::State>
__global__ void __launch_bounds__(W == 1 ? kScanRowThreads : W * kWarp)
    scan_rows(Layout<2> rows, std::int64_t n, const T* x, Out* y) {
  constexpr int kPass = kWarp * V, kChunk = kPass * P, kTile = kChunk * W;
  using Pass = ScanPass<Join, V>;
  __shared__ State totals[2][W];
  const Join join;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const std::int64_t row = W == 1 ? std::int64_t{blockIdx.x} * (blockDim.x / kWarp) + warp : blockIdx.x;
  if (row >= rows.numel) return;  // a whole warp, or none of a block
  std::int64_t at[2];
  rows.offsets(row, at);
  const auto place = [&](std::int64_t k) { return reverse ? n - k - V : k; };
  State carry = Join::none();
  int parity = 0;
  for (std::int64_t tile = 0; tile < n; tile += kTile, parity ^= 1) {
    const std::int64_t first = tile + (W == 1 ? 0 : warp * kChunk) + lane * V;
    const T* const from = x + at[0] + place(first);
    Out* const to = y + at[1] + place(first);
    constexpr int kStep = reverse ? -kPass : kPass;
    Pack<T, V> held[P];
#pragma unroll
    for (int p = 0; p < P; ++p) {
      held[p] = Pack<T, V>{};
      if (first + p * kPass < n) held[p] = *reinterpret_cast<const Pack<T, V>*>(from + p * kStep);
    }
    if constexpr (W > 1) {  // what the chunks before this one come to
      State total = Join::none();
#pragma unroll
      for (int p = 0; p < P; ++p) total = join(total, Pass(held[p], reverse, lane).total);
      if (lane == 0) totals[parity][warp] = total;
      __syncthreads();  // the other parity's totals have been read by then
    }
    State base = carry;
    for (int w = 0; w < W && W > 1; ++w) {
      if (w == warp) base = carry;
      carry = join(carry, totals[parity][w]);
    }
#pragma unroll
    for (int p = 0; p < P; ++p) {
      const Pass pass(held[p], reverse, lane);
      if (first + p * kPass < n) put_pack(to + p * kStep, pass.template behind<Out>(base, reverse));
      base = join(base, pass.total);
    }
    if constexpr (W == 1) carry = base;
  }
}

struct RowScanPlan {
  Launch launch;
  bool fits = false;        // else the lines are walked in parts: too few rows, and those long
  int warps = 1, held = 0;  // of a row; elements of a thread
};
inline RowScanPlan plan_scan_rows(std::int64_t rows, std::int64_t n, int neighbours) {
  RowScanPlan p;
  const std::int64_t few = kWarp * neighbours * 2;
  p.warps = n <= 4 * few || rows >= 2048 ? 1 : 8;
  p.fits = n > 16 && (p.warps == 1 || rows >= 128 || n <= 4096);
  p.held = p.warps > 1 ? 4 : n <= few && neighbours > 1 ? 2 : 8;
  p.launch.block[0] = p.warps == 1 ? kScanRowThreads : 8 * kWarp;
  p.launch.grid[0] = static_cast<unsigned>(p.warps == 1 ? ceil_div(rows, kScanRowThreads / kWarp) : rows);
  return p;
}

// Whether it did: x and y are lines of neighbours along dim, or the same backward.
template <class Join, class T, class Out>
bool scan_in_rows(const TensorView& x, const TensorView& y, int dim, bool reverse) {
  if (x.strides[dim] != 1 || y.strides[dim] != 1) return false;
  std::array<TensorView, 2> beside{x, y};
  for (TensorView& v : beside) v.sizes[dim] = 1;
  const Layout<2> rows(beside);
  const std::int64_t n = x.sizes[dim];
  constexpr int kWide = static_cast<int>(16 / sizeof(T));
  bool wide = n % kWide == 0 && aligned(x.data, 16) && aligned(y.data, sizeof(Out) * kWide);
  for (int k = 0; k < 2; ++k)
    for (int d = 0; d < rows.rank; ++d) wide = wide && rows.strides[k][d] % kWide == 0;
  const RowScanPlan p = plan_scan_rows(rows.numel, n, wide ? kWide : 1);
  if (!p.fits) return false;
  const auto go = [&](auto forward, auto backward) {
    launch(x.device, p.launch, reverse ? backward : forward, rows, n, x.ptr<const T>(), y.ptr<Out>());
    return true;
  };
#define TD_SCAN_ROWS(V, P, W) go(scan_rows<Join, V, P, W, false, T, Out>, scan_rows<Join, V, P, W, true, T, Out>)
  if (wide && p.warps > 1) return TD_SCAN_ROWS(kWide, 4, 8);
  if (wide && p.held == 2) return TD_SCAN_ROWS(kWide, 2, 1);
  if (wide) return TD_SCAN_ROWS(kWide, 8, 1);
  if (p.warps > 1) return TD_SCAN_ROWS(1, 4, 8);
  return TD_SCAN_ROWS(1, 8, 1);
#undef TD_SCAN_ROWS
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
