// How the weights of a step's product lie in memory. Columns come in blocks of 32: 32 outputs, or with a gate 16 f and
// their 16 g; behind the last output they are zeros. Up to 4 blocks are a panel: k rows of its columns, then its bias
// in floats. The panels of a share stand one behind the other, so that all weights are read from front to back.
// Columns j and j + 16 of a block of bf16 are the lower and upper half of a 32-bit word.
#pragma once
#include <tapedeck/kernels/steps.h>

#include <algorithm>

namespace tapedeck::kernels {

inline constexpr std::int64_t kStepBlock = 32, kStepPanel = 4;

struct StepPanel {
  std::int64_t begin, end;  // blocks
  const char* weight;
};

class StepLayout {
 public:
  StepLayout(const StepProduct& p, int share) : weight_(static_cast<const char*>(p.weight) + share * p.share_stride) {
    const std::int64_t all = blocks(p);
    begin_ = p.shares == 1 ? 0 : all * share / p.shares;
    end_ = p.shares == 1 ? all : all * (share + 1) / p.shares;
    panels_ = (end_ - begin_ + kStepPanel - 1) / kStepPanel;
    // Cut evenly: a thin last panel would wait for its few chains.
    width_ = panels_ <= 1 ? end_ - begin_ : (end_ - begin_ + panels_ - 1) / panels_;
    block_bytes_ = kStepBlock * (p.k * (p.weights == DType::bf16 ? 2 : 4) + (p.bias ? 4 : 0));
  }
  static std::int64_t blocks(const StepProduct& p) {
    return p.then == StepThen::gate ? (p.n + kStepBlock / 2 - 1) / (kStepBlock / 2)
                                    : (p.n + kStepBlock - 1) / kStepBlock;
  }
  std::int64_t panels() const { return panels_; }
  std::int64_t block_bytes() const { return block_bytes_; }  // of k rows and the bias
  StepPanel panel(std::int64_t i) const {
    const std::int64_t first = i * width_, last = std::min(first + width_, end_ - begin_);
    return {begin_ + first, begin_ + last, weight_ + first * block_bytes_};
  }

 private:
  const char* weight_;
  std::int64_t begin_, end_, panels_, width_, block_bytes_;
};

}  // namespace tapedeck::kernels
