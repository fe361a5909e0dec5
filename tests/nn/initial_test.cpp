// Layers start as PyTorch's do: the moments and the bounds of every parameter.
#include <tapedeck/nn/registry.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <sstream>

#include "nn/helpers.h"

namespace tapedeck::nn {
namespace {

TEST(Initial, DistributionsArePyTorchs) {
  std::ifstream file(TAPEDECK_TEST_DATA "/nn/initial/initial.json");
  std::stringstream text;
  text << file.rdbuf();
  std::size_t parameters = 0;
  const io::Node all = io::parse_json(text.str(), "initial.json");
  for (const io::Node& c : all.items()) {
    const auto module = build(c.at("hparams"));
    SCOPED_TRACE(module->type_name());
    materialise(*module, {.seed = 1});
    const auto mine = module->named_parameters();
    ASSERT_EQ(mine.size(), c.at("parameters").size());
    for (const auto& [path, t] : mine) {
      const io::Node* said = c.at("parameters").find(path);
      ASSERT_TRUE(said) << path;
      ++parameters;
      const auto v = t.to_vector<float>();
      const double n = static_cast<double>(v.size()), mean = std::accumulate(v.begin(), v.end(), 0.0) / n;
      double variance = 0;
      for (const float x : v) variance += (x - mean) * (x - mean) / n;
      const auto theirs = [&](std::size_t i) { return said->items()[i].real(); };
      // Five standard errors of the difference of two samples.
      const double error = 5 * std::sqrt(2 / n) * theirs(1);
      EXPECT_NEAR(mean, theirs(0), error + 1e-7) << path;
      EXPECT_NEAR(std::sqrt(variance), theirs(1), error) << path;
      const bool bounded = theirs(3) < 2.2 * theirs(1);  // uniform: the extremes are sharp
      if (!bounded) continue;
      const double width = theirs(3) - theirs(2);
      EXPECT_NEAR(*std::min_element(v.begin(), v.end()), theirs(2), 20 * width / n) << path;
      EXPECT_NEAR(*std::max_element(v.begin(), v.end()), theirs(3), 20 * width / n) << path;
    }
  }
  EXPECT_GE(parameters, 60u);
}

}  // namespace
}  // namespace tapedeck::nn
