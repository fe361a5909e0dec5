// Convolutions as matrix products: rows that are gathered from the taps of a window, and weights packed to match.
#pragma once
#include <tapedeck/kernels/cpu/conv_geometry.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>

namespace tapedeck::kernels::simd {

// The im2col matrix of a window, never stored whole: a row per output row (from `first` on), column tap * channels + i.
struct TapRows final : Source {
  Window window;
  int64_t channels, first;

  TapRows(const Window& w, int64_t c, int64_t first_row = 0) : window(w), channels(c), first(first_row) {}

  // One segment per tap, or per line of taps that lie side by side; not where rows change their line or meet padding.
  int in_place(int64_t batch, int64_t r0, int64_t r1, int64_t c0, int64_t c1, Segment* to) const override {
    const Window& w = window;
    int64_t p[3], sequence = first + r0;
    for (int d = 2; d >= 0; --d) p[d] = sequence % w.rows[d], sequence /= w.rows[d];
    if (p[2] + (r1 - r0) > w.rows[2]) return 0;
    const bool joined = w.stride[2] == channels && w.tap_step[2] == 1;
    const int64_t run = joined ? w.taps[2] * channels : channels;  // columns that lie side by side
    int found = 0;
    for (int64_t c = c0; c < c1; ++found) {
      if (found == kMaxSegments) return 0;
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
    int64_t p[3], sequence = first + r0;
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
    if (end > begin) std::copy_n(line + at + begin, end - begin, to + begin);
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

// The weights of one group as a matrix [tap * inner + i, column], packed.
inline void pack_taps(const float* data, const Taps& taps, int64_t inner, int64_t inner_stride, int64_t columns,
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

}  // namespace tapedeck::kernels::simd
