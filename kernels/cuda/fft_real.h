// Fourier transforms of real f32 rows of 256 to 4096 numbers (a power of two) in one pass over memory: neighbours are
// the parts of one complex number, S = n / 2 in all, 16 to a thread. Steps of 16 are made in registers, the first as
// the numbers are read (times the window), and exchanged in shared memory; the last pass takes the parts apart as it
// writes.
#pragma once
#include <tapedeck/kernels/cuda/divide.h>
#include <tapedeck/kernels/cuda/fft_stage.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {

inline constexpr int kRealThreads = 256, kRealBlocks = 3;  // of a block; blocks that a multiprocessor has room for
template <int S>
struct RealSteps {
  static constexpr int kThreads = S / 16, kRows = kRealThreads / kThreads;  // of a row; of a block
  static constexpr int kSecond = S / 16 < 16 ? S / 16 : 16, kThird = S / 16 / kSecond;
  static constexpr int kRoom = S + S / 16;  // numbers of a row, one left out behind every 16: no bank is asked twice
  static constexpr int kRoots = S + kSecond * kThird + S / 2 + 1;
  static constexpr unsigned shared() { return (kRoots + kRows * kRoom) * static_cast<unsigned>(sizeof(Pair<float>)); }
};

// Row r of x lies at r / inner * outer + r % inner * step, x and window at multiples of 8 bytes, y is [rows, S + 1].
struct RealRows {
  std::int64_t rows, outer, step;
  Divisor inner;
  const float *x, *window;
  Pair<float>* y;
  float scale;
};

template <int S>
__global__ void __launch_bounds__(kRealThreads, kRealBlocks) real_kernel(RealRows job) {
  using Steps = RealSteps<S>;
  using Number = Pair<float>;
  constexpr int kThreads = Steps::kThreads, kSecond = Steps::kSecond, kThird = Steps::kThird;
  Number* const first = dynamic_shared<Number>();  // e^(-2 pi i p k / S) at k kThreads + p
  Number* const second = first + S;                // e^(-2 pi i p k 16 / S) at k kThird + p
  Number* const last = second + kSecond * kThird;  // e^(-pi i k / S)
  const int all = static_cast<int>(threadIdx.x), t = all % kThreads;
  Number* const room = last + S / 2 + 1 + all / kThreads * Steps::kRoom;
  for (int i = all; i < S; i += kRealThreads)
    first[i] = root_of_unity<float>(std::int64_t{i % kThreads} * (i / kThreads) % S, S);
  for (int i = all; i < kSecond * kThird; i += kRealThreads)
    second[i] = root_of_unity<float>(std::int64_t{16} * (i % kThird) * (i / kThird) % S, S);
  for (int i = all; i <= S / 2; i += kRealThreads) last[i] = root_of_unity<float>(i, 2 * S);
  __syncthreads();
  // Number i lies at i + i / 16. Steps by multiples of 16 are added to that.
  const auto place = [](unsigned i) { return static_cast<int>(i + i / 16); };
  constexpr int kFar = S / kSecond / 16 * 17, kFarther = S / kThird / 16 * 17;
  const std::int64_t step = std::int64_t{gridDim.x} * Steps::kRows;
  for (std::int64_t base = std::int64_t{blockIdx.x} * Steps::kRows; base < job.rows; base += step) {
    const std::int64_t r = base + all / kThreads;
    const bool mine = r < job.rows;
    if (mine) {
      Number a[16];
      std::int64_t along = 0;
      const std::int64_t side = job.inner(r, &along);
      const Number* const from = reinterpret_cast<const Number*>(job.x + side * job.outer + along * job.step);
#pragma unroll
      for (int j = 0; j < 16; ++j) a[j] = from[t + kThreads * j];
      if (job.window) {
#pragma unroll
        for (int j = 0; j < 16; ++j) {
          const Number w = reinterpret_cast<const Number*>(job.window)[t + kThreads * j];
          a[j] = {a[j].re * w.re, a[j].im * w.im};
        }
      }
      fft_in_place<16>(a);
#pragma unroll
      for (int k = 0; k < 16; ++k) room[17 * t + k] = k == 0 ? a[k] : a[k] * first[k * kThreads + t];
    }
    __syncthreads();
    constexpr int kEach = 16 / kSecond;  // butterflies of a thread
    Number b[kEach][kSecond];
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const Number* const from = room + place(static_cast<unsigned>(t + kThreads * e));
#pragma unroll
      for (int j = 0; j < kSecond; ++j) b[e][j] = from[kFar * j];
    }
    __syncthreads();
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const int which = t + kThreads * e, p = which / 16;
      Number* const to = room + which % 16 + 17 * kSecond * p;
      fft_in_place<kSecond>(b[e]);
#pragma unroll
      for (int k = 0; k < kSecond; ++k) to[17 * k] = k == 0 || kThird == 1 ? b[e][k] : b[e][k] * second[k * kThird + p];
    }
    __syncthreads();
    if constexpr (kThird > 1) {  // in its own places
#pragma unroll
      for (int e = 0; e < 16 / kThird; ++e) {
        Number* const here = room + place(static_cast<unsigned>(t + kThreads * e));
        Number c[kThird];
#pragma unroll
        for (int j = 0; j < kThird; ++j) c[j] = here[kFarther * j];
        fft_in_place<kThird>(c);
#pragma unroll
        for (int j = 0; j < kThird; ++j) here[kFarther * j] = c[j];
      }
      __syncthreads();
    }
    if (mine) {
      // X[k] = even + e^(-pi i k / S) odd, X[S - k] the conjugate of even - e^(-pi i k / S) odd; k = 0 makes both ends.
      Number* const to = job.y + r * (S + 1);
      const float half = job.scale / 2;
      for (int k = t; k <= S / 2; k += kThreads) {
        const Number u = room[place(static_cast<unsigned>(k))],
                     v = room[k == 0 ? 0 : place(static_cast<unsigned>(S - k))];
        const Number even{(u.re + v.re) * half, (u.im - v.im) * half};
        const Number odd = Number{(u.im + v.im) * half, (v.re - u.re) * half} * last[k];
        to[k] = {even.re + odd.re, k == 0 ? 0 : even.im + odd.im};
        if (2 * k < S) to[S - k] = {even.re - odd.re, k == 0 ? 0 : odd.im - even.im};
      }
    }
    __syncthreads();  // the next rows go where these were
  }
}

template <int S>
bool launch_real(Device d, const RealRows& job) {
  using Steps = RealSteps<S>;
  const Limits& l = limits(d);
  if (Steps::shared() > static_cast<unsigned>(l.shared_bytes)) return false;
  Launch p;
  p.block[0] = kRealThreads, p.shared = Steps::shared();
  const std::int64_t resident = std::clamp<std::int64_t>(l.shared_bytes / p.shared, 1, kRealBlocks);
  p.grid[0] =
      static_cast<unsigned>(std::min(ceil_div(job.rows, Steps::kRows), resident * std::int64_t{l.multiprocessors}));
  launch(d, p, real_kernel<S>, job);
  return true;
}
// Whether it did.
inline bool real_rows_in_registers(Device d, std::int64_t n, const RealRows& job) {
  if (!aligned(job.x, 8) || (job.window && !aligned(job.window, 8)) || job.outer % 2 != 0 || job.step % 2 != 0)
    return false;
  switch (n) {
    case 256:
      return launch_real<128>(d, job);
    case 512:
      return launch_real<256>(d, job);
    case 1024:
      return launch_real<512>(d, job);
    case 2048:
      return launch_real<1024>(d, job);
    case 4096:
      return launch_real<2048>(d, job);
    default:
      return false;
  }
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
