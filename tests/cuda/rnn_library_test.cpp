// Recurrent layers by the vendor's library, beside the steps that they are made of otherwise.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/cuda/rnn_vendor.h>

#include <string>
#include <vector>

#include "emulated_cudnn.h"
#include "io/throws.h"

namespace tapedeck::kernels::cuda_emulated {
namespace {

using std::int64_t;

const Device kCuda{DeviceType::cuda, 0};

class LibraryRnn : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string(runtime(DeviceType::cuda).name) != "emulated cuda") GTEST_SKIP() << "of the emulated library";
  }
  void TearDown() override { emulation::cudnn_is_there = true; }
};

std::vector<Tensor> weights_of(int64_t gates, int64_t in, int64_t width) {
  std::vector<Tensor> w;
  for (const Shape& s :
       {Shape{gates * width, in}, Shape{gates * width, width}, Shape{gates * width}, Shape{gates * width}})
    w.push_back((randn(s) * 0.5).to(kCuda).set_requires_grad(true));
  return w;
}
std::uint64_t calls(const SlotBase& s, const std::string& variant) {
  for (int v = 0; v < s.variant_count(DeviceType::cuda); ++v)
    if (s.variant_name(DeviceType::cuda, v) == variant) return s.calls(DeviceType::cuda, v, DType::f32);
  ADD_FAILURE() << "no variant " << variant;
  return 0;
}

TEST(LibraryRnnWords, WhatTheLibraryCannotBeAskedForIsRefused) {
  const auto view = [](std::vector<int64_t> sizes) {
    TensorView v;
    v.rank = static_cast<int>(sizes.size());
    for (std::size_t d = 0; d < sizes.size(); ++d) v.sizes[d] = sizes[d];
    return v;
  };
  const auto why = [&](int64_t batch, int64_t steps, int64_t in, int64_t width, bool reverse = false,
                       bool ends = false) {
    RnnLayerArgs a;
    a.cell = RnnCell::lstm, a.reverse = reverse, a.ends = ends;
    a.x = view({batch, steps, in}), a.weight_ih = view({4 * width, in}), a.weight_hh = view({4 * width, width});
    const char* reason = rnn_has_no_words(a);
    return std::string(reason ? reason : "");
  };
  constexpr int64_t kLarge = int64_t{1} << 40;
  EXPECT_EQ(why(2, 3, 4, 5), "");
  EXPECT_EQ(why(2, 3, 4, 5, true), "a layer from the last step to the first");
  EXPECT_EQ(why(2, 3, 4, 5, false, true), "rows of different lengths");
  for (const auto& [batch, steps, in] : {std::array<int64_t, 3>{0, 3, 4}, {2, 0, 4}, {2, 3, 0}})
    EXPECT_EQ(why(batch, steps, in, 5), "no terms");
  for (const auto& [batch, steps, in, width] : {std::array<int64_t, 4>{kLarge, 3, 4, 5},
                                                {2, kLarge, 4, 5},
                                                {2, 3, kLarge, 5},
                                                {2, 3, 4, kLarge},
                                                {1 << 16, 1 << 16, 4, 5},
                                                {1 << 10, 1 << 10, 4, 1 << 10}})
    EXPECT_EQ(why(batch, steps, in, width), "more than 2^31 elements");
}

TEST_F(LibraryRnn, OursRunUnlessItIsAskedForByName) {
  const std::vector<Tensor> w = weights_of(3, 3, 4);
  const Tensor x = randn({2, 5, 3}).to(kCuda);
  const std::uint64_t ours = calls(rnn_sequence, "persistent"), whole = calls(rnn_layer, "cudnn");
  const Tensor by_ours = gru(x, {}, w).output;
  EXPECT_EQ(calls(rnn_sequence, "persistent"), ours + 1);
  EXPECT_EQ(calls(rnn_layer, "cudnn"), whole);
  const Use forced(rnn_layer, "cudnn", DeviceType::cuda);
  const std::vector<float> a = by_ours.to(kCpu).to_vector<float>(),
                           b = gru(x, {}, w).output.to(kCpu).to_vector<float>();
  EXPECT_EQ(calls(rnn_sequence, "persistent"), ours + 1) << "the steps are the library's";
  EXPECT_EQ(calls(rnn_layer, "cudnn"), whole + 2) << "asked, and run";
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6);
}

TEST_F(LibraryRnn, OneTapeMayBeAskedTwice) {
  const std::vector<Tensor> w = weights_of(4, 3, 4);
  const Tensor x = randn({2, 5, 3}).to(kCuda);
  const Use forced(rnn_layer, "cudnn", DeviceType::cuda);
  Tape tape;
  const Tensor y = sum(lstm(x, {}, {}, w).output);
  const auto first = tape.gradients(y, w), second = tape.gradients(y, w);
  for (std::size_t i = 0; i < w.size(); ++i)
    EXPECT_EQ(first[i].to(kCpu).to_vector<float>(), second[i].to(kCpu).to_vector<float>());
}

TEST_F(LibraryRnn, WhereItIsMissingOrCannotStepsAreTaken) {
  const std::vector<Tensor> w = weights_of(4, 3, 4);
  const Tensor x = randn({2, 5, 3}).to(kCuda);
  const auto run = [&] { return lstm(x, {}, {}, w).output.to(kCpu).to_vector<float>(); };
  const std::vector<float> expected = run();
  emulation::cudnn_is_there = false;
  EXPECT_EQ(run(), expected);
  prefer("cudnn");
  EXPECT_EQ(run(), expected);
  prefer("");
  const Use forced(rnn_layer, "cudnn", DeviceType::cuda);
  EXPECT_NE(error_of<DeviceError>(run).find("cuDNN is not here"), std::string::npos);
  emulation::cudnn_is_there = true;
  const Tensor lengths = tensor(std::vector<int64_t>{5, 2}, {2}).to(kCuda);
  EXPECT_NE(error_of<DeviceError>([&] { lstm(x, {}, {}, w, {.lengths = lengths}); }).find("rows of different lengths"),
            std::string::npos);
}

}  // namespace
}  // namespace tapedeck::kernels::cuda_emulated
