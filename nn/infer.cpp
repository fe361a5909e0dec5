#include <tapedeck/io/file.h>
#include <tapedeck/nn/infer_rules.h>
#include <tapedeck/nn/registry.h>
#include <tapedeck/nn/tree.h>
#include <tapedeck/nn/weights.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace tapedeck::nn {
namespace {

using io::Node;

constexpr std::size_t kDepth = 32, kLongest = 4096;  // levels; entries of a Sequential with gaps

// Weight norm, spectral norm and adapters: the tensors that make one are taken together.
void join_parametrised(Branch& b) {
  const auto all = b.own;
  for (const auto& [name, whole] : all) {
    const auto ends = [&](std::string_view end) { return name.size() > end.size() && name.ends_with(end); };
    const auto part = [&](const std::string& of) {
      const auto hit = all.find(of);
      return hit == all.end() ? nullptr : &hit->second;
    };
    const auto join = [&](const std::string& stem, Node how, std::initializer_list<const char*> parts) {
      for (const char* end : parts) b.own.erase(stem + end);
      b.own[stem] = whole;
      b.made.emplace_back(stem, std::move(how));
    };
    if (ends("_v")) {
      const std::string stem = name.substr(0, name.size() - 2);
      const Shape* g = part(stem + "_g");
      if (g == nullptr || part(stem)) continue;
      if (g->rank() == 0) join(stem, Node::object({{"type", "weight_norm"}, {"dim", Node()}}), {"_g", "_v"});
      for (int d = 0; g->rank() == whole.rank() && d < whole.rank(); ++d) {
        Shape one = whole;
        for (int k = 0; k < one.rank(); ++k) one[k] = k == d ? whole[k] : 1;
        if (one != *g) continue;
        join(stem, Node::object({{"type", "weight_norm"}, {"dim", d}}), {"_g", "_v"});
        break;
      }
    } else if (ends("_orig")) {
      const std::string stem = name.substr(0, name.size() - 5);
      const Shape *u = part(stem + "_u"), *v = part(stem + "_v");
      if (u == nullptr || v == nullptr || part(stem)) continue;
      for (int d = 0; d < whole.rank(); ++d) {
        if (*u != Shape{whole[d]} || v->rank() != 1) continue;
        join(stem, Node::object({{"type", "spectral_norm"}, {"dim", d}}), {"_orig", "_u", "_v"});
        break;
      }
    } else if (const Shape* a = part(name + "_lora_A"); a && part(name + "_lora_B") && a->rank() == 2) {
      join(name, Node::object({{"type", "lora"}, {"rank", (*a)[0]}}), {"_lora_A", "_lora_B"});
    }
  }
}

class Walk {
 public:
  explicit Walk(const std::vector<WeightInfo>& weights) {
    for (const WeightInfo& w : weights) add(w);
  }

  Inferred run() {
    join_all(root_);
    const std::optional<Node> whole = visit(root_, "", "");
    if (whole) out_.hparams = *whole;
    say_unknown();
    return std::move(out_);
  }

 private:
  void unplaced(const std::string& name) { out_.unplaced.push_back(name); }

  void add(const WeightInfo& w) {
    const std::string name = weight_norm_name(w.name);
    std::vector<std::string> parts{""};
    for (const char c : name) {
      if (c == '.')
        parts.emplace_back();
      else
        parts.back() += c;
    }
    if (parts.size() > kDepth + 1 || std::ranges::find(parts, "") != parts.end() || !names_.emplace(name, &w).second)
      return unplaced(w.name);
    Branch* at = &root_;
    ++at->count;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      Branch*& next = at->by_name[parts[i]];
      if (next == nullptr) {
        at->children.emplace_back(parts[i], std::make_unique<Branch>());
        next = at->children.back().second.get();
      }
      at = next;
      ++at->count;
    }
    at->own.emplace(parts.back(), w.shape);
  }

  static void join_all(Branch& b) {
    join_parametrised(b);
    for (auto& [name, below] : b.children) join_all(*below);
  }

  // Whether the module of these hyper-parameters has the tensors below `path`, and no others.
  bool accepts(const Node& hparams, const Branch& b, const std::string& path) const {
    try {
      const auto module = build(hparams);
      std::size_t count = 0;
      for (const auto& [name, declared] : TreeAccess::entries(*module)) {
        if (!declared->persistent) continue;
        const auto hit = names_.find(join_path(path, name));
        if (hit == names_.end() || hit->second->shape != declared->shape ||
            is_real(hit->second->dtype) != is_real(declared->dtype.value_or(DType::f32)))
          return false;
        ++count;
      }
      return count == b.count;
    } catch (const Error&) {  // sizes that no module has
      return false;
    }
  }

  static void gather_made(const Branch& b, const std::string& path, Node& all) {
    for (const auto& [name, how] : b.made) all[join_path(path, name)] = how;
    for (const auto& [name, below] : b.children) gather_made(*below, join_path(path, name), all);
  }

  std::optional<Node> visit(const Branch& b, const std::string& path, const std::string& name) {
    Node made = Node::object();
    gather_made(b, "", made);
    for (Guess& guess : guesses(b, name)) {
      if (made.size() > 0) guess.hparams["parametrizations"] = made;
      if (!accepts(guess.hparams, b, path)) continue;
      out_.parts.push_back({path, guess.hparams, std::move(guess.also), std::move(guess.unknown)});
      return guess.hparams;
    }
    // No module as a whole: what is below it, if anything.
    for (const auto& [own, shape] : b.own) leave_out(b, path, own);
    if (b.children.empty()) return std::nullopt;
    std::vector<std::pair<std::string, Node>> below;
    for (const auto& [child, branch] : b.children)
      if (auto node = visit(*branch, join_path(path, child), child)) below.emplace_back(child, std::move(*node));
    if (below.empty()) return std::nullopt;
    return together(below, path);
  }

  void leave_out(const Branch& b, const std::string& path, const std::string& own) {
    const auto say = [&](const std::string& name) {
      if (const auto hit = names_.find(join_path(path, name)); hit != names_.end()) unplaced(hit->second->name);
    };
    const bool parametrised = std::ranges::any_of(b.made, [&](const auto& m) { return m.first == own; });
    say(own);
    for (const char* end : {"_g", "_v", "_orig", "_u", "_lora_A", "_lora_B"})
      if (parametrised && !b.tensor(own + end)) say(own + end);
  }

  // Children as a list, a Sequential with gaps, or a dict.
  std::optional<Node> together(std::vector<std::pair<std::string, Node>>& below, const std::string& path) {
    std::vector<std::pair<std::size_t, std::size_t>> numbers;  // and where it is
    for (std::size_t i = 0; i < below.size(); ++i) {
      const std::string& name = below[i].first;
      std::size_t n = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), n);
      if (error != std::errc() || end != name.data() + name.size() || std::to_string(n) != name) break;
      numbers.emplace_back(n, i);
    }
    std::ranges::sort(numbers);
    const bool numbered = numbers.size() == below.size();
    if (numbered && numbers.back().first + 1 == numbers.size()) {
      Node list = Node::array();
      for (const auto& [n, i] : numbers) list.push(std::move(below[i].second));
      return list;
    }
    if (numbered && numbers.back().first < std::min(4 * numbers.size() + 8, kLongest)) {
      Node layers = Node::array();
      for (const auto& [n, i] : numbers) {
        while (layers.size() < n) layers.push(Node::object({{"type", "Identity"}}));
        layers.push(below[i].second);
      }
      const Node sequence = Node::object({{"type", "Sequential"}, {"layers", layers}});
      if (is_module(sequence)) {
        out_.unknown.push_back("what stands at the numbers that " +
                               (path.empty() ? "the file" : "\"" + io::printable(path) + "\"") +
                               " leaves out: layers without weights (written as Identity)");
        return sequence;
      }
    }
    Node dict = Node::object();
    for (auto& [name, node] : below) {
      if (name == "type" || name == "version" || name == "ref" || !usable_name(name)) {
        const std::string place = join_path(path, name);
        for (auto hit = names_.lower_bound(place + "."); hit != names_.end() && hit->first.starts_with(place + ".");
             ++hit)
          unplaced(hit->second->name);
        std::erase_if(out_.parts,
                      [&](const InferredPart& p) { return p.path == place || p.path.starts_with(place + "."); });
      } else {
        dict.members().emplace_back(name, std::move(node));
      }
    }
    return dict.size() > 0 ? std::optional(dict) : std::nullopt;
  }

  static bool is_module(const Node& hparams) {
    try {
      build(hparams);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  void say_unknown() {
    std::vector<std::pair<std::string, std::size_t>> counts;  // by "a, b of Type"
    for (const InferredPart& p : out_.parts) {
      std::string text;
      for (const std::string& what : p.unknown) text += (text.empty() ? "" : ", ") + what;
      if (text.empty()) continue;
      text += " of " + p.type();
      const auto hit = std::ranges::find(counts, text, &std::pair<std::string, std::size_t>::first);
      if (hit == counts.end())
        counts.emplace_back(text, 1);
      else
        ++hit->second;
    }
    for (const auto& [text, n] : counts)
      out_.unknown.push_back(n == 1 ? text : text + " (" + std::to_string(n) + " modules)");
    if (out_.parts.size() > 1)
      out_.unknown.push_back(
          "in which order the modules are called, and what stands between them without weights: activations, dropout, "
          "pooling, sums");
    if (!out_.unplaced.empty())
      out_.unknown.push_back("the layers of " + std::to_string(out_.unplaced.size()) +
                             " tensors, which fit none of this library's");
  }

  Branch root_;
  std::map<std::string, const WeightInfo*> names_;
  Inferred out_;
};

}  // namespace

std::vector<WeightInfo> weight_infos(const std::vector<io::NamedTensor>& tensors) {
  std::vector<WeightInfo> out;
  for (const auto& [name, t] : tensors) out.push_back({name, t.sizes(), t.dtype()});
  return out;
}

Inferred infer_hparams(const std::vector<WeightInfo>& weights) { return Walk(weights).run(); }

}  // namespace tapedeck::nn
