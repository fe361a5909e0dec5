// Gradients of attention by panels: one kernel sums those of keys and values over queries, one those of queries over
// keys; both make the weights again from the kept statistics, and nothing is added by several blocks.
#include <tapedeck/kernels/cuda/attention_panels.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

using namespace panels;

inline constexpr int kN = 4;  // eights of columns of scores that are worked on at a time

// What the weights and slopes of a query are made with: weight = 2^(score scale log2(e) - size), 0 where nothing was
// seen or there is no query; slope = weight (gradient of the weight - mean). Heads start at multiples of `step`.
struct Flows {
  float2* flow;
  std::int64_t step;
  __device__ float2* of(const Sizes& s, std::int64_t n, std::int64_t h) const {
    return flow + (n * s.heads + h) * step;
  }
};
template <class T>
struct Gradients {
  Rows<const T> gy, q, k, v;
  Flows flows;
};

// Eight lanes for each query: the mean is the product of gy and y.
template <class T>
__global__ void flow_kernel(Sizes s, Rows<const T> gy, Rows<const T> y, const double* stats, Flows to) {
  const std::int64_t rows = s.batch * s.heads * to.step, step = std::int64_t{gridDim.x} * blockDim.x / 8;
  constexpr int kWide = 16 / sizeof(T);
  const std::int64_t whole = (rows + step - 1) / step * step;
  for (std::int64_t r = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 8; r < whole; r += step) {
    const std::int64_t t = r % to.step, h = r / to.step % s.heads, n = r / to.step / s.heads;
    float mean = 0;
    if (r < rows && t < s.queries) {
      const T *const a = gy.row(n, h, t), *const b = y.row(n, h, t);
      for (std::int64_t c = lane() % 8 * kWide; c < s.width; c += 8 * kWide) {
        const Pack<T, kWide> left = *reinterpret_cast<const Pack<T, kWide>*>(a + c);
        const Pack<T, kWide> right = *reinterpret_cast<const Pack<T, kWide>*>(b + c);
#pragma unroll
        for (int i = 0; i < kWide; ++i) mean = fmaf(load(left.v[i]), load(right.v[i]), mean);
      }
    }
    for (int lanes = 1; lanes < 8; lanes *= 2) mean += __shfl_xor_sync(kAllLanes, mean, lanes);
    if (lane() % 8 != 0 || r >= rows) continue;
    float size = INFINITY;
    if (t < s.queries) {
      const double* const kept = stats + ((n * s.heads + h) * s.queries + t) * 2;
      if (kept[1] != 0) size = static_cast<float>(kept[0] * 1.4426950408889634 + log2(kept[1]));
    }
    to.flow[r] = {size, mean};
  }
}

// 32 queries for a warp's keys. Edge: some do not see all of them, or are none.
template <class T, int D, bool Edge, int M>
__device__ __forceinline__ void add_queries(Sums<M, D / 8>& of_k, Sums<M, D / 8>& of_v, const Reread<T, D, M>& keys,
                                            const Reread<T, D, M>& values, const T* q, const T* gy, const float2* flow,
                                            float scale, const QueriesSeen& seen, T* spare) {
  Sums<M, kN> weights, back;
  clear(weights);
  add_dots<T, D>(weights, keys, q);
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    const Pack<float, 4> two = *reinterpret_cast<const Pack<float, 4>*>(flow + column_of(n, 0));
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& weight = weights[m][n][i];
        weight = power_of_two(fmaf(weight, scale, -two.v[i % 2 * 2]));
        if (Edge && !seen.score(m, n, i)) weight = 0;
      }
  }
  add_rows<T, D, Edge, true>(of_v, weights, gy, seen, spare);
  clear(back);
  add_dots<T, D>(back, values, gy);
#pragma unroll
  for (int n = 0; n < kN; ++n) {
    const Pack<float, 4> two = *reinterpret_cast<const Pack<float, 4>*>(flow + column_of(n, 0));
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        float& slope = back[m][n][i];
        slope = weights[m][n][i] * (slope - two.v[i % 2 * 2 + 1]);
        if (Edge && !seen.score(m, n, i)) slope = 0;
      }
  }
  add_rows<T, D, Edge, false>(of_k, back, q, seen, spare);
}

// A block: keys and values of one head of theirs. Panels of queries and of gy pass by, head by head, in order. Scores
// stand on their side: rows are keys, columns queries.
template <class T, int D>
__global__ void __launch_bounds__(kPanelThreads, 2)
    key_gradient_kernel(Sizes s, Gradients<T> in, Rows<T> gk, Rows<T> gv) {
  constexpr HeadPlan kPlan = head_plan(D, sizeof(T));
  constexpr int M = kPlan.own_keys / (16 * kPanelWarps), kStep = Panel<T, D>::kStep;
  constexpr int kFlows = kPlan.panel * static_cast<int>(sizeof(float2) / sizeof(T));
  constexpr int kStage = 2 * kPlan.panel * kStep + kFlows;
  T* const own = dynamic_shared<T>();  // keys, values, then queries, gy and flows of each stage, then weights
  T* const passing = own + 2 * kPlan.own_keys * kStep;
  T* const spare = passing + kPlan.stages * kStage + warp() * M * 16 * kWeightStep / 4;
  const Steps steps(s);
  const Place place(static_cast<int>(blockIdx.x), s.batch, s.groups);
  const int n = place.n, g = place.h, per_group = static_cast<int>(s.per_group), j0 = place.tile * kPlan.own_keys;
  const int first = j0 + warp() * M * 16;
  // The queries from which on all of the warp's keys are seen, or any; those from which on any of the block's are.
  const int any_from = first + 1 - steps.ahead, all_from = any_from + 16 * M - 1;
  const int start = j0 >= steps.ahead ? (j0 + 1 - steps.ahead) / kPlan.panel * kPlan.panel : 0;
  const int heads_end = start < steps.queries ? (g + 1) * per_group : 0;
  const float scale = static_cast<float>(s.scale * 1.4426950408889634);

  int head = g * per_group, coming = start, place_in = 0;  // the panel that is fetched next, and its stage
  const auto fetch = [&] {
    const int i = static_cast<int>(threadIdx.x);
    T* const to = passing + place_in * kStage;
    Panel<T, D>::template fetch<kPlan.panel>(to, in.q.row(n, head, coming), in.q.step, steps.queries - coming);
    Panel<T, D>::template fetch<kPlan.panel>(to + kPlan.panel * kStep, in.gy.row(n, head, coming), in.gy.step,
                                             steps.queries - coming);
    if (2 * i < kPlan.panel)
      copy_16(spot(to + 2 * kPlan.panel * kStep) + static_cast<Spot>(16 * i), in.flows.of(s, n, head) + coming + 2 * i,
              true);
    close_copies();
  };
  Panel<T, D>::template fetch<kPlan.own_keys>(own, in.k.row(n, g, j0), in.k.step, steps.keys - j0);
  Panel<T, D>::template fetch<kPlan.own_keys>(own + kPlan.own_keys * kStep, in.v.row(n, g, j0), in.v.step,
                                              steps.keys - j0);
  if (head < heads_end) fetch();
  close_copies();

  T* const mine = own + warp() * M * 16 * kStep;
  const Reread<T, D, M> keys(mine), values(mine + kPlan.own_keys * kStep);
  Sums<M, D / 8> of_k, of_v;
  clear(of_k), clear(of_v);
  wait_copies<0>();
  __syncthreads();
  for (bool later = false; head < heads_end; later = true) {
    if (later) panel_has_come<kPlan.stages>(fetch);
    const int t0 = coming;
    const T *const queries = passing + place_in * kStage, *const slopes = queries + kPlan.panel * kStep;
    const float2* const flow = reinterpret_cast<const float2*>(slopes + kPlan.panel * kStep);
    coming += kPlan.panel;
    if (coming >= steps.queries) coming = start, ++head;
    if constexpr (kPlan.stages > 1) {
      place_in ^= 1;
      if (head < heads_end) fetch();
    }
    if (first >= steps.keys) continue;
#pragma unroll 1
    for (int u = 0; u < kPlan.panel; u += 8 * kN) {
      const int t = t0 + u;
      if (t >= steps.queries || t + 8 * kN <= any_from) continue;
      const T *const q = queries + u * kStep, *const gy = slopes + u * kStep;
      const QueriesSeen seen(any_from, steps.queries, t);
      if (t + 8 * kN <= steps.queries && t >= all_from)
        add_queries<T, D, false>(of_k, of_v, keys, values, q, gy, flow + u, scale, seen, spare);
      else
        add_queries<T, D, true>(of_k, of_v, keys, values, q, gy, flow + u, scale, seen, spare);
    }
  }

  float of_score[M][2], one[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) of_score[m][half] = static_cast<float>(s.scale), one[m][half] = 1;
  if (gk.data != nullptr) put_rows<D, M>(of_k, of_score, mine, gk, place.n, place.h, first, steps.keys);
  if (gv.data != nullptr) put_rows<D, M>(of_v, one, mine, gv, place.n, place.h, first, steps.keys);
}

// 32 keys for a warp's queries. Edge: some do not see all of them.
template <class T, int D, bool Edge, int M, class Left>
__device__ __forceinline__ void add_keys(Sums<M, D / 8>& of_q, const Left& queries, const Left& slopes, const T* k,
                                         const T* v, const float2 (&flow)[M][2], float scale, const KeysSeen& seen,
                                         T* spare) {
  Sums<M, kN> weights, back;
  clear(weights), clear(back);
  add_dots<T, D>(weights, queries, k);
  add_dots<T, D>(back, slopes, v);
#pragma unroll
  for (int n = 0; n < kN; ++n)
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float2 of = flow[m][i / 2];
        float& slope = back[m][n][i];
        slope = power_of_two(fmaf(weights[m][n][i], scale, -of.x)) * (slope - of.y);
        if (Edge && !seen.score(m, n, i)) slope = 0;
      }
  add_rows<T, D, Edge, false>(of_q, back, k, seen, spare);
}

// A block: queries of one head. Panels of keys and values pass by.
template <class T, int D>
__global__ void __launch_bounds__(kPanelThreads, 2) query_gradient_kernel(Sizes s, Gradients<T> in, Rows<T> gq) {
  constexpr HeadPlan kPlan = head_plan(D, sizeof(T));
  constexpr int M = kPlan.queries / (16 * kPanelWarps), kStep = Panel<T, D>::kStep;
  T* const own = dynamic_shared<T>();  // queries, gy, then keys and values of each stage, then weights
  T* const passing = own + 2 * kPlan.queries * kStep;
  T* const spare = passing + 2 * kPlan.stages * kPlan.panel * kStep + warp() * M * 16 * kWeightStep / 4;
  const Steps steps(s);
  const int tiles = (steps.queries + kPlan.queries - 1) / kPlan.queries;
  const Place place(static_cast<int>(blockIdx.x), s.batch, s.heads);
  const int n = place.n, h = place.h, g = h / static_cast<int>(s.per_group);
  const int q0 = (tiles - 1 - place.tile) * kPlan.queries;  // the longest first, where causal
  const int first = q0 + warp() * M * 16, last = least(first + M * 16, steps.queries) - 1;
  const int whole = steps.visible(first) / (8 * kN) * 8 * kN;  // the keys, by 32, that all of the warp's queries see …
  const int some = first < steps.queries ? steps.visible(last) : 0;  // … or any
  const int count = (steps.visible(least(q0 + kPlan.queries, steps.queries) - 1) + kPlan.panel - 1) / kPlan.panel;
  const float scale = static_cast<float>(s.scale * 1.4426950408889634);

  const auto stage = [&](int panel) { return passing + panel % kPlan.stages * 2 * kPlan.panel * kStep; };
  const auto fetch = [&](int panel) {
    const int j0 = panel * kPlan.panel;
    T* const to = stage(panel);
    Panel<T, D>::template fetch<kPlan.panel>(to, in.k.row(n, g, j0), in.k.step, steps.keys - j0);
    Panel<T, D>::template fetch<kPlan.panel>(to + kPlan.panel * kStep, in.v.row(n, g, j0), in.v.step, steps.keys - j0);
    close_copies();
  };
  Panel<T, D>::template fetch<kPlan.queries>(own, in.q.row(n, h, q0), in.q.step, steps.queries - q0);
  Panel<T, D>::template fetch<kPlan.queries>(own + kPlan.queries * kStep, in.gy.row(n, h, q0), in.gy.step,
                                             steps.queries - q0);
  fetch(0);

  float2 flow[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int t = first + row_of(m, 2 * half);
      flow[m][half] = t < steps.queries ? in.flows.of(s, n, h)[t] : float2{INFINITY, 0};
    }
  Sums<M, D / 8> of_q;
  clear(of_q);
  wait_copies<0>();
  __syncthreads();
  T* const mine = own + warp() * M * 16 * kStep;
  using Left = std::conditional_t<kPlan.kept, Kept<T, D, M>, Reread<T, D, M>>;
  const Left queries(mine), slopes(mine + kPlan.queries * kStep);
  for (int panel = 0; panel < count; ++panel) {
    if (panel > 0) panel_has_come<kPlan.stages>([&] { fetch(panel); });
    if (kPlan.stages > 1 && panel + 1 < count) fetch(panel + 1);
#pragma unroll 1
    for (int u = 0; u < kPlan.panel; u += 8 * kN) {
      const int j = panel * kPlan.panel + u;
      if (j >= some) break;
      const T *const k = stage(panel) + u * kStep, *const v = k + kPlan.panel * kStep;
      const KeysSeen seen(first + steps.ahead, steps.keys, j);
      if (j < whole)
        add_keys<T, D, false>(of_q, queries, slopes, k, v, flow, scale, seen, spare);
      else
        add_keys<T, D, true>(of_q, queries, slopes, k, v, flow, scale, seen, spare);
    }
  }
  float factor[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) factor[m][half] = static_cast<float>(s.scale);
  put_rows<D, M>(of_q, factor, mine, gq, place.n, place.h, first, steps.queries);
}

template <class T, int D>
void attend_backward(const AttentionGradArgs& a, const Sizes& s, const Gradients<T>& in) {
  constexpr HeadPlan kPlan = head_plan(D, sizeof(T));
  if (a.gk || a.gv)
    launch(a.q.device, plan_heads(s.keys, kPlan.own_keys, s.batch * s.groups, kPlan.by_key), key_gradient_kernel<T, D>,
           s, in, Rows<T>(a.gk), Rows<T>(a.gv));
  if (a.gq)
    launch(a.q.device, plan_heads(s.queries, kPlan.queries, s.batch * s.heads, kPlan.by_query),
           query_gradient_kernel<T, D>, s, in, Rows<T>(a.gq));
}
template <class T>
void attend_backward_any(const AttentionGradArgs& a) {
  const Sizes s(a);
  const std::int64_t step = ceil_div(s.queries, 64) * 64, rows = s.batch * s.heads * step;
  const Scratch room(a.q.device, static_cast<std::size_t>(rows + 1) * sizeof(float2));
  const Flows flows{room.as<float2>(), step};
  launch(a.q.device, plan_items(rows * 8, 256, 8 * limits(a.q.device).multiprocessors), flow_kernel<T>, s,
         Rows<const T>(a.gy), Rows<const T>(a.y), a.stats.ptr<const double>(), flows);
  const Gradients<T> in{Rows<const T>(a.gy), Rows<const T>(a.q), Rows<const T>(a.k), Rows<const T>(a.v), flows};
  switch (s.channels) {
    case 32:
      return attend_backward<T, 32>(a, s, in);
    case 64:
      return attend_backward<T, 64>(a, s, in);
    case 96:
      return attend_backward<T, 96>(a, s, in);
    default:
      return attend_backward<T, 128>(a, s, in);
  }
}

const char* supports(const AttentionGradArgs& a) {
  if (a.gmask) return "the mask wants its gradient";
  for (const TensorView* x : {&a.gy, &a.gq, &a.gk, &a.gv})
    if (*x && !in_sixteens(*x)) return "rows are not aligned to 16 bytes";
  return refuses(a, limits(a.q.device).shared_bytes);
}

}  // namespace

void panels::add_backward() {
  attention_backward.add(
      DeviceType::cuda, "panels",
      [](const AttentionGradArgs& a) {
        with_head_type(a.dtype(), [&](auto zero) { attend_backward_any<decltype(zero)>(a); });
      },
      supports);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
