#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/tensor/parallel.h>

#include <cmath>
#include <limits>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

using Ints = std::vector<std::int64_t>;

TEST(WaveNet, DefaultHasTheParametersOfTheOracle) {
  const WaveNet net;
  EXPECT_EQ(net.parameter_count(), 345601);
  EXPECT_EQ(net.receptive_field(), 16);
  EXPECT_EQ(net.shift(), 16);
}

// 30 layers, R = 64, S = 256, 3 blocks of 10, kernel 2, gate 2R, head S-S-256.
WaveNetConfig big_config() {
  WaveNetConfig c{.blocks = {10, 10, 10}, .channels = 64, .residual_channels = 64, .skip_channels = 256};
  c.head = {.hidden = 256, .input_activation = Act::relu, .activation = Act::relu, .min_temperature = {}};
  return c;
}

TEST(WaveNet, TheLargeShapeIsExpressible) {
  const WaveNet net(big_config());
  const std::int64_t layer = 64 * 2 * 128 + 128, skip = 64 * 256 + 256, residual = 64 * 64 + 64;
  EXPECT_EQ(net.parameter_count(), 256 * 64 + 30 * (layer + skip) + 29 * residual + 2 * (256 * 256 + 256));
  EXPECT_EQ(net.receptive_field(), 3 * 1023 + 1);
  EXPECT_EQ(net.config().layer_configs()[10].dilation, 1);
  EXPECT_EQ(net.config().layer_configs()[19].dilation, 512);
}

TEST(WaveNet, ParameterNames) {
  WaveNetConfig c{.kernel_sizes = {2, 2}, .blocks = {}, .channels = 3, .residual_channels = 4, .skip_channels = 5};
  WaveNet net(c);
  materialise(net);
  std::vector<std::string> names;
  for (const auto& [path, t] : net.named_parameters()) names.push_back(path + to_string(t.sizes()));
  EXPECT_EQ(names, (std::vector<std::string>{
                       "input.weight[256,4]", "layers.0.conv.weight[6,4,2]", "layers.0.conv.bias[6]",
                       "layers.0.skip.weight[5,3,1]", "layers.0.skip.bias[5]", "layers.0.residual.weight[4,3,1]",
                       "layers.0.residual.bias[4]", "layers.1.conv.weight[6,4,2]", "layers.1.conv.bias[6]",
                       "layers.1.skip.weight[5,3,1]", "layers.1.skip.bias[5]", "head.hidden.0.weight[128,5]",
                       "head.hidden.0.bias[128]", "head.out.weight[257,128]", "head.out.bias[257]"}));
}

TEST(WaveNet, DilationRules) {
  struct Case {
    Ints kernels, blocks, dilations;
  };
  const Case eights[] = {
      {{2}, {3}, {1, 2, 4}},  // one kernel: powers inside each block
      {{2}, {2, 2, 1}, {1, 2, 1, 2, 1}},
      {{2, 4}, {}, {1, 2}},                           // no blocks: products of the kernels before
      {{4, 2}, {2}, {1, 4}},                          // one block's kernels
      {{2, 2, 2, 2, 2}, {1, 2, 2}, {1, 1, 2, 1, 2}},  // one kernel per layer, restarting per block
      {{8}, {1}, {1}},
  };
  for (const Case& c : eights) {
    WaveNet net(WaveNetConfig{.classes = 7, .kernel_sizes = c.kernels, .blocks = c.blocks, .channels = 4});
    Ints dilations;
    for (const auto& layer : net.config().layer_configs()) dilations.push_back(layer.dilation);
    EXPECT_EQ(dilations, c.dilations);
    EXPECT_EQ(net.receptive_field(), 8);
    materialise(net);
    EXPECT_EQ(net(some_codes(2, 8, 7)).sizes(), (Shape{2, 1, 7}));
    EXPECT_EQ(net(some_codes(2, 9, 7)).sizes(), (Shape{2, 2, 7}));
    EXPECT_EQ(net.output_length(7), 0);
    expect_has(message_of<ShapeError>([&] { net(some_codes(2, 7, 7)); }), {"at least 8", "there are 7"});
  }
  const WaveNetConfig repeated{.kernel_sizes = {2, 3}, .blocks = {2, 2}, .channels = 4};
  EXPECT_EQ(repeated.layer_configs()[2].dilation, 1);
  EXPECT_EQ(repeated.layer_configs()[3].dilation, 2);
  EXPECT_EQ(repeated.layer_configs()[3].kernel, 3);
}

TEST(WaveNet, BadConfigsAreReportedTogether) {
  const std::string said = message_of<ConfigError>([] {
    WaveNet bad(WaveNetConfig{.kernel_sizes = {2, 2}, .blocks = {3}, .padding = Padding::same, .groups = 3});
  });
  expect_has(said, {"/kernel_sizes", "blocks of 3 layers need", "/padding", "/groups"});
  EXPECT_THROW(WaveNet(WaveNetConfig{.classes = 1}), ConfigError);
  EXPECT_THROW(WaveNet(WaveNetConfig{.kernel_sizes = {1}}), ConfigError);
  EXPECT_THROW(WaveNet(WaveNetConfig{.kernel_sizes = {}}), ConfigError);
  EXPECT_THROW(WaveNet(WaveNetConfig{.blocks = {64}}), ConfigError);  // a dilation beyond every recording
  EXPECT_THROW(WaveNet(WaveNetConfig{.blocks = {0}}), ConfigError);
}

// ---- the definition, in plain loops and f64 -----------------------------------------------------------------------

struct Plain {  // [time][channel]
  std::vector<std::vector<double>> v;
};
using Values = std::vector<double>;

Plain plain_conv(const Plain& x, const Conv1d& conv, bool causal) {
  const auto& c = conv.config();
  const Values w = conv.weight.get().to_vector<double>(), b = conv.bias.get().to_vector<double>();
  const std::int64_t reach = (c.kernel_size - 1) * c.dilation, n = static_cast<std::int64_t>(x.v.size());
  Plain y;
  for (std::int64_t t = causal ? 0 : reach; t < n; ++t) {
    Values row;
    for (std::int64_t o = 0; o < c.out_channels; ++o) {
      double sum = b[static_cast<std::size_t>(o)];
      for (std::int64_t k = 0; k < c.kernel_size; ++k) {
        const std::int64_t from = t - (c.kernel_size - 1 - k) * c.dilation;
        for (std::int64_t i = 0; i < c.in_channels && from >= 0; ++i)
          sum += w[static_cast<std::size_t>((o * c.in_channels + i) * c.kernel_size + k)] *
                 x.v[static_cast<std::size_t>(from)][static_cast<std::size_t>(i)];
      }
      row.push_back(sum);
    }
    y.v.push_back(row);
  }
  return y;
}

class WaveNetDefinition : public testing::TestWithParam<Padding> {};

TEST_P(WaveNetDefinition, ForwardIsTheFormula) {
  const bool causal = GetParam() == Padding::causal;
  WaveNetConfig c{.classes = 9,
                  .kernel_sizes = {3},
                  .blocks = {2, 1},
                  .channels = 4,
                  .residual_channels = 3,
                  .skip_channels = 5,
                  .padding = GetParam()};
  c.head = {.hidden = 6, .input_activation = Act::relu, .activation = Act::tanh};
  WaveNet net(c);
  materialise(net, {.seed = 3, .dtype = DType::f64});
  const std::int64_t n = 14, keep = net.output_length(n);
  const Tensor codes = some_codes(1, n, 9);

  Plain x, skips;
  const Values table = net.input()->named_parameters()[0].tensor.to_vector<double>();
  for (const std::int64_t code : codes.to_vector<std::int64_t>())
    x.v.emplace_back(table.begin() + code * 3, table.begin() + code * 3 + 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const WaveNetLayer& layer = net.layers().as<WaveNetLayer>(i);
    Plain y = plain_conv(x, layer.conv(), causal);
    for (auto& row : y.v) {
      for (std::size_t j = 0; j < 4; ++j) row[j] = std::tanh(row[j]) / (1 + std::exp(-row[j + 4]));
      row.resize(4);
    }
    const Plain s = plain_conv(y, *layer.skip(), false);
    if (skips.v.empty()) skips.v.assign(s.v.size(), Values(5, 0.0));
    skips.v.erase(skips.v.begin(), skips.v.end() - static_cast<std::ptrdiff_t>(s.v.size()));  // trimmed
    for (std::size_t t = 0; t < s.v.size(); ++t)
      for (std::size_t j = 0; j < 5; ++j) skips.v[t][j] += s.v[t][j];
    if (layer.residual()) {
      const Plain r = plain_conv(y, *layer.residual(), false);
      const std::size_t cut = x.v.size() - r.v.size();
      for (std::size_t t = 0; t < r.v.size(); ++t)
        for (std::size_t j = 0; j < 3; ++j) y.v[t].resize(3), y.v[t][j] = x.v[t + cut][j] + r.v[t][j];
      x = y;
    } else {
      EXPECT_EQ(i, 2u);  // the last layer alone has none
    }
  }
  ASSERT_EQ(static_cast<std::int64_t>(skips.v.size()), keep);

  const Tensor logits = net(codes);
  ASSERT_EQ(logits.sizes(), (Shape{1, keep, 9}));
  const Values got = logits.to_vector<double>();
  const Linear &hidden = net.head().hidden().as<Linear>(0), &out = net.head().out();
  const Values w0 = hidden.weight.get().to_vector<double>(), b0 = hidden.bias.get().to_vector<double>();
  const Values w1 = out.weight.get().to_vector<double>(), b1 = out.bias.get().to_vector<double>();
  for (std::size_t t = 0; t < skips.v.size(); ++t) {
    Values h(6), z(10);
    for (std::size_t o = 0; o < 6; ++o) {
      h[o] = b0[o];
      for (std::size_t i = 0; i < 5; ++i) h[o] += w0[o * 5 + i] * std::max(skips.v[t][i], 0.0);
      h[o] = std::tanh(h[o]);
    }
    for (std::size_t o = 0; o < 10; ++o) {
      z[o] = b1[o];
      for (std::size_t i = 0; i < 6; ++i) z[o] += w1[o * 6 + i] * h[i];
    }
    const double temperature = std::max(1 / (1 + std::exp(-z[9])), 1e-4);
    for (std::size_t o = 0; o < 9; ++o) EXPECT_NEAR(got[t * 9 + o], z[o] / temperature, 1e-12) << t << " " << o;
  }
}
INSTANTIATE_TEST_SUITE_P(Paddings, WaveNetDefinition, testing::Values(Padding::valid, Padding::causal),
                         [](const auto& info) { return info.param == Padding::valid ? "valid" : "causal"; });

// ---- receptive field, causality ------------------------------------------------------------------------------------

WaveNetConfig small_config(Padding padding, bool skips) {
  WaveNetConfig c{
      .classes = 8, .kernel_sizes = {2}, .blocks = {3, 2}, .channels = 6, .residual_channels = 6, .padding = padding};
  if (skips) c.skip_channels = 5;
  return c;
}

class Dependence : public testing::TestWithParam<std::tuple<Padding, bool>> {
 protected:
  Dependence() : net_(small_config(std::get<0>(GetParam()), std::get<1>(GetParam()))) {
    materialise(net_, {.seed = 1});
  }
  // Does output row j depend on the code at position p? Row j predicts position j + shift from those before it.
  bool depends(std::int64_t j, std::int64_t p) const {
    const std::int64_t predicted = j + net_.shift();
    return p < predicted && p >= predicted - net_.receptive_field();
  }
  WaveNet net_;
  static constexpr std::int64_t kLength = 24;
};

TEST_P(Dependence, ByGradient) {
  ASSERT_EQ(net_.receptive_field(), 1 + 7 + 3);
  const Tensor codes = some_codes(1, kLength, 8);
  for (std::int64_t j = 0; j < net_.output_length(kLength); ++j) {
    Tape tape;
    Tensor entered;
    const HookHandle hook(net_, "input", [&](const Call& call) {
      entered = detach(*call.outputs[0]);
      tape.watch(entered);
      *call.outputs[0] = entered;
    });
    const Tensor row = sum(square(select(net_(codes), 1, j)));
    const Tensor per_step = sum(abs(tape.gradients(row, {entered})[0]), {0, 2});
    const auto g = per_step.to_vector<float>();
    for (std::int64_t p = 0; p < kLength; ++p)
      EXPECT_EQ(g[static_cast<std::size_t>(p)] > 0, depends(j, p)) << "row " << j << ", position " << p;
  }
}

TEST_P(Dependence, ByPoison) {
  const Tensor codes = some_codes(1, kLength, 8);
  for (std::int64_t p = 0; p < kLength; ++p) {
    const HookHandle hook(net_, "input", [&](const Call& call) {
      const Tensor poisoned = clone(*call.outputs[0]);
      fill_(select(poisoned, 1, p), std::numeric_limits<double>::quiet_NaN());
      *call.outputs[0] = poisoned;
    });
    const Tensor logits = net_(codes);
    const auto v = logits.to_vector<float>();
    for (std::int64_t j = 0; j < logits.size(1); ++j)
      for (std::int64_t k = 0; k < 8; ++k)
        EXPECT_EQ(std::isnan(v[static_cast<std::size_t>(j * 8 + k)]), depends(j, p))
            << "row " << j << ", position " << p;
  }
}
INSTANTIATE_TEST_SUITE_P(Shapes, Dependence,
                         testing::Combine(testing::Values(Padding::valid, Padding::causal), testing::Bool()));

// ---- loss ---------------------------------------------------------------------------------------------------------

TEST(WaveNet, LossIsTheMeanNegativeLogLikelihoodOfTheShiftedCodes) {
  for (const Padding padding : {Padding::valid, Padding::causal}) {
    WaveNet net(small_config(padding, true));
    materialise(net);
    const std::int64_t n = 20;
    const Tensor codes = some_codes(2, n + 1, 8);
    const Tensor logp = log_softmax(net(narrow(codes, 1, 0, n)), -1);
    const auto p = logp.to_vector<float>();
    const auto c = codes.to_vector<std::int64_t>();
    double total = 0;
    const std::int64_t rows = net.output_length(n);
    EXPECT_EQ(rows, n + 1 - net.shift());
    for (std::int64_t b = 0; b < 2; ++b)
      for (std::int64_t j = 0; j < rows; ++j)
        total -= p[static_cast<std::size_t>((b * rows + j) * 8 +
                                            c[static_cast<std::size_t>(b * (n + 1) + j + net.shift())])];
    EXPECT_NEAR(net.loss(codes).item(), total / static_cast<double>(2 * rows), 1e-5);
    EXPECT_EQ(net.loss(codes, Reduction::none).sizes(), (Shape{2, rows}));
    EXPECT_THROW(net.loss(some_codes(2, padding == Padding::valid ? 11 : 1, 8)), ShapeError);
  }
}

TEST(WaveNet, HooksReachTypedForwards) {
  WaveNet net(small_config(Padding::causal, true));
  materialise(net);
  std::vector<std::string> seen;
  const HookHandle hook(net, "layers.*", [&](const Call& call) {
    EXPECT_EQ(call.outputs.size(), 2u);  // the signal and the skips
    EXPECT_EQ(call.inputs[0].size(2), 6);
    seen.push_back(call.module.path());
  });
  net(some_codes(1, 12, 8));
  EXPECT_EQ(seen, (std::vector<std::string>{"layers.0", "layers.1", "layers.2", "layers.3", "layers.4"}));
}

TEST(WaveNet, OneAndTwoThreadsGiveTheSameBits) {
  WaveNet net(WaveNetConfig{.channels = 32, .residual_channels = 32, .skip_channels = 48});
  const Tensor codes = some_codes(3, 700, 256);
  const int before = num_threads();
  std::vector<float> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    materialise(net, {.seed = 4});
    Tape tape;
    const Tensor loss = net.loss(codes);
    tape.backward(loss);
    std::vector<float>& out = results[threads - 1];
    out = net.arenas()[0].gradients.to_vector<float>();
    out.push_back(static_cast<float>(loss.item()));
  }
  set_num_threads(before);
  EXPECT_EQ(std::memcmp(results[0].data(), results[1].data(), results[0].size() * sizeof(float)), 0);
}

// A hook on a convolution of a layer makes it run op by op.
TEST(WaveNet, OneOpPerLayerAndSeveralGiveTheSameBits) {
  for (const Padding padding : {Padding::valid, Padding::causal}) {
    WaveNet net(WaveNetConfig{
        .blocks = {5, 5}, .channels = 32, .residual_channels = 24, .skip_channels = 48, .padding = padding});
    const Tensor codes = some_codes(3, 900, 256);
    std::vector<float> results[2];
    for (const bool hooked : {false, true}) {
      int calls = 0;
      const HookHandle hook(net, hooked ? "layers.*.conv" : "head", [&](const Call&) { ++calls; });
      materialise(net, {.seed = 4});
      Tape tape;
      const Tensor loss = net.loss(codes);
      tape.backward(loss);
      EXPECT_EQ(calls, hooked ? 10 : 1);
      results[hooked] = net.arenas()[0].gradients.to_vector<float>();
      results[hooked].push_back(static_cast<float>(loss.item()));
    }
    const std::size_t bytes = results[0].size() * sizeof(float);
    EXPECT_EQ(std::memcmp(results[0].data(), results[1].data(), bytes), 0)
        << (padding == Padding::valid ? "valid" : "causal");
  }
}

TEST(WaveNet, TrainingMakesNoHiddenCopies) {
  for (const Padding padding : {Padding::valid, Padding::causal}) {
    WaveNet net(small_config(padding, true));
    materialise(net);
    const Tensor codes = some_codes(2, 33, 8);
    const std::int64_t before = packed_bytes();
    Tape tape;
    tape.backward(net.loss(codes));
    EXPECT_EQ(packed_bytes(), before) << (padding == Padding::valid ? "valid" : "causal");
  }
}

TEST(WaveNet, AFewStepsLowerTheLoss) {
  for (const CodeInput input : {CodeInput::embedding, CodeInput::one_hot, CodeInput::linear}) {
    WaveNetConfig c = small_config(Padding::causal, true);
    c.input = input;
    WaveNet net(c);
    materialise(net);
    const Tensor codes = some_codes(2, 32, 8);
    const double before = net.loss(codes).item();
    for (int step = 0; step < 20; ++step) {
      net.zero_grad();
      Tape tape;
      tape.backward(net.loss(codes));
      for (const Segment& s : net.arenas()[0].segments) {
        ASSERT_TRUE(s.parameter.has_grad()) << s.path;
        add_(detach(s.parameter), mul(s.parameter.grad(), -0.2));
      }
    }
    EXPECT_LT(net.loss(codes).item(), before - 0.05);
  }
}

}  // namespace
}  // namespace tapedeck::nn
