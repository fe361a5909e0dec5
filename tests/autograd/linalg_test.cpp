#include <gtest/gtest.h>

#include <cmath>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

// ---- products -----------------------------------------------------------------------------------------------------
TEST(Matmul, HeadsBetweenBatchAndTimeAreNotCopied) {
  const Tensor q = spread({2, 5, 3, 4}, -1, 1), k = spread({2, 6, 3, 4}, -1, 1, 1);
  const std::int64_t before = packed_bytes();
  Tape tape;
  tape.watch(q), tape.watch(k);
  const Tensor by_views = matmul(permute(q, {0, 2, 1, 3}), permute(k, {0, 2, 3, 1}));
  tape.backward(sum(square(by_views)));
  const V gq = values(tape.grad(q));
  Tape other;
  other.watch(q);
  const Tensor by_letters = einsum("bqhd,bkhd->bhqk", {q, k});
  other.backward(sum(square(by_letters)));
  EXPECT_EQ(packed_bytes(), before);
  expect_close(values(by_letters), values(by_views), 0, "einsum");
  expect_close(values(other.grad(q)), gq, 0, "gradient");
  const NoGrad pause;
  const Tensor plain = matmul(contiguous(permute(q, {0, 2, 1, 3})), contiguous(permute(k, {0, 2, 3, 1})));
  expect_close(values(by_views), values(plain), 0, "copies");
}

TEST(Matmul, BroadcastBatchesAreNotCopied) {
  const Tensor a = spread({2, 1, 3, 4, 5}, -1, 1), b = spread({3, 1, 5, 2}, -1, 1, 1);
  const std::int64_t before = packed_bytes();
  const Tensor y = matmul(a, b);
  EXPECT_EQ(packed_bytes(), before);
  EXPECT_EQ(y.sizes(), (Shape{2, 3, 3, 4, 2}));
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 3; ++j)
      for (int k = 0; k < 3; ++k)
        expect_close(values(select(select(select(y, 0, i), 0, j), 0, k)),
                     values(matmul(select(select(select(a, 0, i), 0, 0), 0, k), select(select(b, 0, j), 0, 0))), 0,
                     "batch");
}

TEST(Addmm, BetaZeroDoesNotLookAtItsInput) {
  const Tensor a = spread({2, 3}, -1, 1), b = spread({3, 2}, -1, 1, 1), nan = full({2, 2}, std::nan(""), {DType::f64});
  expect_close(values(addmm(nan, a, b, 0)), values(mm(a, b)), 0, "addmm");
  EXPECT_TRUE(std::isnan(values(addmm(nan, a, b))[0]));
}

TEST(Products, ErrorsNameTheOpAndTheRule) {
  const Tensor m = zeros({2, 3}), v = zeros({3}), cube = zeros({2, 3, 4});
  EXPECT_TRUE(says(error_of<ShapeError>([&] { mm(cube, m); }), "mm: needs 2 and 2 dimensions"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { mv(m, m); }), "mv: needs 2 and 1 dimensions"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { mm(m, m); }), "mm: matmul: a has 3 columns but b has 2 rows"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { bmm(cube, zeros({3, 4, 1})); }), "bmm: batches of 2 and 3"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { dot(v, m); }), "dot: needs 1 and 1"));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { addmm(zeros({5, 2}), m, zeros({3, 2})); }), "addmm: "));
  EXPECT_TRUE(says(error_of<ShapeError>([&] { addmm(zeros({1, 2, 2}), m, zeros({3, 2})); }), "x does not broadcast"));
  EXPECT_THROW(outer(v, zeros({3}, {DType::f64})), DTypeError);
}

// ---- einsum ---------------------------------------------------------------------------------------------------------
TEST(Einsum, ErrorsNameThePlaceInTheEquation) {
  const Tensor a = zeros({2, 3}), b = zeros({4, 5});
  const auto message = [&](const std::string& equation, std::vector<Tensor> operands) {
    return error_of<Error>([&] { einsum(equation, operands); });
  };
  EXPECT_TRUE(says(message("ij,j?->i", {a, b}), "einsum: at 4 of \"ij,j?->i\": unexpected '?'"));
  EXPECT_TRUE(says(message("i.j", {a}), "at 1 of \"i.j\": unexpected '.'"));
  EXPECT_TRUE(says(message("...i...", {a}), "at 4 of \"...i...\": a second \"...\""));
  EXPECT_TRUE(says(message("ij->i->j", {a}), "at 5"));
  EXPECT_TRUE(says(message("ij->i,j", {a}), "at 5"));
  EXPECT_TRUE(says(message("ij->k", {a}), "at 4 of \"ij->k\": 'k' appears in no operand"));
  EXPECT_TRUE(says(message("ij->ii", {a}), "at 5 of \"ij->ii\": 'i' appears twice in the output"));
  EXPECT_TRUE(says(message("ij,jk", {a, b}), "at 3 of \"ij,jk\": 'j' has size 4 in operand 1 but 3 before"));
  EXPECT_TRUE(says(message("ii", {a}), "'i' is repeated in operand 0 for dimensions of sizes 2 and 3"));
  EXPECT_TRUE(says(message("ijk", {a}), "operand 0 has 2 dimensions but 3 letters"));
  EXPECT_TRUE(says(message("ijk...", {a}), "operand 0 has 2 dimensions but 3 letters or more"));
  EXPECT_TRUE(says(message("...,...", {a, b}), "a dimension of \"...\" has size"));
  EXPECT_TRUE(says(message("ij,jk", {a}), "has 2 terms but there are 1 operands"));
  EXPECT_THROW(einsum("", {}), ValueError);
  EXPECT_THROW(einsum("i,i", {a, zeros({2, 3}, {DType::f64})}), DTypeError);
}

TEST(Einsum, OfEverythingToNothing) {
  const Tensor x = spread({2, 3}, -1, 1);
  EXPECT_EQ(einsum("...", {x}).sizes(), x.sizes());
  EXPECT_EQ(einsum("", {scalar(3)}).item(), 3);
  EXPECT_EQ(einsum("...->", {x}).sizes(), Shape{});
  EXPECT_EQ(einsum("i...,i...", {x, x}).sizes(), Shape{3});
}

// ---- distances ------------------------------------------------------------------------------------------------------
TEST(Cdist, ZeroDistancesHaveZeroGradients) {
  const Tensor x = f64({1, 2, 3, 4}, {2, 2});
  for (const double p : {0., 0.5, 1., 1.5, 2., 3., kInf}) {
    const Tensor y = clone(x);
    Tape tape;
    tape.watch(x), tape.watch(y);
    const Tensor d = cdist(x, y, p);
    EXPECT_EQ(values(d)[0], 0) << p;
    tape.backward(d, f64({1, 0, 0, 1}, {2, 2}));
    EXPECT_EQ(values(tape.grad(x)), V(4)) << p;
    EXPECT_EQ(values(tape.grad(y)), V(4)) << p;
  }
}

TEST(Cdist, LargestDifferencesShareTheGradient) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const Tensor x = cast(f64({3, -3, 1}, {1, 3}), dtype), y = zeros({1, 3}, {dtype});
    Tape tape;
    tape.watch(x);
    tape.backward(cdist(x, y, kInf));
    EXPECT_EQ(values(tape.grad(x)), (V{0.5, -0.5, 0}));
  }
}

TEST(Cdist, NearRowsKeepTheirDigits) {
  const Tensor x = cast(f64({1000, 1000}, {1, 2}), DType::f32), y = cast(f64({1000.0625, 1000}, {1, 2}), DType::f32);
  EXPECT_EQ(cdist(x, y).item(), 0.0625);
}

TEST(Directions, ZeroVectorsHaveFiniteGradients) {
  const Tensor x = zeros({1, 2}, {DType::f64}), y = f64({3, 4}, {1, 2});
  Tape tape;
  tape.watch(x);
  const Tensor c = cosine_similarity(x, y, 1, 0.5);
  EXPECT_EQ(c.item(), 0);
  tape.backward(c);
  expect_close(values(tape.grad(x)), {1.2, 1.6}, 1e-15, "that of x / eps");
  Tape second;
  second.watch(x);
  second.backward(pairwise_distance(x, x, 2, 0));
  EXPECT_EQ(values(second.grad(x)), V(2));
}

}  // namespace
}  // namespace tapedeck
