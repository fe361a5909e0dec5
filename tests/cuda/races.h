// Data races of kernels: two accesses to a word by different threads, one of them a write, that nothing orders,
// although the turns of the emulated device hide it. What orders: __syncthreads(), named barriers and barriers of a
// cluster;
// __syncwarp(); an atomic or volatile access before a fence that sees one behind a fence. Shuffles and votes order
// nothing, nor do atomics alone. A copy in the background lasts until it is waited for. Blocks that are launched
// without being together share device memory, in no order.
//
// Built with -fsanitize=thread (TAPEDECK_RACES), whose calls before each access of a kernel lead here
// (race_calls.h). Every race is reported once, through on_violation.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulation::races {

#ifdef TAPEDECK_RACES
inline constexpr bool kFound = true;
// Blocks first, first + 1 ... of a launch, `count` at once, begin; `cluster` of them reach each other's shared memory.
void begin_launch(unsigned threads, unsigned count, unsigned cluster);
void begin_block(unsigned slot, unsigned number, const void* shared, std::size_t bytes);
void end_launch();  // reports
void forget();      // and what was reported is reported again
// What follows is done by a thread of the block in this slot, on this stack; by none.
void enter(unsigned slot, unsigned thread, const char* stack, std::size_t bytes);
void leave();
// They met at a barrier. A lane or thread is counted in its block.
void meet(unsigned slot, const unsigned* threads, std::size_t count);
void meet_block(unsigned slot);
void meet_cluster(unsigned first_slot);
// By the running thread.
void fence(bool of_block);
void strong(const void* p, std::size_t bytes, bool read, bool write, const void* caller);
void copy_begins(const void* to, const void* from, std::size_t bytes, const void* caller);
void copy_ends(const void* to, const void* from, std::size_t bytes);
#else
inline constexpr bool kFound = false;
inline void begin_launch(unsigned, unsigned, unsigned) {}
inline void begin_block(unsigned, unsigned, const void*, std::size_t) {}
inline void end_launch() {}
inline void forget() {}
inline void enter(unsigned, unsigned, const char*, std::size_t) {}
inline void leave() {}
inline void meet(unsigned, const unsigned*, std::size_t) {}
inline void meet_block(unsigned) {}
inline void meet_cluster(unsigned) {}
inline void fence(bool) {}
inline void strong(const void*, std::size_t, bool, bool, const void*) {}
inline void copy_begins(const void*, const void*, std::size_t, const void*) {}
inline void copy_ends(const void*, const void*, std::size_t) {}
#endif

}  // namespace emulation::races
