// Depthwise convolutions over time: neighbouring threads take neighbouring channels, so that all of x, y and their
// gradients move in whole lines.
#include <tapedeck/kernels/cuda/depthwise.h>
#include <tapedeck/kernels/cuda/divide.h>
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/tile.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace {

constexpr int kSteps = 4;  // neighbours in time of one thread

// What is read [B, T, C], what is written [B, T', C], the weight's strides.
template <class T>
struct Depthwise {
  const T *x, *w, *bias;
  T* y;
  std::int64_t x_batch, x_time, x_size, y_batch, y_time, y_size, w_channel, w_tap, taps, bias_step;
  std::int64_t stride, dilation, pad;
  Divisor channels, groups;  // groups of kSteps times
  bool add;

  Depthwise(const TensorView& from, const TensorView& weight, const TensorView& b, const TensorView& to,
            const Conv1dShape& s, double beta)
      : x(from.ptr<const T>()),
        w(weight.ptr<const T>()),
        bias(b ? b.ptr<const T>() : nullptr),
        y(to.ptr<T>()),
        x_batch(from.strides[0]),
        x_time(from.strides[1]),
        x_size(from.sizes[1]),
        y_batch(to.strides[0]),
        y_time(to.strides[1]),
        y_size(to.sizes[1]),
        w_channel(weight.strides[0]),
        w_tap(weight.strides[2]),
        taps(weight.sizes[2]),
        bias_step(b ? b.strides[0] : 0),
        stride(s.stride),
        dilation(s.dilation),
        pad(s.pad_left),
        channels(to.sizes[2]),
        groups(ceil_div(to.sizes[1], kSteps)),
        add(beta != 0) {}
  std::int64_t items(std::int64_t batch) const { return batch * groups.value() * channels.value(); }
};

template <class T, bool Adjoint>
__global__ void depthwise_kernel(Depthwise<T> d, std::int64_t items) {
  using C = Compute<T>;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < items; at += step) {
    std::int64_t channel, group;
    const std::int64_t batch = d.groups(d.channels(at, &channel), &group), first = group * kSteps;
    const T* const x = d.x + batch * d.x_batch + channel;
    C sum[kSteps] = {};
    for (std::int64_t k = 0; k < d.taps; ++k) {
      const C w = load(d.w[channel * d.w_channel + k * d.w_tap]);
#pragma unroll
      for (int j = 0; j < kSteps; ++j) {
        std::int64_t t;
        if (Adjoint) {
          t = first + j + d.pad - k * d.dilation;
          if (d.stride != 1) {
            if (t % d.stride != 0) continue;
            t /= d.stride;
          }
        } else {
          t = (first + j) * d.stride + k * d.dilation - d.pad;
        }
        const bool inside = static_cast<std::uint64_t>(t) < static_cast<std::uint64_t>(d.x_size);
        sum[j] = tile_fma(inside ? load(x[t * d.x_time]) : C(0), w, sum[j]);
      }
    }
    const C bias = d.bias ? load(d.bias[channel * d.bias_step]) : C(0);
    T* const y = d.y + batch * d.y_batch + channel;
#pragma unroll
    for (int j = 0; j < kSteps; ++j) {
      if (first + j >= d.y_size) continue;
      T& to = y[(first + j) * d.y_time];
      C v = sum[j];
      if (d.add) v += load(to);
      to = store<T>(v + bias);
    }
  }
}

template <bool Adjoint, class T>
void run(const Depthwise<T>& d, const TensorView& y) {
  const std::int64_t items = d.items(y.sizes[0]);
  launch(y.device, plan_items(items), depthwise_kernel<T, Adjoint>, d, items);
}

// ---- the weight's gradient: a sum over all rows of gy ---------------------------------------------------------------
constexpr int kLanes = 8, kTaps = 8;  // threads that share a channel's rows; taps of one pass

// Partial sums [chunk, tap, channel] over the rows of a chunk.
template <class T>
__global__ void depthwise_weight_kernel(Depthwise<T> d, const T* gy, std::int64_t rows, std::int64_t chunk,
                                        Divisor times, Compute<T>* parts) {
  using C = Compute<T>;
  __shared__ C shared[kLanes][kWarp];
  const std::int64_t channel = std::int64_t{blockIdx.x} * kWarp + threadIdx.x, channels = d.channels.value();
  const std::int64_t begin = std::int64_t{blockIdx.y} * chunk, end = begin + chunk < rows ? begin + chunk : rows;
  const std::int64_t first_tap = std::int64_t{blockIdx.z} * kTaps;
  const bool mine = channel < channels;
  C sum[kTaps] = {};
  if (mine)
    for (std::int64_t r = begin + threadIdx.y; r < end; r += kLanes) {
      std::int64_t t;
      const std::int64_t batch = times(r, &t);
      const C g = load(gy[batch * d.y_batch + t * d.y_time + channel]);
      const T* const x = d.x + batch * d.x_batch + channel;
#pragma unroll
      for (int k = 0; k < kTaps; ++k) {
        if (first_tap + k >= d.taps) continue;
        const std::int64_t from = t * d.stride + (first_tap + k) * d.dilation - d.pad;
        const bool inside = static_cast<std::uint64_t>(from) < static_cast<std::uint64_t>(d.x_size);
        sum[k] = tile_fma(g, inside ? load(x[from * d.x_time]) : C(0), sum[k]);
      }
    }
  for (int k = 0; k < kTaps; ++k) {
    if (first_tap + k >= d.taps) break;
    shared[threadIdx.y][threadIdx.x] = sum[k];
    __syncthreads();
    if (threadIdx.y == 0 && mine) {
      C all = shared[0][threadIdx.x];
      for (int lane = 1; lane < kLanes; ++lane) all += shared[lane][threadIdx.x];
      parts[(std::int64_t{blockIdx.y} * d.taps + first_tap + k) * channels + channel] = all;
    }
    __syncthreads();
  }
}

template <class T>
__global__ void depthwise_parts_kernel(const Compute<T>* parts, std::int64_t chunks, std::int64_t taps,
                                       std::int64_t channels, T* gw, std::int64_t gw_channel, std::int64_t gw_tap,
                                       bool add) {
  const std::int64_t each = taps * channels, at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= each) return;
  Compute<T> sum = 0;
  for (std::int64_t c = 0; c < chunks; ++c) sum += parts[c * each + at];
  T& to = gw[at % channels * gw_channel + at / channels * gw_tap];
  if (add) sum += load(to);
  to = store<T>(sum);
}

template <class T>
void weight_grad(const Conv1dWeightGradArgs& a) {
  const Depthwise<T> d(a.x, a.gw, {}, a.gy, a.shape, a.beta);
  const Device device = a.gw.device;
  const std::int64_t channels = a.gw.sizes[0], rows = a.gy.sizes[0] * a.gy.sizes[1];
  Launch l;
  const std::int64_t wide = ceil_div(channels, kWarp), passes = ceil_div(d.taps, kTaps);
  const std::int64_t wanted = std::min<std::int64_t>(ceil_div(8 * limits(device).multiprocessors, wide * passes), 1024);
  const std::int64_t chunk = std::max<std::int64_t>(ceil_div(rows, wanted), 64);
  const std::int64_t chunks = std::max<std::int64_t>(ceil_div(rows, chunk), 1);
  l.grid[0] = static_cast<unsigned>(wide), l.grid[1] = static_cast<unsigned>(chunks);
  l.grid[2] = static_cast<unsigned>(passes);
  l.block[0] = kWarp, l.block[1] = kLanes;
  const Scratch parts(device, static_cast<std::size_t>(chunks * d.taps * channels) * sizeof(Compute<T>));
  launch(device, l, depthwise_weight_kernel<T>, d, a.gy.ptr<const T>(), rows, chunk, Divisor(a.gy.sizes[1]),
         parts.as<Compute<T>>());
  launch(device, plan_items(d.taps * channels, 256, 0x7fffffff), depthwise_parts_kernel<T>, parts.as<Compute<T>>(),
         chunks, d.taps, channels, a.gw.ptr<T>(), a.gw.strides[0], a.gw.strides[2], a.beta != 0);
}

}  // namespace

void depthwise(const Conv1dArgs& a) {
  if (a.y.numel() == 0) return;
  each_real_type(a.dtype(), [&](auto zero) {
    run<false>(Depthwise<decltype(zero)>(a.x, a.w, a.bias, a.y, a.shape, a.beta), a.y);
  });
}
void depthwise_input_grad(const Conv1dInputGradArgs& a) {
  if (a.gx.numel() == 0) return;
  each_real_type(a.dtype(), [&](auto zero) {
    run<true>(Depthwise<decltype(zero)>(a.gy, a.w, a.bias, a.gx, a.shape, a.beta), a.gx);
  });
}
void depthwise_weight_grad(const Conv1dWeightGradArgs& a) {
  if (a.gw.numel() == 0) return;
  each_real_type(a.dtype(), [&](auto zero) { weight_grad<decltype(zero)>(a); });
}

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
