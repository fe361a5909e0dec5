// Every registered type has every property that it must have (conformance/), and the suite notices types that do not.
#include "nn/conformance/conformance.h"

#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "nn/conformance/shape_text.h"

namespace tapedeck::nn {
namespace {

using conformance::judge;
using conformance::Outcome;
using conformance::properties;
using conformance::Property;

struct Case {
  std::string type;
  const Property* property;
};
std::vector<Case> cases() {
  std::vector<Case> out;
  for (const std::string& type : module_types())
    for (const Property& p : properties())
      if (p.applies(module_type(type))) out.push_back({type, &p});
  return out;
}

class Conformance : public testing::TestWithParam<Case> {};
TEST_P(Conformance, Holds) {
  const auto& [type, property] = GetParam();
  const auto verdict = judge(module_type(type), *property);
  EXPECT_NE(verdict.outcome, Outcome::failed) << type << ": " << property->what << "\n" << verdict.why;
}
INSTANTIATE_TEST_SUITE_P(Types, Conformance, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.type + "_" + info.param.property->name; });

TEST(ConformanceSuite, AnAcceleratorIsThere) {
  if (!properties().back().applies(module_type("Linear"))) GTEST_SKIP() << "no accelerator: CPU == device not checked";
}

TEST(ConformanceSuite, ExceptionsNameTypesAndProperties) {
  const std::vector<std::string> types = module_types();
  for (const auto& e : conformance::exceptions()) {
    EXPECT_TRUE(std::any_of(properties().begin(), properties().end(), [&](const Property& p) {
      return p.name == std::string(e.property);
    })) << e.property;
    std::istringstream names(e.types);
    for (std::string name; names >> name;)
      EXPECT_TRUE(std::binary_search(types.begin(), types.end(), name.substr(0, name.find(':')))) << name;
    EXPECT_NE(e.reason, std::string());
  }
}

// ---- planted faults: a layer y = x * weight with one thing wrong ----------------------------------------------------

enum class Fault { none, help, detached, rows, eval_draws, modes, threads, state, dtype, hparams, option, hidden };
constexpr const char* kFaults[] = {"TestFaultless", "TestHelp",    "TestDetached", "TestRows",
                                   "TestEvalDraws", "TestModes",   "TestThreads",  "TestState",
                                   "TestDtype",     "TestHparams", "TestOption",   "TestHidden"};
template <Fault F>
struct FaultyConfig {
  std::int64_t width = 3;
  double gain = 1;  // does nothing
  bool mixed = false;
  static constexpr const char* type_name = kFaults[static_cast<int>(F)];
  static constexpr io::Doc doc{"x times a weight."};
  static constexpr void fields(auto&& f) {
    f("width", &FaultyConfig::width, io::Meta{.min = 1, .max = 9, .help = F == Fault::help ? "" : "channels"});
    f("gain", &FaultyConfig::gain, io::Meta{.help = "nothing"});
    f("mixed", &FaultyConfig::mixed, io::Meta{.help = "with Fault::option: of all rows"});
  }
};
template <Fault F>
class Faulty : public Configured<FaultyConfig<F>> {
 public:
  explicit Faulty(FaultyConfig<F> config = {}) : Configured<FaultyConfig<F>>(config) {
    weight_ = this->parameter("weight", {this->config().width}, init::constant(0.5));
    if constexpr (F == Fault::state) count_ = this->buffer("count", {}, 0, false);
  }
  io::Node describe(Describer& d) const override {
    io::Node node = Configured<FaultyConfig<F>>::describe(d);
    if constexpr (F == Fault::hparams) node["gain"] = this->config().gain + 1;
    return node;
  }
  Tensor forward(const Tensor& x) override {
    const Tensor y = x * weight_.get();
    if constexpr (F == Fault::detached) return y + detach(x);
    if (F == Fault::option && this->config().mixed) return y - mean(x);
    if constexpr (F == Fault::rows) return y - mean(x);
    if constexpr (F == Fault::eval_draws) return this->training() ? y : y + rand_like(x);
    if constexpr (F == Fault::modes) return this->training() ? y : y * 2.0;
    if constexpr (F == Fault::threads) return y + 0.5 * num_threads();
    if constexpr (F == Fault::dtype) return cast(y, DType::f64);
    if constexpr (F == Fault::state) {
      const NoGrad pause;
      if (this->training()) fill_(count_, count_.get().item() + 1);
    }
    if constexpr (F == Fault::state) return y + count_.get();
    return y;
  }

 private:
  Param weight_, count_;
};

// The properties that a type with this fault lacks.
template <Fault F>
std::set<std::string> lacks() {
  register_module<Faulty<F>>({.width = 2}, "x [..., width] -> [..., width]", {sample::reals({2, 3, 2})});
  std::set<std::string> out;
  for (const Property& p : properties())
    if (judge(module_type(FaultyConfig<F>::type_name), p).outcome == Outcome::failed) out.insert(p.name);
  return out;
}

TEST(ConformanceSuite, NoticesPlantedFaults) {
  using Names = std::set<std::string>;
  EXPECT_EQ(lacks<Fault::none>(), Names{});
  EXPECT_EQ(lacks<Fault::help>(), Names{"described"});
  EXPECT_EQ(lacks<Fault::detached>(), (Names{"gradients", "options"}));
  EXPECT_EQ(lacks<Fault::rows>(), (Names{"options", "rows"}));
  EXPECT_EQ(lacks<Fault::eval_draws>(), (Names{"clone", "modes", "options", "repeats", "rows", "state"}));
  EXPECT_EQ(lacks<Fault::modes>(), Names{"modes"});
  EXPECT_EQ(lacks<Fault::threads>(), (Names{"options", "threads"}));
  EXPECT_EQ(lacks<Fault::state>(), (Names{"clone", "gradients", "learns", "options", "repeats", "state"}));
  EXPECT_EQ(lacks<Fault::dtype>(), Names{"shapes"});
  EXPECT_EQ(lacks<Fault::option>(), Names{"options"});
  EXPECT_EQ(lacks<Fault::hparams>(), (Names{"clone", "hparams", "options"}));
}

TEST(ConformanceSuite, ATypeWithoutDocOrExampleFails) {
  register_module<Faulty<Fault::hidden>>();
  ModuleType type = module_type("TestHidden");
  EXPECT_EQ(judge(type, properties()[0]).outcome, Outcome::failed);
  type.example = {type.defaults, "x [..., width] -> [..., width]", {sample::reals({2, 3})}};
  EXPECT_EQ(judge(type, properties()[0]).outcome, Outcome::passed);
  type.doc = {};
  EXPECT_EQ(judge(type, properties()[0]).outcome, Outcome::failed);
}

// ---- the text of the shapes ---------------------------------------------------------------------------------------

std::string compared(const std::string& text, const std::vector<Shape>& in, const std::vector<Shape>& out) {
  return ShapeText(text, io::parse_json(R"({"width": 4, "list": [2, 3.0], "part": {"size": 5}, "none": null})", "node"))
      .compare(in, out);
}
TEST(ShapeText, Compares) {
  EXPECT_EQ(compared("x [batch, time, width] -> [batch, (time - 1) / 2 + 1, 2 * width]", {{2, 7, 4}}, {{2, 4, 8}}), "");
  EXPECT_EQ(compared("x [..., width] -> [..., part.size]", {{2, 7, 4}}, {{2, 7, 5}}), "");
  EXPECT_EQ(compared("[n], k [n, list[1]] -> y [n * list[0]], [n, m']", {{2}, {2, 3}}, {{4}, {2, 9}}), "");
  EXPECT_EQ(compared("x [none] -> [none]", {{6}}, {{6}}), "");
  EXPECT_NE(compared("x [batch, time] -> [batch, time]", {{2, 7}}, {{2, 6}}), "");
  EXPECT_NE(compared("x [..., width] -> [..., width]", {{2, 3}}, {{2, 3}}), "");
  EXPECT_NE(compared("x [..., 1] -> [..., 1]", {{2, 3, 1}}, {{2, 1}}), "");
  EXPECT_NE(compared("x [n] -> [m]", {{2}}, {{2}}), "");
  EXPECT_NE(compared("x [n] -> [n], [n]", {{2}}, {{2}}), "");
  EXPECT_NE(compared("x [n, n] -> [n]", {{2, 3}}, {{2}}), "");
  for (const char* bad : {"x [n]", "x [n -> [n]", "x -> [n]", "x [n] -> [n +]", "x [n] -> [(n]", "x [n] -> [n / 0]"})
    EXPECT_THROW(compared(bad, {{2}}, {{2}}), ValueError) << bad;
}
TEST(ShapeText, FindsTheBatch) {
  EXPECT_EQ(ShapeText::batch_of({"batch", "time"}, 2), 0);
  EXPECT_EQ(ShapeText::batch_of({"layers", "batch", "h"}, 3), 1);
  EXPECT_EQ(ShapeText::batch_of({"...", "batch", "h"}, 4), 2);
  EXPECT_EQ(ShapeText::batch_of({"...", "width"}, 3), 0);
  EXPECT_EQ(ShapeText::batch_of({"...", "width"}, 1), -1);
  EXPECT_EQ(ShapeText::batch_of({"keys", "width"}, 2), -1);
}

}  // namespace
}  // namespace tapedeck::nn
