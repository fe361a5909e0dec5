// Division by a number that is known at launch: a multiplication, as long as both fit 31 bits.
#pragma once
#include <tapedeck/kernels/cuda/cuda.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

class Divisor {
 public:
  Divisor() = default;
  TD_HD explicit Divisor(std::int64_t d) : divisor_(d < 1 ? 1 : d) {
    if (divisor_ > kSmall) return;
    while ((std::int64_t{1} << shift_) < divisor_) ++shift_;
    factor_ = static_cast<std::uint32_t>((std::uint64_t{1} << 32) *
                                             ((std::uint64_t{1} << shift_) - static_cast<std::uint64_t>(divisor_)) /
                                             static_cast<std::uint64_t>(divisor_) +
                                         1);
  }
  TD_HD std::int64_t value() const { return divisor_; }
  // n / divisor where both are below 2^31.
  __device__ std::uint32_t small(std::uint32_t n) const { return (__umulhi(n, factor_) + n) >> shift_; }
  // n / divisor for n >= 0.
  __device__ std::int64_t operator()(std::int64_t n) const {
    if (n > kSmall || divisor_ > kSmall) return n / divisor_;
    return small(static_cast<std::uint32_t>(n));
  }
  // The same, and what is left.
  __device__ std::int64_t operator()(std::int64_t n, std::int64_t* rest) const {
    const std::int64_t q = (*this)(n);
    *rest = n - q * divisor_;
    return q;
  }

 private:
  static constexpr std::int64_t kSmall = 0x7fffffff;
  std::int64_t divisor_ = 1;
  std::uint32_t factor_ = 1;  // of divisor 1: the product's upper half is 0
  int shift_ = 0;
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
