#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/gemv.h>
#include <tapedeck/kernels/matmul.h>

#include "kernels/contraction.h"

namespace tapedeck {
namespace {

using kernels::Use;
using std::int64_t;

// A packed weight with canaries behind it and at 64-byte alignment.
struct Packed {
  explicit Packed(int64_t k, int64_t n) : memory(k * kernels::packed_columns(n) + 32, -7.5f) {
    auto at = reinterpret_cast<std::uintptr_t>(memory.data());
    data = memory.data() + (64 - at % 64) % 64 / sizeof(float);
    end = data + k * kernels::packed_columns(n);
  }
  std::vector<float> memory;
  float *data, *end;
};

// A row in segments is the row in one piece of matmul, for every variant, thread count and number of rows.
void check_linear(int64_t rows, int64_t n, const std::vector<int64_t>& lengths, double beta, bool with_bias) {
  SCOPED_TRACE("rows " + std::to_string(rows) + " n " + std::to_string(n) + " segments " +
               std::to_string(lengths.size()));
  int64_t k = 0;
  for (const int64_t l : lengths) k += l;
  Operand<float> x({1, rows, k}), w({n, k}), bias({n}), y({1, rows, n}, {}, 3);
  x.random(1 + k), w.random(2 + n), bias.random(3);
  beta != 0 ? y.random(4) : y.fill(std::numeric_limits<float>::quiet_NaN());

  TensorView b = w.view();  // [N,K] as [1,K,N]
  b.rank = 3, b.sizes[0] = 1, b.sizes[1] = k, b.sizes[2] = n, b.strides[0] = 0, b.strides[1] = 1, b.strides[2] = k;
  kernels::matmul(kCpu, {x.view(), b, with_bias ? bias.view() : TensorView(), y.view(), beta});
  const std::vector<float> expected = y.values();

  Packed packed(k, n);
  kernels::pack_linear(w.view(), packed.data);
  EXPECT_EQ(*packed.end, -7.5f);
  std::vector<Operand<float>> pieces;  // each in memory of its own, rows further apart than its length
  int64_t from = 0;
  const std::vector<float> xv = x.values();
  for (const int64_t l : lengths) {
    Operand<float>& piece = pieces.emplace_back(Operand<float>({rows, l}, {}, 2));
    piece.fill(0);
    int64_t i = 0;
    piece.each([&](float& v) { v = xv[i / l * k + from + i % l], ++i; });
    from += l;
  }
  kernels::GemvPackedArgs args;
  for (std::size_t s = 0; s < lengths.size(); ++s)
    args.x[s] = {pieces[s].view().ptr<const float>(), lengths[s], pieces[s].view().strides[0]};
  args.segments = static_cast<int>(lengths.size());
  args.rows = rows, args.n = n, args.weight = packed.data, args.beta = beta;
  args.bias = with_bias ? bias.view().ptr<const float>() : nullptr;
  args.y = y.view().ptr<float>(), args.y_row = y.view().strides[1];
  for (const char* v : {"simd", "ref"}) {
    const Use use(kernels::gemv_packed, v);
    for (const int threads : {1, 2, 4}) {
      const Threads guard(threads);
      y.restore();
      kernels::gemv_packed(kCpu, args);
      ASSERT_TRUE(same_bits(y.values(), expected)) << v << ", " << threads << " threads";
      ASSERT_TRUE(y.outside_untouched()) << v;
    }
  }
}

TEST(GemvPacked, EqualsMatmul) {
  for (const int64_t n : {1, 7, 8, 15, 16, 17, 33, 64, 96, 100, 128, 129, 200, 256}) {
    for (const int64_t rows : {1, 2, 3, 4, 7, 64}) {
      check_linear(rows, n, {64}, rows % 2 ? 0. : 1., n % 2 == 0);
      check_linear(rows, n, {32, 33}, rows % 2 ? 1. : 0., n % 2 == 1);
    }
    check_linear(1, n, {1, 2, 3, 4, 5, 6, 7, 8}, 0, true);
    check_linear(3, n, {256, 256, 1}, 1, true);
    check_linear(2, n, {100, 300, 255, 2}, 0, true);
    check_linear(1, n, {}, 0, true);
    check_linear(1, n, {0, 5, 0, 3}, 0, false);
  }
  check_linear(1, 3000, {1024}, 0, true);  // wide enough for two threads
  check_linear(64, 128, {64, 64}, 0, true);
}

// A step over a ring of past inputs equals the convolution of the whole sequence, bit for bit, and ref equals simd.
TEST(GemvPacked, StepsEqualConvolution) {
  const int64_t time = 60, in = 61, out = 40, taps = 5, dilation = 3;
  Operand<float> x({1, time, in}), w({out, in, taps}), bias({out}), y({1, time, out});
  x.random(1), w.random(2), bias.random(3), y.fill(0);
  kernels::conv1d(kCpu, {x.view(), w.view(), bias.view(), y.view(), {1, dilation, 1, (taps - 1) * dilation}, 0});
  const std::vector<float> expected = y.values(), zeros(in, 0.0f);
  Packed packed(taps * in, out);
  kernels::pack_conv1d(w.view(), packed.data);
  EXPECT_EQ(*packed.end, -7.5f);
  for (const char* v : {"simd", "ref"}) {
    const Use use(kernels::gemv_packed, v);
    for (int64_t t = 0; t < time; ++t) {
      kernels::GemvPackedArgs args;
      args.segments = taps, args.n = out, args.weight = packed.data, args.bias = bias.view().ptr<const float>();
      for (int64_t k = 0; k < taps; ++k) {
        const int64_t at = t - (taps - 1 - k) * dilation;
        args.x[k] = {at < 0 ? zeros.data() : x.view().ptr<const float>() + at * in, in, 0};
      }
      std::vector<float> step(out);
      args.y = step.data();
      kernels::gemv_packed(kCpu, args);
      ASSERT_TRUE(same_bits(step, {expected.begin() + t * out, expected.begin() + (t + 1) * out})) << v << " " << t;
    }
  }
}

}  // namespace
}  // namespace tapedeck
