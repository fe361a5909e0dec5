// Attention by panels, forward: a block takes the queries of a tile and meets the keys and values of their head in
// panels. Scores, weights and sums stay in registers; each query keeps its largest score so far and what it has summed
// relative to that. Exponentials are powers of two, with the scale folded in.
#include <tapedeck/kernels/cuda/attention_panels.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

using namespace panels;

__device__ inline float over_quad(float v, bool most) {  // the lanes that share a row
#pragma unroll
  for (int step = 1; step < 4; step *= 2) {
    const float other = __shfl_xor_sync(kAllLanes, v, step);
    v = most ? fmaxf(v, other) : v + other;
  }
  return v;
}

template <int D, int M>
struct Attended {  // by a warp
  Sums<M, D / 8> sums;
  float most[M][2], total[M][2];
};

// One panel of keys and values. Edge: some queries do not see all of them.
template <class T, int D, int N, bool Edge, int M, class Left>
__device__ __forceinline__ void attend_panel(Attended<D, M>& to, const Left& queries, const T* keys, const T* values,
                                             float scale, const KeysSeen& seen, T* spare) {
  const float none = -INFINITY;
  Sums<M, N> scores;
  clear(scores);
  add_dots<T, D>(scores, queries, keys);
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float here = none;
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          if (Edge && !seen.score(m, n, i)) scores[m][n][i] = none;
          here = fmaxf(here, scores[m][n][i]);
        }
      const float now = fmaxf(to.most[m][half], over_quad(here, true)), from = now == none ? 0 : now * scale;
      const float fade = power_of_two(fmaf(to.most[m][half], scale, -from));
      float sum = to.total[m][half] * fade;
      to.most[m][half] = now;
#pragma unroll
      for (int n = 0; n < N; ++n)
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          const float weight = power_of_two(fmaf(scores[m][n][i], scale, -from));
          sum += weight, scores[m][n][i] = weight;
        }
      to.total[m][half] = sum;
#pragma unroll
      for (int n = 0; n < D / 8; ++n) to.sums[m][n][2 * half] *= fade, to.sums[m][n][2 * half + 1] *= fade;
    }
  add_rows<T, D, Edge, true>(to.sums, scores, values, seen, spare);
}

template <class T, int D>
__global__ void __launch_bounds__(kPanelThreads, 2)
    attend_kernel(Sizes s, Rows<const T> q, Rows<const T> k, Rows<const T> v, Rows<T> y, double* stats) {
  constexpr HeadPlan kPlan = head_plan(D, sizeof(T));
  constexpr int M = kPlan.queries / (16 * kPanelWarps), kStep = Panel<T, D>::kStep;
  T* const own = dynamic_shared<T>();  // the queries, then keys and values of each stage, then weights
  T* const passing = own + kPlan.queries * kStep;
  T* const spare = passing + 2 * kPlan.stages * kPlan.keys * kStep + warp() * M * 16 * kWeightStep / 4;
  const Steps steps(s);
  const int tiles = (steps.queries + kPlan.queries - 1) / kPlan.queries;
  const Place place(static_cast<int>(blockIdx.x), s.batch, s.heads);
  const int n = place.n, h = place.h, g = h / static_cast<int>(s.per_group);
  const int q0 = (tiles - 1 - place.tile) * kPlan.queries;  // the longest first, where causal
  const int first = q0 + warp() * M * 16, last = least(first + M * 16, steps.queries) - 1;
  const int whole = steps.visible(first) / kPlan.keys;  // panels that all of the warp's queries see …
  const int some = first < steps.queries ? (steps.visible(last) + kPlan.keys - 1) / kPlan.keys : 0;  // … or any
  const int count = (steps.visible(least(q0 + kPlan.queries, steps.queries) - 1) + kPlan.keys - 1) / kPlan.keys;
  const float scale = static_cast<float>(s.scale * 1.4426950408889634);

  const auto stage = [&](int panel) { return passing + panel % kPlan.stages * 2 * kPlan.keys * kStep; };
  const auto fetch = [&](int panel) {
    const int j0 = panel * kPlan.keys;
    T* const to = stage(panel);
    Panel<T, D>::template fetch<kPlan.keys>(to, k.row(n, g, j0), k.step, steps.keys - j0);
    Panel<T, D>::template fetch<kPlan.keys>(to + kPlan.keys * kStep, v.row(n, g, j0), v.step, steps.keys - j0);
    close_copies();
  };
  Panel<T, D>::template fetch<kPlan.queries>(own, q.row(n, h, q0), q.step, steps.queries - q0);
  fetch(0);
  Attended<D, M> to;
  clear(to.sums);
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) to.most[m][half] = -INFINITY, to.total[m][half] = 0;
  wait_copies<0>();
  __syncthreads();
  const std::conditional_t<kPlan.kept, Kept<T, D, M>, Reread<T, D, M>> queries(own + warp() * M * 16 * kStep);
  for (int panel = 0; panel < count; ++panel) {
    if (panel > 0) panel_has_come<kPlan.stages>([&] { fetch(panel); });
    if (kPlan.stages > 1 && panel + 1 < count) fetch(panel + 1);
    if (panel >= some) continue;
    const T *const keys = stage(panel), *const values = keys + kPlan.keys * kStep;
    const KeysSeen seen(first + steps.ahead, steps.keys, panel * kPlan.keys);
    if (panel < whole)
      attend_panel<T, D, kPlan.keys / 8, false>(to, queries, keys, values, scale, seen, spare);
    else
      attend_panel<T, D, kPlan.keys / 8, true>(to, queries, keys, values, scale, seen, spare);
  }

  float factor[M][2];
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = over_quad(to.total[m][half], false), most = to.most[m][half];
      factor[m][half] = sum == 0 ? 0 : 1 / sum;
      const int t = first + row_of(m, 2 * half);
      if (lane() % 4 == 0 && t < steps.queries) {
        double* const kept = stats + ((place.n * s.heads + place.h) * s.queries + t) * 2;
        kept[0] = most == -INFINITY ? 0 : static_cast<double>(most) * s.scale, kept[1] = static_cast<double>(sum);
      }
    }
  put_rows<D, M>(to.sums, factor, own + warp() * M * 16 * kStep, y, place.n, place.h, first, steps.queries);
}

template <class T, int D>
void attend(const AttentionArgs& a) {
  const Sizes s(a);
  constexpr HeadPlan kPlan = head_plan(D, sizeof(T));
  launch(a.q.device, plan_heads(s.queries, kPlan.queries, s.batch * s.heads, kPlan.forward), attend_kernel<T, D>, s,
         Rows<const T>(a.q), Rows<const T>(a.k), Rows<const T>(a.v), Rows<T>(a.y), a.stats.ptr<double>());
}
template <class T>
void attend_any(const AttentionArgs& a) {
  switch (a.q.sizes[3]) {
    case 32:
      return attend<T, 32>(a);
    case 64:
      return attend<T, 64>(a);
    case 96:
      return attend<T, 96>(a);
    default:
      return attend<T, 128>(a);
  }
}

}  // namespace

void panels::add_forward() {
  attention.add(
      DeviceType::cuda, "panels",
      [](const AttentionArgs& a) { with_head_type(a.dtype(), [&](auto zero) { attend_any<decltype(zero)>(a); }); },
      [](const AttentionArgs& a) { return refuses(a, limits(a.q.device).shared_bytes); });
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
