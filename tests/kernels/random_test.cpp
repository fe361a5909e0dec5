#include <tapedeck/kernels/random.h>
#include <tapedeck/tensor/philox.h>

#include <algorithm>
#include <numeric>

#include "kernels/check.h"

namespace tapedeck {
namespace {

namespace k = kernels;

TEST(Philox, KnownAnswers) {  // of the authors' Random123 distribution
  const Philox4 zero = philox(0, 0, 0), ones = philox(~0ull, ~0ull, ~0ull);
  const std::uint32_t want_zero[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const std::uint32_t want_ones[] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(zero.word[i], want_zero[i]);
    EXPECT_EQ(ones.word[i], want_ones[i]);
  }
}

TEST(Random, UniformIsTheContractWordForWord) {
  const std::vector<std::int64_t> ids = {7, 0, std::int64_t{1} << 40, 3};
  for (const int width : {1, 3, 4, 63, 64, 65, 5001})
    each_variant(k::uniform, [&](const std::string&) {
      const Tensor y = empty({4, width});
      k::uniform(kCpu, {y, RandomStream{0x123456789abcdefull, ids}, 0, 1});
      for (int r = 0; r < 4; ++r)
        for (int e = 0; e < width; ++e)
          EXPECT_EQ(
              y.data<float>()[r * width + e],
              uniform01(philox_word(0x123456789abcdefull, static_cast<std::uint64_t>(ids[static_cast<std::size_t>(r)]),
                                    static_cast<std::uint64_t>(e))));
    });
}

TEST(Random, EmptyAndScalar) {
  for (auto* slot : {&k::uniform, &k::normal, &k::bernoulli})
    each_variant(*slot, [&](const std::string&) {
      EXPECT_NO_THROW((*slot)(kCpu, {empty({0, 3}), RandomStream{1, {}}, 0.5, 1}));
      EXPECT_NO_THROW((*slot)(kCpu, {empty({3, 0}), RandomStream{1, {}}, 0.5, 1}));
      EXPECT_NO_THROW((*slot)(kCpu, {scalar(0), RandomStream{1, {}}, 0.5, 1}));
    });
}

TEST(Random, ThreadsDoNotChangeBits) {
  for (auto* slot : {&k::uniform, &k::normal, &k::bernoulli})
    on_any_threads([&] {
      const Tensor y = empty({3, 70001});
      (*slot)(kCpu, {y, RandomStream{5, {}}, 0.25, 1.5});
      return y;
    });
}

TEST(Random, NormalIsBoxMullerOfItsWords) {
  for (const int n : {1, 2, 31, 1000})
    each_variant(k::normal, [&](const std::string&) {
      const Tensor y = empty({2, n});
      k::normal(kCpu, {y, RandomStream{99, {}}, 0, 1});
      for (std::uint64_t r = 0; r < 2; ++r)
        for (int e = 0; e < n; ++e) {
          const std::uint64_t first = static_cast<std::uint64_t>(e) / 2 * 2;
          const double u = (philox_word(99, r, first) + 0.5) / 4294967296.0,
                       v = philox_word(99, r, first + 1) / 4294967296.0;
          const double want = std::sqrt(-2 * std::log(u)) * (e % 2 ? std::sin(2 * M_PI * v) : std::cos(2 * M_PI * v));
          EXPECT_NEAR(y.data<float>()[static_cast<int>(r) * n + e] / want, 1, 1e-6) << e;
        }
    });
}

TEST(Random, Statistics) {
  constexpr int kCount = 1000000;
  for (const std::uint64_t key : {1, 2, 3}) {
    const Tensor y = empty({1, kCount});
    const float* v = y.data<float>();
    k::uniform(kCpu, {y, RandomStream{key, {}}, -2, 6});
    std::vector<int> bins(64);
    for (int i = 0; i < kCount; ++i) {
      ASSERT_TRUE(v[i] >= -2 && v[i] < 6);
      ++bins[static_cast<std::size_t>((v[i] + 2) * 8)];
    }
    double chi = 0;
    for (const int b : bins) chi += (b - kCount / 64.0) * (b - kCount / 64.0) / (kCount / 64.0);
    EXPECT_LT(chi, 63 + 6 * std::sqrt(2 * 63.0));  // six standard deviations
    k::normal(kCpu, {y, RandomStream{key, {}}, 3, 2});
    double moments[5] = {};
    for (int i = 0; i < kCount; ++i)
      for (int m = 1; m <= 4; ++m) moments[m] += std::pow((v[i] - 3) / 2.0, m) / kCount;
    EXPECT_NEAR(moments[1], 0, 6 / 1000.0);
    EXPECT_NEAR(moments[2], 1, 6 * std::sqrt(2.0) / 1000);
    EXPECT_NEAR(moments[3], 0, 6 * std::sqrt(15.0) / 1000);
    EXPECT_NEAR(moments[4], 3, 6 * std::sqrt(96.0) / 1000);
    k::bernoulli(kCpu, {y, RandomStream{key, {}}, 0.3, 0});
    EXPECT_NEAR(std::accumulate(v, v + kCount, 0.0) / kCount, 0.3, 6 * std::sqrt(0.21) / 1000);
  }
}

TEST(Random, BernoulliAndDropoutAgreeWithTheUniforms) {
  const Tensor u = empty({3, 777}), b = empty({3, 777}), x = random_tensor({3, 777}, 1), y = empty({3, 777});
  k::uniform(kCpu, {u, RandomStream{4, {}}, 0, 1});
  for (const double p : {0.0, 0.1, 0.3, 0.5, 1.0})
    each_variant(k::bernoulli, [&](const std::string&) {
      k::bernoulli(kCpu, {b, RandomStream{4, {}}, p, 0});
      each_variant(k::dropout, [&](const std::string&) {
        k::dropout(kCpu, {x, y, RandomStream{4, {}}, p});
        for (int i = 0; i < 3 * 777; ++i) {
          const bool below = u.data<float>()[i] < p;
          EXPECT_EQ(b.data<float>()[i], below);
          EXPECT_EQ(y.data<float>()[i], below ? 0 : x.data<float>()[i] * static_cast<float>(1 / (1 - p)));
        }
      });
    });
}

}  // namespace
}  // namespace tapedeck
