#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/npy.h>
#include <tapedeck/io/zip.h>

#include <algorithm>
#include <cstring>

#include "io/temp_folder.h"
#include "io/throws.h"

namespace tapedeck {
namespace {

std::string given(const std::string& name) { return TAPEDECK_TEST_DATA "/io/torch_files/" + name; }

std::vector<std::byte> array_file(const std::string& header, std::size_t data, int version = 1) {
  std::string out = "\x93NUMPY";
  out += {static_cast<char>(version), '\0', static_cast<char>(header.size() & 0xFF),
          static_cast<char>(header.size() >> 8)};
  if (version > 1) out += std::string(2, '\0');
  out += header + std::string(data, '\1');
  const auto bytes = std::as_bytes(std::span(out));
  return {bytes.begin(), bytes.end()};
}

TEST(Npy, OrdersAndByteOrdersOfNumPy) {
  const auto arrays = io::read_npz(given("orders.npz"));
  ASSERT_EQ(arrays.size(), 6u);
  const auto wanted = arange(24.0).to_vector<float>();
  for (const int i : {0, 1, 2}) {
    EXPECT_EQ(arrays[static_cast<std::size_t>(i)].tensor.sizes(), (Shape{2, 3, 4}));
    EXPECT_EQ(arrays[static_cast<std::size_t>(i)].tensor.to_vector<float>(), wanted)
        << arrays[static_cast<std::size_t>(i)].name;
  }
  EXPECT_EQ(arrays[3].tensor.dtype(), DType::f64);
  EXPECT_EQ(cast(arrays[3].tensor, DType::f32).to_vector<float>(), wanted);
  EXPECT_EQ(arrays[4].tensor.item(), 3);
  EXPECT_EQ(arrays[5].tensor.sizes(), (Shape{0, 3}));
}

TEST(Npy, WrittenAndReadAgain) {
  const Tensor x = reshape(arange(24.0), {2, 3, 4});
  for (const Tensor& t : {x, transpose(x, 0, 1), scalar(1), zeros({0, 2}), cast(x, DType::f16), cast(x, DType::u8),
                          gt(x, full({}, 5)), cast(x, DType::i64), cast(x, DType::f64), arange(3.0)}) {
    const Tensor back = io::parse_npy(io::serialize_npy(t), "t");
    EXPECT_EQ(back.sizes(), t.sizes());
    EXPECT_EQ(back.dtype(), t.dtype());
    EXPECT_TRUE(std::ranges::equal(io::raw_bytes(back), io::raw_bytes(io::to_host(t))));
    EXPECT_EQ(io::serialize_npy(t).size() % 64, io::raw_bytes(back).size() % 64);  // the data is aligned
  }
  EXPECT_THROW(io::serialize_npy(cast(x, DType::bf16)), ValueError);
  const TempFolder folder;
  io::write_npy(folder / "x.npy", x);
  EXPECT_EQ(io::read_npy(folder / "x.npy").to_vector<float>(), x.to_vector<float>());
  EXPECT_THROW(io::write_npy(folder / "x.npy", x), ValueError);
  EXPECT_THROW(io::write_npz(folder / "x.npz", {{"a", x}, {"a", x}}), ValueError);
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(Npy, BadHeadersAreNamed) {
  const auto refused = [](const std::string& header, std::size_t data = 8) {
    return error_of<FormatError>([&] { io::parse_npy(array_file(header, data), "bad.npy"); });
  };
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }";
  EXPECT_EQ(io::parse_npy(array_file(good, 8), "x").sizes(), Shape{2});
  EXPECT_EQ(io::parse_npy(array_file(good, 8, 3), "x").sizes(), Shape{2});
  EXPECT_NE(refused(good, 7).find("takes 8 bytes, but the file has 7"), std::string::npos);
  const auto with = [&](const char* descr, const char* shape) {
    return "{'descr': " + std::string(descr) + ", 'fortran_order': False, 'shape': " + shape + "}";
  };
  EXPECT_NE(refused(with("'|O'", "(1,)")).find("elements of type \"|O\""), std::string::npos);
  EXPECT_NE(refused(with("[('a', '<f4')]", "(1,)")).find("records"), std::string::npos);
  EXPECT_NE(refused(with("'<f4'", "(-2,)")).find("no integer from 0"), std::string::npos);
  EXPECT_NE(refused(with("'<f4'", "(4294967296, 4294967296)")).find("too many elements"), std::string::npos);
  EXPECT_NE(refused(with("'<f4'", "(1,1,1,1,1,1,1,1,1)")).find("more than 8 dimensions"), std::string::npos);
  EXPECT_NE(refused(with("'<f4'", "(18446744073709551616,)")).find("no integer"), std::string::npos);
  EXPECT_NE(refused(with("'<f4'", "(4000000000,)")).find("takes 16000000000 bytes"), std::string::npos);
  EXPECT_NE(refused("{'descr': '<f4'}").find("must have"), std::string::npos);
  EXPECT_NE(refused("__import__('os')").find("should have {"), std::string::npos);
  EXPECT_NE(refused(good + "x").find("goes on"), std::string::npos);
  EXPECT_NE(error_of<FormatError>([&] { io::parse_npy(array_file(good, 8, 9), "x"); }).find("version 9"),
            std::string::npos);
}

// ZIP: what Python's zipfile writes is in orders.npz (deflated); here what no sound archive has.
TEST(Zip, DamageIsNamed) {
  std::vector<std::byte> bytes;
  io::ZipWriter writer([&](std::span<const std::byte> b) { bytes.insert(bytes.end(), b.begin(), b.end()); });
  const std::string text(1000, 'x');
  writer.add("one", std::as_bytes(std::span(text)));
  writer.add("two", {});
  writer.finish();
  const auto read_all = [&](std::span<const std::byte> b) {
    io::MemorySource source(b, "a.zip");
    const io::ZipReader zip(source, "a.zip");
    std::size_t total = 0;
    for (const auto& e : zip.entries()) total += zip.read(e, 1 << 20).size();
    return total;
  };
  EXPECT_EQ(read_all(bytes), 1000u);
  for (std::size_t cut = 0; cut < bytes.size(); cut += 7)
    EXPECT_THROW(read_all(std::span(bytes).first(cut)), FormatError) << cut;
  const auto at =
      static_cast<std::size_t>(std::search_n(bytes.begin(), bytes.end(), 10, std::byte{'x'}) - bytes.begin());
  EXPECT_EQ(at % 64, 0u);
  bytes[at + 5] = std::byte{'y'};
  EXPECT_NE(error_of<FormatError>([&] { read_all(bytes); }).find("entry \"one\" does not have its checksum"),
            std::string::npos);
  bytes[at + 5] = std::byte{'x'};
  io::MemorySource source(bytes, "a.zip");
  EXPECT_NE(error_of<FormatError>([&] {
              io::ZipReader(source, "a.zip", {.entries = 1});
            }).find("has 2 entries; the limit is 1"),
            std::string::npos);
  EXPECT_NE(error_of<FormatError>([&] {
              io::ZipReader z(source, "a.zip");
              z.read(z.entries()[0], 10);
            }).find("the limit is 10"),
            std::string::npos);
}

}  // namespace
}  // namespace tapedeck
