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
      k.slots[k.count++] = p;
      return;
    }
#endif
    ::operator delete (p, std::align_val_t{alignof(T)});
  }

 private:
  static constexpr int kMost = 512;
  struct Kept {
    void* slots[kMost];
    int count = 0;
    bool dead = false;  // objects may still die after this thread's pool has
    ~Kept() {
      dead = true;
      while (count > 0) ::operator delete (slots[--count], std::align_val_t{alignof(T)});
    }
  };
  static Kept& kept() {
    thread_local Kept k;
    return k;
  }
};

}  // namespace tapedeck::detail
