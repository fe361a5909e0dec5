#include "emulation.h"

#include <sys/mman.h>
#include <tapedeck/tensor/env.h>
#include <tapedeck/tensor/random.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <numeric>
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
enum class State { fresh, ready, at_warp, at_block, at_some, at_cluster, done };
struct Thread {
  Here here;
  Context context;
  State state = State::fresh;
  char* stack = nullptr;
  int block = 0, warp = 0;         // of this launch's running blocks, of the block
  unsigned lane = 0, barrier = 0;  // barrier: which one it waits at
  bool syncs = false;              // at_warp: and what was written before is seen behind it
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

unsigned number_of(const Thread& t) { return static_cast<unsigned>(t.warp) * 32 + t.lane; }

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
  races::enter(static_cast<unsigned>(t.block), number_of(t), t.stack, kStack);
  switch_to(scheduler, t.context);
  races::leave();
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

unsigned slot_of(const Block& b) { return static_cast<unsigned>(&b - blocks.data()); }
void meet_warp(const std::vector<Thread*>& warp) {
  unsigned numbers[32], count = 0;
  for (Thread* t : warp)
    if (std::exchange(t->syncs, false)) numbers[count++] = number_of(*t);
  if (count > 0) races::meet(static_cast<unsigned>(warp[0]->block), numbers, count);
}

// The order of this launch, for its blocks and for the threads of each.
std::vector<std::size_t> turns(std::size_t count) {
  static const std::string wanted = tapedeck::env("TAPEDECK_TEST_ORDER", "0");
  const std::uint64_t seed = std::strtoull(wanted.c_str(), nullptr, 10), draw = tapedeck::mix64(seed, launches);
  std::vector<std::size_t> out(count);
  std::iota(out.begin(), out.end(), 0);
  if (wanted == "backward" || (wanted != "forward" && draw % 3 == 1)) std::reverse(out.begin(), out.end());
  if (wanted == "backward" || wanted == "forward" || draw % 3 != 2) return out;
  for (std::size_t i = count; i > 1; --i) std::swap(out[i - 1], out[tapedeck::mix64(draw, i) % i]);
  return out;
}

void run_blocks(std::vector<Thread>& threads, std::size_t cluster) {
  const std::vector<std::size_t> order = turns(threads.size());
  std::vector<std::vector<Thread*>> clusters;  // of blocks that run at the same time
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (b % cluster == 0) clusters.emplace_back();
    clusters.back().insert(clusters.back().end(), blocks[b].threads.begin(), blocks[b].threads.end());
  }
  for (;;) {
    bool ran = false, left = false;
    for (const std::size_t i : order) {
      Thread& t = threads[i];
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
        if (release(warp, State::at_warp)) meet_warp(warp), freed = true;
      }
      if (release(b.threads, State::at_block)) races::meet_block(slot_of(b)), freed = true;
    }
    for (std::size_t c = 0; c < clusters.size(); ++c)
      if (release(clusters[c], State::at_cluster))
        races::meet_cluster(static_cast<unsigned>(c * cluster)), freed = true;
    if (!freed && !ran) {
      std::fprintf(stderr,
                   "emulation: threads of a kernel wait for others that never come (a barrier or shuffle that "
                   "not all threads reach)\n");
      std::abort();
    }
  }
}

}  // namespace

void run_body(const unsigned (&grid)[3], const unsigned (&block)[3], std::size_t shared, Together together, Body f,
              const void* argument) {
  const std::lock_guard lock(one_launch);
  const OpenMemory open;
  body = f, with = argument, ++launches;
  grid_dim = {grid[0], grid[1], grid[2]}, block_dim = {block[0], block[1], block[2]};
  const std::size_t per_block = std::size_t{block[0]} * block[1] * block[2];
  const std::size_t count = std::size_t{grid[0]} * grid[1] * grid[2];
  const std::size_t at_once = together.all || together.cluster > 1 ? count : 1;
  const std::size_t cluster = together.cluster > 1 ? together.cluster : at_once;
  // What every device since compute capability 3.0 takes, and the shared memory that this one says it has.
  if (per_block > 1024 || block[2] > 64 || grid[0] > 0x7fffffffu || grid[1] > 65535 || grid[2] > 65535 ||
      shared > 200 << 10) {
    std::fprintf(stderr, "emulation: no device runs %ux%ux%u blocks of %ux%ux%u threads with %zu bytes\n", grid[0],
                 grid[1], grid[2], block[0], block[1], block[2], shared);
    std::abort();
  }
  if (at_once % cluster != 0)
    std::fprintf(stderr, "emulation: clusters of %zu of %zu blocks\n", cluster, count), std::abort();
  std::vector<Thread> threads(per_block * at_once);
  blocks.assign(at_once, {});
  races::begin_launch(static_cast<unsigned>(per_block), static_cast<unsigned>(at_once), static_cast<unsigned>(cluster));
  const std::vector<std::size_t> order = turns(count);
  for (std::size_t first = 0; first < count; first += at_once) {
    for (std::size_t b = 0; b < at_once; ++b) {
      Block& into = blocks[b];
      const auto n = static_cast<unsigned>(at_once > 1 ? b : order[first]);
      into.warps.resize((per_block + 31) / 32);
      into.shared.assign(shared + 16, static_cast<char>(0xA5));
      into.threads.clear();
      races::begin_block(static_cast<unsigned>(b), n, into.shared.data(), into.shared.size());
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
    run_blocks(threads, cluster);
  }
  races::end_launch();
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
  std::vector<unsigned> met{number_of(*running)};
  for (Thread* t : b.threads)
    if (t->state == State::at_some && t->barrier == barrier) t->state = State::ready, met.push_back(number_of(*t));
  races::meet(slot_of(b), met.data(), met.size());
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
void sync_warp() {
  running->syncs = true;
  wait(State::at_warp);
}
void wait_cluster() { wait(State::at_cluster); }
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
  races::copy_begins(to, from, bytes, __builtin_return_address(0));
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
    races::copy_ends(c.to, c.from, c.bytes);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(done));
}
void check_aligned(std::uintptr_t place, std::size_t bytes) {
  if (place % bytes == 0) return;
  std::fprintf(stderr, "emulation: an access of %zu bytes that is not aligned\n", bytes), std::abort();
}

}  // namespace emulation
