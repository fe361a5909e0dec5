#include <tapedeck/nn/layers.h>
#include <tapedeck/tensor/random.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

using Floats = std::vector<float>;

struct Moments {
  double mean = 0, std = 0, low = 0, high = 0;
};
Moments moments(const Tensor& t) {
  const auto v = t.to_vector<float>();
  Moments m;
  const auto n = static_cast<double>(v.size());
  m.mean = std::accumulate(v.begin(), v.end(), 0.0) / n;
  for (const float x : v) m.std += (x - m.mean) * (x - m.mean) / n;
  m.std = std::sqrt(m.std);
  m.low = *std::min_element(v.begin(), v.end()), m.high = *std::max_element(v.begin(), v.end());
  return m;
}

// U(-b, b): mean 0, standard deviation b / sqrt(3), reaching towards both ends and never past them.
void expect_uniform(const Tensor& t, double bound) {
  const Moments m = moments(t);
  EXPECT_GE(m.low, -bound);
  EXPECT_LE(m.high, bound);
  EXPECT_LT(m.low, -0.98 * bound);
  EXPECT_GT(m.high, 0.98 * bound);
  EXPECT_NEAR(m.mean, 0, 0.05 * bound);
  EXPECT_NEAR(m.std, bound / std::sqrt(3.0), 0.03 * bound);
}

TEST(Linear, InitialDistributionAndValues) {
  const auto linear = make<Linear>(LinearConfig{16, 512});
  materialise(*linear);
  EXPECT_EQ(linear->weight.get().sizes(), (Shape{512, 16}));
  expect_uniform(linear->weight, 0.25);
  expect_uniform(linear->bias, 0.25);

  const auto small = make<Linear>(LinearConfig{2, 1});
  materialise(*small);
  small->load_state({{"weight", tensor(Floats{2, 3}, {1, 2})}, {"bias", tensor(Floats{10}, {1})}});
  EXPECT_EQ(small(tensor(Floats{1, 1, 0, 2}, {2, 2})).to_vector<float>(), (Floats{15, 16}));

  const auto bare = make<Linear>(LinearConfig{2, 3, false});
  EXPECT_EQ(bare->parameter_count(), 6);
  EXPECT_FALSE(bare->bias);
  expect_has(message_of<ConfigError>([] { Linear bad(LinearConfig{0, 3}); }), {"/in_features"});
}

TEST(Embedding, InitialDistributionAndLookup) {
  const auto table = make<Embedding>(EmbeddingConfig{64, 128});
  materialise(*table);
  const Moments m = moments(table->weight);
  EXPECT_NEAR(m.mean, 0, 0.03);
  EXPECT_NEAR(m.std, 1, 0.03);
  EXPECT_EQ(table->arenas()[0].segments[0].group, "embedding");
  const Tensor codes = tensor(std::vector<std::int64_t>{3, 0}, {1, 2});
  EXPECT_TRUE(same_bits(select(table(codes), 1, 0), narrow(table->weight, 0, 3, 1)));
  EXPECT_THROW(table(tensor(std::vector<std::int64_t>{64}, {1, 1})), ValueError);
}

TEST(Embedding, ThePaddingRowStartsAtZeroAndStays) {
  const auto table = make<Embedding>(EmbeddingConfig{4, 3, -2});
  materialise(*table, {.dtype = DType::bf16});
  materialise(*table);
  const auto rows = table->weight.get().to_vector<float>();
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows[i] == 0, i / 3 == 2);
  Tape tape;
  tape.backward(sum(table(tensor(std::vector<std::int64_t>{1, 2, 2}, {3}))));
  EXPECT_EQ(table->weight.get().grad().to_vector<float>(), (Floats{0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0}));
  expect_has(message_of<ConfigError>([] { Embedding bad(EmbeddingConfig{4, 3, 4}); }), {"/padding_idx", "-4 to 3"});
  expect_has(message_of<ConfigError>([] { EmbeddingBag bad({.num_embeddings = 2, .padding_idx = -3}); }),
             {"/padding_idx", "-2 to 1"});
}

TEST(Conv1d, InitialDistributionShapesAndOptions) {
  const auto conv = make<Conv1d>(Conv1dConfig{.in_channels = 8, .out_channels = 256, .kernel_size = 4, .groups = 2});
  materialise(*conv);
  EXPECT_EQ(conv->weight.get().sizes(), (Shape{256, 4, 4}));
  expect_uniform(conv->weight, 0.25);
  expect_uniform(conv->bias, 0.25);

  const auto causal = make<Conv1d>(
      Conv1dConfig{.in_channels = 1, .out_channels = 1, .kernel_size = 2, .dilation = 3, .padding = Padding::causal});
  materialise(*causal);
  causal->load_state({{"weight", tensor(Floats{10, 1}, {1, 1, 2})}, {"bias", tensor(Floats{100}, {1})}});
  EXPECT_EQ(causal(tensor(Floats{1, 2, 3, 4, 5}, {1, 5, 1})).to_vector<float>(), (Floats{101, 102, 103, 114, 125}));
  expect_has(
      message_of<ConfigError>([] { Conv1d bad(Conv1dConfig{.in_channels = 3, .out_channels = 5, .groups = 2}); }),
      {"/in_channels", "/out_channels", "multiple of groups (2)"});
}

TEST(Dropout, EvalIsTheIdentityAndStreamsDifferPerPath) {
  const auto two = make<Sequential>(std::vector<Part<Layer>>{make<Dropout>(), make<Dropout>()});
  materialise(*two);
  const Tensor x = full({4, 256}, 1);
  const auto run = [&](std::uint64_t step, Layer& layer) {
    const RandomScope scope(1, step);
    return layer(x);
  };
  Layer &a = *(*two)[0], &b = *(*two)[1];
  EXPECT_TRUE(same_bits(run(0, a), run(0, a)));   // replay
  EXPECT_FALSE(same_bits(run(0, a), run(0, b)));  // another path
  EXPECT_FALSE(same_bits(run(0, a), run(1, a)));  // another step
  const Moments m = moments(run(0, a));
  EXPECT_NEAR(m.mean, 1, 0.1);
  EXPECT_EQ(m.high, 2);
  two->eval();
  EXPECT_TRUE(same_bits(run(0, *two), x));
}

TEST(Activation, ModuleOpAndViewsAgree) {
  const Tensor x = tensor(Floats{-3, -1, -0.1f, 0, 0.1f, 1, 3}, {7});
  for (const auto& [act, name] : names(static_cast<Act*>(nullptr))) {
    const auto layer = make<Activation>(ActivationConfig{act});
    materialise(*layer);
    const Tensor y = layer(x), by_view = zeros({7});
    activate(act, x.view(), by_view.view());
    EXPECT_TRUE(same_bits(y, by_view)) << name;
    EXPECT_EQ(same_bits(y, x), act == Act::identity) << name;
  }
  EXPECT_EQ(activate(Act::relu, x).to_vector<float>()[6], 3);
  EXPECT_NEAR(activate(Act::mish, x).to_vector<float>()[5], 0.8650984, 1e-6);
  EXPECT_NEAR(activate(Act::elu, x).to_vector<float>()[1], std::expm1(-1.0), 1e-6);
  EXPECT_NEAR(activate(Act::leaky_relu, x).to_vector<float>()[1], -0.01, 1e-8);
}

TEST(Codes, OneHotAndLinearize) {
  const Tensor codes = tensor(std::vector<std::int64_t>{0, 2, 3}, {1, 3});
  const auto hot = make<OneHot>(OneHotConfig{4});
  const auto line = make<Linearize>(LinearizeConfig{4});
  materialise(*hot);
  materialise(*line);
  EXPECT_EQ(hot(codes).to_vector<float>(), (Floats{1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_EQ(line(codes).sizes(), (Shape{1, 3, 1}));
  EXPECT_EQ(line(codes).to_vector<float>(), (Floats{-1, 0, 0.5}));
  materialise(*hot, {.dtype = DType::f64});
  EXPECT_EQ(hot(codes).dtype(), DType::f64);
}

TEST(MLP, HiddenLayersHaveWeightsOfTheirOwn) {
  const auto mlp = make<MLP>(MLPConfig{.in = 3, .hidden = 5, .layers = 2, .out = 4});
  EXPECT_EQ(mlp->parameter_count(), (3 * 5 + 5) + 2 * (5 * 5 + 5) + (5 * 5 + 5));
  materialise(*mlp);
  const auto all = mlp->named_parameters();
  ASSERT_EQ(all.size(), 8u);
  EXPECT_EQ(all[2].path, "hidden.1.weight");
  EXPECT_EQ(all[4].path, "hidden.2.weight");
  EXPECT_FALSE(same_bits(all[2].tensor, all[4].tensor));
}

// A linear layer and relu are one op unless a hook sees what comes between; bits, gradients and counts stay.
TEST(MLP, ReluEndsTheProduct) {
  const auto mlp =
      make<MLP>(MLPConfig{.in = 3, .hidden = 5, .layers = 1, .out = 4, .activation = Act::relu, .min_temperature = {}});
  materialise(*mlp);
  const Tensor x = tensor(Floats{1, -2, 3, 0, 1, 0.5f}, {2, 3});
  const auto run = [&] {
    Tape tape;
    const Tensor y = mlp(x);
    std::vector<Tensor> all = tape.gradients(sum(y), std::vector<Tensor>{mlp->hidden().as<Linear>(0).weight.get()});
    all.push_back(detach(y));
    return std::pair(all, tape.size());
  };
  const auto [one, ops] = run();
  int seen = 0;
  const HookHandle hook(*mlp, "hidden.*", [&](const Call& call) {
    for (const float v : call.outputs[0]->to_vector<float>()) seen += v < 0;
  });
  const auto [two, more] = run();
  EXPECT_GT(seen, 0) << "the hook sees what comes before relu";
  EXPECT_EQ(more, ops + 2);
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(same_bits(one[i], two[i]));
}

TEST(MLP, LearnedTemperatureDividesTheLogits) {
  const auto mlp = make<MLP>(MLPConfig{.in = 3, .hidden = 5, .layers = 1, .out = 4, .min_temperature = 0.45});
  materialise(*mlp);
  const Tensor x = tensor(Floats{1, -2, 3, 0, 1, 0.5f}, {1, 2, 3});
  const Linear &h0 = mlp->hidden().as<Linear>(0), &h1 = mlp->hidden().as<Linear>(1), &out = mlp->out();
  const Tensor z = linear(mish(linear(mish(linear(x, h0.weight, h0.bias)), h1.weight, h1.bias)), out.weight, out.bias);
  ASSERT_EQ(z.sizes(), (Shape{1, 2, 5}));
  const auto raw = z.to_vector<float>();
  const auto got = mlp(x).to_vector<float>();
  bool clamped = false, free = false;
  for (std::size_t row = 0; row < 2; ++row) {
    const double t = 1 / (1 + std::exp(-static_cast<double>(raw[row * 5 + 4])));
    (t < 0.45 ? clamped : free) = true;
    for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[row * 4 + i], raw[row * 5 + i] / std::max(t, 0.45), 1e-5);
  }
  EXPECT_TRUE(clamped || free);

  // Driven to both sides of the bound by the bias of the temperature's output.
  for (const float bias : {-20.0f, 20.0f}) {
    StateDict state;
    for (const auto& [path, t] : mlp->state_dict()) state.push_back({path, clone(detach(t))});
    auto values = state.back().tensor.to_vector<float>();
    values.back() = bias;
    state.back().tensor = tensor(values, {5});
    mlp->load_state(state);
    const Tensor again =
        linear(mish(linear(mish(linear(x, h0.weight, h0.bias)), h1.weight, h1.bias)), out.weight, out.bias);
    const double t = bias < 0 ? 0.45 : 1;
    EXPECT_NEAR(mlp(x).to_vector<float>()[0], again.to_vector<float>()[0] / t, 1e-5);
  }

  const auto plain = make<MLP>(MLPConfig{.in = 3, .hidden = 5, .layers = 0, .out = 4, .min_temperature = {}});
  materialise(*plain);
  EXPECT_EQ(plain(x).sizes(), (Shape{1, 2, 4}));
}

TEST(MLP, DropoutWorksWhileTrainingOnly) {
  const auto mlp = make<MLP>(MLPConfig{.in = 3, .hidden = 32, .layers = 1, .out = 4, .dropout = 0.5});
  materialise(*mlp);
  const Tensor x = full({1, 3}, 1);
  const auto run = [&](std::uint64_t step) {
    const RandomScope scope(1, step);
    return mlp(x);
  };
  EXPECT_FALSE(same_bits(run(0), run(1)));
  EXPECT_TRUE(same_bits(run(1), run(1)));
  mlp->eval();
  EXPECT_TRUE(same_bits(run(0), run(1)));
}

}  // namespace
}  // namespace tapedeck::nn
