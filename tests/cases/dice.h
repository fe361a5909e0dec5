// Random choices of the hostile calls.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <cstdint>
#include <random>

namespace tapedeck::cases {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<std::uint64_t>(n)); }
  bool one_in(int n) { return below(n) == 0; }
  template <class T, std::size_t n>
  T any(const T (&list)[n]) {
    return list[below(static_cast<int>(n))];
  }
  std::uint64_t word() { return engine_(); }

  DType type() {
    return any({DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::i32, DType::u8, DType::boolean});
  }
  Shape shape() {
    Shape s;
    for (int rank = one_in(12) ? kMaxRank : below(6); rank > 0; --rank) s.push(any({0, 1, 1, 2, 2, 3, 3, 4, 5, 7}));
    return s;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace tapedeck::cases
