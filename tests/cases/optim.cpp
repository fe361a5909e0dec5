// Optimizer steps, on slots: the ops have none. Against the published formulas in long double.
#include <tapedeck/autograd/ops.h>
#include <tapedeck/kernels/optim.h>

#include <cmath>

#include "cases/op_case.h"

namespace tapedeck::cases {
namespace {

using Wide = long double;
using kernels::AdagradArgs;
using kernels::AdamArgs;
using kernels::AverageArgs;
using kernels::RmspropArgs;
using kernels::SgdArgs;

Outputs adam(Args x, AdamArgs a) {
  const Tensor p = clone(x[0]), m = clone(x[2]), v = clone(x[3]);
  a.p = p, a.g = x[1], a.m = m, a.v = v;
  kernels::adam(a.p.device, a);
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

// ---- the others: each in long double, with the sizes of what is added -----------------------------------------------
// The gradient with scale and decay, and the size of its parts.
template <class A>
std::pair<Wide, Wide> slope(const A& a, Wide g, Wide p) {
  return {a.gscale * g + a.weight_decay * p, std::fabs(a.gscale * g) + std::fabs(a.weight_decay * p)};
}

// What a step writes, before it: everything but the gradient x[1].
std::vector<Expected> before(Args x) {
  std::vector<Expected> r;
  for (std::size_t i = 0; i < x.size(); ++i)
    if (i != 1) r.push_back(expected_from(x[i], x[0].dtype()));
  for (Expected& e : r) e.magnitude.resize(e.value.size());
  return r;
}
void set(Expected& e, std::size_t i, Wide value, Wide size) {
  e.value[i] = value;
  e.magnitude[i] = static_cast<double>(size);
}
// What a root of `square` loses, relative to it, when that is a sum of terms of this size.
Wide loss(Wide square, Wide size) { return size / std::max(square, size * 1e-6L + 1e-300L); }

Outputs sgd(Args x, SgdArgs a) {
  const Tensor p = clone(x[0]);
  a.p = p, a.g = x[1];
  if (x.size() < 3) return kernels::sgd(a.p.device, a), Outputs{p};
  const Tensor buf = clone(x[2]);
  a.buf = buf;
  kernels::sgd(a.p.device, a);
  return {p, buf};
}
std::vector<Expected> expected(Args x, const SgdArgs& a) {
  std::vector<Expected> r = before(x);
  const std::vector<Wide> gradients = expected_from(x[1], x[0].dtype()).value;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Wide p = r[0].value[i];
    const auto [g, size] = slope(a, gradients[i], p);
    Wide move = g, move_size = size;
    if (r.size() > 1) {
      const Wide kept = a.step == 1 ? 0 : a.momentum * r[1].value[i], taken = a.step == 1 ? 1 : 1 - a.dampening;
      move = kept + taken * g;
      move_size = std::fabs(kept) + taken * size;
      set(r[1], i, move, move_size);
      if (a.nesterov) move = g + a.momentum * move, move_size = size + a.momentum * move_size;
    }
    set(r[0], i, p - a.lr * move, std::fabs(p) + a.lr * move_size);
  }
  return r;
}

Outputs rmsprop(Args x, RmspropArgs a, bool centered, bool momentum) {
  std::vector<Tensor> out{clone(x[0])};
  for (std::size_t i = 2; i < x.size(); ++i) out.push_back(clone(x[i]));
  a.p = out[0], a.g = x[1], a.v = out[1];
  if (centered) a.mean = out[2];
  if (momentum) a.buf = out.back();
  kernels::rmsprop(a.p.device, a);
  return out;
}
std::vector<Expected> expected(Args x, const RmspropArgs& a, bool centered, bool momentum) {
  std::vector<Expected> r = before(x);
  const std::vector<Wide> gradients = expected_from(x[1], x[0].dtype()).value;
  const Wide kept = a.alpha, rest = 1 - a.alpha;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Wide p = r[0].value[i];
    const auto [g, size] = slope(a, gradients[i], p);
    Wide square = kept * r[1].value[i] + rest * g * g, square_size = kept * r[1].value[i] + rest * size * size;
    set(r[1], i, square, square_size);
    if (centered) {
      const Wide mean = kept * r[2].value[i] + rest * g, mean_size = kept * std::fabs(r[2].value[i]) + rest * size;
      set(r[2], i, mean, mean_size);
      square = std::max<Wide>(square - mean * mean, 0), square_size += mean_size * mean_size;
    }
    const Wide root = std::sqrt(square) + a.eps;
    Wide move = g / root, move_size = size / root * (1 + loss(square, square_size));
    if (momentum) {
      move_size += std::fabs(a.momentum * r.back().value[i]);
      move += a.momentum * r.back().value[i];
      set(r.back(), i, move, move_size);
    }
    set(r[0], i, p - a.lr * move, std::fabs(p) + a.lr * move_size);
  }
  return r;
}

Outputs adagrad(Args x, AdagradArgs a) {
  const Tensor p = clone(x[0]), sum = clone(x[2]);
  a.p = p, a.g = x[1], a.sum = sum;
  kernels::adagrad(a.p.device, a);
  return {p, sum};
}
std::vector<Expected> expected(Args x, const AdagradArgs& a) {
  std::vector<Expected> r = before(x);
  const std::vector<Wide> gradients = expected_from(x[1], x[0].dtype()).value;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const Wide p = r[0].value[i];
    const auto [g, size] = slope(a, gradients[i], p);
    const Wide sum = r[1].value[i] + g * g, sum_size = r[1].value[i] + size * size, root = std::sqrt(sum) + a.eps;
    set(r[1], i, sum, sum_size);
    set(r[0], i, p - a.lr * g / root, std::fabs(p) + a.lr * size / root * (1 + loss(sum, sum_size)));
  }
  return r;
}

Outputs average(Args x, AverageArgs a) {
  const Tensor y = clone(x[0]);
  a.y = y, a.x = x[1];
  kernels::average(a.y.device, a);
  return {y};
}
std::vector<Expected> expected(Args x, const AverageArgs& a) {
  std::vector<Expected> r = before(x);
  const std::vector<Wide> now = expected_from(x[1], x[0].dtype()).value;
  const Wide keep = a.keep, rest = 1 - a.keep;
  for (std::size_t i = 0; i < now.size(); ++i)
    set(r[0], i, keep * r[0].value[i] + rest * now[i], keep * std::fabs(r[0].value[i]) + rest * std::fabs(now[i]));
  return r;
}

template <class Call, class Oracle>
void add_case(std::vector<OpCase>& t, const char* op, std::string text, std::vector<Input> inputs, Call call,
              Oracle oracle) {
  OpCase c{.op = op, .text = std::move(text), .inputs = std::move(inputs), .call = std::move(call)};
  c.bound = {.c = 8};
  c.oracle = std::move(oracle);
  t.push_back(std::move(c));
}

void add_averages(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{33, 17}, Shape{1, 4097}, Shape{70000}})
      for (const double keep : {0., 0.5, 0.9999, 1.}) {
        const AverageArgs a{.keep = keep};
        const Input in{shape, dtype};
        add_case(
            t, "kernel average", "keep " + std::to_string(keep).substr(0, 6), {in, in},
            [a](Args x) { return average(x, a); }, [a](Args x) { return expected(x, a); });
      }
}

void add_others(std::vector<OpCase>& t) {
  for (const DType dtype : {DType::f32, DType::f64})
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{1}, Shape{7}, Shape{33, 17}, Shape{1, 4097}, Shape{70000}})
      for (const double decay : {0., 0.01}) {
        const Input in{shape, dtype}, above{shape, dtype, Layout::contiguous, Values::range, 1, 2};
        const std::string with = decay > 0 ? " decay" : "";
        for (const std::int64_t step : {1, 2})
          for (const bool nesterov : {false, true}) {
            const SgdArgs a{.momentum = 0.9,
                            .dampening = nesterov ? 0 : 0.25,
                            .weight_decay = decay,
                            .gscale = 0.25,
                            .nesterov = nesterov,
                            .step = step};
            add_case(
                t, "kernel sgd", "step " + std::to_string(step) + with + (nesterov ? " nesterov" : ""), {in, in, in},
                [a](Args x) { return sgd(x, a); }, [a](Args x) { return expected(x, a); });
          }
        const SgdArgs plain{.weight_decay = decay, .gscale = 0.25};
        add_case(
            t, "kernel sgd", "plain" + with, {in, in}, [plain](Args x) { return sgd(x, plain); },
            [plain](Args x) { return expected(x, plain); });
        for (const bool centered : {false, true})
          for (const bool momentum : {false, true}) {
            const RmspropArgs a{.alpha = 0.75, .weight_decay = decay, .momentum = 0.5, .gscale = 0.25};
            std::vector<Input> inputs{in, in, above};
            inputs.insert(inputs.end(), static_cast<std::size_t>(centered + momentum), in);
            add_case(
                t, "kernel rmsprop", (centered ? "centered" : "plain") + with + (momentum ? " momentum" : ""), inputs,
                [=](Args x) { return rmsprop(x, a, centered, momentum); },
                [=](Args x) { return expected(x, a, centered, momentum); });
          }
        const AdagradArgs a{.weight_decay = decay, .gscale = 0.25};
        add_case(
            t, "kernel adagrad", "step" + with, {in, in, above}, [a](Args x) { return adagrad(x, a); },
            [a](Args x) { return expected(x, a); });
      }
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
  add_others(t), add_averages(t);
}

}  // namespace tapedeck::cases
