// Convolutions in the words of the vendor's library, and what happens where it is not there.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/cuda/conv_vendor.h>
#include <tapedeck/tensor/device.h>

#include <string>
#include <vector>

#include "emulated_cudnn.h"
#include "io/throws.h"

namespace tapedeck::kernels::cuda_emulated {
namespace {

using std::int64_t;

TensorView view(std::vector<int64_t> sizes, std::vector<int64_t> strides = {}) {
  TensorView v;
  v.rank = static_cast<int>(sizes.size());
  int64_t step = 1;
  for (std::size_t d = sizes.size(); d-- > 0; step *= sizes[d])
    v.sizes[d] = sizes[d], v.strides[d] = strides.empty() ? step : strides[d];
  return v;
}
std::vector<int64_t> list(const int64_t* values, int count) { return {values, values + count}; }
std::string refusal(const TensorView& x, const TensorView& w, const TensorView& y, const ConvShape& s) {
  VendorConv c;
  const char* why = describe(ConvResult::y, x, w, y, s, false, &c);
  return why ? why : "";
}

TEST(LibraryConv, ZerosBehindGiveYItsPlaces) {
  for (int64_t size = 1; size < 9; ++size)
    for (int64_t before = 0; before < 4; ++before)
      for (const int64_t stride : {1, 2, 3})
        for (const int64_t dilation : {1, 2, 5})
          for (const int64_t taps : {1, 2, 3})
            for (int64_t out = 1; out < 12; ++out) {
              const int64_t reach = (taps - 1) * dilation + 1;
              const int64_t behind = zeros_behind(size, before, stride, dilation, taps, out);
              bool some = false;  // does any number of zeros do?
              for (int64_t z = 0; z < 60; ++z)
                some = some || (size + before + z >= reach && (size + before + z - reach) / stride + 1 == out);
              ASSERT_EQ(behind >= 0, some);
              if (!some) continue;
              ASSERT_EQ((size + before + behind - reach) / stride + 1, out);
              ASSERT_TRUE(behind == 0 || (out - 1) * stride + reach == size + before + behind) << "no more than needed";
            }
}

TEST(LibraryConv, OneDimensionIsTwoAndNothingIsCopied) {
  VendorConv c;
  // x: every second row of a buffer with 12 channels, of which 4 are looked at; causal, dilation 3.
  ASSERT_EQ(describe(ConvResult::y, view({2, 10, 4}, {600, 24, 1}), view({6, 2, 2}), view({2, 10, 6}),
                     {{1, 1, 1}, {3, 1, 1}, {3, 0, 0}, 2}, true, &c),
            nullptr);
  EXPECT_EQ(c.space, 2);
  EXPECT_TRUE(c.add);
  EXPECT_EQ(list(c.x.sizes, 4), (std::vector<int64_t>{2, 4, 1, 10}));
  EXPECT_EQ(list(c.x.strides, 4), (std::vector<int64_t>{600, 1, 240, 24}));
  EXPECT_EQ(list(c.w.sizes, 4), (std::vector<int64_t>{6, 2, 1, 2}));
  EXPECT_EQ(list(c.w.strides, 4), (std::vector<int64_t>{4, 2, 2, 1}));
  EXPECT_EQ(list(c.y.strides, 4), (std::vector<int64_t>{60, 1, 60, 6}));
  EXPECT_EQ(list(c.dilation, 2), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(list(c.before, 2), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(list(c.behind, 2), (std::vector<int64_t>{0, 0}));
}

TEST(LibraryConv, VolumesAndBothOrdersOfWeights) {
  VendorConv c;
  const TensorView x = view({2, 5, 6, 7, 3}), y = view({2, 3, 3, 7, 4});
  const ConvShape shape{{2, 2, 1}, {1, 2, 1}, {1, 2, 1}, 1};
  ASSERT_EQ(describe(ConvResult::w, x, view({4, 3, 2, 3, 3}), y, shape, false, &c), nullptr);
  EXPECT_EQ(list(c.x.sizes, 5), (std::vector<int64_t>{2, 3, 5, 6, 7}));
  EXPECT_EQ(list(c.x.strides, 5), (std::vector<int64_t>{630, 1, 126, 21, 3}));
  EXPECT_EQ(list(c.w.strides, 5), (std::vector<int64_t>{54, 18, 9, 3, 1}));
  EXPECT_EQ(list(c.behind, 3), (std::vector<int64_t>{1, 2, 1})) << "as before x where y gains nothing";
  ASSERT_EQ(describe(ConvResult::w, x, view({4, 3, 2, 3, 3}, {54, 1, 27, 9, 3}), y, shape, false, &c), nullptr);
  EXPECT_EQ(list(c.w.strides, 5), (std::vector<int64_t>{54, 1, 27, 9, 3}));
}

TEST(LibraryConv, AWeightInAnOrderOfItsOwnIsToBeCopied) {
  VendorConv c;
  float number = 0;
  const TensorView x = view({2, 10, 4}), y = view({2, 9, 6});
  const auto strides = [&](std::vector<int64_t> of_w) {
    TensorView w = view({6, 4, 2}, std::move(of_w));
    w.data = &number;
    EXPECT_EQ(describe(ConvResult::y, x, w, y, {}, false, &c), nullptr);
    return list(c.w.strides, 4);
  };
  using List = std::vector<int64_t>;
  EXPECT_EQ(strides({8, 2, 1}), (List{8, 2, 2, 1}));
  EXPECT_EQ(c.w.data, &number);
  EXPECT_EQ(strides({8, 1, 4}), (List{8, 1, 8, 4}));
  EXPECT_EQ(c.w.data, &number);
  for (const List& other : {List{1, 6, 24}, List{16, 2, 1}, List{8, -2, 1}, List{0, 2, 1}}) {
    EXPECT_EQ(strides(other), (List{8, 2, 2, 1}));
    EXPECT_EQ(c.w.data, nullptr);
  }
}

TEST(LibraryConv, WhatItCannotSayIsRefused) {
  constexpr int64_t kMost = 0x7fffffff;
  const TensorView x = view({2, 10, 4}), w = view({6, 4, 2}), y = view({2, 9, 6});
  EXPECT_EQ(refusal(x, w, y, {}), "");
  EXPECT_EQ(refusal(view({2, 0, 4}), w, y, {}), "no terms");
  EXPECT_EQ(refusal(view({2, 10, 0}), view({6, 0, 2}), y, {}), "no terms");
  EXPECT_EQ(refusal(view({2, 10, 4}, {40, 0, 1}), w, y, {}), "rows overlap");
  EXPECT_EQ(refusal(view({2, 10, 4}, {0, 4, 1}), w, y, {}), "rows overlap");
  EXPECT_EQ(refusal(view({2, 10, 4}, {40, -4, 1}), w, y, {}), "rows overlap");
  EXPECT_EQ(refusal(view({2, 10, 4}, {40, 1, 10}), w, y, {}), "channels that are not contiguous");
  EXPECT_EQ(refusal(x, w, view({2, 3, 6}), {}), "y is shorter than x allows");
  EXPECT_EQ(refusal(x, w, y, {{1, 1, 1}, {1, 1, 1}, {-1, 0, 0}}), "padding that crops");
  EXPECT_EQ(refusal(view({2, kMost, 4}), w, view({2, kMost - 1, 6}), {}), "more than 2^31 elements");
  EXPECT_EQ(refusal(view({1, 10, 4}, {40, kMost, 1}), w, view({1, 9, 6}), {}), "more than 2^31 elements");
  EXPECT_EQ(refusal(x, w, view({2, 10, 6}), {{1, 1, 1}, {kMost, 1, 1}, {kMost, 0, 0}}),
            "more than 2^31 elements with the padding");
  EXPECT_EQ(refusal(x, view({6, 4, 9}), y, {{1, 1, 1}, {kMost / 4, 1, 1}, {0, 0, 0}}), "taps too far apart");
  EXPECT_EQ(refusal(x, w, y, {{1, 1, 1}, {int64_t{1} << 40, 1, 1}, {0, 0, 0}}), "steps of more than 2^31");
}

Tensor conv_by(const std::string& variant) {
  const Use forced(conv1d, variant, DeviceType::cuda);
  const auto on_device = [](std::initializer_list<double> values, const Shape& shape) {
    return reshape(tensor(values), shape).to({DeviceType::cuda, 0});
  };
  return tapedeck::conv1d(on_device({1, 2, 3, 4, 5, 6}, {1, 3, 2}), on_device({1, 10}, {1, 2, 1}),
                          on_device({0.5}, {1}));
}

TEST(LibraryConv, AMissingLibraryIsARefusal) {
  if (std::string(runtime(DeviceType::cuda).name) != "emulated cuda") GTEST_SKIP() << "of the emulated library";
  const std::vector<float> expected{21.5f, 43.5f, 65.5f};
  EXPECT_EQ(conv_by("cudnn").to(kCpu).to_vector<float>(), expected);
  emulation::cudnn_is_there = false;
  EXPECT_EQ(conv_by("").to(kCpu).to_vector<float>(), expected);
  prefer("cudnn");
  EXPECT_EQ(conv_by("").to(kCpu).to_vector<float>(), expected);
  prefer("");
  EXPECT_NE(error_of<DeviceError>([] { conv_by("cudnn"); }).find("cuDNN is not here"), std::string::npos);
  emulation::cudnn_is_there = true;
}

}  // namespace
}  // namespace tapedeck::kernels::cuda_emulated
