// The gated activation of WaveNet, with and without a condition, and its layers.
#include "cases/fused.h"

#include <tapedeck/autograd/ops.h>

#include <cmath>

namespace tapedeck::cases {
namespace {

// tanh(a) sigmoid(b) of u = x + c: |r| and what the rounding of u does to it.
Magnitudes forward_magnitude(Args x, const Outputs& y) {
  const bool given = x.size() > 1;
  const auto u = chunk(given ? x[0] + x[1] : x[0], 2, -1),
             lost = chunk(given ? abs(x[0] + x[1]) : zeros_like(x[0]), 2, -1);
  const Tensor a = tanh(u[0]), b = sigmoid(u[1]);
  return {values_of(abs(y[0]) + lost[0] * (1 - square(a)) * b + lost[1] * abs(a) * b * (1 - b))};
}

// Of gy (1 - t^2) z and gy t z (1 - z): the products' terms before they cancel, and the rounding of u.
Magnitudes gradient_magnitude(Args x, const Outputs&, const Tensor& gy) {
  const Tensor sum = x.size() > 1 ? x[0] + x[1] : x[0];
  const auto u = chunk(sum, 2, -1);
  const Tensor z = sigmoid(u[1]), g = abs(gy), a = abs(tanh(u[0]));
  const Tensor to_a = g * z * (1 + abs(u[0]) + abs(u[1])), to_b = g * a * z * (1 + abs(u[1])) + g * z * abs(u[0]);
  const auto m = values_of(cat({to_a, to_b}, -1));
  return Magnitudes(x.size(), m);
}

// The layer on absolute inputs with a gate that hands both halves on: the absolute terms of every sum, and how far the
// rounding of u reaches. Inputs in the order of the call.
Outputs terms_of_layer(const LayerForm& f, Args x) {
  std::size_t at = 0;
  const auto next = [&](bool there) { return there ? x[at++] : Tensor(); };
  const Tensor input = next(true), skips = next(f.given && f.skip), weight = next(true), bias = next(f.bias);
  const Tensor u = conv1d(input, weight, bias, {1, f.dilation, 1, f.padding});
  const Tensor c = narrow(u, 2, 0, f.channels) + narrow(u, 2, f.channels, f.channels) + 1;
  const auto tail = [](const Tensor& v, std::int64_t n) { return narrow(v, 1, v.size(1) - n, n); };
  Tensor out = c, sum;
  if (f.residual) {
    const Tensor w = next(true);
    out = conv1d(c, w, next(f.bias)) + tail(input, c.size(1));
  }
  if (f.skip) {
    const Tensor w = next(true);
    sum = conv1d(tail(c, std::min(f.keep, c.size(1))), w, next(f.bias));
    if (f.given) sum = sum + skips;
  }
  return f.skip ? Outputs{out, sum} : Outputs{out};
}
std::vector<Tensor> absolutes(Args x) {
  std::vector<Tensor> out;
  for (const Tensor& t : x) out.push_back(abs(detach(t)));
  return out;
}

}  // namespace

OpCase layer_case(const LayerForm& f, DType dtype, Layout layout) {
  const std::int64_t steps = f.time - (f.padding == Padding::causal ? 0 : (f.kernel - 1) * f.dilation);
  std::vector<Input> inputs;
  const auto input = [&](bool there, const Shape& shape, double size) {
    const Layout possible = has_layout(shape, layout) ? layout : Layout::contiguous;
    if (there) inputs.push_back({shape, dtype, possible, Values::range, -size, size});
  };
  input(true, {f.batch, f.time, f.in}, 1);
  input(f.given && f.skip, {f.batch, std::min(f.keep, steps), f.skip}, 1);
  input(true, {2 * f.channels, f.in, f.kernel}, 0.6), input(f.bias, {2 * f.channels}, 0.6);
  input(f.residual, {f.in, f.channels, 1}, 0.6), input(f.residual && f.bias, {f.in}, 0.6);
  input(f.skip, {f.skip, f.channels, 1}, 0.6), input(f.skip && f.bias, {f.skip}, 0.6);
  OpCase c{.op = "wavenet_layer",
           .text = "dilation=" + std::to_string(f.dilation) + (f.padding == Padding::causal ? " causal" : "") +
                   (f.keep < steps ? " keep=" + std::to_string(f.keep) : "") + (f.residual ? " residual" : "") +
                   (f.skip ? " skip" : "") + (f.given && f.skip ? " given" : "") + (f.bias ? "" : " no bias"),
           .inputs = inputs,
           .call = [=](Args x) {
             std::size_t at = 0;
             const auto next = [&](bool there) { return there ? x[at++] : Tensor(); };
             const Tensor in = next(true), skips = next(f.given && f.skip);
             std::vector<Tensor> weights;
             for (const bool there : {true, f.bias, f.residual, f.residual && f.bias, f.skip > 0, f.skip && f.bias})
               weights.push_back(next(there));
             const auto y = wavenet_layer(in, skips, weights, {f.dilation, f.padding, f.keep});
             return f.skip ? Outputs{y.output, y.skips} : Outputs{y.output};
           }};
  c.bound = {.c = 4};
  c.magnitude = [=](Args x, const Outputs&) {
    Magnitudes m;
    for (const Tensor& t : terms_of_layer(f, absolutes(x))) m.push_back(values_of(t));
    return m;
  };
  c.rows = f.given && f.skip ? 3 : 1;
  const std::int64_t work = f.batch * f.time * f.channels;
  c.differentiable = work < (dtype == DType::f64 ? 60 : 30000);
  c.low = -0.8, c.high = 0.8;
  c.gradient_bound = {.c = 4};
  c.gradient_magnitude = [=](Args x, const Outputs&, const Tensor& gy) {
    const std::vector<Tensor> at = absolutes(x);
    Tape tape;
    for (const Tensor& t : at) tape.watch(t);
    std::vector<Tensor> flat;
    for (const Tensor& y : terms_of_layer(f, at)) flat.push_back(reshape(y, {y.numel()}));
    const Tensor y = cat(flat);
    tape.backward(y, reshape(abs(gy), {y.numel()}));
    Magnitudes m;
    for (const Tensor& t : at) m.push_back(values_of(tape.grad(t).defined() ? tape.grad(t) : zeros_like(t)));
    return m;
  };
  c.flops = 2. * static_cast<double>(f.batch * steps * f.channels) *
            static_cast<double>(2 * f.in * f.kernel + (f.residual ? f.in : 0) + f.skip);
  return c;
}

namespace {

void add_layers(std::vector<OpCase>& table) {
  constexpr Padding valid = Padding::valid, causal = Padding::causal;
  const LayerForm forms[] = {{2, 5, 3, 2, 4, 2, 1},
                             {1, 6, 2, 3, 3, 3, 2},
                             {2, 7, 3, 2, 4, 2, 2, valid, 3},
                             {2, 6, 2, 2, 3, 2, 2, valid},
                             {3, 4, 2, 2, 3, 2, 8},
                             {2, 5, 3, 2, 0, 2, 1},
                             {2, 5, 3, 2, 4, 2, 1, causal, 2, false},
                             {2, 5, 3, 2, 4, 2, 1, causal, 1 << 20, false},
                             {2, 5, 3, 2, 0, 1, 1, causal, 1 << 20, false},
                             {1, 5, 3, 2, 4, 2, 1, causal, 1 << 20, true, false},
                             {2, 6, 3, 2, 4, 2, 1, valid, 4, true, true, false},
                             {0, 5, 3, 2, 4, 2, 1},
                             {1, 1, 1, 1, 1, 2, 1},
                             {3, 40, 17, 19, 33, 2, 4},
                             {2, 50, 16, 16, 32, 3, 5, valid, 31},
                             {2, 30, 72, 32, 36, 2, 3},
                             {2, 30, 72, 32, 36, 2, 3, valid, 16},
                             {2, 700, 16, 16, 32, 2, 64},
                             {2, 700, 16, 16, 32, 2, 64, valid, 520},
                             {3, 400, 16, 16, 32, 2, 300, causal, 1 << 20, false}};
  for (const DType dtype : {DType::f32, DType::f64})
    for (const LayerForm& f : forms)
      for (const Layout layout : {Layout::contiguous, Layout::transposed, Layout::sliced})
        table.push_back(layer_case(f, dtype, layout));
}

}  // namespace

void add_fused(std::vector<OpCase>& t) {
  add_layers(t);
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape :
         {Shape{2}, Shape{8}, Shape{0, 4}, Shape{3, 0}, Shape{3, 10}, Shape{2, 3, 6}, Shape{33, 34}, Shape{2, 3, 4, 10},
          Shape{1, 8194}, Shape{4, 50, 64}, Shape{5, 2}, Shape{7, 30}})
      for (const Layout layout : layouts(shape))
        for (const Values values : {Values::normal, Values::wide, Values::special, Values::nonfinite})
          for (const bool given : {false, true}) {
            OpCase c{.op = "gated_activation",
                     .text = given ? "condition" : "",
                     .inputs = {{shape, dtype, layout, values}},
                     .call = [=](Args x) { return Outputs{gated_activation(x[0], given ? x[1] : Tensor())}; }};
            if (given) c.inputs.push_back(c.inputs[0]);
            c.bound = {.c = 8};
            c.magnitude = forward_magnitude;
            if (shape.rank() > 1) c.rows = given ? 3 : 1;
            c.differentiable = values == Values::normal;
            c.gradient_bound = {.c = 10};
            c.gradient_magnitude = gradient_magnitude;
            t.push_back(std::move(c));
          }
}

}  // namespace tapedeck::cases
