// Module: a node of the tree that models are made of. Constructing a module only declares its children, parameters and
// buffers; materialise() (or load_state) walks the finished tree, takes the paths from it, lays out flat arenas and
// fills them. So names and initial weights depend on the finished tree alone, not on how it was put together.
#pragma once
#include <tapedeck/io/config.h>
#include <tapedeck/tensor/random.h>
#include <tapedeck/tensor/tensor.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace tapedeck::nn {

class Module;
class Builder;  // registry.h

// How a parameter starts. Its stream is hash(seed, path), so it depends on nothing else in the tree.
struct Init {
  enum class Kind { constant, uniform, normal } kind = Kind::constant;
  double a = 0, b = 0;         // constant: the value; uniform: [a, b); normal: mean and standard deviation
  std::int64_t zero_row = -1;  // of dimension 0: starts at 0 all the same
};
namespace init {
inline Init constant(double value) { return {Init::Kind::constant, value, 0}; }
inline Init uniform(double low, double high) { return {Init::Kind::uniform, low, high}; }
inline Init normal(double mean = 0, double std = 1) { return {Init::Kind::normal, mean, std}; }
Init fan_in_uniform(std::int64_t fan_in);  // U(+-1/sqrt(fan_in)): PyTorch's default of Linear and Conv, weight and bias
Init xavier_uniform(std::int64_t fan_in, std::int64_t fan_out);  // U(+-sqrt(6 / (fan_in + fan_out)))
}  // namespace init

namespace detail {
// A declared parameter or buffer; its tensor is undefined until the tree is materialised.
struct Declared {
  Module* owner;
  std::string name, group;
  Shape shape;
  Init init;
  std::optional<DType> dtype;  // without one: the dtype of the tree
  bool parameter;              // else a buffer
  bool persistent;             // part of the state dict
  bool frozen = false;
  Tensor tensor;
  // A parametrisation (parametrize.h) makes a tensor of others whenever it is read; it is no parameter then.
  std::function<Tensor()> compute{};
  io::Node made_by{};               // that parametrisation, as hparams() has it
  std::vector<Declared*> parts{};   // what it is made of
  std::function<Tensor()> start{};  // the initial value, made of other tensors that have theirs
  std::string stream{};             // the name in its random stream, when it is not its own
};
const Tensor& derived(const Declared& declared);  // alive for the next 15 of them in this thread
// Whether a config has a member under a name that hparams() needs.
template <class C>
constexpr bool reserved_members() {
  bool found = false;
  C::fields([&found](std::string_view name, auto&&...) {
    found |= name == "parts" || name == "children" || name == "parametrizations";
  });
  return found;
}
[[noreturn]] void fail_unmaterialised(const Module& module);
[[noreturn]] void fail_empty();
std::shared_ptr<Module> clone(const Module& module);
}  // namespace detail

// Handle to a declared parameter or buffer, used like a tensor: linear(x, weight, bias). One that was never declared
// gives an undefined tensor ("no bias"); one that is not materialised yet is a ValueError naming the path.
class Param {
 public:
  Param() = default;
  explicit Param(detail::Declared* declared) : declared_(declared) {}
  operator const Tensor&() const { return get(); }
  const Tensor& get() const;
  explicit operator bool() const { return declared_ != nullptr; }

 private:
  detail::Declared* declared_ = nullptr;
};

// A place in a module that holds another one.
class PartBase {
 public:
  virtual ~PartBase() = default;
  Module* module() const { return shared_.get(); }
  const std::shared_ptr<Module>& shared() const { return shared_; }
  virtual bool accepts(const Module& module) const = 0;
  void check(const Module* module) const;       // ValueError when it is not of this part's type
  void assign(std::shared_ptr<Module> module);  // takes it in after that check

 protected:
  std::shared_ptr<Module> shared_;
};

// A part of type M: copying shares the module, clone() copies it. Made by make<M>(config…).
template <class M>
class Part : public PartBase {
 public:
  Part() = default;
  explicit Part(std::shared_ptr<M> module) { shared_ = std::move(module); }
  template <class D>
  requires(std::derived_from<D, M> && !std::same_as<D, M>) Part(const Part<D>& other) { shared_ = other.shared(); }

  M* get() const { return static_cast<M*>(shared_.get()); }
  M* operator->() const { return &**this; }
  M& operator*() const {
    if (!shared_) [[unlikely]]
      detail::fail_empty();
    return *get();
  }
  explicit operator bool() const { return shared_ != nullptr; }
  template <class... A>
  decltype(auto) operator()(A&&... a) const {
    return (**this)(std::forward<A>(a)...);
  }
  // A module of its own with the same hyper-parameters, values and modes. Its type must be registered (registry.h).
  Part clone() const { return Part(std::static_pointer_cast<M>(detail::clone(**this))); }
  bool accepts([[maybe_unused]] const Module& module) const override {
    if constexpr (std::same_as<M, Module>) {
      return true;
    } else {
      return dynamic_cast<const M*>(&module) != nullptr;
    }
  }
};

template <class M, class... A>
Part<M> make(A&&... a) {
  return Part<M>(std::make_shared<M>(std::forward<A>(a)...));
}
// An M of ready parts, by path: make_of<ResBlock>(config, {{"conv1", mine}}). The others follow from the config.
template <class M>
Part<M> make_of(const typename M::Config& config, const std::vector<std::pair<std::string, Part<Module>>>& parts) {
  Part<M> made = make<M>(config);
  for (const auto& [path, part] : parts) made->swap(path, part.shared());
  return made;
}
// The same module as a Part<M>; empty when it is none.
template <class M>
Part<M> part_cast(const PartBase& part) {
  return Part<M>(std::dynamic_pointer_cast<M>(part.shared()));
}

struct NamedTensor {
  std::string path;
  Tensor tensor;
};
using StateDict = std::vector<NamedTensor>;

struct ParameterGroup {
  bool decay = true;
  std::vector<NamedTensor> parameters;
};

// One parameter's place in its arena.
struct Segment {
  std::string path, group;  // group: "weight", "bias", "norm", "embedding", …: what weight decay asks for
  Tensor parameter;
  std::int64_t offset = 0;  // elements from the start of the arena; a multiple of 16
};
// All parameters of one dtype: one allocation of values, one of gradients, zeros between the segments.
struct Arena {
  Tensor values, gradients;  // flat
  std::vector<Segment> segments;
};

struct MaterialiseOptions {
  std::uint64_t seed = 0;
  DType dtype = DType::f32;
  Device device = kCpu;
  std::vector<std::string> order{};  // globs, one per optimizer: the parameters of the first lie first in the arenas
};

struct LoadOptions {
  bool strict = true;                // false: take what fits, by name and shape
  MaterialiseOptions materialise{};  // of a tree that is not materialised yet
};
struct LoadReport {
  std::vector<std::string> missing, unexpected, misshaped;
};

// What a forward hook sees: it may replace an output by assigning through its pointer. `index`: how often the module
// was called before since the hook was set or restarted; -1 while a checkpoint runs the call once more.
struct Call {
  Module& module;
  std::span<const Tensor> inputs;
  std::span<Tensor* const> outputs;
  std::int64_t index = 0;
};
using Hook = std::function<void(const Call&)>;
// The same on the way in: inputs may be replaced. With `skip` set, forward does not run (nor do hooks that were set
// later), and the hook that set it must assign the outputs, which are undefined tensors then.
struct Entry {
  Module& module;
  std::span<Tensor* const> inputs;
  std::int64_t index = 0;
  bool skip = false;
};
struct HookOptions {
  bool in_replay = false;  // also when a checkpoint runs the module once more: what a hook that replaces tensors needs
  std::function<void(Entry&)> before{};
};

// Writes hparams(): hands out nodes for parts, {"ref": path} for those that were met before.
class Describer {
 public:
  explicit Describer(io::Save how) : how_(how) {}
  io::Save how() const { return how_; }
  bool extended() const { return how_ == io::Save::extended; }
  io::Node part(const std::string& name, const Module& module);
  io::Node children(const Module& module);  // an object: every child under its name
  // The key "parametrizations" of a module's node: its own, or those of all modules that follow from its config too.
  void parametrizations(io::Node& node, const Module& module, bool below) const;
  // The key "parts", by path: the modules that stand in the place of those that follow from its config.
  void given(io::Node& node, const Module& module);
  bool shares(const Module& module) const;  // does a part below it stand in the tree before it?

 private:
  void visit(const Module& module, const std::string& path);
  bool stood_before(const Module* module) const;  // before the module that is being described
  friend class Module;
  io::Save how_;
  std::string path_;
  std::map<const Module*, std::string> seen_;
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  virtual const char* type_name() const = 0;
  // Hyper-parameters as a tree: {"type", "version", …}. By default that of a composite made of parts: each child under
  // its name. See Configured for modules that follow from a config.
  virtual io::Node describe(Describer& d) const;
  // Complete, canonical and recursive; build() (registry.h) makes the same tree from it. `extended` adds what follows
  // from the rest: computed fields, and the children of modules that derive them from their config.
  io::Node hparams(io::Save how = io::Save::full) const;

  // ---- the tree
  struct Child {
    std::string name;
    PartBase* part;
    bool given = false;  // put here by swap(): it does not follow from a config
  };
  const std::vector<Child>& children() const { return children_; }
  std::string path() const;  // from the root, with dots: "layers.3.conv"; "" for the root. A shared part has its first
  // Every module of the tree once, parents first, children in order; the path is relative to this module.
  void apply(const std::function<void(const std::string& path, Module& module)>& f);
  Module& at(std::string_view path);  // ValueError naming the nearest path
  // Puts a ready module in the place of a part, wherever that is shared; then call to() or materialise(). hparams() has
  // it too. ValueError when it does not fit, and while a hook runs.
  void swap(std::string_view path, std::shared_ptr<Module> with);
  bool holds_given() const;  // whether a part anywhere below was put there by swap()

  // ---- parameters and buffers (paths relative to this module; shared parts once)
  std::vector<NamedTensor> named_parameters() const;  // ValueError when not materialised, as all of these
  std::vector<NamedTensor> named_buffers() const;
  std::int64_t parameter_count() const;  // works before materialise
  bool materialised() const { return (state_ & kUnmaterialised) == 0; }
  DType dtype() const { return dtype_; }            // of the parameters of the materialised tree
  Device device() const { return device_; }         // where they are
  const std::vector<Arena>& arenas() const;         // of the root that was materialised; ValueError elsewhere
  std::uint64_t layout() const { return layout_; }  // grows each time the arenas of this root are made anew
  void to(const MaterialiseOptions& options);       // new arenas; values stay, parameters without any are filled
  void to(Device device, DType dtype) { to({.dtype = dtype, .device = device}); }
  void zero_grad();
  // Two groups, in the order of the paths: what weight decay shrinks, and the parameters whose group is in `no_decay`.
  std::vector<ParameterGroup> parameter_groups(const std::vector<std::string>& no_decay = {"bias", "norm",
                                                                                           "embedding"}) const;

  // ---- state
  StateDict state_dict() const;  // parameters and persistent buffers; the tensors themselves, not copies
  // FormatError with every missing, unexpected and mis-shaped name (strict); then nothing was loaded.
  LoadReport load_state(const StateDict& state, const LoadOptions& options = {});

  // ---- modes
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  // Parameters whose path matches the glob (* within a name, ** across dots) want gradients no more; how many matched.
  // ValueError when none did. Works before materialise.
  std::int64_t freeze(std::string_view glob = "**") { return set_frozen(glob, true); }
  std::int64_t unfreeze(std::string_view glob = "**") { return set_frozen(glob, false); }

  // ---- calls
  std::uint64_t path_hash() const { return path_hash_; }
  bool plain() const { return state_ == 0; }  // the one branch of a call: materialised and no hook
  template <class Forward, class... A>
  auto hooked(const Forward& forward, const A&... a);

 protected:
  // `part` is a member of this module. ValueError for a second name, an empty part, or one that holds this module.
  void child(std::string name, PartBase& part);
  Param parameter(std::string name, const Shape& shape, Init init, std::string group = "weight");
  Param buffer(std::string name, const Shape& shape, double value = 0, bool persistent = true,
               std::optional<DType> dtype = {});  // no dtype: that of the parameters
  Param buffer_of(std::string name, const Tensor& values, bool persistent = true, std::optional<DType> dtype = {});

 private:
  friend class HookHandle;
  friend class PartBase;
  friend struct TreeAccess;
  static constexpr std::uint8_t kUnmaterialised = 1, kHooked = 2;
  Param declare(detail::Declared declared);
  struct SetHook {
    Hook call;
    HookOptions options;
    std::map<const Module*, std::int64_t> calls{};
  };
  struct HookRun {  // of one call: the hooks that saw it come in
    std::vector<std::pair<std::shared_ptr<SetHook>, std::int64_t>> hooks;
    bool skip = false;
  };
  HookRun enter_hooks(std::span<Tensor* const> inputs);
  void leave_hooks(const HookRun& run, std::span<Tensor* const> inputs, std::span<Tensor* const> outputs);
  std::int64_t set_frozen(std::string_view glob, bool frozen);
  Child& place(std::string_view path);  // ValueError naming the nearest path
  void lose_layout();  // the tree has changed: the arenas that hold these parameters no longer cover it

  std::vector<Child> children_;
  std::vector<std::unique_ptr<detail::Declared>> declared_;
  std::vector<std::pair<std::string, std::string>> ties_;  // of tie_weights(), paths from here
  std::vector<std::weak_ptr<SetHook>> hooks_;              // of handles that may be gone
  std::vector<Arena> arenas_;
  std::string name_, path_;
  std::shared_ptr<Module*> self_ = std::make_shared<Module*>(this);  // what children refer to, alive as long as this
  std::weak_ptr<Module*> parent_;                                    // the first module that took this one as a child
  std::weak_ptr<Module*> laid_out_by_;                               // the root whose arenas hold the parameters
  std::uint64_t path_hash_ = 0, layout_ = 0;
  std::uint8_t state_ = kUnmaterialised;
  DType dtype_ = DType::f32;
  Device device_ = kCpu;
  bool training_ = true;
};

// Lays out and fills the tree under root: parameters in one flat allocation per dtype (and one of gradients), ordered
// by optimizer, group, path; buffers at their initial value. May be called again: everything starts anew.
void materialise(Module& root, const MaterialiseOptions& options = {});

// Calls `hook` after every forward of the modules whose path matches, as long as the handle lives; on the way in hooks
// run in the order in which they were set, on the way out in reverse. What a checkpoint runs again is no new call: the
// hook stands still then (see HookOptions; replacing a tensor is a ValueError without).
class HookHandle {
 public:
  HookHandle() = default;
  HookHandle(Module& root, std::string_view glob, Hook hook, HookOptions options = {});  // ValueError: no match
  void remove() { hook_.reset(); }
  void restart();  // the next call of each module has index 0

 private:
  std::shared_ptr<Module::SetHook> hook_;
};

bool path_matches(std::string_view glob, std::string_view path);  // "layers.*.conv.**"

// operator() for a module with a typed forward: opens the random path, and runs hooks when there are any.
template <class Self>
class Callable {
 public:
  template <class... A>
  decltype(auto) operator()(const A&... a) {
    Self& self = static_cast<Self&>(*this);
    const RandomPath path(self.path_hash());
    if (self.plain()) [[likely]]
      return self.forward(a...);
    if (!self.materialised()) detail::fail_unmaterialised(self);
    return self.hooked([&self](const auto&... b) { return self.forward(b...); }, a...);
  }
};

// One tensor in, one out: what Sequential holds.
class Layer : public Module, public Callable<Layer> {
 public:
  virtual Tensor forward(const Tensor& x) = 0;
};

// A module that follows from a config: it holds its own const copy, checked, and reports that, beside what was put in
// the place of its parts.
template <class C, class Base = Layer>
class Configured : public Base {
  static_assert(!detail::reserved_members<C>(),
                "a module's config has no \"parts\", \"children\", \"parametrizations\"");

 public:
  using Config = C;
  explicit Configured(C config) : config_(checked(std::move(config))) {}
  const C& config() const { return config_; }
  const char* type_name() const override { return C::type_name; }
  io::Node describe(Describer& d) const override {
    io::Node node = io::save(config_, d.how());
    node["type"] = this->type_name();  // of a class derived from this one, its own name
    d.given(node, *this);
    if (d.extended() && !this->children().empty()) node["children"] = Describer(d.how()).children(*this);
    d.parametrizations(node, *this, true);
    return node;
  }

 private:
  static C checked(C config) {
    io::check(config, C::type_name);
    return config;
  }
  const C config_;
};

// Modules in a list: paths "0", "1", …; hparams() is an array.
class ModuleList : public Module {
 public:
  ModuleList() = default;
  explicit ModuleList(const std::vector<Part<Module>>& parts);
  const char* type_name() const override { return "ModuleList"; }
  io::Node describe(Describer& d) const override;
  void push(const Part<Module>& part);
  std::size_t size() const { return parts_.size(); }
  const Part<Module>& operator[](std::size_t i) const;  // ValueError outside
  template <class M>
  M& as(std::size_t i) const {  // the i-th; ValueError when swap() put there what is no M
    M* const module = dynamic_cast<M*>(&*(*this)[i]);
    if (!module) [[unlikely]]
      fail_as(i);
    return *module;
  }

 private:
  [[noreturn]] void fail_as(std::size_t i) const;
  std::vector<std::unique_ptr<Part<Module>>> parts_;
};

// Modules under names, in order of insertion; hparams() is an object.
class ModuleDict : public Module {
 public:
  const char* type_name() const override { return "ModuleDict"; }
  io::Node describe(Describer& d) const override;
  void set(std::string name, const Part<Module>& part);  // ValueError for "type", "version", "ref" and a second use
  const Part<Module>& operator[](std::string_view name) const;  // ValueError when absent
  std::size_t size() const { return parts_.size(); }

 private:
  std::vector<std::unique_ptr<Part<Module>>> parts_;
};

// ---- inline parts -------------------------------------------------------------------------------------------------
inline const Tensor& Param::get() const {
  static const Tensor none;
  if (!declared_) return none;
  if (!declared_->tensor.defined()) [[unlikely]]
    return detail::derived(*declared_);
  return declared_->tensor;
}

namespace detail {
// Tensors, vectors and pairs of them; of structs those that visit_tensors(Struct&, f), beside the struct, names.
template <class T, class F>
void each_tensor(T& value, F& f) {
  if constexpr (std::is_same_v<T, Tensor>) {
    f(value);
  } else if constexpr (std::is_same_v<T, std::vector<Tensor>>) {
    for (Tensor& t : value) f(t);
  } else if constexpr (requires { value.first, value.second; }) {
    each_tensor(value.first, f), each_tensor(value.second, f);
  } else if constexpr (requires { visit_tensors(value, f); }) {
    visit_tensors(value, f);
  }
}
}  // namespace detail

template <class Forward, class... A>
auto Module::hooked(const Forward& forward, const A&... a) {
  std::tuple<A...> arguments(a...);
  std::vector<Tensor*> inputs, outputs;
  const auto collect = [](std::vector<Tensor*>& to) { return [&to](Tensor& t) { to.push_back(&t); }; };
  std::apply([&, take = collect(inputs)](A&... each) { (detail::each_tensor(each, take), ...); }, arguments);
  const HookRun run = enter_hooks(inputs);
  using Output = decltype(std::apply(forward, arguments));
  Output output = run.skip ? Output() : std::apply(forward, arguments);
  const auto take = collect(outputs);
  detail::each_tensor(output, take);
  leave_hooks(run, inputs, outputs);
  return output;
}

}  // namespace tapedeck::nn
