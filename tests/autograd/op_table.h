// Every op with a gradient, as functions of f64 inputs kept away from kinks: the table that several tests walk.
#pragma once
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/tensor/random.h>

#include <functional>
#include <numeric>
#include <string>
#include <vector>

namespace tapedeck::test {

using Args = std::span<const Tensor>;

enum class Layout { contiguous, transposed, sliced };
inline const char* name_of(Layout l) {
  return l == Layout::contiguous ? "contiguous" : l == Layout::transposed ? "transposed" : "sliced";
}

inline Tensor f64(std::vector<double> values, const Shape& shape) { return tensor(values, shape); }
inline Tensor i64(std::vector<std::int64_t> values, const Shape& shape) { return tensor(values, shape); }
inline std::vector<double> values(const Tensor& x) { return cast(x, DType::f64).to_vector<double>(); }

// The same values with other strides: dimensions reversed in memory, or every second element of a larger block.
inline Tensor laid_out(const Tensor& x, Layout layout) {
  if (layout == Layout::contiguous || x.dim() == 0) return clone(x);
  Shape room = x.sizes();
  Tensor y;
  if (layout == Layout::transposed) {
    std::vector<int> order(static_cast<std::size_t>(x.dim()));
    std::iota(order.rbegin(), order.rend(), 0);
    for (int d = 0; d < x.dim(); ++d) room[d] = x.sizes()[x.dim() - 1 - d];
    y = detail::permute(zeros(room, x.options()), order);
  } else {
    for (std::int64_t& size : std::span(&room[0], static_cast<std::size_t>(x.dim()))) size = 2 * size + 1;
    y = zeros(room, x.options());
    for (int d = 0; d < x.dim(); ++d) y = detail::slice(y, d, 1, room[d], 2);
  }
  copy_(y, x);
  return y;
}

// Distinct values spread over [low, high), no two nearer than a part of the grid, none at 0; `which` shifts the grid.
inline Tensor spread(const Shape& shape, double low, double high, int which = 0) {
  const std::int64_t n = std::max<std::int64_t>(shape.numel(), 1);
  const double shift[] = {0.37, 0.11, 0.71, 0.9};
  std::vector<double> v(static_cast<std::size_t>(shape.numel()));
  for (std::int64_t k = 0; k < shape.numel(); ++k)
    v[static_cast<std::size_t>(k)] = low + (high - low) *
                                               (static_cast<double>((k * 101 + 3 + 5 * which) % n) + shift[which % 4]) /
                                               static_cast<double>(n);
  return f64(v, shape);
}

// x of spread(shape, -1, 1) with the first `count` of every `step` elements made 0, without losing their gradient.
inline Tensor with_zeros(const Tensor& x, int count, int step) {
  std::vector<double> off = values(spread(x.sizes(), -1, 1));
  for (std::int64_t k = 0; k < x.numel(); ++k)
    if (k % step >= count) off[static_cast<std::size_t>(k)] = 0;
  return x - f64(off, x.sizes());
}

struct OpCase {
  std::string name;
  std::vector<Shape> shapes;
  std::function<Tensor(Args)> fn;
  double low = -1, high = 1;
  bool second = true;       // has gradients of gradients
  double accuracy = 1e-14;  // of an element of the golden values, which may be computed by another algorithm
  bool derivative = true;   // false: what counts as a constant moves with the inputs, so no difference can judge
  std::vector<Tensor> inputs(Layout layout) const {
    std::vector<Tensor> out;
    for (std::size_t i = 0; i < shapes.size(); ++i)
      out.push_back(laid_out(spread(shapes[i], low, high, static_cast<int>(i)), layout));
    return out;
  }
};

// What the families add to.
class Table {
 public:
  void add(std::string name, std::vector<Shape> shapes, std::function<Tensor(Args)> fn, double low = -1,
           double high = 1, bool second = true, double accuracy = 1e-14);
  // A function of one tensor: of rank 3, 0-d and empty.
  void unary(const std::string& name, Tensor (*f)(const Tensor&), double low = -1.5, double high = 1.5,
             bool second = true);
  // A function of two that broadcast: several shapes, and one tensor on both sides.
  void binary(const std::string& name, Tensor (*f)(const Tensor&, const Tensor&), double low = -1, double high = 1);

  std::vector<OpCase> cases;
};

// One function per file of op_tables/; each has its PyTorch twin in golden/FAMILY.py.
void add_elementwise(Table& t);
void add_reduce(Table& t);
void add_scan(Table& t);
void add_sort(Table& t);
void add_softmax(Table& t);
void add_linalg(Table& t);
void add_loss(Table& t);
void add_matmul(Table& t);
void add_norm(Table& t);
void add_conv(Table& t);
void add_pool(Table& t);
void add_interpolate(Table& t);
void add_shape(Table& t);
void add_index(Table& t);
void add_fused(Table& t);
void add_sequence(Table& t);
void add_fourier(Table& t);
void add_bounds(Table& t);
void add_composed(Table& t);

struct Family {
  const char* name;
  void (*add)(Table& t);
};
const std::vector<Family>& families();
const std::vector<OpCase>& op_table();  // all of them

}  // namespace tapedeck::test
