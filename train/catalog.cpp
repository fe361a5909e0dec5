#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/recording.h>
#include <tapedeck/io/file.h>
#include <tapedeck/nn/network.h>
#include <tapedeck/train/catalog.h>
#include <tapedeck/train/optim.h>
#include <tapedeck/train/run_config.h>
#include <tapedeck/train/schedule.h>

#include <algorithm>
#include <tuple>

namespace tapedeck::train {
namespace {

// Kinds in the order in which people look for them; others follow by name.
int place(const std::string& kind) {
  int at = 0;
  for (const char* known : {"network", "layer", "container", "loss", "feature", "optimizer", "schedule"}) {
    if (kind == known) return at;
    ++at;
  }
  return at;
}

template <class Family>
void add_family(std::vector<CatalogEntry>& all) {
  for (const io::table::Type* type : io::table::alternatives(io::Poly<Family>::family_key()))
    all.push_back({type->name, Family::family_name, type->doc, type});
}

std::string tensor_text(const Tensor& t) {
  return t.defined() ? std::string(name(t.dtype())) + to_string(t.sizes()) : "none";
}
io::Node sizes_of(const Shape& shape) {
  io::Node sizes = io::Node::array();
  for (int d = 0; d < shape.rank(); ++d) sizes.push(shape[d]);
  return sizes;
}
io::Node number(double v) { return static_cast<std::int64_t>(v + 0.5); }

io::Node members_of(const io::table::Type& type) {
  io::Node out = io::Node::array();
  for (const io::table::HelpRow& row : io::table::help_rows(type))
    out.push(io::Node::object({{"path", row.path}, {"type", row.kind}, {"default", row.initial}, {"help", row.help}}));
  return out;
}

// Ends the counting also when the call fails.
struct Counting {
  Counting() { count_ops(true); }
  ~Counting() { count_ops(false); }
};

io::Node example_of(const nn::ModuleType& type) {
  const auto module = nn::build(type.example.hparams(), type.name);
  nn::materialise(*module, {.seed = 1});
  module->eval();
  const std::vector<Tensor> inputs = nn::example_inputs(type);
  std::vector<Tensor> outputs;
  std::vector<OpCost> costs;
  {
    const NoGrad pause;
    const Counting counting;
    outputs = nn::call(*module, inputs);
    costs = op_costs();
  }
  io::Node in = io::Node::array(), out = io::Node::array(), tensors = io::Node::array(), ops = io::Node::array();
  for (const Tensor& x : inputs) in.push(tensor_text(x));
  for (const Tensor& y : outputs) out.push(tensor_text(y));
  for (const auto& [path, t] : module->named_parameters())
    tensors.push(io::Node::object({{"name", path}, {"shape", sizes_of(t.sizes())}}));
  double multiply_adds = 0;
  std::int64_t elements = 0;
  for (const OpCost& c : costs) {
    multiply_adds += c.multiply_adds, elements += c.elements;
    ops.push(io::Node::object({{"op", c.op},
                               {"calls", static_cast<std::int64_t>(c.calls)},
                               {"multiply_adds", number(c.multiply_adds)},
                               {"elements", c.elements}}));
  }
  io::Node node = io::Node::object({{"hparams", module->hparams(io::Save::minimal)},
                                    {"inputs", in},
                                    {"outputs", out},
                                    {"parameters", module->parameter_count()},
                                    {"tensors", tensors}});
  if (const auto* network = dynamic_cast<const nn::Network*>(module.get())) {
    node["receptive_field"] = network->receptive_field();
    node["shift"] = network->shift();
  }
  node["multiply_adds"] = number(multiply_adds);
  node["elements"] = elements;
  node["ops"] = ops;
  return node;
}

// What an optimizer of this config keeps for a parameter.
io::Node state_of(const CatalogEntry& entry) {
  const Tensor w = zeros({1});
  const auto config = io::load<io::Poly<Optimizer>>(default_config(entry), entry.name);
  io::Node names = io::Node::array();
  for (const auto& [path, tensor] : make_optimizer(config, {{"w", "weight", w}})->state())
    names.push(path.substr(std::string("w.").size()));
  return names;
}

}  // namespace

std::vector<CatalogEntry> catalog() {
  register_all();
  std::vector<CatalogEntry> all;
  for (const std::string& name : nn::module_types()) {
    const nn::ModuleType& type = nn::module_type(name);
    all.push_back({name, type.kind, type.doc, type.config, &type});
  }
  add_family<Optimizer>(all);
  add_family<Schedule>(all);
  std::stable_sort(all.begin(), all.end(), [](const CatalogEntry& a, const CatalogEntry& b) {
    return std::tuple(place(a.kind), a.kind, a.name) < std::tuple(place(b.kind), b.kind, b.name);
  });
  return all;
}

std::vector<std::string> catalog_kinds() {
  std::vector<std::string> kinds;
  for (const CatalogEntry& e : catalog())
    if (kinds.empty() || kinds.back() != e.kind) kinds.push_back(e.kind);
  return kinds;
}

CatalogEntry catalog_entry(const std::string& name) {
  std::vector<std::string> names;
  for (const CatalogEntry& e : catalog()) {
    if (e.name == name) return e;
    names.push_back(e.name);
  }
  const std::string near = io::nearest(name, names);
  TD_FAIL(ConfigError, "there is no type \"", io::printable(name), "\"",
          near.empty() ? "" : "; did you mean \"" + near + "\"?");
}

io::Node default_config(const CatalogEntry& entry) {
  if (entry.module) return entry.module->defaults();
  return io::table::save_value(*entry.config, entry.config->defaults, io::Save::full);
}

io::Node describe_type(const CatalogEntry& entry) {
  io::Node node = io::Node::object({{"name", entry.name}, {"kind", entry.kind}});
  if (*entry.doc.what) node["what"] = entry.doc.what;
  if (*entry.doc.source) node["source"] = entry.doc.source;
  if (entry.module && !entry.module->example.shapes.empty()) node["shapes"] = entry.module->example.shapes;
  if (entry.config) node["members"] = members_of(*entry.config);
  node["defaults"] = default_config(entry);
  if (entry.module && entry.module->example.hparams) node["example"] = example_of(*entry.module);
  if (entry.kind == Optimizer::family_name) node["state"] = state_of(entry);
  io::Node names = io::Node::array();
  for (const Preset& p : presets())
    if (p.config.net.type() == entry.name) names.push(p.name);
  if (names.size() > 0) node["presets"] = names;
  return node;
}

}  // namespace tapedeck::train
