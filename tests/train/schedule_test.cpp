#include <gtest/gtest.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/train/schedule.h>

#include <cmath>

namespace tapedeck {
namespace {

using train::ConstantConfig;
using train::learning_rate;
using train::OneCycleConfig;

TEST(Schedule, ConstantWithWarmup) {
  EXPECT_EQ(learning_rate(ConstantConfig{.lr = 0.5}, 0, 10), 0.5);
  EXPECT_EQ(learning_rate(ConstantConfig{.lr = 0.5}, 99, 10), 0.5);
  const ConstantConfig c{.lr = 1, .warmup = 4};
  EXPECT_EQ(learning_rate(c, 0, 10), 0.25);
  EXPECT_EQ(learning_rate(c, 2, 10), 0.75);
  EXPECT_EQ(learning_rate(c, 3, 10), 1);
  EXPECT_EQ(learning_rate(c, 4, 10), 1);
}

// OneCycleLR(max_lr=0.1, total_steps=10, pct_start=0.3): phases end at step 2 and at step 9. The values are its
// formula's.
TEST(Schedule, OneCycleIsPyTorchs) {
  const OneCycleConfig c{.max_lr = 0.1};
  const double expected[] = {0.004,
                             0.052,
                             0.1,
                             0.09504846320134738,
                             0.08117456539497631,
                             0.06112620219362893,
                             0.03887419780637108,
                             0.018825834605023705,
                             0.004951936798652626,
                             4e-07};
  for (int step = 0; step < 10; ++step) {
    EXPECT_NEAR(learning_rate(c, step, 10), expected[step], 1e-15) << step;
  }
  EXPECT_EQ(learning_rate(c, 10, 10), learning_rate(c, 9, 10));
}

TEST(Schedule, OneCycleRisesThenFallsForEveryLength) {
  for (const double pct : {0.0, 0.1, 0.3, 1.0}) {
    for (std::int64_t total = 1; total <= 40; ++total) {
      const OneCycleConfig c{.max_lr = 1, .pct_start = pct};
      bool falling = false;
      double before = 0;
      for (std::int64_t step = 0; step < total; ++step) {
        const double rate = learning_rate(c, step, total);
        ASSERT_TRUE(rate > 0 && rate <= 1) << pct << " " << total << " " << step;
        if (step > 0 && rate < before) falling = true;
        ASSERT_TRUE(!falling || rate < before) << pct << " " << total << " " << step;
        before = rate;
      }
    }
  }
}

TEST(Schedule, ChosenByType) {
  train::register_schedules();
  io::Node node = io::Node::object({{"type", "Constant"}, {"lr", 0.25}});
  const auto schedule = io::load<io::Poly<train::Schedule>>(node, "x");
  EXPECT_EQ(learning_rate(schedule, 3, 10), 0.25);
  EXPECT_EQ(learning_rate(io::Poly<train::Schedule>(OneCycleConfig{.max_lr = 25}), 0, 10), 1);
  EXPECT_THROW(learning_rate(io::Poly<train::Schedule>(), 0, 10), ConfigError);
}

}  // namespace
}  // namespace tapedeck
