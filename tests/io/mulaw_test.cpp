#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/io/mulaw.h>
#include <tapedeck/tensor/error.h>

#include <cmath>
#include <limits>

#include "throws.h"

namespace tapedeck::io {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class Law>
void every_code_is_a_fixed_point(const Law& law) {
  float last = -2;
  for (std::int64_t code = 0; code < law.levels(); ++code) {
    const float x = law.decode(code);
    ASSERT_EQ(law.encode(x), code) << "of " << law.levels();
    ASSERT_GT(x, last);
    last = x;
  }
  EXPECT_EQ(law.decode(0), -1);
  EXPECT_EQ(law.decode(law.levels() - 1), 1);
}

TEST(MuLaw, EveryCodeIsAFixedPoint) {
  for (int levels : {2, 3, 16, 255, 256, 257, 1024, 65536}) {
    every_code_is_a_fixed_point(MuLaw(levels));
    every_code_is_a_fixed_point(MuLaw(levels, 0.5));
    every_code_is_a_fixed_point(LinearCode(levels));
  }
}

// log1p(255/2)/log1p(255) = 0.87570, (1.87570)/2*255+.5 = 239.65; decode(200) = expm1((400/255-1) log 256)/255.
TEST(MuLaw, KnownValues) {
  const MuLaw law;
  EXPECT_EQ(law.encode(0), 128);
  EXPECT_EQ(law.encode(-0.0f), 128);
  EXPECT_EQ(law.encode(0.5f), 239);
  EXPECT_EQ(law.encode(-0.5f), 16);
  EXPECT_EQ(law.encode(1), 255);
  EXPECT_NEAR(law.decode(200), (std::pow(256.0, 400.0 / 255 - 1) - 1) / 255, 1e-8);
  EXPECT_NEAR(law.decode(128), (std::pow(256.0, 1.0 / 255) - 1) / 255, 1e-9);
}

TEST(MuLaw, ErrorIsAtMostHalfAStep) {
  const MuLaw law;
  const LinearCode even;
  for (int i = -100'000; i <= 100'000; ++i) {
    const float x = static_cast<float>(i) / 100'000;
    ASSERT_LE(std::abs(law.decode(law.encode(x)) - x), (std::abs(x) + 1.0 / 255) * std::log(256.0) / 255 * 1.02) << x;
    ASSERT_LE(std::abs(even.decode(even.encode(x)) - x), 1.0 / 255 + 1e-7) << x;
  }
}

TEST(MuLaw, BeyondFullScaleAndNoNumbers) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> loud = {7, -7, inf, -inf, std::numeric_limits<float>::max()};
  EXPECT_THAT(encode(MuLaw(), loud), ElementsAre(255, 0, 255, 0, 255));
  EXPECT_THAT(encode(LinearCode(10), loud), ElementsAre(9, 0, 9, 0, 9));
  EXPECT_THROW(MuLaw().encode(NAN), ValueError);
  EXPECT_THROW(LinearCode().encode(NAN), ValueError);
  EXPECT_THAT(error_of<ValueError>([] { encode(MuLaw(), std::vector<float>{0, NAN}); }), HasSubstr("sample 1 is NaN"));
  EXPECT_THAT(error_of<ValueError>([] { decode(MuLaw(), std::vector<std::int64_t>{256}); }),
              HasSubstr("code 256 is not in 0 to 255"));
  EXPECT_THROW(LinearCode().decode(-1), ValueError);
  for (int levels : {1, 0, -5, 65537}) EXPECT_THROW(MuLaw{levels}, ValueError);
  EXPECT_THROW(LinearCode(1), ValueError);
  EXPECT_THROW(MuLaw(256, 0), ValueError);
  EXPECT_THROW(MuLaw(256, NAN), ValueError);
}

TEST(MuLaw, SpansRoundTrip) {
  const std::vector<std::int64_t> codes = {0, 1, 127, 128, 255};
  EXPECT_EQ(encode(MuLaw(), decode(MuLaw(), codes)), codes);
  EXPECT_EQ(encode(LinearCode(), decode(LinearCode(), codes)), codes);
}

}  // namespace
}  // namespace tapedeck::io
