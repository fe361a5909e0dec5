#include "autograd/bad_options.h"

namespace tapedeck::test {

void add_bad_elementwise(BadCalls& t) {
  t.unary({{"neg", neg},
           {"abs", abs},
           {"sign", sign},
           {"floor", floor},
           {"ceil", ceil},
           {"round", round},
           {"trunc", trunc},
           {"frac", frac},
           {"square", square},
           {"relu", relu},
           {"relu6", relu6},
           {"isnan", isnan},
           {"isinf", isinf},
           {"isfinite", isfinite},
           {"logical_not", logical_not}},
          false);
  t.unary({{"exp", exp},
           {"expm1", expm1},
           {"log", log},
           {"log1p", log1p},
           {"log2", log2},
           {"log10", log10},
           {"sqrt", sqrt},
           {"rsqrt", rsqrt},
           {"reciprocal", reciprocal},
           {"sin", sin},
           {"cos", cos},
           {"tan", tan},
           {"asin", asin},
           {"acos", acos},
           {"atan", atan},
           {"sinh", sinh},
           {"cosh", cosh},
           {"asinh", asinh},
           {"acosh", acosh},
           {"atanh", atanh},
           {"erf", erf},
           {"erfc", erfc},
           {"sigmoid", sigmoid},
           {"logsigmoid", logsigmoid},
           {"tanh", tanh},
           {"selu", selu},
           {"silu", silu},
           {"mish", mish},
           {"softsign", softsign},
           {"hardsigmoid", hardsigmoid},
           {"hardswish", hardswish}},
          true);
  t.missing("gelu", [](In g) { gelu(g.none); });
  t.missing("nan_to_num", [](In g) { nan_to_num(g.none); });
  t.missing("leaky_relu", [](In g) { leaky_relu(g.none, 0.1); });
  t.missing("elu", [](In g) { elu(g.none); });
  t.missing("hardshrink", [](In g) { hardshrink(g.none); });
  t.missing("snake", [](In g) { snake(g.none, 1.0); });
  for (const auto& [low, high] : {std::pair{2., 1.}, {kNan, 1.}, {0., kNan}}) {
    t.value("clamp", {word(low), word(high)}, [=](In g) { clamp(g.m, low, high); });
    t.value("hardtanh", {word(low), word(high)}, [=](In g) { hardtanh(g.m, low, high); });
  }
  t.dtype("clamp", {"0.5", "i64"}, [](In g) { clamp(g.whole, 0.5); });
  t.dtype("pow scalar", {"i64"}, [](In g) { pow(g.whole, 0.5); });
  t.reals("celu", {0}, [](In g, double alpha) { celu(g.m, alpha); });
  t.reals("softplus", {0}, [](In g, double beta) { softplus(g.m, beta); });
  t.reals("softshrink", {-0.5, kNan}, [](In g, double lambd) { softshrink(g.m, lambd); });
  t.shape("prelu", {"[3,4]", "[3]"}, [](In g) { prelu(g.m, cast(g.places, DType::f32)); });
  t.shape("snake tensor", {"[6]", "[3,4]"}, [](In g) { snake(g.m, g.v); });

  t.binary({{"add", add}, {"sub", sub}, {"mul", mul}, {"div", div}, {"maximum", maximum}, {"minimum", minimum},
            {"pow", pow}, {"fmod", fmod}, {"remainder", remainder}, {"atan2", atan2}, {"hypot", hypot}, {"eq", eq},
            {"ne", ne}, {"lt", lt}, {"le", le}, {"gt", gt}, {"ge", ge}, {"logical_and", logical_and},
            {"logical_or", logical_or}, {"logical_xor", logical_xor}, {"operator+", operator+},
            {"operator-", operator-}, {"operator*", operator*}, {"operator/", operator/}});
  using Mixed = Tensor (*)(const Tensor&, const Tensor&);
  for (const auto& [op, f] : {std::pair<const char*, Mixed>{"add", add},
                              {"sub", sub},
                              {"mul", mul},
                              {"div", div},
                              {"maximum", maximum},
                              {"minimum", minimum},
                              {"pow", pow},
                              {"fmod", fmod},
                              {"remainder", remainder},
                              {"atan2", atan2},
                              {"hypot", hypot},
                              {"eq", eq},
                              {"ne", ne},
                              {"lt", lt},
                              {"le", le},
                              {"gt", gt},
                              {"ge", ge}})
    t.dtype(op, {"f32[3,4]", "i64[3,4]"}, [f = f](In g) { f(g.m, g.whole); });
  using Scalar = Tensor (*)(const Tensor&, double);
  for (const auto& [op, f] :
       {std::pair<const char*, Scalar>{"add scalar", add}, {"sub scalar", sub}, {"mul scalar", mul},
        {"div scalar", div}, {"fmod scalar", fmod}, {"remainder scalar", remainder}, {"eq scalar", eq},
        {"ne scalar", ne}, {"lt scalar", lt}, {"le scalar", le}, {"gt scalar", gt}, {"ge scalar", ge},
        {"operator+ scalar", operator+}, {"operator- scalar", operator-}, {"operator* scalar", operator*},
        {"operator/ scalar", operator/}}) {
    t.dtype(op, {"i64[3,4]"}, [f = f](In g) { f(g.whole, 0.5); });
    t.missing(op, [f = f](In g) { f(g.none, 0.5); });
  }
  t.dtype("operator+ scalar first", {"0.5", "i64"}, [](In g) { 0.5 + g.whole; });
  t.dtype("operator- scalar first", {"0.5", "i64"}, [](In g) { 0.5 - g.whole; });
  t.dtype("operator* scalar first", {"0.5", "i64"}, [](In g) { 0.5 * g.whole; });
  t.dtype("operator/ scalar first", {"i64"}, [](In g) { 1 / g.whole; });
  t.missing("operator- unary", [](In g) { -g.none; });
  t.value("fmod", {"0", "i64[3,4]"}, [](In g) { fmod(g.whole, g.whole); });
  t.value("remainder", {"0"}, [](In g) { remainder(g.whole, g.whole); });
  t.value("fmod scalar", {"0"}, [](In g) { fmod(g.whole, 0); });
  t.value("remainder scalar", {"0"}, [](In g) { remainder(g.whole, 0); });

  t.dtype("where", {"f32[3,4]"}, [](In g) { where(g.m, g.m, g.m); });
  t.shape("where", {"[3,4]", "[2,5,4]"}, [](In g) { where(g.mask, g.x, g.x); });
  t.missing("where", [](In g) { where(g.mask, g.none, g.m); });
  t.shape("lerp", {"[3,4]", "[2,5,4]"}, [](In g) { lerp(g.m, g.m, g.x); });
  t.shape("lerp scalar", {"[3,4]", "[2,5,4]"}, [](In g) { lerp(g.m, g.x, 0.5); });
  t.missing("lerp scalar", [](In g) { lerp(g.m, g.none, 0.5); });
  t.shape("addcmul", {"[3,4]", "[2,5,4]"}, [](In g) { addcmul(g.m, g.m, g.x); });
  t.dtype("addcmul", {"0.5", "i64"}, [](In g) { addcmul(g.whole, g.whole, g.whole, 0.5); });
  t.dtype("addcdiv", {"i64"}, [](In g) { addcdiv(g.whole, g.whole, g.whole); });
  t.shape("gated_activation", {"[5]"}, [](In g) { gated_activation(detail::narrow(g.v, 0, 0, 5)); });
  t.shape("gated_activation", {"[3,4]", "[4,4]"}, [](In g) { gated_activation(g.m, g.square); });
}

}  // namespace tapedeck::test
