// f32 reductions: rows in 16 virtual lanes, columns in index order, both in double and in chunks of fixed size.
#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/iterate.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/reduce.h>

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_reduce.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_lanes-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::HWY_NAMESPACE {

constexpr std::int64_t kAhead = 2048;  // floats between what is read and what is fetched

// A step takes an element into an accumulator; merge joins two accumulators.
struct SumStep {
  static constexpr double kStart = 0;
  static double merge(double a, double b) { return a + b; }
  HWY_INLINE D operator()(D acc, D x) const { return acc + x; }
};
struct SquareStep {
  static constexpr double kStart = 0;
  static double merge(double a, double b) { return a + b; }
  HWY_INLINE D operator()(D acc, D x) const { return fma(x, x, acc); }
};
struct ProductStep {
  static constexpr double kStart = 1;
  static double merge(double a, double b) { return a * b; }
  HWY_INLINE D operator()(D acc, D x) const { return acc * x; }
};
struct MaxStep {  // NaN wins
  static constexpr double kStart = -std::numeric_limits<double>::infinity();
  static double merge(double a, double b) { return b > a || b != b ? (a != a ? a : b) : a; }
  HWY_INLINE D operator()(D acc, D x) const { return select(x > acc, x, select(x == x, acc, x)); }
};
struct MinStep {
  static constexpr double kStart = std::numeric_limits<double>::infinity();
  static double merge(double a, double b) { return b < a || b != b ? (a != a ? a : b) : a; }
  HWY_INLINE D operator()(D acc, D x) const { return select(x < acc, x, select(x == x, acc, x)); }
};

// Takes one row into the 16 lanes.
template <class Step>
void row(double* lanes, const float* x, std::int64_t n) {
  Lanes l(0);
  l.load_from(lanes);
  each_block(x, n, static_cast<float>(Step::kStart),
             [&](const Block& b, std::int64_t, std::int64_t) HWY_ATTR { l.take(b, Step()); });
  l.store_to(lanes);
}

// A row that lies in one piece, folded.
template <class Step>
double whole_row(const float* x, std::int64_t n) {
  Lanes l(Step::kStart);
  each_block(x, n, static_cast<float>(Step::kStart), [&](const Block& b, std::int64_t i, std::int64_t) HWY_ATTR {
    hwy::Prefetch(x + i + kAhead);  // into the next row too, where the processor's own guesses end
    l.take(b, Step());
  });
  HWY_ALIGN double lanes[kBlock];
  l.store_to(lanes);
  for (std::int64_t width = kBlock / 2; width > 0; width /= 2)
    for (std::int64_t i = 0; i < width; ++i) lanes[i] = Step::merge(lanes[i], lanes[i + width]);
  return lanes[0];
}

// acc[c] takes x[r * stride + c] for r = 0 … rows - 1; a group of columns at a time stays in registers.
template <class Step, int group>
HWY_INLINE void column_group(double* acc, const float* x, std::int64_t stride, std::int64_t rows) {
  D low[group], high[group];
  for (int k = 0; k < group; ++k) {
    low[k] = D(hn::LoadU(DD(), acc + k * kLanes));
    high[k] = D(hn::LoadU(DD(), acc + k * kLanes + kLanes / 2));
  }
  for (std::int64_t r = 0; r < rows; ++r, x += stride)
    for (int k = 0; k < group; ++k) {
      hwy::Prefetch(x + k * kLanes + kAhead);
      const F v = load(x + k * kLanes);
      low[k] = Step()(low[k], lower(v)), high[k] = Step()(high[k], upper(v));
    }
  for (int k = 0; k < group; ++k) {
    hn::StoreU(low[k].v, DD(), acc + k * kLanes);
    hn::StoreU(high[k].v, DD(), acc + k * kLanes + kLanes / 2);
  }
}
// Memory is read in order: few columns stay in registers through all rows, many are taken row by row.
template <class Step>
void columns(double* acc, const float* x, std::int64_t stride, std::int64_t rows, std::int64_t n) {
  const std::int64_t strip = n <= 4 * kLanes ? rows : 1;
  for (std::int64_t r = 0; r < rows; r += strip) {
    const float* from = x + r * stride;
    std::int64_t c = 0;
    for (; c + 4 * kLanes <= n; c += 4 * kLanes) column_group<Step, 4>(acc + c, from + c, stride, strip);
    for (; c + kLanes <= n; c += kLanes) column_group<Step, 1>(acc + c, from + c, stride, strip);
    if (c == n) continue;
    HWY_ALIGN double rest[kLanes] = {};
    std::copy(acc + c, acc + n, rest);
    D low(hn::Load(DD(), rest)), high(hn::Load(DD(), rest + kLanes / 2));
    for (std::int64_t i = 0; i < strip; ++i) {
      const F v = load_first(from + i * stride + c, n - c);
      low = Step()(low, lower(v)), high = Step()(high, upper(v));
    }
    hn::Store(low.v, DD(), rest), hn::Store(high.v, DD(), rest + kLanes / 2);
    std::copy(rest, rest + (n - c), acc + c);
  }
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {
namespace {

// What one reduction consists of; merge joins partial results, finish makes the result of them.
struct Reduction {
  double start;
  void (*row)(double* lanes, const float* x, std::int64_t n);
  double (*whole_row)(const float* x, std::int64_t n);
  void (*columns)(double* acc, const float* x, std::int64_t stride, std::int64_t rows, std::int64_t n);
  double (*merge)(double a, double b);
  double (*finish)(double);
};
double as_is(double v) { return v; }
double root(double v) { return std::sqrt(v); }

constexpr std::int64_t kRowChunk = 32768;    // elements of a row that one task takes
constexpr std::int64_t kTermChunk = 1024;    // terms of a column that one task takes
constexpr std::int64_t kColumnBlock = 1024;  // columns that one task takes

using Outputs = Walk<2>;  // x and y over the kept dimensions
using Terms = Walk<1>;    // x over the reduced dimensions

bool rows_are_contiguous(const Terms& terms) { return terms.strides[0][terms.rank - 1] == 1; }
bool columns_are_contiguous(const Outputs& outputs) { return outputs.strides[0][outputs.rank - 1] == 1; }
bool by_columns(const Outputs& outputs, const Terms& terms) {
  return columns_are_contiguous(outputs) && outputs.inner() > 1 && !(rows_are_contiguous(terms) && terms.inner() > 1);
}

// y of outputs first … first + n - 1 = finished values, rounded.
void write(const Outputs& outputs, const Reduction& op, std::int64_t first, const double* values, std::int64_t n) {
  outputs.rows(first, first + n, [&](const auto& at, const auto& s, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      reinterpret_cast<float*>(at[1])[i * s[1]] = static_cast<float>(op.finish(*values++));
  });
}

// Runs f(first, n, begin, end, acc) for blocks of outputs and chunks of their terms; f takes terms begin … end - 1 of
// outputs first … first + n - 1 into acc. Several chunks are merged in their order.
template <class F>
void each_chunk(const Outputs& outputs, const Terms& terms, const Reduction& op, std::int64_t block, std::int64_t chunk,
                F&& f) {
  const std::int64_t count = outputs.numel, blocks = (count + block - 1) / block;
  const std::int64_t chunks = std::max<std::int64_t>(1, (terms.numel + chunk - 1) / chunk);
  double* partial = nullptr;  // [chunk][output]
  if (chunks > 1) partial = static_cast<double*>(workspace(static_cast<std::size_t>(chunks * count) * sizeof(double)));
  const std::int64_t work = std::min(count, block) * std::min(terms.numel, chunk);
  parallel_for(chunks * blocks, row_grain(work), [&](std::int64_t begin, std::int64_t end) {
    double local[kColumnBlock];
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t c = task / blocks, first = task % blocks * block, n = std::min(block, count - first);
      double* acc = partial ? partial + c * count + first : local;
      std::fill_n(acc, n, op.start);
      f(first, n, c * chunk, std::min(terms.numel, (c + 1) * chunk), acc);
      if (!partial) write(outputs, op, first, acc, n);
    }
  });
  if (!partial) return;
  for (std::int64_t c = 1; c < chunks; ++c)
    for (std::int64_t o = 0; o < count; ++o) partial[o] = op.merge(partial[o], partial[c * count + o]);
  write(outputs, op, 0, partial, count);
}

void reduce_rows(const Outputs& outputs, const Terms& terms, const Reduction& op) {
  each_chunk(outputs, terms, op, 1, kRowChunk,
             [&](std::int64_t o, std::int64_t, std::int64_t begin, std::int64_t end, double* acc) {
               Terms mine = terms;
               outputs.rows(o, o + 1, [&](const auto& at, const auto&, std::int64_t) { mine.data[0] = at[0]; });
               if (terms.rank == 1) {
                 *acc = op.whole_row(reinterpret_cast<const float*>(mine.data[0]) + begin, end - begin);
                 return;
               }
               alignas(64) double lanes[16];
               std::fill_n(lanes, 16, op.start);
               mine.rows(begin, end, [&](const auto& p, const auto&, std::int64_t n) {
                 op.row(lanes, reinterpret_cast<const float*>(p[0]), n);
               });
               for (int width = 8; width > 0; width /= 2)
                 for (int l = 0; l < width; ++l) lanes[l] = op.merge(lanes[l], lanes[l + width]);
               *acc = lanes[0];
             });
}

void reduce_columns(const Outputs& outputs, const Terms& terms, const Reduction& op) {
  each_chunk(outputs, terms, op, kColumnBlock, kTermChunk,
             [&](std::int64_t first, std::int64_t n, std::int64_t begin, std::int64_t end, double* acc) {
               Terms mine = terms;
               outputs.rows(first, first + n, [&](const auto& at, const auto&, std::int64_t width) {
                 mine.data[0] = at[0];
                 mine.rows(begin, end, [&](const auto& p, const auto& step, std::int64_t rows) {
                   op.columns(acc, reinterpret_cast<const float*>(p[0]), step[0], rows, width);
                 });
                 acc += width;
               });
             });
}

void reduce(const ReduceArgs& a, const Reduction& op) {
  const Outputs outputs({a.x, a.y}, ~a.dims);
  const Terms terms({a.x}, a.dims);
  by_columns(outputs, terms) ? reduce_columns(outputs, terms, op) : reduce_rows(outputs, terms, op);
}

const char* supports(const ReduceArgs& a) {
  if (a.dtype() != DType::f32) return "dtype is not f32";
  const Outputs outputs({a.x, a.y}, ~a.dims);
  const Terms terms({a.x}, a.dims);
  return by_columns(outputs, terms) || rows_are_contiguous(terms) ? nullptr
                                                                  : "neither rows nor columns of x are contiguous";
}

#define TD_STEPS(target, Step, finish)                                                                               \
  Reduction {                                                                                                        \
    target::Step::kStart, target::row<target::Step>, target::whole_row<target::Step>, target::columns<target::Step>, \
        target::Step::merge, finish                                                                                  \
  }
#define TD_REDUCTION(Step, finish) \
  [](const ReduceArgs& a) { reduce(a, use_avx512() ? TD_STEPS(N_AVX3, Step, finish) : TD_STEPS(N_AVX2, Step, finish)); }

}  // namespace

void add_simd_reduce() {
  constexpr DeviceType cpu = DeviceType::cpu;
  sum.add(cpu, "simd", TD_REDUCTION(SumStep, as_is), supports);
  prod.add(cpu, "simd", TD_REDUCTION(ProductStep, as_is), supports);
  sum_squares.add(cpu, "simd", TD_REDUCTION(SquareStep, as_is), supports);
  norm.add(cpu, "simd", TD_REDUCTION(SquareStep, root), supports);
  amax.add(cpu, "simd", TD_REDUCTION(MaxStep, as_is), supports);
  amin.add(cpu, "simd", TD_REDUCTION(MinStep, as_is), supports);
}

}  // namespace tapedeck::kernels
#endif
