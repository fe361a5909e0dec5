// Convolutions, pooling, other sizes.
#include "autograd/bad_options.h"

namespace tapedeck::test {
namespace {

// A convolution with each of its options out of range.
template <class Options>
void convolution(BadCalls& t, const char* op, bool transposed, const std::function<void(In, const Options&)>& f) {
  const auto whole = [&](auto set, std::vector<std::int64_t> numbers) {
    for (const std::int64_t n : numbers)
      t.value(op, {std::to_string(n)}, [=](In g) {
        Options o;
        set(o, n);
        f(g, o);
      });
  };
  const std::vector<std::int64_t> not_positive{0, -1, -kHuge, kHuge};
  whole([](Options& o, std::int64_t n) { o.stride = n; }, not_positive);
  whole([](Options& o, std::int64_t n) { o.dilation = n; }, not_positive);
  whole([](Options& o, std::int64_t n) { o.groups = n; }, not_positive);
  whole([](Options& o, std::int64_t n) { o.padding = n; }, {-1, -kHuge, kHuge});
  t.shape(op, {"groups=3"}, [=](In g) {
    Options o;
    o.groups = 3;
    f(g, o);
  });
  if (transposed) {
    t.value(op, {"padding"}, [=](In g) {
      Options o;
      o.padding = Padding::same;
      f(g, o);
    });
  } else {
    t.value(op, {"same", "stride=2"}, [=](In g) {
      Options o;
      o.padding = Padding::same, o.stride = 2;
      f(g, o);
    });
    t.shape(op, {"dilation=9"}, [=](In g) {
      Options o;
      o.dilation = 9;
      f(g, o);
    });
  }
}

}  // namespace

void add_bad_conv(BadCalls& t) {
  convolution<Conv1dOptions>(t, "conv1d", false, [](In g, const auto& o) { conv1d(g.x, g.w1, {}, o); });
  convolution<Conv2dOptions>(t, "conv2d", false, [](In g, const auto& o) { conv2d(g.image, g.w2, {}, o); });
  convolution<Conv3dOptions>(t, "conv3d", false, [](In g, const auto& o) { conv3d(g.volume, g.w3, {}, o); });
  const auto t1 = [](In g, ConvTranspose1dOptions o) { conv_transpose1d(g.x, g.w1, {}, o); };
  const auto t2 = [](In g, ConvTranspose2dOptions o) { conv_transpose2d(g.image, g.w2, {}, o); };
  const auto t3 = [](In g, ConvTranspose3dOptions o) { conv_transpose3d(g.volume, g.w3, {}, o); };
  convolution<ConvTranspose1dOptions>(t, "conv_transpose1d", true, t1);
  convolution<ConvTranspose2dOptions>(t, "conv_transpose2d", true, t2);
  convolution<ConvTranspose3dOptions>(t, "conv_transpose3d", true, t3);
  t.values("conv_transpose1d", {-1, 1, kHuge}, [=](In g, std::int64_t n) { t1(g, {.output_padding = n}); });
  t.values("conv_transpose2d", {-1, 1, kHuge}, [=](In g, std::int64_t n) { t2(g, {.output_padding = n}); });
  t.values("conv_transpose3d", {-1, 1, kHuge}, [=](In g, std::int64_t n) { t3(g, {.output_padding = n}); });
  t.shape("conv_transpose1d", {"6 steps"}, [=](In g) { t1(g, {.padding = 3}); });
  t.shape("conv1d", {"4", "6"}, [](In g) { conv1d(g.x, g.w1, g.v); });
  t.shape("conv1d", {"[3,4]"}, [](In g) { conv1d(g.m, g.w1); });
  t.shape("conv2d", {"[2,5,4]"}, [](In g) { conv2d(g.x, g.w2); });
  t.shape("conv3d", {"2", "4"}, [](In g) { conv3d(detail::try_reshape(g.image, {1, 2, 5, 6, 4}), g.w3); });

  // Pools: kernels, strides, paddings, dilations.
  using Max1 = std::function<void(In, PerDim<1>, MaxPool1dOptions)>;
  using Max2 = std::function<void(In, PerDim<2>, MaxPool2dOptions)>;
  for (const auto& [op, f] : std::vector<std::pair<const char*, Max1>>{
           {"max_pool1d", [](In g, PerDim<1> k, MaxPool1dOptions o) { max_pool1d(g.x, k, o); }},
           {"max_pool1d_with_indices",
            [](In g, PerDim<1> k, MaxPool1dOptions o) { max_pool1d_with_indices(g.x, k, o); }}}) {
    t.values(op, {0, -1, -kHuge}, [f = f](In g, std::int64_t n) { f(g, n, {}); });
    t.values(op, {-1, kHuge}, [f = f](In g, std::int64_t n) { f(g, 2, {.stride = n}); });
    t.values(op, {-1, 2, kHuge}, [f = f](In g, std::int64_t n) { f(g, 2, {.padding = n}); });
    t.values(op, {0, -1, kHuge}, [f = f](In g, std::int64_t n) { f(g, 2, {.dilation = n}); });
    t.shape(op, {"6", "5"}, [f = f](In g) { f(g, 6, {}); });
    t.values(op, {kHuge}, [f = f](In g, std::int64_t n) { f(g, n, {}); });
  }
  for (const auto& [op, f] : std::vector<std::pair<const char*, Max2>>{
           {"max_pool2d", [](In g, PerDim<2> k, MaxPool2dOptions o) { max_pool2d(g.image, k, o); }},
           {"max_pool2d_with_indices",
            [](In g, PerDim<2> k, MaxPool2dOptions o) { max_pool2d_with_indices(g.image, k, o); }}}) {
    t.values(op, {0, -1, kHuge}, [f = f](In g, std::int64_t n) { f(g, {2, n}, {}); });
    t.values(op, {-1, kHuge}, [f = f](In g, std::int64_t n) { f(g, 2, {.stride = n}); });
    t.values(op, {-1, 2, kHuge}, [f = f](In g, std::int64_t n) { f(g, 2, {.padding = {0, n}}); });
    t.values(op, {0, -1, kHuge}, [f = f](In g, std::int64_t n) { f(g, 2, {.dilation = {n, 1}}); });
    t.shape(op, {"7", "6"}, [f = f](In g) { f(g, {1, 7}, {}); });
  }
  const auto a1 = [](In g, PerDim<1> k, AvgPool1dOptions o) { avg_pool1d(g.x, k, o); };
  const auto a2 = [](In g, PerDim<2> k, AvgPool2dOptions o) { avg_pool2d(g.image, k, o); };
  t.values("avg_pool1d", {0, -1, kHuge}, [=](In g, std::int64_t n) { a1(g, n, {}); });
  t.values("avg_pool1d", {-1, kHuge}, [=](In g, std::int64_t n) { a1(g, 2, {.stride = n}); });
  t.values("avg_pool1d", {-1, 2, kHuge}, [=](In g, std::int64_t n) { a1(g, 2, {.padding = n}); });
  t.values("avg_pool1d", {-1, -kHuge}, [=](In g, std::int64_t n) { a1(g, 2, {.divisor_override = n}); });
  t.values("avg_pool2d", {0, -1, kHuge}, [=](In g, std::int64_t n) { a2(g, {n, 2}, {}); });
  t.values("avg_pool2d", {-1, kHuge}, [=](In g, std::int64_t n) { a2(g, 2, {.stride = {1, n}}); });
  t.values("avg_pool2d", {-1, 2, kHuge}, [=](In g, std::int64_t n) { a2(g, 2, {.padding = n}); });
  t.values("avg_pool2d", {-1, -kHuge}, [=](In g, std::int64_t n) { a2(g, 2, {.divisor_override = n}); });
  const BadCalls::Whole no_sizes{0, -1, -kHuge, kHuge};
  t.values("adaptive_max_pool1d", no_sizes, [](In g, std::int64_t n) { adaptive_max_pool1d(g.x, n); });
  t.values("adaptive_avg_pool1d", no_sizes, [](In g, std::int64_t n) { adaptive_avg_pool1d(g.x, n); });
  t.values("adaptive_max_pool2d", no_sizes, [](In g, std::int64_t n) { adaptive_max_pool2d(g.image, {2, n}); });
  t.values("adaptive_avg_pool2d", no_sizes, [](In g, std::int64_t n) { adaptive_avg_pool2d(g.image, {n, 2}); });
  t.values("adaptive_max_pool1d_with_indices", no_sizes,
           [](In g, std::int64_t n) { adaptive_max_pool1d_with_indices(g.x, n); });
  t.values("adaptive_max_pool2d_with_indices", no_sizes,
           [](In g, std::int64_t n) { adaptive_max_pool2d_with_indices(g.image, n); });
  t.shape("adaptive_max_pool1d", {"[3,4]"}, [](In g) { adaptive_max_pool1d(g.m, 2); });

  t.shapes("interpolate", {0, -1, -kHuge, kHuge}, [](In g, std::int64_t n) { interpolate(g.x, {.size = {n}}); });
  t.reals("interpolate", {0, -1, kNan, kInfinity, 1e30},
          [](In g, double f) { interpolate(g.x, {.scale_factor = {f}}); });
  t.value("interpolate", {"[2,5,4]"}, [](In g) { interpolate(g.x, {}); });
  t.value("interpolate", {"[2,5,4]"}, [](In g) { interpolate(g.x, {.size = {3}, .scale_factor = {2}}); });
  t.value("interpolate", {"3 numbers"}, [](In g) { interpolate(g.image, {.size = {3, 3, 3}}); });
  t.value("interpolate", {"area"},
          [](In g) { interpolate(g.x, {.size = {3}, .mode = Interpolation::area, .align_corners = true}); });
  t.shape("interpolate", {"bilinear"}, [](In g) { interpolate(g.x, {.size = {3}, .mode = Interpolation::bilinear}); });
  const BadCalls::Whole no_factors{0, -2, kHuge, -kHuge};
  t.values("pixel_shuffle", no_factors, [](In g, std::int64_t n) { pixel_shuffle(g.x, n); });
  t.values("pixel_unshuffle", no_factors, [](In g, std::int64_t n) { pixel_unshuffle(g.x, n); });
  t.shape("pixel_shuffle", {"4", "3"}, [](In g) { pixel_shuffle(g.x, 3); });
  t.shape("pixel_shuffle", {"4", "9"}, [](In g) { pixel_shuffle(g.image, 3); });
  t.shape("pixel_unshuffle", {"2"}, [](In g) { pixel_unshuffle(g.x, 2); });
}

}  // namespace tapedeck::test
