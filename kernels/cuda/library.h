// Libraries of the vendor that a program runs without: opened at run time, when they are there.
#pragma once
#include <dlfcn.h>

#include <initializer_list>

namespace tapedeck::kernels::cuda {

// The first of `names` that the loader finds. It stays open until the process ends, whoever forgets this object.
class Library {
 public:
  explicit Library(std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (!handle_) handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  bool found() const { return handle_ != nullptr; }
  // *function = what the library calls `name`; false when there is no library, or no such function in it.
  template <class F>
  bool find(const char* name, F** function) const {
    *function = handle_ ? reinterpret_cast<F*>(dlsym(handle_, name)) : nullptr;
    return *function != nullptr;
  }

 private:
  void* handle_ = nullptr;
};

// A library's functions, which open() finds, on the first call; nullptr: the library, or one of them, is not here.
template <class Functions>
const Functions* opened() {
  static const Functions* const found = []() -> const Functions* {
    static Functions functions{};
    return functions.open() ? &functions : nullptr;
  }();
  return found;
}

}  // namespace tapedeck::kernels::cuda
