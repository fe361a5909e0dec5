// Philox4x32-10 (Salmon et al., 2011, "Parallel random numbers: as easy as 1, 2, 3"): counter-based random numbers,
// the same on every device. Host and device code (C++17).
#pragma once
#include <cstdint>

#ifndef TD_HD
#ifdef __CUDACC__
#define TD_HD __host__ __device__
#else
#define TD_HD
#endif
#endif

namespace tapedeck {

struct Philox4 {
  std::uint32_t word[4];
};

TD_HD inline Philox4 philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high) {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter_low), c1 = static_cast<std::uint32_t>(counter_low >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(counter_high), c3 = static_cast<std::uint32_t>(counter_high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0, p1 = std::uint64_t{0xCD9E8D57u} * c2;
    const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0,
                        n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<std::uint32_t>(p1), c3 = static_cast<std::uint32_t>(p0), c0 = n0, c2 = n2;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Element i of row r of stream `key`: word i % 4 of counter (i / 4, r); any slice can be made alone.
TD_HD inline std::uint32_t philox_word(std::uint64_t key, std::uint64_t row, std::uint64_t element) {
  return philox(key, element / 4, row).word[element % 4];
}
TD_HD inline float uniform01(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }  // [0, 1)

}  // namespace tapedeck
