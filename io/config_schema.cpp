// Configs shown: the help text for people, JSON Schema with widget hints for forms.
#include <tapedeck/io/config.h>
#include <tapedeck/io/config_rules.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace tapedeck::io::table {
namespace {

const void* part_of(const void* object, const Field& field) { return static_cast<const char*>(object) + field.offset; }

// ---- help

std::string kind_text(const Type& type, const Meta& meta) {
  switch (type.kind) {
    case Kind::optional:
      return kind_text(type.elements.type(), meta) + " or null";
    case Kind::list:
      return "list of " + kind_text(type.elements.type(), meta);
    case Kind::array:
      return "list of " + std::to_string(type.elements.size(nullptr)) + ": " + kind_text(type.elements.type(), meta);
    case Kind::map:
      return "map of " + kind_text(type.elements.type(), meta);
    case Kind::object:
      return type.name;
    case Kind::enumeration:
      return expectation(type);
    case Kind::poly:
      return must_be_registered(type.family);
    default:
      break;
  }
  if (!meta.choices.empty()) return choices_text(type.kind, meta);
  const std::string range = range_text(meta);
  return range.empty() ? type.name + (*meta.unit ? std::string(" in ") + meta.unit : "") : type.name + " " + range;
}

std::string initial_text(const Type& type, const void* value, const Meta& meta) {
  if (meta.required) return "required";
  if (type.kind == Kind::object) return "";
  if (type.kind == Kind::poly) return static_cast<const PolyBase*>(value)->type();
  const std::string text = dump_json(save_value(type, value, Save::minimal), -1);
  return text.size() <= 40 ? text : "...";
}

class HelpRows {
 public:
  // The rows below a member whose type holds objects: its own, or those of what it can hold.
  void inside(const Type& type, const void* value, const std::string& path) {
    if (type.kind == Kind::object) {
      object(type, value ? value : type.defaults, path);
    } else if (type.kind == Kind::poly) {
      if (!families_.insert(type.family).second) return;  // shown where it was met first
      for (const Type* t : alternatives(type.family)) object(*t, t->defaults, path + "<" + t->name + ">");
    } else if (type.elements.type) {
      const char* step = type.kind == Kind::optional ? "" : type.kind == Kind::map ? ".KEY" : ".N";
      inside(type.elements.type(), nullptr, path + step);
    }
  }

  std::vector<HelpRow> take() { return std::move(rows_); }

 private:
  void object(const Type& object, const void* defaults, const std::string& path) {
    if (std::find(open_.begin(), open_.end(), &object) != open_.end()) return;  // a recursive type, shown above
    open_.push_back(&object);
    for (const Field& field : object.fields) {
      const std::string place = path.empty() ? field.name : path + "." + field.name;
      const void* value = part_of(defaults, field);
      rows_.push_back(
          {place, kind_text(field.type(), field.meta), initial_text(field.type(), value, field.meta), help_of(field)});
      inside(field.type(), value, place);
    }
    open_.pop_back();
  }

  static std::string help_of(const Field& field) {
    std::string older;
    for (const char* alias : field.meta.aliases) older += (older.empty() ? "also " : ", ") + std::string(alias);
    if (older.empty()) return field.meta.help;
    return *field.meta.help ? field.meta.help + (" (" + older + ")") : "(" + older + ")";
  }

  std::vector<HelpRow> rows_;
  std::vector<const Type*> open_;
  std::set<std::string> families_;
};

// ---- schema

class SchemaWriter {
 public:
  Node write(const Type& type) {
    Node out = Node::object({{"$schema", "https://json-schema.org/draft/2020-12/schema"}});
    Node top = value(type, {});
    for (auto& member : top.members()) out.members().push_back(std::move(member));
    if (definitions_.size() > 0) out["$defs"] = definitions_;
    return out;
  }

 private:
  // Only the keywords of the value itself; default and help belong to the member that holds it.
  Node value(const Type& type, const Meta& meta) {
    switch (type.kind) {
      case Kind::boolean:
        return widget("boolean", "checkbox");
      case Kind::integer:
      case Kind::real:
        return number(type, meta);
      case Kind::string:
        if (!meta.choices.empty()) return choice(meta.choices);
        return widget("string", "text");
      case Kind::enumeration: {
        Node out = widget("string", "select");
        out["enum"] = Node::array();
        for (const auto& [number, name] : type.names) out["enum"].push(name);
        return out;
      }
      case Kind::optional:
        return Node::object(
            {{"anyOf", Node::array({value(type.elements.type(), meta), Node::object({{"type", "null"}})})}});
      case Kind::list:
      case Kind::array: {
        Node out = widget("array", "list");
        out["items"] = value(type.elements.type(), meta);
        if (type.kind == Kind::array) {
          const auto size = static_cast<std::int64_t>(type.elements.size(nullptr));
          out["minItems"] = size;
          out["maxItems"] = size;
        }
        return out;
      }
      case Kind::map: {
        Node out = widget("object", "list");
        out["additionalProperties"] = value(type.elements.type(), meta);
        return out;
      }
      case Kind::object:
        return reference(type);
      case Kind::poly: {
        Node out = Node::object({{"oneOf", Node::array()}, {"x-widget", "select"}});
        for (const Type* alternative : alternatives(type.family)) {
          Node one = reference(*alternative);
          one["required"] = Node::array({"type"});
          out["oneOf"].push(std::move(one));
        }
        return out;
      }
    }
    return {};
  }

  static Node widget(const char* type, const char* widget) {
    return Node::object({{"type", type}, {"x-widget", widget}});
  }

  static Node choice(const Words& words) {
    Node out = widget("string", "select");
    out["enum"] = Node::array();
    for (const char* word : words) out["enum"].push(word);
    return out;
  }

  static Node number(const Type& type, const Meta& meta) {
    const bool whole = type.kind != Kind::real;
    const auto bound = [&](double v) -> Node {
      if (whole && std::abs(v) < 9e15) return static_cast<std::int64_t>(v);
      return v;
    };
    const bool low = std::isfinite(meta.min), high = std::isfinite(meta.max);
    Node out = widget(whole ? "integer" : "number", low && high ? "slider" : "number");
    if (!meta.choices.empty()) {
      out["x-widget"] = "select";
      out["enum"] = Node::array();
      for (const char* word : meta.choices) out["enum"].push(parse_json(word, "choices"));
    }
    double min = meta.min, max = meta.max;
    if (whole && type.lowest > std::numeric_limits<std::int64_t>::min()) {
      min = std::max(min, static_cast<double>(type.lowest));
    }
    if (whole && type.highest < std::numeric_limits<std::int64_t>::max()) {
      max = std::min(max, static_cast<double>(type.highest));
    }
    if (std::isfinite(min)) out["minimum"] = bound(whole ? std::ceil(min) : min);
    if (std::isfinite(max)) out["maximum"] = bound(whole ? std::floor(max) : max);
    const bool wide = low && high && meta.min > 0 && meta.max / meta.min > 1000;
    if (meta.log || wide) out["x-scale"] = "log";
    if (*meta.unit) out["x-unit"] = meta.unit;
    return out;
  }

  Node reference(const Type& type) {
    std::string key = type.name;
    for (int i = 2;; ++i) {
      const auto [it, fresh] = keys_.emplace(key, &type);
      if (fresh) {
        definitions_[key] = Node();  // its place in the order; a recursive type finds its key taken by itself
        Node made = object(type);
        definitions_[key] = std::move(made);
      }
      if (it->second == &type) break;
      key = type.name + "-" + std::to_string(i);
    }
    return Node::object({{"$ref", "#/$defs" + fragment(child("", key))}});
  }

  // What a JSON pointer looks like behind the # of a URI.
  static std::string fragment(const std::string& pointer) {
    constexpr const char* hex = "0123456789ABCDEF";
    std::string out;
    for (const char c : pointer) {
      const auto byte = static_cast<unsigned char>(c);
      const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                         std::string_view("/~-._").find(c) != std::string_view::npos;
      if (plain) {
        out += c;
      } else {
        out.append({'%', hex[byte >> 4], hex[byte & 15]});
      }
    }
    return out;
  }

  static Node has(std::string_view key) { return Node::object({{"required", Node::array({key})}}); }

  // A member may have one of its names in a file, and a required one must.
  static void rule_of_names(const Field& field, bool must, Node& required, Node& rules) {
    if (field.meta.aliases.empty()) {
      if (must) required.push(field.name);
      return;
    }
    Node one = Node::array({has(field.name)});
    for (const char* alias : field.meta.aliases) one.push(has(alias));
    if (!must) one.push(Node::object({{"not", Node::object({{"anyOf", one}})}}));
    rules.push(Node::object({{"oneOf", std::move(one)}}));
  }

  Node object(const Type& type) {
    Node properties = Node::object(), rules = Node::array();
    properties["type"] = Node::object({{"const", type.name}});
    properties["version"] = Node::object({{"type", "integer"}, {"minimum", 1}, {"maximum", type.version}});
    Node required = Node::array();
    for (const Field& field : type.fields) {
      Node property = value(field.type(), field.meta);
      if (*field.meta.help) property["description"] = field.meta.help;
      if (!field.meta.required) {
        property["default"] = save_value(field.type(), part_of(type.defaults, field), Save::full);
      }
      const bool must = field.meta.required || (field.type().kind == Kind::object && needs_something(field.type()));
      rule_of_names(field, must, required, rules);
      for (const char* alias : field.meta.aliases) {
        Node old = property;
        old["deprecated"] = true;
        properties[alias] = std::move(old);
      }
      properties[field.name] = std::move(property);
    }
    for (const Computed& computed : type.computed) {
      Node property = value(computed.type(), {});
      if (!computed.help.empty()) property["description"] = computed.help;
      property["readOnly"] = true;
      properties[computed.name] = std::move(property);
    }
    Node out = Node::object({{"title", type.name}, {"type", "object"}, {"properties", std::move(properties)}});
    if (*type.doc.what) out["description"] = type.doc.what;
    if (required.size() > 0) out["required"] = std::move(required);
    if (rules.size() > 0) out["allOf"] = std::move(rules);
    out["additionalProperties"] = false;
    return out;
  }

  Node definitions_ = Node::object();
  std::map<std::string, const Type*> keys_;
};

}  // namespace

std::vector<HelpRow> help_rows(const Type& type) {
  HelpRows all;
  all.inside(type, nullptr, "");
  return all.take();
}

std::string help_text(const Type& type) {
  const std::vector<HelpRow> rows = help_rows(type);
  std::size_t path = 0, kind = 0, initial = 0;
  for (const HelpRow& row : rows) {
    path = std::max(path, row.path.size());
    kind = std::max(kind, std::min<std::size_t>(row.kind.size(), 48));
    initial = std::max(initial, std::min<std::size_t>(row.initial.size(), 24));
  }
  const auto padded = [](std::string text, std::size_t width) {
    if (text.size() < width) text.resize(width, ' ');
    return text + "  ";
  };
  std::string out;
  for (const HelpRow& row : rows) {
    std::string line = padded(row.path, path) + padded(row.kind, kind) + padded(row.initial, initial) + row.help;
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

Node schema(const Type& type) { return SchemaWriter().write(type); }

}  // namespace tapedeck::io::table
