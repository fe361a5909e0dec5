#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/reduce.h>

#include <algorithm>
#include <functional>

#include "kernels/check.h"

namespace tapedeck {
namespace {

namespace k = kernels;
constexpr double kUnit = 0x1p-24;  // unit roundoff of f32

// The reduced elements of output o, gathered by plain index arithmetic.
std::vector<double> terms_of(const TensorView& x, std::uint32_t dims, std::int64_t o) {
  std::int64_t index[8] = {};
  for (int d = x.rank - 1; d >= 0; --d)
    if (!(dims >> d & 1u)) index[d] = o % x.sizes[d], o /= x.sizes[d];
  std::vector<double> out;
  const std::function<void(int, std::int64_t)> walk = [&](int d, std::int64_t offset) {
    if (d == x.rank) return out.push_back(x.ptr<float>()[offset]);
    if (!(dims >> d & 1u)) return walk(d + 1, offset + index[d] * x.strides[d]);
    for (std::int64_t i = 0; i < x.sizes[d]; ++i) walk(d + 1, offset + i * x.strides[d]);
  };
  walk(0, 0);
  return out;
}
Tensor reduced(const Tensor& x, std::uint32_t dims, DType type = DType::f32) {
  Shape s = x.sizes();
  for (int d = 0; d < s.rank(); ++d)
    if (dims >> d & 1u) s[d] = 1;
  return empty(s, {type});
}

std::vector<Tensor> layouts() {
  const Tensor base = random_tensor({6, 7, 40}, 3);
  return {base,
          random_tensor({5, 3, 4, 33}, 4),
          detail::transpose(base, 0, 2),
          detail::transpose(base, 0, 1),
          detail::slice(base, 2, 1, 40, 3),
          detail::slice(base, 1, 2, 5),
          detail::expand(random_tensor({1, 7, 1}, 5), {6, 7, 20}),
          random_tensor({1}, 6),
          random_tensor({4097}, 7, 0.1, 1),
          random_tensor({3, 1, 70001}, 8, 0.1, 1),
          random_tensor({5000, 5}, 9, 0.1, 1),
          random_tensor({3000, 300}, 10),
          random_tensor({3, 0, 2}, 11)};
}

TEST(Reduce, SumsEveryAxisSubsetInAnyLayout) {
  for (auto* slot : {&k::sum, &k::sum_squares})
    each_variant(*slot, [&](const std::string& variant) {
      for (const Tensor& x : layouts())
        for (std::uint32_t dims = 0; dims < 1u << x.dim(); ++dims) {
          const Tensor y = reduced(x, dims);
          if (!accepted(variant, [&] { (*slot)(kCpu, {x, y, dims}); })) continue;
          for (std::int64_t o = 0; o < std::min<std::int64_t>(y.numel(), 400); ++o) {
            double total = 0, size = 0;
            for (const double v : terms_of(x, dims, o)) {
              const double t = slot == &k::sum ? v : v * v;
              total += t, size += std::fabs(t);
            }
            EXPECT_TRUE(std::fabs(y.data<float>()[o] - total) <= 1.01 * kUnit * size)
                << describe(x) << " dims " << dims << " output " << o << ": " << y.data<float>()[o] << " not " << total;
          }
        }
    });
}

TEST(Reduce, ExtremesAreExactAndNaNWins) {
  for (const bool largest : {true, false}) {
    auto& slot = largest ? k::amax : k::amin;
    each_variant(slot, [&](const std::string& variant) {
      for (const Tensor& x : layouts()) {
        if (x.numel() == 0) continue;
        for (std::uint32_t dims = 0; dims < 1u << x.dim(); ++dims) {
          const Tensor y = reduced(x, dims);
          if (!accepted(variant, [&] { slot(kCpu, {x, y, dims}); })) continue;
          for (std::int64_t o = 0; o < std::min<std::int64_t>(y.numel(), 100); ++o) {
            const std::vector<double> t = terms_of(x, dims, o);
            EXPECT_EQ(y.data<float>()[o],
                      largest ? *std::max_element(t.begin(), t.end()) : *std::min_element(t.begin(), t.end()));
          }
        }
      }
      for (const int n : {1, 5, 16, 33, 100})
        for (int at = 0; at < n; at += 3) {
          const Tensor x = random_tensor({n}, 1), y = empty({1});
          x.data<float>()[at] = NAN;
          slot(kCpu, {x, y, 1});
          EXPECT_TRUE(std::isnan(*y.data<float>())) << n << " " << at;
          const Tensor column = random_tensor({n, 3}, 1), z = empty({1, 3});
          column.data<float>()[at * 3 + 1] = NAN;
          if (!accepted(variant, [&] { slot(kCpu, {column, z, 1}); })) continue;
          EXPECT_TRUE(std::isnan(z.data<float>()[1]) && !std::isnan(z.data<float>()[0]));
        }
    });
  }
}

TEST(Reduce, IntegersAndDoubles) {
  const Tensor x = tensor(std::vector<std::int32_t>{2147483647, 2147483647, -5, 7}, {2, 2}),
               y = empty({1, 1}, {DType::i64});
  k::sum(kCpu, {x, y, 3});
  EXPECT_EQ(*y.data<std::int64_t>(), 4294967296);
  const Tensor d = tensor(std::vector<double>{1e16, 1, -1e16, 1}, {4}), s = empty({1}, {DType::f64});
  k::sum(kCpu, {d, s, 1});
  EXPECT_EQ(*s.data<double>(), 2);  // compensated
}

TEST(Reduce, ThreadsAndBatchDoNotChangeBits) {
  const Tensor rows = random_tensor({40, 3001}, 1), tall = random_tensor({20000, 37}, 2),
               all = random_tensor({300000}, 3);
  for (const Tensor& x : {rows, tall, all})
    for (std::uint32_t dims = 1; dims < 1u << x.dim(); ++dims)
      on_any_threads([&] {
        const Tensor y = reduced(x, dims);
        k::sum(kCpu, {x, y, dims});
        return y;
      });
  const Tensor y = empty({40, 1}), one = empty({1, 1});
  k::sum(kCpu, {rows, y, 2});
  for (int r = 0; r < 40; ++r) {
    k::sum(kCpu, {detail::slice(rows, 0, r, r + 1), one, 2});
    EXPECT_EQ(*one.data<float>(), y.data<float>()[r]);
  }
}

TEST(Reduce, ArgExtremesTakeTheFirst) {
  const Tensor x = tensor(std::vector<float>{1, 5, 5, -2, 3, NAN, 9, NAN, -2, -2, -2, -2}, {3, 4}),
               y = empty({3, 1}, {DType::i64});
  each_variant(k::argmax, [&](const std::string&) {
    k::argmax(kCpu, {x, y, 1});
    EXPECT_EQ(y.to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 1, 0}));
  });
  each_variant(k::argmin, [&](const std::string&) {
    k::argmin(kCpu, {x, y, 1});
    EXPECT_EQ(y.to_vector<std::int64_t>(), (std::vector<std::int64_t>{3, 1, 0}));
    const Tensor z = empty({1, 4}, {DType::i64});
    k::argmin(kCpu, {x, z, 0});
    EXPECT_EQ(z.to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, 1, 2, 1}));
  });
}

// ---- softmax family ------------------------------------------------------------------------------------------------

std::vector<Tensor> logits() {
  std::vector<Tensor> out;
  for (const int n : {1, 2, 7, 16, 17, 64, 255, 1000, 4096})
    out.push_back(random_tensor({4, n}, static_cast<std::uint32_t>(n), -20, 20));
  out.push_back(random_tensor({3, 50}, 77, -1e30, 1e30));
  out.push_back(tensor(std::vector<float>{88, -88, 88, -INFINITY, 0, -104, -87, 1}, {2, 4}));
  return out;
}

TEST(Softmax, ForwardAgainstDoubleFormulas) {
  for (auto* slot : {&k::softmax, &k::log_softmax, &k::logsumexp})
    each_variant(*slot, [&](const std::string& variant) {
      for (const Tensor& x : logits()) {
        const std::int64_t n = x.size(1);
        const Tensor y = empty({x.size(0), slot == &k::logsumexp ? 1 : n});
        (*slot)(kCpu, {x, y});
        for (std::int64_t r = 0; r < x.size(0); ++r) {
          const float* v = x.data<float>() + r * n;
          const double m = *std::max_element(v, v + n);
          double total = 0, shift = 0;  // shift: how far rounding x - m moves log(total), in units
          for (std::int64_t i = 0; i < n; ++i) {
            const double e = std::exp(v[i] - m);
            total += e, shift += e == 0 ? 0 : e * std::fabs(v[i] - m);
          }
          shift /= total;
          const double slack = variant == "eigen" ? 4 : 1;
          if (slot == &k::logsumexp) {
            const double want = m + std::log(total);
            EXPECT_TRUE(std::fabs(y.data<float>()[r] - want) <= slack * 2 * kUnit * (std::fabs(want) + 1))
                << describe(x);
            continue;
          }
          for (std::int64_t i = 0; i < n; ++i) {
            const double got = y.data<float>()[r * n + i], away = std::fabs(v[i] - m);
            if (slot == &k::softmax) {
              const double want = std::exp(v[i] - m) / total;
              EXPECT_TRUE(std::fabs(got - want) <=
                          slack * 2 * kUnit * want * (2 + std::min(away, 200.0) + std::log2(n)) +
                              (variant == "eigen" ? 0x1p-125 : 0x1p-149))
                  << describe(x);
            } else if (std::isinf(away)) {
              EXPECT_EQ(got, -INFINITY);
            } else {
              const double want = (v[i] - m) - std::log(total);
              EXPECT_TRUE(std::fabs(got - want) <=
                          slack * 2 * kUnit * (std::fabs(want) + std::fabs(std::log(total)) + shift))
                  << describe(x) << got;
            }
          }
        }
      }
    });
}

TEST(Softmax, RowsOfInfinityAndNaN) {
  const Tensor x = full({3, 5}, -INFINITY), y = empty({3, 5}), z = empty({3, 1});
  x.data<float>()[5] = NAN, x.data<float>()[11] = 2;
  for (auto* slot : {&k::softmax, &k::log_softmax})
    each_variant(*slot, [&](const std::string&) {
      (*slot)(kCpu, {x, y});
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(std::isnan(y.data<float>()[i])) << i;
      EXPECT_EQ(y.data<float>()[11], slot == &k::softmax ? 1 : 0);
    });
  each_variant(k::logsumexp, [&](const std::string&) {
    k::logsumexp(kCpu, {x, z});
    EXPECT_EQ(z.data<float>()[0], -INFINITY);
    EXPECT_TRUE(std::isnan(z.data<float>()[1]));
    EXPECT_EQ(z.data<float>()[2], 2);
  });
}

TEST(Softmax, Gradients) {
  for (const int n : {1, 3, 16, 50, 257}) {
    const Tensor x = random_tensor({5, n}, 2, -4, 4), g = random_tensor({5, n}, 3), y = empty({5, n}),
                 gx = empty({5, n});
    for (const bool logarithm : {false, true}) {
      (logarithm ? k::log_softmax : k::softmax)(kCpu, {x, y});
      auto& slot = logarithm ? k::log_softmax_backward : k::softmax_backward;
      each_variant(slot, [&](const std::string&) {
        slot(kCpu, {g, y, gx});
        for (int r = 0; r < 5; ++r) {
          const float *gr = g.data<float>() + r * n, *yr = y.data<float>() + r * n;
          double dot = 0, size = 0;
          for (int i = 0; i < n; ++i) {
            const double t = logarithm ? gr[i] : static_cast<double>(gr[i]) * yr[i];
            dot += t, size += std::fabs(t);
          }
          for (int i = 0; i < n; ++i) {
            const double p = logarithm ? std::exp(static_cast<double>(yr[i])) : yr[i];
            const double want = logarithm ? gr[i] - p * dot : p * (gr[i] - dot);
            const double scale = logarithm ? std::fabs(gr[i]) + p * size : p * (std::fabs(gr[i]) + size);
            EXPECT_TRUE(std::fabs(gx.data<float>()[r * n + i] - want) <= 4 * kUnit * scale);
          }
        }
      });
    }
  }
}

TEST(CrossEntropy, LossAndGradient) {
  for (const int n : {1, 2, 19, 256}) {
    const Tensor x = random_tensor({6, n}, 9, -30, 30), g = full({6}, 0.25), losses = empty({6}), gx = empty({6, n});
    std::vector<std::int64_t> targets = {0, n - 1, n / 2, -100, n / 3, 0};
    const Tensor t = tensor(targets, {6});
    each_variant(k::cross_entropy, [&](const std::string&) {
      k::cross_entropy(kCpu, {x, t, losses, -100});
      each_variant(k::cross_entropy_backward, [&](const std::string&) {
        k::cross_entropy_backward(kCpu, {detail::expand(scalar(0.25), {6}), x, t, gx, -100});
        for (int r = 0; r < 6; ++r) {
          const float* v = x.data<float>() + r * n;
          const std::int64_t target = targets[static_cast<std::size_t>(r)];
          const double m = *std::max_element(v, v + n);
          double total = 0, others = 0, shift = 0;
          for (int i = 0; i < n; ++i) {
            const double e = std::exp(v[i] - m);
            total += e, others += i == target ? 0 : e, shift += e * std::fabs(v[i] - m);
          }
          shift /= total;
          const double want = target < 0 ? 0 : std::log(total) + (m - v[target]);
          EXPECT_TRUE(std::fabs(losses.data<float>()[r] - want) <=
                      2 * kUnit * (std::fabs(want) + std::log(total) + shift));
          for (int i = 0; i < n; ++i) {
            const double p = std::exp(v[i] - m) / total, slope = target < 0 ? 0 : i == target ? -others / total : p;
            EXPECT_TRUE(std::fabs(gx.data<float>()[r * n + i] - 0.25 * slope) <=
                        kUnit * std::fabs(slope) * (3 + (i == target ? 60 : std::fabs(v[i] - m))));
          }
        }
      });
    });
  }
}

TEST(SampleCategorical, FollowsTheCumulativeSum) {
  const int n = 37;
  const Tensor x = random_tensor({200, n}, 4, -3, 3), u = random_tensor({200}, 5, 0, 1), y = empty({200}, {DType::i64});
  for (const double temperature : {1.0, 0.5, 2.0})
    each_variant(k::sample_categorical, [&](const std::string&) {
      k::sample_categorical(kCpu, {x, u, y, temperature});
      for (int r = 0; r < 200; ++r) {
        const float* v = x.data<float>() + r * n;
        const double m = *std::max_element(v, v + n);
        double total = 0, running = 0;
        for (int i = 0; i < n; ++i) total += std::exp((v[i] - m) / temperature);
        int want = -1;
        bool edge = false;
        for (int i = 0; i < n; ++i) {
          running += std::exp((v[i] - m) / temperature);
          edge = edge || std::fabs(running / total - u.data<float>()[r]) < 8 * kUnit;
          if (want < 0 && running > u.data<float>()[r] * total) want = i;
        }
        EXPECT_TRUE(edge || y.data<std::int64_t>()[r] == want) << r;
      }
    });
}

TEST(SampleCategorical, EdgesOfTheUniform) {
  const float inf = INFINITY;
  const Tensor x = tensor(std::vector<float>{-inf, 0, -inf, 0, -inf, -inf, 0, -inf, 0, -inf, 3, 3, 1, 3, 0}, {3, 5});
  const Tensor u = tensor({0, 0.99999994, 0}), y = empty({3}, {DType::i64});
  each_variant(k::sample_categorical, [&](const std::string&) {
    k::sample_categorical(kCpu, {x, u, y, 1});
    EXPECT_EQ(y.to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 3, 0}));
    k::sample_categorical(kCpu, {x, u, y, 0});  // the first of equals
    EXPECT_EQ(y.to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 1, 0}));
  });
}

TEST(Softmax, ThreadsAndBatchDoNotChangeBits) {
  const Tensor x = random_tensor({900, 101}, 8), u = random_tensor({900}, 9, 0, 1);
  const Tensor y = on_any_threads([&] {
    const Tensor out = empty_like(x);
    k::softmax(kCpu, {x, out});
    return out;
  });
  on_any_threads([&] {
    const Tensor out = empty({900}, {DType::i64});
    k::sample_categorical(kCpu, {x, u, out, 0.9});
    return out;
  });
  const Tensor one = empty({1, 101});
  for (int r = 0; r < 900; r += 71) {
    k::softmax(kCpu, {detail::slice(x, 0, r, r + 1), one});
    EXPECT_EQ(std::memcmp(one.data(), y.data<float>() + r * 101, 101 * 4), 0);
  }
}

}  // namespace
}  // namespace tapedeck
