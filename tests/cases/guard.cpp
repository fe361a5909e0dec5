#include "cases/guard.h"

#include <tapedeck/tensor/device.h>
#include <tapedeck/tensor/storage.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

namespace tapedeck::cases {
namespace {

// A block is [header 64][canary 64][memory][canary 64]; the header holds the size.
constexpr std::size_t kLine = 64;
constexpr unsigned char kCanary = 0xC5;
constexpr std::uint32_t kUnwritten = 0x7ff5a5a5;  // NaN as f32 and as f64, out of range as an index

std::atomic<std::size_t> most{SIZE_MAX};
std::mutex mutex;
std::string violations;

bool whole(const unsigned char* canary) {
  return std::all_of(canary, canary + kLine, [](unsigned char c) { return c == kCanary; });
}

void* allocate(int, std::size_t bytes) {
  if (bytes > most) return nullptr;
  auto* block = static_cast<unsigned char*>(std::aligned_alloc(kLine, (bytes + 4 * kLine - 1) / kLine * kLine));
  if (!block) return nullptr;
  std::memcpy(block, &bytes, sizeof bytes);
  std::memset(block + kLine, kCanary, kLine);
  unsigned char* memory = block + 2 * kLine;
  for (std::size_t i = 0; i < bytes; i += sizeof kUnwritten)
    std::memcpy(memory + i, &kUnwritten, std::min(sizeof kUnwritten, bytes - i));
  std::memset(memory + bytes, kCanary, kLine);
  return memory;
}

void release(int, void* p) {
  auto* memory = static_cast<unsigned char*>(p);
  unsigned char* block = memory - 2 * kLine;
  std::size_t bytes;
  std::memcpy(&bytes, block, sizeof bytes);
  if (!whole(block + kLine) || !whole(memory + bytes)) {
    const std::lock_guard lock(mutex);
    violations += std::string("canaries overwritten ") + (whole(block + kLine) ? "behind" : "before") + " a block of " +
                  std::to_string(bytes) + " bytes; ";
  }
  std::free(block);
}

}  // namespace

void guard_memory() {
  static DeviceRuntime guarding = runtime(DeviceType::cpu);
  guarding.name = "guarded cpu", guarding.allocate = allocate, guarding.release = release;
  detail::bypass_cache();
  set_runtime(DeviceType::cpu, &guarding);
}

ShortMemory::ShortMemory(std::size_t bytes) { most = bytes; }
ShortMemory::~ShortMemory() { most = SIZE_MAX; }

void report_violation(const std::string& text) {
  const std::lock_guard lock(mutex);
  violations += text;
}
std::string take_violations() {
  const std::lock_guard lock(mutex);
  return std::exchange(violations, "");
}

}  // namespace tapedeck::cases
