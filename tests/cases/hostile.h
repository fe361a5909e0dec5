// Calls every op with arguments that do not fit it.
#pragma once
#include <cstdint>
#include <string>

namespace tapedeck::cases {

// Random faults in the inputs of random cases whose name fits `filter`: missing tensors, other shapes, dtypes, layouts
// and values, inputs exchanged; half of the calls on a tape, then backward. An op must give a result or throw an Error
// that names it, and leave inputs and tape as they were. "NAME: options": ops with random options (hostile_options.h).
// Goes on for `seconds` and at least `rounds` calls of each op;
// prints what broke, with the line that replays it. Returns the number of faults found.
int run_hostile(const std::string& filter, std::uint64_t seed, int rounds, double seconds);
int replay_hostile(std::uint64_t seed, const std::string& name);  // one call, in words

}  // namespace tapedeck::cases
