// Operands with canaries round them, and the comparison of contractions: |y - r| <= c u S per element.
#pragma once
#include <gtest/gtest.h>
#include <tapedeck/kernels/slot.h>
#include <tapedeck/tensor/parallel.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

namespace tapedeck {

// An operand of any layout: `order` lists the dimensions from the slowest to the fastest in memory; `pad` elements are
// left free after each row of the fastest dimension and `step` is that dimension's stride.
template <class T>
class Operand {
 public:
  static constexpr std::int64_t kGuard = 64;

  Operand(std::vector<std::int64_t> shape, std::vector<int> order = {}, std::int64_t pad = 0, std::int64_t step = 1)
      : shape_(std::move(shape)), strides_(shape_.size()) {
    if (order.empty()) {
      order.resize(shape_.size());
      std::iota(order.begin(), order.end(), 0);
    }
    std::int64_t extent = step;
    for (std::size_t i = order.size(); i-- > 0;) {
      strides_[order[i]] = extent;
      extent *= std::max<std::int64_t>(shape_[order[i]], 1);
      if (i + 1 == order.size()) extent += pad;
    }
    memory_.assign(extent + 2 * kGuard, std::numeric_limits<T>::quiet_NaN());
    before_ = memory_;
  }

  Operand& random(std::uint64_t seed) {
    each([&](T& v) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      v = static_cast<T>(static_cast<double>(static_cast<std::int64_t>(seed) >> 11) * 0x1p-52);
    });
    before_ = memory_;
    return *this;
  }
  Operand& fill(T value) {
    each([&](T& v) { v = value; });
    before_ = memory_;
    return *this;
  }
  // Calls f(element) in row-major order of the shape.
  template <class F>
  void each(F&& f) {
    if (numel() > 0) visit(memory_.data() + kGuard, 0, f);
  }
  T& operator()(const std::vector<std::int64_t>& at) { return memory_[kGuard + offset(at)]; }
  std::int64_t numel() const {
    std::int64_t n = 1;
    for (const std::int64_t s : shape_) n *= s;
    return n;
  }
  std::vector<T> values() {
    std::vector<T> out;
    out.reserve(numel());
    each([&](T& v) { out.push_back(v); });
    return out;
  }
  void restore() { memory_ = before_; }
  // True when everything outside the shape still has its bytes from random() or fill().
  bool outside_untouched() {
    Operand now = *this, before = *this;
    before.memory_ = before_;
    now.each([](T& v) { v = 0; });
    before.each([](T& v) { v = 0; });
    return std::memcmp(now.memory_.data(), before.memory_.data(), memory_.size() * sizeof(T)) == 0;
  }
  TensorView view() {
    TensorView v;
    v.data = memory_.data() + kGuard;
    v.dtype = dtype_of<T>();
    v.rank = static_cast<std::int32_t>(shape_.size());
    for (std::size_t d = 0; d < shape_.size(); ++d) v.sizes[d] = shape_[d], v.strides[d] = strides_[d];
    return v;
  }

 private:
  template <class F>
  void visit(T* at, std::size_t d, F& f) {
    if (d == shape_.size()) return static_cast<void>(f(*at));
    for (std::int64_t i = 0; i < shape_[d]; ++i) visit(at + i * strides_[d], d + 1, f);
  }
  std::int64_t offset(const std::vector<std::int64_t>& at) const {
    return std::inner_product(at.begin(), at.end(), strides_.begin(), std::int64_t{0});
  }
  std::vector<std::int64_t> shape_, strides_;
  std::vector<T> memory_, before_;
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

// The exact result of a contraction (in f64) and the sum of the absolute values of its terms, per output.
struct Expected {
  std::vector<double> value, magnitude;
  void begin() { value.push_back(0), magnitude.push_back(0); }
  void term(double t) { value.back() += t, magnitude.back() += std::abs(t); }
};

// "" when every |y - r| <= 8 u S; otherwise the first element that is not. A NaN on either side is a failure.
template <class T>
std::string mismatch(const std::vector<T>& y, const Expected& r) {
  if (y.size() != r.value.size()) return "sizes differ";
  const double u = std::numeric_limits<T>::epsilon() / 2;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const double error = std::abs(static_cast<double>(y[i]) - r.value[i]);
    if (!(error <= 8 * u * r.magnitude[i]))
      return "element " + std::to_string(i) + ": " + std::to_string(y[i]) + " for " + std::to_string(r.value[i]);
  }
  return "";
}

struct Threads {
  explicit Threads(int n) : before(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before); }
  int before;
};

}  // namespace tapedeck
