#include <gtest/gtest.h>
#include <tapedeck/train/catalog.h>
#include <tapedeck/train/optim.h>
#include <tapedeck/train/run_config.h>
#include <tapedeck/train/schedule.h>

#include <map>
#include <set>

#include "io/throws.h"

namespace tapedeck::train {
namespace {

TEST(Catalog, HasEverythingThatIsRegisteredOnce) {
  std::set<std::string> names;
  std::map<std::string, int> kinds;
  for (const CatalogEntry& e : catalog()) {
    EXPECT_TRUE(names.insert(e.name).second) << e.name << " is the name of two types";
    ++kinds[e.kind];
    EXPECT_STRNE(e.doc.what, "") << e.name << " does not say what it is";
  }
  for (const std::string& name : nn::module_types()) EXPECT_TRUE(names.contains(name)) << name;
  for (const std::string& name : io::Poly<Optimizer>::known()) EXPECT_TRUE(names.contains(name)) << name;
  for (const std::string& name : io::Poly<Schedule>::known()) EXPECT_TRUE(names.contains(name)) << name;
  for (const std::string& name : io::Poly<nn::Network>::known()) EXPECT_TRUE(names.contains(name)) << name;
  EXPECT_GE(names.size(), 130u);
  for (const auto& [kind, least] : std::map<std::string, int>{{"network", 1},
                                                              {"layer", 80},
                                                              {"container", 1},
                                                              {"loss", 22},
                                                              {"feature", 10},
                                                              {"optimizer", 5},
                                                              {"schedule", 2}})
    EXPECT_GE(kinds[kind], least) << kind;
  EXPECT_EQ(kinds.size(), catalog_kinds().size());
  EXPECT_NE(error_of<ConfigError>([] { catalog_entry("Liner"); }).find("did you mean \"Linear\""), std::string::npos);
  EXPECT_THROW(catalog_entry(""), ConfigError);
}

TEST(Catalog, EveryTypeIsDescribedFromWhatItIs) {
  for (const CatalogEntry& e : catalog()) {
    SCOPED_TRACE(e.name);
    const io::Node node = describe_type(e);
    EXPECT_EQ(node.at("defaults").at("type").string(), e.name);
    if (e.config) {
      EXPECT_EQ(node.at("members").size() > 0, !e.config->fields.empty());
    }
    if (e.module) {
      ASSERT_TRUE(node.find("example"));
      const io::Node& example = node.at("example");
      EXPECT_GT(example.at("outputs").size(), 0u);
      std::int64_t products = 0, elements = 0, parameters = 0;
      for (const io::Node& op : example.at("ops").items())
        products += op.at("multiply_adds").integer(), elements += op.at("elements").integer();
      EXPECT_EQ(products, example.at("multiply_adds").integer());
      EXPECT_EQ(elements, example.at("elements").integer());
      for (const io::Node& t : example.at("tensors").items()) {
        std::int64_t n = 1;
        for (const io::Node& size : t.at("shape").items()) n *= size.integer();
        parameters += n;
      }
      EXPECT_EQ(parameters, example.at("parameters").integer());
    }
    EXPECT_EQ(io::dump_json(node), io::dump_json(describe_type(e)));  // the same each time
  }
}

TEST(Catalog, CostsAreThoseOfTheFormulas) {
  const auto cost = [](const char* name) {
    return describe_type(catalog_entry(name)).at("example").at("multiply_adds").integer();
  };
  const auto hparams = [](const char* name) { return catalog_entry(name).module->example.hparams(); };
  const auto rows = [](const char* name) {
    const Shape& s = catalog_entry(name).module->example.inputs[0].shape;
    return s.numel() / s[s.rank() - 1];
  };
  const io::Node linear = hparams("Linear");
  EXPECT_EQ(cost("Linear"), rows("Linear") * linear.at("in_features").integer() * linear.at("out_features").integer());
  const io::Node gru = hparams("GRUCell");
  const std::int64_t in = gru.at("input_size").integer(), hidden = gru.at("hidden_size").integer();
  EXPECT_EQ(cost("GRUCell"), rows("GRUCell") * 3 * hidden * (in + hidden));
  EXPECT_EQ(cost("MSELoss"), 0);
}

}  // namespace
}  // namespace tapedeck::train
