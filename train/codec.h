// Codec: samples to codes and back, as a run's config says.
#pragma once
#include <tapedeck/io/config.h>
#include <tapedeck/io/mulaw.h>

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace tapedeck::train {

enum class Encoding { mulaw, linear };
constexpr auto names(Encoding*) {
  return io::enum_names<Encoding>({{Encoding::mulaw, "mulaw"}, {Encoding::linear, "linear"}});
}

class Codec {
 public:
  explicit Codec(Encoding encoding = Encoding::mulaw, std::int64_t levels = 256);
  std::int64_t levels() const { return levels_; }
  std::int64_t silence() const { return encode(std::vector<float>{0})[0]; }  // the code of the sample 0
  std::vector<std::int64_t> encode(std::span<const float> samples) const;
  std::vector<float> decode(std::span<const std::int64_t> codes) const;

 private:
  std::int64_t levels_;
  std::variant<io::MuLaw, io::LinearCode> law_;
};

}  // namespace tapedeck::train
