#include <tapedeck/kernels/optim.h>

#include "kernels/check.h"

namespace tapedeck {
namespace {

namespace k = kernels;

// One step from the same state against the formulas in f64, for every variant.
TEST(Adam, OneStepAgainstTheFormula) {
  for (const bool decoupled : {true, false})
    for (const int n : {0, 1, 7, 16, 1003})
      for (const std::int64_t t : {1, 2, 100, 100000})
        each_variant(k::adam, [&](const std::string&) {
          const Tensor p = random_tensor({n}, 1), g = random_tensor({n}, 2), m = random_tensor({n}, 3, -1, 1);
          const Tensor v = random_tensor({n}, 4, 0, 1);
          const std::vector<float> p0 = p.to_vector<float>(), m0 = m.to_vector<float>(), v0 = v.to_vector<float>();
          const double lr = 0.01, b1 = 0.9, b2 = 0.99, eps = 1e-8, decay = 0.1, scale = 0.5;
          k::adam(kCpu, {p, g, m, v, lr, b1, b2, eps, decay, scale, decoupled, t});
          for (int i = 0; i < n; ++i) {
            const std::size_t j = static_cast<std::size_t>(i);
            const double grad = scale * g.data<float>()[i] + (decoupled ? 0 : decay * p0[j]);
            const double mean = b1 * m0[j] + (1 - b1) * grad, square = b2 * v0[j] + (1 - b2) * grad * grad;
            const double hat = mean / (1 - std::pow(b1, t)), root = std::sqrt(square / (1 - std::pow(b2, t)));
            const double move = lr * hat / (root + eps), want = p0[j] * (decoupled ? 1 - lr * decay : 1) - move;
            constexpr double u = 0x1p-24;
            const double gsize = std::fabs(scale * g.data<float>()[i]) + std::fabs(decay * p0[j]);
            const double msize = std::fabs(b1 * m0[j]) + (1 - b1) * gsize;
            EXPECT_TRUE(std::fabs(m.data<float>()[i] - mean) <= 4 * u * msize);
            EXPECT_TRUE(std::fabs(v.data<float>()[i] - square) <= 4 * u * (square + (1 - b2) * gsize * gsize));
            EXPECT_TRUE(std::fabs(p.data<float>()[i] - want) <=
                        8 * u * (std::fabs(p0[j]) + std::fabs(move) * (1 + msize / (std::fabs(mean) + 1e-30))));
          }
        });
}

TEST(Adam, TailAndThreadsDoNotChangeBits) {
  const Tensor all = on_any_threads([] {
    const Tensor p = random_tensor({100003}, 1), g = random_tensor({100003}, 2), m = zeros({100003}),
                 v = zeros({100003});
    for (int t = 1; t <= 3; ++t) k::adam(kCpu, {p, g, m, v, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1, true, t});
    return p;
  });
  for (const int at : {0, 5, 100000}) {  // one element alone
    const Tensor p = random_tensor({100003}, 1), g = random_tensor({100003}, 2), m = zeros({1}), v = zeros({1});
    const Tensor p1 = detail::slice(p, 0, at, at + 1), g1 = detail::slice(g, 0, at, at + 1);
    for (int t = 1; t <= 3; ++t) k::adam(kCpu, {p1, g1, m, v, 1e-3, 0.9, 0.999, 1e-8, 0.01, 1, true, t});
    EXPECT_EQ(*p1.data<float>(), all.data<float>()[at]);
  }
}

TEST(Adam, ZeroGradientMovesNothing) {
  each_variant(k::adam, [](const std::string&) {
    const Tensor p = full({5}, 2), g = zeros({5}), m = zeros({5}), v = zeros({5});
    k::adam(kCpu, {p, g, m, v, 0.1, 0.9, 0.999, 1e-8, 0, 1, true, 1});
    for (int i = 0; i < 5; ++i) EXPECT_EQ(p.data<float>()[i], 2);
  });
}

}  // namespace
}  // namespace tapedeck
