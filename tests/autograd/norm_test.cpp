#include <gtest/gtest.h>

#include <cmath>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

TEST(BatchNorm, RunningStatisticsMoveByMomentum) {
  const Tensor x = f64({1, 10, 3, 10, 5, 40}, {3, 2}), mean = f64({1, 2}, {2}), var = f64({1, 1}, {2});
  const std::uint64_t version = mean.version();
  batch_norm(x, mean, var, {}, {}, true, 0.25);
  expect_close(values(mean), {0.75 * 1 + 0.25 * 3, 0.75 * 2 + 0.25 * 20}, 1e-15, "mean");
  expect_close(values(var), {0.75 + 0.25 * 4, 0.75 + 0.25 * 300}, 1e-15, "variance, unbiased");
  EXPECT_GT(mean.version(), version);
  const V before = values(mean);
  batch_norm(x, mean, var);
  EXPECT_EQ(values(mean), before);
}

TEST(BatchNorm, ReplayOfACheckpointMovesNothing) {
  const Tensor x = spread({4, 2}, -1, 1), mean = zeros({2}, {DType::f64}), var = full({2}, 1, {DType::f64});
  const Tensor plain_mean = clone(mean), plain_var = clone(var);
  batch_norm(x, plain_mean, plain_var, {}, {}, true);
  Tape tape;
  tape.watch(x);
  const Tensor y =
      checkpoint([&](const std::vector<Tensor>& in) { return batch_norm(in[0], mean, var, {}, {}, true); }, {x});
  tape.backward(sum(square(y)));
  EXPECT_EQ(values(mean), values(plain_mean));
  EXPECT_EQ(values(var), values(plain_var));
}

TEST(BatchNorm, WrongUseIsAnError) {
  const Tensor x = spread({4, 2}, -1, 1), two = zeros({2}, {DType::f64}), three = zeros({3}, {DType::f64});
  EXPECT_TRUE(says(error_of<ValueError>([&] { batch_norm(x, {}, {}); }), "batch_norm: needs running_mean"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { batch_norm(x, three, two); }), "batch_norm: running_mean must be [2]"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { batch_norm(x, two, two, three); }), "batch_norm: weight must be [2]"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] {
                     batch_norm(spread({1, 2}, 0, 1), {}, {}, {}, {}, true);
                   }),
                   "batch_norm: the variance of one value"));
  EXPECT_THROW(batch_norm(x, {}, {}, {}, {}, true, 2), ValueError);
  EXPECT_THROW(batch_norm(x, {}, {}, {}, {}, true, 0.1, -1), ValueError);
  EXPECT_THROW(instance_norm(x), ShapeError);
  EXPECT_THROW(group_norm(x, 3), ShapeError);
  EXPECT_THROW(group_norm(x, 0), ShapeError);
  EXPECT_TRUE(
      says(error_of<ShapeError>([&] { layer_norm(x, {3}); }), "layer_norm: x must end in the normalised shape"));
  EXPECT_THROW(layer_norm(x, {}), ShapeError);
  EXPECT_THROW(rms_norm(x, {2, 4, 2}), ShapeError);
  EXPECT_THROW(local_response_norm(x, 0), ValueError);
  EXPECT_THROW(spectral_norm(x, two), ShapeError);
  EXPECT_THROW(weight_norm(x, three), ShapeError);
  Tape tape;
  tape.watch(two);
  const std::size_t nodes = tape.size();
  for (const bool training : {true, false})
    EXPECT_TRUE(says(error_of<ValueError>([&] { batch_norm(x, two, ones({2}, {DType::f64}), {}, {}, training); }),
                     "running_mean must be no part of the tape"));
  EXPECT_EQ(tape.size(), nodes);
}

TEST(BatchNorm, WhatItWritesToHasMemoryOfItsOwn) {
  const Tensor x = spread({4, 2}, -1, 1), own = zeros({2}, {DType::f64}), one = ones({1}, {DType::f64});
  EXPECT_TRUE(says(error_of<ValueError>([&] { batch_norm(x, own, own, {}, {}, true); }), "are the same memory"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { batch_norm(x, own, expand(one, {2}), {}, {}, true); }),
                   "running_var is written to"));
  // Where nothing is written they may lie as they like.
  EXPECT_EQ(values(batch_norm(x, expand(one, {2}), expand(one, {2}))),
            values(batch_norm(x, ones({2}, {DType::f64}), ones({2}, {DType::f64}))));
}

TEST(LayerNorm, AnOffsetCostsNoDigits) {
  const Tensor x = cast(spread({3, 64}, -1, 1), DType::f32);
  // Multiples of 2^-10 stay exact beside 8192.
  const Tensor whole = cast(cast(x * 1024, DType::i64), DType::f32) / 1024;
  const V plain = values(layer_norm(whole, {64})), far = values(layer_norm(whole + 8192, {64}));
  for (std::size_t i = 0; i < plain.size(); ++i)
    EXPECT_LE(std::fabs(plain[i] - far[i]), 2e-7 * std::fabs(plain[i]) + 1e-7);
}

TEST(RmsNorm, WithoutEpsItIsTheDtypes) {
  const double u = 0x1p-23;
  EXPECT_NEAR(rms_norm(full({1}, std::sqrt(u)), {1}).item(), std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(rms_norm(full({1}, 0x1p-26, {DType::f64}), {1}).item(), std::sqrt(0.5), 1e-12);
}

TEST(Norms, NothingIsCopiedInTraining) {
  const Tensor x = cast(spread({2, 5, 6}, -1, 1), DType::f32), w = full({6}, 1), b = zeros({6});
  const std::int64_t before = packed_bytes();
  for (int which = 0; which < 4; ++which) {
    Tape tape;
    tape.watch(x), tape.watch(w), tape.watch(b);
    const Tensor y = which == 0   ? layer_norm(x, {6}, w, b)
                     : which == 1 ? group_norm(x, 2, w, b)
                     : which == 2 ? batch_norm(x, {}, {}, w, b, true)
                                  : instance_norm(x, {}, {}, w, b);
    tape.backward(sum(square(y)));
  }
  EXPECT_EQ(packed_bytes(), before);
}

TEST(SpectralNorm, FindsTheLargestSingularValue) {
  const Tensor w = f64({3, 0, 0, 0, -5, 0}, {2, 3});
  SpectralNorm s = spectral_norm(w, f64({1, 1}, {2}), 100);
  expect_close(values(s.weight), {0.6, 0, 0, 0, -1, 0}, 1e-12, "weight");
  EXPECT_NEAR(std::fabs(values(s.u)[1]), 1, 1e-12);
}

}  // namespace
}  // namespace tapedeck
