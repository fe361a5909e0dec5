// What a tree is misused for by someone who read the headers alone: an error of ours that says so, and nothing done.
#include <tapedeck/nn/inspector.h>
#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet.h>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

Part<Layer> linear_of(std::int64_t in, std::int64_t out) {
  return make<Linear>(LinearConfig{.in_features = in, .out_features = out});
}
Part<Sequential> chain(const std::vector<Part<Layer>>& layers) { return make<Sequential>(layers); }
std::shared_ptr<Module> part_of(const Module& module, std::size_t i) { return module.children().at(i).part->shared(); }

void expect_same_tree_again(Module& net) {
  const io::Node described = net.hparams();
  const auto again = build(described);
  EXPECT_EQ(io::dump_json(again->hparams()), io::dump_json(described));
  materialise(net, {.seed = 7}), materialise(*again, {.seed = 7});
  expect_same_state(net, *again);
  EXPECT_EQ(io::dump_json(net.hparams()), io::dump_json(described));
}

TEST(Misuse, AListThatHoldsOtherModulesThanItsOwnerNeeds) {
  const auto net = make<MLP>(MLPConfig{.in = 2, .hidden = 2, .layers = 0, .out = 2, .min_temperature = {}});
  const auto list = make<ModuleList>();
  list->push(make<Dropout>());
  net->swap("hidden", list.shared());
  materialise(*net);
  expect_has(message_of<ValueError>([&] { net(zeros({1, 2})); }), {"hidden", "part 0", "Dropout"});
}

TEST(Misuse, EveryPartOfAWaveNetByAnother) {
  const WaveNetConfig config{.classes = 8, .blocks = {2}, .channels = 3, .residual_channels = 4, .skip_channels = 5};
  std::vector<std::string> paths;
  make<WaveNet>(config)->apply([&](const std::string& path, Module&) { paths.push_back(path); });
  int taken = 0;
  for (const std::string& path : paths) {
    for (const Part<Module>& with :
         {Part<Module>(make<ModuleList>()), Part<Module>(make<Dropout>()), Part<Module>(linear_of(1, 1)),
          Part<Module>(chain({})), Part<Module>(make<MLP>()), Part<Module>(make<WaveNet>(config))}) {
      const auto net = make<WaveNet>(config);
      try {
        net->swap(path, with.shared());
        ++taken;
        materialise(*net);
        net(zeros({1, net->receptive_field() + 3}, {DType::i64}));
      } catch (const Error&) {
      }
      try {
        net->plan(1);
      } catch (const Error&) {
      }
    }
  }
  EXPECT_GT(taken, 10);
}

TEST(Misuse, ATreeThatChangesWhileItIsWalked) {
  const auto list = make<ModuleList>();
  for (int i = 0; i < 3; ++i) list->push(linear_of(1, 1));
  std::string seen;
  list->apply([&](const std::string& path, Module& m) {
    if (path.empty())
      for (const char* each : {"0", "1", "2"}) list->swap(each, make<Dropout>().shared());
    seen += m.type_name() + std::string(" ");
  });
  EXPECT_EQ(seen, "ModuleList Linear Linear Linear ");
}

TEST(Misuse, SwappingInsideAHook) {
  const auto net = chain({linear_of(2, 2), linear_of(2, 2)});
  materialise(*net);
  {
    const HookHandle hook(*net, "1", [&](const Call&) { net->swap("1", make<Dropout>().shared()); });
    expect_has(message_of<ValueError>([&] { net(zeros({1, 2})); }), {"swap", "while a hook runs"});
  }
  EXPECT_STREQ(net->at("1").type_name(), "Linear");
  net->swap("1", make<Dropout>().shared());  // the error ended the hook
}

// An optimizer made before asks layout(), and steps no more.
TEST(Misuse, ArenasOfATreeThatHasChanged) {
  const auto net = chain({linear_of(2, 2), chain({linear_of(2, 2)})});
  materialise(*net);
  const auto fresh = linear_of(2, 2);
  materialise(*fresh);
  const std::uint64_t before = net->layout();
  net->swap("1.0", fresh.shared());
  EXPECT_GT(net->layout(), before);
  EXPECT_THROW(net->arenas(), ValueError);
  net->to(kCpu, DType::f32);
  EXPECT_EQ(net->arenas().front().segments.size(), 4u);

  const auto list = make<ModuleList>();
  list->push(linear_of(1, 1));
  materialise(*list);
  list->push(fresh);
  EXPECT_GT(list->layout(), 1u);
  EXPECT_THROW(list->arenas(), ValueError);
}

// A part that one module derives from its config, put by hand to where the tree meets it earlier.
TEST(Misuse, APartThatStandsBeforeTheModuleItFollowsFrom) {
  const auto block = make<ResBlock>();
  const Part<Layer> conv = part_cast<Layer>(*block->children()[0].part);
  expect_same_tree_again(*chain({conv, block}));
  const auto a = make<ResBlock>(), b = make<ResBlock>();
  b->swap("conv1", part_of(*a, 0));
  expect_same_tree_again(*chain({b, a}));
  const WaveNetConfig config{.classes = 8, .blocks = {2}, .channels = 3, .residual_channels = 4, .skip_channels = 5};
  const auto net = make<WaveNet>(config);
  const auto list = make<ModuleList>();
  list->push(Part<Module>(part_of(*net, 0)));
  list->push(net);
  expect_same_tree_again(*list);
}

// Neither a type_name of its own nor registered: hparams() cannot tell it from its base.
class Doubled : public Linear {
 public:
  using Linear::Linear;
  Tensor forward(const Tensor& x) override { return Linear::forward(x) * 2.0; }
};
TEST(Misuse, CloningAClassThatIsNotTheOneOfItsName) {
  const auto net = chain({linear_of(1, 1), make<Doubled>(LinearConfig{})});
  expect_has(message_of<ConfigError>([&] { net.clone(); }), {"clone", "\"1\"", "type_name()"});
}

TEST(Misuse, NamesThatFilesCannotHold) {
  for (const std::string& name :
       {std::string("a\nb"), std::string("\xff"), std::string("\x7f"), std::string(300, 'x')}) {
    ModuleDict dict;
    EXPECT_THROW(dict.set(name, linear_of(1, 1)), ValueError);
  }
  ModuleDict dict;
  for (const char* name : {"Gr\xc3\xbc\xc3\x9f", "a b", "\"q\"", "back\\slash", "~"}) dict.set(name, linear_of(1, 1));
  EXPECT_EQ(dict.size(), 5u);

  struct Both : Module {
    explicit Both(bool part_first) {
      if (part_first) child("a", part);
      parameter("a", {1}, init::constant(0));
      child("a", part);
    }
    const char* type_name() const override { return "Both"; }
    Part<Layer> part = linear_of(1, 1);
  };
  expect_has(message_of<ValueError>([] { Both both(true); }), {"there is a part \"a\" already"});
  expect_has(message_of<ValueError>([] { Both both(false); }), {"there is a tensor \"a\" already"});
}

TEST(Misuse, AGlobThatEndsWithADot) {
  EXPECT_FALSE(path_matches("0.weight.", "0.weight"));
  EXPECT_FALSE(path_matches("**.", "0"));
  EXPECT_THROW(linear_of(1, 1)->freeze("weight."), ValueError);
}

TEST(Misuse, ValuesThatTheDtypeOfTheTreeCannotHold) {
  const auto net = linear_of(1, 1);
  materialise(*net);
  const StateDict before = net->state_dict();
  const float was = before[0].tensor.to_vector<float>()[0];
  const StateDict wide{{"weight", full({1, 1}, 1e300, {DType::f64})}, {"bias", full({1}, 0.5, {DType::f64})}};
  expect_has(message_of<FormatError>([&] { net->load_state(wide); }), {"weight", "f64", "beyond those of f32"});
  EXPECT_EQ(net->state_dict()[0].tensor.to_vector<float>()[0], was);
  net->load_state({{"weight", full({1, 1}, 3e38, {DType::f64})}, {"bias", full({1}, 0.5, {DType::f64})}});
}

TEST(Misuse, HooksThatLeaveWorkUndone) {
  const auto net = chain({linear_of(2, 2)});
  materialise(*net);
  const HookHandle hook(*net, "0", [](const Call&) {}, {.before = [](Entry& e) { e.skip = true; }});
  expect_has(message_of<ValueError>([&] { net(zeros({1, 2})); }), {"hook", "Linear \"0\"", "assigned no output"});
}

TEST(Misuse, InspectorsOfWhatIsGoneOrEmpty) {
  auto net = chain({linear_of(2, 2)});
  materialise(*net);
  Inspector inspector(*net);
  EXPECT_THROW(inspector.patch("0", Inspector::Change()), ValueError);
  EXPECT_THROW(inspector.patch_input("0", Inspector::Change()), ValueError);
  EXPECT_THROW(inspector.swap("0", Inspector::Forward()), ValueError);
  EXPECT_THROW(inspector.ablate("0", Inspector::Ablation::zero, -1), ValueError);
  inspector.stop("0");
  expect_has(message_of<ValueError>([&] { net(zeros({1, 2})); }), {"outside run()"});
  EXPECT_FALSE(inspector.run([&] { net(zeros({1, 2})); }));
  EXPECT_THROW(net(zeros({1, 2})), ValueError);
  net = {};
  expect_has(message_of<ValueError>([&] { inspector.capture("0"); }), {"inspector", "is gone"});
}

TEST(Misuse, AnInspectorThatEndsItselfInACall) {
  const auto net = chain({linear_of(2, 2)});
  materialise(*net);
  auto inspector = std::make_unique<Inspector>(*net);
  inspector->patch("0", [&](const Tensor& y) {
    inspector.reset();
    return y;
  });
  net(zeros({1, 2}));
  EXPECT_FALSE(inspector);
}

TEST(Misuse, HandEditedHyperParameters) {
  const io::Node node = io::parse_json(R"([
    {"type": "Linear", "in_features": 0, "bais": true},
    {"type": "Sequential", "layers": [{"type": "Dropout", "p": 2}]},
    {"ref": "0", "bias": false},
    {"a.b": {"type": "Linear"}, "": {"type": "Linear"}}
  ])",
                                       "net.json");
  const std::string said = message_of<ConfigError>([&] { build(node, "net.json"); });
  expect_has(said,
             {"net.json:2: /0/in_features: must be between", "net.json:2: /0/bais: ", "net.json:3: /1/layers/0/p: ",
              "net.json:4: /2/bias: ", "net.json:5: /3/a.b: ", "net.json:5: /3: "});
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n') + 1, 6) << said;
}

TEST(Misuse, TreesOfThousandsOfLevels) {
  Part<Layer> deep = linear_of(1, 1);
  for (int i = 0; i < 1500; ++i) deep = chain({deep});
  materialise(*deep);
  EXPECT_EQ(deep->parameter_count(), 2);
}

}  // namespace
}  // namespace tapedeck::nn
