#include "autograd/op_table.h"

namespace tapedeck::test {
namespace {

// f(at + scale x): near a kink but not on it, tiny or large, while x stays where differences can be taken.
struct Place {
  double at, scale;
};
struct Edgy {
  const char* name;
  Tensor (*f)(const Tensor&);
  double low, high;
  std::vector<Place> places;
  double accuracy = 1e-14;
};
// Where PyTorch 1.13 is less accurate: it has y + 1 for the slope of expm1, exp(x) - 1 in selu and celu, and 1/6 as a
// float in the slope of hardsigmoid.
constexpr double kCancels = 1e-11, kFloatSixth = 1e-7;
// clang-format off
const Edgy kEdgy[] = {
    {"sign", sign, -1.5, 1.5, {{0, 0.001}, {0, 8}}},
    {"floor", floor, 0.1, 0.9, {{3, 0.001}, {-100.5, 0.3}}},
    {"ceil", ceil, 0.1, 0.9, {{3, 0.001}, {-100.5, 0.3}}},
    {"round", round, -0.4, 0.4, {{2.5, 0.001}, {0.5, 0.001}, {-1.5, 0.001}}},
    {"trunc", trunc, 0.1, 0.9, {{-1, 0.001}, {100.5, 0.3}}},
    {"frac", frac, 0.1, 0.9, {{-1, 0.001}, {100.5, 0.3}}},
    {"expm1", expm1, -1.5, 1.5, {{0, 0.001}, {0, 8}, {-8, 1}}, kCancels},
    {"log2", log2, 0.5, 2, {{1, 0.001}, {100, 50}, {0.001, 0.0005}}},
    {"log10", log10, 0.5, 2, {{1, 0.001}, {100, 50}, {0.001, 0.0005}}},
    {"tan", tan, -1, 1, {{0, 0.001}, {1.5, 0.05}, {20, 0.3}}},
    {"asin", asin, -0.8, 0.8, {{0, 0.001}, {0.98, 0.01}, {-0.98, 0.01}}},
    {"acos", acos, -0.8, 0.8, {{0, 0.001}, {0.98, 0.01}, {-0.98, 0.01}}},
    {"atan", atan, -1.5, 1.5, {{0, 0.001}, {0, 8}, {100, 10}}},
    {"sinh", sinh, -1.5, 1.5, {{0, 0.001}, {0, 8}, {5, 1}}},
    {"cosh", cosh, -1.5, 1.5, {{0, 0.1}, {0, 8}, {5, 1}}},
    {"asinh", asinh, -1.5, 1.5, {{0, 0.001}, {0, 8}, {1000, 500}}},
    {"acosh", acosh, 1.25, 3, {{1.01, 0.005}, {3, 1}, {1000, 500}}},
    {"atanh", atanh, -0.8, 0.8, {{0, 0.001}, {0.98, 0.01}, {-0.98, 0.01}}},
    {"erf", erf, -1.5, 1.5, {{0, 0.001}, {2, 1}, {0, 2.5}}},
    {"erfc", erfc, -1.5, 1.5, {{0, 0.001}, {2, 1}, {4, 0.5}}},
    {"relu6", relu6, -1.5, 1.5, {{0, 0.001}, {6, 0.001}, {0, 8}}},
    {"selu", selu, -1.5, 1.5, {{0, 0.001}, {0, 8}}, kCancels},
    {"celu", [](const Tensor& x) { return celu(x); }, -1.5, 1.5, {{0, 0.001}, {0, 8}}, kCancels},
    {"celu alpha", [](const Tensor& x) { return celu(x, 1.5); }, -1.5, 1.5, {{0, 0.001}, {0, 8}}, kCancels},
    {"gelu erf", [](const Tensor& x) { return gelu(x); }, -1.5, 1.5, {{0, 0.001}, {0, 2}, {2, 1}}},
    {"gelu tanh", [](const Tensor& x) { return gelu(x, Approximate::tanh); }, -1.5, 1.5, {{0, 0.001}, {0, 2}, {2, 1}}},
    {"softplus default", [](const Tensor& x) { return softplus(x); }, -1.5, 1.5, {{20, 0.01}, {0, 8}}},
    {"softplus beta", [](const Tensor& x) { return softplus(x, 2, 3); }, -1.5, 1.5, {{1.5, 0.001}, {0, 0.001}, {0, 8}}},
    {"softsign", softsign, -1.5, 1.5, {{0, 0.001}, {0, 8}, {100, 10}}, 1e-13},
    {"softshrink", [](const Tensor& x) { return softshrink(x); }, -1.5, 1.5, {{0.5, 0.001}, {-0.5, 0.001}, {0, 8}}},
    {"softshrink lambd", [](const Tensor& x) { return softshrink(x, 0.75); }, -1.5, 1.5, {{0.75, 0.001}}},
    {"hardshrink", [](const Tensor& x) { return hardshrink(x); }, -1.5, 1.5, {{0.5, 0.001}, {-0.5, 0.001}, {0, 8}}},
    {"hardtanh", [](const Tensor& x) { return hardtanh(x); }, -1.5, 1.5, {{1, 0.001}, {-1, 0.001}, {0, 7}}},
    {"hardtanh bounds", [](const Tensor& x) { return hardtanh(x, -0.5, 2); }, -1.5, 1.5, {{2, 0.001}, {-0.5, 0.001}}},
    {"hardsigmoid", hardsigmoid, -1.5, 1.5, {{3, 0.001}, {-3, 0.001}, {0, 8}}, kFloatSixth},
    {"hardswish", hardswish, -1.5, 1.5, {{3, 0.001}, {-3, 0.001}, {0, 8}}},
    {"nan_to_num", [](const Tensor& x) { return nan_to_num(x); }, -1.5, 1.5, {{0, 0.001}, {0, 8}}},
    {"fmod scalar", [](const Tensor& x) { return fmod(x, 1.5); }, -1.5, 1.5, {{3, 0.001}, {-3, 0.001}, {0, 8}}},
    {"remainder scalar", [](const Tensor& x) { return remainder(x, -1.5); }, -1.5, 1.5, {{3, 0.001}, {-3, 0.001}, {0, 8}}},
};
// clang-format on

}  // namespace

void add_elementwise(Table& t) {
  for (const Edgy& e : kEdgy) {
    const auto plain = [f = e.f](Args x) { return f(x[0]); };
    for (const auto& [what, shape] : {std::pair<const char*, Shape>{"", {2, 3, 4}}, {" 0-d", {}}, {" empty", {0, 3}}})
      t.add(std::string(e.name) + what, {shape}, plain, e.low, e.high, true, e.accuracy);
    for (std::size_t i = 0; i < e.places.size(); ++i)
      t.add(
          e.name + (" place " + std::to_string(i)), {{2, 5}},
          [f = e.f, p = e.places[i]](Args x) { return f(x[0] * p.scale + p.at); }, -1, 1, true, e.accuracy);
  }
  t.unary("neg", neg), t.unary("abs", abs), t.unary("exp", exp), t.unary("sin", sin), t.unary("cos", cos);
  t.unary("log", log, 0.5, 2), t.unary("log1p", log1p, -0.5, 2), t.unary("sqrt", sqrt, 0.5, 2),
      t.unary("rsqrt", rsqrt, 0.5, 2);
  t.unary("square", square), t.unary("reciprocal", reciprocal, 0.5, 2), t.unary("sigmoid", sigmoid);
  t.unary("logsigmoid", logsigmoid), t.unary("tanh", tanh), t.unary("relu", relu),
      t.unary("gelu", [](const Tensor& x) { return gelu(x); });
  t.unary("silu", silu), t.unary("mish", mish), t.unary("softplus", [](const Tensor& x) { return softplus(x); });
  t.add("leaky_relu", {{2, 5}}, [](Args x) { return leaky_relu(x[0], 0.1); });
  t.add("elu", {{2, 5}}, [](Args x) { return elu(x[0], 1.5); });
  t.add("elu small", {{2, 5}}, [](Args x) { return elu(x[0] * 0.1, -0.5); });
  t.add("elu wide", {{2, 5}}, [](Args x) { return elu(x[0] * 8); });
  t.add("leaky_relu default", {{2, 5}}, [](Args x) { return leaky_relu(x[0] * 1e-3); });
  t.add("leaky_relu steep", {{2, 5}}, [](Args x) { return leaky_relu(x[0], -2.5); });
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
  t.binary("fmod", fmod, 0.5, 2), t.binary("remainder", remainder, 0.5, 2);
  const auto angle = [](Args x) { return atan2(x[0], x[1]); };  // of one tensor and its double it is constant
  t.add("atan2", {{2, 3}, {2, 3}}, angle, 0.5, 2), t.add("atan2 both ways", {{2, 1, 3}, {4, 1}}, angle, 0.5, 2);
  t.add("atan2 row", {{2, 3, 4}, {4}}, angle, -2, -0.5), t.add("atan2 0-d", {{}, {2, 2}}, angle, 0.5, 2);
  t.add("atan2 empty", {{0, 3}, {1, 3}}, angle);
  t.binary("hypot", hypot, 0.5, 2);
  t.add("fmod quotients", {{2, 5}, {5}}, [](Args x) { return fmod(x[0] * 8, x[1] + 3); });
  t.add("remainder quotients", {{2, 5}, {5}}, [](Args x) { return remainder(x[0] * 8, x[1] - 3); });
  t.add("atan2 cut", {{2, 5}, {5}}, [](Args x) { return atan2(x[0] * 1e-3, x[1] - 3); });
  t.add("atan2 large", {{2, 5}, {5}}, [](Args x) { return atan2(x[0] * 1e100, (x[1] + 2) * 1e100); });
  t.add("hypot large", {{2, 5}, {5}}, [](Args x) { return hypot(x[0] * 1e8, (x[1] + 2) * 1e8) / 1e8; });
  t.add("prelu", {{2, 3, 4}, {4}}, [](Args x) { return prelu(x[0], x[1]); });
  t.add("prelu one", {{2, 5}, {1}}, [](Args x) { return prelu(x[0], x[1]); });
  t.add("prelu empty", {{0, 3}, {3}}, [](Args x) { return prelu(x[0], x[1]); });
  t.add("prelu near 0", {{2, 5}, {5}}, [](Args x) { return prelu(x[0] * 1e-3, x[1] - 2); });
  // Without a twin in PyTorch: x + sin^2(alpha x) / alpha from its ops.
  t.add(
      "snake", {{2, 3, 4}}, [](Args x) { return snake(x[0]); }, -0.6, 1.5);
  t.add(
      "snake alpha", {{2, 3, 4}, {4}}, [](Args x) { return snake(x[0], x[1] + 2); }, 0, 0.4);
  t.add("snake large", {{2, 5}, {5}}, [](Args x) { return snake(x[0] * 2 + 3, x[1] + 2); });
  for (const std::vector<Shape>& shapes :
       {std::vector<Shape>{{2, 3}, {2, 3}, {2, 3}}, {{2, 1, 3}, {4, 1}, {}}, {{0, 3}, {1, 3}, {3}}}) {
    const std::string at = " " + to_string(shapes[0]);
    t.add("lerp" + at, shapes, [](Args x) { return lerp(x[0], x[1], x[2]); });
    t.add("addcmul" + at, shapes, [](Args x) { return addcmul(x[0], x[1], x[2], -1.5); });
    t.add(
        "addcdiv" + at, shapes, [](Args x) { return addcdiv(x[0], x[1], x[2], 0.75); }, 0.5, 2);
  }
  t.add("lerp 0.25", {{2, 3}, {3}}, [](Args x) { return lerp(x[0], x[1], 0.25); });
  t.add("lerp 0.75", {{2, 3}, {3}}, [](Args x) { return lerp(x[0], x[1], 0.75); });
  t.add("lerp beyond", {{2, 3}, {3}}, [](Args x) { return lerp(x[0], x[1], -2); });
  t.add("where", {{3, 4}, {4}}, [](Args x) {
    return where(gt(spread({3, 4}, -1, 1, 2), scalar(0, {DType::f64})), x[0], x[1]);
  });
}

}  // namespace tapedeck::test
