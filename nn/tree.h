// Walking module trees: what module.cpp, arena.cpp and registry.cpp share.
#pragma once
#include <tapedeck/nn/module.h>

#include <string>
#include <vector>

namespace tapedeck::nn {

inline std::string join_path(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// Names become those of tensors in files: UTF-8 of at most 256 bytes without control characters, and no path's signs.
bool usable_name(const std::string& name);

struct Visit {
  std::string path;
  Module* module;
};

struct TreeAccess {
  struct Entry {
    std::string path;
    detail::Declared* declared;
  };
  // Every module once, parents first, children in order: a shared part has its first path. ValueError for a cycle.
  static std::vector<Visit> walk(const Module& root);
  static std::vector<Entry> entries(const Module& root);  // every parameter and buffer once, in that order

  // A parameter that is another one by tie_weights(), which entries() lacks. ValueError when one of the two is not
  // there.
  struct Tie {
    Entry from, to;
  };
  static std::vector<Tie> ties(const Module& root);
  // The ties that were made at this module.
  static std::vector<std::pair<std::string, std::string>>& ties_at(Module& module) { return module.ties_; }
  static detail::Declared* find(Module& root, std::string_view path);  // nullptr without a parameter or buffer there

  static void check_untied(const Module& root, const detail::Declared* declared);  // ValueError
  static std::vector<Entry> parametrized(const Module& root);  // what is made of others, which entries() lacks
  // Makes a parameter what `how` says ({"type": "weight_norm", …}; ConfigError), or a plain one again. Then the root of
  // a materialised tree must be laid out anew.
  static void parametrize(detail::Declared& declared, const io::Node& how);
  static void fold(detail::Declared& declared);  // to the value that it has now
  static void take_apart(detail::Declared& declared, const Tensor& value);

  enum class Fill { all, missing };  // missing: tensors that have values keep them
  static void lay_out(Module& root, const MaterialiseOptions& options, Fill fill);
  static std::weak_ptr<Module*> alive(const Module& module) { return module.self_; }
  static void copy_modes(const Module& from, Module& to);  // training and frozen, between trees of one shape
};

}  // namespace tapedeck::nn
