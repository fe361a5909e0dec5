// Convolutions over time as products (units.h, chains.h) for f32, bf16 and f16 whose channels come in eights: rows of x
// are found where they lie, and sums stay in f32 until they are whole.
#pragma once
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/cuda/chains.h>
#include <tapedeck/kernels/cuda/conv_tiles.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units {

template <class T>
using Eight = Pack<T, 8>;
template <class T>
__device__ inline Eight<T> eight_at(const T* p) {
  return *reinterpret_cast<const Eight<T>*>(p);
}
template <class F>
void each_type(DType t, F&& f) {
  if (t == DType::f32) return f(float());
  t == DType::bf16 ? f(BFloat16()) : f(Float16());
}
// Rows of eights that a thread reads at a time.
template <class T>
inline constexpr int kRowsAhead = sizeof(T) == 4 ? 1 : 2;

// Which sequence row m of [batch, steps] is in, and at which step.
struct RowPlace {
  Divisor steps;
  __device__ int operator()(int m, int* step) const {
    const int batch = static_cast<int>(steps.small(static_cast<std::uint32_t>(m)));
    *step = m - batch * static_cast<int>(steps.value());
    return batch;
  }
};
// [batch, time, channels] whose channels lie together.
template <class T>
struct Sequences {
  T* data = nullptr;
  std::int64_t batch_step = 0, row_step = 0;
  Sequences() = default;
  explicit Sequences(const TensorView& v) : data(v ? v.ptr<T>() : nullptr) {
    if (v) batch_step = v.strides[0], row_step = v.strides[1];
  }
  __device__ T* row(int batch, int step) const { return data + batch * batch_step + step * row_step; }
};
// The taps of a row, side by side: of rows `from` [batch, steps, width], `dilation` steps apart (of either sign).
template <class T>
struct TapRows {
  struct Line {
    const T* sequence;
    int at;
  };
  Sequences<const T> from;
  int steps, dilation, width;
  Divisor across;

  TapRows(const TensorView& v, std::int64_t dilation_)
      : from(v),
        steps(static_cast<int>(v.sizes[1])),
        dilation(static_cast<int>(dilation_)),
        width(static_cast<int>(v.sizes[2])),
        across(v.sizes[2]) {}
  __device__ Line line(int batch, int at) const { return {from.row(batch, 0), at}; }
  __device__ const T* find(const Line& line, int k) const {
    const int tap = static_cast<int>(across.small(static_cast<std::uint32_t>(k))), at = line.at + tap * dilation;
    return static_cast<unsigned>(at) < static_cast<unsigned>(steps)
               ? line.sequence + at * from.row_step + (k - tap * width)
               : nullptr;
  }
};
// Eight neighbours of a bias; zeros where there is none.
template <class T>
struct BiasRow {
  const T* data;
  std::int64_t step;
  explicit BiasRow(const TensorView& b) : data(b ? b.ptr<const T>() : nullptr), step(b ? b.strides[0] : 0) {}
  __device__ float at(int n) const { return data ? load(data[n * step]) : 0; }
};
struct Biases {
  float v[8];
};
template <class T>
__device__ inline Biases eight_of(const BiasRow<T>& bias, int n) {
  Biases b;
#pragma unroll
  for (int e = 0; e < 8; ++e) b.v[e] = bias.at(n + e);
  return b;
}

// y [rows, n] = rows of taps times w [taps, width, n], + the rows of `add` from step `first` on, + bias. Also the
// gradient of x: its taps are those of gy, the other way.
template <class Type>
struct TapsProblem {
  using T = Type;
  using Line = typename TapRows<T>::Line;
  using Columns = Biases;
  using More = Eight<T>;
  static constexpr int kAhead = kRowsAhead<T>;
  int m, n, k, stride, start, first = 0;  // the first tap of step t is at t * stride + start
  RowPlace place;
  TapRows<T> taps;
  const T* w;
  BiasRow<T> bias;
  Sequences<T> y;
  Sequences<const T> add;

  TapsProblem(const TensorView& from, std::int64_t count, std::int64_t dilation, std::int64_t stride_,
              std::int64_t start_, const T* packed, const TensorView& bias_, const TensorView& to, double beta)
      : m(static_cast<int>(to.sizes[0] * to.sizes[1])),
        n(static_cast<int>(to.sizes[2])),
        k(static_cast<int>(count * from.sizes[2])),
        stride(static_cast<int>(stride_)),
        start(static_cast<int>(start_)),
        place{Divisor(to.sizes[1])},
        taps(from, dilation),
        w(packed),
        bias(bias_),
        y(to) {
    if (beta != 0) add = Sequences<const T>(to);
  }
  __device__ Line line(int row) const {
    int step;
    const int batch = place(row, &step);
    return taps.line(batch, step * stride + start);
  }
  __device__ const T* a(const Line& line, int at) const { return taps.find(line, at); }
  __device__ const T* b(int row, int column) const { return w + std::int64_t{row} * n + column; }
  __device__ Columns columns(int column) const { return eight_of(bias, column); }
  __device__ More more(int row, int column) const {
    int step;
    const int batch = place(row, &step);
    return add.data && step >= first ? eight_at(add.row(batch, step - first) + column) : More{};
  }
  __device__ void put(int row, int column, const Columns& b, const More& more, const float (&sum)[8]) const {
    int step;
    const int batch = place(row, &step);
    Eight<T> out;
#pragma unroll
    for (int e = 0; e < 8; ++e) out.v[e] = store<T>(sum[e] + load(more.v[e]) + b.v[e]);
    put_pack(y.row(batch, step) + column, out);
  }
};

// ---- gw[o, i, tap] = sum over rows of gy[row, o] * x[row's step * stride + tap * dilation - pad, i] -----------------
// In parts: each leaves its sums, then the sums of gy's columns.
template <class Type>
struct WeightProblem {
  using T = Type;
  using Turned = void;
  struct Line {};
  struct Columns {};
  struct More {};
  static constexpr int kAhead = 1;
  int m, n, k, length, stride, start;
  bool wants_rows;
  RowPlace place;
  Sequences<const T> gy;
  TapRows<T> taps;
  float* parts;

  WeightProblem(const Conv1dWeightGradArgs& g, bool with_bias, std::int64_t part, float* to)
      : m(static_cast<int>(g.gy.sizes[2])),
        n(static_cast<int>(g.gw.sizes[2] * g.x.sizes[2])),
        k(static_cast<int>(g.gy.sizes[0] * g.gy.sizes[1])),
        length(static_cast<int>(part)),
        stride(static_cast<int>(g.shape.stride)),
        start(static_cast<int>(-g.shape.pad_left)),
        wants_rows(with_bias),
        place{Divisor(g.gy.sizes[1])},
        gy(g.gy),
        taps(g.x, g.shape.dilation),
        parts(to) {}
  __device__ const T* a(int row, int o) const {
    int step;
    const int batch = place(row, &step);
    return gy.row(batch, step) + o;
  }
  __device__ const T* b(int row, int column) const {
    int step;
    const int batch = place(row, &step);
    return taps.find(taps.line(batch, step * stride + start), column);
  }
  __device__ float* part() const { return parts + std::int64_t{blockIdx.y} * m * (n + wants_rows); }
  __device__ Columns columns(int) const { return {}; }
  __device__ More more(int, int) const { return {}; }
  __device__ void put(int o, int column, const Columns&, const More&, const float (&sum)[8]) const {
    float* const to = part() + std::int64_t{o} * n + column;
    put_pack(to, Pack<float, 4>{{sum[0], sum[1], sum[2], sum[3]}});
    put_pack(to + 4, Pack<float, 4>{{sum[4], sum[5], sum[6], sum[7]}});
  }
  __device__ void put_row(int o, float sum) const { part()[std::int64_t{m} * n + o] = sum; }
};

inline constexpr int kJoined = 32;  // neighbours that a block joins: so many threads for every eighth part
template <class T>
__global__ void __launch_bounds__(8 * kJoined)
    join_weights_kernel(const float* parts, int count, int m, int n, Divisor in, T* gw, std::int64_t out_step,
                        std::int64_t in_step, std::int64_t tap_step, bool add, T* gbias, std::int64_t bias_step) {
  __shared__ float sums[8][kJoined];
  const std::int64_t weights = std::int64_t{m} * n, each = weights + (gbias ? m : 0);
  const std::int64_t at = std::int64_t{blockIdx.x} * kJoined + threadIdx.x;
  float sum = 0;
  if (at < each)
#pragma unroll 4
    for (int p = static_cast<int>(threadIdx.y); p < count; p += 8) sum += parts[p * each + at];
  sums[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || at >= each) return;
  for (int y = 1; y < 8; ++y) sum += sums[y][threadIdx.x];
  if (at >= weights) {
    gbias[(at - weights) * bias_step] = store<T>(sum);
    return;
  }
  std::int64_t i;
  const std::int64_t o = at / n, tap = in(at % n, &i);
  T& to = gw[o * out_step + i * in_step + tap * tap_step];
  to = store<T>(add ? sum + load(to) : sum);
}

// gw, and the sum of gy's rows where gbias is given.
template <class T>
void weight_gradient(const Conv1dWeightGradArgs& g, const TensorView& gbias) {
  const Device d = g.gw.device;
  const std::int64_t m = g.gy.sizes[2], n = g.gw.sizes[2] * g.x.sizes[2], rows = g.gy.sizes[0] * g.gy.sizes[1];
  const std::int64_t tiles = ceil_div(m, kRows) * ceil_div(n, n % 128 == 0 ? 128 : 64);
  // Blocks for every multiprocessor, two where their parts are small beside what they read. No part is so long that its
  // sums, which the matrix units round down, would show it.
  const std::int64_t wanted = std::max<std::int64_t>(1, (tiles > 8 ? 2 : 1) * limits(d).multiprocessors / tiles);
  const std::int64_t fair = ceil_div(ceil_div(rows, std::min(wanted, ceil_div(rows, 256))), 32) * 32;
  const std::int64_t length = std::min<std::int64_t>(fair, 1 << 15);
  const std::int64_t parts = ceil_div(rows, length), each = m * n + (gbias ? m : 0);
  const Scratch sums(d, static_cast<std::size_t>(parts * each) * sizeof(float));
  solve(d, WeightProblem<T>(g, gbias.given(), length, sums.as<float>()));
  Launch l;
  l.grid[0] = static_cast<unsigned>(ceil_div(each, kJoined)), l.block[0] = kJoined, l.block[1] = 8;
  launch(d, l, join_weights_kernel<T>, sums.as<float>(), static_cast<int>(parts), static_cast<int>(m),
         static_cast<int>(n), Divisor(g.x.sizes[2]), g.gw.ptr<T>(), g.gw.strides[0], g.gw.strides[1], g.gw.strides[2],
         g.beta != 0, gbias ? gbias.ptr<T>() : nullptr, gbias ? gbias.strides[0] : 0);
}

// Why rows [batch, time, channels] are not for these; nullptr: they are.
inline const char* rows_in_eights(const TensorView& v) {
  if (!is_real(v.dtype) || v.dtype == DType::f64) return "dtype is not f32, bf16 or f16";
  if (v.dtype == DType::f32 && matmul_precision() == Precision::tf32) return "TF32 is asked for";
  if (v.sizes[2] % 8 != 0 || (v.sizes[2] > 1 && v.strides[2] != 1)) return "channels that are no multiples of 8";
  if (!aligned(v.data, 8 * size_of(v.dtype)) || (v.sizes[1] > 1 && v.strides[1] % 8 != 0) ||
      (v.sizes[0] > 1 && v.strides[0] % 8 != 0))
    return "rows that are not aligned";
  return nullptr;
}
// The same of a convolution from x to y with w.
inline const char* takes(const TensorView& x, const TensorView& y, const TensorView& w, const Conv1dShape& s) {
  constexpr std::int64_t kMost = 0x1fffffff;  // the sum of three is a place in time
  if (s.groups != 1) return "groups";
  for (const TensorView* v : {&x, &y}) {
    if (const char* why = rows_in_eights(*v)) return why;
    if (v->numel() == 0) return "no terms";
    if (v->sizes[0] * v->sizes[1] > kMost) return "sizes beyond 31 bits";
  }
  const std::int64_t taps = w.sizes[2], wide = std::max(x.sizes[2], y.sizes[2]);
  if (taps * wide > kMost || taps * s.dilation > kMost || y.sizes[1] > kMost / s.stride || s.pad_left > kMost ||
      s.pad_left < -kMost || w.numel() == 0)
    return "sizes beyond 31 bits";
  return nullptr;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::units
