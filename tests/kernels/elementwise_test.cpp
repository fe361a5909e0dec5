#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/reduce.h>

#include <algorithm>
#include <functional>
#include <mutex>

#include "kernels/check.h"

namespace tapedeck {
namespace {

namespace k = kernels;
using Real = double;

// One function with formulas of its own in f64, written apart from the kernels, and its bounds in ulp.
struct UnaryCase {
  k::KernelSlot<k::UnaryArgs>& slot;
  k::KernelSlot<k::UnaryGradArgs>* slot_backward;  // null: the gradient has no kernel
  Real (*value)(Real x, Real p, Real q);
  Real (*slope)(Real x, Real y, Real p, Real q);  // f'(x)
  double bound, bound_backward;
  double p = 0, q = 0;
};

Real sigmoid_of(Real x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
Real softplus_of(Real x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
Real gauss(Real x) { return std::exp(-x * x / 2) / std::sqrt(2 * M_PI); }
Real cdf(Real x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
Real times(Real x, Real factor) { return factor == 0 ? std::copysign(0.0, x) : x * factor; }  // Inf * 0 in the limit
Real mish_slope(Real x) {
  const Real s = softplus_of(x), t = std::tanh(s), c = std::cosh(std::min(s, 300.0));
  return t + (std::isinf(x) ? 0 : x * sigmoid_of(x) / (c * c));
}

Real gelu_argument(Real x) { return 2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
Real gelu_tanh_slope(Real x) {
  const Real u = gelu_argument(x), s = sigmoid_of(u), d = 2 * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
  return s + (std::isinf(u) || s == 0 ? 0 : x * s * sigmoid_of(-u) * d);
}
constexpr Real kSelu = 1.0507009873554804934, kSeluAlpha = 1.6732632423543772848;
constexpr double kAny = 1e9;  // bounded relative to its terms by the op cases: it crosses 0

const std::vector<UnaryCase>& unary_cases() {
#define TD_MAP(name, ...)                                                                                          \
  {                                                                                                                \
    k::name, nullptr, [](Real x, Real p, Real) -> Real { return (void)p, __VA_ARGS__; }, nullptr, 0.5, 0, 0.375, 0 \
  }
#define TD_CASE(name, value, slope, ...)             \
  {                                                  \
    k::name, &k::name##_backward,                    \
        [](Real x, Real p, Real q) -> Real {         \
          (void)x, (void)p, (void)q;                 \
          return value;                              \
        },                                           \
        [](Real x, Real y, Real p, Real q) -> Real { \
          (void)x, (void)y, (void)p, (void)q;        \
          return slope;                              \
        },                                           \
        __VA_ARGS__                                  \
  }
  static const std::vector<UnaryCase> cases = {
      TD_MAP(neg, -x),
      TD_MAP(sign, (x > 0) - (x < 0)),
      TD_MAP(floor, std::floor(x)),
      TD_MAP(ceil, std::ceil(x)),
      TD_MAP(round, std::nearbyint(x)),
      TD_MAP(trunc, std::trunc(x)),
      TD_MAP(frac, x - std::trunc(x)),
      TD_MAP(add_scalar, x + p),
      TD_MAP(mul_scalar, x * p),
      TD_CASE(abs, std::fabs(x), x != x ? x : (x > 0) - (x < 0), 0.5, 0.5),
      TD_CASE(exp, std::exp(x), y, 1, 0.5),
      TD_CASE(expm1, std::expm1(x), std::exp(x), 0.51, 0.51),
      TD_CASE(log, std::log(x), 1 / x, 0.51, 0.51),
      TD_CASE(log1p, std::log1p(x), 1 / (1 + x), 0.51, 0.51),
      TD_CASE(log2, std::log2(x), 1 / (x * M_LN2), 0.51, 0.51),
      TD_CASE(log10, std::log10(x), 1 / (x * M_LN10), 0.51, 0.51),
      TD_CASE(sqrt, std::sqrt(x), 0.5 / y, 0.5, 1.5),
      TD_CASE(rsqrt, 1 / std::sqrt(x), -0.5 * y * y * y, 0.51, 0.51),
      TD_CASE(square, x * x, 2 * x, 0.5, 0.5),
      TD_CASE(reciprocal, 1 / x, -y * y, 0.5, 1.5),
      TD_CASE(sin, std::sin(x), std::cos(x), 0.51, 0.51),
      TD_CASE(cos, std::cos(x), -std::sin(x), 0.51, 0.51),
      TD_CASE(tan, std::tan(x), 1 + y * y, 0.51, 0.51),
      TD_CASE(asin, std::asin(x), 1 / std::sqrt((1 - x) * (1 + x)), 0.51, 0.51),
      TD_CASE(acos, std::acos(x), -1 / std::sqrt((1 - x) * (1 + x)), 0.51, 0.51),
      TD_CASE(atan, std::atan(x), 1 / (1 + x * x), 0.51, 0.51),
      TD_CASE(sinh, std::sinh(x), std::cosh(x), 0.51, 0.51),
      TD_CASE(cosh, std::cosh(x), std::sinh(x), 0.51, 0.51),
      TD_CASE(asinh, std::asinh(x), 1 / std::sqrt(x * x + 1), 0.51, 0.51),
      TD_CASE(acosh, std::acosh(x), x < 1 ? NAN : 1 / std::sqrt((x - 1) * (x + 1)), 0.51, 0.51),
      TD_CASE(atanh, std::atanh(x), 1 / ((1 - x) * (1 + x)), 0.51, 0.51),
      TD_CASE(erf, std::erf(x), M_2_SQRTPI * std::exp(-x * x), 0.51, 0.51),
      TD_CASE(erfc, std::erfc(x), -M_2_SQRTPI * std::exp(-x * x), 0.51, 0.51),
      TD_CASE(sigmoid, sigmoid_of(x), y * (1 - y), 2.5, 2),
      TD_CASE(logsigmoid, -softplus_of(-x), sigmoid_of(-x), 0.51, 0.51),
      TD_CASE(tanh, std::tanh(x), (1 - y) * (1 + y), 3, 2.5),
      TD_CASE(relu, x > 0 || x != x ? x : 0, x > 0 || x != x, 0.5, 0.5),
      TD_CASE(leaky_relu, x > 0 ? x : p * x, x > 0 ? 1 : p, 0.51, 0.51, 0.125),
      TD_CASE(elu, x > 0 ? x : p * std::expm1(x), x > 0 ? 1 : p * std::exp(x), 2.5, 2.5, 1.5),
      TD_CASE(selu, kSelu * (x > 0 ? x : kSeluAlpha * std::expm1(x)), kSelu * (x > 0 ? 1 : kSeluAlpha * std::exp(x)), 3,
              3),
      TD_CASE(celu, x > 0 ? x : p * std::expm1(x / p), x > 0 ? 1 : std::exp(x / p), 0.51, 0.51, 1.5),
      TD_CASE(gelu, times(x, cdf(x)), cdf(x) + (std::isinf(x) ? 0 : x * gauss(x)), 0.51, 4),
      TD_CASE(silu, times(x, sigmoid_of(x)), sigmoid_of(x) + (std::isinf(x) ? 0 : x * sigmoid_of(x) * sigmoid_of(-x)),
              0.51, 0.51),
      TD_CASE(mish, times(x, std::tanh(softplus_of(x))), mish_slope(x), 0.51, 0.51),
      TD_CASE(gelu_tanh, times(x, sigmoid_of(gelu_argument(x))), gelu_tanh_slope(x), 0.51, 4),
      TD_CASE(softplus, x * p > q ? x : softplus_of(x * p) / p, x * p > q ? 1 : sigmoid_of(x * p), 0.51, 0.51, 1, 20),
      TD_CASE(softplus, x * p > q ? x : softplus_of(x * p) / p, x * p > q ? 1 : sigmoid_of(x * p), 0.51, 0.51, 2.5, 3),
      TD_CASE(softsign, std::isinf(x) ? std::copysign(1, x) : x / (1 + std::fabs(x)),
              1 / ((1 + std::fabs(x)) * (1 + std::fabs(x))), 1.5, 3.5),
      TD_CASE(softshrink,
              x > p    ? x - p
              : x < -p ? x + p
              : x == x ? 0
                       : x,
              std::fabs(x) <= p ? 0 : 1, 0.5, 0.5, 0.75),
      TD_CASE(hardshrink, std::fabs(x) <= p ? 0 : x, std::fabs(x) <= p ? 0 : 1, 0.5, 0.5, 0.75),
      TD_CASE(hardtanh,
              x < p   ? p
              : x > q ? q
                      : x,
              x <= p || x >= q ? 0 : 1, 0.5, 0.5, -0.75, 1.25),
      TD_CASE(hardsigmoid,
              x <= -3  ? 0
              : x >= 3 ? 1
                       : (x + 3) / 6,
              x <= -3 || x >= 3 ? 0 : Real(1) / 6, 1.5, 0.51),
      TD_CASE(hardswish,
              times(x, x <= -3  ? 0
                       : x >= 3 ? 1
                                : (x + 3) / 6),
              x < -3  ? 0
              : x > 3 ? 1
                      : x / 3 + 0.5,
              2.5, kAny),
  };
#undef TD_CASE
#undef TD_MAP
  return cases;
}

float bits_to_float(std::uint32_t b) { return std::bit_cast<float>(b); }

struct Worst {
  double error = 0;
  float at = 0, got = 0;
  void take(double e, float x, float y) {
    if (!(e <= error)) error = e, at = x, got = y;
  }
};

// The worst error over bit patterns first, first + step, …
Worst sweep(const UnaryCase& c, std::uint64_t step, bool backward) {
  constexpr std::uint64_t kBatch = 1 << 16;
  const std::uint64_t count = ((std::uint64_t{1} << 32) + step - 1) / step;
  Worst worst;
  std::mutex mutex;
  parallel_for(static_cast<std::int64_t>((count + kBatch - 1) / kBatch), 1, [&](std::int64_t begin, std::int64_t end) {
    Worst mine;
    for (std::int64_t b = begin; b < end; ++b) {
      const std::uint64_t first = static_cast<std::uint64_t>(b) * kBatch, n = std::min(kBatch, count - first);
      std::vector<float> x(n), y(n), g(n, 1.0f), gx(n);
      for (std::uint64_t i = 0; i < n; ++i) x[i] = bits_to_float(static_cast<std::uint32_t>((first + i) * step));
      const auto view = [&](std::vector<float>& v) {
        TensorView t;
        t.data = v.data(), t.rank = 1, t.sizes[0] = static_cast<std::int64_t>(n), t.strides[0] = 1;
        return t;
      };
      c.slot(kCpu, {view(x), view(y), c.p, c.q});
      if (backward) (*c.slot_backward)(kCpu, {view(g), view(x), view(y), view(gx), c.p, c.q});
      for (std::uint64_t i = 0; i < n; ++i) {
        const double e = backward ? ulps(gx[i], c.slope(x[i], y[i], c.p, c.q)) : ulps(y[i], c.value(x[i], c.p, c.q));
        mine.take(e, x[i], backward ? gx[i] : y[i]);
      }
    }
    const std::lock_guard lock(mutex);
    worst.take(mine.error, mine.at, mine.got);
  });
  return worst;
}

TEST(Elementwise, UnaryOverAllMagnitudes) {
  for (const UnaryCase& c : unary_cases())
    each_variant(c.slot, [&](const std::string& variant) {
      const Worst w = sweep(c, 257 * 16 + 1, false);  // every 257th float: op_cases --sweep
      RecordProperty(std::string(c.slot.name()) + "." + variant + ".ulp", std::to_string(w.error));
      std::printf("  %-12s %-5s %8.3f ulp at %a\n", c.slot.name(), variant.c_str(), w.error, static_cast<double>(w.at));
      const double bound = variant == "eigen" ? std::max(c.bound, 4.0) : c.bound;
      EXPECT_TRUE(w.error <= bound) << w.error << " ulp at " << w.at << " (" << std::hexfloat << w.at << "), got "
                                    << w.got;
    });
}

TEST(Elementwise, UnaryGradientsOverAllMagnitudes) {
  for (const UnaryCase& c : unary_cases()) {
    if (!c.slot_backward) continue;
    each_variant(*c.slot_backward, [&](const std::string& variant) {
      const Worst w = sweep(c, 257 * 16 + 1, true);
      RecordProperty(std::string(c.slot.name()) + "_backward." + variant + ".ulp", std::to_string(w.error));
      std::printf("  %-12s %-5s %8.3f ulp (gradient) at %a\n", c.slot.name(), variant.c_str(), w.error,
                  static_cast<double>(w.at));
      EXPECT_TRUE(w.error <= c.bound_backward)
          << w.error << " ulp at " << w.at << " (" << std::hexfloat << w.at << "), got " << w.got;
    });
  }
}

TEST(Elementwise, UnarySpecialValues) {
  const std::vector<float> values = special_values();
  const Tensor x = tensor(values, {static_cast<std::int64_t>(values.size())});
  for (const UnaryCase& c : unary_cases())
    each_variant(c.slot, [&](const std::string& variant) {
      const Tensor y = empty_like(x);
      c.slot(kCpu, {x, y, c.p, c.q});
      const double bound = variant == "eigen" ? 4 : c.bound;
      for (std::size_t i = 0; i < values.size(); ++i)
        EXPECT_TRUE(ulps(y.data<float>()[i], c.value(values[i], c.p, c.q)) <= bound)
            << values[i] << " gives " << y.data<float>()[i] << ", not " << c.value(values[i], c.p, c.q);
    });
}

TEST(Elementwise, F64IsExactToRounding) {
  const Tensor x = random_tensor<double>({301}, 5, 0.01, 6), y = empty_like(x);
  for (const UnaryCase& c : unary_cases()) {
    c.slot(kCpu, {x, y, c.p, c.q});
    for (int i = 0; i < 301; ++i) {
      const double r = c.value(x.data<double>()[i], c.p, c.q);
      if (std::isnan(r))
        EXPECT_TRUE(std::isnan(y.data<double>()[i])) << c.slot.name();
      else
        EXPECT_LE(std::fabs(y.data<double>()[i] - r), 1e-15 * (std::fabs(r) + 1)) << c.slot.name();
    }
  }
}

// The same element alone, in a whole vector, in a tail, strided or broadcast: the same bits.
TEST(Elementwise, LayoutAndPlaceDoNotChangeBits) {
  for (const UnaryCase& c : unary_cases())
    each_variant(c.slot, [&](const std::string& variant) {
      if (variant == "eigen") return;  // promised for default variants
      const Tensor x = random_tensor({70, 37}, 3), y = empty({70, 37});
      c.slot(kCpu, {x, y, c.p, c.q});
      const Tensor xt = detail::transpose(x, 0, 1), yt = empty({37, 70}), one = empty({1});
      c.slot(kCpu, {xt, yt, c.p, c.q});
      Tensor back = empty({70, 37});
      k::copy(kCpu, {detail::transpose(yt, 0, 1), back});
      EXPECT_TRUE(same_bits(y, back));
      for (const int i : {0, 1, 36, 37 * 70 - 1}) {
        c.slot(kCpu, {detail::slice(detail::try_reshape(x, {70 * 37}), 0, i, i + 1), one, c.p, c.q});
        EXPECT_EQ(std::bit_cast<std::uint32_t>(*one.data<float>()), std::bit_cast<std::uint32_t>(y.data<float>()[i]));
      }
      for (int n = 1; n < 40; ++n) {  // tails of all lengths write n elements and no more
        Tensor z = full({64}, 123);
        c.slot(kCpu, {detail::slice(detail::try_reshape(x, {70 * 37}), 0, 0, n), detail::slice(z, 0, 0, n), c.p, c.q});
        EXPECT_EQ(std::memcmp(z.data(), y.data(), static_cast<std::size_t>(n) * 4), 0) << n;
        for (int i = n; i < 64; ++i) EXPECT_EQ(z.data<float>()[i], 123);
      }
    });
}

TEST(Elementwise, ThreadsDoNotChangeBits) {
  const Tensor x = random_tensor({3, 50001}, 8), g = random_tensor({3, 50001}, 9);
  for (const UnaryCase& c : unary_cases())
    on_any_threads([&] {
      const Tensor y = empty_like(x), gx = empty_like(x);
      c.slot(kCpu, {x, y, c.p, c.q});
      if (!c.slot_backward) return y;
      (*c.slot_backward)(kCpu, {g, x, y, gx, c.p, c.q});
      return gx;
    });
}

TEST(Elementwise, EmptyAndScalar) {
  for (const UnaryCase& c : unary_cases())
    each_variant(c.slot, [&](const std::string&) {
      const Tensor e = empty({3, 0, 2});
      EXPECT_NO_THROW(c.slot(kCpu, {e, e, c.p, c.q}));
      const Tensor x = scalar(0.5), y = scalar(0);
      c.slot(kCpu, {x, y, c.p, c.q});
      EXPECT_LE(ulps(*y.data<float>(), c.value(0.5, c.p, c.q)), 4);
    });
}

// ---- two arguments -------------------------------------------------------------------------------------------------

struct BinaryCase {
  k::KernelSlot<k::BinaryArgs>& slot;
  Real (*value)(Real, Real);
  double bound;
};
Real larger(Real a, Real b) { return a != a ? a : b != b ? b : std::max(a, b); }
Real smaller(Real a, Real b) { return a != a ? a : b != b ? b : std::min(a, b); }
const std::vector<BinaryCase>& binary_cases() {
  static const std::vector<BinaryCase> cases = {{k::add, [](Real a, Real b) { return a + b; }, 0.5},
                                                {k::sub, [](Real a, Real b) { return a - b; }, 0.5},
                                                {k::mul, [](Real a, Real b) { return a * b; }, 0.5},
                                                {k::div, [](Real a, Real b) { return a / b; }, 0.5},
                                                {k::maximum, larger, 0},
                                                {k::minimum, smaller, 0},
                                                {k::pow, [](Real a, Real b) { return std::pow(a, b); }, 0.51},
                                                {k::fmod, [](Real a, Real b) { return std::fmod(a, b); }, 0},
                                                {k::atan2, [](Real a, Real b) { return std::atan2(a, b); }, 0.51},
                                                {k::hypot, [](Real a, Real b) { return std::hypot(a, b); }, 0.51}};
  return cases;
}

TEST(Elementwise, BinarySpecialPairs) {
  const std::vector<float> v = special_values();
  const std::int64_t n = static_cast<std::int64_t>(v.size());
  const Tensor x = tensor(v, {n}), y = empty({n, n});
  const Tensor a = detail::expand(detail::try_reshape(x, {n, 1}), {n, n}), b = detail::expand(x, {n, n});
  for (const BinaryCase& c : binary_cases())
    each_variant(c.slot, [&](const std::string& variant) {
      if (!accepted(variant, [&] { c.slot(kCpu, {a, b, y}); })) return;
      for (std::int64_t i = 0; i < n; ++i)
        for (std::int64_t j = 0; j < n; ++j) {
          const double got = y.data<float>()[i * n + j];
          const Real want = c.value(v[static_cast<std::size_t>(i)], v[static_cast<std::size_t>(j)]);
          // Exact operations must equal the double result rounded once, Inf and the sign of zero included.
          const bool ok = c.bound <= 0.5 ? (std::isnan(want) ? std::isnan(got) : static_cast<float>(want) == got)
                                         : ulps(static_cast<float>(got), want) <= (variant == "eigen" ? 4 : c.bound);
          EXPECT_TRUE(ok) << v[static_cast<std::size_t>(i)] << ", " << v[static_cast<std::size_t>(j)] << " gives "
                          << got << ", not " << want;
        }
    });
}

TEST(Elementwise, BinaryBroadcasts) {
  const Tensor y = empty({4, 5, 33}), full_size = random_tensor({4, 5, 33}, 1, 0.5, 2);
  const std::vector<Tensor> others = {scalar(1.5),
                                      random_tensor({33}, 2, 0.5, 2),
                                      random_tensor({5, 1}, 3, 0.5, 2),
                                      random_tensor({4, 5, 33}, 8, 0.5, 2),
                                      random_tensor({4, 1, 33}, 4, 0.5, 2),
                                      random_tensor({1, 5, 1}, 5, 0.5, 2),
                                      detail::transpose(random_tensor({33, 5}, 6, 0.5, 2), 0, 1),
                                      detail::slice(random_tensor({4, 5, 99}, 7, 0.5, 2), 2, 1, 99, 3)};
  for (const BinaryCase& c : binary_cases())
    each_variant(c.slot, [&](const std::string& variant) {
      for (const Tensor& other : others) {
        const Tensor b = detail::expand(other, {4, 5, 33});
        if (!accepted(variant, [&] { c.slot(kCpu, {full_size, b, y}); })) continue;
        const TensorView v = b;
        for (int i = 0; i < 4 * 5 * 33; ++i) {
          const float u = full_size.data<float>()[i];
          const float w = v.ptr<float>()[i / 165 * v.strides[0] + i / 33 % 5 * v.strides[1] + i % 33 * v.strides[2]];
          EXPECT_LE(ulps(y.data<float>()[i], c.value(u, w)), 2.0) << i;
        }
      }
    });
}

TEST(Elementwise, BinaryIntegersAndAlias) {
  const Tensor a = tensor(std::vector<std::int64_t>{5, -3, std::int64_t{1} << 60}, {3});
  const Tensor b = tensor(std::vector<std::int64_t>{2, 7, 1}, {3}), y = empty({3}, {DType::i64});
  k::add(kCpu, {a, b, y});
  EXPECT_EQ(y.to_vector<std::int64_t>(), (std::vector<std::int64_t>{7, 4, (std::int64_t{1} << 60) + 1}));
  k::minimum(kCpu, {a, b, y});
  EXPECT_EQ(y.to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, -3, 1}));
  EXPECT_THROW(k::div(kCpu, {a, b, y}), DeviceError);
  const Tensor x = random_tensor({1000}, 4), z = empty_like(x);
  k::mul(kCpu, {x, x, z});
  k::mul(kCpu, {x, x, x});
  EXPECT_TRUE(same_bits(x, z));
}

TEST(Elementwise, CompareAndWhere) {
  const std::vector<float> v = special_values();
  const std::int64_t n = static_cast<std::int64_t>(v.size());
  const Tensor x = tensor(v, {n}), y = empty({n, n}, {DType::boolean}), z = empty({n, n});
  const Tensor a = detail::expand(detail::try_reshape(x, {n, 1}), {n, n}), b = detail::expand(x, {n, n});
  const std::vector<std::pair<k::KernelSlot<k::BinaryArgs>*, std::function<bool(float, float)>>> cases = {
      {&k::eq, std::equal_to<float>()},   {&k::ne, std::not_equal_to<float>()}, {&k::lt, std::less<float>()},
      {&k::le, std::less_equal<float>()}, {&k::gt, std::greater<float>()},      {&k::ge, std::greater_equal<float>()}};
  for (const auto& [slot, expected] : cases)
    each_variant(*slot, [&, &slot = slot, &expected = expected](const std::string&) {
      (*slot)(kCpu, {a, b, y});
      k::where(kCpu, {y, a, b, z});
      for (std::int64_t i = 0; i < n * n; ++i) {
        const float u = v[static_cast<std::size_t>(i / n)], w = v[static_cast<std::size_t>(i % n)];
        EXPECT_EQ(y.data<bool>()[i], expected(u, w));
        EXPECT_EQ(std::bit_cast<std::uint32_t>(z.data<float>()[i]),
                  std::bit_cast<std::uint32_t>(expected(u, w) ? u : w));
      }
    });
}

// ---- copies --------------------------------------------------------------------------------------------------------

TEST(Copy, RealToIntegerSaturates) {
  const Tensor x = tensor(std::vector<double>{-1.9, 2.9, NAN, 1e300, -1e300, 255.5, 9.3e18}, {7});
  const Tensor u8 = empty({7}, {DType::u8}), i32 = empty({7}, {DType::i32}), i64 = empty({7}, {DType::i64});
  k::copy(kCpu, {x, u8}), k::copy(kCpu, {x, i32}), k::copy(kCpu, {x, i64});
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max(),
                         kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int32_t kMax32 = std::numeric_limits<std::int32_t>::max(),
                         kMin32 = std::numeric_limits<std::int32_t>::min();
  EXPECT_EQ(u8.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{0, 2, 0, 255, 0, 255, 255}));
  EXPECT_EQ(i32.to_vector<std::int32_t>(), (std::vector<std::int32_t>{-1, 2, 0, kMax32, kMin32, 255, kMax32}));
  EXPECT_EQ(i64.to_vector<std::int64_t>(), (std::vector<std::int64_t>{-1, 2, 0, kMax, kMin, 255, kMax}));
}

TEST(Copy, HalvesRoundOnce) {
  // Just above and below the middle of 1 and its successor in bf16 and f16: rounding through f32 would tie to even.
  for (const auto& [half_step, type] : {std::pair{0x1p-8, DType::bf16}, std::pair{0x1p-11, DType::f16}}) {
    const Tensor x = tensor(std::vector<double>{1 + half_step + 0x1p-40, 1 + half_step - 0x1p-40, 1 + half_step}, {3});
    const Tensor h = empty({3}, {type}), back = empty({3}, {DType::f64});
    k::copy(kCpu, {x, h}), k::copy(kCpu, {h, back});
    EXPECT_EQ(back.to_vector<double>(), (std::vector<double>{1 + 2 * half_step, 1, 1}));
  }
}

TEST(Copy, AllPairsKeepSmallWholeNumbers) {
  const Tensor x = tensor({0, 1, 2, 3, 77, 100});
  for (int from = 0; from < kDTypes; ++from)
    for (int to = 0; to < kDTypes; ++to) {
      const Tensor a = empty({6}, {static_cast<DType>(from)}), b = empty({6}, {static_cast<DType>(to)}), y = empty({6});
      k::copy(kCpu, {x, a}), k::copy(kCpu, {a, b}), k::copy(kCpu, {b, y});
      const bool truth = static_cast<DType>(from) == DType::boolean || static_cast<DType>(to) == DType::boolean;
      for (int i = 0; i < 6; ++i) {
        const float v = x.data<float>()[i];
        EXPECT_EQ(y.data<float>()[i], truth ? static_cast<float>(v != 0) : v) << from << " to " << to;
      }
    }
}

TEST(Copy, AnyStridesInAndOut) {
  each_variant(k::copy, [](const std::string&) {
    const Tensor x = random_tensor({6, 40, 50}, 2);
    const Tensor xt = detail::transpose(x, 0, 2), y = zeros({50, 40, 6}), z = zeros({6, 40, 100});
    k::copy(kCpu, {xt, y});
    const Tensor odd = detail::slice(z, 2, 1, 100, 2);
    k::copy(kCpu, {x, odd});
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 40; ++j)
        for (int l = 0; l < 50; ++l) {
          const float want = x.data<float>()[(i * 40 + j) * 50 + l];
          EXPECT_EQ(y.data<float>()[(l * 40 + j) * 6 + i], want);
          EXPECT_EQ(z.data<float>()[(i * 40 + j) * 100 + 2 * l + 1], want);
          EXPECT_EQ(z.data<float>()[(i * 40 + j) * 100 + 2 * l], 0);
        }
  });
}

TEST(Copy, FillWritesItsViewOnly) {
  for (int t = 0; t < kDTypes; ++t) {
    const Tensor y = zeros({4, 6}, {static_cast<DType>(t)}), back = empty({4, 6});
    k::fill(kCpu, {detail::slice(y, 1, 1, 6, 2), 1.0});
    k::copy(kCpu, {y, back});
    for (int i = 0; i < 24; ++i) EXPECT_EQ(back.data<float>()[i], i % 2);
  }
}

// ---- gated activation ----------------------------------------------------------------------------------------------

TEST(GatedActivation, EqualsTheComposedKernelsBitwise) {
  for (const std::string variant : {"simd", "ref"})
    for (const int channels : {1, 3, 8, 17, 64, 129}) {
      const Tensor x = random_tensor({3, 7, 2 * channels}, 11, -6, 6), c = random_tensor({3, 1, 2 * channels}, 12);
      const Tensor wide = detail::expand(c, {3, 7, 2 * channels}), u = empty_like(x), y = empty({3, 7, channels});
      const k::Use gate(k::gated_activation, variant), t(k::tanh, variant), s(k::sigmoid, variant);
      k::gated_activation(kCpu, {x, wide, y});
      k::add(kCpu, {x, wide, u});
      const Tensor a = empty_like(y), b = empty_like(y);
      k::tanh(kCpu, {detail::slice(u, 2, 0, channels), a});
      k::sigmoid(kCpu, {detail::slice(u, 2, channels, 2 * channels), b});
      k::mul(kCpu, {a, b, a});
      EXPECT_TRUE(same_bits(a, y)) << variant << " " << channels;
      k::gated_activation(kCpu, {u, TensorView{}, y});
      EXPECT_TRUE(same_bits(a, y)) << variant << " " << channels;
    }
}

TEST(GatedActivation, Gradient) {
  each_variant(k::gated_activation_backward, [](const std::string& variant) {
    for (const int channels : {1, 5, 16, 37}) {
      const Tensor x = random_tensor({9, 2 * channels}, 21), c = random_tensor({9, 2 * channels}, 22);
      const Tensor gy = random_tensor({9, channels}, 23), gx = empty_like(x);
      k::gated_activation_backward(kCpu, {gy, x, c, gx});
      for (int r = 0; r < 9; ++r)
        for (int i = 0; i < channels; ++i) {
          const int p = r * 2 * channels + i, q = p + channels;
          const double u = static_cast<float>(x.data<float>()[p] + c.data<float>()[p]);
          const double v = static_cast<float>(x.data<float>()[q] + c.data<float>()[q]);
          const double g = gy.data<float>()[r * channels + i], t = std::tanh(u), s = sigmoid_of(v);
          // tanh is known to 3 ulp; 1 - t^2 magnifies that by t / (1 - t^2).
          const double wide = 8 + 8 / (1 - t * t) + 8 / (1 - s);
          EXPECT_TRUE(ulps(gx.data<float>()[p], g * s * (1 - t * t)) <= wide) << variant;
          EXPECT_TRUE(ulps(gx.data<float>()[q], g * t * s * (1 - s)) <= wide) << variant;
        }
    }
  });
}

}  // namespace
}  // namespace tapedeck
