// Optimizer steps, on slots: the ops have none. Against the published formulas in long double.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/optim.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using Wide = long double;
using kernels::AdamArgs;

Outputs adam(Args x, AdamArgs a) {
  const Tensor p = clone(x[0]), m = clone(x[2]), v = clone(x[3]);
  a.p = p, a.g = x[1], a.m = m, a.v = v;
  kernels::adam(kCpu, a);
  return {p, m, v};
}

std::vector<Expected> expected(Args x, const AdamArgs& a) {
  std::vector<Expected> r;
  for (const int i : {0, 2, 3}) r.push_back(expected_from(x[static_cast<std::size_t>(i)], x[0].dtype()));
  const auto gradients = expected_from(x[1], x[0].dtype()).value;
  for (Expected& e : r) e.magnitude.resize(gradients.size());
  const Wide b1 = a.beta1, b2 = a.beta2;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    Wide &p = r[0].value[i], &m = r[1].value[i], &v = r[2].value[i];
    Wide g = a.gscale * gradients[i], size = std::fabs(g);
    if (!a.decoupled) g += a.weight_decay * p, size += std::fabs(a.weight_decay * p);
    const Wide m_size = b1 * std::fabs(m) + (1 - b1) * size, v_size = b2 * v + (1 - b2) * size * size;
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    const Wide rate = a.lr / (1 - std::pow(b1, static_cast<Wide>(a.step))),
               root = std::sqrt(v / (1 - std::pow(b2, static_cast<Wide>(a.step)))) + a.eps;
    // What 1 - beta2^step loses in f64, which f32 does not see because it is computed in double.
    const Wide lost = x[0].dtype() == DType::f64 ? 1 / (1 - std::pow(b2, static_cast<Wide>(a.step))) : 0;
    const Wide p_size =
        std::fabs(p) + rate * m_size / root * (1 + lost + v_size / std::max(v, v_size * 1e-6L + 1e-300L));
    if (a.decoupled) p -= a.lr * a.weight_decay * p;
    p -= rate * m / root;
    r[0].magnitude[i] = static_cast<double>(p_size);
    r[1].magnitude[i] = static_cast<double>(m_size);
    r[2].magnitude[i] = static_cast<double>(v_size);
  }
  return r;
}

}  // namespace

void add_optim(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape :
         {Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{33, 17}, Shape{2, 3, 4}, Shape{1, 4097}, Shape{70000}})
      for (const std::int64_t step : {1, 2, 1000})
        for (const double weight_decay : {0., 0.01})
          for (const bool decoupled : {true, false})
            for (const double gscale : {1., 0.25}) {
              if (shape.numel() > 5000 && step != 2) continue;
              AdamArgs a{
                  .lr = 0.01, .weight_decay = weight_decay, .gscale = gscale, .decoupled = decoupled, .step = step};
              const Input in{shape, dtype}, second{shape, dtype, Layout::contiguous, Values::range, 0.01, 2};
              OpCase c{.op = "kernel adam",
                       .text = "step " + std::to_string(step) + " decay " + std::to_string(weight_decay).substr(0, 4) +
                               (decoupled ? " decoupled" : "") + " scale " + std::to_string(gscale).substr(0, 4),
                       .inputs = {in, in, in, second},
                       .call = [a](Args x) { return adam(x, a); }};
              c.bound = {.c = 8};
              c.oracle = [a](Args x) { return expected(x, a); };
              t.push_back(std::move(c));
            }
}

}  // namespace tapedeck::cases
