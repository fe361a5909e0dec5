// Two models that need no network: how often each code occurs, and how often after each other code. A network that
// does not beat them has learned nothing.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tapedeck::train {

// Probabilities are counts plus 0.5, normalised (Krichevsky & Trofimov, 1981); scores are in bits.
class Baselines {
 public:
  // Learns from stretches of recordings; pairs do not reach across stretches. Codes are below `levels`, which is 2 to
  // 1024 (ValueError): the second table has levels^2 entries.
  Baselines(std::int64_t levels, const std::vector<std::span<const std::uint16_t>>& stretches);

  double order0(std::uint16_t code) const { return bits0_[code]; }
  double order1(std::uint16_t previous, std::uint16_t code) const { return bits1_[previous * levels_ + code]; }

 private:
  std::size_t levels_;
  std::vector<double> bits0_, bits1_;  // -log2 p
};

}  // namespace tapedeck::train
