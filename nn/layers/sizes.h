// Sizes per spatial dimension as members of configs: a number in 1-d, a list in 2-d and 3-d.
#pragma once
#include <tapedeck/autograd/spatial.h>
#include <tapedeck/io/config.h>

#include <array>
#include <cstdint>
#include <type_traits>

namespace tapedeck::nn {

template <int N>
using Sizes = std::conditional_t<N == 1, std::int64_t, std::array<std::int64_t, static_cast<std::size_t>(N)>>;

template <int N>
constexpr Sizes<N> each(std::int64_t v) {
  if constexpr (N == 1) {
    return v;
  } else {
    Sizes<N> out{};
    for (auto& o : out) o = v;
    return out;
  }
}
template <int N>
constexpr std::int64_t size_at(const Sizes<N>& sizes, int d) {
  if constexpr (N == 1) {
    return d == 0 ? sizes : 0;
  } else {
    return sizes[static_cast<std::size_t>(d)];
  }
}
template <int N>
constexpr PerDim<N> per_dim(const Sizes<N>& sizes) {
  PerDim<N> out;
  for (int d = 0; d < N; ++d) out.values[d] = size_at<N>(sizes, d);
  return out;
}
// The name of a family's member: by_rank<N>("Conv1d", "Conv2d", "Conv3d").
template <int N>
constexpr const char* by_rank(const char* one, const char* two, const char* three = "") {
  return N == 1 ? one : N == 2 ? two : three;
}

// What most members are: a whole number from 1 (or 0).
constexpr io::Meta positive(const char* help) { return {.min = 1, .max = 1 << 24, .help = help}; }
constexpr io::Meta natural(const char* help) { return {.min = 0, .max = 1 << 24, .help = help}; }

}  // namespace tapedeck::nn
