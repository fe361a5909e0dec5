// Fourier transforms by the vendor's library: beside our own kernels, from several threads, in recorded steps; which
// plans are kept; a library that is not there.
#define TAPEDECK_EMULATED
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/cuda/fft_vendor.h>
#include <tapedeck/kernels/cuda/kept_plans.h>
#include <tapedeck/kernels/fft.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/tensor/replay.h>

#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cuda/farthest.h"
#include "emulated_fft.h"

namespace tapedeck {
namespace {

using kernels::KeptPlans;
using kernels::cuda_emulated::FftKind;
using kernels::cuda_emulated::FftRows;
using std::int64_t;
using testing::ElementsAre;
using testing::HasSubstr;

const Device kCuda{DeviceType::cuda, 0};

// ---- plans ----------------------------------------------------------------------------------------------------------
struct Kept {
  KeptPlans<int, std::string> plans{3};
  std::vector<int> made;
  std::vector<std::string> dropped;
  std::string get(int key, bool pinned = false) {
    return plans.get(
        key, pinned, [&] { return made.push_back(key), "plan " + std::to_string(key); },
        [&](std::string& plan) { dropped.push_back(plan); });
  }
};

TEST(KeptPlans, MakeEachKindOnce) {
  Kept k;
  for (int i = 0; i < 3; ++i)
    for (const int key : {5, 7, 6}) EXPECT_EQ(k.get(key), "plan " + std::to_string(key));
  EXPECT_THAT(k.made, ElementsAre(5, 7, 6));
  EXPECT_TRUE(k.dropped.empty());
}
TEST(KeptPlans, DropWhatWasUsedLongestAgo) {
  Kept k;
  k.get(1), k.get(2), k.get(3), k.get(1), k.get(4);
  EXPECT_THAT(k.dropped, ElementsAre("plan 2"));
  k.get(1), k.get(3), k.get(4), k.get(2);
  EXPECT_THAT(k.dropped, ElementsAre("plan 2", "plan 1"));
  EXPECT_THAT(k.made, ElementsAre(1, 2, 3, 4, 2));
  EXPECT_EQ(k.plans.size(), 3u);
}
TEST(KeptPlans, NeverDropWhatARecordedStepUses) {
  Kept k;
  k.get(1), k.get(2), k.get(3);
  k.get(4, true), k.get(2, true), k.get(4);  // one more than there is room for, and one that was there
  EXPECT_TRUE(k.dropped.empty());
  for (int key = 10; key < 20; ++key) k.get(key);
  EXPECT_EQ(k.dropped.size(), 9u);
  EXPECT_EQ(k.get(2), "plan 2");
  EXPECT_EQ(k.get(4, true), "plan 4");
  EXPECT_EQ(k.made.size(), 14u);
  EXPECT_EQ(k.plans.size(), 5u);
}
TEST(KeptPlans, GoOnAfterWhatCannotBeMadeOrDropped) {
  KeptPlans<int, std::string> plans(2);
  const auto fail = []() -> std::string { throw std::runtime_error("no"); };
  const auto keep = [](std::string&) {};
  plans.get(
      1, false, [] { return std::string("one"); }, keep);
  EXPECT_THROW(plans.get(2, false, fail, keep), std::runtime_error);
  EXPECT_EQ(plans.size(), 1u);
  EXPECT_EQ(plans.get(
                2, false, [] { return std::string("two"); }, keep),
            "two");
  EXPECT_THROW(plans.get(
                   3, false, [] { return std::string("three"); },
                   [](std::string&) { throw std::runtime_error("still in use"); }),
               std::runtime_error);
  EXPECT_EQ(plans.get(1, false, fail, keep), "one");
  EXPECT_EQ(plans.get(2, false, fail, keep), "two");
}
TEST(KeptPlans, TellTransformsApart) {
  const FftRows one{FftKind::complex, DType::f32, 64, 5, 64, 64};
  std::set<FftRows> kinds{one, one};
  FftRows other = one;
  other.kind = FftKind::from_half, kinds.insert(other), other = one;
  other.dtype = DType::f64, kinds.insert(other), other = one;
  other.n = 32, kinds.insert(other), other = one;
  other.rows = 6, kinds.insert(other), other = one;
  other.step = 65, kinds.insert(other), other = one;
  other.to_step = 65, kinds.insert(other);
  EXPECT_EQ(kinds.size(), 7u);
}

// ---- the variant ----------------------------------------------------------------------------------------------------
struct By {
  explicit By(const char* variant)
      : fft(kernels::fft, variant, DeviceType::cuda),
        rfft(kernels::rfft, variant, DeviceType::cuda),
        irfft(kernels::irfft, variant, DeviceType::cuda) {}
  kernels::Use fft, rfft, irfft;
};
Tensor numbers(const Shape& shape, DType dtype = DType::f32) {
  manual_seed(4);
  return cast(randn(shape), dtype).to(kCuda);
}
Tensor here(const Tensor& x) { return cast(x.to(kCpu), DType::f64); }

class FftLibrary : public testing::Test {
 protected:
  void SetUp() override {
    try {
      const By library("cufft");
      rfft(numbers({1, 4}));
    } catch (const DeviceError& e) {
      GTEST_SKIP() << e.what();
    }
  }
};
template <class F>
void expect_ours(const std::string& what, F&& f) {
  SCOPED_TRACE(what);
  const Tensor ours = here(f());
  const By library("cufft");
  const Tensor theirs = here(f()), again = here(f());
  EXPECT_LT(farthest(theirs, ours), 2e-6);
  EXPECT_EQ(farthest(again, theirs), 0) << "other bits";
}

TEST_F(FftLibrary, GivesWhatOurKernelsGive) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const int64_t n : {2, 3, 4, 5, 8, 30, 31, 97, 128, 211})
      for (const int64_t rows : {1, 2, 7}) {
        const std::string what = std::to_string(rows) + " rows of " + std::to_string(n);
        const Tensor x = numbers({rows, n, 2}, dtype), real = numbers({rows, n}, dtype);
        const Tensor half = numbers({rows, n / 2 + 1, 2}, dtype);  // with imaginary parts at both ends
        expect_ours("fft of " + what, [&] { return fft(x); });
        expect_ours("ifft of " + what, [&] { return ifft(x); });
        expect_ours("rfft of " + what, [&] { return rfft(real); });
        expect_ours("scaled rfft of " + what, [&] { return rfft(real, {}, -1, FftNorm::ortho); });
        expect_ours("irfft of " + what, [&] { return irfft(half, n); });
      }
}
TEST_F(FftLibrary, ReadsRowsWhereTheyLie) {
  const Tensor signal = numbers({3, 200});
  for (const int64_t n : {16, 15, 9})
    for (const int64_t hop : {5, 16, 20, 21})
      for (const int64_t skip : {0, 1, 2}) {
        const Tensor frames = unfold(narrow(signal, 1, skip, 198), 1, n, hop);
        const std::string what = "frames of " + std::to_string(n) + " every " + std::to_string(hop) + " from ";
        expect_ours(what + std::to_string(skip), [&] { return rfft(frames); });
        expect_ours(what + std::to_string(skip) + " of one signal", [&] { return rfft(select(frames, 0, 1)); });
        expect_ours("one of the " + what, [&] { return rfft(narrow(frames, 1, 2, 1)); });
      }
  expect_ours("the same row again", [&] { return rfft(expand(narrow(signal, 0, 0, 1), {4, 200})); });
  const Tensor window = hamming_window(50).to(kCuda);
  expect_ours("stft", [&] { return stft(signal, 50, {.hop_length = 7, .window = window, .normalized = true}); });
}
TEST_F(FftLibrary, TakesManyRowsPartByPart) {
  const int64_t rows = (1 << 20) + 3;  // prepared rows of 32 bytes: more than are made at a time
  const Tensor real = numbers({rows, 3}, DType::f64), half = numbers({rows, 2, 2}, DType::f64);
  expect_ours("rfft", [&] { return rfft(real); });
  expect_ours("irfft", [&] { return irfft(half, 3); });
  expect_ours("ifft", [&] { return ifft(half); });
}
TEST_F(FftLibrary, IsForOthersToRefuse) {
  const auto says = [](auto&& f) -> std::string {
    const By library("cufft");
    try {
      f();
    } catch (const DeviceError& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_THAT(says([] { rfft(numbers({3, 1})); }), HasSubstr("rows are not of 2 to 2^26 numbers"));
  EXPECT_THAT(says([] { irfft(numbers({3, 1, 2}), 1); }), HasSubstr("rows are not of 2 to 2^26 numbers"));
  const Tensor flat = numbers({13}), odd = reshape(narrow(flat, 0, 1, 12), {2, 3, 2});
  EXPECT_THAT(says([&] { fft(odd); }), HasSubstr("rows do not begin at a multiple of a complex number"));
  EXPECT_EQ(says([&] { rfft(narrow(flat, 0, 1, 12)); }), "");
  EXPECT_EQ(says([] { fft(numbers({0, 4, 2})), rfft(numbers({0, 4})), irfft(numbers({2, 0, 3, 2})); }), "");
}
TEST_F(FftLibrary, ComesBehindOurKernels) {
  for (const kernels::SlotBase* slot :
       {static_cast<kernels::SlotBase*>(&kernels::fft), static_cast<kernels::SlotBase*>(&kernels::rfft),
        static_cast<kernels::SlotBase*>(&kernels::irfft)}) {
    ASSERT_EQ(slot->variant_count(DeviceType::cuda), 2);
    EXPECT_STREQ(slot->variant_name(DeviceType::cuda, 0), "cuda");
    EXPECT_STREQ(slot->variant_name(DeviceType::cuda, 1), "cufft");
  }
}
TEST_F(FftLibrary, MayBeMissing) {
  if (runtime(DeviceType::cuda).name != std::string("emulated cuda")) GTEST_SKIP() << "a real device: it is there";
  struct Missing {
    Missing() { emulation::cufft_is_there = false; }
    ~Missing() { emulation::cufft_is_there = true; }
  } missing;
  const Tensor x = numbers({3, 10});
  const Tensor ours = here(rfft(x));
  kernels::prefer("cufft");
  const Tensor preferred = here(rfft(x));
  kernels::prefer("");
  EXPECT_EQ(farthest(preferred, ours), 0);
  const By library("cufft");
  EXPECT_THAT([&] { rfft(x); }, testing::ThrowsMessage<DeviceError>(HasSubstr("refuses these arguments: no cuFFT")));
}
TEST_F(FftLibrary, PlansForTwoThreadsAtOnce) {
  std::vector<Tensor> x, want;
  for (int64_t n = 20; n < 70; ++n) {  // more kinds than are kept
    x.push_back(numbers({3, n}));
    want.push_back(here(irfft(rfft(x.back()), n)));
  }
  double far[2] = {};
  const By library("cufft");
  const auto work = [&](int which) {
    for (int round = 0; round < 2; ++round)
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t at = which == 0 ? i : x.size() - 1 - i;
        const Tensor got = here(irfft(rfft(x[at]), x[at].size(1)));
        far[which] = std::max(far[which], farthest(got, want[at]));
      }
  };
  std::thread first(work, 0), second(work, 1);
  first.join(), second.join();
  EXPECT_LT(far[0], 2e-6);
  EXPECT_LT(far[1], 2e-6);
}
TEST_F(FftLibrary, WorksInRecordedSteps) {
  const Tensor x = numbers({4, 48}), y = zeros({4, 25, 2}, {DType::f32, kCuda});
  const By library("cufft");
  Replay step(kCuda, [&] { copy_(y, rfft(x * 2)); });
  step(), step();
  ASSERT_TRUE(step.recorded()) << step.why_not();
  for (int64_t n = 20; n < 70; ++n) rfft(numbers({3, n}));  // plans that others made have long gone
  copy_(x, numbers({4, 48}) + 1);
  step();
  EXPECT_LT(farthest(here(y), here(rfft(x * 2))), 1e-6);
}

}  // namespace
}  // namespace tapedeck
