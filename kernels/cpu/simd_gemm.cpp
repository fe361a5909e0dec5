#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tapedeck::kernels::simd {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = HWY_TARGET == HWY_AVX2 ? 8 : 16;
constexpr int64_t kChunk = 256;
constexpr int64_t kGatherStride = kChunk + 16;  // not a power of two: rows of one tile fall into different cache sets

// Rows of a register tile that is `vectors` wide: accumulators, one row of b and one element of a fit the registers.
constexpr int max_rows(int vectors) {
  return HWY_TARGET == HWY_AVX2 ? (vectors <= 2   ? 6
                                   : vectors == 4 ? 3
                                                  : 1)
                                : (vectors <= 2   ? 13
                                   : vectors == 4 ? 6
                                                  : 2);
}
constexpr int kMaxRows = max_rows(2);

// Where a tile goes. A chunk that is neither first nor last lives in `total` (which is y where y is free to be used).
struct Out {
  float* y;
  int64_t y_row;
  float* total;
  int64_t total_row;
  const float* bias;  // of this panel, padded to its width; or nullptr
  int64_t columns;    // of the panel that exist
  bool first, last, add_to_y;
};

// The general end of a chunk, off the fast path: `part` holds the tile, rows of `width`.
HWY_NOINLINE void finish(const Out& o, int rows, const float* part, int64_t width) {
  const D d;
  for (int64_t j = 0; j < o.columns; j += kLanes) {
    const int64_t here = std::min<int64_t>(kLanes, o.columns - j);
    const auto mask = hn::FirstN(d, static_cast<std::size_t>(here));
    const V bias = o.last && o.bias ? hn::LoadU(d, o.bias + j) : hn::Zero(d);
    const auto load = [&](const float* p)
                          HWY_ATTR { return here == kLanes ? hn::LoadU(d, p) : hn::MaskedLoad(mask, d, p); };
    float *total = o.total + j, *y = o.y + j;
    for (int i = 0; i < rows; ++i, total += o.total_row, y += o.y_row) {
      V v = hn::Load(d, part + i * width + j);
      if (!o.first) v = hn::Add(load(total), v);
      if (o.last && o.add_to_y) v = hn::Add(v, load(y));
      if (o.last && o.bias) v = hn::Add(v, bias);
      float* to = o.last ? y : total;
      here == kLanes ? hn::StoreU(v, d, to) : hn::BlendedStore(v, mask, d, to);
    }
  }
}

// A tile of kRows x kVectors vectors over k indices. kUnit: a's columns are neighbours in memory (a_col == 1), rows
// a_row apart; otherwise its rows are neighbours (a_row == 1), columns a_col apart.
template <int kRows, int kVectors, bool kUnit>
HWY_NOINLINE void tile(int64_t k, const float* a, int64_t a_stride, const float* b, int64_t b_row, const Out& o) {
  const D d;
  V acc[kRows][kVectors];
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Zero(d);
  }
  // One pointer per three rows, opaque to the compiler: with a pointer per row it spills addresses into the loop.
  constexpr int kPointers = kUnit ? (kRows + 2) / 3 : 1;
  const float* rows[kPointers];
  HWY_UNROLL(8)
  for (int i = 0; i < kPointers; ++i) {
    rows[i] = a + 3 * i * (kUnit ? a_stride : 0);
    asm("" : "+r"(rows[i]));
  }
  for (int64_t p = 0; p < k; ++p) {
    V bv[kVectors];
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      const V av = hn::Set(d, kUnit ? rows[i / 3][(i % 3) * a_stride] : rows[0][i]);
      HWY_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::MulAdd(av, bv[v], acc[i][v]);
    }
    HWY_UNROLL(8)
    for (int i = 0; i < kPointers; ++i) rows[i] += kUnit ? 1 : a_stride;
    b += b_row;
  }
  constexpr int64_t kWidth = kVectors * kLanes;
  if (o.first && o.last && !o.add_to_y && o.columns == kWidth) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) {
        V r = acc[i][v];
        if (o.bias) r = hn::Add(r, hn::LoadU(d, o.bias + v * kLanes));
        hn::StoreU(r, d, o.y + i * o.y_row + v * kLanes);
      }
    }
    return;
  }
  HWY_ALIGN float part[kRows * kWidth];
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) hn::Store(acc[i][v], d, part + i * kWidth + v * kLanes);
  }
  finish(o, kRows, part, kWidth);
}

using Tile = void (*)(int64_t, const float*, int64_t, const float*, int64_t, const Out&);

template <int kVectors, bool kUnit, int kRows = max_rows(kVectors)>
Tile pick_rows(int rows) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return pick_rows<kVectors, kUnit, kRows - 1>(rows);
  }
  return tile<kRows, kVectors, kUnit>;
}
template <bool kUnit>
Tile pick(int vectors, int rows) {
  switch (vectors) {
    case 1:
      return pick_rows<1, kUnit>(rows);
    case 2:
      return pick_rows<2, kUnit>(rows);
    case 4:
      return pick_rows<4, kUnit>(rows);
    default:
      return pick_rows<8, kUnit>(rows);
  }
}

// Writes the transpose of 8 rows of 8 at `from` (rows `stride` apart) to rows of `width`.
HWY_INLINE void transpose8(const float* from, int64_t stride, float* to, int64_t width) {
  const hn::FixedTag<float, 8> d;
  const hn::FixedTag<double, 4> dd;
  using V8 = hn::Vec<decltype(d)>;
  V8 r[8], s[8];
  HWY_UNROLL(8)
  for (int i = 0; i < 8; ++i) r[i] = hn::LoadU(d, from + i * stride);
  HWY_UNROLL(4)
  for (int i = 0; i < 8; i += 2) {
    s[i] = hn::InterleaveLower(d, r[i], r[i + 1]);
    s[i + 1] = hn::InterleaveUpper(d, r[i], r[i + 1]);
  }
  // s[i], s[i + 2] hold pairs of rows; join them as 64-bit units within each half.
  HWY_UNROLL(2)
  for (int i = 0; i < 8; i += 4) {
    HWY_UNROLL(2)
    for (int j = 0; j < 2; ++j) {
      const auto x = hn::BitCast(dd, s[i + j]), y = hn::BitCast(dd, s[i + j + 2]);
      r[i + 2 * j] = hn::BitCast(d, hn::InterleaveLower(dd, x, y));
      r[i + 2 * j + 1] = hn::BitCast(d, hn::InterleaveUpper(dd, x, y));
    }
  }
  HWY_UNROLL(4)
  for (int i = 0; i < 4; ++i) {
    hn::StoreU(hn::ConcatLowerLower(d, r[i + 4], r[i]), d, to + i * width);
    hn::StoreU(hn::ConcatUpperUpper(d, r[i + 4], r[i]), d, to + (i + 4) * width);
  }
}

void transpose(const float* from, int64_t stride, int64_t count, int64_t columns, float* to, int64_t width) {
  int64_t j = 0;
  for (; j + 8 <= columns; j += 8) {
    int64_t p = 0;
    for (; p + 8 <= count; p += 8) transpose8(from + j * stride + p, stride, to + p * width + j, width);
    for (; p < count; ++p)
      for (int64_t c = j; c < j + 8; ++c) to[p * width + c] = from[c * stride + p];
  }
  for (; j < columns; ++j)
    for (int64_t p = 0; p < count; ++p) to[p * width + j] = from[j * stride + p];
}

// Copies `count` rows (k indices) of `columns` columns of b to rows of `width`, zeros behind.
void pack_b(const Matrix& b, int64_t batch, int64_t p0, int64_t count, int64_t j0, int64_t columns, int64_t width,
            float* to) {
  if (count == 0) return;
  const float* from = b.data + batch * b.batch + p0 * b.row + j0 * b.column;
  if (b.source) {
    b.source->copy(batch, p0, p0 + count, j0, j0 + columns, to, width);
  } else if (b.column == 1 && columns == width) {
    const D d;
    for (int64_t p = 0; p < count; ++p, from += b.row, to += width)
      for (int64_t j = 0; j < width; j += kLanes) hn::Store(hn::LoadU(d, from + j), d, to + j);
  } else if (b.row == 1) {
    transpose(from, b.column, count, columns, to, width);
  } else {
    for (int64_t p = 0; p < count; ++p)
      for (int64_t j = 0; j < columns; ++j) to[p * width + j] = from[p * b.row + j * b.column];
  }
  if (columns < width)
    for (int64_t p = 0; p < count; ++p) std::fill(to + p * width + columns, to + (p + 1) * width, 0.0f);
}

void copy_row(const float* from, int64_t stride, int64_t count, float* to) {
  if (stride == 1) {
    std::memcpy(to, from, count * sizeof(float));
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride];
  }
}

// Rows [i0, i1) x columns [j0, j1) of one matrix, all of k.
void block(const Gemm& g, int64_t batch, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
  const int64_t rows = i1 - i0, columns = j1 - j0;
  const bool b_in_memory = !g.b.source && g.b.column == 1 && rows <= 2 * kMaxRows;
  // Few rows need wide tiles (independent chains hide the latency); a panel that is copied anyway should stay small.
  const int vectors = b_in_memory && rows <= max_rows(8) ? 8 : rows <= max_rows(4) ? 4 : 2;
  const int64_t width = vectors * kLanes;
  const int64_t padded = (columns + width - 1) / width * width;
  const bool k_major = g.a.source ? g.a_is_k_major : g.a.row == 1 && g.a.column != 1;
  // a is used in place where its rows or columns are neighbours, unless the tiles would meet in few cache sets.
  const bool neighbours = k_major || g.a.column == 1 || rows == 1 || g.k <= 1;
  const bool crowded = rows > kMaxRows && !k_major && g.a.row % 256 == 0 && columns > width;
  const bool gather = g.a.source || !neighbours || crowded;
  const int64_t gathered_row = k_major ? rows + 16 : kGatherStride;
  const int64_t chunks = std::max<int64_t>(1, (g.k + kChunk - 1) / kChunk);
  const bool own_total = g.sink || (g.add_to_y && chunks > 1);

  const int64_t panel_floats = width * std::min(g.k, kChunk) + 16;
  const int64_t gather_floats = gather ? (k_major ? kChunk * gathered_row : rows * gathered_row) : 0;
  auto* panel = static_cast<float*>(
      workspace((panel_floats + padded + gather_floats + (own_total ? rows * padded : 0) + 64) * sizeof(float)));
  float* bias = panel + panel_floats;
  float* gathered = bias + padded;
  float* totals = gathered + gather_floats;
  if (g.bias)
    for (int64_t j = 0; j < columns; ++j) bias[j] = g.bias[(j0 + j) * g.bias_stride];

  const int64_t y_row = g.sink ? padded : g.y_row;
  float* y = g.sink ? totals : g.y + batch * g.y_batch + i0 * g.y_row + j0;
  const int64_t tiles_most = (rows + max_rows(vectors) - 1) / max_rows(vectors);
  for (int64_t c = 0; c < chunks; ++c) {
    const int64_t p0 = c * kChunk, count = std::min(kChunk, g.k - p0);
    const float* a = g.a.source ? gathered : g.a.data + batch * g.a.batch + i0 * g.a.row + p0 * g.a.column;
    int64_t a_row = g.a.row, a_col = g.a.column;
    if (gather && count > 0) {
      const int64_t r0 = k_major ? p0 : i0, r1 = k_major ? p0 + count : i1;
      const int64_t c0 = k_major ? i0 : p0, c1 = k_major ? i1 : p0 + count;
      if (g.a.source) {
        g.a.source->copy(batch, r0, r1, c0, c1, gathered, gathered_row);
      } else {
        const int64_t row = k_major ? a_col : a_row, column = k_major ? a_row : a_col;
        for (int64_t r = 0; r < r1 - r0; ++r) copy_row(a + r * row, column, c1 - c0, gathered + r * gathered_row);
      }
      a = gathered, a_row = k_major ? 1 : gathered_row, a_col = k_major ? gathered_row : 1;
    }
    const bool unit = a_col == 1 || count <= 1;
    for (int64_t j = 0; j < columns; j += width) {
      const int64_t here = std::min(width, columns - j);
      int panel_vectors = vectors;
      while (panel_vectors > 1 && here <= panel_vectors / 2 * kLanes) panel_vectors /= 2;
      const int64_t panel_width = panel_vectors * kLanes;
      const float* b = panel;
      int64_t b_row = panel_width;
      if (b_in_memory && here == panel_width) {
        b = g.b.data + batch * g.b.batch + p0 * g.b.row + j0 + j;
        b_row = g.b.row;
      } else {
        pack_b(g.b, batch, p0, count, j0 + j, here, panel_width, panel);
      }
      Out out{y + j,
              y_row,
              own_total ? totals + j : y + j,
              own_total ? padded : y_row,
              g.bias ? bias + j : nullptr,
              here,
              c == 0,
              c + 1 == chunks,
              g.add_to_y};
      int64_t row = 0;
      for (int64_t t = 0; t < tiles_most; ++t) {  // rows split evenly: never full tiles and a thin one
        const int64_t next = rows * (t + 1) / tiles_most;
        const int n = static_cast<int>(next - row);
        const Tile f = unit ? pick<true>(panel_vectors, n) : pick<false>(panel_vectors, n);
        Out o = out;
        o.y += row * o.y_row, o.total += row * o.total_row;
        f(count, a + row * a_row, unit ? a_row : a_col, b, b_row, o);
        row = next;
      }
    }
  }
  if (g.sink) g.sink->put(i0, i1, j0, j1, totals, padded);
}

}  // namespace

// The work is cut by its size alone, never by the number of threads.
void run(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.batches == 0) return;
  const double work =
      2.0 * static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(std::max<int64_t>(g.k, 1));
  const double all = work * static_cast<double>(g.batches);
  // A few rows are bound by memory and done before a second thread has woken up.
  const double alone = g.m * g.batches <= 8 ? 1.5e6 : 4e5;
  const int64_t wanted = all < alone ? 1 : std::clamp<int64_t>(static_cast<int64_t>(all / 2e6), 2, 64);
  // A block's rows of one chunk of a stay in the second-level cache while the panels of b pass.
  const int64_t most_rows = std::max<int64_t>(64, 65536 / std::clamp<int64_t>(g.k, 1, kChunk));
  int64_t row_blocks = (g.m + most_rows - 1) / most_rows;
  int64_t column_blocks = (g.n + 511) / 512;
  constexpr int64_t kColumns = 32;
  for (int64_t blocks; (blocks = g.batches * row_blocks * column_blocks) < wanted;) {
    const int64_t rows = g.m / (row_blocks + 1), columns = g.n / (column_blocks + 1);
    if (rows >= (blocks < 16 ? 104 : 256)) {  // small blocks copy their operands more often
      ++row_blocks;
    } else if (blocks < 8 && columns >= kColumns) {
      ++column_blocks;
    } else if (blocks < 4 && rows >= 13) {
      ++row_blocks;
    } else {
      break;
    }
  }
  const int64_t per_matrix = row_blocks * column_blocks, blocks = g.batches * per_matrix;
  const int64_t column_panels = (g.n + kColumns - 1) / kColumns;
  parallel_for(blocks, std::max<int64_t>(1, blocks / wanted), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t r = i % per_matrix / column_blocks, c = i % column_blocks;
      const int64_t j0 = column_panels * c / column_blocks * kColumns;
      const int64_t j1 = std::min(g.n, column_panels * (c + 1) / column_blocks * kColumns);
      block(g, i / per_matrix, g.m * r / row_blocks, g.m * (r + 1) / row_blocks, j0, j1);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tapedeck::kernels::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels::simd {

void gemm(const Gemm& g) { use_avx512() ? N_AVX3::run(g) : N_AVX2::run(g); }

}  // namespace tapedeck::kernels::simd
#endif
