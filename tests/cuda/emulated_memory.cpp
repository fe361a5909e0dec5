#include "emulated_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace emulation {
namespace {

constexpr std::size_t kLine = 64, kArena = std::size_t{16} << 30, kPage = 2 << 20;  // few pages: cheap to protect
constexpr unsigned char kCanary = 0xC5;
constexpr std::uint32_t kUnwritten = 0x7ff5a5a5;  // NaN as f32 and as f64, out of range as an index

struct Block {
  std::size_t bytes = 0, room = 0;
  int device = 0;
};
std::recursive_mutex mutex;
std::map<char*, Block> live;
std::multimap<std::size_t, char*> spare;  // room (canaries included) -> start
std::size_t most = SIZE_MAX;
int opened = 0;

char* base() {
  static char* const p = [] {
    void* m = mmap(nullptr, kArena + kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) std::perror("emulated device memory"), std::abort();
    char* const first = static_cast<char*>(m) + (kPage - reinterpret_cast<std::uintptr_t>(m) % kPage) % kPage;
    madvise(first, kArena, MADV_HUGEPAGE);
    return first;
  }();
  return p;
}
std::size_t used = 0;

void protect(int rights) {
  const std::size_t bytes = (used + kPage - 1) / kPage * kPage;
  if (bytes && mprotect(base(), bytes, rights) != 0) std::perror("mprotect"), std::abort();
}
// Under AddressSanitizer, what lies between blocks and in released ones is not to be touched at all.
#ifdef __SANITIZE_ADDRESS__
void forbid(const char* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
void permit(const char* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
#else
void forbid(const char*, std::size_t) {}
void permit(const char*, std::size_t) {}
#endif
bool whole(const char* canary) {
  return std::all_of(canary, canary + kLine, [](char c) { return static_cast<unsigned char>(c) == kCanary; });
}

}  // namespace

void (*on_violation)(const std::string&) = [](const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); };

OpenMemory::OpenMemory() {
  const std::lock_guard lock(mutex);
  if (opened++ == 0) protect(PROT_READ | PROT_WRITE);
}
OpenMemory::~OpenMemory() {
  const std::lock_guard lock(mutex);
  if (--opened == 0) protect(PROT_NONE);
}

void* allocate(int device, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  if (bytes > most) return nullptr;
  const std::size_t room = (bytes + 3 * kLine - 1) / kLine * kLine;
  char* start = nullptr;
  if (const auto hit = spare.lower_bound(room); hit != spare.end() && hit->first <= room + room / 4) {
    start = hit->second;
    spare.erase(hit);
  } else {
    if (used + room > kArena) return nullptr;
    start = base() + used;
    used += room;
    if (opened > 0) protect(PROT_READ | PROT_WRITE);
  }
  const OpenMemory open;
  permit(start, room);
  char* memory = start + kLine;
  std::memset(start, kCanary, kLine);
  for (std::size_t i = 0; i < bytes; i += sizeof kUnwritten)
    std::memcpy(memory + i, &kUnwritten, std::min(sizeof kUnwritten, bytes - i));
  std::memset(memory + bytes, kCanary, kLine);
  forbid(start, kLine), forbid(memory + bytes, room - kLine - bytes);
  live[memory] = {bytes, room, device};
  return memory;
}

void release(int device, void* p) {
  const std::lock_guard lock(mutex);
  const OpenMemory open;
  char* memory = static_cast<char*>(p);
  const auto hit = live.find(memory);
  if (hit == live.end() || hit->second.device != device) {
    return on_violation("a block that is not of this device was released; ");
  }
  const auto [bytes, room, owner] = hit->second;
  permit(memory - kLine, room);
  if (!whole(memory - kLine) || !whole(memory + bytes))
    on_violation(std::string("canaries overwritten ") + (whole(memory - kLine) ? "behind" : "before") + " a block of " +
                 std::to_string(bytes) + " bytes on the device; ");
  std::memset(memory, 0xA5, bytes);
  forbid(memory - kLine, room);
  live.erase(hit);
  spare.emplace(room, memory - kLine);
}

bool owned(int device, const void* p, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  auto hit = live.upper_bound(static_cast<char*>(const_cast<void*>(p)));
  if (hit == live.begin()) return false;
  --hit;
  const char* at = static_cast<const char*>(p);
  return hit->second.device == device && at >= hit->first && at + bytes <= hit->first + hit->second.bytes;
}

bool on_device(const void* p) { return static_cast<std::size_t>(static_cast<const char*>(p) - base()) < kArena; }

void limit_memory(std::size_t bytes) { most = bytes; }

}  // namespace emulation
