#include "cases/patterns.h"

#include <fnmatch.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/tensor/parallel.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <mutex>

#include "cases/unary.h"

namespace tapedeck::cases {
namespace {

// The error of y in units of the last place of a float near r. Exact functions: 0, or Inf for other bits.
double error_of(float y, double r, bool exact) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  if (std::isnan(r) || std::isnan(y)) return std::isnan(r) && std::isnan(y) ? 0 : kWrong;
  const float rounded = static_cast<float>(r);
  if (y == rounded && (exact || std::isinf(y) || r == 0)) return std::signbit(y) == std::signbit(rounded) ? 0 : kWrong;
  if (exact || std::isinf(r) || r == 0) return kWrong;
  // 2^(e - 23) for the exponent e of r; an infinity counts as the number that would follow the largest one.
  const auto e = static_cast<int>(std::bit_cast<std::uint64_t>(r) >> 52 & 0x7ff);
  const double ulp = std::bit_cast<double>(static_cast<std::uint64_t>(std::max(e - 23, 1023 - 149)) << 52);
  return std::fabs((std::isinf(y) ? std::copysign(0x1p128, y) : y) - r) / ulp;
}

struct Worst {
  double error = 0;
  std::uint32_t bits = 0;
  void take(const Worst& o) {
    if (!(o.error <= error)) *this = o;
  }
};

// The patterns first, first + step, …; at most `count` of them.
Worst sweep(const Unary& u, std::uint64_t first, std::uint64_t count, std::uint64_t step) {
  constexpr std::uint64_t kBatch = 1 << 14;
  const bool exact = u.bound.c == 0 && u.bound.ulps == 0;
  Worst worst;
  std::mutex mutex;
  parallel_for(static_cast<std::int64_t>((count + kBatch - 1) / kBatch), 1, [&](std::int64_t begin, std::int64_t end) {
    const NoGrad pause;
    Worst mine;
    for (std::int64_t b = begin; b < end; ++b) {
      const std::uint64_t start = static_cast<std::uint64_t>(b) * kBatch, n = std::min(kBatch, count - start);
      const Tensor x = empty({static_cast<std::int64_t>(n)});
      float* v = x.data<float>();
      for (std::uint64_t i = 0; i < n; ++i)
        v[i] = std::bit_cast<float>(static_cast<std::uint32_t>(first + (start + i) * step));
      const Tensor y = u.f(x);
      const float* got = y.data<float>();
      for (std::uint64_t i = 0; i < n; ++i)
        if (const double e = error_of(got[i], u.oracle.narrow(v[i]), exact); !(e <= mine.error))
          mine = {e, std::bit_cast<std::uint32_t>(v[i])};
    }
    const std::lock_guard lock(mutex);
    worst.take(mine);
  });
  return worst;
}

std::string name_of(const Unary& u) { return std::string(u.op) + (*u.text ? std::string(" (") + u.text + ")" : ""); }

// Where floats change: the zeros, one, the ends of the denormal, normal and finite numbers, each with two neighbours on
// both sides. A step over all patterns would meet few of them.
Worst sweep_edges(const Unary& u) {
  Worst worst;
  for (const std::uint32_t bits : {0u, 0x00800000u, 0x3f800000u, 0x7f800000u})
    for (const std::uint32_t sign : {0u, 0x80000000u}) worst.take(sweep(u, (bits | sign) - 2u, 5, 1));
  return worst;
}

}  // namespace

int sweep_patterns(const Patterns& wanted) {
  using Clock = std::chrono::steady_clock;
  int passed = 0, failed = 0;
  const std::uint64_t step = wanted.all ? 1 : 257,
                      count = wanted.only ? 1 : ((std::uint64_t{1} << 32) + step - 1) / step;
  for (const Unary& u : unary_ops()) {
    if (fnmatch(wanted.filter.c_str(), u.op, 0) != 0) continue;
    const auto begin = Clock::now();
    Worst worst = sweep(u, wanted.only.value_or(0), count, step);
    if (!wanted.only) worst.take(sweep_edges(u));
    const double bound = u.bound.ulps > 0 ? u.bound.ulps : u.ulps;
    const bool ok = worst.error <= bound;
    ok ? ++passed : ++failed;
    const float x = std::bit_cast<float>(worst.bits);
    std::printf("%-4s %-30s %.2f s  ", ok ? "" : "FAIL", name_of(u).c_str(),
                std::chrono::duration<double>(Clock::now() - begin).count());
    if (worst.error == 0)
      std::printf("exact\n");
    else
      std::printf("%.4f of %g ulp at %a; replay: op_cases --sweep --filter '%s' --bits 0x%08x\n", worst.error, bound,
                  static_cast<double>(x), u.op, worst.bits);
    if (wanted.only || !ok) {
      const NoGrad pause;
      std::printf("     x %.9g gives %.9g, expected %.17g\n", static_cast<double>(x), u.f(scalar(x)).item(),
                  u.oracle.narrow(x));
    }
  }
  std::printf("%s of 2^32 bit patterns for each function\n", wanted.all ? "all" : wanted.only ? "one" : "every 257th");
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace tapedeck::cases
