// y = f(inputs), element by element, over operands of any strides: every elementwise kernel is one functor here.
#pragma once
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// The common shape of N operands (the output first) with the strides of each in elements; neighbouring dimensions that
// lie alike in all are merged. Rank 0 has one element.
template <int N>
struct Layout {
  int rank = 0;
  std::int64_t numel = 1;
  std::int64_t sizes[8];
  std::int64_t strides[N][8];

  explicit Layout(const std::array<TensorView, N>& views) {
    const TensorView& shape = views[0];
    int order[8];  // of falling strides of the output: a dense one merges to a line however its dimensions are named
    for (int d = 0; d < shape.rank; ++d) order[d] = d;
    std::stable_sort(order, order + shape.rank, [&](int a, int b) { return shape.strides[a] > shape.strides[b]; });
    for (int i = 0; i < shape.rank; ++i) {
      const int d = order[i];
      if (shape.sizes[d] == 1) continue;
      numel *= shape.sizes[d];
      bool merge = rank > 0;
      for (int k = 0; k < N; ++k) merge = merge && strides[k][rank - 1] == views[k].strides[d] * shape.sizes[d];
      if (!merge) sizes[rank++] = 1;
      sizes[rank - 1] *= shape.sizes[d];
      for (int k = 0; k < N; ++k) strides[k][rank - 1] = views[k].strides[d];
    }
  }
  // Where element `at` (row-major) of each operand lies.
  __device__ void offsets(std::int64_t at, std::int64_t (&out)[N]) const {
    for (int k = 0; k < N; ++k) out[k] = 0;
    if (numel <= 0x7fffffff) {  // division of 32 bits is several times cheaper
      std::uint32_t rest = static_cast<std::uint32_t>(at);
      for (int d = rank - 1; d > 0; --d) {
        const std::uint32_t size = static_cast<std::uint32_t>(sizes[d]), next = rest / size, here = rest - next * size;
        for (int k = 0; k < N; ++k) out[k] += here * strides[k][d];
        rest = next;
      }
      for (int k = 0; k < N && rank > 0; ++k) out[k] += rest * strides[k][0];
      return;
    }
    for (int d = rank - 1; d >= 0; --d) {
      const std::int64_t next = at / sizes[d], here = at - next * sizes[d];
      for (int k = 0; k < N; ++k) out[k] += here * strides[k][d];
      at = next;
    }
  }
};

template <class T, int V>
__device__ inline Pack<T, V> fetch(const T* from, std::int64_t stride, bool wide) {
  if (V > 1 && wide) return *reinterpret_cast<const Pack<T, V>*>(from);
  Pack<T, V> pack;
  for (int i = 0; i < V; ++i) pack.v[i] = from[i * stride];
  return pack;
}
template <class Out, int V, class F, class... Packs>
__device__ inline Pack<Out, V> apply(const F& f, const Packs&... in) {
  Pack<Out, V> out;
  for (int i = 0; i < V; ++i) out.v[i] = f(in.v[i]...);
  return out;
}
template <int V, class F, class L, class Out, std::size_t... I, class... In>
__device__ inline void map_group(const F& f, const L& l, unsigned wide, std::int64_t group, std::index_sequence<I...>,
                                 Out* y, const In*... in) {
  constexpr int N = 1 + sizeof...(In);
  std::int64_t at[N], inner[N];
  l.offsets(group * V, at);
  for (int k = 0; k < N; ++k) inner[k] = l.rank > 0 ? l.strides[k][l.rank - 1] : 0;
  const Pack<Out, V> out = apply<Out, V>(f, fetch<In, V>(in + at[I + 1], inner[I + 1], wide >> (I + 1) & 1u)...);
  if (V > 1 && (wide & 1u)) {
    *reinterpret_cast<Pack<Out, V>*>(y + at[0]) = out;
  } else {
    for (int i = 0; i < V; ++i) y[at[0] + i * inner[0]] = out.v[i];
  }
}

// A thread makes V neighbours along the innermost dimension at a time. `wide` has bit k set where operand k's
// neighbours lie together and are aligned: one access moves them all.
template <int V, class F, class Out, class... In>
__global__ void map_kernel(F f, Layout<1 + sizeof...(In)> l, unsigned wide, std::int64_t groups, Out* y,
                           const In*... in) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t g = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; g < groups; g += step)
    map_group<V>(f, l, wide, g, std::index_sequence_for<In...>(), y, in...);
}

inline constexpr int kNeighbours = 4;

template <std::size_t N>
unsigned wide_operands(const Layout<static_cast<int>(N)>& l, const std::array<TensorView, N>& views) {
  unsigned wide = 0;
  for (std::size_t k = 0; k < N; ++k) {
    bool fits =
        l.rank > 0 && l.strides[k][l.rank - 1] == 1 && aligned(views[k].data, size_of(views[k].dtype) * kNeighbours);
    for (int d = 0; d + 1 < l.rank; ++d) fits = fits && l.strides[k][d] % kNeighbours == 0;
    wide |= static_cast<unsigned>(fits) << k;
  }
  return wide;
}

// y = f(inputs…) for operands of y's shape; In are the inputs' element types. f: a small struct whose operator() takes
// one element of each input and gives one of y.
template <class Out, class... In, class F, class... Views>
void map(const F& f, const TensorView& y, const Views&... inputs) {
  static_assert(sizeof...(In) == sizeof...(Views));
  constexpr int N = 1 + sizeof...(In);
  const std::array<TensorView, N> views{y, inputs...};
  Layout<N> l(views);
  if (l.numel == 0) return;
  const auto run = [&](auto v, std::int64_t first) {  // from element `first` of a line on, V neighbours at a time
    constexpr int V = decltype(v)::value;
    const std::int64_t groups = l.numel / V;
    int k = 0;
    const auto from = [&](auto* p) { return first == 0 ? p : p + first * l.strides[k++][0]; };
    const std::tuple<Out*, const In*...> p{from(y.ptr<Out>()), from(static_cast<const In*>(inputs.data))...};
    std::apply(
        [&](auto... pointers) {
          launch(y.device, plan_items(groups), map_kernel<V, F, Out, In...>, f, l,
                 V > 1 ? wide_operands<N>(l, views) : 0u, groups, pointers...);
        },
        p);
  };
  using One = std::integral_constant<int, 1>;
  using Many = std::integral_constant<int, kNeighbours>;
  const std::int64_t inner = l.rank > 0 ? l.sizes[l.rank - 1] : 1, rest = inner % kNeighbours;
  if (rest == 0) return run(Many(), 0);
  if (l.rank != 1 || inner < 1024) return run(One(), 0);
  l.numel = l.sizes[0] = inner - rest;  // a line: its end apart
  run(Many(), 0);
  l.numel = l.sizes[0] = rest;
  run(One(), inner - rest);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
