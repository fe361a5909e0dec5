// Convolutions tap by tap: each tap is a matrix product on strided rows of x, without the rows in the padding.
#include <tapedeck/kernels/cpu/eigen_map.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <vector>

namespace tapedeck::kernels {
namespace {

using std::int64_t;

// The output times whose tap lies inside of x, and the time of x that the first of them meets.
struct Span {
  int64_t first = 0, count = 0, at = 0;
};
Span span(const Conv1dShape& s, int64_t tap, int64_t time, int64_t length) {
  const int64_t shift = tap * s.dilation - s.pad_left;  // x time = t * stride + shift
  const int64_t first = shift < 0 ? (-shift + s.stride - 1) / s.stride : 0;
  const int64_t end = time - shift <= 0 ? 0 : (time - shift + s.stride - 1) / s.stride;
  return {first, std::max<int64_t>(0, std::min(end, length) - first), first * s.stride + shift};
}

// Rows [first, first + count) by `every` of sequence `batch`, channels of one group.
template <class T>
eigen::ConstRows<T> rows(const TensorView& v, int64_t batch, int64_t first, int64_t count, int64_t every,
                         int64_t channel, int64_t channels) {
  return {v.ptr<const T>() + batch * v.strides[0] + first * v.strides[1] + channel, count, channels,
          Eigen::OuterStride<>(every * v.strides[1])};
}
template <class T>
eigen::Rows<T> rows_of(const TensorView& v, int64_t batch, int64_t first, int64_t count, int64_t every, int64_t channel,
                       int64_t channels) {
  return {v.ptr<T>() + batch * v.strides[0] + first * v.strides[1] + channel, count, channels,
          Eigen::OuterStride<>(every * v.strides[1])};
}

// The taps of one group as matrices [in, out].
template <class T>
std::vector<eigen::RowMatrix<T>> taps_of(const TensorView& w, int64_t group, int64_t out) {
  std::vector<eigen::RowMatrix<T>> taps;
  for (int64_t k = 0; k < w.sizes[2]; ++k) {
    const T* data = w.ptr<const T>() + group * out * w.strides[0] + k * w.strides[2];
    taps.emplace_back(eigen::ConstStrided<T>(data, w.sizes[1], out, {w.strides[1], w.strides[0]}));
  }
  return taps;
}

int64_t grain(int64_t multiplications) { return 1 + 200'000 / (multiplications + 1); }

template <class T>
void forward(const Conv1dArgs& args) {
  const TensorView &x = args.x, &w = args.w, &y = args.y;
  const Conv1dShape& s = args.shape;
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups, length = y.sizes[1];
  if (y.numel() == 0) return;
  for (int64_t g = 0; g < s.groups; ++g) {
    const auto taps = taps_of<T>(w, g, out);
    parallel_for(y.sizes[0], grain(length * w.numel()), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        auto to = rows_of<T>(y, b, 0, length, 1, g * out, out);
        if (args.beta == 0) to.setZero();
        for (int64_t k = 0; k < w.sizes[2]; ++k) {
          const Span p = span(s, k, x.sizes[1], length);
          if (p.count == 0 || in == 0) continue;
          rows_of<T>(y, b, p.first, p.count, 1, g * out, out).noalias() +=
              rows<T>(x, b, p.at, p.count, s.stride, g * in, in) * taps[k];
        }
        if (args.bias) {
          const T* bias = args.bias.ptr<const T>() + g * out * args.bias.strides[0];
          to.rowwise() += eigen::ConstStrided<T>(bias, 1, out, {0, args.bias.strides[0]}).row(0);
        }
      }
    });
  }
}

template <class T>
void input_grad(const Conv1dInputGradArgs& args) {
  const TensorView &gy = args.gy, &w = args.w, &gx = args.gx;
  const Conv1dShape& s = args.shape;
  const int64_t in = w.sizes[1], out = w.sizes[0] / s.groups, length = gy.sizes[1];
  if (gx.numel() == 0) return;
  for (int64_t g = 0; g < s.groups; ++g) {
    const auto taps = taps_of<T>(w, g, out);
    parallel_for(gx.sizes[0], grain(length * w.numel()), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        if (args.beta == 0) rows_of<T>(gx, b, 0, gx.sizes[1], 1, g * in, in).setZero();
        for (int64_t k = 0; k < w.sizes[2]; ++k) {
          const Span p = span(s, k, gx.sizes[1], length);
          if (p.count == 0 || out == 0) continue;
          rows_of<T>(gx, b, p.at, p.count, s.stride, g * in, in).noalias() +=
              rows<T>(gy, b, p.first, p.count, 1, g * out, out) * taps[k].transpose();
        }
      }
    });
  }
}

template <class T>
void weight_grad(const Conv1dWeightGradArgs& args) {
  const TensorView &gy = args.gy, &x = args.x, &gw = args.gw;
  const Conv1dShape& s = args.shape;
  const int64_t in = gw.sizes[1], out = gw.sizes[0] / s.groups, length = gy.sizes[1];
  if (gw.numel() == 0) return;
  parallel_for(s.groups * gw.sizes[2], grain(gy.sizes[0] * length * in * out), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t g = i / gw.sizes[2], k = i % gw.sizes[2];
      const Span p = span(s, k, x.sizes[1], length);
      eigen::RowMatrix<T> sum = eigen::RowMatrix<T>::Zero(out, in);
      for (int64_t b = 0; b < gy.sizes[0] && p.count > 0; ++b) {
        sum.noalias() += rows<T>(gy, b, p.first, p.count, 1, g * out, out).transpose() *
                         rows<T>(x, b, p.at, p.count, s.stride, g * in, in);
      }
      eigen::Strided<T> to(gw.ptr<T>() + g * out * gw.strides[0] + k * gw.strides[2], out, in,
                           {gw.strides[0], gw.strides[1]});
      if (args.beta != 0) sum += to;
      to = sum;
    }
  });
}

}  // namespace

void eigen_conv1d(const Conv1dArgs& a) { a.dtype() == DType::f32 ? forward<float>(a) : forward<double>(a); }
void eigen_conv1d_input_grad(const Conv1dInputGradArgs& a) {
  a.dtype() == DType::f32 ? input_grad<float>(a) : input_grad<double>(a);
}
void eigen_conv1d_weight_grad(const Conv1dWeightGradArgs& a) {
  a.dtype() == DType::f32 ? weight_grad<float>(a) : weight_grad<double>(a);
}

}  // namespace tapedeck::kernels
