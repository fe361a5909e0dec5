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

struct OpCase {
  std::string name;
  std::vector<Shape> shapes;
  std::function<Tensor(Args)> fn;
  double low = -1, high = 1;
  bool second = true;  // has gradients of gradients
  std::vector<Tensor> inputs(Layout layout) const {
    std::vector<Tensor> out;
    for (std::size_t i = 0; i < shapes.size(); ++i)
      out.push_back(laid_out(spread(shapes[i], low, high, static_cast<int>(i)), layout));
    return out;
  }
};

inline std::vector<OpCase> op_table() {
  std::vector<OpCase> t;
  const auto add_case = [&](std::string name, std::vector<Shape> shapes, std::function<Tensor(Args)> fn,
                            double low = -1, double high = 1, bool second = true) {
    t.push_back({std::move(name), std::move(shapes), std::move(fn), low, high, second});
  };
  const auto unary = [&](const char* name, Tensor (*f)(const Tensor&), double low = -1.5, double high = 1.5,
                         bool second = true) {
    add_case(
        name, {{2, 3, 4}}, [f](Args x) { return f(x[0]); }, low, high, second);
    add_case(
        std::string(name) + " 0-d", {{}}, [f](Args x) { return f(x[0]); }, low, high, second);
    add_case(
        std::string(name) + " empty", {{0, 3}}, [f](Args x) { return f(x[0]); }, low, high, second);
  };
  unary("neg", neg), unary("abs", abs), unary("exp", exp), unary("sin", sin), unary("cos", cos);
  unary("log", log, 0.5, 2), unary("log1p", log1p, -0.5, 2), unary("sqrt", sqrt, 0.5, 2), unary("rsqrt", rsqrt, 0.5, 2);
  unary("square", square), unary("reciprocal", reciprocal, 0.5, 2), unary("sigmoid", sigmoid);
  unary("logsigmoid", logsigmoid), unary("tanh", tanh), unary("relu", relu), unary("gelu", gelu, -1.5, 1.5, false);
  unary("silu", silu), unary("mish", mish), unary("softplus", softplus);
  add_case("leaky_relu", {{2, 5}}, [](Args x) { return leaky_relu(x[0], 0.1); });
  add_case("elu", {{2, 5}}, [](Args x) { return elu(x[0], 1.5); });
  add_case("clamp", {{2, 5}}, [](Args x) { return clamp(x[0], -0.5, 0.4); });
  add_case(
      "pow scalar", {{2, 5}}, [](Args x) { return pow(x[0], 2.5); }, 0.5, 2);
  add_case("pow scalar 3", {{2, 5}}, [](Args x) { return pow(x[0], 3); });
  add_case("add scalar", {{2, 5}}, [](Args x) { return 2 + x[0] + 1.5; });
  add_case("sub scalar", {{2, 5}}, [](Args x) { return 2 - (x[0] - 1.5); });
  add_case("mul scalar", {{2, 5}}, [](Args x) { return -x[0] * 1.5; });
  add_case(
      "div scalar", {{2, 5}}, [](Args x) { return 3 / (x[0] / 1.5); }, 0.5, 2);
  const auto binary = [&](const char* name, Tensor (*f)(const Tensor&, const Tensor&), double low = -1,
                          double high = 1) {
    const auto fn = [f](Args x) { return f(x[0], x[1]); };
    add_case(name, {{2, 3}, {2, 3}}, fn, low, high);
    add_case(std::string(name) + " row", {{2, 3, 4}, {4}}, fn, low, high);
    add_case(std::string(name) + " both ways", {{2, 1, 3}, {4, 1}}, fn, low, high);
    add_case(std::string(name) + " 0-d", {{}, {2, 2}}, fn, low, high);
    add_case(std::string(name) + " empty", {{0, 3}, {1, 3}}, fn, low, high);
    add_case(
        std::string(name) + " with itself", {{2, 3}}, [f](Args x) { return f(x[0], x[0] * 2); }, low, high);
  };
  binary("add", add), binary("sub", sub), binary("mul", mul), binary("div", div, 0.5, 2);
  binary("maximum", maximum), binary("minimum", minimum), binary("pow", pow, 0.5, 2);
  add_case("where", {{3, 4}, {4}}, [](Args x) {
    return where(gt(spread({3, 4}, -1, 1, 2), scalar(0, {DType::f64})), x[0], x[1]);
  });
  for (const auto& dims : std::vector<std::vector<int>>{{}, {0}, {-1}, {0, 2}, {1}})
    for (const bool keep : {false, true}) {
      std::string tail = keep ? " keep" : "";
      for (const int d : dims) tail += " " + std::to_string(d);
      add_case("sum" + tail, {{2, 3, 4}}, [=](Args x) { return sum(x[0], dims, keep); });
      add_case("mean" + tail, {{2, 3, 4}}, [=](Args x) { return mean(x[0], dims, keep); });
      add_case("amax" + tail, {{2, 3, 4}}, [=](Args x) { return amax(x[0], dims, keep); });
      add_case("amin" + tail, {{2, 3, 4}}, [=](Args x) { return amin(x[0], dims, keep); });
      add_case("var" + tail, {{2, 3, 4}}, [=](Args x) { return var(x[0], dims, keep, !keep); });
    }
  add_case("sum empty", {{0, 3}}, [](Args x) { return sum(x[0], {0}); });
  add_case("sum 0-d", {{}}, [](Args x) { return sum(x[0]); });
  add_case("sum_to", {{2, 3, 4}}, [](Args x) { return sum_to(x[0], {3, 1}); });
  for (const int dim : {0, 1, -1}) {
    const std::string tail = " " + std::to_string(dim);
    add_case("softmax" + tail, {{2, 3, 4}}, [=](Args x) { return softmax(x[0], dim); });
    add_case("log_softmax" + tail, {{2, 3, 4}}, [=](Args x) { return log_softmax(x[0], dim); });
    add_case("logsumexp" + tail, {{2, 3, 4}}, [=](Args x) { return logsumexp(x[0], dim, dim == 1); });
  }
  for (const auto r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    const std::string tail = r == Reduction::none ? " none" : r == Reduction::mean ? " mean" : " sum";
    add_case("cross_entropy" + tail, {{2, 3, 5}}, [=](Args x) {
      return cross_entropy(x[0], i64({0, 4, 2, 2, -1, 1}, {2, 3}), {.ignore_index = -1, .reduction = r});
    });
    add_case("mse_loss" + tail, {{2, 3}, {2, 3}}, [=](Args x) { return mse_loss(x[0], x[1], r); });
  }
  const auto product = [&](const char* name, Shape a, Shape b) {
    add_case(name, {a, b}, [](Args x) { return matmul(x[0], x[1]); });
  };
  product("matmul 2x2", {3, 4}, {4, 2}), product("matmul 3x2", {2, 3, 4}, {4, 2}),
      product("matmul 2x3", {3, 4}, {2, 4, 2});
  product("matmul batches", {2, 1, 3, 2}, {3, 2, 2}), product("matmul one batch repeats", {2, 1, 3, 2}, {2, 3, 2, 2});
  product("matmul 1x1", {4}, {4}), product("matmul 1x2", {4}, {4, 3});
  product("matmul 2x1", {3, 4}, {4}), product("matmul 1x3", {4}, {2, 4, 3}), product("matmul 3x1", {2, 3, 4}, {4});
  product("matmul no inner", {3, 0}, {0, 2}), product("matmul no rows", {0, 3}, {3, 2});
  for (const Shape& x : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}, Shape{2, 2, 2, 4}, Shape{0, 4}}) {
    add_case("linear " + to_string(x), {x, {3, 4}, {3}}, [](Args a) { return linear(a[0], a[1], a[2]); });
    add_case("linear no bias " + to_string(x), {x, {3, 4}}, [](Args a) { return linear(a[0], a[1]); });
  }
  const auto conv = [&](const std::string& name, Shape x, Shape w, Conv1dOptions o) {
    add_case("conv1d " + name, {x, w, {w[0]}}, [o](Args a) { return conv1d(a[0], a[1], a[2], o); });
  };
  conv("valid", {2, 5, 2}, {3, 2, 2}, {}), conv("causal", {1, 5, 2}, {2, 2, 3}, {.padding = Padding::causal});
  conv("same", {1, 5, 2}, {2, 2, 4}, {.padding = Padding::same}), conv("pointwise", {2, 3, 2}, {3, 2, 1}, {});
  conv("dilated", {1, 7, 2}, {2, 2, 2}, {.dilation = 3}), conv("stride", {1, 8, 2}, {2, 2, 3}, {.stride = 2});
  conv("groups", {1, 4, 4}, {6, 2, 2}, {.groups = 2}), conv("depthwise", {1, 4, 3}, {3, 1, 2}, {.groups = 3});
  conv("all", {2, 9, 4}, {4, 2, 2}, {.stride = 2, .dilation = 2, .groups = 2, .padding = Padding::causal});
  add_case("conv1d no bias", {{2, 5, 2}, {3, 2, 2}}, [](Args a) { return conv1d(a[0], a[1]); });
  add_case("conv1d_transpose", {{2, 4, 3}, {3, 2, 2}}, [](Args a) { return conv1d_transpose(a[0], a[1], 5); });
  add_case("conv1d_transpose stride", {{1, 3, 4}, {4, 1, 3}},
           [](Args a) { return conv1d_transpose(a[0], a[1], 8, {.stride = 2, .groups = 2}); });
  add_case("embedding", {{5, 3}}, [](Args a) { return embedding(i64({4, 0, 0, 2}, {2, 2}), a[0]); });
  add_case("reshape", {{2, 3, 4}}, [](Args a) { return reshape(a[0], {4, -1}); });
  add_case("flatten", {{2, 3, 4}}, [](Args a) { return flatten(a[0], 1); });
  add_case("permute", {{2, 3, 4}}, [](Args a) { return permute(a[0], {2, 0, -2}); });
  add_case("transpose", {{2, 3, 4}}, [](Args a) { return transpose(a[0], 0, -1); });
  add_case("squeeze", {{2, 1, 4}}, [](Args a) { return squeeze(a[0], 1); });
  add_case("unsqueeze", {{2, 4}}, [](Args a) { return unsqueeze(a[0], -1); });
  add_case("expand", {{3, 1}}, [](Args a) { return expand(a[0], {2, -1, 4}); });
  add_case("slice", {{5, 4}}, [](Args a) { return slice(a[0], 0, 1, -1, 2); });
  add_case("narrow", {{5, 4}}, [](Args a) { return narrow(a[0], 1, 1, 2); });
  add_case("select", {{5, 4}}, [](Args a) { return select(a[0], 0, -2); });
  add_case("slices of one tensor", {{6}},
           [](Args a) { return slice(a[0], 0, 0, 4) * slice(a[0], 0, 2) + slice(a[0], 0, 1, 5); });
  add_case("unfold", {{2, 7}}, [](Args a) { return unfold(a[0], 1, 3, 2); });
  add_case("unfold first", {{7, 2}}, [](Args a) { return unfold(a[0], 0, 3, 1); });
  add_case("split", {{2, 6}}, [](Args a) {
    const auto parts = split(a[0], std::vector<std::int64_t>{1, 3, 2}, 1);
    return cat({parts[2], parts[0] * 2, parts[2]}, 1);
  });
  add_case("chunk", {{5, 2}}, [](Args a) { return chunk(a[0], 2)[1]; });
  add_case("cat", {{2, 3}, {2, 1}, {2, 0}}, [](Args a) { return cat({a[0], a[1], a[2], a[0]}, -1); });
  add_case("stack", {{2, 3}, {2, 3}}, [](Args a) { return stack({a[0], a[1]}, 1); });
  add_case("contiguous", {{2, 3}}, [](Args a) { return contiguous(transpose(a[0], 0, 1)); });
  add_case("clone", {{2, 3}}, [](Args a) { return clone(a[0]); });
  add_case("gated_activation", {{2, 3, 4}}, [](Args a) { return gated_activation(a[0]); });
  add_case("gated_activation condition", {{2, 4}, {2, 4}}, [](Args a) { return gated_activation(a[0], a[1]); });
  add_case("dropout", {{4, 5}}, [](Args a) {
    const RandomScope scope(1, 2);
    return dropout(a[0], 0.4);
  });
  return t;
}

}  // namespace tapedeck::test
