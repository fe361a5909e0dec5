// Normalisation by mean and variance. Single rows (layer norm) are held in registers: one read, one write. Otherwise
// threads run along the channels, each sums some rows of one, and a second kernel joins what belongs to a group.
// Statistics and sums are double, elements are computed in their own precision.
#include <tapedeck/kernels/cuda/rows.h>
#include <tapedeck/kernels/norm.h>

#include <cmath>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

// (x - mean) / sqrt(variance + eps); the mean in two parts, so that f32 loses nothing of it.
template <class C>
struct Scale {
  C mean, rest, rstd;
  Scale() = default;
  __device__ Scale(const double* stats, double eps)
      : mean(static_cast<C>(stats[0])),
        rest(static_cast<C>(stats[0] - static_cast<double>(mean))),
        rstd(static_cast<C>(1 / sqrt(stats[1] + eps))) {
    if (rest != rest) rest = 0;  // of infinities
  }
  __device__ C operator()(C x) const { return (x - mean - rest) * rstd; }
};

struct Extent {
  std::int64_t parts, rows, channels, groups, width;  // width: channels of a group
  Extent(const TensorView& x, const TensorView& stats)
      : parts(x.sizes[0]), rows(x.sizes[1]), channels(x.sizes[2]), groups(stats.sizes[1]), width(channels / groups) {}
  TD_HD std::int64_t sets() const { return parts * groups; }
  __device__ std::int64_t part_of(std::int64_t set) const { return groups == 1 ? set : set / groups; }
  double terms() const { return static_cast<double>(rows * width); }
};
// Where part r, row s of a tensor begins.
template <class T>
struct Cube {
  T* data;
  std::int64_t part, row;
  explicit Cube(const TensorView& v) : data(v.ptr<T>()), part(v.strides[0]), row(v.strides[1]) {}
  __device__ T* at(std::int64_t r, std::int64_t s) const { return data + r * part + s * row; }
};
template <class T>
const T* given(const TensorView& v) {
  return v ? v.ptr<const T>() : nullptr;
}

// ---- single rows ----------------------------------------------------------------------------------------------------
template <class Row, class T = typename Row::Element>
__global__ void __launch_bounds__(kRowThreads, 1)
    norm_rows(Extent e, int group, Cube<const T> x, const T* weight, const T* bias, Cube<T> y, double* stats,
              double eps, bool centred) {
  using C = Compute<T>;
  __shared__ double spare[kRowThreads / kWarp];
  const Member member(group);
  const bool here = member.row < e.sets();
  const std::int64_t r = e.part_of(here ? member.row : 0), first = here ? (member.row - r * e.groups) * e.width : 0;
  const Row row(x.at(r, 0) + first, 1, here ? e.width : 0, member);
  const double n = static_cast<double>(e.width);
  const auto sum_of = [&](auto f) {
    double sum = 0;
    row.each([&](C v, std::int64_t) { sum += f(static_cast<double>(v)); });
    return group_fold(sum, Plus(), group, spare);
  };
  double moments[2] = {0, 0};
  if (centred) moments[0] = sum_of([](double v) { return v; }) / n;
  double off = 0;  // what the first mean was off
  if (sizeof(C) == 8 && centred) off = sum_of([&](double v) { return v - moments[0]; });
  double squares = 0;
  row.each([&](C v, std::int64_t) {
    const double d = static_cast<double>(v) - moments[0];
    squares = fma(d, d, squares);
  });
  squares = group_fold(squares, Plus(), group, spare) - off * off / n;
  moments[0] += off / n;
  moments[1] = squares < 0 ? 0 : squares / n;
  const Scale<C> scale(moments, eps);
  if (here && member.lane == 0) stats[member.row * 2] = moments[0], stats[member.row * 2 + 1] = moments[1];
  row.write_scaled(y.at(r, 0) + first, weight ? weight + first : nullptr, bias ? bias + first : nullptr, scale);
}

template <class Row, class T = typename Row::Element>
__global__ void __launch_bounds__(kRowThreads, 1)
    norm_grad_rows(Extent e, int group, Cube<const T> gy, Cube<const T> x, const T* weight, const double* stats,
                   Cube<T> gx, double eps, bool centred) {
  using C = Compute<T>;
  __shared__ double spare[kRowThreads / kWarp];
  const Member member(group);
  const bool here = member.row < e.sets();
  const std::int64_t r = e.part_of(here ? member.row : 0), first = here ? (member.row - r * e.groups) * e.width : 0;
  const T* const up = gy.at(r, 0) + first;
  const T* const w = weight ? weight + first : nullptr;
  const Row row(x.at(r, 0) + first, 1, here ? e.width : 0, member);
  const Scale<C> scale(stats + (here ? member.row * 2 : 0), eps);
  double sum = 0, dot = 0;
  if constexpr (Row::kHolds) {
    Row g(up, 1, here ? e.width : 0, member);
    g.scale(w);
    g.each([&](C v, std::int64_t) { sum += v; });
#pragma unroll
    for (int i = 0; i < Row::kHolds; ++i)
      dot = fma(static_cast<double>(g.v[i]), static_cast<double>(scale(row.v[i])), dot);
    sum = centred ? group_fold(sum, Plus(), group, spare) / static_cast<double>(e.width) : 0;
    dot = group_fold(dot, Plus(), group, spare) / static_cast<double>(e.width);
    const C level = static_cast<C>(sum), slope = static_cast<C>(dot);
#pragma unroll
    for (int i = 0; i < Row::kHolds; ++i) g.v[i] = (g.v[i] - level - scale(row.v[i]) * slope) * scale.rstd;
    g.write(gx.at(r, 0) + first, [](C v, std::int64_t) { return v; });
  } else {
    const auto scaled = [&](std::int64_t i) { return w ? load(up[i]) * load(w[i]) : load(up[i]); };
    row.each([&](C v, std::int64_t i) {
      const double a = scaled(i);
      sum += a, dot = fma(a, static_cast<double>(scale(v)), dot);
    });
    sum = centred ? group_fold(sum, Plus(), group, spare) / static_cast<double>(e.width) : 0;
    dot = group_fold(dot, Plus(), group, spare) / static_cast<double>(e.width);
    const C level = static_cast<C>(sum), slope = static_cast<C>(dot);
    row.write(gx.at(r, 0) + first,
              [&](C v, std::int64_t i) { return (scaled(i) - level - scale(v) * slope) * scale.rstd; });
  }
}

template <class T>
bool together(const Extent& e, std::initializer_list<TensorView> cubes, std::initializer_list<TensorView> lines) {
  constexpr std::int64_t kWide = 16 / sizeof(T);
  bool yes = e.width % kWide == 0;
  for (const TensorView& v : lines) yes = yes && aligned(v.data, 16);
  for (const TensorView& v : cubes) yes = yes && aligned(v.data, 16) && v.strides[0] % kWide == 0;
  return yes;
}

// ---- many rows ------------------------------------------------------------------------------------------------------
constexpr int kThreads = 256, kRows = 8;  // of a block; that a thread takes at a time

// A block takes a chunk of the rows of a part and some channels, a thread one channel of every blockDim.y-th row.
struct Frame {
  std::int64_t parts, rows, channels;
  std::int64_t chunk = 0, chunks = 1, across = 1;  // rows of a block, blocks of a part's rows, of its channels
  Launch launch;
  Frame(std::int64_t parts, std::int64_t rows, std::int64_t channels) : parts(parts), rows(rows), channels(channels) {
    unsigned wide = 1, deep = 1;
    while (wide < channels && wide < 64) wide *= 2;
    while (deep * wide < kWarp || (deep * wide < kThreads && deep * 2 < rows)) deep *= 2;
    launch.block[0] = wide, launch.block[1] = deep;
    across = ceil_div(channels, wide);
    const std::int64_t room = std::max<std::int64_t>(1, 2048 / std::max<std::int64_t>(1, parts * across));
    chunk = ceil_div(rows, std::clamp<std::int64_t>(rows / (deep * kRows), 1, room));
    chunks = ceil_div(rows, chunk);
    launch.grid[0] = static_cast<unsigned>(parts * chunks * across);
  }
};
struct Spot {
  std::int64_t channel, part, chunk, begin, end;  // part * chunks + number of the chunk; its rows
  bool here;
  __device__ explicit Spot(const Frame& f) {
    const std::int64_t side = blockIdx.x / f.across;
    channel = (blockIdx.x - side * f.across) * blockDim.x + threadIdx.x;
    chunk = side, part = side / f.chunks;
    begin = (side - part * f.chunks) * f.chunk;
    end = begin + f.chunk < f.rows ? begin + f.chunk : f.rows;
    here = channel < f.channels;
  }
};
// Joins the values of the threads of a channel; that of threadIdx.y 0 is the result. `room`: shared, kThreads values.
template <class S, class F>
__device__ inline S join_rows(S v, F f, S* room) {
  S* const mine = room + threadIdx.y * blockDim.x + threadIdx.x;
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    if (threadIdx.y >= half && threadIdx.y < 2 * half) *mine = v;
    __syncthreads();
    if (threadIdx.y < half) v = f(v, mine[half * blockDim.x]);
    __syncthreads();
  }
  return v;
}

// Number, mean and sum of squared deviations (Chan, Golub, LeVeque 1979); not centred: the mean stays 0.
struct Moments {
  double count, mean, squares;
};
struct JoinMoments {
  __device__ Moments operator()(const Moments& a, const Moments& b) const {
    if (a.count == 0 || b.count == 0) return a.count == 0 ? b : a;
    const double n = a.count + b.count, d = b.mean - a.mean, share = b.count / n;
    return {n, a.mean + d * share, a.squares + b.squares + d * d * (a.count * share)};
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads) moments_of_channels(Frame f, Cube<const T> x, bool centred, Moments* out) {
  __shared__ Moments room[kThreads];
  const Spot spot(f);
  const JoinMoments join;
  Moments m{0, 0, 0};
  if (spot.here) {
    const T* const from = x.at(spot.part, 0) + spot.channel;
    const std::int64_t step = blockDim.y;
    std::int64_t s = spot.begin + threadIdx.y;
    for (; s + (kRows - 1) * step < spot.end; s += kRows * step) {
      T v[kRows];
      for (int k = 0; k < kRows; ++k) v[k] = from[(s + k * step) * x.row];
      Moments here{kRows, 0, 0};
      if (centred)
        for (int k = 0; k < kRows; ++k) here.mean += load(v[k]) * (1. / kRows);
      for (int k = 0; k < kRows; ++k) {
        const double d = load(v[k]) - here.mean;
        here.squares = fma(d, d, here.squares);
      }
      m = join(m, here);
    }
    for (; s < spot.end; s += step) {
      const double v = load(from[s * x.row]);
      m = join(m, centred ? Moments{1, v, v - v} : Moments{1, 0, v * v});
    }
  }
  m = join_rows(m, join, room);
  if (spot.here && threadIdx.y == 0) out[spot.chunk * f.channels + spot.channel] = m;
}

// f(values[part, all chunks, the group's channels], …) of every set, by `group` threads; out(set, value).
template <class S, class F, class Out>
__device__ inline void join_groups(const Extent& e, std::int64_t chunks, int group, const S* values, S none, F f,
                                   S* room, Out out) {
  const Member member(group);
  const bool here = member.row < e.sets();
  S v = none;
  if (here) {
    const std::int64_t r = member.row / e.groups, first = (member.row - r * e.groups) * e.width;
    const std::int64_t count = chunks * e.width;
    for (std::int64_t i = member.lane; i < count; i += group) {
      const std::int64_t k = e.width == 1 ? i : i / e.width;
      v = f(v, values[(r * chunks + k) * e.channels + first + (i - k * e.width)]);
    }
  }
  v = group_fold(v, f, group, room);
  if (here && member.lane == 0) out(member.row, v);
}
__global__ void __launch_bounds__(kRowThreads)
    moments_of_groups(Extent e, std::int64_t chunks, int group, const Moments* values, double* stats) {
  __shared__ Moments room[kRowThreads / kWarp];
  join_groups(e, chunks, group, values, Moments{0, 0, 0}, JoinMoments(), room, [&](std::int64_t set, const Moments& m) {
    stats[set * 2] = m.mean;
    stats[set * 2 + 1] = m.squares / m.count;
  });
}
// How many threads join the parts of a set.
GroupPlan plan_sets(const Extent& e, std::int64_t chunks) { return plan_groups(e.sets(), chunks * e.width, 16); }

template <class C>
__global__ void make_scales(std::int64_t sets, const double* stats, double eps, Scale<C>* out) {
  const std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < sets) out[i] = Scale<C>(stats + i * 2, eps);
}
template <class C>
Scratch scales_of(const Extent& e, const TensorView& stats, double eps) {
  Scratch s(stats.device, static_cast<std::size_t>(e.sets()) * sizeof(Scale<C>));
  launch(stats.device, plan_items(e.sets()), make_scales<C>, e.sets(), stats.ptr<const double>(), eps,
         s.as<Scale<C>>());
  return s;
}

template <class T, class C = Compute<T>>
__global__ void __launch_bounds__(kThreads, 2)
    normalise(Frame f, Extent e, Cube<const T> x, const T* weight, const T* bias, const Scale<C>* scales, Cube<T> y) {
  const Spot spot(f);
  if (!spot.here) return;
  const Scale<C> scale = scales[spot.part * e.groups + spot.channel / e.width];
  const C w = weight ? load(weight[spot.channel]) : C(1), b = bias ? load(bias[spot.channel]) : C(0);
  const T* const from = x.at(spot.part, 0) + spot.channel;
  T* const to = y.at(spot.part, 0) + spot.channel;
#pragma unroll 4
  for (std::int64_t s = spot.begin + threadIdx.y; s < spot.end; s += blockDim.y) {
    const C v = scale(load(from[s * x.row])) * w;
    to[s * y.row] = store<T>(bias ? v + b : v);
  }
}

template <class T>
void norm_any(const GroupNormArgs& a) {
  const Extent e(a.x, a.stats);
  const Cube<const T> x(a.x);
  const Cube<T> y(a.y);
  const Device d = a.x.device;
  double* const stats = a.stats.ptr<double>();
  if (e.rows == 1) {
    // A warp holds rows of twice the usual length: rows of a block would wait for each other.
    constexpr int kLong = 2 * kHeld<T>;
    const bool whole = together<T>(e, {a.x, a.y}, {a.weight, a.bias});
    const bool longer = whole && e.width > kWarp * kHeld<T> && e.width <= kWarp * kLong;
    const GroupPlan p = plan_groups(e.sets(), e.width, longer ? kLong : kHeld<T>);
    const auto go = [&](auto* row) {
      using Row = std::remove_pointer_t<decltype(row)>;
      launch(d, p.launch, norm_rows<Row>, e, p.group, x, given<T>(a.weight), given<T>(a.bias), y, stats, a.eps,
             a.centred);
    };
    if (longer) return go(static_cast<HeldRow<T, static_cast<int>(16 / sizeof(T)), kLong>*>(nullptr));
    return with_rows<T>(p, whole, go);
  }
  const Frame f(e.parts, e.rows, e.channels);
  const Scratch moments(d, static_cast<std::size_t>(f.parts * f.chunks * f.channels) * sizeof(Moments));
  launch(d, f.launch, moments_of_channels<T>, f, x, a.centred, moments.as<Moments>());
  const GroupPlan sets = plan_sets(e, f.chunks);
  launch(d, sets.launch, moments_of_groups, e, f.chunks, sets.group, moments.as<Moments>(), stats);
  const Scratch scales = scales_of<Compute<T>>(e, a.stats, a.eps);
  launch(d, f.launch, normalise<T>, f, e, x, given<T>(a.weight), given<T>(a.bias), scales.as<Scale<Compute<T>>>(), y);
}

// ---- gradients of many rows -----------------------------------------------------------------------------------------
struct Sums {  // of the incoming gradient, and of its products with the standardised x
  double level, dot;
};
struct JoinSums {
  __device__ Sums operator()(const Sums& a, const Sums& b) const { return {a.level + b.level, a.dot + b.dot}; }
};

// by_row: rows are parts of their own (the frame has one part), each with its scales.
template <class T, class C = Compute<T>>
__global__ void __launch_bounds__(kThreads)
    sums_of_channels(Frame f, Extent e, bool by_row, Cube<const T> gy, Cube<const T> x, const T* weight,
                     const Scale<C>* scales, Sums* out) {
  __shared__ Sums room[kThreads];
  const Spot spot(f);
  Sums sums{0, 0};
  if (spot.here) {
    const std::int64_t g = spot.channel / e.width;
    const C w = weight ? load(weight[spot.channel]) : C(1);
    const T* const up = gy.at(spot.part, 0) + spot.channel;
    const T* const from = x.at(spot.part, 0) + spot.channel;
    const std::int64_t up_step = by_row ? gy.part : gy.row, step = by_row ? x.part : x.row;
    Scale<C> scale = scales[spot.part * e.groups + g];
#pragma unroll 4
    for (std::int64_t s = spot.begin + threadIdx.y; s < spot.end; s += blockDim.y) {
      if (by_row) scale = scales[s * e.groups + g];
      const C v = load(up[s * up_step]) * w;
      sums.level += v,
          sums.dot = fma(static_cast<double>(v), static_cast<double>(scale(load(from[s * step]))), sums.dot);
    }
  }
  sums = join_rows(sums, JoinSums(), room);
  if (spot.here && threadIdx.y == 0) out[spot.chunk * f.channels + spot.channel] = sums;
}
__global__ void __launch_bounds__(kRowThreads)
    sums_of_groups(Extent e, double terms, std::int64_t chunks, int group, const Sums* values, Sums* out) {
  __shared__ Sums room[kRowThreads / kWarp];
  join_groups(e, chunks, group, values, Sums{0, 0}, JoinSums(), room, [&](std::int64_t set, const Sums& s) {
    out[set] = {s.level / terms, s.dot / terms};
  });
}
template <class T, class C = Compute<T>>
__global__ void __launch_bounds__(kThreads, 2)
    norm_grad(Frame f, Extent e, Cube<const T> gy, Cube<const T> x, const T* weight, const Scale<C>* scales,
              const Sums* means, bool centred, Cube<T> gx) {
  const Spot spot(f);
  if (!spot.here) return;
  const std::int64_t set = spot.part * e.groups + spot.channel / e.width;
  const Scale<C> scale = scales[set];
  const C w = weight ? load(weight[spot.channel]) : C(1);
  const C level = centred ? static_cast<C>(means[set].level) : C(0), slope = static_cast<C>(means[set].dot);
  const T* const up = gy.at(spot.part, 0) + spot.channel;
  const T* const from = x.at(spot.part, 0) + spot.channel;
  T* const to = gx.at(spot.part, 0) + spot.channel;
#pragma unroll 4
  for (std::int64_t s = spot.begin + threadIdx.y; s < spot.end; s += blockDim.y) {
    const C v = load(up[s * gy.row]) * w;
    to[s * gx.row] = store<T>((v - level - scale(load(from[s * x.row])) * slope) * scale.rstd);
  }
}

template <class T>
void norm_grad_any(const GroupNormGradArgs& a) {
  const Extent e(a.x, a.stats);
  const Cube<const T> x(a.x), gy(a.gy);
  const Cube<T> gx(a.gx);
  const Device d = a.x.device;
  if (e.rows == 1) {
    const GroupPlan p = plan_groups(e.sets(), e.width, kHeld<T>);
    return with_rows<T>(p, together<T>(e, {a.gy, a.x, a.gx}, {a.weight}), [&](auto* row) {
      using Row = std::remove_pointer_t<decltype(row)>;
      launch(d, p.launch, norm_grad_rows<Row>, e, p.group, gy, x, given<T>(a.weight), a.stats.ptr<const double>(), gx,
             a.eps, a.centred);
    });
  }
  using Scales = Scale<Compute<T>>;
  const Frame f(e.parts, e.rows, e.channels);
  const Scratch scales = scales_of<Compute<T>>(e, a.stats, a.eps);
  const Scratch sums(d, static_cast<std::size_t>(f.parts * f.chunks * f.channels) * sizeof(Sums));
  const Scratch means(d, static_cast<std::size_t>(e.sets()) * sizeof(Sums));
  launch(d, f.launch, sums_of_channels<T>, f, e, false, gy, x, given<T>(a.weight), scales.as<Scales>(),
         sums.as<Sums>());
  const GroupPlan sets = plan_sets(e, f.chunks);
  launch(d, sets.launch, sums_of_groups, e, e.terms(), f.chunks, sets.group, sums.as<Sums>(), means.as<Sums>());
  launch(d, f.launch, norm_grad<T>, f, e, gy, x, given<T>(a.weight), scales.as<Scales>(), means.as<Sums>(), a.centred,
         gx);
}

// gweight and gbias from the sums of `count` chunks.
template <class T>
__global__ void __launch_bounds__(kThreads)
    join_chunks(std::int64_t count, std::int64_t channels, const Sums* values, T* gweight, T* gbias) {
  __shared__ Sums room[kThreads];
  const std::int64_t c = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  Sums sums{0, 0};
  if (c < channels)
    for (std::int64_t k = threadIdx.y; k < count; k += blockDim.y) sums = JoinSums()(sums, values[k * channels + c]);
  sums = join_rows(sums, JoinSums(), room);
  if (c >= channels || threadIdx.y != 0) return;
  using C = Compute<T>;
  if (gweight) gweight[c] = store<T>(static_cast<C>(sums.dot));
  if (gbias) gbias[c] = store<T>(static_cast<C>(sums.level));
}
template <class T>
void param_grad_any(const GroupNormParamGradArgs& a) {
  const Extent e(a.x, a.stats);
  const Device d = a.x.device;
  const bool by_row = e.rows == 1;
  const Frame f(by_row ? 1 : e.parts, by_row ? e.parts : e.rows, e.channels);
  const Scratch scales = scales_of<Compute<T>>(e, a.stats, a.eps);
  const Scratch sums(d, static_cast<std::size_t>(f.parts * f.chunks * f.channels) * sizeof(Sums));
  launch(d, f.launch, sums_of_channels<T>, f, e, by_row, Cube<const T>(a.gy), Cube<const T>(a.x), nullptr,
         scales.as<Scale<Compute<T>>>(), sums.as<Sums>());
  const std::int64_t count = f.parts * f.chunks;
  Launch l;
  l.block[0] = kWarp;
  while (l.block[1] < 8 && l.block[1] * 2 < count) l.block[1] *= 2;
  l.grid[0] = static_cast<unsigned>(ceil_div(e.channels, kWarp));
  launch(d, l, join_chunks<T>, count, e.channels, sums.as<Sums>(), a.gweight ? a.gweight.ptr<T>() : nullptr,
         a.gbias ? a.gbias.ptr<T>() : nullptr);
}

}  // namespace

void add_norm() {
  constexpr DeviceType cuda = DeviceType::cuda;
#define TD_BY_TYPE(f) [](const auto& a) { real_type(a.dtype(), [&](auto zero) { f<decltype(zero)>(a); }); }
  group_norm.add(cuda, "cuda", TD_BY_TYPE(norm_any), takes_real_type<GroupNormArgs>);
  group_norm_backward.add(cuda, "cuda", TD_BY_TYPE(norm_grad_any), takes_real_type<GroupNormGradArgs>);
  group_norm_param_grad.add(cuda, "cuda", TD_BY_TYPE(param_grad_any), takes_real_type<GroupNormParamGradArgs>);
#undef TD_BY_TYPE
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
