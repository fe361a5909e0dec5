// One parameter under two names.
#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/parametrize.h>
#include <tapedeck/nn/registry.h>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

// Codes to logits over the same codes; as a model of language has them.
Part<Sequential> some_net() {
  return make<Sequential>(std::vector<Part<Layer>>{make<Embedding>(EmbeddingConfig{5, 3}),
                                                   make<Linear>(LinearConfig{3, 3}), make<Linear>(LinearConfig{3, 5})});
}
Part<Sequential> tied_net(std::uint64_t seed = 1) {
  const auto net = some_net();
  tie_weights(*net, "2.weight", "0.weight");
  materialise(*net, {.seed = seed});
  return net;
}
std::vector<std::string> names_of(const Module& m) {
  std::vector<std::string> out;
  for (const auto& p : m.named_parameters()) out.push_back(p.path);
  return out;
}
const std::vector<std::string> kNames{"0.weight", "1.weight", "1.bias", "2.bias"};
const Tensor kCodes = tensor(std::vector<std::int64_t>{0, 1, 2, 3, 4, 2}, {2, 3});

Tensor weight_of(Part<Sequential>& net, std::size_t layer) {
  if (auto* linear = dynamic_cast<Linear*>((*net)[layer].get())) return linear->weight;
  return static_cast<Embedding&>(*(*net)[layer]).weight;
}
Tensor loss_of(Part<Sequential>& net) { return cross_entropy(reshape(net(kCodes), {6, 5}), reshape(kCodes, {6})); }

TEST(Tie, IsOneParameterWithOneGradient) {
  auto net = tied_net(), apart = some_net();
  EXPECT_EQ(names_of(*net), kNames);
  EXPECT_EQ(net->parameter_count(), 15 + 9 + 3 + 5);
  EXPECT_EQ(net->arenas().at(0).segments.size(), 4u);
  EXPECT_EQ(weight_of(net, 0).impl(), weight_of(net, 2).impl());

  materialise(*apart, {.seed = 1});
  copy_(weight_of(apart, 2), weight_of(apart, 0));
  EXPECT_TRUE(same_bits(net(kCodes), apart(kCodes)));  // it starts as the parameter that it is
  {
    Tape tape;
    tape.backward(loss_of(net));
  }
  {
    Tape tape;
    tape.backward(loss_of(apart));
  }
  const auto both = add(weight_of(apart, 0).grad(), weight_of(apart, 2).grad()).to_vector<float>();
  const auto one = weight_of(net, 0).grad().to_vector<float>();
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], both[i], 1e-6);
  fill_(weight_of(net, 0), 0.5);
  EXPECT_EQ(weight_of(net, 2).to_vector<float>()[7], 0.5f);
}

TEST(Tie, KeepsTheValuesOfAMaterialisedTree) {
  auto net = some_net();
  materialise(*net, {.seed = 4});
  const Tensor before = clone(weight_of(net, 0));
  const auto layout = net->layout();
  tie_weights(*net, "2.weight", "0.weight");
  EXPECT_GT(net->layout(), layout);
  EXPECT_TRUE(same_bits(weight_of(net, 2), before));
  net->to(kCpu, DType::f64);
  EXPECT_EQ(weight_of(net, 2).dtype(), DType::f64);
  EXPECT_EQ(weight_of(net, 0).impl(), weight_of(net, 2).impl());
  net->freeze("0.weight");
  EXPECT_FALSE(weight_of(net, 2).requires_grad());
}

TEST(Tie, IsPartOfTheHyperParameters) {
  const auto net = tied_net(3);
  const io::Node node = net->hparams();
  expect_has(io::dump_json(node, -1), {R"("parametrizations":{"2.weight":{"type":"tied","to":"0.weight"}})"});
  for (const io::Save how : {io::Save::full, io::Save::minimal, io::Save::extended}) {
    const auto again = build(net->hparams(how));
    EXPECT_EQ(again->hparams(), node);
    materialise(*again, {.seed = 3});
    expect_same_state(*again, *net);
  }
  auto copy = net.clone();
  EXPECT_EQ(names_of(*copy), kNames);
  EXPECT_EQ(weight_of(copy, 0).impl(), weight_of(copy, 2).impl());
  expect_same_state(*copy, *net);

  // Further down, and among the children that follow from a config.
  const auto outer = make<ModuleDict>();
  outer->set("net", some_net());
  const auto encoder = make<TransformerEncoder>(
      TransformerEncoderConfig{.layer = {.d_model = 4, .nhead = 2, .dim_feedforward = 6}, .num_layers = 2});
  outer->set("encoder", encoder);
  tie_weights(outer->at("net"), "2.weight", "0.weight");
  tie_weights(encoder->at("layers.0"), "norm1.weight", "norm2.weight");
  tie_weights(*encoder, "layers.1.linear1.weight", "layers.0.linear1.weight");
  materialise(*outer, {.seed = 5});
  EXPECT_EQ(outer->named_parameters().size(), 4u + 2 * 12 - 2);
  for (const io::Save how : {io::Save::full, io::Save::extended}) {
    const auto again = build(outer->hparams(how));
    EXPECT_EQ(again->hparams(), outer->hparams());
    materialise(*again, {.seed = 5});
    expect_same_state(*again, *outer);
    EXPECT_EQ(again->parameter_count(), outer->parameter_count());
  }
}

TEST(Tie, ChainsAreOneParameter) {
  const auto net = make<Sequential>(std::vector<Part<Layer>>{
      make<Linear>(LinearConfig{3, 3}), make<Linear>(LinearConfig{3, 3}), make<Linear>(LinearConfig{3, 3})});
  tie_weights(*net, "0.weight", "1.weight"), tie_weights(*net, "1.weight", "2.weight");
  expect_has(message_of<ValueError>([&] { tie_weights(*net, "2.weight", "0.weight"); }),
             {"no parameter \"0.weight\" of its own"});
  materialise(*net);
  EXPECT_EQ(names_of(*net), (std::vector<std::string>{"0.bias", "1.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(static_cast<Linear&>(*(*net)[0]).weight.get().impl(), static_cast<Linear&>(*(*net)[2]).weight.get().impl());
}

TEST(Tie, StatesMayHaveBothNames) {
  auto net = tied_net(), fresh = tied_net(2);
  StateDict state = net->state_dict();
  ASSERT_EQ(state.size(), 4u);
  state.push_back({"2.weight", clone(state[0].tensor)});  // as PyTorch has it
  fresh->load_state(state);
  expect_same_state(*fresh, *net);
  EXPECT_EQ(weight_of(fresh, 0).impl(), weight_of(fresh, 2).impl());

  fresh = tied_net(2);
  StateDict other = state;
  other.erase(other.begin());  // only the second name
  fresh->load_state(other);
  expect_same_state(*fresh, *net);

  fresh = tied_net(2);
  const StateDict before = tied_net(2)->state_dict();
  state.back().tensor = state.back().tensor * 2.0;
  expect_has(message_of<FormatError>([&] { fresh->load_state(state); }),
             {"1 of the names do not fit", "2.weight", "0.weight", "one parameter"});
  expect_same_state(*fresh, *tied_net(2));
  const LoadReport report = fresh->load_state(state, {.strict = false});
  EXPECT_EQ(report.misshaped.size(), 1u);
  EXPECT_TRUE(same_bits(weight_of(fresh, 2), weight_of(net, 0)));

  state.pop_back(), state.erase(state.begin());
  expect_has(message_of<FormatError>([&] { fresh->load_state(state); }), {"missing 0.weight"});
}

TEST(Tie, EndsByFold) {
  auto net = tied_net();
  const Tensor before = net(kCodes);
  EXPECT_THROW(fold(*net), ValueError);  // no parametrisation
  EXPECT_EQ(fold(*net, "**", "tied"), 1);
  EXPECT_THROW(fold(*net, "**", "tied"), ValueError);
  EXPECT_EQ(names_of(*net), (std::vector<std::string>{"0.weight", "1.weight", "1.bias", "2.weight", "2.bias"}));
  EXPECT_TRUE(same_bits(net(kCodes), before));
  EXPECT_NE(weight_of(net, 0).impl(), weight_of(net, 2).impl());
  EXPECT_EQ(net->hparams(), some_net()->hparams());
}

TEST(Tie, RefusesWhatCannotBe) {
  const auto net = some_net();
  const auto refused = [&](const std::string& a, const std::string& b, const std::string& why) {
    expect_has(message_of<ValueError>([&] { tie_weights(*net, a, b); }), {"tie_weights: ", why});
  };
  refused("2.wieght", "0.weight", "did you mean \"2.weight\"?");
  refused("2.weight", "", "has no parameter \"\"");
  refused("2.weight", "1.weight", "\"2.weight\" is [5,3], but \"1.weight\" is [3,3]");
  refused("0.weight", "0.weight", "one parameter already");
  EXPECT_EQ(net->parameter_count(), 15 + 12 + 20);
  tie_weights(*net, "2.weight", "0.weight");
  refused("2.weight", "0.weight", "no parameter \"2.weight\" of its own");
  expect_has(message_of<ValueError>([&] { weight_norm(*net, "**.weight"); }), {"\"2.weight\" as well (tie)"});
  EXPECT_EQ(weight_norm(*net, "1.weight"), 1);
  refused("1.weight", "0.weight", "no parameter \"1.weight\"");
  materialise(*net);
  EXPECT_EQ(net->parameter_count(), 15 + 9 + 3 + 3 + 5);

  const auto list = make<ModuleList>(std::vector<Part<Module>>{some_net(), some_net()});
  expect_has(message_of<ValueError>([&] { tie_weights(*list, "0.2.weight", "1.0.weight"); }), {"no place for ties"});
  tie_weights(*list, "0.2.weight", "0.0.weight");  // its part has
  EXPECT_EQ(build(list->hparams())->parameter_count(), 32 + 47);
  // A part that is gone.
  net->swap("0", std::make_shared<Identity>());
  expect_has(message_of<ValueError>([&] { net->to(kCpu, DType::f32); }), {"no plain parameter \"0.weight\""});
  EXPECT_EQ(fold(*net, "2.weight", "tied"), 1);
  net->to(kCpu, DType::f32);

  io::Node node = some_net()->hparams();
  for (const char* how : {R"({"type":"tied"})", R"({"type":"tied","to":3})", R"({"type":"tied","to":"1.weight"})",
                          R"({"type":"tied","to":"7.weight"})", R"({"type":"tied","to":"0.weight","more":1})"}) {
    node["parametrizations"] = io::Node::object({{"2.weight", io::parse_json(how, "tie")}});
    expect_has(message_of<ConfigError>([&] { build(node); }), {"/parametrizations/2.weight"});
  }
}

}  // namespace
}  // namespace tapedeck::nn
