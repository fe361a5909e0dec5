// Which processor core a thread runs on. Threads that wake each other are sometimes left on one core while others
// idle; those of a pool move apart by themselves.
#pragma once

namespace tapedeck {

int this_core();  // -1: not known
// If this thread runs on `core` and may run on others, moves it to one of them. Where it may run stays as it was.
void leave_core(int core);

// Inside a loop that waits for another thread: lets the core rest for some cycles.
inline void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace tapedeck
