// The functions that devices compute in float, over all magnitudes, against formulas in f64: within the bounds of the
// op cases, |y - r| <= c u (|r| + |x f'(x)|), and some within a few ulp. Errors of the hardware's instructions
// included.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/kernels/cuda/elementwise.h>

#include <bit>
#include <cmath>

namespace tapedeck::kernels::cuda_emulated {
namespace {

constexpr double kInverseRoot = 0.39894228040143267794;  // of 2 pi
double cdf(double x) { return std::erfc(x * -0.70710678118654752440) / 2; }
double sigmoid_at(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double softplus_at(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double times(double x, double f) { return f == 0 ? 0 : x * f; }
double argument(double x) { return 1.5957691216057307118 * (x + 0.044715 * x * x * x); }
double mish_share(double x) {
  const double e = std::exp(std::fmin(x, 100));
  return e * (e + 2) / (e * (e + 2) + 2);
}
double gelu_slope(double x) { return cdf(x) + times(x, std::exp(-x * x / 2) * kInverseRoot); }
double gelu_tanh_slope(double x) {
  const double s = sigmoid_at(argument(x)), rest = sigmoid_at(-argument(x));
  return s + times(x, s * rest * 1.5957691216057307118 * (1 + 0.134145 * std::fmin(x * x, 1e6)));
}
double silu_slope(double x) { return sigmoid_at(x) + times(x, sigmoid_at(x) * sigmoid_at(-x)); }
double mish_slope(double x) {
  const double c = std::cosh(std::fmin(softplus_at(x), 300));
  return mish_share(x) + times(std::fmin(x, 1e4), sigmoid_at(x) / (c * c));
}
double change(double (*f)(double), double x) {
  const double h = 1e-5 * std::fmax(1, std::fabs(x));
  return std::isfinite(x) ? (f(x + h) - f(x - h)) / (2 * h) : 0;
}

template <class F>
float value(float x) {
  return static_cast<float>(Form<F, float>::value(Float(x), Float(1), Float(20)));
}
template <class F>
float slope(float x) {
  return static_cast<float>(Form<F, float>::grad(Float(1), Float(x), Float(value<F>(x)), Float(1), Float(20)));
}

struct Case {
  const char* name;
  float (*f)(float);
  double (*exact)(double);
  double (*exact_slope)(double);
  double c, ulps;  // 0: not asked for
};
const Case kCases[] = {
    {"exp", value<math::Exp>, [](double x) { return std::exp(x); }, nullptr, 0, 1},
    {"log", value<math::Log>, [](double x) { return std::log(x); }, nullptr, 0, 1},
    {"tanh", value<math::Tanh>, [](double x) { return std::tanh(x); }, nullptr, 0, 3},
    {"sigmoid", value<math::Sigmoid>, sigmoid_at, nullptr, 0, 3},
    {"softplus", value<math::Softplus>, [](double x) { return x > 20 ? x : softplus_at(x); }, nullptr, 0, 3},
    {"logsigmoid", value<math::Logsigmoid>, [](double x) { return -softplus_at(-x); }, nullptr, 0, 3},
    {"gelu", value<math::Gelu>, [](double x) { return times(x, cdf(x)); }, gelu_slope, 4, 0},
    {"gelu, tanh", value<math::GeluTanh>, [](double x) { return times(x, sigmoid_at(argument(x))); }, gelu_tanh_slope,
     4, 0},
    {"silu", value<math::Silu>, [](double x) { return times(x, sigmoid_at(x)); }, silu_slope, 4, 0},
    {"mish", value<math::Mish>, [](double x) { return times(x, mish_share(x)); }, mish_slope, 4, 0},
    {"slope of softplus", slope<math::Softplus>, [](double x) { return x > 20 ? 1 : sigmoid_at(x); }, nullptr, 0, 3},
    {"slope of logsigmoid", slope<math::Logsigmoid>, [](double x) { return sigmoid_at(-x); }, nullptr, 0, 3},
    {"slope of gelu", slope<math::Gelu>, gelu_slope, [](double x) { return change(gelu_slope, x); }, 6, 0},
    {"slope of gelu, tanh", slope<math::GeluTanh>, gelu_tanh_slope, [](double x) { return change(gelu_tanh_slope, x); },
     6, 0},
    {"slope of silu", slope<math::Silu>, silu_slope, [](double x) { return change(silu_slope, x); }, 8, 0},
    {"slope of mish", slope<math::Mish>, mish_slope, [](double x) { return change(mish_slope, x); }, 8, 0},
};

// The error as a part of what is allowed.
double part(const Case& c, float x) {
  constexpr double kNever = std::numeric_limits<double>::infinity();
  const float y = c.f(x);
  const double r = c.exact(x);
  if (std::isnan(r)) return std::isnan(y) ? 0 : kNever;
  if (y == static_cast<float>(r)) return 0;
  int exponent;
  std::frexp(r, &exponent);
  double allowed = c.ulps > 0 ? c.ulps * std::ldexp(1, exponent - 24)
                              : c.c * 0x1p-24 * (std::fabs(r) + std::fabs(times(x, c.exact_slope(x))));
  allowed = std::fmax(allowed, 0x1p-149);
  if (std::isinf(y)) return std::fabs(r) + allowed >= 0x1.fffffep127 ? 1 : kNever;
  return std::fabs(y - r) / allowed;
}

TEST(FloatForms, AllMagnitudesAreWithinTheBoundsOfTheOpCases) {
  for (const Case& c : kCases) {
    double worst = 0;
    float at = 0;
    for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += 20011) {
      const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      const double p = part(c, x);
      if (!(p <= worst)) worst = p, at = x;
    }
    EXPECT_LE(worst, 1) << c.name << " at " << at;
  }
}
TEST(FloatForms, EndsAndNaN) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  for (const Case& c : kCases)
    for (const float x : {0.0f, -0.0f, kInf, -kInf, std::nanf(""), 0x1p-149f, -0x1p-149f, 3e38f, -3e38f, 1e-30f})
      EXPECT_LE(part(c, x), 1) << c.name << " at " << x;
}

// Both parameters: their conversions stand side by side.
TEST(FloatForms, ParametersOfHalvesAreFloats) {
  for (const double p : {-0.3, 0.1, 1e-50, 1.5}) {
    EXPECT_EQ((parameter<math::MulScalar, Float16>(p)), static_cast<double>(static_cast<float>(p)));
    EXPECT_EQ((parameter<math::AddScalar, BFloat16>(p)), static_cast<double>(static_cast<float>(p)));
    volatile double both[2] = {p, 2 * p};
    const double a = parameter<math::MulScalar, Float16>(both[0]), b = parameter<math::MulScalar, Float16>(both[1]);
    EXPECT_EQ(a, static_cast<double>(static_cast<float>(both[0])));
    EXPECT_EQ(b, 2 * a);
  }
}

}  // namespace
}  // namespace tapedeck::kernels::cuda_emulated
