#include <tapedeck/kernels/matmul.h>

#include "kernels/contraction.h"

namespace tapedeck {
namespace {

using kernels::MatmulArgs;
using kernels::Use;

enum class Layout { rows, transposed, strided };

template <class T>
Operand<T> matrix(std::int64_t batch, std::int64_t rows, std::int64_t columns, Layout layout) {
  switch (layout) {
    case Layout::rows:
      return Operand<T>({batch, rows, columns});
    case Layout::transposed:
      return Operand<T>({batch, rows, columns}, {0, 2, 1}, 3);
    case Layout::strided:
      break;
  }
  return Operand<T>({batch, rows, columns}, {1, 0, 2}, 5, 2);
}

struct Case {
  std::int64_t batch, m, n, k;
  Layout a = Layout::rows, b = Layout::rows;
  double beta = 0;
  bool bias = false;
  bool shared_b = false;
  std::string text() const {
    return "[" + std::to_string(batch) + "] " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) +
           " a=" + std::to_string(static_cast<int>(a)) + " b=" + std::to_string(static_cast<int>(b)) +
           " beta=" + std::to_string(beta) + (bias ? " bias" : "") + (shared_b ? " shared b" : "");
  }
};

template <class T>
struct Product {
  explicit Product(const Case& c)
      : a(matrix<T>(c.batch, c.m, c.k, c.a)),
        b(matrix<T>(c.shared_b ? 1 : c.batch, c.k, c.n, c.b)),
        bias({c.n}, {}, 0, 3),
        y({c.batch, c.m, c.n}, {}, 7),
        beta(c.beta) {
    a.random(1 + c.m), b.random(2 + c.n), bias.random(3 + c.k);
    c.beta != 0 ? y.random(4) : y.fill(std::numeric_limits<T>::quiet_NaN());
    args = {a.view(), b.view(), c.bias ? bias.view() : TensorView(), y.view(), c.beta};
    if (c.shared_b) args.b.sizes[0] = c.batch, args.b.strides[0] = 0;
    expect(c);
  }
  void expect(const Case& c) {
    const std::vector<T> av = a.values(), bv = b.values(), yv = y.values(), biasv = bias.values();
    for (std::int64_t i = 0; i < c.batch * c.m; ++i) {
      const T* row = av.data() + i * c.k;
      const T* first = bv.data() + (c.shared_b ? 0 : i / c.m * c.k * c.n);
      for (std::int64_t n = 0; n < c.n; ++n) {
        expected.begin();
        if (c.beta != 0) expected.term(yv[i * c.n + n]);
        if (c.bias) expected.term(biasv[n]);
        for (std::int64_t k = 0; k < c.k; ++k)
          expected.term(static_cast<double>(row[k]) * static_cast<double>(first[k * c.n + n]));
      }
    }
  }
  std::vector<T> run(const std::string& variant, int threads = 2) {
    const Use use(kernels::matmul, variant);
    const Threads guard(threads);
    y.restore();
    kernels::matmul(kCpu, args);
    EXPECT_TRUE(y.outside_untouched()) << variant;
    return y.values();
  }
  // One row of one batch alone, with the same operands.
  std::vector<T> run_row(const std::string& variant, std::int64_t batch, std::int64_t row) {
    const Use use(kernels::matmul, variant);
    y.restore();
    MatmulArgs one = args;
    for (TensorView* v : {&one.a, &one.b, &one.y}) {
      v->data = v->ptr<T>() + batch * v->strides[0];
      v->sizes[0] = 1;
    }
    for (TensorView* v : {&one.a, &one.y}) v->data = v->ptr<T>() + row * v->strides[1], v->sizes[1] = 1;
    kernels::matmul(kCpu, one);
    std::vector<T> out;
    for (std::int64_t n = 0; n < y.view().sizes[2]; ++n) out.push_back(y({batch, row, n}));
    return out;
  }

  Operand<T> a, b, bias, y;
  double beta;
  MatmulArgs args;
  Expected expected;
};

std::vector<std::string> variants() {
  std::vector<std::string> names;
  kernels::detail::ensure_registered();
  for (int i = 0; i < kernels::matmul.variant_count(DeviceType::cpu); ++i)
    names.emplace_back(kernels::matmul.variant_name(DeviceType::cpu, i));
  return names;
}
bool fixed_order(const std::string& variant) { return variant == "simd" || variant == "ref"; }

template <class T>
void check(const Case& c) {
  SCOPED_TRACE(c.text() + (sizeof(T) == 4 ? " f32" : " f64"));
  Product<T> p(c);
  const std::vector<T> reference = p.run("ref", 1);
  for (const std::string& v : variants()) {
    if (v == "simd" && sizeof(T) == 8) continue;
    SCOPED_TRACE(v);
    const std::vector<T> y = p.run(v, 1);
    ASSERT_EQ(mismatch(y, p.expected), "");
    if (!fixed_order(v)) continue;
    ASSERT_TRUE(same_bits(y, reference));
    for (const int threads : {2, 4}) ASSERT_TRUE(same_bits(y, p.run(v, threads))) << threads << " threads";
    for (const std::int64_t m : {std::int64_t{0}, c.m / 2, c.m - 1}) {
      if (m < 0 || c.m == 0 || c.batch == 0) continue;
      const auto from = y.begin() + ((c.batch - 1) * c.m + m) * c.n;
      ASSERT_TRUE(same_bits(p.run_row(v, c.batch - 1, m), std::vector<T>(from, from + c.n))) << "row " << m << " alone";
    }
  }
}

TEST(Matmul, EverySizeAndTranspose) {
  const std::int64_t sizes[] = {0, 1, 2, 7, 16, 17, 64, 255, 256, 257, 300};
  int turn = 0;
  for (const std::int64_t m : sizes) {
    for (const std::int64_t n : sizes) {
      for (const std::int64_t k : sizes) {
        if (m * n * k > 2'000'000) continue;
        const int t = turn++;
        check<float>({1, m, n, k, static_cast<Layout>(t % 3), static_cast<Layout>(t / 3 % 3), t % 2 ? 1. : 0.,
                      t / 2 % 2 == 1, false});
      }
    }
  }
}

TEST(Matmul, BatchesInBothPrecisions) {
  int turn = 0;
  for (const std::int64_t batch : {0, 1, 2, 3, 5}) {
    for (const std::int64_t m : {1, 5, 33}) {
      for (const bool shared : {false, true}) {
        for (const Layout a : {Layout::rows, Layout::transposed, Layout::strided}) {
          for (const Layout b : {Layout::rows, Layout::transposed, Layout::strided}) {
            const int t = turn++;
            const Case c{batch, m, 19 + t % 40, t % 3 ? 21 : 530, a, b, t % 2 ? 1. : 0., t % 5 < 2, shared};
            check<float>(c);
            check<double>(c);
          }
        }
      }
    }
  }
}

TEST(Matmul, LargeShapesKeepTheirBits) {
  for (const Case& c :
       {Case{1, 1500, 128, 64, Layout::rows, Layout::rows, 0, true},
        Case{1, 1100, 64, 128, Layout::rows, Layout::transposed},
        Case{1, 64, 128, 3000, Layout::transposed, Layout::rows, 1},
        Case{1, 3, 700, 1030, Layout::rows, Layout::transposed, 1, true},
        Case{1, 700, 3, 1030, Layout::rows, Layout::rows, 1, true}, Case{1, 64, 64, 64}, Case{1, 40, 600, 600},
        // Few outputs of long contractions: threads share the chunks.
        Case{1, 32, 64, 4001, Layout::rows, Layout::rows, 0, true},
        Case{1, 32, 32, 9000, Layout::transposed, Layout::transposed},
        Case{1, 13, 70, 7700, Layout::strided, Layout::strided, 0, true}, Case{1, 45, 45, 7168}})
    check<float>(c);
}

// The rule itself, written out once more: chunks of 256, each from +0, added in order, then y, then bias.
TEST(Matmul, OrderOfAdditions) {
  Product<float> p({1, 3, 5, 700, Layout::rows, Layout::rows, 1, true});
  for (const std::string& v : variants()) {
    if (!fixed_order(v)) continue;
    const std::vector<float> y = p.run(v);
    p.y.restore();
    for (std::int64_t m = 0; m < 3; ++m) {
      for (std::int64_t n = 0; n < 5; ++n) {
        float total = 0;
        for (std::int64_t from = 0; from < 700; from += 256) {
          float part = 0;
          for (std::int64_t k = from; k < std::min<std::int64_t>(from + 256, 700); ++k)
            part = std::fma(p.a({0, m, k}), p.b({0, k, n}), part);
          total = from ? total + part : part;
        }
        EXPECT_EQ(y[m * 5 + n], total + p.y({0, m, n}) + p.bias({n})) << v;
      }
    }
  }
}

TEST(Matmul, RefusesOtherTypes) {
  Operand<std::int64_t> a({1, 2, 2});
  kernels::MatmulArgs args{a.view(), a.view(), {}, a.view()};
  EXPECT_THROW(kernels::matmul(kCpu, args), DeviceError);
}

}  // namespace
}  // namespace tapedeck
