#include "races.h"

#ifdef TAPEDECK_RACES
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/tsan_interface.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "emulated_memory.h"
#include "emulation.h"

extern "C" {
extern char __executable_start, __data_start, _end;  // by the linker
void __tsan_read1_pc(void*, void*);
void __tsan_write1_pc(void*, void*);
void __tsan_read_range_pc(void*, unsigned long, void*);
void __tsan_write_range_pc(void*, unsigned long, void*);
}

namespace emulation::races {
namespace {

using Epoch = std::uint32_t;               // of one thread: how often it could have told others of what it did
constexpr Epoch kUnderWay = ~Epoch{};      // of a copy in the background: nobody knows that it is done
using Epochs = std::vector<Epoch>;         // up to which one knows each thread of a block
using Known = std::map<unsigned, Epochs>;  // by block

struct Access {
  std::uint32_t launch = 0, block = 0;
  Epoch epoch = 0;
  std::uint32_t place = 0;  // in the program
  std::uint16_t thread = 0;
  std::uint8_t bytes = 0;
  bool write = false, strong = false;
};
using Cell = std::array<Access, 4>;  // the latest of one word that are not outdated by others

constexpr std::uintptr_t kPage = 1024;
struct Page {
  unsigned shift = 2;  // a cell has 1 << shift bytes: fewer when somebody touched fewer
  std::vector<Cell> cells = std::vector<Cell>(kPage >> 2);

  void refine(unsigned to) {
    while (shift > to) {
      std::vector<Cell> finer;
      for (const Cell& c : cells) finer.push_back(c), finer.push_back(c);
      cells = std::move(finer), --shift;
    }
  }
};

struct Told {  // what a fence told, to whoever sees a strong write after it
  unsigned block;
  bool of_block;
  Known known;
};
using Tidings = std::set<std::shared_ptr<const Told>>;

struct Thread {
  Epoch epoch = 1;
  Epochs seen;  // of its own block, beyond Block::base; empty: nothing
  Known far;    // of other blocks, beyond Block::of_cluster
  std::shared_ptr<const Told> told;
  Tidings heard;  // by strong reads, and to be known after the next fence
};
struct Block {
  unsigned number = 0, cluster = 0;
  std::uintptr_t shared = 0;
  std::size_t bytes = 0;
  Epochs base, of_cluster;  // at the last barrier of the block, of the cluster: all threads know
  std::vector<Thread> threads;
};

std::uint32_t launch = 0;
unsigned per_block = 0, cluster_size = 0;
bool together = false;
std::vector<Block> blocks;
std::unordered_map<std::uintptr_t, Page> pages;
std::pair<std::uintptr_t, Page*> recent[256];
std::unordered_map<const void*, Tidings> posted;
unsigned chance = 1;

struct Now {
  Block* block = nullptr;
  Thread* self = nullptr;
  unsigned thread = 0;
  const char* stack = nullptr;
  std::size_t bytes = 0;
};
thread_local Now now;

struct Race {
  Access first, second;
  std::uintptr_t at;
};
std::vector<Race> found;
std::set<std::pair<std::uint32_t, std::uint32_t>> reported;

void raise(Epochs& a, const Epochs& b) {
  if (a.size() < b.size()) a.resize(b.size(), 0);
  for (std::size_t i = 0; i < b.size(); ++i) a[i] = std::max(a[i], b[i]);
}
void raise(Known& a, const Known& b) {
  for (const auto& [block, epochs] : b) raise(a[block], epochs);
}

// Whether the running thread does what it does after `a`.
bool comes_after(const Access& a) {
  if (a.epoch == kUnderWay) return false;
  if (a.block == now.block->number)
    return a.thread == now.thread || a.epoch <= now.block->base[a.thread] ||
           (!now.self->seen.empty() && a.epoch <= now.self->seen[a.thread]);
  if (together) {
    const Block& other = blocks[a.block];
    if (other.cluster == now.block->cluster && a.epoch <= other.of_cluster[a.thread]) return true;
  }
  const auto known = now.self->far.find(a.block);
  return known != now.self->far.end() && a.epoch <= known->second[a.thread];
}
bool outdates(const Access& later, const Access& earlier) {  // whoever races with the earlier does with the later
  return (later.write || !earlier.write) && (!later.strong || earlier.strong);
}

void note(Cell& cell, const Access& a, bool of_block, std::uintptr_t at) {
  Access* free = nullptr;
  for (Access& old : cell) {
    if (old.launch != launch || (of_block && old.block != a.block)) {
      free = &old;
      continue;
    }
    const bool own = old.block == a.block && old.thread == a.thread;
    if (own && old.epoch == a.epoch && old.write == a.write && old.strong == a.strong) return;
    if (comes_after(old)) {
      if (outdates(a, old)) free = &old, old.launch = 0;
    } else if ((old.write || a.write) && !(old.strong && a.strong)) {
      if (reported.emplace(old.place, a.place).second) found.push_back({old, a, at});
    }
  }
  if (!free) chance = chance * 1664525u + 1013904223u, free = &cell[chance >> 30];
  *free = a;
}
Page& page_of(std::uintptr_t number) {
  auto& [last, page] = recent[number % 256];
  if (!page || last != number) last = number, page = &pages[number];
  return *page;
}
template <class F>
void each_cell(std::uintptr_t p, std::size_t bytes, F&& f) {
  while (bytes > 0) {
    const std::size_t here = std::min<std::size_t>(bytes, kPage - p % kPage);
    Page& page = page_of(p / kPage);
    const std::uintptr_t odd = (p | here) & 3;
    page.refine(odd == 0 ? 2 : odd == 2 ? 1 : 0);
    const std::size_t first = p % kPage >> page.shift, end = first + (here >> page.shift);
    for (std::size_t i = first; i < end; ++i) f(page.cells[i], p + ((i - first) << page.shift));
    p += here, bytes -= here;
  }
}
bool within(std::uintptr_t p, const void* start, std::size_t bytes) {
  return p - reinterpret_cast<std::uintptr_t>(start) < bytes;
}
enum class Where { elsewhere, device, block };
Where where(std::uintptr_t p) {
  if (within(p, now.stack, now.bytes)) return Where::elsewhere;
  if (on_device(reinterpret_cast<const void*>(p))) return Where::device;
  if (p - now.block->shared < now.block->bytes) return Where::block;
  if (within(p, &__data_start, static_cast<std::size_t>(&_end - &__data_start)))  // a __shared__ array
    return within(p, &here, sizeof here) || within(p, &block_dim, sizeof block_dim) ||
                   within(p, &grid_dim, sizeof grid_dim)
               ? Where::elsewhere
               : Where::block;
  if (together)
    for (const Block& b : blocks)
      if (p - b.shared < b.bytes) return Where::block;
  return Where::elsewhere;
}
std::uint32_t place_of(const void* caller) {
  return static_cast<std::uint32_t>(static_cast<const char*>(caller) - &__executable_start);
}
Access access_of(std::size_t bytes, bool write, bool strong, const void* caller) {
  return {launch,
          now.block->number,
          now.self->epoch,
          place_of(caller),
          static_cast<std::uint16_t>(now.thread),
          static_cast<std::uint8_t>(bytes),
          write,
          strong};
}
void access(const void* pointer, std::size_t bytes, const Access& a) {
  const auto p = reinterpret_cast<std::uintptr_t>(pointer);
  const Where in = where(p);
  if (in == Where::elsewhere) return;
  each_cell(p, bytes, [&](Cell& c, std::uintptr_t at) { note(c, a, in == Where::block && !together, at); });
}

// ---- reports --------------------------------------------------------------------------------------------------------
std::string lines_of(std::uint32_t place) {  // the innermost first
  char text[4096] = {};
  for (const char* form : {"%S", "%m+%o"}) {  // where lines are unknown, what addr2line takes
    __sanitizer_symbolize_pc(&__executable_start + place, form, text, sizeof text - 2);
    if (!std::strstr(text, "<null>")) break;
  }
  std::string out;
  for (const char* p = text; *p; p += std::char_traits<char>::length(p) + 1) {
    std::string line(p);
    line.erase(0, line.rfind('/') + 1);
    out += (out.empty() ? "" : " < ") + line;
  }
  return out;
}
std::string text_of(const Access& a) {
  return std::string(a.strong ? "an atomic " : "a ") + (a.write ? "write" : "read") + " of " + std::to_string(a.bytes) +
         " bytes by thread " + std::to_string(a.thread) + " of block " + std::to_string(a.block) + " at " +
         lines_of(a.place) + (a.epoch == kUnderWay ? " in the background" : "");
}

}  // namespace

void begin_launch(unsigned threads, unsigned count, unsigned cluster) {
  ++launch, per_block = threads, cluster_size = cluster == 0 ? count : cluster, together = count > 1;
  blocks.assign(count, {});
  posted.clear();
  if (pages.size() > 20000)
    pages.clear(), std::fill(std::begin(recent), std::end(recent), std::pair<std::uintptr_t, Page*>{});
}
void begin_block(unsigned slot, unsigned number, const void* shared, std::size_t bytes) {
  Block& b = blocks[slot];
  b.number = number, b.cluster = slot / cluster_size;
  b.shared = reinterpret_cast<std::uintptr_t>(shared), b.bytes = bytes;
  b.base.assign(per_block, 0), b.of_cluster.assign(per_block, 0);
  b.threads.assign(per_block, {});
}
void end_launch() {
  for (const Race& r : std::exchange(found, {}))
    on_violation("a race for " + std::string(on_device(reinterpret_cast<const void*>(r.at)) ? "device" : "shared") +
                 " memory: " + text_of(r.first) + ", and " + text_of(r.second) + "; ");
}
void forget() { reported.clear(); }
void enter(unsigned slot, unsigned thread, const char* stack, std::size_t bytes) {
  Block& b = blocks[slot];
  now = {&b, &b.threads[thread], thread, stack, bytes};
}
void leave() { now = {}; }

void meet(unsigned slot, const unsigned* threads, std::size_t count) {
  Block& b = blocks[slot];
  Epochs seen(per_block, 0);
  Known far;
  for (std::size_t i = 0; i < count; ++i) {
    Thread& t = b.threads[threads[i]];
    raise(seen, t.seen), raise(far, t.far);
    seen[threads[i]] = std::max(seen[threads[i]], t.epoch++);
  }
  for (std::size_t i = 0; i < count; ++i) b.threads[threads[i]].seen = seen, b.threads[threads[i]].far = far;
}
void meet_block(unsigned slot) {
  Block& b = blocks[slot];
  Known far;
  for (unsigned i = 0; i < per_block; ++i) {
    Thread& t = b.threads[i];
    b.base[i] = t.epoch++;
    t.seen.clear();
    raise(far, t.far);
  }
  if (!far.empty())
    for (Thread& t : b.threads) t.far = far;
}
void meet_cluster(unsigned first_slot) {
  Known far;
  for (unsigned s = first_slot; s < first_slot + cluster_size; ++s) {
    meet_block(s);
    blocks[s].of_cluster = blocks[s].base;
    raise(far, blocks[s].threads[0].far);
  }
  if (far.empty()) return;
  for (unsigned s = first_slot; s < first_slot + cluster_size; ++s)
    for (Thread& t : blocks[s].threads) t.far = far;
}

void fence(bool of_block) {
  if (!now.self) return;
  Thread& self = *now.self;
  auto told = std::make_shared<Told>(Told{now.block->number, of_block, self.far});
  Epochs& own = told->known[now.block->number];
  own = now.block->base;
  raise(own, self.seen);
  own[now.thread] = self.epoch++;
  if (together)
    for (const Block& b : blocks)
      if (b.cluster == now.block->cluster && &b != now.block) raise(told->known[b.number], b.of_cluster);
  self.told = std::move(told);
  for (auto t = self.heard.begin(); t != self.heard.end();) {
    if (of_block && (*t)->block != now.block->number) {
      ++t;
      continue;
    }
    for (const auto& [block, epochs] : (*t)->known)
      raise(block == now.block->number ? self.seen : self.far[block], epochs);
    t = self.heard.erase(t);
  }
}
void strong(const void* p, std::size_t bytes, bool read, bool write, const void* caller) {
  if (!now.self) return;
  access(p, bytes, access_of(bytes, write, true, caller));
  const auto at = posted.find(p);
  if (read && at != posted.end())
    for (const auto& t : at->second)
      if (!t->of_block || t->block == now.block->number) now.self->heard.insert(t);
  if (!write) return;
  if (!read && at != posted.end()) at->second.clear();
  if (now.self->told) posted[p].insert(now.self->told);
}
void copy_begins(const void* to, const void* from, std::size_t bytes, const void* caller) {
  if (!now.self) return;
  Access a = access_of(bytes, false, false, caller);
  a.epoch = kUnderWay;
  if (from) access(from, bytes, a);
  a.write = true;
  access(to, bytes, a);
}
void copy_ends(const void* to, const void* from, std::size_t bytes) {
  if (!now.self) return;
  for (const void* p : {to, from}) {
    if (!p) continue;
    each_cell(reinterpret_cast<std::uintptr_t>(p), bytes, [](Cell& c, std::uintptr_t) {
      for (Access& a : c)
        if (a.launch == launch && a.block == now.block->number && a.thread == now.thread && a.epoch == kUnderWay)
          a.epoch = now.self->epoch;
    });
  }
}

namespace {
// Host code in the same files is ThreadSanitizer's.
void accessed(void* p, std::size_t bytes, bool write, bool strongly, void* caller) {
  if (!now.self) return write ? __tsan_write_range_pc(p, bytes, caller) : __tsan_read_range_pc(p, bytes, caller);
  if (strongly) return strong(p, bytes, !write, write, caller);
  access(p, bytes, access_of(bytes, write, false, caller));
}
}  // namespace

}  // namespace emulation::races

#define TD_CALLS(n)                                                                                               \
  void tapedeck_read##n(void* p) { emulation::races::accessed(p, n, false, false, __builtin_return_address(0)); } \
  void tapedeck_write##n(void* p) { emulation::races::accessed(p, n, true, false, __builtin_return_address(0)); } \
  void tapedeck_volatile_read##n(void* p) {                                                                       \
    emulation::races::accessed(p, n, false, true, __builtin_return_address(0));                                   \
  }                                                                                                               \
  void tapedeck_volatile_write##n(void* p) {                                                                      \
    emulation::races::accessed(p, n, true, true, __builtin_return_address(0));                                    \
  }
extern "C" {
TD_CALLS(1)
TD_CALLS(2)
TD_CALLS(4)
TD_CALLS(8)
TD_CALLS(16)
void tapedeck_read_range(void* p, std::size_t bytes) {
  emulation::races::accessed(p, bytes, false, false, __builtin_return_address(0));
}
void tapedeck_write_range(void* p, std::size_t bytes) {
  emulation::races::accessed(p, bytes, true, false, __builtin_return_address(0));
}
}
#endif
