// Configs shown: the help text for people, JSON Schema with widget hints for forms.
#include <tapedeck/io/config.h>
#include <tapedeck/io/config_rules.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace tapedeck::io::table {
namespace {

const void* part_of(const void* object, const Field& field) { return static_cast<const char*>(object) + field.offset; }

// ---- help

struct Row {
  std::string path, kind, initial, help;
};

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

void object_rows(const Type& object, const void* defaults, const std::string& path, std::vector<const Type*> inside,
                 std::vector<Row>& rows);

// The rows below a member whose type holds objects: its own, or those of what it can hold.
void inner_rows(const Type& type, const void* value, const std::string& path, const std::vector<const Type*>& inside,
                std::vector<Row>& rows) {
  if (type.kind == Kind::object) {
    object_rows(type, value ? value : type.defaults, path, inside, rows);
  } else if (type.kind == Kind::poly) {
    for (const Type* t : alternatives(type.family))
      object_rows(*t, t->defaults, path + "<" + t->name + ">", inside, rows);
  } else if (type.elements.type) {
    const char* step = type.kind == Kind::optional ? "" : type.kind == Kind::map ? ".KEY" : ".N";
    inner_rows(type.elements.type(), nullptr, path + step, inside, rows);
  }
}

void object_rows(const Type& object, const void* defaults, const std::string& path, std::vector<const Type*> inside,
                 std::vector<Row>& rows) {
  if (std::find(inside.begin(), inside.end(), &object) != inside.end()) return;  // a recursive type, shown above
  inside.push_back(&object);
  for (const Field& field : object.fields) {
    const std::string place = path.empty() ? field.name : path + "." + field.name;
    const void* value = part_of(defaults, field);
    rows.push_back(
        {place, kind_text(field.type(), field.meta), initial_text(field.type(), value, field.meta), field.meta.help});
    inner_rows(field.type(), value, place, inside, rows);
  }
}

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
      case Kind::int32:
      case Kind::int64:
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
    const double limit = type.kind == Kind::int32 ? 2147483647.0 : std::numeric_limits<double>::infinity();
    const double min = std::max(meta.min, -limit - 1), max = std::min(meta.max, limit);
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
    return Node::object({{"$ref", "#/$defs/" + key}});
  }

  Node object(const Type& type) {
    Node properties = Node::object();
    properties["type"] = Node::object({{"const", type.name}});
    properties["version"] = Node::object({{"type", "integer"}, {"minimum", 1}, {"maximum", type.version}});
    Node required = Node::array();
    for (const Field& field : type.fields) {
      Node property = value(field.type(), field.meta);
      if (*field.meta.help) property["description"] = field.meta.help;
      if (field.meta.required) {
        required.push(field.name);
      } else {
        property["default"] = save_value(field.type(), part_of(type.defaults, field), Save::full);
      }
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
    if (required.size() > 0) out["required"] = std::move(required);
    out["additionalProperties"] = false;
    return out;
  }

  Node definitions_ = Node::object();
  std::map<std::string, const Type*> keys_;
};

}  // namespace

std::string help_text(const Type& type) {
  std::vector<Row> rows;
  inner_rows(type, nullptr, "", {}, rows);
  std::size_t path = 0, kind = 0, initial = 0;
  for (const Row& row : rows) {
    path = std::max(path, row.path.size());
    kind = std::max(kind, std::min<std::size_t>(row.kind.size(), 48));
    initial = std::max(initial, std::min<std::size_t>(row.initial.size(), 24));
  }
  const auto padded = [](std::string text, std::size_t width) {
    if (text.size() < width) text.resize(width, ' ');
    return text + "  ";
  };
  std::string out;
  for (const Row& row : rows) {
    std::string line = padded(row.path, path) + padded(row.kind, kind) + padded(row.initial, initial) + row.help;
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

Node schema(const Type& type) { return SchemaWriter().write(type); }

}  // namespace tapedeck::io::table
