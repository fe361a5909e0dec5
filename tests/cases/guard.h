// Memory that notices: every block that a tensor or a kernel's scratch asks for lies between canaries, right behind its
// last byte too, and is filled with NaN, so that an output nobody wrote does not pass for a number.
#pragma once
#include <cstddef>
#include <string>

namespace tapedeck::cases {

// Puts the guarding runtime in the CPU's place, for the whole process; call it before the first tensor is made.
void guard_memory();

// What the canaries of blocks given back since the last call have to say; "" when all were whole.
std::string take_violations();
void report_violation(const std::string& text);  // of another memory, to be taken with the rest

// While one lives, the guarded memory refuses larger blocks, as a full machine does.
class ShortMemory {
 public:
  explicit ShortMemory(std::size_t bytes);
  ~ShortMemory();
};

}  // namespace tapedeck::cases
