// Recurrent layers by blocks that stay through all steps (rnn_sequence.cu): how the work of a step is shared out.
#pragma once
#include <tapedeck/kernels/cuda/plan.h>

#include <algorithm>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::sequence {

inline constexpr int kThreads = 256;
inline constexpr int kItems = 4;     // numbers of the state that a thread has, at most
inline constexpr int kTileRows = 4;  // of the batch, in a thread's tile of products

// Of one step: y [batch, width x per_unit] = x [batch, terms] @ w, where neighbouring units have a thread's tile
// (tile_units of them, per_unit rows of weights to each).
struct Problem {
  std::int64_t batch, width, terms;
  int per_unit, tile_units;
};
// A block has `units` of the state and `rows` of the batch, their weights in shared memory, and of x `chunk` terms at a
// time (counted in fours, as `terms` is); `slices` threads share the terms of a tile. blocks: side by side along the
// state; groups: along the batch. Blocks of a group wait for each other, and no others.
struct Plan {
  int units = 0, rows = 0, blocks = 0, groups = 0, terms = 0, chunk = 0, slices = 0;  // units 0: there is none
  unsigned shared = 0;
};

// Rows of shared memory lie an odd number of fours apart: neighbours in different banks.
__host__ __device__ inline int pitch_of(int fours) { return fours | 1; }

// The least time of a step, of all ways that fit: products, sums of slices, x that comes from the other blocks, turns
// of chunks; guessed cycles, nothing was measured. `resident` blocks run at the same time, with `shared` bytes each;
// `most` products to a block.
inline Plan plan(const Problem& p, std::int64_t resident, std::int64_t shared, std::int64_t most) {
  using std::min;
  Plan best;
  if (p.batch < 1 || p.width < 1 || p.terms > 1 << 16) return best;
  const std::int64_t fours = ceil_div(p.terms, 4);
  double least = 0;
  for (std::int64_t n = 1; n <= min(resident, ceil_div(p.width, p.tile_units)); ++n) {
    const std::int64_t units = ceil_div(ceil_div(p.width, n), p.tile_units) * p.tile_units;
    const std::int64_t weights = units * p.per_unit * (4 * std::int64_t{pitch_of(static_cast<int>(fours))} + 1);
    const std::int64_t room = shared / 4 - weights;  // floats, for x and then for the sums of slices
    if (ceil_div(p.width, units) != n || room <= 0) continue;
    for (std::int64_t m = 1; n * m <= resident && m <= ceil_div(p.batch, kTileRows); ++m) {
      const std::int64_t rows = ceil_div(ceil_div(p.batch, m), kTileRows) * kTileRows;
      if (ceil_div(p.batch, rows) != m || units * rows > kItems * kThreads) continue;
      const double products = static_cast<double>(units * p.per_unit * rows) * static_cast<double>(4 * fours);
      if (products > static_cast<double>(most)) continue;
      const std::int64_t tiles = units / p.tile_units * (rows / kTileRows);
      const std::int64_t sums = p.tile_units * p.per_unit * kTileRows * (tiles + 1);  // floats of a slice
      std::int64_t chunk = min(fours, room / (4 * rows));
      if (4 * rows * pitch_of(static_cast<int>(chunk)) > room) --chunk;
      if (chunk < min<std::int64_t>(fours, 32)) continue;
      const std::int64_t own = p.tile_units * p.per_unit * kTileRows, items = ceil_div(units * rows, kThreads);
      for (std::int64_t slices = min(min(kThreads / tiles, chunk), room / sums); slices > 0; slices /= 2) {
        const auto number = [](std::int64_t v) { return static_cast<double>(v); };
        const double cycles = number(ceil_div(fours, slices) * (own * 6 * ceil_div(tiles * slices, 4 * kWarp) + 40)) +
                              number(5 * slices * items) + 0.6 * number(rows * fours) +
                              number(1000 * ceil_div(fours, chunk)) + number(8 * n);
        if (best.units > 0 && cycles >= least) continue;
        least = cycles;
        const auto narrow = [](std::int64_t v) { return static_cast<int>(v); };
        const std::int64_t floats = weights + std::max(4 * rows * pitch_of(narrow(chunk)), slices * sums);
        best = {narrow(units), narrow(rows),  narrow(n),      narrow(m),
                narrow(fours), narrow(chunk), narrow(slices), static_cast<unsigned>(4 * floats)};
      }
    }
  }
  return best;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::sequence
