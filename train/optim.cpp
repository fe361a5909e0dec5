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

// What both kinds of Adam come down to.
struct AdamRule {
  double beta1, beta2, eps, weight_decay;
  bool decoupled;
  std::vector<std::string> no_decay;
};

// The means of one parameter: aliases into flat arenas.
struct Moments {
  Parameter parameter;
  Tensor m, v;
  std::int64_t steps = 0;
  double weight_decay = 0;
};

class Adam final : public Optimizer {
 public:
  Adam(std::vector<Parameter> parameters, AdamRule rule, std::function<void()> check)
      : rule_(std::move(rule)), check_(std::move(check)) {
    constexpr std::int64_t kAlign = 16;  // elements, as in the arenas of parameters
    std::map<DType, std::int64_t> sizes;
    std::vector<std::int64_t> offsets;
    for (const Parameter& p : parameters) {
      const DType dtype = p.tensor.dtype();
      TD_CHECK(dtype == DType::f32 || dtype == DType::f64, DTypeError, "Adam: parameter ", p.path,
               " must be f32 or f64", arg("it is", p.tensor));
      std::int64_t& size = sizes[dtype];
      offsets.push_back(size);
      size += (p.tensor.numel() + kAlign - 1) / kAlign * kAlign;
    }
    std::map<DType, std::pair<Tensor, Tensor>> flat;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Parameter& p = parameters[i];
      auto& [m, v] = flat[p.tensor.dtype()];
      if (!m.defined()) {
        m = zeros({sizes[p.tensor.dtype()]}, p.tensor.options());
        v = zeros_like(m);
      }
      const bool decays = std::ranges::find(rule_.no_decay, p.group) == rule_.no_decay.end();
      moments_.push_back({p, tapedeck::detail::alias(m, offsets[i], p.tensor.sizes()),
                          tapedeck::detail::alias(v, offsets[i], p.tensor.sizes()), 0,
                          decays ? rule_.weight_decay : 0});
    }
  }

  void step(double rate, double scale) override {
    check_();
    for (Moments& s : moments_) {
      const Tensor& p = s.parameter.tensor;
      if (!p.has_grad()) continue;
      ++s.steps;
      kernels::AdamArgs args{p, p.grad(), s.m, s.v, rate, rule_.beta1, rule_.beta2, rule_.eps, s.weight_decay};
      args.gscale = scale;
      args.decoupled = rule_.decoupled;
      args.step = s.steps;
      kernels::adam(p.device(), args);
      for (const Tensor& written : {p, s.m, s.v}) written.impl()->storage->bump();
    }
  }

  nn::StateDict state() const override {
    nn::StateDict out;
    for (const Moments& s : moments_) {
      out.push_back({s.parameter.path + ".exp_avg", s.m});
      out.push_back({s.parameter.path + ".exp_avg_sq", s.v});
      out.push_back({s.parameter.path + ".step", tensor(std::vector<std::int64_t>{s.steps}, {})});
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
    for (std::size_t i = 0; i < moments_.size(); ++i) {
      moments_[i].m.fill_from(io::raw_bytes(io::to_host(values[3 * i])));
      moments_[i].v.fill_from(io::raw_bytes(io::to_host(values[3 * i + 1])));
      moments_[i].steps = values[3 * i + 2].to_vector<std::int64_t>()[0];
    }
  }

 private:
  AdamRule rule_;
  std::function<void()> check_;
  std::vector<Moments> moments_;
};

std::unique_ptr<Optimizer> make(const io::Poly<Optimizer>& config, std::vector<Parameter> parameters,
                                std::function<void()> check) {
  if (const auto* c = config.get_if<AdamConfig>()) {
    io::check(*c, AdamConfig::type_name);
    return std::make_unique<Adam>(std::move(parameters),
                                  AdamRule{c->beta1, c->beta2, c->eps, c->weight_decay, false, {}}, std::move(check));
  }
  if (const auto* c = config.get_if<AdamWConfig>()) {
    io::check(*c, AdamWConfig::type_name);
    return std::make_unique<Adam>(std::move(parameters),
                                  AdamRule{c->beta1, c->beta2, c->eps, c->weight_decay, true, c->no_decay},
                                  std::move(check));
  }
  TD_FAIL(ConfigError, "optimizer: \"", config.type(), "\" is none of Adam, AdamW");
}

}  // namespace

void AdamConfig::validate(io::Issues& issues) const {
  check_betas(beta1, beta2, [&](const char* at, const char* rule) { issues.add(at, rule); });
}

void AdamWConfig::validate(io::Issues& issues) const {
  check_betas(beta1, beta2, [&](const char* at, const char* rule) { issues.add(at, rule); });
}

void register_optimizers() {
  io::Poly<Optimizer>::add<AdamConfig>();
  io::Poly<Optimizer>::add<AdamWConfig>();
}

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
