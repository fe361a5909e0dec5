// Convolutions as fixed-order matrix products (simd_gemm.h): rows are gathered from the taps, a panel at a time.
// Depthwise ones go tap by tap (simd_depthwise.cpp), with the same bits.
#include <tapedeck/kernels/cpu/conv_geometry.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>

namespace tapedeck::kernels {
namespace {

using simd::Gemm;
using simd::Space;
using simd::Taps;
using simd::Window;
using std::int64_t;

// The im2col matrix of a window, never stored whole: a row per output row, column tap * channels + i.
struct TapRows final : simd::Source {
  Window window;
  int64_t channels;

  TapRows(const Window& w, int64_t c) : window(w), channels(c) {}

  // One segment per tap, or per line of taps that lie side by side; not where rows change their line or meet padding.
  int in_place(int64_t batch, int64_t r0, int64_t r1, int64_t c0, int64_t c1, simd::Segment* to) const override {
    const Window& w = window;
    int64_t p[3], sequence = r0;
    for (int d = 2; d >= 0; --d) p[d] = sequence % w.rows[d], sequence /= w.rows[d];
    if (p[2] + (r1 - r0) > w.rows[2]) return 0;
    const bool joined = w.stride[2] == channels && w.tap_step[2] == 1;
    const int64_t run = joined ? w.taps[2] * channels : channels;  // columns that lie side by side
    int found = 0;
    for (int64_t c = c0; c < c1; ++found) {
      if (found == simd::kMaxSegments) return 0;
      const int64_t column = c % run, count = std::min(run - column, c1 - c);
      const int64_t first_tap = c / channels, last_tap = (c + count - 1) / channels;
      const int64_t line = first_tap / w.taps[2];
      const int64_t ia = p[0] * w.step[0] + line / w.taps[1] * w.tap_step[0] + w.first[0];
      const int64_t ib = p[1] * w.step[1] + line % w.taps[1] * w.tap_step[1] + w.first[1];
      const int64_t begin = p[2] * w.step[2] + first_tap % w.taps[2] * w.tap_step[2] + w.first[2];
      const int64_t end = (p[2] + r1 - r0 - 1) * w.step[2] + last_tap % w.taps[2] * w.tap_step[2] + w.first[2];
      if (ia < 0 || ia >= w.size[0] || ib < 0 || ib >= w.size[1] || std::min(begin, end) < 0 ||
          std::max(begin, end) >= w.size[2])
        return 0;
      to[found] = {w.data + (sequence + batch) * w.batch_stride + ia * w.stride[0] + ib * w.stride[1] +
                       begin * w.stride[2] + c % channels,
                   count, w.step[2] * w.stride[2]};
      c += count;
    }
    return found;
  }

  void copy(int64_t batch, int64_t r0, int64_t r1, int64_t c0, int64_t c1, float* to, int64_t ld) const override {
    const Window& w = window;
    int64_t p[3], sequence = r0;
    for (int d = 2; d >= 0; --d) p[d] = sequence % w.rows[d], sequence /= w.rows[d];
    sequence += batch;
    const int64_t line = w.taps[2] * channels;                          // columns of the taps along the last dimension
    const bool joined = w.stride[2] == channels && w.tap_step[2] == 1;  // lie side by side in the input, too
    const int64_t first_line = c0 / line;
    for (int64_t r = r0; r < r1; ++r, to += ld) {
      int64_t a = first_line / w.taps[1], b = first_line % w.taps[1], column = c0 % line;
      float* end = to;
      for (int64_t left = c1 - c0; left > 0; column = 0) {
        const int64_t count = std::min(left, line - column);
        const int64_t ia = p[0] * w.step[0] + a * w.tap_step[0] + w.first[0];
        const int64_t ib = p[1] * w.step[1] + b * w.tap_step[1] + w.first[1];
        const int64_t ic = p[2] * w.step[2] + w.first[2];
        if (ia < 0 || ia >= w.size[0] || ib < 0 || ib >= w.size[1]) {
          std::fill_n(end, count, 0.0f);
        } else {
          const float* from = w.data + sequence * w.batch_stride + ia * w.stride[0] + ib * w.stride[1];
          joined ? copy_joined(from, ic * channels + column, count, end) : copy_taps(from, ic, column, count, end);
        }
        end += count, left -= count;
        if (++b == w.taps[1]) b = 0, ++a;
      }
      for (int d = 2; d >= 0; --d) {
        if (++p[d] < w.rows[d]) break;
        p[d] = 0;
        if (d == 0) ++sequence;
      }
    }
  }

 private:
  void copy_joined(const float* line, int64_t at, int64_t count, float* to) const {
    const int64_t begin = std::clamp<int64_t>(-at, 0, count);
    const int64_t end = std::clamp<int64_t>(window.size[2] * channels - at, begin, count);
    std::fill_n(to, begin, 0.0f);
    std::copy_n(line + at + begin, end - begin, to + begin);
    std::fill_n(to + end, count - end, 0.0f);
  }
  void copy_taps(const float* line, int64_t at, int64_t column, int64_t left, float* to) const {
    int64_t i = column % channels;
    at += column / channels * window.tap_step[2];
    for (; left > 0; at += window.tap_step[2], i = 0) {
      const int64_t count = std::min(left, channels - i);
      if (at >= 0 && at < window.size[2]) {
        std::copy_n(line + at * window.stride[2] + i, count, to);
      } else {
        std::fill_n(to, count, 0.0f);
      }
      to += count, left -= count;
    }
  }
};

// Lays finished blocks into rows that no single stride leads through.
struct RowSink final : simd::Sink {
  const Space* space;
  bool add;
  const float* bias;
  int64_t bias_stride;

  void put(int64_t i0, int64_t i1, int64_t j0, int64_t j1, const float* from, int64_t ld) const override {
    for (int64_t r = i0; r < i1; ++r, from += ld) {
      float* to = space->row(r) + j0;
      for (int64_t j = 0; j < j1 - j0; ++j) {
        float v = from[j];
        if (add) v += to[j];
        if (bias) v += bias[(j0 + j) * bias_stride];
        to[j] = v;
      }
    }
  }
};

// Lays a finished block [out, tap * in + i] into the weight gradient.
struct WeightSink final : simd::Sink {
  float* data;
  Taps taps;
  int64_t in, out_stride, in_stride;
  bool add;

  explicit WeightSink(const TensorView& gw) : taps(gw) {}

  void put(int64_t i0, int64_t i1, int64_t j0, int64_t j1, const float* from, int64_t ld) const override {
    int64_t j = 0;
    taps.each([&](int64_t offset) {
      for (int64_t j_end = j + in, i = 0; j < j_end; ++j, ++i) {
        if (j < j0 || j >= j1) continue;
        for (int64_t o = i0; o < i1; ++o) {
          float& to = data[o * out_stride + i * in_stride + offset];
          const float v = from[(o - i0) * ld + j - j0];
          to = add ? v + to : v;
        }
      }
    });
  }
};

// The weights of one group as a matrix [tap * inner + i, column], packed.
void pack(const float* data, const Taps& taps, int64_t inner, int64_t inner_stride, int64_t columns,
          int64_t column_stride, float* to) {
  constexpr int64_t kBlock = 16;  // whole cache lines are written, and few rows of the weight read at a time
  for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
    const int64_t count = std::min(kBlock, columns - c0);
    for (int64_t i = 0; i < inner; ++i) {
      const float* from = data + i * inner_stride + c0 * column_stride;
      float* row = to + i * columns + c0;
      taps.each([&](int64_t offset) {
        for (int64_t c = 0; c < count; ++c) row[c] = from[offset + c * column_stride];
        row += inner * columns;
      });
    }
  }
}

// y = the rows of the window times b, + y, + bias.
void multiply(const Window& window, int64_t channels, const simd::Matrix& b, const Space& y, int64_t columns, bool add,
              const float* bias, int64_t bias_stride) {
  Gemm g;
  g.n = columns, g.k = window.tap_count() * channels, g.b = b;
  const TapRows rows(window, channels);
  RowSink sink;
  const int64_t y_row = y.single_stride();
  if (y_row != 0) {
    g.batches = y.one_sequence() ? 1 : y.batch;
    g.m = y.one_sequence() ? y.rows() : y.places();
    g.y = y.data, g.y_row = y_row, g.y_batch = y.batch_stride;
    g.add_to_y = add, g.bias = bias, g.bias_stride = bias_stride;
  } else {
    g.m = y.rows();
    sink.space = &y, sink.add = add, sink.bias = bias, sink.bias_stride = bias_stride;
    g.sink = &sink;
  }
  g.a.source = &rows;
  // One tap inside of the input is a plain matrix product on strided rows.
  if (window.tap_count() == 1) {
    bool inside = true;
    int64_t row = 0, count = 1;
    for (int d = 2; d >= 0; --d) {
      inside = inside && window.first[d] == 0 && (window.rows[d] - 1) * window.step[d] < window.size[d];
      if (window.rows[d] == 1) continue;
      if (count == 1) row = window.step[d] * window.stride[d];
      inside = inside && window.step[d] * window.stride[d] == row * count;
      count *= window.rows[d];
    }
    if (count == 1) row = window.batch_stride;
    if (inside && (g.batches > 1 || y.batch == 1 || window.batch_stride == row * count))
      g.a = {window.data, row, 1, window.batch_stride, nullptr};
  }
  simd::gemm(g);
}

bool depthwise(const TensorView& w, int64_t groups) { return groups > 1 && w.sizes[1] == 1 && w.sizes[0] == groups; }

float* scratch(int64_t floats) {
  return static_cast<float*>(workspace(static_cast<std::size_t>(floats) * sizeof(float), 1));
}

}  // namespace

void simd_conv(const ConvArgs& args) {
  const TensorView& w = args.w;
  const ConvShape s = simd::aligned(args.shape, w.rank - 2);
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups;
  if (args.y.numel() == 0) return;
  const Taps taps(w);
  const int64_t count = taps.count[0] * taps.count[1] * taps.count[2];
  const float* bias = args.bias ? args.bias.ptr<const float>() : nullptr;
  const int64_t bias_stride = args.bias ? args.bias.strides[0] : 0;
  if (depthwise(w, s.groups)) {
    const Space x(args.x, 0), y(args.y, 0);
    const Window window = simd::window_of(x, y, taps, s);
    float* weights = scratch((count + 1) * s.groups);
    float* zeros = weights + count * s.groups;
    pack(w.ptr<const float>(), taps, 1, 0, s.groups, w.strides[0], weights);
    std::fill_n(zeros, s.groups, 0.0f);
    return simd::depthwise({&window, &y, s.groups, weights, zeros, args.beta != 0, bias, bias_stride});
  }
  for (int64_t group = 0; group < s.groups; ++group) {
    const Space x(args.x, group * in), y(args.y, group * out);
    const float* weight = w.ptr<const float>() + group * out * w.strides[0];
    simd::Matrix b{weight, w.strides[1], w.strides[0], 0, nullptr};
    if (count > 1) {
      float* packed = scratch(count * in * out);
      pack(weight, taps, in, w.strides[1], out, w.strides[0], packed);
      b = {packed, out, 1, 0, nullptr};
    }
    multiply(simd::window_of(x, y, taps, s), in, b, y, out, args.beta != 0,
             bias ? bias + group * out * bias_stride : nullptr, bias_stride);
  }
}

void simd_conv_input_grad(const ConvInputGradArgs& args) {
  const TensorView& w = args.w;
  const ConvShape s = simd::aligned(args.shape, w.rank - 2);
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups;
  if (args.gx.numel() == 0) return;
  const float* bias = args.bias ? args.bias.ptr<const float>() : nullptr;
  const int64_t bias_stride = args.bias ? args.bias.strides[0] : 0;
  const bool direct = depthwise(w, s.groups);
  for (int64_t group = 0; group < (direct ? 1 : s.groups); ++group) {
    const Space gy(args.gy, group * out), gx(args.gx, group * in);
    const float* weight = w.ptr<const float>() + group * out * w.strides[0];
    const float* group_bias = bias ? bias + group * in * bias_stride : nullptr;
    simd::each_phase(gy, gx, Taps(w), s, [&](const Space& part, const Window& window, const Taps& taps) {
      const int64_t count = window.tap_count();
      if (direct) {
        float* weights = scratch((count + 1) * s.groups);
        float* zeros = weights + count * s.groups;
        pack(weight, taps, 1, 0, s.groups, w.strides[0], weights);
        std::fill_n(zeros, s.groups, 0.0f);
        return simd::depthwise({&window, &part, s.groups, weights, zeros, args.beta != 0, bias, bias_stride});
      }
      simd::Matrix b{weight + taps.offset, w.strides[0], w.strides[1], 0, nullptr};
      if (count > 1) {
        float* packed = scratch(count * out * in);
        pack(weight, taps, out, w.strides[0], in, w.strides[1], packed);
        b = {packed, in, 1, 0, nullptr};
      }
      multiply(window, out, b, part, in, args.beta != 0, group_bias, bias_stride);
    });
  }
}

void simd_conv_weight_grad(const ConvWeightGradArgs& args) {
  const TensorView &gw = args.gw, &gy_view = args.gy;
  const ConvShape s = simd::aligned(args.shape, gw.rank - 2);
  const int64_t in = gw.sizes[1], out = gw.sizes[0] / s.groups;
  if (gw.numel() == 0) return;
  const Taps taps(gw);
  WeightSink sink(gw);
  sink.out_stride = gw.strides[0], sink.in_stride = gw.strides[1], sink.add = args.beta != 0;
  if (depthwise(gw, s.groups)) {
    const Space x(args.x, 0), gy(gy_view, 0);
    const Window window = simd::window_of(x, gy, taps, s);
    const int64_t floats = window.tap_count() * s.groups;
    const int64_t wave = std::min<int64_t>((gy.rows() + 255) / 256, std::clamp<int64_t>((1 << 20) / floats, 8, 64));
    float* sum = scratch((wave + 1) * floats + s.groups);
    float* zeros = sum + (wave + 1) * floats;
    std::fill_n(zeros, s.groups, 0.0f);
    simd::depthwise_weight({&window, &gy, s.groups, zeros, sum, sum + floats, wave});
    taps.each([&](int64_t offset) {
      for (int64_t c = 0; c < s.groups; ++c) {
        float& to = gw.ptr<float>()[c * gw.strides[0] + offset];
        to = args.beta != 0 ? *sum + to : *sum;
        ++sum;
      }
    });
    return;
  }
  for (int64_t group = 0; group < s.groups; ++group) {
    const Space x(args.x, group * in), gy(gy_view, group * out);
    const TapRows rows(simd::window_of(x, gy, taps, s), in), gradients(Window(gy, gy.size), out);
    Gemm g;
    g.m = out, g.n = rows.window.tap_count() * in, g.k = gy.rows();
    if (const int64_t row = gy.single_stride(); row != 0 && gy.one_sequence()) {
      g.a = {gy.data, 1, row, 0, nullptr};
    } else {
      g.a.source = &gradients, g.a_is_k_major = true;
    }
    g.b.source = &rows;
    sink.data = gw.ptr<float>() + group * out * gw.strides[0];
    sink.in = in;
    g.sink = &sink;
    simd::gemm(g);
  }
}

void simd_conv1d(const Conv1dArgs& a) { simd_conv(any_rank(a)); }
void simd_conv1d_input_grad(const Conv1dInputGradArgs& a) { simd_conv_input_grad(any_rank(a)); }
void simd_conv1d_weight_grad(const Conv1dWeightGradArgs& a) { simd_conv_weight_grad(any_rank(a)); }

}  // namespace tapedeck::kernels
