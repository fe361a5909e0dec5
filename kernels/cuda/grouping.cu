#include <tapedeck/kernels/cuda/grouping.h>

#include <utility>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr int kDigits = 256, kWarps = 8, kThreads = kWarps * kWarp;
static_assert(kThreads == kDigits);

// The sum of v over the lanes up to this one. All lanes call it.
__device__ inline unsigned sum_to(unsigned v) {
  for (unsigned step = 1; step < kWarp; step *= 2) {
    const unsigned other = __shfl_up_sync(kAllLanes, v, step);
    if (threadIdx.x % kWarp >= step) v += other;
  }
  return v;
}
// The sum of v over the threads before this one; `spare`: shared, one for each warp. All threads call it.
__device__ inline unsigned sum_before(unsigned v, unsigned* spare) {
  const unsigned warp = threadIdx.x / kWarp, sum = sum_to(v);
  __syncthreads();  // what was read from `spare` before has been read
  if (threadIdx.x % kWarp == kWarp - 1) spare[warp] = sum;
  __syncthreads();
  unsigned before = sum - v;
  for (unsigned w = 0; w < warp; ++w) before += spare[w];
  return before;
}

// counts[digit, piece]
__global__ void count_kernel(const unsigned* keys, std::int64_t count, std::int64_t per, std::int64_t pieces, int shift,
                             unsigned* counts) {
  __shared__ unsigned tally[kWarps][kDigits];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const std::int64_t piece = std::int64_t{blockIdx.x} * kWarps + warp;
  for (int d = lane; d < kDigits; d += kWarp) tally[warp][d] = 0;
  __syncwarp();
  const std::int64_t to = (piece + 1) * per < count ? (piece + 1) * per : count;
  for (std::int64_t i = piece * per + lane; i < to; i += kWarp) atomicAdd(&tally[warp][keys[i] >> shift & 255u], 1u);
  __syncwarp();
  if (piece < pieces)
    for (int d = lane; d < kDigits; d += kWarp) counts[d * pieces + piece] = tally[warp][d];
}

// A warp for each digit: its counts become the sums of those of earlier pieces.
__global__ void scan_kernel(unsigned* counts, std::int64_t pieces, unsigned* totals) {
  const unsigned lane = threadIdx.x % kWarp, digit = blockIdx.x * kWarps + threadIdx.x / kWarp;
  unsigned* const mine = counts + digit * pieces;
  unsigned before = 0;
  for (std::int64_t i0 = 0; i0 < pieces; i0 += kWarp) {
    const std::int64_t i = i0 + lane;
    const unsigned v = i < pieces ? mine[i] : 0u, sum = sum_to(v);
    if (i < pieces) mine[i] = before + sum - v;
    before += __shfl_sync(kAllLanes, sum, kWarp - 1);
  }
  if (lane == 0) totals[digit] = before;
}

__global__ void place_kernel(const unsigned* keys, const unsigned* order, std::int64_t count, std::int64_t per,
                             std::int64_t pieces, int shift, const unsigned* counts, const unsigned* totals,
                             unsigned* keys_to, unsigned* order_to) {
  __shared__ unsigned spare[kWarps];
  __shared__ unsigned first[kDigits];
  __shared__ unsigned next[kWarps][kDigits];  // where the next key of a digit goes
  first[threadIdx.x] = sum_before(totals[threadIdx.x], spare);
  __syncthreads();
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const std::int64_t piece = std::int64_t{blockIdx.x} * kWarps + warp;
  if (piece < pieces)
    for (unsigned d = lane; d < kDigits; d += kWarp) next[warp][d] = first[d] + counts[d * pieces + piece];
  __syncwarp();
  const std::int64_t to = (piece + 1) * per < count ? (piece + 1) * per : count;
  for (std::int64_t i0 = piece * per; i0 < to; i0 += kWarp) {
    const std::int64_t i = i0 + lane;
    const bool has = i < to;
    const unsigned key = has ? keys[i] : 0u, digit = key >> shift & 255u;
    unsigned peers = __ballot_sync(kAllLanes, has);  // the lanes with this digit
    for (int bit = 0; bit < 8; ++bit) {
      const unsigned ones = __ballot_sync(kAllLanes, static_cast<int>(digit >> bit & 1u));
      peers &= (digit >> bit & 1u) != 0 ? ones : ~ones;
    }
    const auto rank = static_cast<unsigned>(__popc(peers & ((1u << lane) - 1u)));
    if (has) {
      const unsigned at = next[warp][digit] + rank;
      keys_to[at] = key, order_to[at] = order[i];
    }
    __syncwarp();
    if (has && rank == 0) next[warp][digit] += static_cast<unsigned>(__popc(peers));
    __syncwarp();
  }
}

__global__ void clear_kernel(unsigned* p, std::int64_t n) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) p[i] = 0;
}
__global__ void bounds_kernel(const unsigned* keys, std::int64_t count, unsigned* begin, unsigned* end) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    const unsigned key = keys[i];
    if (i == 0 || keys[i - 1] != key) begin[key] = static_cast<unsigned>(i);
    if (i + 1 == count || keys[i + 1] != key) end[key] = static_cast<unsigned>(i + 1);
  }
}

Scratch numbers(Device d, std::int64_t n) { return {d, static_cast<std::size_t>(n) * sizeof(unsigned)}; }

}  // namespace

void clear(Device d, unsigned* p, std::int64_t n) { launch(d, plan_items(n), clear_kernel, p, n); }

Grouping::Grouping(Device d, Scratch keys_in, Scratch order_in, std::int64_t count, std::int64_t places)
    : keys_{std::move(keys_in), numbers(d, count)},
      order_{std::move(order_in), numbers(d, count)},
      bounds_(numbers(d, 2 * places)) {
  const GroupPlan p = plan_groups(count, places);
  const Scratch counts = numbers(d, kDigits * (p.pieces + 1));
  unsigned* const totals = counts.as<unsigned>() + kDigits * p.pieces;
  Launch walk, scan;
  walk.grid[0] = static_cast<unsigned>(ceil_div(p.pieces, kWarps)), walk.block[0] = kThreads;
  scan.grid[0] = kDigits / kWarps, scan.block[0] = kThreads;
  int from = 0;
  for (int pass = 0; pass < p.passes; ++pass, from ^= 1) {
    const auto* k = keys_[from].as<const unsigned>();
    launch(d, walk, count_kernel, k, count, p.per, p.pieces, 8 * pass, counts.as<unsigned>());
    launch(d, scan, scan_kernel, counts.as<unsigned>(), p.pieces, totals);
    launch(d, walk, place_kernel, k, order_[from].as<const unsigned>(), count, p.per, p.pieces, 8 * pass,
           counts.as<const unsigned>(), totals, keys_[from ^ 1].as<unsigned>(), order_[from ^ 1].as<unsigned>());
  }
  keys = keys_[from].as<const unsigned>(), order = order_[from].as<const unsigned>();
  auto* const bounds = bounds_.as<unsigned>();
  clear(d, bounds, 2 * places);
  launch(d, plan_items(count), bounds_kernel, keys, count, bounds, bounds + places);
  begin = bounds, end = bounds + places;
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
