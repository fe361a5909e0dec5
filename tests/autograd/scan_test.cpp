// Corners of reductions and scans that the op cases do not compare: what PyTorch says of NaN, zeros and nothing, and
// where we differ from it.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

V gradient_of(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  Tape tape;
  tape.watch(x);
  const Tensor y = f(x);
  tape.backward(y, f64(V(static_cast<std::size_t>(y.numel()), 1), y.sizes()));
  return values(tape.grad(x));
}

TEST(Reduce, GradientsAtTies) {
  const Tensor x = f64({1, 3, 3, 2}, {4});
  EXPECT_EQ(gradient_of(x, [](const Tensor& t) { return max(t); }), (V{0, 0.5, 0.5, 0}));
  EXPECT_EQ(gradient_of(x, [](const Tensor& t) { return max(t, 0).values; }), (V{0, 1, 0, 0}));
  EXPECT_EQ(gradient_of(x, [](const Tensor& t) { return norm(t, kInf); }), (V{0, 0.5, 0.5, 0}));
  EXPECT_EQ(gradient_of(f64({2, 1, 2, 2}, {4}), [](const Tensor& t) { return median(t); }),
            (V{1. / 3, 0, 1. / 3, 1. / 3}));
  EXPECT_EQ(gradient_of(f64({2, 1, 2, 2}, {4}), [](const Tensor& t) { return median(t, 0).values; }), (V{1, 0, 0, 0}));
}

TEST(Reduce, NaNWinsAndSharesTheGradient) {
  const Tensor x = f64({1, kNaN, 5, kNaN}, {4});
  EXPECT_TRUE(std::isnan(max(x).item()) && std::isnan(min(x).item()) && std::isnan(max(x, 0).values.item()));
  EXPECT_EQ(max(x, 0).indices.item(), 1);
  EXPECT_EQ(argmin(x).item(), 1);
  EXPECT_EQ(gradient_of(x, [](const Tensor& t) { return max(t); }), (V{0, 0.5, 0, 0.5}));
  EXPECT_TRUE(any(f64({0, kNaN}, {2})).item() == 1 && all(f64({1, kNaN}, {2})).item() == 1);
}

TEST(Reduce, OfNothing) {
  const Tensor none = zeros({0, 3});
  EXPECT_EQ(values(prod(none, 0)), (V{1, 1, 1}));
  EXPECT_EQ(values(logsumexp(none, 0)), (V{-kInf, -kInf, -kInf}));
  EXPECT_EQ(values(norm(none, 2, {0})), (V{0, 0, 0}));
  EXPECT_EQ(values(norm(none, kInf, {0})), (V{0, 0, 0}));
  EXPECT_EQ(values(all(none, {0})), (V{1, 1, 1}));
  EXPECT_EQ(values(any(none, {0})), (V{0, 0, 0}));
  EXPECT_EQ(values(count_nonzero(none)), (V{0}));
  EXPECT_TRUE(std::isnan(tapedeck::std(zeros({1})).item()));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { max(none, 0); }), "max: nothing to choose from in dimension 0"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { argmax(none); }), "argmax: nothing to choose from"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { median(none); }), "median: nothing to choose from"));  // PyTorch: NaN
}

TEST(Reduce, IntegersAndBools) {
  const Tensor b = cast(i64({1, 1, 0, 1}, {4}), DType::boolean);
  EXPECT_EQ(prod(b).dtype(), DType::i64);
  EXPECT_EQ(prod(slice(b, 0, 0, 2)).item(), 1);
  EXPECT_EQ(any(cast(b, DType::u8)).dtype(), DType::boolean);  // PyTorch: u8
  EXPECT_EQ(values(cumsum(b, 0)), (V{1, 2, 2, 3}));
  EXPECT_EQ(cumsum(cast(b, DType::u8), 0).dtype(), DType::i64);
  EXPECT_EQ(max(b).item(), 1);
  EXPECT_EQ(max(b).dtype(), DType::boolean);
}

TEST(Reduce, NormsOfLargeAndSmallNumbers) {
  EXPECT_DOUBLE_EQ(norm(f64({3e200, 4e200}, {2})).item(), 5e200);
  EXPECT_DOUBLE_EQ(norm(f64({3e-200, 4e-200}, {2})).item(), 5e-200);
  EXPECT_EQ(norm(tensor({3e30, 4e30})).item(), static_cast<double>(5e30f));  // PyTorch: inf
  EXPECT_EQ(gradient_of(f64({0, 0}, {2}), [](const Tensor& t) { return norm(t); }), (V{0, 0}));
  EXPECT_EQ(gradient_of(f64({0, 4}, {2}), [](const Tensor& t) { return norm(t, 0.5); }), (V{0, 1}));
  EXPECT_TRUE(says(error_of<ValueError>([] { norm(zeros({2}), kNaN); }), "norm: p must be a number"));
}

TEST(Scan, ZeroDimensionalTensorsAreLinesOfOne) {
  const Tensor x = f64({2}, {});
  for (const int dim : {0, -1}) {
    EXPECT_EQ(cumsum(x, dim).dim(), 0);
    EXPECT_EQ(cummax(x, dim).indices.item(), 0);
    EXPECT_EQ(sort(x, dim).values.item(), 2);
    EXPECT_EQ(logsumexp(x, dim).item(), 2);
    EXPECT_EQ(prod(x, dim).item(), 2);
    EXPECT_EQ(max(x, dim).indices.dim(), 0);
  }
  EXPECT_TRUE(says(error_of<ShapeError>([&] { cumsum(x, 1); }), "cumsum"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { cumprod(zeros({2, 3}), 2); }), "cumprod"));
}

TEST(Scan, GradientsAtZeros) {
  const auto product = [](const Tensor& t) { return cumprod(t, 0); };
  EXPECT_EQ(gradient_of(f64({2, 0, 3}, {3}), product), (V{1, 2 + 6, 0}));
  EXPECT_EQ(gradient_of(f64({0, 2, 0, 5}, {4}), product), (V{1 + 2, 0, 0, 0}));
  EXPECT_EQ(gradient_of(f64({0, 2, 5}, {3}), [](const Tensor& t) { return prod(t); }), (V{10, 0, 0}));
  EXPECT_EQ(gradient_of(f64({0, 2, 0}, {3}), [](const Tensor& t) { return prod(t); }), (V{0, 0, 0}));
}

// PyTorch's gradient is NaN at the leading -inf.
TEST(Scan, LogcumsumexpOfNothingYet) {
  const Tensor x = f64({-kInf, -kInf, 1, 2}, {4});
  const auto f = [](const Tensor& t) { return logcumsumexp(t, 0); };
  expect_close(values(f(x)), {-kInf, -kInf, 1, 2 + std::log1p(std::exp(-1))}, 1e-15, "logcumsumexp");
  const double share = 1 / (1 + std::exp(1));
  expect_close(gradient_of(x, f), {0, 0, 1 + share, 1 - share}, 1e-15, "gradient");
  const Tensor x32 = cast(x, DType::f32);
  Tape tape;
  tape.watch(x32);
  tape.backward(f(x32), full({4}, 1));
  expect_close(values(tape.grad(x32)), {0, 0, 1 + share, 1 - share}, 1e-7, "gradient in f32");
}

TEST(Scan, ALongSumLosesNothing) {
  const Tensor x = full({1000000}, 0.1);
  const auto y = cumsum(x, 0).to_vector<float>();
  for (const std::size_t k : {9u, 99999u, 999999u}) {
    const double exact = static_cast<double>(0.1f) * static_cast<double>(k + 1);
    EXPECT_EQ(y[k], static_cast<float>(exact)) << k;
  }
}

}  // namespace
}  // namespace tapedeck
