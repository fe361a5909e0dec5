// Fourier transforms of every length against the definition in long double, by their error as a whole: what the op
// cases do element by element for small sizes.
#include <gtest/gtest.h>
#include <tapedeck/kernels/fft.h>
#include <tapedeck/tensor/philox.h>
#include <tapedeck/tensor/tensor.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace tapedeck {
namespace {

using Wide = long double;

std::vector<float> numbers(std::int64_t n) {
  std::vector<float> v;
  for (std::int64_t i = 0; i < n; ++i)
    v.push_back(static_cast<float>(philox_word(5, 0, static_cast<std::uint64_t>(i))) * 0x1p-31f - 1);
  return v;
}

// The error of some bins in units of u = 2^-24, relative to the norm of the spectrum, which Parseval's theorem gives.
double error_in_u(std::int64_t n) {
  const auto x = numbers(2 * n);
  const Tensor in = tensor(x, {1, n, 2}), out = empty_like(in);
  kernels::fft(kCpu, {in, out});
  const auto y = out.to_vector<float>();
  std::vector<Wide> cosine(static_cast<std::size_t>(n)), sine(static_cast<std::size_t>(n));
  for (std::int64_t k = 0; k < n; ++k) {
    const Wide angle = 2 * std::numbers::pi_v<Wide> * static_cast<Wide>(k) / static_cast<Wide>(n);
    cosine[static_cast<std::size_t>(k)] = std::cos(angle), sine[static_cast<std::size_t>(k)] = std::sin(angle);
  }
  Wide power = 0;
  for (const float v : x) power += static_cast<Wide>(v) * v;
  const std::int64_t step = n <= 2000 ? 1 : n / 40;
  Wide error = 0;
  std::int64_t bins = 0;
  for (std::int64_t j = 0; j < n; j += step, ++bins) {
    Wide re = 0, im = 0;
    for (std::int64_t k = 0; k < n; ++k) {
      const auto at = static_cast<std::size_t>(static_cast<std::uint64_t>(j) * static_cast<std::uint64_t>(k) %
                                               static_cast<std::uint64_t>(n));
      const Wide a = x[static_cast<std::size_t>(2 * k)], b = x[static_cast<std::size_t>(2 * k + 1)];
      re += a * cosine[at] + b * sine[at], im += b * cosine[at] - a * sine[at];
    }
    const Wide dr = y[static_cast<std::size_t>(2 * j)] - re, di = y[static_cast<std::size_t>(2 * j + 1)] - im;
    error += dr * dr + di * di;
  }
  const Wide per_bin = power;  // the mean of |y_j|^2
  return static_cast<double>(std::sqrt(error / static_cast<Wide>(bins) / per_bin) * 0x1p24L);
}

double bound(std::int64_t n) { return 0.5 * std::max(2.0, std::log2(static_cast<double>(n))); }

TEST(Fft, IsAccurateAtEveryLengthTo64) {
  for (std::int64_t n = 1; n <= 64; ++n) EXPECT_LE(error_in_u(n), bound(n)) << n;
}

TEST(Fft, IsAccurateAtPowersOfTwo) {
  for (std::int64_t n = 128; n <= 1 << 20; n *= 2) EXPECT_LE(error_in_u(n), bound(n)) << n;
}

TEST(Fft, IsAccurateAtPrimesAndTheirMultiples) {
  for (const std::int64_t n : {67, 127, 257, 509, 1009, 2 * 503, 3 * 337, 1021, 4093, 8191, 9973, 10007, 44100, 48000})
    EXPECT_LE(error_in_u(n), bound(n)) << n;
}

}  // namespace
}  // namespace tapedeck
