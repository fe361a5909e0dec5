// Convolutions of one to three dimensions: simd gives ref's bits, in any layout, on any number of threads.
#include <tapedeck/kernels/conv.h>

#include <random>

#include "kernels/contraction.h"

namespace tapedeck {
namespace {

using kernels::ConvShape;
using kernels::Use;
using std::int64_t;

struct Case {
  std::vector<int64_t> space, taps;  // sizes of x and of the kernel
  int64_t batch, in, out;            // channels in all
  ConvShape shape;
  int64_t behind = 0;  // zeros behind each dimension
  double beta = 0;
  bool bias = false, strided = false;

  std::vector<int64_t> x() const { return sized(batch, space, in); }
  std::vector<int64_t> w() const {
    std::vector<int64_t> s{out, in / shape.groups};
    s.insert(s.end(), taps.begin(), taps.end());
    return s;
  }
  std::vector<int64_t> y() const {
    std::vector<int64_t> s;
    for (std::size_t d = 0; d < space.size(); ++d) {
      const int64_t room = space[d] + shape.pad[d] + behind - (taps[d] - 1) * shape.dilation[d] - 1;
      s.push_back(room < 0 ? 0 : room / shape.stride[d] + 1);
    }
    return sized(batch, s, out);
  }
  static std::vector<int64_t> sized(int64_t n, const std::vector<int64_t>& s, int64_t c) {
    std::vector<int64_t> all{n};
    all.insert(all.end(), s.begin(), s.end());
    all.push_back(c);
    return all;
  }
};

// One of the three products by a variant; the operands are the same for every call.
std::vector<float> run(const Case& c, int which, const char* variant, int threads) {
  const int rank = static_cast<int>(c.space.size()) + 2;
  std::vector<int> order;  // batch behind the space, or as it is
  if (c.strided) {
    for (int d = 1; d < rank - 1; ++d) order.push_back(d);
    order.push_back(0), order.push_back(rank - 1);
  }
  const int gap = c.strided ? 3 : 0;
  Operand<float> x(c.x(), order, gap), y(c.y(), order, gap), w(c.w(), {}, 0, c.strided ? 2 : 1);
  Operand<float> bias({which == 1 ? c.in : c.out}, {}, 0, c.strided ? 2 : 1);
  x.random(1), y.random(2), w.random(3), bias.random(4);
  Operand<float>& out = which == 0 ? y : which == 1 ? x : w;
  if (c.beta == 0) out.fill(std::numeric_limits<float>::quiet_NaN());
  const Threads guard(threads);
  const TensorView b = c.bias ? bias.view() : TensorView();
  constexpr const char* slots[] = {"conv", "conv_input_grad", "conv_weight_grad"};
  const Use use(kernels::slot(slots[which]), variant);
  if (which == 0) kernels::conv(kCpu, {x.view(), w.view(), b, y.view(), c.shape, c.beta});
  if (which == 1) kernels::conv_input_grad(kCpu, {y.view(), w.view(), x.view(), c.shape, c.beta, b});
  if (which == 2) kernels::conv_weight_grad(kCpu, {y.view(), x.view(), w.view(), c.shape, c.beta});
  EXPECT_TRUE(out.outside_untouched()) << variant;
  return out.values();
}

void check(const Case& c) {
  for (int which = 0; which < 3; ++which) {
    const auto expected = run(c, which, "ref", 1);
    for (const int threads : {1, 3})
      ASSERT_TRUE(same_bits(run(c, which, "simd", threads), expected)) << "product " << which << " threads " << threads;
  }
}

TEST(Conv, RandomShapesGiveTheBitsOfTheReference) {
  std::mt19937 dice(7);
  const auto below = [&](int n) { return static_cast<int64_t>(dice() % static_cast<unsigned>(n)); };
  for (int turn = 0; turn < 150; ++turn) {
    Case c;
    const int space = static_cast<int>(1 + below(3));
    const bool depthwise = turn % 3 == 0;
    c.batch = 1 + below(3);
    c.shape.groups = depthwise ? 2 + below(36) : 1 + below(3);
    c.in = c.shape.groups * (depthwise ? 1 : 1 + below(9));
    c.out = c.shape.groups * (depthwise ? 1 : 1 + below(9));
    for (int d = 0; d < space; ++d) {
      c.space.push_back(1 + below(space == 1 ? 80 : 9)), c.taps.push_back(1 + below(4));
      c.shape.stride[d] = 1 + below(4), c.shape.dilation[d] = 1 + below(4), c.shape.pad[d] = below(6);
    }
    c.behind = below(4);
    c.beta = turn % 2, c.bias = turn % 4 < 2, c.strided = turn % 5 == 0;
    SCOPED_TRACE("turn " + std::to_string(turn));
    check(c);
  }
}

TEST(Conv, ManyTermsCrossTheChunks) {
  check({{9, 11}, {3, 3}, 2, 70, 33, {{1, 1, 1}, {1, 1, 1}, {1, 1, 0}, 1}, 1, 1, true});
  check({{700}, {3}, 1, 20, 20, {{1, 1, 1}, {2, 1, 1}, {4, 0, 0}, 20}, 0, 0, true});   // depthwise: rows
  check({{300}, {290}, 1, 5, 5, {{1, 1, 1}, {1, 1, 1}, {20, 0, 0}, 5}, 0, 1, false});  // depthwise: taps
  check({{20, 40}, {2, 3}, 2, 24, 24, {{3, 2, 1}, {1, 2, 1}, {1, 3, 0}, 24}, 2, 1, true, true});
}

TEST(Conv, StridesWithoutTapsAndNothing) {
  check({{9}, {2}, 2, 3, 4, {{7, 1, 1}, {1, 1, 1}, {0, 0, 0}, 1}, 0, 0, true});
  check({{4, 4}, {1, 1}, 2, 3, 3, {{5, 3, 1}, {1, 1, 1}, {0, 0, 0}, 3}, 0, 1, true});
  check({{3, 3, 3}, {1, 2, 1}, 0, 4, 4, {}, 0, 0, true});
  check({{2, 3}, {3, 3}, 1, 4, 4, {}, 0, 1, false});  // no output
}

}  // namespace
}  // namespace tapedeck
