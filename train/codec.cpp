#include <tapedeck/train/codec.h>

namespace tapedeck::train {
namespace {
std::variant<io::MuLaw, io::LinearCode> make(Encoding encoding, int levels) {
  if (encoding == Encoding::linear) return io::LinearCode(levels);
  return io::MuLaw(levels);
}
}  // namespace

Codec::Codec(Encoding encoding, std::int64_t levels)
    : levels_(levels), law_(make(encoding, static_cast<int>(levels))) {}

std::vector<std::int64_t> Codec::encode(std::span<const float> samples) const {
  return std::visit([&](const auto& law) { return io::encode(law, samples); }, law_);
}

std::vector<float> Codec::decode(std::span<const std::int64_t> codes) const {
  return std::visit([&](const auto& law) { return io::decode(law, codes); }, law_);
}

}  // namespace tapedeck::train
