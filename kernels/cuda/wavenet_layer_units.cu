// The layer of WaveNet as products (units.h; chains.h for f32) where channels come in eights: nothing is laid out that
// a product can find where it lies, and no sum is written that the next line of the layer takes up.
#include <tapedeck/kernels/cuda/conv_units.h>
#include <tapedeck/kernels/cuda/gate.h>
#include <tapedeck/kernels/cuda/wavenet_layer_pack.h>

#include <initializer_list>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer {
namespace {

using namespace units;

// Tanh and sigmoid of short forms by the hardware's functions, whose errors are an eighth of their last place and less;
// f16 has three more than bf16.
template <class T>
__device__ inline float short_tanh(float u) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return floats::near_tanh(u);
  else
    return static_cast<float>(tanh_of<T>(GateNumber<T>(u)));
}
template <class T>
__device__ inline float short_sigmoid(float v) {
  if constexpr (kHalf<T>)
    return floats::near_reciprocal(1 + cores::power_of_two(v * -0x1.715476p+0f));
  else
    return static_cast<float>(sigmoid_of<T>(GateNumber<T>(v)));
}

// ---- gates and c from x ---------------------------------------------------------------------------------------------
template <class Type>
struct GateUnits {
  using T = Type;
  using Line = typename TapRows<T>::Line;
  struct Columns {
    float to_tanh[4], to_sigmoid[4];
  };
  struct More {};
  static constexpr int kAhead = 1;
  int m, n, k, channels, pad;
  RowPlace place;
  TapRows<T> x;
  const T* w;
  BiasRow<T> bias;
  T *gates, *gated;

  GateUnits(const WaveNetLayerArgs& a, const Sizes& s, const T* packed, T* c)
      : m(static_cast<int>(s.rows())),
        n(static_cast<int>(2 * s.channels)),
        k(static_cast<int>(s.taps * s.in)),
        channels(static_cast<int>(s.channels)),
        pad(static_cast<int>(a.shape.pad_left)),
        place{Divisor(s.steps)},
        x(a.x, a.shape.dilation),
        w(packed),
        bias(a.bias),
        gates(a.gates.ptr<T>()),
        gated(c) {}
  __device__ Line line(int row) const {
    int step;
    const int batch = place(row, &step);
    return x.line(batch, step - pad);
  }
  __device__ const T* a(const Line& line, int at) const { return x.find(line, at); }
  __device__ const T* b(int row, int column) const { return w + std::int64_t{row} * n + column; }
  __device__ Columns columns(int column) const {  // two channels of each half, then the next two
    Columns c;
#pragma unroll
    for (int e = 0; e < 4; ++e)
      c.to_tanh[e] = bias.at(column / 2 + e), c.to_sigmoid[e] = bias.at(channels + column / 2 + e);
    return c;
  }
  __device__ More more(int, int) const { return {}; }
  __device__ void put(int row, int column, const Columns& c, const More&, const float (&sum)[8]) const {
    Pack<T, 4> t, s, product;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float u = sum[e / 2 * 4 + e % 2] + c.to_tanh[e], v = sum[e / 2 * 4 + 2 + e % 2] + c.to_sigmoid[e];
      const float a = short_tanh<T>(u), b = short_sigmoid<T>(v);
      t.v[e] = store<T>(a), s.v[e] = store<T>(b), product.v[e] = store<T>(a * b);
    }
    const std::int64_t first = std::int64_t{row} * channels;
    put_pack(gates + 2 * first + column / 2, t), put_pack(gates + 2 * first + channels + column / 2, s);
    put_pack(gated + first + column / 2, product);
  }
};

// ---- out and skips from c -------------------------------------------------------------------------------------------
// What the columns of one weight become: y [batch, time, width] = sums + bias + add.
template <class T>
struct Side {
  Sequences<T> y;
  Sequences<const T> add;
  BiasRow<T> bias;
  Side() : bias(TensorView{}) {}
  Side(const TensorView& y_, const TensorView& bias_, const TensorView& add_) : y(y_), add(add_), bias(bias_) {}
};
template <class Type>
struct SumsUnits {
  using T = Type;
  using Line = const T*;
  using Columns = Biases;
  using More = Eight<T>;
  static constexpr int kAhead = kRowsAhead<T>;
  int m, n = 0, k, row_step;  // row_step: of w, which may have the other side's columns too
  int split = 0;              // the first column of skips
  RowPlace place;
  Sequences<const T> c;
  const T* w;
  Side<T> out, skips;

  SumsUnits(const TensorView& from, const T* weights, std::int64_t columns)
      : m(static_cast<int>(from.sizes[0] * from.sizes[1])),
        k(static_cast<int>(from.sizes[2])),
        row_step(static_cast<int>(columns)),
        place{Divisor(from.sizes[1])},
        c(from),
        w(weights) {}
  __device__ Line line(int row) const {
    int step;
    const int batch = place(row, &step);
    return c.row(batch, step);
  }
  __device__ const T* a(Line line, int at) const { return line + at; }
  __device__ const T* b(int row, int column) const { return w + std::int64_t{row} * row_step + column; }
  __device__ const Side<T>& side(int* column) const {
    if (*column < split) return out;
    *column -= split;
    return skips;
  }
  __device__ Columns columns(int column) const {
    const Side<T>& to = side(&column);
    return eight_of(to.bias, column);
  }
  __device__ More more(int row, int column) const {
    const Side<T>& to = side(&column);
    int step;
    const int batch = place(row, &step);
    return to.add.data ? eight_at(to.add.row(batch, step) + column) : More{};
  }
  __device__ void put(int row, int column, const Columns& bias, const More& add, const float (&sum)[8]) const {
    const Side<T>& to = side(&column);
    int step;
    const int batch = place(row, &step);
    Eight<T> y;
#pragma unroll
    for (int e = 0; e < 8; ++e) y.v[e] = store<T>(sum[e] + bias.v[e] + load(add.v[e]));
    put_pack(to.y.row(batch, step) + column, y);
  }
};

template <class T>
void forward(const WaveNetLayerArgs& a) {
  const Sizes s(a);
  const Device d = a.x.device;
  const PackedWeights<T> weights(a);
  const Scratch product(d, a.residual ? static_cast<std::size_t>(s.rows() * s.channels) * sizeof(T) : 0);
  const TensorView c = a.residual ? view_of(product.as<void>(), a.gates, s.channels) : a.out;
  solve(d, GateUnits<T>(a, s, weights.to_gates.template as<T>(), c.ptr<T>()));

  const int split = static_cast<int>(weights.split);
  const bool together = a.residual && a.skips && s.keep == s.steps;
  if (a.residual) {
    SumsUnits<T> p(c, weights.to_sums.template as<T>(), weights.columns);
    p.out = Side<T>(a.out, a.residual_bias, tail(a.x, s.steps));
    if (together) p.skips = Side<T>(a.skips, a.skip_bias, a.sum);
    p.split = split, p.n = together ? p.row_step : split;
    solve(d, p);
  }
  if (a.skips && !together) {
    SumsUnits<T> p(tail(c, s.keep), weights.to_sums.template as<T>() + split, weights.columns);
    p.skips = Side<T>(a.skips, a.skip_bias, a.sum);
    p.n = static_cast<int>(s.skips);
    solve(d, p);
  }
}

// ---- gu and c from what comes back ----------------------------------------------------------------------------------
// The gradient of c: sums over the outputs of residual, then over those of skip.
template <class Type>
struct SlopesUnits {
  using T = Type;
  struct Line {
    const T *out, *skips;  // skips: nullptr where there are none
  };
  struct Columns {};
  struct More {
    Eight<T> t, s;
  };
  static constexpr int kAhead = kRowsAhead<T>;
  int m, n, k, split, skip_width, first, keep;  // split: the first term of skip; steps [first, first + keep) have skips
  RowPlace place;
  const T *gout = nullptr, *gskips = nullptr, *residual = nullptr, *skip = nullptr, *gates;
  const T* direct = nullptr;  // gout where it is the gradient of c itself
  T *gu, *c;

  SlopesUnits(const WaveNetLayerGradArgs& a, const Sizes& s, T* product)
      : m(static_cast<int>(s.rows())),
        n(static_cast<int>(s.channels)),
        split(a.gout && a.residual ? static_cast<int>(s.in) : 0),
        skip_width(a.gskips ? static_cast<int>(s.skips) : 0),
        first(static_cast<int>(s.steps - s.keep)),
        keep(static_cast<int>(s.keep)),
        place{Divisor(s.steps)},
        gates(a.gates.ptr<const T>()),
        gu(a.gu.ptr<T>()),
        c(product) {
    if (split > 0) gout = a.gout.ptr<const T>(), residual = a.residual.ptr<const T>();
    if (a.gout && !a.residual) direct = a.gout.ptr<const T>();
    if (a.gskips) gskips = a.gskips.ptr<const T>(), skip = a.skip.ptr<const T>();
    k = split + skip_width;
  }
  __device__ Line line(int row) const {
    int step;
    const int batch = place(row, &step);
    const std::int64_t kept = std::int64_t{batch} * keep + step - first;
    return {gout + std::int64_t{row} * split, gskips && step >= first ? gskips + kept * skip_width : nullptr};
  }
  __device__ const T* a(const Line& line, int at) const {
    if (at < split) return line.out + at;
    return line.skips ? line.skips + (at - split) : nullptr;
  }
  __device__ const T* b(int row, int column) const {
    return row < split ? residual + std::int64_t{row} * n + column : skip + std::int64_t{row - split} * n + column;
  }
  __device__ Columns columns(int) const { return {}; }
  __device__ More more(int row, int column) const {
    const std::int64_t u = std::int64_t{row} * 2 * n + column;
    return {eight_at(gates + u), eight_at(gates + u + n)};
  }
  __device__ void put(int row, int column, const Columns&, const More& of, const float (&sum)[8]) const {
    using N = GateNumber<T>;
    const std::int64_t at = std::int64_t{row} * n + column, u = at + std::int64_t{row} * n;
    const Eight<T> more = direct ? eight_at(direct + at) : Eight<T>{};
    Eight<T> gt, gs, product;
#pragma unroll
    for (int e = 0; e < 8; ++e) {
      const float t = load(of.t.v[e]), s = load(of.s.v[e]);
      N to_u, to_v;
      gate_slopes<T>(N(sum[e] + load(more.v[e])), N(t), N(s), &to_u, &to_v);
      gt.v[e] = finish<T>(to_u), gs.v[e] = finish<T>(to_v), product.v[e] = store<T>(t * s);
    }
    put_pack(gu + u, gt), put_pack(gu + u + n, gs), put_pack(c + at, product);
  }
};

// The gradient of a convolution's weight and bias, as far as they are asked for.
template <class T>
void weight_and_bias(const TensorView& gy, const TensorView& x, const TensorView& gw, const TensorView& gbias,
                     const Conv1dShape& shape) {
  if (gw)
    weight_gradient<T>({gy, x, gw, shape}, gbias);
  else if (gbias)
    add_rows(gy, gbias);
}
template <class T>
void backward(const WaveNetLayerGradArgs& a) {
  const Sizes s(a);
  const Device d = a.x.device;
  const Scratch product(d, static_cast<std::size_t>(s.rows() * s.channels) * sizeof(T));
  const TensorView c = view_of(product.as<void>(), a.gates, s.channels);
  solve(d, SlopesUnits<T>(a, s, product.as<T>()));
  if (a.gx) {  // from gu, and from gout along the residual path
    const Scratch turned(d, static_cast<std::size_t>(a.weight.numel()) * sizeof(T));
    turn_weight<1>(a.weight, 1, WeightOrder::out_in, turned.as<void>());
    TapsProblem<T> p(a.gu, s.taps, -a.shape.dilation, 1, a.shape.pad_left, turned.as<T>(), {}, a.gx, 0);
    if (a.gout && a.residual) p.add = Sequences<const T>(a.gout), p.first = static_cast<int>(s.before);
    solve(d, p);
  }
  weight_and_bias<T>(a.gu, a.x, a.gweight, a.gbias, dilated(a.shape));
  weight_and_bias<T>(a.gout, c, a.gresidual, a.gresidual_bias, {});
  if (a.gskips) weight_and_bias<T>(a.gskips, tail(c, s.keep), a.gskip, a.gskip_bias, {});
}

template <class Args>
const char* supported(const Args& a, std::initializer_list<const TensorView*> rows) {
  const Sizes s(a);
  if (const char* why = products_support(a)) return why;
  if (s.keep == 0) return "no terms";
  if (s.in % 8 != 0 || s.channels % 8 != 0 || s.skips % 8 != 0) return "channels that are no multiples of 8";
  for (const TensorView* v : rows)
    if (*v)
      if (const char* why = rows_in_eights(*v)) return why;
  constexpr std::int64_t kMost = 0x7fffffff;
  const std::int64_t reach = (s.taps - 1) * a.shape.dilation + s.steps + s.before + a.shape.pad_left;
  if (reach > kMost / 2 || s.batch * (s.steps + s.before) > kMost - kRows || s.taps * 2 * s.channels > kMost / 2 ||
      s.taps * s.in > kMost / 2)
    return "sizes beyond 31 bits";
  return nullptr;
}
}  // namespace

void by_units(const WaveNetLayerArgs& a) {
  each_type(a.dtype(), [&](auto zero) { forward<decltype(zero)>(a); });
}
void by_units(const WaveNetLayerGradArgs& a) {
  each_type(a.dtype(), [&](auto zero) { backward<decltype(zero)>(a); });
}
const char* units_support(const WaveNetLayerArgs& a) {
  return supported(a, {&a.x, &a.gates, &a.out, &a.sum, &a.skips});
}
const char* units_support(const WaveNetLayerGradArgs& a) {
  return supported(a, {&a.x, &a.gates, &a.gout, &a.gskips, &a.gu, &a.gx});
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer
