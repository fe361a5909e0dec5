// Reading configs: every problem is collected, with the line it stands in.
#include <tapedeck/io/config.h>
#include <tapedeck/io/config_rules.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace tapedeck::io::table {
namespace {

// Equal, an integer standing for the real number of its value.
bool same(const Node& a, const Node& b) {
  if (a.is_number() && b.is_number()) return a.kind() == b.kind() ? a == b : a.real() == b.real();
  if (a.kind() != b.kind() || (!a.is_array() && !a.is_object())) return a == b;
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a.is_array() && !same(a.items()[i], b.items()[i])) return false;
    if (a.is_array()) continue;
    const auto& [key, value] = a.members()[i];
    const Node* other = b.find(key);
    if (!other || !same(value, *other)) return false;
  }
  return true;
}

// What upgrade() made stands where the object stands.
void give_lines(Node& node, std::int64_t line) {
  if (node.line() == 0) node.set_line(line);
  if (node.is_array()) {
    for (Node& item : node.items()) give_lines(item, node.line());
  } else if (node.is_object()) {
    for (auto& [key, value] : node.members()) give_lines(value, node.line());
  }
}

// The node in today's form: itself, or what upgrade() makes in `upgraded` of what an older version wrote.
const Node& todays_form(const Type& type, const Node& node, Node& upgraded, const std::string& pointer,
                        Issues& issues) {
  if (const Node* tag = node.find("type"); tag && *tag != Node(type.name)) {
    issues.add(child(pointer, "type"), "must be \"" + type.name + "\" here, got " + shown(*tag), tag->line());
  }
  if (const Node* version = node.find("version")) {
    const bool whole = version->kind() == Node::Kind::integer;
    if (!whole || version->integer() < 1 || version->integer() > type.version) {
      const std::string newer =
          whole && version->integer() > type.version ? "; the file is newer than this program" : "";
      issues.add(child(pointer, "version"),
                 "must be a version of " + type.name + " between 1 and " + std::to_string(type.version) + ", got " +
                     shown(*version) + newer,
                 version->line());
    } else if (version->integer() < type.version) {
      upgraded = node;
      try {
        type.upgrade(upgraded, static_cast<int>(version->integer()));
        TD_CHECK(upgraded.is_object(), FormatError, "upgrade() made no object of it but: ", shown(upgraded));
        give_lines(upgraded, node.line());
      } catch (const std::exception& e) {
        issues.add(pointer, "cannot be upgraded from version " + shown(*version) + ": " + one_line(e.what()),
                   node.line());
        upgraded = Node::object();
      }
      return upgraded;
    }
  }
  return node;
}

// What the file says of a computed member.
void check_claim(const Computed& computed, const void* value, const Node& claim, const std::string& pointer,
                 Issues& issues) {
  const auto refuse = [&](const std::string& rule) { issues.add(child(pointer, computed.name), rule, claim.line()); };
  try {
    const Node truth = computed.value(value);
    if (same(truth, claim)) return;
    refuse("is computed and must be " + shown_whole(truth) + " for these members, got " + shown_whole(claim) +
           "; correct it or leave it out");
  } catch (const std::exception& e) {
    refuse("is computed, which fails for these members: " + one_line(e.what()));
  }
}

void load_object(const Type& type, void* value, const Node& given, const std::string& pointer, Reading how,
                 Issues& issues) {
  if (!given.is_object()) {
    return issues.add(pointer, "needs " + expectation(type) + ", got " + shown(given), given.line());
  }
  const std::size_t before = issues.size();
  Node upgraded;
  const Node& node = todays_form(type, given, upgraded, pointer, issues);
  std::set<const Field*> seen;
  std::vector<std::pair<const Computed*, const Node*>> claims;
  for (const Node::Member& member : node.members()) {
    const std::string& key = member.first;
    const Node& part = member.second;
    if (key == "type" || key == "version") continue;
    if (const Field* field = find_field(type, key)) {
      const std::string place = child(pointer, field->name);
      if (!seen.insert(field).second) {
        issues.add(place, "is given twice, also as \"" + key + "\"", part.line());
      } else {
        load_value(field->type(), static_cast<char*>(value) + field->offset, field->meta, part, place, how, issues);
      }
      continue;
    }
    const auto computed =
        std::find_if(type.computed.begin(), type.computed.end(), [&](const Computed& c) { return c.name == key; });
    if (computed != type.computed.end()) {
      claims.emplace_back(&*computed, &part);
    } else {
      issues.add(child(pointer, key), no_such_key(type, key), part.line());
    }
  }
  for (const Field& field : type.fields) {
    if (seen.count(&field)) continue;
    const std::string place = child(pointer, field.name);
    if (field.meta.required && how != Reading::patch) {
      issues.add(place, "is required: " + expectation(field.type()) + (*field.meta.help ? ", " : "") + field.meta.help,
                 given.line());
      continue;
    }
    void* part = static_cast<char*>(value) + field.offset;
    if (field.type().kind == Kind::object && how != Reading::patch) {  // it may have required members of its own
      Node nothing = Node::object();
      nothing.set_line(given.line());
      load_object(field.type(), part, nothing, place, how, issues);
    } else {
      check_value(field.type(), part, field.meta, place, given.line(), issues);
    }
  }
  if (issues.size() == before) validate(type, value, &node, pointer, given.line(), issues);
  if (issues.size() != before) return;
  for (const auto& [computed, claim] : claims) check_claim(*computed, value, *claim, pointer, issues);
}

void load_poly(const Type& type, PolyBase& value, const Node& node, const std::string& pointer, Reading how,
               Issues& issues) {
  const Node* tag = node.find("type");
  const bool keeps = how != Reading::whole && !value.empty();
  if (!node.is_object() || (!tag && !keeps)) {
    return issues.add(pointer, poly_without_type(type) + ", got " + shown(node), node.line());
  }
  if (tag && !(keeps && tag->is_string() && tag->string() == value.type())) {
    const Type* chosen = tag->is_string() ? find_alternative(type.family, tag->string()) : nullptr;
    if (!chosen) {
      const std::string rule = "must be " + must_be_registered(type.family) + ", got " + shown(*tag);
      const std::string near = tag->is_string() ? did_you_mean(tag->string(), alternative_names(type.family)) : "";
      return issues.add(child(pointer, "type"), rule + near, tag->line());
    }
    value.assign(*chosen, chosen->make(nullptr));
    how = Reading::whole;
  }
  load_object(*value.described(), value.value(), node, pointer, how, issues);
}

void load_elements(const Type& type, void* value, const Meta& meta, const Node& node, const std::string& pointer,
                   Reading how, Issues& issues) {
  const Elements& elements = type.elements;
  const Type& inner = elements.type();
  if (type.kind == Kind::optional) {
    if (node.is_null()) return elements.clear(value);
    const auto content = elements.all(value);
    const bool keeps = how != Reading::whole && !content.empty();
    return load_value(inner, keeps ? content[0].value : elements.append(value, ""), meta, node, pointer,
                      keeps ? how : Reading::whole, issues);
  }
  const bool map = type.kind == Kind::map, array = type.kind == Kind::array;
  if (!(map ? node.is_object() : node.is_array()) || (array && node.size() != elements.size(value))) {
    const std::string got = array && node.is_array() ? std::to_string(node.size()) : shown(node);
    return issues.add(pointer, "needs " + expectation(type) + ", got " + got, node.line());
  }
  if (map) {
    if (how == Reading::whole) elements.clear(value);
    std::set<std::string_view> named;
    for (const auto& [key, part] : node.members()) {
      if (const std::string rule = key_rule(key); !rule.empty()) {
        issues.add(pointer, rule, part.line());
        continue;
      }
      const std::size_t before = elements.size(value);
      void* slot = elements.append(value, key);
      const bool keeps = elements.size(value) == before && how != Reading::whole;
      load_value(inner, slot, meta, part, child(pointer, key), keeps ? how : Reading::whole, issues);
      if (!named.insert(key).second) issues.add(child(pointer, key), "is given twice", part.line());
    }
    for (const Element& e : elements.all(value)) {
      if (!named.count(*e.key)) check_value(inner, e.value, meta, child(pointer, *e.key), node.line(), issues);
    }
    return;
  }
  if (!array) elements.clear(value);
  const auto slots = array ? elements.all(value) : std::vector<Element>();
  for (std::size_t i = 0; i < node.size(); ++i) {
    void* slot = array ? slots[i].value : elements.append(value, "");
    load_value(inner, slot, meta, node.items()[i], child(pointer, std::to_string(i)), array ? how : Reading::whole,
               issues);
  }
}

}  // namespace

void load_value(const Type& type, void* value, const Meta& meta, const Node& node, const std::string& pointer,
                Reading how, Issues& issues) {
  const auto refuse = [&](const std::string& rule) { issues.add(pointer, rule, node.line()); };
  const auto wrong_kind = [&] { refuse("needs " + expectation(type) + ", got " + shown(node)); };
  switch (type.kind) {
    case Kind::boolean:
      if (node.kind() != Node::Kind::boolean) return wrong_kind();
      *static_cast<bool*>(value) = node.boolean();
      return;
    case Kind::integer:
      if (node.kind() != Node::Kind::integer) return wrong_kind();
      if (const std::string rule = number_rule(type, meta, node); !rule.empty()) return refuse(rule);
      return type.put(value, node.integer());
    case Kind::real:
      if (!node.is_number()) return wrong_kind();
      if (const std::string rule = number_rule(type, meta, node); !rule.empty()) return refuse(rule);
      if (type.single) {
        *static_cast<float*>(value) = static_cast<float>(node.real());
      } else {
        *static_cast<double*>(value) = node.real();
      }
      return;
    case Kind::string:
      if (!node.is_string()) return wrong_kind();
      if (const std::string rule = string_rule(meta, node.string()); !rule.empty()) return refuse(rule);
      *static_cast<std::string*>(value) = node.string();
      return;
    case Kind::enumeration: {
      if (!node.is_string()) return wrong_kind();
      std::vector<std::string> names;
      for (const auto& [number, name] : type.names) {
        if (name == node.string()) return type.put(value, number);
        names.push_back(name);
      }
      return refuse("must be " + expectation(type) + ", got " + shown(node) + did_you_mean(node.string(), names));
    }
    case Kind::object:
      return load_object(type, value, node, pointer, how, issues);
    case Kind::poly:
      return load_poly(type, *static_cast<PolyBase*>(value), node, pointer, how, issues);
    case Kind::optional:
    case Kind::list:
    case Kind::array:
    case Kind::map:
      return load_elements(type, value, meta, node, pointer, how, issues);
  }
}

}  // namespace tapedeck::io::table
