// A kernel from a shared object: what a plug-in includes besides the header of its op's family. It links nothing of
// ours; everything that it calls comes through the Registry.
//   TAPEDECK_PLUGIN(registry) { registry.add<Conv1dArgs>("conv1d", "mine", mine); }
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace tapedeck::kernels {

// Raised when the meaning of TensorView, DType or an argument struct changes without changing its name or size.
inline constexpr int kPluginAbi = 1;

// Of a type's name, size and alignment: the same from GCC and clang.
template <class T>
constexpr std::uint64_t type_stamp() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]"));
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto mix = [&hash](std::uint64_t v) { hash = (hash ^ v) * 0x100000001b3u; };
  for (const char c : text) mix(static_cast<unsigned char>(c));
  mix(sizeof(T)), mix(alignof(T));
  return hash;
}

class Registry {
 public:
  // Appends a variant to a slot by its name; it is inert until it is used. Texts are kept by pointer. ValueError: no
  // such slot, a name that is taken, other arguments than the slot's.
  template <class Args>
  void add(const char* slot, const char* variant, void (*fn)(const Args&),
           const char* (*supports)(const Args&) = nullptr, const char* note = "") {
    add_any(slot, type_stamp<Args>(), variant, reinterpret_cast<AnyFn>(fn), reinterpret_cast<AnyFn>(supports), note);
  }
  // body(begin, end) over [0, n) in chunks of `grain` on the program's threads.
  template <class F>
  void parallel_for(std::int64_t n, std::int64_t grain, F&& body) {
    const auto call = [](void* f, std::int64_t begin, std::int64_t end) {
      (*static_cast<std::remove_reference_t<F>*>(f))(begin, end);
    };
    run(n, grain, call, const_cast<void*>(static_cast<const void*>(&body)));
  }
  // Scratch of the calling thread as in exec.h: kernels allocate nothing.
  virtual void* workspace(std::size_t bytes) = 0;

 protected:
  using AnyFn = void (*)();
  virtual void add_any(const char* slot, std::uint64_t stamp, const char* variant, AnyFn fn, AnyFn supports,
                       const char* note) = 0;
  virtual void run(std::int64_t n, std::int64_t grain, void (*body)(void*, std::int64_t, std::int64_t), void* f) = 0;
  ~Registry() = default;
};

}  // namespace tapedeck::kernels

// The two functions that a plug-in exports. The registry lives as long as the program.
#define TAPEDECK_PLUGIN(registry)                                                  \
  extern "C" int tapedeck_plugin_abi() { return ::tapedeck::kernels::kPluginAbi; } \
  extern "C" void tapedeck_plugin(::tapedeck::kernels::Registry& registry)
