// The layer of WaveNet: which kernels run it, and the slots of the ops that it is made of, one after the other.
#include <tapedeck/kernels/cuda/conv_tiles.h>
#include <tapedeck/kernels/cuda/elementwise.h>
#include <tapedeck/kernels/cuda/wavenet_layer.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/reduce.h>

namespace tapedeck::kernels::TD_CUDA_NAMESPACE {
namespace layer {

void add_rows(const TensorView& x, const TensorView& y) {
  TensorView whole = y;
  whole.rank = 3, whole.sizes[2] = y.sizes[0], whole.strides[2] = y.strides[0];
  whole.sizes[0] = whole.sizes[1] = 1, whole.strides[0] = whole.strides[1] = y.sizes[0];
  sum(x.device, {x, whole, 0b011});
}
void bias_gradients(const WaveNetLayerGradArgs& a) {
  if (a.gbias) add_rows(a.gu, a.gbias);
  if (a.gresidual_bias) add_rows(a.gout, a.gresidual_bias);
  if (a.gskip_bias) add_rows(a.gskips, a.gskip_bias);
}
void residual_gradient(const WaveNetLayerGradArgs& a, const TensorView& c) {
  if (a.gresidual) conv1d_weight_grad(a.x.device, {a.gout, c, a.gresidual, {}});
}
void skip_gradient(const WaveNetLayerGradArgs& a, const TensorView& c) {
  if (a.gskip) conv1d_weight_grad(a.x.device, {a.gskips, tail(c, a.gskips.sizes[1]), a.gskip, {}});
}

namespace {

// ---- op by op -------------------------------------------------------------------------------------------------------
TensorView half(const TensorView& x, int which) {
  TensorView h = x;
  h.sizes[2] = x.sizes[2] / 2;
  if (which == 1 && x.data)
    h.data = x.ptr<char>() + h.sizes[2] * x.strides[2] * static_cast<std::int64_t>(size_of(x.dtype));
  return h;
}
std::size_t bytes_of(const TensorView& like, std::int64_t numbers) {
  return static_cast<std::size_t>(numbers) * size_of(like.dtype);
}

void composed(const WaveNetLayerArgs& a) {
  const Device d = a.x.device;
  const Sizes s(a);
  conv1d(d, {a.x, a.weight, a.bias, a.gates, dilated(a.shape)});
  const TensorView t = half(a.gates, 0), z = half(a.gates, 1);
  tanh(d, {t, t}), sigmoid(d, {z, z});
  const Scratch room(d, a.residual ? bytes_of(a.x, s.rows() * s.channels) : 0);
  const TensorView c = a.residual ? view_of(room.as<void>(), a.gates, s.channels) : a.out;
  mul(d, {t, z, c});
  if (a.residual) {
    conv1d(d, {c, a.residual, a.residual_bias, a.out, {}});
    add(d, {a.out, tail(a.x, s.steps), a.out});
  }
  if (!a.skips) return;
  conv1d(d, {tail(c, s.keep), a.skip, a.skip_bias, a.skips, {}});
  if (a.sum) add(d, {a.skips, a.sum, a.skips});
}

void composed(const WaveNetLayerGradArgs& a) {
  const Device d = a.x.device;
  const Sizes s(a);
  const std::size_t each = bytes_of(a.x, s.rows() * s.channels);
  const Scratch incoming(d, each), product(d, each);
  const TensorView gc = view_of(incoming.as<void>(), a.gates, s.channels),
                   c = view_of(product.as<void>(), a.gates, s.channels);
  if (!a.gout)
    fill(d, {gc, 0});
  else if (a.residual)
    conv1d_input_grad(d, {a.gout, a.residual, gc, {}});
  else
    copy(d, {a.gout, gc});
  if (a.gskips) conv1d_input_grad(d, {a.gskips, a.skip, tail(gc, s.keep), {}, 1});
  const TensorView t = half(a.gates, 0), z = half(a.gates, 1), gt = half(a.gu, 0), gz = half(a.gu, 1);
  mul(d, {gc, z, c}), tanh_backward(d, {c, t, t, gt});
  mul(d, {gc, t, c}), sigmoid_backward(d, {c, z, z, gz});
  mul(d, {t, z, c});
  if (a.gx) {
    const bool passed = a.gout && a.residual;
    conv1d_input_grad(d, {a.gu, a.weight, a.gx, dilated(a.shape)});
    if (passed) add(d, {tail(a.gx, s.steps), a.gout, tail(a.gx, s.steps)});
  }
  if (a.gweight) conv1d_weight_grad(d, {a.gu, a.x, a.gweight, dilated(a.shape)});
  residual_gradient(a, c), skip_gradient(a, c);
  bias_gradients(a);
}

// ---- which one ------------------------------------------------------------------------------------------------------
template <class Args>
const char* few_terms_of(const Args& a) {
  const char* why = takes_real(a);
  return why ? why : few_terms(a.x, a.weight);
}
template <class Args>
void add_ways(KernelSlot<Args>& slot) {
  constexpr DeviceType cuda = DeviceType::cuda;
  slot.add(cuda, "units", by_units, units_support,
           "products whose sums go on at once, bf16 and f16 on the matrix units");
  slot.add(cuda, "fused", by_tiles, few_terms_of<Args>);
  slot.add(cuda, "cublas", by_products, products_support, "taps side by side, one product of matrices for each weight");
  slot.add(cuda, "own", by_tiles, takes_real<Args>, "tiles that end in the gate and in the sums");
  slot.add(cuda, "composed", composed, takes_real<Args>, "the separate ops one after the other");
}

}  // namespace
}  // namespace layer

void add_wavenet_layer() { layer::add_ways(wavenet_layer), layer::add_ways(wavenet_layer_backward); }

}  // namespace tapedeck::kernels::TD_CUDA_NAMESPACE
