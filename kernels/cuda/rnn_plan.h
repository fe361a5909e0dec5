// Recurrent layers by blocks that stay through all steps (rnn_sequence.cu): how the work of a step is shared out.
#pragma once
#include <tapedeck/kernels/cuda/plan.h>

#include <algorithm>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::sequence {

inline constexpr int kThreads = 256;
inline constexpr int kItems = 4;     // numbers of the state that a thread has, at most
inline constexpr int kTileRows = 4;  // of the batch, in a thread's tile of products

// Of one step: y [batch, width x per_unit] = x [batch, terms] @ w, where neighbouring units have a thread's tile
// (tile_units of them, per_unit rows of weights to each). Terms are counted in fours.
struct Problem {
  std::int64_t batch, width, fours;
  int per_unit, tile_units, bytes;  // bytes: of a number of x
};
// A block has `units` of the state and `rows` of the batch, their weights in shared memory, and of x a ring of chunks,
// the next ones under way while one is multiplied; `slices` threads share the terms of a tile. blocks: side by side
// along the state; groups: along the batch. Blocks of a group wait for each other, and no others.
struct Plan {
  int units = 0, rows = 0, blocks = 0, groups = 0, fours = 0, chunk = 0, slices = 0;  // units 0: there is none
  unsigned shared = 0;
};
inline constexpr int kRing = 4;

// Rows of shared memory lie an odd number of fours apart: neighbours in different banks.
__host__ __device__ inline int pitch_of(int fours) { return fours | 1; }

// The least time of a step, of all ways that fit: products or what of x comes from the other blocks, sums of slices,
// turns of chunks; guessed cycles, nothing was measured. `resident` blocks run at the same time, with `shared` bytes
// each; `most` products to a block.
inline Plan plan(const Problem& p, std::int64_t resident, std::int64_t shared, std::int64_t most) {
  using Int = std::int64_t;
  using std::max, std::min;
  Plan best;
  if (p.batch < 1 || p.width < 1 || p.fours > 1 << 14) return best;
  const auto narrow = [](Int v) { return static_cast<int>(v); };
  const Int own = Int{p.tile_units} * p.per_unit * kTileRows;  // sums of a thread
  Int least = 0;
  for (Int n = 1; n <= min(resident, ceil_div(p.width, p.tile_units)); ++n) {
    const Int units = ceil_div(ceil_div(p.width, n), p.tile_units) * p.tile_units;
    const Int weights = 4 * units * p.per_unit * (4 * Int{pitch_of(narrow(p.fours))} + 1);  // bytes, biases too
    const Int room = shared - weights;  // for x and then for the sums of slices
    if (ceil_div(p.width, units) != n || room <= 0) continue;
    for (Int m = 1; n * m <= resident && m <= ceil_div(p.batch, kTileRows); ++m) {
      const Int rows = ceil_div(ceil_div(p.batch, m), kTileRows) * kTileRows;
      if (ceil_div(p.batch, rows) != m || units * rows > kItems * kThreads) continue;
      if (units * p.per_unit * rows * 4 * p.fours > most) continue;
      const Int tiles = units / p.tile_units * (rows / kTileRows), items = ceil_div(units * rows, kThreads);
      for (Int slices = min(kThreads / tiles, p.fours); slices > 0; slices /= 2) {
        const Int sums = 4 * own * (tiles * slices | 1);
        if (sums > room) continue;
        const auto bytes = [&](Int chunk) {
          return min<Int>(kRing, ceil_div(p.fours, chunk)) * rows * pitch_of(narrow(chunk)) * 4 * p.bytes;
        };
        Int chunk = ceil_div(ceil_div(p.fours, kRing), slices) * slices;
        while (chunk > 0 && bytes(chunk) > room) chunk -= slices;
        if (chunk <= 0) continue;
        const Int turns = ceil_div(p.fours, chunk);
        const Int products = turns * (chunk / slices) * (own * 6 * ceil_div(tiles * slices, 4 * kWarp) + 40);
        const Int cycles = max(products, rows * p.fours * p.bytes * 3 / 20) + 60 * turns + 5 * slices * items + 8 * n;
        if (best.units > 0 && cycles >= least) continue;
        least = cycles;
        best = {
            narrow(units),   narrow(rows),  narrow(n),      narrow(m),
            narrow(p.fours), narrow(chunk), narrow(slices), static_cast<unsigned>(weights + max(bytes(chunk), sums))};
      }
    }
  }
  return best;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::sequence
