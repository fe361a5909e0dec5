#include "emulation.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "emulated_copies.h"
#include "emulated_memory.h"

#ifndef __x86_64__
#include <ucontext.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulation {

const Here* here = nullptr;
dim3 block_dim, grid_dim;

namespace {

#ifdef TAPEDECK_SANITIZED
constexpr std::size_t kStack = 512 << 10;  // frames have room round each variable
#else
constexpr std::size_t kStack = 128 << 10;
#endif

// ---- switching stacks -----------------------------------------------------------------------------------------------
// What AddressSanitizer has to know of it.
struct Fiber {
  const void* stack = nullptr;
  std::size_t bytes = 0;
  void* frames = nullptr;  // its own, of variables that outlive their functions
};
#ifdef __SANITIZE_ADDRESS__
void leave(Fiber* from, const Fiber& to) {  // nullptr: for good
  __sanitizer_start_switch_fiber(from ? &from->frames : nullptr, to.stack, to.bytes);
}
void arrive(Fiber& here, Fiber* came_from = nullptr) {
  const void* stack = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(here.frames, &stack, &bytes);
  if (came_from) came_from->stack = stack, came_from->bytes = bytes;
}
void clean(char* stack) { __asan_unpoison_memory_region(stack, kStack); }  // what the last one left
#else
void leave(Fiber*, const Fiber&) {}
void arrive(Fiber&, Fiber* = nullptr) {}
void clean(char*) {}
#endif

#ifdef __x86_64__
// Saves the registers that a call must keep on this stack, its pointer in *from, and goes on where `to` stopped.
extern "C" void tapedeck_switch_stack(void** from, void* to);
asm(R"(
.text
.type tapedeck_switch_stack, @function
tapedeck_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size tapedeck_switch_stack, .-tapedeck_switch_stack
)");
struct Context {
  void* sp = nullptr;
  Fiber fiber;
};
void jump(Context& from, Context& to) { tapedeck_switch_stack(&from.sp, to.sp); }
void prepare(Context& c, char* stack, void (*entry)()) {
  auto* top = reinterpret_cast<void**>(stack + kStack - 64);
  *--top = nullptr;  // where entry would return to; it never does
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  c.sp = top;
}
#else
struct Context {
  ucontext_t c;
  Fiber fiber;
};
void jump(Context& from, Context& to) { swapcontext(&from.c, &to.c); }
void prepare(Context& c, char* stack, void (*entry)()) {
  getcontext(&c.c);
  c.c.uc_stack.ss_sp = stack, c.c.uc_stack.ss_size = kStack, c.c.uc_link = nullptr;
  makecontext(&c.c, entry, 0);
}
#endif

void switch_to(Context& from, Context& to) {
  leave(&from.fiber, to.fiber);
  jump(from, to);
  arrive(from.fiber);
}

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes, group;
};
enum class State { fresh, ready, at_warp, at_block, at_some, at_grid, done };
struct Thread {
  Here here;
  Context context;
  State state = State::fresh;
  char* stack = nullptr;
  int block = 0, warp = 0;         // of this launch's running blocks, of the block
  unsigned lane = 0, barrier = 0;  // barrier: which one it waits at
  std::vector<Copy> copies;        // under way, in the order of asking
  std::size_t group = 0;           // of the next one
};
struct Exchange {
  alignas(16) unsigned char slot[32][16];
};
struct Block {
  std::vector<Thread*> threads;
  std::vector<Exchange> warps;
  std::vector<char> shared;
  bool vote = false;
  struct Some {
    unsigned arrived = 0, threads = 0;
  } some[16];
};

std::recursive_mutex one_launch;
std::vector<char*> stacks;
Context scheduler;
Thread* running = nullptr;
std::vector<Block> blocks;
Body body = nullptr;
const void* with = nullptr;
unsigned launches = 0;

char* take_stack() {
  if (stacks.empty()) {
    void* p = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) std::perror("emulation: no stack"), std::abort();
    return static_cast<char*>(p);
  }
  char* p = stacks.back();
  stacks.pop_back();
  return p;
}

void enter() {
  arrive(running->context.fiber, &scheduler.fiber);
  body(with);
  running->state = State::done;
  leave(nullptr, scheduler.fiber);
  jump(running->context, scheduler);
  std::abort();
}
void go(Thread& t) {
  if (t.state == State::fresh) {
    t.stack = take_stack();
    clean(t.stack);
    prepare(t.context, t.stack, enter);
    t.context.fiber = {t.stack, kStack, nullptr};
  }
  t.state = State::ready;
  running = &t, here = &t.here;
  switch_to(scheduler, t.context);
  if (t.state == State::done) stacks.push_back(t.stack), t.stack = nullptr;
}
void wait(State s) {
  running->state = s;
  switch_to(running->context, scheduler);
}

// Those that wait for `s` go on when all that are left have come.
template <class Threads>
bool release(const Threads& group, State s) {
  bool any = false;
  for (const Thread* t : group) {
    if (t->state == State::done) continue;
    if (t->state != s) return false;
    any = true;
  }
  if (any)
    for (Thread* t : group)
      if (t->state == s) t->state = State::ready;
  return any;
}

void run_blocks(std::vector<Thread>& threads) {
  const bool backwards = launches % 2 == 1;
  std::vector<Thread*> all;
  for (Thread& t : threads) all.push_back(&t);
  for (;;) {
    bool ran = false, left = false;
    for (std::size_t i = 0; i < threads.size(); ++i) {
      Thread& t = threads[backwards ? threads.size() - 1 - i : i];
      if (t.state == State::fresh || t.state == State::ready) go(t), ran = true;
      left = left || t.state != State::done;
    }
    if (!left) return;
    bool freed = false;
    for (Block& b : blocks) {
      for (std::size_t w = 0; w < b.warps.size(); ++w) {
        const std::vector<Thread*> warp(
            b.threads.begin() + static_cast<std::ptrdiff_t>(w * 32),
            b.threads.begin() + static_cast<std::ptrdiff_t>(std::min(b.threads.size(), (w + 1) * 32)));
        freed = release(warp, State::at_warp) || freed;
      }
      freed = release(b.threads, State::at_block) || freed;
    }
    freed = release(all, State::at_grid) || freed;
    if (!freed && !ran) {
      std::fprintf(stderr,
                   "emulation: threads of a kernel wait for others that never come (a barrier or shuffle that "
                   "not all threads reach)\n");
      std::abort();
    }
  }
}

}  // namespace

void run_body(const unsigned (&grid)[3], const unsigned (&block)[3], std::size_t shared, bool cooperative, Body f,
              const void* argument) {
  const std::lock_guard lock(one_launch);
  const OpenMemory open;
  body = f, with = argument, ++launches;
  grid_dim = {grid[0], grid[1], grid[2]}, block_dim = {block[0], block[1], block[2]};
  const std::size_t per_block = std::size_t{block[0]} * block[1] * block[2];
  const std::size_t count = std::size_t{grid[0]} * grid[1] * grid[2], at_once = cooperative ? count : 1;
  if (per_block > 1024) std::fprintf(stderr, "emulation: %zu threads in a block\n", per_block), std::abort();
  std::vector<Thread> threads(per_block * at_once);
  blocks.assign(at_once, {});
  for (std::size_t first = 0; first < count; first += at_once) {
    for (std::size_t b = 0; b < at_once; ++b) {
      Block& into = blocks[b];
      const auto n = static_cast<unsigned>(first + b);
      into.warps.resize((per_block + 31) / 32);
      into.shared.assign(shared + 16, static_cast<char>(0xA5));
      into.threads.clear();
      for (std::size_t i = 0; i < per_block; ++i) {
        Thread& t = threads[b * per_block + i];
        const auto at = static_cast<unsigned>(i);
        t.here.thread = {at % block[0], at / block[0] % block[1], at / block[0] / block[1]};
        t.here.block = {n % grid[0], n / grid[0] % grid[1], n / grid[0] / grid[1]};
        t.copies.clear(), t.group = 0;
        t.state = State::fresh, t.block = static_cast<int>(b), t.warp = static_cast<int>(i / 32), t.lane = at % 32;
        into.threads.push_back(&t);
      }
    }
    run_blocks(threads);
  }
}

namespace {
char* shared_start(std::size_t block) {
  auto p = reinterpret_cast<std::uintptr_t>(blocks[block].shared.data());
  return reinterpret_cast<char*>((p + 15) / 16 * 16);
}
}  // namespace
void* dynamic_shared() { return shared_start(static_cast<std::size_t>(running->block)); }
void* shared_of(unsigned block, void* mine) {
  return shared_start(block) + (static_cast<char*>(mine) - static_cast<char*>(dynamic_shared()));
}
void wait_block() { wait(State::at_block); }
void wait_some(unsigned barrier, unsigned threads) {
  Block& b = blocks[static_cast<std::size_t>(running->block)];
  Block::Some& at = b.some[barrier % 16];
  if (barrier >= 16 || threads % 32 != 0 || (at.arrived > 0 && at.threads != threads)) {
    std::fprintf(stderr, "emulation: barrier %u of %u threads\n", barrier, threads);
    std::abort();
  }
  at.threads = threads, running->barrier = barrier;
  if (++at.arrived < threads) return wait(State::at_some);
  at.arrived = 0;
  for (Thread* t : b.threads)
    if (t->state == State::at_some && t->barrier == barrier) t->state = State::ready;
}
bool any_of_block(bool vote) {
  Block& b = blocks[static_cast<std::size_t>(running->block)];
  if (vote) b.vote = true;
  wait_block();
  const bool any = b.vote;
  wait_block();
  b.vote = false;
  wait_block();
  return any;
}
void wait_warp() { wait(State::at_warp); }
void wait_grid() { wait(State::at_grid); }
unsigned lane() { return running->lane; }
unsigned lanes() {
  const Block& b = blocks[static_cast<std::size_t>(running->block)];
  return static_cast<unsigned>(
      std::min<std::size_t>(32, b.threads.size() - static_cast<std::size_t>(running->warp) * 32));
}
namespace {
Exchange& exchange() {
  return blocks[static_cast<std::size_t>(running->block)].warps[static_cast<std::size_t>(running->warp)];
}
}  // namespace
void put(const void* value, std::size_t bytes) { std::memcpy(exchange().slot[running->lane], value, bytes); }
void get(unsigned lane, void* value, std::size_t bytes) { std::memcpy(value, exchange().slot[lane], bytes); }

void copy_later(void* to, const void* from, std::size_t bytes) {
  std::memset(to, 0xff, bytes);
  running->copies.push_back({to, from, bytes, running->group});
}
void close_copies() { ++running->group; }
void wait_copies(std::size_t groups) {
  auto& copies = running->copies;
  std::size_t done = 0;
  for (; done < copies.size() && copies[done].group + groups < running->group; ++done) {
    const Copy& c = copies[done];
    if (c.from)
      std::memcpy(c.to, c.from, c.bytes);
    else
      std::memset(c.to, 0, c.bytes);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(done));
}
void check_aligned(std::uintptr_t place, std::size_t bytes) {
  if (place % bytes == 0) return;
  std::fprintf(stderr, "emulation: an access of %zu bytes that is not aligned\n", bytes), std::abort();
}

}  // namespace emulation
