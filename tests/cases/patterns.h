// Every function of one f32 tensor over bit patterns of its argument, against formulas in f64.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace tapedeck::cases {

// Functions whose name matches `filter`, by their default variant. Every 257th pattern (16.7 million), all of them, or
// the one given. Prints the largest error of each function and where it is; the exit code is 1 when one is too large.
struct Patterns {
  std::string filter = "*";
  bool all = false;
  std::optional<std::uint32_t> only;
};
int sweep_patterns(const Patterns& wanted);

}  // namespace tapedeck::cases
