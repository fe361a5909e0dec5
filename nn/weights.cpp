#include <tapedeck/io/file.h>
#include <tapedeck/io/torch_file.h>
#include <tapedeck/nn/tree.h>
#include <tapedeck/nn/weights.h>

#include <algorithm>
#include <map>
#include <unordered_set>

namespace tapedeck::nn {
namespace {

using Tensors = std::vector<io::NamedTensor>;
using Names = std::unordered_set<std::string>;

struct Cover {
  std::size_t names = 0;              // of the module's that stand below the prefixes
  std::vector<std::string> prefixes;  // that have so many, in the order of the file
};

// A prefix ends with a dot, or is empty.
Cover cover(const Names& wanted, const Tensors& tensors) {
  std::map<std::string, std::size_t> hits;
  std::vector<std::string> order;
  std::size_t longest = 0;
  for (const std::string& name : wanted) longest = std::max(longest, name.size());
  for (const auto& [name, tensor] : tensors) {
    for (std::size_t at = 0; at < name.size();) {
      if (name.size() - at <= longest && wanted.contains(name.substr(at)) && hits[name.substr(0, at)]++ == 0)
        order.push_back(name.substr(0, at));
      const std::size_t dot = name.find('.', at);
      at = dot == std::string::npos ? name.size() : dot + 1;
    }
  }
  Cover out;
  for (const std::string& prefix : order) out.names = std::max(out.names, hits[prefix]);
  for (const std::string& prefix : order)
    if (hits[prefix] == out.names) out.prefixes.push_back(prefix);
  return out;
}

Tensors respelled(const Tensors& tensors) {
  Tensors out = tensors;
  for (auto& [name, tensor] : out) name = weight_norm_name(name);
  return out;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (std::size_t i = 0; i < std::min<std::size_t>(names.size(), 8); ++i)
    out += (i == 0 ? "\"" : ", \"") + io::printable(names[i]) + "\"";
  return names.size() > 8 ? out + ", …" : out;
}

}  // namespace

std::string weight_norm_name(const std::string& name) {
  constexpr std::string_view made = "parametrizations.", end = ".original0";
  const std::size_t at = name.rfind(made);
  const bool g = name.ends_with(end);
  if (at == std::string::npos || (at > 0 && name[at - 1] != '.') || (!g && !name.ends_with(".original1"))) return name;
  const std::size_t begin = at + made.size();
  if (begin + end.size() >= name.size()) return name;
  return name.substr(0, at) + name.substr(begin, name.size() - end.size() - begin) + (g ? "_g" : "_v");
}

FoundState find_state(const Module& module, const Tensors& tensors, const std::optional<std::string>& prefix) {
  Names wanted;
  for (const auto& [path, declared] : TreeAccess::entries(module))
    if (declared->persistent) wanted.insert(prefix.value_or("") + path);
  FoundState found;
  Tensors taken = tensors;
  Cover best = cover(wanted, tensors);
  if (best.names < wanted.size()) {
    Tensors other = respelled(tensors);
    if (const Cover c = cover(wanted, other); c.names > best.names) best = c, taken = std::move(other);
  }
  if (best.names < wanted.size()) {
    Tensors other = io::fold_weight_norm(tensors);
    if (const Cover c = cover(wanted, other); c.names > best.names)
      best = c, taken = std::move(other), found.folded = true;
  }
  const bool plain = best.names == 0 || std::ranges::find(best.prefixes, "") != best.prefixes.end();
  if (prefix) {
    found.prefix = *prefix;
  } else if (!plain) {
    TD_CHECK(best.prefixes.size() == 1, FormatError, "holds ", best.prefixes.size(),
             " sets of weights that fit alike, whose names begin with ", joined(best.prefixes),
             "; name the one to take");
    found.prefix = best.prefixes.front();
  }
  for (auto& [name, tensor] : taken) {
    if (name.starts_with(found.prefix))
      found.state.push_back({name.substr(found.prefix.size()), tensor});
    else
      found.beside.push_back(name);
  }
  TD_CHECK(!found.state.empty() || tensors.empty() || !prefix, FormatError, "no name begins with \"",
           io::printable(found.prefix), "\"; there are ", joined(found.beside));
  return found;
}

}  // namespace tapedeck::nn
