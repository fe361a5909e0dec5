// Copies from device to shared memory that go on in the background, emulated.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulation {

// Copies to shared memory in the background: what they write is NaN until wait_copies() sees to them, as late as it
// may.
void copy_later(void* to, const void* from, std::size_t bytes);  // at most 16; from nullptr: zeros
void close_copies();                                             // what was asked for since the last is a group
void wait_copies(std::size_t groups);  // until at most so many groups of this thread are under way
void check_aligned(std::uintptr_t place, std::size_t bytes);

}  // namespace emulation
