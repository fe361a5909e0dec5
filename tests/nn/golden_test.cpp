// Every layer against PyTorch: built from its hyper-parameters, given the state dict that PyTorch's has (no map of
// names), it gives the same outputs, gradients and buffers; and its gradients are those of finite differences.
#include <tapedeck/autograd/gradcheck.h>
#include <tapedeck/io/file.h>
#include <tapedeck/nn/layers/attention.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "autograd/op_table.h"
#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

using Values = std::vector<double>;

Values numbers(const io::Node& list) {
  Values out;
  for (const io::Node& v : list.items()) out.push_back(v.real());
  return out;
}
Shape shape_of(const io::Node& list) {
  std::vector<std::int64_t> sizes;
  for (const io::Node& v : list.items()) sizes.push_back(v.integer());
  return Shape(std::span<const std::int64_t>(sizes));
}

std::vector<io::Node> family(const std::string& name) {
  std::ifstream file(TAPEDECK_TEST_DATA "/nn/golden/" + name);
  std::stringstream text;
  text << file.rdbuf();
  return io::parse_json(text.str(), name).items();
}
std::vector<std::string> families() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(TAPEDECK_TEST_DATA "/nn/golden"))
    if (entry.path().extension() == ".json") out.push_back(entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

// The module of a case with the state that PyTorch's had.
std::shared_ptr<Module> made(const io::Node& c, DType dtype) {
  const auto module = build(c.at("hparams"), c.at("name").string());
  StateDict state;
  for (const auto& [name, said] : c.at("state").members()) {
    const Shape shape = shape_of(said.items()[0]);
    if (said.size() == 2) {
      state.push_back({name, full(shape, said.items()[1].real(), {DType::i64, kCpu})});
    } else {
      state.push_back({name, test::spread(shape, said.items()[1].real(), said.items()[2].real(),
                                          static_cast<int>(said.items()[3].integer()))});
    }
  }
  module->load_state(state, {.materialise = {.dtype = dtype}});
  module->train(c.at("train").boolean());
  return module;
}

std::vector<Tensor> inputs_of(const io::Node& c, DType dtype) {
  std::vector<Tensor> out;
  for (const io::Node& said : c.at("inputs").items()) {
    const Shape shape = shape_of(said.at("shape"));
    if (const io::Node* codes = said.find("codes")) {
      std::vector<std::int64_t> v;
      for (const io::Node& code : codes->items()) v.push_back(code.integer());
      out.push_back(tensor(v, shape));
    } else if (const io::Node* values = said.find("values")) {  // a constant
      out.push_back(cast(tensor(numbers(*values), shape), dtype));
    } else {
      out.push_back(cast(
          test::spread(shape, said.at("low").real(), said.at("high").real(), static_cast<int>(out.size())), dtype));
    }
  }
  return out;
}

void expect_near(const Tensor& got, const Values& expected, double accuracy, const std::string& what) {
  const Values v = cast(got, DType::f64).to_vector<double>();
  ASSERT_EQ(v.size(), expected.size()) << what;
  double largest = 0;
  for (const double e : expected) largest = std::max(largest, std::fabs(e));
  for (std::size_t i = 0; i < v.size(); ++i)
    ASSERT_LE(std::fabs(v[i] - expected[i]), accuracy * (std::fabs(expected[i]) + largest) + 1e-300)
        << what << " element " << i << ": " << v[i] << " is not " << expected[i];
}

void check_outputs(const io::Node& c, const std::vector<Tensor>& ys, double accuracy) {
  const auto& expected = c.at("outputs").items();
  ASSERT_EQ(ys.size(), expected.size());
  for (std::size_t i = 0; i < ys.size(); ++i) {
    EXPECT_EQ(ys[i].sizes(), shape_of(expected[i].at("shape")));
    expect_near(ys[i], numbers(expected[i].at("values")), accuracy, "output " + std::to_string(i));
  }
}

// Of a case with masks or weights, what MultiheadAttention's own call gives.
std::vector<Tensor> call_case(const io::Node& c, Module& module, const std::vector<Tensor>& x) {
  const io::Node* said = c.find("attention");
  if (!said) return call(module, x);
  Masks masks;
  const auto mask = [&](const char* name) {
    const io::Node* rows = said->find(name);
    if (!rows) return Tensor();
    Values v;
    for (const io::Node& row : rows->items())
      for (const double each : numbers(row)) v.push_back(each);
    const auto n = static_cast<std::int64_t>(rows->size());
    return gt(tensor(v, {n, static_cast<std::int64_t>(v.size()) / n}), 0);
  };
  masks.key_padding_mask = mask("key_padding_mask"), masks.attn_mask = mask("attn_mask");
  auto [y, weights] =
      dynamic_cast<MultiheadAttention&>(module)(x[0], x[1], x[2], masks, NeedWeights{said->at("average").boolean()});
  return {y, weights};
}

Tensor objective(const std::vector<Tensor>& ys) {
  Tensor total;
  for (const Tensor& y : ys) {
    if (!is_real(y.dtype())) continue;
    const Tensor part = sum(y * test::spread(y.sizes(), -1, 1, 3));
    total = total.defined() ? total + part : part;
  }
  return total;
}

void check_case(const io::Node& c) {
  const auto module = made(c, DType::f64);
  const std::vector<Tensor> inputs = inputs_of(c, DType::f64);
  std::vector<std::string> names;
  std::vector<Tensor> wanted;  // whose gradients are asked for: they are leaves of their own here
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (is_real(inputs[i].dtype()) && !c.at("inputs").items()[i].find("values"))
      names.push_back("input." + std::to_string(i)), wanted.push_back(inputs[i]);
  for (const auto& [path, t] : module->named_parameters()) {
    t.set_requires_grad(false);
    names.push_back(path), wanted.push_back(t);
  }
  {
    Tape tape;
    for (const Tensor& t : wanted) tape.watch(t);
    const std::vector<Tensor> ys = call_case(c, *module, inputs);
    check_outputs(c, ys, 1e-12);
    const Tensor y = objective(ys);
    if (y.defined() && is_recorded(y)) tape.backward(y);
    const io::Node& gradients = c.at("gradients");
    for (std::size_t i = 0; i < names.size(); ++i) {
      const Tensor g = tape.grad(wanted[i]);
      const io::Node* expected = gradients.find(names[i]);
      if (!expected || !g.defined()) {  // a gradient that one of the two does not name is zero in the other
        if (g.defined()) expect_near(g, Values(static_cast<std::size_t>(g.numel())), 1e-12, names[i]);
        for (const double v : expected ? numbers(*expected) : Values{}) EXPECT_EQ(v, 0) << names[i];
      } else {
        expect_near(g, numbers(*expected), c.at("accuracy").real(), "gradient of " + names[i]);
      }
    }
    for (const auto& [name, values] : c.at("after").members())
      for (const auto& [path, t] : module->named_buffers())
        if (path == name) expect_near(t, numbers(values), 1e-12, name);
  }
  const auto fn = [&](std::span<const Tensor>) { return objective(call_case(c, *module, inputs)); };
  // Differences are no measure where a row has no gradient or a part of it, and where each call moves the vectors of
  // spectral norm or the rows of a table.
  const io::Node& hparams = c.at("hparams");
  const bool moves = (c.at("train").boolean() && hparams.find("parametrizations")) || hparams.find("max_norm");
  const bool codes = c.at("hparams").at("type").string().ends_with("Encoding");  // of steps without slopes
  const bool derivative = !codes && !hparams.find("padding_idx") && !hparams.find("scale_grad_by_freq");
  if (!wanted.empty() && derivative && !moves) {
    const GradcheckReport report =
        gradcheck(fn, wanted, {.bound = 1e-7, .step = 3e-4, .full_limit = 0, .directions = 2});
    EXPECT_TRUE(report.ok) << report.worst << " at " << report.where;
  }
  // In f32, buffers included.
  check_outputs(c, call_case(c, *made(c, DType::f32), inputs_of(c, DType::f32)), 1e-4);
}

TEST(LayerGolden, OutputsGradientsAndStateArePyTorchs) {
  std::size_t cases = 0;
  std::set<std::string> compared;
  for (const std::string& name : families()) {
    for (const io::Node& c : family(name)) {
      SCOPED_TRACE(name + ": " + c.at("name").string());
      compared.insert(c.at("hparams").at("type").string());
      check_case(c);
      ++cases;
    }
  }
  std::printf("%zu cases of %zu layers\n", cases, compared.size());
  // What PyTorch does not have, or what has tests of its own.
  const std::set<std::string> apart{"OneHot", "Linearize", "WaveNet", "WaveNetLayer"};
  for (const std::string& type : module_types())
    EXPECT_TRUE(compared.contains(type) || apart.contains(type) || type.starts_with("Test"))
        << type << " is not compared with PyTorch: add a case to tests/nn/golden";
}

// Rows do not mix in eval mode: one alone, and any number of threads, give the bits that it has in its batch.
TEST(LayerGolden, RowsAloneHaveTheSameBits) {
  std::size_t compared = 0;
  const int threads = num_threads();
  for (const std::string& name : families()) {
    for (const io::Node& c : family(name)) {
      SCOPED_TRACE(name + ": " + c.at("name").string());
      if (c.at("train").boolean() || c.find("attention")) continue;
      const auto module = made(c, DType::f32);
      const std::vector<Tensor> inputs = inputs_of(c, DType::f32);
      const auto batch_first = [&](const Tensor& x) { return x.dim() >= 2 && x.size(0) == inputs[0].size(0); };
      const std::string& type = c.at("hparams").at("type").string();
      const bool states = inputs.size() > 1 && (type == "RNN" || type == "GRU" || type == "LSTM");  // layers first
      const bool across = c.at("hparams").find("track_running_stats") && type == "BatchNorm";       // none to use
      if (states || across || !std::all_of(inputs.begin(), inputs.end(), batch_first)) continue;
      set_num_threads(2);
      const std::vector<Tensor> whole = call_case(c, *module, inputs);
      if (whole[0].dim() == 0) continue;  // a loss of all rows
      set_num_threads(1);
      const std::vector<Tensor> again = call(*module, inputs);
      for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(same_bits(whole[i], again[i])) << "threads";
      for (std::int64_t row = 0; row < inputs[0].size(0); ++row) {
        std::vector<Tensor> alone;
        for (const Tensor& x : inputs) alone.push_back(contiguous(narrow(x, 0, row, 1)));
        const std::vector<Tensor> ys = call(*module, alone);
        for (std::size_t i = 0; i < ys.size(); ++i)
          EXPECT_TRUE(same_bits(ys[i], narrow(whole[i], 0, row, 1))) << "row " << row << " of output " << i;
        ++compared;
      }
    }
  }
  set_num_threads(threads);
  std::printf("%zu rows\n", compared);
  EXPECT_GT(compared, 300u);
}

}  // namespace
}  // namespace tapedeck::nn
