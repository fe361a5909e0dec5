// How attention is cut into blocks, by the size of a head and of its numbers: pure functions.
#pragma once
#include <tapedeck/kernels/cuda/plan.h>

#include <cmath>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::panels {

inline constexpr int kPanelThreads = 128, kPanelWarps = kPanelThreads / kWarp;

// Bytes from row to row of d numbers: eight rows in a row lie in different banks.
__host__ __device__ constexpr int panel_step(int d, int number) { return number * d + 16; }
// f32: a warp's weights pass through shared memory, in rows of 32 and bytes from row to row.
inline constexpr int kWeightStep = 36 * 4;

// What the size of a head asks for. Where sums take many registers or rows much memory, rows or panels are fewer: two
// blocks share a multiprocessor, and nothing spills.
struct HeadPlan {
  int queries, keys;              // forward, and gradients of queries: rows of a block; forward: rows of a panel
  int own_keys, panel;            // gradients of keys: rows of a block; both gradients: rows of a panel
  int stages;                     // panels in shared memory: 2, the next comes while one is worked on
  bool kept;                      // left operands of queries stay in registers
  int forward, by_key, by_query;  // bytes of shared memory
};
__host__ __device__ constexpr HeadPlan head_plan(int d, int number) {
  HeadPlan p{};
  const int step = panel_step(d, number);
  if (number == 2) {  // matrix units
    p.queries = 128, p.keys = d <= 96 ? 64 : 32, p.own_keys = d <= 64 ? 128 : 64, p.panel = d <= 64 ? 64 : 32;
    p.stages = 2, p.kept = d <= 64;
  } else {
    p.queries = p.own_keys = d <= 64 ? 128 : 64, p.keys = p.panel = 32;
    p.stages = 1, p.kept = false;
  }
  const int weights = number == 2 ? 0 : kWeightStep;
  p.forward = (p.queries + 2 * p.stages * p.keys) * step + p.queries * weights;
  p.by_key = (2 * p.own_keys + 2 * p.stages * p.panel) * step + p.stages * p.panel * 8 + p.own_keys * weights;
  p.by_query = (2 * p.queries + 2 * p.stages * p.panel) * step + p.queries * weights;
  return p;
}

// A block for each tile of rows of each head.
inline Launch plan_heads(std::int64_t rows, int tile, std::int64_t heads, int shared) {
  Launch l;
  l.grid[0] = static_cast<unsigned>(ceil_div(rows, tile) * heads);
  l.block[0] = kPanelThreads;
  l.shared = static_cast<unsigned>(shared);
  return l;
}

// Rows of 16-byte steps: what is copied in the background.
inline bool in_sixteens(const TensorView& x) {
  const std::int64_t wide = 16 / static_cast<std::int64_t>(size_of(x.dtype));
  bool all = x.sizes[3] % wide == 0 && reinterpret_cast<std::uintptr_t>(x.data) % 16 == 0 && x.strides[3] == 1;
  for (int d = 0; d < 3; ++d) all = all && (x.sizes[d] == 1 || x.strides[d] % wide == 0);
  return all;
}

// Why these operands go another way; nullptr: they do not. `most` is the shared memory that the device has.
template <class Args>
const char* refuses(const Args& a, int most) {
  if (!is_real(a.dtype()) || a.dtype() == DType::f64) return "dtype is not f32, bf16 or f16";
  const std::int64_t d = a.q.sizes[3];
  if (d != 32 && d != 64 && d != 96 && d != 128) return "heads are not of 32, 64, 96 or 128 channels";
  if (a.v.sizes[3] != d) return "values have other channels than keys";
  if (a.mask) return "there is a mask";
  if (!(a.scale > 0) || !std::isfinite(a.scale)) return "scale is not positive";
  for (const TensorView* x : {&a.q, &a.k, &a.v, &a.y})
    if (!in_sixteens(*x)) return "rows are not aligned to 16 bytes";
  const std::int64_t longest = std::max(a.q.sizes[2], a.k.sizes[2]);
  if (longest > 1 << 24 || ceil_div(longest, 64) * a.q.sizes[0] * a.q.sizes[1] > 0x7fffffff) return "too many steps";
  const HeadPlan p = head_plan(static_cast<int>(d), static_cast<int>(size_of(a.dtype())));
  if (std::max({p.forward, p.by_key, p.by_query}) > most) return "too little shared memory";
  return nullptr;
}

// Their variants join the slots of attention before the general ones.
void add_forward();
void add_backward();

template <class F>
void with_head_type(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  if (t == DType::bf16) return f(BFloat16());
  f(Float16());
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::panels
