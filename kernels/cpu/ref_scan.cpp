// Scans: plain loops, also the fast variant where no transcendental is needed. Lines that lie side by side in memory
// are walked together, each with a state of its own, so that a line's bits do not depend on its neighbours.
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/scan.h>

#include <cmath>
#include <limits>
#include <type_traits>

namespace tapedeck::kernels {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();
constexpr std::int64_t kSide = 32;  // lines that are walked together

// f(at, width): at points to the first elements of `width` <= kSide lines along `dim`, which lie side by side.
template <int N, class F>
void each_lines(const std::array<TensorView, N>& views, int dim, std::int64_t cost, F&& f) {
  const Walk<N> walk(views, ~(1u << dim));
  bool adjacent = true;
  for (int k = 0; k < N; ++k) adjacent = adjacent && walk.strides[k][walk.rank - 1] == 1;
  const std::int64_t fair = row_grain(views[N - 1].sizes[dim], cost), grain = adjacent ? std::max(fair, kSide) : fair;
  parallel_for(walk.numel, grain, [&](std::int64_t begin, std::int64_t end) {
    walk.rows(begin, end, [&](auto at, const auto& s, std::int64_t n) {
      for (std::int64_t i = 0; i < n;) {
        const std::int64_t width = adjacent ? std::min(kSide, n - i) : 1;
        f(at, width);
        for (int k = 0; k < N; ++k) at[k] += width * s[k] * walk.bytes[k];
        i += width;
      }
    });
  });
}

// What is walked of one operand: the first element and the step to the next, from either end.
template <class T>
struct Line {
  T* p;
  std::int64_t step;
  Line(char* at, const TensorView& v, int dim, bool reverse) : p(reinterpret_cast<T*>(at)), step(v.strides[dim]) {
    if (reverse) p += (v.sizes[dim] - 1) * step, step = -step;
  }
};

// ---- running sums, products, logarithms of sums ---------------------------------------------------------------------
// Neumaier's compensated sum for f64; floats lose nothing in a plain sum of doubles.
struct SumF64 {
  double total = 0, lost = 0;
  double take(double v) {
    const double t = total + v;
    lost += std::fabs(total) >= std::fabs(v) ? (total - t) + v : (v - t) + total;
    total = t;
    return std::isfinite(total) ? total + lost : total;
  }
};
struct SumF32 {
  double total = 0;
  double take(double v) { return total += v; }
};
struct SumInteger {
  std::uint64_t total = 0;  // wraps
  std::int64_t take(std::int64_t v) { return static_cast<std::int64_t>(total += static_cast<std::uint64_t>(v)); }
};
struct ProductReal {
  double total = 1;
  double take(double v) { return total *= v; }
};
struct ProductInteger {
  std::uint64_t total = 1;
  std::int64_t take(std::int64_t v) { return static_cast<std::int64_t>(total *= static_cast<std::uint64_t>(v)); }
};
// The sum is kept relative to the largest so far; equal infinities must not meet in a difference.
struct LogSumExp {
  double most = kLowest, total = 0;
  double take(double v) {
    if (v > most) {
      total = total * std::exp(most - v) + 1;
      most = v;
    } else {
      total += v == most ? 1 : std::exp(v - most);
    }
    return most + std::log(total);
  }
};

template <class State, class T, class Out>
void scan(const ScanArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  each_lines<2>({a.x, a.y}, a.dim, 2, [&](const auto& at, std::int64_t width) {
    Line<const T> x(at[0], a.x, a.dim, a.reverse);
    Line<Out> y(at[1], a.y, a.dim, a.reverse);
    if (width == 1) {
      State alone;
      for (std::int64_t k = 0; k < n; ++k) y.p[k * y.step] = static_cast<Out>(alone.take(x.p[k * x.step]));
      return;
    }
    State state[kSide];
    for (std::int64_t k = 0; k < n; ++k, x.p += x.step, y.p += y.step)
      for (std::int64_t c = 0; c < width; ++c) y.p[c] = static_cast<Out>(state[c].take(x.p[c]));
  });
}

template <class F64, class F32, class Integer>
void scan_any(const ScanArgs& a) {
  switch (a.dtype()) {
    case DType::f64:
      return scan<F64, double, double>(a);
    case DType::f32:
      return scan<F32, float, float>(a);
    case DType::i64:
      return scan<Integer, std::int64_t, std::int64_t>(a);
    case DType::i32:
      return scan<Integer, std::int32_t, std::int64_t>(a);
    case DType::u8:
      return scan<Integer, std::uint8_t, std::int64_t>(a);
    default:
      return scan<Integer, bool, std::int64_t>(a);
  }
}
void scan_logs(const ScanArgs& a) {
  a.dtype() == DType::f32 ? scan<LogSumExp, float, float>(a) : scan<LogSumExp, double, double>(a);
}

// ---- extremes -------------------------------------------------------------------------------------------------------
template <class T, bool largest>
void extremes(const CumExtremeArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  each_lines<2>({a.x, a.y}, a.dim, 2, [&](const auto& at, std::int64_t width) {
    Line<const T> x(at[0], a.x, a.dim, false);
    Line<std::int64_t> y(at[1], a.y, a.dim, false);
    T best[kSide];
    std::int64_t place[kSide];
    for (std::int64_t k = 0; k < n; ++k, x.p += x.step, y.p += y.step)
      for (std::int64_t c = 0; c < width; ++c) {
        const T v = x.p[c];
        if (k == 0 || v != v || (largest ? v >= best[c] : v <= best[c])) best[c] = v, place[c] = k;
        y.p[c] = place[c];
      }
  });
}
template <bool largest>
void extremes_any(const CumExtremeArgs& a) {
  visit(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_arithmetic_v<T>) extremes<T, largest>(a);
  });
}

// ---- gradients ------------------------------------------------------------------------------------------------------
// The products before each element, kept [k][line].
template <class T>
double* products_before(Line<const T> x, std::int64_t n, std::int64_t width) {
  auto* before = static_cast<double*>(workspace(static_cast<std::size_t>(n * width) * sizeof(double)));
  double product[kSide];
  std::fill_n(product, width, 1.0);
  for (std::int64_t k = 0; k < n; ++k, x.p += x.step)
    for (std::int64_t c = 0; c < width; ++c) {
      before[k * width + c] = product[c];
      product[c] *= x.p[c];
    }
  return before;
}

template <class T>
void product_of_others_lines(const ScanArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  each_lines<2>({a.x, a.y}, a.dim, 4, [&](const auto& at, std::int64_t width) {
    const double* before = products_before(Line<const T>(at[0], a.x, a.dim, false), n, width);
    Line<const T> x(at[0], a.x, a.dim, true);
    Line<T> y(at[1], a.y, a.dim, true);
    double behind[kSide];
    std::fill_n(behind, width, 1.0);
    for (std::int64_t k = n - 1; k >= 0; --k, x.p += x.step, y.p += y.step)
      for (std::int64_t c = 0; c < width; ++c) {
        y.p[c] = static_cast<T>(before[k * width + c] * behind[c]);
        behind[c] *= x.p[c];
      }
  });
}

// The part behind k: r[k] = gy[k] + x[k + 1] r[k + 1].
template <class T>
void cumprod_grad_lines(const CumprodGradArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  each_lines<3>({a.gy, a.x, a.gx}, a.dim, 4, [&](const auto& at, std::int64_t width) {
    const double* before = products_before(Line<const T>(at[1], a.x, a.dim, false), n, width);
    Line<const T> gy(at[0], a.gy, a.dim, true), x(at[1], a.x, a.dim, true);
    Line<T> gx(at[2], a.gx, a.dim, true);
    double behind[kSide];  // x[k + 1] r[k + 1]
    std::fill_n(behind, width, 0.0);
    for (std::int64_t k = n - 1; k >= 0; --k, gy.p += gy.step, x.p += x.step, gx.p += gx.step)
      for (std::int64_t c = 0; c < width; ++c) {
        const double r = gy.p[c] + behind[c];
        behind[c] = x.p[c] * r;
        gx.p[c] = static_cast<T>(before[k * width + c] * r);
      }
  });
}

// The part behind k, relative to y[k]: r[k] = gy[k] + exp(y[k] - y[k + 1]) r[k + 1].
template <class T>
void logcumsumexp_grad_lines(const LogcumsumexpGradArgs& a) {
  const std::int64_t n = a.x.sizes[a.dim];
  each_lines<4>({a.gy, a.x, a.y, a.gx}, a.dim, 16, [&](const auto& at, std::int64_t width) {
    Line<const T> gy(at[0], a.gy, a.dim, true), x(at[1], a.x, a.dim, true), y(at[2], a.y, a.dim, true);
    Line<T> gx(at[3], a.gx, a.dim, true);
    double r[kSide], next[kSide];
    std::fill_n(r, width, 0.0);
    for (std::int64_t k = n - 1; k >= 0; --k, gy.p += gy.step, x.p += x.step, y.p += y.step, gx.p += gx.step)
      for (std::int64_t c = 0; c < width; ++c) {
        const double here = y.p[c], v = x.p[c];
        r[c] = k == n - 1 || here == kLowest ? gy.p[c] : gy.p[c] + std::exp(here - next[c]) * r[c];
        next[c] = here;
        gx.p[c] = static_cast<T>(v == kLowest ? 0 : std::exp(v - here) * r[c]);
      }
  });
}

template <class T>
void recurrence_lines(const RecurrenceArgs& args) {
  const std::int64_t n = args.y.sizes[args.dim];
  each_lines<3>({args.a, args.b, args.y}, args.dim, 2, [&](const auto& at, std::int64_t width) {
    Line<const T> a(at[0], args.a, args.dim, args.reverse), b(at[1], args.b, args.dim, args.reverse);
    Line<T> y(at[2], args.y, args.dim, args.reverse);
    double state[kSide];
    for (std::int64_t k = 0; k < n; ++k, a.p += a.step, b.p += b.step, y.p += y.step)
      for (std::int64_t c = 0; c < width; ++c) {
        state[c] = k == 0 ? b.p[c] : b.p[c] + a.p[c] * state[c];
        y.p[c] = static_cast<T>(state[c]);
      }
  });
}

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::bf16 || a.dtype() == DType::f16 ? "dtype is bf16 or f16" : nullptr;
}
template <class Args>
const char* supports_real(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

}  // namespace

void add_ref_scan() {
  constexpr DeviceType cpu = DeviceType::cpu;
  cumsum.add(cpu, "ref", scan_any<SumF64, SumF32, SumInteger>, supports<ScanArgs>);
  cumprod.add(cpu, "ref", scan_any<ProductReal, ProductReal, ProductInteger>, supports<ScanArgs>);
  logcumsumexp.add(cpu, "ref", scan_logs, supports_real<ScanArgs>);
  cummax.add(cpu, "ref", extremes_any<true>, supports<CumExtremeArgs>);
  cummin.add(cpu, "ref", extremes_any<false>, supports<CumExtremeArgs>);
#define TD_BY_TYPE(f) [](const auto& a) { a.dtype() == DType::f32 ? f<float>(a) : f<double>(a); }
  logcumsumexp_backward.add(cpu, "ref", TD_BY_TYPE(logcumsumexp_grad_lines), supports_real<LogcumsumexpGradArgs>);
  cumprod_backward.add(cpu, "ref", TD_BY_TYPE(cumprod_grad_lines), supports_real<CumprodGradArgs>);
  product_of_others.add(cpu, "ref", TD_BY_TYPE(product_of_others_lines), supports_real<ScanArgs>);
  recurrence.add(cpu, "ref", TD_BY_TYPE(recurrence_lines), supports_real<RecurrenceArgs>);
#undef TD_BY_TYPE
}

}  // namespace tapedeck::kernels
