// Reference layer of WaveNet: the reference convolutions, and the gate between them.
#include <tapedeck/kernels/common/elementwise_math.h>
#include <tapedeck/kernels/cpu/matmul_variants.h>
#include <tapedeck/kernels/cpu/variants.h>
#include <tapedeck/kernels/exec.h>
#include <tapedeck/kernels/wavenet.h>

#include <algorithm>

namespace tapedeck::kernels {
namespace {

using std::int64_t;

template <class Args>
const char* supports(const Args& a) {
  return a.dtype() == DType::f32 || a.dtype() == DType::f64 ? nullptr : "dtype is not f32 or f64";
}

// [batch, time, channels] of contiguous rows at `data`.
TensorView view_of(void* data, const TensorView& like, int64_t channels) {
  TensorView v = like;
  v.data = data, v.sizes[2] = channels;
  v.strides[2] = 1, v.strides[1] = channels, v.strides[0] = channels * v.sizes[1];
  return v;
}
// The last n steps.
template <class T>
TensorView tail(TensorView v, int64_t n) {
  v.data = v.ptr<T>() + (v.sizes[1] - n) * v.strides[1];
  v.sizes[1] = n;
  return v;
}
// f(a, b) for the elements of two views of one shape.
template <class T, class F>
void each(const TensorView& a, const TensorView& b, F&& f) {
  for (int64_t i = 0; i < a.sizes[0]; ++i)
    for (int64_t t = 0; t < a.sizes[1]; ++t)
      for (int64_t c = 0; c < a.sizes[2]; ++c)
        f(a.ptr<T>()[i * a.strides[0] + t * a.strides[1] + c], b.ptr<T>()[i * b.strides[0] + t * b.strides[1] + c]);
}
Conv1dShape dilated(const WaveNetShape& s) { return {1, s.dilation, 1, s.pad_left}; }

template <class T>
void forward(const WaveNetLayerArgs& a) {
  const int64_t channels = a.gates.sizes[2] / 2, rows = a.gates.sizes[0] * a.gates.sizes[1];
  T* const product = static_cast<T*>(workspace(static_cast<std::size_t>(rows * channels) * sizeof(T), 1));
  ref_conv1d({a.x, a.weight, a.bias, a.gates, dilated(a.shape)});
  T* gates = a.gates.ptr<T>();
  for (int64_t r = 0; r < rows; ++r, gates += 2 * channels)
    for (int64_t i = 0; i < channels; ++i) {
      gates[i] = static_cast<T>(math::Tanh::value<double>(gates[i], 0, 0));
      gates[channels + i] = static_cast<T>(math::Sigmoid::value<double>(gates[channels + i], 0, 0));
      product[r * channels + i] = gates[i] * gates[channels + i];
    }
  const TensorView c = view_of(product, a.gates, channels);
  if (a.residual) {
    ref_conv1d({c, a.residual, a.residual_bias, a.out, {}});
    each<T>(a.out, tail<T>(a.x, a.out.sizes[1]), [](T& y, const T& x) { y += x; });
  } else {
    std::copy_n(product, rows * channels, a.out.ptr<T>());
  }
  if (!a.skips) return;
  ref_conv1d({tail<T>(c, a.skips.sizes[1]), a.skip, a.skip_bias, a.skips, {}});
  if (a.sum) each<T>(a.skips, a.sum, [](T& y, const T& x) { y += x; });
}

template <class T>
void add_rows(const TensorView& x, const TensorView& y) {
  for (int64_t j = 0; j < y.sizes[0]; ++j) {
    double sum = 0;
    for (int64_t r = 0; r < x.sizes[0] * x.sizes[1]; ++r)
      sum += static_cast<double>(x.ptr<const T>()[r * x.sizes[2] + j]);
    y.ptr<T>()[j] = static_cast<T>(sum);
  }
}

template <class T>
void backward(const WaveNetLayerGradArgs& a) {
  const int64_t channels = a.gates.sizes[2] / 2, rows = a.gates.sizes[0] * a.gates.sizes[1];
  T* const product = static_cast<T*>(workspace(static_cast<std::size_t>(2 * rows * channels) * sizeof(T), 1));
  T* const incoming = product + rows * channels;
  const TensorView c = view_of(product, a.gates, channels), gc = view_of(incoming, a.gates, channels);
  if (!a.gout) {
    std::fill_n(incoming, rows * channels, T(0));
  } else if (a.residual) {
    ref_conv1d_input_grad({a.gout, a.residual, gc, {}});
  } else {
    std::copy_n(a.gout.ptr<const T>(), rows * channels, incoming);
  }
  if (a.gskips) ref_conv1d_input_grad({a.gskips, a.skip, tail<T>(gc, a.gskips.sizes[1]), {}, 1});
  const T* gates = a.gates.ptr<const T>();
  T* gu = a.gu.ptr<T>();
  for (int64_t r = 0; r < rows; ++r, gates += 2 * channels, gu += 2 * channels)
    for (int64_t i = 0; i < channels; ++i) {
      const double g = incoming[r * channels + i], t = gates[i], s = gates[channels + i];
      gu[i] = static_cast<T>(math::Tanh::grad<double>(g * s, 0, t, 0, 0));
      gu[channels + i] = static_cast<T>(math::Sigmoid::grad<double>(g * t, 0, s, 0, 0));
      product[r * channels + i] = gates[i] * gates[channels + i];
    }
  if (a.gx) {
    const bool passed = a.gout && a.residual;
    if (passed) {
      std::fill_n(a.gx.ptr<T>(), a.gx.numel(), T(0));
      each<T>(tail<T>(a.gx, a.gout.sizes[1]), a.gout, [](T& to, const T& from) { to = from; });
    }
    ref_conv1d_input_grad({a.gu, a.weight, a.gx, dilated(a.shape), passed ? 1.0 : 0.0});
  }
  if (a.gweight) ref_conv1d_weight_grad({a.gu, a.x, a.gweight, dilated(a.shape)});
  if (a.gbias) add_rows<T>(a.gu, a.gbias);
  if (a.gresidual) ref_conv1d_weight_grad({a.gout, c, a.gresidual, {}});
  if (a.gresidual_bias) add_rows<T>(a.gout, a.gresidual_bias);
  if (a.gskip) ref_conv1d_weight_grad({a.gskips, tail<T>(c, a.gskips.sizes[1]), a.gskip, {}});
  if (a.gskip_bias) add_rows<T>(a.gskips, a.gskip_bias);
}

}  // namespace

void add_ref_wavenet() {
  wavenet_layer.add(
      DeviceType::cpu, "ref",
      [](const WaveNetLayerArgs& a) { a.dtype() == DType::f32 ? forward<float>(a) : forward<double>(a); }, supports);
  wavenet_layer_backward.add(
      DeviceType::cpu, "ref",
      [](const WaveNetLayerGradArgs& a) { a.dtype() == DType::f32 ? backward<float>(a) : backward<double>(a); },
      supports);
}

}  // namespace tapedeck::kernels
