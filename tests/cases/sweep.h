// What the sweeps are made of: shapes, layouts and values, each generated from a seed.
#pragma once
#include <tapedeck/tensor/tensor.h>

#include <string>
#include <vector>

namespace tapedeck::cases {

enum class Layout { contiguous, transposed, sliced, expanded };
enum class Values {
  normal,      // standard normal
  wide,        // +-2^-100 … 2^100, uniform in the logarithm
  special,     // zeros, ones and their neighbours, subnormals, the largest numbers, infinities, NaN
  ties,        // few small integers, many equal
  positive,    // in [0, 1): sums only grow
  cancelling,  // each number beside one that nearly takes it away; the same for all inputs of a case but for the tail
  nonfinite,   // normal with some infinities and NaN
  range,       // uniform in [low, high); whole numbers for integer types
  grid,  // distinct (or far apart) in [low, high), away from the middle, other inputs' values and the ends: no kinks
};

struct Input {
  Shape shape;
  DType dtype = DType::f32;
  Layout layout = Layout::contiguous;
  Values values = Values::normal;
  double low = -1, high = 1;
};

// Input number `which` of a case. The same seed gives the same values in any layout, and (rounded) in any real type.
Tensor make_input(const Input& input, std::uint64_t seed, int which);
Tensor laid_out(const Tensor& x, Layout layout);  // the values of x with other strides

const std::vector<Shape>& shapes();                  // ranks 0 to 4, empty and of one element, longer than a vector
bool has_layout(const Shape& shape, Layout layout);  // does the layout differ from contiguous there?
std::vector<Layout> layouts(const Shape& shape);
std::string to_text(const Input& input);
const char* name(Layout layout);
const char* name(Values values);

}  // namespace tapedeck::cases
