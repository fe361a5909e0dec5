#include <tapedeck/nn/layers/types.h>
#include <tapedeck/nn/parametrize.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/tree.h>
#include <tapedeck/nn/wavenet.h>

#include <cmath>
#include <mutex>
#include <typeinfo>

namespace tapedeck::nn {
namespace {

std::mutex& lock() {
  static std::mutex m;
  return m;
}
// The explicit list of what this library brings.
std::vector<ModuleType> builtin() {
  std::vector<ModuleType> all{
      layer<WaveNetLayer>({.in = 3, .channels = 4, .dilation = 2, .residual = true, .skip_channels = 5},
                          "x [batch, time, in], skips [batch, time, skip_channels] -> x [batch, time - (kernel - 1) * "
                          "dilation, in], skips [batch, time - (kernel - 1) * dilation, skip_channels]",
                          {reals({2, 6, 3}), reals({2, 6, 5})}),
      module_type<WaveNet>({.classes = 8,
                            .blocks = {2},
                            .channels = 3,
                            .residual_channels = 4,
                            .skip_channels = 5,
                            .head = {.hidden = 6}},
                           "codes [batch, time] -> [batch, time - receptive_field + 1, classes]", {codes({2, 7}, 8)})};
  for (const auto family :
       {linear_types, embedding_types, conv_types, norm_types, dropout_types, activation_types, pool_types,
        container_types, mlp_types, rnn_types, attention_types, transformer_types, position_types, resample_types,
        mix_types, framed_types, block_types, loss_types, feature_types})
    for (ModuleType& type : family()) all.push_back(std::move(type));
  return all;
}
std::map<std::string, ModuleType>& types() {
  static std::map<std::string, ModuleType> all = [] {
    std::map<std::string, ModuleType> out;
    for (ModuleType& t : builtin()) out.emplace(t.name, t);
    return out;
  }();
  return all;
}

const ModuleType* find_type(const std::string& name) {
  const std::lock_guard guard(lock());
  const auto found = types().find(name);
  return found == types().end() ? nullptr : &found->second;
}

std::string unknown_type(const std::string& name) {
  const auto known = module_types();
  const std::string near = io::nearest(name, known);
  std::string all;
  for (const auto& k : known) all += (all.empty() ? "" : ", ") + k;
  return "there is no module type \"" + name + "\"" + (near.empty() ? "" : "; did you mean \"" + near + "\"?") +
         " (known: " + all + ")";
}

}  // namespace

void register_type(ModuleType type) {
  const std::lock_guard guard(lock());
  const std::string name = type.name;
  TD_CHECK(types().emplace(name, std::move(type)).second, ConfigError, "register: the module type \"", name,
           "\" exists already");
}

std::vector<std::string> module_types() {
  const std::lock_guard guard(lock());
  std::vector<std::string> names;
  for (const auto& [name, type] : types()) names.push_back(name);
  return names;
}

const ModuleType& module_type(const std::string& name) {
  const ModuleType* type = find_type(name);
  TD_CHECK(type, ConfigError, unknown_type(name));
  return *type;
}
io::Node module_defaults(const std::string& name) { return module_type(name).defaults(); }

std::vector<Tensor> example_inputs(const ModuleType& type, std::uint64_t seed, DType dtype, Device device) {
  std::vector<Tensor> out;
  for (const Sample& sample : type.example.inputs) {
    const std::uint64_t key = mix64(seed, out.size());
    std::vector<double> v(static_cast<std::size_t>(sample.shape.numel()));
    for (std::size_t i = 0; i < v.size(); ++i) {
      const double part = static_cast<double>(mix64(key, i) >> 11) * 0x1p-53;  // [0, 1)
      v[i] = sample.low + (sample.high - sample.low) * part;
      if (sample.dtype != DType::f32) v[i] = std::floor(v[i]);
    }
    const Tensor all = tensor(v, sample.shape);
    out.push_back(cast(all, sample.dtype == DType::f32 ? dtype : sample.dtype).to(device));
  }
  return out;
}

std::vector<Tensor> call(Module& module, const std::vector<Tensor>& inputs) {
  return module_type(module.type_name()).call(module, inputs);
}
void detail::fail_call(const Module& module, std::size_t inputs) {
  TD_FAIL(ValueError, "call: the forward of ", module.type_name(), " does not take ", inputs, " tensors alone");
}

void register_networks() { io::Poly<Network>::add<WaveNetConfig>(); }

// ---- Builder ------------------------------------------------------------------------------------------------------

void Builder::problem(const std::string& key, const std::string& message) {
  issues_.add(key.empty() ? pointer_ : pointer_ + "/" + key, message, line_);
}

namespace {
const io::Node* part_node(const io::Node& node, const std::string& key, const std::string& list) {
  const io::Node* holder = list.empty() ? &node : node.find(list);
  if (!holder || holder->kind() != io::Node::Kind::array) return holder ? holder->find(key) : nullptr;
  return &holder->items().at(static_cast<std::size_t>(std::stoll(key)));
}
}  // namespace

void Builder::misfit(const io::Node& node, const std::string& key, const std::string& list) {
  const std::int64_t outer = std::exchange(line_, part_node(node, key, list)->line());
  problem(list.empty() ? key : list + "/" + key, "a module of this type does not fit here");
  line_ = outer;
}

std::shared_ptr<Module> Builder::child(const io::Node& node, const std::string& key, const std::string& list) {
  const io::Node* const inner = part_node(node, key, list);
  const std::string pointer = std::exchange(pointer_, pointer_ + (list.empty() ? "" : "/" + list) + "/" + key);
  const std::string path = std::exchange(path_, join_path(path_, key));
  std::shared_ptr<Module> made;
  if (inner) {
    made = any(*inner);
  } else {
    problem("", "a part is missing here");
  }
  pointer_ = pointer, path_ = path;
  return made;
}

std::shared_ptr<Module> Builder::any(const io::Node& node) {
  std::shared_ptr<Module> made;
  const std::size_t problems = issues_.size();
  const std::int64_t outer = std::exchange(line_, node.line());
  if (node.kind() == io::Node::Kind::array) {
    std::vector<Part<Module>> parts;
    for (std::size_t i = 0; i < node.size(); ++i) parts.push_back(part(node, std::to_string(i)));
    if (issues_.size() == problems) made = std::make_shared<ModuleList>(parts);
  } else if (!node.is_object()) {
    problem("", "must be the description of a module: an object with \"type\"");
  } else if (const io::Node* ref = node.find("ref"); ref && ref->is_string()) {
    for (const auto& [key, value] : node.members())
      if (key != "ref") problem(key, "a reference to another part has no other keys");
    const auto known = known_.find(ref->string());
    if (known != known_.end() && issues_.size() == problems) made = known->second;
    if (ok() && !made) problem("", "refers to \"" + ref->string() + "\", which no module before it is");
  } else if (node.find("type")) {
    made = registered(node);
  } else {
    auto dict = std::make_shared<ModuleDict>();
    for (const auto& [key, value] : node.members()) {
      try {
        if (const Part<Module> p = part(node, key)) dict->set(key, p);
      } catch (const ValueError& e) {
        problem(key, e.what());
      }
    }
    if (issues_.size() == problems) made = dict;
  }
  if (made && !node.find("ref")) remember(path_, made);
  line_ = outer;
  return made;
}

std::shared_ptr<Module> Builder::registered(const io::Node& node) {
  const io::Node& name = node.at("type");
  const ModuleType* type = name.is_string() ? find_type(name.string()) : nullptr;
  if (!type) {
    problem("type", name.is_string() ? unknown_type(name.string()) : "must be a string");
    return nullptr;
  }
  io::Node own = node;
  own.erase("children"), own.erase("parametrizations");
  try {
    const std::shared_ptr<Module> made = type->make(own, *this);
    if (const io::Node* all = node.find("parametrizations"); made && all) parametrize(*all, *made);
    if (const io::Node* children = node.find("children"); made && children) check_children(*children, *made);
    return made;
  } catch (const Error& e) {
    problem("", e.what());
    return nullptr;
  }
}

void Builder::parametrize(const io::Node& all, Module& made) {
  if (!all.is_object())
    return problem("parametrizations", "must be an object: the parameters' paths and what they are");
  for (const auto& [path, how] : all.members()) {
    detail::Declared* found = nullptr;
    for (const auto& [name, declared] : TreeAccess::entries(made))
      if (name == path && declared->parameter) found = declared;
    try {
      if (const io::Node* type = how.find("type"); type && *type == io::Node("tied")) {
        const io::Node* to = how.find("to");
        TD_CHECK(to && to->is_string() && how.size() == 2, ConfigError,
                 "a tie has \"to\" (the path of a parameter) and nothing else");
        tie_weights(made, path, to->string());
        continue;
      }
      TD_CHECK(found, ConfigError, "there is no parameter \"", path, "\"");
      TreeAccess::check_untied(made, found);
      TreeAccess::parametrize(*found, how);
    } catch (const Error& e) {
      problem("parametrizations/" + path, e.what());
    }
  }
}

// The extended form names the children that follow from the config: they must be those.
void Builder::check_children(const io::Node& children, const Module& made) {
  Describer d(io::Save::extended);
  if (d.children(made) != children)
    problem("children", "do not agree with what follows from the hyper-parameters of this " +
                            std::string(made.type_name()) + "; leave them out or correct them");
}

void Builder::given(const io::Node& node, Module& made) {
  const io::Node* parts = node.find("parts");
  if (!parts) return;
  if (!parts->is_object()) return problem("parts", "must be an object: the parts' paths and what they are");
  for (const auto& c : made.children()) remember(join_path(path_, c.name), c.part->shared());
  for (const auto& member : parts->members()) {
    const std::string& path = member.first;
    try {
      if (const Part<Module> ready = part(node, path, "parts")) made.swap(path, ready.shared());
    } catch (const ValueError& e) {
      problem("parts/" + path, e.what());
    }
  }
}

void Builder::remember(const std::string& path, const std::shared_ptr<Module>& made) {
  known_[path] = made;
  for (const auto& c : made->children()) remember(join_path(path, c.name), c.part->shared());
}

std::shared_ptr<Module> build(const io::Node& hparams, const std::string& where) {
  Builder builder;
  std::shared_ptr<Module> made = builder.any(hparams);
  builder.issues_.raise(where);
  return made;
}

std::shared_ptr<Module> detail::clone(const Module& module) {
  std::shared_ptr<Module> copy = build(module.hparams(), "clone");
  const std::vector<Visit> own = TreeAccess::walk(module), made = TreeAccess::walk(*copy);
  for (std::size_t i = 0; i < own.size() && i < made.size(); ++i) {
    const Module &a = *own[i].module, &b = *made[i].module;
    TD_CHECK(typeid(a) == typeid(b), ConfigError, "clone: the ", a.type_name(), " \"", own[i].path,
             "\" is of a class derived from the one registered under that name; override type_name() and register it");
  }
  TreeAccess::copy_modes(module, *copy);
  if (module.materialised()) {
    const StateDict state = module.state_dict();
    const Device device = state.empty() ? kCpu : state.front().tensor.device();
    LoadOptions options;
    options.materialise.dtype = module.dtype(), options.materialise.device = device;
    copy->load_state(state, options);
  }
  return copy;
}

}  // namespace tapedeck::nn
