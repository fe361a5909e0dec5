#include <tapedeck/io/mulaw.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <cmath>

namespace tapedeck::io {
namespace {

constexpr int max_levels = 65536;

void check_levels(const char* who, int levels) {
  TD_CHECK(levels >= 2 && levels <= max_levels, ValueError, who, ": ", levels, " levels are not in 2 to ", max_levels);
}

// The code of c, which may lie beyond [-1, 1].
std::int64_t round_to_code(double c, int levels) {
  TD_CHECK(!std::isnan(c), ValueError, "encode: a sample is NaN");
  const int top = levels - 1;
  return static_cast<std::int64_t>(std::clamp(std::floor((c + 1) / 2 * top + 0.5), 0.0, static_cast<double>(top)));
}

// The place of a code in [-1, 1].
double place(std::int64_t code, int levels) {
  TD_CHECK(code >= 0 && code < levels, ValueError, "decode: code ", code, " is not in 0 to ", levels - 1);
  return 2.0 * static_cast<double>(code) / (levels - 1) - 1;
}

template <class Law>
std::vector<std::int64_t> encode_all(const Law& law, std::span<const float> samples) {
  std::vector<std::int64_t> out(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    TD_CHECK(!std::isnan(samples[i]), ValueError, "encode: sample ", i, " is NaN");
    out[i] = law.encode(samples[i]);
  }
  return out;
}

template <class Law>
std::vector<float> decode_all(const Law& law, std::span<const std::int64_t> codes) {
  std::vector<float> out(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) out[i] = law.decode(codes[i]);
  return out;
}

}  // namespace

MuLaw::MuLaw(int levels, double compression) : levels_(levels) {
  check_levels("MuLaw", levels);
  TD_CHECK(std::isfinite(compression) && compression > 0, ValueError, "MuLaw: compression ", compression,
           " is not above 0");
  scale_ = (levels - 1) * compression;
  log_scale_ = std::log1p(scale_);
}

std::int64_t MuLaw::encode(float x) const {
  return round_to_code(std::copysign(std::log1p(scale_ * std::abs(static_cast<double>(x))) / log_scale_, x), levels_);
}

float MuLaw::decode(std::int64_t code) const {
  const double c = place(code, levels_);
  return static_cast<float>(std::copysign(std::expm1(std::abs(c) * log_scale_) / scale_, c));
}

LinearCode::LinearCode(int levels) : levels_(levels) { check_levels("LinearCode", levels); }

std::int64_t LinearCode::encode(float x) const { return round_to_code(x, levels_); }

float LinearCode::decode(std::int64_t code) const { return static_cast<float>(place(code, levels_)); }

std::vector<std::int64_t> encode(const MuLaw& law, std::span<const float> samples) { return encode_all(law, samples); }
std::vector<std::int64_t> encode(const LinearCode& law, std::span<const float> s) { return encode_all(law, s); }
std::vector<float> decode(const MuLaw& law, std::span<const std::int64_t> codes) { return decode_all(law, codes); }
std::vector<float> decode(const LinearCode& law, std::span<const std::int64_t> c) { return decode_all(law, c); }

}  // namespace tapedeck::io
