#include <gtest/gtest.h>
#include <sys/stat.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/safetensors.h>
#include <tapedeck/tensor/detail_views.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "fuzz/safetensors_oracle.h"
#include "temp_folder.h"
#include "throws.h"

namespace tapedeck {
namespace {

using io::SafeTensors;

std::vector<std::byte> file_of(const std::string& header, std::size_t data_bytes = 0) {
  const std::uint64_t length = header.size();
  std::vector<std::byte> out(sizeof length + header.size() + data_bytes);
  std::memcpy(out.data(), &length, sizeof length);
  std::memcpy(out.data() + sizeof length, header.data(), header.size());
  return out;
}

std::string refusal_of(const std::string& header, std::size_t data_bytes = 0,
                       const io::SafeTensorsLimits& limits = {}) {
  return error_of<FormatError>([&] { io::parse_safetensors(file_of(header, data_bytes), "w.st", limits); });
}

// One tensor "net.a" with the given shape, offsets and number of data bytes.
std::string refusal_of_f32(const std::string& shape, const std::string& offsets, std::size_t data_bytes) {
  return refusal_of(R"({"net.a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}", data_bytes);
}

SafeTensors every_kind() {
  const float nan = std::bit_cast<float>(0xFFA12345u);  // a signalling NaN with a payload
  const std::vector<float> f{-0.f, std::numeric_limits<float>::denorm_min(), nan, -INFINITY, 1.f, 3e38f};
  const std::vector<double> d{-0., 5e-324, std::bit_cast<double>(0x7FF0000000000123u)};
  const std::vector<std::int64_t> i64{std::numeric_limits<std::int64_t>::min(), -1};
  const std::vector<std::int32_t> i32{7, -7};
  const std::vector<std::uint8_t> u8{0, 255, 1};
  SafeTensors s;
  s.tensors.push_back({"u8", tensor(u8, {3, 1})});
  s.tensors.push_back({"f32", tensor(f, {2, 3})});
  s.tensors.push_back({"f64", tensor(d, {3})});
  s.tensors.push_back({"i64", tensor(i64, {2})});
  s.tensors.push_back({"i32", tensor(i32, {1, 2, 1})});
  const bool bits[] = {true, false, true};
  s.tensors.push_back({"bool", tensor(std::span<const bool>(bits), {3})});
  const std::uint16_t halves[] = {0x8000, 0x7C01, 0x0001};
  for (const DType t : {DType::bf16, DType::f16}) {
    const Tensor x = empty({3}, {t, kCpu});
    x.fill_from(std::as_bytes(std::span(halves)));
    s.tensors.push_back({name(t), x});
  }
  s.tensors.push_back({"empty", zeros({4, 0, 2})});
  s.tensors.push_back({"scalar", scalar(2.5)});
  s.metadata.emplace_back("note", "zwei Zeilen\n\xC3\xBC");
  return s;
}

TEST(SafeTensors, EveryKindComesBackBitForBit) {
  const TempFolder folder;
  const SafeTensors s = every_kind();
  const auto bytes = io::serialize_safetensors(s, "x");
  EXPECT_TRUE(same_tensors(io::parse_safetensors(bytes, "x"), s));
  io::write_safetensors(folder / "w.safetensors", s);
  EXPECT_EQ(io::read_file(folder / "w.safetensors", 1 << 20), bytes);
  EXPECT_TRUE(same_tensors(io::read_safetensors(folder / "w.safetensors"), s));
  EXPECT_EQ(s.find("scalar")->item(), 2.5);
  EXPECT_EQ(s.find("scala"), nullptr);
}

TEST(SafeTensors, TheFileIsAlignedAndSaysPt) {
  const TempFolder folder;
  io::write_safetensors(folder / "w", every_kind());
  const auto header = io::read_safetensors_header(folder / "w");
  EXPECT_EQ(header.data_start % 8, 0);
  EXPECT_EQ(header.metadata.front(), (std::pair<std::string, std::string>("format", "pt")));
  for (const auto& e : header.entries) {
    EXPECT_EQ(e.begin % static_cast<std::int64_t>(size_of(e.dtype)), 0) << e.name;
  }
  EXPECT_EQ(header.entries[0].name, "u8");
  EXPECT_EQ(header.entries[1].shape, (Shape{2, 3}));
}

TEST(SafeTensors, ViewsAreWrittenAsTheyLook) {
  const Tensor x = tensor({1, 2, 3, 4, 5, 6});
  const Tensor m = detail::as_strided(x, {3, 2}, {1, 3}, 0);
  SafeTensors s;
  s.tensors = {{"t", m}, {"row", detail::expand(detail::slice(x, 0, 1, 2), {3})}};
  const SafeTensors back = io::parse_safetensors(io::serialize_safetensors(s, "x"), "x");
  EXPECT_EQ(back.find("t")->to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(back.find("row")->to_vector<float>(), (std::vector<float>{2, 2, 2}));
}

TEST(SafeTensors, NothingAtAllIsAFile) {
  const SafeTensors none{{}, {}};
  const auto bytes = io::serialize_safetensors(none, "x");
  EXPECT_EQ(bytes, file_of("{}      "));
  EXPECT_TRUE(same_tensors(io::parse_safetensors(bytes, "x"), none));
}

TEST(SafeTensors, RefusalsOfTheFrameNameTheNumbers) {
  const auto parse = [](std::vector<std::byte> b) {
    return error_of<FormatError>([&] { io::parse_safetensors(b, "w.st"); });
  };
  EXPECT_EQ(parse(std::vector<std::byte>(9)), "w.st: has 9 bytes; a safetensors file has at least 10");
  auto lying = file_of("{}");
  lying[0] = std::byte{200};
  EXPECT_EQ(parse(lying), "w.st: its header claims 200 bytes but the file has 10");
  lying[7] = std::byte{0xFF};
  EXPECT_EQ(parse(lying),
            "w.st: is no .safetensors, .pth or .npz file: a header of 18374686479671623880 bytes would begin it, and "
            "it has 10");
  io::SafeTensorsLimits limits;
  limits.header_bytes = 4;
  EXPECT_EQ(refusal_of("{    }", 0, limits), "w.st: its header of 6 bytes is longer than the limit of 4");
  EXPECT_EQ(refusal_of("[]"), "w.st: its header is not a JSON object");
  EXPECT_EQ(refusal_of("{}", 3), "w.st: the last tensor ends at 0 but the file has 3 data bytes");
}

TEST(SafeTensors, RefusalsOfATensorNameItAndTheNumbers) {
  EXPECT_EQ(refusal_of_f32("[2]", "[0,12]", 12),
            R"(w.st: tensor "net.a": its data_offsets [0,12] hold 12 bytes but shape [2] of F32 takes 8)");
  EXPECT_EQ(refusal_of_f32("[2]", "[8,0]", 8), R"(w.st: tensor "net.a": its data begins at 8, after its end 0)");
  EXPECT_EQ(refusal_of_f32("[2]", "[0,8]", 7),
            R"(w.st: tensor "net.a": its data ends at 8 but the file has 7 data bytes)");
  EXPECT_EQ(refusal_of_f32("[2]", "[0,8]", 9), "w.st: the last tensor ends at 8 but the file has 9 data bytes");
  EXPECT_EQ(refusal_of_f32("[2]", "[4,12]", 12),
            R"(w.st: tensor "net.a": its data begins at 4; bytes from 0 belong to no tensor)");
  EXPECT_EQ(refusal_of_f32("[2]", "[0]", 8),
            R"(w.st: tensor "net.a": "data_offsets" must be [begin, end], but has 1 numbers)");
  EXPECT_EQ(refusal_of_f32("[2.5]", "[0,8]", 8),
            R"(w.st: tensor "net.a": "shape" takes integers from 0 to 2^63 - 1 only)");
  EXPECT_EQ(refusal_of_f32("7", "[0,8]", 8), R"(w.st: tensor "net.a": "shape" must be an array, not integer)");
  EXPECT_EQ(refusal_of_f32("[4611686018427387904]", "[0,8]", 8),
            R"(w.st: tensor "net.a": its shape [4611686018427387904] has too many elements)");
  EXPECT_EQ(refusal_of_f32("[1,1,1,1,1,1,1,1,2]", "[0,8]", 8),
            R"(w.st: tensor "net.a": has 9 dimensions; the limit is 8)");
  EXPECT_EQ(refusal_of_f32("[-2]", "[0,8]", 8), "w.st: its header has a signed number (byte 33)");
}

TEST(SafeTensors, RefusalsOfNamesTypesAndKeys) {
  const std::string body = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const auto contains = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(refusal_of(R"({"a":)" + body + R"(,"a":)" + body + "}", 8), R"(duplicate key "a")");
  contains(refusal_of(R"({"a":{"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]}})", 8), "duplicate key");
  contains(refusal_of(R"({"a":)" + body + R"(,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
           R"(tensor "b": its data begins at 4, inside the tensor that ends at 8)");
  contains(refusal_of(R"({"a\u0007":)" + body + "}", 8), R"(tensor "a\x07": its name has control)");
  contains(refusal_of(R"({"a\u202e":)" + body + "}", 8), "its name has control or direction characters");
  contains(refusal_of(R"({")" + std::string(513, 'x') + R"(":)" + body + "}", 8), "name of 513 bytes");
  contains(refusal_of(R"({"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}})", 8), R"(elements of type "Q4")");
  contains(refusal_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8), R"(tensor "a": has no "data_offsets")");
  contains(refusal_of(R"({"a":{"x":1,"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), R"(has a key "x")");
  contains(refusal_of(R"({"a":[1]})"), R"(tensor "a": its description must be an object, not array)");
  contains(refusal_of(R"({"a":{"dtype":"F32","shape":[[2]],"data_offsets":[0,8]}})", 8), "deeper than the limit of 3");
  contains(refusal_of(R"({"__metadata__":{"k":1}})"), R"(__metadata__ "k" must be a string, not integer)");
  contains(refusal_of(R"({"__metadata__":"k"})"), "__metadata__ must be an object, not string");
  io::SafeTensorsLimits limits;
  limits.metadata_bytes = 12;
  contains(refusal_of(R"({"__metadata__":{"abcdefg":"1234567"}})", 0, limits),
           "14 bytes is longer than the limit of 12");
  limits.tensors = 1, limits.metadata_bytes = 100;
  contains(refusal_of(R"({"a":)" + body + R"(,"b":)" + body + "}", 8, limits), "has 2 tensors; the limit is 1");
  const auto mixed = file_of(R"({"m":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})", 3);
  auto bad = mixed;
  bad.back() = std::byte{3};
  contains(error_of<FormatError>([&] { io::parse_safetensors(bad, "w.st"); }),
           R"(tensor "m": element 2 of type BOOL is 3)");
}

// A header of brackets or numbers costs the reader little more than its own size.
TEST(SafeTensors, AHostileHeaderIsRefusedBeforeItGrows) {
  EXPECT_NE(refusal_of("{\"a\":" + std::string(1 << 20, '[') + "}").find("deeper"), std::string::npos);
  std::string zeros_text = "{\"a\":{\"shape\":[0";
  for (int i = 0; i < 500'000; ++i) zeros_text += ",0";
  EXPECT_NE(refusal_of(zeros_text + "]}}").find("values"), std::string::npos);
}

TEST(SafeTensors, TheWriterRefusesWhatTheReaderWould) {
  const auto refusal = [](std::vector<io::NamedTensor> tensors) {
    return error_of<ValueError>([&] { io::serialize_safetensors(SafeTensors{std::move(tensors), {}}, "w.st"); });
  };
  EXPECT_EQ(refusal({{"a", scalar(1)}, {"a", scalar(1)}}), R"(w.st: two tensors are called "a")");
  EXPECT_EQ(refusal({{"__metadata__", scalar(1)}}), R"(w.st: two tensors are called "__metadata__")");
  EXPECT_EQ(refusal({{"a", Tensor()}}), R"(w.st: tensor "a" is undefined)");
  EXPECT_NE(refusal({{"a\n", scalar(1)}}).find("control"), std::string::npos);
  EXPECT_NE(refusal({{"\xFF", scalar(1)}}).find("UTF-8"), std::string::npos);
  EXPECT_NE(refusal({{std::string(600, 'n'), scalar(1)}}).find("600 bytes"), std::string::npos);
}

TEST(SafeTensors, NothingIsOverwrittenOrLeftBehind) {
  const TempFolder folder;
  io::write_safetensors(folder / "w", every_kind());
  EXPECT_THROW(io::write_safetensors(folder / "w", every_kind()), ValueError);
  io::write_safetensors(folder / "w", SafeTensors{}, true);
  EXPECT_TRUE(io::read_safetensors(folder / "w").tensors.empty());
  EXPECT_THROW(io::write_safetensors(folder / "v", {{{"a\n", scalar(1)}}, {}}), ValueError);
  EXPECT_EQ(folder.entries(), 1u);
  EXPECT_THROW(io::read_safetensors(folder / "missing"), IoError);
}

TEST(SafeTensors, PythonReadsThem) {
  if (std::system("python3 -c 1 2>/dev/null") != 0) GTEST_SKIP() << "no python3";
  const TempFolder folder;
  io::write_safetensors(folder / "w", every_kind());
  io::write_file_atomic(folder / "read.py", std::string_view(R"(import json, struct, sys
data = open(sys.argv[1], "rb").read()
n, = struct.unpack("<Q", data[:8])
header = json.loads(data[8:8 + n])
body = data[8 + n:]
assert (8 + n) % 8 == 0 and header.pop("__metadata__")["format"] == "pt"
def values(name, code):
    e = header[name]
    raw = body[slice(*e["data_offsets"])]
    return e["dtype"], e["shape"], list(struct.unpack("<%d%s" % (len(raw) // struct.calcsize(code), code), raw))
assert values("u8", "B") == ("U8", [3, 1], [0, 255, 1])
assert values("f32", "I")[2] == [0x80000000, 1, 0xFFA12345, 0xFF800000, 0x3F800000, 0x7F61B1E6], values("f32", "I")
assert values("i64", "q") == ("I64", [2], [-2**63, -1])
assert values("i32", "i") == ("I32", [1, 2, 1], [7, -7])
assert values("bool", "?") == ("BOOL", [3], [True, False, True])
assert values("bf16", "H") == ("BF16", [3], [0x8000, 0x7C01, 1])
assert values("scalar", "f") == ("F32", [], [2.5])
assert values("empty", "f") == ("F32", [4, 0, 2], [])
ends = sorted(tuple(e["data_offsets"]) for e in header.values())
assert ends[0][0] == 0 and ends[-1][1] == len(body) and all(a[1] == b[0] for a, b in zip(ends, ends[1:]))
)"));
  EXPECT_EQ(std::system(("python3 " + (folder / "read.py") + " " + (folder / "w")).c_str()), 0);
}

}  // namespace
}  // namespace tapedeck
