// Samples as codes: mu-law (fine near silence) and linear (even steps), each with any number of levels.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tapedeck::io {

// mu = levels - 1, C = compression:
//   encode  c = sign(x) log1p(mu C |x|) / log1p(mu C),  code = floor((c + 1) / 2 mu + 1/2)
//   decode  c = 2 code / mu - 1,  x = sign(c) expm1(|c| log1p(mu C)) / (mu C)
// With 256 levels and C = 1 this is torchaudio's mu_law_encoding. Samples beyond [-1, 1] take the outermost codes.
class MuLaw {
 public:
  explicit MuLaw(int levels = 256, double compression = 1);  // 2 to 65536 levels, compression above 0: ValueError
  int levels() const { return levels_; }
  std::int64_t encode(float x) const;     // NaN: ValueError
  float decode(std::int64_t code) const;  // ValueError outside 0 .. levels - 1

 private:
  int levels_;
  double scale_, log_scale_;  // mu C, log1p(mu C)
};

// code = floor((x + 1) / 2 (levels - 1) + 1/2); samples beyond [-1, 1] take the outermost codes.
class LinearCode {
 public:
  explicit LinearCode(int levels = 256);  // 2 to 65536: ValueError
  int levels() const { return levels_; }
  std::int64_t encode(float x) const;     // NaN: ValueError
  float decode(std::int64_t code) const;  // ValueError outside 0 .. levels - 1

 private:
  int levels_;
};

// Every sample, every code.
std::vector<std::int64_t> encode(const MuLaw& law, std::span<const float> samples);
std::vector<std::int64_t> encode(const LinearCode& law, std::span<const float> samples);
std::vector<float> decode(const MuLaw& law, std::span<const std::int64_t> codes);
std::vector<float> decode(const LinearCode& law, std::span<const std::int64_t> codes);

}  // namespace tapedeck::io
