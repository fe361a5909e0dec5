// Random ops: their distributions at fixed seeds (p = 1e-6), their limits, and that rows draw alone.
#include <gtest/gtest.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/env.h>
#include <tapedeck/tensor/random.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

// The value that chi-squared with n degrees of freedom exceeds once in a million (Wilson and Hilferty).
double chi_limit(double n) { return n * std::pow(1 - 2 / (9 * n) + 4.75 * std::sqrt(2 / (9 * n)), 3); }

void expect_counts(const std::vector<double>& counts, const std::vector<double>& expected, const std::string& what) {
  double chi = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) chi += std::pow(counts[i] - expected[i], 2) / expected[i];
  EXPECT_LT(chi, chi_limit(static_cast<double>(counts.size()) - 1)) << what;
}
// Kolmogorov and Smirnov.
void expect_distributed(V draws, const std::function<double(double)>& cdf, const std::string& what) {
  std::sort(draws.begin(), draws.end());
  const auto n = static_cast<double>(draws.size());
  double worst = 0;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const double c = cdf(draws[i]);
    worst = std::max({worst, std::fabs(c - static_cast<double>(i) / n), std::fabs(c - static_cast<double>(i + 1) / n)});
  }
  EXPECT_LT(worst * std::sqrt(n), 2.69) << what;
}
double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

TEST(RandomOps, IntegersAreUniform) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    const RandomScope scope(seed, 1);
    V counts(17);
    for (const double v : values(randint(-5, 12, {100000}))) counts[static_cast<std::size_t>(v + 5)] += 1;
    expect_counts(counts, V(17, 100000. / 17), "randint");
    std::map<double, double> permutations;
    for (int i = 0; i < 6000; ++i) {
      const V p = values(randperm(4));
      permutations[p[0] + 4 * p[1] + 16 * p[2] + 64 * p[3]] += 1;
    }
    ASSERT_EQ(permutations.size(), 24u);
    V seen;
    for (const auto& [key, n] : permutations) seen.push_back(n);
    expect_counts(seen, V(24, 250), "randperm");
  }
}

TEST(RandomOps, MultinomialFollowsTheWeights) {
  const V w{0.5, 0, 2, 1, 0, 4.5};
  const RandomScope scope(1, 1);
  const Tensor rows = expand(f64(w, {6}), {100, 6});
  V counts(6);
  for (const double v : values(multinomial(rows, 1000, true))) counts[static_cast<std::size_t>(v)] += 1;
  EXPECT_EQ(counts[1] + counts[4], 0);
  expect_counts({counts[0], counts[2], counts[3], counts[5]}, {6250, 25000, 12500, 56250}, "with replacement");
  // Pairs without replacement: w_a / 8 * w_b / (8 - w_a).
  std::map<std::pair<int, int>, double> pairs;
  const V drawn = values(multinomial(expand(f64(w, {6}), {60000, 6}), 2));
  for (std::size_t i = 0; i < drawn.size(); i += 2)
    pairs[{static_cast<int>(drawn[i]), static_cast<int>(drawn[i + 1])}] += 1;
  V seen, expected;
  for (const int a : {0, 2, 3, 5})
    for (const int b : {0, 2, 3, 5}) {
      const double wa = w[static_cast<std::size_t>(a)], wb = w[static_cast<std::size_t>(b)];
      if (a == b) continue;
      seen.push_back(pairs[{a, b}]), expected.push_back(60000 * wa / 8 * wb / (8 - wa));
    }
  expect_counts(seen, expected, "without replacement");
  V all = values(multinomial(f64(w, {6}), 4));
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (V{0, 2, 3, 5}));
}

TEST(RandomOps, TruncatedNormalsKeepTheirBoundsAndTheirShape) {
  struct Case {
    double mean, std, low, high;
  };
  for (const Case& c : {Case{0, 1, -2, 2}, Case{0, 1, -0.1, 0.3}, Case{0, 1, 0.5, kInf}, Case{0, 1, 6, kInf},
                        Case{0, 1, -7, -6.5}, Case{3, 0.1, -kInf, 3}, Case{-1, 5, 20, 21}, Case{0, 1, -kInf, kInf}})
    for (const DType dtype : {DType::f32, DType::f64}) {
      const RandomScope scope(2, 1);
      const Tensor x = empty({200, 100}, {dtype});
      truncated_normal_(x, c.mean, c.std, c.low, c.high);
      const V v = values(x);
      for (const double e : v) ASSERT_TRUE(e >= c.low && e <= c.high) << e;
      // From the upper side where the interval is there: tails keep their digits.
      const bool upper = c.low > c.mean;
      const auto tail = [&](double y) { return normal_cdf((upper ? c.mean - y : y - c.mean) / c.std); };
      const double from = tail(upper ? c.high : c.low), to = tail(upper ? c.low : c.high);
      expect_distributed(
          v,
          [&](double y) {
            const double p = (tail(y) - from) / (to - from);
            return upper ? 1 - p : p;
          },
          std::to_string(c.low) + " to " + std::to_string(c.high));
    }
  const Tensor x = empty({5});
  EXPECT_EQ(values(truncated_normal_(x, 1, 0, 0, 2)), V(5, 1));
  EXPECT_EQ(values(truncated_normal_(x, 1, 0, 2, 3)), V(5, 2));
  EXPECT_EQ(values(truncated_normal_(x, 0, 1, 0.5, 0.5)), V(5, 0.5));
  EXPECT_EQ(values(truncated_normal_(x, 0, 1e-300, 1e20, kInf)), V(5, static_cast<double>(1e20f)));
  EXPECT_THROW(truncated_normal_(x, 0, 1, 1, -1), ValueError);
  EXPECT_THROW(truncated_normal_(x, 0, -1), ValueError);
  EXPECT_THROW(truncated_normal_(x, std::nan(""), 1), ValueError);
  EXPECT_THROW(truncated_normal_(x, 0, 1, std::nan(""), 1), ValueError);
  EXPECT_THROW(truncated_normal_(x, 0, 1, 0.1, 0.1), ValueError);  // 0.1 is no f32
}

TEST(RandomOps, ExponentialsAndBernoullis) {
  const RandomScope scope(3, 1);
  const Tensor x = empty({50000});
  expect_distributed(
      values(exponential_(x, 2.5)), [](double v) { return 1 - std::exp(-2.5 * v); }, "exponential_");
  EXPECT_GT(amin(x).item(), 0);
  const Tensor p = expand(f64({0, 0.1, 0.5, 0.9, 1}, {5}), {20000, 5});
  const V means = values(mean(bernoulli(p), {0}));
  EXPECT_EQ(means[0], 0);
  EXPECT_EQ(means[4], 1);
  for (const std::size_t i : {1u, 2u, 3u}) {
    const double q = values(p)[i];
    EXPECT_NEAR(means[i], q, 5 * std::sqrt(q * (1 - q) / 20000));
  }
  EXPECT_EQ(values(bernoulli(x, 0)), V(50000));
  EXPECT_EQ(values(bernoulli(x, 1)), V(50000, 1));
}

TEST(RandomOps, ARowDrawsTheSameWhereverItIs) {
  using Draw = std::function<Tensor(std::int64_t rows)>;
  const Draw draws[] = {
      [](std::int64_t n) {
        return rand_like(zeros({n, 7}));
      },
      [](std::int64_t n) {
        return randn_like(zeros({n, 7}));
      },
      [](std::int64_t n) {
        return randint(100, {n, 7});
      },
      [](std::int64_t n) {
        return bernoulli(full({n, 7}, 0.5));
      },
      [](std::int64_t n) {
        return multinomial(full({n, 7}, 1), 5);
      },
      [](std::int64_t n) {
        return dropout1d(full({n, 3, 7}, 1), 0.5);
      },
      [](std::int64_t n) {
        return alpha_dropout(full({n, 7}, 1), 0.5);
      },
      [](std::int64_t n) {
        return clone(truncated_normal_(empty({n, 7}), 0, 1, -1, 1));
      },
      [](std::int64_t n) {
        return clone(exponential_(empty({n, 7})));
      },
      [](std::int64_t n) {
        return gumbel_softmax(zeros({n, 7}));
      },
      [](std::int64_t n) {
        return sample_from_discretized_mix_logistic(zeros({n, 9, 6}));
      },
      [](std::int64_t n) {
        return sample_from_mix_gaussian(zeros({n, 9, 6}));
      },
  };
  int which = 0;
  for (const Draw& draw : draws) {
    Tensor all, part;
    {
      const RandomScope scope(7, 1, {4, 5, 6, 7});
      all = draw(4);
    }
    {
      const RandomScope scope(7, 1, {6, 7});
      part = draw(2);
    }
    EXPECT_EQ(values(slice(all, 0, 2)), values(part)) << which;
    EXPECT_NE(values(slice(all, 0, 0, 2)), values(part)) << which++;
  }
}

TEST(RandomOps, DropoutOfChannelsTakesWholeChannels) {
  const RandomScope scope(5, 1);
  const Tensor x = full({40, 9, 50}, 3);
  for (const Tensor& y : {dropout1d(x, 0.3), feature_dropout(x, 0.3)}) {
    const V v = values(y);
    double kept = 0;
    for (std::size_t b = 0; b < 40; ++b)
      for (std::size_t c = 0; c < 50; ++c) {
        for (std::size_t t = 1; t < 9; ++t) EXPECT_EQ(v[(b * 9 + t) * 50 + c], v[b * 450 + c]);
        kept += v[b * 450 + c] != 0;
      }
    EXPECT_NEAR(kept / 2000, 0.7, 5 * std::sqrt(0.21 / 2000));
  }
  EXPECT_TRUE(dropout1d(x, 0.3, false).shares_storage(x));
  EXPECT_EQ(values(dropout1d(x, 1)), V(18000));
  EXPECT_THROW(dropout1d(zeros({2, 2, 2, 2})), ShapeError);
  EXPECT_THROW(dropout2d(zeros({2, 2})), ShapeError);
  EXPECT_THROW(feature_dropout(zeros({2}), 0.5), ShapeError);
  EXPECT_THROW(dropout1d(x, -0.1), ValueError);
  EXPECT_THROW(alpha_dropout(x, 1.5), ValueError);
}

TEST(RandomOps, AlphaDropoutKeepsMeanAndVariance) {
  const RandomScope scope(6, 1);
  const Tensor y = alpha_dropout(randn({300, 300}, {DType::f64}), 0.3);
  EXPECT_NEAR(mean(y).item(), 0, 0.02);
  EXPECT_NEAR(var(y).item(), 1, 0.03);
}

TEST(Init, FansAndGains) {
  const RandomScope scope(7, 1);
  const auto spread_of = [](const Tensor& x) { return std::sqrt(var(cast(x, DType::f64)).item()); };
  const Tensor x = empty({120, 80, 3});
  const double n = std::sqrt(2.0 * 120 * 80 * 3);
  EXPECT_NEAR(spread_of(xavier_uniform_(x)), std::sqrt(2. / 600), 5 * std::sqrt(2. / 600) / n);
  EXPECT_NEAR(spread_of(xavier_normal_(x, 2)), 2 * std::sqrt(2. / 600), 10 * std::sqrt(2. / 600) / n);
  EXPECT_NEAR(spread_of(kaiming_uniform_(x)), std::sqrt(2. / 240), 5 * std::sqrt(2. / 240) / n);
  EXPECT_NEAR(spread_of(kaiming_normal_(x, 0, Fan::fan_out, Nonlinearity::relu)), std::sqrt(2. / 360),
              5 * std::sqrt(2. / 360) / n);
  EXPECT_LE(amax(abs(xavier_uniform_(x))).item(), std::sqrt(6. / 600) * (1 + 1e-7));
  EXPECT_EQ(calculate_gain(Nonlinearity::linear), 1);
  EXPECT_NEAR(calculate_gain(Nonlinearity::leaky_relu, 0.2), std::sqrt(2 / 1.04), 1e-15);
  EXPECT_TRUE(says(error_of<ShapeError>([] { kaiming_normal_(empty({3})); }), "kaiming_normal_: x must be a weight"));
  EXPECT_THROW(xavier_normal_(full({2, 2}, 1, {DType::i64})), DTypeError);
  EXPECT_THROW(orthogonal_(empty({3})), ShapeError);
  EXPECT_THROW(dirac_(empty({3, 3})), ShapeError);
  EXPECT_THROW(dirac_(empty({3, 3, 3}), 2), ValueError);
  EXPECT_THROW(eye_(empty({3})), ShapeError);
}

TEST(Init, OrthogonalOfAnySize) {
  for (const Shape& shape : {Shape{300, 300}, Shape{40, 500}, Shape{500, 40}, Shape{16, 8, 3}, Shape{1, 1}}) {
    const RandomScope scope(8, 1);
    const Tensor q = reshape(cast(orthogonal_(empty(shape)), DType::f64), {shape[0], -1});
    const bool tall = q.size(0) > q.size(1);
    const Tensor m = tall ? matmul(transpose(q, 0, 1), q) : matmul(q, transpose(q, 0, 1));
    const std::int64_t n = m.size(0);
    const V v = values(m);
    for (std::int64_t i = 0; i < n * n; ++i)
      ASSERT_NEAR(v[static_cast<std::size_t>(i)], i / n == i % n, 1e-6) << to_string(shape);
  }
}

// The same distributions by ten million draws from each of ten seeds: minutes, so by `tests/run.sh --full` alone.
TEST(RandomOps, TenMillionDraws) {
  if (env("TAPEDECK_TEST_FULL").empty()) GTEST_SKIP() << "part of tests/run.sh --full";
  constexpr std::int64_t n = 10'000'000;
  constexpr double count = n;
  const auto cell = [](double part) { return part * count; };
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const RandomScope scope(seed, 1);
    const std::string tail = " with seed " + std::to_string(seed);
    const auto equal_parts = [&](const V& draws, double low, double width, std::size_t parts, const std::string& what) {
      V counts(parts);
      for (const double v : draws) counts[static_cast<std::size_t>((v - low) / width)] += 1;
      expect_counts(counts, V(parts, count / static_cast<double>(parts)), what + tail);
    };
    V draws = values(rand({n / 1000, 1000}));
    equal_parts(draws, 0, 1. / 4096, 4096, "rand");
    expect_distributed(
        std::move(draws), [](double v) { return v; }, "rand" + tail);
    for (const DType dtype : {DType::f32, DType::f64})
      expect_distributed(values(randn({n / 1000, 1000}, {dtype})), normal_cdf, "randn" + tail);
    const Tensor x = empty({n});
    expect_distributed(
        values(exponential_(x, 2.5)), [](double v) { return -std::expm1(-2.5 * v); }, "exponential_" + tail);
    const double whole = normal_cdf(1.5) - normal_cdf(-0.5);
    expect_distributed(
        values(truncated_normal_(x, 0, 1, -0.5, 1.5)),
        [=](double v) { return (normal_cdf(v) - normal_cdf(-0.5)) / whole; }, "truncated_normal_" + tail);
    equal_parts(values(randint(-5, 12, {n})), -5, 1, 17, "randint");
    for (const double p : {1e-4, 0.3, 0.5, 0.999}) {
      const double drawn = sum(bernoulli(expand(scalar(p, {DType::f64}), {n}))).item();
      expect_counts({drawn, count - drawn}, {cell(p), cell(1 - p)}, "bernoulli" + tail);
      const double lost = count_nonzero(eq(dropout(full({n}, 1), p), 0)).item();
      expect_counts({lost, count - lost}, {cell(p), cell(1 - p)}, "dropout" + tail);
    }
    V chosen(4);
    for (const double v : values(multinomial(expand(f64({0.5, 2, 1, 4.5}, {4}), {1000, 4}), n / 1000, true)))
      chosen[static_cast<std::size_t>(v)] += 1;
    expect_counts(chosen, {cell(0.0625), cell(0.25), cell(0.125), cell(0.5625)}, "multinomial" + tail);
  }
}

TEST(RandomOps, WrongInputIsATypedError) {
  EXPECT_THROW(randint(3, 3, {2}), ValueError);
  EXPECT_THROW(randint(0, 300, {2}, {DType::u8}), DTypeError);
  EXPECT_THROW(randint(0, 3, {2}, {DType::boolean}), DTypeError);
  EXPECT_THROW(randint(5, {-2}), ShapeError);
  EXPECT_THROW(randperm(-1), ShapeError);
  EXPECT_THROW(randperm(3, {DType::f32}), DTypeError);
  EXPECT_THROW(rand_like(randperm(3)), DTypeError);
  EXPECT_TRUE(says(error_of<ValueError>([] { bernoulli(tensor({0.5, 1.25})); }), "reaches 1.25"));
  EXPECT_THROW(bernoulli(tensor({std::nan("")})), ValueError);
  EXPECT_THROW(bernoulli(randperm(3)), DTypeError);
  EXPECT_THROW(bernoulli(tensor({1}), 2), ValueError);
  EXPECT_TRUE(says(error_of<ValueError>([] { multinomial(tensor({1, 0, 2}), 3); }), "needs 3 weights above 0"));
  EXPECT_THROW(multinomial(tensor({0, 0}), 1, true), ValueError);
  EXPECT_THROW(multinomial(tensor({1, -1}), 1), ValueError);
  EXPECT_THROW(multinomial(tensor({1, kInf}), 1), ValueError);
  EXPECT_THROW(multinomial(tensor({1, std::nan("")}), 1), ValueError);
  EXPECT_THROW(multinomial(tensor({1, 1}), -1), ValueError);
  EXPECT_THROW(multinomial(scalar(1), 1), ShapeError);
  EXPECT_THROW(multinomial({}, 1), ValueError);
  EXPECT_THROW(exponential_(empty({2}), 0), ValueError);
  EXPECT_THROW(bernoulli_(empty({2}), -1), ValueError);
  const Tensor repeated = expand(zeros({1, 3}), {2, 3});
  EXPECT_THROW(truncated_normal_(repeated), ValueError);
  EXPECT_THROW(exponential_(repeated), ValueError);
}

// A mean and a deviation that f32 does not hold, around bounds that it holds: once an endless loop.
TEST(RandomOps, TruncatedNormalEndsWhereFloatsDo) {
  const Tensor x = empty({64});
  truncated_normal_(x, 1e39, 1e40, -1e41, 0);
  for (const float v : x.to_vector<float>()) EXPECT_TRUE(std::isfinite(v) && v <= 0) << v;
}

}  // namespace
}  // namespace tapedeck
