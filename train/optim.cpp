#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/safetensors.h>
#include <tapedeck/kernels/optim.h>
#include <tapedeck/kernels/reduce.h>
#include <tapedeck/tensor/detail_views.h>
#include <tapedeck/train/optim.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>

namespace tapedeck::train {

namespace {

double squares_of(const Tensor& gradient) {
  const Tensor out =
      empty(Shape(std::vector<std::int64_t>(static_cast<std::size_t>(gradient.dim()), 1)), gradient.options());
  kernels::sum_squares(gradient.device(), {gradient, out, (1u << gradient.dim()) - 1});
  return out.item();
}

template <class Each>
void check_betas(double beta1, double beta2, Each&& add) {
  if (beta1 >= 1) add("/beta1", "must be below 1");
  if (beta2 >= 1) add("/beta2", "must be below 1");
}

// A parameter and what is kept of it: aliases into flat arenas.
struct Kept {
  Parameter parameter;
  std::vector<Tensor> states;
  bool decays = true;
  std::int64_t steps = 0;  // the current one counts
};

// What tells the optimizers apart.
struct Rule {
  std::vector<std::string> states;                                   // PyTorch's names of the tensors that are kept
  std::function<void(const Kept&, double rate, double scale)> step;  // runs the kernel
  double start = 0;                                                  // of the states
  std::vector<std::string> no_decay{};
};

class Stepper final : public Optimizer {
 public:
  Stepper(const std::string& name, Rule rule, std::vector<Parameter> parameters, std::function<void()> check)
      : rule_(std::move(rule)), check_(std::move(check)) {
    constexpr std::int64_t kAlign = 16;  // elements, as in the arenas of parameters
    std::map<DType, std::int64_t> sizes;
    std::vector<std::int64_t> offsets;
    for (const Parameter& p : parameters) {
      const DType dtype = p.tensor.dtype();
      TD_CHECK(dtype == DType::f32 || dtype == DType::f64, DTypeError, name, ": parameter ", p.path,
               " must be f32 or f64", arg("it is", p.tensor));
      std::int64_t& size = sizes[dtype];
      offsets.push_back(size);
      size += (p.tensor.numel() + kAlign - 1) / kAlign * kAlign;
    }
    std::map<DType, std::vector<Tensor>> flat;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Parameter& p = parameters[i];
      std::vector<Tensor>& all = flat[p.tensor.dtype()];
      while (all.size() < rule_.states.size())
        all.push_back(full({sizes[p.tensor.dtype()]}, rule_.start, p.tensor.options()));
      Kept kept{p, {}, std::ranges::find(rule_.no_decay, p.group) == rule_.no_decay.end()};
      for (const Tensor& f : all) kept.states.push_back(tapedeck::detail::alias(f, offsets[i], p.tensor.sizes()));
      kept_.push_back(std::move(kept));
    }
  }

  void step(double rate, double scale) override {
    check_();
    for (Kept& k : kept_) {
      const Tensor& p = k.parameter.tensor;
      if (!p.has_grad()) continue;
      ++k.steps;
      rule_.step(k, rate, scale);
      p.impl()->storage->bump();
      for (const Tensor& written : k.states) written.impl()->storage->bump();
    }
  }

  nn::StateDict state() const override {
    nn::StateDict out;
    for (const Kept& k : kept_) {
      for (std::size_t i = 0; i < k.states.size(); ++i)
        out.push_back({k.parameter.path + "." + rule_.states[i], k.states[i]});
      out.push_back({k.parameter.path + ".step", tensor(std::vector<std::int64_t>{k.steps}, {})});
    }
    return out;
  }

  void load_state(const nn::StateDict& given) override {
    std::string problems;
    const auto problem = [&](const std::string& text) { problems += (problems.empty() ? "" : "; ") + text; };
    std::map<std::string, Tensor> found;
    for (const auto& [path, value] : given) {
      if (!found.emplace(path, value).second) problem(path + " is given twice");
    }
    const nn::StateDict own = state();
    std::vector<Tensor> values;
    for (const auto& [path, ours] : own) {
      const auto it = found.find(path);
      values.push_back(it == found.end() ? Tensor() : it->second);
      if (it == found.end()) {
        problem(path + " is missing");
      } else if (!(it->second.sizes() == ours.sizes()) || it->second.dtype() != ours.dtype()) {
        problem(path + " is " + describe(it->second) + " instead of " + describe(ours));
      } else if (path.ends_with(".step") && it->second.item() < 0) {
        problem(path + " is negative");
      }
      if (it != found.end()) found.erase(it);
    }
    for (const auto& [path, value] : found) problem(path + " is unexpected");
    TD_CHECK(problems.empty(), FormatError, "optimizer state: ", problems, "; nothing was loaded");
    auto value = values.begin();
    for (Kept& k : kept_) {
      for (const Tensor& s : k.states) s.fill_from(io::raw_bytes(io::to_host(*value++)));
      k.steps = (value++)->to_vector<std::int64_t>()[0];
    }
  }

 private:
  Rule rule_;
  std::function<void()> check_;
  std::vector<Kept> kept_;
};

// ---- the rules ------------------------------------------------------------------------------------------------------
template <class C>
Rule adam(const C& c, bool decoupled, std::vector<std::string> no_decay) {
  const auto step = [c, decoupled](const Kept& k, double rate, double scale) {
    const Tensor& p = k.parameter.tensor;
    kernels::AdamArgs args{p, p.grad(), k.states[0], k.states[1], rate, c.beta1, c.beta2, c.eps};
    args.weight_decay = k.decays ? c.weight_decay : 0;
    args.gscale = scale;
    args.decoupled = decoupled;
    args.step = k.steps;
    kernels::adam(p.device(), args);
  };
  return {{"exp_avg", "exp_avg_sq"}, step, 0, std::move(no_decay)};
}
Rule rule_of(const AdamConfig& c) { return adam(c, false, {}); }
Rule rule_of(const AdamWConfig& c) { return adam(c, true, c.no_decay); }

Rule rule_of(const SGDConfig& c) {
  const auto step = [c](const Kept& k, double rate, double scale) {
    const Tensor& p = k.parameter.tensor;
    kernels::SgdArgs args{p, p.grad(), {}, rate, c.momentum, c.dampening, c.weight_decay, scale, c.nesterov, k.steps};
    if (!k.states.empty()) args.buf = k.states[0];
    kernels::sgd(p.device(), args);
  };
  if (c.momentum == 0) return {{}, step};
  return {{"momentum_buffer"}, step};
}

Rule rule_of(const RMSpropConfig& c) {
  std::vector<std::string> states{"square_avg"};
  if (c.centered) states.push_back("grad_avg");
  if (c.momentum > 0) states.push_back("momentum_buffer");
  return {states, [c](const Kept& k, double rate, double scale) {
            const Tensor& p = k.parameter.tensor;
            kernels::RmspropArgs args;
            args.p = p, args.g = p.grad(), args.v = k.states[0];
            if (c.centered) args.mean = k.states[1];
            if (c.momentum > 0) args.buf = k.states.back();
            args.lr = rate, args.alpha = c.alpha, args.eps = c.eps, args.weight_decay = c.weight_decay;
            args.momentum = c.momentum, args.gscale = scale;
            kernels::rmsprop(p.device(), args);
          }};
}

Rule rule_of(const AdagradConfig& c) {
  const auto step = [c](const Kept& k, double rate, double scale) {
    const Tensor& p = k.parameter.tensor;
    const double slower = 1 + static_cast<double>(k.steps - 1) * c.lr_decay;
    kernels::adagrad(p.device(), {p, p.grad(), k.states[0], rate / slower, c.eps, c.weight_decay, scale});
  };
  return {{"sum"}, step, c.initial_accumulator_value};
}

template <class C>
bool found(const io::Poly<Optimizer>& config, std::optional<Rule>& rule) {
  const C* c = config.get_if<C>();
  if (!c) return false;
  io::check(*c, C::type_name);
  rule = rule_of(*c);
  return true;
}
template <class... C>
struct Configs {
  static void add() { (io::Poly<Optimizer>::add<C>(), ...); }
  static std::optional<Rule> rule(const io::Poly<Optimizer>& config) {
    std::optional<Rule> rule;
    static_cast<void>((found<C>(config, rule) || ...));
    return rule;
  }
  static std::string names() {
    std::string all;
    ((all += (all.empty() ? "" : ", ") + std::string(C::type_name)), ...);
    return all;
  }
};
using All = Configs<AdamConfig, AdamWConfig, SGDConfig, RMSpropConfig, AdagradConfig>;  // the one list of optimizers

std::unique_ptr<Optimizer> make(const io::Poly<Optimizer>& config, std::vector<Parameter> parameters,
                                std::function<void()> check) {
  std::optional<Rule> rule = All::rule(config);
  TD_CHECK(rule, ConfigError, "optimizer: \"", config.type(), "\" is none of ", All::names());
  return std::make_unique<Stepper>(config.type(), std::move(*rule), std::move(parameters), std::move(check));
}

}  // namespace

void AdamConfig::validate(io::Issues& issues) const {
  check_betas(beta1, beta2, [&](const char* at, const char* rule) { issues.add(at, rule); });
}

void AdamWConfig::validate(io::Issues& issues) const {
  check_betas(beta1, beta2, [&](const char* at, const char* rule) { issues.add(at, rule); });
}

void SGDConfig::validate(io::Issues& issues) const {
  if (nesterov && momentum == 0) issues.add("/nesterov", "needs a momentum above 0");
  if (nesterov && dampening != 0) issues.add("/nesterov", "needs dampening = 0");
}

void register_optimizers() { All::add(); }

std::vector<Parameter> parameters_of(const nn::Module& root) {
  std::vector<Parameter> out;
  for (const nn::Arena& arena : root.arenas()) {
    for (const nn::Segment& s : arena.segments) out.push_back({s.path, s.group, s.parameter});
  }
  return out;
}

double gradient_norm(const std::vector<Parameter>& parameters) {
  double squares = 0;
  for (const Parameter& p : parameters) {
    if (p.tensor.has_grad()) squares += squares_of(p.tensor.grad());
  }
  return std::sqrt(squares);
}

double gradient_norm(const nn::Module& root) { return gradient_norm(parameters_of(root)); }

double clip_grad_norm(const std::vector<Parameter>& parameters, double max_norm) {
  TD_CHECK(max_norm >= 0, ValueError, "clip_grad_norm: max_norm must be at least 0 but is ", max_norm);
  const double norm = gradient_norm(parameters), factor = max_norm / (norm + 1e-6);
  if (std::isfinite(norm) && factor < 1) {
    for (const Parameter& p : parameters) {
      if (p.tensor.has_grad()) mul_(p.tensor.grad(), factor);
    }
  }
  return norm;
}

std::unique_ptr<Optimizer> make_optimizer(const io::Poly<Optimizer>& config, std::vector<Parameter> parameters) {
  return make(config, std::move(parameters), [] {});
}

std::unique_ptr<Optimizer> make_optimizer(const io::Poly<Optimizer>& config, const nn::Module& root) {
  return make(config, parameters_of(root), [&root, layout = root.layout()] {
    TD_CHECK(root.layout() == layout, ValueError,
             "optimizer: the parameters were laid out anew; make a new optimizer and give it this one's state()");
  });
}

}  // namespace tapedeck::train
