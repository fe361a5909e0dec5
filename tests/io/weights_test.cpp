// Files of weights of any kind, by what they hold.
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/weights.h>

#include <algorithm>

#include "io/temp_folder.h"
#include "io/throws.h"

namespace tapedeck {
namespace {

using io::WeightFormat;

TEST(Weights, AnyFormatUnderAnyName) {
  const TempFolder folder;
  const std::vector<io::NamedTensor> tensors{{"a.weight", reshape(arange(6.0), {2, 3})},
                                             {"a.count", tensor(std::vector<std::int64_t>{7}, {1})},
                                             {"empty", zeros({0, 2})}};
  for (const auto format : {WeightFormat::safetensors, WeightFormat::pth, WeightFormat::npz}) {
    const std::string path = folder / ("weights." + std::string(io::name(format)));
    io::write_weights(path, tensors, format);
    EXPECT_THROW(io::write_weights(path, tensors, format), ValueError);
    io::write_weights(path, tensors, format, true);
    const std::string renamed = folder / "weights.bin";
    io::write_file_atomic(renamed, io::read_file(path, 1 << 20), true);
    EXPECT_EQ(io::weight_format(renamed), format);
    const auto back = io::read_weights(renamed);
    ASSERT_EQ(back.size(), tensors.size());
    for (const auto& [name, t] : tensors) {
      const auto hit = std::ranges::find(back, name, &io::NamedTensor::name);
      ASSERT_NE(hit, back.end()) << name;
      EXPECT_EQ(hit->tensor.sizes(), t.sizes());
      EXPECT_TRUE(std::ranges::equal(io::raw_bytes(hit->tensor), io::raw_bytes(io::to_host(t)))) << name;
    }
  }
  EXPECT_THROW(io::write_weights(folder / "b.npz", {{"x", cast(zeros({2}), DType::bf16)}}, WeightFormat::npz),
               ValueError);
}

TEST(Weights, WhatHoldsNoneIsRefused) {
  const TempFolder folder;
  const auto message = [&](std::string_view bytes) {
    const std::string path = folder / "weights";
    io::write_file_atomic(path, bytes, true);
    return error_of<FormatError>([&] { io::read_weights(path); });
  };
  for (const std::string_view bytes : {"", "P", "PK", "PK\x03\x04 and no more", "{}", "some text that is no header"})
    EXPECT_FALSE(message(bytes).empty()) << bytes;
  EXPECT_NE(message("\x80\x02}q.").find("bare pickle"), std::string::npos);
  EXPECT_THROW(io::read_weights(folder / "none"), IoError);
  EXPECT_THROW(io::read_weights(folder.path()), IoError);
}

}  // namespace
}  // namespace tapedeck
