// What the SIMD convolutions share: any number of spatial dimensions as three, and which rows of the input the taps of
// an output row meet.
#pragma once
#include <tapedeck/kernels/conv.h>

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace tapedeck::kernels::simd {

using std::int64_t;

// Rows of channels at [batch, space…]; dimensions that a view lacks stand in front with size 1.
struct Space {
  float* data = nullptr;
  int64_t batch = 0, batch_stride = 0;
  int64_t size[3] = {1, 1, 1}, stride[3] = {};

  Space(const TensorView& v, int64_t channel)
      : data(v.ptr<float>() + channel), batch(v.sizes[0]), batch_stride(v.strides[0]) {
    for (int d = 0; d < v.rank - 2; ++d)
      size[5 - v.rank + d] = v.sizes[1 + d], stride[5 - v.rank + d] = v.strides[1 + d];
  }
  int64_t places() const { return size[0] * size[1] * size[2]; }
  int64_t rows() const { return batch * places(); }
  float* row(int64_t r) const {
    const int64_t c = r % size[2], rest = r / size[2];
    const int64_t a = rest / size[1];
    return data + c * stride[2] + rest % size[1] * stride[1] + a % size[0] * stride[0] + a / size[0] * batch_stride;
  }
  // The stride from row to row where a single one leads through each sequence, else 0; and whether also from one
  // sequence to the next.
  int64_t single_stride() const {
    int64_t step = 0, count = 1;
    for (int d = 2; d >= 0; --d) {
      if (size[d] == 1) continue;
      if (count == 1) step = stride[d];
      if (stride[d] != step * count) return 0;
      count *= size[d];
    }
    return count == 1 ? std::max<int64_t>(1, batch_stride) : step;
  }
  bool one_sequence() const { return batch == 1 || batch_stride == places() * single_stride(); }
};

// Tap k of the output row at p meets the input row at p * step + k * tap_step + first, in each dimension; rows outside
// of the input are zeros.
struct Window {
  const float* data;  // of the input
  int64_t batch_stride, stride[3], size[3];
  int64_t rows[3];  // output rows
  int64_t step[3], taps[3], tap_step[3], first[3];

  Window(const Space& x, const int64_t (&output)[3]) : data(x.data), batch_stride(x.batch_stride) {
    for (int d = 0; d < 3; ++d) {
      stride[d] = x.stride[d], size[d] = x.size[d], rows[d] = output[d];
      step[d] = taps[d] = tap_step[d] = 1, first[d] = 0;
    }
  }
  int64_t tap_count() const { return taps[0] * taps[1] * taps[2]; }
};

// Output rows of a window, one after the other.
class WindowRows {
 public:
  WindowRows(const Window& window, int64_t row) : w_(window), sequence_(row) {
    for (int d = 2; d >= 0; --d) p_[d] = sequence_ % w_.rows[d], sequence_ /= w_.rows[d];
    line();
  }
  // The input rows of all taps of this output row.
  void pointers(const float* zeros, const float** to) const {
    const int64_t at = p_[2] * w_.step[2] + w_.first[2];
    for (int64_t a = 0, ia = at_[0]; a < w_.taps[0]; ++a, ia += w_.tap_step[0]) {
      for (int64_t b = 0, ib = at_[1]; b < w_.taps[1]; ++b, ib += w_.tap_step[1]) {
        const bool in = ia >= 0 && ia < w_.size[0] && ib >= 0 && ib < w_.size[1];
        const float* row = in ? data_ + ia * w_.stride[0] + ib * w_.stride[1] : nullptr;
        for (int64_t c = 0, ic = at; c < w_.taps[2]; ++c, ic += w_.tap_step[2])
          *to++ = in && ic >= 0 && ic < w_.size[2] ? row + ic * w_.stride[2] : zeros;
      }
    }
  }
  void next() {
    if (++p_[2] < w_.rows[2]) return;
    p_[2] = 0;
    if (++p_[1] == w_.rows[1]) {
      p_[1] = 0;
      if (++p_[0] == w_.rows[0]) p_[0] = 0, ++sequence_;
    }
    line();
  }
  // Where this row lies in a space of the window's output rows.
  float* row(const Space& y) const {
    return y.data + sequence_ * y.batch_stride + p_[0] * y.stride[0] + p_[1] * y.stride[1] + p_[2] * y.stride[2];
  }

 private:
  void line() {
    for (int d = 0; d < 2; ++d) at_[d] = p_[d] * w_.step[d] + w_.first[d];
    data_ = w_.data + sequence_ * w_.batch_stride;
  }
  const Window& w_;
  int64_t sequence_, p_[3], at_[2];
  const float* data_;
};

// The shape with its dimensions where Space has them.
inline ConvShape aligned(const ConvShape& s, int spatial) {
  ConvShape out;
  out.groups = s.groups;
  for (int d = 0; d < spatial; ++d) {
    out.stride[3 - spatial + d] = s.stride[d], out.dilation[3 - spatial + d] = s.dilation[d];
    out.pad[3 - spatial + d] = s.pad[d];
  }
  return out;
}

// The taps of a weight [out, in, K…], all of them or every so many.
struct Taps {
  int64_t count[3] = {1, 1, 1}, stride[3] = {};
  int64_t offset = 0;  // of the first
  explicit Taps(const TensorView& w) {
    for (int d = 0; d < w.rank - 2; ++d)
      count[5 - w.rank + d] = w.sizes[2 + d], stride[5 - w.rank + d] = w.strides[2 + d];
  }
  // f(offset), in row-major order.
  template <class F>
  void each(F&& f) const {
    for (int64_t a = 0; a < count[0]; ++a)
      for (int64_t b = 0; b < count[1]; ++b)
        for (int64_t c = 0; c < count[2]; ++c) f(offset + a * stride[0] + b * stride[1] + c * stride[2]);
  }
};

inline Window window_of(const Space& x, const Space& y, const Taps& taps, const ConvShape& s) {
  Window v(x, y.size);
  for (int d = 0; d < 3; ++d)
    v.step[d] = s.stride[d], v.taps[d] = taps.count[d], v.tap_step[d] = s.dilation[d], v.first[d] = -s.pad[d];
  return v;
}

// The gradient of a convolution with a stride, part by part: rows of gx that are a multiple of the stride apart meet
// the same taps, and between them lies a convolution without stride. f(rows of gx, rows of gy that they meet, taps).
template <class F>
void each_phase(const Space& gy, const Space& gx, const Taps& taps, const ConvShape& s, F&& f) {
  if (gx.rows() == 0) return;
  int64_t phase[3];
  const auto most = [&](int d) { return std::min(s.stride[d], gx.size[d]); };
  for (phase[0] = 0; phase[0] < most(0); ++phase[0])
    for (phase[1] = 0; phase[1] < most(1); ++phase[1])
      for (phase[2] = 0; phase[2] < most(2); ++phase[2]) {
        Space part = gx;
        Taps some = taps;
        int64_t first[3], tap_step[3];
        for (int d = 0; d < 3; ++d) {
          part.data += phase[d] * gx.stride[d];
          part.size[d] = (gx.size[d] - phase[d] + s.stride[d] - 1) / s.stride[d];
          part.stride[d] = gx.stride[d] * s.stride[d];
          // Taps k with (phase + pad - k * dilation) a multiple of the stride: every `every`, from `start`.
          const int64_t common = std::gcd(s.stride[d], s.dilation[d]), every = s.stride[d] / common;
          int64_t start = 0;
          while (start < std::min(every, taps.count[d]) && (phase[d] + s.pad[d] - start * s.dilation[d]) % s.stride[d])
            ++start;
          const bool none = start == std::min(every, taps.count[d]);
          some.count[d] = none ? 0 : (taps.count[d] - start + every - 1) / every;
          some.stride[d] = some.count[d] > 1 ? taps.stride[d] * every : 0;
          some.offset += none ? 0 : start * taps.stride[d];
          first[d] = none ? 0 : (phase[d] + s.pad[d] - start * s.dilation[d]) / s.stride[d];
          tap_step[d] = -(s.dilation[d] / common);
        }
        Window window(gy, part.size);
        for (int d = 0; d < 3; ++d)
          window.taps[d] = some.count[d], window.tap_step[d] = tap_step[d], window.first[d] = first[d];
        f(part, window, some);
      }
}

// Depthwise: one input and one output channel per group. y[row][c] = sum over taps of input[tap][c] * weights[tap][c],
// in the fixed order, then + y if `add`, then + bias.
struct Depthwise {
  const Window* window;
  const Space* y;
  int64_t channels;
  const float* weights;  // [taps, channels]
  const float* zeros;    // a row
  bool add;
  const float* bias;  // or nullptr
  int64_t bias_stride;
};
void depthwise(const Depthwise& d);
inline constexpr int kDepthwiseRows = 8;  // worked on side by side

// sum[tap][c] = the sum over rows of gy[row][c] * input[tap][c], in chunks of 256 rows, `wave` of which are worked on
// at a time.
struct DepthwiseWeight {
  const Window* window;  // of x
  const Space* gy;
  int64_t channels;
  const float* zeros;
  float* sum;      // [taps, channels]
  float* partial;  // [wave, taps, channels]
  int64_t wave;
};
void depthwise_weight(const DepthwiseWeight& d);

}  // namespace tapedeck::kernels::simd
