#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_few_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>
#include <tapedeck/kernels/cpu/simd_transpose-inl.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::simd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = HWY_LANES(float);
constexpr int kThin = kLanes == 16 ? 8 : 4;  // rows at once: their sums and a square fit the registers

// Rows whose k indices are neighbours.
struct Rows {
  const float* data;
  int64_t row;
  Rows at(int64_t r, int64_t p) const { return {data + r * row + p, row}; }
};
// Elements of y or what is added to it, as thin x wide.
template <class T>
struct Outputs {
  T* data;
  int64_t thin, wide;
  T* at(int64_t t, int64_t w) const { return data + t * thin + w * wide; }
};

// Chains of kRows thin rows with kLanes wide ones, which are the lanes.
template <int kRows>
struct Sums {
  V of[kRows];
};

// A square of the wide rows is turned, so that its lanes are rows, and goes on with the chains.
template <int kRows>
HWY_INLINE Sums<kRows> add_square(Rows wide, Rows thin, Sums<kRows> sums) {
  V x[kLanes];
  kernels::HWY_NAMESPACE::load_transposed(wide.data, wide.row, x);
  asm volatile("" : "+r"(thin.data));  // or it loads all factors ahead
  HWY_UNROLL(16)
  for (int i = 0; i < kLanes; ++i) {
    HWY_UNROLL(8)
    for (int t = 0; t < kRows; ++t)
      sums.of[t] = hn::MulAdd(hn::Set(D(), thin.data[t * thin.row + i]), x[i], sums.of[t]);
  }
  return sums;
}
// One k index.
template <int kRows>
HWY_INLINE Sums<kRows> add_column(Rows wide, Rows thin, Sums<kRows> sums) {
  HWY_ALIGN float column[kLanes];
  for (int i = 0; i < kLanes; ++i) column[i] = wide.data[i * wide.row];
  const V x = hn::Load(D(), column);
  HWY_UNROLL(8)
  for (int t = 0; t < kRows; ++t) sums.of[t] = hn::MulAdd(hn::Set(D(), thin.data[t * thin.row]), x, sums.of[t]);
  return sums;
}

// One chunk of k: kRows thin rows with kLanes wide ones, or with two times as many, to sums[kRows][1 or 2][lane].
template <int kRows, bool kTwo>
HWY_NOINLINE void chunk(Rows wide, Rows thin, int64_t count, float* to) {
  const D d;
  Sums<kRows> one, two;
  HWY_UNROLL(8)
  for (int t = 0; t < kRows; ++t) one.of[t] = two.of[t] = hn::Zero(d);
  int64_t p = 0;
  for (; p + kLanes <= count; p += kLanes) {
    one = add_square(wide.at(0, p), thin.at(0, p), one);
    if (kTwo) two = add_square(wide.at(kLanes, p), thin.at(0, p), two);
  }
  for (; p < count; ++p) {
    one = add_column(wide.at(0, p), thin.at(0, p), one);
    if (kTwo) two = add_column(wide.at(kLanes, p), thin.at(0, p), two);
  }
  HWY_UNROLL(8)
  for (int t = 0; t < kRows; ++t, to += kLanes) {
    hn::StoreU(one.of[t], d, to);
    if (kTwo) hn::StoreU(two.of[t], d, to += kLanes);
  }
}

using Chunk = void (*)(Rows, Rows, int64_t, float*);
template <int kGroups, int... kRows>
Chunk pick(int64_t rows, std::integer_sequence<int, kRows...>) {
  static constexpr Chunk all[] = {chunk<kRows + 1, kGroups == 2>...};
  return all[rows - 1];
}

// The first n lanes, `step` apart in memory.
V lanes(const float* from, int64_t step, int64_t n) {
  if (step == 1 && n == kLanes) return hn::LoadU(D(), from);
  HWY_ALIGN float all[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) all[i] = from[i * step];
  return hn::Load(D(), all);
}
void put_lanes(V v, float* to, int64_t step, int64_t n) {
  if (step == 1 && n == kLanes) return hn::StoreU(v, D(), to);
  HWY_ALIGN float all[kLanes];
  hn::Store(v, D(), all);
  for (int64_t i = 0; i < n; ++i) to[i * step] = all[i];
}

// One matrix of the product.
struct Product {
  int64_t thin_rows, k;
  Rows thin, wide;
  Outputs<float> y;
  Outputs<const float> bias, addend;
  bool add_to_y;

  // All thin rows with the wide rows [w0, w0 + rows), kGroups times kLanes or fewer.
  template <int kGroups>
  void run(int64_t w0, int64_t rows) const {
    HWY_ALIGN float sums[kThin * kGroups * kLanes];
    HWY_ALIGN float totals[kFew * kGroups * kLanes];
    HWY_ALIGN float edge[kGroups == 1 ? kLanes * kChunk : 1];
    const int64_t passes = (thin_rows + kThin - 1) / kThin;
    for (int64_t p = 0; p == 0 || p < k; p += kChunk) {
      const int64_t count = std::min(kChunk, k - p);
      Rows from = wide.at(w0, p);
      if (kGroups == 1 && rows < kLanes) {  // the rows that are missing are zeros
        for (int64_t i = 0; i < kLanes; ++i)
          for (int64_t j = 0; j < count; ++j) edge[i * kChunk + j] = i < rows ? *from.at(i, j).data : 0;
        from = {edge, kChunk};
      }
      for (int64_t pass = 0; pass < passes; ++pass) {
        const int64_t t0 = thin_rows * pass / passes, t1 = thin_rows * (pass + 1) / passes;
        pick<kGroups>(t1 - t0, std::make_integer_sequence<int, kThin>())(from, thin.at(t0, p), count, sums);
        for (int64_t v = t0 * kGroups; v < t1 * kGroups; ++v) {
          const D d;
          const V sum = hn::Load(d, sums + (v - t0 * kGroups) * kLanes);
          float* const total = totals + v * kLanes;
          const int64_t t = v / kGroups, w = w0 + v % kGroups * kLanes, n = std::min<int64_t>(kLanes, w0 + rows - w);
          hn::Store(p > 0 ? hn::Add(hn::Load(d, total), sum) : sum, d, total);
          if (p + kChunk < k) continue;
          V all = hn::Load(d, total);
          if (add_to_y) all = hn::Add(all, lanes(y.at(t, w), y.wide, n));
          if (bias.data) all = hn::Add(all, lanes(bias.at(t, w), bias.wide, n));
          if (addend.data) all = hn::Add(all, lanes(addend.at(t, w), addend.wide, n));
          put_lanes(all, y.at(t, w), y.wide, n);
        }
      }
    }
  }
};

}  // namespace

// Few columns of y are few rows of the product transposed.
void run_few_rows(const Gemm& g) {
  const auto turned = [](const Matrix& m) { return Matrix{m.data, m.column, m.row, m.batch}; };
  const bool rows = few_rows(g);
  const Matrix thin = rows ? g.a : turned(g.b), wide = rows ? turned(g.b) : g.a;
  const int64_t thin_rows = rows ? g.m : g.n, wide_rows = rows ? g.n : g.m;
  // Rows of matrix `batch` with neighbouring k indices: where they lie, or copied.
  const auto thin_of = [&](int64_t batch) -> Rows {
    const float* const from = thin.data + batch * thin.batch;
    if (thin.column == 1) return {from, thin.row};
    auto* const copy =
        static_cast<float*>(workspace(static_cast<std::size_t>(thin_rows * g.k * static_cast<int64_t>(sizeof(float)))));
    for (int64_t t = 0; t < thin_rows; ++t)
      for (int64_t p = 0; p < g.k; ++p) copy[t * g.k + p] = from[t * thin.row + p * thin.column];
    return {copy, g.k};
  };
  // Every thread takes one stretch of the wide rows, which stays in its caches from call to call.
  const int64_t group = (thin_rows <= 2 ? 2 : 1) * kLanes;
  const int64_t groups = (wide_rows + group - 1) / group, tasks = g.batches * groups;
  const bool alone = g.undivided || cost(g) < kAlone;
  const int64_t threads = alone ? 1 : num_threads();
  parallel_for(tasks, (tasks + threads - 1) / threads, [&](int64_t begin, int64_t end) {
    Rows near{};
    for (int64_t i = begin; i < end; ++i) {
      if (i == begin || i % groups == 0) near = thin_of(i / groups);
      const int64_t batch = i / groups, w = i % groups * group, some = std::min(group, wide_rows - w);
      float* const y = g.y + batch * g.y_batch;
      const Product p{thin_rows,
                      g.k,
                      near,
                      {wide.data + batch * wide.batch, wide.row},
                      {y, rows ? g.y_row : 1, rows ? 1 : g.y_row},
                      {g.bias, rows ? 0 : g.bias_stride, rows ? g.bias_stride : 0},
                      {g.addend, rows ? g.addend_row : 1, rows ? 1 : g.addend_row},
                      g.add_to_y};
      if (some == 2 * kLanes) {
        p.run<2>(w, some);
      } else {
        for (int64_t j = 0; j < some; j += kLanes) p.run<1>(w + j, std::min<int64_t>(kLanes, some - j));
      }
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tapedeck::kernels::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels::simd {

void run_few_rows(const Gemm& g) { use_avx512() ? N_AVX3::run_few_rows(g) : N_AVX2::run_few_rows(g); }

}  // namespace tapedeck::kernels::simd
#endif
