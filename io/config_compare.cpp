// Comparing configs, and finding the word that was meant.
#include <tapedeck/io/config.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace tapedeck::io {
namespace {

void differences(const std::string& path, const Node* before, const Node* after, std::vector<Difference>& out) {
  const auto part = [&](std::string_view key) {
    return path.empty() ? std::string(key) : path + "." + std::string(key);
  };
  const auto tag = [](const Node& n) { return n.find("type") ? *n.find("type") : Node(); };
  if (before && after) {
    if (*before == *after) return;
    if (before->is_object() && after->is_object() && tag(*before) == tag(*after)) {
      std::map<std::string_view, const Node*> now;
      for (const auto& [key, value] : after->members()) now.emplace(key, &value);
      for (const auto& [key, value] : before->members()) {
        const auto it = now.find(key);
        differences(part(key), &value, it == now.end() ? nullptr : it->second, out);
        if (it != now.end()) it->second = nullptr;
      }
      for (const auto& [key, value] : after->members()) {
        if (now.at(key)) differences(part(key), nullptr, &value, out);
      }
      return;
    }
    if (before->is_array() && after->is_array() && before->size() == after->size()) {
      for (std::size_t i = 0; i < before->size(); ++i) {
        differences(part(std::to_string(i)), &before->items()[i], &after->items()[i], out);
      }
      return;
    }
  }
  out.push_back({path, before ? *before : Node(), after ? *after : Node()});
}

}  // namespace

std::vector<Difference> diff(const Node& before, const Node& after) {
  std::vector<Difference> out;
  differences("", &before, &after, out);
  return out;
}

std::uint64_t hash(const Node& node) {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : dump_json(node, -1)) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return h;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const auto plain = [](std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 64))
      out += c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return out;
  };
  // Edit distance with swaps of neighbours (optimal string alignment), three rows at a time.
  const auto distance = [](const std::string& a, const std::string& b) {
    std::vector<std::size_t> before, last(b.size() + 1), row(b.size() + 1);
    std::iota(last.begin(), last.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
      row[0] = i;
      for (std::size_t j = 1; j <= b.size(); ++j) {
        row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
          row[j] = std::min(row[j], before[j - 2] + 1);
      }
      before = last;
      last = row;
    }
    return last.back();
  };
  const std::string wanted = plain(word);
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::string other = plain(candidate);
    const std::size_t d = distance(wanted, other);
    if (d < best_distance && d < other.size()) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace tapedeck::io
