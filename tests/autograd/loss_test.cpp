// Losses where formulas break: ends of ranges, tails, small bins, alignments counted one by one; and bad input.
#include <gtest/gtest.h>
#include <tapedeck/autograd/gradcheck.h>

#include <cmath>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

const TensorOptions kF64{DType::f64};

Tensor gradient(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  Tape tape;
  tape.watch(x);
  tape.backward(sum(f(x)));
  return tape.grad(x);
}

TEST(BinaryCrossEntropy, EndsOfTheRange) {
  const Tensor x = tensor({0, 1, 0, 1}), t = tensor({0, 1, 1, 0});
  EXPECT_EQ(values(binary_cross_entropy(x, t, {}, Reduction::none)), (V{0, 0, 100, 100}));
  expect_close(values(gradient(x, [&](const Tensor& v) { return binary_cross_entropy(v, t); })),
               {0, 0, -0.25e12, 0.25e12}, 1e-6, "gradient");
}

TEST(BinaryCrossEntropy, LogitsKeepTheirTails) {
  const Tensor x = tensor({-80, 80, -80, 80, 0}), t = tensor({0, 1, 1, 0, 0.25});
  const double tail = std::exp(-80.0);
  expect_close(values(binary_cross_entropy_with_logits(x, t, {}, Reduction::none)), {tail, tail, 80, 80, std::log(2)},
               2e-7, "values");
  const auto f = [&](const Tensor& v) { return binary_cross_entropy_with_logits(v, t, {}, Reduction::sum); };
  expect_close(values(gradient(x, f)), {tail, -tail, -1, 1, 0.25}, 2e-7, "gradient");
}

TEST(KlDiv, ZeroTargetsAddNothing) {
  const Tensor x = f64({-1, -2, -3}, {3}), t = f64({0, 0.5, 0.5}, {3});
  EXPECT_EQ(values(kl_div(x, t, Reduction::none))[0], 0);
  EXPECT_EQ(values(gradient(x, [&](const Tensor& v) { return kl_div(v, t); }))[0], 0);
  EXPECT_NEAR(kl_div(x, t, Reduction::batchmean).item() * 3, kl_div(x, t, Reduction::sum).item(), 1e-15);
}

TEST(GaussianNll, SmallVariancesAreRaisedAndKeepTheirGradient) {
  const Tensor x = f64({1}, {1}), t = f64({3}, {1}), v = f64({0}, {1});
  EXPECT_NEAR(gaussian_nll_loss(x, t, v, false, 0.5).item(), 0.5 * (std::log(0.5) + 4 / 0.5), 1e-15);
  const auto f = [&](const Tensor& var) { return gaussian_nll_loss(x, t, var, false, 0.5); };
  EXPECT_NEAR(gradient(v, f).item(), 0.5 * (1 / 0.5 - 4 / 0.25), 1e-14);
}

TEST(TripletMargin, NoNaNWhereAllAreEqual) {
  const Tensor x = zeros({2, 3}, kF64);
  for (const double p : {1., 2., 3., kInf})
    for (const double g : values(gradient(x, [&](const Tensor& v) { return triplet_margin_loss(v, x, x, 1, p, 0); })))
      EXPECT_TRUE(std::isfinite(g)) << p;
}

TEST(NllLoss, InfinitiesOfOtherClassesDoNotMatter) {
  const Tensor x = f64({-0.5, -kInf, -kInf, -0.25}, {2, 2});
  EXPECT_EQ(values(nll_loss(x, i64({0, 1}, {2}), {}, -100, Reduction::none)), (V{0.5, 0.25}));
  EXPECT_EQ(values(nll_loss(x, i64({0, -100}, {2}), {}, -100, Reduction::none)), (V{0.5, 0}));
}

TEST(GumbelSoftmax, DrawsByTheSoftmaxAndPassesTheGradient) {
  const Tensor logits = expand(f64({0, 1, 2}, {3}), {30000, 3});
  const RandomScope scope(3, 1);
  const V counts = values(sum(gumbel_softmax(logits, 0.7, true), {0})), p = values(softmax(f64({0, 1, 2}, {3}), 0));
  double chi = 0;
  for (std::size_t k = 0; k < 3; ++k) chi += std::pow(counts[k] - 30000 * p[k], 2) / (30000 * p[k]);
  EXPECT_LT(chi, 27.6);  // p = 1e-6 at 2 degrees of freedom

  const Tensor x = spread({4, 5}, -1, 1), w = spread({4, 5}, -1, 1, 1);
  const auto run = [&](bool hard) {
    return values(gradient(x, [&](const Tensor& v) {
      const RandomScope same(9, 1);
      const Tensor y = gumbel_softmax(v, 0.8, hard);
      if (hard) {
        for (const double e : values(y)) EXPECT_TRUE(e == 0 || e == 1) << e;
      }
      return y * w;
    }));
  };
  EXPECT_EQ(run(true), run(false));
}

// ---- mixtures -------------------------------------------------------------------------------------------------------
// All classes together have probability 1, whatever the scales. In f32 the bins lie where y was rounded to.
TEST(MixLogistic, ClassesSumToOne) {
  for (const std::int64_t classes : {2, 16, 256, 65536})
    for (const DType dtype : {DType::f32, DType::f64})
      for (const double scale : {-12., -5., 0., 3.}) {
        std::vector<double> y;
        for (std::int64_t k = 0; k < classes; ++k)
          y.push_back(2 * static_cast<double>(k) / static_cast<double>(classes - 1) - 1);
        const Tensor x = cast(f64({0.3, -1, -0.2, 0.6, scale, scale + 1}, {6}), dtype);
        const Tensor each = discretized_mix_logistic_loss(expand(x, {classes, 6}), cast(f64(y, {classes}), dtype),
                                                          classes, -32, Reduction::none);
        EXPECT_NEAR(sum(exp(neg(cast(each, DType::f64)))).item(), 1, dtype == DType::f32 ? 1e-4 : 1e-9)
            << classes << " classes, scale " << scale;
      }
}

// -log(e^-a - e^-b) in long double, where the bins are small and far from the mean.
TEST(MixLogistic, FarAndSmallBinsAgainstTheClosedForm) {
  for (const double log_scale : {-9., -6., -3., 0., 4., 12.})
    for (const double mean : {-0.9, 0.1, 0.9})
      for (const std::int64_t classes : {256, 65536}) {
        const float y = 0.25f, m = static_cast<float>(mean), ls = static_cast<float>(log_scale);
        const long double h = 1 / static_cast<long double>(classes - 1), s = std::exp(-static_cast<long double>(ls));
        const long double p = s * (y - m + h), q = s * (y - m - h), d = p - q;
        const auto soft = [](long double v) { return std::max(v, 0.L) + std::log1p(std::exp(-std::fabs(v))); };
        const long double want = soft(-p) + soft(q) - std::log(-std::expm1(-d));
        const Tensor x = tensor({0, m, ls});
        const double got = discretized_mix_logistic_loss(reshape(x, {1, 3}), tensor({y}), classes).item();
        EXPECT_LE(std::fabs(got / static_cast<double>(want) - 1), 2e-7) << log_scale << " " << mean << " " << classes;
      }
}

// A bin that holds nearly everything: the loss is the small rest, not a difference of numbers near 1.
TEST(MixLogistic, SmallLossesDoNotCancel) {
  for (const float scale : {0.0002f, 0.0003f, 0.0005f}) {
    const float ls = std::log(scale);
    const long double s = std::exp(-static_cast<long double>(ls)), h = 1.L / 255;
    const long double want = 2 * std::log1p(std::exp(-s * h)) - std::log1p(-std::exp(-2 * s * h));
    const Tensor x = tensor({1, -1, 0.5, 0, 0, 0, ls, ls, ls});
    const double got = discretized_mix_logistic_loss(reshape(x, {1, 9}), tensor({0})).item();
    EXPECT_LE(std::fabs(got / static_cast<double>(want) - 1), 1e-6) << scale << ": " << got;
  }
}

TEST(MixGaussian, IsTheDensity) {
  const Tensor x = f64({0, 0.25, -1}, {1, 3}), y = f64({0.5}, {1});
  const double z = 0.25 * std::exp(1.0);
  EXPECT_NEAR(mix_gaussian_loss(x, y).item(), 0.5 * z * z - 1 + 0.5 * std::log(2 * M_PI), 1e-14);
}

// Kolmogorov and Smirnov's distance to the distribution function, at p = 1e-6.
void expect_distributed(V draws, const std::function<double(double)>& cdf, const char* what) {
  std::sort(draws.begin(), draws.end());
  const auto n = static_cast<double>(draws.size());
  double worst = 0;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const double c = cdf(draws[i]);
    worst = std::max({worst, std::fabs(c - static_cast<double>(i) / n), std::fabs(c - static_cast<double>(i + 1) / n)});
  }
  EXPECT_LT(worst * std::sqrt(n), 2.69) << what;
}

TEST(Mixtures, SamplesFollowTheDensity) {
  const std::int64_t n = 20000;
  const Tensor x = tensor({0.5, -0.5, -0.3, 0.4, -3.5, -4}), all = expand(x, {n, 6});
  const RandomScope scope(4, 1);
  const double w = 1 / (1 + std::exp(-1.0));
  const auto mixed = [&](auto f) {
    return [=](double y) { return w * f((y + 0.3) * std::exp(3.5)) + (1 - w) * f((y - 0.4) * std::exp(4.0)); };
  };
  expect_distributed(values(sample_from_discretized_mix_logistic(all)),
                     mixed([](double z) { return 1 / (1 + std::exp(-z)); }), "logistic");
  expect_distributed(values(sample_from_mix_gaussian(all)),
                     mixed([](double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }), "gaussian");
  EXPECT_EQ(values(sample_from_mix_gaussian(x, -32, 0)), (V{static_cast<double>(-0.3f)}));
  EXPECT_EQ(sample_from_mix_gaussian(x).sizes(), Shape{});
}

// ---- ctc ------------------------------------------------------------------------------------------------------------
// Every path of T classes whose labels, repeats and blanks taken out, are the target.
double ctc_by_paths(const V& log_probs, std::size_t time, std::size_t classes, const std::vector<std::int64_t>& target,
                    std::size_t blank) {
  double total = 0;
  std::size_t paths = 1;
  for (std::size_t t = 0; t < time; ++t) paths *= classes;
  for (std::size_t path = 0; path < paths; ++path) {
    std::vector<std::int64_t> labels;
    double log_p = 0;
    std::size_t rest = path, before = blank;
    for (std::size_t t = 0; t < time; ++t, rest /= classes) {
      const std::size_t c = rest % classes;
      log_p += log_probs[t * classes + c];
      if (c != blank && (t == 0 || c != before)) labels.push_back(static_cast<std::int64_t>(c));
      before = c;
    }
    if (labels == target) total += std::exp(log_p);
  }
  return -std::log(total);
}

TEST(Ctc, SumsAllPaths) {
  const std::vector<std::vector<std::int64_t>> targets{{}, {1}, {2, 2}, {1, 2}, {1, 2, 1}, {2, 2, 1}, {1, 1, 1}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const auto& target : targets)
      for (const std::int64_t time : {1, 3, 5, 6}) {
        const Tensor x = log_softmax(spread({1, time, 3}, -2, 2), -1);
        const auto labels = static_cast<std::int64_t>(target.size());
        const Tensor loss = ctc_loss(cast(x, dtype), tensor(target, {1, labels}), i64({time}, {1}), i64({labels}, {1}),
                                     0, Reduction::sum);
        const double want = ctc_by_paths(values(x), static_cast<std::size_t>(time), 3, target, 0);
        expect_close(values(loss), {want}, dtype == DType::f32 ? 1e-6 : 1e-13, "ctc");
      }
}

TEST(Ctc, GradientOfLogProbsIsTheOneOfTheLogits) {
  const Tensor logits = spread({2, 5, 4}, -1, 1);
  const auto loss = [](const Tensor& logs) {
    return ctc_loss(logs, i64({1, 2, 3, 3}, {2, 2}), i64({5, 4}, {2}), i64({2, 2}, {2}));
  };
  const Tensor through = gradient(logits, [&](const Tensor& x) { return loss(log_softmax(x, -1)); });
  const Tensor direct = gradient(log_softmax(logits, -1), loss);
  const V a = values(through), b = values(direct);
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-15) << i;
}

TEST(Ctc, WithoutAnAlignment) {
  const Tensor x = log_softmax(spread({2, 3, 4}, -1, 1), -1), targets = i64({1, 1, 2, 1, 2, 0}, {2, 3});
  const Tensor steps = i64({3, 3}, {2}), labels = i64({3, 2}, {2});
  EXPECT_EQ(ctc_loss(x, targets, steps, labels).item(), kInf);
  const auto zeroed = [&](const Tensor& v) { return ctc_loss(v, targets, steps, labels, 0, Reduction::sum, true); };
  EXPECT_TRUE(std::isfinite(zeroed(x).item()));
  const V g = values(gradient(x, zeroed));
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(g[i], 0);
  const auto plain = [&](const Tensor& v) { return ctc_loss(v, targets, steps, labels, 0, Reduction::sum); };
  for (std::size_t i = 0; i < 12; ++i) EXPECT_TRUE(std::isnan(values(gradient(x, plain))[i]));
}

TEST(Ctc, OneRecordingAndNoTime) {
  const Tensor x = log_softmax(spread({4, 3}, -1, 1), -1);
  const Tensor one = ctc_loss(x, i64({1, 2}, {2}), i64({4}, {}), i64({2}, {}), 0, Reduction::none);
  EXPECT_EQ(one.sizes(), Shape{});
  const Tensor row =
      ctc_loss(reshape(x, {1, 4, 3}), i64({1, 2}, {1, 2}), i64({4}, {1}), i64({2}, {1}), 0, Reduction::none);
  EXPECT_EQ(one.item(), row.item());
  EXPECT_EQ(ctc_loss(x, i64({}, {0}), i64({0}, {}), i64({0}, {}), 0, Reduction::sum).item(), 0);
}

TEST(Ctc, ErrorsNameTheNumbers) {
  const Tensor x = zeros({2, 4, 3}), targets = i64({1, 2, 1, 2}, {2, 2}), steps = i64({4, 4}, {2}),
               two = i64({2, 2}, {2});
  const auto says_value = [&](auto call, const char* text) {
    EXPECT_TRUE(says(error_of<ValueError>(call), text)) << text;
  };
  says_value([&] { ctc_loss(x, i64({1, 3, 1, 2}, {2, 2}), steps, two); }, "label 3 of row 0");
  says_value([&] { ctc_loss(x, i64({1, 2, 0, 2}, {2, 2}), steps, two); }, "label 0 of row 1");
  says_value([&] { ctc_loss(x, targets, i64({4, 5}, {2}), two); }, "input_lengths 5 is outside [0, 4]");
  says_value([&] { ctc_loss(x, targets, steps, i64({2, 3}, {2})); }, "target_lengths 3 is outside [0, 2]");
  says_value([&] { ctc_loss(x, targets, steps, i64({-1, 2}, {2})); }, "target_lengths -1");
  says_value([&] { ctc_loss(x, targets, steps, two, 3); }, "the blank 3");
  EXPECT_THROW(ctc_loss(x, i64({1, 2, 1}, {3}), steps, two), ShapeError);
  EXPECT_THROW(ctc_loss(x, i64({1, 2}, {1, 2}), steps, two), ShapeError);
  EXPECT_THROW(ctc_loss(x, targets, i64({4}, {1}), two), ShapeError);
  EXPECT_THROW(ctc_loss(zeros({3}), targets, steps, two), ShapeError);
  EXPECT_THROW(ctc_loss(x, zeros({2, 2}), steps, two), DTypeError);
  EXPECT_THROW(ctc_loss(x, targets, zeros({2}), two), DTypeError);
  EXPECT_THROW(ctc_loss(i64({1}, {1, 1, 1}), targets, steps, two), DTypeError);
  EXPECT_THROW(ctc_loss(x, targets, steps, two, 0, Reduction::batchmean), ValueError);
  EXPECT_THROW(ctc_loss({}, targets, steps, two), ValueError);
}

// ---- bad input ------------------------------------------------------------------------------------------------------
TEST(Losses, WrongInputIsATypedError) {
  const Tensor x = zeros({2, 3}), other = zeros({3, 2}), wide = zeros({2, 3}, kF64), index = i64({0, 1}, {2});
  const Tensor whole = i64({0, 1, 2, 0, 1, 2}, {2, 3});
  using Pair = std::function<Tensor(const Tensor&, const Tensor&, Reduction)>;
  const Pair pairs[] = {
      [](auto a, auto b, auto r) { return mse_loss(a, b, r); },
      [](auto a, auto b, auto r) { return l1_loss(a, b, r); },
      [](auto a, auto b, auto r) { return smooth_l1_loss(a, b, r); },
      [](auto a, auto b, auto r) { return huber_loss(a, b, r); },
      [](auto a, auto b, auto r) { return binary_cross_entropy(a, b, {}, r); },
      [](auto a, auto b, auto r) { return binary_cross_entropy_with_logits(a, b, {}, r); },
      [](auto a, auto b, auto r) { return gaussian_nll_loss(a, b, a, false, 1e-6, r); },
      [](auto a, auto b, auto r) { return poisson_nll_loss(a, b, true, false, 1e-8, r); },
      [](auto a, auto b, auto r) { return soft_margin_loss(a, b, r); },
      [](auto a, auto b, auto r) { return hinge_embedding_loss(a, b, 1, r); },
      [](auto a, auto b, auto r) { return margin_ranking_loss(a, b, a, 0, r); },
      [](auto a, auto b, auto r) { return multilabel_soft_margin_loss(a, b, {}, r); },
      [](auto a, auto b, auto r) { return triplet_margin_loss(a, b, a, 1, 2, 1e-6, false, r); },
  };
  for (const Pair& f : pairs) {
    EXPECT_THROW(f(x, other, Reduction::mean), ShapeError);
    EXPECT_THROW(f(x, wide, Reduction::mean), DTypeError);
    EXPECT_THROW(f(whole, whole, Reduction::mean), DTypeError);
    EXPECT_THROW(f(x, x, Reduction::batchmean), ValueError);
    EXPECT_THROW(f({}, x, Reduction::mean), ValueError);
    EXPECT_THROW(f(x, {}, Reduction::mean), ValueError);
  }
  EXPECT_THROW(kl_div(x, other), ShapeError);
  EXPECT_THROW(smooth_l1_loss(x, x, Reduction::mean, -1), ValueError);
  EXPECT_THROW(huber_loss(x, x, Reduction::mean, 0), ValueError);
  EXPECT_TRUE(says(error_of<ValueError>([&] { binary_cross_entropy(tensor({0.5, 1.5}), zeros({2})); }), "reaches 1.5"));
  EXPECT_THROW(binary_cross_entropy(tensor({std::nan("")}), zeros({1})), ValueError);
  EXPECT_THROW(binary_cross_entropy(x, x, zeros({4})), ShapeError);
  EXPECT_THROW(binary_cross_entropy_with_logits(x, x, {}, Reduction::mean, zeros({2})), ShapeError);
  EXPECT_THROW(gaussian_nll_loss(x, x, full({2, 3}, -1)), ValueError);
  EXPECT_THROW(gaussian_nll_loss(x, x, zeros({3})), ShapeError);
  EXPECT_THROW(gaussian_nll_loss(x, x, x, false, 0), ValueError);
  EXPECT_THROW(multi_margin_loss(x, i64({0, 3}, {2})), ValueError);
  EXPECT_THROW(multi_margin_loss(x, i64({0}, {1})), ShapeError);
  EXPECT_THROW(multi_margin_loss(x, zeros({2})), DTypeError);
  EXPECT_THROW(multi_margin_loss(x, index, 3), ValueError);
  EXPECT_THROW(multi_margin_loss(x, index, 1, 1, zeros({2})), ShapeError);
  EXPECT_THROW(multi_margin_loss(scalar(0), scalar(0, {DType::i64})), ShapeError);
  EXPECT_THROW(cosine_embedding_loss(x, x, zeros({3})), ShapeError);
  EXPECT_THROW(cosine_embedding_loss(x, x, index), DTypeError);
  EXPECT_THROW(nll_loss(x, i64({0, 3}, {2})), ValueError);
  EXPECT_THROW(nll_loss(x, index, zeros({2})), ShapeError);
  EXPECT_THROW(nll_loss(x, zeros({2})), DTypeError);
  EXPECT_THROW(cross_entropy(x, index, {.weight = zeros({2})}), ShapeError);
  EXPECT_THROW(cross_entropy(x, index, {.label_smoothing = 1.5}), ValueError);
  EXPECT_THROW(cross_entropy(x, other), ShapeError);
  EXPECT_THROW(cross_entropy(x, wide), DTypeError);
  EXPECT_THROW(gumbel_softmax(x, 0), ValueError);
  EXPECT_THROW(discretized_mix_logistic_loss(zeros({2, 4}), zeros({2})), ShapeError);
  EXPECT_THROW(discretized_mix_logistic_loss(x, zeros({3})), ShapeError);
  EXPECT_THROW(discretized_mix_logistic_loss(x, zeros({2}), 1), ValueError);
  EXPECT_THROW(mix_gaussian_loss(x, zeros({2}, kF64)), DTypeError);
  EXPECT_THROW(mix_gaussian_loss(x, zeros({2}), -kInf), ValueError);
  EXPECT_THROW(sample_from_mix_gaussian(x, -7, -1), ValueError);
}

}  // namespace
}  // namespace tapedeck
