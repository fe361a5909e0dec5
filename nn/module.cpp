#include <tapedeck/autograd/recording.h>
#include <tapedeck/io/file.h>
#include <tapedeck/nn/module.h>
#include <tapedeck/nn/tree.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

namespace tapedeck::nn {
namespace {

// A star that fails to the end needs no retry of the stars before it: each takes the least, so this is quadratic.
bool name_matches(std::string_view glob, std::string_view name) {
  std::size_t g = 0, n = 0, star = std::string_view::npos, from = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++, from = n;
    } else if (g < glob.size() && glob[g] == name[n]) {
      ++g, ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1, n = ++from;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

std::pair<std::string_view, std::string_view> first_part(std::string_view path) {
  const std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return {path, {}};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

std::string title(const Module& module) {
  const std::string path = module.path();
  return path.empty() ? std::string(module.type_name()) : module.type_name() + (" \"" + path + "\"");
}

void check_name(const Module& owner, const std::string& name) {
  TD_CHECK(!name.empty() && name.find_first_of("./*") == std::string::npos, ValueError, title(owner),
           ": a name inside a module must be given and hold no '.', '/' or '*'; it is \"", name, "\"");
  TD_CHECK(usable_name(name), ValueError, title(owner),
           ": a name inside a module must be UTF-8 of at most 256 bytes without control characters; it is \"",
           io::printable(std::string_view(name).substr(0, 64)), "\"");
}

thread_local int hooks_running = 0;  // in this thread, one inside the other
class RunningHook {
 public:
  RunningHook() { ++hooks_running; }
  ~RunningHook() { --hooks_running; }
  RunningHook(const RunningHook&) = delete;
  RunningHook& operator=(const RunningHook&) = delete;
};

}  // namespace

bool usable_name(const std::string& name) {
  std::string text = name;
  std::erase_if(text, [](char c) { return c == '"' || c == '\\'; });  // printable() writes these otherwise
  return !name.empty() && name.size() <= 256 && name.find_first_of("./*") == std::string::npos &&
         io::printable(text) == text;
}

namespace init {
Init fan_in_uniform(std::int64_t fan_in) {
  const double bound = fan_in > 0 ? 1 / std::sqrt(static_cast<double>(fan_in)) : 0;
  return uniform(-bound, bound);
}
Init xavier_uniform(std::int64_t fan_in, std::int64_t fan_out) {
  const double bound = std::sqrt(6 / static_cast<double>(std::max<std::int64_t>(fan_in + fan_out, 1)));
  return uniform(-bound, bound);
}
}  // namespace init

namespace detail {
void fail_unmaterialised(const Module& module) {
  TD_FAIL(ValueError, title(module),
          " is not materialised: call materialise() or load_state() on the root of the finished tree before using it");
}
const Tensor& derived(const Declared& declared) {
  if (!declared.compute) fail_unmaterialised(*declared.owner);
  thread_local std::array<Tensor, 16> recent;  // threads may share a module: what they read stays apart
  thread_local std::size_t next = 0;
  Tensor made = declared.compute();
  return recent[next++ % recent.size()] = std::move(made);
}
void fail_empty() { TD_FAIL(ValueError, "part: an empty part was used; give it a module with make()"); }
}  // namespace detail

void PartBase::check(const Module* module) const {
  TD_CHECK(module && accepts(*module), ValueError, "swap: a module of type ", module ? module->type_name() : "(none)",
           " does not fit the place of ", shared_ ? title(*shared_) : std::string("an empty part"));
}
void PartBase::assign(std::shared_ptr<Module> module) {
  check(module.get());
  if (shared_) module->name_ = shared_->name_, module->parent_ = shared_->parent_;
  shared_ = std::move(module);
}

bool path_matches(std::string_view glob, std::string_view path) {
  std::string_view after_stars, from;  // the last "**" takes the least: what stands behind it, and where that may begin
  bool stars = false;
  if (glob.ends_with('.')) return false;  // no path ends so
  while (!path.empty() || !glob.empty()) {
    const auto [want, more] = first_part(glob);
    const auto [name, rest] = first_part(path);
    if (want == "**") {
      stars = true, after_stars = glob = more, from = path;
    } else if (!path.empty() && !glob.empty() && name_matches(want, name)) {
      glob = more, path = rest;
    } else if (stars && !from.empty()) {
      glob = after_stars, path = from = first_part(from).second;
    } else {
      return false;
    }
  }
  return true;
}

// ---- the tree -----------------------------------------------------------------------------------------------------

void Module::child(std::string name, PartBase& part) {
  check_name(*this, name);
  TD_CHECK(part.module(), ValueError, title(*this), ": the part \"", name, "\" is empty");
  for (const Child& c : children_)
    TD_CHECK(c.name != name, ValueError, title(*this), ": there is a part \"", name, "\" already");
  for (const auto& d : declared_)
    TD_CHECK(d->name != name, ValueError, title(*this), ": there is a tensor \"", name, "\" already");
  Module& module = *part.module();
  for (const Visit& v : TreeAccess::walk(module))
    TD_CHECK(v.module != this, ValueError, type_name(), ": the part \"", name, "\" holds this module itself");
  if (module.parent_.expired()) module.parent_ = self_, module.name_ = name;
  children_.push_back({std::move(name), &part});
  lose_layout();
}
void Module::lose_layout() {
  const auto root = laid_out_by_.lock();
  if (!root) return;
  (*root)->arenas_.clear();
  ++(*root)->layout_;
}

Param Module::parameter(std::string name, const Shape& shape, Init init, std::string group) {
  return declare({this, std::move(name), std::move(group), shape, init, {}, true, true, false, {}});
}
Param Module::buffer(std::string name, const Shape& shape, double value, bool persistent, std::optional<DType> dtype) {
  return declare({this, std::move(name), "", shape, init::constant(value), dtype, false, persistent, false, {}});
}
Param Module::buffer_of(std::string name, const Tensor& values, bool persistent, std::optional<DType> dtype) {
  detail::Declared declared{this,  std::move(name), "",         values.sizes(), init::constant(0),
                            dtype, false,           persistent, false,          {}};
  declared.start = [values] { return values; };
  return declare(std::move(declared));
}
Param Module::declare(detail::Declared declared) {
  check_name(*this, declared.name);
  for (const auto& d : declared_)
    TD_CHECK(d->compute || d->name != declared.name, ValueError, title(*this), ": there is a tensor \"", declared.name,
             "\" already");
  for (const Child& c : children_)
    TD_CHECK(c.name != declared.name, ValueError, title(*this), ": there is a part \"", c.name, "\" already");
  checked_numel(declared.shape);
  declared_.push_back(std::make_unique<detail::Declared>(std::move(declared)));
  return Param(declared_.back().get());
}

std::string Module::path() const {
  if (materialised()) return path_;
  const auto parent = parent_.lock();
  if (!parent) return "";
  const std::string above = (*parent)->path();
  return above.empty() ? name_ : above + "." + name_;
}

std::vector<Visit> TreeAccess::walk(const Module& root) {
  std::vector<Visit> out;
  std::map<const Module*, bool> met;  // true while its parts are being walked
  const std::function<void(Module*, const std::string&)> go = [&](Module* m, const std::string& path) {
    TD_CHECK(m, ValueError, "the part \"", path, "\" has been emptied; give it a module");
    const auto [at, first] = met.emplace(m, true);
    TD_CHECK(first || !at->second, ValueError, "the module \"", path,
             "\" holds itself: a tree may share parts but has no cycles");
    if (!first) return;
    out.push_back({path, m});
    for (const Module::Child& c : m->children_) go(c.part->module(), join_path(path, c.name));
    at->second = false;
  };
  go(const_cast<Module*>(&root), "");
  return out;
}

namespace {

bool is_plain(const detail::Declared* d) { return d && d->parameter && !d->compute; }

}  // namespace

std::vector<TreeAccess::Entry> TreeAccess::entries(const Module& root) {
  std::vector<Entry> out;
  bool tied = false;
  for (const Visit& v : walk(root)) {
    tied = tied || !v.module->ties_.empty();
    for (const auto& d : v.module->declared_)
      if (!d->compute) out.push_back({join_path(v.path, d->name), d.get()});
  }
  if (!tied) return out;
  std::set<const detail::Declared*> others;
  for (const Tie& tie : ties(root)) others.insert(tie.from.declared);
  std::erase_if(out, [&](const Entry& e) { return others.contains(e.declared); });
  return out;
}

detail::Declared* TreeAccess::find(Module& root, std::string_view path) {
  const auto [name, below] = first_part(path);
  for (const auto& d : root.declared_)
    if (d->name == path) return d.get();
  for (const Module::Child& c : root.children_)
    if (c.name == name && c.part->module()) return find(*c.part->module(), below);
  return nullptr;
}

std::vector<TreeAccess::Tie> TreeAccess::ties(const Module& root) {
  std::vector<Tie> out;
  for (const Visit& v : walk(root)) {
    for (const auto& [from, to] : v.module->ties_) {
      const Tie tie{{join_path(v.path, from), find(*v.module, from)}, {join_path(v.path, to), find(*v.module, to)}};
      for (const Entry* e : {&tie.from, &tie.to})
        TD_CHECK(is_plain(e->declared), ValueError, title(root), ": \"", tie.from.path, "\" is tied to \"", tie.to.path,
                 "\", but there is no plain parameter \"", e->path, "\"");
      TD_CHECK(tie.from.declared->shape == tie.to.declared->shape, ValueError, title(root), ": \"", tie.from.path,
               "\" is tied to \"", tie.to.path, "\", whose shape is now ", to_string(tie.to.declared->shape));
      out.push_back(tie);
    }
  }
  // Of a chain, all are the last one.
  for (Tie& tie : out)
    for (std::size_t steps = 0; steps < out.size(); ++steps)
      for (const Tie& next : out)
        if (next.from.declared == tie.to.declared) tie.to = next.to;
  return out;
}

std::vector<TreeAccess::Entry> TreeAccess::parametrized(const Module& root) {
  std::vector<Entry> out;
  for (const Visit& v : walk(root))
    for (const auto& d : v.module->declared_)
      if (d->compute) out.push_back({join_path(v.path, d->name), d.get()});
  return out;
}

void Module::apply(const std::function<void(const std::string&, Module&)>& f) {
  const std::vector<Visit> all = TreeAccess::walk(*this);
  std::vector<std::shared_ptr<Module>> alive;  // f may swap them out
  for (const Visit& v : all)
    for (const Child& c : v.module->children_) alive.push_back(c.part->shared());
  for (const Visit& v : all) f(v.path, *v.module);
}

Module::Child& Module::place(std::string_view path) {
  Module* m = this;
  for (std::string_view rest = path;;) {
    const auto [name, below] = first_part(rest);
    const auto found = std::find_if(m->children_.begin(), m->children_.end(),
                                    [name = name](const Child& c) { return c.name == name; });
    if (found == m->children_.end() || !found->part->module()) break;
    if (name.size() == rest.size()) return *found;
    m = found->part->module(), rest = below;
  }
  std::vector<std::string> known;
  for (const Visit& v : TreeAccess::walk(*this)) known.push_back(v.path);
  const std::string near = io::nearest(path, known);
  TD_FAIL(ValueError, title(*this), ": there is no module \"", path, "\"",
          near.empty() ? std::string() : "; did you mean \"" + near + "\"?");
}
Module& Module::at(std::string_view path) { return path.empty() ? *this : *place(path).part->module(); }

void Module::swap(std::string_view path, std::shared_ptr<Module> with) {
  TD_CHECK(hooks_running == 0, ValueError, "swap: \"", path,
           "\" cannot be replaced while a hook runs, because the call may go through it; do it behind the call");
  TD_CHECK(!path.empty(), ValueError, "swap: the root has no place that another module could take");
  const Module* old = place(path).part->module();
  std::vector<Child*> places;  // a shared part has several
  std::set<const Module*> owners;
  for (const Visit& v : TreeAccess::walk(*this))
    for (Child& c : v.module->children_)
      if (c.part->module() == old) places.push_back(&c), owners.insert(v.module);
  for (const Child* c : places) c->part->check(with.get());
  for (const Visit& v : TreeAccess::walk(*with))
    TD_CHECK(!owners.contains(v.module), ValueError, "swap: the new module holds the place \"", path, "\" itself");
  for (Child* c : places) c->part->assign(with), c->given = true;
  for (const Visit& v : TreeAccess::walk(*this))
    if (owners.contains(v.module)) v.module->lose_layout();
}
bool Module::holds_given() const {
  for (const Child& c : children_)
    if (c.given || c.part->module()->holds_given()) return true;
  return false;
}

// ---- parameters and modes -----------------------------------------------------------------------------------------

std::vector<NamedTensor> Module::named_parameters() const {
  std::vector<NamedTensor> out;
  for (const auto& [path, d] : TreeAccess::entries(*this))
    if (d->parameter) out.push_back({path, Param(d).get()});
  return out;
}
std::vector<NamedTensor> Module::named_buffers() const {
  std::vector<NamedTensor> out;
  for (const auto& [path, d] : TreeAccess::entries(*this))
    if (!d->parameter) out.push_back({path, Param(d).get()});
  return out;
}
StateDict Module::state_dict() const {
  StateDict out;
  for (const auto& [path, d] : TreeAccess::entries(*this))
    if (d->persistent) out.push_back({path, Param(d).get()});
  return out;
}

std::int64_t Module::parameter_count() const {
  std::int64_t n = 0;
  for (const auto& [path, d] : TreeAccess::entries(*this))
    if (d->parameter) n += d->shape.numel();
  return n;
}

void Module::zero_grad() {
  for (const auto& [path, d] : TreeAccess::entries(*this))
    if (d->parameter) Param(d).get().zero_grad();
}

std::vector<ParameterGroup> Module::parameter_groups(const std::vector<std::string>& no_decay) const {
  std::vector<ParameterGroup> out{{true, {}}, {false, {}}};
  for (const auto& [path, d] : TreeAccess::entries(*this)) {
    const bool decays = std::find(no_decay.begin(), no_decay.end(), d->group) == no_decay.end();
    if (d->parameter) out[decays ? 0 : 1].parameters.push_back({path, Param(d).get()});
  }
  return out;
}

void Module::train(bool on) {
  apply([on](const std::string&, Module& m) { m.training_ = on; });
}

std::int64_t Module::set_frozen(std::string_view glob, bool frozen) {
  std::int64_t count = 0;
  for (const auto& [path, d] : TreeAccess::entries(*this)) {
    if (!d->parameter || !path_matches(glob, path)) continue;
    d->frozen = frozen, ++count;
    if (d->tensor.defined()) d->tensor.set_requires_grad(!frozen);
  }
  TD_CHECK(count > 0, ValueError, frozen ? "freeze" : "unfreeze", ": no parameter of ", title(*this), " matches \"",
           glob, "\"");
  return count;
}

// ---- hooks --------------------------------------------------------------------------------------------------------

HookHandle::HookHandle(Module& root, std::string_view glob, Hook hook, HookOptions options) {
  auto shared = std::make_shared<Module::SetHook>(std::move(hook), options);
  bool any = false;
  root.apply([&](const std::string& path, Module& m) {
    if (!path_matches(glob, path)) return;
    m.hooks_.push_back(shared);
    m.state_ |= Module::kHooked;
    any = true;
  });
  TD_CHECK(any, ValueError, "hook: no module of ", title(root), " matches \"", glob, "\"");
  hook_ = std::move(shared);
}

void HookHandle::restart() {
  if (hook_) hook_->calls.clear();
}

namespace {

// In a checkpoint, what a hook replaces must be replaced in the replay as well.
void check_untouched(const Module& module, const char* what, bool same) {
  TD_CHECK(same, ValueError, "hook: it replaced an ", what, " of ", title(module),
           " in a checkpoint, whose replay would run without it; set the hook with {.in_replay = true}");
}
std::vector<Tensor> copies(std::span<Tensor* const> all) {
  std::vector<Tensor> out;
  for (const Tensor* t : all) out.push_back(*t);
  return out;
}
bool same_tensors(std::span<Tensor* const> now, const std::vector<Tensor>& before) {
  for (std::size_t i = 0; i < now.size(); ++i)
    if (now[i]->impl() != before[i].impl()) return false;
  return true;
}

}  // namespace

Module::HookRun Module::enter_hooks(std::span<Tensor* const> inputs) {
  std::erase_if(hooks_, [](const auto& h) { return h.expired(); });
  if (hooks_.empty()) state_ &= static_cast<std::uint8_t>(~kHooked);
  const auto now = hooks_;  // a hook may add or remove hooks
  HookRun run;
  for (const auto& weak : now) {
    auto hook = weak.lock();
    if (!hook || (replaying() && !hook->options.in_replay)) continue;
    const std::int64_t index = replaying() ? -1 : hook->calls[this]++;
    run.hooks.emplace_back(hook, index);
    if (!hook->options.before) continue;
    const std::vector<Tensor> before = copies(inputs);
    Entry entry{*this, inputs, index};
    {
      const RunningHook running;
      hook->options.before(entry);
    }
    if (tapedeck::detail::pass() == tapedeck::detail::Pass::first && !hook->options.in_replay)
      check_untouched(*this, "input", !entry.skip && same_tensors(inputs, before));
    if (entry.skip) {
      run.skip = true;
      break;
    }
  }
  return run;
}

void Module::leave_hooks(const HookRun& run, std::span<Tensor* const> inputs, std::span<Tensor* const> outputs) {
  const std::vector<Tensor> given = copies(inputs);
  for (auto entered = run.hooks.rbegin(); entered != run.hooks.rend(); ++entered) {
    const auto& [hook, index] = *entered;
    const std::vector<Tensor> before = copies(outputs);
    if (hook->call) {
      const RunningHook running;
      hook->call({*this, given, outputs, index});
    }
    TD_CHECK(!run.skip || outputs.empty() || outputs[0]->defined(), ValueError, "hook: it skipped the forward of ",
             title(*this), " and assigned no output; assign through call.outputs");
    if (tapedeck::detail::pass() == tapedeck::detail::Pass::first && !hook->options.in_replay)
      check_untouched(*this, "output", same_tensors(outputs, before));
  }
}

// ---- lists and dicts ----------------------------------------------------------------------------------------------

ModuleList::ModuleList(const std::vector<Part<Module>>& parts) {
  for (const auto& p : parts) push(p);
}
const Part<Module>& ModuleList::operator[](std::size_t i) const {
  TD_CHECK(i < size(), ValueError, title(*this), ": there is no part ", i, " among ", size());
  return *parts_[i];
}
void ModuleList::fail_as(std::size_t i) const {
  TD_FAIL(ValueError, title(*this), ": the part ", i, " is a module of type ", (*this)[i]->type_name(),
          ", which does not fit there");
}
void ModuleList::push(const Part<Module>& part) {
  auto held = std::make_unique<Part<Module>>(part);
  child(std::to_string(parts_.size()), *held);
  parts_.push_back(std::move(held));
}
io::Node ModuleList::describe(Describer& d) const {
  io::Node out = io::Node::array();
  for (const Child& c : children()) out.push(d.part(c.name, *c.part->module()));
  return out;
}

void ModuleDict::set(std::string name, const Part<Module>& part) {
  TD_CHECK(name != "type" && name != "version" && name != "ref", ValueError, "ModuleDict: the name \"", name,
           "\" has a meaning of its own in hyper-parameters");
  auto held = std::make_unique<Part<Module>>(part);
  child(std::move(name), *held);
  parts_.push_back(std::move(held));
}
const Part<Module>& ModuleDict::operator[](std::string_view name) const {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (children()[i].name == name) return *parts_[i];
    known.push_back(children()[i].name);
  }
  TD_FAIL(ValueError, "ModuleDict: there is no \"", name, "\"; did you mean \"", io::nearest(name, known), "\"?");
}
io::Node ModuleDict::describe(Describer& d) const { return d.children(*this); }

// ---- hyper-parameters ---------------------------------------------------------------------------------------------

io::Node Describer::part(const std::string& name, const Module& module) {
  const std::string outer = std::exchange(path_, join_path(path_, name));
  io::Node node;
  if (const auto met = seen_.find(&module); met != seen_.end()) {
    node["ref"] = met->second;
  } else {
    seen_[&module] = path_;
    node = module.describe(*this);
    parametrizations(node, module, false);
    visit(module, path_);
  }
  path_ = outer;
  return node;
}
io::Node Describer::children(const Module& module) {
  io::Node out = io::Node::object();
  for (const Module::Child& c : module.children()) out[c.name] = part(c.name, *c.part->module());
  return out;
}
void Describer::parametrizations(io::Node& node, const Module& module, bool below) const {
  if (!node.is_object() || !node.find("type") || node.find("parametrizations")) return;
  const io::Node* parts = node.find("parts");  // they say it themselves
  const auto said = [parts](const std::string& path) {
    for (std::size_t dot = path.find('.'); parts && dot != std::string::npos; dot = path.find('.', dot + 1))
      if (parts->find(path.substr(0, dot))) return true;
    return false;
  };
  io::Node all = io::Node::object();
  for (const auto& [path, d] : TreeAccess::parametrized(module))
    if ((below && !said(path)) || d->owner == &module) all[path] = d->made_by;
  for (const Visit& v : TreeAccess::walk(module))
    for (const auto& [from, to] : TreeAccess::ties_at(*v.module))
      if (const std::string path = join_path(v.path, from); (below && !said(path)) || v.module == &module)
        all[path] = io::Node::object({{"type", "tied"}, {"to", join_path(v.path, to)}});
  if (all.size() > 0) node["parametrizations"] = std::move(all);
}
bool Describer::stood_before(const Module* module) const {
  const auto met = seen_.find(module);
  return met != seen_.end() && !path_.empty() && !met->second.starts_with(path_ + ".");
}
bool Describer::shares(const Module& module) const {
  for (const Module::Child& c : module.children())
    if (stood_before(c.part->module()) || shares(*c.part->module())) return true;
  return false;
}
void Describer::given(io::Node& node, const Module& module) {
  std::vector<std::pair<std::string, const Module*>> parts;
  const std::function<void(const Module&, const std::string&)> go = [&](const Module& m, const std::string& path) {
    for (const Module::Child& c : m.children()) {
      const std::string below = join_path(path, c.name);
      if (c.given || stood_before(c.part->module())) {
        parts.emplace_back(below, c.part->module());
      } else {
        seen_.emplace(c.part->module(), join_path(path_, below));  // a given part may be, or hold, one of these
        go(*c.part->module(), below);
      }
    }
  };
  go(module, "");
  if (parts.empty()) return;
  io::Node& all = node["parts"] = io::Node::object();
  for (const auto& [path, m] : parts) all[path] = part(path, *m);
}
// The children that `module` derived from its config: others may share them.
void Describer::visit(const Module& module, const std::string& path) {
  for (const Module::Child& c : module.children()) {
    const std::string below = join_path(path, c.name);
    seen_.emplace(c.part->module(), below);
    visit(*c.part->module(), below);
  }
}

io::Node Module::describe(Describer& d) const {
  io::Node node = io::Node::object({{"type", type_name()}, {"version", 1}});
  for (const Child& c : children_) node[c.name] = d.part(c.name, *c.part->module());
  return node;
}
io::Node Module::hparams(io::Save how) const {
  Describer d(how);
  d.seen_[this] = "";
  io::Node node = describe(d);
  d.parametrizations(node, *this, false);
  return node;
}

}  // namespace tapedeck::nn
