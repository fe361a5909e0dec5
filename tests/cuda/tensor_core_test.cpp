// The emulated matrix units hold their numbers where the PTX ISA says, and copies in the background come when waited
// for.
#define TAPEDECK_EMULATED
#include <gtest/gtest.h>
#include <tapedeck/kernels/cuda/tensor_core.h>

#include <array>

namespace tapedeck::kernels::cuda_emulated {
namespace {

using namespace cores;

template <class F>
void run_warp(const F& f) {
  emulation::run({1, 1, 1}, {32, 1, 1}, 4096, {}, f);
}
template <class T>
unsigned bits_of(double v) {
  return T::from(static_cast<float>(v)).bits;
}
double number_at(int row, int column) { return (row * 31 + column * 17) % 29 - 14; }

// Fragments as "Matrix Fragments for mma.m16n8k16" lists them, number by number.
template <class T>
void check_products() {
  std::array<std::array<double, 8>, 16> sums{};
  run_warp([&] {
    const int lane = static_cast<int>(threadIdx.x), group = lane >> 2, within = lane % 4;
    unsigned a[4] = {}, b[2] = {};
    float c[4];
    for (int i = 0; i < 8; ++i) {
      const int row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
      const int column = within * 2 + (i & 1) + (i < 4 ? 0 : 8);
      a[i / 2] |= bits_of<T>(number_at(row, column)) << i % 2 * 16;
    }
    for (int i = 0; i < 4; ++i) {
      const int row = within * 2 + (i & 1) + (i < 2 ? 0 : 8);
      b[i / 2] |= bits_of<T>(number_at(row + 100, group)) << i % 2 * 16;
    }
    for (int i = 0; i < 4; ++i) c[i] = static_cast<float>(i);
    multiply<T>(c, a, b[0], b[1]);
    for (int i = 0; i < 4; ++i)
      sums[static_cast<std::size_t>(i < 2 ? group : group + 8)][static_cast<std::size_t>(within * 2 + (i & 1))] =
          c[i] - i;
  });
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 8; ++n) {
      double want = 0;
      for (int k = 0; k < 16; ++k) want += number_at(m, k) * number_at(k + 100, n);
      EXPECT_EQ(sums[static_cast<std::size_t>(m)][static_cast<std::size_t>(n)], want) << m << ", " << n;
    }
}
TEST(MatrixUnits, MultiplyAsTheirFragmentsLie) {
  check_products<BFloat16>();
  check_products<Float16>();
}

TEST(MatrixUnits, LoadMatricesOfEightByEight) {
  run_warp([] {
    auto* const numbers = static_cast<std::uint16_t*>(emulation::dynamic_shared());  // 32 rows of 24, 8 in use
    const int lane = static_cast<int>(threadIdx.x);
    for (int c = 0; c < 8; ++c) numbers[lane * 24 + c] = static_cast<std::uint16_t>(lane * 256 + c);
    __syncwarp();
    unsigned straight[4], turned[4];
    load_matrices<false>(straight, spot(numbers + lane * 24));
    load_matrices<true>(turned, spot(numbers + lane * 24));
    const unsigned g = static_cast<unsigned>(lane) / 4, t = static_cast<unsigned>(lane) % 4;
    for (unsigned i = 0; i < 4; ++i) {
      const unsigned row = 8 * i + g, first = 8 * i + 2 * t;
      EXPECT_EQ(straight[i], (row * 256 + 2 * t) | (row * 256 + 2 * t + 1) << 16);
      EXPECT_EQ(turned[i], (first * 256 + g) | ((first + 1) * 256 + g) << 16);
    }
  });
}

TEST(MatrixUnits, RoundPairs) {
  EXPECT_EQ(pair<BFloat16>(1, -2), bits_of<BFloat16>(1) | bits_of<BFloat16>(-2) << 16);
  EXPECT_EQ(pair<Float16>(0.1f, 3), bits_of<Float16>(0.1f) | bits_of<Float16>(3) << 16);
}

TD_ATOMIC float peek(const float* p) { return *p; }  // a race that is not reported
TEST(BackgroundCopies, ComeWhenTheyAreWaitedFor) {
  const float source[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  alignas(16) static float from[8];
  std::copy(source, source + 8, from);
  emulation::run({1, 1, 1}, {32, 1, 1}, 4096, {}, [] {
    auto* const to = static_cast<float*>(emulation::dynamic_shared()) + 16 * threadIdx.x;
    for (int i = 0; i < 12; ++i) to[i] = 9;
    copy_16(spot(to), from, true);
    close_copies();
    copy_16(spot(to + 4), from + 4, true);
    copy_16(spot(to + 8), from, false);
    close_copies();
    EXPECT_NE(peek(to), peek(to)) << "there before it was waited for";
    wait_copies<1>();
    EXPECT_EQ(to[0], 1);
    EXPECT_EQ(to[3], 4);
    EXPECT_NE(peek(to + 4), peek(to + 4)) << "the second group was not waited for";
    wait_copies<0>();
    EXPECT_EQ(to[4], 5);
    EXPECT_EQ(to[7], 8);
    EXPECT_EQ(to[8], 0);
    EXPECT_EQ(to[11], 0);
  });
}

}  // namespace
}  // namespace tapedeck::kernels::cuda_emulated
