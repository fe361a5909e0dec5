// Pool<T>: raw memory for small objects that come and go with every op, kept per thread.
#pragma once
#include <new>

namespace tapedeck::detail {

template <class T>
class Pool {
 public:
  static void* take() {
    Kept& k = kept();
    if (k.count > 0) return k.slots[--k.count];
    return ::operator new (sizeof(T), std::align_val_t{alignof(T)});
  }
  static void give(void* p) {
    Kept& k = kept();
#ifndef TAPEDECK_SANITIZED
    if (k.count < kMost && !k.dead) {
      if (!k.registered) [[unlikely]]
        clear_at_exit(k);
      k.slots[k.count++] = p;
      return;
    }
#endif
    ::operator delete (p, std::align_val_t{alignof(T)});
  }

 private:
  static constexpr int kMost = 512;
  struct Kept {  // plain data, so that reaching it needs no look whether it was constructed
    void* slots[kMost];
    int count;
    bool registered, dead;  // dead: objects may still die after this thread's pool has
  };
  struct AtExit {
    ~AtExit() {
      Kept& k = kept();
      k.dead = true;
      while (k.count > 0) ::operator delete (k.slots[--k.count], std::align_val_t{alignof(T)});
    }
  };
  static Kept& kept() {
    static constinit thread_local Kept k{};
    return k;
  }
  static void clear_at_exit(Kept& k) {
    static thread_local AtExit at_exit;
    static_cast<void>(at_exit);
    k.registered = true;
  }
};

}  // namespace tapedeck::detail
