// The comparison of a result with what it should be: per element, never an aggregate, without absolute tolerance.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <string>
#include <vector>

namespace tapedeck::cases {

// What a result is held against, in row-major order. long double holds every f64 and every i64.
struct Expected {
  Shape shape;
  DType dtype = DType::f32;  // the result's
  std::vector<long double> value;
  std::vector<double> magnitude;  // what the bound is relative to, per element; empty: |value|
};
Expected expected_from(const Tensor& reference, DType dtype);  // the values of a tensor on the CPU, any strides

// |y - r| <= c u magnitude, and at most `ulps` steps of the element type at r; what is 0 is not asked for. Neither is
// below `subnormal` steps of the smallest numbers where r or the magnitude is not 0. c and ulps 0: the value rounded
// once, to the bit, the sign of zero included.
struct Bound {
  double c = 0, ulps = 0, subnormal = 1;
};
inline constexpr Bound kExact{};

struct Comparison {
  std::string fault;  // "" when every element is within the bound; else how many are not, and the first of them
  double worst = 0;   // largest error as a part of its bound
  bool ok() const { return fault.empty(); }
};

// NaN must stand where NaN is expected and nowhere else (any NaN will do), an infinity where the expected value rounds
// to it, with its sign. Shape and dtype must be equal. A non-finite magnitude is taken as |value|.
Comparison compare(const Tensor& y, const Expected& r, Bound bound);

// The same bytes in every element, any NaN for any NaN: for promises of equality between two runs.
bool same_bits(const Tensor& a, const Tensor& b);

}  // namespace tapedeck::cases
