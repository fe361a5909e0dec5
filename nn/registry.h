// The closed registry of module types: names in files become modules through this list alone.
#pragma once
#include <tapedeck/nn/module.h>
#include <tapedeck/nn/network.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace tapedeck::nn {

// What a factory asks for the modules inside its own; problems are collected and raised together.
class Builder {
 public:
  // The part described under `key` of an object, or at an index of an array, or inside the member `list` of the object
  // (the name in the tree is `key` alone). Empty when it failed.
  template <class M = Module>
  Part<M> part(const io::Node& node, const std::string& key, const std::string& list = "") {
    const std::shared_ptr<Module> any = child(node, key, list);
    Part<M> made(std::dynamic_pointer_cast<M>(any));
    if (any && !made) misfit(node, key, list);
    return made;
  }
  void given(const io::Node& node, Module& made);  // puts what stands under "parts" in the places of its parts
  bool ok() const { return issues_.empty(); }
  void problem(const std::string& key, const std::string& message);  // at the part being built
  const std::string& pointer() const { return pointer_; }
  // The config that the node of this part describes; its problems are collected too, and then the result is false.
  template <class C>
  bool load(const io::Node& node, C& config) {
    const std::size_t problems = issues_.size();
    io::table::load_value(io::table::type_of<C>(), &config, {}, node, pointer_, io::table::Reading::whole, issues_);
    return issues_.size() == problems;
  }

 private:
  friend std::shared_ptr<Module> build(const io::Node&, const std::string&);
  std::shared_ptr<Module> child(const io::Node& node, const std::string& key, const std::string& list);
  void misfit(const io::Node& node, const std::string& key, const std::string& list);
  std::shared_ptr<Module> any(const io::Node& node);
  std::shared_ptr<Module> registered(const io::Node& node);
  void parametrize(const io::Node& all, Module& made);
  void check_children(const io::Node& children, const Module& made);
  void remember(const std::string& path, const std::shared_ptr<Module>& made);
  io::Issues issues_;
  std::string pointer_, path_;
  std::int64_t line_ = 0;
  std::map<std::string, std::shared_ptr<Module>> known_;
};

// A tensor that an example is called with.
struct Sample {
  Shape shape;
  DType dtype = DType::f32;   // f32 stands for the dtype of the module
  double low = -1, high = 1;  // of reals; i64: codes from 0 to below high
};
namespace sample {
inline Sample reals(const Shape& shape, double low = -1, double high = 1) { return {shape, DType::f32, low, high}; }
inline Sample codes(const Shape& shape, std::int64_t n) { return {shape, DType::i64, 0, static_cast<double>(n)}; }
inline Sample flags(const Shape& shape) { return {shape, DType::boolean, 0, 2}; }
}  // namespace sample

// A small module of a type, to show it and to try it out. `shapes` names what goes in and comes out, as in
// "x [batch, time, in_channels] -> [batch, time / stride, out_channels]": a word is the member of the config with that
// name (kernel_size[0]: of a list), or a size that stands for the same everywhere; "..." any number of sizes; those of
// an output may be computed (+ - * /, rounded down), and time' is one that nothing here determines.
struct Example {
  std::function<io::Node()> hparams{};
  std::string shapes{};
  std::vector<Sample> inputs{};
};

// A module type: its factory, the hyper-parameters of a default one, and what it is.
struct ModuleType {
  std::string name;
  std::function<std::shared_ptr<Module>(const io::Node& node, Builder& builder)> make;
  std::function<io::Node()> defaults;
  std::function<std::vector<Tensor>(Module& module, const std::vector<Tensor>& inputs)> call{};  // see call() below
  std::string kind = "module";  // "layer", "container", "network", "loss", "feature", …
  io::Doc doc{};
  const io::table::Type* config = nullptr;  // the table of its members; none when it is made of parts
  Example example{};
};
void register_type(ModuleType type);  // ConfigError when the name is taken by another type

namespace detail {
// Calls the module when its forward takes as many tensors as there are numbers in I, and these are that many.
template <class M, std::size_t... I>
bool call_with(M& module, const std::vector<Tensor>& x, std::vector<Tensor>& outputs, std::index_sequence<I...>) {
  if constexpr (requires { module.forward(x[I]...); }) {
    if constexpr (requires { module(x[I]...); }) {
      if (x.size() != sizeof...(I)) return false;
      auto result = module(x[I]...);
      const auto take = [&outputs](Tensor& t) { outputs.push_back(t); };
      each_tensor(result, take);
      return true;
    }
  }
  return false;
}
[[noreturn]] void fail_call(const Module& module, std::size_t inputs);
template <class M>
std::vector<Tensor> call_as(Module& module, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> out;
  M* const m = dynamic_cast<M*>(&module);
  const bool called = m&& [&]<std::size_t... N>(std::index_sequence<N...>) {
    return (call_with(*m, inputs, out, std::make_index_sequence<N>()) || ...);
  }
  (std::make_index_sequence<6>());
  if (!called) fail_call(module, inputs.size());
  return out;
}
}  // namespace detail

// The entry of a module that has a Config and a constructor from it, under its config's name or, when it derives from
// another module with that config, its own static registered_name; or, when it is made of parts, that name and a static
// shared_ptr<M> from_hparams(const io::Node&, Builder&). What it is: its own static io::Doc doc, or that of its config;
// its own static kind.
template <class M>
ModuleType module_type(Example example = {}) {
  ModuleType type;
  if constexpr (requires { typename M::Config; }) {
    using C = typename M::Config;
    type.name = C::type_name, type.config = &io::table::type_of<C>(), type.doc = type.config->doc;
    type.defaults = [] { return M{C{}}.hparams(); };
    type.make = [](const io::Node& n, Builder& b) {
      io::Node own = n;
      own["type"] = C::type_name;
      own.erase("parts");
      C config;
      std::shared_ptr<M> made;
      if (b.load(own, config)) made = std::make_shared<M>(std::move(config)), b.given(n, *made);
      return made;
    };
  } else {
    type.defaults = [] { return M{}.hparams(); };
  }
  if constexpr (requires { M::registered_name; }) {
    if (type.name != M::registered_name) type.doc = {};
    type.name = M::registered_name;
  }
  if constexpr (requires(const io::Node& n, Builder& b) { M::from_hparams(n, b); })
    type.make = [](const io::Node& n, Builder& b) { return M::from_hparams(n, b); };
  if constexpr (requires { io::Doc{M::doc}; }) type.doc = M::doc;
  if constexpr (requires { std::string(M::kind); }) type.kind = M::kind;
  type.call = &detail::call_as<M>;
  type.example = std::move(example);
  return type;
}
// The same with an example: its config, "x [...] -> [...]", and what it is called with.
template <class M>
ModuleType module_type(const typename M::Config& config, std::string shapes, std::vector<Sample> inputs) {
  return module_type<M>({[config] { return M{config}.hparams(); }, std::move(shapes), std::move(inputs)});
}
// One line for a user's own module: register_module<Mine>(); with an example after the type, pages can show it, and
// tests run it.
template <class M>
void register_module(Example example = {}) {
  register_type(module_type<M>(std::move(example)));
}
template <class M>
void register_module(const typename M::Config& config, std::string shapes, std::vector<Sample> inputs) {
  register_type(module_type<M>(config, std::move(shapes), std::move(inputs)));
}
std::vector<std::string> module_types();                 // sorted
const ModuleType& module_type(const std::string& name);  // ConfigError for an unknown type
io::Node module_defaults(const std::string& type);       // hparams of a default one; the same error
// What the example of a type is called with: spread over its range by a fixed rule that knows the seed alone.
std::vector<Tensor> example_inputs(const ModuleType& type, std::uint64_t seed = 0, DType dtype = DType::f32,
                                   Device device = kCpu);
// module(inputs…) of any registered type, with all tensors of the result (undefined ones too). ValueError when its
// forward does not take that many tensors.
std::vector<Tensor> call(Module& module, const std::vector<Tensor>& inputs);

// The tree that hparams() described; not materialised. ConfigError with every problem and its JSON pointer.
std::shared_ptr<Module> build(const io::Node& hparams, const std::string& where = "hparams");
template <class M>
Part<M> build_part(const io::Node& hparams, const std::string& where = "hparams") {
  Part<M> made(std::dynamic_pointer_cast<M>(build(hparams, where)));
  TD_CHECK(made, ConfigError, where, ": a module of another type is needed here");
  return made;
}
// Any network by its config: io::Poly<Network> (its alternatives are registered by register_networks()).
void register_networks();
inline Part<Network> build_network(const io::Poly<Network>& config, const std::string& where = "net") {
  return build_part<Network>(io::save(config), where);
}

}  // namespace tapedeck::nn
