// Convolutions over one to three spatial dimensions. Three functions, linear in each operand, whose gradients are the
// other two: the convolution, its adjoint (the transposed convolution) and the gradient of the weight.
#include <tapedeck/autograd/op_helpers.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/conv1d.h>

#include <algorithm>
#include <string>

namespace tapedeck {
namespace {

using detail::rows_contiguous;
using kernels::ConvShape;
using std::int64_t;

// ---- the three functions: shapes fit, y is what the caller says -----------------------------------------------------
kernels::Conv1dShape flat(const ConvShape& s) { return {s.stride[0], s.dilation[0], s.groups, s.pad[0]}; }

void run_conv(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y, const ConvShape& s, double beta) {
  if (x.dim() == 3) return kernels::conv1d(x.device(), {rows_contiguous(x), w, detail::packed(bias), y, flat(s), beta});
  kernels::conv(x.device(), {rows_contiguous(x), w, detail::packed(bias), y, s, beta});
}
void run_adjoint(const Tensor& gy, const Tensor& w, const Tensor& bias, const Tensor& gx, const ConvShape& s,
                 double beta) {
  const Tensor rows = rows_contiguous(gy), b = detail::packed(bias);
  if (gx.dim() == 3) return kernels::conv1d_input_grad(gx.device(), {rows, w, gx, flat(s), beta, b});
  kernels::conv_input_grad(gx.device(), {rows, w, gx, s, beta, b});
}
void run_weight(const Tensor& gy, const Tensor& x, const Tensor& gw, const ConvShape& s, double beta) {
  const Tensor rows = rows_contiguous(gy), from = rows_contiguous(x);
  if (x.dim() == 3) return kernels::conv1d_weight_grad(x.device(), {rows, from, gw, flat(s), beta});
  kernels::conv_weight_grad(x.device(), {rows, from, gw, s, beta});
}

constexpr const char *kConv[] = {"conv1d", "conv2d", "conv3d"},
                     *kAdjoint[] = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"},
                     *kWeight[] = {"conv1d_weight", "conv2d_weight", "conv3d_weight"};
const char* name_of(const char* const (&names)[3], const Tensor& x) { return names[x.dim() - 3]; }

Tensor conv(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvShape& s, const Shape& shape);
Tensor adjoint(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvShape& s, const Shape& shape);
Tensor weight_gradient(const Tensor& gy, const Tensor& x, const ConvShape& s, const Shape& shape);

void give_conv(Grads& g, int i, const Tensor& x, const Tensor& w, const ConvShape& s) {
  if (g.graph()) return g.give(i, conv(x, w, {}, s, g.shape(i)));
  const auto [buffer, beta] = g.into(i);
  run_conv(x, w, {}, buffer, s, beta);
}
void give_adjoint(Grads& g, int i, const Tensor& gy, const Tensor& w, const ConvShape& s) {
  if (g.graph()) return g.give(i, adjoint(gy, w, {}, s, g.shape(i)));
  const auto [buffer, beta] = g.into(i);
  run_adjoint(gy, w, {}, buffer, s, beta);
}
void give_weight(Grads& g, int i, const Tensor& gy, const Tensor& x, const ConvShape& s) {
  if (g.graph()) return g.give(i, weight_gradient(gy, x, s, g.shape(i)));
  const auto [buffer, beta] = g.into(i);
  run_weight(gy, x, buffer, s, beta);
}

Tensor conv(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvShape& s, const Shape& shape) {
  const Tensor y = empty(shape, x.options());
  run_conv(x, w, bias, y, s, 0);
  record(name_of(kConv, x), y, {&x, &w, &bias},
         [x = detail::save_for(w, x, "x"), w = detail::save_for(x, w, "weight"), s](const Tensor& gy, Grads& g) {
           if (g.wants(0)) give_adjoint(g, 0, gy, w.get(), s);
           if (g.wants(1)) give_weight(g, 1, gy, x.get(), s);
           if (g.wants(2)) g.give(2, sum_to(gy, g.shape(2)));
         });
  return y;
}

Tensor adjoint(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvShape& s, const Shape& shape) {
  const Tensor y = empty(shape, x.options());
  run_adjoint(x, w, bias, y, s, 0);
  record(name_of(kAdjoint, x), y, {&x, &w, &bias},
         [x = detail::save_for(w, x, "x"), w = detail::save_for(x, w, "weight"), s](const Tensor& gy, Grads& g) {
           if (g.wants(0)) give_conv(g, 0, gy, w.get(), s);
           if (g.wants(1)) give_weight(g, 1, x.get(), gy, s);
           if (g.wants(2)) g.give(2, sum_to(gy, g.shape(2)));
         });
  return y;
}

Tensor weight_gradient(const Tensor& gy, const Tensor& x, const ConvShape& s, const Shape& shape) {
  const Tensor gw = empty(shape, x.options());
  run_weight(gy, x, gw, s, 0);
  record(name_of(kWeight, x), gw, {&gy, &x},
         [gy = detail::save_for(x, gy, "gy"), x = detail::save_for(gy, x, "x"), s](const Tensor& ggw, Grads& g) {
           if (g.wants(0)) give_conv(g, 0, x.get(), ggw, s);
           if (g.wants(1)) give_adjoint(g, 1, gy.get(), ggw, s);
         });
  return gw;
}

// ---- options and checks ---------------------------------------------------------------------------------------------
constexpr int64_t kFarthest = int64_t{1} << 40;  // so that no sum of positions overflows

// The options of any rank; output_padding of transposed convolutions only.
struct Options {
  int space;
  PerDim<3> stride, dilation, before, after, output_padding;
  Padding rule;
  int64_t groups;
};
template <int N>
PerDim<3> widened(const PerDim<N>& p) {
  PerDim<3> out;
  for (int d = 0; d < N; ++d) out.values[d] = p[d];
  return out;
}
template <int N>
Options options_of(const ConvOptions<N>& o) {
  return {N,
          widened(o.stride),
          widened(o.dilation),
          widened(o.padding.before),
          widened(o.padding.after),
          {},
          o.padding.rule,
          o.groups};
}
template <int N>
Options options_of(const ConvTransposeOptions<N>& o) {
  return {N,
          widened(o.stride),
          widened(o.dilation),
          widened(o.padding.before),
          widened(o.padding.after),
          widened(o.output_padding),
          o.padding.rule,
          o.groups};
}

// "3" where all dimensions agree, else "(1,3)".
std::string text_of(const PerDim<3>& p, int space) {
  std::string text = std::to_string(p[0]);
  bool equal = true;
  for (int d = 1; d < space; ++d) text += "," + std::to_string(p[d]), equal = equal && p[d] == p[0];
  return equal ? std::to_string(p[0]) : "(" + text + ")";
}

// "; x f32[8,1600,32] cpu, weight f32[128,64,2], dilation=4"
std::string args(const Tensor& x, const Tensor& weight, const Options& o) {
  std::string text = arg("x", x) + ", weight " + name(weight.dtype()) + to_string(weight.sizes());
  const auto add = [&](const char* what, const PerDim<3>& p, int64_t usual) {
    const std::string value = text_of(p, o.space);
    if (value != std::to_string(usual)) text += std::string(", ") + what + "=" + value;
  };
  add("stride", o.stride, 1), add("dilation", o.dilation, 1);
  if (o.groups != 1) text += ", groups=" + std::to_string(o.groups);
  if (o.rule != Padding::valid) text += o.rule == Padding::causal ? ", padding=causal" : ", padding=same";
  const std::string before = text_of(o.before, o.space), after = text_of(o.after, o.space);
  if (before != "0" || after != "0") text += ", padding=" + before + (before == after ? "" : " and " + after);
  add("output_padding", o.output_padding, 0);
  return text;
}

// What all six demand of x, the weight and the options; `channels` names the first two dimensions of the weight.
ConvShape check(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, const Options& o,
                const char* channels) {
  constexpr const char* spaces[] = {"time", "height, width", "depth, height, width"};
  detail::check_same(op, "x", x, "weight", weight);
  detail::check_real(op, x);
  TD_CHECK(x.dim() == o.space + 2, ShapeError, op, ": x must be [batch, ", spaces[o.space - 1], ", channels]",
           args(x, weight, o));
  bool taps = weight.dim() == o.space + 2, positive = o.groups >= 1, small = true;
  for (int d = 0; taps && d < o.space; ++d) taps = weight.size(2 + d) >= 1;
  TD_CHECK(taps, ShapeError, op, ": weight must be [", channels, ", ", o.space == 1 ? "kernel" : spaces[o.space - 1],
           "]", args(x, weight, o));
  for (int d = 0; d < o.space; ++d) {
    positive = positive && o.stride[d] >= 1 && o.dilation[d] >= 1;
    TD_CHECK(o.before[d] >= 0 && o.after[d] >= 0, ValueError, op, ": padding must be >= 0", args(x, weight, o));
  }
  TD_CHECK(positive, ValueError, op, ": stride, dilation and groups must be >= 1", args(x, weight, o));
  for (int d = 0; d < o.space; ++d)
    small = small && o.stride[d] <= kFarthest && o.dilation[d] <= kFarthest / weight.size(2 + d) &&
            o.before[d] <= kFarthest && o.after[d] <= kFarthest;
  TD_CHECK(small && o.groups <= kFarthest / std::max<int64_t>(1, weight.size(1)), ValueError, op,
           ": stride, padding, and kernel times dilation, must be at most 2^40", args(x, weight, o));
  TD_CHECK(weight.size(0) % o.groups == 0, ShapeError, op, ": ", weight.size(0), " ", channels[0] == 'o' ? "out" : "in",
           "put channels do not divide into groups", args(x, weight, o));
  if (bias.defined()) detail::check_same(op, "x", x, "bias", bias);
  ConvShape s;
  s.groups = o.groups;
  for (int d = 0; d < o.space; ++d) s.stride[d] = o.stride[d], s.dilation[d] = o.dilation[d], s.pad[d] = o.before[d];
  return s;
}

void check_bias(const char* op, const Tensor& bias, int64_t channels) {
  if (bias.defined())
    TD_CHECK(bias.sizes() == Shape{channels}, ShapeError, op, ": the bias must be [", channels, "]", arg("bias", bias));
}

Tensor any_conv(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, const Options& o) {
  ConvShape s = check(op, x, weight, bias, o, "out, in/groups");
  TD_CHECK(x.size(-1) == weight.size(1) * o.groups, ShapeError, op, ": weight expects ", weight.size(1) * o.groups,
           " input channels but x has ", x.size(-1), args(x, weight, o));
  check_bias(op, bias, weight.size(0));
  Shape shape{x.size(0)};
  for (int d = 0; d < o.space; ++d) {
    const int64_t size = x.size(1 + d), reach = (weight.size(2 + d) - 1) * o.dilation[d];
    if (o.rule == Padding::valid) {
      const int64_t padded = size + o.before[d] + o.after[d];
      TD_CHECK(padded > reach, ShapeError, op, ": needs at least ", reach + 1,
               o.space == 1 ? std::string(" time steps") : " places in dimension " + std::to_string(1 + d),
               " but there are ", padded, args(x, weight, o));
      shape.push((padded - reach - 1) / o.stride[d] + 1);
      continue;
    }
    const bool causal = o.rule == Padding::causal && d == 0;
    TD_CHECK(causal || o.stride[d] == 1, ValueError, op, ": same padding needs stride 1", args(x, weight, o));
    s.pad[d] = causal ? reach : reach / 2;
    shape.push((size + o.stride[d] - 1) / o.stride[d]);
  }
  shape.push(weight.size(0));
  return detail::composed(op, [&] { return conv(x, weight, bias, s, shape); });
}

Tensor any_transpose(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, const Options& o) {
  const ConvShape s = check(op, x, weight, bias, o, "in, out/groups");
  TD_CHECK(x.size(-1) == weight.size(0), ShapeError, op, ": weight expects ", weight.size(0),
           " input channels but x has ", x.size(-1), args(x, weight, o));
  TD_CHECK(o.rule == Padding::valid, ValueError, op, ": padding must be given in numbers", args(x, weight, o));
  check_bias(op, bias, weight.size(1) * o.groups);
  Shape shape{x.size(0)};
  for (int d = 0; d < o.space; ++d) {
    const int64_t size = x.size(1 + d), more = o.output_padding[d];
    TD_CHECK(more >= 0 && more < std::max(o.stride[d], o.dilation[d]), ValueError, op,
             ": output_padding must be >= 0 and smaller than stride or dilation", args(x, weight, o));
    TD_CHECK(size >= 1 && size - 1 <= kFarthest / o.stride[d], ShapeError, op, ": dimension ", 1 + d, " has ", size,
             size < 1 ? " steps but needs one" : " steps, which times the stride is more than 2^40",
             args(x, weight, o));
    const int64_t whole = (size - 1) * o.stride[d] + (weight.size(2 + d) - 1) * o.dilation[d] + more + 1;
    const int64_t length = whole - o.before[d] - o.after[d];
    TD_CHECK(length >= 1, ShapeError, op, ": nothing is left of ", whole, " steps in dimension ", 1 + d,
             " after padding", args(x, weight, o));
    shape.push(length);
  }
  shape.push(weight.size(1) * o.groups);
  return detail::composed(op, [&] { return adjoint(x, weight, bias, s, shape); });
}

}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv1dOptions options) {
  return any_conv("conv1d", x, weight, bias, options_of(options));
}
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv2dOptions options) {
  return any_conv("conv2d", x, weight, bias, options_of(options));
}
Tensor conv3d(const Tensor& x, const Tensor& weight, const Tensor& bias, Conv3dOptions options) {
  return any_conv("conv3d", x, weight, bias, options_of(options));
}
Tensor conv_transpose1d(const Tensor& x, const Tensor& weight, const Tensor& bias, ConvTranspose1dOptions options) {
  return any_transpose("conv_transpose1d", x, weight, bias, options_of(options));
}
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, ConvTranspose2dOptions options) {
  return any_transpose("conv_transpose2d", x, weight, bias, options_of(options));
}
Tensor conv_transpose3d(const Tensor& x, const Tensor& weight, const Tensor& bias, ConvTranspose3dOptions options) {
  return any_transpose("conv_transpose3d", x, weight, bias, options_of(options));
}

}  // namespace tapedeck
