#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/simd_gemm.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_gemm.cpp"
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
constexpr int64_t kGatherStride = kChunk + 16;  // not a power of two: rows of one tile fall into different cache sets

// Rows of a register tile that is `vectors` wide: accumulators, one row of b and one element of a fit the registers.
constexpr int max_rows(int vectors) {
  if (HWY_TARGET == HWY_AVX2) return vectors <= 2 ? 6 : vectors == 4 ? 3 : 1;
  return vectors <= 2 ? 13 : vectors == 4 ? 6 : vectors == 8 ? 2 : 1;
}
constexpr int kMaxRows = max_rows(2);
// Few rows need wide tiles: independent chains hide the latency, and each row of b is read in long runs. Not where the
// last panel would be far from full.
int tile_vectors(int64_t rows, int64_t columns) {
  if (rows == 1 && columns > 8 * kLanes && HWY_TARGET != HWY_AVX2) return 16;
  const bool fills = (columns - 1) % (4 * kLanes) >= 3 * kLanes;
  if (rows >= 12 && rows <= 24 && fills && HWY_TARGET != HWY_AVX2) return 4;
  return rows <= max_rows(8) ? 8 : rows <= max_rows(4) ? 4 : 2;
}

// Where a tile goes. A chunk that is neither first nor last lives in `total` (which is y where y is free to be used).
struct Out {
  float* y;
  int64_t y_row;
  float* total;
  int64_t total_row;
  const float* bias;    // of this panel, padded to its width; or nullptr
  const float* addend;  // or nullptr
  int64_t addend_row;
  int64_t columns;  // of the panel that exist
  bool first, last, add_to_y;
  void move(int64_t by) {
    y += by, total += by;
    if (bias) bias += by;
    if (addend) addend += by;
  }
};

// What comes near while tiles compute: `rows` of `pairs` of cache lines, `jump` bytes between the end of one and the
// next.
struct Run {
  const char* at;
  int64_t pairs, jump, rows;
};
// Of the runs from `run` on, `pairs` in all, a tile fetches `quota` pairs of lines, one per k index.
struct Fetch {
  Run* run;
  int64_t left, pairs, quota;  // left: pairs of this row
};

// The end of a chunk where columns are missing, off the fast path: `part` holds the tile, rows of `width`.
HWY_NOINLINE void finish(const Out& o, int rows, const float* part, int64_t width) {
  const D d;
  for (int64_t j = 0; j < o.columns; j += kLanes) {
    const int64_t here = std::min<int64_t>(kLanes, o.columns - j);
    const auto mask = hn::FirstN(d, static_cast<std::size_t>(here));
    const V bias = o.last && o.bias ? hn::LoadU(d, o.bias + j) : hn::Zero(d);
    const auto load = [&](const float* p)
                          HWY_ATTR { return here == kLanes ? hn::LoadU(d, p) : hn::MaskedLoad(mask, d, p); };
    float *total = o.total + j, *y = o.y + j;
    const float* addend = o.addend + j;
    for (int i = 0; i < rows; ++i, total += o.total_row, y += o.y_row, addend += o.addend_row) {
      V v = hn::Load(d, part + i * width + j);
      if (!o.first) v = hn::Add(load(total), v);
      if (o.last && o.add_to_y) v = hn::Add(v, load(y));
      if (o.last && o.bias) v = hn::Add(v, bias);
      if (o.last && o.addend) v = hn::Add(v, load(addend));
      float* to = o.last ? y : total;
      here == kLanes ? hn::StoreU(v, d, to) : kernels::HWY_NAMESPACE::store_first(v, to, here);
    }
  }
}

HWY_INLINE const char* next_row(Fetch& f, const char* at) {
  if (--f.run->rows > 0) return at + f.run->jump;
  return (++f.run)->at;
}

// A tile of kRows x kVectors vectors over the k indices of all segments. kUnit: a's columns are neighbours in memory,
// rows a segment's `row` apart; otherwise its rows are neighbours, columns `row` apart. kPack: the rows of b, which lie
// far apart, are copied to `packed` in passing.
template <int kRows, int kVectors, bool kUnit, bool kPack>
HWY_INLINE void tile(const Segment* a, int segments, const float* b, int64_t b_row, float* packed, const Out& o,
                     Fetch& fetch) {
  const D d;
  constexpr bool kFetch = kVectors == 2;
  int64_t quota = std::min(fetch.quota, fetch.pairs), pairs = fetch.left;
  fetch.pairs -= quota;
  const char* near = fetch.run->at;
  V acc[kRows][kVectors];
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Zero(d);
  }
  for (const Segment* end = a + segments; a != end; ++a) {
    const int64_t a_stride = a->row;
    // One pointer per three rows, opaque to the compiler: with a pointer per row it spills addresses into the loop.
    constexpr int kPointers = kUnit ? (kRows + 2) / 3 : 1;
    const float* rows[kPointers];
    HWY_UNROLL(8)
    for (int i = 0; i < kPointers; ++i) {
      rows[i] = a->data + 3 * i * (kUnit ? a_stride : 0);
      asm("" : "+r"(rows[i]));
    }
    for (int64_t p = a->count; p > 0; --p) {
      if (kFetch && --quota >= 0) {
        __builtin_prefetch(near, 0, 3);
        __builtin_prefetch(near + 64, 0, 3);
        near += 128;
        if (--pairs == 0) near = next_row(fetch, near), pairs = fetch.run->pairs;
      }
      V bv[kVectors];
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; ++v) {
        bv[v] = hn::LoadU(d, b + v * kLanes);
        if (kVectors >= 8) __builtin_prefetch(b + 4 * b_row + v * kLanes, 0, 3);
        if constexpr (kPack) hn::Store(bv[v], d, packed + v * kLanes);
      }
      HWY_UNROLL(16)
      for (int i = 0; i < kRows; ++i) {
        const V av = hn::Set(d, kUnit ? rows[i / 3][(i % 3) * a_stride] : rows[0][i]);
        HWY_UNROLL(16)
        for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::MulAdd(av, bv[v], acc[i][v]);
      }
      HWY_UNROLL(8)
      for (int i = 0; i < kPointers; ++i) rows[i] += kUnit ? 1 : a_stride;
      b += b_row;
      if constexpr (kPack) packed += kVectors * kLanes;
    }
  }
  if (kFetch) fetch.left = pairs, fetch.run->at = near;
  constexpr int64_t kWidth = kVectors * kLanes;
  if (o.columns == kWidth) {
    const auto add_rows = [&](const float* from, int64_t row) HWY_ATTR {
      HWY_UNROLL(16)
      for (int i = 0; i < kRows; ++i) {
        HWY_UNROLL(16)
        for (int v = 0; v < kVectors; ++v) acc[i][v] = hn::Add(acc[i][v], hn::LoadU(d, from + i * row + v * kLanes));
      }
    };
    if (!o.first) add_rows(o.total, o.total_row);
    if (o.last && o.add_to_y) add_rows(o.y, o.y_row);
    if (o.last && o.bias) add_rows(o.bias, 0);
    if (o.last && o.addend) add_rows(o.addend, o.addend_row);
    float* to = o.last ? o.y : o.total;
    const int64_t to_row = o.last ? o.y_row : o.total_row;
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(16)
      for (int v = 0; v < kVectors; ++v) hn::StoreU(acc[i][v], d, to + i * to_row + v * kLanes);
    }
    return;
  }
  HWY_ALIGN float part[kRows * kWidth];
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(16)
    for (int v = 0; v < kVectors; ++v) hn::Store(acc[i][v], d, part + i * kWidth + v * kLanes);
  }
  finish(o, kRows, part, kWidth);
}

// Tiles side by side: `panels` of b, `panel` floats apart. Moves `o` behind them.
template <int kRows, int kVectors, bool kUnit, bool kPack>
HWY_NOINLINE void tiles(const Segment* a, int segments, const float* b, int64_t b_row, int64_t panel, int64_t panels,
                        float* packed, Out& o, Fetch& fetch) {
  for (int64_t i = 0; i < panels; ++i, b += panel) {
    tile<kRows, kVectors, kUnit, kPack>(a, segments, b, b_row, packed, o, fetch);
    o.move(kVectors * kLanes);
  }
}

using Tiles = void (*)(const Segment*, int, const float*, int64_t, int64_t, int64_t, float*, Out&, Fetch&);

// The tiles of 1, 2, … rows.
template <int kVectors, bool kUnit, bool kPack, int... kRows>
Tiles of_rows(int rows, std::integer_sequence<int, kRows...>) {
  static constexpr Tiles all[] = {tiles<kRows + 1, kVectors, kUnit, kPack>...};
  return all[rows - 1];
}
template <bool kUnit>
Tiles pick(int vectors, int rows) {
  const auto of = [rows](auto v) {
    return of_rows<v(), kUnit, false>(rows, std::make_integer_sequence<int, max_rows(v())>());
  };
  switch (vectors) {
    case 1:
      return of(std::integral_constant<int, 1>());
    case 2:
      return of(std::integral_constant<int, 2>());
    case 4:
      return of(std::integral_constant<int, 4>());
    case 8:
      return of(std::integral_constant<int, 8>());
    default:
      return of(std::integral_constant<int, 16>());
  }
}
template <bool kUnit>
Tiles pick_packing(int rows) {  // two vectors wide
  return of_rows<2, kUnit, true>(rows, std::make_integer_sequence<int, kMaxRows>());
}

void transpose(const float* from, int64_t stride, int64_t count, int64_t columns, float* to, int64_t width) {
  int64_t j = 0;
  for (; j + kLanes <= columns; j += kLanes) {
    int64_t p = 0;
    for (; p + kLanes <= count; p += kLanes) {
      V x[kLanes];
      kernels::HWY_NAMESPACE::load_transposed(from + j * stride + p, stride, x);
      HWY_UNROLL(16)
      for (int i = 0; i < kLanes; ++i) hn::StoreU(x[i], D(), to + (p + i) * width + j);
    }
    for (; p < count; ++p)
      for (int64_t c = j; c < j + kLanes; ++c) to[p * width + c] = from[c * stride + p];
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
  int64_t i = 0;
  if (stride == 1) {
    const D d;
    for (; i + kLanes <= count; i += kLanes) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
  }
  for (; i < count; ++i) to[i] = from[i * stride];
}

// Rows [i0, i1) x columns [j0, j1) of one matrix, all of k. A chunk of b lies in panels of a tile's width. Many rows
// (or few panels) are walked through tile by tile, each with all panels: the rows of a stay in the first-level cache,
// the panels in the second. Otherwise one panel is taken after the other.
class Block {
 public:
  Block(const Gemm& g, int64_t batch, int64_t i0, int64_t i1, int64_t j0, int64_t j1)
      : g_(g), batch_(batch), i0_(i0), j0_(j0), rows_(i1 - i0), columns_(j1 - j0) {
    const bool near = !g.b.source && g.b.column == 1;
    vectors_ = near ? tile_vectors(rows_, columns_) : 2;
    width_ = vectors_ * kLanes;
    all_near_ = rows_ * g.k + g.k * columns_ + rows_ * columns_ <= 64 * 64 * 3;
    tiles_ = (rows_ + max_rows(vectors_) - 1) / max_rows(vectors_);
    packs_ = tiles_ > 8;  // a panel that fewer tiles read is not worth a copy
    k_major_ = g.a.source ? g.a_is_k_major : g.a.row == 1 && g.a.column != 1;
    rows_first_ = !k_major_ && (packs_ || (near && tiles_ > 1 && columns_ > width_ && columns_ <= 4 * width_));
    // a is used in place where its rows or columns are neighbours, unless a tile's rows would meet in one cache set.
    const bool neighbours = k_major_ || g.a.column == 1 || rows_ == 1 || g.k <= 1;
    const bool crowded = tiles_ > 1 && !k_major_ && g.a.row % 1024 == 0;
    gather_ = g.a.source || !neighbours || (crowded && columns_ > width_);
    gathered_row_ = k_major_ ? rows_ + 16 : std::min(kGatherStride, (g.k + 31) / 16 * 16);
  }

  void run() {
    const int64_t padded = (columns_ + width_ - 1) / width_ * width_;
    const int64_t chunks = std::max<int64_t>(1, (g_.k + kChunk - 1) / kChunk);
    const bool own_total = g_.sink || (g_.add_to_y && chunks > 1);
    const int64_t panel_floats = (rows_first_ ? padded : width_) * std::min(g_.k, kChunk) + 16;
    const int64_t gather_floats = !gather_   ? 0
                                  : k_major_ ? kChunk * gathered_row_
                                             : (rows_first_ ? kMaxRows : rows_) * gathered_row_;
    const auto whole_lines = [](int64_t floats) { return (floats + 15) / 16 * 16; };
    panels_ = static_cast<float*>(workspace(static_cast<std::size_t>(
        (whole_lines(panel_floats) + padded + whole_lines(gather_floats) + (own_total ? rows_ * padded : 0) + 64) *
        static_cast<int64_t>(sizeof(float)))));
    bias_ = panels_ + whole_lines(panel_floats);
    gathered_ = bias_ + padded;
    float* totals = gathered_ + whole_lines(gather_floats);
    if (g_.bias)
      for (int64_t j = 0; j < columns_; ++j) bias_[j] = g_.bias[(j0_ + j) * g_.bias_stride];
    out_.y_row = g_.sink ? padded : g_.y_row;
    out_.y = g_.sink ? totals : g_.y + batch_ * g_.y_batch + i0_ * g_.y_row + j0_;
    out_.total = own_total ? totals : out_.y;
    out_.total_row = own_total ? padded : out_.y_row;
    out_.add_to_y = g_.add_to_y;
    out_.addend = g_.addend ? g_.addend + i0_ * g_.addend_row + j0_ : nullptr, out_.addend_row = g_.addend_row;
    for (int64_t c = 0; c < chunks; ++c) {
      p0_ = c * kChunk, count_ = std::min(kChunk, g_.k - p0_);
      out_.first = c == 0 && !g_.continues, out_.last = c + 1 == chunks;
      rows_first_ ? by_rows() : by_panels();
    }
    if (g_.sink) g_.sink->put(i0_, i0_ + rows_, j0_, j0_ + columns_, totals, padded);
  }

 private:
  int64_t row_of(int64_t t) const { return rows_ * t / tiles_; }  // split evenly: never full tiles and a thin one

  // A chunk of k, one tile of rows after the other with all panels. The first one brings the panels into their places.
  void by_rows() {
    if (!gather_) find_a(0, rows_);
    const int64_t whole = columns_ / width_;  // panels
    for (int64_t t = 0; t < tiles_; ++t) {
      if (gather_) find_a(row_of(t), row_of(t + 1));
      start_row(t);
      Out out = row_out_;
      int64_t j = 0;
      if (t > 0) {
        fetch_tile(t + 1);
        fetch_.quota = fetch_.pairs / std::max<int64_t>(1, whole) + 1;
        Segment lies{panels_, width_, width_};
        if (whole > 0 && (packs_ || find_b(p0_, count_, 0, width_, lies))) {
          out.columns = width_, j = whole * width_;
          row_tiles_(row_a_, segments_, lies.data, lies.row, packs_ ? count_ * width_ : width_, whole, nullptr, out,
                     fetch_);
        }
      }
      for (; j < columns_; j += width_) {
        if (t == 0) j + width_ < columns_ ? fetch_panel(j + width_) : fetch_tile(1), fetch_.quota = fetch_.pairs;
        one_tile(t, j, panels_ + j * count_, out);
      }
    }
  }
  // The same, one panel after the other with all rows.
  void by_panels() {
    find_a(0, rows_);
    for (int64_t j = 0; j < columns_; j += width_) {
      fetch_panel(j + width_);
      fetch_.quota = (fetch_.pairs + tiles_ - 1) / tiles_;
      for (int64_t t = 0; t < tiles_; ++t) {
        start_row(t);
        Out out = row_out_;
        out.move(j);
        one_tile(t, j, panels_, out);
      }
    }
  }

  // Sets a_ to this chunk of rows [r0, r1) of the block.
  void find_a(int64_t r0, int64_t r1) {
    a_first_ = r0, segments_ = 1, found_ = 0;
    unit_ = count_ <= 1 || (gather_ ? !k_major_ : g_.a.column == 1);
    if (!gather_) {
      const float* data = g_.a.data + batch_ * g_.a.batch + (i0_ + r0) * g_.a.row + p0_ * g_.a.column;
      a_[0] = {data, count_, unit_ ? g_.a.row : g_.a.column};
      if (rows_first_) lies_[0] = a_[0], found_ = 1;
      return;
    }
    if (count_ > 0 && g_.a.source) {
      const int64_t p1 = p0_ + count_, i0 = i0_ + r0, i1 = i0_ + r1;
      if (rows_first_) found_ = g_.a.source->in_place(batch_, i0, i1, p0_, p1, lies_);
      if (found_ > 0 && (columns_ <= width_ || lies_[0].row % 1024 != 0))
        return unit_ = true, std::copy_n(lies_, segments_ = found_, a_), void();
      if (found_ > 0)
        copy_segments(r1 - r0);
      else
        k_major_ ? g_.a.source->copy(batch_, p0_, p1, i0, i1, gathered_, gathered_row_)
                 : g_.a.source->copy(batch_, i0, i1, p0_, p1, gathered_, gathered_row_);
    } else if (count_ > 0) {
      const float* from = g_.a.data + batch_ * g_.a.batch + (i0_ + r0) * g_.a.row + p0_ * g_.a.column;
      const int64_t row = k_major_ ? g_.a.column : g_.a.row, column = k_major_ ? g_.a.row : g_.a.column;
      if (column == 1 && !k_major_) lies_[0] = {from, count_, row}, found_ = 1;
      for (int64_t r = 0; r < (k_major_ ? count_ : r1 - r0); ++r)
        copy_row(from + r * row, column, k_major_ ? r1 - r0 : count_, gathered_ + r * gathered_row_);
    }
    a_[0] = {gathered_, count_, unit_ && k_major_ ? 1 : gathered_row_};
  }

  void copy_segments(int64_t rows) {
    float* to = gathered_;
    for (int s = 0; s < found_; to += lies_[s++].count)
      for (int64_t r = 0; r < rows; ++r)
        copy_row(lies_[s].data + r * lies_[s].row, 1, lies_[s].count, to + r * gathered_row_);
  }
  // Lists what tile t will read and write or, behind the last, what the next chunk starts with, to be fetched.
  void fetch_tile(int64_t t) {
    if (all_near_) return;
    if (t == tiles_) return fetch_panel(columns_);
    runs_ = pairs_ = 0;
    const int64_t row = row_of(t), rows = row_of(t + 1) - row, below = row - a_first_;
    for (const Segment *s = lies_, *last = lies_ + found_; s != last; ++s)
      fetch_rows(s->data + below * s->row, s->row, rows, s->count);
    if (out_.last && out_.addend) fetch_rows(out_.addend + row * out_.addend_row, out_.addend_row, rows, columns_);
    if (out_.last) fetch_rows(out_.y + row * out_.y_row, out_.y_row, rows, columns_);
    if (out_.last)
      for (const Soon& s : g_.soon)
        if (s.data) fetch_rows(s.data + (i0_ + row) * s.row, s.row, rows, s.count);
    if (!(out_.first && out_.last)) fetch_rows(out_.total + row * out_.total_row, out_.total_row, rows, columns_);
    start_fetch();
  }
  // Lists the panel of b from column j on in this chunk or, behind the last, the first panel and the first rows of a in
  // the next.
  void fetch_panel(int64_t j) {
    if (all_near_) return;
    runs_ = pairs_ = 0;
    int64_t p = p0_, count = count_;
    if (j >= columns_) {
      j = 0, p += count_, count = std::min(kChunk, g_.k - p);
      if (count > 0 && !g_.a.source && k_major_)
        fetch_rows(g_.a.data + batch_ * g_.a.batch + p * g_.a.column + i0_, g_.a.column, count, rows_);
      if (count > 0 && !g_.a.source && g_.a.column == 1)
        fetch_rows(g_.a.data + batch_ * g_.a.batch + p + i0_ * g_.a.row, g_.a.row, rows_first_ ? row_of(1) : rows_,
                   count);
    }
    const int64_t columns = std::min(width_, columns_ - j);
    Segment lies;
    if (count > 0 && find_b(p, count, j, columns, lies)) {
      fetch_rows(lies.data, lies.row, count, columns);
    } else if (count > 0 && !g_.b.source && g_.b.row == 1) {
      fetch_rows(g_.b.data + batch_ * g_.b.batch + p + (j0_ + j) * g_.b.column, g_.b.column, columns, count);
    }
    start_fetch();
  }
  void fetch_rows(const float* data, int64_t row, int64_t rows, int64_t count) {
    if (row == count) count *= rows, rows = 1;
    const int64_t pairs = (count + 31) / 32;
    run_[runs_++] = {reinterpret_cast<const char*>(data), pairs, (row - pairs * 32) * 4, rows};
    pairs_ += pairs * rows;
  }
  void start_fetch() {
    run_[runs_] = {nullptr, INT64_MAX, 0, 1};
    fetch_ = {run_, run_[0].pairs, pairs_, 0};
  }

  // Tile t of the panel that begins in column j; the first tile brings the panel into its place.
  void one_tile(int64_t t, int64_t j, float* panel, Out& out) {
    out.columns = std::min(width_, columns_ - j);
    if (t > 0 && out.columns == width_)
      return row_tiles_(row_a_, segments_, b_lies_ ? b_.data : panel, b_lies_ ? b_.row : width_, 0, 1, panel, out,
                        fetch_);
    int vectors = vectors_;
    while (vectors > 1 && out.columns <= vectors / 2 * kLanes) vectors /= 2;
    const int64_t width = vectors * kLanes;
    if (t == 0) {
      const bool found = out.columns == width && find_b(p0_, count_, j, width, b_);
      b_lies_ = found && !packs_;
      if (found && packs_ && vectors == 2) {
        const Tiles f = unit_ ? pick_packing<true>(row_rows_) : pick_packing<false>(row_rows_);
        return f(row_a_, segments_, b_.data, b_.row, 0, 1, panel, out, fetch_);
      }
      if (!b_lies_) pack_b(g_.b, batch_, p0_, count_, j0_ + j, out.columns, width, panel);
    }
    pick_for_row(vectors)(row_a_, segments_, b_lies_ ? b_.data : panel, b_lies_ ? b_.row : width, 0, 1, panel, out,
                          fetch_);
  }

  // Where `columns` columns of b from j on lie in the rows [p, p + count), if they lie in one piece.
  bool find_b(int64_t p, int64_t count, int64_t j, int64_t columns, Segment& lies) const {
    if (!g_.b.source) {
      lies = {g_.b.data + batch_ * g_.b.batch + p * g_.b.row + j0_ + j, columns, g_.b.row};
      return g_.b.column == 1;
    }
    Segment all[kMaxSegments];
    if (count == 0 || g_.b.source->in_place(batch_, p, p + count, j0_ + j, j0_ + j + columns, all) != 1) return false;
    lies = all[0];
    return true;
  }
  Tiles pick_for_row(int vectors) const {
    return unit_ ? pick<true>(vectors, row_rows_) : pick<false>(vectors, row_rows_);
  }
  // What all tiles of row t of tiles share.
  void start_row(int64_t t) {
    const int64_t row = row_of(t);
    row_rows_ = static_cast<int>(row_of(t + 1) - row), row_tiles_ = pick_for_row(vectors_);
    row_out_ = out_;
    row_out_.y += row * out_.y_row, row_out_.total += row * out_.total_row, row_out_.bias = g_.bias ? bias_ : nullptr;
    if (out_.addend) row_out_.addend += row * out_.addend_row;
    row_a_ = a_;
    if (row != a_first_) {  // one segment: all rows were found at once
      below_ = a_[0];
      below_.data += (row - a_first_) * (unit_ ? below_.row : 1);
      row_a_ = &below_;
    }
  }

  const Gemm& g_;
  int64_t batch_, i0_, j0_, rows_, columns_, width_, tiles_, gathered_row_;
  int vectors_;
  bool all_near_, packs_, k_major_, rows_first_, gather_;
  float *panels_, *bias_, *gathered_;
  Out out_{}, row_out_{};
  Segment b_{};          // the panel where it lies
  bool b_lies_ = false;  // the tiles of this panel read it there, not a copy
  int row_rows_ = 0;
  Tiles row_tiles_ = nullptr;
  const Segment* row_a_ = nullptr;
  Segment below_{};
  int64_t p0_ = 0, count_ = 0, a_first_ = 0;
  Segment a_[kMaxSegments], lies_[kMaxSegments];  // what the tiles read, and where it comes from (if it is known)
  int segments_ = 1, found_ = 0;
  bool unit_ = true;
  static constexpr int kRuns = kMaxSegments + 5;
  Run run_[kRuns + 1];
  int runs_ = 0;
  int64_t pairs_ = 0;
  Fetch fetch_{run_, 0, 0, 0};
};

// Few outputs of a long contraction: threads share its chunks. The first one sums its own as ever; those of the others
// lie apart until they are added, in their order.
bool shares_chunks(const Gemm& g, double work, int threads) {
  return threads > 1 && !g.undivided && g.batches == 1 && g.m * g.n <= 2048 && g.k >= 7 * kChunk * threads &&
         work >= 4e6 && !g.a.source && !g.b.source && !g.sink && !g.add_to_y && !g.continues && !g.addend;
}
void run_by_chunks(const Gemm& g, int64_t threads) {
  const int64_t chunks = (g.k + kChunk - 1) / kChunk, alone = (chunks + threads - 1) / threads, outputs = g.m * g.n;
  auto* const apart = static_cast<float*>(
      workspace(static_cast<std::size_t>((chunks - alone) * outputs * static_cast<int64_t>(sizeof(float))), 2));
  const auto sum = [&](int64_t first, int64_t count, float* y, int64_t y_row) {
    Gemm part = g;
    const int64_t p = first * kChunk;
    part.k = std::min(g.k - p, count * kChunk);
    part.a.data += p * g.a.column, part.b.data += p * g.b.row;
    part.y = y, part.y_row = y_row, part.bias = nullptr;
    Block(part, 0, 0, g.m, 0, g.n).run();
  };
  parallel_for(threads, 1, [&](int64_t t, int64_t) {
    if (t == 0) return sum(0, alone, g.y, g.y_row);
    const int64_t others = chunks - alone, end = alone + others * t / (threads - 1);
    for (int64_t c = alone + others * (t - 1) / (threads - 1); c < end; ++c)
      sum(c, 1, apart + (c - alone) * outputs, g.n);
  });
  for (int64_t i = 0; i < g.m; ++i) {
    float* const y = g.y + i * g.y_row;
    for (int64_t c = 0; c < chunks - alone; ++c)
      for (int64_t j = 0; j < g.n; ++j) y[j] += apart[c * outputs + i * g.n + j];
    if (!g.bias) continue;
    for (int64_t j = 0; j < g.n; ++j) y[j] += g.bias[j * g.bias_stride];
  }
}

}  // namespace

// No bit depends on how the work is cut: every output is one block's alone. One thread takes all at once; for more the
// cut depends on the size and on how many there are.
void run(const Gemm& g) {
  const double work =
      2.0 * static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(std::max<int64_t>(g.k, 1));
  const double all = cost(g);
  const int threads = num_threads();
  if (shares_chunks(g, work, threads)) return run_by_chunks(g, threads);
  const int64_t wanted = all < kAlone || threads == 1 || g.undivided
                             ? 1
                             : std::clamp<int64_t>(static_cast<int64_t>(all / kAlone), 2, std::min(64, 2 * threads));
  // What a block copies or sums apart stays in the second-level cache.
  const bool k_major = g.a.source ? g.a_is_k_major : g.a.row == 1 && g.a.column != 1;
  const int64_t most_rows = k_major || g.sink ? 512 : g.m;
  int64_t row_blocks =
      std::max((g.m + most_rows - 1) / most_rows, wanted > 1 ? std::min<int64_t>(threads, g.m / 208) : 0);
  int64_t column_blocks = (g.n + 511) / 512;
  constexpr int64_t kColumns = 32;
  for (int64_t blocks; (blocks = g.batches * row_blocks * column_blocks) < wanted;) {
    const int64_t rows = g.m / (row_blocks + 1), columns = g.n / (column_blocks + 1);
    // Blocks of few rows copy their operands more often; those of few columns meet in every row of y.
    if (rows >= 104 || (rows >= 48 && columns < 128)) {
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
  // Rows before columns: two threads in the same rows would fetch lines that the other one writes.
  const int64_t grain = wanted == 1 ? blocks : g.batches == 1 ? 1 : std::max<int64_t>(1, blocks / wanted);
  parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t r = i % row_blocks, c = i % per_matrix / row_blocks;
      const int64_t j0 = column_panels * c / column_blocks * kColumns;
      const int64_t j1 = std::min(g.n, column_panels * (c + 1) / column_blocks * kColumns);
      Block(g, i / per_matrix, g.m * r / row_blocks, g.m * (r + 1) / row_blocks, j0, j1).run();
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace tapedeck::kernels::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels::simd {

void gemm(const Gemm& g) {
  if (g.m == 0 || g.n == 0 || g.batches == 0) return;
  const bool plain = !g.a.source && !g.b.source && !g.sink && !g.continues;
  if (plain && (few_rows(g) || few_columns(g))) return run_few_rows(g);
  use_avx512() ? N_AVX3::run(g) : N_AVX2::run(g);
}

}  // namespace tapedeck::kernels::simd
#endif
