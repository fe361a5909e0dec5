#include "autograd/op_table.h"

namespace tapedeck::test {

void add_matmul(Table& t) {
  const auto product = [&](const char* name, Shape a, Shape b) {
    t.add(name, {a, b}, [](Args x) { return matmul(x[0], x[1]); });
  };
  product("matmul 2x2", {3, 4}, {4, 2}), product("matmul 3x2", {2, 3, 4}, {4, 2}),
      product("matmul 2x3", {3, 4}, {2, 4, 2});
  product("matmul batches", {2, 1, 3, 2}, {3, 2, 2}), product("matmul one batch repeats", {2, 1, 3, 2}, {2, 3, 2, 2});
  product("matmul 1x1", {4}, {4}), product("matmul 1x2", {4}, {4, 3});
  product("matmul 2x1", {3, 4}, {4}), product("matmul 1x3", {4}, {2, 4, 3}), product("matmul 3x1", {2, 3, 4}, {4});
  product("matmul no inner", {3, 0}, {0, 2}), product("matmul no rows", {0, 3}, {3, 2});
  for (const Shape& x : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}, Shape{2, 2, 2, 4}, Shape{0, 4}}) {
    t.add("linear " + to_string(x), {x, {3, 4}, {3}}, [](Args a) { return linear(a[0], a[1], a[2]); });
    t.add("linear no bias " + to_string(x), {x, {3, 4}}, [](Args a) { return linear(a[0], a[1]); });
    t.add("linear_relu " + to_string(x), {x, {3, 4}, {3}}, [](Args a) { return linear_relu(a[0], a[1], a[2]); });
    t.add("linear_relu no bias " + to_string(x), {x, {3, 4}}, [](Args a) { return linear_relu(a[0], a[1]); });
  }
}

}  // namespace tapedeck::test
