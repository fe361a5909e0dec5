// Integers, permutations and draws by weights, and rows made orthonormal. No transcendental is needed: these are the
// default variants too.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/tensor/philox.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

// Word k of 64 bits of a row.
std::uint64_t long_word(std::uint64_t key, std::uint64_t row, std::int64_t k) {
  const Philox4 r = philox(key, static_cast<std::uint64_t>(k) / 2, row);
  const std::uint32_t* half = r.word + 2 * (k % 2);
  return half[0] | std::uint64_t{half[1]} << 32;
}
__extension__ typedef unsigned __int128 Wide;
// floor(range * word / 2^64).
std::uint64_t scaled(std::uint64_t word, std::uint64_t range) {
  return range == 0 ? word : static_cast<std::uint64_t>(Wide{word} * range >> 64);
}

void draw_integers(const IntegersArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      const std::int64_t rows = a.y.rank == 0 ? 1 : a.y.sizes[0], numel = a.y.numel();
      const std::int64_t width = rows == 0 ? 0 : numel / rows;
      parallel_for(numel, kGrain / 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::uint64_t word = long_word(a.stream.key, a.stream.row(i / width), i % width);
          const std::uint64_t value = static_cast<std::uint64_t>(a.low) + scaled(word, a.range);
          a.y.ptr<T>()[i] = static_cast<T>(static_cast<std::int64_t>(value));
        }
      });
    }
  });
}
const char* supports_integers(const IntegersArgs& a) {
  switch (a.dtype()) {
    case DType::i64:
    case DType::i32:
    case DType::u8:
    case DType::f32:
    case DType::f64:
      return nullptr;
    default:
      return "dtype is not i64, i32, u8, f32 or f64";
  }
}

void permute(const PermutationArgs& a) {
  std::int64_t* y = a.y.ptr<std::int64_t>();
  const std::int64_t n = a.y.numel();
  for (std::int64_t i = 0; i < n; ++i) y[i] = i;
  for (std::int64_t i = n - 1; i > 0; --i) {
    const std::uint64_t word = long_word(a.stream.key, a.stream.row(0), i);
    std::swap(y[i], y[scaled(word, static_cast<std::uint64_t>(i) + 1)]);
  }
}
const char* supports_permutation(const PermutationArgs& a) {
  return a.dtype() == DType::i64 ? nullptr : "dtype is not i64";
}

// Sums of weights in a complete binary tree: the leaves are node[leaves] … , the root is node[1]. Nothing is ever
// subtracted: a leaf that is taken out has the sums above it made anew.
struct SumTree {
  double* node;
  std::int64_t leaves;
  template <class T>
  void fill(const T* w, std::int64_t n) {
    for (std::int64_t i = 0; i < leaves; ++i) node[leaves + i] = i < n ? static_cast<double>(w[i]) : 0;
    for (std::int64_t i = leaves - 1; i > 0; --i) node[i] = node[2 * i] + node[2 * i + 1];
  }
  void remove(std::int64_t leaf) {
    std::int64_t i = leaves + leaf;
    node[i] = 0;
    while (i /= 2) node[i] = node[2 * i] + node[2 * i + 1];
  }
  // The leaf at u of the total, u in [0, 1); never one without weight.
  std::int64_t at(double u) const {
    double rest = u * node[1];
    std::int64_t i = 1;
    while (i < leaves) {
      i *= 2;
      if (rest < node[i] || node[i + 1] == 0) continue;
      rest -= node[i++];
    }
    return i - leaves;
  }
};

template <class T>
void draw_by_weight(const MultinomialArgs& a) {
  const std::int64_t rows = a.w.sizes[0], n = a.w.sizes[1], draws = a.y.sizes[1];
  std::int64_t leaves = 1, depth = 1;
  while (leaves < n) leaves *= 2, ++depth;
  parallel_for(rows, row_grain(2 * n + 4 * depth * draws), [&](std::int64_t begin, std::int64_t end) {
    const SumTree tree{static_cast<double*>(workspace(static_cast<std::size_t>(2 * leaves) * sizeof(double))), leaves};
    for (std::int64_t row = begin; row < end; ++row) {
      SumTree t = tree;
      t.fill(a.w.ptr<const T>() + row * a.w.strides[0], n);
      for (std::int64_t s = 0; s < draws; ++s) {
        const double u = static_cast<double>(long_word(a.stream.key, a.stream.row(row), s) >> 11) * 0x1p-53;
        const std::int64_t drawn = t.at(u);
        a.y.ptr<std::int64_t>()[row * draws + s] = drawn;
        if (!a.replacement) t.remove(drawn);
      }
    }
  });
}
void multinomial_rows(const MultinomialArgs& a) {
  a.dtype() == DType::f32 ? draw_by_weight<float>(a) : draw_by_weight<double>(a);
}
const char* supports_multinomial(const MultinomialArgs& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

// Eight sums, folded in a fixed order.
double dot(const double* a, const double* b, std::int64_t n) {
  double lane[8] = {};
  std::int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int k = 0; k < 8; ++k) lane[k] += a[i + k] * b[i + k];
  for (int k = 0; i < n; ++i, ++k) lane[k] += a[i] * b[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// Gram and Schmidt, modified; a second pass over rows that are nearly orthonormal leaves errors of rounding only.
void orthonormal_rows(const OrthonormalArgs& a) {
  const std::int64_t m = a.a.sizes[0], n = a.a.sizes[1];
  double* x = a.a.ptr<double>();
  for (int pass = 0; pass < 2; ++pass)
    for (std::int64_t i = 0; i < m; ++i) {
      double* q = x + i * n;
      const double length = std::sqrt(dot(q, q, n));
      for (std::int64_t k = 0; k < n; ++k) q[k] /= length;
      parallel_for(m - i - 1, row_grain(2 * n), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t j = i + 1 + begin; j < i + 1 + end; ++j) {
          double* v = x + j * n;
          const double along = dot(q, v, n);
          for (std::int64_t k = 0; k < n; ++k) v[k] -= along * q[k];
        }
      });
    }
}
const char* supports_orthonormal(const OrthonormalArgs& a) {
  return a.dtype() == DType::f64 ? nullptr : "dtype is not f64";
}

}  // namespace

void add_ref_draws() {
  constexpr DeviceType cpu = DeviceType::cpu;
  integers.add(cpu, "ref", draw_integers, supports_integers);
  permutation.add(cpu, "ref", permute, supports_permutation);
  multinomial.add(cpu, "ref", multinomial_rows, supports_multinomial);
  orthonormal.add(cpu, "ref", orthonormal_rows, supports_orthonormal);
}

}  // namespace tapedeck::kernels
