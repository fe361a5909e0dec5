// Reductions over any dimensions of any strides. What is computed is a small struct, Op, with
//   In, Out      element types of x and y
//   State        what is kept of some elements: plain data of whole 4-byte words
//   none()       of no elements
//   take(state, x[i], i)   one more, number i of the reduced ones
//   join(a, b)   of two sets
//   result(state)
// Lanes run along what lies together in memory: the reduced elements (rows) or the kept ones (columns). Long
// reductions are shared by blocks, which sweep through them side by side; whichever of them ends last joins the states
// of all: fixed trees, a function of sizes and strides.
#pragma once
#include <tapedeck/kernels/cuda/map.h>
#include <tapedeck/kernels/cuda/reduce.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kFoldThreads = 256;
inline constexpr int kFoldLoads = 4;                   // of a thread, under way at a time
inline constexpr std::int64_t kFoldBlocks = kTickets;  // keep a large device busy

inline int power_above(std::int64_t n, int most) {
  int p = 1;
  while (p < n && p < most) p *= 2;
  return p;
}

struct FoldPlan {
  Launch launch;  // grid[1]: parts of each reduction
  int group = 1;  // rows: lanes of one row; columns: lanes side by side
  std::int64_t parts() const { return launch.grid[1]; }
};
// As many parts as there is room for, of at least `least` terms each.
inline void split(FoldPlan& p, std::int64_t terms, std::int64_t least) {
  const std::int64_t room = std::max<std::int64_t>(1, kFoldBlocks / p.launch.grid[0]);
  p.launch.grid[1] = static_cast<unsigned>(std::clamp<std::int64_t>(terms / least, 1, room));
}
// `rows` reductions of `terms` elements that are read `width` at a time.
inline FoldPlan plan_fold_rows(std::int64_t rows, std::int64_t terms, int width) {
  FoldPlan p;
  p.group = terms > 32 * kWarp ? kFoldThreads : power_above(ceil_div(terms, width), kWarp);
  const int threads = std::max(kWarp, power_above(rows * p.group, kFoldThreads));
  p.launch.block[0] = static_cast<unsigned>(threads);
  p.launch.grid[0] = static_cast<unsigned>(ceil_div(rows, threads / p.group));
  split(p, terms,
        p.group < kFoldThreads ? std::max<std::int64_t>(terms, 1) : kFoldThreads * std::max(16, kFoldLoads * width));
  return p;
}
// `columns` of `terms` elements; `width` columns to a thread.
inline FoldPlan plan_fold_columns(std::int64_t columns, std::int64_t terms, int width) {
  FoldPlan p;
  const std::int64_t items = ceil_div(columns, width);
  int deep = power_above(terms, 8);
  p.group = power_above(items, kFoldThreads / deep);
  deep = std::max(deep, power_above(ceil_div(terms, 4), kFoldThreads / p.group));
  deep = std::max(deep, kWarp / p.group);
  p.launch.block[0] = static_cast<unsigned>(p.group);
  p.launch.block[1] = static_cast<unsigned>(deep);
  p.launch.grid[0] = static_cast<unsigned>(ceil_div(items, p.group));
  split(p, terms, 32 * deep);
  return p;
}

// What one of the blocks that share a reduction still does: it is the last to come here, and sees what the others
// wrote. Every thread of the block must call it.
__device__ inline bool is_last_part(unsigned* tickets) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    __threadfence();
    last = atomicAdd(tickets + blockIdx.x, 1u) + 1 == gridDim.y;
    if (last) atomicExch(tickets + blockIdx.x, 0u);  // for the next kernel
    __threadfence();
  }
  __syncthreads();
  return last;
}

// ---- rows -----------------------------------------------------------------------------------------------------------
// Where number i of the reduced elements lies. Line: they are one line, with V > 1 side by side.
template <bool Line>
__device__ inline std::int64_t place_of(const Layout<1>& terms, std::int64_t i, std::int64_t stride) {
  if (Line || terms.rank <= 1) return i * stride;
  std::int64_t at[1];
  terms.offsets(i, at);
  return at[0];
}

// What thread `lane` of `group` takes of the row at x: of tiles that all lanes read together, every parts-th.
template <int V, bool Line, class Op, class In>
__device__ inline typename Op::State take_row(const Op& op, const Layout<1>& terms, const In* x, std::int64_t part,
                                              std::int64_t parts, int lane, int group) {
  constexpr int kLoads = kFoldLoads;
  typename Op::State state[kLoads];
  for (int u = 0; u < kLoads; ++u) state[u] = op.none();
  const std::int64_t stride = Line ? 1 : terms.rank > 0 ? terms.strides[0][terms.rank - 1] : 0;
  const auto place = [&](std::int64_t i) { return place_of<Line>(terms, i, stride); };
  const std::int64_t step = std::int64_t{group} * V, tile = kLoads * step, end = terms.numel;
  std::int64_t first = part * tile;
  for (; first + tile <= end; first += parts * tile) {
    const std::int64_t i = first + std::int64_t{lane} * V;
    Pack<In, V> pack[kLoads];
#pragma unroll
    for (int u = 0; u < kLoads; ++u) pack[u] = fetch<In, V>(x + place(i + u * step), stride, V > 1);
#pragma unroll
    for (int u = 0; u < kLoads; ++u)
      for (int v = 0; v < V; ++v) op.take(state[u], load(pack[u].v[v]), i + u * step + v);
  }
  if (first < end) {  // the last tile, which is not full
    for (std::int64_t i = first + std::int64_t{lane} * V; i + V <= end; i += step) {
      const Pack<In, V> pack = fetch<In, V>(x + place(i), stride, V > 1);
      for (int v = 0; v < V; ++v) op.take(state[0], load(pack.v[v]), i + v);
    }
    if (V > 1)
      for (std::int64_t i = end / V * V + lane; i < end; i += group) op.take(state[1], load(x[place(i)]), i);
  }
  return op.join(op.join(state[0], state[1]), op.join(state[2], state[3]));
}
// Over the lanes of a row; lane 0 has the result. `spare`: for groups of several warps.
template <class Op, class State>
__device__ inline State join_lanes(const Op& op, State state, int lane, int group, State* spare) {
  for (int step = (group < kWarp ? group : kWarp) / 2; step > 0; step /= 2)
    state = op.join(state, shuffle_xor(state, step));
  if (group <= kWarp) return state;
  if (lane % kWarp == 0) spare[lane / kWarp] = state;
  __syncthreads();
  if (lane == 0)
    for (int w = 1; w < group / kWarp; ++w) state = op.join(state, spare[w]);
  return state;
}

template <int V, bool Line, class Op>
__global__ void __launch_bounds__(kFoldThreads, 2)
    fold_rows(Op op, Layout<2> kept, Layout<1> terms, const typename Op::In* x, typename Op::Out* y,
              typename Op::State* parts, unsigned* tickets, int group) {
  using State = typename Op::State;
  __shared__ State spare[kFoldThreads / kWarp];
  const int lane = static_cast<int>(threadIdx.x) % group;
  const std::int64_t row = std::int64_t{blockIdx.x} * (blockDim.x / group) + threadIdx.x / group;
  State state = op.none();
  std::int64_t at[2] = {0, 0};
  if (row < kept.numel) {
    kept.offsets(row, at);
    state = take_row<V, Line>(op, terms, x + at[0], blockIdx.y, gridDim.y, lane, group);
  }
  state = join_lanes(op, state, lane, group, spare);
  if (gridDim.y > 1) {  // a block to a row
    if (lane == 0) parts[blockIdx.y * kept.numel + row] = state;
    if (!is_last_part(tickets)) return;
    state = op.none();
    for (unsigned i = threadIdx.x; i < gridDim.y; i += blockDim.x) state = op.join(state, parts[i * kept.numel + row]);
    state = join_lanes(op, state, lane, group, spare);
  }
  if (lane == 0 && row < kept.numel) y[at[1]] = op.result(state);
}

// ---- columns --------------------------------------------------------------------------------------------------------
// Joins the states of a block's threads of one column, V columns to a thread; the result is in those of threadIdx.y 0.
template <int V, class Op, class State>
__device__ inline void join_columns(const Op& op, State (&state)[V]) {
  State* const mine = dynamic_shared<State>() + (threadIdx.y * blockDim.x + threadIdx.x) * V;
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    if (threadIdx.y >= half && threadIdx.y < 2 * half)
      for (int v = 0; v < V; ++v) mine[v] = state[v];
    __syncthreads();
    if (threadIdx.y < half)
      for (int v = 0; v < V; ++v) state[v] = op.join(state[v], mine[half * blockDim.x * V + v]);
  }
}

template <int V, bool Line, class Op>
__global__ void __launch_bounds__(kFoldThreads, 2)
    fold_columns(Op op, Layout<2> kept, Layout<1> terms, const typename Op::In* x, typename Op::Out* y,
                 typename Op::State* parts, unsigned* tickets) {
  constexpr int kLoads = kFoldLoads;
  using In = typename Op::In;
  const std::int64_t column = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) * V;
  const bool here = column < kept.numel;
  typename Op::State state[V];
  for (int v = 0; v < V; ++v) state[v] = op.none();
  std::int64_t at[2] = {0, 0};
  if (here) {
    kept.offsets(column, at);
    const In* const from = x + at[0];
    const std::int64_t stride = terms.rank > 0 ? terms.strides[0][terms.rank - 1] : 0;
    const auto place = [&](std::int64_t i) { return place_of<Line>(terms, i, stride); };
    const std::int64_t step = blockDim.y, tile = kLoads * step, end = terms.numel;
    std::int64_t i = blockIdx.y * tile + threadIdx.y;
    for (; i + (kLoads - 1) * step < end; i += gridDim.y * tile) {
      Pack<In, V> pack[kLoads];
#pragma unroll
      for (int u = 0; u < kLoads; ++u) pack[u] = fetch<In, V>(from + place(i + u * step), 1, V > 1);
#pragma unroll
      for (int u = 0; u < kLoads; ++u)
        for (int v = 0; v < V; ++v) op.take(state[v], load(pack[u].v[v]), i + u * step);
    }
    for (; i < end; i += step) {  // of the last tile, which is not full
      const Pack<In, V> pack = fetch<In, V>(from + place(i), 1, V > 1);
      for (int v = 0; v < V; ++v) op.take(state[v], load(pack.v[v]), i);
    }
  }
  join_columns<V>(op, state);
  if (gridDim.y > 1) {
    if (threadIdx.y == 0 && here)
      for (int v = 0; v < V; ++v) parts[blockIdx.y * kept.numel + column + v] = state[v];
    if (!is_last_part(tickets)) return;
    for (int v = 0; v < V; ++v) state[v] = op.none();
    if (here)
#pragma unroll 4
      for (unsigned i = threadIdx.y; i < gridDim.y; i += blockDim.y)
        for (int v = 0; v < V; ++v) state[v] = op.join(state[v], parts[i * kept.numel + column + v]);
    join_columns<V>(op, state);
  }
  if (threadIdx.y != 0 || !here) return;
  const std::int64_t next = kept.rank > 0 ? kept.strides[1][kept.rank - 1] : 0;
  for (int v = 0; v < V; ++v) y[at[1] + v * next] = op.result(state[v]);
}

// ---- the reduction --------------------------------------------------------------------------------------------------
// V elements from `start` on lie together and are aligned as one, wherever `inner` and `others` lead.
template <int V, class T, int N, int M>
bool fold_wide(const T* x, const Layout<N>& inner, const Layout<M>& others) {
  if (inner.rank == 0 || inner.strides[0][inner.rank - 1] != 1 || !aligned(x, sizeof(T) * V)) return false;
  bool fits = true;
  for (int d = 0; d + 1 < inner.rank; ++d) fits = fits && inner.strides[0][d] % V == 0;
  for (int d = 0; d < others.rank; ++d) fits = fits && others.strides[0][d] % V == 0;
  return fits;
}

// y = op over the dimensions of x whose bit is set; y has x's rank and size 1 there.
template <class Op>
void fold(const Op& op, const TensorView& x, const TensorView& y, std::uint32_t dims) {
  using In = typename Op::In;
  using Out = typename Op::Out;
  using State = typename Op::State;
  constexpr int kWide = kReal<In> ? static_cast<int>(16 / sizeof(In)) : 1;
  TensorView outer = x, inner = x;
  for (int d = 0; d < x.rank; ++d) (dims >> d & 1u ? outer : inner).sizes[d] = 1;
  const Layout<2> kept({outer, y});
  const Layout<1> terms({inner});
  if (kept.numel == 0) return;
  const In* const from = static_cast<const In*>(x.data);
  Out* const to = static_cast<Out*>(y.data);
  const auto parts_of = [&](const FoldPlan& p) {
    const std::int64_t bytes = p.parts() * kept.numel * static_cast<std::int64_t>(sizeof(State));
    return p.parts() > 1 ? Scratch(x.device, static_cast<std::size_t>(bytes)) : Scratch();
  };
  const auto rows = [&](auto width, auto line) {
    constexpr int V = decltype(width)::value;
    const FoldPlan p = plan_fold_rows(kept.numel, terms.numel, V);
    const Scratch parts = parts_of(p);
    launch(x.device, p.launch, fold_rows<V, decltype(line)::value, Op>, op, kept, terms, from, to, parts.as<State>(),
           tickets(x.device), p.group);
  };
  const auto columns = [&](auto width, auto line) {
    constexpr int V = decltype(width)::value;
    FoldPlan p = plan_fold_columns(kept.numel, terms.numel, V);
    p.launch.shared = p.launch.block[0] * p.launch.block[1] * V * static_cast<unsigned>(sizeof(State));
    const Scratch parts = parts_of(p);
    launch(x.device, p.launch, fold_columns<V, decltype(line)::value, Op>, op, kept, terms, from, to, parts.as<State>(),
           tickets(x.device));
  };
  using One = std::integral_constant<int, 1>;
  using Many = std::integral_constant<int, kWide>;
  const auto run = [&](const auto& way, bool wide) {
    if (!wide) return way(One(), std::false_type());
    terms.rank <= 1 ? way(Many(), std::true_type()) : way(Many(), std::false_type());
  };
  const auto step = [](const auto& l) { return l.strides[0][l.rank - 1]; };
  if (kept.rank > 0 && (terms.rank == 0 || step(kept) < step(terms))) {
    const bool wide = kept.sizes[kept.rank - 1] % kWide == 0 && fold_wide<kWide>(from, kept, terms);
    return run(columns, wide);
  }
  const bool even = terms.rank == 1 || (terms.rank > 1 && terms.sizes[terms.rank - 1] % kWide == 0);
  run(rows, even && fold_wide<kWide>(from, terms, kept));
}

// Calls f with a zero of the element type; a bool is read as the byte that it is.
template <class F>
void each_fold_type(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  if (t == DType::f64) return f(double());
  if (t == DType::bf16) return f(BFloat16());
  if (t == DType::f16) return f(Float16());
  if (t == DType::i64) return f(std::int64_t());
  if (t == DType::i32) return f(std::int32_t());
  return f(std::uint8_t());
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
