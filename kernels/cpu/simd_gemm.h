// The fixed-order f32 matrix product behind matmul and conv1d (rule: matmul.h; technique: GotoBLAS panels).
#pragma once
#include <cstdint>

namespace tapedeck::kernels::simd {

using std::int64_t;

// Columns of an operand that lie in place, rows `row` apart: `count` neighbours from `data` on in the first row.
struct Segment {
  const float* data;
  int64_t count, row;
};
inline constexpr int kMaxSegments = 8;

// An operand that is not a plain matrix: copies rows [r0, r1) x columns [c0, c1) of matrix `batch` to rows of stride
// ld.
struct Source {
  // The same rows and columns where they lie, if they do: how many segments (at most kMaxSegments, of equal `row`).
  virtual int in_place(int64_t, int64_t, int64_t, int64_t, int64_t, Segment*) const { return 0; }
  virtual void copy(int64_t batch, int64_t r0, int64_t r1, int64_t c0, int64_t c1, float* to, int64_t ld) const = 0;

 protected:
  ~Source() = default;
};

// Takes finished blocks instead of y: rows [i0, i1) x columns [j0, j1), rows of stride ld.
struct Sink {
  virtual void put(int64_t i0, int64_t i1, int64_t j0, int64_t j1, const float* from, int64_t ld) const = 0;

 protected:
  ~Sink() = default;
};

// A matrix in memory, or a source (then data is not used).
struct Matrix {
  const float* data = nullptr;
  int64_t row = 0, column = 0, batch = 0;  // strides in elements
  const Source* source = nullptr;
};

// What the caller will read after a product, a row for each of y's: it comes near meanwhile, where y has many rows.
struct Soon {
  const float* data = nullptr;
  int64_t row = 0, count = 0;
};

// y[batch] (m x n) = a (m x k) b (k x n) [+ y] [+ bias] [+ addend]. `a_is_k_major`: a's source (not its strides) holds
// the transpose, k x m, so that copying moves whole rows. `continues`: y holds what the chunks of k before this call
// have come to. `addend` (of one matrix, without a sink) is added last. `undivided`: the caller divides the work among
// threads.
struct Gemm {
  int64_t batches = 1, m = 0, n = 0, k = 0;
  Matrix a, b;
  bool a_is_k_major = false;
  float* y = nullptr;
  int64_t y_row = 0, y_batch = 0;
  bool add_to_y = false, continues = false;
  const float* bias = nullptr;
  int64_t bias_stride = 1;
  const float* addend = nullptr;
  int64_t addend_row = 0;
  const Sink* sink = nullptr;
  Soon soon[2];
  bool undivided = false;
};

void gemm(const Gemm& g);

// One FMA chain per output within chunks of so many k indices.
inline constexpr int64_t kChunk = 256;

// What a thread does before a second one has woken up, in FLOPs, and what a product costs. Few rows cost the reading of
// the other operand.
inline constexpr double kAlone = 2e6;
inline double cost(const Gemm& g) {
  const auto m = static_cast<double>(g.m), n = static_cast<double>(g.n), k = static_cast<double>(g.k > 0 ? g.k : 1);
  return 2 * static_cast<double>(g.batches) * (m * n + 4 * (m < n ? n : m)) * k;
}

// The kernel of products with few rows (or columns) whose other operand's k indices are neighbours (simd_few_rows.cpp),
// which gemm() takes for them: the same bits.
inline constexpr int64_t kFew = 8;
inline bool few_rows(const Gemm& g) { return g.m <= kFew && g.b.row == 1 && g.b.column != 1; }
inline bool few_columns(const Gemm& g) { return g.n <= kFew && g.a.column == 1 && g.m > kFew; }
void run_few_rows(const Gemm& g);

}  // namespace tapedeck::kernels::simd
