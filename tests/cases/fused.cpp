// The gated activation of WaveNet, with and without a condition.
#include <tapedeck/autograd/ops.h>

#include <cmath>

#include "cases/op_case.h"

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

}  // namespace

void add_fused(std::vector<OpCase>& t) {
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
