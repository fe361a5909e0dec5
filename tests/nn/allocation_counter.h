// Counts every allocation of this program: malloc and its kin, whatever calls them. Include in one source only.
#pragma once
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace tapedeck::nn {
inline std::atomic<std::int64_t> allocation_count{0};
inline std::int64_t allocations() { return allocation_count.load(); }
}  // namespace tapedeck::nn

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, std::size_t),
                                                         void (*freed)(const volatile void*));
namespace {
[[maybe_unused]] const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void*, std::size_t) { ++tapedeck::nn::allocation_count; }, [](const volatile void*) {});
}
#else
// glibc's own entry points stay reachable under these names when a program brings its own malloc.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t n) {
  ++tapedeck::nn::allocation_count;
  return __libc_malloc(n);
}
void* calloc(std::size_t n, std::size_t size) {
  ++tapedeck::nn::allocation_count;
  return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t n) {
  ++tapedeck::nn::allocation_count;
  return __libc_realloc(p, n);
}
void* memalign(std::size_t alignment, std::size_t n) {
  ++tapedeck::nn::allocation_count;
  return __libc_memalign(alignment, n);
}
void* aligned_alloc(std::size_t alignment, std::size_t n) { return memalign(alignment, n); }
int posix_memalign(void** p, std::size_t alignment, std::size_t n) {
  *p = memalign(alignment, n);
  return *p ? 0 : ENOMEM;
}
}
#endif
