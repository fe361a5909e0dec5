// Mixtures as output distributions: log-likelihoods by kernels, sampling composed of ops.
#include <tapedeck/autograd/loss_helpers.h>
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/loss.h>
#include <tapedeck/tensor/detail_views.h>

#include <cmath>

namespace tapedeck {
namespace {

using Forward = kernels::KernelSlot<kernels::MixtureArgs>;
using Backward = kernels::KernelSlot<kernels::MixtureGradArgs>;

std::int64_t components(const char* op, const Tensor& x, double log_scale_min) {
  detail::check_real(op, x);
  TD_CHECK(x.dim() >= 1 && x.size(-1) > 0 && x.size(-1) % 3 == 0, ShapeError, op,
           ": the last dimension of x must hold K logits, K means and K log-scales", arg("x", x));
  TD_CHECK(std::isfinite(log_scale_min) && std::fabs(log_scale_min) <= 300, ValueError, op, ": log_scale_min ",
           log_scale_min, " must be in [-300, 300]");
  return x.size(-1) / 3;
}

Tensor mixture_loss(const char* op, const Forward& forward, const Backward& backward, const Tensor& x, const Tensor& y,
                    double half_bin, double log_scale_min, Reduction reduction) {
  components(op, x, log_scale_min);
  detail::check_same(op, "x", x, "y", y);
  detail::check_reduction(op, reduction);
  Shape shape = x.sizes();
  shape.erase(x.dim() - 1);
  TD_CHECK(y.sizes() == shape, ShapeError, op, ": y must have shape ", to_string(shape), arg("x", x), arg("y", y));
  const auto flat = [](const Tensor& t) { return detail::try_reshape(detail::packed(t), {t.numel()}); };
  const Tensor losses = empty({y.numel()}, x.options());
  forward(x.device(), {detail::as_rows(x), flat(y), losses, half_bin, log_scale_min});
  const Tensor each = detail::try_reshape(losses, shape);
  record(op, each, {&x, &y},
         [op, backward = &backward, x = save(x, "x"), y = save(y, "y"), half_bin, log_scale_min, flat](const Tensor& gy,
                                                                                                       Grads& g) {
           TD_CHECK(!g.graph(), TapeError, op, ": this op has no gradient of its gradient");
           const Tensor rows = detail::as_rows(x.get()), gx = empty(rows.sizes(), gy.options());
           const Tensor gt = empty({y.get().numel()}, gy.options());
           (*backward)(gy.device(), {flat(gy), rows, flat(y.get()), gx, gt, half_bin, log_scale_min});
           if (g.wants(0)) g.give(0, reshape(gx, x.get().sizes()));
           if (g.wants(1)) g.give(1, reshape(gt, y.get().sizes()));
         });
  return detail::reduced_loss(each, reduction);
}

// mean + scale * noise of one component per row, drawn by its weight (the likeliest at temperature 0).
using Noise = Tensor (*)(const char* op, const Shape& shape, TensorOptions options);
Tensor sample(const char* op, const Tensor& x, double log_scale_min, double temperature, Noise noise) {
  const std::int64_t k = components(op, x, log_scale_min);
  TD_CHECK(temperature >= 0 && std::isfinite(temperature), ValueError, op,
           ": temperature must be finite and >= 0, not ", temperature);
  const NoGrad pause;
  const Tensor rows = x.dim() > 1 ? x : unsqueeze(x, 0);
  const auto parts = split(rows, k, -1);
  Tensor logits = parts[0];
  if (temperature > 0) {
    const Tensor u = detail::open_uniform(op, logits.sizes(), logits.options());
    logits = logits / temperature - log(neg(log(u)));
  }
  const Tensor chosen = one_hot(argmax(logits, -1), k, DType::boolean), none = scalar(0, x.options());
  const auto pick = [&](const Tensor& values) { return sum(where(chosen, values, none), {-1}); };
  Tensor y = pick(parts[1]);
  if (temperature > 0) {
    const Tensor scale = exp(clamp(pick(parts[2]), log_scale_min)) * temperature;
    y = y + scale * noise(op, y.sizes(), y.options());
  }
  y = clamp(y, -1, 1);
  return x.dim() > 1 ? y : squeeze(y, 0);
}

}  // namespace

Tensor discretized_mix_logistic_loss(const Tensor& x, const Tensor& y, std::int64_t classes, double log_scale_min,
                                     Reduction reduction) {
  const char* op = "discretized_mix_logistic_loss";
  TD_CHECK(classes >= 2, ValueError, op, ": classes must be at least 2, not ", classes);
  return detail::composed(op, [&] {
    return mixture_loss(op, kernels::mix_logistic, kernels::mix_logistic_backward, x, y,
                        1 / static_cast<double>(classes - 1), log_scale_min, reduction);
  });
}

Tensor mix_gaussian_loss(const Tensor& x, const Tensor& y, double log_scale_min, Reduction reduction) {
  const char* op = "mix_gaussian_loss";
  return detail::composed(op, [&] {
    return mixture_loss(op, kernels::mix_gaussian, kernels::mix_gaussian_backward, x, y, 0, log_scale_min, reduction);
  });
}

Tensor sample_from_discretized_mix_logistic(const Tensor& x, double log_scale_min, double temperature) {
  const char* op = "sample_from_discretized_mix_logistic";
  const auto noise = [](const char* name, const Shape& shape, TensorOptions options) {
    const Tensor u = detail::open_uniform(name, shape, options);
    return log(u) - log1p(neg(u));
  };
  return detail::composed(op, [&] { return sample(op, x, log_scale_min, temperature, noise); });
}

Tensor sample_from_mix_gaussian(const Tensor& x, double log_scale_min, double temperature) {
  const char* op = "sample_from_mix_gaussian";
  const auto noise = [](const char*, const Shape& shape, TensorOptions options) { return randn(shape, options); };
  return detail::composed(op, [&] { return sample(op, x, log_scale_min, temperature, noise); });
}

}  // namespace tapedeck
