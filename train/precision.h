// Training in bf16 or f16: a second network of the same tree holds today's weights in the short type, runs forward and
// backward, and gives its gradients to the f32 network, which the optimizer changes. Losses, statistics and sums are
// f32 in the kernels either way.
#pragma once
#include <tapedeck/nn/network.h>

namespace tapedeck::train {

class ShortNetwork {
 public:
  // `master` is materialised, in f32, and outlives it. DTypeError for a dtype that is not bf16 or f16.
  ShortNetwork(nn::Part<nn::Network> master, DType dtype);
  nn::Network& network() { return *network_; }
  void take_weights();    // rounds the master's values
  void give_gradients();  // writes the gradients of the last backward into the master's arenas

 private:
  nn::Part<nn::Network> master_, network_;
};

// f16 has few small numbers: losses are multiplied before backward, gradients divided after. Twice as much after
// `patience` good steps in a row, half as much after one whose gradient overflowed (Micikevicius et al. 2018).
class LossScale {
 public:
  explicit LossScale(DType dtype) : value_(dtype == DType::f16 ? 65536 : 1), moves_(dtype == DType::f16) {}
  double value() const { return value_; }
  bool moves() const { return moves_; }
  void good_step() {
    if (moves_ && ++good_ % kPatience == 0 && value_ < kMost) value_ *= 2;
  }
  bool overflowed() {  // whether a smaller scale may help
    if (!moves_ || value_ <= 1) return false;
    value_ /= 2, good_ = 0;
    return true;
  }
  void set(double value, std::int64_t good) { value_ = value, good_ = good; }
  std::int64_t good_steps() const { return good_; }

 private:
  static constexpr std::int64_t kPatience = 2000;
  static constexpr double kMost = 1 << 24;
  double value_;
  bool moves_;
  std::int64_t good_ = 0;
};

}  // namespace tapedeck::train
