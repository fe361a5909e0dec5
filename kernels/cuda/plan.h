// Launch plans: pure functions of sizes and limits, tested without a device.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>

#include <algorithm>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

__host__ __device__ inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// One thread per item, walked in strides of the whole grid when there are more than `most` blocks.
inline Launch plan_items(std::int64_t items, int threads = 256, std::int64_t most = std::int64_t{1} << 20) {
  Launch l;
  l.grid[0] = static_cast<unsigned>(std::min(ceil_div(items, threads), most));
  l.block[0] = static_cast<unsigned>(threads);
  return l;
}

// Rows of `width` elements, each walked by a group of threads: a warp for short rows (several to a block), else a
// block. threads_per_row is a multiple of the warp.
struct RowPlan {
  Launch launch;
  int threads_per_row = kWarp, rows_per_block = 1;
};
inline RowPlan plan_rows(std::int64_t rows, std::int64_t width, int per_thread = 4) {
  RowPlan p;
  while (p.threads_per_row < 1024 && p.threads_per_row * per_thread < width) p.threads_per_row *= 2;
  p.rows_per_block = std::max(1, 128 / p.threads_per_row);
  const std::int64_t blocks = ceil_div(rows, p.rows_per_block);
  p.launch.grid[0] = static_cast<unsigned>(std::min<std::int64_t>(blocks, 1 << 20));
  p.launch.block[0] = static_cast<unsigned>(p.threads_per_row);
  p.launch.block[1] = static_cast<unsigned>(p.rows_per_block);
  return p;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
