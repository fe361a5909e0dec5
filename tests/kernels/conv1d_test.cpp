#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/matmul.h>

#include "kernels/contraction.h"

namespace tapedeck {
namespace {

using kernels::Conv1dShape;
using kernels::Use;
using std::int64_t;

struct Case {
  int64_t batch, time, in, out, taps;  // in, out: channels in all
  Conv1dShape shape;
  int64_t pad_right = 0;
  double beta = 0;
  bool bias = false;
  bool strided = false;  // operands in odd layouts
  int64_t length() const {
    const int64_t room = time + shape.pad_left + pad_right - (taps - 1) * shape.dilation - 1;
    return room < 0 ? 0 : room / shape.stride + 1;
  }
  std::string text() const {
    const auto s = [](int64_t v) { return " " + std::to_string(v); };
    return "B T I O K" + s(batch) + s(time) + s(in) + s(out) + s(taps) + " stride" + s(shape.stride) + " dilation" +
           s(shape.dilation) + " groups" + s(shape.groups) + " pad" + s(shape.pad_left) + s(pad_right) + " beta" +
           s(static_cast<int64_t>(beta)) + (bias ? " bias" : "") + (strided ? " strided" : "");
  }
};

constexpr const char* kSlots[] = {"conv1d", "conv1d_input_grad", "conv1d_weight_grad"};

// The three products of one convolution with their expectations, from one loop over all terms.
template <class T>
struct Convolution {
  explicit Convolution(const Case& c)
      : shape(c.shape),
        x({c.batch, c.time, c.in}, order(c), c.strided ? 3 : 0),
        w({c.out, c.in / c.shape.groups, c.taps}, c.strided ? std::vector<int>{2, 0, 1} : std::vector<int>{}, 0,
          c.strided ? 2 : 1),
        bias({c.out}, {}, 0, c.strided ? 2 : 1),
        gy({c.batch, c.length(), c.out}, order(c), c.strided ? 5 : 0),
        out{Operand<T>({c.batch, c.length(), c.out}, order(c), c.strided ? 1 : 0),
            Operand<T>({c.batch, c.time, c.in}, order(c), c.strided ? 2 : 0),
            Operand<T>({c.out, c.in / c.shape.groups, c.taps},
                       c.strided ? std::vector<int>{1, 0, 2} : std::vector<int>{})},
        beta(c.beta),
        with_bias(c.bias) {
    x.random(1 + c.time), w.random(2 + c.taps), bias.random(3), gy.random(4 + c.out);
    for (int i = 0; i < 3; ++i) {
      c.beta != 0 ? out[i].random(5 + i) : out[i].fill(std::numeric_limits<T>::quiet_NaN());
      const std::vector<T> before = out[i].values();
      for (const T v : before) {
        expected[i].begin();
        if (c.beta != 0) expected[i].term(v);
      }
    }
    const std::vector<T> xv = x.values(), wv = w.values(), gv = gy.values(), bv = bias.values();
    const int64_t in = c.in / shape.groups, group_out = c.out / shape.groups, length = c.length();
    const auto add = [](Expected& e, int64_t at, double t) { e.value[at] += t, e.magnitude[at] += std::abs(t); };
    for (int64_t b = 0; b < c.batch; ++b) {
      for (int64_t t = 0; t < length; ++t) {
        for (int64_t o = 0; o < c.out; ++o) {
          const int64_t y_at = (b * length + t) * c.out + o;
          if (c.bias) add(expected[0], y_at, bv[o]);
          for (int64_t k = 0; k < c.taps; ++k) {
            const int64_t at = t * shape.stride + k * shape.dilation - shape.pad_left;
            if (at < 0 || at >= c.time) continue;
            for (int64_t i = 0; i < in; ++i) {
              const int64_t x_at = (b * c.time + at) * c.in + o / group_out * in + i, w_at = (o * in + i) * c.taps + k;
              const double xd = xv[x_at], wd = wv[w_at], gd = gv[y_at];
              add(expected[0], y_at, xd * wd), add(expected[1], x_at, gd * wd), add(expected[2], w_at, gd * xd);
            }
          }
        }
      }
    }
  }
  static std::vector<int> order(const Case& c) { return c.strided ? std::vector<int>{1, 0, 2} : std::vector<int>{}; }

  std::vector<T> run(int which, const std::string& variant, int threads) {
    const Use use(kernels::slot(kSlots[which]), variant);
    const Threads guard(threads);
    out[which].restore();
    const TensorView to = out[which].view();
    if (which == 0)
      kernels::conv1d(kCpu, {x.view(), w.view(), with_bias ? bias.view() : TensorView(), to, shape, beta});
    if (which == 1) kernels::conv1d_input_grad(kCpu, {gy.view(), w.view(), to, shape, beta});
    if (which == 2) kernels::conv1d_weight_grad(kCpu, {gy.view(), x.view(), to, shape, beta});
    EXPECT_TRUE(out[which].outside_untouched()) << variant;
    return out[which].values();
  }

  Conv1dShape shape;
  Operand<T> x, w, bias, gy;
  Operand<T> out[3];
  Expected expected[3];
  double beta;
  bool with_bias;
};

template <class T>
void check(const Case& c) {
  SCOPED_TRACE(c.text() + (sizeof(T) == 4 ? " f32" : " f64"));
  Convolution<T> conv(c);
  for (int which = 0; which < 3; ++which) {
    kernels::SlotBase& slot = kernels::slot(kSlots[which]);
    const std::vector<T> reference = conv.run(which, "ref", 1);
    for (int i = 0; i < slot.variant_count(DeviceType::cpu); ++i) {
      const std::string v = slot.variant_name(DeviceType::cpu, i);
      if (v == "simd" && sizeof(T) == 8) continue;
      SCOPED_TRACE(std::string(kSlots[which]) + " " + v);
      const std::vector<T> y = conv.run(which, v, 1);
      ASSERT_EQ(mismatch(y, conv.expected[which]), "");
      if (v != "simd" && v != "ref") continue;
      ASSERT_TRUE(same_bits(y, reference));
      for (const int threads : {2, 4}) ASSERT_TRUE(same_bits(y, conv.run(which, v, threads))) << threads << " threads";
    }
  }
}

TEST(Conv1d, ParametersInAllCombinations) {
  int turn = 0;
  for (int64_t taps = 1; taps <= 5; ++taps) {
    for (const int64_t dilation : {1, 2, 7, 40}) {
      for (int64_t stride = 1; stride <= 3; ++stride) {
        for (const int64_t groups : {1, 2, 3}) {
          const int t = turn++;
          const int64_t in = groups * (1 + t * 7 % 22), out = groups * (1 + t * 5 % 21);
          const int64_t pad = t % 3 == 0 ? 0 : t % 3 == 1 ? (taps - 1) * dilation : t % 11;
          Case c{1 + t % 3,
                 1 + t * 13 % 90,
                 in,
                 out,
                 taps,
                 {stride, dilation, groups, pad},
                 t % 4 ? 0 : pad / 2 + 1,
                 t % 2 ? 1. : 0.,
                 t % 5 < 3,
                 t % 3 == 2};
          check<float>(c);
          if (t % 3 == 0) check<double>(c);
        }
      }
    }
  }
}

TEST(Conv1d, ManyChannelsCrossTheChunks) {
  for (const int64_t channels : {64, 65, 130}) {
    for (const bool strided : {false, true}) {
      check<float>({2, 70, channels, 48, 3, {1, 2, 1, 4}, 0, strided ? 1. : 0., true, strided});
      check<float>({3, 150, 33, channels, 5, {2, 3, 1, 12}, 3, strided ? 0. : 1., false, strided});
    }
  }
}

TEST(Conv1d, ShorterThanItsReceptiveField) {
  check<float>({2, 3, 4, 5, 3, {1, 8, 1, 16}});
  check<float>({2, 3, 4, 5, 3, {1, 8, 1, 0}});  // no output
  check<float>({0, 3, 4, 5, 3, {1, 1, 1, 2}});
  check<float>({1, 0, 4, 5, 2, {1, 1, 1, 1}, 3});
}

TEST(Conv1d, TrainingShape) {
  check<float>({2, 700, 64, 128, 2, {1, 512, 1, 512}, 0, 0, true});
  check<float>({2, 700, 64, 128, 1, {1, 1, 1, 0}, 0, 0, true});
  check<float>({2, 701, 32, 64, 1, {2, 1, 1, 0}, 0, 1, true});
}

// The same bits as a matrix product on the im2col matrix.
TEST(Conv1d, EqualsMatmulOnTapRows) {
  const Case c{2, 50, 61, 40, 5, {1, 3, 1, 12}, 0, 0, true};
  Convolution<float> conv(c);
  const int64_t rows = c.batch * c.length(), k = c.taps * c.in;
  Operand<float> a({1, rows, k}), b({1, k, c.out}), y({1, rows, c.out});
  a.fill(0), b.fill(0), y.fill(0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t p = 0; p < k; ++p) {
      const int64_t at = r % c.length() + p / c.in * c.shape.dilation - c.shape.pad_left;
      if (at >= 0 && at < c.time) a({0, r, p}) = conv.x({r / c.length(), at, p % c.in});
    }
  }
  for (int64_t p = 0; p < k; ++p)
    for (int64_t o = 0; o < c.out; ++o) b({0, p, o}) = conv.w({o, p % c.in, p / c.in});
  kernels::matmul(kCpu, {a.view(), b.view(), conv.bias.view(), y.view(), 0});
  for (const char* v : {"ref", "simd"}) EXPECT_TRUE(same_bits(conv.run(0, v, 1), y.values())) << v;
}

// Padding is real zeros: an infinite weight over the padding gives NaN, as in the matrix product.
TEST(Conv1d, PaddingMeetsInfiniteWeights) {
  Operand<float> x({1, 2, 1}), w({1, 1, 2}), y({1, 2, 1});
  x.fill(1), w.fill(1), y.fill(0);
  w({0, 0, 0}) = std::numeric_limits<float>::infinity();
  for (const char* v : {"ref", "simd"}) {
    const Use use(kernels::conv1d, v);
    kernels::conv1d(kCpu, {x.view(), w.view(), {}, y.view(), {1, 1, 1, 1}, 0});
    EXPECT_TRUE(std::isnan(y({0, 0, 0}))) << v;
    EXPECT_TRUE(std::isinf(y({0, 1, 0}))) << v;
  }
}

}  // namespace
}  // namespace tapedeck
