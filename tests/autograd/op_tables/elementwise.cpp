#include "autograd/op_table.h"

namespace tapedeck::test {

void add_elementwise(Table& t) {
  t.unary("neg", neg), t.unary("abs", abs), t.unary("exp", exp), t.unary("sin", sin), t.unary("cos", cos);
  t.unary("log", log, 0.5, 2), t.unary("log1p", log1p, -0.5, 2), t.unary("sqrt", sqrt, 0.5, 2),
      t.unary("rsqrt", rsqrt, 0.5, 2);
  t.unary("square", square), t.unary("reciprocal", reciprocal, 0.5, 2), t.unary("sigmoid", sigmoid);
  t.unary("logsigmoid", logsigmoid), t.unary("tanh", tanh), t.unary("relu", relu),
      t.unary("gelu", [](const Tensor& x) { return gelu(x); });
  t.unary("silu", silu), t.unary("mish", mish), t.unary("softplus", [](const Tensor& x) { return softplus(x); });
  t.add("leaky_relu", {{2, 5}}, [](Args x) { return leaky_relu(x[0], 0.1); });
  t.add("elu", {{2, 5}}, [](Args x) { return elu(x[0], 1.5); });
  t.add("clamp", {{2, 5}}, [](Args x) { return clamp(x[0], -0.5, 0.4); });
  t.add(
      "pow scalar", {{2, 5}}, [](Args x) { return pow(x[0], 2.5); }, 0.5, 2);
  t.add("pow scalar 3", {{2, 5}}, [](Args x) { return pow(x[0], 3); });
  t.add("add scalar", {{2, 5}}, [](Args x) { return 2 + x[0] + 1.5; });
  t.add("sub scalar", {{2, 5}}, [](Args x) { return 2 - (x[0] - 1.5); });
  t.add("mul scalar", {{2, 5}}, [](Args x) { return -x[0] * 1.5; });
  t.add(
      "div scalar", {{2, 5}}, [](Args x) { return 3 / (x[0] / 1.5); }, 0.5, 2);
  t.binary("add", add), t.binary("sub", sub), t.binary("mul", mul), t.binary("div", div, 0.5, 2);
  t.binary("maximum", maximum), t.binary("minimum", minimum), t.binary("pow", pow, 0.5, 2);
  t.add("where", {{3, 4}, {4}}, [](Args x) {
    return where(gt(spread({3, 4}, -1, 1, 2), scalar(0, {DType::f64})), x[0], x[1]);
  });
}

}  // namespace tapedeck::test
