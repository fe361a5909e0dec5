#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/train/baselines.h>

#include <cmath>
#include <map>

#include "io/throws.h"

namespace tapedeck {
namespace {

using Codes = std::vector<std::uint16_t>;

TEST(Baselines, AgreeWithCountingByHand) {
  const Codes a{0, 1, 1, 2, 0, 1}, b{2, 2, 0};
  const train::Baselines baselines(4, {a, b});
  std::map<int, int> single;
  std::map<std::pair<int, int>, int> pair;
  for (const Codes& codes : {a, b}) {
    for (std::size_t i = 0; i < codes.size(); ++i) {
      ++single[codes[i]];
      if (i > 0) ++pair[{codes[i - 1], codes[i]}];
    }
  }
  for (std::uint16_t x = 0; x < 4; ++x) {
    EXPECT_NEAR(baselines.order0(x), -std::log2((single[x] + 0.5) / (9 + 2)), 1e-12);
    int row = 0;
    for (std::uint16_t y = 0; y < 4; ++y) row += pair[{x, y}];
    for (std::uint16_t y = 0; y < 4; ++y) {
      EXPECT_NEAR(baselines.order1(x, y), -std::log2((pair[{x, y}] + 0.5) / (row + 2)), 1e-12) << x << ' ' << y;
    }
  }
}

TEST(Baselines, PairsDoNotReachAcrossRecordings) {
  const Codes a{0, 0}, b{1, 1};
  const train::Baselines baselines(2, {a, b});
  EXPECT_NEAR(baselines.order1(0, 1), -std::log2(0.5 / 2), 1e-12);
}

TEST(Baselines, RefuseWhatTheyCannotCount) {
  const Codes beyond{0, 3};
  EXPECT_THAT(error_of<ValueError>([&] { train::Baselines(3, {beyond}); }),
              testing::HasSubstr("code 3 is not below 3"));
  error_of<ValueError>([] { train::Baselines(1, {}); });
  error_of<ValueError>([] { train::Baselines(1025, {}); });
}

}  // namespace
}  // namespace tapedeck
