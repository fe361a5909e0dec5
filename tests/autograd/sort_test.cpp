// Order of special elements, quantiles of infinities, and what sorting and counting refuse.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

TEST(Sort, NaNIsLastAndZerosAreEqual) {
  const Tensor x = f64({2, kNaN, 1, -0.0, 0, kInf, kNaN, -kInf}, {8});
  EXPECT_EQ(values(argsort(x)), (V{7, 3, 4, 2, 0, 5, 1, 6}));
  EXPECT_EQ(values(argsort(x, 0, true)), (V{1, 6, 5, 0, 2, 3, 4, 7}));
  EXPECT_TRUE(std::signbit(values(sort(x).values)[1]) && !std::signbit(values(sort(x).values)[2]));
  EXPECT_EQ(values(topk(x, 3).indices), (V{1, 6, 5}));
  EXPECT_EQ(values(topk(x, 3, 0, false).indices), (V{7, 3, 4}));
}

TEST(Sort, EqualElementsKeepTheirOrder) {
  std::vector<std::int64_t> keys;
  for (std::int64_t i = 0; i < 1000; ++i) keys.push_back(i * 7919 % 3);
  for (const std::int64_t n : {100, 1000})
    for (const bool descending : {false, true}) {
      const Tensor x = slice(i64(keys, {1000}), 0, 0, n);
      const ValuesIndices y = sort(x, 0, descending);
      const auto v = y.values.to_vector<std::int64_t>(), at = y.indices.to_vector<std::int64_t>();
      for (std::size_t i = 1; i < v.size(); ++i)
        EXPECT_TRUE(v[i - 1] == v[i] ? at[i - 1] < at[i] : descending ? v[i - 1] > v[i] : v[i - 1] < v[i]) << i;
      EXPECT_EQ(topk(x, 5, 0, descending).indices.to_vector<std::int64_t>(),
                std::vector<std::int64_t>(at.begin(), at.begin() + 5));
    }
}

TEST(Sort, Errors) {
  EXPECT_TRUE(says(error_of<ValueError>([] { topk(zeros({2, 3}), 4); }), "topk: k 4 is more than the 3 elements"));
  EXPECT_TRUE(says(error_of<ValueError>([] { topk(zeros({2, 3}), -1); }), "topk: k must be >= 0"));
  EXPECT_TRUE(says(error_of<ShapeError>([] { sort(zeros({2, 3}), 2); }), "sort"));
}

TEST(Quantile, OfInfinities) {
  const Tensor x = f64({-kInf, 1, 2, kInf}, {4});
  EXPECT_EQ(quantile(x, 0).item(), -kInf);  // PyTorch: NaN, as all that touch an infinity
  EXPECT_EQ(quantile(x, 0.1).item(), -kInf);
  EXPECT_EQ(quantile(x, 0.25).item(), -kInf);
  EXPECT_EQ(quantile(x, 0.5).item(), 1.5);
  EXPECT_EQ(quantile(x, 1).item(), kInf);
  EXPECT_EQ(quantile(f64({kInf, kInf}, {2}), 0.3).item(), kInf);
  EXPECT_TRUE(std::isnan(quantile(f64({-kInf, kInf}, {2}), 0.3).item()));
  EXPECT_TRUE(std::isnan(quantile(f64({1, kNaN, 2}, {3}), 0).item()));
}

TEST(Quantile, BetweenEqualElementsIsThatElement) {
  for (const double value : {0.1, 1.0 / 3, -7.7, 1e-300})
    for (int i = 0; i <= 100; ++i) EXPECT_EQ(quantile(f64({value, value, value}, {3}), i / 100.0).item(), value) << i;
}

TEST(Quantile, ShapesAndErrors) {
  const Tensor x = test::spread({2, 3, 4}, -1, 1);
  EXPECT_EQ(quantile(x, std::vector{0.1, 0.5}, 1).sizes(), (Shape{2, 2, 4}));
  EXPECT_EQ(quantile(x, std::vector{0.1, 0.5}, 1, true).sizes(), (Shape{2, 2, 1, 4}));
  EXPECT_EQ(quantile(x, std::vector{0.1}, {}, true).sizes(), (Shape{1, 1, 1, 1}));
  EXPECT_EQ(quantile(x, 0.1, {}, true).sizes(), (Shape{1, 1, 1}));
  EXPECT_TRUE(says(error_of<ValueError>([&] { quantile(x, 1.5); }), "quantile: q must be in [0, 1], got 1.5"));
  EXPECT_TRUE(says(error_of<ValueError>([&] { quantile(x, kNaN); }), "quantile: q must be in [0, 1]"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { quantile(zeros({0}), 0.5); }), "quantile: nothing to choose from"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { quantile(i64({1}, {1}), 0.5); }), "quantile: needs a real tensor"));
}

TEST(Search, SequencesAndErrors) {
  const Tensor s = f64({1, 2, 2, kNaN}, {4}), v = f64({0, 2, 3, kNaN}, {4});
  EXPECT_EQ(values(searchsorted(s, v)), (V{0, 1, 3, 3}));
  EXPECT_EQ(values(searchsorted(s, v, true)), (V{0, 3, 3, 4}));
  EXPECT_TRUE(says(error_of<ShapeError>([] {
                     searchsorted(zeros({2, 3}), zeros({3, 3}));
                   }),
                   "searchsorted: all dimensions but the last must agree"));
  EXPECT_TRUE(says(error_of<ShapeError>([] {
                     bucketize(zeros({3}), zeros({2, 3}));
                   }),
                   "bucketize: boundaries must be"));
  EXPECT_TRUE(says(error_of<DTypeError>([&] { searchsorted(s, i64({1}, {1})); }), "searchsorted: dtypes differ"));
}

TEST(Count, Errors) {
  EXPECT_TRUE(says(error_of<ValueError>([] { bincount(i64({1, -2}, {2})); }), "bincount: x must be >= 0"));
  EXPECT_TRUE(says(error_of<ShapeError>([] { bincount(i64({1, 2}, {1, 2})); }), "bincount: x must be 1-d"));
  EXPECT_TRUE(says(error_of<DTypeError>([] { bincount(zeros({2})); }), "bincount: x must be of integers"));
  EXPECT_TRUE(says(error_of<ShapeError>([] {
                     bincount(i64({1, 2}, {2}), zeros({3}));
                   }),
                   "bincount: weights must have"));
  EXPECT_THROW(bincount(i64({std::numeric_limits<std::int64_t>::max()}, {1})), Error);
  EXPECT_THROW(bincount(i64({std::numeric_limits<std::int64_t>::max() - 1}, {1})), Error);
  EXPECT_TRUE(says(error_of<ValueError>([] { histc(f64({1, kInf}, {2})); }), "histc: the range must be finite"));
  EXPECT_TRUE(says(error_of<ValueError>([] { histc(zeros({2}), 0); }), "histc: bins must be >= 1"));
  EXPECT_TRUE(says(error_of<ValueError>([] { histc(zeros({2}), 3, 2, 1); }), "histc: the range must be finite"));
  EXPECT_EQ(values(histc(f64({2, 2, 2}, {3}), 4)), (V{0, 0, 3, 0}));
}

}  // namespace
}  // namespace tapedeck
