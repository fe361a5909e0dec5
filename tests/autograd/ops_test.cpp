#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

constexpr Layout kLayouts[] = {Layout::contiguous, Layout::transposed, Layout::sliced};
const TensorOptions kF64{DType::f64};

// ---- reductions ---------------------------------------------------------------------------------------------------
TEST(Reduce, ValuesOverEverySetOfDimensions) {
  const Tensor x0 = spread({2, 3, 4}, -1, 1);
  const V v = values(x0);
  for (unsigned mask = 0; mask < 8; ++mask)
    for (const Layout layout : kLayouts) {
      std::vector<int> dims;
      for (int d = 0; d < 3; ++d)
        if (mask >> d & 1u) dims.push_back(d);
      const unsigned bits = mask ? mask : 7;  // no dims: all
      V groups[24];
      std::size_t count = 1;
      for (int d = 0; d < 3; ++d) count *= bits >> d & 1u ? 1 : x0.sizes()[d];
      for (std::size_t at = 0; at < 24; ++at) {
        const std::size_t index[] = {at / 12, at / 4 % 3, at % 4};
        std::size_t out = 0;
        for (int d = 0; d < 3; ++d)
          if (!(bits >> d & 1u)) out = out * static_cast<std::size_t>(x0.sizes()[d]) + index[d];
        groups[out].push_back(v[at]);
      }
      V total, average, largest, smallest, spread_of;
      for (std::size_t g = 0; g < count; ++g) {
        const double n = static_cast<double>(groups[g].size());
        double s = 0, d = 0;
        for (const double e : groups[g]) s += e;
        for (const double e : groups[g]) d += (e - s / n) * (e - s / n);
        total.push_back(s), average.push_back(s / n), spread_of.push_back(d / (n - 1));
        largest.push_back(*std::max_element(groups[g].begin(), groups[g].end()));
        smallest.push_back(*std::min_element(groups[g].begin(), groups[g].end()));
      }
      const Tensor x = laid_out(x0, layout);
      const std::string what = "mask " + std::to_string(mask);
      expect_close(values(sum(x, dims)), total, 1e-13, "sum " + what);
      expect_close(values(mean(x, dims)), average, 1e-13, "mean " + what);
      expect_close(values(amax(x, dims)), largest, 0, "amax " + what);
      expect_close(values(amin(x, dims)), smallest, 0, "amin " + what);
      expect_close(values(var(x, dims)), spread_of, 1e-13, "var " + what);
      Shape kept = x.sizes();
      for (int d = 0; d < 3; ++d)
        if (bits >> d & 1u) kept[d] = 1;
      EXPECT_EQ(sum(x, dims, true).sizes(), kept);
    }
}

TEST(Reduce, EmptyAndZeroDimensional) {
  EXPECT_EQ(values(sum(zeros({0, 2}), {0})), (V{0, 0}));
  EXPECT_EQ(sum(zeros({0, 2})).item(), 0);
  EXPECT_TRUE(std::isnan(mean(zeros({0})).item()));
  EXPECT_EQ(sum(scalar(3)).item(), 3);
  EXPECT_EQ(amax(zeros({0, 2}), {1}).sizes(), Shape{0});
  EXPECT_TRUE(says(error_of<ShapeError>([] {
                     amax(zeros({0, 2}), {0});
                   }),
                   "amax: nothing to choose from in dimension 0"));
  EXPECT_THROW(argmax(zeros({2, 0}), 1), ShapeError);
  EXPECT_TRUE(std::isnan(var(f64({1}, {1})).item()));
  EXPECT_EQ(var(f64({1, 3}, {2}), {}, false, false).item(), 1);
  for (const double p : {0.5, 1.0, 2.0, 3.0}) EXPECT_EQ(norm(zeros({0}), p).item(), 0) << p;
}

TEST(Reduce, IntegersAndBoolsSumToI64) {
  EXPECT_EQ(sum(gt(f64({1, -1, 2}, {3}), scalar(0, kF64))).dtype(), DType::i64);
  EXPECT_EQ(sum(gt(f64({1, -1, 2}, {3}), scalar(0, kF64))).item(), 2);
  EXPECT_EQ(sum(cast(full({300}, 255), DType::u8)).item(), 76500);
}

TEST(Reduce, ErrorsNameTheDimension) {
  EXPECT_TRUE(says(error_of<ShapeError>([] { sum(zeros({2}), {1}); }), "sum: dimension 1 is outside [-1, 1)"));
  EXPECT_TRUE(says(error_of<ValueError>([] { sum(zeros({2, 2}), {0, -2}); }), "sum: dimension -2 is given twice"));
  EXPECT_TRUE(says(error_of<ShapeError>([] { sum_to(zeros({2, 3}), {2, 2}); }), "sum_to"));
}

TEST(Reduce, ArgmaxTakesTheFirst) {
  const Tensor x = f64({1, 5, 5, 7, 2, 7}, {2, 3});
  EXPECT_EQ(values(argmax(x, 1)), (V{1, 0}));
  EXPECT_EQ(values(argmin(x, -1)), (V{0, 1}));
  EXPECT_EQ(values(argmax(x, 0, true)), (V{1, 0, 1}));
  EXPECT_EQ(argmax(x, 0, true).sizes(), (Shape{1, 3}));
  EXPECT_EQ(argmax(x, 0).dtype(), DType::i64);
}

TEST(Reduce, TiesShareTheGradientEvenly) {
  const Tensor x = f64({3, 3, 1, 3}, {4});
  Tape tape;
  tape.watch(x);
  tape.backward(amax(x) * 6);
  EXPECT_EQ(values(tape.grad(x)), (V{2, 2, 0, 2}));
}

TEST(Reduce, SumToUndoesBroadcasting) {
  const Tensor x = f64({1, 2, 3, 4, 5, 6}, {2, 3});
  EXPECT_EQ(values(sum_to(x, {3})), (V{5, 7, 9}));
  EXPECT_EQ(values(sum_to(x, {2, 1})), (V{6, 15}));
  EXPECT_EQ(sum_to(x, {}).item(), 21);
  EXPECT_TRUE(sum_to(x, {2, 3}).shares_storage(x));
}

// ---- softmax family -----------------------------------------------------------------------------------------------
TEST(Softmax, ValuesAlongEveryDimension) {
  const Tensor x0 = spread({2, 3, 4}, -3, 3);
  for (const int dim : {0, 1, 2})
    for (const Layout layout : kLayouts) {
      const Tensor x = laid_out(x0, layout), e = exp(x), total = sum(e, {dim}, true);
      expect_close(values(softmax(x, dim)), values(e / total), 1e-14, "softmax");
      expect_close(values(log_softmax(x, dim)), values(log(e / total)), 1e-13, "log_softmax");
      expect_close(values(logsumexp(x, dim, true)), values(log(total)), 1e-13, "logsumexp");
      EXPECT_EQ(logsumexp(x, dim).sizes(), squeeze(total, dim).sizes());
    }
}

// PyTorch's values: a scalar has one dimension of size 1.
TEST(Softmax, OfScalars) {
  const Tensor x = f64({3}, {});
  for (const int dim : {0, -1}) {
    Tape tape;
    tape.watch(x);
    EXPECT_EQ(softmax(x, dim).item(), 1);
    EXPECT_EQ(log_softmax(x, dim).item(), 0);
    EXPECT_EQ(gumbel_softmax(x, 1, true, dim).item(), 1);
    EXPECT_EQ(normalize(-x, 2, dim).item(), -1);
    EXPECT_EQ(cosine_similarity(x, -x, dim).item(), -1);
    const Tensor turned = flip(x, {dim});
    EXPECT_EQ(turned.sizes(), Shape{});
    tape.backward(turned * softmax(x, dim));
    EXPECT_EQ(tape.grad(x).item(), 1);
  }
  EXPECT_TRUE(says(error_of<ShapeError>([&] { softmax(x, 1); }), "softmax: dimension 1 is outside"));
}

TEST(Softmax, LargeLogitsDoNotOverflow) {
  const Tensor x = f64({1000, 1000, -1000}, {3});
  EXPECT_EQ(values(softmax(x, 0)), (V{0.5, 0.5, 0}));
  EXPECT_NEAR(logsumexp(x, 0).item(), 1000 + std::log(2), 1e-12);
  EXPECT_EQ(logsumexp(f64({-kInf, -kInf}, {2}), 0).item(), -kInf);
}

TEST(CrossEntropy, MatchesLogSoftmax) {
  const Tensor x = spread({2, 3, 5}, -2, 2), target = i64({0, 4, 2, 2, 3, 1}, {2, 3});
  V picked;
  const V logs = values(log_softmax(x, -1)), t = values(target);
  for (std::size_t i = 0; i < 6; ++i) picked.push_back(-logs[i * 5 + static_cast<std::size_t>(t[i])]);
  for (const Layout layout : kLayouts) {
    const Tensor logits = laid_out(x, layout);
    const Tensor each = cross_entropy(logits, laid_out(target, layout), {.reduction = Reduction::none});
    EXPECT_EQ(each.sizes(), target.sizes());
    expect_close(values(each), picked, 1e-14, "none");
    double total = 0;
    for (const double p : picked) total += p;
    expect_close({cross_entropy(logits, target).item()}, {total / 6}, 1e-14, "mean");
    expect_close({cross_entropy(logits, target, {.reduction = Reduction::sum}).item()}, {total}, 1e-14, "sum");
  }
}

TEST(CrossEntropy, MeansOverTheTargetsThatCount) {
  const Tensor x = spread({4, 3}, -2, 2), target = i64({1, -100, 2, -100}, {4});
  const V each = values(cross_entropy(x, target, {.reduction = Reduction::none}));
  EXPECT_EQ(each[1], 0);
  expect_close({cross_entropy(x, target).item()}, {(each[0] + each[2]) / 2}, 1e-15, "two of four");
  const Tensor padded = i64({0, 1, 0, 2}, {4});  // a class may be the one that is ignored
  const V some = values(cross_entropy(x, padded, {.ignore_index = 0, .reduction = Reduction::none}));
  EXPECT_EQ(some[0], 0);
  expect_close({cross_entropy(x, padded, {.ignore_index = 0}).item()}, {(some[1] + some[3]) / 2}, 1e-15, "class 0");
  EXPECT_TRUE(std::isnan(cross_entropy(x, full({4}, -100, {DType::i64})).item()));
}

TEST(CrossEntropy, ErrorsNameTheTarget) {
  const Tensor x = spread({2, 3}, -2, 2);
  EXPECT_TRUE(says(error_of<ValueError>([&] {
                     cross_entropy(x, i64({0, 3}, {2}));
                   }),
                   "cross_entropy: target 3 is outside [0, 3)"));
  EXPECT_TRUE(says(error_of<ValueError>([&] {
                     cross_entropy(x, i64({-1, -100}, {2}));
                   }),
                   "cross_entropy: target -1 is outside [0, 3)"));
  EXPECT_THROW(cross_entropy(x, i64({0}, {1})), ShapeError);
  EXPECT_THROW(cross_entropy(x, f64({0, 1}, {2})), DTypeError);
}

TEST(MseLoss, Values) {
  const Tensor a = f64({1, 2, 3}, {3}), b = f64({1, 4, 0}, {3});
  EXPECT_EQ(values(mse_loss(a, b, Reduction::none)), (V{0, 4, 9}));
  EXPECT_EQ(mse_loss(a, b, Reduction::sum).item(), 13);
  EXPECT_NEAR(mse_loss(a, b).item(), 13. / 3, 1e-15);
  EXPECT_THROW(mse_loss(a, f64({1}, {1})), ShapeError);
}

// ---- matrix products ----------------------------------------------------------------------------------------------
TEST(Matmul, ValuesOfEveryRank) {
  const Tensor a = spread({2, 3, 4}, -1, 1), b = spread({2, 4, 5}, -1, 1, 1);
  const V va = values(a), vb = values(b);
  V expected;
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 5; ++j) {
        double s = 0;
        for (std::size_t k = 0; k < 4; ++k) s += va[n * 12 + i * 4 + k] * vb[n * 20 + k * 5 + j];
        expected.push_back(s);
      }
  for (const Layout layout : kLayouts)
    expect_close(values(matmul(laid_out(a, layout), laid_out(b, layout))), expected, 1e-13, test::name_of(layout));
  const Tensor a0 = select(a, 0, 0), b0 = select(b, 0, 0);
  const V first(expected.begin(), expected.begin() + 15);
  expect_close(values(matmul(a0, b0)), first, 1e-13, "2x2");
  expect_close(values(matmul(a, b0)), values(stack({matmul(a0, b0), matmul(select(a, 0, 1), b0)})), 0, "3x2");
  expect_close(values(matmul(a0, b)), values(stack({matmul(a0, b0), matmul(a0, select(b, 0, 1))})), 0, "2x3");
  expect_close(values(matmul(select(a0, 0, 1), b0)), V(first.begin() + 5, first.begin() + 10), 1e-13, "1x2");
  EXPECT_EQ(matmul(a, select(b0, 1, 0)).sizes(), (Shape{2, 3}));
  EXPECT_EQ(matmul(select(a0, 0, 0), select(b0, 1, 0)).sizes(), Shape{});
  EXPECT_EQ(matmul(reshape(a, {2, 1, 3, 4}), b).sizes(), (Shape{2, 2, 3, 5}));
  EXPECT_EQ(values(matmul(zeros({2, 0}), zeros({0, 3}))), V(6));
}

TEST(Matmul, ErrorsNameTheSizes) {
  EXPECT_TRUE(says(error_of<ShapeError>([] {
                     matmul(zeros({2, 3}), zeros({4, 5}));
                   }),
                   "matmul: a has 3 columns but b has 4 rows; a f32[2,3] cpu; b f32[4,5] cpu"));
  EXPECT_THROW(matmul(scalar(1), zeros({1})), ShapeError);
  EXPECT_THROW(matmul(i64({1}, {1, 1}), i64({1}, {1, 1})), DTypeError);
}

TEST(Linear, IsAMatmulWithTheTransposedWeight) {
  const Tensor w = spread({3, 4}, -1, 1, 1), b = spread({3}, -1, 1, 2);
  for (const Shape& shape : {Shape{4}, Shape{2, 4}, Shape{2, 3, 4}, Shape{2, 2, 3, 4}, Shape{0, 4}})
    for (const Layout layout : kLayouts) {
      const Tensor x = laid_out(spread(shape, -1, 1), layout);
      expect_close(values(linear(x, w, b)), values(matmul(x, transpose(w, 0, 1)) + b), 1e-13, to_string(shape));
    }
  EXPECT_TRUE(says(error_of<ShapeError>([&] { linear(zeros({2, 5}, kF64), w); }), "linear: the weight [out, in]"));
  EXPECT_THROW(linear(zeros({2, 4}, kF64), w, zeros({4}, kF64)), ShapeError);
}

// The end of each recording, as a skip connection takes it: no copies, and the bits of the packed tensor.
TEST(Linear, TakesAPartOfTheTimeWithoutCopies) {
  const Tensor x = cast(spread({3, 10, 8}, -1, 1), DType::f32), tail = detail::slice(x, 1, 4, 10);
  const Tensor w = cast(spread({5, 8}, -1, 1, 1), DType::f32).set_requires_grad(true);
  const Tensor b = cast(spread({5}, -1, 1, 2), DType::f32).set_requires_grad(true);
  std::vector<V> results[2];
  for (const bool whole : {false, true}) {
    w.zero_grad(), b.zero_grad();
    const Tensor in = whole ? clone(tail) : tail;
    const std::int64_t before = packed_bytes();
    Tape tape;
    tape.watch(in);
    const Tensor y = linear(in, w, b);
    const V forward = values(y);
    tape.backward(y, cast(spread(y.sizes(), -1, 1, 3), DType::f32));
    EXPECT_EQ(packed_bytes(), before);
    results[whole] = {forward, values(tape.grad(in)), values(w.grad()), values(b.grad())};
  }
  EXPECT_EQ(results[0], results[1]);
}

// A training step of two dilated gated layers with skips: nothing on its path is copied for its layout.
TEST(Layouts, AWaveNetStepMakesNoCopies) {
  const auto parameter = [](const Shape& shape, int which) {
    return cast(spread(shape, -0.5, 0.5, which), DType::f32).set_requires_grad(true);
  };
  const Tensor table = parameter({16, 8}, 0), head = parameter({16, 8}, 1), head_bias = parameter({16}, 2);
  const Tensor w[] = {parameter({16, 8, 2}, 0), parameter({16, 8, 2}, 1)};
  const Tensor b[] = {parameter({16}, 2), parameter({16}, 3)};
  const Tensor residual[] = {parameter({8, 8}, 3), parameter({8, 8}, 0)};
  std::vector<std::int64_t> codes(2 * 12);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::int64_t>(i * 7 % 16);
  const Tensor all = tensor(codes, {2, 12}), target = slice(all, 1, 4);
  const std::int64_t before = packed_bytes();
  Tape tape;
  Tensor h = embedding(slice(all, 1, 0, 11), table), skips;
  for (int i = 0; i < 2; ++i) {
    const Tensor gate = gated_activation(conv1d(h, w[i], b[i], {.dilation = i + 1}));
    const Tensor skip = linear(slice(gate, 1, gate.size(1) - 8), residual[i]);
    skips = skips.defined() ? skips + skip : skip;
    h = linear(gate, residual[i]) + slice(h, 1, h.size(1) - gate.size(1));
  }
  tape.backward(cross_entropy(linear(relu(skips), head, head_bias), target));
  EXPECT_LE(packed_bytes() - before, 2 * 11 * 8 + 2 * 8 * 8);  // the i64 codes themselves, where a window is cut out
  for (const Tensor& p : {table, head, head_bias, w[0], w[1], b[0], b[1], residual[0]}) EXPECT_TRUE(p.has_grad());
}

// ---- lookups ------------------------------------------------------------------------------------------------------
TEST(Embedding, TakesRows) {
  const Tensor table = f64({0, 1, 10, 11, 20, 21}, {3, 2});
  const Tensor y = embedding(i64({2, 0, 2, 1}, {2, 2}), table);
  EXPECT_EQ(y.sizes(), (Shape{2, 2, 2}));
  EXPECT_EQ(values(y), (V{20, 21, 0, 1, 20, 21, 10, 11}));
  EXPECT_EQ(embedding(i64({1}, {}), table).sizes(), Shape{2});
  EXPECT_EQ(embedding(zeros({0, 3}, {DType::i64}), table).sizes(), (Shape{0, 3, 2}));
  EXPECT_EQ(error_of<ValueError>([&] {
              embedding(i64({0, 3}, {2}), table);
            }),
            "embedding: index 3 is outside [0, 3); index i64[2] cpu");
  EXPECT_TRUE(says(error_of<ValueError>([&] { embedding(i64({-1, 9}, {2}), table); }), "index -1 is outside"));
  EXPECT_THROW(embedding(f64({0}, {1}), table), DTypeError);
}

TEST(OneHot, Values) {
  EXPECT_EQ(values(one_hot(i64({2, 0}, {2}), 3)), (V{0, 0, 1, 1, 0, 0}));
  EXPECT_EQ(one_hot(i64({2, 0}, {1, 2}), 3, DType::f64).sizes(), (Shape{1, 2, 3}));
  EXPECT_THROW(one_hot(i64({3}, {1}), 3), ValueError);
}

TEST(SampleCategorical, InvertsTheCumulativeSum) {
  const Tensor logits = log(tensor({0.25, 0.5, 0.25}));
  const auto draw = [&](double u, double temperature = 1) {
    return sample_categorical(reshape(logits, {1, 3}), full({1}, u), temperature).item();
  };
  const double us[] = {0, 0.2, 0.3, 0.7, 0.8, 0.999999}, expected[] = {0, 0, 1, 1, 2, 2};
  for (int i = 0; i < 6; ++i) EXPECT_EQ(draw(us[i]), expected[i]) << us[i];
  EXPECT_EQ(draw(0.0, 0), 1);     // temperature 0: the largest
  EXPECT_EQ(draw(0.05, 0.1), 1);  // cold: the outer classes hardly remain
  EXPECT_EQ(sample_categorical(zeros({2, 3, 4}), zeros({2, 3})).sizes(), (Shape{2, 3}));
  EXPECT_THROW(sample_categorical(logits, scalar(0), -1), ValueError);
  EXPECT_THROW(sample_categorical(zeros({2, 3}), zeros({3})), ShapeError);
}

// ---- fused and random ---------------------------------------------------------------------------------------------
TEST(GatedActivation, IsTanhTimesSigmoid) {
  const Tensor x0 = spread({2, 3, 4}, -2, 2), c0 = spread({2, 3, 4}, -1, 1, 1);
  for (const Layout layout : kLayouts) {
    const Tensor x = laid_out(x0, layout), c = laid_out(c0, layout), u = x + c;
    expect_close(values(gated_activation(x)), values(tanh(slice(x, -1, 0, 2)) * sigmoid(slice(x, -1, 2))), 1e-14, "x");
    expect_close(values(gated_activation(x, c)), values(tanh(slice(u, -1, 0, 2)) * sigmoid(slice(u, -1, 2))), 1e-14,
                 "c");
  }
  EXPECT_THROW(gated_activation(zeros({2, 3})), ShapeError);
  EXPECT_THROW(gated_activation(zeros({2, 4}), zeros({4})), ShapeError);
}

TEST(Random, DropoutScalesWhatItKeeps) {
  manual_seed(3);
  const Tensor x = full({100, 100}, 2);
  const V y = values(dropout(x, 0.25));
  const auto kept = static_cast<double>(std::count_if(y.begin(), y.end(), [](double v) { return v != 0; }));
  for (const double v : y) EXPECT_TRUE(v == 0 || std::fabs(v - 2 / 0.75) < 1e-6) << v;
  EXPECT_NEAR(kept / 1e4, 0.75, 4 * std::sqrt(0.25 * 0.75 / 1e4));
  EXPECT_TRUE(dropout(x, 0.25, false).shares_storage(x));
  EXPECT_TRUE(dropout(x, 0).shares_storage(x));
  EXPECT_EQ(values(dropout(x, 1)), V(10000));
  EXPECT_THROW(dropout(x, 1.5), ValueError);
}

TEST(Random, DropoutsGradientIsItsMask) {
  const Tensor x = full({8, 8}, 1);
  V y, g;
  {
    Tape tape;
    tape.watch(x);
    Tensor out;
    {
      const RandomScope scope(1, 2, {5, 4, 3, 2, 1, 0, 7, 6});
      out = dropout(x, 0.5);
    }
    y = values(out);
    tape.backward(sum(out));  // the scope has ended
    g = values(tape.grad(x));
  }
  EXPECT_EQ(y, g);
}

TEST(Random, AScopeFixesTheDraws) {
  const auto draw = [](std::vector<std::int64_t> rows, std::int64_t n) {
    const RandomScope scope(7, 1, std::move(rows));
    return values(rand({n, 5}));
  };
  const V all = draw({0, 1, 2, 3}, 4), part = draw({2, 3}, 2);
  EXPECT_EQ(V(all.begin() + 10, all.end()), part);  // a row draws the same wherever it is
  const RandomScope scope(7, 1);
  EXPECT_EQ(values(rand({4, 5})), all);
  EXPECT_NE(values(rand({4, 5})), all);  // the next draw
  EXPECT_NE(values(randn({4, 5})), all);
}

TEST(Random, MomentsOfTheDistributions) {
  manual_seed(1);
  const double n = 40000, tolerance = 5 / std::sqrt(n);
  const Tensor u = rand({200, 200}), z = randn({200, 200}, {DType::f64});
  EXPECT_GE(amin(u).item(), 0);
  EXPECT_LT(amax(u).item(), 1);
  EXPECT_NEAR(mean(u).item(), 0.5, tolerance);
  EXPECT_NEAR(mean(z).item(), 0, tolerance);
  EXPECT_NEAR(var(z).item(), 1, 2 * tolerance);
  EXPECT_THROW(rand({2}, {DType::i64}), DTypeError);
}

// ---- in place -----------------------------------------------------------------------------------------------------
TEST(InPlace, WritesAndRaisesTheVersion) {
  const Tensor x = zeros({2, 3}, kF64);
  fill_(x, 2);
  add_(x, f64({1, 2, 3, 4, 5, 6}, {2, 3}));
  mul_(x, 10);
  EXPECT_EQ(values(x), (V{30, 40, 50, 60, 70, 80}));
  EXPECT_EQ(x.version(), 3u);
  copy_(x, i64({1, 2, 3}, {3}));  // converts and broadcasts
  EXPECT_EQ(values(x), (V{1, 2, 3, 1, 2, 3}));
  EXPECT_EQ(x.version(), 4u);
  EXPECT_THROW(add_(x, zeros({3}, kF64)), ShapeError);
  EXPECT_THROW(copy_(x, zeros({4}, kF64)), ShapeError);
  EXPECT_THROW(fill_(zeros({1}, {DType::i64}), 0.5), DTypeError);
}

TEST(InPlace, RandomFillsDoNotDependOnTheLayout) {
  const auto fill = [](Layout layout, bool normal) {
    const Tensor x = laid_out(zeros({3, 4}), layout);
    const RandomScope scope(1, 1);
    normal ? normal_(x, 5, 0.5) : uniform_(x, -2, -1);
    return values(x);
  };
  for (const bool normal : {false, true}) {
    EXPECT_EQ(fill(Layout::contiguous, normal), fill(Layout::sliced, normal));
    EXPECT_EQ(fill(Layout::contiguous, normal), fill(Layout::transposed, normal));
  }
  for (const double v : fill(Layout::contiguous, false)) EXPECT_TRUE(v >= -2 && v < -1) << v;
}

}  // namespace
}  // namespace tapedeck
