// A sparse linear map along one dimension, which average pooling and interpolation are made of. Private to autograd/.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <memory>
#include <vector>

namespace tapedeck::detail {

// Output o sums the terms [first[o], last[o]) and divides by divisor[o] (empty: 1). Term j is weight[j] (empty: 1)
// times input index[j] (empty: input j; then both ends of the ranges rise with o).
struct LinearMap {
  std::int64_t inputs = 0;
  std::vector<std::int64_t> first, last, index;
  std::vector<double> weight, divisor;

  // Room for so many outputs of so many terms (0: none of their own); MemoryError.
  LinearMap(const char* op, std::int64_t inputs, std::int64_t outputs, std::int64_t terms);
  std::int64_t outputs() const { return static_cast<std::int64_t>(first.size()); }
  void add(std::int64_t input, double w) { index.push_back(input), weight.push_back(w); }
  void end_output();  // of those added since the last one
  bool identity() const;
  LinearMap transposed(const char* op) const;  // the terms of each output in the order of the inputs
};

// Maps dimension `dim` of x; recorded as `op`.
Tensor apply(const char* op, const Tensor& x, int dim, std::shared_ptr<const LinearMap> map);

// Dimensions 1, 2, … of x by one map each, those that shrink most first.
Tensor apply_all(const char* op, const Tensor& x, std::vector<LinearMap> maps);

}  // namespace tapedeck::detail
