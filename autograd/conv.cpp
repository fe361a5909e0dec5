// conv1d and its two adjoints. The three are linear in each operand, and each one's gradients are the other two.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>

namespace tapedeck {
namespace {

using detail::rows_contiguous;

std::int64_t left_padding(std::int64_t kernel, const Conv1dOptions& o) {
  const std::int64_t reach = (kernel - 1) * o.dilation;
  return o.padding == Padding::valid ? 0 : o.padding == Padding::causal ? reach : reach / 2;
}

kernels::Conv1dShape kernel_shape(std::int64_t kernel, const Conv1dOptions& o) {
  return {o.stride, o.dilation, o.groups, left_padding(kernel, o)};
}

std::string options_text(const Conv1dOptions& o) {
  std::string text;
  if (o.stride != 1) text += ", stride=" + std::to_string(o.stride);
  if (o.dilation != 1) text += ", dilation=" + std::to_string(o.dilation);
  if (o.groups != 1) text += ", groups=" + std::to_string(o.groups);
  if (o.padding != Padding::valid) text += o.padding == Padding::causal ? ", padding=causal" : ", padding=same";
  return text;
}

// "; x f32[8,1600,32] cpu, weight f32[128,64,2], dilation=4"
std::string args(const Tensor& x, const Tensor& weight, const Conv1dOptions& o) {
  return arg("x", x) + ", weight " + name(weight.dtype()) + to_string(weight.sizes()) + options_text(o);
}

// What all three demand of the weight [O, I/groups, K] and the options.
void check_weight(const char* op, const Tensor& x, const Tensor& weight, const Conv1dOptions& o) {
  detail::check_same(op, "x", x, "weight", weight);
  detail::check_real(op, x);
  TD_CHECK(x.dim() == 3, ShapeError, op, ": x must be [batch, time, channels]", args(x, weight, o));
  TD_CHECK(weight.dim() == 3 && weight.size(2) >= 1, ShapeError, op, ": weight must be [out, in/groups, kernel]",
           args(x, weight, o));
  TD_CHECK(o.stride >= 1 && o.dilation >= 1 && o.groups >= 1, ValueError, op,
           ": stride, dilation and groups must be >= 1", args(x, weight, o));
  constexpr std::int64_t kFarthest = std::int64_t{1} << 40;  // so that no sum of positions overflows
  TD_CHECK(o.stride <= kFarthest && o.dilation <= kFarthest / weight.size(2), ValueError, op,
           ": stride, and kernel times dilation, must be at most 2^40", args(x, weight, o));
  TD_CHECK(weight.size(0) % o.groups == 0, ShapeError, op, ": ", weight.size(0),
           " output channels do not divide into groups", args(x, weight, o));
  TD_CHECK(o.padding != Padding::same || o.stride == 1, ValueError, op, ": same padding needs stride 1",
           args(x, weight, o));
}

// Output length of `time` steps; ShapeError when the kernel does not fit.
std::int64_t conv_length(const char* op, std::int64_t time, const Tensor& x, const Tensor& weight,
                         const Conv1dOptions& o) {
  const std::int64_t reach = (weight.size(2) - 1) * o.dilation;
  if (o.padding != Padding::valid) return (time + o.stride - 1) / o.stride;
  TD_CHECK(time > reach, ShapeError, op, ": needs at least ", reach + 1, " time steps but there are ", time,
           args(x, weight, o));
  return (time - reach - 1) / o.stride + 1;
}

// The gradient of conv1d's weight [O, I/groups, K], as an op.
Tensor conv1d_weight(const Tensor& gy, const Tensor& x, std::int64_t kernel, const Conv1dOptions& o) {
  const Tensor gw = empty({gy.size(2), x.size(2) / o.groups, kernel}, x.options());
  kernels::conv1d_weight_grad(x.device(), {rows_contiguous(gy), rows_contiguous(x), gw, kernel_shape(kernel, o)});
  record("conv1d_weight", gw, {&gy, &x},
         [gy = detail::save_for(x, gy, "gy"), x = detail::save_for(gy, x, "x"), o](const Tensor& ggw, Grads& g) {
           if (g.wants(0)) g.give(0, conv1d(x.get(), ggw, {}, o));
           if (g.wants(1)) g.give(1, conv1d_transpose(gy.get(), ggw, g.shape(1)[1], o));
         });
  return gw;
}

void give_input(Grads& g, int i, const Tensor& gy, const Tensor& weight, const Conv1dOptions& o) {
  if (g.graph()) return g.give(i, conv1d_transpose(gy, weight, g.shape(i)[1], o));
  const auto [buffer, beta] = g.into(i);
  kernels::conv1d_input_grad(gy.device(), {rows_contiguous(gy), weight, buffer, kernel_shape(weight.size(2), o), beta});
}

void give_weight(Grads& g, int i, const Tensor& gy, const Tensor& x, const Conv1dOptions& o) {
  const std::int64_t kernel = g.shape(i)[2];
  if (g.graph()) return g.give(i, conv1d_weight(gy, x, kernel, o));
  const auto [buffer, beta] = g.into(i);
  kernels::conv1d_weight_grad(gy.device(),
                              {rows_contiguous(gy), rows_contiguous(x), buffer, kernel_shape(kernel, o), beta});
}

}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv1dOptions options) {
  check_weight("conv1d", x, weight, options);
  TD_CHECK(x.size(2) == weight.size(1) * options.groups, ShapeError, "conv1d: weight expects ",
           weight.size(1) * options.groups, " input channels but x has ", x.size(2), args(x, weight, options));
  if (bias.defined()) {
    detail::check_same("conv1d", "x", x, "bias", bias);
    TD_CHECK(bias.sizes() == Shape{weight.size(0)}, ShapeError, "conv1d: the bias must be [", weight.size(0), "]",
             arg("bias", bias));
  }
  const std::int64_t length = conv_length("conv1d", x.size(1), x, weight, options);
  const Tensor y = empty({x.size(0), length, weight.size(0)}, x.options());
  kernels::conv1d(x.device(),
                  {rows_contiguous(x), weight, detail::packed(bias), y, kernel_shape(weight.size(2), options)});
  record("conv1d", y, {&x, &weight, &bias},
         [x = detail::save_for(weight, x, "x"), w = detail::save_for(x, weight, "weight"), options](const Tensor& gy,
                                                                                                    Grads& g) {
           if (g.wants(0)) give_input(g, 0, gy, w.get(), options);
           if (g.wants(1)) give_weight(g, 1, gy, x.get(), options);
           if (g.wants(2)) g.give(2, sum_to(gy, g.shape(2)));
         });
  return y;
}

Tensor conv1d_transpose(const Tensor& x, const Tensor& weight, std::int64_t length, Conv1dOptions options) {
  check_weight("conv1d_transpose", x, weight, options);
  TD_CHECK(x.size(2) == weight.size(0), ShapeError, "conv1d_transpose: weight expects ", weight.size(0),
           " input channels but x has ", x.size(2), args(x, weight, options));
  const std::int64_t expected = conv_length("conv1d_transpose", length, x, weight, options);
  TD_CHECK(x.size(1) == expected, ShapeError, "conv1d_transpose: ", length, " output steps need ", expected,
           " input steps but x has ", x.size(1), args(x, weight, options));
  const Tensor y = empty({x.size(0), length, weight.size(1) * options.groups}, x.options());
  kernels::conv1d_input_grad(x.device(), {rows_contiguous(x), weight, y, kernel_shape(weight.size(2), options)});
  record("conv1d_transpose", y, {&x, &weight},
         [x = detail::save_for(weight, x, "x"), w = detail::save_for(x, weight, "weight"), options](const Tensor& gy,
                                                                                                    Grads& g) {
           if (g.wants(0)) g.give(0, conv1d(gy, w.get(), {}, options));
           if (g.wants(1)) give_weight(g, 1, x.get(), gy, options);
         });
  return y;
}

}  // namespace tapedeck
