#include "autograd/op_table.h"

namespace tapedeck::test {

const std::vector<Family>& families() {
  // clang-format off
  static const std::vector<Family> all{
      {"elementwise", add_elementwise},
      {"reduce", add_reduce},
      {"scan", add_scan},
      {"sort", add_sort},
      {"softmax", add_softmax},
      {"matmul", add_matmul},
      {"linalg", add_linalg},
      {"norm", add_norm},
      {"conv", add_conv},
      {"pool", add_pool},
      {"interpolate", add_interpolate},
      {"shape", add_shape},
      {"fused", add_fused},
      {"sequence", add_sequence},
      {"index", add_index},
      {"loss", add_loss},
      {"fourier", add_fourier},
      {"bounds", add_bounds},
      {"composed", add_composed},
  };
  // clang-format on
  return all;
}

const std::vector<OpCase>& op_table() {
  static const std::vector<OpCase> all = [] {
    Table t;
    for (const Family& family : families()) family.add(t);
    return t.cases;
  }();
  return all;
}

void Table::add(std::string name, std::vector<Shape> shapes, std::function<Tensor(Args)> fn, double low, double high,
                bool second, double accuracy) {
  cases.push_back({std::move(name), std::move(shapes), std::move(fn), low, high, second, accuracy, true});
}

void Table::unary(const std::string& name, Tensor (*f)(const Tensor&), double low, double high, bool second) {
  const auto fn = [f](Args x) { return f(x[0]); };
  add(name, {{2, 3, 4}}, fn, low, high, second);
  add(name + " 0-d", {{}}, fn, low, high, second);
  add(name + " empty", {{0, 3}}, fn, low, high, second);
}

void Table::binary(const std::string& name, Tensor (*f)(const Tensor&, const Tensor&), double low, double high) {
  const auto fn = [f](Args x) { return f(x[0], x[1]); };
  add(name, {{2, 3}, {2, 3}}, fn, low, high);
  add(name + " row", {{2, 3, 4}, {4}}, fn, low, high);
  add(name + " both ways", {{2, 1, 3}, {4, 1}}, fn, low, high);
  add(name + " 0-d", {{}, {2, 2}}, fn, low, high);
  add(name + " empty", {{0, 3}, {1, 3}}, fn, low, high);
  add(
      name + " with itself", {{2, 3}}, [f](Args x) { return f(x[0], x[0] * 2); }, low, high);
}

}  // namespace tapedeck::test
