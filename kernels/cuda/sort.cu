// Sorting, selection and search. An element and its place become one record, so that no two are equal: short lines are
// sorted in registers, tiles in shared memory (Batcher 1968), and longer lines merge them, pass by pass.
#include <tapedeck/kernels/cuda/rows.h>
#include <tapedeck/kernels/cuda/sort_rows.h>
#include <tapedeck/kernels/sort.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

using Key = std::uint64_t;
constexpr int kTile = 2048, kSortThreads = 512, kMerged = 8;  // of a tile; outputs of a thread that merges

// ---- records --------------------------------------------------------------------------------------------------------
// Unsigned numbers in the order of the elements: every NaN is the largest, and -0 is 0.
__device__ inline Key key_of(float v) {
  if (v != v) return 0xffffffffu;
  const unsigned bits = v == 0 ? 0u : __float_as_uint(v);
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
__device__ inline Key key_of(double v) {
  if (v != v) return ~Key(0);
  const Key bits = v == 0 ? 0 : static_cast<Key>(__double_as_longlong(v)), sign = Key(1) << 63;
  return bits & sign ? ~bits : bits | sign;
}
__device__ inline Key key_of(std::int64_t v) { return static_cast<Key>(v) ^ Key(1) << 63; }
__device__ inline Key key_of(std::int32_t v) { return static_cast<std::uint32_t>(v) ^ 0x80000000u; }
__device__ inline Key key_of(std::uint8_t v) { return v; }

struct WideRecord {
  Key key, place;
};
template <class T>
using Record = std::conditional_t<sizeof(T) == 8, WideRecord, Key>;  // short keys stand above their place

template <class T>
__device__ inline Record<T> record_of(T v, std::int64_t place, bool descending) {
  const Key key = descending ? ~key_of(v) : key_of(v);
  if constexpr (sizeof(T) == 8)
    return {key, static_cast<Key>(place)};
  else
    return key << 32 | static_cast<Key>(place);
}
__device__ inline bool before(Key a, Key b) { return a < b; }
__device__ inline bool before(const WideRecord& a, const WideRecord& b) {
  return a.key != b.key ? a.key < b.key : a.place < b.place;
}
__device__ inline std::int64_t place_of(Key r) { return static_cast<std::int64_t>(r & 0xffffffffu); }
__device__ inline std::int64_t place_of(const WideRecord& r) { return static_cast<std::int64_t>(r.place); }
__device__ inline Key key_in(Key r) { return r >> 32; }
__device__ inline Key key_in(const WideRecord& r) { return r.key; }
__device__ inline void behind_all(Key& r) { r = ~Key(0); }
__device__ inline void behind_all(WideRecord& r) { r = {~Key(0), ~Key(0)}; }

// ---- sorted lines ---------------------------------------------------------------------------------------------------
// What of a sorted line goes to y: the places of its first `count`, or of the one at `rank`.
struct Wanted {
  std::int64_t count = 0, rank = -1;
  bool nan_wins = false;
};
struct Lines {
  Layout<2> layout;  // of x and y beside the lines
  std::int64_t n, x_step, y_step;
  bool descending = false;
  Lines(TensorView x, TensorView y, int dim) : layout(Layout<2>({without(x, dim), without(y, dim)})) {
    n = x.sizes[dim], x_step = x.strides[dim], y_step = y.strides[dim];
  }
  static TensorView without(TensorView v, int dim) {
    v.sizes[dim] = 1;
    return v;
  }
  std::int64_t tiles() const { return ceil_div(n, kTile); }
};

// How many of n sorted records have a smaller key.
template <class R>
__device__ inline std::int64_t keys_below(const R* records, std::int64_t n, Key key) {
  std::int64_t low = 0;
  while (n > 0) {
    const std::int64_t half = n / 2;
    const bool right = key_in(records[low + half]) < key;
    low = right ? low + half + 1 : low;
    n = right ? n - half - 1 : half;
  }
  return low;
}
template <class T, class R>
__device__ inline void give_places(const Wanted& w, const R* sorted, std::int64_t n, std::int64_t* y, std::int64_t step,
                                   std::int64_t first, std::int64_t stride) {
  if (w.rank < 0) {
    for (std::int64_t i = first; i < w.count; i += stride) y[i * step] = place_of(sorted[i]);
  } else if (first == 0) {
    constexpr Key kNan = sizeof(T) == 8 ? ~Key(0) : Key(0xffffffffu);
    std::int64_t at = w.rank;
    if (kReal<T> && w.nan_wins && key_in(sorted[n - 1]) == kNan) at = keys_below(sorted, n, kNan);
    *y = place_of(sorted[at]);
  }
}

// Sorts a tile of a line, a power of two. Into records [line, n], when given; else the tile is the line.
template <class T>
__global__ void __launch_bounds__(kSortThreads)
    sort_tiles(Lines l, Wanted wanted, int tile, const T* x, std::int64_t* y, Record<T>* records) {
  Record<T>* const room = dynamic_shared<Record<T>>();
  const std::int64_t tiles = records ? (l.n + tile - 1) / tile : 1, line = blockIdx.x / tiles;
  const std::int64_t base = (blockIdx.x - line * tiles) * tile;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  std::int64_t at[2];
  l.layout.offsets(line, at);
  for (int i = thread; i < tile; i += threads) {
    if (base + i < l.n)
      room[i] = record_of(x[at[0] + (base + i) * l.x_step], base + i, l.descending);
    else
      behind_all(room[i]);
  }
  for (int size = 2; size <= tile; size *= 2)
    for (int step = size / 2; step > 0; step /= 2) {
      __syncthreads();
      for (int i = thread; i < tile / 2; i += threads) {
        const int low = 2 * i - (i & (step - 1)), high = low + step;
        const Record<T> a = room[low], b = room[high];
        if (before(b, a) == ((low & size) == 0)) room[low] = b, room[high] = a;
      }
    }
  __syncthreads();
  if (!records) return give_places<T>(wanted, room, l.n, y + at[1], l.y_step, thread, threads);
  for (int i = thread; i < tile; i += threads)
    if (base + i < l.n) records[line * l.n + base + i] = room[i];
}

// Lines of at most 32 E W elements whose records are keys, each sorted in the registers of W warps.
template <class T, int E, int W>
__global__ void __launch_bounds__(W == 1 ? kSortRowThreads : kWarp * W)
    sort_lines_held(Lines l, Wanted wanted, const T* x, std::int64_t* y) {
  constexpr int kThreads = kWarp * W, kLines = W == 1 ? kSortRowThreads / kWarp : 1, kRow = kThreads * E;
  constexpr Key kNan = 0xffffffffu;
  __shared__ Key room[W > 1 ? kRow : kLines * (kRow + kThreads) / 2];
  const int warp = static_cast<int>(threadIdx.x) / kWarp, t = static_cast<int>(threadIdx.x) % kThreads;
  const std::int64_t line = W == 1 ? std::int64_t{blockIdx.x} * kLines + warp : blockIdx.x;
  if (line >= l.layout.numel) return;  // a whole warp, or none of a block
  std::int64_t at[2];
  l.layout.offsets(line, at);
  x += at[0], y += at[1];
  const int n = static_cast<int>(l.n);
  // In what order they come is all the same. Few of them go to the first threads: the others have nothing to merge.
  constexpr bool kFew = E == 4;
  int threads = kFew ? 1 : kThreads;
  while (threads * E < n) threads *= 2;
  Key r[E];
#pragma unroll
  for (int i = 0; i < E; ++i) {
    const int k = kFew ? t * E + i : i * kThreads + t;
    r[i] = k < n ? record_of(x[k * l.x_step], k, l.descending) : ~Key(0);
  }
  sort_line<E, W>(r, t, threads, room);
  const auto meet = [] {
    if constexpr (W == 1)
      __syncwarp();
    else
      __syncthreads();
  };
  if (wanted.rank < 0) {  // to places of neighbours in neighbouring threads
    unsigned* const places = reinterpret_cast<unsigned*>(room) + (W == 1 ? warp * (kRow + kThreads) : 0);
    meet();
#pragma unroll
    for (int i = 0; i < E; ++i)
      if (t * E + i < n) places[t * (W > 1 ? E : E + 1) + i] = static_cast<unsigned>(place_of(r[i]));
    meet();
    for (int k = t; k < wanted.count; k += kThreads) y[k * l.y_step] = places[W > 1 ? k : k + k / E];
    return;
  }
  std::int64_t rank = wanted.rank;
  if (kReal<T> && wanted.nan_wins) {
    int numbers = 0;
#pragma unroll
    for (int i = 0; i < E; ++i) numbers += key_in(r[i]) < kNan;
    numbers = warp_fold(numbers, Plus());
    if constexpr (W > 1) {
      int* const counts = reinterpret_cast<int*>(room);
      meet();
      if (t % kWarp == 0) counts[t / kWarp] = numbers;
      meet();
      numbers = 0;
      for (int w = 0; w < W; ++w) numbers += counts[w];
    }
    if (numbers < n) rank = numbers;
  }
#pragma unroll
  for (int i = 0; i < E; ++i)
    if (t * E + i == rank) *y = place_of(r[i]);
}

// Merges neighbouring sorted runs of each line: a thread makes kMerged outputs from where they begin in both.
template <class R>
__global__ void merge_runs(std::int64_t lines, std::int64_t n, std::int64_t run, const R* from, R* to) {
  const std::int64_t each = (n + kMerged - 1) / kMerged, id = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::int64_t line = id / each, first = (id - line * each) * kMerged;
  if (line >= lines) return;
  from += line * n, to += line * n;
  const std::int64_t start = first / (2 * run) * (2 * run), rest = first - start;
  const std::int64_t a_end = start + run < n ? start + run : n, b_end = a_end + run < n ? a_end + run : n;
  std::int64_t low = rest > b_end - a_end ? rest - (b_end - a_end) : 0,
               high = rest < a_end - start ? rest : a_end - start;
  while (low < high) {  // how many of the first `rest` outputs come from the first run
    const std::int64_t middle = (low + high) / 2;
    if (before(from[a_end + rest - 1 - middle], from[start + middle]))
      high = middle;
    else
      low = middle + 1;
  }
  std::int64_t a = start + low, b = a_end + rest - low;
  for (std::int64_t i = first; i < first + kMerged && i < n; ++i) {
    const bool left = b >= b_end || (a < a_end && before(from[a], from[b]));
    to[i] = left ? from[a++] : from[b++];
  }
}

template <class T>
__global__ void places_of_records(Lines l, Wanted wanted, const Record<T>* records, std::int64_t* y) {
  const std::int64_t count = wanted.rank < 0 ? wanted.count : 1;
  const std::int64_t id = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x, line = id / count;
  if (line >= l.layout.numel) return;
  std::int64_t at[2];
  l.layout.offsets(line, at);
  give_places<T>(wanted, records + line * l.n, l.n, y + at[1], l.y_step, id - line * count, count);
}

// The records [line, n] of all lines, sorted; `a` and `b` have room for them, the result is in the returned one.
template <class T>
Record<T>* sorted_records(Device d, const Lines& l, const T* x, Record<T>* a, Record<T>* b) {
  const std::int64_t lines = l.layout.numel;
  Launch tiles;
  tiles.grid[0] = static_cast<unsigned>(lines * l.tiles()), tiles.block[0] = kSortThreads;
  tiles.shared = kTile * sizeof(Record<T>);
  launch(d, tiles, sort_tiles<T>, l, Wanted(), kTile, x, nullptr, a);
  for (std::int64_t run = kTile; run < l.n; run *= 2) {
    launch(d, plan_items(lines * ceil_div(l.n, kMerged), 256, INT32_MAX), merge_runs<Record<T>>, lines, l.n, run, a, b);
    std::swap(a, b);
  }
  return a;
}
template <class T>
void sort_lines(const TensorView& x, const TensorView& y, int dim, bool descending, const Wanted& wanted) {
  Lines l(x, y, dim);
  l.descending = descending;
  const std::int64_t lines = l.layout.numel;
  if (lines == 0 || l.n == 0 || (wanted.rank < 0 && wanted.count == 0)) return;
  const T* const from = static_cast<const T*>(x.data);
  std::int64_t* const to = y.ptr<std::int64_t>();
  if constexpr (sizeof(T) < 8) {
    const auto held = [&](auto kernel, int warps) {
      Launch p;
      p.block[0] = static_cast<unsigned>(warps == 1 ? kSortRowThreads : warps * kWarp);
      p.grid[0] = static_cast<unsigned>(warps == 1 ? ceil_div(lines, kSortRowThreads / kWarp) : lines);
      launch(x.device, p, kernel, l, wanted, from, to);
    };
    if (l.n <= 128) return held(sort_lines_held<T, 4, 1>, 1);
    if (l.n <= 512) return held(sort_lines_held<T, 16, 1>, 1);
    if (l.n <= 1024) return held(sort_lines_held<T, 32, 1>, 1);
    if (l.n <= 2048) return held(sort_lines_held<T, 16, 4>, 4);
    if (l.n <= 4096) return held(sort_lines_held<T, 16, 8>, 8);
  }
  if (l.n <= kTile) {
    int tile = 2;
    while (tile < l.n) tile *= 2;
    Launch p;
    p.grid[0] = static_cast<unsigned>(lines);
    p.block[0] = static_cast<unsigned>(std::clamp(tile / 2, kWarp, kSortThreads));
    p.shared = static_cast<unsigned>(tile) * sizeof(Record<T>);
    return launch(x.device, p, sort_tiles<T>, l, wanted, tile, from, to, nullptr);
  }
  const std::size_t bytes = static_cast<std::size_t>(lines * l.n) * sizeof(Record<T>);
  const Scratch a(x.device, bytes), b(x.device, bytes);
  Record<T>* const sorted = sorted_records(x.device, l, from, a.as<Record<T>>(), b.as<Record<T>>());
  launch(x.device, plan_items(lines * (wanted.rank < 0 ? wanted.count : 1), 256, INT32_MAX), places_of_records<T>, l,
         wanted, sorted, to);
}

void sort_any(const SortArgs& a) {
  plain_type(a.dtype(), [&](auto zero) {
    sort_lines<decltype(zero)>(a.x, a.y, a.dim, a.descending, {.count = a.y.sizes[a.dim]});
  });
}
void select_any(const SelectArgs& a) {
  plain_type(a.dtype(), [&](auto zero) {
    sort_lines<decltype(zero)>(a.x, a.y, a.dim, false, {.rank = a.rank, .nan_wins = a.nan_wins});
  });
}

// ---- search ---------------------------------------------------------------------------------------------------------
template <class T>
struct Rows {
  T* data;
  std::int64_t row, step;
  explicit Rows(const TensorView& v) : data(static_cast<T*>(v.data)), row(v.strides[0]), step(v.strides[1]) {}
  __device__ T& at(std::int64_t r, std::int64_t i) const { return data[r * row + i * step]; }
};
template <class T>
__global__ void search_rows(std::int64_t items, std::int64_t m, std::int64_t n, bool right, Rows<const T> sorted,
                            Rows<const T> values, Rows<std::int64_t> y) {
  const std::int64_t id = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (id >= items) return;
  const std::int64_t r = id / m, c = id - r * m;
  const T v = values.at(r, c);
  std::int64_t low = 0, rest = n;
  while (rest > 0) {
    const std::int64_t half = rest / 2;
    const T e = sorted.at(r, low + half);
    const bool beyond = v != v ? right || e == e : right ? e <= v : e < v;  // a NaN stands behind all numbers
    low = beyond ? low + half + 1 : low;
    rest = beyond ? rest - half - 1 : half;
  }
  y.at(r, c) = low;
}
void search_any(const SearchArgs& a) {
  plain_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t m = a.values.sizes[1], items = a.values.sizes[0] * m;
    launch(a.y.device, plan_items(items, 256, INT32_MAX), search_rows<T>, items, m, a.sorted.sizes[1], a.right,
           Rows<const T>(a.sorted), Rows<const T>(a.values), Rows<std::int64_t>(a.y));
  });
}

// ---- counts ---------------------------------------------------------------------------------------------------------
using Count = unsigned long long;
constexpr std::int64_t kSharedBins = 8192;

struct IntegerBins {
  const std::int64_t* x;
  std::int64_t step;
  __device__ std::int64_t operator()(std::int64_t i) const { return x[i * step]; }
};
template <class T>
struct Parts {
  const T* x;
  Layout<1> layout;
  double low, high;
  std::int64_t bins;
  __device__ std::int64_t operator()(std::int64_t i) const {  // -1: in none
    std::int64_t at[1];
    layout.offsets(i, at);
    const double v = x[at[0]];
    if (!(v >= low && v <= high)) return -1;
    const std::int64_t part = static_cast<std::int64_t>((v - low) / (high - low) * static_cast<double>(bins));
    return part < bins ? part : bins - 1;
  }
};
// Each block counts in shared memory first, when the bins fit.
template <class F>
__global__ void count_bins(F bin_of, std::int64_t n, std::int64_t bins, Count* counts) {
  unsigned* const mine = dynamic_shared<unsigned>();
  const bool fits = bins <= kSharedBins;
  if (fits)
    for (std::int64_t b = threadIdx.x; b < bins; b += blockDim.x) mine[b] = 0;
  __syncthreads();
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n;
       i += std::int64_t{gridDim.x} * blockDim.x) {
    const std::int64_t b = bin_of(i);
    if (b < 0) continue;
    if (fits)
      atomicAdd(mine + b, 1u);
    else
      atomicAdd(counts + b, Count(1));
  }
  __syncthreads();
  if (fits)
    for (std::int64_t b = threadIdx.x; b < bins; b += blockDim.x)
      if (mine[b] != 0) atomicAdd(counts + b, Count(mine[b]));
}
template <class Out>
__global__ void give_counts(std::int64_t bins, const Count* counts, Out* y, std::int64_t step) {
  const std::int64_t b = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (b < bins) y[b * step] = static_cast<Out>(counts[b]);
}
template <class Out, class F>
void count(const F& bin_of, std::int64_t n, const TensorView& y) {
  const std::int64_t bins = y.sizes[0];
  if (bins == 0) return;
  const std::size_t bytes = static_cast<std::size_t>(bins) * sizeof(Count);
  const Scratch counts(y.device, bytes);
  runtime(DeviceType::cuda).zero(y.device.index, counts.as<void>(), bytes);
  Launch l = plan_items(n, 256, 1024);
  l.shared = bins <= kSharedBins ? static_cast<unsigned>(bins * 4) : 0;
  launch(y.device, l, count_bins<F>, bin_of, n, bins, counts.as<Count>());
  launch(y.device, plan_items(bins), give_counts<Out>, bins, counts.as<Count>(), y.ptr<Out>(), y.strides[0]);
}

// A warp sums the weights of a bin, which lie behind each other in the sorted records.
template <class T>
__global__ void sum_weights(const WideRecord* records, std::int64_t n, std::int64_t bins, const T* weights,
                            std::int64_t step, T* y, std::int64_t y_step) {
  const std::int64_t bin = (std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarp;
  if (bin >= bins) return;  // a whole warp
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int64_t begin = keys_below(records, n, key_of(bin)), end = keys_below(records, n, key_of(bin + 1));
  double total = 0;
  for (std::int64_t i = begin + lane; i < end; i += kWarp) total += weights[place_of(records[i]) * step];
  total = warp_fold(total, Plus());
  if (lane == 0) y[bin * y_step] = static_cast<T>(total);
}
template <class T>
void weigh(const BincountArgs& a) {
  const Lines l(a.x, a.x, 0);
  const std::int64_t bins = a.y.sizes[0];
  const std::size_t bytes = static_cast<std::size_t>(l.n) * sizeof(WideRecord);
  const Scratch first(a.x.device, bytes), second(a.x.device, bytes);
  const WideRecord* sorted = first.as<WideRecord>();
  if (l.n > 0)
    sorted =
        sorted_records(a.x.device, l, a.x.ptr<const std::int64_t>(), first.as<WideRecord>(), second.as<WideRecord>());
  launch(a.x.device, plan_items(bins * kWarp, 128, INT32_MAX), sum_weights<T>, sorted, l.n, bins,
         a.weights.ptr<const T>(), a.weights.strides[0], a.y.ptr<T>(), a.y.strides[0]);
}
void bincount_any(const BincountArgs& a) {
  if (a.weights.given()) return a.weights.dtype == DType::f32 ? weigh<float>(a) : weigh<double>(a);
  count<std::int64_t>(IntegerBins{a.x.ptr<const std::int64_t>(), a.x.strides[0]}, a.x.sizes[0], a.y);
}
template <class T>
void histogram(const HistogramArgs& a) {
  const Layout<1> layout({a.x});
  count<T>(Parts<T>{a.x.ptr<const T>(), layout, a.low, a.high, a.y.sizes[0]}, layout.numel, a.y);
}

template <class Args>
const char* takes_long(const Args& a) {
  return a.dtype() == DType::bf16 || a.dtype() == DType::f16 ? "dtype is bf16 or f16" : nullptr;
}
const char* takes_wide(const HistogramArgs& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

}  // namespace

void add_sort() {
  constexpr DeviceType cuda = DeviceType::cuda;
  sort.add(cuda, "cuda", sort_any, takes_long<SortArgs>);
  topk.add(cuda, "cuda", sort_any, takes_long<SortArgs>);
  select_rank.add(cuda, "cuda", select_any, takes_long<SelectArgs>);
  searchsorted.add(cuda, "cuda", search_any, takes_long<SearchArgs>);
  bincount.add(cuda, "cuda", bincount_any, takes_long<BincountArgs>);
  histc.add(
      cuda, "cuda",
      [](const HistogramArgs& a) { a.dtype() == DType::f32 ? histogram<float>(a) : histogram<double>(a); }, takes_wide);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
