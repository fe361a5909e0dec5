#include <gtest/gtest.h>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using namespace test;

// 0, 1, 2, … in a shape.
Tensor counting(const Shape& shape) {
  V v(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<double>(i);
  return f64(v, shape);
}

TEST(Views, ShareTheStorageAndShowTheRightElements) {
  const Tensor x = counting({2, 3, 4});
  const struct {
    const char* name;
    Tensor y;
    Shape shape;
    V values;
  } cases[] = {
      {"reshape", slice(reshape(x, {6, -1}), 0, 5), {1, 4}, {20, 21, 22, 23}},
      {"flatten", select(flatten(x, 0, 1), 0, 4), {4}, {16, 17, 18, 19}},
      {"permute", select(select(permute(x, {2, 0, 1}), 0, 1), 0, 1), {3}, {13, 17, 21}},
      {"transpose", select(select(transpose(x, 0, 2), 0, 3), 0, 2), {2}, {11, 23}},
      {"unsqueeze", unsqueeze(select(select(x, 0, 0), 0, 0), -1), {4, 1}, {0, 1, 2, 3}},
      {"squeeze", squeeze(slice(select(x, 0, 1), 0, 1, 2), 0), {4}, {16, 17, 18, 19}},
      {"expand", expand(slice(select(x, 0, 0), 1, 0, 1), {2, 3, 2}), {2, 3, 2}, {0, 0, 4, 4, 8, 8, 0, 0, 4, 4, 8, 8}},
      {"slice", slice(select(x, 0, 0), 1, -3, -1), {3, 2}, {1, 2, 5, 6, 9, 10}},
      {"slice step", slice(select(x, 0, 0), 1, 0, 100, 3), {3, 2}, {0, 3, 4, 7, 8, 11}},
      {"slice nothing", slice(x, 0, 5), {0, 3, 4}, {}},
      {"narrow", narrow(select(x, 0, 1), 0, 1, 1), {1, 4}, {16, 17, 18, 19}},
      {"select", select(select(x, 2, -1), 0, 0), {3}, {3, 7, 11}},
      {"unfold", unfold(select(select(x, 0, 0), 0, 0), 0, 2, 1), {3, 2}, {0, 1, 1, 2, 2, 3}},
      {"split", split(select(select(x, 0, 0), 0, 1), 3)[1], {1}, {7}},
      {"chunk", chunk(select(select(x, 0, 0), 0, 1), 2)[1], {2}, {6, 7}},
      {"detach", detach(select(select(x, 0, 0), 0, 1)), {4}, {4, 5, 6, 7}},
      {"contiguous", contiguous(x), {2, 3, 4}, values(x)},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(c.y.sizes(), c.shape) << c.name;
    EXPECT_EQ(values(c.y), c.values) << c.name;
    EXPECT_TRUE(c.y.shares_storage(x)) << c.name;
  }
}

TEST(Views, ReshapeCopiesOnlyWhenStridesForceIt) {
  const Tensor x = counting({4, 6});
  const std::int64_t before = packed_bytes();
  EXPECT_TRUE(reshape(slice(x, 0, 0, 4, 2), {2, 3, 2}).shares_storage(x));
  EXPECT_EQ(packed_bytes(), before);
  const Tensor flat = reshape(transpose(x, 0, 1), {24});
  EXPECT_FALSE(flat.shares_storage(x));
  EXPECT_EQ(packed_bytes(), before + 24 * 8);
  EXPECT_EQ(values(slice(flat, 0, 0, 5)), (V{0, 6, 12, 18, 1}));
}

TEST(Views, ZeroDimensionalAndEmpty) {
  const Tensor one = f64({5}, {});
  EXPECT_EQ(reshape(one, {1, 1}).sizes(), (Shape{1, 1}));
  EXPECT_EQ(reshape(reshape(one, {1}), {}).sizes(), Shape{});
  EXPECT_EQ(flatten(one).sizes(), Shape{1});
  EXPECT_EQ(values(expand(one, {3})), (V{5, 5, 5}));
  EXPECT_EQ(unsqueeze(one, 0).sizes(), Shape{1});
  EXPECT_EQ(permute(one, {}).sizes(), Shape{});
  EXPECT_EQ(values(stack({one, one})), (V{5, 5}));
  EXPECT_EQ(reshape(zeros({0, 3}), {3, 0}).sizes(), (Shape{3, 0}));
  EXPECT_EQ(split(zeros({0, 3}), 2).size(), 1u);
}

TEST(Split, SizesAndErrors) {
  const Tensor x = counting({7, 2});
  const auto parts = split(x, 3);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(values(parts[2]), (V{12, 13}));
  EXPECT_EQ(chunk(x, 3).size(), 3u);
  EXPECT_EQ(chunk(x, 3)[2].sizes(), (Shape{1, 2}));
  EXPECT_NE(error_of<ShapeError>([&] {
              split(x, std::vector<std::int64_t>{3, 3});
            }).find("add up to 6"),
            std::string::npos);
  EXPECT_THROW(split(x, 0), ValueError);
  EXPECT_THROW(chunk(x, 0), ValueError);
}

TEST(Cat, JoinsInEveryLayout) {
  const Tensor a = counting({2, 3}), b = counting({2, 1}) + 100;
  for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
    EXPECT_EQ(values(cat({laid_out(a, layout), laid_out(b, layout)}, 1)), (V{0, 1, 2, 100, 3, 4, 5, 101}));
    EXPECT_EQ(values(stack({laid_out(a, layout), laid_out(a, layout)}, -1)), (V{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  }
  EXPECT_EQ(cat({a, zeros({0, 3}, {DType::f64})}).sizes(), (Shape{2, 3}));
  EXPECT_EQ(cat({test::i64({1}, {1}), test::i64({2}, {1})}).dtype(), DType::i64);
  EXPECT_THROW(cat({}), ValueError);
  EXPECT_THROW(cat({a, b}), ShapeError);
  EXPECT_THROW(cat({a, tensor({1})}), DTypeError);
  EXPECT_THROW(cat({a, f64({1}, {1})}), ShapeError);
  EXPECT_THROW(stack({a, b}), ShapeError);
}

TEST(Clone, IsACopyThatGoesOnBeingRecorded) {
  const Tensor x = counting({3});
  Tape tape;
  tape.watch(x);
  const Tensor y = clone(x);
  EXPECT_FALSE(y.shares_storage(x));
  tape.backward(sum(y * y));
  EXPECT_EQ(values(tape.grad(x)), (V{0, 2, 4}));
}

TEST(Cast, ConvertsAndItsGradientConvertsBack) {
  EXPECT_EQ(cast(f64({-1.7, 2.9}, {2}), DType::i64).to_vector<std::int64_t>(), (std::vector<std::int64_t>{-1, 2}));
  const Tensor x = f64({0.1}, {1});
  EXPECT_TRUE(cast(x, DType::f64).shares_storage(x));
  Tape tape;
  tape.watch(x);
  tape.backward(cast(x, DType::f32) * 3);
  EXPECT_EQ(tape.grad(x).dtype(), DType::f64);
  EXPECT_EQ(tape.grad(x).item(), 3);
  EXPECT_EQ(tape.size(), 0u);
}

TEST(Views, ErrorsNameTheOp) {
  const Tensor x = counting({2, 3});
  const auto starts = [](const std::string& message, const char* op) { return message.rfind(op, 0) == 0; };
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { reshape(x, {4}); }), "reshape: 6 elements do not fit [4]"));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { reshape(x, {-1, -1}); }), "reshape: at most one size"));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { flatten(x, 1, 0); }), "flatten: "));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { permute(x, {0}); }), "permute: "));
  EXPECT_TRUE(starts(error_of<ValueError>([&] { permute(x, {0, 0}); }), "permute: "));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { transpose(x, 0, 2); }), "transpose: "));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { squeeze(x, 2); }), "squeeze: "));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { expand(x, {4, 3}); }), "expand: "));
  EXPECT_TRUE(starts(error_of<ValueError>([&] { slice(x, 0, 0, 2, 0); }), "slice: "));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { narrow(x, 0, 1, 2); }), "narrow: "));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { select(x, 0, 2); }), "select: "));
  EXPECT_TRUE(starts(error_of<ShapeError>([&] { unfold(x, 1, 4, 1); }), "unfold: "));
  EXPECT_TRUE(starts(error_of<ValueError>([&] { reshape(Tensor(), {1}); }), "reshape: x is an undefined tensor"));
}

}  // namespace
}  // namespace tapedeck
