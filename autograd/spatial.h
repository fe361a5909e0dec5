// Options of convolutions, pooling and interpolation: numbers per spatial dimension, outermost first.
#pragma once
#include <cstdint>
#include <vector>

namespace tapedeck {

// One whole number per spatial dimension; a single one stands for all of them.
template <int N>
struct PerDim {
  std::int64_t values[N] = {};
  constexpr PerDim(std::int64_t all = 0) {
    for (std::int64_t& v : values) v = all;
  }
  constexpr PerDim(std::int64_t a, std::int64_t b) requires(N == 2) : values{a, b} {}
  constexpr PerDim(std::int64_t a, std::int64_t b, std::int64_t c) requires(N == 3) : values{a, b, c} {}
  constexpr std::int64_t operator[](int d) const { return values[d]; }
  constexpr operator std::int64_t() const requires(N == 1) { return values[0]; }
};

// causal: (kernel - 1) * dilation zeros in front of the first dimension, the others as same. same needs stride 1.
enum class Padding { valid, causal, same };

// Zeros around the input, by a rule or as many as said:
//   .padding = Padding::same   .padding = 2 (everywhere)   {1, 2} in 1d: left, right; in 2d: height, width
//   {{1, 2}, {0, 0}} in 2d and 3d: before, and behind
template <int N>
struct ConvPadding {
  Padding rule = Padding::valid;
  PerDim<N> before, after;
  constexpr ConvPadding(Padding p = Padding::valid) : rule(p) {}
  constexpr ConvPadding(std::int64_t all) : before(all), after(all) {}
  constexpr ConvPadding(std::int64_t left, std::int64_t right) requires(N == 1) : before(left), after(right) {}
  constexpr ConvPadding(std::int64_t height, std::int64_t width) requires(N == 2)
      : before(height, width), after(height, width) {}
  constexpr ConvPadding(std::int64_t depth, std::int64_t height, std::int64_t width) requires(N == 3)
      : before(depth, height, width), after(depth, height, width) {}
  constexpr ConvPadding(PerDim<N> in_front, PerDim<N> behind) requires(N > 1) : before(in_front), after(behind) {}
};

template <int N>
struct ConvOptions {
  PerDim<N> stride = 1, dilation = 1;
  std::int64_t groups = 1;
  ConvPadding<N> padding = {};
};
using Conv1dOptions = ConvOptions<1>;
using Conv2dOptions = ConvOptions<2>;
using Conv3dOptions = ConvOptions<3>;

// padding in numbers only: so many steps are cut off each end of the output, which output_padding makes longer again.
template <int N>
struct ConvTransposeOptions {
  PerDim<N> stride = 1;
  ConvPadding<N> padding = {};
  PerDim<N> output_padding = 0;
  std::int64_t groups = 1;
  PerDim<N> dilation = 1;
};
using ConvTranspose1dOptions = ConvTransposeOptions<1>;
using ConvTranspose2dOptions = ConvTransposeOptions<2>;
using ConvTranspose3dOptions = ConvTransposeOptions<3>;

template <int N>
struct MaxPoolOptions {
  PerDim<N> stride = 0;  // 0: the kernel's size
  PerDim<N> padding = 0, dilation = 1;
  bool ceil_mode = false;
};
using MaxPool1dOptions = MaxPoolOptions<1>;
using MaxPool2dOptions = MaxPoolOptions<2>;

template <int N>
struct AvgPoolOptions {
  PerDim<N> stride = 0;  // 0: the kernel's size
  PerDim<N> padding = 0;
  bool ceil_mode = false, count_include_pad = true;
  std::int64_t divisor_override = 0;  // 0: the number of elements
};
using AvgPool1dOptions = AvgPoolOptions<1>;
using AvgPool2dOptions = AvgPoolOptions<2>;

enum class Interpolation { nearest, nearest_exact, linear, bilinear, area };
// The new size or its factor, one of the two: a number per spatial dimension, or one for all. A factor stays the scale
// of the coordinates, as in PyTorch; positions are computed exactly (PyTorch's nearest rounds them to f32).
struct InterpolateOptions {
  std::vector<std::int64_t> size = {};
  std::vector<double> scale_factor = {};
  Interpolation mode = Interpolation::nearest;
  bool align_corners = false;  // linear, bilinear: the first and last elements keep their places
};

}  // namespace tapedeck
