// Checksums: SHA-256 (FIPS 180-4) for identity, CRC32C (Castagnoli) for fast corruption checks.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace tapedeck::io {

// SHA-256 of bytes given in any number of pieces.
class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  std::array<std::byte, 32> digest() const;  // of everything so far; more may follow
  std::string hex() const;                   // digest() as 64 lower-case hexadecimal digits

 private:
  void block(const std::byte* p);
  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> pending_{};
  std::uint64_t length_ = 0;
};

std::string sha256_hex(std::span<const std::byte> bytes);
std::string sha256_hex(const std::string& text);

// SHA-256 of a file's bytes, read in pieces; IoError when it cannot be read.
std::string sha256_file(const std::string& path);

// CRC32C of the bytes; pass an earlier result as `seed` to continue it.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t seed = 0);

}  // namespace tapedeck::io
