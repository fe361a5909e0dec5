// Normalisation: layer, root-mean-square, group, batch and instance norm are one kernel family over [R, S, C].
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/norm.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>

namespace tapedeck {
namespace {

// How x is seen by the kernels (see kernels/norm.h): R parts of S rows, C channels in G groups.
struct Plan {
  std::int64_t parts, rows, channels, groups;
  double eps;
  bool centred = true;
  Shape shape() const { return {parts, rows, channels}; }
  Shape grouped() const { return {parts, rows, groups, groups == 0 ? 0 : channels / groups}; }
};

// x as [R, S, C] with contiguous channels; a copy only when its strides do not say that.
Tensor seen(const Tensor& x, const Plan& p) {
  const Tensor view = detail::try_reshape(x, p.shape());
  if (view.defined() && (p.channels <= 1 || view.strides()[2] == 1)) return view;
  return detail::try_reshape(detail::packed(x), p.shape());
}

void check_param(const char* op, const char* name, const Tensor& x, const Tensor& param, const Shape& shape) {
  if (!param.defined()) return;
  detail::check_same(op, "x", x, name, param);
  TD_CHECK(param.sizes() == shape, ShapeError, op, ": ", name, " must be ", to_string(shape), arg("x", x),
           arg(name, param));
}

// The gradients in ops: each has gradients of its own.
void give_in_ops(Grads& g, const Tensor& gy, const Tensor& x, const Tensor& weight, const Plan& p) {
  const Tensor parts = reshape(x, p.grouped()), up = reshape(gy, p.grouped());
  const Tensor centred = p.centred ? parts - mean(parts, {1, 3}, true) : parts;
  const Tensor rstd = rsqrt(mean(square(centred), {1, 3}, true) + p.eps), standard = centred * rstd;
  if (g.wants(0)) {
    const Tensor h = weight.defined() ? up * reshape(weight, {1, 1, p.grouped()[2], p.grouped()[3]}) : up;
    const Tensor level = p.centred ? h - mean(h, {1, 3}, true) : h;
    g.give(0, reshape((level - standard * mean(h * standard, {1, 3}, true)) * rstd, x.sizes()));
  }
  if (g.wants(1)) g.give(1, reshape(sum(up * standard, {0, 1}), g.shape(1)));
  if (g.wants(2)) g.give(2, reshape(sum(up, {0, 1}), g.shape(2)));
}

// y = (x - mean) / sqrt(variance + eps) * weight + bias by plan; stats f64 [R, G, 2] come back for running ones.
Tensor normalised(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, const Plan& plan,
                  Tensor* stats_out = nullptr) {
  const Tensor y = empty_like(x), stats = empty({plan.parts, plan.groups, 2}, {DType::f64, x.device()});
  if (x.numel() > 0)
    kernels::group_norm(x.device(), {seen(x, plan), detail::packed(weight), detail::packed(bias), seen(y, plan), stats,
                                     plan.eps, plan.centred});
  if (stats_out) *stats_out = stats;
  record(op, y, {&x, &weight, &bias},
         [x = save(x, "x"), weight = save(weight, "weight"), stats, plan](const Tensor& gy, Grads& g) {
           if (g.graph()) return give_in_ops(g, gy, x.get(), weight.get(), plan);
           if (gy.numel() == 0) {
             for (const int i : {0, 1, 2})
               if (g.wants(i)) g.give(i, zeros(g.shape(i), gy.options()));
             return;
           }
           const Tensor from = seen(gy, plan), at = seen(x.get(), plan);
           if (g.wants(0)) {
             const Tensor gx = empty(x.get().sizes(), gy.options());
             kernels::group_norm_backward(
                 gy.device(), {from, at, detail::packed(weight.get()), stats, seen(gx, plan), plan.eps, plan.centred});
             g.give(0, gx);
           }
           if (!g.wants(1) && !g.wants(2)) return;
           const Tensor gw = g.wants(1) ? empty(g.shape(1), gy.options()) : Tensor();
           const Tensor gb = g.wants(2) ? empty(g.shape(2), gy.options()) : Tensor();
           kernels::group_norm_param_grad(gy.device(), {from, at, stats, gw, gb, plan.eps});
           if (g.wants(1)) g.give(1, gw);
           if (g.wants(2)) g.give(2, gb);
         });
  return y;
}

// x's last dimensions must have the sizes `shape`.
Plan trailing_plan(const char* op, const Tensor& x, const Shape& shape, double eps) {
  detail::check_real(op, x);
  const int lead = x.dim() - shape.rank();
  bool fits = shape.rank() >= 1 && lead >= 0;
  for (int d = 0; fits && d < shape.rank(); ++d) fits = x.sizes()[lead + d] == shape[d];
  TD_CHECK(fits, ShapeError, op, ": x must end in the normalised shape ", to_string(shape), arg("x", x));
  std::int64_t rows = 1;
  for (int d = 0; d < lead; ++d) rows *= x.sizes()[d];
  return {rows, 1, shape.numel(), 1, eps};
}

// [batch, ..., channels]; eps >= 0.
std::int64_t channels_of(const char* op, const Tensor& x, double eps) {
  detail::check_real(op, x);
  TD_CHECK(x.dim() >= 2, ShapeError, op, ": x must be [batch, ..., channels]", arg("x", x));
  TD_CHECK(eps >= 0, ValueError, op, ": eps must be 0 or greater but is ", eps, arg("x", x));
  return x.size(-1);
}
std::int64_t product_of(const Shape& shape, int first, int last) {
  std::int64_t n = 1;
  for (int d = first; d < last; ++d) n *= shape[d];
  return n;
}

// Moves running towards `now` by momentum.
void follow(const Tensor& running, const Tensor& now, double momentum) {
  if (!running.defined()) return;
  mul_(running, 1 - momentum);
  add_(running, cast(now, running.dtype()) * momentum);
}
void check_running(const char* op, const Tensor& x, const Tensor& mean, const Tensor& var, bool written) {
  for (const auto& [name, running] : {std::pair{"running_mean", mean}, {"running_var", var}}) {
    check_param(op, name, x, running, {x.size(-1)});
    TD_CHECK(!running.defined() || !is_recorded(running), ValueError, op, ": ", name,
             " must be no part of the tape: it gets no gradient; detach() it", arg(name, running));
    TD_CHECK(!running.defined() || !written || !detail::overlaps_itself(running), ValueError, op, ": ", name,
             " is written to and must have memory of its own", arg(name, running));
  }
  TD_CHECK(!written || !mean.defined() || !var.defined() || x.size(-1) == 0 || mean.data() != var.data(), ValueError,
           op, ": running_mean and running_var are the same memory, and both are written to", arg("running_mean", mean),
           arg("running_var", var));
}

// With statistics from elsewhere.
Tensor normalised_by(const char* op, const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                     const Tensor& weight, const Tensor& bias, double eps) {
  TD_CHECK(running_mean.defined() && running_var.defined(), ValueError, op,
           ": needs running_mean and running_var when it does not take the statistics of x", arg("x", x));
  const Tensor rstd = rsqrt(detach(running_var) + eps);
  const Tensor y = (x - detach(running_mean)) * (weight.defined() ? rstd * weight : rstd);
  return bias.defined() ? y + bias : y;
}

// Statistics of x by plan, then the running ones: the mean over parts, the variance unbiased.
Tensor normalised_and_followed(const char* op, const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                               const Tensor& weight, const Tensor& bias, double momentum, const Plan& plan) {
  TD_CHECK(plan.rows > 1 || x.numel() == 0, ShapeError, op,
           ": the variance of one value per channel says nothing; give more, or use running statistics", arg("x", x));
  TD_CHECK(momentum >= 0 && momentum <= 1, ValueError, op, ": momentum must be in [0, 1] but is ", momentum);
  Tensor stats;
  const Tensor y = normalised(op, x, weight, bias, plan, &stats);
  if (x.numel() > 0 && !replaying() && (running_mean.defined() || running_var.defined())) {
    const NoGrad pause;
    const Tensor now = mean(stats, {0});
    follow(running_mean, select(now, 1, 0), momentum);
    const double n = static_cast<double>(plan.rows);
    follow(running_var, select(now, 1, 1) * (n / (n - 1)), momentum);
  }
  return y;
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& shape, const Tensor& weight, const Tensor& bias, double eps) {
  return detail::composed("layer_norm", [&] {
    const Plan plan = trailing_plan("layer_norm", x, shape, eps);
    TD_CHECK(eps >= 0, ValueError, "layer_norm: eps must be 0 or greater but is ", eps, arg("x", x));
    check_param("layer_norm", "weight", x, weight, shape), check_param("layer_norm", "bias", x, bias, shape);
    return normalised("layer_norm", x, weight, bias, plan);
  });
}

Tensor rms_norm(const Tensor& x, const Shape& shape, const Tensor& weight, std::optional<double> eps) {
  return detail::composed("rms_norm", [&] {
    Plan plan = trailing_plan("rms_norm", x, shape, eps.value_or(0));
    if (!eps) plan.eps = x.dtype() == DType::f64 ? 0x1p-52 : 0x1p-23;
    TD_CHECK(plan.eps >= 0, ValueError, "rms_norm: eps must be 0 or greater but is ", plan.eps, arg("x", x));
    plan.centred = false;
    check_param("rms_norm", "weight", x, weight, shape);
    return normalised("rms_norm", x, weight, {}, plan);
  });
}

Tensor group_norm(const Tensor& x, std::int64_t num_groups, const Tensor& weight, const Tensor& bias, double eps) {
  return detail::composed("group_norm", [&] {
    const std::int64_t channels = channels_of("group_norm", x, eps);
    TD_CHECK(num_groups >= 1 && channels % num_groups == 0, ShapeError, "group_norm: ", channels,
             " channels do not divide into ", num_groups, " groups", arg("x", x));
    check_param("group_norm", "weight", x, weight, {channels}), check_param("group_norm", "bias", x, bias, {channels});
    return normalised("group_norm", x, weight, bias,
                      {x.size(0), product_of(x.sizes(), 1, x.dim() - 1), channels, num_groups, eps});
  });
}

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                  const Tensor& bias, bool training, double momentum, double eps) {
  return detail::composed("batch_norm", [&]() -> Tensor {
    const char* op = "batch_norm";
    const std::int64_t channels = channels_of(op, x, eps);
    check_param(op, "weight", x, weight, {channels}), check_param(op, "bias", x, bias, {channels});
    check_running(op, x, running_mean, running_var, training);
    if (!training) return normalised_by(op, x, running_mean, running_var, weight, bias, eps);
    return normalised_and_followed(op, x, running_mean, running_var, weight, bias, momentum,
                                   {1, detail::row_count(x), channels, channels, eps});
  });
}

Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, bool use_input_stats, double momentum, double eps) {
  return detail::composed("instance_norm", [&]() -> Tensor {
    const char* op = "instance_norm";
    const std::int64_t channels = channels_of(op, x, eps);
    TD_CHECK(x.dim() >= 3, ShapeError, op, ": x must be [batch, time, channels] or have more dimensions between",
             arg("x", x));
    check_param(op, "weight", x, weight, {channels}), check_param(op, "bias", x, bias, {channels});
    check_running(op, x, running_mean, running_var, use_input_stats);
    if (!use_input_stats) return normalised_by(op, x, running_mean, running_var, weight, bias, eps);
    return normalised_and_followed(op, x, running_mean, running_var, weight, bias, momentum,
                                   {x.size(0), product_of(x.sizes(), 1, x.dim() - 1), channels, channels, eps});
  });
}

Tensor local_response_norm(const Tensor& x, std::int64_t size, double alpha, double beta, double k) {
  return detail::composed("local_response_norm", [&]() -> Tensor {
    const char* op = "local_response_norm";
    const std::int64_t channels = channels_of(op, x, 0);
    TD_CHECK(size >= 1, ValueError, op, ": size must be at least 1 but is ", size, arg("x", x));
    const std::int64_t before = std::min(size / 2, channels), behind = std::min((size - 1) / 2, channels);
    const Tensor squares = square(x);
    Shape edge = x.sizes();
    const auto nothing = [&](std::int64_t n) {
      edge[x.dim() - 1] = n;
      return zeros(edge, x.options());
    };
    const Tensor padded = size == 1 ? squares : cat({nothing(before), squares, nothing(behind)}, -1);
    Tensor total = narrow(padded, -1, 0, channels);
    for (std::int64_t i = 1; i <= before + behind; ++i) total = total + narrow(padded, -1, i, channels);
    return x / pow(total * (alpha / static_cast<double>(size)) + k, beta);
  });
}

Tensor weight_norm(const Tensor& v, const Tensor& g, std::optional<int> dim) {
  return detail::composed("weight_norm", [&] {
    detail::check_same("weight_norm", "v", v, "g", g);
    detail::check_real("weight_norm", v, "v");
    TD_CHECK(broadcast_shapes("weight_norm", v.sizes(), g.sizes()) == v.sizes(), ShapeError,
             "weight_norm: g does not broadcast to v", arg("v", v), arg("g", g));
    std::vector<int> over;
    const int kept = dim ? normalize_dim("weight_norm", *dim, v.dim()) : -1;
    for (int d = 0; d < v.dim(); ++d)
      if (d != kept) over.push_back(d);
    return v * (g / (over.empty() ? abs(v) : norm(v, 2, over, true)));
  });
}

SpectralNorm spectral_norm(const Tensor& weight, const Tensor& u, int iterations, double eps, int dim) {
  return detail::composed("spectral_norm", [&]() -> SpectralNorm {
    const char* op = "spectral_norm";
    detail::check_same(op, "weight", weight, "u", u);
    detail::check_real(op, weight, "weight");
    TD_CHECK(iterations >= 0, ValueError, op, ": iterations must be 0 or greater but is ", iterations);
    TD_CHECK(weight.dim() >= 1 && weight.numel() > 0, ShapeError, op, ": needs a weight with elements",
             arg("weight", weight));
    dim = normalize_dim(op, dim, weight.dim());
    const std::int64_t rows = weight.sizes()[dim];
    TD_CHECK(u.sizes() == Shape{rows}, ShapeError, op, ": u must be ", to_string({rows}), arg("weight", weight),
             arg("u", u));
    std::vector<int> order{dim};
    for (int d = 0; d < weight.dim(); ++d)
      if (d != dim) order.push_back(d);
    const Tensor matrix = reshape(dim == 0 ? weight : permute(weight, order), {rows, -1});
    Tensor left = detach(u), right;
    {
      const NoGrad pause;
      const Tensor turned = transpose(matrix, 0, 1);
      right = normalize(matmul(turned, left), 2, 0, eps);
      for (int i = 0; i < iterations; ++i) {
        left = normalize(matmul(matrix, right), 2, 0, eps);
        if (i + 1 < iterations) right = normalize(matmul(turned, left), 2, 0, eps);
      }
    }
    const Tensor sigma = matmul(left, matmul(matrix, right));
    return {weight / sigma, left};
  });
}

}  // namespace tapedeck
