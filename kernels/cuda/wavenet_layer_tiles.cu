// The layer of WaveNet by tiles (tile.h) whose sums go through what comes next before they are written: the taps
// through the gate, the product with both 1x1 weights to where it is added, and back through the gate's slopes.
#include <tapedeck/kernels/cuda/conv_tiles.h>
#include <tapedeck/kernels/cuda/gate.h>
#include <tapedeck/kernels/cuda/wavenet_layer_pack.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer {
namespace {

template <class T>
bool lie_by(int n, std::int64_t row, std::initializer_list<const void*> data) {
  bool all = row % n == 0;
  for (const void* p : data) all = all && aligned(p, static_cast<std::size_t>(n) * sizeof(T));
  return all;
}

// ---- gates and c from x ---------------------------------------------------------------------------------------------
Conv1dArgs taps_product(const WaveNetLayerArgs& a) {
  Conv1dArgs c{a.x, a.weight, {}, a.gates, dilated(a.shape)};
  c.w.sizes[0] = gate_columns(a.gates.sizes[2] / 2);
  return c;
}
template <class Type>
struct GateProblem : ForwardProblem<Type, 1> {
  using T = Type;
  using C = Compute<T>;
  using Fours = void;

  const T* gate_bias;
  std::int64_t channels, gate_bias_step;
  T *gates, *gated;
  bool pairs;

  GateProblem(const WaveNetLayerArgs& a, const T* packed, T* c)
      : ForwardProblem<T, 1>(any_rank(taps_product(a)), packed),
        gate_bias(a.bias ? a.bias.ptr<const T>() : nullptr),
        channels(a.gates.sizes[2] / 2),
        gate_bias_step(a.bias ? a.bias.strides[0] : 0),
        gates(a.gates.ptr<T>()),
        gated(c),
        pairs(lie_by<T>(2, channels, {gates, gated})) {}

  __device__ void put(std::int64_t row, std::int64_t column, int, C (&sum)[4]) const {
    using N = GateNumber<T>;
    const std::int64_t first = column / 2;
    T* const to = gates + row * 2 * channels + first;
    T* const product = gated + row * channels + first;
    Pack<T, 2> t, s, c;
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      C u = sum[e], v = sum[2 + e];
      if (gate_bias && first + e < channels) {
        u += load(gate_bias[(first + e) * gate_bias_step]);
        v += load(gate_bias[(channels + first + e) * gate_bias_step]);
      }
      const N a = tanh_of<T>(N(u)), b = sigmoid_of<T>(N(v));
      t.v[e] = finish<T>(a), s.v[e] = finish<T>(b), c.v[e] = finish<T>(a * b);
    }
    if (pairs) {
      *reinterpret_cast<Pack<T, 2>*>(to) = t;
      *reinterpret_cast<Pack<T, 2>*>(to + channels) = s;
      *reinterpret_cast<Pack<T, 2>*>(product) = c;
      return;
    }
    for (int e = 0; e < 2; ++e)
      if (first + e < channels) to[e] = t.v[e], to[channels + e] = s.v[e], product[e] = c.v[e];
  }
};

// ---- out and skips from c -------------------------------------------------------------------------------------------
// What the columns of one weight become: y [rows, width] = sums + bias + add.
template <class T>
struct Side {
  T* y = nullptr;
  const T *bias = nullptr, *add = nullptr;
  std::int64_t width = 0, bias_step = 0, add_batch = 0, add_row = 0;
  bool wide = false, wide_add = false;

  Side() = default;
  Side(const TensorView& y_, const TensorView& bias_, const TensorView& add_)
      : y(y_.ptr<T>()),
        bias(bias_ ? bias_.ptr<const T>() : nullptr),
        add(add_ ? add_.ptr<const T>() : nullptr),
        width(y_.sizes[2]),
        bias_step(bias_ ? bias_.strides[0] : 0),
        add_batch(add_ ? add_.strides[0] : 0),
        add_row(add_ ? add_.strides[1] : 0),
        wide(lie_by<T>(4, width, {y})),
        wide_add(add_ && rows_are_wide<T, 1>(add_, width)) {}
  __device__ void put(std::int64_t row, std::int64_t batch, std::int64_t step, std::int64_t column, int count,
                      Compute<T> (&sum)[4]) const {
    if (column >= width) return;
    if (count > width - column) count = static_cast<int>(width - column);
    Compute<T> more[4] = {};
    if (add) fetch_four(add + batch * add_batch + step * add_row + column, 1, wide_add, count, more);
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      if (bias && e < count) sum[e] += load(bias[(column + e) * bias_step]);
      sum[e] += more[e];
    }
    put_four<T>(y + row * width + column, nullptr, 0, false, wide, count, sum);
  }
};

template <class Type>
struct SumsProblem {
  using T = Type;
  using C = Compute<T>;
  using LineA = const T*;
  using LineB = const T*;
  static constexpr bool kLean = true;

  std::int64_t m, n = 0, k, batch_step, row_step;  // row_step: of w, which may have the other side's columns too
  Divisor steps;
  const T *c, *w;
  Side<T> out, skips;
  std::int64_t split = 0;  // the first column of skips
  bool wide_c;

  SumsProblem(const TensorView& from, const T* weights, std::int64_t columns)
      : m(from.sizes[0] * from.sizes[1]),
        k(from.sizes[2]),
        batch_step(from.strides[0]),
        row_step(columns),
        steps(from.sizes[1]),
        c(from.ptr<const T>()),
        w(weights),
        wide_c(lie_by<T>(4, k, {c})) {}

  __device__ bool a_along_k() const { return true; }
  __device__ bool b_along_k() const { return false; }
  __device__ void enter(std::int64_t) {}
  __device__ LineA a_line(std::int64_t row) const {
    std::int64_t step, batch = steps(row, &step);
    return c + batch * batch_step + step * k;
  }
  __device__ LineB b_line(std::int64_t column) const { return w + column; }
  __device__ void a(LineA line, std::int64_t at, int count, C (&v)[4]) const {
    fetch_four(line + at, 1, wide_c, count, v);
  }
  __device__ void b(LineB line, std::int64_t at, int count, C (&v)[4]) const {
    fetch_four(line + at * row_step, 1, true, count, v);
  }
  __device__ void put(std::int64_t row, std::int64_t column, int count, C (&sum)[4]) const {
    std::int64_t step, batch = steps(row, &step);
    if (column < split)
      out.put(row, batch, step, column, count, sum);
    else
      skips.put(row, batch, step, column - split, count, sum);
  }
};

template <class T>
void forward(const WaveNetLayerArgs& a) {
  const Sizes s(a);
  const Device d = a.x.device;
  const PackedWeights<T> weights(a);
  const std::int64_t split = weights.split, columns = weights.columns;
  const Scratch product(d, a.residual ? static_cast<std::size_t>(s.rows() * s.channels) * sizeof(T) : 0);
  const TensorView c = a.residual ? view_of(product.as<void>(), a.gates, s.channels) : a.out;

  const GateProblem<T> gate(a, weights.to_gates.template as<T>(), c.ptr<T>());
  solve_tiles(d, gate, gate.m, gate.n, gate.k, 1);

  const bool together = a.residual && a.skips && s.keep == s.steps;
  if (a.residual) {
    SumsProblem<T> p(c, weights.to_sums.template as<T>(), columns);
    p.out = Side<T>(a.out, a.residual_bias, tail(a.x, s.steps));
    if (together) p.skips = Side<T>(a.skips, a.skip_bias, a.sum);
    p.split = split, p.n = together ? columns : split;
    solve_tiles(d, p, p.m, p.n, p.k, 1);
  }
  if (a.skips && !together) {
    SumsProblem<T> p(tail(c, s.keep), weights.to_sums.template as<T>() + split, columns);
    p.skips = Side<T>(a.skips, a.skip_bias, a.sum);
    p.n = fours(s.skips);
    solve_tiles(d, p, p.m, p.n, p.k, 1);
  }
}

// ---- gu and c from what comes back ----------------------------------------------------------------------------------
// A matrix of contiguous rows.
template <class T>
struct Rows {
  const T* data = nullptr;
  std::int64_t width = 0;
  bool wide = false;
  Rows() = default;
  Rows(const TensorView& v, std::int64_t columns)
      : data(v.ptr<const T>()), width(columns), wide(lie_by<T>(4, columns, {data})) {}
};

// gc [row, channel] = sums over the outputs of residual, then over those of skip.
template <class Type>
struct SlopesProblem {
  using T = Type;
  using C = Compute<T>;
  struct LineA {
    const T *out, *skips;  // skips: nullptr where there are none
  };
  using LineB = std::int64_t;
  static constexpr bool kLean = true;

  std::int64_t m, n, k, split;  // split: the first term of skip
  std::int64_t first, keep;     // steps [first, first + keep) have skips
  Divisor steps;
  Rows<T> gout, gskips, residual, skip, gates;
  const T* direct = nullptr;  // gout where it is the gradient of c itself
  T *gu, *c;
  bool wide;

  SlopesProblem(const WaveNetLayerGradArgs& a, const Sizes& s, T* product)
      : m(s.rows()),
        n(s.channels),
        first(s.steps - s.keep),
        keep(s.keep),
        steps(s.steps),
        gates(a.gates, 2 * s.channels),
        gu(a.gu.ptr<T>()),
        c(product),
        wide(lie_by<T>(4, s.channels, {gates.data, gu, c})) {
    if (a.gout && a.residual) gout = {a.gout, s.in}, residual = {a.residual, s.channels};
    if (a.gout && !a.residual) direct = a.gout.ptr<const T>();
    if (a.gskips) gskips = {a.gskips, s.skips}, skip = {a.skip, s.channels};
    split = fours(gout.width), k = split + gskips.width;
  }

  __device__ bool a_along_k() const { return true; }
  __device__ bool b_along_k() const { return false; }
  __device__ void enter(std::int64_t) {}
  __device__ LineA a_line(std::int64_t row) const {
    std::int64_t step, batch = steps(row, &step);
    const bool has = gskips.data && step >= first;
    return {gout.data + row * gout.width, has ? gskips.data + (batch * keep + step - first) * gskips.width : nullptr};
  }
  __device__ LineB b_line(std::int64_t column) const { return column; }
  __device__ void a(const LineA& line, std::int64_t at, int count, C (&v)[4]) const {
    if (at >= split) {
      if (line.skips) fetch_four(line.skips + (at - split), 1, gskips.wide, count, v);
    } else {
      const std::int64_t left = gout.width - at;
      fetch_four(line.out + at, 1, gout.wide, left < count ? static_cast<int>(left) : count, v);
    }
  }
  __device__ void b(LineB column, std::int64_t at, int count, C (&v)[4]) const {
    if (at >= split)
      fetch_four(skip.data + (at - split) * n + column, 1, skip.wide, count, v);
    else if (at < gout.width)
      fetch_four(residual.data + at * n + column, 1, residual.wide, count, v);
  }
  __device__ void put(std::int64_t row, std::int64_t column, int count, C (&sum)[4]) const {
    using N = GateNumber<T>;
    const std::int64_t at = row * 2 * n + column;
    C t[4], s[4], more[4] = {};
    fetch_four(gates.data + at, 1, wide, count, t);
    fetch_four(gates.data + at + n, 1, wide, count, s);
    if (direct) fetch_four(direct + row * n + column, 1, false, count, more);
    Pack<T, 4> gt, gs, product;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      N to_u, to_v;
      gate_slopes<T>(N(sum[e] + more[e]), N(t[e]), N(s[e]), &to_u, &to_v);
      gt.v[e] = finish<T>(to_u), gs.v[e] = finish<T>(to_v), product.v[e] = store<T>(t[e] * s[e]);
    }
    if (wide && count == 4) {
      *reinterpret_cast<Pack<T, 4>*>(gu + at) = gt;
      *reinterpret_cast<Pack<T, 4>*>(gu + at + n) = gs;
      *reinterpret_cast<Pack<T, 4>*>(c + row * n + column) = product;
      return;
    }
    for (int e = 0; e < 4; ++e)
      if (e < count) gu[at + e] = gt.v[e], gu[at + n + e] = gs.v[e], c[row * n + column + e] = product.v[e];
  }
};

// ---- gx from gu, and from gout along the residual path --------------------------------------------------------------
template <class Type>
struct InputProblem : InputGradProblem<Type, 1> {
  using T = Type;
  using C = Compute<T>;
  const T* passed;
  std::int64_t before, steps;
  bool wide_passed;

  InputProblem(const WaveNetLayerGradArgs& a, const Sizes& s, const T* turned)
      : InputGradProblem<T, 1>(any_rank(Conv1dInputGradArgs{a.gu, a.weight, a.gx, dilated(a.shape)}), turned),
        passed(a.gout && a.residual ? a.gout.ptr<const T>() : nullptr),
        before(s.before),
        steps(s.steps),
        wide_passed(lie_by<T>(4, s.in, {passed})) {}

  __device__ void put(std::int64_t row, std::int64_t i, int count, C (&sum)[4]) const {
    std::int64_t step, batch = this->places[0](row, &step);
    if (passed && step >= before) {
      C more[4] = {};
      fetch_four(passed + (batch * steps + step - before) * this->n + i, 1, wide_passed, count, more);
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[e] += more[e];
    }
    InputGradProblem<T, 1>::put(row, i, count, sum);
  }
};

template <class T>
void input_gradient(const WaveNetLayerGradArgs& a, const Sizes& s) {
  if (!a.gx || a.gx.numel() == 0) return;
  const Scratch turned(a.x.device, static_cast<std::size_t>(a.weight.numel()) * sizeof(T));
  turn_weight<1>(a.weight, 1, WeightOrder::out_in, turned.as<void>());
  const InputProblem<T> p(a, s, turned.as<T>());
  solve_tiles(a.x.device, p, p.most_rows(), p.n, p.most_k(), 1);
}

template <class T>
void backward(const WaveNetLayerGradArgs& a) {
  const Sizes s(a);
  const Scratch product(a.x.device, static_cast<std::size_t>(s.rows() * s.channels) * sizeof(T));
  const SlopesProblem<T> p(a, s, product.as<T>());
  solve_tiles(a.x.device, p, p.m, p.n, p.k, 1);
  input_gradient<T>(a, s);
  const TensorView c = view_of(product.as<void>(), a.gates, s.channels);
  if (a.gweight) conv1d_weight_grad(a.x.device, {a.gu, a.x, a.gweight, dilated(a.shape)});
  residual_gradient(a, c), skip_gradient(a, c);
  bias_gradients(a);
}

}  // namespace

void by_tiles(const WaveNetLayerArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { forward<decltype(zero)>(a); });
}
void by_tiles(const WaveNetLayerGradArgs& a) {
  each_real_type(a.dtype(), [&](auto zero) { backward<decltype(zero)>(a); });
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer
