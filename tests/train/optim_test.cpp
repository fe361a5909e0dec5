#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/layers.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/train/optim.h>
#include <tapedeck/train/schedule.h>

#include <cmath>
#include <limits>

#include "io/throws.h"

namespace tapedeck {
namespace {

using train::AdagradConfig;
using train::AdamConfig;
using train::AdamWConfig;
using train::Parameter;
using train::RMSpropConfig;
using train::SGDConfig;

constexpr double kUnit = 0x1p-24;  // half an ulp of 1 in f32

Tensor randoms(const Shape& shape, std::uint64_t stream, double scale = 1) {
  const Tensor x = empty(shape);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    x.data<float>()[i] =
        static_cast<float>(scale * (2.0 * uniform01(philox_word(stream, 0, static_cast<std::uint64_t>(i))) - 1));
  }
  return x;
}

Parameter parameter(const std::string& path, const Tensor& value, const std::string& group = "weight") {
  value.set_requires_grad(true);
  value.set_grad_buffer(zeros_like(value));
  return {path, group, value};
}

void give(const Parameter& p, const Tensor& gradient) {
  p.tensor.set_grad_buffer(gradient);
  p.tensor.impl()->has_grad = true;
}

Tensor state_of(const train::Optimizer& optimizer, const std::string& name) {
  for (const auto& [path, value] : optimizer.state()) {
    if (path == name) return value;
  }
  ADD_FAILURE() << name << " is not in the state";
  return {};
}

// Each of 100 steps from the same f32 state, against the formulas in f64.
void follow(const io::Poly<train::Optimizer>& config, double decay, bool decoupled, double scale) {
  const Parameter p = parameter("w", randoms({7, 5}, 1));
  const auto optimizer = train::make_optimizer(config, {p});
  const double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  for (int t = 1; t <= 100; ++t) {
    const double rate = 1e-2 / t;
    const Tensor g = randoms({7, 5}, static_cast<std::uint64_t>(100 + t), std::pow(10.0, t % 7 - 3));
    give(p, g);
    const auto p0 = p.tensor.to_vector<float>(), g0 = g.to_vector<float>();
    const auto m0 = state_of(*optimizer, "w.exp_avg").to_vector<float>();
    const auto v0 = state_of(*optimizer, "w.exp_avg_sq").to_vector<float>();
    optimizer->step(rate, scale);
    const auto p1 = p.tensor.to_vector<float>();
    const auto m1 = state_of(*optimizer, "w.exp_avg").to_vector<float>();
    const auto v1 = state_of(*optimizer, "w.exp_avg_sq").to_vector<float>();
    for (std::size_t i = 0; i < p0.size(); ++i) {
      const double w = p0[i], gradient = scale * g0[i] + (decoupled ? 0 : decay * w);
      const double gradient_size = std::abs(scale * g0[i]) + (decoupled ? 0 : decay * std::abs(w));
      const double m = beta1 * m0[i] + (1 - beta1) * gradient;
      const double v = beta2 * v0[i] + (1 - beta2) * gradient * gradient;
      const double kept = decoupled ? w * (1 - rate * decay) : w;
      const double change = rate * (m / (1 - std::pow(beta1, t))) / (std::sqrt(v / (1 - std::pow(beta2, t))) + eps);
      ASSERT_LE(std::abs(m1[i] - m), 8 * kUnit * (beta1 * std::abs(m0[i]) + (1 - beta1) * gradient_size)) << t;
      ASSERT_LE(std::abs(v1[i] - v), 8 * kUnit * (beta2 * v0[i] + (1 - beta2) * gradient_size * gradient_size)) << t;
      ASSERT_LE(std::abs(p1[i] - (kept - change)), 8 * kUnit * (std::abs(kept) + std::abs(change))) << t;
    }
    ASSERT_NE(p1, p0) << t;
  }
  EXPECT_EQ(state_of(*optimizer, "w.step").item(), 100);
}

TEST(Optim, AdamFollowsItsFormulas) { follow(AdamConfig{}, 0, false, 1); }
TEST(Optim, AdamAddsItsDecayToTheGradient) { follow(AdamConfig{.weight_decay = 0.3}, 0.3, false, 0.25); }
TEST(Optim, AdamWShrinksTheParameter) { follow(AdamWConfig{.weight_decay = 0.3}, 0.3, true, 0.25); }

// The first step: the parameter shrinks by rate * decay, then moves by the rate against the gradient (up to eps).
TEST(Optim, TheFirstStepOfAdamWMovesByTheRate) {
  const Tensor w = tensor(std::vector<double>{1, -2}, {2});
  const Parameter p = parameter("w", w);
  const auto optimizer = train::make_optimizer(AdamWConfig{}, {p});
  give(p, tensor(std::vector<double>{0.5, 0.25}, {2}));
  optimizer->step(0.1);
  EXPECT_NEAR(w.data<double>()[0], 0.999 - 0.1, 1e-8);
  EXPECT_NEAR(w.data<double>()[1], -1.998 - 0.1, 1e-8);
}

// Ten steps of PyTorch in f64 under its one-cycle schedule (make_optim_golden.py): the parameters, and what is kept.
TEST(Optim, GoldenTrajectoriesOfPyTorch) {
  using Values = std::vector<double>;
  struct Golden {
    io::Poly<train::Optimizer> config;
    Values end;
    std::vector<std::pair<std::string, Values>> states{};
  };
  const std::vector<Golden> all = {
      {AdamConfig{.weight_decay = 0.05}, {0.8002645446984954, -2.331057996584425, 0.8588016183292825}},
      {AdamWConfig{.weight_decay = 0.05}, {0.8154942048156505, -2.3453425566005293, 0.8530768296949175}},
      {SGDConfig{}, {1.086423157122941, -2.393029946403676, 0.6219750039332301}},
      {SGDConfig{.momentum = 0.9, .dampening = 0.25, .weight_decay = 0.05},
       {0.8280347369944103, -2.5546598088291406, 1.0966746074793317},
       {{"momentum_buffer", {-2.527489144027661, 5.969121769427805, -1.0207802416498575}}}},
      {SGDConfig{.momentum = 0.5, .nesterov = true}, {1.115233315877115, -2.6907191159358157, 0.7687242957364225}},
      {RMSpropConfig{}, {1.8232581221977233, -5.573866749903249, 1.5557058321295583}},
      {RMSpropConfig{.alpha = 0.75, .weight_decay = 0.05, .momentum = 0.5, .centered = true},
       {0.955959080529295, -3.56167214654873, 1.269321658162465},
       {{"square_avg", {0.7807074261111104, 2.400668981703524, 0.03273683072612946}},
        {"momentum_buffer", {-4.587171029625079, 6.001228795161204, -0.5995375190426218}},
        {"grad_avg", {-0.7331155636143223, 1.4051796679456712, -0.10259691120527414}}}},
      {AdagradConfig{}, {1.0809831657645967, -2.356505933707013, 0.6043678516320399}},
      {AdagradConfig{.lr_decay = 0.1, .weight_decay = 0.05, .initial_accumulator_value = 0.5},
       {1.022606985401494, -2.1805019033893873, 0.5663662592553184},
       {{"sum", {5.019661621137987, 16.012379734132864, 1.9037313546759833}}}}};
  const auto expect_near = [](const Tensor& got, const Values& expected) {
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(got.to_vector<double>()[i], expected[i], 1e-14 * std::max(1., std::abs(expected[i])));
  };
  for (const Golden& g : all) {
    SCOPED_TRACE(g.config.type());
    const Parameter p = parameter("w", tensor(Values{1, -2, 0.5}, {3}));
    const auto optimizer = train::make_optimizer(g.config, {p});
    for (int t = 0; t < 10; ++t) {
      give(p, tensor(Values{0.5 - 0.2 * t, 0.25 * t, -1.0 / (t + 1)}, {3}));
      optimizer->step(train::learning_rate(train::OneCycleConfig{.max_lr = 0.1}, t, 10));
    }
    expect_near(p.tensor, g.end);
    for (const auto& [name, values] : g.states) expect_near(state_of(*optimizer, "w." + name), values);
  }
}

// Every registered optimizer, with all that it can keep, and what follows from being one.
std::vector<io::Poly<train::Optimizer>> each_kind() {
  train::register_optimizers();
  std::vector<io::Poly<train::Optimizer>> all{SGDConfig{.momentum = 0.9, .dampening = 0.5}, SGDConfig{.momentum = 0.9},
                                              RMSpropConfig{.momentum = 0.5, .centered = true}};
  for (const std::string& name : io::Poly<train::Optimizer>::known()) {
    const io::Node node = io::Node::object({{"type", name}});
    all.push_back(io::load<io::Poly<train::Optimizer>>(node, name));
  }
  return all;
}

TEST(Optim, EveryKindStopsAndGoesOnBitForBit) {
  const auto gradient = [](int t) { return randoms({37}, static_cast<std::uint64_t>(40 + t)); };
  for (const auto& config : each_kind()) {
    SCOPED_TRACE(config.type());
    for (const int stop : {0, 1, 5}) {
      const Parameter straight = parameter("w", randoms({37}, 6)), first = parameter("w", randoms({37}, 6));
      const auto whole = train::make_optimizer(config, {straight});
      const auto before = train::make_optimizer(config, {first});
      for (int t = 0; t < stop; ++t) {
        give(straight, gradient(t)), whole->step(0.01);
        give(first, gradient(t)), before->step(0.01);
      }
      const Parameter resumed = parameter("w", tensor(first.tensor.to_vector<float>(), {37}));
      const auto after = train::make_optimizer(config, {resumed});
      after->load_state(before->state());
      for (int t = stop; t < 9; ++t) {
        give(straight, gradient(t)), whole->step(0.01);
        give(resumed, gradient(t)), after->step(0.01);
      }
      EXPECT_EQ(resumed.tensor.to_vector<float>(), straight.tensor.to_vector<float>());
      EXPECT_NE(first.tensor.to_vector<float>(), straight.tensor.to_vector<float>());
    }
  }
}

TEST(Optim, EveryKindLowersASum) {
  for (const auto& config : each_kind()) {
    SCOPED_TRACE(config.type());
    const Parameter p = parameter("w", full({3}, 1));
    const auto optimizer = train::make_optimizer(config, {p});
    for (int t = 0; t < 300; ++t) {
      give(p, mul(p.tensor, 2));  // of the sum of squares
      optimizer->step(0.01);
    }
    EXPECT_LT(std::abs(p.tensor.to_vector<float>()[0]), 0.8);
  }
}

TEST(Optim, ScalingOnTheWayIsAsScaledGradients) {
  for (const auto& config : each_kind()) {
    SCOPED_TRACE(config.type());
    const Parameter a = parameter("w", randoms({5}, 1)), b = parameter("w", randoms({5}, 1));
    const auto scaling = train::make_optimizer(config, {a}), scaled = train::make_optimizer(config, {b});
    for (int t = 0; t < 4; ++t) {
      const Tensor g = randoms({5}, static_cast<std::uint64_t>(9 + t));
      give(a, g), scaling->step(0.01, 0.25);
      give(b, mul(g, 0.25)), scaled->step(0.01);
    }
    EXPECT_EQ(a.tensor.to_vector<float>(), b.tensor.to_vector<float>());
  }
}

TEST(Optim, AZeroGradientMovesNothingAtFirst) {
  const Parameter p = parameter("w", randoms({9}, 3));
  const auto before = p.tensor.to_vector<float>();
  const auto optimizer = train::make_optimizer(AdamConfig{}, {p});
  give(p, zeros({9}));
  for (int i = 0; i < 3; ++i) optimizer->step(0.1);
  EXPECT_EQ(p.tensor.to_vector<float>(), before);
}

TEST(Optim, ParametersWithoutAGradientAreLeftAlone) {
  const Parameter a = parameter("a", randoms({4}, 4)), b = parameter("b", randoms({4}, 5));
  const auto before = b.tensor.to_vector<float>();
  const auto version = b.tensor.version(), other = a.tensor.version();
  const auto optimizer = train::make_optimizer(AdamWConfig{}, {a, b});
  give(a, full({4}, 1));
  optimizer->step(0.1);
  EXPECT_EQ(b.tensor.to_vector<float>(), before);
  EXPECT_EQ(b.tensor.version(), version);
  EXPECT_GT(a.tensor.version(), other);
  EXPECT_EQ(state_of(*optimizer, "a.step").item(), 1);
  EXPECT_EQ(state_of(*optimizer, "b.step").item(), 0);
}

TEST(Optim, GroupsWithoutDecayDoNotShrink) {
  for (const std::string group : {"bias", "norm", "embedding", "weight"}) {
    const Parameter p = parameter("w", full({3}, 1), group);
    const auto optimizer = train::make_optimizer(AdamWConfig{.weight_decay = 0.5}, {p});
    give(p, zeros({3}));
    optimizer->step(0.1);
    EXPECT_EQ(p.tensor.to_vector<float>()[0], group == "weight" ? 0.95f : 1.f) << group;
  }
}

TEST(Optim, AStateThatDoesNotFitIsRefusedWhole) {
  const Parameter a = parameter("a", randoms({4}, 4)), b = parameter("b", randoms({4}, 5));
  const auto optimizer = train::make_optimizer(AdamConfig{}, {a, b});
  nn::StateDict state{{"a.exp_avg", full({4}, 1)}, {"a.exp_avg_sq", full({5}, 1)}, {"c.exp_avg", full({4}, 1)}};
  const std::string message = error_of<FormatError>([&] { optimizer->load_state(state); });
  for (const char* part : {"a.exp_avg_sq is f32[5] cpu instead of f32[4] cpu", "a.step is missing",
                           "b.exp_avg is missing", "c.exp_avg is unexpected", "nothing was loaded"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_EQ(state_of(*optimizer, "a.exp_avg").to_vector<float>(), std::vector<float>(4, 0));
}

TEST(Optim, ConfigsAreChecked) {
  train::register_optimizers();
  const Parameter p = parameter("w", full({3}, 1));
  EXPECT_NE(error_of<ConfigError>([&] { train::make_optimizer(AdamConfig{.beta1 = 1}, {p}); }).find("/beta1"),
            std::string::npos);
  EXPECT_NE(error_of<ConfigError>([&] { train::make_optimizer({}, {p}); }).find("SGD, RMSprop, Adagrad"),
            std::string::npos);
  for (const SGDConfig& c :
       {SGDConfig{.nesterov = true}, SGDConfig{.momentum = 0.9, .dampening = 0.1, .nesterov = true}})
    EXPECT_NE(error_of<ConfigError>([&] { train::make_optimizer(c, {p}); }).find("/nesterov"), std::string::npos);
  const Parameter whole = {"i", "weight", full({3}, 1, {DType::i64, kCpu})};
  EXPECT_NE(error_of<DTypeError>([&] { train::make_optimizer(AdamConfig{}, {whole}); }).find("parameter i"),
            std::string::npos);
  const io::Node node = io::save(io::Poly<train::Optimizer>(AdamWConfig{.weight_decay = 0.25}));
  EXPECT_EQ(io::load<io::Poly<train::Optimizer>>(node, "x").get_if<AdamWConfig>()->weight_decay, 0.25);
}

TEST(Optim, AModuleThatWasLaidOutAnewIsNoticed) {
  nn::Linear linear(nn::LinearConfig{.in_features = 3, .out_features = 2});
  nn::materialise(linear, {});
  const auto parameters = train::parameters_of(linear);
  ASSERT_EQ(parameters.size(), 2u);
  const auto optimizer = train::make_optimizer(AdamWConfig{}, linear);
  EXPECT_NO_THROW(optimizer->step(0.1));
  nn::materialise(linear, {});
  EXPECT_NE(error_of<ValueError>([&] { optimizer->step(0.1); }).find("laid out anew"), std::string::npos);
}

// A step is taken where a parameter lies: it must lie there alone, in one piece.
TEST(Optim, ParametersThatItCannotStep) {
  const auto refusal = [](std::vector<Parameter> parameters) {
    return error_of<ValueError>([&] { train::make_optimizer(SGDConfig{}, std::move(parameters)); });
  };
  const Tensor table = zeros({4, 3}), column = select(table, 1, 2), spread = expand(zeros({1}), {100});
  for (const Tensor& t : {column, transpose(table, 0, 1), spread}) {
    t.set_requires_grad(true);
    EXPECT_NE(refusal({{"p", "weight", t}}).find("\"p\" is not contiguous"), std::string::npos);
  }
  const Parameter row = parameter("row", select(table, 0, 2));
  give(row, full({3}, 1));
  train::make_optimizer(SGDConfig{}, std::vector<Parameter>{row})->step(1);
  EXPECT_EQ(table.to_vector<float>(), (std::vector<float>{0, 0, 0, 0, 0, 0, -1, -1, -1, 0, 0, 0}));
  const Parameter a = parameter("a", zeros({2})), b = parameter("a", zeros({2}));
  for (const auto& twice : {std::vector{a, a}, std::vector{a, b}, std::vector{a, Parameter{"b", "weight", a.tensor}}})
    EXPECT_NE(refusal(twice).find("is given twice"), std::string::npos);
  EXPECT_NE(refusal({{"w", "weight", Tensor()}}).find("\"w\" is an undefined tensor"), std::string::npos);
}

TEST(Optim, RatesThatAreNoneChangeNothing) {
  const Parameter p = parameter("w", ones({3}));
  give(p, ones({3}));
  const auto optimizer = train::make_optimizer(SGDConfig{}, {p});
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  for (const double rate : {nan, inf, -inf, -0.1}) EXPECT_THROW(optimizer->step(rate), ValueError);
  for (const double scale : {nan, inf}) EXPECT_THROW(optimizer->step(0.1, scale), ValueError);
  EXPECT_EQ(p.tensor.to_vector<float>(), std::vector<float>(3, 1.0f));
  EXPECT_EQ(state_of(*optimizer, "w.step").item(), 0);
  EXPECT_NO_THROW(optimizer->step(0));
}

TEST(ClipGradNorm, ReturnsTheNormAndScalesWhatIsLonger) {
  const Parameter a = parameter("a", zeros({2})), b = parameter("b", zeros({})), none = parameter("c", zeros({3}));
  give(a, tensor({3, 0})), give(b, scalar(4));
  EXPECT_EQ(train::gradient_norm({a, b, none}), 5);
  EXPECT_EQ(train::clip_grad_norm({a, b, none}, 10), 5);
  EXPECT_EQ(a.tensor.grad().to_vector<float>()[0], 3);
  EXPECT_EQ(train::clip_grad_norm({a, b, none}, 1), 5);
  EXPECT_NEAR(a.tensor.grad().to_vector<float>()[0], 3 / (5 + 1e-6), 1e-6);
  EXPECT_NEAR(train::gradient_norm({a, b}), 5 / (5 + 1e-6), 1e-6);
  give(b, scalar(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_TRUE(std::isnan(train::clip_grad_norm({a, b}, 0.1)));
  EXPECT_NEAR(a.tensor.grad().to_vector<float>()[0], 0.6, 1e-6);
  EXPECT_EQ(train::gradient_norm(std::vector<Parameter>{}), 0);
  EXPECT_THROW(train::clip_grad_norm({a}, -1), ValueError);
}

// Squares that f32 does not hold are no reason.
TEST(ClipGradNorm, LargeAndSmallGradients) {
  for (const double each : {1e20, 1e-25}) {
    const Parameter a = parameter("a", zeros({3})), b = parameter("b", zeros({}));
    give(a, full({3}, each)), give(b, scalar(-each));
    EXPECT_NEAR(train::gradient_norm({a, b}) / (2 * each), 1, 1e-6);
    EXPECT_NEAR(train::clip_grad_norm({a, b}, each) / (2 * each), 1, 1e-6);
    if (each > 1) {
      EXPECT_NEAR(a.tensor.grad().to_vector<float>()[1] / each, 0.5, 1e-6);
    }
  }
}

}  // namespace
}  // namespace tapedeck
