#include <gtest/gtest.h>
#include <tapedeck/tensor/cores.h>

#ifdef __linux__
#include <sched.h>

#include <thread>

namespace tapedeck {
namespace {

cpu_set_t allowed() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof cores, &cores);
  return cores;
}

TEST(Cores, AThreadLeavesTheOneItIsOn) {
  const cpu_set_t all = allowed();
  if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "one core";
  std::thread([&] {
    const int here = this_core();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(here), &one);
    ASSERT_EQ(0, sched_setaffinity(0, sizeof one, &one));
    leave_core(here);  // it may run nowhere else
    EXPECT_EQ(here, this_core());
    int left = 0;
    for (int i = 0; i < 100; ++i) {  // the system may move it back at any time
      ASSERT_EQ(0, sched_setaffinity(0, sizeof one, &one));
      ASSERT_EQ(0, sched_setaffinity(0, sizeof all, &all));
      leave_core(here);
      left += this_core() != here;
      const cpu_set_t now = allowed();
      EXPECT_TRUE(CPU_EQUAL(&all, &now));
    }
    EXPECT_GT(left, 0);
  }).join();
}

TEST(Cores, AnotherOneIsNotLeft) {
  const cpu_set_t before = allowed();
  leave_core(-1);
  leave_core(1 << 20);
  const cpu_set_t now = allowed();
  EXPECT_TRUE(CPU_EQUAL(&before, &now));
}

}  // namespace
}  // namespace tapedeck
#endif
