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
#include <set>

namespace tapedeck::train {

namespace {

// The sum of the gradients' squares: the norms of the tensors, whose squares f32 might not hold, are brought to the
// host at once.
double sum_of_squares(const std::vector<Tensor>& gradients) {
  double sum = 0;
  for (std::size_t first = 0, last; first < gradients.size(); first = last) {
    last = first + 1;
    while (last < gradients.size() && gradients[last].dtype() == gradients[first].dtype() &&
           gradients[last].device() == gradients[first].device())
      ++last;
    const Tensor norms = empty({static_cast<std::int64_t>(last - first)}, gradients[first].options());
    for (std::size_t i = first; i < last; ++i) {
      const Tensor& g = gradients[i];
      TensorView out = tapedeck::detail::narrow(norms, 0, static_cast<std::int64_t>(i - first), 1);
      out.rank = g.dim();
      for (int d = 0; d < out.rank; ++d) out.sizes[d] = 1, out.strides[d] = 1;
      kernels::norm(g.device(), {g, out, (1u << g.dim()) - 1});
    }
    const Tensor wide = cast(norms.to(kCpu), DType::f64);
    for (const double norm : wide.to_vector<double>()) sum += norm * norm;
  }
  return sum;
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

// Neighbours in the arenas that are stepped alike, as one: a kernel call on the whole.
struct Span {
  TensorView p, g;
  std::vector<TensorView> states;
  bool decays = true;
  std::int64_t steps = 0;
  std::vector<const Storage*> owners;  // of p, g and the states; none: stands alone
};

// What tells the optimizers apart.
struct Rule {
  std::vector<std::string> states;                                   // PyTorch's names of the tensors that are kept
  std::function<void(const Span&, double rate, double scale)> step;  // runs the kernel
  double start = 0;                                                  // of the states
  std::vector<std::string> no_decay{};
};

constexpr std::int64_t kAlign = 16;  // elements, as in the arenas of parameters

TensorView flat(const Tensor& x) {
  TensorView v = x;
  v.rank = 1, v.sizes[0] = x.numel(), v.strides[0] = 1;
  return v;
}
Span span_of(const Kept& k) {
  Span s{flat(k.parameter.tensor), flat(k.parameter.tensor.grad()), {}, k.decays, k.steps, {}};
  const auto owner = [&](const Tensor& x) { s.owners.push_back(x.impl()->storage->owner()); };
  owner(k.parameter.tensor), owner(k.parameter.tensor.grad());
  for (const Tensor& x : k.states) s.states.push_back(flat(x)), owner(x);
  if (std::ranges::find(s.owners, nullptr) != s.owners.end()) s.owners.clear();
  return s;
}
// Does `next` follow `span` in all of its arenas, and is it stepped alike? Then it is a part of it. What lies between
// the two in the arenas is zeros.
bool join(Span& span, const Span& next) {
  if (!span.p || span.owners.empty() || span.owners != next.owners || span.decays != next.decays ||
      span.steps != next.steps || span.p.dtype != next.p.dtype)
    return false;
  const std::int64_t begin = (span.p.sizes[0] + kAlign - 1) / kAlign * kAlign;
  const auto follows = [&](const TensorView& a, const TensorView& b) {
    return static_cast<char*>(a.data) + begin * static_cast<std::int64_t>(size_of(a.dtype)) == b.data;
  };
  bool all = follows(span.p, next.p) && follows(span.g, next.g);
  for (std::size_t i = 0; i < span.states.size(); ++i) all = all && follows(span.states[i], next.states[i]);
  if (!all) return false;
  const std::int64_t n = begin + next.p.sizes[0];
  span.p.sizes[0] = span.g.sizes[0] = n;
  for (TensorView& v : span.states) v.sizes[0] = n;
  return true;
}

class Stepper final : public Optimizer {
 public:
  Stepper(const std::string& name, Rule rule, std::vector<Parameter> parameters, std::function<void()> check)
      : rule_(std::move(rule)), check_(std::move(check)) {
    std::map<DType, std::int64_t> sizes;
    std::vector<std::int64_t> offsets;
    std::set<std::string> paths;
    std::set<const tapedeck::detail::TensorImpl*> seen;
    for (const Parameter& p : parameters) {
      TD_CHECK(p.tensor.defined(), ValueError, name, ": parameter \"", p.path, "\" is an undefined tensor");
      TD_CHECK(paths.insert(p.path).second && seen.insert(p.tensor.impl()).second, ValueError, name, ": parameter \"",
               p.path, "\" is given twice; every tensor and every name may be there once", arg("it is", p.tensor));
      TD_CHECK(p.tensor.is_contiguous(), ValueError, name, ": parameter \"", p.path,
               "\" is not contiguous, and it is stepped where it lies; make it a parameter of its own with "
               "contiguous() or clone()",
               arg("it is", p.tensor));
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
    TD_CHECK(std::isfinite(rate) && rate >= 0, ValueError,
             "optimizer: the learning rate must be a finite number >= 0, not ", rate);
    TD_CHECK(std::isfinite(scale), ValueError, "optimizer: the scale of the gradients must be a finite number, not ",
             scale);
    check_();
    Span span;
    for (Kept& k : kept_) {
      const Tensor& p = k.parameter.tensor;
      if (!p.has_grad()) continue;
      ++k.steps;
      Span next = span_of(k);
      if (!join(span, next)) {
        if (span.p) rule_.step(span, rate, scale);
        span = std::move(next);
      }
      p.impl()->storage->bump();
      for (const Tensor& written : k.states) written.impl()->storage->bump();
    }
    if (span.p) rule_.step(span, rate, scale);
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
  const auto step = [c, decoupled](const Span& k, double rate, double scale) {
    kernels::AdamArgs args{k.p, k.g, k.states[0], k.states[1], rate, c.beta1, c.beta2, c.eps};
    args.weight_decay = k.decays ? c.weight_decay : 0;
    args.gscale = scale;
    args.decoupled = decoupled;
    args.step = k.steps;
    kernels::adam(k.p.device, args);
  };
  return {{"exp_avg", "exp_avg_sq"}, step, 0, std::move(no_decay)};
}
Rule rule_of(const AdamConfig& c) { return adam(c, false, {}); }
Rule rule_of(const AdamWConfig& c) { return adam(c, true, c.no_decay); }

Rule rule_of(const SGDConfig& c) {
  const auto step = [c](const Span& k, double rate, double scale) {
    kernels::SgdArgs args{k.p, k.g, {}, rate, c.momentum, c.dampening, c.weight_decay, scale, c.nesterov, k.steps};
    if (!k.states.empty()) args.buf = k.states[0];
    kernels::sgd(k.p.device, args);
  };
  if (c.momentum == 0) return {{}, step};
  return {{"momentum_buffer"}, step};
}

Rule rule_of(const RMSpropConfig& c) {
  std::vector<std::string> states{"square_avg"};
  if (c.centered) states.push_back("grad_avg");
  if (c.momentum > 0) states.push_back("momentum_buffer");
  return {states, [c](const Span& k, double rate, double scale) {
            kernels::RmspropArgs args;
            args.p = k.p, args.g = k.g, args.v = k.states[0];
            if (c.centered) args.mean = k.states[1];
            if (c.momentum > 0) args.buf = k.states.back();
            args.lr = rate, args.alpha = c.alpha, args.eps = c.eps, args.weight_decay = c.weight_decay;
            args.momentum = c.momentum, args.gscale = scale;
            kernels::rmsprop(k.p.device, args);
          }};
}

Rule rule_of(const AdagradConfig& c) {
  const auto step = [c](const Span& k, double rate, double scale) {
    const double slower = 1 + static_cast<double>(k.steps - 1) * c.lr_decay;
    kernels::adagrad(k.p.device, {k.p, k.g, k.states[0], rate / slower, c.eps, c.weight_decay, scale});
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

namespace {

std::vector<Tensor> gradients_of(const std::vector<Parameter>& parameters) {
  std::vector<Tensor> gradients;
  for (const Parameter& p : parameters)
    if (p.tensor.has_grad()) gradients.push_back(p.tensor.grad());
  return gradients;
}
// Whole arenas, between whose segments are zeros, where all of their parameters have gradients.
std::vector<Tensor> gradients_of(const nn::Module& root) {
  std::vector<Tensor> gradients;
  for (const nn::Arena& arena : root.arenas()) {
    const bool whole = std::all_of(arena.segments.begin(), arena.segments.end(), [&](const nn::Segment& s) {
      return s.parameter.has_grad() && s.parameter.grad().shares_storage(arena.gradients);
    });
    if (whole) {
      if (!arena.segments.empty()) gradients.push_back(arena.gradients);
      continue;
    }
    for (const nn::Segment& s : arena.segments)
      if (s.parameter.has_grad()) gradients.push_back(s.parameter.grad());
  }
  return gradients;
}
double norm_of(const std::vector<Tensor>& gradients) {
  const NoGrad pause;
  return std::sqrt(sum_of_squares(gradients));
}
double clip(const std::vector<Tensor>& gradients, double max_norm) {
  TD_CHECK(max_norm >= 0, ValueError, "clip_grad_norm: max_norm must be at least 0 but is ", max_norm);
  const double norm = norm_of(gradients), factor = max_norm / (norm + 1e-6);
  if (std::isfinite(norm) && factor < 1)
    for (const Tensor& g : gradients) mul_(g, factor);
  return norm;
}

}  // namespace

double gradient_norm(const std::vector<Parameter>& parameters) { return norm_of(gradients_of(parameters)); }
double gradient_norm(const nn::Module& root) { return norm_of(gradients_of(root)); }
double clip_grad_norm(const std::vector<Parameter>& parameters, double max_norm) {
  return clip(gradients_of(parameters), max_norm);
}
double clip_grad_norm(const nn::Module& root, double max_norm) { return clip(gradients_of(root), max_norm); }

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
