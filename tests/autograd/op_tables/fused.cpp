#include "autograd/op_table.h"

namespace tapedeck::test {

void add_fused(Table& t) {
  t.add("gated_activation", {{2, 3, 4}}, [](Args a) { return gated_activation(a[0]); });
  t.add("gated_activation condition", {{2, 4}, {2, 4}}, [](Args a) { return gated_activation(a[0], a[1]); });
  t.add("gated_activation large", {{3, 6}}, [](Args a) { return gated_activation(a[0] * 3); });
  struct Layer {
    const char* name;
    Padding padding;
    std::int64_t dilation, keep, given;
    bool residual;
  };
  for (const Layer& l : {Layer{"wavenet_layer", Padding::causal, 2, 5, 5, true},
                         Layer{"wavenet_layer valid", Padding::valid, 2, 2, 2, true},
                         Layer{"wavenet_layer last", Padding::causal, 1, 3, 3, false}})
    t.add(l.name, {{2, 5, 3}, {2, l.given, 2}, {4, 3, 2}, {4}, {3, 2, 1}, {3}, {2, 2, 1}, {2}}, [l](Args a) {
      const Tensor residual = l.residual ? a[4] : Tensor(), bias = l.residual ? a[5] : Tensor();
      const auto y =
          wavenet_layer(a[0], a[1], {a[2], a[3], residual, bias, a[6], a[7]}, {l.dilation, l.padding, l.keep});
      const Tensor unused = l.residual ? Tensor() : sum(a[4]) + sum(a[5]);
      const Tensor all = cat({flatten(y.output), flatten(y.skips)}, 0);
      return l.residual ? all : all + unused;
    });
  const auto random = [&](const char* op, Shape shape, std::function<Tensor(const Tensor&)> f) {
    t.add(op, {shape}, [f](Args a) {
      const RandomScope scope(1, 2);
      return f(a[0]);
    });
  };
  random("dropout", {4, 5}, [](const Tensor& x) { return dropout(x, 0.4); });
  random("dropout1d", {3, 4, 5}, [](const Tensor& x) { return dropout1d(x, 0.4); });
  random("dropout2d", {2, 3, 2, 5}, [](const Tensor& x) { return dropout2d(x, 0.4); });
  random("feature_dropout", {3, 2, 5}, [](const Tensor& x) { return feature_dropout(x, 0.4); });
  random("alpha_dropout", {4, 5}, [](const Tensor& x) { return alpha_dropout(x, 0.4); });
  random("gumbel_softmax", {4, 5}, [](const Tensor& x) { return gumbel_softmax(x, 0.7); });
}

}  // namespace tapedeck::test
