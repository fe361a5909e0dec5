// What a tape is made of: recorded ops (nodes), each with its backward half (rule), and gradients on their way (slots).
#pragma once
#include <tapedeck/autograd/recording.h>
#include <tapedeck/tensor/tensor.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

namespace tapedeck {

class Grads;

namespace detail {
// Move-only callable with inline room: a rule captures what the formula needs, and that list is what is saved.
class Rule {
 public:
  static constexpr std::size_t kInline = 120;
  Rule() = default;
  template <class F>
  explicit Rule(F f) {
    if constexpr (sizeof(F) <= kInline && alignof(F) <= alignof(std::max_align_t)) {
      new (room_) F(std::move(f));
      ops_ = &inline_ops<F>;
    } else {
      *reinterpret_cast<F**>(room_) = new F(std::move(f));
      ops_ = &heap_ops<F>;
    }
  }
  Rule(Rule&& o) noexcept : ops_(std::exchange(o.ops_, nullptr)) {
    if (ops_) ops_->move(room_, o.room_);
  }
  Rule& operator=(Rule&& o) noexcept {
    if (this != &o) {
      this->~Rule();
      new (this) Rule(std::move(o));
    }
    return *this;
  }
  ~Rule() {
    if (ops_) ops_->destroy(room_);
  }
  void operator()(const Tensor& gy, Grads& g) { ops_->call(room_, gy, g); }

 private:
  struct Ops {
    void (*call)(void*, const Tensor&, Grads&);
    void (*move)(void* to, void* from);
    void (*destroy)(void*);
  };
  template <class F>
  static constexpr Ops inline_ops{[](void* p, const Tensor& gy, Grads& g) { (*static_cast<F*>(p))(gy, g); },
                                  [](void* to, void* from) {
                                    new (to) F(std::move(*static_cast<F*>(from)));
                                    static_cast<F*>(from)->~F();
                                  },
                                  [](void* p) { static_cast<F*>(p)->~F(); }};
  template <class F>
  static constexpr Ops heap_ops{[](void* p, const Tensor& gy, Grads& g) { (**static_cast<F**>(p))(gy, g); },
                                [](void* to, void* from) { *static_cast<F**>(to) = *static_cast<F**>(from); },
                                [](void* p) { delete *static_cast<F**>(p); }};
  const Ops* ops_ = nullptr;
  alignas(std::max_align_t) unsigned char room_[kInline];
};

struct Node {
  const char* name;
  std::uint64_t module;  // hash of the path of the module that called the op
  Note note;
  std::int32_t first_edge, inputs, outputs, end_slot;  // edges: inputs, then outputs; slots from there on came later
  Rule rule;
};
struct Slot {
  enum class Kind : std::uint8_t { output, watched, parameter } kind = Kind::output;
  bool kept = false;  // grad() may ask for it: backward leaves it
  Tensor grad;
  Tensor tensor;  // a leaf, or an output that is kept or has hooks
  Shape shape;
  TensorOptions options;
};
struct TapeLists {  // their memory goes from one tape of a thread to the next
  std::vector<Node> nodes_;
  std::vector<std::int32_t> edges_;  // slots, or -1 for an input without a gradient
  std::vector<Slot> slots_;
};
}  // namespace detail

}  // namespace tapedeck
