// Random fills. Element e of row r is word e % 4 of Philox counter (e / 4, r), whatever slice is made.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/tensor/philox.h>

#include <cmath>
#include <cstring>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

constexpr std::int64_t kCost = 8;

// f(words, first, n) for groups of up to 4 elements: contiguous elements first … first + n - 1 of the tensor.
template <class F>
void each_group(const TensorView& y, const RandomStream& stream, F&& f) {
  const std::int64_t rows = y.rank == 0 ? 1 : y.sizes[0], numel = y.numel(), width = rows == 0 ? 0 : numel / rows;
  const std::int64_t groups = (width + 3) / 4;
  parallel_for(rows * groups, kGrain / kCost / 4, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t row = begin / groups, group = begin % groups;
    for (std::int64_t at = begin; at < end; ++at) {
      const Philox4 r = philox(stream.key, static_cast<std::uint64_t>(group), stream.row(row));
      f(r.word, row * width + group * 4, std::min<std::int64_t>(4, width - group * 4));
      if (++group == groups) group = 0, ++row;
    }
  });
}

template <class F>
void with_real(DType t, F&& f) {
  t == DType::f32 ? f(float{}) : f(double{});
}
template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

void uniform_fill(const RandomArgs& a) {
  with_real(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_group(a.y, a.stream, [&](const std::uint32_t* word, std::int64_t first, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i)
        a.y.ptr<T>()[first + i] = static_cast<T>(a.low + (a.high - a.low) * static_cast<double>(uniform01(word[i])));
    });
  });
}

// Box and Muller (1958): the words of elements 2k and 2k+1 give both.
void normal_fill(const RandomArgs& a) {
  with_real(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    each_group(a.y, a.stream, [&](const std::uint32_t* word, std::int64_t first, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) {
        const std::uint32_t* pair = word + (i & ~std::int64_t{1});
        const double radius = std::sqrt(-2.0 * std::log((pair[0] + 0.5) * 0x1p-32));
        const double angle = 6.283185307179586477 * (pair[1] * 0x1p-32);
        const double z = radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
        a.y.ptr<T>()[first + i] = static_cast<T>(a.low + a.high * z);
      }
    });
  });
}

void bernoulli_fill(const RandomArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T one;
    if constexpr (std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>)
      one = T::from(1.0f);
    else
      one = T(1);
    each_group(a.y, a.stream, [&](const std::uint32_t* word, std::int64_t first, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i)
        a.y.ptr<T>()[first + i] = static_cast<double>(uniform01(word[i])) < a.low ? one : T{};
    });
  });
}

void dropout_elements(const DropoutArgs& a) {
  with_real(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T scale = static_cast<T>(a.p < 1 ? 1 / (1 - a.p) : 0);
    each_group(a.y, a.stream, [&](const std::uint32_t* word, std::int64_t first, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i)
        a.y.ptr<T>()[first + i] =
            static_cast<double>(uniform01(word[i])) >= a.p ? a.x.ptr<const T>()[first + i] * scale : T(0);
    });
  });
}

}  // namespace

void add_ref_random() {
  constexpr DeviceType cpu = DeviceType::cpu;
  uniform.add(cpu, "ref", uniform_fill, supports<RandomArgs>);
  normal.add(cpu, "ref", normal_fill, supports<RandomArgs>);
  bernoulli.add(cpu, "ref", bernoulli_fill);
  dropout.add(cpu, "ref", dropout_elements, supports<DropoutArgs>);
}

}  // namespace tapedeck::kernels
