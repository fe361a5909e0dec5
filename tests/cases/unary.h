// The functions of one real tensor as data: what the op cases and the sweep over bit patterns are made of.
#pragma once
#include <span>

#include "cases/op_case.h"

namespace tapedeck::cases {

using Wide = long double;

// A formula that shares nothing with the kernels, in two precisions: cases want the best, 2^32 patterns the faster one.
struct Oracle {
  Wide (*wide)(Wide);
  double (*narrow)(double);
};

struct Unary {
  const char* op;
  const char* text = "";
  Tensor (*f)(const Tensor&);
  Oracle oracle;
  Bound bound{};                  // f32; f64 gets one ulp more for its reference
  double ulps = 0;                // of the sweep, where `bound` has none of its own
  double low = -1.5, high = 1.5;  // of the gradient check; low > 0: normal inputs are replaced by [0.25, 4)
  Bound gradient{};               // relative to the gradient's own slope
  double (*condition)(double x, double y) = nullptr;  // what |gy| is multiplied with in the gradient's magnitude
};
std::span<const Unary> unary_ops();

Bound for_dtype(Bound b, DType t);  // a bound of f32 as that of dtype t

void add_unary(std::vector<OpCase>& t);

}  // namespace tapedeck::cases
