// The layer of WaveNet on the matrix units (units.h), for bf16 and f16 whose channels come in eights: nothing is laid
// out that a product can find where it lies, and no sum is written that the next line of the layer takes up.
#include <tapedeck/kernels/cuda/conv_tiles.h>
#include <tapedeck/kernels/cuda/gate.h>
#include <tapedeck/kernels/cuda/units.h>
#include <tapedeck/kernels/cuda/wavenet_layer_pack.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer {
namespace {

template <class T>
using Eight = Pack<T, 8>;
template <class T>
__device__ inline Eight<T> eight_at(const T* p) {
  return *reinterpret_cast<const Eight<T>*>(p);
}

// Which sequence row m of [batch, steps] is in, and at which step.
struct RowPlace {
  Divisor steps;
  __device__ int operator()(int m, int* step) const {
    const int batch = static_cast<int>(steps.small(static_cast<std::uint32_t>(m)));
    *step = m - batch * static_cast<int>(steps.value());
    return batch;
  }
};
// The taps of a row, side by side: of rows `from` [batch, steps, width], `stride` steps apart (of either sign).
template <class T>
struct TapRows {
  struct Line {
    const T* sequence;
    int at;
  };
  const T* data;
  std::int64_t batch_step, row_step;
  int steps, stride, width;
  Divisor across;

  TapRows(const TensorView& from, std::int64_t stride_)
      : data(from.ptr<const T>()),
        batch_step(from.strides[0]),
        row_step(from.strides[1]),
        steps(static_cast<int>(from.sizes[1])),
        stride(static_cast<int>(stride_)),
        width(static_cast<int>(from.sizes[2])),
        across(from.sizes[2]) {}
  __device__ Line line(int batch, int at) const { return {data + batch * batch_step, at}; }
  __device__ const T* find(const Line& line, int k) const {
    const int tap = static_cast<int>(across.small(static_cast<std::uint32_t>(k))), at = line.at + tap * stride;
    return static_cast<unsigned>(at) < static_cast<unsigned>(steps) ? line.sequence + at * row_step + (k - tap * width)
                                                                    : nullptr;
  }
};

// Tanh and sigmoid by the hardware's functions, whose errors are an eighth of the last place of bf16 and less; f16 has
// three more.
template <class T>
__device__ inline float short_tanh(float u) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return floats::near_tanh(u);
  else
    return static_cast<float>(tanh_of<T>(GateNumber<T>(u)));
}
__device__ inline float short_sigmoid(float v) {
  return floats::near_reciprocal(1 + cores::power_of_two(v * -0x1.715476p+0f));
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
  const T *w, *bias;
  std::int64_t bias_step;
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
        bias(a.bias ? a.bias.ptr<const T>() : nullptr),
        bias_step(a.bias ? a.bias.strides[0] : 0),
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
    for (int e = 0; e < 4; ++e) {
      const std::int64_t channel = column / 2 + e;
      c.to_tanh[e] = bias ? load(bias[channel * bias_step]) : 0;
      c.to_sigmoid[e] = bias ? load(bias[(channels + channel) * bias_step]) : 0;
    }
    return c;
  }
  __device__ More more(int, int) const { return {}; }
  __device__ void put(int row, int column, const Columns& c, const More&, const float (&sum)[8]) const {
    Pack<T, 4> t, s, product;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float u = sum[e / 2 * 4 + e % 2] + c.to_tanh[e], v = sum[e / 2 * 4 + 2 + e % 2] + c.to_sigmoid[e];
      const float a = short_tanh<T>(u), b = short_sigmoid(v);
      t.v[e] = store<T>(a), s.v[e] = store<T>(b), product.v[e] = store<T>(a * b);
    }
    const std::int64_t first = std::int64_t{row} * channels;
    put_pack(gates + 2 * first + column / 2, t), put_pack(gates + 2 * first + channels + column / 2, s);
    put_pack(gated + first + column / 2, product);
  }
};

// ---- out and skips from c -------------------------------------------------------------------------------------------
// What the columns of one weight become: y [rows, width] = sums + bias + add.
template <class T>
struct SideOut {
  T* y = nullptr;
  const T *bias = nullptr, *add = nullptr;
  std::int64_t width = 0, bias_step = 0, add_batch = 0, add_row = 0;

  SideOut() = default;
  SideOut(const TensorView& y_, const TensorView& bias_, const TensorView& add_)
      : y(y_.ptr<T>()),
        bias(bias_ ? bias_.ptr<const T>() : nullptr),
        add(add_ ? add_.ptr<const T>() : nullptr),
        width(y_.sizes[2]),
        bias_step(bias_ ? bias_.strides[0] : 0),
        add_batch(add_ ? add_.strides[0] : 0),
        add_row(add_ ? add_.strides[1] : 0) {}
};
template <class Type>
struct SumsUnits {
  using T = Type;
  using Line = const T*;
  struct Columns {
    T* y;
    std::int64_t width;
    float bias[8];
  };
  using More = Eight<T>;
  static constexpr int kAhead = 2;
  int m, n = 0, k, row_step;  // row_step: of w, which may have the other side's columns too
  int split = 0;              // the first column of skips
  RowPlace place;
  std::int64_t batch_step;
  const T *c, *w;
  SideOut<T> out, skips;

  SumsUnits(const TensorView& from, const T* weights, std::int64_t columns)
      : m(static_cast<int>(from.sizes[0] * from.sizes[1])),
        k(static_cast<int>(from.sizes[2])),
        row_step(static_cast<int>(columns)),
        place{Divisor(from.sizes[1])},
        batch_step(from.strides[0]),
        c(from.ptr<const T>()),
        w(weights) {}
  __device__ Line line(int row) const {
    int step;
    const int batch = place(row, &step);
    return c + batch * batch_step + std::int64_t{step} * k;
  }
  __device__ const T* a(Line line, int at) const { return line + at; }
  __device__ const T* b(int row, int column) const { return w + std::int64_t{row} * row_step + column; }
  __device__ Columns columns(int column) const {
    const SideOut<T>& side = column < split ? out : skips;
    const int first = column < split ? column : column - split;
    Columns found{side.y + first, side.width, {}};
#pragma unroll
    for (int e = 0; e < 8; ++e) found.bias[e] = side.bias ? load(side.bias[(first + e) * side.bias_step]) : 0;
    return found;
  }
  __device__ More more(int row, int column) const {
    const SideOut<T>& side = column < split ? out : skips;
    if (!side.add) return {};
    int step;
    const int batch = place(row, &step);
    return eight_at(side.add + batch * side.add_batch + step * side.add_row + (column < split ? column : column - split));
  }
  __device__ void put(int row, int, const Columns& to, const More& add, const float (&sum)[8]) const {
    Eight<T> y;
#pragma unroll
    for (int e = 0; e < 8; ++e) y.v[e] = store<T>(sum[e] + to.bias[e] + load(add.v[e]));
    put_pack(to.y + row * to.width, y);
  }
};

template <class T>
void forward(const WaveNetLayerArgs& a) {
  const Sizes s(a);
  const Device d = a.x.device;
  const PackedWeights<T> weights(a);
  const Scratch product(d, a.residual ? static_cast<std::size_t>(s.rows() * s.channels) * sizeof(T) : 0);
  const TensorView c = a.residual ? view_of(product.as<void>(), a.gates, s.channels) : a.out;
  units::solve(d, GateUnits<T>(a, s, weights.to_gates.template as<T>(), c.ptr<T>()));

  const int split = static_cast<int>(weights.split);
  const bool together = a.residual && a.skips && s.keep == s.steps;
  if (a.residual) {
    SumsUnits<T> p(c, weights.to_sums.template as<T>(), weights.columns);
    p.out = SideOut<T>(a.out, a.residual_bias, tail(a.x, s.steps));
    if (together) p.skips = SideOut<T>(a.skips, a.skip_bias, a.sum);
    p.split = split, p.n = together ? p.row_step : split;
    units::solve(d, p);
  }
  if (a.skips && !together) {
    SumsUnits<T> p(tail(c, s.keep), weights.to_sums.template as<T>() + split, weights.columns);
    p.skips = SideOut<T>(a.skips, a.skip_bias, a.sum);
    p.n = static_cast<int>(s.skips);
    units::solve(d, p);
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
  static constexpr int kAhead = 2;
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

// ---- gx from gu, and from gout along the residual path --------------------------------------------------------------
template <class Type>
struct InputUnits {
  using T = Type;
  using Line = typename TapRows<T>::Line;
  struct Columns {};
  using More = Eight<T>;
  static constexpr int kAhead = 2;
  int m, n, k, before, steps, pad;
  RowPlace place;
  TapRows<T> gu;
  const T *w, *passed;
  T* gx;

  InputUnits(const WaveNetLayerGradArgs& a, const Sizes& s, const T* turned)
      : m(static_cast<int>(s.batch * (s.steps + s.before))),
        n(static_cast<int>(s.in)),
        k(static_cast<int>(s.taps * 2 * s.channels)),
        before(static_cast<int>(s.before)),
        steps(static_cast<int>(s.steps)),
        pad(static_cast<int>(a.shape.pad_left)),
        place{Divisor(s.steps + s.before)},
        gu(a.gu, -a.shape.dilation),
        w(turned),
        passed(a.gout && a.residual ? a.gout.ptr<const T>() : nullptr),
        gx(a.gx.ptr<T>()) {}
  __device__ Line line(int row) const {
    int step;
    const int batch = place(row, &step);
    return gu.line(batch, step + pad);
  }
  __device__ const T* a(const Line& line, int at) const { return gu.find(line, at); }
  __device__ const T* b(int row, int column) const { return w + std::int64_t{row} * n + column; }
  __device__ Columns columns(int) const { return {}; }
  __device__ More more(int row, int column) const {
    int step;
    const int batch = place(row, &step);
    if (!passed || step < before) return {};
    return eight_at(passed + (std::int64_t{batch} * steps + step - before) * n + column);
  }
  __device__ void put(int row, int column, const Columns&, const More& add, const float (&sum)[8]) const {
    Eight<T> y;
#pragma unroll
    for (int e = 0; e < 8; ++e) y.v[e] = store<T>(sum[e] + load(add.v[e]));
    put_pack(gx + std::int64_t{row} * n + column, y);
  }
};

template <class T>
void backward(const WaveNetLayerGradArgs& a) {
  const Sizes s(a);
  const Device d = a.x.device;
  const Scratch product(d, static_cast<std::size_t>(s.rows() * s.channels) * sizeof(T));
  units::solve(d, SlopesUnits<T>(a, s, product.as<T>()));
  if (a.gx) {
    const Scratch turned(d, static_cast<std::size_t>(a.weight.numel()) * sizeof(T));
    turn_weight<1>(a.weight, 1, WeightOrder::out_in, turned.as<void>());
    units::solve(d, InputUnits<T>(a, s, turned.as<T>()));
  }
  weight_gradients(a, product.as<void>());
}

template <class Args>
const char* supported(const Args& a) {
  const Sizes s(a);
  if (a.dtype() != DType::bf16 && a.dtype() != DType::f16) return "dtype is not bf16 or f16";
  if (const char* why = products_support(a)) return why;
  constexpr std::int64_t kMost = 0x7fffffff;
  const std::int64_t reach = (s.taps - 1) * a.shape.dilation + s.steps + s.before + a.shape.pad_left;
  if (reach > kMost / 2 || s.batch * (s.steps + s.before) > kMost - units::kRows || s.taps * 2 * s.channels > kMost / 2)
    return "sizes beyond 31 bits";
  return nullptr;
}
template <class F>
void each_half_type(DType t, F&& f) {
  t == DType::bf16 ? f(BFloat16()) : f(Float16());
}

}  // namespace

void by_units(const WaveNetLayerArgs& a) {
  each_half_type(a.dtype(), [&](auto zero) { forward<decltype(zero)>(a); });
}
void by_units(const WaveNetLayerGradArgs& a) {
  each_half_type(a.dtype(), [&](auto zero) { backward<decltype(zero)>(a); });
}
const char* units_support(const WaveNetLayerArgs& a) { return supported(a); }
const char* units_support(const WaveNetLayerGradArgs& a) { return supported(a); }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer
