// Steps of recurrent cells: one thread for each number of the state. Layers as a whole are the vendor's.
#include <tapedeck/kernels/common/rnn_math.h>
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/rnn_vendor.h>
#include <tapedeck/kernels/rnn.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

// f32 in double, as everywhere where sigmoid and tanh meet: the card's f64 is fast, and memory is the limit.
template <class T>
__device__ inline double wide(T v) {
  return static_cast<double>(load(v));
}
template <class T>
__device__ inline T narrow(double v) {
  return store<T>(static_cast<Compute<T>>(v));
}

// Rows of a matrix, and how far they lie apart.
template <class T>
struct Rows {
  T* data;
  std::int64_t step;
  explicit Rows(const TensorView& v) : data(v.ptr<T>()), step(v.strides[0]) {}
  __device__ T* operator()(std::int64_t b) const { return data + b * step; }
};

template <class T>
struct Gru {
  Rows<const T> gi, gh, h;
  Rows<T> y, saved;
  __device__ void operator()(std::int64_t b, std::int64_t k, std::int64_t n) const {
    const T *i = gi(b) + k, *r = gh(b) + k;
    const auto s = math::gru_step<double>(wide(i[0]), wide(i[n]), wide(i[2 * n]), wide(r[0]), wide(r[n]),
                                          wide(r[2 * n]), wide(h(b)[k]));
    T* const out = saved(b) + k;
    out[0] = narrow<T>(s.r), out[n] = narrow<T>(s.z), out[2 * n] = narrow<T>(s.n), out[3 * n] = r[2 * n];
    y(b)[k] = narrow<T>(s.y);
  }
};
template <class T>
struct GruGrad {
  Rows<const T> gy, h, saved;
  Rows<T> dgi, dgh, dh;
  bool add;
  __device__ void operator()(std::int64_t b, std::int64_t k, std::int64_t n) const {
    const T* const s = saved(b) + k;
    const auto d =
        math::gru_slopes<double>(wide(gy(b)[k]), wide(s[0]), wide(s[n]), wide(s[2 * n]), wide(s[3 * n]), wide(h(b)[k]));
    T *const i = dgi(b) + k, *const r = dgh(b) + k;
    i[0] = r[0] = narrow<T>(d.r), i[n] = r[n] = narrow<T>(d.z);
    i[2 * n] = narrow<T>(d.n), r[2 * n] = narrow<T>(d.hn);
    T& to = dh(b)[k];
    to = narrow<T>(add ? wide(to) + d.h : d.h);
  }
};
template <class T>
struct Lstm {
  Rows<const T> gi, gh, c;
  Rows<T> y, cy, saved;
  __device__ void operator()(std::int64_t b, std::int64_t k, std::int64_t n) const {
    const T *const i = gi(b) + k, *const r = gh(b) + k;
    const auto s =
        math::lstm_step<double>(wide(i[0]) + wide(r[0]), wide(i[n]) + wide(r[n]), wide(i[2 * n]) + wide(r[2 * n]),
                                wide(i[3 * n]) + wide(r[3 * n]), wide(c(b)[k]));
    T* const out = saved(b) + k;
    out[0] = narrow<T>(s.i), out[n] = narrow<T>(s.f), out[2 * n] = narrow<T>(s.g), out[3 * n] = narrow<T>(s.o);
    cy(b)[k] = narrow<T>(s.c), y(b)[k] = narrow<T>(s.y);
  }
};
template <class T>
struct LstmGrad {
  Rows<const T> gy, gcy, c, cy, saved;
  Rows<T> dg, dc;
  __device__ void operator()(std::int64_t b, std::int64_t k, std::int64_t n) const {
    const T* const s = saved(b) + k;
    const auto d = math::lstm_slopes<double>(wide(gy(b)[k]), wide(gcy(b)[k]), wide(s[0]), wide(s[n]), wide(s[2 * n]),
                                             wide(s[3 * n]), wide(c(b)[k]), wide(cy(b)[k]));
    T* const out = dg(b) + k;
    out[0] = narrow<T>(d.i), out[n] = narrow<T>(d.f), out[2 * n] = narrow<T>(d.g), out[3 * n] = narrow<T>(d.o);
    dc(b)[k] = narrow<T>(d.c);
  }
};

template <class F>
__global__ void each_kernel(F f, std::int64_t items, std::int64_t n) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < items; at += step)
    f(at / n, at % n, n);
}
template <class F>
void each(const TensorView& y, const F& f) {  // y [B, H]
  const std::int64_t items = y.sizes[0] * y.sizes[1];
  launch(y.device, plan_items(items, 128), each_kernel<F>, f, items, y.sizes[1]);
}

void gru(const GruGatesArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using In = Rows<const T>;
    each(a.y, Gru<T>{In(a.gi), In(a.gh), In(a.h), Rows<T>(a.y), Rows<T>(a.saved)});
  });
}
void gru_grad(const GruGatesGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using In = Rows<const T>;
    each(a.gy, GruGrad<T>{In(a.gy), In(a.h), In(a.saved), Rows<T>(a.dgi), Rows<T>(a.dgh), Rows<T>(a.dh), a.beta != 0});
  });
}
void lstm(const LstmGatesArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using In = Rows<const T>;
    each(a.y, Lstm<T>{In(a.gi), In(a.gh), In(a.c), Rows<T>(a.y), Rows<T>(a.cy), Rows<T>(a.saved)});
  });
}
void lstm_grad(const LstmGatesGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    using In = Rows<const T>;
    each(a.gy, LstmGrad<T>{In(a.gy), In(a.gcy), In(a.c), In(a.cy), In(a.saved), Rows<T>(a.dg), Rows<T>(a.dc)});
  });
}

void layer(const RnnLayerArgs& a) {
  if (a.keeps)
    *a.keeps = rnn_keeps(a);
  else
    run_rnn(a);
}
const char* layer_refuses(const RnnLayerArgs& a) {
  const char* const why = rnn_has_no_words(a);
  return why ? why : rnn_refuses(a);
}

}  // namespace

void add_rnn() {
  constexpr DeviceType cuda = DeviceType::cuda;
  gru_gates.add(cuda, "cuda", gru, takes_real<GruGatesArgs>);
  gru_gates_backward.add(cuda, "cuda", gru_grad, takes_real<GruGatesGradArgs>);
  lstm_gates.add(cuda, "cuda", lstm, takes_real<LstmGatesArgs>);
  lstm_gates_backward.add(cuda, "cuda", lstm_grad, takes_real<LstmGatesGradArgs>);
  rnn_layer.add(cuda, "steps", rnn_steps, rnn_steps_refuse);
  rnn_layer.add(cuda, "cudnn", layer, layer_refuses, "where the library is there");
  rnn_layer_backward.add(cuda, "cudnn", run_rnn_backward);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
