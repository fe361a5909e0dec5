// Whole networks and every layer with files that PyTorch made, without a map of names, and PyTorch with ours.
#include <gtest/gtest.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/npy.h>
#include <tapedeck/io/torch_file.h>
#include <tapedeck/io/weights.h>
#include <tapedeck/nn/parametrize.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/weights.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>

#include "io/temp_folder.h"
#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

const std::string kFolder = TAPEDECK_TEST_DATA "/nn/torch_models/";

std::vector<Tensor> numbered(const std::vector<io::NamedTensor>& arrays, const std::string& what) {
  std::vector<Tensor> out;
  for (const auto& [name, x] : arrays)
    if (name.starts_with(what)) out.push_back(x);
  return out;
}

// A network, or a dict of layers that are called in its order.
std::vector<Tensor> run(Module& module, const std::vector<Tensor>& inputs, DType dtype) {
  std::vector<Tensor> x;
  for (const Tensor& t : inputs) x.push_back(is_real(t.dtype()) ? cast(t, dtype) : t);
  if (auto* network = dynamic_cast<Network*>(&module)) return {(*network)(x[0])};
  if (!dynamic_cast<ModuleDict*>(&module)) return call(module, x);
  for (const auto& c : module.children()) x = {dynamic_cast<Layer&>(*c.part->module())(x[0])};
  return x;
}

// The largest error, in units of the largest number of the output.
double error_of(const std::vector<Tensor>& ys, const std::vector<Tensor>& wanted) {
  EXPECT_EQ(ys.size(), wanted.size());
  double worst = 0;
  for (std::size_t i = 0; i < std::min(ys.size(), wanted.size()); ++i) {
    EXPECT_EQ(ys[i].sizes(), wanted[i].sizes());
    const auto y = cast(ys[i], DType::f64).to_vector<double>(), w = wanted[i].to_vector<double>();
    double largest = 0, error = 0;
    for (std::size_t k = 0; k < std::min(y.size(), w.size()); ++k) {
      largest = std::max(largest, std::fabs(w[k]));
      const double e = std::fabs(y[k] - w[k]);
      error = std::isnan(e) ? INFINITY : std::max(error, e);
    }
    if (error > 0) worst = std::max(worst, error / largest);
  }
  return worst;
}

// What a file of PyTorch's gives in a module of ours, against what PyTorch computed in f64.
void expect_equal_outputs(const io::Node& c, const std::string& folder) {
  const std::string& name = c.at("name").string();
  SCOPED_TRACE(name + " " + (c.find("title") ? c.at("title").string() : ""));
  const auto arrays = io::read_npz(folder + name + ".npz");
  for (const DType dtype : {DType::f64, DType::f32}) {
    const auto module = build(c.at("hparams"), name);
    auto tensors = io::read_torch(folder + name + ".pth").tensors;
    for (auto& [path, t] : tensors) t = is_real(t.dtype()) ? cast(t, dtype) : t;  // so that folding is in f64 as well
    module->load_state(find_state(*module, tensors).state, {.materialise = {.dtype = dtype}});
    module->train(c.find("train") && c.at("train").boolean());
    const double error = error_of(run(*module, numbered(arrays, "input."), dtype), numbered(arrays, "output."));
    EXPECT_LE(error, dtype == DType::f64 ? 1e-12 : 2e-5);
  }
}

const io::Node& models() {
  static const io::Node all = io::read_json(kFolder + "models.json");
  return all;
}

TEST(TorchModels, GivePyTorchsOutputs) {
  ASSERT_GE(models().size(), 7u);
  for (const io::Node& c : models().items()) expect_equal_outputs(c, kFolder);
}

const io::Node& model(const std::string& name) {
  for (const io::Node& c : models().items())
    if (c.at("name").string() == name) return c;
  throw std::runtime_error("no model " + name);
}

TEST(TorchModels, WhatStandsAroundAStateDict) {
  const auto module = build(model("gru_checkpoint").at("hparams"));
  const auto tensors = io::read_torch(kFolder + "gru_checkpoint.pth").tensors;
  const FoundState found = find_state(*module, tensors);
  EXPECT_EQ(found.prefix, "model.module.");
  EXPECT_EQ(found.state.size() + found.beside.size(), tensors.size());
  ASSERT_FALSE(found.beside.empty());
  for (const std::string& name : found.beside) EXPECT_TRUE(name.starts_with("optimizer.")) << name;
  EXPECT_FALSE(found.folded);
  EXPECT_EQ(find_state(*module, tensors, "model.module.").state.size(), found.state.size());
  expect_has(message_of<FormatError>([&] { find_state(*module, tensors, "ema."); }),
             {"no name begins with \"ema.\"", "\"model.module.embedding.weight\""});
  // Two that fit alike are a question, not a guess.
  std::vector<io::NamedTensor> two;
  for (const auto& [name, tensor] : found.state) two.push_back({"now." + name, tensor});
  for (const auto& [name, tensor] : found.state) two.push_back({"ema.x." + name, tensor});
  expect_has(message_of<FormatError>([&] { find_state(*module, two); }), {"2 sets", "\"now.\"", "\"ema.x.\""});
  EXPECT_EQ(find_state(*module, two, "ema.x.").prefix, "ema.x.");
  // What does not fit is told by load_state, under the module's own names; nothing is loaded.
  std::erase_if(two, [](const auto& t) { return t.name.starts_with("ema.") || t.name == "now.gru.bias_hh_l1"; });
  two.push_back({"now.more", zeros({2})});
  const FoundState some = find_state(*module, two);
  EXPECT_EQ(some.prefix, "now.");
  expect_has(message_of<FormatError>([&] { module->load_state(some.state); }),
             {"missing gru.bias_hh_l1 [30]", "unexpected more f32[2]"});
  EXPECT_FALSE(module->materialised());
  // A file of something else: everything is unexpected.
  EXPECT_EQ(find_state(*module, {{"other", zeros({1})}}).state.size(), 1u);
  EXPECT_TRUE(find_state(*module, {}).state.empty());
}

// Both spellings of weight norm: folded for a plain network, and taken as they are by one that has weight norm.
TEST(TorchModels, WeightNormOfBothSpellings) {
  for (const char* name : {"wavenet_weight_norm", "wavenet_parametrized"}) {
    SCOPED_TRACE(name);
    const auto tensors = io::read_torch(kFolder + std::string(name) + ".pth").tensors;
    const auto plain = build(model(name).at("hparams"));
    EXPECT_TRUE(find_state(*plain, tensors).folded);
    const auto normed = build(model(name).at("hparams"));
    weight_norm(*normed, "layers.**.weight"), weight_norm(*normed, "head.**.weight");
    const FoundState found = find_state(*normed, tensors);
    EXPECT_FALSE(found.folded);
    normed->load_state(found.state, {.materialise = {.dtype = DType::f64}});
    const auto arrays = io::read_npz(kFolder + std::string(name) + ".npz");
    EXPECT_LE(error_of(run(*normed, numbered(arrays, "input."), DType::f64), numbered(arrays, "output.")), 1e-12);
  }
}

bool run_python(const std::string& arguments) {
  return std::system(("/usr/bin/python3 " + kFolder + "make.py " + arguments).c_str()) == 0;
}
bool has_torch() { return std::system("/usr/bin/python3 -c 'import torch' >/dev/null 2>&1") == 0; }

// Without the care of our writers, who make sure that a file survives a power cut: there are many.
void put(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
}
// Ours as files, with its outputs, for PyTorch to open.
void write_ours(const io::Node& c, const std::string& inputs, const TempFolder& folder) {
  const std::string& name = c.at("name").string();
  SCOPED_TRACE(name);
  const auto module = build(c.at("hparams"), name);
  materialise(*module, {.seed = 5, .dtype = DType::f64});
  module->train(c.find("train") && c.at("train").boolean());
  std::vector<io::NamedTensor> state;
  for (const auto& [path, t] : module->state_dict()) state.push_back({path, clone(t)});
  put(folder / (name + ".pth"), io::serialize_torch(state, name));
  put(folder / (name + ".safetensors"), io::serialize_safetensors({.tensors = state}, name));
  std::vector<io::NamedTensor> arrays;
  for (const auto& [key, x] : io::read_npz(inputs + name + ".npz"))
    if (key.starts_with("input.")) arrays.push_back({key, x});
  const std::vector<Tensor> ys = run(*module, numbered(arrays, "input."), DType::f64);
  for (std::size_t i = 0; i < ys.size(); ++i) arrays.push_back({"output." + std::to_string(i), ys[i]});
  io::write_npz(folder / (name + ".npz"), arrays);
}

TEST(TorchModels, PyTorchOpensOurs) {
  if (!has_torch()) GTEST_SKIP() << "python3-torch is not installed";
  const TempFolder folder;
  io::Node cases = io::Node::array();
  for (const io::Node& c : models().items()) {
    if (c.at("name").string().starts_with("wavenet_")) {
      if (c.at("name").string() != "wavenet_plain") continue;  // the same network as "wavenet"
    }
    cases.push(c);
    write_ours(c, kFolder, folder);
  }
  io::write_file_atomic(folder / "cases.json", io::dump_json(cases));
  EXPECT_TRUE(run_python("open " + folder.path()));
}

// Every layer, both ways, with files made for it now: about 350 of them, too many to keep.
TEST(TorchModels, EveryLayerBothWays) {
  if (!has_torch()) GTEST_SKIP() << "python3-torch is not installed";
  const TempFolder theirs, ours;
  ASSERT_TRUE(run_python("layers " + theirs.path()));
  const io::Node cases = io::read_json(theirs / "cases.json", {.bytes = 4 << 20});
  std::set<std::string> types;
  for (const io::Node& c : cases.items()) {
    expect_equal_outputs(c, theirs.path() + "/");
    write_ours(c, theirs.path() + "/", ours);
    types.insert(c.at("hparams").at("type").string());
  }
  std::printf("%zu files of %zu layers\n", cases.size(), types.size());
  EXPECT_GE(cases.size(), 300u);
  io::write_file_atomic(ours / "cases.json", io::dump_json(cases));
  EXPECT_TRUE(run_python("open " + ours.path()));
}

}  // namespace
}  // namespace tapedeck::nn
