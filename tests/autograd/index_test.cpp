#include <gtest/gtest.h>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

Tensor counting(const Shape& shape) { return reshape(arange(0, shape.numel(), 1, {DType::f64}), shape); }

TEST(Places, ViewsShareTheStorage) {
  const Tensor x = counting({2, 3, 3});
  for (const Tensor& y : {movedim(x, 0, 2), squeeze(slice(x, 0, 0, 1)), broadcast_to(x, {4, 2, 3, 3}), unbind(x, 1)[2],
                          diagonal(x, 1, 1, 2), meshgrid({select(select(x, 0, 1), 0, 2), scalar(1, {DType::f64})})[0]})
    EXPECT_TRUE(y.shares_storage(x));
  for (const Tensor& y :
       {flip(x, {}), roll(x, 0, 0), pad(x, {0, 0}), repeat(x, {1, 1, 1}), tril(x, 9), diag(select(x, 0, 0))})
    EXPECT_FALSE(y.shares_storage(x));
}

// Of several writes to one place the last stays, and only it has a gradient.
TEST(Places, TheLastWriteStays) {
  const Tensor x = zeros({3}, {DType::f64}), source = f64({1, 2, 3, 4}, {4}), index = i64({2, 0, 2, 0}, {4});
  const auto check = [&](const std::function<Tensor(const Tensor&, const Tensor&)>& f) {
    Tape tape;
    tape.watch(x), tape.watch(source);
    const Tensor y = f(x, source);
    EXPECT_EQ(values(y), (V{4, 0, 3}));
    tape.backward(y, f64({10, 20, 30}, {3}));
    EXPECT_EQ(values(tape.grad(x)), (V{0, 20, 0}));
    EXPECT_EQ(values(tape.grad(source)), (V{0, 0, 30, 10}));
  };
  check([&](const Tensor& a, const Tensor& b) { return scatter(a, 0, index, b); });
  check([&](const Tensor& a, const Tensor& b) { return index_copy(a, 0, index, b); });
  check([&](const Tensor& a, const Tensor& b) { return index_put(a, {index}, b); });
}

TEST(Places, PaddingRowsGetNoGradient) {
  const Tensor table = counting({4, 2});
  for (const bool graph : {false, true}) {
    Tape tape;
    tape.watch(table);
    const Tensor y = embedding(i64({3, 1, 3, 1}, {4}), table, -1);
    EXPECT_EQ(values(y), (V{6, 7, 2, 3, 6, 7, 2, 3}));
    EXPECT_EQ(values(tape.gradients(y, {table}, {.create_graph = graph})[0]), (V{0, 0, 2, 2, 0, 0, 0, 0}));
  }
}

TEST(Places, NumbersKeepTheirKind) {
  EXPECT_EQ(arange(3).dtype(), DType::i64);
  EXPECT_EQ(arange(3.).dtype(), DType::f32);
  EXPECT_EQ(arange(0, 1, 0.5).dtype(), DType::f32);
  EXPECT_EQ(arange(std::int64_t{1} << 60, (std::int64_t{1} << 60) + 2).to_vector<std::int64_t>()[1],
            (std::int64_t{1} << 60) + 1);
  EXPECT_EQ(arange(0, 1, 0.1, {DType::f64}).numel(), 10);
  EXPECT_THROW(arange(0, 5, 0), ValueError);
  EXPECT_THROW(arange(0, 5, -1), ValueError);
  EXPECT_THROW(arange(0, 1e300), ValueError);
  EXPECT_THROW(arange(0, 5, 0.5, {DType::i64}), DTypeError);
  EXPECT_THROW(arange(300, {DType::u8}), DTypeError);
  EXPECT_THROW(arange(std::nan("")), ValueError);
  EXPECT_THROW(linspace(0, 1, -1), ValueError);
  EXPECT_THROW(logspace(0, 1, -1), ValueError);
  EXPECT_THROW(eye(-1), ValueError);
}

TEST(Places, AnIndexOutsideIsNamedWithItsBound) {
  const Tensor x = counting({3, 4}), row = counting({4}), bad = i64({0, 4}, {2}), negative = i64({0, -1}, {2});
  const Tensor lines = i64({0, 3}, {1, 2}), source = counting({1, 2});
  const struct {
    const char* op;
    std::function<void()> call;
    const char* part;
  } cases[] = {
      {"embedding", [&] { embedding(bad, x); }, "4 is outside [0, 3)"},
      {"embedding", [&] { embedding(negative, x); }, "-1 is outside [0, 3)"},
      {"embedding", [&] { embedding(i64({0}, {1}), x, 3); }, "padding_idx 3 is outside [-3, 3)"},
      {"embedding_bag",
       [&] {
         embedding_bag(i64({0, 7}, {1, 2}), x);
       },
       "7 is outside [0, 3)"},
      {"one_hot", [&] { one_hot(bad, 4); }, "4 is outside [0, 4)"},
      {"index_select", [&] { index_select(x, 1, bad); }, "4 is outside [0, 4)"},
      {"index_add", [&] { index_add(row, 0, negative, counting({2})); }, "-1 is outside [0, 4)"},
      {"index_copy", [&] { index_copy(row, 0, bad, counting({2})); }, "4 is outside [0, 4)"},
      {"index_fill", [&] { index_fill(row, 0, i64({-5}, {1}), 0); }, "-5 is outside [-4, 4)"},
      {"gather", [&] { gather(x, 0, lines); }, "3 is outside [0, 3)"},
      {"scatter", [&] { scatter(x, 0, lines, source); }, "3 is outside [0, 3)"},
      {"scatter", [&] { scatter(x, 0, lines, 1.); }, "3 is outside [0, 3)"},
      {"scatter_add", [&] { scatter_add(x, 0, lines, source); }, "3 is outside [0, 3)"},
      {"take_along_dim",
       [&] {
         take_along_dim(x, i64({0, 3, 0, 0}, {1, 4}), 0);
       },
       "3 is outside [0, 3)"},
      {"index", [&] { index(x, {i64({3}, {1})}); }, "3 is outside [-3, 3)"},
      {"index_put",
       [&] {
         index_put(x, {Tensor(), i64({-5}, {1})}, scalar(1, {DType::f64}));
       },
       "-5 is outside [-4, 4)"},
  };
  for (const auto& c : cases) {
    const std::string message = error_of<ValueError>(c.call);
    EXPECT_EQ(message.rfind(std::string(c.op) + ": ", 0), 0u) << message;
    EXPECT_TRUE(says(message, c.part)) << message;
  }
}

TEST(Places, WhatDoesNotFitIsRefused) {
  const Tensor x = counting({3, 4}), i = i64({0, 1}, {2}), flags = cast(x, DType::boolean);
  const std::int64_t far = std::numeric_limits<std::int64_t>::max();
  EXPECT_THROW(index_select(x, 2, i), ShapeError);
  EXPECT_THROW(index_select(x, 0, i64({0}, {1, 1})), ShapeError);
  EXPECT_THROW(index_select(x, 0, counting({2})), DTypeError);
  EXPECT_THROW(index_select(scalar(1), 0, i), ShapeError);
  EXPECT_THROW(index_add(x, 0, i, counting({3, 4})), ShapeError);
  EXPECT_THROW(index_add(x, 0, i, zeros({2, 4})), DTypeError);
  EXPECT_THROW(index_add(flags, 0, i, slice(flags, 0, 0, 2)), DTypeError);
  EXPECT_THROW(index_add(cast(x, DType::i64), 0, i, zeros({2, 4}, {DType::i64}), 0.5), DTypeError);
  EXPECT_THROW(index_copy(x, 0, i, counting({2, 3})), ShapeError);
  EXPECT_THROW(index_fill(cast(x, DType::i64), 0, i, 0.5), DTypeError);
  EXPECT_THROW(gather(x, 0, i), ShapeError);
  EXPECT_THROW(gather(x, 0, i64({0, 0, 0, 0, 0}, {1, 5})), ShapeError);
  EXPECT_THROW(scatter(x, 0, i64({0, 0}, {1, 2}), counting({1, 1})), ShapeError);
  EXPECT_THROW(scatter_add(flags, 0, i64({0}, {1, 1}), flags), DTypeError);
  EXPECT_THROW(take_along_dim(x, i, 0), ShapeError);
  EXPECT_THROW(take_along_dim(x, i64({0, 0}, {1, 2}), 0), ShapeError);
  EXPECT_THROW(index(x, {i, i, i}), ShapeError);
  EXPECT_THROW(index(x, {counting({1})}), DTypeError);
  EXPECT_THROW(index(x, {select(flags, 0, 0)}), ShapeError);
  EXPECT_THROW(index(x, {i, i64({0, 0, 0}, {3})}), ShapeError);
  EXPECT_THROW(index_put(x, {i}, counting({3})), ShapeError);
  EXPECT_THROW(index_put(x, {i}, zeros({4})), DTypeError);
  EXPECT_THROW(masked_fill(x, x, 0), DTypeError);
  EXPECT_THROW(masked_fill(x, slice(flags, 1, 0, 3), 0), ShapeError);
  EXPECT_THROW(masked_fill(cast(x, DType::i64), flags, 0.5), DTypeError);
  EXPECT_THROW(masked_fill(x, flags, counting({4})), ShapeError);
  EXPECT_THROW(masked_select(x, slice(flags, 1, 0, 3)), ShapeError);
  EXPECT_THROW(one_hot(i64({}, {0})), ValueError);
  EXPECT_THROW(one_hot(i, -2), ValueError);
  EXPECT_THROW(embedding_bag(i, x), ShapeError);
  EXPECT_THROW(embedding_bag(i, x, i64({1}, {1})), ValueError);
  EXPECT_THROW(embedding_bag(i, x, i64({0, 2, 1}, {3})), ValueError);
  EXPECT_THROW(embedding_bag(i, x, i64({0, 3}, {2})), ValueError);
  EXPECT_THROW(embedding_bag(i, x, i64({}, {0}), {}, {.include_last_offset = true}), ShapeError);
  EXPECT_THROW(embedding_bag(i, x, i64({0}, {1}), counting({2})), ValueError);
  EXPECT_THROW(movedim(x, 2, 0), ShapeError);
  EXPECT_THROW(movedim(x, std::vector<int>{0, 0}, std::vector<int>{0, 1}), ValueError);
  EXPECT_THROW(movedim(x, std::vector<int>{0, 1}, std::vector<int>{1, 1}), ValueError);
  EXPECT_THROW(movedim(x, std::vector<int>{0}, std::vector<int>{0, 1}), ValueError);
  EXPECT_THROW(diagonal(x, 0, 1, -1), ValueError);
  EXPECT_THROW(diagonal(counting({3})), ShapeError);
  EXPECT_THROW(unbind(scalar(1)), ShapeError);
  EXPECT_THROW(meshgrid({}), ValueError);
  EXPECT_THROW(meshgrid({x}), ShapeError);
  EXPECT_THROW(repeat(x, {2}), ShapeError);
  EXPECT_THROW(repeat(x, {2, -1}), ValueError);
  EXPECT_THROW(repeat(x, {far, 1}), ShapeError);
  EXPECT_THROW(repeat(x, {1 << 30, 1 << 30}), ShapeError);
  EXPECT_THROW(repeat_interleave(x, -1), ValueError);
  EXPECT_THROW(repeat_interleave(x, far, 0), ShapeError);
  EXPECT_THROW(repeat_interleave(x, i64({1, -1, 1}, {3}), 0), ValueError);
  EXPECT_THROW(repeat_interleave(x, i, 0), ShapeError);
  EXPECT_THROW(repeat_interleave(x, counting({3}), 0), DTypeError);
  EXPECT_THROW(repeat_interleave(x, i64({far, far, 1}, {3}), 0), ShapeError);
  EXPECT_THROW(split(x, std::vector<std::int64_t>{far, far, 1}, 0), ShapeError);
  EXPECT_THROW(chunk(slice(x, 0, 0, 0), far), ValueError);
  EXPECT_EQ(chunk(x, far).size(), 3u);
  EXPECT_THROW(flip(x, {0, -2}), ValueError);
  EXPECT_THROW(flip(x, {2}), ShapeError);
  EXPECT_THROW(roll(x, {1, 2}, {0}), ValueError);
  EXPECT_THROW(roll(x, std::vector<std::int64_t>{}), ValueError);
  EXPECT_THROW(pad(x, {1}), ShapeError);
  EXPECT_THROW(pad(x, {1, 1, 1, 1, 1, 1}), ShapeError);
  EXPECT_THROW(pad(x, {far, far}), ShapeError);
  EXPECT_THROW(pad(x, {-3, -2}), ShapeError);
  EXPECT_THROW(pad(x, {4, 0}, PadMode::reflect), ShapeError);
  EXPECT_THROW(pad(x, {5, 0}, PadMode::circular), ShapeError);
  EXPECT_THROW(pad(x, {-3, -2}, PadMode::replicate), ShapeError);
  EXPECT_THROW(pad(zeros({2, 0}), {1, 0}, PadMode::replicate), ShapeError);
  EXPECT_THROW(pad(cast(x, DType::i64), {1, 0}, PadMode::constant, 0.5), DTypeError);
  EXPECT_THROW(fold(x, 0, 10, 2), ShapeError);
  EXPECT_THROW(fold(x, 0, 8, 0), ValueError);
  EXPECT_THROW(fold(counting({3}), 0, 3, 1), ShapeError);
  EXPECT_THROW(fold(flags, 0, 8, 2), DTypeError);
  EXPECT_THROW(unfold(x, FoldOptions{.kernel_size = {1, 1}}), ShapeError);
  EXPECT_THROW(unfold(counting({1, 3, 3, 1}), {}), ValueError);
  EXPECT_THROW(unfold(counting({1, 3, 3, 1}), {.kernel_size = {4, 1}}), ShapeError);
  EXPECT_THROW(unfold(counting({1, 3, 3, 1}), {.kernel_size = {1, 1}, .padding = {-1, 0}}), ValueError);
  EXPECT_THROW(fold(counting({1, 4, 5}), {3, 3}, {.kernel_size = {2, 2}}), ShapeError);
  EXPECT_THROW(fold(counting({1, 5, 4}), {3, 3}, {.kernel_size = {2, 2}}), ShapeError);
  EXPECT_THROW(fold(counting({1, 4, 4}), {-3, 3}, {.kernel_size = {2, 2}}), ShapeError);
  EXPECT_THROW(diag(counting({1, 1, 1})), ShapeError);
  EXPECT_THROW(diag(counting({2}), far), ShapeError);
  EXPECT_THROW(diag_embed(scalar(1)), ShapeError);
  EXPECT_THROW(diag_embed(x, 0, 1, 1), ValueError);
  EXPECT_THROW(tril(counting({3})), ShapeError);
  const auto each = {std::function<void()>([] { index_select({}, 0, {}); }),
                     {[] { gather({}, 0, {}); }},
                     {[] { index({}, {}); }},
                     {[] { nonzero({}); }},
                     {[] { flip({}, {}); }},
                     {[] { pad({}, {}); }},
                     {[] { repeat({}, {}); }},
                     {[] { tril({}); }},
                     {[] { squeeze(Tensor()); }},
                     {[] { unbind({}); }},
                     {[] { full_like({}, 1); }},
                     {[] { diag({}); }},
                     {[] { masked_fill({}, {}, 1); }},
                     {[&] { scatter(x, 0, i, Tensor()); }},
                     {[] { embedding_bag({}, {}); }},
                     {[] { one_hot({}); }}};
  for (const auto& call : each) EXPECT_TRUE(says(error_of<ValueError>(call), "undefined tensor"));
}

}  // namespace
}  // namespace tapedeck
