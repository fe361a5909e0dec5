// Argument reduction for sin and cos of huge numbers (Payne & Hanek 1983): exact bits of 2/pi times the mantissa.
#pragma once
#include <cmath>
#include <cstdint>

namespace tapedeck::kernels {

struct Quadrant {
  double rest;        // in [-pi/4, pi/4]
  std::int64_t turn;  // x = turn * pi/2 + rest, modulo 2 pi
};

// For finite |x| from 2^26 to 2^256: floats, and products of two.
inline Quadrant reduce_huge(double x) {
  __extension__ typedef unsigned __int128 Bits;
  __extension__ typedef __int128 SignedBits;
  constexpr std::uint64_t kTwoOverPi[8] = {0,  // for exponents below the first bits' weight
                                           0xa2f9836e4e441529,
                                           0xfc2757d1f534ddc0,
                                           0xdb6295993c439041,
                                           0xfe5163abdebbc561,
                                           0xb7246e3a424dd2e0,
                                           0x06492eea09d1921c,
                                           0xfe1deb1cb129a73e};
  int exponent;
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(std::fabs(x), &exponent), 53));
  const int skip = exponent - 53 - 2 + 64;  // these leading bits of 2/pi give whole turns
  const int word = skip / 64, bit = skip % 64;
  Bits window = (Bits{kTwoOverPi[word]} << 64) | kTwoOverPi[word + 1];
  if (bit) window = (window << bit) | (kTwoOverPi[word + 2] >> (64 - bit));
  const Bits product = window * mantissa;  // in units of 2^-126 quarter turns, modulo 4
  auto rest = static_cast<SignedBits>(product << 2);
  const std::int64_t turn = static_cast<std::int64_t>(product >> 126) + (rest < 0 ? 1 : 0);
  const double r = static_cast<double>(rest) * 0x1p-128 * 1.5707963267948966192;
  return x < 0 ? Quadrant{-r, -turn} : Quadrant{r, turn};
}

}  // namespace tapedeck::kernels
