// Pooling and interpolation: what the tables of cases do not say.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;
using I = std::vector<std::int64_t>;

// As PyTorch's CPU kernels choose: the last NaN, else the first of equals.
TEST(Pool, NaNWinsAndTiesGoToTheFirst) {
  const auto y = max_pool1d_with_indices(f64({1, kNaN, 2, kNaN, 5, 5, -kInf, -kInf, -0.0, 0.0}, {1, 10, 1}), 2);
  EXPECT_TRUE(std::isnan(values(y.values)[0]) && std::isnan(values(y.values)[1]));
  EXPECT_EQ(y.indices.to_vector<std::int64_t>(), (I{1, 3, 4, 6, 8}));
  EXPECT_TRUE(std::signbit(values(y.values)[4]));
  const auto all = max_pool1d_with_indices(f64({kNaN, 3, kNaN, 1}, {1, 4, 1}), 4);
  EXPECT_EQ(all.indices.to_vector<std::int64_t>(), (I{2}));
}

TEST(Pool, IndicesCountInTheUnpaddedPlane) {
  const auto y = max_pool2d_with_indices(test::spread({1, 3, 4, 1}, -1, 1), 3, {.stride = 2, .padding = 1});
  const V x = values(test::spread({1, 3, 4, 1}, -1, 1)), got = values(y.values);
  const auto at = y.indices.to_vector<std::int64_t>();
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], x[static_cast<std::size_t>(at[i])]);
}

TEST(Pool, GradientOfTheLargestGoesToItsPlace) {
  const Tensor x = f64({1, 3, 3, 2}, {1, 4, 1});
  Tape tape;
  tape.watch(x);
  tape.backward(sum(max_pool1d(x, 2, {.stride = 1})));
  EXPECT_EQ(values(tape.grad(x)), (V{0, 2, 1, 0}));
}

// PyTorch's values: a window may be longer than what there is, as long as it begins inside.
TEST(Pool, TheLastWindowMayBeLongerThanX) {
  const auto both = [](std::int64_t n, std::int64_t k, std::int64_t stride, std::int64_t padding) {
    const Tensor x = reshape(cast(arange(n), DType::f64) + 1, {1, n, 1});
    return V{values(max_pool1d(x, k, {.stride = stride, .padding = padding, .ceil_mode = true}))[0],
             values(avg_pool1d(x, k, {.stride = stride, .padding = padding, .ceil_mode = true}))[0]};
  };
  EXPECT_EQ(both(1, 2, 2, 0), (V{1, 1}));
  EXPECT_EQ(both(2, 3, 3, 0), (V{2, 1.5}));
  EXPECT_EQ(both(2, 4, 3, 1), (V{2, 0.75}));
  EXPECT_EQ(both(1, 3, 3, 1), (V{1, 1.0 / 3}));
  EXPECT_THROW(both(1, 4, 2, 0), ShapeError);
}

TEST(Pool, ErrorsSayWhatDoesNotFit) {
  const Tensor x = zeros({1, 5, 2}), image = zeros({1, 4, 5, 2});
  EXPECT_TRUE(
      says(error_of<ShapeError>([&] { max_pool1d(image, 2); }), "max_pool1d: x must be [batch, time, channels]"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { max_pool1d(x, 0); }), "kernel_size, stride and dilation must be >= 1"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { avg_pool1d(x, 3, {.padding = 2}); }),
                   "avg_pool1d: padding must be from 0 to half of kernel_size 3, got 2"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] {
                     max_pool2d(image, {5, 2});
                   }),
                   "the window spans 5 places but dimension 1 has 4"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { max_pool1d(slice(x, 1, 0, 2), 2, {.padding = 1, .dilation = 3}); }),
                   "window 0 of dimension 1 sees padding only"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] {
                     adaptive_avg_pool1d(zeros({1, 0, 2}), 3);
                   }),
                   "dimension 1 has no places"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { adaptive_max_pool1d(x, 0); }), "output_size must be >= 1, got 0"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { avg_pool1d(cast(x, DType::i64), 2); }), "needs a real tensor"));
  EXPECT_THROW(adaptive_avg_pool1d(x, std::int64_t{1} << 40), MemoryError);
  EXPECT_THROW(max_pool1d(x, std::numeric_limits<std::int64_t>::max()), ValueError);
}

// floor(49 * (1 / 49)) is 0 in f32 and in f64.
TEST(Interpolate, NearestIsExact) {
  const Tensor x = f64({0, 1, 2}, {1, 3, 1});
  for (const Tensor& y : {interpolate(x, {.scale_factor = {49}}), interpolate(x, {.size = {147}})})
    for (std::int64_t o = 0; o < 147; ++o)
      EXPECT_EQ(values(y)[static_cast<std::size_t>(o)], static_cast<double>(o / 49));
}

TEST(Interpolate, NeighboursWithoutAShareLeaveNoTrace) {
  const Tensor x = f64({1, kNaN, 3}, {1, 3, 1});
  const V y = values(interpolate(x, {.size = {5}, .mode = Interpolation::linear, .align_corners = true}));
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[4], 3);
  EXPECT_TRUE(std::isnan(y[1]) && std::isnan(y[2]) && std::isnan(y[3]));
}

TEST(Interpolate, ErrorsSayWhatDoesNotFit) {
  const Tensor x = zeros({1, 5, 2}), image = zeros({1, 4, 5, 2});
  EXPECT_TRUE(says(error_of<ValueError>([&] { interpolate(x, {}); }), "give either size or scale_factor"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { interpolate(x, {.size = {2}, .scale_factor = {2}}); }), "either"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { interpolate(x, {.size = {2, 3}}); }), "2 numbers for 1 spatial"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { interpolate(image, {.size = {2}, .mode = Interpolation::linear}); }),
                   "images take bilinear"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { interpolate(x, {.size = {2}, .mode = Interpolation::bilinear}); }),
                   "sequences take linear"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { interpolate(x, {.size = {2}, .align_corners = true}); }),
                   "align_corners is for linear and bilinear, not nearest"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { interpolate(x, {.size = {0}}); }), "cannot make 0 places of 5"));
  EXPECT_TRUE(
      says(error_of<ValueError>([&] { interpolate(x, {.scale_factor = {kNaN}}); }), "scale_factor must be > 0"));
  EXPECT_THROW(interpolate(x, {.size = {std::int64_t{1} << 39}}), MemoryError);
  EXPECT_TRUE(says(error_of<ShapeError>([&] { pixel_shuffle(image, 2); }), "2 channels do not divide by 4"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { pixel_unshuffle(image, 2); }), "dimension 2 does not divide by 2"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { pixel_shuffle(x, 0); }), "the factor must be 1 to 2^30, got 0"));
}

}  // namespace
}  // namespace tapedeck
