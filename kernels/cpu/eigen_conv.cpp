// Convolutions tap by tap: each tap is a matrix product on strided rows of x, without the rows in the padding. Rows run
// along the last spatial dimension; those in front of it are walked.
#include <tapedeck/kernels/cpu/eigen_map.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <vector>

namespace tapedeck::kernels {
namespace {

using std::int64_t;

// The output places whose tap lies inside of x along one dimension, and the place of x that the first of them meets.
struct Span {
  int64_t first = 0, count = 0, at = 0, step = 1;
};
Span span(int64_t stride, int64_t shift, int64_t size, int64_t length) {  // x place = p * stride + shift
  const int64_t first = shift < 0 ? (-shift + stride - 1) / stride : 0;
  const int64_t end = size - shift <= 0 ? 0 : (size - shift + stride - 1) / stride;
  return {first, std::max<int64_t>(0, std::min(end, length) - first), first * stride + shift, stride};
}

// One tap: its spans along three dimensions (those that are not there have one place), and where it stands in w.
struct Tap {
  Span at[3];
  int64_t w_offset = 0;
  bool empty() const { return at[0].count == 0 || at[1].count == 0 || at[2].count == 0; }
};
std::vector<Tap> taps_of(const ConvShape& s, const TensorView& w, const TensorView& x, const TensorView& y) {
  const int space = w.rank - 2, lead = 3 - space;
  int64_t count = 1;
  for (int d = 0; d < space; ++d) count *= w.sizes[2 + d];
  std::vector<Tap> taps(static_cast<std::size_t>(count));
  for (int64_t k = 0; k < count; ++k) {
    Tap& tap = taps[static_cast<std::size_t>(k)];
    for (int d = 0; d < lead; ++d) tap.at[d] = {0, 1, 0, 1};
    for (int64_t d = space - 1, rest = k; d >= 0; --d) {
      const int64_t j = rest % w.sizes[2 + d];
      rest /= w.sizes[2 + d];
      tap.w_offset += j * w.strides[2 + d];
      tap.at[lead + d] = span(s.stride[d], j * s.dilation[d] - s.pad[d], x.sizes[1 + d], y.sizes[1 + d]);
    }
  }
  return taps;
}

// The channels of one group at [batch, space…], as rows along the last spatial dimension.
template <class T>
struct Lines {
  T* data;
  int64_t batch_stride, size[3] = {1, 1, 1}, stride[3] = {}, channels;
  Lines(const TensorView& v, int64_t group, int64_t channels)
      : data(v.ptr<T>() + group * channels), batch_stride(v.strides[0]), channels(channels) {
    for (int d = 0; d < v.rank - 2; ++d)
      size[5 - v.rank + d] = v.sizes[1 + d], stride[5 - v.rank + d] = v.strides[1 + d];
  }
  // `count` rows from (a, b, c) on, every `step`-th.
  eigen::Rows<T> rows(int64_t batch, int64_t a, int64_t b, int64_t c, int64_t count, int64_t step) const {
    return {data + batch * batch_stride + a * stride[0] + b * stride[1] + c * stride[2], count, channels,
            Eigen::OuterStride<>(step * stride[2])};
  }
  // f(rows) for every line.
  template <class F>
  void each(int64_t batch, F&& f) const {
    for (int64_t a = 0; a < size[0]; ++a)
      for (int64_t b = 0; b < size[1]; ++b) f(rows(batch, a, b, 0, size[2], 1));
  }
};
// f(rows of x, rows of y) for every line that a tap has.
template <class T, class F>
void each_pair(const Tap& tap, const Lines<T>& x, const Lines<T>& y, int64_t batch, F&& f) {
  const auto& [a, b, c] = tap.at;
  for (int64_t i = 0; i < a.count; ++i)
    for (int64_t j = 0; j < b.count; ++j)
      f(x.rows(batch, a.at + i * a.step, b.at + j * b.step, c.at, c.count, c.step),
        y.rows(batch, a.first + i, b.first + j, c.first, c.count, 1));
}

// The taps of one group as matrices [in, out].
template <class T>
std::vector<eigen::RowMatrix<T>> matrices(const std::vector<Tap>& taps, const TensorView& w, int64_t group,
                                          int64_t out) {
  std::vector<eigen::RowMatrix<T>> all;
  for (const Tap& tap : taps)
    all.emplace_back(eigen::ConstStrided<T>(w.ptr<const T>() + group * out * w.strides[0] + tap.w_offset, w.sizes[1],
                                            out, {w.strides[1], w.strides[0]}));
  return all;
}

int64_t grain(int64_t multiplications) { return 1 + 200'000 / (multiplications + 1); }
int64_t places(const TensorView& v) { return v.numel() / std::max<int64_t>(1, v.sizes[0] * v.sizes[v.rank - 1]); }

template <class T>
void add_bias(const Lines<T>& to, int64_t batch, const TensorView& bias, int64_t group) {
  if (!bias) return;
  const T* b = bias.ptr<const T>() + group * to.channels * bias.strides[0];
  const eigen::ConstStrided<T> row(b, 1, to.channels, {0, bias.strides[0]});
  to.each(batch, [&](auto&& lines) { lines.rowwise() += row.row(0); });
}

template <class T>
void forward(const ConvArgs& args) {
  const TensorView &x = args.x, &w = args.w, &y = args.y;
  const ConvShape& s = args.shape;
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups;
  if (y.numel() == 0) return;
  const auto taps = taps_of(s, w, x, y);
  for (int64_t g = 0; g < s.groups; ++g) {
    const auto weights = matrices<T>(taps, w, g, out);
    const Lines<T> from(x, g, in), to(y, g, out);
    parallel_for(y.sizes[0], grain(places(y) * w.numel()), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        if (args.beta == 0) to.each(b, [](auto&& lines) { lines.setZero(); });
        for (std::size_t k = 0; k < taps.size(); ++k)
          if (!taps[k].empty() && in > 0)
            each_pair(taps[k], from, to, b, [&](auto&& xs, auto&& ys) { ys.noalias() += xs * weights[k]; });
        add_bias(to, b, args.bias, g);
      }
    });
  }
}

template <class T>
void input_grad(const ConvInputGradArgs& args) {
  const TensorView &gy = args.gy, &w = args.w, &gx = args.gx;
  const ConvShape& s = args.shape;
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups;
  if (gx.numel() == 0) return;
  const auto taps = taps_of(s, w, gx, gy);
  for (int64_t g = 0; g < s.groups; ++g) {
    const auto weights = matrices<T>(taps, w, g, out);
    const Lines<T> to(gx, g, in), from(gy, g, out);
    parallel_for(gx.sizes[0], grain(places(gy) * w.numel()), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        if (args.beta == 0) to.each(b, [](auto&& lines) { lines.setZero(); });
        for (std::size_t k = 0; k < taps.size(); ++k)
          if (!taps[k].empty() && out > 0)
            each_pair(taps[k], to, from, b, [&](auto&& xs, auto&& ys) { xs.noalias() += ys * weights[k].transpose(); });
        add_bias(to, b, args.bias, g);
      }
    });
  }
}

template <class T>
void weight_grad(const ConvWeightGradArgs& args) {
  const TensorView &gy = args.gy, &x = args.x, &gw = args.gw;
  const ConvShape& s = args.shape;
  const int64_t in = gw.sizes[1], out = gw.sizes[0] / s.groups;
  if (gw.numel() == 0) return;
  const auto taps = taps_of(s, gw, x, gy);
  const auto tap_count = static_cast<int64_t>(taps.size());
  parallel_for(s.groups * tap_count, grain(gy.sizes[0] * places(gy) * in * out), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t g = i / tap_count;
      const Tap& tap = taps[static_cast<std::size_t>(i % tap_count)];
      eigen::RowMatrix<T> sum = eigen::RowMatrix<T>::Zero(out, in);
      const Lines<T> from(x, g, in), by(gy, g, out);
      for (int64_t b = 0; b < gy.sizes[0] && !tap.empty(); ++b)
        each_pair(tap, from, by, b, [&](auto&& xs, auto&& ys) { sum.noalias() += ys.transpose() * xs; });
      eigen::Strided<T> to(gw.ptr<T>() + g * out * gw.strides[0] + tap.w_offset, out, in,
                           {gw.strides[0], gw.strides[1]});
      if (args.beta != 0) sum += to;
      to = sum;
    }
  });
}

}  // namespace

void eigen_conv(const ConvArgs& a) { a.dtype() == DType::f32 ? forward<float>(a) : forward<double>(a); }
void eigen_conv_input_grad(const ConvInputGradArgs& a) {
  a.dtype() == DType::f32 ? input_grad<float>(a) : input_grad<double>(a);
}
void eigen_conv_weight_grad(const ConvWeightGradArgs& a) {
  a.dtype() == DType::f32 ? weight_grad<float>(a) : weight_grad<double>(a);
}

void eigen_conv1d(const Conv1dArgs& a) { eigen_conv(any_rank(a)); }
void eigen_conv1d_input_grad(const Conv1dInputGradArgs& a) { eigen_conv_input_grad(any_rank(a)); }
void eigen_conv1d_weight_grad(const Conv1dWeightGradArgs& a) { eigen_conv_weight_grad(any_rank(a)); }

}  // namespace tapedeck::kernels
