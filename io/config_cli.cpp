// Configs on the command line: path=value overrides, and the help text.
#include <tapedeck/io/config.h>
#include <tapedeck/io/config_rules.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <set>

namespace tapedeck::io::table {
namespace {

// A part of a config while a path is followed.
struct Place {
  const Type* type;
  void* value;
  const Meta* meta;
  std::string pointer;
  bool chooses = false;  // the path ends in "type": the value names the type to be held here
};

struct Assignment {
  std::vector<std::string> steps;  // of the path
  std::string value;
  bool removes = false;
  const Node* node = nullptr;  // instead of the text

  bool is_glob() const {
    return std::any_of(steps.begin(), steps.end(),
                       [](const std::string& s) { return s.find('*') != std::string::npos; });
  }
};

std::vector<std::string> steps_of(std::string_view path) {
  std::vector<std::string> steps;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find_first_of("./", at), path.size());
    TD_CHECK(end > at, ConfigError, "the path has an empty part");
    const std::string_view step = path.substr(at, end - at);
    if (step != "**" || steps.empty() || steps.back() != "**") steps.emplace_back(step);  // many are as one
    at = end + 1;
  }
  TD_CHECK(steps.back() != "**", ConfigError, "** stands for the way to a name; write the name after it");
  return steps;
}

Assignment parse(const std::string& text) {
  Assignment out;
  out.removes = text.starts_with('~');
  const std::size_t equals = text.find('=');
  TD_CHECK(out.removes == (equals == std::string::npos), ConfigError,
           "an override is written path=value, or ~path to remove");
  if (!out.removes) out.value = text.substr(equals + 1);
  out.steps = steps_of(out.removes ? text.substr(1) : text.substr(0, equals));
  TD_CHECK(!out.removes || !out.is_glob(), ConfigError, "a removal names one place, without *");
  return out;
}

// `*` stands for any characters. After a mismatch only the last star takes one more: no other choice helps.
bool glob_matches(std::string_view glob, std::string_view word) {
  std::size_t g = 0, w = 0, star = std::string_view::npos, taken = 0;
  while (w < word.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      taken = w;
    } else if (g < glob.size() && glob[g] == word[w]) {
      ++g;
      ++w;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      w = ++taken;
    } else {
      return false;
    }
  }
  return glob.find_first_not_of('*', g) == std::string_view::npos;
}

// The content of an optional. An empty one is filled on request and otherwise left as the place itself.
Place content(Place place, bool fill) {
  while (place.type->kind == Kind::optional) {
    const Elements& elements = place.type->elements;
    const auto content = elements.all(place.value);
    if (content.empty() && !fill) break;
    place.value = content.empty() ? elements.append(place.value, "") : content[0].value;
    place.type = &elements.type();
  }
  return place;
}

// The place whose parts a path can name: the content of optionals and Poly values.
Place opened(Place place, bool fill) {
  place = content(std::move(place), fill);
  if (place.type->kind == Kind::poly) {
    auto& poly = *static_cast<PolyBase*>(place.value);
    if (!poly.empty()) {
      place.type = poly.described();
      place.value = poly.value();
    }
  }
  return place;
}

Place field_of(const Place& place, const Field& field) {
  return {&field.type(), static_cast<char*>(place.value) + field.offset, &field.meta, child(place.pointer, field.name)};
}

// All parts of an opened place, with their keys.
std::vector<std::pair<std::string, Place>> parts(const Place& place) {
  std::vector<std::pair<std::string, Place>> out;
  const Kind kind = place.type->kind;
  if (kind == Kind::object) {
    for (const Field& field : place.type->fields) out.emplace_back(field.name, field_of(place, field));
  } else if (kind == Kind::list || kind == Kind::array || kind == Kind::map) {
    for (const Element& e : place.type->elements.all(place.value)) {
      const std::string key = e.key ? *e.key : std::to_string(out.size());
      out.emplace_back(key, Place{&place.type->elements.type(), e.value, place.meta, child(place.pointer, key)});
    }
  }
  return out;
}

std::optional<Place> part(const Place& place, std::string_view key) {
  for (auto& [name, found] : parts(place)) {
    if (name == key) return std::move(found);
  }
  return std::nullopt;
}

// Every place that a glob means, each once. `seen` holds what was asked already: (place, step).
void find_all(const Place& place, const std::vector<std::string>& steps, std::size_t step,
              std::set<std::pair<std::string, std::size_t>>& seen, std::vector<Place>& out) {
  if (!seen.emplace(place.pointer, step).second) return;
  if (step == steps.size()) return out.push_back(place);
  if (step + 1 == steps.size() && steps[step] == "type") {
    Place choice = content(place, false);
    if (choice.type->kind == Kind::poly) {
      choice.chooses = true;
      return out.push_back(std::move(choice));
    }
  }
  const bool any = steps[step] == "**";
  if (any) find_all(place, steps, step + 1, seen, out);
  const Place inside = opened(place, false);
  const Field* named = inside.type->kind == Kind::object ? find_field(*inside.type, steps[step]) : nullptr;
  for (const auto& [key, inner] : parts(inside)) {
    const bool hit = glob_matches(steps[step], key) || (named && named->name == key);  // by an alias
    if (any || hit) find_all(inner, steps, any ? step : step + 1, seen, out);
  }
}

// Follows one step of a path without globs, on request making what an optional or a map lacks. A missing part is an
// issue.
bool follow(Place& place, const std::string& key, bool make, Issues& issues) {
  place = opened(place, make);
  const auto fail = [&](const std::string& rule) {
    issues.add(child(place.pointer, key), rule);
    return false;
  };
  switch (place.type->kind) {
    case Kind::object: {
      const Field* field = find_field(*place.type, key);
      if (!field) return fail(no_such_key(*place.type, key));
      place = field_of(place, *field);
      return true;
    }
    case Kind::map:
      if (!part(place, key)) {
        if (!make) return fail("there is no such entry");
        place.type->elements.append(place.value, key);
      }
      place = *part(place, key);
      return true;
    case Kind::list:
    case Kind::array: {
      const auto found = part(place, key);
      if (!found) {
        return fail("the list has " + std::to_string(place.type->elements.size(place.value)) +
                    " elements; name one by its index, counted from 0");
      }
      place = *found;
      return true;
    }
    case Kind::poly:
      return fail("nothing is chosen here yet; set its \"type\" first");
    default:
      return fail("there are no parts here: the value above is " + expectation(*place.type));
  }
}

// Text of the command line has no lines to name.
void forget_lines(Node& node) {
  node.set_line(0);
  if (node.is_array()) {
    for (Node& item : node.items()) forget_lines(item);
  } else if (node.is_object()) {
    for (auto& [key, value] : node.members()) forget_lines(value);
  }
}

// What the text after '=' means at a place: a string or an enum takes it as it stands, everything else as JSON.
Node value_for(const Place& place, const std::string& text) {
  if (text.starts_with('@')) return read_config(text.substr(1));
  const Type* type = place.type;
  bool optional = false;
  for (; type->kind == Kind::optional; type = &type->elements.type()) optional = true;
  const bool words = type->kind == Kind::string || type->kind == Kind::enumeration;
  const char first = text.empty() ? ' ' : text.front();
  if (words && first != '"' && !(optional && text == "null")) return text;
  try {
    Node node = parse_json(text, "value");
    forget_lines(node);
    return node;
  } catch (const FormatError& e) {
    if (first == '{' || first == '[' || first == '"') throw ConfigError(e.what());
    return text;
  }
}

void assign(const Place& place, const Assignment& given, Issues& issues) {
  const Node node = place.chooses ? Node::object({{"type", given.node ? *given.node : Node(given.value)}})
                    : given.node ? *given.node
                                  : value_for(place, given.value);
  load_value(*place.type, place.value, *place.meta, node, place.pointer, Reading::patch, issues);
}

void remove(Place place, const std::vector<std::string>& steps, Issues& issues) {
  for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
    if (!follow(place, steps[i], false, issues)) return;
  }
  const Place parent = opened(place, false);
  const std::string& key = steps.back();
  if (parent.type->kind == Kind::map || parent.type->kind == Kind::list) {
    const auto all = parts(parent);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].first == key) return parent.type->elements.erase(parent.value, i);
    }
    return issues.add(child(parent.pointer, key), "there is no such entry to remove");
  }
  if (!follow(place, key, false, issues)) return;
  if (place.type->kind == Kind::optional) return place.type->elements.clear(place.value);
  issues.add(place.pointer, "only an optional value or an entry of a map or a list can be removed");
}

void apply(const Place& root, const Assignment& assignment, Issues& issues) {
  const auto& steps = assignment.steps;
  if (assignment.removes) return remove(root, steps, issues);
  if (!assignment.is_glob()) {
    Place place = root;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (i + 1 == steps.size() && steps[i] == "type") {
        Place choice = content(place, true);
        if (choice.type->kind == Kind::poly || choice.type->kind == Kind::object) {
          choice.chooses = true;
          return assign(choice, assignment, issues);
        }
      }
      if (!follow(place, steps[i], true, issues)) return;
    }
    return assign(place, assignment, issues);
  }
  std::set<std::pair<std::string, std::size_t>> seen;
  std::vector<Place> places;
  find_all(root, steps, 0, seen, places);
  if (places.empty()) issues.add("", "the path matches nothing in this config");
  // The inside before the outside: assigning to a whole may move its parts.
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return std::pair(b.pointer.size(), std::string_view(b.pointer)) <
           std::pair(a.pointer.size(), std::string_view(a.pointer));
  });
  for (const Place& place : places) assign(place, assignment, issues);
}

// Applies each, in order, then asks the rules of the whole; the texts say where in messages.
void apply_all(const Type& type, void* value, const std::vector<std::string>& texts, const Node* node) {
  static const Meta none;
  const Place root{&type, value, &none, ""};
  std::string problems, all;
  const auto collect = [&](const Issues& issues, const std::string& where) {
    if (!issues.empty()) problems += (problems.empty() ? "" : "\n") + issues.text(where);
  };
  for (const std::string& text : texts) {
    all += (all.empty() ? "" : ", ") + text;
    Issues issues;
    try {
      apply(root, node ? Assignment{.steps = steps_of(text), .value = {}, .node = node} : parse(text), issues);
    } catch (const Error& e) {
      issues.add("", e.what());
    }
    collect(issues, text);
  }
  if (problems.empty()) {
    Issues issues;
    check_value(type, value, none, "", 0, issues);
    collect(issues, all);
  }
  if (!problems.empty()) throw ConfigError(problems);
}

}  // namespace

void set_values(const Type& type, void* value, const std::vector<std::string>& assignments) {
  apply_all(type, value, assignments, nullptr);
}

void set_node(const Type& type, void* value, const std::string& path, const Node& node) {
  apply_all(type, value, {path}, &node);
}

}  // namespace tapedeck::io::table
