#include <tapedeck/kernels/cpu/isa.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/step_layout.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tapedeck/kernels/cpu/simd_steps.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include <tapedeck/kernels/cpu/simd_loops-inl.h>

HWY_BEFORE_NAMESPACE();
#define TD_MATH_NAMESPACE HWY_NAMESPACE
#include <tapedeck/kernels/common/elementwise_math.h>

namespace tapedeck::kernels::HWY_NAMESPACE {
namespace {

using V = hn::Vec<DF>;
using std::int64_t;
constexpr int64_t kChunk = 256;
constexpr int kPer = kStepBlock / kLanes;  // vectors in a block
// Blocks that are summed at a time for a number of rows: enough independent chains to hide an FMA's latency.
constexpr int max_blocks(int rows) { return HWY_TARGET == HWY_AVX2 ? (rows == 1 ? 2 : 1) : rows == 1 ? 4 : 2; }
// And rows: where all is one chunk, sums of chunks need no registers.
constexpr int max_rows(bool one_chunk) { return HWY_TARGET == HWY_AVX2 ? 2 : one_chunk ? 6 : 4; }
constexpr int64_t kAhead = 6144;        // bytes of weights between what is read and what is fetched
constexpr int64_t kGateAhead = 2048;    // and what is fetched besides while a gate is computed
constexpr int64_t kStartAhead = 16384;  // and of the next step, when one ends

HWY_INLINE void fetch(const void* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) hwy::Prefetch(static_cast<const char*>(from) + i);
}

HWY_INLINE void load_block(const float* w, V (&v)[kPer]) {
  HWY_UNROLL(8)
  for (int i = 0; i < kPer; ++i) v[i] = hn::LoadU(DF(), w + i * kLanes);
}
HWY_INLINE void load_block(const BFloat16* w, V (&v)[kPer]) {  // its bits are the upper half of a float's
  const hn::RebindToUnsigned<DF> du;
  HWY_UNROLL(2)
  for (int i = 0; i < kPer / 2; ++i) {
    const auto pair = hn::LoadU(du, reinterpret_cast<const std::uint32_t*>(w) + i * kLanes);
    v[i] = hn::BitCast(DF(), hn::ShiftLeft<16>(pair));
    v[i + kPer / 2] = hn::BitCast(DF(), hn::And(pair, hn::Set(du, 0xffff0000u)));
  }
}

// What a thread waits for, if anything, before it reads segments from `from` on.
struct Wait {
  Team* team;
  int marks, from;
  HWY_INLINE void at(int segment) const {
    if (segment == from && marks > 0) team->wait_for(marks);
  }
};

HWY_INLINE void finish(const StepProduct& p, const V (&s)[kPer], int64_t row, int64_t block) {
  if (p.partial) {
    HWY_UNROLL(8)
    for (int i = 0; i < kPer; ++i) hn::StoreU(s[i], DF(), p.y + row * p.y_row + block * kStepBlock + i * kLanes);
    return;
  }
  float* y = p.y + row * p.y_row;
  if (p.then == StepThen::gate) {
    HWY_UNROLL(2)
    for (int i = 0; i < kPer / 2; ++i) {
      const F r = Tanh::value(F(s[i]), F(0), F(0)) * Sigmoid::value(F(s[i + kPer / 2]), F(0), F(0));
      const int64_t at = block * (kStepBlock / 2) + i * kLanes, here = p.n - at;
      if (here >= kLanes)
        store(r, y + at);
      else if (here > 0)
        store_first(r, y + at, here);
    }
    return;
  }
  const float* add = p.then == StepThen::add ? p.add + row * p.add_row : nullptr;
  HWY_UNROLL(8)
  for (int i = 0; i < kPer; ++i) {
    const int64_t at = block * kStepBlock + i * kLanes, here = p.n - at;
    if (here >= kLanes)
      store(add ? load(add + at) + F(s[i]) : F(s[i]), y + at);
    else if (here > 0)
      store_first(add ? load_first(add + at, here) + F(s[i]) : F(s[i]), y + at, here);
  }
}

// kRows rows from `row` on, kBlocks blocks from `block` on, whose weights and bias begin at w and bias. kOne: no more
// than a chunk.
template <class W, bool kOne, int kRows, int kBlocks>
HWY_NOINLINE void tile(const StepProduct& p, const Wait& wait, const W* w, int64_t w_row, const float* bias,
                       int64_t row, int64_t block) {
  constexpr int kVectors = kBlocks * kPer;
  V acc[kRows][kVectors], total[kOne ? 1 : kRows][kVectors];
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) {
      if (!kOne) total[r][v] = hn::Zero(DF());
      acc[r][v] = p.begun ? hn::LoadU(DF(), p.begun + (row + r) * p.begun_row + block * kStepBlock + v * kLanes)
                          : hn::Zero(DF());
    }
  }
  int64_t left = kChunk - p.begun_k;  // of the current chunk
  bool first = true;
  for (int s = 0; s < p.segments; ++s) {
    wait.at(s);
    const StepSegment& segment = p.x[s];
    const float* x[kRows];
    HWY_UNROLL(8)
    for (int r = 0; r < kRows; ++r) x[r] = segment.x + (row + r) * segment.row_stride;
    for (int64_t i = 0; i < segment.length;) {
      if (!kOne && left == 0) {
        HWY_UNROLL(8)
        for (int r = 0; r < kRows; ++r) {
          HWY_UNROLL(8)
          for (int v = 0; v < kVectors; ++v) {
            total[r][v] = first ? acc[r][v] : hn::Add(total[r][v], acc[r][v]);
            acc[r][v] = hn::Zero(DF());
          }
        }
        first = false, left = kChunk;
      }
      const int64_t end = kOne ? segment.length : std::min(segment.length, i + left);
      left -= end - i;
      for (; i < end; ++i, w += w_row) {
        V xv[kRows];
        HWY_UNROLL(8)
        for (int r = 0; r < kRows; ++r) xv[r] = hn::Set(DF(), x[r][i]);
        HWY_UNROLL(8)
        for (int b = 0; b < kBlocks; ++b) {
          const W* here = w + b * kStepBlock;
          for (std::size_t line = 0; line < kStepBlock * sizeof(W); line += 64)
            hwy::Prefetch(reinterpret_cast<const char*>(here) + kAhead + line);
          V wv[kPer];
          load_block(here, wv);
          HWY_UNROLL(8)
          for (int v = 0; v < kPer; ++v) {
            HWY_UNROLL(8)
            for (int r = 0; r < kRows; ++r) acc[r][b * kPer + v] = hn::MulAdd(xv[r], wv[v], acc[r][b * kPer + v]);
          }
        }
      }
    }
  }
  if (p.then == StepThen::gate) fetch(reinterpret_cast<const char*>(w) + kAhead, kGateAhead);
  HWY_UNROLL(8)
  for (int r = 0; r < kRows; ++r) {
    HWY_UNROLL(8)
    for (int b = 0; b < kBlocks; ++b) {
      V sum[kPer];
      HWY_UNROLL(8)
      for (int v = 0; v < kPer; ++v) {
        const int at = b * kPer + v;
        sum[v] = kOne || first ? acc[r][at] : hn::Add(total[r][at], acc[r][at]);
        if (p.bias) sum[v] = hn::Add(sum[v], hn::LoadU(DF(), bias + at * kLanes));
      }
      finish(p, sum, row + r, block + b);
    }
  }
}

template <class W, bool kOne, int kRows, int kBlocks = max_blocks(kRows)>
HWY_INLINE void run_tile(int64_t blocks, const StepProduct& p, const Wait& wait, const W* w, int64_t w_row,
                         const float* bias, int64_t row, int64_t block) {
  if constexpr (kBlocks > 1) {
    if (blocks < kBlocks) return run_tile<W, kOne, kRows, kBlocks - 1>(blocks, p, wait, w, w_row, bias, row, block);
  }
  tile<W, kOne, kRows, kBlocks>(p, wait, w, w_row, bias, row, block);
}

// All rows for blocks of a panel, few at a time: their weights are read from memory once.
template <class W, bool kOne, int kRows>
void run_rows(const StepProduct& p, const Wait& wait, const StepPanel& panel, int64_t row, int64_t rows) {
  const int64_t w_row = (panel.end - panel.begin) * kStepBlock;
  const auto* weight = reinterpret_cast<const W*>(panel.weight);
  const auto* bias = reinterpret_cast<const float*>(weight + p.k * w_row);
  for (int64_t b = panel.begin; b < panel.end; b += max_blocks(kRows)) {
    const int64_t count = std::min<int64_t>(max_blocks(kRows), panel.end - b), at = (b - panel.begin) * kStepBlock;
    for (int64_t r = row; r < row + rows; r += kRows)
      run_tile<W, kOne, kRows>(count, p, wait, weight + at, w_row, bias + at, r, b);
  }
}
template <class W, bool kOne, int kRows>
void run_rest(const StepProduct& p, const Wait& wait, const StepPanel& panel, int64_t row) {
  const int64_t here = (p.rows - row) / kRows * kRows;
  if (here > 0) run_rows<W, kOne, kRows>(p, wait, panel, row, here);
  if constexpr (kRows > 1) run_rest<W, kOne, kRows == 2 ? 1 : kRows - 2>(p, wait, panel, row + here);
}
bool one_chunk(const StepProduct& p) { return p.begun_k + p.k <= kChunk; }
template <class W>
void run_panel(const StepProduct& p, const Wait& wait, const StepPanel& panel) {
  one_chunk(p) ? run_rest<W, true, max_rows(true)>(p, wait, panel, 0)
               : run_rest<W, false, max_rows(false)>(p, wait, panel, 0);
}

// The one row of a product of one panel.
template <class W>
HWY_INLINE void run_small(const StepProduct& p, const Wait& wait, int64_t blocks) {
  const auto* weight = static_cast<const W*>(p.weight);
  const int64_t w_row = blocks * kStepBlock;
  const auto* bias = reinterpret_cast<const float*>(weight + p.k * w_row);
  one_chunk(p) ? run_tile<W, true, 1>(blocks, p, wait, weight, w_row, bias, 0, 0)
               : run_tile<W, false, 1>(blocks, p, wait, weight, w_row, bias, 0, 0);
}

HWY_INLINE void run_share(const StepProduct& p, const Wait& wait, int share) {
  if (p.rows == 1 && p.shares == 1) {
    const int64_t blocks = StepLayout::blocks(p);
    if (blocks <= kStepPanel && blocks <= max_blocks(1))
      return p.weights == DType::bf16 ? run_small<BFloat16>(p, wait, blocks) : run_small<float>(p, wait, blocks);
  }
  const StepLayout layout(p, share);
  const auto panels = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const StepPanel panel = layout.panel(i);
      p.weights == DType::bf16 ? run_panel<BFloat16>(p, wait, panel) : run_panel<float>(p, wait, panel);
    }
  };
  if (!wait.team && p.rows * layout.panels() * kStepPanel * layout.block_bytes() >= 4'000'000)
    parallel_for(layout.panels(), 1, panels);
  else
    panels(0, layout.panels());
}

// Old taps lie far back in their rings: they are fetched some parts before they are read.
constexpr int64_t kPartsAhead = 3;
HWY_INLINE void fetch_inputs(const StepProduct& p) {
  for (int s = 0; s < p.segments; ++s) fetch(p.x[s].x, p.rows * p.x[s].length * static_cast<int64_t>(sizeof(float)));
  if (p.begun) fetch(p.begun, p.rows * p.begun_row * static_cast<int64_t>(sizeof(float)));
}

}  // namespace

void walk_steps(const StepsArgs& a, int share) {
  for (int64_t i = 0; i < a.count; ++i) {
    const StepPart& part = a.parts[i];
    if (i + kPartsAhead < a.count && !a.parts[i + kPartsAhead].idle) fetch_inputs(a.parts[i + kPartsAhead].product);
    const Wait wait{a.team, a.team ? part.needs + 1 : 0, part.needs_from};
    if (part.idle) {
      // No more than its mark.
    } else if (!part.call) {
      run_share(part.product, wait, share);
    } else if (share == 0) {
      wait.at(part.needs_from);
      part.call(part.with);
    }
    if (a.team) a.team->passed(share, static_cast<int>(i) + 1);
  }
  if (a.count == 0) return;
  const StepProduct& next = a.parts[0].product;
  fetch(static_cast<const char*>(next.weight) + share * next.share_stride, kStartAhead);
}

}  // namespace tapedeck::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tapedeck::kernels {

void simd_steps(const StepsArgs& a) {
  const auto walk = use_avx512() ? N_AVX3::walk_steps : N_AVX2::walk_steps;
  if (!a.team) return walk(a, 0);
  a.team->run([&](int share) { walk(a, share); });
}

}  // namespace tapedeck::kernels
#endif
