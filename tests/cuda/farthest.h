// How far results of a device lie from those they are held against.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace tapedeck {

// The farthest element of two f64 tensors, in shares of b's largest; infinity when their numbers of elements differ,
// and when an element is no number.
inline double farthest(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  if (x.size() != y.size()) return std::numeric_limits<double>::infinity();
  double far = 0, size = 1e-30;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double off = std::abs(x[i] - y[i]);
    if (std::isnan(off)) return std::numeric_limits<double>::infinity();
    far = std::max(far, off);
    size = std::max(size, std::abs(y[i]));
  }
  return far / size;
}

}  // namespace tapedeck
