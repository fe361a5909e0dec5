#include <tapedeck/tensor/fork.h>

#include <atomic>

#ifdef __unix__
#include <pthread.h>
#endif

namespace tapedeck {

int forks() {
  static std::atomic<int> count{0};
#ifdef __unix__
  static const int registered = pthread_atfork(nullptr, nullptr, [] { count.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
#endif
  return count.load(std::memory_order_relaxed);
}

}  // namespace tapedeck
