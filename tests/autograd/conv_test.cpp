#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/checks.h"
#include "autograd/op_table.h"

namespace tapedeck {
namespace {

using test::error_of;
using test::f64;
using test::laid_out;
using test::Layout;
using test::spread;
using test::values;
using V = std::vector<double>;

struct ConvCase {
  std::int64_t batch, time, in, out, kernel;
  Conv1dOptions o;
};

std::vector<ConvCase> cases() {
  std::vector<ConvCase> all;
  for (const Padding padding : {Padding::valid, Padding::causal, Padding::same})
    for (const std::int64_t kernel : {1, 2, 3, 4})
      for (const std::int64_t dilation : {1, 3})
        for (const std::int64_t stride : {1, 2})
          for (const std::int64_t groups : {1, 2}) {
            if (padding == Padding::same && stride > 1) continue;
            all.push_back({2, 11, 4, 6, kernel, {stride, dilation, groups, padding}});
            if (padding != Padding::valid) continue;
            all.push_back({2, 11, 4, 6, kernel, {stride, dilation, groups, 2}});
            all.push_back({2, 11, 4, 6, kernel, {stride, dilation, groups, {5, 1}}});
          }
  return all;
}

// The definition: zeros in front (and behind), then every window of the padded input.
V brute_force(const Tensor& x, const Tensor& w, const Tensor& b, const ConvCase& c, std::int64_t& length) {
  const std::int64_t reach = (c.kernel - 1) * c.o.dilation;
  const Padding rule = c.o.padding.rule;
  const std::int64_t front = rule == Padding::valid    ? c.o.padding.before[0]
                             : rule == Padding::causal ? reach
                                                       : reach / 2;
  const std::int64_t behind = rule == Padding::same ? reach - front : c.o.padding.after[0];
  const V vx = values(x), vw = values(w), vb = values(b);
  const std::int64_t in = c.in / c.o.groups, out = c.out / c.o.groups;
  V y;
  length = 0;
  for (std::int64_t n = 0; n < c.batch; ++n) {
    length = 0;
    for (std::int64_t at = -front; at + reach < c.time + behind; at += c.o.stride, ++length)
      for (std::int64_t o = 0; o < c.out; ++o) {
        double s = vb[static_cast<std::size_t>(o)];
        for (std::int64_t k = 0; k < c.kernel; ++k)
          for (std::int64_t i = 0; i < in; ++i) {
            const std::int64_t t = at + k * c.o.dilation;
            if (t < 0 || t >= c.time) continue;
            s += vw[static_cast<std::size_t>((o * in + i) * c.kernel + k)] *
                 vx[static_cast<std::size_t>((n * c.time + t) * c.in + o / out * in + i)];
          }
        y.push_back(s);
      }
  }
  return y;
}

TEST(Conv1d, MatchesTheDefinition) {
  for (const ConvCase& c : cases()) {
    const Tensor x = spread({c.batch, c.time, c.in}, -1, 1);
    const Tensor w = spread({c.out, c.in / c.o.groups, c.kernel}, -1, 1, 1), b = spread({c.out}, -1, 1, 2);
    std::int64_t length = 0;
    const V expected = brute_force(x, w, b, c, length);
    for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced}) {
      const Tensor y = conv1d(laid_out(x, layout), laid_out(w, layout), laid_out(b, layout), c.o);
      ASSERT_EQ(y.sizes(), (Shape{c.batch, length, c.out}));
      const V got = values(y);
      for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-13);
    }
  }
}

// <conv(x), g> = <x, transpose(g)>, for padding in numbers.
TEST(Conv1d, TransposeIsTheAdjoint) {
  for (const ConvCase& c : cases()) {
    if (c.o.padding.rule != Padding::valid) continue;
    const Tensor x = spread({c.batch, c.time, c.in}, -1, 1);
    const Tensor w = spread({c.out, c.in / c.o.groups, c.kernel}, -1, 1, 1);
    const Tensor y = conv1d(x, w, {}, c.o), g = spread(y.sizes(), -1, 1, 2);
    ConvTranspose1dOptions back{
        .stride = c.o.stride, .padding = c.o.padding, .groups = c.o.groups, .dilation = c.o.dilation};
    back.output_padding = c.time - conv_transpose1d(g, w, {}, back).size(1);
    const double left = sum(y * g).item(), right = sum(x * conv_transpose1d(g, w, {}, back)).item();
    EXPECT_NEAR(left, right, 1e-12 * sum(abs(y * g)).item());
  }
}

TEST(Conv1d, CausalPaddingNeverLooksAhead) {
  const Tensor x = spread({1, 12, 2}, -1, 1), w = spread({3, 2, 3}, -1, 1, 1);
  for (std::int64_t t = 0; t < 12; ++t) {
    Tape tape;
    tape.watch(x);
    tape.backward(sum(select(conv1d(x, w, {}, {.dilation = 2, .padding = Padding::causal}), 1, t)));
    const V g = values(sum(abs(tape.grad(x)), {0, 2}));
    for (std::int64_t s = 0; s < 12; ++s)
      EXPECT_EQ(g[static_cast<std::size_t>(s)] != 0, s == t || s == t - 2 || s == t - 4) << t << " " << s;
  }
}

TEST(Conv1d, TakesAPartOfTheTimeWithoutCopies) {
  const Tensor x = cast(spread({2, 9, 4}, -1, 1), DType::f32), part = detail::slice(x, 1, 3, 9);
  const Tensor w = cast(spread({6, 4, 2}, -1, 1, 1), DType::f32).set_requires_grad(true);
  const std::int64_t before = packed_bytes();
  Tape tape;
  tape.watch(part);
  const Tensor y = conv1d(part, w);
  const Tensor packed = conv1d(clone(part), w);
  EXPECT_EQ(values(packed), values(y));
  tape.backward(y, cast(spread(y.sizes(), -1, 1, 2), DType::f32));
  EXPECT_EQ(packed_bytes(), before);
}

TEST(Conv1d, EmptyBatchAndEmptyTime) {
  const Tensor w = spread({3, 2, 2}, -1, 1);
  EXPECT_EQ(conv1d(zeros({0, 5, 2}, {DType::f64}), w).sizes(), (Shape{0, 4, 3}));
  EXPECT_EQ(conv1d(zeros({2, 0, 2}, {DType::f64}), w, {}, {.padding = Padding::causal}).sizes(), (Shape{2, 0, 3}));
  const Tensor x = zeros({0, 5, 2}, {DType::f64});
  w.set_requires_grad(true);
  Tape tape;
  tape.watch(x);
  tape.backward(sum(conv1d(x, w)));
  EXPECT_EQ(values(w.grad()), V(12));
  EXPECT_EQ(tape.grad(x).sizes(), x.sizes());
}

TEST(Conv1d, ErrorsSayWhatDoesNotFit) {
  const Tensor x = zeros({8, 1600, 32});
  EXPECT_EQ(error_of<ShapeError>([&] {
              conv1d(x, zeros({128, 64, 2}), {}, {.dilation = 4});
            }),
            "conv1d: weight expects 64 input channels but x has 32; x f32[8,1600,32] cpu, weight f32[128,64,2], "
            "dilation=4");
  const auto says = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const Tensor w = zeros({6, 16, 3});
  says(error_of<ShapeError>([&] {
         conv1d(zeros({1, 4, 16}), w, {}, {.dilation = 2});
       }),
       "conv1d: needs at least 5 time steps but there are 4");
  says(error_of<ShapeError>([&] { conv1d(zeros({4, 16}), w); }), "conv1d: x must be [batch, time, channels]");
  says(error_of<ShapeError>([&] { conv1d(x, zeros({6, 32})); }), "weight must be [out, in/groups, kernel]");
  says(error_of<ShapeError>([&] { conv1d(x, w, {}, {.groups = 4}); }), "6 output channels do not divide into groups");
  says(error_of<ValueError>([&] { conv1d(x, w, {}, {.stride = 0}); }), "must be >= 1");
  says(error_of<ValueError>([&] { conv1d(x, w, {}, {.stride = 2, .groups = 2, .padding = Padding::same}); }),
       "same padding needs stride 1");
  says(error_of<ShapeError>([&] { conv1d(x, w, zeros({5}), {.groups = 2}); }), "the bias must be [6]");
  says(error_of<DTypeError>([&] { conv1d(x, cast(w, DType::f64)); }), "conv1d: dtypes differ");
  says(error_of<ValueError>([&] { conv1d(x, w, {}, {.groups = 2, .padding = -1}); }), "padding must be >= 0");
  says(error_of<ShapeError>([&] {
         conv1d(zeros({1, 4, 32}), w, {}, {.dilation = 4, .groups = 2, .padding = {1, 2}});
       }),
       "needs at least 9 time steps but there are 7; x f32[1,4,32] cpu, weight f32[6,16,3], dilation=4, groups=2, "
       "padding=1 and 2");
}

TEST(ConvTranspose, ErrorsSayWhatDoesNotFit) {
  const auto says = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const Tensor x = zeros({1, 4, 6}), w = zeros({6, 2, 3});
  says(error_of<ShapeError>([&] { conv_transpose1d(zeros({1, 4, 5}), w); }), "weight expects 6 input channels");
  says(error_of<ShapeError>([&] { conv_transpose1d(x, w, {}, {.groups = 4}); }), "6 input channels do not divide");
  says(error_of<ShapeError>([&] { conv_transpose1d(x, w, zeros({3})); }), "the bias must be [2]");
  says(error_of<ShapeError>([&] { conv_transpose1d(x, w, {}, {.padding = 3}); }), "nothing is left of 6 steps");
  says(error_of<ShapeError>([&] { conv_transpose1d(zeros({1, 0, 6}), w); }), "has 0 steps but needs one");
  says(error_of<ValueError>([&] { conv_transpose1d(x, w, {}, {.stride = 2, .output_padding = 2}); }),
       "output_padding must be >= 0 and smaller than stride or dilation");
  says(error_of<ValueError>([&] { conv_transpose1d(x, w, {}, {.padding = Padding::same}); }), "in numbers");
  says(error_of<ShapeError>([&] { conv_transpose1d(x, zeros({6, 2})); }), "weight must be [in, out/groups, kernel]");
  says(error_of<ShapeError>([&] { conv_transpose2d(x, w); }), "x must be [batch, height, width, channels]");
}

TEST(Conv2d, ErrorsSayWhatDoesNotFit) {
  const auto says = [](const std::string& message, const char* part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  const Tensor x = zeros({1, 4, 5, 2}), w = zeros({3, 2, 2, 3});
  says(error_of<ShapeError>([&] {
         conv2d(x, w, {}, {.dilation = {1, 3}});
       }),
       "conv2d: needs at least 7 places in dimension 2 but there are 5; x f32[1,4,5,2] cpu, weight f32[3,2,2,3], "
       "dilation=(1,3)");
  says(error_of<ValueError>([&] {
         conv2d(x, w, {}, {.stride = {2, 2}, .padding = Padding::causal});
       }),
       "same padding needs stride 1");
  says(error_of<ShapeError>([&] { conv2d(x, zeros({3, 2, 2})); }), "weight must be [out, in/groups, height, width]");
  says(error_of<ShapeError>([&] { conv3d(x, w); }), "x must be [batch, depth, height, width, channels]");
  EXPECT_EQ(conv2d(x, w, {}, {.stride = {2, 1}, .padding = Padding::causal}).sizes(), (Shape{1, 2, 5, 3}));
  EXPECT_EQ(conv2d(zeros({0, 4, 5, 2}), w).sizes(), (Shape{0, 3, 3, 3}));
}

TEST(Conv1d, RefusesDistancesThatOverflow) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const Tensor x = zeros({1, 4, 1}), w = zeros({1, 1, 3});
  EXPECT_THROW(conv1d(x, w, {}, {.dilation = most}), ValueError);
  EXPECT_THROW(conv1d(x, w, {}, {.dilation = most, .padding = Padding::causal}), ValueError);
  EXPECT_THROW(conv1d(x, w, {}, {.stride = most, .padding = Padding::causal}), ValueError);
  EXPECT_THROW(conv1d(x, w, {}, {.padding = most}), ValueError);
  EXPECT_THROW(conv1d(x, w, {}, {.groups = most}), ValueError);
  EXPECT_THROW(conv1d(x, w, {}, {.padding = std::int64_t{1} << 40}), MemoryError);
  EXPECT_THROW(conv_transpose1d(x, w, {}, {.stride = std::int64_t{1} << 40}), ShapeError);
  EXPECT_THROW(conv_transpose1d(x, w, {}, {.stride = std::int64_t{1} << 38}), MemoryError);
  EXPECT_EQ(conv1d(x, w, {}, {.stride = std::int64_t{1} << 40, .padding = 1}).sizes(), (Shape{1, 1, 1}));
}

}  // namespace
}  // namespace tapedeck
