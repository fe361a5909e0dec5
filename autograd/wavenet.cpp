// A layer of WaveNet as one node of the tape: what the composed ops give, bit for bit, with less memory moved and kept.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/wavenet.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>
#include <array>

namespace tapedeck {
namespace {

using std::int64_t;

constexpr const char* kOp = "wavenet_layer";

struct Weights {
  const Tensor &weight, &bias, &residual, &residual_bias, &skip, &skip_bias;
};

Tensor last_steps(const Tensor& x, int64_t n) { return x.size(1) == n ? x : narrow(x, 1, x.size(1) - n, n); }

// ---- the second form, in ops ----------------------------------------------------------------------------------------
// The gradient of a weight [out, in, 1].
Tensor weight_gradient(const Tensor& gy, const Tensor& x) {
  const Tensor flat = reshape(gy, {gy.size(0) * gy.size(1), gy.size(2)});
  return matmul(transpose(flat, 0, 1), reshape(x, {flat.size(0), x.size(2)}));
}

struct SavedLayer {
  Saved x, gates, weight, bias, residual, skip;
  kernels::WaveNetShape shape;
};

void give_in_ops(Grads& g, const SavedLayer& l, const Tensor& gout, const Tensor& gskips) {
  const Tensor &x = l.x.get(), &weight = l.weight.get(), &residual = l.residual.get(), &skip = l.skip.get();
  const int64_t dilation = l.shape.dilation, pad_left = l.shape.pad_left, steps = l.gates.get().size(1);
  const Tensor padded = pad_left ? pad(x, {0, 0, pad_left, 0}) : x;
  const auto halves = chunk(conv1d(padded, weight, l.bias.get(), {1, dilation}), 2, 2);
  const Tensor t = tanh(halves[0]), s = sigmoid(halves[1]), c = t * s;
  const auto back = [](const Tensor& gy, const Tensor& w) { return matmul(gy, select(w, 2, 0)); };
  Tensor gc;
  if (gout.defined()) gc = residual.defined() ? back(gout, residual) : gout;
  if (gskips.defined()) {
    const Tensor from_skips = pad(back(gskips, skip), {0, 0, steps - gskips.size(1), 0});
    gc = gc.defined() ? gc + from_skips : from_skips;
  }
  const Tensor gu = cat({gc * s * (1 - square(t)), gc * c * (1 - s)}, 2);
  if (g.wants(0)) {
    const Tensor whole = conv_transpose1d(gu, weight, {}, {.dilation = dilation});
    g.give(0, narrow(whole, 1, pad_left, x.size(1)));
    if (gout.defined() && residual.defined()) g.give(0, pad(gout, {0, 0, x.size(1) - steps, 0}));
  }
  if (gskips.defined()) g.give(1, gskips);
  if (g.wants(2)) {
    std::vector<Tensor> taps;
    for (int64_t k = 0; k < weight.size(2); ++k)
      taps.push_back(weight_gradient(gu, narrow(padded, 1, k * dilation, steps)));
    g.give(2, stack(taps, 2));
  }
  if (g.wants(3)) g.give(3, sum(gu, {0, 1}));
  if (gout.defined() && residual.defined()) {
    if (g.wants(4)) g.give(4, unsqueeze(weight_gradient(gout, c), 2));
    if (g.wants(5)) g.give(5, sum(gout, {0, 1}));
  }
  if (gskips.defined()) {
    if (g.wants(6)) g.give(6, unsqueeze(weight_gradient(gskips, last_steps(c, gskips.size(1))), 2));
    if (g.wants(7)) g.give(7, sum(gskips, {0, 1}));
  }
}

// ---- by the kernels -------------------------------------------------------------------------------------------------
void give(Grads& g, const SavedLayer& l, const Tensor& gout, const Tensor& gskips) {
  const Tensor x = detail::rows_contiguous(l.x.get()), &gates = l.gates.get();
  const bool through = gout.defined() && l.residual.get().defined();
  // Gradients go where they gather at once, but for an input whose gradient has begun already.
  std::array<Tensor, 8> apart;
  const auto made = [&](int i, bool reached) {
    if (!reached || !g.wants(i)) return Tensor();
    if (!g.so_far(i).defined()) return g.into(i).buffer;
    return apart[static_cast<std::size_t>(i)] = empty(g.shape(i), x.options());
  };
  const Tensor gu = empty_like(gates), gx = made(0, true), gweight = made(2, true), gbias = made(3, true);
  const Tensor gresidual = made(4, through), gresidual_bias = made(5, through);
  const Tensor gskip = made(6, gskips.defined()), gskip_bias = made(7, gskips.defined());
  kernels::wavenet_layer_backward(x.device(), {detail::packed(gout), detail::packed(gskips), x, gates, l.weight.get(),
                                               detail::packed(l.residual.get()), detail::packed(l.skip.get()), gu, gx,
                                               gweight, gbias, gresidual, gresidual_bias, gskip, gskip_bias, l.shape});
  if (gskips.defined()) g.give(1, gskips);
  for (int i = 0; i < 8; ++i)
    if (Tensor& t = apart[static_cast<std::size_t>(i)]; t.defined()) g.give(i, std::move(t));
}

void check_weight(const char* what, const Tensor& w, const Tensor& x, const Shape& shape) {
  if (!w.defined()) return;
  detail::check_same(kOp, "x", x, what, w);
  TD_CHECK(w.sizes() == shape, ShapeError, kOp, ": ", what, " must be ", to_string(shape), arg(what, w), arg("x", x));
}

}  // namespace

WaveNetLayerResult wavenet_layer(const Tensor& x, const Tensor& skips, const std::vector<Tensor>& weights,
                                 const WaveNetLayerOptions& o) {
  detail::check_real(kOp, x);
  TD_CHECK(x.dim() == 3, ShapeError, kOp, ": x must be [batch, time, channels]", arg("x", x));
  TD_CHECK(weights.size() == 6, ValueError, kOp,
           ": needs 6 weights (weight, bias, residual, residual_bias, skip, skip_bias; undefined where there is none), "
           "got ",
           weights.size());
  const Weights w{weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]};
  detail::check_same(kOp, "x", x, "weight", w.weight);
  TD_CHECK(w.weight.dim() == 3 && w.weight.size(0) % 2 == 0 && w.weight.size(1) == x.size(2) && w.weight.size(2) >= 1,
           ShapeError, kOp, ": weight must be [2 x channels, ", x.size(2), ", kernel]", arg("weight", w.weight),
           arg("x", x));
  constexpr int64_t farthest = int64_t{1} << 40;
  TD_CHECK(o.dilation >= 1 && o.dilation <= farthest / w.weight.size(2), ValueError, kOp,
           ": dilation must be >= 1, and kernel times dilation at most 2^40, got ", o.dilation,
           arg("weight", w.weight));
  TD_CHECK(o.padding != Padding::same, ValueError, kOp, ": padding must be valid or causal");
  TD_CHECK(o.keep >= 1, ValueError, kOp, ": keep must be >= 1, got ", o.keep);
  const int64_t channels = w.weight.size(0) / 2, in = x.size(2), reach = (w.weight.size(2) - 1) * o.dilation;
  const bool causal = o.padding == Padding::causal;
  const int64_t least = causal ? 1 : reach + 1;
  TD_CHECK(x.size(1) >= least, ShapeError, kOp, ": needs at least ", least, " time steps but there are ", x.size(1),
           arg("x", x), arg("weight", w.weight));
  const int64_t batch = x.size(0), steps = causal ? x.size(1) : x.size(1) - reach, keep = std::min(o.keep, steps);
  check_weight("bias", w.bias, x, {2 * channels}), check_weight("residual", w.residual, x, {in, channels, 1});
  check_weight("residual_bias", w.residual_bias, x, {in});
  int64_t width = 0;
  if (w.skip.defined()) {
    width = w.skip.dim() == 3 ? w.skip.size(0) : 0;
    check_weight("skip", w.skip, x, {width, channels, 1}), check_weight("skip_bias", w.skip_bias, x, {width});
    check_weight("skips", skips, x, {batch, keep, width});
  }

  const kernels::WaveNetShape shape{o.dilation, causal ? reach : 0};
  const bool skipping = w.skip.defined();
  const Tensor gates = detail::empty_for(kOp, {batch, steps, 2 * channels}, x.options());
  const Tensor out = empty({batch, steps, w.residual.defined() ? in : channels}, x.options());
  const Tensor made = skipping ? empty({batch, keep, width}, x.options()) : Tensor();
  kernels::wavenet_layer(
      x.device(), {detail::rows_contiguous(x), w.weight, w.bias, w.residual, w.residual_bias, w.skip, w.skip_bias,
                   skipping ? detail::packed(skips) : Tensor(), gates, out, made, shape});
  const Tensor none;
  const Tensor* inputs[] = {&x,          skipping ? &skips : &none, &w.weight, &w.bias,
                            &w.residual, &w.residual_bias,          &w.skip,   &w.skip_bias};
  const Tensor* outputs[] = {&out, &made};
  record(kOp, std::span<const Tensor* const>(outputs, skipping ? 2 : 1), std::span<const Tensor* const>(inputs),
         [l = SavedLayer{save(x, "x"), save(gates, "gates"), save(w.weight, "weight"), save(w.bias, "bias"),
                         save(w.residual, "residual"), save(w.skip, "skip"), shape},
          skipping](const Tensor& gout, Grads& g) {
           const Tensor gskips = skipping ? g.out(1) : Tensor();
           g.graph() ? give_in_ops(g, l, gout, gskips) : give(g, l, gout, gskips);
         });
  return {out, skipping ? made : skips};
}

}  // namespace tapedeck
