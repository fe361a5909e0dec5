#include <gtest/gtest.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/hash.h>

#include "temp_folder.h"

namespace tapedeck::io {
namespace {

TEST(Sha256, PublishedVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesOfAnySizeGiveTheSameDigest) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (std::size_t length : {0u, 1u, 55u, 56u, 57u, 63u, 64u, 65u, 119u, 120u, 128u, 300u}) {
    const std::string all = text.substr(0, length);
    for (std::size_t piece : {1u, 3u, 63u, 64u, 65u, 200u}) {
      Sha256 hash;
      for (std::size_t at = 0; at < length; at += piece) {
        hash.update(std::as_bytes(std::span(all)).subspan(at, std::min(piece, length - at)));
        (void)hash.digest();  // asking in between changes nothing
      }
      EXPECT_EQ(hash.hex(), sha256_hex(all)) << length << " in pieces of " << piece;
    }
  }
}

TEST(Sha256, OfAFile) {
  TempFolder folder;
  const std::string text(700'001, 'x');
  write_file_atomic(folder / "f", text);
  EXPECT_EQ(sha256_file(folder / "f"), sha256_hex(text));
}

TEST(Crc32c, PublishedVectors) {
  const auto crc = [](const std::string& s) { return crc32c(std::as_bytes(std::span(s))); };
  EXPECT_EQ(crc(""), 0u);
  EXPECT_EQ(crc("123456789"), 0xE3069283u);
  EXPECT_EQ(crc(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720 B.4
  EXPECT_EQ(crc(std::string(32, '\xff')), 0x62A8AB43u);
}

TEST(Crc32c, ContinuesFromASeed) {
  const std::string text = "one long text in two parts, cut everywhere";
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(bytes));
  }
}

}  // namespace
}  // namespace tapedeck::io
