#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/train/average.h>
#include <tapedeck/train/optim.h>

#include <cmath>

namespace tapedeck {
namespace {

struct Net : nn::Linear {
  explicit Net(DType dtype = DType::f32) : nn::Linear(nn::LinearConfig{.in_features = 3, .out_features = 5}) {
    nn::materialise(*this, {.seed = 2, .dtype = dtype});
  }
};
std::vector<double> numbers(const Tensor& t) { return cast(t, DType::f64).to_vector<double>(); }

TEST(WeightAverage, IsItsClosedForm) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    Net net(dtype);
    train::WeightAverage average(net, 0.75);
    const Tensor& values = net.arenas()[0].values;
    EXPECT_EQ(numbers(average.values()[0]), numbers(values));
    const std::vector<double> first = numbers(values);
    const int steps = 40;
    for (int k = 1; k <= steps; ++k) {
      mul_(values, -0.9);
      average.update();
    }
    EXPECT_EQ(average.updates(), steps);
    // w(k) = (-0.9)^k w(0)
    double factor = std::pow(0.75, steps);
    for (int k = 1; k <= steps; ++k) factor += 0.25 * std::pow(0.75, steps - k) * std::pow(-0.9, k);
    const std::vector<double> got = numbers(average.values()[0]);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], factor * first[i], 1e-6);
  }
}

// Rounding does not add up: weights that move about a place have an average there after many updates.
TEST(WeightAverage, StaysInPlace) {
  Net net;
  train::WeightAverage average(net, 0.9999);
  const Tensor& values = net.arenas()[0].values;
  const std::vector<double> centre = numbers(values);
  const Tensor up = values * 1.01, down = values * 0.99;
  std::vector<double> expected = centre;
  const std::vector<double> high = numbers(up), low = numbers(down);
  for (int k = 0; k < 60000; ++k) {
    copy_(values, k % 2 == 0 ? up : down);
    average.update();
    for (std::size_t i = 0; i < expected.size(); ++i)
      expected[i] = 0.9999 * expected[i] + (1 - 0.9999) * (k % 2 == 0 ? high : low)[i];
  }
  const std::vector<double> got = numbers(average.values()[0]);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 2e-6 * std::abs(expected[i]));
}

// 1 - decay is 9 / (n + 9) for update n, until the decay that was asked for is the smaller one.
TEST(WeightAverage, YoungOnesForgetFaster) {
  Net net;
  train::WeightAverage average(net, 0.75, true);
  const Tensor& values = net.arenas()[0].values;
  std::vector<double> expected = numbers(values);
  for (int n = 1; n <= 40; ++n) {
    mul_(values, -0.9);
    average.update();
    const double decay = n <= 27 ? n / (n + 9.0) : 0.75;
    const std::vector<double> now = numbers(values);
    for (std::size_t i = 0; i < now.size(); ++i) expected[i] = decay * expected[i] + (1 - decay) * now[i];
  }
  const std::vector<double> got = numbers(average.values()[0]);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6);
}

TEST(WeightAverage, IsUsedForAWhile) {
  Net net;
  train::WeightAverage average(net, 0.5);
  const Tensor& values = net.arenas()[0].values;
  mul_(values, 3);
  average.update();
  const std::vector<double> own = numbers(values);
  const Tensor x = full({1, 3}, 1);
  const std::vector<double> before = numbers(net(x));
  {
    const train::WeightAverage::Use use(average);
    EXPECT_EQ(numbers(values), numbers(average.values()[0]));
    EXPECT_NE(numbers(net(x)), before);
  }
  EXPECT_EQ(numbers(values), own);
  EXPECT_EQ(numbers(net(x)), before);
}

TEST(WeightAverage, GoesOnFromWhatWasKept) {
  Net net;
  train::WeightAverage a(net, 0.9);
  mul_(net.arenas()[0].values, 2);
  a.update();
  train::WeightAverage b(net, 0.9);
  b.load({clone(a.values()[0])}, a.updates());
  mul_(net.arenas()[0].values, 2);
  a.update(), b.update();
  EXPECT_EQ(numbers(a.values()[0]), numbers(b.values()[0]));
  EXPECT_EQ(b.updates(), 2);
  const std::vector<double> kept = numbers(b.values()[0]);
  EXPECT_THROW(b.load({}, 1), ShapeError);
  EXPECT_THROW(b.load({zeros({3})}, 1), ShapeError);
  EXPECT_THROW(b.load({cast(a.values()[0], DType::f64)}, 1), DTypeError);
  EXPECT_THROW(b.load({a.values()[0]}, -1), ValueError);
  EXPECT_EQ(numbers(b.values()[0]), kept);
}

TEST(WeightAverage, SaysWhatItDoesNotTake) {
  Net net;
  for (const double decay : {-0.1, 1.1, std::nan("")}) EXPECT_THROW(train::WeightAverage(net, decay), ValueError);
  train::WeightAverage average(net);
  nn::materialise(net, {.dtype = DType::f64});
  EXPECT_THROW(average.update(), ValueError);
  EXPECT_THROW(train::WeightAverage::Use{average}, ValueError);
}

TEST(GradientNorm, OfAModuleIsThatOfItsParameters) {
  Net net;
  for (const bool all_of_them : {true, false}) {
    net.zero_grad();
    Tape tape;
    const Tensor x = full({2, 3}, 1.5);
    tape.backward(all_of_them ? sum(square(net(x))) : sum(square(matmul(x, transpose(net.weight, 0, 1)))));
    EXPECT_EQ(net.bias.get().has_grad(), all_of_them);
    const double one_by_one = train::gradient_norm(train::parameters_of(net)), whole = train::gradient_norm(net);
    EXPECT_GT(whole, 1);
    EXPECT_NEAR(whole, one_by_one, 1e-6 * whole);
    EXPECT_EQ(train::clip_grad_norm(net, 2 * whole), whole);
    EXPECT_EQ(train::clip_grad_norm(net, 0.5), whole);
    EXPECT_NEAR(train::gradient_norm(train::parameters_of(net)), 0.5, 1e-6);
  }
}

}  // namespace
}  // namespace tapedeck
