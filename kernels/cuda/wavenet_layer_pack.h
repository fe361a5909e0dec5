// The weights of a layer of WaveNet as products want them: rows along the sums, what ends in one thread side by side.
#pragma once
#include <tapedeck/kernels/cuda/number.h>
#include <tapedeck/kernels/cuda/plan.h>
#include <tapedeck/kernels/cuda/wavenet_layer.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer {

__host__ __device__ inline std::int64_t fours(std::int64_t n) { return (n + 3) / 4 * 4; }
// Four columns of the taps' product are two channels: both tanh's, then both sigmoid's, so that they end in one thread.
__host__ __device__ inline std::int64_t gate_columns(std::int64_t channels) { return (channels + 1) / 2 * 4; }

template <class T>
struct Weights {
  const T* data;  // nullptr: not given
  std::int64_t out, in, taps;
  std::int64_t out_step, in_step, tap_step;
  explicit Weights(const TensorView& w)
      : data(w ? w.ptr<const T>() : nullptr),
        out(w ? w.sizes[0] : 0),
        in(w ? w.sizes[1] : 0),
        taps(w ? w.sizes[2] : 0),
        out_step(w ? w.strides[0] : 0),
        in_step(w ? w.strides[1] : 0),
        tap_step(w ? w.strides[2] : 0) {}
};
// to_gates [taps, in, gate_columns]; to_sums [channels, residual's outputs | skip's], each side filled up to a multiple
// of four with zeros.
template <class T>
__global__ void pack_weights_kernel(Weights<T> w, Weights<T> residual, Weights<T> skip, T* to_gates, T* to_sums) {
  const std::int64_t channels = w.out / 2, columns = gate_columns(channels), gate_numel = w.taps * w.in * columns;
  const std::int64_t split = fours(residual.out), wide = split + fours(skip.out);
  const std::int64_t all = gate_numel + channels * wide, step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t n = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; n < all; n += step) {
    T value = store<T>(0);
    if (n < gate_numel) {
      const std::int64_t row = n / columns, column = n % columns;
      const std::int64_t channel = column / 4 * 2 + column % 2, which = column / 2 % 2;
      if (channel < channels)
        value = w.data[(which * channels + channel) * w.out_step + row % w.in * w.in_step + row / w.in * w.tap_step];
      to_gates[n] = value;
      continue;
    }
    const std::int64_t row = (n - gate_numel) / wide, column = (n - gate_numel) % wide;
    if (column < residual.out)
      value = residual.data[column * residual.out_step + row * residual.in_step];
    else if (column >= split && column - split < skip.out)
      value = skip.data[(column - split) * skip.out_step + row * skip.in_step];
    to_sums[n - gate_numel] = value;
  }
}

template <class T>
struct PackedWeights {
  std::int64_t split, columns;  // of to_sums: the first column of skip's, and all
  Scratch to_gates, to_sums;

  explicit PackedWeights(const WaveNetLayerArgs& a) : PackedWeights(a, Sizes(a)) {}

 private:
  PackedWeights(const WaveNetLayerArgs& a, const Sizes& s)
      : split(a.residual ? fours(s.in) : 0),
        columns(split + fours(s.skips)),
        to_gates(a.x.device, static_cast<std::size_t>(s.taps * s.in * gate_columns(s.channels)) * sizeof(T)),
        to_sums(a.x.device, static_cast<std::size_t>(s.channels * columns) * sizeof(T)) {
    const std::int64_t all = s.taps * s.in * gate_columns(s.channels) + s.channels * columns;
    launch(a.x.device, plan_items(all), pack_weights_kernel<T>, Weights<T>(a.weight), Weights<T>(a.residual),
           Weights<T>(a.skip), to_gates.template as<T>(), to_sums.template as<T>());
  }
};

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer
