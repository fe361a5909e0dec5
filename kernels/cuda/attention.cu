// Attention of any operands (attention_panels.cu takes the usual ones), by tiles of 64 queries and 64 keys: scores
// never leave the block, each query keeps its largest score so far and what it has summed relative to that. The
// backward pass makes the weights again from the kept statistics: one kernel sums the gradients of keys and values over
// queries, one those of queries over keys; nothing is added by several blocks.
#include <tapedeck/kernels/cuda/attention_plan.h>
#include <tapedeck/kernels/cuda/attention_tiles.h>
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/reduce.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

using namespace tiles;

// Blocks that share a multiprocessor: what bounds their registers.
template <class T, int W>
inline constexpr int kAttendBlocks = W == 1 && sizeof(T) < 8 ? 2 : 1;
template <class T, int W>
inline constexpr int kKeyBlocks = W == 1 && sizeof(T) < 8 ? 2 : 1;
template <class T, int W>
inline constexpr int kQueryBlocks = W == 1 && kHalf<T> ? 2 : 1;

// A block: one tile of queries of one head (x), W tiles of the value channels (y).
template <class T, int W>
__global__ void __launch_bounds__(kThreads, kAttendBlocks<T, W>)
    attend_kernel(Sizes s, Rows<const T> q, Rows<const T> k, Rows<const T> v, Mask mask, Rows<T> y, double* stats) {
  using A = Real<T>;
  constexpr int kB = 1, kWeights = 2;  // tiles
  const std::int64_t tiles = (s.queries + kTile - 1) / kTile, which = blockIdx.x / tiles;
  const std::int64_t q0 = blockIdx.x % tiles * kTile, h = which % s.heads, n = which / s.heads, g = h / s.per_group;
  const std::int64_t e0 = std::int64_t{blockIdx.y} * kTile * W;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  const A none = -static_cast<A>(INFINITY), scale = static_cast<A>(s.scale);
  A most[kEach], total[kEach];
  Block<A> sums[W], dots;
#pragma unroll
  for (int i = 0; i < kEach; ++i) most[i] = none, total[i] = 0;
#pragma unroll
  for (int w = 0; w < W; ++w) clear(sums[w]);
  const std::int64_t keys = s.visible((q0 + kTile < s.queries ? q0 + kTile : s.queries) - 1);
  for (std::int64_t j0 = 0; j0 < keys; j0 += kTile) {
    scores_of<T>(dots, q, h, q0, s.queries, k, g, j0, s.keys, n, s.channels);
    int low[kEach], high[kEach];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const std::int64_t t = q0 + ty + kSide * i;
      low[i] = 0, high[i] = t < s.queries ? within(s.visible(t) - j0) : 0;
      A here = none;
      for (int j = 0; j < kEach; ++j) {
        const int c = tx + kSide * j;
        A& score = dots[i][j];
        score = c < high[i] ? mask.apply<T>(score * scale, n, h, t, j0 + c) : none;
        here = Most()(here, score);
      }
      const A now = Most()(most[i], row_of_16(here, Most()));
      const A from = now == none ? A(0) : now, fade = math::exp(most[i] - from);
      most[i] = now, total[i] *= fade;
#pragma unroll
      for (int w = 0; w < W; ++w)
        for (int j = 0; j < kEach; ++j) sums[w][i][j] *= fade;
      for (int j = 0; j < kEach; ++j) {
        const A weight = math::exp(dots[i][j] - from);
        total[i] += weight;
        Tiles<T>::put(kWeights, ty + kSide * i, tx + kSide * j, weight);
      }
    }
#pragma unroll
    for (int w = 0; w < W; ++w) {
      if (e0 + w * kTile >= s.width) continue;
      Tiles<T>::fetch(kB, v, n, g, j0, s.keys, e0 + w * kTile, s.width);
      __syncthreads();
      Tiles<T>::add(sums[w], kWeights, kB, s.visible(q0) >= j0 + kTile, low, high);
      __syncthreads();
    }
  }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t t = q0 + ty + kSide * i;
    const A sum = row_of_16(total[i], Plus());
    if (t >= s.queries) continue;
    if (blockIdx.y == 0 && tx == 0) {
      double* const kept = stats + ((n * s.heads + h) * s.queries + t) * 2;
      kept[0] = most[i] == none ? 0 : static_cast<double>(most[i]), kept[1] = static_cast<double>(sum);
    }
    T* const to = y.row(n, h, t);
#pragma unroll
    for (int w = 0; w < W; ++w)
      for (int j = 0; j < kEach; ++j) {
        const std::int64_t e = e0 + w * kTile + 4 * tx + j;
        if (e < s.width) to[e] = store<T>(sum == 0 ? A(0) : sums[w][i][j] / sum);
      }
  }
}

// flow[row] = the product of gy and y, which is the mean gradient of the row's weights. A warp for each row.
template <class T>
__global__ void mean_kernel(Sizes s, Rows<const T> gy, Rows<const T> y, Real<T>* mean) {
  const std::int64_t rows = s.batch * s.heads * s.queries, step = std::int64_t{gridDim.x} * blockDim.y;
  for (std::int64_t r = std::int64_t{blockIdx.x} * blockDim.y + threadIdx.y; r < rows; r += step) {
    const std::int64_t t = r % s.queries, h = r / s.queries % s.heads, n = r / s.queries / s.heads;
    const T *const a = gy.row(n, h, t), *const b = y.row(n, h, t);
    double sum = 0;
    for (std::int64_t e = threadIdx.x; e < s.width; e += kWarp)
      sum = fma(static_cast<double>(load(a[e])), static_cast<double>(load(b[e])), sum);
    sum = warp_fold(sum, Plus());
    if (threadIdx.x == 0) mean[r] = static_cast<Real<T>>(sum);
  }
}

template <class T>
struct Flow {  // of a query: from the statistics
  Real<T> most, part, mean;
  __device__ Flow(const double* stats, const Real<T>* means, std::int64_t row, bool given)
      : most(given ? static_cast<Real<T>>(stats[2 * row]) : 0),
        part(given && stats[2 * row + 1] != 0 ? static_cast<Real<T>>(1 / stats[2 * row + 1]) : 0),
        mean(given ? means[row] : 0) {}
};
template <class T>
struct Gradients {
  Rows<const T> gy, q, k, v;
  Mask mask;
  const double* stats;
  const Real<T>* means;
};

// A block: one tile of keys of one head of k and v (x), W tiles of their channels (y). Queries are met head by head, in
// order; the tiles of scores stand on their side: rows are keys, columns queries.
template <class T, int W>
__global__ void __launch_bounds__(kThreads, kKeyBlocks<T, W>)
    key_gradient_kernel(Sizes s, Gradients<T> in, Rows<T> gk, Rows<T> gv) {
  using A = Real<T>;
  constexpr int kA = 0, kB = 1, kWeights = 2, kSlopes = 3;  // tiles
  const std::int64_t tiles = (s.keys + kTile - 1) / kTile, which = blockIdx.x / tiles;
  const std::int64_t j0 = blockIdx.x % tiles * kTile, g = which % s.groups, n = which / s.groups;
  const std::int64_t c0 = std::int64_t{blockIdx.y} * kTile * W;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  const A scale = static_cast<A>(s.scale);
  Block<A> of_k[W], of_v[W], dots, back;
#pragma unroll
  for (int w = 0; w < W; ++w) clear(of_k[w]), clear(of_v[w]);
  const std::int64_t first = s.causal && j0 > s.past ? (j0 - s.past) / kTile * kTile : 0;
  for (std::int64_t h = g * s.per_group; h < (g + 1) * s.per_group; ++h)
    for (std::int64_t q0 = first; q0 < s.queries; q0 += kTile) {
      scores_of<T>(dots, in.k, g, j0, s.keys, in.q, h, q0, s.queries, n, s.channels);
      scores_of<T>(back, in.v, g, j0, s.keys, in.gy, h, q0, s.queries, n, s.width);
      for (int j = 0; j < kEach; ++j) {
        const std::int64_t t = q0 + tx + kSide * j;
        const Flow<T> flow(in.stats, in.means, (n * s.heads + h) * s.queries + t, t < s.queries);
        const int seen = t < s.queries ? within(s.visible(t) - j0) : 0;
#pragma unroll
        for (int i = 0; i < kEach; ++i) {
          const int r = ty + kSide * i;
          A weight = 0, slope = 0;
          if (r < seen) {
            weight = math::exp(in.mask.template apply<T>(dots[i][j] * scale, n, h, t, j0 + r) - flow.most) * flow.part;
            slope = weight * (back[i][j] - flow.mean) * scale;
          }
          Tiles<T>::put(kWeights, r, tx + kSide * j, weight), Tiles<T>::put(kSlopes, r, tx + kSide * j, slope);
        }
      }
      int low[kEach], high[kEach];  // the queries that see a key
#pragma unroll
      for (int i = 0; i < kEach; ++i)
        low[i] = s.causal ? within(j0 + ty + kSide * i - s.past - q0) : 0, high[i] = within(s.queries - q0);
      const bool all = s.visible(q0) >= j0 + kTile;
#pragma unroll
      for (int w = 0; w < W; ++w) {
        const std::int64_t c = c0 + w * kTile;
        if (gv.data != nullptr && c < s.width) Tiles<T>::fetch(kA, in.gy, n, h, q0, s.queries, c, s.width);
        if (gk.data != nullptr && c < s.channels) Tiles<T>::fetch(kB, in.q, n, h, q0, s.queries, c, s.channels);
        __syncthreads();
        if (gv.data != nullptr && c < s.width) Tiles<T>::add(of_v[w], kWeights, kA, all, low, high);
        if (gk.data != nullptr && c < s.channels) Tiles<T>::add(of_k[w], kSlopes, kB, all, low, high);
        __syncthreads();
      }
    }
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t key = j0 + ty + kSide * i;
    if (key >= s.keys) break;
#pragma unroll
    for (int w = 0; w < W; ++w)
      for (int j = 0; j < kEach; ++j) {
        const std::int64_t c = c0 + w * kTile + 4 * tx + j;
        if (gk.data != nullptr && c < s.channels) gk.row(n, g, key)[c] = store<T>(of_k[w][i][j]);
        if (gv.data != nullptr && c < s.width) gv.row(n, g, key)[c] = store<T>(of_v[w][i][j]);
      }
  }
}

// A block: one tile of queries of one head (x), W tiles of the channels (y). The first of those writes gmask.
template <class T, int W>
__global__ void __launch_bounds__(kThreads, kQueryBlocks<T, W>)
    query_gradient_kernel(Sizes s, Gradients<T> in, Rows<T> gq, Rows<T> gmask) {
  using A = Real<T>;
  constexpr int kB = 1, kSlopes = 2;  // tiles
  const std::int64_t tiles = (s.queries + kTile - 1) / kTile, which = blockIdx.x / tiles;
  const std::int64_t q0 = blockIdx.x % tiles * kTile, h = which % s.heads, n = which / s.heads, g = h / s.per_group;
  const std::int64_t c0 = std::int64_t{blockIdx.y} * kTile * W;
  const bool whole = gmask.data != nullptr && blockIdx.y == 0;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  const A scale = static_cast<A>(s.scale);
  Block<A> of_q[W], dots, back;
#pragma unroll
  for (int w = 0; w < W; ++w) clear(of_q[w]);
  const std::int64_t seen = s.visible((q0 + kTile < s.queries ? q0 + kTile : s.queries) - 1);
  for (std::int64_t j0 = 0; j0 < (whole ? s.keys : seen); j0 += kTile) {
    if (j0 < seen) {
      scores_of<T>(dots, in.q, h, q0, s.queries, in.k, g, j0, s.keys, n, s.channels);
      scores_of<T>(back, in.gy, h, q0, s.queries, in.v, g, j0, s.keys, n, s.width);
    }
    int low[kEach], high[kEach];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      const std::int64_t t = q0 + ty + kSide * i;
      const Flow<T> flow(in.stats, in.means, (n * s.heads + h) * s.queries + t, t < s.queries);
      low[i] = 0, high[i] = t < s.queries ? within(s.visible(t) - j0) : 0;
      for (int j = 0; j < kEach; ++j) {
        const int c = tx + kSide * j;
        A slope = 0;
        if (c < high[i])
          slope = math::exp(in.mask.template apply<T>(dots[i][j] * scale, n, h, t, j0 + c) - flow.most) * flow.part *
                  (back[i][j] - flow.mean);
        if (whole && t < s.queries && j0 + c < s.keys) gmask.row(n, h, t)[j0 + c] = store<T>(slope);
        Tiles<T>::put(kSlopes, ty + kSide * i, c, slope * scale);
      }
    }
    if (gq.data == nullptr || j0 >= seen) continue;
    const bool all = s.visible(q0) >= j0 + kTile;
#pragma unroll
    for (int w = 0; w < W; ++w) {
      if (c0 + w * kTile >= s.channels) continue;
      Tiles<T>::fetch(kB, in.k, n, g, j0, s.keys, c0 + w * kTile, s.channels);
      __syncthreads();
      Tiles<T>::add(of_q[w], kSlopes, kB, all, low, high);
      __syncthreads();
    }
  }
  if (gq.data == nullptr) return;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t t = q0 + ty + kSide * i;
    if (t >= s.queries) break;
#pragma unroll
    for (int w = 0; w < W; ++w)
      for (int j = 0; j < kEach; ++j) {
        const std::int64_t c = c0 + w * kTile + 4 * tx + j;
        if (c < s.channels) gq.row(n, h, t)[c] = store<T>(of_q[w][i][j]);
      }
  }
}

// f(W) with the tiles of channels that a block takes: two where there are so many and they fit its registers.
template <class T, class F>
void with_tiles(std::int64_t columns, F&& f) {
  if constexpr (sizeof(T) < 8) {
    if (columns > kTile) return f(std::integral_constant<int, 2>());
  }
  f(std::integral_constant<int, 1>());
}
template <class T>
Launch plan(std::int64_t rows, std::int64_t heads, std::int64_t columns, int w, int shared_tiles) {
  Launch l;
  l.grid[0] = static_cast<unsigned>(ceil_div(rows, kTile) * heads);
  l.grid[1] = static_cast<unsigned>(ceil_div(columns, kTile * w));
  l.block[0] = kThreads;
  l.shared = static_cast<unsigned>(Tiles<T>::shared(shared_tiles));
  return l;
}

template <class T>
void attend(const AttentionArgs& a) {
  const Sizes s(a);
  with_tiles<T>(s.width, [&](auto w) {
    launch(a.q.device, plan<T>(s.queries, s.batch * s.heads, s.width, w, 3), attend_kernel<T, decltype(w)::value>, s,
           Rows<const T>(a.q), Rows<const T>(a.k), Rows<const T>(a.v), Mask(a.mask), Rows<T>(a.y),
           a.stats.ptr<double>());
  });
}

template <class T>
void attend_backward(const AttentionGradArgs& a) {
  const Sizes s(a);
  const std::int64_t rows = s.batch * s.heads * s.queries;
  const Scratch means(a.q.device, static_cast<std::size_t>(rows + 1) * sizeof(Real<T>));
  Launch by_rows = plan_items(ceil_div(rows, 8), 1);
  by_rows.block[0] = kWarp, by_rows.block[1] = 8;
  launch(a.q.device, by_rows, mean_kernel<T>, s, Rows<const T>(a.gy), Rows<const T>(a.y), means.as<Real<T>>());
  const Gradients<T> in{Rows<const T>(a.gy), Rows<const T>(a.q),          Rows<const T>(a.k),       Rows<const T>(a.v),
                        Mask(a.mask),        a.stats.ptr<const double>(), means.as<const Real<T>>()};
  const std::int64_t columns = std::max(a.gk ? s.channels : 1, a.gv ? s.width : 1);
  if (a.gk || a.gv)
    with_tiles<T>(columns, [&](auto w) {
      launch(a.q.device, plan<T>(s.keys, s.batch * s.groups, columns, w, 4), key_gradient_kernel<T, decltype(w)::value>,
             s, in, Rows<T>(a.gk), Rows<T>(a.gv));
    });
  if (a.gq || a.gmask)
    with_tiles<T>(s.channels, [&](auto w) {
      launch(a.q.device, plan<T>(s.queries, s.batch * s.heads, a.gq ? s.channels : 1, w, 3),
             query_gradient_kernel<T, decltype(w)::value>, s, in, Rows<T>(a.gq), Rows<T>(a.gmask));
    });
}

}  // namespace

void add_attention() {
  panels::add_forward();
  panels::add_backward();
  attention.add(
      DeviceType::cuda, "cuda",
      [](const AttentionArgs& a) { each_real_type(a.dtype(), [&](auto zero) { attend<decltype(zero)>(a); }); },
      takes_real<AttentionArgs>);
  attention_backward.add(
      DeviceType::cuda, "cuda",
      [](const AttentionGradArgs& a) {
        each_real_type(a.dtype(), [&](auto zero) { attend_backward<decltype(zero)>(a); });
      },
      takes_real<AttentionGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
