// Ranges for profilers: every kernel call opens one with the name of its slot and closes it, errors or not.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/cuda/ranges.h>
#include <tapedeck/kernels/elementwise.h>

#include <string>
#include <vector>

namespace tapedeck {
namespace {

const Device kCuda{DeviceType::cuda, 0};
std::vector<std::string> open_ranges, seen;
int closed_too_often = 0;

const kernels::cuda_emulated::RangeSink sink{
    [](const char* name) { open_ranges.push_back(name), seen.push_back(name); },
    [] {
      if (open_ranges.empty()) return static_cast<void>(++closed_too_often);
      open_ranges.pop_back();
    }};
struct Shown {
  Shown() { open_ranges.clear(), seen.clear(), kernels::cuda_emulated::show_ranges(&sink); }
  ~Shown() { kernels::cuda_emulated::show_ranges(nullptr); }
};

TEST(Ranges, NameEachOpAndAreInBalance) {
  const Tensor x = randn({4, 4}).to(kCuda);
  {
    const Shown shown;
    const Tensor y = sum(tanh(matmul(x, x)));
    EXPECT_EQ(seen, (std::vector<std::string>{"matmul", "tanh", "sum"}));
    EXPECT_TRUE(open_ranges.empty());
  }
  static_cast<void>(x + x);
  EXPECT_EQ(seen.size(), 3u);
  EXPECT_EQ(closed_too_often, 0);
}

TEST(Ranges, AreClosedByErrors) {
  static kernels::KernelSlot<kernels::UnaryArgs> broken("broken");
  if (broken.variant_count(DeviceType::cuda) == 0)
    broken.add(DeviceType::cuda, "cuda", [](const kernels::UnaryArgs&) { TD_FAIL(DeviceError, "broken: no"); });
  const Tensor x = randn({4}).to(kCuda);
  const Shown shown;
  EXPECT_THROW(broken(kCuda, {x, x}), DeviceError);
  EXPECT_EQ(seen, std::vector<std::string>{"broken"});
  EXPECT_TRUE(open_ranges.empty());
  static_cast<void>(x + x);
  EXPECT_TRUE(open_ranges.empty());
  EXPECT_EQ(closed_too_often, 0);
}

// One that throws at the end of a kernel, as TAPEDECK_SYNC=1 does, leaves the others in balance.
TEST(Ranges, AreClosedWhenAnotherWatcherThrows) {
  const auto faulty = [](const char* slot, const char*, kernels::detail::KernelEvent event) {
    if (event == kernels::detail::KernelEvent::done) TD_FAIL(DeviceError, slot, ": found a fault");
  };
  const Tensor x = randn({4}).to(kCuda);
  const Shown shown;
  kernels::detail::watch_kernels(faulty, true);
  EXPECT_THROW(static_cast<void>(x + x), DeviceError);
  kernels::detail::watch_kernels(faulty, false);
  EXPECT_EQ(seen, std::vector<std::string>{"add"});
  EXPECT_TRUE(open_ranges.empty());
  EXPECT_EQ(closed_too_often, 0);
}

}  // namespace
}  // namespace tapedeck
