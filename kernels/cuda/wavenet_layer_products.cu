// The layer of WaveNet by the vendor's products of matrices: the taps of a row of x are laid side by side, so that each
// weight is one product, which adds what is added; one pass makes the gate, one its slopes, and one brings the taps'
// gradients back to the rows of x.
#include <tapedeck/kernels/cuda/conv_tiles.h>
#include <tapedeck/kernels/cuda/gate.h>
#include <tapedeck/kernels/cuda/wavenet_layer.h>

#include <initializer_list>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer {
namespace {

template <class T>
inline constexpr int kNeighbours = neighbours<T>();  // channels of a thread; `products_support` asks for multiples

template <class T>
Scratch room(Device d, std::int64_t n) {
  return Scratch(d, static_cast<std::size_t>(n) * sizeof(T));
}

// ---- passes ---------------------------------------------------------------------------------------------------------
// Rows of x [batch, time, in]: channels lie together, V of them in one access.
template <class T>
struct Source {
  const T* data = nullptr;
  std::int64_t batch = 0, row = 0, steps = 0;
  explicit Source(const TensorView& v)
      : data(v ? v.ptr<const T>() : nullptr),
        batch(v ? v.strides[0] : 0),
        row(v ? v.strides[1] : 0),
        steps(v ? v.sizes[1] : 0) {}
};
struct TapSteps {
  std::int64_t taps, dilation, pad;
};

// sides [rows, taps, in]: the rows of x that the taps of each row meet, zeros where there are none.
template <class T>
__global__ void gather_taps_kernel(Source<T> x, T* sides, std::int64_t items, Divisor groups, Divisor taps,
                                   Divisor steps, TapSteps s) {
  constexpr int V = kNeighbours<T>;
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < items; n += stride) {
    std::int64_t group, tap, step, rest = groups(n, &group);
    const std::int64_t row = taps(rest, &tap), batch = steps(row, &step), from = step + tap * s.dilation - s.pad;
    Pack<T, V> v;
#pragma unroll
    for (int i = 0; i < V; ++i) v.v[i] = store<T>(0);
    if (from >= 0 && from < x.steps)
      v = *reinterpret_cast<const Pack<T, V>*>(x.data + batch * x.batch + from * x.row + group * V);
    reinterpret_cast<Pack<T, V>*>(sides)[n] = v;
  }
}

// gx [row] = the gradients of its places among the taps, + gout's row (when given).
template <class T>
__global__ void collect_taps_kernel(const T* sides, const T* gout, T* gx, std::int64_t items, std::int64_t before,
                                    std::int64_t out_steps, Divisor groups, Divisor steps, TapSteps s) {
  constexpr int V = kNeighbours<T>;
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x, in = groups.value() * V;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < items; n += stride) {
    std::int64_t group, step;
    const std::int64_t batch = steps(groups(n, &group), &step);
    Compute<T> sum[V];
#pragma unroll
    for (int i = 0; i < V; ++i) sum[i] = 0;
    for (std::int64_t tap = 0; tap < s.taps; ++tap) {
      const std::int64_t to = step + s.pad - tap * s.dilation;
      if (to < 0 || to >= out_steps) continue;
      const T* const at = sides + ((batch * out_steps + to) * s.taps + tap) * in + group * V;
      const Pack<T, V> v = *reinterpret_cast<const Pack<T, V>*>(at);
#pragma unroll
      for (int i = 0; i < V; ++i) sum[i] += load(v.v[i]);
    }
    if (gout && step >= before) {
      const T* const at = gout + (batch * out_steps + step - before) * in + group * V;
      const Pack<T, V> v = *reinterpret_cast<const Pack<T, V>*>(at);
#pragma unroll
      for (int i = 0; i < V; ++i) sum[i] += load(v.v[i]);
    }
    Pack<T, V> y;
#pragma unroll
    for (int i = 0; i < V; ++i) y.v[i] = store<T>(sum[i]);
    reinterpret_cast<Pack<T, V>*>(gx)[n] = y;
  }
}

// gates: u -> tanh and sigmoid of its halves; c: their product.
template <class T>
__global__ void gate_rows_kernel(T* gates, T* c, std::int64_t items, Divisor groups) {
  constexpr int V = kNeighbours<T>;
  using N = GateNumber<T>;
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x, channels = groups.value() * V;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < items; n += stride) {
    std::int64_t group;
    T* const at = gates + groups(n, &group) * 2 * channels + group * V;
    Pack<T, V> t = *reinterpret_cast<const Pack<T, V>*>(at), s = *reinterpret_cast<const Pack<T, V>*>(at + channels), y;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      const N a = tanh_of<T>(N(load(t.v[i]))), b = sigmoid_of<T>(N(load(s.v[i])));
      t.v[i] = finish<T>(a), s.v[i] = finish<T>(b), y.v[i] = finish<T>(a * b);
    }
    *reinterpret_cast<Pack<T, V>*>(at) = t;
    *reinterpret_cast<Pack<T, V>*>(at + channels) = s;
    reinterpret_cast<Pack<T, V>*>(c)[n] = y;
  }
}

// gu and c of the gates. The gradient of c: gc from step `first` of a sequence on, + direct; each when given.
template <class T>
__global__ void slope_rows_kernel(const T* gc, const T* direct, const T* gates, T* gu, T* c, std::int64_t items,
                                  std::int64_t first, Divisor groups, Divisor steps) {
  constexpr int V = kNeighbours<T>;
  using N = GateNumber<T>;
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x, channels = groups.value() * V;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < items; n += stride) {
    std::int64_t group, step;
    const std::int64_t row = groups(n, &group), at = row * 2 * channels + group * V;
    steps(row, &step);
    const Pack<T, V> t = *reinterpret_cast<const Pack<T, V>*>(gates + at),
                     s = *reinterpret_cast<const Pack<T, V>*>(gates + at + channels);
    Compute<T> g[V];
#pragma unroll
    for (int i = 0; i < V; ++i) g[i] = 0;
    if (gc && step >= first) {
      const Pack<T, V> v = reinterpret_cast<const Pack<T, V>*>(gc)[n];
#pragma unroll
      for (int i = 0; i < V; ++i) g[i] = load(v.v[i]);
    }
    if (direct) {
      const Pack<T, V> v = reinterpret_cast<const Pack<T, V>*>(direct)[n];
#pragma unroll
      for (int i = 0; i < V; ++i) g[i] += load(v.v[i]);
    }
    Pack<T, V> gt, gs, y;
#pragma unroll
    for (int i = 0; i < V; ++i) {
      N to_u, to_v;
      gate_slopes<T>(N(g[i]), N(load(t.v[i])), N(load(s.v[i])), &to_u, &to_v);
      gt.v[i] = finish<T>(to_u), gs.v[i] = finish<T>(to_v), y.v[i] = store<T>(load(t.v[i]) * load(s.v[i]));
    }
    *reinterpret_cast<Pack<T, V>*>(gu + at) = gt;
    *reinterpret_cast<Pack<T, V>*>(gu + at + channels) = gs;
    reinterpret_cast<Pack<T, V>*>(c)[n] = y;
  }
}

// ---- products -------------------------------------------------------------------------------------------------------
// Where the library cannot add from elsewhere, what is added is copied first.
void multiply(Device d, Gemm g) {
  if (gemm(d, g)) return;
  if (g.add) {
    TensorView from, y;
    from.dtype = y.dtype = g.out, from.device = y.device = d, from.rank = y.rank = 3;
    for (TensorView* v : {&from, &y}) v->sizes[0] = g.batch, v->sizes[1] = g.m, v->sizes[2] = g.n, v->strides[2] = 1;
    from.data = const_cast<void*>(g.add), from.strides[0] = g.add_batch, from.strides[1] = g.add_pitch;
    y.data = g.y, y.strides[0] = g.y_batch, y.strides[1] = g.y_pitch;
    lay_out(from, y);
    g.add = nullptr, g.beta = 1;
    if (gemm(d, g)) return;
  }
  TD_FAIL(DeviceError, "wavenet_layer: cuBLAS has no product of ", g.m, "x", g.k, " and ", g.k, "x", g.n, " ",
          name(g.dtype), "; TAPEDECK_KERNELS=own does without it");
}
// y [rows, n] = a [rows, k] @ b, everything contiguous.
Gemm product(const TensorView& like, std::int64_t rows, std::int64_t k, std::int64_t n, const void* a,
             const GemmOperand& b, void* y) {
  Gemm g;
  g.dtype = g.out = like.dtype;
  g.m = rows, g.k = k, g.n = n;
  g.a.data = a, g.a.pitch = k, g.b = b, g.y = y, g.y_pitch = n;
  return g;
}
// y [out, in] = a [rows, out]^T @ b [rows, in].
void weight_gradient(const TensorView& like, std::int64_t rows, std::int64_t out, std::int64_t in, const void* a,
                     const void* b, void* y) {
  Gemm g = product(like, out, rows, in, a, {b, in, 0, false}, y);
  g.a.pitch = out, g.a.transposed = true;
  multiply(like.device, g);
}
// The same for each sequence apart; the caller says where a begins in the next one.
void in_sequences(Gemm& g, std::int64_t batch, std::int64_t steps) {
  g.batch = batch, g.m = steps;
  g.y_batch = steps * g.y_pitch;
}

// A weight [out, in, 1] as a matrix [in, out], copied where the library would not take it, and a bias likewise.
struct Matrix {
  GemmOperand operand;
  Scratch copy;

  explicit Matrix(const TensorView& w)
      : copy(w.device, in_place(w, &operand) ? 0 : static_cast<std::size_t>(w.numel()) * size_of(w.dtype)) {
    if (in_place(w, &operand)) return;
    turn_weight<1>(w, 1, WeightOrder::in_out, copy.as<void>());
    operand = {copy.as<void>(), w.sizes[0], 0, false};
  }

 private:
  static bool in_place(const TensorView& w, GemmOperand* to) {
    return aligned(w.data, 16) && gemm_operand(w.data, w.sizes[1], w.sizes[0], w.strides[1], w.strides[0], 0, to) &&
           to->pitch % 8 == 0;
  }
};
struct Bias {
  const void* data;
  Scratch copy;

  explicit Bias(const TensorView& b)
      : data(b ? b.data : nullptr),
        copy(b.device, in_place(b) ? 0 : static_cast<std::size_t>(b.numel()) * size_of(b.dtype)) {
    if (in_place(b)) return;
    TensorView to = b;
    to.data = copy.as<void>(), to.strides[0] = 1;
    lay_out(b, to);
    data = to.data;
  }

 private:
  static bool in_place(const TensorView& b) {
    return !b || ((b.strides[0] == 1 || b.sizes[0] == 1) && aligned(b.data, 16));
  }
};
TensorView contiguous_at(void* data, const TensorView& like, std::initializer_list<std::int64_t> sizes) {
  TensorView v = like;
  v.data = data, v.rank = static_cast<std::int32_t>(sizes.size());
  std::int64_t step = 1;
  for (int d = v.rank - 1; d >= 0; --d) v.sizes[d] = sizes.begin()[d], v.strides[d] = step, step *= v.sizes[d];
  return v;
}

TapSteps tap_steps(const Sizes& s, const WaveNetShape& shape) { return {s.taps, shape.dilation, shape.pad_left}; }
// One tap at the step itself, of rows that follow each other: x is what is multiplied.
bool is_plain(const Sizes& s, const TensorView& x, const WaveNetShape& shape) {
  return s.taps == 1 && shape.pad_left == 0 && s.before == 0 && x.contiguous();
}
template <class T>
Scratch gather_taps(const TensorView& x, const Sizes& s, const WaveNetShape& shape) {
  constexpr int V = kNeighbours<T>;
  Scratch sides = room<T>(x.device, s.rows() * s.taps * s.in);
  const std::int64_t items = s.rows() * s.taps * (s.in / V);
  launch(x.device, plan_items(items), gather_taps_kernel<T>, Source<T>(x), sides.as<T>(), items, Divisor(s.in / V),
         Divisor(s.taps), Divisor(s.steps), tap_steps(s, shape));
  return sides;
}
template <class T>
Scratch turned_taps(const TensorView& w) {  // [taps, in, 2 channels]
  Scratch to = room<T>(w.device, w.numel());
  turn_weight<1>(w, 1, WeightOrder::in_out, to.as<void>());
  return to;
}

template <class T>
void forward(const WaveNetLayerArgs& a) {
  constexpr int V = kNeighbours<T>;
  const Sizes s(a);
  const Device d = a.x.device;
  const std::int64_t rows = s.rows(), deep = s.taps * s.in;
  {
    const bool plain = is_plain(s, a.x, a.shape);
    const Scratch sides = plain ? Scratch() : gather_taps<T>(a.x, s, a.shape), weight = turned_taps<T>(a.weight);
    const Bias bias(a.bias);
    Gemm g = product(a.x, rows, deep, 2 * s.channels, plain ? a.x.data : sides.template as<void>(),
                     {weight.as<void>(), 2 * s.channels, 0, false}, a.gates.data);
    g.bias = bias.data;
    multiply(d, g);
  }
  const Scratch gated = a.residual ? room<T>(d, rows * s.channels) : Scratch();
  T* const c = a.residual ? gated.as<T>() : a.out.ptr<T>();
  const std::int64_t items = rows * (s.channels / V);
  launch(d, plan_items(items), gate_rows_kernel<T>, a.gates.ptr<T>(), c, items, Divisor(s.channels / V));
  if (a.residual) {
    const Matrix residual(a.residual);
    const Bias bias(a.residual_bias);
    Gemm g = product(a.x, rows, s.channels, s.in, c, residual.operand, a.out.data);
    const TensorView x = tail(a.x, s.steps);
    g.bias = bias.data, g.add = x.data, g.add_pitch = x.strides[1], g.add_batch = x.strides[0];
    if (s.batch > 1 && x.strides[0] != s.steps * x.strides[1]) {
      in_sequences(g, s.batch, s.steps);
      g.a.batch = s.steps * s.channels;
    }
    multiply(d, g);
  }
  if (!a.skips) return;
  const Matrix skip(a.skip);
  const Bias bias(a.skip_bias);
  Gemm g = product(a.x, rows, s.channels, s.skips, c + (s.steps - s.keep) * s.channels, skip.operand, a.skips.data);
  g.bias = bias.data;
  if (a.sum) g.add = a.sum.data, g.add_pitch = s.skips, g.add_batch = s.keep * s.skips;
  if (s.keep != s.steps) {
    in_sequences(g, s.batch, s.keep);
    g.a.batch = s.steps * s.channels;
  }
  multiply(d, g);
}

template <class T>
void slopes(const WaveNetLayerGradArgs& a, const Sizes& s, T* c) {
  constexpr int V = kNeighbours<T>;
  const bool through = a.gout && a.residual, direct = a.gout && !a.residual;
  const Scratch incoming = through || a.gskips ? room<T>(a.x.device, s.rows() * s.channels) : Scratch();
  T* const gc = incoming.as<T>();
  if (through)
    multiply(a.x.device,
             product(a.x, s.rows(), s.in, s.channels, a.gout.data, {a.residual.data, s.channels, 0, false}, gc));
  if (a.gskips) {
    Gemm g = product(a.x, s.rows(), s.skips, s.channels, a.gskips.data, {a.skip.data, s.channels, 0, false},
                     gc + (s.steps - s.keep) * s.channels);
    g.beta = through ? 1 : 0;
    if (s.keep != s.steps) {
      in_sequences(g, s.batch, s.keep);
      g.a.batch = s.keep * s.skips, g.y_batch = s.steps * s.channels;
    }
    multiply(a.x.device, g);
  }
  const std::int64_t items = s.rows() * (s.channels / V), first = through ? 0 : s.steps - s.keep;
  launch(a.x.device, plan_items(items), slope_rows_kernel<T>, gc, direct ? a.gout.ptr<const T>() : nullptr,
         a.gates.ptr<const T>(), a.gu.ptr<T>(), c, items, first, Divisor(s.channels / V), Divisor(s.steps));
}

template <class T>
void input_gradient(const WaveNetLayerGradArgs& a, const Sizes& s) {
  constexpr int V = kNeighbours<T>;
  const std::int64_t wide = 2 * s.channels, deep = s.taps * s.in;
  const Scratch weight = turned_taps<T>(a.weight), sides = room<T>(a.x.device, s.rows() * deep);
  multiply(a.x.device,
           product(a.x, s.rows(), wide, deep, a.gu.data, {weight.as<void>(), wide, 0, true}, sides.as<void>()));
  const std::int64_t places = s.steps + s.before, items = s.batch * places * (s.in / V);
  launch(a.x.device, plan_items(items), collect_taps_kernel<T>, sides.as<T>(),
         a.gout && a.residual ? a.gout.ptr<const T>() : nullptr, a.gx.ptr<T>(), items, s.before, s.steps,
         Divisor(s.in / V), Divisor(places), tap_steps(s, a.shape));
}

template <class T>
void taps_gradient(const WaveNetLayerGradArgs& a, const Sizes& s) {
  const std::int64_t wide = 2 * s.channels, deep = s.taps * s.in;
  const bool plain = is_plain(s, a.x, a.shape);
  const Scratch sides = plain ? Scratch() : gather_taps<T>(a.x, s, a.shape);
  const Scratch turned = s.taps == 1 ? Scratch() : room<T>(a.x.device, wide * deep);
  void* const to = s.taps == 1 ? a.gweight.data : turned.as<void>();
  weight_gradient(a.x, s.rows(), wide, deep, a.gu.data, plain ? a.x.data : sides.template as<void>(), to);
  if (s.taps == 1) return;
  TensorView from = contiguous_at(to, a.gweight, {wide, s.taps, s.in});
  std::swap(from.sizes[1], from.sizes[2]), std::swap(from.strides[1], from.strides[2]);
  lay_out(from, a.gweight);
}

template <class T>
void backward(const WaveNetLayerGradArgs& a) {
  const Sizes s(a);
  const Scratch gated = room<T>(a.x.device, s.rows() * s.channels);
  slopes<T>(a, s, gated.as<T>());
  if (a.gx) input_gradient<T>(a, s);
  if (a.gweight) taps_gradient<T>(a, s);
  if (a.gresidual) weight_gradient(a.x, s.rows(), s.in, s.channels, a.gout.data, gated.as<void>(), a.gresidual.data);
  if (a.gskip && s.keep == s.steps)
    weight_gradient(a.x, s.rows(), s.skips, s.channels, a.gskips.data, gated.as<void>(), a.gskip.data);
  else
    skip_gradient(a, view_of(gated.as<void>(), a.gates, s.channels));
  bias_gradients(a);
}

// ---- what they take -------------------------------------------------------------------------------------------------
const char* support(const Sizes& s, const TensorView& x, std::initializer_list<const TensorView*> rows) {
  constexpr std::int64_t kMost = 0x7fffffff;
  const DType t = x.dtype;
  if (t != DType::f32 && t != DType::bf16 && t != DType::f16) return "dtype is not f32, bf16 or f16";
  const std::int64_t several = t == DType::f32 ? 4 : 8;
  if (s.rows() == 0 || s.in == 0 || s.channels == 0) return "no terms";
  if (s.in % several != 0 || s.channels % several != 0 || s.skips % several != 0)
    return t == DType::f32 ? "channels that are no multiples of 4" : "channels that are no multiples of 8";
  if (s.rows() > kMost / 2 || x.strides[1] > kMost || 2 * s.channels > kMost || s.taps * s.in > kMost)
    return "sizes beyond 31 bits";
  if (x.strides[1] < s.in || x.strides[1] % several != 0 || x.strides[0] < 0 ||
      (s.batch > 1 && (x.strides[0] < x.strides[1] || x.strides[0] % several != 0)))
    return "rows of x overlap or are not aligned";
  for (const TensorView* v : rows)
    if (*v && !aligned(v->data, 16)) return "rows that are not aligned";
  return nullptr;
}

}  // namespace

const char* products_support(const WaveNetLayerArgs& a) {
  const Sizes s(a);
  if (a.skips && s.skips == 0) return "no terms";
  return support(s, a.x, {&a.x, &a.gates, &a.out, &a.sum, &a.skips});
}
const char* products_support(const WaveNetLayerGradArgs& a) {
  const Sizes s(a);
  if (a.gskips && s.skips == 0) return "no terms";
  return support(
      s, a.x,
      {&a.x, &a.gout, &a.gskips, &a.gates, &a.residual, &a.skip, &a.gu, &a.gx, &a.gweight, &a.gresidual, &a.gskip});
}

template <class F>
void each_short_type(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  if (t == DType::bf16) return f(BFloat16());
  f(Float16());
}
void by_products(const WaveNetLayerArgs& a) {
  each_short_type(a.dtype(), [&](auto zero) { forward<decltype(zero)>(a); });
}
void by_products(const WaveNetLayerGradArgs& a) {
  each_short_type(a.dtype(), [&](auto zero) { backward<decltype(zero)>(a); });
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer
