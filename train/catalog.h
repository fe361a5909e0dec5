// The encyclopedia: every type that a file or a command can name, gathered from where it is registered (nn/registry.h,
// the families of optimizers and schedules). There is no second list.
#pragma once
#include <tapedeck/io/config.h>
#include <tapedeck/nn/registry.h>

#include <string>
#include <vector>

namespace tapedeck::train {

struct CatalogEntry {
  std::string name, kind;  // kind: "layer", "container", "network", "loss", "feature", "optimizer", "schedule", …
  io::Doc doc{};
  const io::table::Type* config = nullptr;  // its members; none for a module that is made of parts
  const nn::ModuleType* module = nullptr;   // of modules
};
std::vector<CatalogEntry> catalog();  // by kind, then name
std::vector<std::string> catalog_kinds();
CatalogEntry catalog_entry(const std::string& name);  // ConfigError with the nearest name

// The hyper-parameters or config of a default one, in full.
io::Node default_config(const CatalogEntry& entry);

// All that is known of a type:
//   {"name", "kind", "what", "source", "shapes", "members": [{"path", "type", "default", "help"}], "defaults",
//    "example": {"hparams", "inputs", "outputs", "parameters", "tensors": [{"name", "shape"}], "receptive_field",
//                "shift", "multiply_adds", "elements", "ops": [{"op", "calls", "multiply_adds", "elements"}]},
//    "state": [...], "presets": [...]}
// A key without anything to say is absent. hparams: what differs from the defaults. The example of a module is really
// built and called, in eval mode on f32; the cost is what that call counted (autograd/inspect.h). state: what an
// optimizer keeps for each parameter.
io::Node describe_type(const CatalogEntry& entry);

}  // namespace tapedeck::train
