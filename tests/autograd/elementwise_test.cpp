#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};
const TensorOptions kF64{DType::f64};

// ---- elementwise --------------------------------------------------------------------------------------------------
struct UnaryCase {
  const char* name;
  std::function<Tensor(const Tensor&)> op;
  std::function<double(double)> f;
};

std::vector<UnaryCase> unary_cases() {
  const auto sigma = [](double x) { return 1 / (1 + std::exp(-x)); };
  return {
      {"neg", neg, [](double x) { return -x; }},
      {"abs", abs, [](double x) { return std::fabs(x); }},
      {"exp", exp, [](double x) { return std::exp(x); }},
      {"log", log, [](double x) { return std::log(x); }},
      {"log1p", log1p, [](double x) { return std::log1p(x); }},
      {"sqrt", sqrt, [](double x) { return std::sqrt(x); }},
      {"rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }},
      {"square", square, [](double x) { return x * x; }},
      {"reciprocal", reciprocal, [](double x) { return 1 / x; }},
      {"sin", sin, [](double x) { return std::sin(x); }},
      {"cos", cos, [](double x) { return std::cos(x); }},
      {"sigmoid", sigmoid, sigma},
      {"logsigmoid", logsigmoid, [](double x) { return -std::log1p(std::exp(-x)); }},
      {"tanh", tanh, [](double x) { return std::tanh(x); }},
      {"relu", relu, [](double x) { return std::max(x, 0.); }},
      {"leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.2); }, [](double x) { return x > 0 ? x : 0.2 * x; }},
      {"elu", [](const Tensor& x) { return elu(x, 1.5); }, [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); }},
      {"gelu", [](const Tensor& x) { return gelu(x); },
       [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.)); }},
      {"silu", silu, [=](double x) { return x * sigma(x); }},
      {"mish", mish, [](double x) { return x * std::tanh(std::log1p(std::exp(x))); }},
      {"softplus", [](const Tensor& x) { return softplus(x); }, [](double x) { return std::log1p(std::exp(x)); }},
      {"clamp", [](const Tensor& x) { return clamp(x, -0.5, 1.2); },
       [](double x) { return std::min(std::max(x, -0.5), 1.2); }},
      {"pow 3", [](const Tensor& x) { return pow(x, 3); }, [](double x) { return x * x * x; }},
      {"pow -0.5", [](const Tensor& x) { return pow(x, -0.5); }, [](double x) { return std::pow(x, -0.5); }},
      {"add", [](const Tensor& x) { return x + 1.5; }, [](double x) { return x + 1.5; }},
      {"rsub", [](const Tensor& x) { return 1.5 - x; }, [](double x) { return 1.5 - x; }},
      {"mul", [](const Tensor& x) { return 3 * x; }, [](double x) { return x * 3; }},
      {"div", [](const Tensor& x) { return x / 3; }, [](double x) { return x / 3; }},
      {"rdiv", [](const Tensor& x) { return 3 / x; }, [](double x) { return 3 / x; }}};
}

TEST(Elementwise, UnaryValuesInEveryLayout) {
  for (const UnaryCase& c : unary_cases())
    for (const Shape& shape : {Shape{2, 3, 4}, Shape{}, Shape{0, 2}})
      for (const Layout layout : kLayouts) {
        const Tensor x = laid_out(spread(shape, -2, 2), layout), y = c.op(x);
        V expected = values(x);
        for (double& v : expected) v = c.f(v);
        EXPECT_EQ(y.sizes(), shape) << c.name;
        expect_close(values(y), expected, 1e-14, c.name);
        const Tensor single = cast(x, DType::f32), y32 = c.op(single);
        EXPECT_EQ(y32.dtype(), DType::f32) << c.name;
        expected = values(single);
        for (double& v : expected) v = c.f(v);
        expect_close(values(y32), expected, 1e-6, std::string(c.name) + " f32");
      }
}

TEST(Elementwise, SpecialValues) {
  const double nan = std::nan("");
  const Tensor x = f64({-kInf, kInf, nan}, {3});
  const auto check = [&](const char* name, const Tensor& y, const V& expected) {
    expect_close(values(y), expected, 0, name);
  };
  check("sigmoid", sigmoid(x), {0, 1, nan}), check("tanh", tanh(x), {-1, 1, nan});
  check("softplus", softplus(x), {0, kInf, nan}), check("logsigmoid", logsigmoid(x), {-kInf, 0, nan});
  check("relu", relu(x), {0, kInf, nan}), check("elu", elu(x), {-1, kInf, nan});
  check("clamp", clamp(x, -2, 3), {-2, 3, nan}), check("maximum", maximum(x, scalar(0, kF64)), {0, kInf, nan});
  check("minimum", minimum(scalar(0, kF64), x), {-kInf, 0, nan}), check("exp", exp(x), {0, kInf, nan});
  check("log", log(f64({0, -1}, {2})), {-kInf, nan}), check("sqrt", sqrt(f64({0, -1}, {2})), {0, nan});
  check("pow", pow(f64({0, 2, nan}, {3}), 0), {1, 1, 1});
  // Limits, where PyTorch has NaN for Inf * 0 or Inf / Inf.
  check("gelu", gelu(x), {0, kInf, nan}), check("gelu tanh", gelu(x, Approximate::tanh), {0, kInf, nan});
  check("hardswish", hardswish(x), {0, kInf, nan}), check("softsign", softsign(x), {-1, 1, nan});
  check("snake", snake(x), {-kInf, kInf, nan}), check("snake of 0", snake(f64({3}, {1}), 0), {3});
  check("softshrink", softshrink(x), {-kInf, kInf, nan}), check("hardshrink", hardshrink(x), {-kInf, kInf, nan});
  check("hardtanh", hardtanh(x), {-1, 1, nan}), check("hardsigmoid", hardsigmoid(x), {0, 1, nan});
  check("sign", sign(x), {-1, 1, 0}), check("frac", frac(x), {nan, nan, nan});
  check("erf", erf(x), {-1, 1, nan}), check("erfc", erfc(x), {2, 0, nan}), check("expm1", expm1(x), {-1, kInf, nan});
  check("asinh", asinh(x), {-kInf, kInf, nan}), check("acosh", acosh(x), {nan, kInf, nan});
  check("atanh", atanh(f64({1, -1, 2}, {3})), {kInf, -kInf, nan});
  check("nan_to_num", nan_to_num(x), {-0x1.fffffffffffffp1023, 0x1.fffffffffffffp1023, 0});
  check("nan_to_num", nan_to_num(x, 1, 2, 3), {3, 2, 1});
  check("round", round(f64({0.5, 1.5, -2.5}, {3})), {0, 2, -2});
  check("isnan", isnan(x), {0, 0, 1}), check("isinf", isinf(x), {1, 1, 0}), check("isfinite", isfinite(x), {0, 0, 0});
  check("logical_not", logical_not(f64({0, -0.0, nan}, {3})), {1, 1, 0});
}

// Python's % and C's, with values that PyTorch 1.13 gives.
TEST(Elementwise, RemaindersAsInPyTorch) {
  const double nan = std::nan("");
  const Tensor a = f64({5, -5, 5, -5, 0, -0.0, 1, kInf, 1, nan, -1}, {11});
  const Tensor b = f64({3, 3, -3, -3, -3, 3, 0, 2, kInf, 1, kInf}, {11});
  for (const DType t : {DType::f64, DType::f32}) {
    expect_close(values(fmod(cast(a, t), cast(b, t))), {2, -2, 2, -2, 0, 0, nan, nan, 1, nan, -1}, 0, "fmod");
    expect_close(values(remainder(cast(a, t), cast(b, t))), {2, 1, -1, -2, 0, 0, nan, nan, 1, nan, kInf}, 0,
                 "remainder");
  }
  const Tensor i = i64({7, -7, std::numeric_limits<std::int64_t>::min()}, {3});
  EXPECT_EQ(fmod(i, 4).to_vector<std::int64_t>(), (std::vector<std::int64_t>{3, -3, 0}));
  EXPECT_EQ(remainder(i, -4).to_vector<std::int64_t>(), (std::vector<std::int64_t>{-1, -3, 0}));
  EXPECT_EQ(fmod(i, -1).to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 0, 0}));
}

// What the gradient is where there is no derivative.
TEST(Elementwise, GradientsAtKinks) {
  const auto slope = [](const std::function<Tensor(const Tensor&)>& f, double at) {
    V got;
    for (const bool graph : {false, true}) {  // both forms of the rule
      const Tensor x = f64({at}, {1});
      Tape tape;
      tape.watch(x);
      got.push_back(tape.gradients(f(x), {x}, {.create_graph = graph})[0].item());
    }
    EXPECT_EQ(got[0], got[1]) << at;
    return got[0];
  };
  EXPECT_EQ(slope(abs, 0), 0);
  EXPECT_EQ(slope(relu, 0), 0);
  EXPECT_EQ(slope(sqrt, 0), kInf);
  EXPECT_EQ(slope([](const Tensor& x) { return leaky_relu(x, 0.1); }, 0), 0.1);
  EXPECT_EQ(slope([](const Tensor& x) { return elu(x, 2); }, 0), 2);
  EXPECT_EQ(slope([](const Tensor& x) { return elu(x); }, 1000), 1);
  EXPECT_EQ(slope([](const Tensor& x) { return clamp(x, -1, 1); }, 1), 1);
  EXPECT_EQ(slope([](const Tensor& x) { return clamp(x, -1, 1); }, -1), 1);
  EXPECT_EQ(slope([](const Tensor& x) { return clamp(x, -1, 1); }, 1.5), 0);
  EXPECT_EQ(slope([](const Tensor& x) { return hardtanh(x); }, 1), 0);
  EXPECT_EQ(slope([](const Tensor& x) { return hardtanh(x); }, -1), 0);
  EXPECT_EQ(slope(relu6, 6), 0);
  EXPECT_EQ(slope(hardsigmoid, 3), 0);
  EXPECT_EQ(slope(hardswish, 3), 1.5);
  EXPECT_EQ(slope(hardswish, -3), -0.5);
  EXPECT_EQ(slope([](const Tensor& x) { return hardshrink(x); }, 0.5), 0);
  EXPECT_EQ(slope([](const Tensor& x) { return softshrink(x); }, -0.5), 0);
  EXPECT_EQ(slope([](const Tensor& x) { return celu(x, 2); }, 0), 1);
  EXPECT_EQ(slope([](const Tensor& x) { return prelu(x, scalar(0.25, kF64)); }, 0), 0.25);
  EXPECT_EQ(slope([](const Tensor& x) { return nan_to_num(x); }, kInf), 0);
  EXPECT_EQ(slope(round, 0.5), 0);
  EXPECT_EQ(slope(frac, 1), 1);
  EXPECT_EQ(slope([](const Tensor& x) { return maximum(x, scalar(2, kF64)); }, 2), 0.5);
  EXPECT_EQ(slope([](const Tensor& x) { return minimum(scalar(2, kF64), x); }, 2), 0.5);
  EXPECT_EQ(slope([](const Tensor& x) { return pow(x, 0); }, 0), 0);
  EXPECT_EQ(slope([](const Tensor& x) { return pow(x, scalar(0, kF64)); }, 0), 0);
  EXPECT_EQ(slope([](const Tensor& x) { return pow(scalar(0, kF64), x); }, 2), 0);
}

TEST(Elementwise, BinaryBroadcastsAsNumPy) {
  struct Case {
    const char* name;
    Tensor (*op)(const Tensor&, const Tensor&);
    double (*f)(double, double);
  };
  const Case cases[] = {{"add", add, [](double a, double b) { return a + b; }},
                        {"sub", sub, [](double a, double b) { return a - b; }},
                        {"mul", mul, [](double a, double b) { return a * b; }},
                        {"div", div, [](double a, double b) { return a / b; }},
                        {"maximum", maximum, [](double a, double b) { return std::max(a, b); }},
                        {"minimum", minimum, [](double a, double b) { return std::min(a, b); }},
                        {"pow", pow, [](double a, double b) { return std::pow(a, b); }},
                        {"eq", eq, [](double a, double b) { return a == b ? 1. : 0.; }},
                        {"ne", ne, [](double a, double b) { return a != b ? 1. : 0.; }},
                        {"lt", lt, [](double a, double b) { return a < b ? 1. : 0.; }},
                        {"le", le, [](double a, double b) { return a <= b ? 1. : 0.; }},
                        {"gt", gt, [](double a, double b) { return a > b ? 1. : 0.; }},
                        {"ge", ge, [](double a, double b) { return a >= b ? 1. : 0.; }}};
  // a [2,1,3] and b [4,1] give [2,4,3].
  const Tensor a0 = f64({1, 2, 3, 4, 5, 6}, {2, 1, 3}), b0 = f64({2, 3, 0.5, 6}, {4, 1});
  for (const Case& c : cases)
    for (const Layout layout : kLayouts) {
      const Tensor a = laid_out(a0, layout), b = laid_out(b0, layout), y = c.op(a, b);
      V expected;
      for (std::size_t i = 0; i < 2; ++i)
        for (std::size_t j = 0; j < 4; ++j)
          for (std::size_t k = 0; k < 3; ++k) expected.push_back(c.f(values(a0)[i * 3 + k], values(b0)[j]));
      EXPECT_EQ(y.sizes(), (Shape{2, 4, 3})) << c.name;
      expect_close(values(y), expected, 1e-15, c.name);
    }
  EXPECT_EQ(eq(a0, b0).dtype(), DType::boolean);
  EXPECT_EQ((a0 + scalar(1, kF64)).sizes(), a0.sizes());
  EXPECT_EQ((zeros({0, 3}, kF64) + zeros({1, 3}, kF64)).sizes(), (Shape{0, 3}));
}

TEST(Elementwise, WhereChoosesByElement) {
  const Tensor c = gt(f64({1, -1, 1}, {3, 1}), scalar(0, kF64));
  EXPECT_EQ(values(where(c, f64({1, 2}, {2}), scalar(9, kF64))), (V{1, 2, 9, 9, 1, 2}));
  EXPECT_EQ(values(where(c, i64({5}, {1}), i64({7}, {1}))), (V{5, 7, 5}));
  EXPECT_THROW(where(f64({1}, {1}), f64({1}, {1}), f64({1}, {1})), DTypeError);
}

// What is not chosen leaves no NaN in the gradient.
TEST(Elementwise, WhereStopsTheOtherSidesGradient) {
  const Tensor x = f64({0, 2}, {2});
  Tape tape;
  tape.watch(x);
  tape.backward(sum(where(gt(x, scalar(1, kF64)), x * 3, scalar(kInf, kF64))));
  EXPECT_EQ(values(tape.grad(x)), (V{0, 3}));
}

TEST(Elementwise, IntegersStayIntegers) {
  const Tensor a = i64({7, -3}, {2}), b = i64({2, 5}, {2});
  EXPECT_EQ((a + b).to_vector<std::int64_t>(), (std::vector<std::int64_t>{9, 2}));
  EXPECT_EQ((a * b - 1).to_vector<std::int64_t>(), (std::vector<std::int64_t>{13, -16}));
  EXPECT_EQ((-abs(a)).to_vector<std::int64_t>(), (std::vector<std::int64_t>{-7, -3}));
  EXPECT_EQ(clamp(a, 0).to_vector<std::int64_t>(), (std::vector<std::int64_t>{7, 0}));
  EXPECT_EQ(maximum(a, b).to_vector<std::int64_t>(), (std::vector<std::int64_t>{7, 5}));
}

TEST(Elementwise, ShortFormsAreAskedToo) {
  using B = std::vector<bool>;
  const auto flags = [](const Tensor& t) {
    B all;
    for (const double v : values(cast(t, DType::f64))) all.push_back(v != 0);
    return all;
  };
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const Tensor x = cast(f64({1, kNaN, kInf, -kInf, 0}, {5}), dtype), y = cast(f64({1, 1, 1, 0, 0}, {5}), dtype);
    EXPECT_EQ(flags(isnan(x)), (B{false, true, false, false, false}));
    EXPECT_EQ(flags(isinf(x)), (B{false, false, true, true, false}));
    EXPECT_EQ(flags(isfinite(x)), (B{true, false, false, false, true}));
    EXPECT_EQ(flags(logical_not(y)), (B{false, false, false, true, true}));
    EXPECT_EQ(flags(logical_and(x, y)), (B{true, true, true, false, false}));
    EXPECT_EQ(flags(eq(x, y)), (B{true, false, false, false, true}));
    EXPECT_EQ(flags(gt(x, 0.5)), (B{true, false, true, false, false}));
    Tape tape;
    tape.watch(y);
    EXPECT_FALSE(is_recorded(lt(y, x)));
    EXPECT_EQ(tape.size(), 0u);
  }
}

TEST(Elementwise, ErrorsNameBothArguments) {
  const Tensor a = tensor({1, 2}), i = i64({1, 2}, {2});
  EXPECT_EQ(error_of<DTypeError>([&] { a + i; }), "add: dtypes differ; cast one of them; a f32[2] cpu; b i64[2] cpu");
  EXPECT_TRUE(says(error_of<ShapeError>([&] { a* tensor({1, 2, 3}); }), "mul: shapes [2] and [3] do not broadcast"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { i / i; }), "div: needs a real tensor"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { i / 2; }), "div: needs a real tensor"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { i + 0.5; }), "add: the real scalar 0.5 does not fit an integer tensor"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { exp(i); }), "exp: needs a real tensor"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { mean(i); }), "mean: needs a real tensor"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { eq(i, i) + eq(i, i); }), "bool tensors have no arithmetic"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { exp(Tensor()); }), "exp: x is an undefined tensor"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { a + Tensor(); }), "add: b is an undefined tensor"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { lt(i, 0.5); }), "lt: the real scalar 0.5 does not fit an integer"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { 2 / i; }), "div: needs a real tensor"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { frac(i); }), "frac: needs a real tensor"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { prelu(a, tensor({1, 2, 3})); }), "prelu: weight must have one element"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { fmod(i, i64({0, 1}, {2})); }), "fmod: the divisor of an integer"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { remainder(i, 0); }), "remainder: the divisor of an integer"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { softshrink(a, -1); }), "softshrink: lambd -1 must not be negative"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { celu(a, 0); }), "celu: alpha must not be 0"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { clamp(a, 2, 1); }), "clamp: low 2 must not be above high 1"));
}

TEST(Composed, ClosenessOfInfinitiesAndNaN) {
  const Tensor x = f64({1, kInf, kNaN}, {3});
  EXPECT_EQ(values(isclose(x, f64({1 + 1e-6, kInf, kNaN}, {3}))), (V{1, 1, 0}));
  EXPECT_EQ(values(isclose(x, f64({kInf, -kInf, 1}, {3}))), (V{0, 0, 0}));
  EXPECT_TRUE(allclose(x, x, 0, 0, true));
  EXPECT_FALSE(allclose(x, x));
  EXPECT_TRUE(allclose(i64({}, {0}), i64({}, {0})));
}

TEST(Composed, NothingTimesALogarithmIsNothing) {
  const V y = values(xlogy(f64({0, 0, 0, 0, 1}, {5}), f64({0, -1, kInf, kNaN, 0}, {5})));
  EXPECT_EQ((V{y[0], y[1], y[2], y[4]}), (V{0, 0, 0, -kInf}));
  EXPECT_TRUE(std::isnan(y[3]));
}

}  // namespace
}  // namespace tapedeck
