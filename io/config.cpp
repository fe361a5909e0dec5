// Issues, Poly values and their registry, and saving.
#include <tapedeck/io/config.h>
#include <tapedeck/io/config_rules.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

namespace tapedeck::io {

namespace fs = std::filesystem;

void Issues::add(std::string_view pointer, std::string message, std::int64_t line) {
  const bool slash = pointer.empty() || pointer.front() == '/';
  all_.push_back({(slash ? "" : "/") + std::string(pointer), std::move(message), line});
}

void Issues::raise(const std::string& where) const {
  if (!all_.empty()) throw ConfigError(text(where));
}

std::string Issues::text(const std::string& where) const {
  constexpr std::size_t shown = 50;
  std::string text;
  for (std::size_t i = 0; i < std::min(all_.size(), shown); ++i) {
    const Issue& issue = all_[i];
    if (i > 0) text += '\n';
    text += printable(where);
    if (issue.line > 0) text += ":" + std::to_string(issue.line);
    text += ": ";
    if (!issue.pointer.empty()) text += printable(issue.pointer) + ": ";
    text += issue.message;
  }
  if (all_.size() > shown) text += "\n" + printable(where) + ": and " + std::to_string(all_.size() - shown) + " more";
  return text;
}

// The other may be a part of the value here, so that goes last.
PolyBase& PolyBase::operator=(const PolyBase& other) {
  if (this != &other) {
    const table::Type* type = other.type_;
    table::Owned before = other.empty() ? table::Owned(nullptr, nullptr) : type->make(other.value());
    std::swap(value_, before);
    type_ = type;
  }
  return *this;
}

PolyBase& PolyBase::operator=(PolyBase&& other) noexcept {
  if (this != &other) {
    const table::Type* type = other.type_;
    table::Owned before = std::move(other.value_);
    std::swap(value_, before);
    type_ = type;
  }
  return *this;
}

const std::string& PolyBase::type() const {
  static const std::string none;
  return empty() ? none : type_->name;
}

void PolyBase::assign(const table::Type& type, table::Owned value) {
  type_ = &type;
  value_ = std::move(value);
}

Node read_config(const std::string& path) {
  ParseLimits limits;
  limits.comments = true;
  std::error_code unknown;
  const fs::file_status status = fs::status(path, unknown);
  TD_CHECK(!fs::exists(status) || fs::is_regular_file(status), ConfigError, printable(path),
           ": is not a regular file; name a config file");
  const auto bytes = static_cast<std::int64_t>(fs::is_regular_file(status) ? fs::file_size(path, unknown) : 0);
  TD_CHECK(unknown || bytes <= limits.bytes, ConfigError, printable(path), ": has ", bytes,
           " bytes but the limit of a config is ", limits.bytes, "; name a config file");
  try {
    return read_json(path, limits);
  } catch (const FormatError& e) {
    throw ConfigError(e.what());
  }
}

namespace table {
namespace {

std::mutex registry_mutex;

std::map<std::string, std::vector<const Type*>>& registry() {
  static std::map<std::string, std::vector<const Type*>> families;
  return families;
}

}  // namespace

void register_alternative(const std::string& family, const Type& type) {
  const std::lock_guard lock(registry_mutex);
  auto& types = registry()[family];
  for (const Type* known : types) {
    if (known->name != type.name) continue;
    TD_CHECK(*known->id == *type.id, ConfigError, "two different configs are registered as \"", type.name,
             "\"; give one of them another type_name");
    return;
  }
  types.push_back(&type);
}

std::vector<const Type*> alternatives(const std::string& family) {
  const std::lock_guard lock(registry_mutex);
  const auto it = registry().find(family);
  return it == registry().end() ? std::vector<const Type*>() : it->second;
}

const Type* find_alternative(const std::string& family, std::string_view name) {
  for (const Type* type : alternatives(family)) {
    if (type->name == name) return type;
  }
  return nullptr;
}

Type scalar(Kind kind, const char* name) { return {.kind = kind, .name = name}; }

void add_field(Type& type, const char* name, std::ptrdiff_t offset, TypeFn member, const Meta& meta) {
  type.fields.push_back({name, offset, member, meta});
}

namespace {

Node save_object(const Type& type, const void* value, Save how, const void* base, bool named);

// `base`: the default that a minimal save leaves out, nullptr where there is none.
Node save_part(const Type& type, const void* value, Save how, const void* base) {
  switch (type.kind) {
    case Kind::boolean:
      return *static_cast<const bool*>(value);
    case Kind::integer:
      TD_CHECK(!beyond(type, value), ConfigError, beyond_text(type, value));
      return type.get(value);
    case Kind::real:
      return real(type, value);
    case Kind::string:
      return *static_cast<const std::string*>(value);
    case Kind::enumeration: {
      const std::string* name = enum_name(type, value);
      TD_CHECK(name, ConfigError, "the enum value ", type.get(value), " has no name; it must be ", expectation(type));
      return *name;
    }
    case Kind::object:
      return save_object(type, value, how, base, how != Save::minimal);
    case Kind::poly: {
      const auto& poly = *static_cast<const PolyBase*>(value);
      return poly.empty() ? Node() : save_object(*poly.described(), poly.value(), how, nullptr, true);
    }
    case Kind::optional: {
      const auto content = elements_of(type, value);
      return content.empty() ? Node() : save_part(type.elements.type(), content[0].value, how, nullptr);
    }
    case Kind::list:
    case Kind::array:
    case Kind::map:
      break;
  }
  Node out = type.kind == Kind::map ? Node::object() : Node::array();
  const auto all = elements_of(type, value);
  const auto bases = base && type.kind == Kind::array ? elements_of(type, base) : std::vector<Element>();
  for (std::size_t i = 0; i < all.size(); ++i) {
    Node part = save_part(type.elements.type(), all[i].value, how, bases.empty() ? nullptr : bases[i].value);
    if (type.kind == Kind::map) {
      out.members().emplace_back(*all[i].key, std::move(part));
    } else {
      out.push(std::move(part));
    }
  }
  return out;
}

Node save_object(const Type& type, const void* value, Save how, const void* base, bool named) {
  Node out = Node::object();
  if (named) out["type"] = type.name;
  out["version"] = type.version;
  if (!base) base = type.defaults;
  for (const Field& field : type.fields) {
    const void* part = static_cast<const char*>(value) + field.offset;
    const void* part_base = static_cast<const char*>(base) + field.offset;
    const Type& part_type = field.type();
    const bool needed = field.meta.required || (part_type.kind == Kind::object && needs_something(part_type));
    if (how == Save::minimal && !needed &&
        save_part(part_type, part, Save::full, nullptr) == save_part(part_type, part_base, Save::full, nullptr)) {
      continue;
    }
    out.members().emplace_back(field.name, save_part(part_type, part, how, part_base));
  }
  if (how == Save::extended) {
    for (const Computed& computed : type.computed) out.members().emplace_back(computed.name, computed.value(value));
  }
  return out;
}

}  // namespace

Node save_value(const Type& type, const void* value, Save how) {
  if (type.kind == Kind::object) return save_object(type, value, how, nullptr, true);
  return save_part(type, value, how, nullptr);
}

}  // namespace table
}  // namespace tapedeck::io
