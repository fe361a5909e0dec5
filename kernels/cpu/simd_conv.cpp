// Convolutions as fixed-order matrix products (simd_gemm.h): rows are gathered from the taps, a panel at a time.
// Depthwise ones go tap by tap (simd_depthwise.cpp), with the same bits.
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/tap_rows.h>

namespace tapedeck::kernels {
namespace {

using simd::Gemm;
using simd::Space;
using simd::TapRows;
using simd::Taps;
using simd::Window;
using std::int64_t;

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
    int64_t tap = 0;  // its first column
    taps.each([&](int64_t offset) {
      const int64_t begin = std::clamp(j0 - tap, int64_t{0}, in), end = std::clamp(j1 - tap, int64_t{0}, in);
      for (int64_t o = i0; o < i1; ++o) {
        const float* const row = from + (o - i0) * ld + tap - j0;
        float* const to = data + o * out_stride + offset;
        for (int64_t i = begin; i < end; ++i) to[i * in_stride] = add ? row[i] + to[i * in_stride] : row[i];
      }
      tap += in;
    });
  }
};

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
    simd::pack_taps(w.ptr<const float>(), taps, 1, 0, s.groups, w.strides[0], weights);
    std::fill_n(zeros, s.groups, 0.0f);
    return simd::depthwise({&window, &y, s.groups, weights, zeros, args.beta != 0, bias, bias_stride});
  }
  for (int64_t group = 0; group < s.groups; ++group) {
    const Space x(args.x, group * in), y(args.y, group * out);
    const float* weight = w.ptr<const float>() + group * out * w.strides[0];
    simd::Matrix b{weight, w.strides[1], w.strides[0], 0, nullptr};
    if (count > 1) {
      float* packed = scratch(count * in * out);
      simd::pack_taps(weight, taps, in, w.strides[1], out, w.strides[0], packed);
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
        simd::pack_taps(weight, taps, 1, 0, s.groups, w.strides[0], weights);
        std::fill_n(zeros, s.groups, 0.0f);
        return simd::depthwise({&window, &part, s.groups, weights, zeros, args.beta != 0, bias, bias_stride});
      }
      simd::Matrix b{weight + taps.offset, w.strides[0], w.strides[1], 0, nullptr};
      if (count > 1) {
        float* packed = scratch(count * out * in);
        simd::pack_taps(weight, taps, out, w.strides[0], in, w.strides[1], packed);
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
