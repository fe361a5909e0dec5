#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/index.h>

#include "kernels/check.h"

namespace tapedeck {
namespace {

namespace k = kernels;

Tensor indices(std::int64_t n, std::int64_t limit, std::uint32_t seed) {
  std::mt19937 draw(seed);
  std::vector<std::int64_t> v(static_cast<std::size_t>(n));
  for (auto& i : v) i = static_cast<std::int64_t>(draw() % static_cast<std::uint32_t>(limit));
  return tensor(v, {n});
}

TEST(Embedding, CopiesRowsOfAnyType) {
  for (const DType type : {DType::f32, DType::f64, DType::bf16, DType::i64, DType::u8})
    for (const int width : {0, 1, 5, 64}) {
      const Tensor numbers = random_tensor({9, width}, 1, 0, 100), table = empty({9, width}, {type}),
                   index = indices(40, 9, 2);
      k::copy(kCpu, {numbers, table});
      const Tensor y = empty({40, width}, {type}), wide = zeros({40, 2 * width}, {type});
      k::embedding(kCpu, {table, index, y});
      const Tensor odd = detail::slice(wide, 1, 0, 2 * width, 2), back = empty({40, width}, {type});
      k::embedding(kCpu, {table, index, odd});
      k::copy(kCpu, {odd, back});
      EXPECT_TRUE(width == 0 || same_bits(y, back));
      const std::size_t row = static_cast<std::size_t>(width) * size_of(type);
      for (int n = 0; n < 40; ++n)
        EXPECT_EQ(
            std::memcmp(
                static_cast<char*>(y.data()) + static_cast<std::size_t>(n) * row,
                static_cast<char*>(table.data()) + static_cast<std::size_t>(index.data<std::int64_t>()[n]) * row, row),
            0);
    }
}

TEST(Embedding, GradientAddsRepeatedRowsInOrder) {
  for (const double beta : {0.0, 1.0})
    for (const int width : {1, 3, 300})
      each_variant(k::embedding_backward, [&](const std::string&) {
        const Tensor gy = random_tensor({500, width}, 1), index = indices(500, 11, 3);
        const Tensor before = random_tensor({12, width}, 4);
        const Tensor g = on_any_threads([&] {
          const Tensor out = empty_like(before);
          k::copy(kCpu, {before, out});
          if (beta == 0) k::fill(kCpu, {out, NAN});
          k::embedding_backward(kCpu, {gy, index, out, beta});
          return out;
        });
        for (int v = 0; v < 12; ++v)
          for (int c = 0; c < width; ++c) {
            double want = beta == 0 ? 0 : before.data<float>()[v * width + c], size = std::fabs(want);
            for (int n = 0; n < 500; ++n)
              if (index.data<std::int64_t>()[n] == v) {
                want += gy.data<float>()[n * width + c];
                size += std::fabs(gy.data<float>()[n * width + c]);
              }
            EXPECT_TRUE(std::fabs(g.data<float>()[v * width + c] - want) <= 2 * 0x1p-24 * size);
          }
      });
}

TEST(OneHot, AllTypes) {
  const Tensor index = tensor(std::vector<std::int64_t>{2, 0, -1, 3}, {4});
  for (int t = 0; t < kDTypes; ++t) {
    const Tensor y = empty({4, 3}, {static_cast<DType>(t)}), back = empty({4, 3});
    k::one_hot(kCpu, {index, y});
    k::copy(kCpu, {y, back});
    EXPECT_EQ(back.to_vector<float>(), (std::vector<float>{0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}));
  }
}

TEST(IndexRange, SmallestAndLargest) {
  const Tensor x = tensor(std::vector<std::int64_t>{5, -7, 90, 3, 2, 1}, {2, 3});
  std::int64_t out[2];
  k::index_range(kCpu, {x, out});
  EXPECT_EQ(out[0], -7);
  EXPECT_EQ(out[1], 90);
  k::index_range(kCpu, {detail::slice(x, 1, 0, 1), out});
  EXPECT_EQ(out[0], 3);
  EXPECT_EQ(out[1], 5);
}

TEST(Unfold, GradientAddsWindowsBack) {
  for (const int step : {1, 2, 3, 5})
    for (const int size : {1, 3, 4})
      for (const int dim : {0, 1, 2})
        each_variant(k::unfold_backward, [&](const std::string&) {
          const Tensor x = full({9, 10, 11}, NAN);
          const Tensor windows = detail::unfold(x, dim, size, step);
          const Tensor gy = random_tensor(windows.sizes(), 6);
          k::unfold_backward(kCpu, {gy, x, dim, step});
          std::vector<double> want(9 * 10 * 11), sizes(9 * 10 * 11);
          const Shape& s = gy.sizes();
          for (std::int64_t at = 0; at < gy.numel(); ++at) {
            const std::int64_t l = at % s[3], c = at / s[3] % s[2], b = at / s[3] / s[2] % s[1],
                               a = at / s[3] / s[2] / s[1];
            std::int64_t i[3] = {a, b, c};
            i[dim] = i[dim] * step + l;
            const std::size_t o = static_cast<std::size_t>((i[0] * 10 + i[1]) * 11 + i[2]);
            want[o] += gy.data<float>()[at], sizes[o] += std::fabs(gy.data<float>()[at]);
          }
          for (std::size_t o = 0; o < want.size(); ++o)
            EXPECT_TRUE(std::fabs(x.data<float>()[o] - want[o]) <= 0x1p-24 * sizes[o]) << o;
        });
}

}  // namespace
}  // namespace tapedeck
