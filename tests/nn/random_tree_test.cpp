// Names and initial weights follow from the finished tree and the seed alone, however it was put together: random
// trees, each made in several ways.
#include <tapedeck/nn/layers.h>
#include <tapedeck/nn/registry.h>

#include <algorithm>
#include <numeric>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

// A composite of two parts, which may be given later.
class TestPair : public Module {
 public:
  static constexpr const char* registered_name = "TestPair";
  const char* type_name() const override { return registered_name; }
  static std::shared_ptr<TestPair> from_hparams(const io::Node& node, Builder& builder) {
    const auto pair = std::make_shared<TestPair>();
    const Part<Module> left = builder.part(node, "left"), right = builder.part(node, "right");
    if (builder.ok()) pair->set(left, right);
    return pair;
  }
  void set(const Part<Module>& left, const Part<Module>& right) {
    child("left", left_ = left), child("right", right_ = right);
  }

 private:
  Part<Module> left_, right_;
};

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(seed) {}
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(mix64(seed_, count_++) % static_cast<std::uint64_t>(n));
  }
  bool one_in(std::int64_t n) { return below(n) == 0; }

 private:
  std::uint64_t seed_, count_ = 0;
};

// What a tree is, without any module of it.
struct Plan {
  enum Kind { leaf, sequential, list, dict, pair } kind = leaf;
  io::Node hparams{};  // leaf
  int same_as = -1;    // leaf: the number of an earlier one, which stands here once more
  int number = -1;     // leaf
  std::vector<Plan> parts{};
};

Part<Layer> random_layer(Dice& dice) {
  const std::int64_t a = 1 + dice.below(4), b = 1 + dice.below(4);
  switch (dice.below(10)) {
    case 0:
      return make<Conv1d>(Conv1dConfig{.in_channels = a, .out_channels = b, .kernel_size = 3});
    case 1:
      return make<Embedding>(EmbeddingConfig{.num_embeddings = a, .embedding_dim = b});
    case 2:
      return make<LayerNorm>(LayerNormConfig{.normalized_shape = {a, b}});
    case 3:
      return make<GRU>(GRUConfig{.input_size = a, .hidden_size = b, .num_layers = 2});
    case 4:
      return make<MLP>(MLPConfig{.in = a, .hidden = b, .layers = 2, .out = a});
    case 5:
      return make<ResBlock>(ResBlockConfig{.in_channels = a, .out_channels = b});
    case 6:
      return make<Activation>();
    case 7:
      return make<TransformerEncoderLayer>(
          TransformerEncoderLayerConfig{.d_model = 4, .nhead = 2, .dim_feedforward = a});
    default:
      return make<Linear>(LinearConfig{.in_features = a, .out_features = b});
  }
}

Plan random_plan(Dice& dice, int depth, int& leaves, bool layers_only = false) {
  Plan plan;
  plan.kind = depth == 0 ? Plan::leaf : static_cast<Plan::Kind>(dice.below(layers_only ? 2 : 5));
  if (plan.kind == Plan::leaf) {
    if (leaves > 0 && dice.one_in(6)) {
      plan.same_as = static_cast<int>(dice.below(leaves));
    } else {
      plan.number = leaves++;
      plan.hparams = random_layer(dice)->hparams();
    }
    return plan;
  }
  const std::int64_t n = plan.kind == Plan::pair ? 2 : 1 + dice.below(4);
  for (std::int64_t i = 0; i < n; ++i)
    plan.parts.push_back(random_plan(dice, depth - 1, leaves, plan.kind == Plan::sequential));
  return plan;
}
void leaves_of(const Plan& plan, std::vector<const Plan*>& out) {
  if (plan.number >= 0) out.push_back(&plan);
  for (const Plan& part : plan.parts) leaves_of(part, out);
}

// How the same tree comes about.
struct Way {
  const char* name;
  enum Order { forwards, backwards, shuffled } order = forwards;
  bool leaves_first = false;  // all leaves before any container
  bool holder_first = false;  // lists, dicts and pairs enter their parent empty
  bool cloned = false;        // leaves are clones of others
  bool materialised = false;  // leaves had values already, of another seed
};
constexpr Way kWays[] = {
    {.name = "parts before their holder"},
    {.name = "parts in reverse", .order = Way::backwards},
    {.name = "parts in any order", .order = Way::shuffled},
    {.name = "leaves first", .order = Way::shuffled, .leaves_first = true},
    {.name = "holders first", .holder_first = true},
    {.name = "holders first, in reverse", .order = Way::backwards, .holder_first = true},
    {.name = "clones", .order = Way::shuffled, .cloned = true},
    {.name = "parts with values", .order = Way::backwards, .materialised = true},
};

class Assembly {
 public:
  Assembly(const Plan& plan, const Way& way, std::uint64_t seed) : way_(way), dice_(seed) {
    leaves_of(plan, plans_);
    leaves_.resize(plans_.size());
    if (way.leaves_first)
      for (const std::size_t i : order(plans_.size())) leaf(static_cast<int>(i));
    root_ = start(plan);
    finish(plan, root_);
  }
  Module& root() { return *root_; }

 private:
  std::vector<std::size_t> order(std::size_t n) {
    std::vector<std::size_t> out(n);
    std::iota(out.begin(), out.end(), std::size_t{0});
    if (way_.order == Way::backwards) std::reverse(out.begin(), out.end());
    if (way_.order == Way::shuffled)
      for (std::size_t i = n; i > 1; --i)
        std::swap(out[i - 1], out[static_cast<std::size_t>(dice_.below(static_cast<std::int64_t>(i)))]);
    return out;
  }
  const Part<Module>& leaf(int number) {
    Part<Module>& part = leaves_[static_cast<std::size_t>(number)];
    if (part) return part;
    part = build_part<Module>(plans_[static_cast<std::size_t>(number)]->hparams);
    if (way_.materialised) materialise(*part, {.seed = 77});
    if (way_.cloned) part = part.clone();
    return part;
  }
  // The module of a plan; without its parts when holders come first.
  Part<Module> start(const Plan& plan) {
    if (plan.kind == Plan::leaf) return leaf(plan.same_as >= 0 ? plan.same_as : plan.number);
    if (plan.kind == Plan::sequential) {
      std::vector<Part<Layer>> layers;
      for (const Part<Module>& part : whole_parts(plan)) layers.push_back(part_cast<Layer>(part));
      return make<Sequential>(layers);
    }
    Part<Module> holder;
    if (plan.kind == Plan::list) holder = make<ModuleList>();
    if (plan.kind == Plan::dict) holder = make<ModuleDict>();
    if (plan.kind == Plan::pair) holder = make<TestPair>();
    if (!way_.holder_first) put(plan, holder, whole_parts(plan));
    return holder;
  }
  void finish(const Plan& plan, const Part<Module>& holder) {
    if (!way_.holder_first || plan.kind == Plan::leaf || plan.kind == Plan::sequential) return;
    std::vector<Part<Module>> parts;
    for (const Plan& part : plan.parts) parts.push_back(start(part));
    put(plan, holder, parts);
    for (const std::size_t i : order(parts.size())) finish(plan.parts[i], parts[i]);
  }
  std::vector<Part<Module>> whole_parts(const Plan& plan) {
    std::vector<Part<Module>> parts(plan.parts.size());
    for (const std::size_t i : order(parts.size())) {
      parts[i] = start(plan.parts[i]);
      finish(plan.parts[i], parts[i]);
    }
    return parts;
  }
  static void put(const Plan& plan, const Part<Module>& holder, const std::vector<Part<Module>>& parts) {
    if (plan.kind == Plan::pair) return static_cast<TestPair&>(*holder).set(parts[0], parts[1]);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (plan.kind == Plan::list) static_cast<ModuleList&>(*holder).push(parts[i]);
      if (plan.kind == Plan::dict) static_cast<ModuleDict&>(*holder).set("part" + std::to_string(i), parts[i]);
    }
  }

  const Way& way_;
  Dice dice_;
  std::vector<const Plan*> plans_;
  std::vector<Part<Module>> leaves_;
  Part<Module> root_;
};

TEST(RandomTrees, NamesAndInitialWeightsFollowFromTheFinishedTree) {
  ModuleType pair = module_type<TestPair>();
  pair.defaults = [] {
    TestPair one;
    one.set(make<Identity>(), make<Identity>());
    return one.hparams();
  };
  register_type(pair);
  std::size_t trees = 0, shared = 0, tensors = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("tree " + std::to_string(seed));
    Dice dice(seed);
    int leaves = 0;
    const Plan plan = random_plan(dice, 1 + static_cast<int>(seed % 4), leaves);
    Assembly first(plan, kWays[0], seed);
    Module& expected = first.root();
    const std::string text = io::dump_json(expected.hparams());
    materialise(expected, {.seed = seed});
    const auto expect_equal = [&](Module& other, const char* how) {
      SCOPED_TRACE(how);
      EXPECT_EQ(io::dump_json(other.hparams()), text);
      materialise(other, {.seed = seed});
      expect_same_state(expected, other);
      EXPECT_EQ(other.arenas().size(), expected.arenas().size());
      for (std::size_t i = 0; i < other.arenas().size() && i < expected.arenas().size(); ++i)
        EXPECT_TRUE(same_bits(other.arenas()[i].values, expected.arenas()[i].values));
    };
    for (const Way& way : kWays) {
      Assembly again(plan, way, seed + 1000);
      expect_equal(again.root(), way.name);
    }
    expect_equal(*build(io::parse_json(text, "tree")), "hparams");
    expect_equal(*build(expected.hparams(io::Save::extended)), "extended hparams");
    expect_equal(*Part<Module>(build(expected.hparams())).clone(), "a clone");
    if (expected.parameter_count() > 0 && expected.state_dict().size() > 8) {
      const auto other = build(expected.hparams());
      materialise(*other, {.seed = seed + 1});
      bool differs = false;
      for (std::size_t i = 0; i < other->state_dict().size(); ++i)
        differs = differs || !same_bits(other->state_dict()[i].tensor, expected.state_dict()[i].tensor);
      EXPECT_TRUE(differs) << "another seed";
    }
    ++trees, tensors += expected.state_dict().size(), shared += text.find("\"ref\"") != std::string::npos;
  }
  std::printf("%zu trees, %zu of them with shared parts, %zu tensors, %zu ways each\n", trees, shared, tensors,
              std::size(kWays) + 3);
  EXPECT_GE(shared, 30u);
}

}  // namespace
}  // namespace tapedeck::nn
