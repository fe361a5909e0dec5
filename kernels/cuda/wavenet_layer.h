// The layer of WaveNet on the device, four ways; wavenet_layer.cu says which one when.
#pragma once
#include <tapedeck/kernels/conv1d.h>
#include <tapedeck/kernels/cuda/cuda.h>
#include <tapedeck/kernels/wavenet.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer {

struct Sizes {
  std::int64_t batch, steps, before;  // before: steps of x in front of those that the residual path adds
  std::int64_t in, channels, skips, keep, taps;

  explicit Sizes(const WaveNetLayerArgs& a) : Sizes(a.x, a.gates, a.weight, a.skips) {}
  explicit Sizes(const WaveNetLayerGradArgs& a) : Sizes(a.x, a.gates, a.weight, a.gskips) {}
  std::int64_t rows() const { return batch * steps; }
  std::int64_t kept() const { return batch * keep; }

 private:
  Sizes(const TensorView& x, const TensorView& gates, const TensorView& weight, const TensorView& sums)
      : batch(gates.sizes[0]),
        steps(gates.sizes[1]),
        before(x.sizes[1] - gates.sizes[1]),
        in(x.sizes[2]),
        channels(gates.sizes[2] / 2),
        skips(sums ? sums.sizes[2] : 0),
        keep(sums ? sums.sizes[1] : gates.sizes[1]),
        taps(weight.sizes[2]) {}
};

// [batch, time, channels] at `data`, contiguous.
inline TensorView view_of(void* data, const TensorView& like, std::int64_t channels) {
  TensorView v = like;
  v.data = data, v.sizes[2] = channels;
  v.strides[2] = 1, v.strides[1] = channels, v.strides[0] = channels * v.sizes[1];
  return v;
}
// The last n steps.
inline TensorView tail(TensorView v, std::int64_t n) {
  const std::int64_t skipped = (v.sizes[1] - n) * v.strides[1] * static_cast<std::int64_t>(size_of(v.dtype));
  if (v.data) v.data = v.ptr<char>() + skipped;
  v.sizes[1] = n;
  return v;
}
inline Conv1dShape dilated(const WaveNetShape& s) { return {1, s.dilation, 1, s.pad_left}; }

// The sum over all rows of x [batch, time, channels].
void add_rows(const TensorView& x, const TensorView& y);
// What is asked for of the gradients of the biases, and of residual and skip given c [batch, time, channels].
void bias_gradients(const WaveNetLayerGradArgs& a);
void residual_gradient(const WaveNetLayerGradArgs& a, const TensorView& c);
void skip_gradient(const WaveNetLayerGradArgs& a, const TensorView& c);

// Tiles of our own that end in the gate, the sums and the gate's gradient.
void by_tiles(const WaveNetLayerArgs& a);
void by_tiles(const WaveNetLayerGradArgs& a);
// Products by the vendor's library on taps that are laid out side by side, and one pass for the gate.
void by_products(const WaveNetLayerArgs& a);
void by_products(const WaveNetLayerGradArgs& a);
const char* products_support(const WaveNetLayerArgs& a);
const char* products_support(const WaveNetLayerGradArgs& a);
// The same steps as the tiles', as products whose operands are copied in the background (units.h, chains.h).
void by_units(const WaveNetLayerArgs& a);
void by_units(const WaveNetLayerGradArgs& a);
const char* units_support(const WaveNetLayerArgs& a);
const char* units_support(const WaveNetLayerGradArgs& a);

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE::layer
