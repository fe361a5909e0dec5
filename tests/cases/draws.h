// What random ops are held against: Philox, its uniforms and Box and Muller's normals, written out once more.
#pragma once
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/random.h>

#include <algorithm>
#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {

using Wide = long double;

inline const Shape kShapes[] = {{},       {0},       {1},          {7},       {3, 0, 2}, {1, 1, 1}, {3, 5},
                                {33, 17}, {2, 3, 4}, {2, 3, 4, 5}, {1, 4097}, {9000},    {5, 2003}};

// Element e of row r of a tensor drawn with `key`, by f(key, r, e).
template <class F>
Expected drawn(const Shape& shape, DType dtype, std::uint64_t key, F&& f) {
  Expected r{shape, dtype, {}, {}};
  const std::int64_t rows = shape.rank() > 0 ? shape[0] : 1, width = rows > 0 ? shape.numel() / rows : 0;
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t e = 0; e < width; ++e)
      r.value.push_back(f(key, static_cast<std::uint64_t>(row), static_cast<std::uint64_t>(e)));
  return r;
}
inline double unit(std::uint64_t key, std::uint64_t row, std::uint64_t e) {
  return std::ldexp(static_cast<double>(philox_word(key, row, e) >> 8), -24);
}
inline double open_unit(std::uint64_t key, std::uint64_t row, std::uint64_t e) {  // never 0
  return std::max(unit(key, row, e), 0x1p-25);
}
inline double gauss(std::uint64_t key, std::uint64_t row, std::uint64_t e) {
  const double first = philox_word(key, row, e & ~std::uint64_t{1}), second = philox_word(key, row, e | 1);
  const double radius = std::sqrt(-2 * std::log(std::ldexp(first + 0.5, -32))),
               angle = 2 * 3.14159265358979323846 * std::ldexp(second, -32);
  return radius * (e % 2 == 0 ? std::cos(angle) : std::sin(angle));
}
inline std::uint64_t long_word(std::uint64_t key, std::uint64_t row, std::uint64_t e) {  // 64 bits, low half first
  return philox_word(key, row, 2 * e) | std::uint64_t{philox_word(key, row, 2 * e + 1)} << 32;
}
// floor(n word / 2^64), by halves.
inline std::uint64_t scaled(std::uint64_t word, std::uint64_t n) {
  const std::uint64_t low = 0xffffffff, a = word >> 32, b = word & low, c = n >> 32, d = n & low;
  const std::uint64_t middle = (b * d >> 32) + (a * d & low) + b * c;
  return a * c + (a * d >> 32) + (middle >> 32);
}

// The first key that `op` draws from in a scope of this seed.
inline std::uint64_t first_key(std::uint64_t seed, const char* op, std::int64_t rows) {
  const RandomScope scope(seed, 1);
  return next_stream(op, rows).key;
}
inline std::uint64_t first_key(std::uint64_t seed, const char* op, const Shape& shape) {
  return first_key(seed, op, shape.rank() > 0 ? shape[0] : 1);
}

// A case of an op without inputs, in a scope of its own.
inline OpCase seeded(const char* op, std::string text, std::uint64_t seed, std::function<Tensor()> call,
                     std::function<Expected()> oracle) {
  OpCase c{.op = op, .text = std::move(text) + " seed " + std::to_string(seed), .inputs = {}};
  c.call = [=](Args) {
    const RandomScope scope(seed, 1);
    return Outputs{call()};
  };
  c.oracle = [=](Args) { return std::vector{oracle()}; };
  return c;
}

}  // namespace tapedeck::cases
