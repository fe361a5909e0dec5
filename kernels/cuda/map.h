// y = f(inputs), element by element, over operands of any strides: every elementwise kernel is one functor here.
#pragma once
#include <tapedeck/kernels/cuda/divide.h>
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>

#include <algorithm>
#include <array>
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

// `count` elements (at most V) a stride apart; all V in one access where `wide`.
template <class T, int V>
__device__ inline Pack<T, V> fetch(const T* from, std::int64_t stride, bool wide, int count = V) {
  if (V > 1 && wide) return *reinterpret_cast<const Pack<T, V>*>(from);
  Pack<T, V> pack;
#pragma unroll
  for (int i = 0; i < V; ++i) pack.v[i] = from[i < count ? i * stride : 0];
  return pack;
}
template <class T, int V>
__device__ inline void put(T* to, std::int64_t stride, bool wide, int count, const Pack<T, V>& pack) {
  if (V > 1 && wide) {
    put_pack(to, pack);
  } else {
#pragma unroll
    for (int i = 0; i < V; ++i)
      if (i < count) to[i * stride] = pack.v[i];
  }
}
template <class Out, int V, class F, class... Packs>
__device__ inline Pack<Out, V> apply(const F& f, const Packs&... in) {
  Pack<Out, V> out;
#pragma unroll
  for (int i = 0; i < V; ++i) out.v[i] = f(in.v[i]...);
  return out;
}

// Lines along the innermost dimension in groups of V neighbours, the last of a line perhaps fewer: `groups` has the
// groups of a line as its innermost size. `wide` has bit k set where operand k's neighbours lie together and are
// aligned: one access moves them all.
template <int N>
struct Groups {
  Layout<N> groups;
  std::int64_t line = 1, inner[N] = {};  // elements of a line, and their strides
  unsigned wide = 0;
  Divisor divide[8];  // by groups.sizes

  Groups(const Layout<N>& l, const std::array<TensorView, N>& views, int neighbours) : groups(l) {
    if (l.rank == 0) return;
    const int last = l.rank - 1;
    line = l.sizes[last];
    groups.sizes[last] = ceil_div(line, neighbours);
    groups.numel = line == 0 ? 0 : l.numel / line * groups.sizes[last];
    for (int d = 1; d <= last; ++d) divide[d] = Divisor(groups.sizes[d]);
    for (int k = 0; k < N; ++k) {
      inner[k] = l.strides[k][last];
      groups.strides[k][last] *= neighbours;
      bool fits =
          inner[k] == 1 && aligned(views[k].data, size_of(views[k].dtype) * static_cast<std::size_t>(neighbours));
      for (int d = 0; d < last; ++d) fits = fits && l.strides[k][d] % neighbours == 0;
      wide |= static_cast<unsigned>(fits) << k;
    }
  }
  // Every operand is one line of neighbours: element i of each is its i-th.
  bool flat() const { return groups.rank <= 1 && (groups.rank == 0 || wide == (1u << N) - 1); }

  // Where group `group` of V neighbours lies in each operand, and how many elements it has.
  template <int V>
  __device__ int start(std::int64_t group, std::int64_t (&at)[N]) const {
    if (groups.numel > 0x7fffffff) {
      groups.offsets(group, at);
      if (line % V == 0) return V;
      return fewer<V>(group % (line / V + 1));
    }
    for (int k = 0; k < N; ++k) at[k] = 0;
    std::uint32_t rest = static_cast<std::uint32_t>(group), along = rest;  // along the innermost dimension
    for (int d = groups.rank - 1; d > 0; --d) {
      const std::uint32_t next = divide[d].small(rest);
      const std::uint32_t here = rest - next * static_cast<std::uint32_t>(groups.sizes[d]);
      for (int k = 0; k < N; ++k) at[k] += here * groups.strides[k][d];
      if (d == groups.rank - 1) along = here;
      rest = next;
    }
    for (int k = 0; k < N && groups.rank > 0; ++k) at[k] += rest * groups.strides[k][0];
    return fewer<V>(along);
  }

 private:
  template <int V>
  __device__ int fewer(std::int64_t along) const {
    const std::int64_t left = line - along * V;
    return left < V ? static_cast<int>(left) : V;
  }
};

template <int V, class F, int N, class Out, std::size_t... I, class... In>
__device__ inline void map_group(const F& f, const Groups<N>& l, std::int64_t group, std::index_sequence<I...>, Out* y,
                                 const In*... in) {
  std::int64_t at[N];
  const int count = l.template start<V>(group, at);
  const unsigned wide = count == V ? l.wide : 0;
  put(y + at[0], l.inner[0], wide & 1u, count,
      apply<Out, V>(f, fetch<In, V>(in + at[I + 1], l.inner[I + 1], wide >> (I + 1) & 1u, count)...));
}
template <int V, class F, class Out, class... In>
__global__ void map_kernel(F f, Groups<1 + sizeof...(In)> l, Out* y, const In*... in) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t g = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; g < l.groups.numel; g += step)
    map_group<V>(f, l, g, std::index_sequence_for<In...>(), y, in...);
}

// The same for operands that are one line each: a block takes kFlatThreads * U * V elements, the last perhaps fewer; a
// thread has U groups under way.
inline constexpr int kFlatThreads = 256;
template <class T, int V, int U>
struct Ahead {
  Pack<T, V> v[U];
  __device__ Ahead(const T* from, std::int64_t step) {
#pragma unroll
    for (int u = 0; u < U; ++u) v[u] = *reinterpret_cast<const Pack<T, V>*>(from + u * step);
  }
};
template <int V, int U, class F, class Out, class... In>
__global__ void __launch_bounds__(kFlatThreads) flat_kernel(F f, std::int64_t n, Out* y, const In*... in) {
  constexpr int kStep = kFlatThreads * V;
  const std::int64_t base = std::int64_t{blockIdx.x} * (kStep * U);
  const std::int64_t first = base + static_cast<int>(threadIdx.x) * V;
  if (n - base >= kStep * U) {
    const auto make = [&](const auto&... rows) {
#pragma unroll
      for (int u = 0; u < U; ++u) put_pack(y + first + u * kStep, apply<Out, V>(f, rows.v[u]...));
    };
    return make(Ahead<In, V, U>(in + first, kStep)...);
  }
#pragma unroll 1
  for (std::int64_t i = base + threadIdx.x; i < n; i += kFlatThreads) y[i] = f(in[i]...);
}

// Neighbours that a thread makes: 16 bytes of the widest operand, within reason.
template <class... T>
constexpr int neighbours() {
  std::size_t widest = 1;
  ((widest = sizeof(T) > widest ? sizeof(T) : widest), ...);
  return widest <= 2 ? 8 : 4;
}

// y = f(inputs…) for operands of y's shape; In are the inputs' element types. f: a small struct whose operator() takes
// one element of each input and gives one of y.
template <class Out, class... In, class F, class... Views>
void map(const F& f, const TensorView& y, const Views&... inputs) {
  static_assert(sizeof...(In) == sizeof...(Views));
  constexpr int N = 1 + sizeof...(In), V = neighbours<Out, In...>();
  const std::array<TensorView, N> views{y, inputs...};
  const Layout<N> l(views);
  if (l.numel == 0) return;
  const Groups<N> groups(l, views, V);
  if (groups.flat()) {
    constexpr bool kLong = ((sizeof(Out) == 8) || ... || (sizeof(In) == 8));
    constexpr int W = kLong ? 2 : V, U = N > 2 || kLong ? 1 : 2;
    return launch(y.device, plan_items(ceil_div(l.numel, U * W), kFlatThreads, INT32_MAX),
                  flat_kernel<W, U, F, Out, In...>, f, l.numel, y.ptr<Out>(), static_cast<const In*>(inputs.data)...);
  }
  launch(y.device, plan_items(groups.groups.numel), map_kernel<V, F, Out, In...>, f, groups, y.ptr<Out>(),
         static_cast<const In*>(inputs.data)...);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
