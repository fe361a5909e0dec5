// Gated activation and its gradient, in one pass over both halves.
#include <tapedeck/kernels/cuda/gate.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

template <class T>
struct Gate {
  __device__ T operator()(T u, T v) const {
    return finish<T>(tanh_of<T>(GateNumber<T>(load(u))) * sigmoid_of<T>(GateNumber<T>(load(v))));
  }
  __device__ T operator()(T u, T v, T cu, T cv) const {
    return finish<T>(tanh_of<T>(GateNumber<T>(load(u) + load(cu))) * sigmoid_of<T>(GateNumber<T>(load(v) + load(cv))));
  }
};

// Half 0 or 1 of the last dimension of a view of 2C channels.
TensorView half(const TensorView& x, int which) {
  TensorView h = x;
  const std::int64_t channels = x.sizes[x.rank - 1] / 2;
  h.sizes[x.rank - 1] = channels;
  if (which == 1)
    h.data = x.ptr<char>() + channels * x.strides[x.rank - 1] * static_cast<std::int64_t>(size_of(x.dtype));
  return h;
}

void gate(const GateArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (a.c)
      map<T, T, T, T, T>(Gate<T>(), a.y, half(a.x, 0), half(a.x, 1), half(a.c, 0), half(a.c, 1));
    else
      map<T, T, T>(Gate<T>(), a.y, half(a.x, 0), half(a.x, 1));
  });
}

// Operands: both halves of gx, gy, both halves of x and, when given, of c.
template <class T, int V, bool given>
__global__ void gate_backward_kernel(Groups<given ? 7 : 5> l, T* gu, T* gv, const T* gy, const T* u, const T* v,
                                     const T* cu, const T* cv) {
  using C = GateNumber<T>;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < l.groups.numel; n += step) {
    std::int64_t at[given ? 7 : 5];
    const int count = l.template start<V>(n, at);
    const unsigned wide = count == V ? l.wide : 0;
    const Pack<T, V> g = fetch<T, V>(gy + at[2], l.inner[2], wide >> 2 & 1u, count);
    Pack<T, V> a = fetch<T, V>(u + at[3], l.inner[3], wide >> 3 & 1u, count);
    Pack<T, V> b = fetch<T, V>(v + at[4], l.inner[4], wide >> 4 & 1u, count);
    C x[V], y[V];
#pragma unroll
    for (int i = 0; i < V; ++i) x[i] = C(load(a.v[i])), y[i] = C(load(b.v[i]));
    if constexpr (given) {
      const Pack<T, V> s = fetch<T, V>(cu + at[5], l.inner[5], wide >> 5 & 1u, count);
      const Pack<T, V> t = fetch<T, V>(cv + at[6], l.inner[6], wide >> 6 & 1u, count);
#pragma unroll
      for (int i = 0; i < V; ++i) x[i] = x[i] + C(load(s.v[i])), y[i] = y[i] + C(load(t.v[i]));
    }
#pragma unroll
    for (int i = 0; i < V; ++i) {
      C to_u, to_v;
      gate_slopes<T>(C(load(g.v[i])), tanh_of<T>(x[i]), sigmoid_of<T>(y[i]), &to_u, &to_v);
      a.v[i] = finish<T>(to_u), b.v[i] = finish<T>(to_v);
    }
    put(gu + at[0], l.inner[0], wide & 1u, count, a);
    put(gv + at[1], l.inner[1], wide >> 1 & 1u, count, b);
  }
}
template <class T, bool given, std::size_t N>
void gate_backward_as(const std::array<TensorView, N>& views) {
  constexpr int V = neighbours<T>();
  const Layout<static_cast<int>(N)> l(views);
  if (l.numel == 0) return;
  const Groups<static_cast<int>(N)> groups(l, views, V);
  const auto at = [&](std::size_t k) { return k < N ? static_cast<T*>(views[k].data) : nullptr; };
  launch(views[0].device, plan_items(groups.groups.numel), gate_backward_kernel<T, V, given>, groups, at(0), at(1),
         at(2), at(3), at(4), at(5), at(6));
}
void gate_backward(const GateGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const TensorView gu = half(a.gx, 0), gv = half(a.gx, 1), u = half(a.x, 0), v = half(a.x, 1);
    if (a.c)
      gate_backward_as<T, true>(std::array<TensorView, 7>{gu, gv, a.gy, u, v, half(a.c, 0), half(a.c, 1)});
    else
      gate_backward_as<T, false>(std::array<TensorView, 5>{gu, gv, a.gy, u, v});
  });
}

}  // namespace

void add_gate() {
  gated_activation.add(DeviceType::cuda, "cuda", gate, takes_real<GateArgs>);
  gated_activation_backward.add(DeviceType::cuda, "cuda", gate_backward, takes_real<GateGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
