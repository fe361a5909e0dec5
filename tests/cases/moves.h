// Ops that only move elements: where each comes from is worked out index by index.
#pragma once
#include <functional>
#include <optional>

#include "cases/op_case.h"

namespace tapedeck::cases {

using Index = std::vector<std::int64_t>;

// f(index) for every index of a shape, in row-major order.
void each_index(const Shape& shape, const std::function<void(const Index&)>& f);
std::size_t flat(const Shape& shape, const Index& at);  // position in row-major order

// Expected values: f maps an index of the result to an index of x, or to none, where the result is `other`.
using From = std::function<std::optional<Index>(const Index&)>;
Expected gathered(const Tensor& x, const Shape& shape, const From& f, long double other = 0);
std::vector<Expected> same_order(Args x, const Shape& shape);  // the elements of x[0] in another shape

// A call on one tensor of `shape`.
struct Move {
  std::string op, text;
  Shape shape;
  std::function<Outputs(Args)> call;
  std::function<std::vector<Expected>(Args)> oracle;
};
Move moved(std::string op, std::string text, const Shape& shape, std::function<Tensor(const Tensor&)> f,
           const Shape& to, From from, long double other = 0);
// In all layouts and types, with gradients.
void add_move(std::vector<OpCase>& t, const Move& m);

}  // namespace tapedeck::cases
