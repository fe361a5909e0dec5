#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/nn/layers/activation.h>
#include <tapedeck/nn/layers/linear.h>
#include <tapedeck/nn/layers/types.h>
#include <tapedeck/nn/wavenet_plan.h>

#include <numbers>

namespace tapedeck::nn {
namespace {

struct ActEntry {
  Tensor (*op)(const Tensor&);
  const kernels::KernelSlot<kernels::UnaryArgs>* slot;
  double p0 = 0, p1 = 0;
};
const ActEntry& entry(Act act) {
  static const ActEntry table[] = {
      {[](const Tensor& x) { return x; }, nullptr},
      {[](const Tensor& x) { return tapedeck::relu(x); }, &kernels::relu},
      {[](const Tensor& x) { return tapedeck::leaky_relu(x); }, &kernels::leaky_relu, 0.01},
      {[](const Tensor& x) { return tapedeck::elu(x); }, &kernels::elu, 1},
      {[](const Tensor& x) { return tapedeck::gelu(x); }, &kernels::gelu},
      {[](const Tensor& x) { return tapedeck::silu(x); }, &kernels::silu},
      {[](const Tensor& x) { return tapedeck::mish(x); }, &kernels::mish},
      {[](const Tensor& x) { return tapedeck::softplus(x); }, &kernels::softplus, 1, 20},
      {[](const Tensor& x) { return tapedeck::tanh(x); }, &kernels::tanh},
      {[](const Tensor& x) { return tapedeck::sigmoid(x); }, &kernels::sigmoid},
      {[](const Tensor& x) { return tapedeck::relu6(x); }, &kernels::hardtanh, 0, 6},
      {[](const Tensor& x) { return tapedeck::selu(x); }, &kernels::selu},
      {[](const Tensor& x) { return tapedeck::celu(x); }, &kernels::celu, 1},
      {[](const Tensor& x) { return tapedeck::gelu(x, Approximate::tanh); }, &kernels::gelu_tanh},
      {[](const Tensor& x) { return tapedeck::logsigmoid(x); }, &kernels::logsigmoid},
      {[](const Tensor& x) { return tapedeck::softsign(x); }, &kernels::softsign},
      {[](const Tensor& x) { return tapedeck::softshrink(x); }, &kernels::softshrink, 0.5},
      {[](const Tensor& x) { return tapedeck::hardshrink(x); }, &kernels::hardshrink, 0.5},
      {[](const Tensor& x) { return tapedeck::hardtanh(x); }, &kernels::hardtanh, -1, 1},
      {[](const Tensor& x) { return tapedeck::hardsigmoid(x); }, &kernels::hardsigmoid},
      {[](const Tensor& x) { return tapedeck::hardswish(x); }, &kernels::hardswish},
      {[](const Tensor& x) { return tapedeck::sin(x); }, &kernels::sin},
      {[](const Tensor& x) { return tapedeck::cos(x); }, &kernels::cos},
      {[](const Tensor& x) { return tapedeck::abs(x); }, &kernels::abs},
  };
  return table[static_cast<std::size_t>(act)];
}

}  // namespace

Tensor activate(Act act, const Tensor& x) { return entry(act).op(x); }
void activate(Act act, const TensorView& x, const TensorView& y) {
  const ActEntry& e = entry(act);
  if (e.slot) {
    (*e.slot)(x.device, {x, y, e.p0, e.p1});
  } else if (x.data != y.data) {
    kernels::copy(x.device, {x, y});
  }
}

kernels::PointFunction point_function(Act act) {
  const ActEntry& e = entry(act);
  return {e.slot, e.p0, e.p1};
}

Tensor Threshold::forward(const Tensor& x) {
  return where(gt(x, config().threshold), x, full({}, config().value, x.options()));
}

Tensor RReLU::forward(const Tensor& x) {
  const RReLUConfig& c = config();
  if (!training()) return leaky_relu(x, (c.lower + c.upper) / 2);
  return where(ge(x, 0.0), x, x * (rand_like(x) * (c.upper - c.lower) + c.lower));
}

Tensor GLU::forward(const Tensor& x) {
  const int dim = config().dim;
  TD_CHECK(x.defined() && dim >= -x.dim() && dim < x.dim() && x.size(dim) % 2 == 0, ShapeError,
           "GLU: needs a dimension ", dim, " of an even size", arg("x", x));
  const std::int64_t half = x.size(dim) / 2;
  return narrow(x, dim, 0, half) * activate(config().gate, narrow(x, dim, half, half));
}

PReLU::PReLU(PReLUConfig config) : Configured(config) {
  weight = parameter("weight", {this->config().num_parameters}, init::constant(this->config().init), "norm");
}

Snake::Snake(SnakeConfig config) : Configured(config) {
  alpha = parameter("alpha", {this->config().channels}, init::constant(this->config().init), "norm");
}
Tensor Snake::forward(const Tensor& x) {
  if (config().kind == SnakeKind::sin) return snake(x, alpha);
  return x + square(tapedeck::cos(x * alpha)) / alpha;
}

ScaledActivation::ScaledActivation(ScaledActivationConfig config) : Configured(config) {
  const ScaledActivationConfig& c = this->config();
  if (c.learned_static) {
    static_scale_ = parameter("scale", {c.channels}, init::constant(1), "norm");
    if (c.with_rate) static_rate_ = parameter("rate", {c.channels}, init::constant(1), "norm");
    return;
  }
  const LinearConfig square{c.channels, c.channels};
  child("scale", scale_ = make<Linear>(square));
  if (c.with_rate) child("rate", rate_ = make<Linear>(square));
}
Tensor ScaledActivation::forward(const Tensor& x) {
  const ScaledActivationConfig& c = config();
  const Tensor s = c.learned_static ? static_scale_.get() : scale_(x);
  Tensor in = x;
  if (c.with_rate) in = in * (c.learned_static ? static_rate_.get() : rate_(x));
  return activate(c.kind, in / s) * s;
}

PhaseActivation::PhaseActivation(PhaseActivationConfig config) : Configured(config) {
  if (this->config().kind != PhaseKind::c)
    psi = parameter("psi", {this->config().channels}, init::uniform(0, 1), "norm");
}
Tensor PhaseActivation::forward(const Tensor& x) {
  if (config().kind == PhaseKind::c) return tapedeck::tanh(x) * std::numbers::pi;
  return tapedeck::cos((config().kind == PhaseKind::a ? tapedeck::tanh(x) : x) * psi) * std::numbers::pi;
}

std::vector<ModuleType> activation_types() {
  const std::string same = "x [...] -> [...]", channels = "x [..., channels] -> [..., channels]",
                    half = "x [..., channels] -> [..., channels / 2]";
  const std::vector<Sample> x{reals({2, 5, 4}, -2, 2)};
  return {
      layer<Activation>({.kind = Act::tanh}, same, x),
      layer<LeakyReLU>({}, same, x),
      layer<ELU>({}, same, x),
      layer<CELU>({.alpha = 0.5}, same, x),
      layer<Softplus>({}, same, x),
      layer<Hardtanh>({}, same, x),
      layer<Softshrink>({}, same, x),
      layer<Hardshrink>({}, same, x),
      layer<Threshold>({.threshold = 0.1, .value = -0.5}, same, x),
      layer<RReLU>({}, same, x),
      layer<Tanhshrink>({}, same, x),
      layer<ExpMSq>({}, same, x),
      layer<Softmin>({}, same, x),
      layer<Softmax>({}, same, x),
      layer<LogSoftmax>({}, same, x),
      layer<GLU>({}, half, x),
      layer<GatedActivation>({}, half, x),
      layer<PReLU>({.num_parameters = 4}, "x [..., num_parameters] -> [..., num_parameters]", x),
      layer<Snake>({.channels = 4}, channels, x),
      layer<ScaledActivation>({.channels = 4, .with_rate = true}, channels, x),
      layer<PhaseActivation>({.channels = 4}, channels, x),
  };
}

}  // namespace tapedeck::nn
