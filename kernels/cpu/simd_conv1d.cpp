// Convolutions as fixed-order matrix products (simd_gemm.h): rows are gathered from the taps, a panel at a time.
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>

#include <algorithm>

namespace tapedeck::kernels {
namespace {

using simd::Gemm;
using std::int64_t;

// The im2col matrix of a sequence [batch, time, channels], never stored whole: row r is output position r % rows of
// sequence r / rows, column tap * channels + i is channel i at time (position * step + tap * tap_step + first) /
// divisor, zero where that is not a whole number or outside of the sequence.
struct Taps final : simd::Source {
  const float* data;
  int64_t batch_stride, time_stride, time, channels;
  int64_t rows, step, tap_step, first, divisor;

  void copy(int64_t batch, int64_t r0, int64_t r1, int64_t c0, int64_t c1, float* to, int64_t ld) const override {
    int64_t sequence = batch + r0 / rows, position = r0 % rows;
    for (int64_t r = r0; r < r1; ++r, to += ld) {
      int64_t tap = c0 / channels, i = c0 % channels;
      float* end = to;
      for (int64_t left = c1 - c0; left > 0; ++tap, i = 0) {
        const int64_t count = std::min(left, channels - i);
        int64_t at = position * step + tap * tap_step + first;
        const bool whole = divisor == 1 || at % divisor == 0;
        if (divisor != 1) at = at < 0 ? -1 : at / divisor;
        if (whole && at >= 0 && at < time) {
          std::copy_n(data + sequence * batch_stride + at * time_stride + i, count, end);
        } else {
          std::fill_n(end, count, 0.0f);
        }
        end += count, left -= count;
      }
      if (++position == rows) position = 0, ++sequence;
    }
  }
};

// A weight [out, in, taps] seen as a matrix: row tap * inner + i, column j.
struct Weight final : simd::Source {
  const float* data;
  int64_t inner, inner_stride, tap_stride, column_stride;

  void copy(int64_t, int64_t r0, int64_t r1, int64_t c0, int64_t c1, float* to, int64_t ld) const override {
    for (int64_t c = c0; c < c1; ++c, ++to) {
      const float* column = data + c * column_stride;
      int64_t tap = r0 / inner, i = r0 % inner;
      float* end = to;
      for (int64_t r = r0; r < r1; ++r, end += ld) {
        *end = column[i * inner_stride + tap * tap_stride];
        if (++i == inner) i = 0, ++tap;
      }
    }
  }
};

// Rows (sequence, position) of a [batch, time, channels] view as rows of one matrix: one product for all sequences
// where the view's strides allow it, else one per sequence.
void set_rows(Gemm& g, const TensorView& y, int64_t first_channel) {
  const bool one = y.sizes[0] == 1 || y.strides[0] == y.sizes[1] * y.strides[1];
  g.batches = one ? 1 : y.sizes[0];
  g.m = one ? y.sizes[0] * y.sizes[1] : y.sizes[1];
  g.y = y.ptr<float>() + first_channel;
  g.y_row = y.strides[1], g.y_batch = y.strides[0];
}

// Output gradients [batch, time, channels] as a matrix of rows (batch, time), where no single stride leads through
// them.
struct Rows final : simd::Source {
  const float* data;
  int64_t batch_stride, time_stride, time;

  void copy(int64_t, int64_t r0, int64_t r1, int64_t c0, int64_t c1, float* to, int64_t ld) const override {
    for (int64_t r = r0; r < r1; ++r, to += ld)
      std::copy_n(data + r / time * batch_stride + r % time * time_stride + c0, c1 - c0, to);
  }
};

// Lays a finished block [out, tap * in + i] into the weight gradient.
struct WeightSink final : simd::Sink {
  float* data;
  int64_t in, out_stride, in_stride, tap_stride;
  bool add;

  void put(int64_t i0, int64_t i1, int64_t j0, int64_t j1, const float* from, int64_t ld) const override {
    for (int64_t o = i0; o < i1; ++o, from += ld) {
      for (int64_t j = j0; j < j1; ++j) {
        float& to = data[o * out_stride + j % in * in_stride + j / in * tap_stride];
        to = add ? from[j - j0] + to : from[j - j0];
      }
    }
  }
};

}  // namespace

void simd_conv1d(const Conv1dArgs& args) {
  const TensorView &x = args.x, &w = args.w, &y = args.y;
  const Conv1dShape& s = args.shape;
  const int64_t in = w.sizes[1], taps = w.sizes[2], out = w.sizes[0] / s.groups;
  if (y.numel() == 0) return;
  for (int64_t group = 0; group < s.groups; ++group) {
    Gemm g;
    set_rows(g, y, group * out);
    g.n = out, g.k = taps * in;
    Taps rows;
    rows.data = x.ptr<const float>() + group * in;
    rows.batch_stride = x.strides[0], rows.time_stride = x.strides[1], rows.time = x.sizes[1], rows.channels = in;
    rows.rows = y.sizes[1], rows.step = s.stride, rows.tap_step = s.dilation, rows.first = -s.pad_left,
    rows.divisor = 1;
    Weight columns;
    columns.data = w.ptr<const float>() + group * out * w.strides[0];
    columns.inner = in, columns.inner_stride = w.strides[1], columns.tap_stride = w.strides[2];
    columns.column_stride = w.strides[0];
    // One tap inside of x is a plain matrix product on strided rows.
    const bool inside = taps == 1 && s.pad_left == 0 && (y.sizes[1] - 1) * s.stride < x.sizes[1];
    if (inside && (g.batches > 1 || x.sizes[0] == 1 || x.strides[0] == y.sizes[1] * s.stride * x.strides[1])) {
      g.a = {rows.data, s.stride * x.strides[1], 1, x.strides[0], nullptr};
      g.b = {columns.data, w.strides[1], w.strides[0], 0, nullptr};
    } else {
      g.a.source = &rows, g.b.source = &columns;
    }
    g.add_to_y = args.beta != 0;
    if (args.bias) {
      g.bias = args.bias.ptr<const float>() + group * out * args.bias.strides[0];
      g.bias_stride = args.bias.strides[0];
    }
    simd::gemm(g);
  }
}

void simd_conv1d_input_grad(const Conv1dInputGradArgs& args) {
  const TensorView &gy = args.gy, &w = args.w, &gx = args.gx;
  const Conv1dShape& s = args.shape;
  const int64_t in = w.sizes[1], taps = w.sizes[2], out = w.sizes[0] / s.groups;
  if (gx.numel() == 0) return;
  for (int64_t group = 0; group < s.groups; ++group) {
    Gemm g;
    set_rows(g, gx, group * in);
    g.n = in, g.k = taps * out;
    Taps rows;
    rows.data = gy.ptr<const float>() + group * out;
    rows.batch_stride = gy.strides[0], rows.time_stride = gy.strides[1], rows.time = gy.sizes[1], rows.channels = out;
    rows.rows = gx.sizes[1], rows.step = 1, rows.tap_step = -s.dilation, rows.first = s.pad_left,
    rows.divisor = s.stride;
    Weight columns;
    columns.data = w.ptr<const float>() + group * out * w.strides[0];
    columns.inner = out, columns.inner_stride = w.strides[0], columns.tap_stride = w.strides[2];
    columns.column_stride = w.strides[1];
    g.a.source = &rows, g.b.source = &columns;
    g.add_to_y = args.beta != 0;
    simd::gemm(g);
  }
}

void simd_conv1d_weight_grad(const Conv1dWeightGradArgs& args) {
  const TensorView &gy = args.gy, &x = args.x, &gw = args.gw;
  const Conv1dShape& s = args.shape;
  const int64_t in = gw.sizes[1], taps = gw.sizes[2], out = gw.sizes[0] / s.groups;
  if (gw.numel() == 0) return;
  for (int64_t group = 0; group < s.groups; ++group) {
    Gemm g;
    g.m = out, g.n = taps * in, g.k = gy.sizes[0] * gy.sizes[1];
    Rows gradients;
    gradients.data = gy.ptr<const float>() + group * out;
    gradients.batch_stride = gy.strides[0], gradients.time_stride = gy.strides[1], gradients.time = gy.sizes[1];
    if (gy.sizes[0] == 1 || gy.strides[0] == gy.sizes[1] * gy.strides[1]) {
      g.a = {gradients.data, 1, gy.strides[1], 0, nullptr};
    } else {
      g.a.source = &gradients, g.a_is_k_major = true;
    }
    Taps rows;
    rows.data = x.ptr<const float>() + group * in;
    rows.batch_stride = x.strides[0], rows.time_stride = x.strides[1], rows.time = x.sizes[1], rows.channels = in;
    rows.rows = gy.sizes[1], rows.step = s.stride, rows.tap_step = s.dilation, rows.first = -s.pad_left,
    rows.divisor = 1;
    g.b.source = &rows;
    WeightSink sink;
    sink.data = gw.ptr<float>() + group * out * gw.strides[0];
    sink.in = in, sink.out_stride = gw.strides[0], sink.in_stride = gw.strides[1], sink.tap_stride = gw.strides[2];
    sink.add = args.beta != 0;
    g.sink = &sink;
    simd::gemm(g);
  }
}

}  // namespace tapedeck::kernels
