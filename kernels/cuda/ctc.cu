// Connectionist temporal classification: a block for each row, a thread for each state (or every so many of them), both
// recursions in double. Two times of states lie in shared memory; the gradient keeps alpha of every time in scratch.
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/reduce.h>
#include <tapedeck/kernels/loss.h>

#include <algorithm>
#include <vector>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr std::size_t kMostAlpha = std::size_t{1} << 30;  // bytes of scratch for the alphas of rows at a time
constexpr int kMargin = 2;                                // states that are never reached, on either side

__device__ inline double never() { return -static_cast<double>(INFINITY); }
__device__ inline double log_sum(double a, double b, double c) {
  if (a != a || b != b || c != c) return a + b + c;
  const double most = a > b ? (a > c ? a : c) : (b > c ? b : c);
  return most == never() ? most : most + math::log(math::exp(a - most) + math::exp(b - most) + math::exp(c - most));
}

struct Problem {
  const void* x;
  const std::int64_t *targets, *starts, *steps, *labels;
  std::int64_t row_step, time_step, class_step, blank;
  std::int64_t states;  // of the longest row
  double* room;         // of every row, where shared memory is too small; else nullptr
  std::int64_t room_each;
};

// A row: states are blank, label, blank, …, label, blank.
template <class T>
struct Row {
  const T* x;
  std::int64_t time_step, class_step, steps, labels, blank;
  const std::int64_t* label;
  std::int64_t width;  // from one list of states to the next
  double* lists;       // of states

  __device__ Row(const Problem& p, std::int64_t n, std::int64_t block)
      : x(static_cast<const T*>(p.x) + n * p.row_step),
        time_step(p.time_step),
        class_step(p.class_step),
        steps(p.steps[n]),
        labels(p.labels[n]),
        blank(p.blank),
        label(p.targets + p.starts[n]),
        width(p.states + 2 * kMargin),
        lists(p.room ? p.room + block * p.room_each : dynamic_shared<double>()) {}
  __device__ std::int64_t states() const { return 2 * labels + 1; }
  __device__ std::int64_t at(std::int64_t s) const { return s % 2 == 0 ? blank : label[s / 2]; }
  __device__ double of(std::int64_t t, std::int64_t c) const {
    return static_cast<double>(load(x[t * time_step + c * class_step]));
  }
  // How likely state s is at time t.
  __device__ double emit(std::int64_t t, std::int64_t s) const { return of(t, at(s)); }
  __device__ bool skips(std::int64_t s) const {  // from s - 2 to s
    return s >= 2 && s % 2 == 1 && label[s / 2] != label[s / 2 - 1];
  }
  __device__ double* list(std::int64_t k) const { return lists + k * width + kMargin; }
  __device__ void clear(std::int64_t k) const {
    for (std::int64_t s = threadIdx.x; s < width; s += blockDim.x) lists[k * width + s] = never();
  }

  // All ways to be at a state at a time, kept in alpha[t * states + s] where that is given. Gives the loss to every
  // thread. Lists 0 and 1 are written.
  __device__ double forward(double* alpha) const {
    const std::int64_t n = states(), first = threadIdx.x;
    if (steps == 0) return labels == 0 ? 0 : -never();
    clear(0), clear(1);
    __syncthreads();
    for (std::int64_t s = first; s < n; s += blockDim.x) {
      const double now = s < 2 ? emit(0, s) : never();
      list(0)[s] = now;
      if (alpha) alpha[s] = now;
    }
    __syncthreads();
    double ahead = steps > 1 && first < n ? emit(1, first) : 0;
    for (std::int64_t t = 1; t < steps; ++t) {
      const double* const before = list((t - 1) % 2);
      double* const now = list(t % 2);
      const double here = ahead;
      if (t + 1 < steps && first < n) ahead = emit(t + 1, first);
      for (std::int64_t s = first; s < n; s += blockDim.x) {
        const double sum = log_sum(before[s], before[s - 1], skips(s) ? before[s - 2] : never());
        now[s] = (s == first ? here : emit(t, s)) + sum;
        if (alpha) alpha[t * n + s] = now[s];
      }
      __syncthreads();
    }
    const double* const last = list((steps - 1) % 2);
    return -log_sum(last[n - 1], last[n - 2], never());
  }
};

template <class T>
__global__ void loss_kernel(Problem p, T* losses, std::int64_t step) {
  const std::int64_t n = blockIdx.x;
  const double loss = Row<T>(p, n, n).forward(nullptr);
  if (threadIdx.x == 0) losses[n * step] = store<T>(static_cast<Compute<T>>(loss));
}

struct GradientRoom {
  double* alpha;
  std::int64_t alpha_each;
  int *next, *first;  // by label: the next one of the same class, or -1; by class: its first label, or -1
  std::int64_t next_each;
};

// The shares of classes: each class walks its labels in order, and a warp sums those of the blank.
template <class T>
__global__ void gradient_kernel(Problem p, GradientRoom m, std::int64_t row0, const T* g_of, std::int64_t g_step,
                                bool skip_infinite, std::int64_t time, std::int64_t classes, T* gx_all) {
  const std::int64_t block = blockIdx.x, n = row0 + block, mine = threadIdx.x;
  const Row<T> row(p, n, block);
  const std::int64_t states = row.states();
  T* const gx = gx_all + n * time * classes;
  double* const alpha = m.alpha + block * m.alpha_each;
  int *const next = m.next + block * m.next_each, *const first_of = m.first + block * classes;
  for (std::int64_t i = row.steps * classes + mine; i < time * classes; i += blockDim.x) gx[i] = T{};
  for (std::int64_t c = mine; c < classes; c += blockDim.x) first_of[c] = -1;
  __syncthreads();
  for (std::int64_t k = mine; k < row.labels; k += blockDim.x) {
    std::int64_t after = k + 1;
    while (after < row.labels && row.label[after] != row.label[k]) ++after;
    next[k] = after < row.labels ? static_cast<int>(after) : -1;
    bool first = true;
    for (std::int64_t j = 0; j < k && first; ++j) first = row.label[j] != row.label[k];
    if (first) first_of[row.label[k]] = static_cast<int>(k);
  }
  const double loss = row.forward(alpha);
  const double g = static_cast<double>(load(g_of[n * g_step]));
  if (loss == -never()) {  // no alignment
    const T fill = skip_infinite ? T{} : store<T>(static_cast<Compute<T>>(NAN));
    for (std::int64_t i = mine; i < row.steps * classes; i += blockDim.x) gx[i] = fill;
    return;
  }
  __syncthreads();  // the lists of the forward recursion have been read
  row.clear(0), row.clear(1);
  __syncthreads();
  for (std::int64_t t = row.steps - 1; t >= 0; --t) {
    const double* const after = row.list((t + 1) % 2);
    double *const beta = row.list(t % 2), *const part = row.list(2 + t % 2);
    for (std::int64_t s = mine; s < states; s += blockDim.x) {
      const double e = row.emit(t, s);
      const double sum = t == row.steps - 1 ? (s >= states - 2 ? 0 : never())
                                            : log_sum(after[s], after[s + 1],
                                                      s + 2 < states && row.skips(s + 2) ? after[s + 2] : never());
      beta[s] = e + sum;
      part[s] = e == never() ? 0 : math::exp(alpha[t * states + s] + beta[s] - e + loss);
    }
    __syncthreads();
    const auto put = [&](std::int64_t c, double share) {
      gx[t * classes + c] = store<T>(static_cast<Compute<T>>(g * (math::exp(row.of(t, c)) - share)));
    };
    if (mine < kWarp) {
      double share = 0;
      for (std::int64_t s = 2 * mine; s < states; s += 2 * kWarp) share += part[s];
      share = warp_fold(share, Plus());
      if (mine == 0) put(row.blank, share);
    }
    for (std::int64_t c = mine; c < classes; c += blockDim.x) {
      if (c == row.blank) continue;
      double share = 0;
      for (int k = first_of[c]; k >= 0; k = next[k]) share += part[2 * k + 1];
      put(c, share);
    }
  }
}

// The longest row's states: lengths lie on the device.
template <class Args>
Problem problem(const Args& a) {
  const TensorView& x = a.log_probs;
  std::vector<std::int64_t> lengths(static_cast<std::size_t>(x.sizes[0]));
  download(x.device, lengths.data(), a.target_lengths.data, lengths.size() * sizeof lengths[0]);
  return {x.data,
          a.targets.template ptr<const std::int64_t>(),
          a.starts.template ptr<const std::int64_t>(),
          a.input_lengths.template ptr<const std::int64_t>(),
          a.target_lengths.template ptr<const std::int64_t>(),
          x.strides[0],
          x.strides[1],
          x.strides[2],
          a.blank,
          2 * *std::max_element(lengths.begin(), lengths.end()) + 1,
          nullptr,
          0};
}
// Blocks of `rows`. Their lists of states lie in shared memory if it is large enough, else in the scratch returned.
Scratch plan(Device d, Problem& p, Launch& l, std::int64_t rows, std::int64_t lists, std::int64_t threads) {
  l.grid[0] = static_cast<unsigned>(rows);
  l.block[0] = static_cast<unsigned>(std::clamp<std::int64_t>(ceil_div(threads, kWarp) * kWarp, kWarp, 1024));
  p.room_each = lists * (p.states + 2 * kMargin);
  const std::size_t bytes = static_cast<std::size_t>(p.room_each) * sizeof(double);
  if (bytes <= static_cast<std::size_t>(limits(d).shared_bytes)) {
    l.shared = static_cast<unsigned>(bytes);
    return {};
  }
  Scratch room(d, bytes * static_cast<std::size_t>(rows));
  p.room = room.as<double>();
  return room;
}

template <class T>
void losses(const CtcArgs& a) {
  if (a.log_probs.sizes[0] == 0) return;
  Problem p = problem(a);
  Launch l;
  const Scratch room = plan(a.log_probs.device, p, l, a.log_probs.sizes[0], 2, p.states);
  launch(a.log_probs.device, l, loss_kernel<T>, p, a.losses.ptr<T>(), a.losses.strides[0]);
}

template <class T>
void gradient(const CtcGradArgs& a) {
  const Device d = a.log_probs.device;
  const std::int64_t rows = a.gx.sizes[0], time = a.gx.sizes[1], classes = a.gx.sizes[2];
  if (a.gx.numel() == 0) return;
  Problem p = problem(a);
  GradientRoom m{nullptr, time * p.states, nullptr, nullptr, p.states / 2 + 1};
  const auto row_bytes = static_cast<std::size_t>(m.alpha_each) * sizeof(double);
  const std::int64_t some = std::clamp<std::int64_t>(static_cast<std::int64_t>(kMostAlpha / row_bytes), 1, rows);
  const auto many = static_cast<std::size_t>(some);
  const Scratch alpha(d, many * row_bytes), next(d, many * static_cast<std::size_t>(m.next_each) * sizeof(int)),
      first(d, many * static_cast<std::size_t>(classes) * sizeof(int));
  m.alpha = alpha.as<double>(), m.next = next.as<int>(), m.first = first.as<int>();
  Launch l;
  const Scratch room = plan(d, p, l, some, 4, std::max(p.states, std::min<std::int64_t>(classes, 256)));
  for (std::int64_t row0 = 0; row0 < rows; row0 += some) {
    l.grid[0] = static_cast<unsigned>(std::min(some, rows - row0));
    launch(d, l, gradient_kernel<T>, p, m, row0, a.g.ptr<const T>(), a.g.strides[0], a.skip_infinite, time, classes,
           a.gx.ptr<T>());
  }
}

}  // namespace

void add_ctc() {
  ctc.add(
      DeviceType::cuda, "cuda",
      [](const CtcArgs& a) { each_real_type(a.dtype(), [&](auto zero) { losses<decltype(zero)>(a); }); },
      takes_real<CtcArgs>);
  ctc_backward.add(
      DeviceType::cuda, "cuda",
      [](const CtcGradArgs& a) { each_real_type(a.dtype(), [&](auto zero) { gradient<decltype(zero)>(a); }); },
      takes_real<CtcGradArgs>);
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
