// The softmax family, cross entropy and categorical draws. f32 and its short forms are computed in f32, draws in
// double.
#include <tapedeck/kernels/cuda/rows.h>
#include <tapedeck/kernels/reduce.h>

#include <cmath>
#include <limits>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

__device__ inline float exponential(float x) { return expf(x); }
__device__ inline double exponential(double x) { return exp(x); }
__device__ inline float logarithm(float x) { return logf(x); }
__device__ inline double logarithm(double x) { return log(x); }

template <class Row, class C>
__device__ inline C row_max(const Row& row, C* spare) {
  C m = -static_cast<C>(INFINITY);
  row.each([&](C v, std::int64_t) { m = Most()(v, m); });
  return group_fold(m, Most(), row.group, spare);
}
// Of all elements but the one at `without`.
template <class Row, class C>
__device__ inline C sum_of_exponentials(const Row& row, C most, C* spare, std::int64_t without = -1) {
  C total = 0;
  row.each([&](C v, std::int64_t i) { total += i == without ? C(0) : exponential(v - most); });
  return group_fold(total, Plus(), row.group, spare);
}

enum class Kind { softmax, log_softmax, logsumexp };

template <class Row, class T = typename Row::Element>
__global__ void __launch_bounds__(kRowThreads)
    softmax_rows(Kind kind, Layout<2> rows, std::int64_t n, int group, const T* x, T* y) {
  using C = Compute<T>;
  __shared__ C spare[kRowThreads / kWarp];
  const Member member(group);
  std::int64_t at[2] = {0, 0};
  const bool here = member.row < rows.numel;
  if (here) rows.offsets(member.row, at);
  const Row row(x + at[1], 1, here ? n : 0, member);
  C m = row_max(row, spare);
  if (kind == Kind::logsumexp && (m == static_cast<C>(INFINITY) || m == -static_cast<C>(INFINITY))) m = 0;
  const C total = sum_of_exponentials(row, m, spare);
  if (kind == Kind::softmax) {
    const C share = 1 / total;
    row.write(y + at[0], [&](C v, std::int64_t) { return exponential(v - m) * share; });
  } else if (kind == Kind::log_softmax) {
    const C log_total = logarithm(total);
    row.write(y + at[0], [&](C v, std::int64_t) { return v - m - log_total; });
  } else if (here && member.lane == 0) {
    y[at[0]] = store<T>(m + logarithm(total));
  }
}
template <Kind kind>
void softmax_any(const SoftmaxArgs& a) {
  real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Layout<2> rows({without_last(a.y), without_last(a.x)});
    const std::int64_t n = last_size(a.x);
    const GroupPlan p = plan_groups(rows.numel, n, kHeld<T>);
    const bool whole = kind == Kind::logsumexp ? rows_together<T, 1>(Layout<1>({without_last(a.x)}), {a.x.data}, n)
                                               : rows_together<T, 2>(rows, {a.x.data, a.y.data}, n);
    with_rows<T>(p, whole, [&](auto* row) {
      using Row = std::remove_pointer_t<decltype(row)>;
      launch(a.x.device, p.launch, softmax_rows<Row>, kind, rows, n, p.group, static_cast<const T*>(a.x.data),
             static_cast<T*>(a.y.data));
    });
  });
}

// softmax: y (g - sum of g y); its logarithm: g - exp(y) sum of g.
template <class Row, class T = typename Row::Element>
__global__ void __launch_bounds__(kRowThreads)
    softmax_grad_rows(bool logs, Layout<3> rows, std::int64_t n, std::int64_t step, int group, const T* gy, const T* y,
                      T* gx) {
  using C = Compute<T>;
  __shared__ C spare[kRowThreads / kWarp];
  const Member member(group);
  std::int64_t at[3] = {0, 0, 0};
  const bool here = member.row < rows.numel;
  if (here) rows.offsets(member.row, at);
  const Row g(gy + at[1], step, here ? n : 0, member), r(y + at[2], 1, here ? n : 0, member);
  C total = 0;
  if constexpr (Row::kHolds) {
#pragma unroll
    for (int i = 0; i < kHeld<T>; ++i) total = logs ? total + g.v[i] : fma(g.v[i], r.v[i], total);
  } else {
    g.each([&](C v, std::int64_t i) { total = logs ? total + v : fma(v, load(r.x[i]), total); });
  }
  total = group_fold(total, Plus(), group, spare);
  const auto slope = [&](C v, C value) { return logs ? v - exponential(value) * total : value * (v - total); };
  if constexpr (Row::kHolds) {
    Row out = g;
#pragma unroll
    for (int i = 0; i < kHeld<T>; ++i) out.v[i] = slope(g.v[i], r.v[i]);
    out.write(gx + at[0], [](C v, std::int64_t) { return v; });
  } else {
    g.write(gx + at[0], [&](C v, std::int64_t i) { return slope(v, load(r.x[i])); });
  }
}
template <bool logs>
void softmax_grad(const SoftmaxGradArgs& a) {
  real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Layout<3> rows({without_last(a.gx), without_last(a.gy), without_last(a.y)});
    const std::int64_t n = last_size(a.y), step = a.gy.rank == 0 || n == 1 ? 1 : a.gy.strides[a.gy.rank - 1];
    const GroupPlan p = plan_groups(rows.numel, n, kHeld<T>);
    const bool whole = step == 1 && rows_together<T, 3>(rows, {a.gx.data, a.gy.data, a.y.data}, n);
    with_rows<T>(p, whole, [&](auto* row) {
      using Row = std::remove_pointer_t<decltype(row)>;
      launch(a.y.device, p.launch, softmax_grad_rows<Row>, logs, rows, n, step, p.group,
             static_cast<const T*>(a.gy.data), static_cast<const T*>(a.y.data), static_cast<T*>(a.gx.data));
    });
  });
}

// ---- cross entropy --------------------------------------------------------------------------------------------------
template <class T>
struct Classes {
  const T* x;
  const std::int64_t* target;
  std::int64_t rows, n, x_step, target_step, ignored;
  bool together;  // rows of x: as rows_together says
  Classes(const TensorView& x, const TensorView& target, std::int64_t ignored)
      : x(static_cast<const T*>(x.data)),
        target(static_cast<const std::int64_t*>(target.data)),
        rows(x.sizes[0]),
        n(x.sizes[1]),
        x_step(x.strides[0]),
        target_step(target.strides[0]),
        ignored(ignored),
        together(aligned(x.data, 16) && x_step % static_cast<std::int64_t>(16 / sizeof(T)) == 0 &&
                 n % static_cast<std::int64_t>(16 / sizeof(T)) == 0) {}
};

template <class Row, class T = typename Row::Element>
__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_rows(Classes<T> c, int group, T* losses, std::int64_t losses_step) {
  using C = Compute<T>;
  __shared__ C spare[kRowThreads / kWarp];
  const Member member(group);
  const bool here = member.row < c.rows;
  const T* const x = here ? c.x + member.row * c.x_step : c.x;
  const Row row(x, 1, here ? c.n : 0, member);
  const C m = row_max(row, spare), total = sum_of_exponentials(row, m, spare);
  if (!here || member.lane != 0) return;
  const std::int64_t target = c.target[member.row * c.target_step];
  losses[member.row * losses_step] = store<T>(target == c.ignored ? C(0) : logarithm(total) + (m - load(x[target])));
}
void cross_entropy_any(const CrossEntropyArgs& a) {
  real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Classes<T> c(a.x, a.target, a.ignore_index);
    const GroupPlan p = plan_groups(c.rows, c.n, kHeld<T>);
    with_rows<T>(p, c.together, [&](auto* row) {
      using Row = std::remove_pointer_t<decltype(row)>;
      launch(a.x.device, p.launch, cross_entropy_rows<Row>, c, p.group, static_cast<T*>(a.losses.data),
             a.losses.strides[0]);
    });
  });
}

// p - 1 at the target is minus the others' share: nothing cancels.
template <class Row, class T = typename Row::Element>
__global__ void __launch_bounds__(kRowThreads)
    cross_entropy_grad_rows(Classes<T> c, int group, const T* g, std::int64_t g_step, T* gx, std::int64_t gx_step) {
  using C = Compute<T>;
  __shared__ C spare[kRowThreads / kWarp];
  const Member member(group);
  const bool here = member.row < c.rows;
  const std::int64_t r = here ? member.row : 0, target = here ? c.target[r * c.target_step] : c.ignored;
  const T* const x = c.x + r * c.x_step;
  const Row row(x, 1, here ? c.n : 0, member);
  const bool ignored = target == c.ignored;
  const C m = row_max(row, spare), others = sum_of_exponentials(row, m, spare, target);
  const C total = ignored ? C(1) : others + exponential(load(x[target]) - m), scale = here ? load(g[r * g_step]) : C(0);
  const C share = 1 / total, at_target = -scale * (others / total);
  row.write(gx + r * gx_step, [&](C v, std::int64_t i) {
    if (ignored) return C(0);
    return i == target ? at_target : scale * (exponential(v - m) * share);
  });
}
void cross_entropy_grad(const CrossEntropyGradArgs& a) {
  real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Classes<T> c(a.x, a.target, a.ignore_index);
    const GroupPlan p = plan_groups(c.rows, c.n, kHeld<T>);
    const bool whole =
        c.together && aligned(a.gx.data, 16) && a.gx.strides[0] % static_cast<std::int64_t>(16 / sizeof(T)) == 0;
    with_rows<T>(p, whole, [&](auto* row) {
      using Row = std::remove_pointer_t<decltype(row)>;
      launch(a.x.device, p.launch, cross_entropy_grad_rows<Row>, c, p.group, static_cast<const T*>(a.g.data),
             a.g.strides[0], static_cast<T*>(a.gx.data), a.gx.strides[0]);
    });
  });
}

// ---- draws ----------------------------------------------------------------------------------------------------------
constexpr int kDrawRows = 4;     // warps of a block
constexpr int kDrawRoom = 1024;  // classes whose running sums a warp keeps

// A warp draws for a row. One lane sums, in class order; the others make the exponentials and search.
template <class T>
__global__ void __launch_bounds__(kDrawRows* kWarp)
    sample_rows(const T* x, std::int64_t x_step, const float* u, std::int64_t u_step, std::int64_t* y,
                std::int64_t y_step, std::int64_t rows, std::int64_t n, double temperature) {
  __shared__ double room[kDrawRows][kDrawRoom];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const std::int64_t row = std::int64_t{blockIdx.x} * kDrawRows + warp;
  if (row >= rows) return;  // a whole warp; no barriers follow
  const T* const line = x + row * x_step;
  const auto element = [&](std::int64_t j) { return static_cast<double>(load(line[j])); };
  if (temperature == 0) {
    const double first = element(0);
    double best = first;
    std::int64_t place = 0;
    for (std::int64_t j = lane; j < n; j += kWarp)
      if (element(j) > best) best = element(j), place = j;
    for (int step = kWarp / 2; step > 0; step /= 2) {
      const double other = __shfl_xor_sync(kAllLanes, best, step);
      const std::int64_t there = __shfl_xor_sync(kAllLanes, place, step);
      if (other > best || (other == best && there < place)) best = other, place = there;
    }
    if (lane == 0) y[row * y_step] = place;
    return;
  }
  double m = -static_cast<double>(INFINITY);
  for (std::int64_t j = lane; j < n; j += kWarp) m = Most()(element(j), m);
  m = warp_fold(m, Most());
  // The running sums of classes [from, from + kDrawRoom), which goes on from `before`, into sums; the last one.
  double* const sums = room[warp];
  std::int64_t last = 0;  // class of non-zero probability
  const auto run = [&](std::int64_t from, double before) {
    const int count = static_cast<int>(n - from < kDrawRoom ? n - from : kDrawRoom);
    __syncwarp();
    for (int j = lane; j < count; j += kWarp) {
      sums[j] = exp((element(from + j) - m) / temperature);
      if (sums[j] > 0) last = from + j;
    }
    __syncwarp();
    if (lane == 0)
      for (int j = 0; j < count; ++j) sums[j] = before += sums[j];
    __syncwarp();
    return __shfl_sync(kAllLanes, before, 0);
  };
  double total = 0;
  for (std::int64_t from = 0; from < n; from += kDrawRoom) total = run(from, total);
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const std::int64_t other = __shfl_xor_sync(kAllLanes, last, step);
    last = other > last ? other : last;
  }
  const double bound = u[row * u_step] * total;
  std::int64_t found = -1;
  double before = 0;
  for (std::int64_t from = 0; from < n && found < 0; from += kDrawRoom) {
    if (n > kDrawRoom) before = run(from, before);
    const int count = static_cast<int>(n - from < kDrawRoom ? n - from : kDrawRoom);
    for (int j = 0; j < count && found < 0; j += kWarp) {
      const unsigned beyond = __ballot_sync(kAllLanes, j + lane < count && sums[j + lane] > bound);
      if (beyond != 0) found = from + j + __ffs(static_cast<int>(beyond)) - 1;
    }
  }
  if (lane == 0) y[row * y_step] = found < 0 ? last : found;
}
void sample(const SampleArgs& a) {
  real_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Launch l;
    l.block[0] = kDrawRows * kWarp;
    l.grid[0] = static_cast<unsigned>(ceil_div(a.x.sizes[0], kDrawRows));
    launch(a.x.device, l, sample_rows<T>, static_cast<const T*>(a.x.data), a.x.strides[0],
           static_cast<const float*>(a.u.data), a.u.strides[0], static_cast<std::int64_t*>(a.y.data), a.y.strides[0],
           a.x.sizes[0], a.x.sizes[1], a.temperature);
  });
}

}  // namespace

void add_softmax() {
  constexpr DeviceType cuda = DeviceType::cuda;
  softmax.add(cuda, "cuda", softmax_any<Kind::softmax>, takes_real_type<SoftmaxArgs>);
  log_softmax.add(cuda, "cuda", softmax_any<Kind::log_softmax>, takes_real_type<SoftmaxArgs>);
  logsumexp.add(cuda, "cuda", softmax_any<Kind::logsumexp>, takes_real_type<SoftmaxArgs>);
  softmax_backward.add(cuda, "cuda", softmax_grad<false>, takes_real_type<SoftmaxGradArgs>);
  log_softmax_backward.add(cuda, "cuda", softmax_grad<true>, takes_real_type<SoftmaxGradArgs>);
  cross_entropy.add(cuda, "cuda", cross_entropy_any, takes_real_type<CrossEntropyArgs>);
  cross_entropy_backward.add(cuda, "cuda", cross_entropy_grad, takes_real_type<CrossEntropyGradArgs>);
  sample_categorical.add(cuda, "cuda", sample, takes_real_type<SampleArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
