#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/parametrize.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet.h>

#include <algorithm>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

Part<Linear> linear_part(std::int64_t in, std::int64_t out) { return make<Linear>(LinearConfig{in, out}); }

void expect_round_trip(Module& module) {
  const io::Node node = module.hparams();
  const std::string text = io::dump_json(node);
  EXPECT_EQ(io::dump_json(io::parse_json(text, "text")), text);
  const auto again = build(io::parse_json(text, "text"));
  EXPECT_EQ(io::dump_json(again->hparams()), text);
  materialise(module, {.seed = 11});
  materialise(*again, {.seed = 11});
  expect_same_state(module, *again);
  // The extended form builds the same.
  EXPECT_EQ(io::dump_json(build(module.hparams(io::Save::extended))->hparams()), text);
}

TEST(Registry, EveryTypeHasDefaultsThatRoundTrip) {
  const auto types = module_types();
  EXPECT_GE(types.size(), 11u);
  for (const auto& type : types) {
    if (type.starts_with("Test")) continue;
    SCOPED_TRACE(type);
    const io::Node defaults = module_defaults(type);
    EXPECT_EQ(defaults.at("type").string(), type);
    EXPECT_EQ(defaults.at("version").integer(), 1);
    expect_round_trip(*build(defaults));
  }
  expect_has(message_of<ConfigError>([] { module_defaults("Linaer"); }), {"did you mean \"Linear\""});
}

TEST(Hparams, CanonicalText) {
  const auto net = make<Sequential>(
      std::vector<Part<Layer>>{make<Linear>(LinearConfig{2, 3, false}), make<Activation>(ActivationConfig{Act::tanh})});
  EXPECT_EQ(
      io::dump_json(net->hparams(), -1),
      R"({"type":"Sequential","version":1,"layers":[{"type":"Linear","version":1,"in_features":2,"out_features":3,"bias":false},)"
      R"({"type":"Activation","version":1,"kind":"tanh"}]})");
}

TEST(Hparams, ListsDictsAndNesting) {
  const auto dict = make<ModuleDict>();
  dict->set("b", linear_part(1, 2));
  dict->set("a", make<ModuleList>(std::vector<Part<Module>>{linear_part(2, 2), make<Dropout>()}));
  const io::Node node = dict->hparams();
  EXPECT_EQ(node.members()[0].first, "b");
  EXPECT_EQ(node.at("a").kind(), io::Node::Kind::array);
  expect_round_trip(*dict);
  EXPECT_THROW(dict->set("type", linear_part(1, 1)), ValueError);
  EXPECT_THROW(dict->set("a", linear_part(1, 1)), ValueError);
  EXPECT_THROW((*dict)["c"], ValueError);
  EXPECT_EQ((*dict)["b"].get(), &dict->at("b"));
}

TEST(Hparams, SharedPartsSurvive) {
  const auto shared = linear_part(4, 4);
  const auto inner = make<Sequential>(std::vector<Part<Layer>>{shared, make<Activation>()});
  const auto net = make<Sequential>(std::vector<Part<Layer>>{inner, make<Dropout>(), shared});
  const io::Node node = net->hparams();
  EXPECT_EQ(io::dump_json(node.at("layers").items()[2], -1), R"({"ref":"0.0"})");
  const auto again = build_part<Sequential>(node);
  EXPECT_EQ(again->parameter_count(), 4 * 4 + 4);
  EXPECT_EQ(&again->at("0.0"), (*again)[2].get());
  expect_round_trip(*net);
}

TEST(Hparams, PartsInsideADerivedModuleCanBeShared) {
  const auto mlp = make<MLP>(MLPConfig{.in = 4, .hidden = 4, .layers = 1, .out = 4});
  const auto net = make<Sequential>(std::vector<Part<Layer>>{mlp, part_cast<Layer>(mlp->hidden()[1])});
  EXPECT_EQ(net->hparams().at("layers").items()[1].at("ref").string(), "0.hidden.1");
  const auto again = build_part<Sequential>(net->hparams());
  EXPECT_EQ(again->parameter_count(), net->parameter_count());
  expect_round_trip(*net);
}

// What swap() put in the place of a part is in the hyper-parameters, however deep, and with what else was done to it.
TEST(Hparams, PartsThatWerePutInAreKept) {
  const auto block = make<ResBlock>(ResBlockConfig{.in_channels = 2, .out_channels = 3});
  EXPECT_FALSE(block->hparams().find("parts"));
  block->swap("conv2", make<Conv1d>(Conv1dConfig{.in_channels = 3, .out_channels = 3, .bias = true}).shared());
  block->swap("downsample.0", make<Linear>(LinearConfig{2, 3}).shared());
  const io::Node node = block->hparams();
  EXPECT_EQ(node.at("parts").size(), 2u);
  EXPECT_EQ(node.at("parts").at("downsample.0").at("type").string(), "Linear");
  expect_round_trip(*block);
  EXPECT_NO_THROW(build(block->hparams(io::Save::extended)));
  const auto net = make<Sequential>(std::vector<Part<Layer>>{make<Identity>(), block, block});
  weight_norm(*net, "1.conv2.weight"), weight_norm(*net, "1.conv1.weight");
  EXPECT_EQ(net->hparams().at("layers").items()[1].at("parametrizations").size(), 1u);
  expect_round_trip(*net);

  // A part that is another one's: layers that share their weights.
  const TransformerEncoderLayerConfig layer{.d_model = 4, .nhead = 2, .dim_feedforward = 8};
  const auto encoder = make<TransformerEncoder>(TransformerEncoderConfig{.layer = layer, .num_layers = 3});
  const std::int64_t whole = encoder->parameter_count();
  for (const char* other : {"layers.1", "layers.2"})
    encoder->swap(other, encoder->at("layers").children()[0].part->shared());
  EXPECT_EQ(encoder->parameter_count() * 3, whole);
  EXPECT_EQ(io::dump_json(encoder->hparams().at("parts").at("layers.2"), -1), R"({"ref":"layers.0"})");
  EXPECT_EQ(&encoder->at("layers.2"), &encoder->at("layers.0"));
  expect_round_trip(*encoder);

  // Inside a composite that describes its parts, and a network that has parts of its own.
  WaveNet wavenet({.channels = 4, .skip_channels = 4});
  wavenet.swap("layers.1.conv", make<Conv1d>(wavenet.layers().as<WaveNetLayer>(1).conv().config()).shared());
  expect_round_trip(wavenet);

  const auto ready = make_of<Bottleneck>({.in_channels = 4}, {{"conv2", make<Identity>()}});
  EXPECT_STREQ(ready->at("conv2").type_name(), "Identity");
  expect_round_trip(*ready);
  EXPECT_THROW(make_of<Bottleneck>({.in_channels = 4}, {{"conv9", make<Identity>()}}), ValueError);
  EXPECT_THROW(make_of<Bottleneck>({.in_channels = 4}, {{"bn1", make<Identity>()}}), ValueError);  // no BatchNorm

  const auto problem = [](const std::string& parts) {
    const std::string text = R"({"type": "Bottleneck", "in_channels": 4, "parts": )" + parts + "}";
    return message_of<ConfigError>([&] { build(io::parse_json(text, "cfg.json"), "cfg.json"); });
  };
  expect_has(problem(R"({"conv8": {"type": "Identity"}})"), {"/parts/conv8", "did you mean \"conv"});
  expect_has(problem(R"({"bn1": {"type": "Identity"}})"), {"/parts/bn1", "does not fit"});
  expect_has(problem(R"({"bn1": {"type": "Identitty"}})"), {"/parts/bn1/type", "did you mean \"Identity\""});
  expect_has(problem("[]"), {"/parts", "must be an object"});
}

TEST(Hparams, ExtendedFormAddsWhatFollowsAndMustAgree) {
  const WaveNet net;
  io::Node extended = net.hparams(io::Save::extended);
  EXPECT_EQ(extended.at("receptive_field").integer(), 16);
  EXPECT_EQ(extended.at("children").at("layers").items()[3].at("dilation").integer(), 8);
  EXPECT_FALSE(net.hparams().find("children"));
  EXPECT_FALSE(net.hparams().find("receptive_field"));
  EXPECT_NO_THROW(build(extended));

  io::Node wrong = extended;
  wrong["receptive_field"] = 17;
  expect_has(message_of<ConfigError>([&] { build(wrong); }), {"receptive_field"});
  wrong = extended;
  wrong["children"]["layers"].items()[3]["dilation"] = 9;
  expect_has(message_of<ConfigError>([&] { build(wrong); }), {"/children", "do not agree"});
}

TEST(Hparams, AreFixedAtConstruction) {
  LinearConfig config{2, 3};
  const Linear linear(config);
  config.out_features = 9;
  EXPECT_EQ(linear.config().out_features, 3);
}

// Five planted errors in one file give five lines; a reference to what failed is no error of its own.
TEST(Build, ReportsEveryProblemWithItsPlace) {
  const io::Node node = io::parse_json(R"({"type": "Sequential", "layers": [
    {"type": "Linear", "in_features": 0, "out_features": 2},
    {"type": "Linaer", "in_features": 1, "out_features": 2},
    {"type": "Conv1d", "in_channels": 1, "kernel_sise": 3},
    {"ref": "0"},
    {"type": "Dropout", "p": "high"},
    [],
    {"type": "Linear", "in_features": 2, "out_features": 2}]})",
                                       "cfg.json");
  const std::string said = message_of<ConfigError>([&] { build(node, "cfg.json"); });
  expect_has(said, {"cfg.json:2: /layers/0/in_features: ", "cfg.json:3: /layers/1/type: ", "did you mean \"Linear\"",
                    "cfg.json:4: /layers/2/kernel_sise: ", "cfg.json:6: /layers/4/p: ", "cfg.json:7: /layers/5: ",
                    "does not fit"});
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n') + 1, 5) << said;

  expect_has(message_of<ConfigError>([] { build(io::parse_json(R"([{"ref": "9"}])", "x")); }), {"/0", "\"9\""});
  expect_has(message_of<ConfigError>([] { build(io::parse_json(R"({"type": "Sequential", "layers": [[]]})", "x")); }),
             {"/layers/0", "does not fit here"});
  expect_has(message_of<ConfigError>([] { build(io::Node(3)); }), {"must be the description of a module"});
  expect_has(message_of<ConfigError>([] { build(io::parse_json(R"({"type": "Sequential", "layer": []})", "x")); }),
             {"/layer:", "no such key", "/layers"});
}

// ---- modules of users ---------------------------------------------------------------------------------------------

struct ScaleConfig {
  double start = 2;
  static constexpr const char* type_name = "TestScale";
  static constexpr void fields(auto&& f) { f("start", &ScaleConfig::start); }
};
class Scale : public Configured<ScaleConfig> {
 public:
  explicit Scale(ScaleConfig config) : Configured(config) {
    factor = parameter("factor", {1}, init::constant(this->config().start));
  }
  Tensor forward(const Tensor& x) override { return mul(x, factor); }
  Param factor;
};

// Derives from a type of the library and overrides one method.
struct LoudConfig {
  std::int64_t in = 1, out = 1;
  static constexpr const char* type_name = "TestLoudLinear";
  static constexpr void fields(auto&& f) { f("in", &LoudConfig::in), f("out", &LoudConfig::out); }
};
class LoudLinear : public Linear {
 public:
  using Config = LoudConfig;
  explicit LoudLinear(LoudConfig c) : Linear({c.in, c.out}), own_(c) {}
  const char* type_name() const override { return LoudConfig::type_name; }
  io::Node describe(Describer& d) const override { return io::save(own_, d.how()); }
  Tensor forward(const Tensor& x) override { return mul(Linear::forward(x), 10); }

 private:
  LoudConfig own_;
};

TEST(Registry, AUsersModuleTakesPartInEverything) {
  register_module<Scale>();
  register_module<LoudLinear>();
  EXPECT_THROW(register_module<Scale>(), ConfigError);
  EXPECT_THROW(register_module<Linear>(), ConfigError);
  const auto net = make<Sequential>(
      std::vector<Part<Layer>>{make<LoudLinear>(LoudConfig{2, 2}), make<Scale>(ScaleConfig{.start = 5})});
  expect_round_trip(*net);
  const auto copy = net.clone();
  expect_same_state(*net, *copy);
  const Tensor x = full({1, 2}, 1);
  EXPECT_TRUE(same_bits(net(x), copy(x)));
  const auto loud = part_cast<Linear>((*net)[0]);
  EXPECT_NEAR(net(x).to_vector<float>()[0], 50 * linear(x, loud->weight, loud->bias).to_vector<float>()[0], 1e-4);
}

// Derived under a name of its own: what its config says is not what it is.
class OwnMLP : public MLP {
 public:
  static constexpr const char* registered_name = "TestOwnMLP";
  using MLP::MLP;
  const char* type_name() const override { return registered_name; }
};
class TestMeter : public Configured<ScaleConfig, Module>, public Callable<TestMeter> {
 public:
  static constexpr const char* registered_name = "TestMeter";
  static constexpr const char* kind = "feature";
  static constexpr io::Doc doc{"The mean of a tensor.", "Common 1900"};
  explicit TestMeter(ScaleConfig config) : Configured(config) {}
  const char* type_name() const override { return registered_name; }
  std::vector<Tensor> forward(const Tensor& x, const Tensor& weight = {}) {
    return {mean(weight.defined() ? x * weight : x), x};
  }
};

const ModuleType& meter_type() {
  static const bool once = [] {
    register_module<TestMeter>({.start = 3}, "x [...], weight [...] -> [], [...]",
                               {sample::reals({2, 3}, 1, 2), sample::reals({2, 3})});
    return true;
  }();
  static_cast<void>(once);
  return module_type("TestMeter");
}

TEST(Registry, ATypeKnowsWhatItIs) {
  const ModuleType& linear = module_type("Linear");
  EXPECT_EQ(linear.kind, "layer");
  EXPECT_EQ(linear.config->fields.at(0).name, "in_features");
  EXPECT_EQ(linear.example.hparams().at("in_features").integer(), 3);
  EXPECT_EQ(module_type("GRUCell").kind, "layer");
  EXPECT_EQ(module_type("WaveNet").kind, "network");
  EXPECT_EQ(module_type("Sequential").kind, "container");
  EXPECT_EQ(module_type("Sequential").config, nullptr);
  EXPECT_EQ(module_type("LayerNorm").doc.source, std::string("Ba, Kiros & Hinton 2016"));
  expect_has(message_of<ConfigError>([] { module_type("Linaer"); }), {"did you mean \"Linear\""});

  register_module<OwnMLP>();
  EXPECT_EQ(module_type("TestOwnMLP").doc.what, std::string());
  EXPECT_EQ(module_type("TestOwnMLP").kind, "module");
  EXPECT_FALSE(module_type("TestOwnMLP").example.hparams);
  const ModuleType& meter = meter_type();
  EXPECT_EQ(meter.kind, "feature");
  EXPECT_EQ(meter.doc.what, std::string("The mean of a tensor."));
  EXPECT_EQ(meter.example.hparams().at("start").real(), 3);
}

TEST(Registry, AnyTypeIsCalledWithTensors) {
  const auto meter = build(meter_type().defaults());
  EXPECT_THROW(call(*meter, {ones({2})}), ValueError);  // not materialised
  materialise(*meter);
  const Tensor x = full({2, 2}, 3), weight = full({2, 2}, 2);
  EXPECT_EQ(call(*meter, {x})[0].item(), 3);
  const std::vector<Tensor> both = call(*meter, {x, weight});
  EXPECT_EQ(both.size(), 2u);
  EXPECT_EQ(both[0].item(), 6);
  expect_has(message_of<ValueError>([&] { call(*meter, {x, x, x}); }), {"TestMeter does not take 3 tensors"});
  expect_has(message_of<ValueError>([&] { module_type("Linear").call(*meter, {x}); }), {"TestMeter"});
  EXPECT_THROW(call(*make<ModuleList>(), {x}), ConfigError);

  const auto again = example_inputs(meter_type(), 0), other = example_inputs(meter_type(), 1);
  for (const float v : again[0].to_vector<float>()) EXPECT_TRUE(v >= 1 && v < 2);
  EXPECT_TRUE(same_bits(again[0], example_inputs(meter_type())[0]));
  EXPECT_FALSE(same_bits(again[0], other[0]));
  EXPECT_EQ(example_inputs(meter_type(), 0, DType::f64)[1].dtype(), DType::f64);
  for (const std::int64_t v : example_inputs(module_type("Embedding"))[0].to_vector<std::int64_t>())
    EXPECT_TRUE(v >= 0 && v < 5);
}

// ---- networks -----------------------------------------------------------------------------------------------------

TEST(Registry, NetworksByTheirConfig) {
  register_networks();
  register_networks();  // twice does nothing
  const io::Poly<Network> config = WaveNetConfig{.channels = 8};
  const Part<Network> net = build_network(config);
  EXPECT_EQ(net->receptive_field(), 16);
  EXPECT_EQ(net->parameter_count(), WaveNet(WaveNetConfig{.channels = 8}).parameter_count());
  EXPECT_THROW(build_part<Network>(linear_part(1, 1)->hparams()), ConfigError);
}

TEST(WaveNetParts, FromConfigGoesThroughTheSameConstructor) {
  const WaveNetConfig config{.channels = 8, .residual_channels = 8, .skip_channels = 6};
  WaveNet one(config), two(config, WaveNet::make_parts(config));
  EXPECT_EQ(one.hparams(), two.hparams());
  EXPECT_FALSE(one.hparams().find("parts"));
  materialise(one, {.seed = 2});
  materialise(two, {.seed = 2});
  expect_same_state(one, two);
  expect_round_trip(one);
}

TEST(WaveNetParts, SharedLayersSurviveTheRoundTrip) {
  const WaveNetConfig config{.blocks = {2, 2}, .channels = 8, .residual_channels = 8, .skip_channels = 6};
  WaveNetParts parts = WaveNet::make_parts(config);
  parts.layers[2] = parts.layers[0];
  WaveNet net(config, parts);
  EXPECT_LT(net.parameter_count(), WaveNet(config).parameter_count());
  EXPECT_EQ(net.hparams().at("parts").at("layers").items()[2].at("ref").string(), "layers.0");
  EXPECT_EQ(build(net.hparams())->parameter_count(), net.parameter_count());
  expect_round_trip(net);

  parts.layers.pop_back();
  parts.head = make<MLP>(MLPConfig{.in = 5});
  expect_has(message_of<ConfigError>([&] { WaveNet(config, parts); }), {"/layers", "/head/in", "must be 6"});
}

}  // namespace
}  // namespace tapedeck::nn
