// Convolutions as products whose factors are read in place (tile.h): no copy of x is ever laid out. The weight is
// turned once per call, so that neighbours along the outputs lie together. Padding is real zeros, as in ref_conv.cpp.
#pragma once
#include <tapedeck/kernels/conv.h>
#include <tapedeck/kernels/cuda/divide.h>
#include <tapedeck/kernels/cuda/matmul.h>
#include <tapedeck/kernels/cuda/tile.h>
#include <tapedeck/kernels/precision.h>

#include <numeric>
#include <utility>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

// Whether products over time are for tiles that end in their sums (nullptr), or why not. With few terms to each sum the
// taps' products would spend their time on reading and writing y; the matrix units make up for that sooner.
inline const char* few_terms(const TensorView& x, const TensorView& w) {
  const bool units = x.dtype != DType::f32 || matmul_precision() == Precision::tf32;
  const std::int64_t terms = w.sizes[1] * w.sizes[2], least = std::min(w.sizes[0], w.sizes[1]);
  const bool many = units ? least >= 16 && terms >= 32 : least >= 32 && terms > 128;
  return many ? "many terms" : nullptr;
}

// The rows of a [batch, space…, channels] view of Space dimensions.
template <int Space>
struct Places {
  Divisor size[Space];
  std::int64_t step[Space], batch;  // elements

  explicit Places(const TensorView& v) : batch(v.strides[0]) {
    for (int d = 0; d < Space; ++d) size[d] = Divisor(v.sizes[1 + d]), step[d] = v.strides[1 + d];
  }
  // Where row number `row` is: its place in space; its batch is returned.
  __device__ std::int64_t find(std::int64_t row, std::int64_t (&at)[Space]) const {
    for (int d = Space - 1; d >= 0; --d) row = size[d](row, &at[d]);
    return row;
  }
  __device__ bool inside(const std::int64_t (&at)[Space]) const {
    bool all = true;
    for (int d = 0; d < Space; ++d)
      all = all && static_cast<std::uint64_t>(at[d]) < static_cast<std::uint64_t>(size[d].value());
    return all;
  }
  __device__ std::int64_t offset(const std::int64_t (&at)[Space]) const {
    std::int64_t sum = 0;
    for (int d = 0; d < Space; ++d) sum += at[d] * step[d];
    return sum;
  }
};
template <int Space>
std::int64_t rows_of(const TensorView& v) {
  std::int64_t n = v.sizes[0];
  for (int d = 0; d < Space; ++d) n *= v.sizes[1 + d];
  return n;
}

// Rows of four neighbouring channels in one access: `channels` of a group divide by four, and so do all strides.
template <class T, int Space>
bool rows_are_wide(const TensorView& v, std::int64_t channels) {
  bool wide = channels % 4 == 0 && aligned(v.data, 4 * sizeof(T)) && (v.sizes[0] == 1 || v.strides[0] % 4 == 0);
  for (int d = 0; d < Space; ++d) wide = wide && (v.sizes[1 + d] == 1 || v.strides[1 + d] % 4 == 0);
  return wide;
}

template <int Space>
std::int64_t taps_of(const TensorView& w) {
  std::int64_t n = 1;
  for (int d = 0; d < Space; ++d) n *= w.sizes[2 + d];
  return n;
}
// w [G O, I, K…] laid out as [G, K…, I, O], or as [G, K…, O, I].
enum class WeightOrder { in_out, out_in };
template <int Space>
void turn_weight(const TensorView& w, std::int64_t groups, WeightOrder order, void* to) {
  const std::int64_t out = w.sizes[0] / groups, in = w.sizes[1];
  TensorView from = w, y = w;
  from.rank = y.rank = Space + 3;
  from.sizes[0] = groups, from.strides[0] = w.strides[0] * out;
  for (int d = 0; d < Space; ++d) from.sizes[1 + d] = w.sizes[2 + d], from.strides[1 + d] = w.strides[2 + d];
  const int i = Space + (order == WeightOrder::in_out ? 1 : 2), o = Space + (order == WeightOrder::in_out ? 2 : 1);
  from.sizes[i] = in, from.strides[i] = w.strides[1], from.sizes[o] = out, from.strides[o] = w.strides[0];
  std::int64_t step = 1;
  for (int d = y.rank - 1; d >= 0; --d) y.sizes[d] = from.sizes[d], y.strides[d] = step, step *= from.sizes[d];
  y.data = to;
  lay_out(from, y);
}

// ---- y[row, o] = sum over (tap, i) of x[row's place * stride + tap * dilation - pad, i] * w[o, i, tap] --------------
template <class Type, int Space>
struct ForwardProblem {
  using T = Type;
  using C = Compute<T>;
  static constexpr bool kLean = Space == 1;
  struct LineA {
    const T* x;
    std::int64_t at[Space];
  };
  using LineB = const T*;

  std::int64_t m, n, k, entered = 0;
  Places<Space> from, to;
  Divisor in, taps[Space];
  std::int64_t stride[Space], dilation[Space], pad[Space];
  const T *x, *w, *bias;
  T* y;
  std::int64_t bias_step;
  bool add, wide_x, wide_w, wide_y;

  ForwardProblem(const ConvArgs& a, const T* turned)
      : m(rows_of<Space>(a.y)),
        n(a.w.sizes[0] / a.shape.groups),
        k(taps_of<Space>(a.w) * a.w.sizes[1]),
        from(a.x),
        to(a.y),
        in(a.w.sizes[1]),
        x(a.x.ptr<const T>()),
        w(turned),
        bias(a.bias ? a.bias.ptr<const T>() : nullptr),
        y(a.y.ptr<T>()),
        bias_step(a.bias ? a.bias.strides[0] : 0),
        add(a.beta != 0),
        wide_x(rows_are_wide<T, Space>(a.x, a.w.sizes[1])),
        wide_w(n % 4 == 0),
        wide_y(rows_are_wide<T, Space>(a.y, n)) {
    for (int d = 0; d < Space; ++d) {
      taps[d] = Divisor(a.w.sizes[2 + d]);
      stride[d] = a.shape.stride[d], dilation[d] = a.shape.dilation[d], pad[d] = a.shape.pad[d];
    }
  }
  __device__ bool a_along_k() const { return true; }
  __device__ bool b_along_k() const { return false; }
  __device__ void enter(std::int64_t group) {
    const std::int64_t moved = group - entered;
    x += moved * in.value(), w += moved * k * n, y += moved * n, bias += bias ? moved * n * bias_step : 0;
    entered = group;
  }
  __device__ LineA a_line(std::int64_t row) const {
    LineA line;
    line.x = x + to.find(row, line.at) * from.batch;
    for (int d = 0; d < Space; ++d) line.at[d] = line.at[d] * stride[d] - pad[d];
    return line;
  }
  __device__ const T* place(const LineA& line, std::int64_t tap) const {  // nullptr: in the padding
    std::int64_t at[Space];
    if constexpr (Space == 1) {
      at[0] = tap;
    } else {
      for (int d = Space - 1; d >= 0; --d) tap = taps[d](tap, &at[d]);
    }
    for (int d = 0; d < Space; ++d) at[d] = line.at[d] + at[d] * dilation[d];
    return from.inside(at) ? line.x + from.offset(at) : nullptr;
  }
  __device__ void a(const LineA& line, std::int64_t at, int count, C (&out)[4]) const {
    std::int64_t i, tap = in(at, &i);
    const T* row = place(line, tap);
    if (wide_x) {
      if (row) fetch_four(row + i, 1, true, count, out);
      return;
    }
    for (int e = 0; e < 4; ++e) {
      if (e >= count) return;
      if (row) out[e] = load(row[i]);
      if (++i == in.value()) {
        i = 0;
        if (e + 1 < count) row = place(line, ++tap);
      }
    }
  }
  __device__ LineB b_line(std::int64_t o) const { return w + o; }
  __device__ void b(LineB line, std::int64_t at, int count, C (&out)[4]) const {
    fetch_four(line + at * n, 1, wide_w, count, out);
  }
  __device__ void put(std::int64_t row, std::int64_t o, int count, C (&sum)[4]) const {
    std::int64_t at[Space];
    const std::int64_t batch = to.find(row, at);
    put_four(y + batch * to.batch + to.offset(at) + o, bias ? bias + o * bias_step : nullptr, bias_step, add, wide_y,
             count, sum);
  }
};

template <class T, int Space>
void forward_tiles(const ConvArgs& a) {
  if (a.y.numel() == 0) return;
  const Scratch turned(a.y.device, static_cast<std::size_t>(a.w.numel()) * sizeof(T));
  turn_weight<Space>(a.w, a.shape.groups, WeightOrder::in_out, turned.as<void>());
  const ForwardProblem<T, Space> p(a, turned.as<T>());
  solve_tiles(a.y.device, p, p.m, p.n, p.k, a.shape.groups);
}

// ---- gx[place, i] = sum over (tap, o) of gy[(place + pad - tap * dilation) / stride, o] * w[o, i, tap] --------------
// The places first, first + stride, … of gx meet the same taps: every (dilation's and stride's) common measure-th of
// them from one on. One problem for each first place and group.
struct Phases {
  std::int64_t stride = 1, dilation = 1, pad = 0, size = 0, taps = 1;  // size: of gx
  std::int64_t common = 1, inverse = 0;                                // inverse of dilation / common modulo tap_step
  std::int64_t count = 1, tap_step = 1;                                // phases; from one met tap to the next

  Phases() = default;
  Phases(std::int64_t stride_, std::int64_t dilation_, std::int64_t pad_, std::int64_t size_, std::int64_t taps_)
      : stride(stride_), dilation(dilation_), pad(pad_), size(size_), taps(taps_) {
    common = std::gcd(stride, dilation), tap_step = stride / common, count = std::min(stride, size);
    std::int64_t r = tap_step, next = dilation / common % tap_step, t = 0, t_next = 1;  // Euclid's
    while (next != 0) {
      const std::int64_t q = r / next;
      r = std::exchange(next, r - q * next), t = std::exchange(t_next, t - q * t_next);
    }
    inverse = tap_step == 1 ? 0 : (t % tap_step + tap_step) % tap_step;
  }
  struct Phase {
    std::int64_t places, taps, first_tap;
    std::int64_t start;  // of the place `first`: the row of gy that its first tap meets; one more for each place
  };
  TD_HD Phase phase(std::int64_t first) const {
    Phase p{(size - first - 1) / stride + 1, 0, 0, 0};
    const std::int64_t residue = ((first + pad) % stride + stride) % stride;
    if (residue % common != 0) return p;
    const std::int64_t some = residue / common % tap_step;
    p.first_tap = tap_step < 2 ? 0 : multiply(some, inverse);
    if (p.first_tap < taps) p.taps = (taps - 1 - p.first_tap) / tap_step + 1;
    p.start = p.taps ? (first + pad - p.first_tap * dilation) / stride : 0;
    return p;
  }
  std::int64_t most_places() const { return size == 0 ? 0 : (size - 1) / stride + 1; }
  std::int64_t most_taps() const { return (taps - 1) / tap_step + 1; }

 private:
  // a * b modulo tap_step, which may be large.
  TD_HD std::int64_t multiply(std::int64_t a, std::int64_t b) const {
    if (tap_step < (std::int64_t{1} << 31)) return a * b % tap_step;
    std::int64_t sum = 0;
    for (; b > 0; b /= 2, a = a * 2 % tap_step)
      if (b % 2 != 0) sum = (sum + a) % tap_step;
    return sum;
  }
};

template <class Type, int Space>
struct InputGradProblem {
  using T = Type;
  using C = Compute<T>;
  static constexpr bool kLean = Space == 1;
  struct LineA {
    const T* gy;
    std::int64_t at[Space];
  };
  using LineB = const T*;

  std::int64_t m = 0, n, k = 0, groups, batch, entered = -1;
  Places<Space> from, to;
  Phases phases[Space];
  Phases::Phase now[Space];
  std::int64_t first[Space];
  Divisor out, places[Space], taps[Space];
  std::int64_t all_taps;
  const T *gy, *w, *bias;
  T* gx;
  std::int64_t bias_step, group = 0;
  bool add, wide_gy, wide_w, wide_gx;

  InputGradProblem(const ConvInputGradArgs& a, const T* turned)
      : n(a.w.sizes[1]),
        groups(a.shape.groups),
        batch(a.gx.sizes[0]),
        from(a.gy),
        to(a.gx),
        out(a.w.sizes[0] / a.shape.groups),
        all_taps(taps_of<Space>(a.w)),
        gy(a.gy.ptr<const T>()),
        w(turned),
        bias(a.bias ? a.bias.ptr<const T>() : nullptr),
        gx(a.gx.ptr<T>()),
        bias_step(a.bias ? a.bias.strides[0] : 0),
        add(a.beta != 0),
        wide_gy(rows_are_wide<T, Space>(a.gy, a.w.sizes[0] / a.shape.groups)),
        wide_w(n % 4 == 0),
        wide_gx(rows_are_wide<T, Space>(a.gx, n)) {
    for (int d = 0; d < Space; ++d)
      phases[d] = Phases(a.shape.stride[d], a.shape.dilation[d], a.shape.pad[d], a.gx.sizes[1 + d], a.w.sizes[2 + d]);
  }
  std::int64_t problems() const {
    std::int64_t all = groups;
    for (const Phases& p : phases) all *= p.count;
    return all;
  }
  std::int64_t most_rows() const {
    std::int64_t rows = batch;
    for (const Phases& p : phases) rows *= p.most_places();
    return rows;
  }
  std::int64_t most_k() const {
    std::int64_t all = out.value();
    for (const Phases& p : phases) all *= p.most_taps();
    return all;
  }

  __device__ bool a_along_k() const { return true; }
  __device__ bool b_along_k() const { return false; }
  __device__ void enter(std::int64_t z) {
    group = z % groups, z /= groups;
    m = batch, k = out.value();
    for (int d = Space - 1; d >= 0; --d) {
      first[d] = z % phases[d].count, z /= phases[d].count;
      now[d] = phases[d].phase(first[d]);
      places[d] = Divisor(now[d].places), taps[d] = Divisor(now[d].taps);
      m *= now[d].places, k *= now[d].taps;
    }
  }
  __device__ LineA a_line(std::int64_t row) const {
    LineA line;
    for (int d = Space - 1; d >= 0; --d) {
      row = places[d](row, &line.at[d]);
      line.at[d] += now[d].start;
    }
    line.gy = gy + row * from.batch + group * out.value();
    return line;
  }
  __device__ const T* place(const LineA& line, std::int64_t tap) const {
    std::int64_t at[Space];
    for (int d = Space - 1; d >= 0; --d) {
      if constexpr (Space == 1)
        at[d] = tap;
      else
        tap = taps[d](tap, &at[d]);
      at[d] = line.at[d] - at[d] * (phases[d].dilation / phases[d].common);
    }
    return from.inside(at) ? line.gy + from.offset(at) : nullptr;
  }
  __device__ void a(const LineA& line, std::int64_t at, int count, C (&v)[4]) const {
    std::int64_t o, tap = out(at, &o);
    const T* row = place(line, tap);
    if (wide_gy) {
      if (row) fetch_four(row + o, 1, true, count, v);
      return;
    }
    for (int e = 0; e < 4; ++e) {
      if (e >= count) return;
      if (row) v[e] = load(row[o]);
      if (++o == out.value()) {
        o = 0;
        if (e + 1 < count) row = place(line, ++tap);
      }
    }
  }
  __device__ LineB b_line(std::int64_t i) const { return w + group * all_taps * out.value() * n + i; }
  __device__ void b(LineB line, std::int64_t at, int count, C (&v)[4]) const {
    std::int64_t o, tap = out(at, &o), full = 0;
    if constexpr (Space == 1) {
      full = now[0].first_tap + tap * phases[0].tap_step;
    } else {
      std::int64_t scale = 1;
      for (int d = Space - 1; d >= 0; --d) {
        std::int64_t here;
        tap = taps[d](tap, &here);
        full += (now[d].first_tap + here * phases[d].tap_step) * scale, scale *= phases[d].taps;
      }
    }
    fetch_four(line + (full * out.value() + o) * n, 1, wide_w, count, v);
  }
  __device__ void put(std::int64_t row, std::int64_t i, int count, C (&sum)[4]) const {
    std::int64_t at[Space];
    for (int d = Space - 1; d >= 0; --d) {
      row = places[d](row, &at[d]);
      at[d] = first[d] + at[d] * phases[d].stride;
    }
    const std::int64_t channel = group * n + i;
    put_four(gx + row * to.batch + to.offset(at) + channel, bias ? bias + channel * bias_step : nullptr, bias_step, add,
             wide_gx, count, sum);
  }
};

template <class T, int Space>
void input_grad_tiles(const ConvInputGradArgs& a) {
  if (a.gx.numel() == 0) return;
  const Scratch turned(a.gx.device, static_cast<std::size_t>(a.w.numel()) * sizeof(T));
  turn_weight<Space>(a.w, a.shape.groups, WeightOrder::out_in, turned.as<void>());
  const InputGradProblem<T, Space> p(a, turned.as<T>());
  solve_tiles(a.gx.device, p, p.most_rows(), p.n, p.most_k(), p.problems());
}

// ---- gw[o, i, tap] = sum over rows of gy[row, o] * x[row's place * stride + tap * dilation - pad, i] ----------------
template <class Type, int Space>
struct WeightGradProblem {
  using T = Type;
  using C = Compute<T>;
  static constexpr bool kLean = Space == 1;
  using LineA = const T*;
  struct LineB {
    std::int64_t n, at[Space];
    const T* x;
  };

  std::int64_t m, n, k, group = 0;
  Places<Space> from, rows;
  Divisor in, taps[Space];
  std::int64_t stride[Space], dilation[Space], pad[Space], gw_tap[Space], gw_out, gw_in;
  const T *x, *gy;
  T* gw;
  bool add, wide_x, wide_gy;

  explicit WeightGradProblem(const ConvWeightGradArgs& a)
      : m(a.gw.sizes[0] / a.shape.groups),
        n(taps_of<Space>(a.gw) * a.gw.sizes[1]),
        k(rows_of<Space>(a.gy)),
        from(a.x),
        rows(a.gy),
        in(a.gw.sizes[1]),
        gw_out(a.gw.strides[0]),
        gw_in(a.gw.strides[1]),
        x(a.x.ptr<const T>()),
        gy(a.gy.ptr<const T>()),
        gw(a.gw.ptr<T>()),
        add(a.beta != 0),
        wide_x(rows_are_wide<T, Space>(a.x, a.gw.sizes[1])),
        wide_gy(rows_are_wide<T, Space>(a.gy, m)) {
    for (int d = 0; d < Space; ++d) {
      taps[d] = Divisor(a.gw.sizes[2 + d]), gw_tap[d] = a.gw.strides[2 + d];
      stride[d] = a.shape.stride[d], dilation[d] = a.shape.dilation[d], pad[d] = a.shape.pad[d];
    }
  }
  __device__ bool a_along_k() const { return false; }
  __device__ bool b_along_k() const { return false; }
  __device__ void enter(std::int64_t z) { group = z; }
  __device__ LineA a_line(std::int64_t o) const { return gy + group * m + o; }
  __device__ void a(LineA line, std::int64_t row, int count, C (&out)[4]) const {
    std::int64_t at[Space];
    const std::int64_t batch = rows.find(row, at);
    fetch_four(line + batch * rows.batch + rows.offset(at), 1, wide_gy, count, out);
  }
  __device__ LineB b_line(std::int64_t column) const {
    LineB line;
    line.n = column;
    std::int64_t i, tap = in(column, &i);
    line.x = x + group * in.value() + i;
    for (int d = Space - 1; d >= 0; --d) {
      tap = taps[d](tap, &line.at[d]);
      line.at[d] = line.at[d] * dilation[d] - pad[d];
    }
    return line;
  }
  __device__ const T* place(const LineB& line, std::int64_t batch, const std::int64_t (&row)[Space]) const {
    std::int64_t at[Space];
    for (int d = 0; d < Space; ++d) at[d] = row[d] * stride[d] + line.at[d];
    return from.inside(at) ? line.x + batch * from.batch + from.offset(at) : nullptr;
  }
  __device__ void b(const LineB& line, std::int64_t row, int count, C (&out)[4]) const {
    std::int64_t at[Space];
    const std::int64_t batch = rows.find(row, at);
    const T* p = place(line, batch, at);
    if (wide_x) {
      if (p) fetch_four(p, 1, true, count, out);
      return;
    }
    for (int e = 0; e < 4; ++e) {
      if (e >= count) return;
      if (e > 0) p = place(b_line(line.n + e), batch, at);
      if (p) out[e] = load(*p);
    }
  }
  __device__ void put(std::int64_t o, std::int64_t column, int count, C (&sum)[4]) const {
    for (int e = 0; e < 4; ++e) {
      if (e >= count) return;
      std::int64_t i, tap = in(column + e, &i);
      std::int64_t offset = (group * m + o) * gw_out + i * gw_in;
      for (int d = Space - 1; d >= 0; --d) {
        std::int64_t at;
        tap = taps[d](tap, &at);
        offset += at * gw_tap[d];
      }
      if (add) sum[e] += load(gw[offset]);
      gw[offset] = store<T>(sum[e]);
    }
  }
};

template <class T, int Space>
void weight_grad_tiles(const ConvWeightGradArgs& a) {
  if (a.gw.numel() == 0) return;
  const WeightGradProblem<T, Space> p(a);
  solve_tiles(a.gw.device, p, p.m, p.n, p.k, a.shape.groups);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
