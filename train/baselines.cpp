#include <tapedeck/tensor/error.h>
#include <tapedeck/train/baselines.h>

#include <cmath>

namespace tapedeck::train {
namespace {

// Counts of one distribution become bits.
void fit(std::span<double> counts) {
  double total = 0;
  for (double& c : counts) total += c += 0.5;
  for (double& c : counts) c = std::log2(total) - std::log2(c);
}

}  // namespace

Baselines::Baselines(std::int64_t levels, const std::vector<std::span<const std::uint16_t>>& stretches)
    : levels_(static_cast<std::size_t>(levels)) {
  TD_CHECK(levels >= 2 && levels <= 1024, ValueError, "Baselines: ", levels, " levels are not between 2 and 1024");
  bits0_.resize(levels_);
  bits1_.resize(levels_ * levels_);
  for (const auto codes : stretches) {
    for (std::size_t i = 0; i < codes.size(); ++i) {
      TD_CHECK(codes[i] < levels_, ValueError, "Baselines: code ", codes[i], " is not below ", levels);
      ++bits0_[codes[i]];
      if (i > 0) ++bits1_[codes[i - 1] * levels_ + codes[i]];
    }
  }
  fit(bits0_);
  for (std::size_t i = 0; i < levels_; ++i) fit(std::span(bits1_).subspan(i * levels_, levels_));
}

}  // namespace tapedeck::train
