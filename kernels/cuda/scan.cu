// Scans along one dimension. Lines that lie side by side are walked by a thread each, others by a warp or a block; long
// lines are cut into parts, whose totals are found first. Everything is joined in a fixed order.
#include <tapedeck/kernels/cuda/rows.h>
#include <tapedeck/kernels/cuda/scan_rows.h>
#include <tapedeck/kernels/scan.h>

#include <cmath>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr int kScanThreads = 256, kScanItems = 4;  // of a block; neighbours that a thread takes

struct ScanPlan {
  Launch launch;
  int group = 1;  // threads of a line
  std::int64_t lines = 0, n = 0, chunk = 0, parts = 1;
};
// n elements each; side_by_side: neighbouring lines are neighbours in memory.
ScanPlan plan_scan(std::int64_t lines, std::int64_t n, bool side_by_side) {
  ScanPlan p;
  p.lines = lines, p.n = n;
  p.group = side_by_side || n <= 16 ? 1 : n <= 16 * kWarp ? kWarp : kScanThreads;
  const std::int64_t tile = std::int64_t{p.group} * kScanItems, least = p.group == 1 ? 64 : 4 * tile;
  const std::int64_t room = std::max<std::int64_t>(1, (p.group == 1 ? 131072 : 512) / lines);
  p.parts = std::clamp<std::int64_t>(n / least, 1, std::min<std::int64_t>(room, p.group == 1 ? 32 : 128));
  p.chunk = ceil_div(ceil_div(n, p.parts), tile) * tile;
  p.parts = ceil_div(n, p.chunk);
  const std::int64_t units = lines * p.parts;
  int threads = p.group == kScanThreads ? kScanThreads : kWarp;
  while (threads < 128 && threads < units * p.group) threads *= 2;
  p.launch.block[0] = static_cast<unsigned>(threads);
  p.launch.grid[0] = static_cast<unsigned>(ceil_div(units, threads / p.group));
  return p;
}

// An Op has State; load(at, k): that of element k, in the order of the scan, of the line at `at`; join(earlier, later);
// store(at, k, any, before, state): `state` of the elements up to k; `before` of those without k, when there are any.
// totals: given in the first of two passes over lines in parts, [part, line]; the second continues from them.
template <bool kTotals, class Op, int N, class State = typename Op::State>
__global__ void __launch_bounds__(kScanThreads) scan_lines(Op op, ScanPlan p, Layout<N> lines, State* totals) {
  __shared__ State spare[kScanThreads / kWarp];
  const int lane = static_cast<int>(threadIdx.x) % p.group;
  const std::int64_t unit = std::int64_t{blockIdx.x} * (blockDim.x / p.group) + threadIdx.x / p.group;
  const bool here = unit < p.lines * p.parts;
  const std::int64_t part = here ? unit / p.lines : 0, line = here ? unit - part * p.lines : 0;
  const std::int64_t begin = part * p.chunk, stop = begin + p.chunk < p.n ? begin + p.chunk : p.n;
  const std::int64_t end = here ? stop : begin, tile = std::int64_t{p.group} * kScanItems;
  // A block of one line walks as one; the lines of the warps of a block are walked each to its own end.
  std::int64_t at[N];
  lines.offsets(line, at);
  State carry{};
  bool carried = !kTotals && part > 0;
  if (carried) {
    carry = totals[line];
    for (std::int64_t q = 1; q < part; ++q) carry = op.join(carry, totals[q * p.lines + line]);
  }
  for (std::int64_t t = begin; t < stop; t += tile) {
    const std::int64_t first = t + std::int64_t{lane} * kScanItems;
    State s[kScanItems] = {};
#pragma unroll
    for (int i = 0; i < kScanItems; ++i)
      if (first + i < end) s[i] = op.load(at, first + i);
#pragma unroll
    for (int i = 1; i < kScanItems; ++i)
      if (first + i < end) s[i] = op.join(s[i - 1], s[i]);
    // A thread's last element, and what lies before it in this tile.
    const std::int64_t left = end - first;
    State total = left >= kScanItems ? s[kScanItems - 1] : left == 3 ? s[2] : left == 2 ? s[1] : s[0];
    State before = carry;
    bool any = carried;
    if (p.group > 1) {
      const int in_warp = static_cast<int>(threadIdx.x) % kWarp;
      for (int step = 1; step < kWarp; step *= 2) {
        const State lower = shuffle_up(total, step);
        if (in_warp >= step) total = op.join(lower, total);
      }
      State prefix = shuffle_up(total, 1);  // of the lanes before this one
      bool with = in_warp > 0;
      const std::int64_t threads = (end - t + kScanItems - 1) / kScanItems;  // that have elements
      if (p.group > kWarp) {
        const int warp = lane / kWarp;
        __syncthreads();
        if (in_warp == kWarp - 1 ? lane < threads : lane == threads - 1) spare[warp] = total;
        __syncthreads();
        State sum = spare[0];
        for (int w = 1; w < p.group / kWarp && w * kWarp < threads; ++w) {
          if (w == warp) prefix = with ? op.join(sum, prefix) : sum;
          sum = op.join(sum, spare[w]);
        }
        with = with || warp > 0;
        total = sum;
      } else {
        const int last = threads < kWarp ? static_cast<int>(threads) - 1 : kWarp - 1;
        total = shuffle_from(total, last < 0 ? 0 : last);
      }
      if (with) before = any ? op.join(carry, prefix) : prefix;
      any = any || with;
    }
    if constexpr (!kTotals) {
#pragma unroll
      for (int i = 0; i < kScanItems; ++i) {
        if (first + i >= end) continue;
        const State below = i == 0 ? before : any ? op.join(before, s[i - 1]) : s[i > 0 ? i - 1 : 0];
        op.store(at, first + i, i > 0 || any, below, any ? op.join(before, s[i]) : s[i]);
      }
    }
    carry = carried ? op.join(carry, total) : total;
    carried = true;
  }
  if (kTotals && here && lane == 0) totals[part * p.lines + line] = carry;
}

// The lines along dim of operands of one shape, the first of which is the one that is read most.
template <class Op, int N>
void scan(const Op& op, const std::array<TensorView, N>& views, int dim) {
  using State = typename Op::State;
  std::array<TensorView, N> beside = views;
  for (TensorView& v : beside) v.sizes[dim] = 1;
  const Layout<N> lines(beside);
  const std::int64_t n = views[0].sizes[dim], step = views[0].strides[dim];
  if (lines.numel == 0 || n == 0) return;
  const bool side = lines.rank > 0 && lines.strides[0][lines.rank - 1] < step;
  const ScanPlan p = plan_scan(lines.numel, n, side);
  const Device d = views[0].device;
  const bool parts = p.parts > 1;
  const Scratch totals(d, parts ? static_cast<std::size_t>(p.parts * p.lines) * sizeof(State) : 0);
  if (parts) launch(d, p.launch, scan_lines<true, Op, N>, op, p, lines, totals.as<State>());
  launch(d, p.launch, scan_lines<false, Op, N>, op, p, lines, totals.as<State>());
}

// What is walked of one operand: element k of the line at `at`, from either end.
template <class T>
struct Walked {
  T* p;
  std::int64_t step;
  Walked(const TensorView& v, int dim, bool reverse) : p(static_cast<T*>(v.data)), step(v.strides[dim]) {
    if (reverse) p += (v.sizes[dim] - 1) * step, step = -step;
  }
  __device__ T& operator()(std::int64_t at, std::int64_t k) const { return p[at + k * step]; }
};

// ---- running sums, products, logarithms of sums ---------------------------------------------------------------------
template <class T>
using Running = std::conditional_t<kReal<T>, double, std::uint64_t>;  // whole numbers wrap
template <class T>
using Result = std::conditional_t<kReal<T>, T, std::int64_t>;

template <class S, bool product>
struct Joined {
  using State = S;
  static __device__ State none() { return product ? 1 : 0; }
  __device__ State operator()(State a, State b) const { return product ? a * b : a + b; }
};
template <class T, bool product>
struct Accumulate {
  using State = Running<T>;
  Walked<const T> x;
  Walked<Result<T>> y;
  __device__ State load(const std::int64_t (&at)[2], std::int64_t k) const { return static_cast<State>(x(at[0], k)); }
  __device__ State join(State a, State b) const { return Joined<State, product>()(a, b); }
  __device__ void store(const std::int64_t (&at)[2], std::int64_t k, bool, State, State s) const {
    y(at[1], k) = static_cast<Result<T>>(s);
  }
};

// Relative to the largest; equal infinities must not meet in a difference.
struct Logs {
  double most, total;
};
template <class T>
struct LogSumExp {
  using State = Logs;
  Walked<const T> x;
  Walked<T> y;
  __device__ State load(const std::int64_t (&at)[2], std::int64_t k) const {
    const double v = x(at[0], k);
    return v == v ? Logs{v, 1} : Logs{-static_cast<double>(INFINITY), v};
  }
  __device__ State join(const State& a, const State& b) const {
    if (b.most > a.most) return {b.most, a.total * exp(a.most - b.most) + b.total};
    return {a.most, a.total + (a.most == b.most ? b.total : b.total * exp(b.most - a.most))};
  }
  __device__ void store(const std::int64_t (&at)[2], std::int64_t k, bool, const State&, const State& s) const {
    y(at[1], k) = static_cast<T>(s.most + log(s.total));
  }
};

template <bool product>
void accumulate(const ScanArgs& a) {
  plain_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (sizeof(T) >= 4)
      if (scan_in_rows<Joined<Running<T>, product>, T, Result<T>>(a.x, a.y, a.dim, a.reverse)) return;
    scan<Accumulate<T, product>, 2>({{a.x, a.dim, a.reverse}, {a.y, a.dim, a.reverse}}, {a.x, a.y}, a.dim);
  });
}
template <class T>
void log_sums(const ScanArgs& a) {
  scan<LogSumExp<T>, 2>({{a.x, a.dim, a.reverse}, {a.y, a.dim, a.reverse}}, {a.x, a.y}, a.dim);
}

// ---- extremes -------------------------------------------------------------------------------------------------------
template <class T>
struct Standing {
  T value;
  std::int64_t place;
};
template <class T>
struct Extremes {
  using V = std::conditional_t<kReal<T>, T, std::int64_t>;
  using State = Standing<V>;
  Walked<const T> x;
  Walked<std::int64_t> y;
  bool largest;
  __device__ State load(const std::int64_t (&at)[2], std::int64_t k) const { return {static_cast<V>(x(at[0], k)), k}; }
  __device__ State join(const State& a, const State& b) const {
    return b.value != b.value || (largest ? b.value >= a.value : b.value <= a.value) ? b : a;
  }
  __device__ void store(const std::int64_t (&at)[2], std::int64_t k, bool, const State&, const State& s) const {
    y(at[1], k) = s.place;
  }
};
template <bool largest>
void extremes(const CumExtremeArgs& a) {
  plain_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    scan<Extremes<T>, 2>({{a.x, a.dim, false}, {a.y, a.dim, false}, largest}, {a.x, a.y}, a.dim);
  });
}

// ---- recurrences and gradients --------------------------------------------------------------------------------------
struct Affine {  // y -> a y + b
  double a, b;
};
struct Composed {
  using State = Affine;
  __device__ State join(const State& first, const State& then) const {
    return {then.a * first.a, fma(then.a, first.b, then.b)};
  }
};
template <class T>
struct Recurrence : Composed {
  Walked<const T> a, b;
  Walked<T> y;
  __device__ Affine load(const std::int64_t (&at)[3], std::int64_t k) const {
    return {k == 0 ? 0 : static_cast<double>(a(at[0], k)), static_cast<double>(b(at[1], k))};
  }
  __device__ void store(const std::int64_t (&at)[3], std::int64_t k, bool, const Affine&, const Affine& s) const {
    y(at[2], k) = static_cast<T>(s.b);
  }
};
template <class T>
void recur(const RecurrenceArgs& r) {
  scan<Recurrence<T>, 3>({{}, {r.a, r.dim, r.reverse}, {r.b, r.dim, r.reverse}, {r.y, r.dim, r.reverse}},
                         {r.a, r.b, r.y}, r.dim);
}

// The part behind k, relative to y[k]: r[k] = gy[k] + exp(y[k] - y[k + 1]) r[k + 1]. Walked from the end.
template <class T>
struct LogsGrad : Composed {
  Walked<const T> gy, x, y;
  Walked<T> gx;
  __device__ Affine load(const std::int64_t (&at)[4], std::int64_t k) const {
    const double here = y(at[2], k);
    const bool alone = k == 0 || here == -static_cast<double>(INFINITY);
    return {alone ? 0 : exp(here - static_cast<double>(y(at[2], k - 1))), static_cast<double>(gy(at[0], k))};
  }
  __device__ void store(const std::int64_t (&at)[4], std::int64_t k, bool, const Affine&, const Affine& s) const {
    const double v = x(at[1], k), here = y(at[2], k);
    gx(at[3], k) = static_cast<T>(v == -static_cast<double>(INFINITY) ? 0 : exp(v - here) * s.b);
  }
};
template <class T>
void log_sums_grad(const LogcumsumexpGradArgs& a) {
  scan<LogsGrad<T>, 4>({{}, {a.gy, a.dim, true}, {a.x, a.dim, true}, {a.y, a.dim, true}, {a.gx, a.dim, true}},
                       {a.gy, a.x, a.y, a.gx}, a.dim);
}

// The products of what lies before each element, then what lies behind it.
struct Multiplied {
  using State = double;
  __device__ State join(State a, State b) const { return a * b; }
};
template <class T>
struct ProductsBefore : Multiplied {
  Walked<const T> x;
  Walked<double> y;
  __device__ double load(const std::int64_t (&at)[2], std::int64_t k) const { return x(at[0], k); }
  __device__ void store(const std::int64_t (&at)[2], std::int64_t k, bool any, double before, double) const {
    y(at[1], k) = any ? before : 1;
  }
};
template <class T>
struct ProductsBehind : Multiplied {
  Walked<const T> x;
  Walked<const double> before;
  Walked<T> y;
  __device__ double load(const std::int64_t (&at)[3], std::int64_t k) const { return x(at[0], k); }
  __device__ void store(const std::int64_t (&at)[3], std::int64_t k, bool any, double behind, double) const {
    y(at[2], k) = static_cast<T>(before(at[1], k) * (any ? behind : 1));
  }
};
// r[k] = gy[k] + x[k + 1] r[k + 1].
template <class T>
struct CumprodGrad : Composed {
  Walked<const T> gy, x;
  Walked<const double> before;
  Walked<T> gx;
  __device__ Affine load(const std::int64_t (&at)[4], std::int64_t k) const {
    return {k == 0 ? 0 : static_cast<double>(x(at[1], k - 1)), static_cast<double>(gy(at[0], k))};
  }
  __device__ void store(const std::int64_t (&at)[4], std::int64_t k, bool, const Affine&, const Affine& s) const {
    gx(at[3], k) = static_cast<T>(before(at[2], k) * s.b);
  }
};

// Doubles of the shape of x, whose dimensions lie in the order of x's: what is together there is together here.
struct Doubles {
  TensorView view;
  Scratch memory;
  explicit Doubles(const TensorView& x) : view(x), memory(x.device, static_cast<std::size_t>(x.numel()) * 8) {
    view.data = memory.as<void>(), view.dtype = DType::f64;
    int order[8];
    for (int d = 0; d < x.rank; ++d) order[d] = d;
    std::stable_sort(order, order + x.rank, [&](int a, int b) { return x.strides[a] < x.strides[b]; });
    std::int64_t step = 1;
    for (int i = 0; i < x.rank; ++i) view.strides[order[i]] = step, step *= x.sizes[order[i]];
  }
};
template <class T>
void other_products(const ScanArgs& a) {
  const Doubles before(a.x);
  scan<ProductsBefore<T>, 2>({{}, {a.x, a.dim, false}, {before.view, a.dim, false}}, {a.x, before.view}, a.dim);
  scan<ProductsBehind<T>, 3>({{}, {a.x, a.dim, true}, {before.view, a.dim, true}, {a.y, a.dim, true}},
                             {a.x, before.view, a.y}, a.dim);
}
template <class T>
void products_grad(const CumprodGradArgs& a) {
  const Doubles before(a.x);
  scan<ProductsBefore<T>, 2>({{}, {a.x, a.dim, false}, {before.view, a.dim, false}}, {a.x, before.view}, a.dim);
  scan<CumprodGrad<T>, 4>(
      {{}, {a.gy, a.dim, true}, {a.x, a.dim, true}, {before.view, a.dim, true}, {a.gx, a.dim, true}},
      {a.gy, a.x, before.view, a.gx}, a.dim);
}

template <class Args>
const char* takes_long(const Args& a) {
  return a.dtype() == DType::bf16 || a.dtype() == DType::f16 ? "dtype is bf16 or f16" : nullptr;
}
template <class Args>
const char* takes_wide(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

}  // namespace

void add_scan() {
  constexpr DeviceType cuda = DeviceType::cuda;
  cumsum.add(cuda, "cuda", accumulate<false>, takes_long<ScanArgs>);
  cumprod.add(cuda, "cuda", accumulate<true>, takes_long<ScanArgs>);
  cummax.add(cuda, "cuda", extremes<true>, takes_long<CumExtremeArgs>);
  cummin.add(cuda, "cuda", extremes<false>, takes_long<CumExtremeArgs>);
#define TD_BY_TYPE(f) [](const auto& a) { a.dtype() == DType::f32 ? f<float>(a) : f<double>(a); }
  logcumsumexp.add(cuda, "cuda", TD_BY_TYPE(log_sums), takes_wide<ScanArgs>);
  logcumsumexp_backward.add(cuda, "cuda", TD_BY_TYPE(log_sums_grad), takes_wide<LogcumsumexpGradArgs>);
  cumprod_backward.add(cuda, "cuda", TD_BY_TYPE(products_grad), takes_wide<CumprodGradArgs>);
  product_of_others.add(cuda, "cuda", TD_BY_TYPE(other_products), takes_wide<ScanArgs>);
  recurrence.add(cuda, "cuda", TD_BY_TYPE(recur), takes_wide<RecurrenceArgs>);
#undef TD_BY_TYPE
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
