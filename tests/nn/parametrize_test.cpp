#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/parametrize.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet.h>

#include <atomic>
#include <cmath>
#include <thread>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

Part<Sequential> some_net() {
  return make<Sequential>(std::vector<Part<Layer>>{make<Conv1d>(Conv1dConfig{3, 4, 2}), make<GRU>(GRUConfig{4, 4}),
                                                   make<Linear>(LinearConfig{4, 2})});
}
Tensor some_input() { return reshape(cast(arange(24), DType::f32), {2, 4, 3}) * 0.1; }
std::vector<std::string> names_of(const StateDict& all) {
  std::vector<std::string> out;
  for (const auto& n : all) out.push_back(n.path);
  return out;
}
void expect_close(const Tensor& a, const Tensor& b, double bound) {
  ASSERT_EQ(a.sizes(), b.sizes());
  const auto x = a.to_vector<float>(), y = b.to_vector<float>();
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], bound);
}

TEST(WeightNorm, StartsAtTheSameWeightsAndFolds) {
  const auto net = some_net(), early = some_net();
  materialise(*net, {.seed = 3});
  const Tensor x = some_input(), plain = net(x);
  const auto layout = net->layout();
  EXPECT_EQ(weight_norm(*net, "*.weight"), 2);
  EXPECT_GT(net->layout(), layout);
  EXPECT_EQ(names_of(net->state_dict())[1], "0.weight_g");
  EXPECT_EQ(names_of(net->state_dict())[2], "0.weight_v");
  EXPECT_EQ(net->arenas()[0].segments.size(), 10u);
  expect_close(net(x), plain, 1e-6);
  // Made before the tree has values, it starts at the same ones.
  weight_norm(*early, "*.weight");
  materialise(*early, {.seed = 3});
  expect_same_state(*early, *net);
  {
    Tape tape;
    tape.backward(sum(net(x)));
  }
  EXPECT_TRUE(net->at("0").named_parameters()[1].tensor.has_grad());
  expect_has(message_of<ValueError>([&] { weight_norm(*net, "0.weight"); }), {"\"0.weight\" is weight_norm already"});
  EXPECT_EQ(fold(*net), 2);
  EXPECT_EQ(names_of(net->state_dict()).size(), 8u);
  expect_close(net(x), plain, 1e-6);
  EXPECT_THROW(fold(*net), ValueError);
  EXPECT_THROW(weight_norm(*net, "9.weight"), ValueError);
}

TEST(WeightNorm, GenerationPlansHaveTheWeights) {
  const auto net = make<WaveNet>(WaveNetConfig{.classes = 16, .channels = 8, .residual_channels = 8});
  EXPECT_GT(weight_norm(*net, "layers.**.weight"), 4);
  materialise(*net, {.seed = 2});
  net->eval();
  const Tensor codes = some_codes(1, 24, 16);
  const auto plan = net->plan(1);
  plan->prime(codes);
  const Tensor logits = net(codes);
  const auto last = select(logits, 1, logits.size(1) - 1).to_vector<float>();
  EXPECT_EQ(std::vector<float>(plan->logits().begin(), plan->logits().end()), last);
  fold(*net);
  EXPECT_EQ(net->parameter_count(), WaveNet(net->config()).parameter_count());
}

TEST(Parametrize, HparamsBuildAndClone) {
  const auto net = some_net();
  weight_norm(*net, "0.weight");
  spectral_norm(*net, "1.weight_hh_l0");
  attach_lora(*net, "2.weight", {.rank = 2});
  materialise(*net, {.seed = 4});
  const io::Node node = net->hparams();
  EXPECT_EQ(io::dump_json(node.at("layers").items()[0].at("parametrizations"), -1),
            R"({"weight":{"type":"weight_norm","version":1,"dim":0}})");
  const auto again = build(node);
  EXPECT_EQ(again->hparams(), node);
  EXPECT_EQ(build(net->hparams(io::Save::extended))->hparams(), node);
  materialise(*again, {.seed = 4});
  expect_same_state(*net, *again);
  const auto copy = net.clone();
  expect_same_state(*net, *copy);
  EXPECT_FALSE(copy->at("2").named_parameters()[0].tensor.requires_grad());
  net->eval(), copy->eval();
  EXPECT_TRUE(same_bits(net(some_input()), copy(some_input())));

  io::Node wrong = node;
  wrong["layers"].items()[0]["parametrizations"] = io::parse_json(
      R"({"weigth": {"type": "weight_norm"}, "weight": {"type": "norm"}, "bias": {"type": "lora"}})", "x");
  expect_has(message_of<ConfigError>([&] { build(wrong); }),
             {"/layers/0/parametrizations/weigth", "no parameter", "no parametrisation \"norm\"", "two dimensions"});
}

TEST(Parametrize, ConfiguredModulesTellThoseOfTheirParts) {
  const auto mlp = make<MLP>(MLPConfig{.in = 3, .hidden = 4, .out = 2});
  weight_norm(*mlp, "hidden.*.weight");
  EXPECT_EQ(mlp->hparams().at("parametrizations").size(), 2u);
  const auto again = build(mlp->hparams());
  EXPECT_EQ(again->hparams(), mlp->hparams());
  EXPECT_EQ(build(mlp->hparams(io::Save::extended))->parameter_count(), mlp->parameter_count());
}

TEST(Parametrize, AFailureLeavesTheTreeAsItWas) {
  const auto net = some_net();
  materialise(*net);
  const auto before = names_of(net->state_dict());
  const Tensor x = some_input(), plain = net(x);
  EXPECT_THROW(attach_lora(*net, "**"), ConfigError);  // biases have one dimension
  EXPECT_THROW(weight_norm(*net, "*.weight", 7), ConfigError);
  EXPECT_THROW(weight_norm(*net, "*.weight", 9), ConfigError);
  EXPECT_THROW(spectral_norm(*net, "*.weight", 0), ConfigError);
  EXPECT_EQ(names_of(net->state_dict()), before);
  EXPECT_TRUE(same_bits(net(x), plain));
}

TEST(Parametrize, ThreadsShareAModule) {
  const auto net = some_net();
  materialise(*net, {.seed = 7});
  weight_norm(*net, "*.weight");
  attach_lora(*net, "1.weight*", {.rank = 2});
  net->eval();
  const Tensor x = some_input(), expected = net(x);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) wrong += !same_bits(net(x), expected);
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Lora, LoadsTheCheckpointOfItsBase) {
  const auto base = some_net(), net = some_net();
  materialise(*base, {.seed = 8});
  attach_lora(*net, "2.weight");
  const LoadReport report = net->load_state(base->state_dict(), {.strict = false});
  EXPECT_EQ(report.missing.size(), 2u);
  EXPECT_TRUE(report.unexpected.empty());
  EXPECT_TRUE(same_bits(net(some_input()), base(some_input())));
}

TEST(SpectralNorm, TheLargestSingularValueIsOne) {
  const auto layer = make<Linear>(LinearConfig{5, 4});
  materialise(*layer, {.seed = 5});
  spectral_norm(*layer);
  for (int i = 0; i < 50; ++i) layer(zeros({1, 5}));
  layer->eval();
  Tensor u = full({4}, 0.5);
  const Tensor w = layer->weight.get();
  for (int i = 0; i < 200; ++i) u = normalize(mv(w, mv(transpose(w, 0, 1), u)), 2, 0);
  EXPECT_NEAR(norm(mv(transpose(w, 0, 1), u)).item(), 1, 1e-4);
  EXPECT_TRUE(same_bits(layer->weight.get(), layer->weight.get()));  // it stands still in eval mode
  layer->train();
  const Tensor before = clone(layer->named_buffers()[0].tensor);
  layer(zeros({1, 5}));
  EXPECT_EQ(layer->named_buffers()[0].path, "weight_u");
  expect_close(layer->named_buffers()[0].tensor, before, 1e-3);
  const Tensor folded = clone(layer->weight.get());
  fold(*layer);
  expect_close(layer->weight, folded, 1e-5);
}

TEST(Lora, ChangesNothingTrainsAloneAndMerges) {
  const auto net = some_net();
  materialise(*net, {.seed = 6});
  const Tensor x = some_input(), plain = net(x);
  EXPECT_EQ(attach_lora(*net, "**.weight*", {.rank = 2, .alpha = 4}), 4);
  EXPECT_TRUE(same_bits(net(x), plain));
  std::vector<std::string> trained;
  for (const auto& [path, t] : net->named_parameters())
    if (t.requires_grad()) trained.push_back(path);
  EXPECT_EQ(trained, (std::vector<std::string>{"0.weight_lora_A", "0.weight_lora_B", "1.weight_ih_l0_lora_A",
                                               "1.weight_ih_l0_lora_B", "1.weight_hh_l0_lora_A",
                                               "1.weight_hh_l0_lora_B", "2.weight_lora_A", "2.weight_lora_B"}));
  const auto loss = [&] { return mean(square(net(x) - 1.0)); };
  const double first = loss().item();
  StateDict base;
  for (const auto& [path, t] : net->state_dict())
    if (path.find("lora") == std::string::npos) base.push_back({path, clone(detach(t))});
  for (int step = 0; step < 30; ++step) {
    net->zero_grad();
    Tape tape;
    tape.backward(loss());
    for (const auto& [path, t] : net->named_parameters())
      if (t.requires_grad()) add_(detach(t), t.grad() * -0.1);
  }
  EXPECT_LT(loss().item(), 0.7 * first);
  for (const auto& [path, t] : base)
    for (const auto& [name, now] : net->state_dict()) EXPECT_TRUE(name != path || same_bits(t, now)) << path;
  const Tensor attached = net(x);
  EXPECT_EQ(merge_lora(*net), 4);
  EXPECT_EQ(names_of(net->state_dict()).size(), base.size());
  expect_close(net(x), attached, 1e-5);
  EXPECT_EQ(net->unfreeze(), 8);
}

}  // namespace
}  // namespace tapedeck::nn
