// Hyper-parameters from names and shapes alone: what is inferred takes the weights, and what is not is named.
#include <gtest/gtest.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/torch_file.h>
#include <tapedeck/nn/infer.h>
#include <tapedeck/nn/parametrize.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/wavenet.h>
#include <tapedeck/nn/weights.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

std::vector<io::NamedTensor> tensors_of(const Module& module, const std::string& prefix = "") {
  std::vector<io::NamedTensor> out;
  for (const auto& [path, t] : module.state_dict()) out.push_back({prefix + path, t});
  return out;
}

// The tree that was inferred takes the weights, all of them.
void expect_taken(const Inferred& inferred, const std::vector<io::NamedTensor>& tensors) {
  EXPECT_TRUE(inferred.unplaced.empty()) << inferred.unplaced.front();
  const auto module = build(inferred.hparams);
  EXPECT_NO_THROW(module->load_state(find_state(*module, tensors).state)) << io::dump_json(inferred.hparams);
}

const InferredPart* part(const Inferred& inferred, const std::string& path) {
  for (const InferredPart& p : inferred.parts)
    if (p.path == path) return &p;
  ADD_FAILURE() << "nothing is inferred at \"" << path << "\"";
  return nullptr;
}
std::string told(const Inferred& inferred, const std::string& path) {
  const InferredPart* p = part(inferred, path);
  return p ? io::dump_json(p->hparams, -1) : "";
}

TEST(Infer, FilesOfPyTorch) {
  const std::string folder = TAPEDECK_TEST_DATA "/nn/torch_models/";
  const auto infer = [&](const std::string& name, bool whole = true) {
    const auto tensors = io::read_torch(folder + name + ".pth").tensors;
    Inferred inferred = infer_hparams(weight_infos(tensors));
    if (whole) expect_taken(inferred, tensors);
    return inferred;
  };
  const Inferred gru = infer("gru");
  ASSERT_EQ(gru.parts.size(), 3u);
  EXPECT_EQ(told(gru, "embedding"), R"({"type":"Embedding","num_embeddings":20,"embedding_dim":6})");
  EXPECT_EQ(told(gru, "gru"), R"({"type":"GRU","input_size":6,"hidden_size":10,"num_layers":2,)"
                              R"("bidirectional":false,"bias":true})");
  EXPECT_EQ(told(gru, "head"), R"({"type":"Linear","in_features":10,"out_features":20,"bias":true})");
  EXPECT_EQ(part(gru, "embedding")->also.front(), "Linear without bias");
  EXPECT_EQ(part(gru, "gru")->unknown, (std::vector<std::string>{"dropout"}));

  const Inferred deep = infer("lstm_transformer");
  EXPECT_EQ(told(deep, "lstm"), R"({"type":"LSTM","input_size":6,"hidden_size":4,"num_layers":1,)"
                                R"("bidirectional":true,"bias":true})");
  EXPECT_EQ(told(deep, "encoder"),
            R"({"type":"TransformerEncoder","layer":{"d_model":8,"nhead":1,"dim_feedforward":12},)"
            R"("num_layers":2,"norm":true})");
  EXPECT_EQ(part(deep, "encoder")->unknown.front(), "nhead");

  for (const char* name : {"wavenet", "wavenet_weight_norm", "wavenet_parametrized"}) {
    const Inferred net = infer(name);
    ASSERT_EQ(net.parts.size(), 1u);
    io::Node said = net.parts[0].hparams;
    EXPECT_EQ(said.erase("parametrizations"), std::string(name) != "wavenet");
    EXPECT_EQ(io::dump_json(said, -1),
              R"({"type":"WaveNet","classes":24,"kernel_sizes":[2],"blocks":[6],"channels":8,)"
              R"("residual_channels":6,"skip_channels":10,"bias":true,"groups":1,"head":{"hidden":12,)"
              R"("layers":1}})");
    const auto& unknown = net.parts[0].unknown;
    for (const char* what : {"blocks (where dilations start again)", "padding", "head.min_temperature"})
      EXPECT_NE(std::ranges::find(unknown, what), unknown.end()) << what;
  }
  EXPECT_EQ(io::dump_json(infer("wavenet_plain").parts[0].hparams, -1),
            R"({"type":"WaveNet","input":"one_hot","classes":24,"kernel_sizes":[3,2,3,2],"blocks":[4],)"
            R"("channels":8,"residual_channels":null,"skip_channels":null,"gate":null,"bias":false,)"
            R"("groups":2,"head":{"hidden":12,"layers":0,"min_temperature":null}})");

  // A training script's checkpoint: the network is found where it is, the optimizer's state has no place.
  const Inferred checkpoint = infer("gru_checkpoint", false);
  EXPECT_EQ(told(checkpoint, "model.module.gru"), told(gru, "gru"));
  EXPECT_FALSE(checkpoint.unplaced.empty());
  for (const std::string& name : checkpoint.unplaced) EXPECT_TRUE(name.starts_with("optimizer.state.")) << name;
}

// The state of every layer, by PyTorch's names: what is inferred takes it, and names the true type or one that looks
// the same, unless the layer is told as its parts.
TEST(Infer, EveryLayerIsTaken) {
  std::size_t cases = 0, true_type = 0, alike = 0, parts = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/nn/golden")) {
    if (entry.path().extension() != ".json") continue;
    const io::Node all = io::read_json(entry.path().string(), {.bytes = 8 << 20, .values = 1'000'000});
    for (const io::Node& c : all.items()) {
      SCOPED_TRACE(c.at("name").string());
      const auto module = build(c.at("hparams"));
      if (module_type(module->type_name()).kind == "loss") continue;  // its class weights are no layer's
      materialise(*module);
      const auto tensors = tensors_of(*module);
      if (tensors.empty()) continue;
      const Inferred inferred = infer_hparams(weight_infos(tensors));
      expect_taken(inferred, tensors);
      const std::string& type = c.at("hparams").at("type").string();
      const InferredPart& first = inferred.parts.front();
      ++cases;
      if (!first.path.empty())
        ++parts;
      else if (first.type() == type)
        ++true_type;
      else if (std::ranges::any_of(first.also, [&](const std::string& a) { return a.starts_with(type); }))
        ++alike;
      else
        ADD_FAILURE() << type << " is taken for a " << first.type();
    }
  }
  std::printf("%zu states: %zu of the true type, %zu of one that looks the same, %zu as their parts\n", cases,
              true_type, alike, parts);
  EXPECT_GT(cases, 150u);
  EXPECT_GT(true_type, cases / 2);
}

TEST(Infer, AnyWaveNet) {
  std::mt19937_64 random(1);
  const auto one_of = [&](std::initializer_list<std::int64_t> v) { return v.begin()[random() % v.size()]; };
  for (int i = 0; i < 300; ++i) {
    WaveNetConfig c;
    c.classes = one_of({16, 24, 256}), c.channels = one_of({4, 8, 16});
    c.input = static_cast<CodeInput>(random() % 3);
    const auto layers = static_cast<std::size_t>(1 + random() % 5);
    c.kernel_sizes.clear();
    for (std::size_t k = 0; k < layers; ++k) c.kernel_sizes.push_back(one_of({2, 2, 3}));
    c.blocks = {static_cast<std::int64_t>(layers)};
    if (random() % 2) c.residual_channels = one_of({4, 8, 12});
    if (random() % 2) c.skip_channels = one_of({4, 10});
    if (random() % 2) c.gate = {};
    c.groups = one_of({1, 2}), c.bias = random() % 2;
    c.head.hidden = one_of({4, 12}), c.head.layers = one_of({0, 1, 2});
    if (random() % 2) c.head.min_temperature = {};
    SCOPED_TRACE(io::dump_json(io::save(c)));
    const auto net = make<WaveNet>(c);
    materialise(*net);
    for (const char* prefix : {"", "module.", "state.net."}) {
      const auto tensors = tensors_of(*net, prefix);
      const Inferred inferred = infer_hparams(weight_infos(tensors));
      ASSERT_EQ(inferred.parts.size(), 1u) << inferred.parts[0].path;
      ASSERT_EQ(inferred.parts[0].type(), "WaveNet");
      expect_taken(inferred, tensors);
      const auto said = io::load<WaveNetConfig>(inferred.parts[0].hparams, "inferred");
      // Codes that enter as numbers leave two readings of the last layer, of which a power of two is taken.
      const bool clear = c.input != CodeInput::linear || c.classes != 24;
      if (clear) {
        EXPECT_EQ(said.classes, c.classes);
      }
      EXPECT_EQ(said.input, c.input);
      EXPECT_EQ(said.channels, c.channels);
      EXPECT_EQ(said.skip_channels, c.skip_channels);
      EXPECT_EQ(said.gate.has_value(), c.gate.has_value());
      EXPECT_EQ(said.groups, c.groups);
      EXPECT_EQ(said.bias, c.bias);
      EXPECT_EQ(said.head.hidden, c.head.hidden);
      EXPECT_EQ(said.head.layers, c.head.layers);
      if (clear) {
        EXPECT_EQ(said.head.min_temperature.has_value(), c.head.min_temperature.has_value());
      }
      EXPECT_EQ(said.layer_configs().size(), layers);
      for (std::size_t k = 0; k < layers; ++k) EXPECT_EQ(said.layer_configs()[k].kernel, c.kernel_sizes[k]);
      // A residual path as wide as the channels, around the last layer alone, leaves no weights.
      if (layers > 1 || c.residual_channels.value_or(c.channels) != c.channels) {
        EXPECT_EQ(said.residual_channels, c.residual_channels);
      }
    }
  }
}

WeightInfo info(std::string name, Shape shape, DType dtype = DType::f32) { return {std::move(name), shape, dtype}; }

TEST(Infer, TreesOfNames) {
  // A Sequential of PyTorch's leaves out the numbers of layers without weights.
  const Inferred gaps =
      infer_hparams({info("0.weight", {4, 3}), info("0.bias", {4}), info("2.weight", {2, 4}), info("2.bias", {2})});
  EXPECT_EQ(gaps.hparams.at("type").string(), "Sequential");
  EXPECT_EQ(gaps.hparams.at("layers").items()[1].at("type").string(), "Identity");
  EXPECT_NE(gaps.unknown.front().find("numbers that the file leaves out"), std::string::npos);
  // Names that no tree of modules has, tensors of unknown layers, a second one of a name, integers as weights.
  const Inferred odd =
      infer_hparams({info("a..weight", {2, 2}), info("ref.weight", {2, 2}), info("x.y/z.weight", {2, 2}),
                     info("w", {2}), info("ok.weight", {2, 3}), info("ok.weight", {2, 3}),
                     info("q.weight", {2, 3}, DType::u8), info("big.weight", {1ll << 40, 1ll << 20})});
  EXPECT_EQ(
      std::set<std::string>(odd.unplaced.begin(), odd.unplaced.end()),
      (std::set<std::string>{"a..weight", "ref.weight", "x.y/z.weight", "w", "ok.weight", "q.weight", "big.weight"}));
  ASSERT_EQ(odd.parts.size(), 1u);
  EXPECT_EQ(odd.parts[0].path, "ok");
  EXPECT_EQ(io::dump_json(odd.hparams, -1),
            R"({"ok":{"type":"Linear","in_features":3,"out_features":2,"bias":false}})");
  EXPECT_EQ(infer_hparams({}).hparams, io::Node::object());
  // A convolution's groups and a transposed one's channels.
  const Inferred conv = infer_hparams({info("up.weight", {6, 4, 8}), info("up.bias", {4}), info("to.weight", {6, 2, 8}),
                                       info("to.bias", {4}), info("flat.weight", {5, 4, 3}), info("flat.bias", {5})});
  EXPECT_EQ(part(conv, "up")->type(), "ConvTranspose1d");
  EXPECT_EQ(part(conv, "to")->hparams.at("groups").integer(), 2);
  EXPECT_EQ(part(conv, "flat")->type(), "Conv1d");
  EXPECT_EQ(part(conv, "flat")->unknown.front(), "stride");
}

// Random names and shapes: no crash, and every tensor is either in the tree or named as unplaced.
TEST(Infer, HostileNames) {
  std::mt19937_64 random(7);
  const std::vector<std::string> words{"weight",
                                       "bias",
                                       "weight_g",
                                       "weight_v",
                                       "weight_orig",
                                       "weight_u",
                                       "0",
                                       "1",
                                       "2",
                                       "layers",
                                       "head",
                                       "hidden",
                                       "out",
                                       "input",
                                       "conv",
                                       "skip",
                                       "residual",
                                       "module",
                                       "type",
                                       "ref",
                                       "weight_ih_l0",
                                       "weight_hh_l0",
                                       "bias_ih_l0",
                                       "weight_ih_l1",
                                       "self_attn",
                                       "linear1",
                                       "linear2",
                                       "norm",
                                       "norm1",
                                       "encoder",
                                       "decoder",
                                       "out_proj",
                                       "in_proj_weight",
                                       "parametrizations",
                                       "original0",
                                       "original1",
                                       "running_mean",
                                       "running_var",
                                       "num_batches_tracked",
                                       "",
                                       "a/b",
                                       "weight_lora_A",
                                       "weight_lora_B",
                                       "99999999999999999999",
                                       "-1",
                                       "\n",
                                       "\xff"};
  const auto any = [&](const auto& from) { return from[random() % from.size()]; };
  const std::vector<std::int64_t> sizes{0, 1, 1, 2, 2, 3, 4, 8, 12, 1 << 30, std::int64_t{1} << 40};
  std::size_t placed = 0;
  for (int i = 0; i < 12000; ++i) {
    std::vector<WeightInfo> weights;
    const auto count = static_cast<int>(random() % 12);
    for (int k = 0; k < count; ++k) {
      std::string name = any(words);
      for (auto depth = random() % (random() % 50 == 0 ? 60 : 5); depth > 0; --depth) name = any(words) + "." + name;
      Shape shape;
      for (auto rank = random() % 5; rank > 0; --rank) shape.push(any(sizes));
      weights.push_back({name, shape, random() % 8 ? DType::f32 : DType::i64});
    }
    const Inferred inferred = infer_hparams(weights);
    std::set<std::string> out(inferred.unplaced.begin(), inferred.unplaced.end());
    const auto module = build(inferred.hparams);
    std::size_t inside = 0;
    module->apply([&](const std::string&, Module&) { ++inside; });
    EXPECT_GE(inside, 1u);
    for (const std::string& text : inferred.unknown) {
      EXPECT_TRUE(io::is_utf8(text)) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
    for (const WeightInfo& w : weights) {
      if (out.contains(w.name)) continue;
      const std::string name = weight_norm_name(w.name);
      const bool in = std::ranges::any_of(
          inferred.parts, [&](const InferredPart& p) { return p.path.empty() || name.starts_with(p.path + "."); });
      EXPECT_TRUE(in) << w.name;
      ++placed;
    }
  }
  EXPECT_GT(placed, 200u);
  const Inferred bytes = infer_hparams({info("\xff\n.0.weight", {2, 2}), info("\xff\n.2.weight", {2, 2})});
  EXPECT_NE(bytes.unknown.front().find("\"\\xff\\n\""), std::string::npos) << bytes.unknown.front();
  // Many levels, many tensors, a long name.
  std::string deep = "weight";
  for (int i = 0; i < 5000; ++i) deep = "a." + deep;
  EXPECT_EQ(infer_hparams({info(deep, {2, 2})}).unplaced.size(), 1u);
  std::vector<WeightInfo> many;
  for (int i = 0; i < 20000; ++i) many.push_back(info("layer" + std::to_string(i) + ".weight", {2, 2}));
  EXPECT_EQ(infer_hparams(many).parts.size(), many.size());
}

}  // namespace
}  // namespace tapedeck::nn
