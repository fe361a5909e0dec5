// Reference reductions: each output alone, in index order. Sums of reals are compensated sums in double.
#include <tapedeck/kernels/cpu/half.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/reduce.h>

#include <cmath>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

// Neumaier (1974): the lost low parts are summed apart.
struct RealSum {
  double total = 0, lost = 0;
  void add(double v) {
    const double t = total + v;
    lost += std::fabs(total) >= std::fabs(v) ? (total - t) + v : (v - t) + total;
    total = t;
  }
  double result() const { return std::isfinite(total) ? total + lost : total; }
};
struct IntegerSum {
  std::uint64_t total = 0;  // wraps
  void add(std::int64_t v) { total += static_cast<std::uint64_t>(v); }
  std::int64_t result() const { return static_cast<std::int64_t>(total); }
};

template <class T>
constexpr bool kReal = std::is_floating_point_v<T> || kHalf<T>;
template <class T>
struct Sum : std::conditional_t<kReal<T>, RealSum, IntegerSum> {
  using Out = std::conditional_t<kReal<T>, T, std::int64_t>;
  void take(T v) {
    if constexpr (kHalf<T>)
      this->add(v.to_float());
    else
      this->add(v);
  }
};
template <class T>
struct SumSquares : RealSum {
  using Out = T;
  void take(T v) {
    const double square = static_cast<double>(v) * v;
    add(square);
    lost += std::isfinite(square) ? std::fma(static_cast<double>(v), static_cast<double>(v), -square) : 0;
  }
};
struct RealProduct {
  double total = 1;
  void add(double v) { total *= v; }
  double result() const { return total; }
};
struct IntegerProduct {
  std::uint64_t total = 1;  // wraps
  void add(std::int64_t v) { total *= static_cast<std::uint64_t>(v); }
  std::int64_t result() const { return static_cast<std::int64_t>(total); }
};
template <class T>
struct Product : std::conditional_t<std::is_floating_point_v<T>, RealProduct, IntegerProduct> {
  using Out = std::conditional_t<std::is_floating_point_v<T>, T, std::int64_t>;
  void take(T v) { this->add(v); }
};
// Numbers whose squares leave the range are summed apart, scaled (Blue 1978).
template <class T>
struct Norm {
  using Out = T;
  RealSum small, middle, large;
  bool any_large = false;
  void take(T v) {
    const double a = std::fabs(static_cast<double>(v));
    if (a > 0x1p500) {
      large.add(a * 0x1p-600 * (a * 0x1p-600)), any_large = true;
    } else if (a < 0x1p-450) {
      small.add(a * 0x1p600 * (a * 0x1p600));
    } else {
      middle.add(a * a);
    }
  }
  double result() const {
    const double m = middle.result();
    if (any_large) return std::sqrt(large.result() + m * 0x1p-600 * 0x1p-600) * 0x1p600;
    return m == 0 ? std::sqrt(small.result()) * 0x1p-600 : std::sqrt(m + small.result() * 0x1p-600 * 0x1p-600);
  }
};
template <class T, bool largest>
struct Extreme {
  using Out = T;
  bool any = false;
  T best{};
  void take(T v) {
    if (!any || v != v || (largest ? v > best : v < best)) best = any && best != best ? best : v;
    any = true;
  }
  T result() const { return best; }
};
template <class T>
using Max = Extreme<T, true>;
template <class T>
using Min = Extreme<T, false>;

template <template <class> class Op, class T>
void reduce(const ReduceArgs& a) {
  using Out = typename Op<T>::Out;
  const Walk<2> outputs({a.x, a.y}, ~a.dims);
  Walk<1> terms({a.x}, a.dims);
  const std::int64_t grain = row_grain(terms.numel);
  parallel_for(outputs.numel, grain, [&](std::int64_t begin, std::int64_t end) {
    Walk<1> mine = terms;
    outputs.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) {
        mine.data[0] = at[0] + i * s[0] * static_cast<std::int64_t>(sizeof(T));
        Op<T> op;
        mine.rows([&](const auto& p, const auto& step, std::int64_t count) {
          const T* x = reinterpret_cast<const T*>(p[0]);
          for (std::int64_t j = 0; j < count; ++j) op.take(x[j * step[0]]);
        });
        Out& y = reinterpret_cast<Out*>(at[1])[i * s[1]];
        if constexpr (kHalf<Out>)
          y = round_half<Out>(op.result());
        else
          y = static_cast<Out>(op.result());
      }
    });
  });
}

// Calls f with a zero of the element type; bf16 and f16 are refused by supports().
template <class F>
void with_type(DType t, F&& f) {
  switch (t) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::u8:
      return f(std::uint8_t{});
    default:
      return f(bool{});
  }
}
template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::bf16 || a.dtype() == DType::f16 ? "dtype is bf16 or f16" : nullptr;
}
const char* supports_real(const ReduceArgs& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

template <template <class> class Op>
void reduce_any(const ReduceArgs& a) {
  with_type(a.dtype(), [&](auto zero) { reduce<Op, decltype(zero)>(a); });
}
void reduce_sum(const ReduceArgs& a) {
  visit(a.dtype(), [&](auto zero) { reduce<Sum, decltype(zero)>(a); });
}
template <template <class> class Op>
void reduce_real(const ReduceArgs& a) {
  a.dtype() == DType::f32 ? reduce<Op, float>(a) : reduce<Op, double>(a);
}

template <bool largest>
void arg_extreme(const ArgArgs& a) {
  with_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t count = a.x.sizes[a.dim], step = a.x.strides[a.dim];
    const Walk<2> outputs({a.x, a.y}, ~(1u << a.dim));
    parallel_for(outputs.numel, row_grain(count), [&](std::int64_t begin, std::int64_t end) {
      outputs.rows(begin, end, [&](const auto& at, const auto& s, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
          const T* x = reinterpret_cast<const T*>(at[0]) + i * s[0];
          std::int64_t best = 0;
          // The first NaN is the extreme: nothing replaces it.
          for (std::int64_t j = 1; j < count; ++j) {
            const T v = x[j * step], b = x[best * step];
            if (b == b && (v != v || (largest ? v > b : v < b))) best = j;
          }
          reinterpret_cast<std::int64_t*>(at[1])[i * s[1]] = best;
        }
      });
    });
  });
}

}  // namespace

void add_ref_reduce() {
  constexpr DeviceType cpu = DeviceType::cpu;
  sum.add(cpu, "ref", reduce_sum);
  amax.add(cpu, "ref", reduce_any<Max>, supports<ReduceArgs>);
  amin.add(cpu, "ref", reduce_any<Min>, supports<ReduceArgs>);
  prod.add(cpu, "ref", reduce_any<Product>, supports<ReduceArgs>);
  sum_squares.add(cpu, "ref", reduce_real<SumSquares>, supports_real);
  norm.add(cpu, "ref", reduce_real<Norm>, supports_real);
  argmax.add(cpu, "ref", arg_extreme<true>, supports<ArgArgs>);
  argmin.add(cpu, "ref", arg_extreme<false>, supports<ArgArgs>);
}

}  // namespace tapedeck::kernels
