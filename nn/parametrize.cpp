#include <tapedeck/autograd/ops.h>
#include <tapedeck/nn/parametrize.h>
#include <tapedeck/nn/tree.h>

#include <algorithm>

namespace tapedeck::nn {
namespace {

using detail::Declared;

struct WeightNormConfig {
  std::optional<int> dim = 0;
  static constexpr const char* type_name = "weight_norm";
  static constexpr void fields(auto&& f) {
    f("dim", &WeightNormConfig::dim, io::Meta{.min = 0, .max = 7, .help = "one norm per index; null: one for all"});
  }
};
struct SpectralNormConfig {
  int iterations = 1, dim = 0;
  double eps = 1e-12;
  static constexpr const char* type_name = "spectral_norm";
  static constexpr void fields(auto&& f) {
    using C = SpectralNormConfig;
    f("iterations", &C::iterations, io::Meta{.min = 1, .max = 1000, .help = "steps of each forward while training"});
    f("dim", &C::dim, io::Meta{.min = 0, .max = 7, .help = "the rows of the matrix"});
    f("eps", &C::eps, io::Meta{.min = 0, .max = 1, .help = "least norm of a vector", .log = true});
  }
};
struct LoraConfig {
  std::int64_t rank = 8;
  double alpha = 8;
  static constexpr const char* type_name = "lora";
  static constexpr void fields(auto&& f) {
    f("rank", &LoraConfig::rank, io::Meta{.min = 1, .max = 1 << 16, .help = "of the matrix that is added"});
    f("alpha", &LoraConfig::alpha, io::Meta{.min = -1e6, .max = 1e6, .help = "its factor times the rank"});
  }
};

void check_dim(const Declared& d, int dim) {
  TD_CHECK(dim < d.shape.rank(), ConfigError, "dim ", dim, " is none of \"", d.name, "\", which is ",
           to_string(d.shape));
}

Tensor norms(const Tensor& v, std::optional<int> dim) {
  if (!dim) return norm(v);
  std::vector<int> others;
  for (int d = 0; d < v.dim(); ++d)
    if (d != *dim) others.push_back(d);
  return others.empty() ? abs(v) : norm(v, 2, others, true);
}

Tensor rows(const Tensor& w, int dim) { return reshape(movedim(w, dim, 0), {w.size(dim), -1}); }

// The parts of each parametrisation, in the order in which hparams() tells them again; laying out gives them values.
struct Maker {
  Declared& whole;
  std::function<Declared*(const std::string& end, const Shape& shape, Init init, const char* group, bool parameter)>
      declare;

  // The parameter that holds the old values: it starts as the whole would have.
  Declared* values(const std::string& end) const {
    Declared* d = declare(end, whole.shape, whole.init, whole.group.c_str(), true);
    d->stream = whole.stream.empty() ? whole.name : whole.stream;
    d->tensor = whole.tensor, d->frozen = whole.frozen;
    return d;
  }
  void weight_norm(const WeightNormConfig& c) const {
    if (c.dim) check_dim(whole, *c.dim);
    Shape sizes;
    if (c.dim) {
      sizes = whole.shape;
      for (int d = 0; d < sizes.rank(); ++d)
        if (d != *c.dim) sizes[d] = 1;
    }
    Declared* g = declare("_g", sizes, init::constant(1), "norm", true);
    Declared* v = values("_v");
    g->start = [v, dim = c.dim] { return norms(Param(v), dim); };
    whole.compute = [g, v, dim = c.dim] { return tapedeck::weight_norm(Param(v), Param(g), dim); };
  }

  void spectral_norm(const SpectralNormConfig& c) const {
    check_dim(whole, c.dim);
    Declared* w = values("_orig");
    const std::int64_t n = whole.shape[c.dim], m = n > 0 ? whole.shape.numel() / n : 0;
    Declared* u = declare("_u", {n}, init::normal(), "", false);
    Declared* v = declare("_v", {m}, init::normal(), "", false);
    const auto step = [w, u, v, c](int steps) {
      const NoGrad pause;
      const Tensor matrix = rows(Param(w), c.dim);
      for (int i = 0; i < steps; ++i) {
        copy_(Param(v), normalize(mv(transpose(matrix, 0, 1), Param(u)), 2, 0, c.eps));
        copy_(Param(u), normalize(mv(matrix, Param(v)), 2, 0, c.eps));
      }
    };
    u->start = [u, step] {  // v as well
      step(15);
      return clone(detach(Param(u)));
    };
    whole.compute = [w, u, v, c, step, owner = whole.owner] {
      if (owner->training() && !replaying()) step(c.iterations);
      const Tensor& weight = Param(w).get();
      const Tensor left = clone(detach(Param(u))), right = clone(detach(Param(v)));  // the next step writes to them
      return weight / dot(left, mv(rows(weight, c.dim), right));
    };
  }

  void lora(const LoraConfig& c) const {
    TD_CHECK(whole.shape.rank() >= 2, ConfigError, "an adapter needs a weight of two dimensions or more; \"",
             whole.name, "\" is ", to_string(whole.shape));
    const std::int64_t out = whole.shape[0], in = out > 0 ? whole.shape.numel() / out : 0;
    Declared* w = values("");
    Declared* a = declare("_lora_A", {c.rank, in}, init::fan_in_uniform(in), "weight", true);
    Declared* b = declare("_lora_B", {out, c.rank}, init::constant(0), "weight", true);
    whole.compute = [w, a, b, scale = c.alpha / static_cast<double>(c.rank)] {
      const Tensor& weight = Param(w).get();
      return weight + reshape(matmul(Param(b), Param(a)) * scale, weight.sizes());
    };
  }
};

}  // namespace

void TreeAccess::parametrize(Declared& whole, const io::Node& how) {
  Module& owner = *whole.owner;
  const std::size_t before = owner.declared_.size();
  const Maker maker{whole,
                    [&](const std::string& end, const Shape& shape, Init init, const char* group, bool parameter) {
                      owner.declare({&owner, whole.name + end, group, shape, init, {}, parameter, true, false, {}});
                      whole.parts.push_back(owner.declared_.back().get());
                      return whole.parts.back();
                    }};
  const io::Node* type = how.is_object() ? how.find("type") : nullptr;
  TD_CHECK(type && type->is_string(), ConfigError, "must be an object with \"type\"");
  whole.compute = [] { return Tensor(); };  // the name is free now
  try {
    if (type->string() == WeightNormConfig::type_name) {
      const auto config = io::load<WeightNormConfig>(how, WeightNormConfig::type_name);
      maker.weight_norm(config), whole.made_by = io::save(config);
    } else if (type->string() == SpectralNormConfig::type_name) {
      const auto config = io::load<SpectralNormConfig>(how, SpectralNormConfig::type_name);
      maker.spectral_norm(config), whole.made_by = io::save(config);
    } else if (type->string() == LoraConfig::type_name) {
      const auto config = io::load<LoraConfig>(how, LoraConfig::type_name);
      maker.lora(config), whole.made_by = io::save(config);
    } else {
      TD_FAIL(ConfigError, "there is no parametrisation \"", type->string(),
              "\" (known: weight_norm, spectral_norm, lora)");
    }
  } catch (...) {
    whole.compute = nullptr, whole.parts.clear();
    owner.declared_.resize(before);
    throw;
  }
  whole.tensor = {};
}

void TreeAccess::fold(Declared& whole) {
  Module& owner = *whole.owner;
  Tensor value;
  if (owner.materialised()) {
    const NoGrad pause;
    const bool training = std::exchange(owner.training_, false);  // power iterations stand still
    value = clone(whole.compute());
    owner.training_ = training;
  }
  take_apart(whole, value);
}

void TreeAccess::take_apart(Declared& whole, const Tensor& value) {
  const auto is_part = [&](const auto& d) {
    return std::find(whole.parts.begin(), whole.parts.end(), d.get()) != whole.parts.end();
  };
  for (const Declared* d : whole.parts)
    if (d->shape == whole.shape && d->parameter) whole.frozen = d->frozen;
  whole.compute = nullptr, whole.made_by = {};
  std::erase_if(whole.owner->declared_, is_part);
  whole.parts.clear();
  whole.tensor = value;
}

namespace {

std::vector<TreeAccess::Entry> matching(std::vector<TreeAccess::Entry> all, std::string_view glob) {
  std::erase_if(all, [&](const auto& e) { return !e.declared->parameter || !path_matches(glob, e.path); });
  return all;
}

// A materialised tree is laid out anew, with the parts in its arenas.
void lay_out_again(Module& root, const Tensor& like) {
  if (like.defined()) root.to(like.device(), root.dtype());
}

template <class Config>
std::int64_t apply(Module& root, std::string_view glob, const Config& config) {
  io::check(config, Config::type_name);
  const auto all = matching(TreeAccess::entries(root), glob);
  for (const auto& e : TreeAccess::parametrized(root))
    TD_CHECK(!path_matches(glob, e.path), ValueError, Config::type_name, ": \"", e.path, "\" is ",
             e.declared->made_by.at("type").string(), " already; fold() it first");
  TD_CHECK(!all.empty(), ValueError, Config::type_name, ": no parameter of ", root.type_name(), " matches \"", glob,
           "\"");
  for (const auto& e : all) TreeAccess::check_untied(root, e.declared);
  std::vector<Tensor> before;
  try {
    for (const auto& e : all) {
      before.push_back(e.declared->tensor);
      TreeAccess::parametrize(*e.declared, io::save(config));
    }
  } catch (...) {  // the one that failed is as it was
    for (std::size_t i = 0; i + 1 < before.size(); ++i) TreeAccess::take_apart(*all[i].declared, before[i]);
    throw;
  }
  lay_out_again(root, before.front());
  return static_cast<std::int64_t>(all.size());
}

}  // namespace

std::int64_t weight_norm(Module& root, std::string_view glob, std::optional<int> dim) {
  return apply(root, glob, WeightNormConfig{dim});
}
std::int64_t spectral_norm(Module& root, std::string_view glob, int iterations, int dim, double eps) {
  return apply(root, glob, SpectralNormConfig{iterations, dim, eps});
}
std::int64_t attach_lora(Module& root, std::string_view glob, const LoraOptions& options) {
  const std::int64_t n = apply(root, glob, LoraConfig{options.rank, options.alpha});
  if (options.freeze) root.freeze("**"), root.unfreeze("**.*_lora_*");
  return n;
}

void TreeAccess::check_untied(const Module& root, const detail::Declared* declared) {
  for (const Tie& tie : ties(root))
    TD_CHECK(tie.to.declared != declared, ValueError, "\"", tie.to.path, "\" is \"", tie.from.path,
             "\" as well (tie), and cannot be parametrised");
}

void tie_weights(Module& root, const std::string& path, const std::string& to) {
  const auto all = TreeAccess::entries(root);
  std::vector<std::string> names;
  for (const auto& e : all)
    if (e.declared->parameter) names.push_back(e.path);
  Declared* found[2] = {};
  for (int i = 0; i < 2; ++i) {
    const std::string& name = i == 0 ? path : to;
    for (const auto& e : all)
      if (e.path == name && e.declared->parameter) found[i] = e.declared;
    const std::string near = io::nearest(name, names);
    TD_CHECK(found[i], ValueError, "tie_weights: ", root.type_name(), " has no parameter \"", name, "\" of its own",
             near.empty() ? std::string() : "; did you mean \"" + near + "\"?");
  }
  TD_CHECK(found[0] != found[1], ValueError, "tie_weights: \"", path, "\" and \"", to, "\" are one parameter already");
  TD_CHECK(found[0]->shape == found[1]->shape, ValueError, "tie_weights: \"", path, "\" is ",
           to_string(found[0]->shape), ", but \"", to, "\" is ", to_string(found[1]->shape));
  // It belongs to the innermost module that holds both and whose hparams() have a place for it.
  Module *at = nullptr, *m = &root;
  std::string from = path, other = to;
  std::pair<std::string, std::string> tie;
  for (;;) {
    if (!dynamic_cast<ModuleList*>(m) && !dynamic_cast<ModuleDict*>(m)) at = m, tie = {from, other};
    const std::size_t dot = from.find('.');
    if (dot == std::string::npos || other.compare(0, dot + 1, from, 0, dot + 1) != 0) break;
    m = &m->at(from.substr(0, dot)), from.erase(0, dot + 1), other.erase(0, dot + 1);
  }
  TD_CHECK(at, ValueError, "tie_weights: the hyper-parameters of a ", root.type_name(),
           " have no place for ties between its parts; put it into another module");
  TreeAccess::ties_at(*at).push_back(tie);
  lay_out_again(root, found[1]->tensor);
}

namespace {

// Each has a parameter of its own again.
std::int64_t untie(Module& root, std::string_view glob) {
  std::int64_t count = 0;
  Tensor like;
  for (const Visit& v : TreeAccess::walk(root)) {
    count += static_cast<std::int64_t>(std::erase_if(TreeAccess::ties_at(*v.module), [&](const auto& tie) {
      if (!path_matches(glob, join_path(v.path, tie.first))) return false;
      if (const Declared* d = TreeAccess::find(*v.module, tie.first); d && d->tensor.defined()) like = d->tensor;
      return true;
    }));
  }
  TD_CHECK(count > 0, ValueError, "fold: no tied parameter of ", root.type_name(), " matches \"", glob, "\"");
  lay_out_again(root, like);
  return count;
}

}  // namespace

std::int64_t fold(Module& root, std::string_view glob, std::string_view type) {
  if (type == "tied") return untie(root, glob);
  std::vector<TreeAccess::Entry> all = matching(TreeAccess::parametrized(root), glob);
  std::erase_if(all, [&](const auto& e) { return !type.empty() && e.declared->made_by.at("type").string() != type; });
  TD_CHECK(!all.empty(), ValueError, "fold: no parametrised parameter of ", root.type_name(), " matches \"", glob,
           "\"");
  const bool made = root.materialised();
  for (const auto& e : all) TreeAccess::fold(*e.declared);
  if (made) lay_out_again(root, all.front().declared->tensor);
  return static_cast<std::int64_t>(all.size());
}

}  // namespace tapedeck::nn
