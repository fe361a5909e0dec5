// The rule of additions of every contraction (matmul.h), as plain loops: what `ref` means.
#pragma once
#include <tapedeck/kernels/exec.h>
#include <tapedeck/tensor/dtype.h>

#include <cmath>
#include <cstdint>

namespace tapedeck::kernels::ref {

// A row of n outputs that are summed together, one contraction index after the other: FMA chains from +0 inside chunks
// of 256 indices, chunks added in order. Uses this thread's workspace.
template <class T>
class ChainRow {
 public:
  explicit ChainRow(std::int64_t n)
      : n_(n), total_(static_cast<T*>(workspace((2 * n + 1) * sizeof(T)))), part_(total_ + n) {}

  void begin() {
    index_ = 0;
    for (std::int64_t j = 0; j < n_; ++j) total_[j] = part_[j] = 0;
  }
  void next_index() {
    if (index_ != 0 && index_ % 256 == 0) end_chunk();
    ++index_;
  }
  // Adds the current index's terms a * b[j * stride] to outputs first .. first + count. b: T, or BFloat16.
  template <class W>
  void add(T a, const W* b, std::int64_t stride, std::int64_t first, std::int64_t count) {
    T* p = part_ + first;
    if (stride == 1) {
      for (std::int64_t j = 0; j < count; ++j) p[j] = std::fma(a, real(b[j]), p[j]);
    } else {
      for (std::int64_t j = 0; j < count; ++j) p[j] = std::fma(a, real(b[j * stride]), p[j]);
    }
  }
  const T* end() {
    end_chunk();
    return total_;
  }

 private:
  static T real(T x) { return x; }
  static T real(BFloat16 x) { return static_cast<T>(x.to_float()); }
  void end_chunk() {
    const bool first = index_ <= 256;
    for (std::int64_t j = 0; j < n_; ++j) total_[j] = first ? part_[j] : total_[j] + part_[j], part_[j] = 0;
  }

  std::int64_t n_, index_ = 0;
  T *total_, *part_;
};

// Rows per parallel_for chunk when a row costs this many multiplications: small work stays on one thread.
inline std::int64_t row_grain(std::int64_t multiplications) { return 1 + 100'000 / (multiplications + 1); }

}  // namespace tapedeck::kernels::ref
