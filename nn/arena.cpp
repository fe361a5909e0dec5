// Materialising a tree: paths, arenas, initial values, state.
#include <tapedeck/autograd/inspect.h>
#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/safetensors.h>
#include <tapedeck/kernels/elementwise.h>
#include <tapedeck/kernels/random.h>
#include <tapedeck/nn/tree.h>
#include <tapedeck/tensor/detail_views.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <tuple>

namespace tapedeck::nn {
namespace {

constexpr std::int64_t kAlign = 16;  // elements: segments start on cache lines

struct Place {
  std::size_t optimizer;
  const TreeAccess::Entry* entry;
  auto key() const { return std::tie(optimizer, entry->declared->group, entry->path); }
};

// Writes the values of `from` over those of `to`, converting the element type.
void write(const Tensor& to, const Tensor& from) {
  const Tensor here = from.to(to.device());
  kernels::copy(to.device(), {here, to});
  to.impl()->storage->bump();
}

void fill(const Tensor& to, const Init& init, std::uint64_t key) {
  if (init.kind == Init::Kind::constant) {
    kernels::fill(to.device(), {to, init.a});
  } else if (to.dtype() == DType::f32 || to.dtype() == DType::f64) {
    const auto& slot = init.kind == Init::Kind::uniform ? kernels::uniform : kernels::normal;
    slot(to.device(), {to, RandomStream{key, {}}, init.a, init.b});
  } else {  // the shorter types start at the rounded values of f32
    const Tensor wide = empty(to.sizes(), {DType::f32, to.device()});
    fill(wide, init, key);
    write(to, wide);
  }
  if (init.zero_row >= 0) kernels::fill(to.device(), {tapedeck::detail::narrow(to, 0, init.zero_row, 1), 0});
  to.impl()->storage->bump();
}

std::string shape_text(const Tensor& t) {
  return t.defined() ? std::string(name(t.dtype())) + to_string(t.sizes()) : "nothing";
}

bool same_values(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined() || a.sizes() != b.sizes() || a.dtype() != b.dtype()) return false;
  const Tensor x = contiguous(a.to(kCpu)), y = contiguous(b.to(kCpu));
  return std::memcmp(x.data(), y.data(), static_cast<std::size_t>(x.numel()) * size_of(x.dtype())) == 0;
}

bool convertible(DType from, DType to) { return from == to || (is_real(from) && is_real(to)); }

// Would finite values become infinite?
bool loses_values(const Tensor& t, DType to) {
  if (t.dtype() == to || !is_real(to) || to == DType::f64 || (to == DType::f32 && t.dtype() != DType::f64))
    return false;
  const Tensor here = io::to_host(t);
  return io::all_finite(here) && !io::all_finite(cast(here, to));
}

std::string lines(const char* what, const std::vector<std::string>& names) {
  std::string out;
  for (const auto& n : names) out += std::string("\n  ") + what + " " + n;
  return out;
}

Arena make_arena(const std::vector<Place>& places, TensorOptions options) {
  Arena arena;
  std::int64_t size = 0;
  for (const Place& p : places) {
    const std::int64_t n = p.entry->declared->shape.numel();
    arena.segments.push_back({p.entry->path, p.entry->declared->group, {}, size});
    size += (n + kAlign - 1) / kAlign * kAlign;
  }
  arena.values = zeros({size}, options);
  arena.gradients = zeros({size}, options);
  for (std::size_t i = 0; i < places.size(); ++i) {
    Segment& s = arena.segments[i];
    const detail::Declared& d = *places[i].entry->declared;
    s.parameter = tapedeck::detail::alias(arena.values, s.offset, d.shape);
    s.parameter.set_requires_grad(!d.frozen);
    s.parameter.set_grad_buffer(tapedeck::detail::alias(arena.gradients, s.offset, d.shape));
  }
  return arena;
}

}  // namespace

void TreeAccess::lay_out(Module& root, const MaterialiseOptions& options, Fill how) {
  TD_CHECK(is_real(options.dtype), DTypeError, "materialise: parameters must be real, not ", name(options.dtype));
  const auto all = entries(root);
  const auto tied = ties(root);
  std::vector<Place> places;
  for (const Entry& e : all) {
    if (!e.declared->parameter) continue;
    const auto fits = [&](const std::string& glob) { return path_matches(glob, e.path); };
    const auto found = std::find_if(options.order.begin(), options.order.end(), fits);
    places.push_back({static_cast<std::size_t>(found - options.order.begin()), &e});
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.key() < b.key(); });
  Arena arena = make_arena(places, {options.dtype, options.device});

  std::vector<std::pair<detail::Declared*, Tensor>> made;
  for (std::size_t i = 0; i < places.size(); ++i)
    made.emplace_back(places[i].entry->declared, arena.segments[i].parameter);
  for (const Entry& e : all)
    if (!e.declared->parameter)
      made.emplace_back(e.declared,
                        empty(e.declared->shape, {e.declared->dtype.value_or(options.dtype), options.device}));

  std::map<const detail::Declared*, std::uint64_t> keys;
  for (const Entry& e : all) {
    const std::string& stream = e.declared->stream;
    const std::string path =
        stream.empty() ? e.path : e.path.substr(0, e.path.size() - e.declared->name.size()) + stream;
    keys[e.declared] = mix64(mix64(0x696e6974, options.seed), hash64(path));
  }
  std::vector<detail::Declared*> follow;  // their initial values follow from others
  for (auto& [declared, tensor] : made) {
    if (how == Fill::missing && declared->tensor.defined()) {
      write(tensor, declared->tensor);
    } else {
      if (declared->start) follow.push_back(declared);
      fill(tensor, declared->init, keys[declared]);
    }
  }
  // Nothing above changed the tree; nothing below fails.
  for (auto& [declared, tensor] : made) declared->tensor = tensor;
  for (const Tie& tie : tied) tie.from.declared->tensor = tie.to.declared->tensor;
  {
    const NoGrad pause;
    for (detail::Declared* declared : follow) write(declared->tensor, declared->start());
  }
  for (const Visit& v : walk(root)) {
    v.module->path_ = v.path;
    v.module->path_hash_ = hash64(v.path);
    tapedeck::detail::name_module(v.module->path_hash_, v.path);
    v.module->state_ &= static_cast<std::uint8_t>(~Module::kUnmaterialised);
    v.module->dtype_ = options.dtype;
    v.module->device_ = options.device;
    // Another root that held this module has lost a part of its arenas: it must be materialised again.
    if (const auto other = v.module->laid_out_by_.lock(); other && *other != &root) {
      (*other)->arenas_.clear();
      ++(*other)->layout_;
    }
    v.module->laid_out_by_ = root.self_;
    v.module->arenas_.clear();
  }
  root.arenas_.push_back(std::move(arena));
  ++root.layout_;
}

void TreeAccess::copy_modes(const Module& from, Module& to) {
  const auto a = walk(from), b = walk(to);
  for (std::size_t i = 0; i < a.size(); ++i) {
    b[i].module->training_ = a[i].module->training_;
    for (const auto& d : a[i].module->declared_)
      for (const auto& e : b[i].module->declared_)
        if (d->name == e->name && !d->compute == !e->compute) e->frozen = d->frozen;
  }
}

void materialise(Module& root, const MaterialiseOptions& options) {
  TreeAccess::lay_out(root, options, TreeAccess::Fill::all);
}

void Module::to(const MaterialiseOptions& options) { TreeAccess::lay_out(*this, options, TreeAccess::Fill::missing); }

const std::vector<Arena>& Module::arenas() const {
  TD_CHECK(!arenas_.empty(), ValueError, type_name(), path_.empty() ? "" : " ", path_,
           ": arenas belong to the root that was materialised last with these parts; call materialise() on it, or to() "
           "when the parts hold values");
  return arenas_;
}

LoadReport Module::load_state(const StateDict& state, const LoadOptions& options) {
  const NoGrad pause;
  std::map<std::string, const Tensor*> given;
  LoadReport report;
  for (const NamedTensor& s : state)
    if (!given.emplace(s.path, &s.tensor).second) report.unexpected.push_back(s.path + " (a second time)");

  std::vector<std::pair<detail::Declared*, Tensor>> writes;
  std::set<std::string> known;
  for (const auto& [from, to] : TreeAccess::ties(*this)) {  // a file may have both names, or either
    const auto other = given.find(from.path);
    if (other == given.end()) continue;
    known.insert(from.path);
    const auto one = given.emplace(to.path, other->second).first;
    if (!same_values(*one->second, *other->second))
      report.misshaped.push_back(from.path + ": its values are not those of " + to.path +
                                 ", and the two are one parameter here");
  }
  bool unmade = false;
  for (const Visit& v : TreeAccess::walk(*this)) unmade = unmade || !v.module->materialised();
  for (const auto& [path, d] : TreeAccess::entries(*this)) {
    unmade = unmade || !d->tensor.defined();
    if (!d->persistent) continue;
    known.insert(path);
    const auto found = given.find(path);
    const DType dtype = d->tensor.defined() ? d->tensor.dtype() : d->dtype.value_or(options.materialise.dtype);
    if (found == given.end()) {
      report.missing.push_back(path + " " + to_string(d->shape));
    } else if (const Tensor& t = *found->second;
               !t.defined() || t.sizes() != d->shape || !convertible(t.dtype(), dtype)) {
      report.misshaped.push_back(path + ": given " + shape_text(t) + ", the model has " + name(dtype) +
                                 to_string(d->shape));
    } else if (loses_values(t, dtype)) {
      report.misshaped.push_back(path + ": given " + shape_text(t) + " with values beyond those of " + name(dtype));
    } else {
      writes.emplace_back(d, t.impl()->storage->is_alias() ? clone(t) : t);  // it may be a parameter of this tree
    }
  }
  for (const NamedTensor& s : state)
    if (!known.count(s.path)) report.unexpected.push_back(s.path + " " + shape_text(s.tensor));

  const std::size_t problems = report.missing.size() + report.unexpected.size() + report.misshaped.size();
  TD_CHECK(!options.strict || problems == 0, FormatError, "load_state: ", problems, " of the names do not fit the ",
           type_name(), ", so nothing was loaded:", lines("missing", report.missing),
           lines("unexpected", report.unexpected), lines("mis-shaped", report.misshaped));
  if (unmade) TreeAccess::lay_out(*this, options.materialise, TreeAccess::Fill::missing);
  for (const auto& [d, tensor] : writes) write(d->tensor, tensor);
  return report;
}

}  // namespace tapedeck::nn
