// The closed registry of module types: names in files become modules through this list alone.
#pragma once
#include <tapedeck/nn/module.h>
#include <tapedeck/nn/network.h>

#include <functional>
#include <string>
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
    if (any && !made) problem(list.empty() ? key : list + "/" + key, "a module of this type does not fit here");
    return made;
  }
  bool ok() const { return issues_.empty(); }
  void problem(const std::string& key, const std::string& message);  // at the part being built
  const std::string& pointer() const { return pointer_; }

 private:
  friend std::shared_ptr<Module> build(const io::Node&, const std::string&);
  std::shared_ptr<Module> child(const io::Node& node, const std::string& key, const std::string& list);
  std::shared_ptr<Module> any(const io::Node& node);
  std::shared_ptr<Module> registered(const io::Node& node);
  void parametrize(const io::Node& all, Module& made);
  void check_children(const io::Node& children, const Module& made);
  void remember(const std::string& path, const std::shared_ptr<Module>& made);
  io::Issues issues_;
  std::string pointer_, path_;
  std::map<std::string, std::shared_ptr<Module>> known_;
};

// A module type: its factory, and the hyper-parameters of a default one.
struct ModuleType {
  std::string name;
  std::function<std::shared_ptr<Module>(const io::Node& node, Builder& builder)> make;
  std::function<io::Node()> defaults;
};
void register_type(ModuleType type);  // ConfigError when the name is taken by another type

// The entry of a module that has a Config and a constructor from it, under its config's name or, when it derives from
// another module with that config, its own static registered_name; or, when it is made of parts, that name and a static
// shared_ptr<M> from_hparams(const io::Node&, Builder&).
template <class M>
ModuleType module_type() {
  if constexpr (requires(const io::Node& n, Builder& b) { M::from_hparams(n, b); }) {
    return {M::registered_name, [](const io::Node& n, Builder& b) { return M::from_hparams(n, b); },
            [] { return M{}.hparams(); }};
  } else {
    using C = typename M::Config;
    const char* name = C::type_name;
    if constexpr (requires { M::registered_name; }) name = M::registered_name;
    return {name,
            [name](io::Node n, Builder&) {
              n["type"] = C::type_name;
              return std::make_shared<M>(io::load<C>(n, name));
            },
            [] { return M{C{}}.hparams(); }};
  }
}
// One line for a user's own module: register_module<Mine>();
template <class M>
void register_module() {
  register_type(module_type<M>());
}
std::vector<std::string> module_types();            // sorted
io::Node module_defaults(const std::string& type);  // hparams of a default one; ConfigError for an unknown type

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
