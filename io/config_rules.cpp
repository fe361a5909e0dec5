// The rules of config values, their wording, and the walk that checks a value built in code.
#include <tapedeck/io/config.h>
#include <tapedeck/io/config_rules.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace tapedeck::io::table {

std::string child(const std::string& pointer, std::string_view key) {
  std::string out = pointer + "/";
  for (char c : key) {
    if (c == '~' || c == '/') {
      out += c == '~' ? "~0" : "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string quoted_list(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "\"" : ", \"") + printable(word) + "\"";
  return out;
}

const Field* find_field(const Type& object, std::string_view key) {
  for (const Field& field : object.fields) {
    if (field.name == key || field.meta.aliases.has(key)) return &field;
  }
  return nullptr;
}

bool needs_something(const Type& object) {
  return std::any_of(object.fields.begin(), object.fields.end(), [](const Field& f) {
    return f.meta.required || (f.type().kind == Kind::object && needs_something(f.type()));
  });
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string near = nearest(word, candidates);
  return near.empty() ? "" : "; did you mean \"" + near + "\"?";
}

std::vector<std::string> alternative_names(const std::string& family) {
  std::vector<std::string> names;
  for (const Type* type : alternatives(family)) names.push_back(type->name);
  return names;
}

std::string must_be_registered(const std::string& family) {
  const auto names = alternative_names(family);
  return names.empty() ? "of a registered type, and none is registered" : "one of " + quoted_list(names);
}

std::string shown(const Node& node) {
  if (node.is_object()) return node.size() == 0 ? "an empty object" : "an object";
  if (node.is_array() && node.size() > 20) return "a list of " + std::to_string(node.size());
  return shown_whole(node);
}

std::string shown_whole(const Node& node) {
  if (node.kind() == Node::Kind::real && !std::isfinite(node.real())) return tapedeck::detail::join({node.real()});
  std::string text;
  try {
    text = node.is_string() ? "\"" + node.string() + "\"" : dump_json(node, -1);
  } catch (const ValueError&) {
    return std::string("an unwritable ") + node.kind_name();  // a list built in code, with a NaN in it
  }
  if (text.size() > 60) {
    std::size_t end = 57;
    while (end > 50 && (text[end] & 0xC0) == 0x80) --end;  // between two characters
    text = text.substr(0, end) + "...";
  }
  return printable(text);
}

namespace {

std::string number(double v) {
  if (v == std::floor(v) && std::abs(v) < 1e15) return std::to_string(static_cast<std::int64_t>(v));
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, v).ptr};
}

bool is_choice(const Words& choices, double v) {
  return std::any_of(choices.begin(), choices.end(), [&](std::string_view word) {
    double choice = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), choice);
    return error == std::errc() && end == word.data() + word.size() && choice == v;
  });
}

}  // namespace

double real(const Type& type, const void* value) {
  if (!type.single) return *static_cast<const double*>(value);
  const float v = *static_cast<const float*>(value);
  if (!std::isfinite(v)) return v;
  char digits[32];
  double shortest = 0;
  std::from_chars(digits, std::to_chars(digits, digits + sizeof digits, v).ptr, shortest);
  return static_cast<float>(shortest) == v ? shortest : v;
}

bool beyond(const Type& type, const void* value) { return type.lowest == 0 && type.get(value) < 0; }

std::string beyond_text(const Type& type, const void* value) {
  return "must be at most " + std::to_string(type.highest) + ", got " +
         std::to_string(static_cast<std::uint64_t>(type.get(value)));
}

const std::string* enum_name(const Type& type, const void* value) {
  for (const auto& [number, name] : type.names) {
    if (number == type.get(value)) return &name;
  }
  return nullptr;
}

std::string number_rule(const Type& type, Meta meta, const Node& v) {
  const bool whole = v.kind() == Node::Kind::integer;
  if (!whole && !std::isfinite(v.real())) return "must be a finite number, got " + shown(v);
  if (type.kind == Kind::integer) {
    if (type.lowest > std::numeric_limits<std::int64_t>::min()) {
      meta.min = std::max(meta.min, static_cast<double>(type.lowest));
    }
    if (type.highest < std::numeric_limits<std::int64_t>::max()) {
      meta.max = std::min(meta.max, static_cast<double>(type.highest));
    }
  }
  const long double x = whole ? static_cast<long double>(v.integer()) : v.real();  // its 64 bits hold any integer
  if (x < meta.min || x > meta.max) return "must be " + range_text(meta) + ", got " + shown(v);
  if (!meta.choices.empty() && !is_choice(meta.choices, v.real())) {
    return "must be " + choices_text(type.kind, meta) + ", got " + shown(v);
  }
  if (type.kind != Kind::real) return "";
  const double real = v.real();
  if (type.single && std::abs(real) >= 0x1.ffffffp127) {  // where rounding leads to infinity
    return "is too large for 32 bits, which end at 3.4028235e+38, got " + shown(v);
  }
  const auto back = type.single ? static_cast<double>(static_cast<float>(real)) : real;
  if (whole && static_cast<long double>(back) != x) {
    return std::string("needs a number that ") + (type.single ? "24" : "53") + " bits hold exactly, got " + shown(v);
  }
  if (back == 0 && real != 0) return "is too small for 32 bits and would become 0, got " + shown(v);
  return "";
}

std::string key_rule(const std::string& key) {
  return is_utf8(key) ? "" : "has the key \"" + printable(key) + "\", which must be UTF-8";
}

std::string string_rule(const Meta& meta, const std::string& s) {
  if (!is_utf8(s)) return "must be UTF-8, got \"" + printable(s) + "\"";
  if (meta.choices.empty() || meta.choices.has(s)) return "";
  return "must be " + choices_text(Kind::string, meta) + ", got " + shown(s) +
         did_you_mean(s, {meta.choices.begin(), meta.choices.end()});
}

std::vector<Element> elements_of(const Type& type, const void* value) {
  return type.elements.all(const_cast<void*>(value));
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x20 || byte == 0x7F ? printable({&c, 1}) : std::string(1, c);
  }
  return out;
}

// The rules across the members of one object, asked only when each member is right by itself.
void validate(const Type& type, const void* value, const Node* node, const std::string& pointer, std::int64_t line,
              Issues& issues) {
  if (!type.validate) return;
  Issues own;
  try {
    type.validate(value, own);
  } catch (const std::exception& e) {
    own.add("", e.what());
  }
  for (const Issues::Issue& issue : own.all()) {
    const Node* part = node && issue.pointer.size() > 1
                           ? node->find(std::string_view(issue.pointer).substr(1, issue.pointer.find('/', 1) - 1))
                           : nullptr;
    issues.add(pointer + issue.pointer, one_line(issue.message), part && part->line() > 0 ? part->line() : line);
  }
}

std::string poly_without_type(const Type& type) {
  return "needs an object with a \"type\", " + must_be_registered(type.family);
}

std::string range_text(const Meta& meta) {
  const std::string unit = *meta.unit ? std::string(" ") + meta.unit : std::string();
  const bool low = !std::isinf(meta.min), high = !std::isinf(meta.max);
  if (low && high) return "between " + number(meta.min) + " and " + number(meta.max) + unit;
  if (low) return "at least " + number(meta.min) + unit;
  return high ? "at most " + number(meta.max) + unit : "";
}

std::string choices_text(Kind kind, const Meta& meta) {
  if (kind == Kind::string) return "one of " + quoted_list({meta.choices.begin(), meta.choices.end()});
  std::string out;
  for (const char* choice : meta.choices) out += (out.empty() ? "one of " : ", ") + std::string(choice);
  return out;
}

std::string no_such_key(const Type& object, std::string_view key) {
  std::vector<std::string> names;
  for (const Field& field : object.fields) names.push_back(field.name);
  const std::string near = did_you_mean(key, names);
  if (!near.empty() || names.empty() || names.size() > 12) return object.name + " has no such key" + near;
  return object.name + " has no such key; it has " + quoted_list(names);
}

std::string expectation(const Type& type) {
  switch (type.kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return "an integer";
    case Kind::real:
      return "a number";
    case Kind::string:
      return "a string";
    case Kind::enumeration: {
      std::vector<std::string> names;
      for (const auto& [number, name] : type.names) names.push_back(name);
      return "one of " + quoted_list(names);
    }
    case Kind::optional:
      return expectation(type.elements.type()) + " or null";
    case Kind::list:
      return "a list";
    case Kind::array:
      return "a list of " + std::to_string(type.elements.size(nullptr)) + " values";
    case Kind::map:
      return "an object";
    case Kind::object:
      return "an object (" + type.name + ")";
    case Kind::poly:
      return "an object with a \"type\"";
  }
  return "";
}

void check_value(const Type& type, const void* value, const Meta& meta, const std::string& pointer, std::int64_t line,
                 Issues& issues) {
  const auto problem = [&](std::string text) {
    if (!text.empty()) issues.add(pointer, std::move(text), line);
  };
  const auto check_object = [&](const Type& object, const void* p) {
    const std::size_t before = issues.size();
    for (const Field& f : object.fields) {
      check_value(f.type(), static_cast<const char*>(p) + f.offset, f.meta, child(pointer, f.name), line, issues);
    }
    if (issues.size() == before) validate(object, p, nullptr, pointer, line, issues);
  };
  switch (type.kind) {
    case Kind::boolean:
      break;
    case Kind::integer:
      problem(beyond(type, value) ? beyond_text(type, value) : number_rule(type, meta, type.get(value)));
      break;
    case Kind::real:
      problem(number_rule(type, meta, real(type, value)));
      break;
    case Kind::string:
      problem(string_rule(meta, *static_cast<const std::string*>(value)));
      break;
    case Kind::enumeration:
      if (!enum_name(type, value)) {
        problem("must be " + expectation(type) + ", got the unnamed value " + std::to_string(type.get(value)));
      }
      break;
    case Kind::object:
      check_object(type, value);
      break;
    case Kind::poly: {
      const auto& poly = *static_cast<const PolyBase*>(value);
      if (poly.empty()) {
        problem(poly_without_type(type));
      } else if (!find_alternative(type.family, poly.type())) {
        problem("\"" + poly.type() + "\" is not registered in its family; register it with Poly<Family>::add()");
      } else {
        check_object(*poly.described(), poly.value());
      }
      break;
    }
    case Kind::optional:
    case Kind::list:
    case Kind::array:
    case Kind::map: {
      std::size_t i = 0;
      for (const Element& e : elements_of(type, value)) {
        const std::string place =
            type.kind == Kind::optional ? pointer : child(pointer, e.key ? *e.key : std::to_string(i++));
        if (e.key) problem(key_rule(*e.key));
        check_value(type.elements.type(), e.value, meta, place, line, issues);
      }
      break;
    }
  }
}

}  // namespace tapedeck::io::table
