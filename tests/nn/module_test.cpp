#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/registry.h>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

Part<Linear> linear_part(std::int64_t in, std::int64_t out) { return make<Linear>(LinearConfig{in, out}); }

// A composite made of ready parts.
class Pair : public Layer {
 public:
  Pair(Part<Layer> first, Part<Layer> second) : first_(std::move(first)), second_(std::move(second)) {
    child("first", first_);
    child("second", second_);
    scale = parameter("scale", {2}, init::constant(3));
    count = buffer("count", {1}, 7);
    cache = buffer("cache", {1}, 0, /*persistent=*/false);
  }
  const char* type_name() const override { return "Pair"; }
  Tensor forward(const Tensor& x) override { return second_(first_(x)); }
  Param scale, count, cache;

 private:
  Part<Layer> first_, second_;
};

std::vector<std::string> names_of(const std::vector<NamedTensor>& all) {
  std::vector<std::string> out;
  for (const auto& n : all) out.push_back(n.path);
  return out;
}
using Names = std::vector<std::string>;

TEST(Module, ConstructingOnlyDeclares) {
  const std::uint64_t before = memory_stats().allocations;
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  EXPECT_EQ(memory_stats().allocations, before);
  EXPECT_FALSE(pair->materialised());
  EXPECT_EQ(pair->parameter_count(), 3 * 4 + 4 + 4 * 2 + 2 + 2);
}

TEST(Module, UsingAnUnmaterialisedModuleNamesItsPath) {
  const auto inner = linear_part(3, 4);
  const auto outer = make<Pair>(make<Pair>(inner, linear_part(4, 4)), linear_part(4, 2));
  EXPECT_EQ(inner->path(), "first.first");
  expect_has(message_of<ValueError>([&] { inner(zeros({1, 3})); }), {"\"first.first\"", "materialise"});
  expect_has(message_of<ValueError>([&] { static_cast<void>(inner->weight.get()); }), {"\"first.first\""});
  expect_has(message_of<ValueError>([&] { outer->state_dict(); }), {"not materialised"});
  materialise(*outer);
  EXPECT_EQ(outer(zeros({1, 3})).sizes(), (Shape{1, 2}));
}

TEST(Module, NamesComeFromTheTree) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*pair);
  EXPECT_EQ(names_of(pair->named_parameters()),
            (Names{"scale", "first.weight", "first.bias", "second.weight", "second.bias"}));
  EXPECT_EQ(names_of(pair->named_buffers()), (Names{"count", "cache"}));
  EXPECT_EQ(names_of(pair->state_dict()),
            (Names{"scale", "count", "first.weight", "first.bias", "second.weight", "second.bias"}));
  EXPECT_EQ(pair->named_buffers()[0].tensor.item(), 7);
  EXPECT_EQ(pair->scale.get().to_vector<float>(), (std::vector<float>{3, 3}));
  EXPECT_EQ(&pair->at("second"), pair->children()[1].part->module());
  expect_has(message_of<ValueError>([&] { pair->at("secnd"); }), {"\"secnd\"", "did you mean \"second\""});
}

TEST(Module, InitialWeightsDoNotDependOnTheOrderOfConstruction) {
  const auto late_a = linear_part(3, 4), late_b = linear_part(4, 2);
  const auto one = make<Pair>(late_a, late_b);
  const auto b = linear_part(4, 2), a = linear_part(3, 4);
  const auto two = make<Pair>(a, b);
  materialise(*one, {.seed = 5});
  materialise(*two, {.seed = 5});
  expect_same_state(*one, *two);
  materialise(*two, {.seed = 6});
  EXPECT_FALSE(same_bits(one->named_parameters()[1].tensor, two->named_parameters()[1].tensor));
  // Two parameters of one shape differ: each has the stream of its path.
  const auto twins = make<Pair>(linear_part(4, 4), linear_part(4, 4));
  materialise(*twins);
  EXPECT_FALSE(same_bits(twins->named_parameters()[1].tensor, twins->named_parameters()[3].tensor));
}

TEST(Module, ArenasAreFlatOrderedByOptimizerGroupAndPath) {
  const auto pair = make<Pair>(linear_part(3, 5), linear_part(5, 2));
  MaterialiseOptions options;
  options.order = {"second.*"};
  materialise(*pair, options);
  const Arena& arena = pair->arenas().at(0);
  Names order;
  for (const Segment& s : arena.segments) {
    order.push_back(s.path);
    EXPECT_EQ(s.offset % 16, 0) << s.path;
    EXPECT_EQ(s.parameter.data<float>(), arena.values.data<float>() + s.offset);
    EXPECT_TRUE(s.parameter.requires_grad());
  }
  EXPECT_EQ(order, (Names{"second.bias", "second.weight", "first.bias", "first.weight", "scale"}));
  EXPECT_EQ(arena.values.sizes(), arena.gradients.sizes());

  Tape tape;
  tape.backward(sum(pair(full({1, 3}, 1))));
  for (const Segment& s : arena.segments) {
    if (s.path == "scale") continue;
    EXPECT_EQ(s.parameter.grad().data<float>(), arena.gradients.data<float>() + s.offset) << s.path;
  }
  EXPECT_FALSE(pair->scale.get().has_grad());  // nothing reached it
  EXPECT_EQ(pair->at("second").named_parameters()[1].tensor.grad().to_vector<float>(), (std::vector<float>{1, 1}));
  EXPECT_THROW(pair->at("first").arenas(), ValueError);
}

TEST(Module, EachParameterHasAVersionOfItsOwn) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*pair);
  const auto all = pair->named_parameters();
  const auto before = all[2].tensor.version();
  fill_(detach(all[1].tensor), 1);
  EXPECT_EQ(all[2].tensor.version(), before);
}

TEST(Module, CopyingAPartSharesItAndCloneCopies) {
  const auto shared = linear_part(4, 4);
  const Part<Linear> copy = shared;
  EXPECT_EQ(copy.get(), shared.get());
  const auto pair = make<Pair>(shared, copy);
  EXPECT_EQ(pair->parameter_count(), 4 * 4 + 4 + 2);
  materialise(*pair, {.seed = 3});
  EXPECT_EQ(names_of(pair->named_parameters()), (Names{"scale", "first.weight", "first.bias"}));

  shared->freeze("bias");
  shared->eval();
  const Part<Linear> apart = shared.clone();
  expect_same_state(*apart, *shared);
  EXPECT_NE(apart.get(), shared.get());
  EXPECT_FALSE(apart->weight.get().shares_storage(shared->weight.get()));
  EXPECT_FALSE(apart->bias.get().requires_grad());
  EXPECT_TRUE(apart->weight.get().requires_grad());
  EXPECT_FALSE(apart->training());
}

TEST(Module, SharedWeightsCollectBothGradients) {
  const auto shared = make<Linear>(LinearConfig{1, 1, false});
  const auto pair = make<Pair>(shared, shared);
  materialise(*pair);
  fill_(detach(shared->weight), 3);
  Tape tape;
  tape.backward(sum(pair(full({1, 1}, 2))));
  EXPECT_EQ(shared->weight.get().grad().item(), 12);  // d(w^2 x) = 2 w x
}

TEST(Module, ACycleIsAnError) {
  const auto list = make<ModuleList>(), outer = make<ModuleList>();
  EXPECT_THROW(list->push(list), ValueError);
  list->push(make<Linear>());
  outer->push(list);
  EXPECT_THROW(list->push(outer), ValueError);
  EXPECT_THROW(outer->swap("0.0", outer.shared()), ValueError);
  EXPECT_EQ(list->path(), "0");
  materialise(*outer);
}

TEST(Module, AnEmptiedPartAndAnIndexOutsideAreErrors) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  EXPECT_THROW(ModuleList()[0], ValueError);
  EXPECT_THROW(Sequential()[0], ValueError);
  const Part<Linear> none;
  EXPECT_THROW(none(zeros({1})), ValueError);
  EXPECT_THROW(none.clone(), ValueError);
}

TEST(Module, MaterialisingAPartAloneMakesTheRootsArenasStale) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*pair);
  const auto layout = pair->layout();
  materialise(pair->at("first"), {.seed = 5});
  EXPECT_GT(pair->layout(), layout);
  EXPECT_THROW(pair->arenas(), ValueError);
  pair->to({});
  EXPECT_EQ(pair->arenas().size(), 1u);
}

TEST(Module, FreezeByGlobAndModes) {
  const auto pair = make<Pair>(linear_part(3, 4), make<Dropout>());
  EXPECT_EQ(pair->freeze("first.*"), 2);
  materialise(*pair);
  EXPECT_FALSE(pair->named_parameters()[1].tensor.requires_grad());
  EXPECT_TRUE(pair->scale.get().requires_grad());
  EXPECT_EQ(pair->unfreeze("**.bias"), 1);
  EXPECT_TRUE(pair->named_parameters()[2].tensor.requires_grad());
  EXPECT_FALSE(pair->named_parameters()[1].tensor.requires_grad());
  EXPECT_THROW(pair->freeze("frst.*"), ValueError);
  {
    Tape tape;
    tape.backward(sum(pair(full({1, 3}, 1))));
  }
  EXPECT_FALSE(pair->named_parameters()[1].tensor.has_grad());
  EXPECT_TRUE(pair->named_parameters()[2].tensor.has_grad());

  pair->eval();
  EXPECT_FALSE(pair->at("second").training());
  const Tensor x = full({1, 3}, 1);
  EXPECT_TRUE(same_bits(pair(x), pair(x)));
  pair->train();
  EXPECT_TRUE(pair->at("second").training());
}

TEST(Module, PathGlobs) {
  EXPECT_TRUE(path_matches("**", ""));
  EXPECT_TRUE(path_matches("**", "a.b.c"));
  EXPECT_TRUE(path_matches("layers.*.weight", "layers.3.weight"));
  EXPECT_FALSE(path_matches("layers.*.weight", "layers.3.conv.weight"));
  EXPECT_TRUE(path_matches("layers.**.weight", "layers.3.conv.weight"));
  EXPECT_TRUE(path_matches("layers.**.weight", "layers.weight"));
  EXPECT_TRUE(path_matches("**.b*s", "a.bias"));
  EXPECT_FALSE(path_matches("*", "a.b"));
  EXPECT_FALSE(path_matches("a", ""));
  EXPECT_TRUE(path_matches("", ""));
}

TEST(Module, PathGlobsOfManyStarsEnd) {
  EXPECT_FALSE(path_matches("*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(200, 'a')));
  EXPECT_TRUE(path_matches("*a*b*", "xxaxxbxx"));
  std::string path = "a", glob = "b";
  for (int i = 0; i < 60; ++i) path += ".a";
  for (int i = 0; i < 12; ++i) glob = "**.a." + glob;
  EXPECT_FALSE(path_matches(glob, path));
  EXPECT_TRUE(path_matches(glob, path + ".b"));
}

TEST(Module, HooksSeeAndReplaceAndEndWithTheirHandle) {
  const auto pair = make<Pair>(linear_part(3, 3), linear_part(3, 3));
  materialise(*pair);
  const Tensor x = full({1, 3}, 1), plain = pair(x);
  {
    std::vector<std::string> seen;
    HookHandle all(*pair, "**", [&](const Call& call) {
      seen.push_back(call.module.path());
      ASSERT_EQ(call.inputs.size(), 1u);
      ASSERT_EQ(call.outputs.size(), 1u);
    });
    EXPECT_TRUE(same_bits(pair(x), plain));
    EXPECT_EQ(seen, (Names{"first", "second", ""}));
    HookHandle patch(*pair, "first", [](const Call& call) { *call.outputs[0] = zeros({1, 3}); });
    EXPECT_FALSE(same_bits(pair(x), plain));
  }
  EXPECT_TRUE(same_bits(pair(x), plain));
  EXPECT_TRUE(pair->plain());  // nothing is left of them
  EXPECT_THROW(HookHandle(*pair, "third", [](const Call&) {}), ValueError);
}

TEST(Module, RematerialisingKeepsValues) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*pair, {.seed = 9});
  const auto before = pair->at("first").named_parameters()[0].tensor.to_vector<float>();
  const auto layout = pair->layout();
  pair->to({.dtype = DType::f64});
  EXPECT_GT(pair->layout(), layout);
  EXPECT_EQ(pair->dtype(), DType::f64);
  const auto after = pair->at("first").named_parameters()[0].tensor.to_vector<double>();
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], before[i]);

  pair->swap("second", linear_part(4, 5).shared());
  EXPECT_THROW(pair(zeros({1, 3}, {DType::f64})), ValueError);
  pair->to({.seed = 9, .dtype = DType::f64});
  EXPECT_EQ(pair(zeros({1, 3}, {DType::f64})).sizes(), (Shape{1, 5}));
  EXPECT_EQ(pair->at("first").named_parameters()[0].tensor.to_vector<double>(), after);
  EXPECT_THROW(pair->swap("second", make<ModuleList>().shared()), ValueError);
}

TEST(Module, SwappingASharedPartReplacesItEverywhere) {
  const auto shared = linear_part(3, 3);
  const auto net = make<Sequential>(std::vector<Part<Layer>>{shared, make<Activation>(), shared});
  materialise(*net);
  net->swap("0", linear_part(3, 3).shared());
  EXPECT_EQ((*net)[0].get(), (*net)[2].get());
  EXPECT_NE((*net)[0].get(), shared.get());
  net->to({});
  EXPECT_EQ(net(zeros({1, 3})).sizes(), (Shape{1, 3}));
}

TEST(Module, BuffersFollowTheTypeUnlessTheyHaveOne) {
  const auto norm = make<BatchNorm>(BatchNormConfig{3});
  materialise(*norm, {.dtype = DType::f64});
  EXPECT_EQ(norm->running_var.get().dtype(), DType::f64);
  EXPECT_EQ(norm->num_batches_tracked.get().dtype(), DType::i64);
  norm(full({2, 3}, 1, {DType::f64}));
  norm->to(kCpu, DType::f32);
  EXPECT_EQ(norm->running_mean.get().dtype(), DType::f32);
  EXPECT_NEAR(norm->running_mean.get().to_vector<float>()[0], 0.1, 1e-7);
  EXPECT_EQ(norm->num_batches_tracked.get().item(), 1);
  const auto copy = norm.clone();
  expect_same_state(*norm, *copy);
  const auto fresh = make<BatchNorm>(BatchNormConfig{3});
  fresh->load_state(norm->state_dict(), {.materialise = {.dtype = DType::f64}});
  EXPECT_EQ(fresh->running_mean.get().dtype(), DType::f64);
}

TEST(Module, ParameterGroups) {
  const auto net = make<Sequential>(std::vector<Part<Layer>>{make<Embedding>(EmbeddingConfig{4, 3}), linear_part(3, 3),
                                                             make<LayerNorm>(LayerNormConfig{{3}})});
  EXPECT_THROW(net->parameter_groups(), ValueError);
  materialise(*net);
  auto groups = net->parameter_groups();
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_TRUE(groups[0].decay);
  EXPECT_FALSE(groups[1].decay);
  EXPECT_EQ(names_of(groups[0].parameters), (Names{"1.weight"}));
  EXPECT_EQ(names_of(groups[1].parameters), (Names{"0.weight", "1.bias", "2.weight", "2.bias"}));
  groups = net->parameter_groups({});
  EXPECT_EQ(groups[0].parameters.size(), 5u);
  EXPECT_TRUE(groups[1].parameters.empty());
}

TEST(Module, ShortTypesStartAtTheRoundedValues) {
  const auto wide = linear_part(8, 8), narrow = linear_part(8, 8);
  materialise(*wide, {.seed = 2});
  materialise(*narrow, {.seed = 2, .dtype = DType::bf16});
  EXPECT_TRUE(same_bits(cast(wide->weight, DType::bf16), narrow->weight));
  EXPECT_THROW(materialise(*wide, {.dtype = DType::i64}), DTypeError);
}

TEST(Module, NamesMustBeUsableAndUnique) {
  class Bad : public Module {
   public:
    explicit Bad(const std::vector<std::string>& names) {
      for (const auto& n : names) parameter(n, {1}, init::constant(0));
    }
    const char* type_name() const override { return "Bad"; }
  };
  EXPECT_THROW(Bad({"a.b"}), ValueError);
  EXPECT_THROW(Bad({""}), ValueError);
  EXPECT_THROW(Bad({"a", "a"}), ValueError);
}

TEST(Module, HooksOnTheWayInReplaceInputsAndSkip) {
  const auto pair = make<Pair>(linear_part(3, 3), linear_part(3, 3));
  materialise(*pair);
  const Tensor x = full({1, 3}, 1), other = full({1, 3}, 2), plain = pair(x), shifted = pair(other);
  std::vector<std::string> order;
  const auto note = [&](const char* name) {
    return HookOptions{.before = [&order, name](Entry&) { order.push_back(std::string(name) + " in"); }};
  };
  {
    const HookHandle a(
        *pair, "", [&](const Call&) { order.push_back("a out"); }, note("a"));
    const HookHandle b(
        *pair, "", [&](const Call&) { order.push_back("b out"); }, note("b"));
    EXPECT_TRUE(same_bits(pair(x), plain));
    EXPECT_EQ(order, (Names{"a in", "b in", "b out", "a out"}));
  }
  {
    const HookHandle in(*pair, "", nullptr, {.before = [&](Entry& e) { *e.inputs[0] = other; }});
    EXPECT_TRUE(same_bits(pair(x), shifted));
  }
  {  // what was set later neither sees the call nor the undefined output
    int later = 0;
    const HookHandle skip(*pair, "first", [&](const Call& c) { *c.outputs[0] = c.inputs[0]; },
                          {.before = [](Entry& e) { e.skip = true; }});
    const HookHandle after(*pair, "first", [&](const Call&) { ++later; });
    EXPECT_TRUE(same_bits(pair(x), (*part_cast<Layer>(*pair->children()[1].part))(x)));
    EXPECT_EQ(later, 0);
  }
  EXPECT_TRUE(same_bits(pair(x), plain));
  EXPECT_TRUE(pair->plain());
}

TEST(Module, HooksCountTheCallsOfEachModule) {
  const auto shared = linear_part(3, 3);
  const auto pair = make<Pair>(shared, shared);
  materialise(*pair);
  std::vector<std::string> seen;
  HookHandle hook(*pair, "**", [&](const Call& c) { seen.push_back(c.module.path() + std::to_string(c.index)); });
  const Tensor x = full({1, 3}, 1);
  pair(x);
  EXPECT_EQ(seen, (Names{"first0", "first1", "0"}));
  pair(x);
  EXPECT_EQ(seen[5], "1");
  hook.restart();
  pair(x);
  EXPECT_EQ(seen[8], "0");
  // A throwing forward leaves the hook as it was, and nothing else behind.
  EXPECT_THROW(pair(full({1, 4}, 1)), ShapeError);
  pair(x);
  hook.remove();
  EXPECT_TRUE(same_bits(pair(x), pair(x)));
  EXPECT_TRUE(pair->plain());
}

// ---- state
// ------------------------------------------------------------------------------------------------------------

TEST(State, RoundTripIntoAnUnmaterialisedTree) {
  const auto one = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  const auto two = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*one, {.seed = 4});
  two->load_state(one->state_dict());
  expect_same_state(*one, *two);
  EXPECT_EQ(two->cache.get().item(), 0);  // not persistent: its initial value
}

TEST(State, LoadingMaterialisesATreeWithoutTensors) {
  const auto act = make<Activation>();
  act->load_state({});
  EXPECT_EQ(act(full({2}, -1)).to_vector<float>()[0], 0);
}

// Planted faults: each must be reported, all in one error, and nothing may be loaded.
TEST(State, StrictLoadingReportsEveryProblemAtOnce) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*pair, {.seed = 4});
  StateDict state;
  for (const auto& [path, t] : pair->state_dict()) state.push_back({path, full(t.sizes(), 42)});
  state.erase(state.begin());                                   // missing: scale
  state[1].tensor = zeros({4, 2});                              // mis-shaped: first.weight
  state.push_back({"third.weight", zeros({7})});                // unexpected
  state.push_back({"first.bias", zeros({4})});                  // twice
  state[0].tensor = tensor(std::vector<std::int64_t>{1}, {1});  // count: integers for reals
  ASSERT_EQ(state[1].path, "first.weight");
  const auto before = pair->at("second").named_parameters()[0].tensor.to_vector<float>();
  const std::string said = message_of<FormatError>([&] { pair->load_state(state); });
  expect_has(said, {"missing scale [2]", "mis-shaped first.weight: given f32[4,2], the model has f32[4,3]",
                    "unexpected third.weight f32[7]", "first.bias (a second time)", "mis-shaped count: given i64[1]",
                    "nothing was loaded"});
  EXPECT_EQ(pair->at("second").named_parameters()[0].tensor.to_vector<float>(), before);

  const auto fresh = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  EXPECT_THROW(fresh->load_state(state), FormatError);
  EXPECT_FALSE(fresh->materialised());
}

TEST(State, PartialLoadingTakesWhatFits) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*pair, {.seed = 4});
  const LoadReport report = pair->load_state(
      {{"first.bias", full({4}, 2, {DType::f64})}, {"nothing", zeros({1})}, {"scale", zeros({3})}}, {.strict = false});
  EXPECT_EQ(report.unexpected.size(), 1u);
  EXPECT_EQ(report.misshaped.size(), 1u);
  EXPECT_EQ(report.missing.size(), 4u);
  EXPECT_EQ(pair->at("first").named_parameters()[1].tensor.to_vector<float>(), (std::vector<float>{2, 2, 2, 2}));
}

TEST(State, LoadingItsOwnTensorsReadsTheOldValues) {
  const auto linear = make<Linear>(LinearConfig{2, 2});
  materialise(*linear);
  const Tensor w = linear->weight.get();
  const auto before = w.to_vector<float>();
  linear->load_state({{"weight", transpose(w, 0, 1)}, {"bias", zeros({2})}});
  EXPECT_EQ(w.to_vector<float>(), (std::vector<float>{before[0], before[2], before[1], before[3]}));
  EXPECT_THROW(linear->load_state({{"weight", Tensor()}, {"bias", zeros({2})}}), FormatError);
}

TEST(State, AWriteToAWholeArenaIsSeenByWhatWasSaved) {
  const auto linear = make<Linear>(LinearConfig{2, 2});
  materialise(*linear);
  const Tensor x = full({1, 2}, 1);
  Tape tape;
  tape.watch(x);
  const Tensor y = sum(linear(x));
  mul_(linear->arenas()[0].values, 2);
  EXPECT_THROW(tape.backward(y), TapeError);
}

TEST(State, LoadingRaisesVersions) {
  const auto pair = make<Pair>(linear_part(3, 4), linear_part(4, 2));
  materialise(*pair);
  Tape tape;
  const Tensor y = sum(pair(full({1, 3}, 1)));
  StateDict copy;
  for (const auto& [path, t] : pair->state_dict()) copy.push_back({path, clone(detach(t))});
  pair->load_state(copy);
  EXPECT_THROW(tape.backward(y), TapeError);
}

}  // namespace
}  // namespace tapedeck::nn
