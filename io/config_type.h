// How a config struct becomes a table that ordinary functions walk. User code includes config.h; this is its engine.
#pragma once
#include <tapedeck/io/node.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace tapedeck::io {

// Up to 16 words in a constant expression; one more does not compile.
class Words {
 public:
  constexpr Words() = default;
  constexpr Words(std::initializer_list<const char*> words) {
    for (const char* word : words) words_[count_++] = word;
  }
  constexpr const char* const* begin() const { return words_; }
  constexpr const char* const* end() const { return words_ + count_; }
  constexpr bool empty() const { return count_ == 0; }
  bool has(std::string_view word) const {
    for (const char* w : *this) {
      if (w == word) return true;
    }
    return false;
  }

 private:
  const char* words_[16] = {};
  std::size_t count_ = 0;
};

// What is known about a member besides its type, name and default. Ranges are inclusive; on an optional, a list, an
// array or a map they and the choices hold for each element.
struct Meta {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  const char* help = "";
  const char* unit = "";
  bool required = false;  // a file must give it
  bool log = false;       // a form shows it on a logarithmic scale
  Words choices{};        // strings or integers: the only values allowed
  Words aliases{};        // older names that are still read
};

// Problems found in a config, each at a JSON pointer. validate() adds pointers relative to its own object: "/kernel",
// or "" for the object as a whole.
class Issues {
 public:
  struct Issue {
    std::string pointer, message;
    std::int64_t line = 0;  // in the text that was read, 0 when there is none
  };

  void add(std::string_view pointer, std::string message, std::int64_t line = 0);
  bool empty() const { return all_.empty(); }
  std::size_t size() const { return all_.size(); }
  const std::vector<Issue>& all() const { return all_; }

  // One line per problem, "where:line: pointer: message"; raise() throws it as a ConfigError when there is any.
  std::string text(const std::string& where) const;
  void raise(const std::string& where) const;

 private:
  std::vector<Issue> all_;
};

enum class Save {
  full,     // every member; every object with its "type" and "version"
  minimal,  // what differs from the defaults; "type" only at the top and where it chooses
  extended  // full, and the computed fields
};

namespace table {

struct Type;
using TypeFn = const Type& (*)();  // a function, because types may be recursive

enum class Kind { boolean, int32, int64, real, string, enumeration, optional, list, array, map, object, poly };

// What optional (none or one element), list, array and map have in common.
struct Elements {
  TypeFn type = nullptr;
  std::size_t (*size)(const void*) = nullptr;
  void* (*at)(void*, std::size_t) = nullptr;
  void (*clear)(void*) = nullptr;
  void* (*append)(void*, const std::string& key) = nullptr;  // a default element; a map's element if it has the key
  const std::string& (*key)(const void*, std::size_t) = nullptr;  // map
  void (*erase)(void*, std::size_t) = nullptr;                    // map
};

struct Field {
  std::string name;
  std::ptrdiff_t offset;
  TypeFn type;
  Meta meta;
};

struct Computed {
  std::string name, help;
  TypeFn type;
  std::function<Node(const void*)> value;
};

struct Type {
  Kind kind;
  std::string name;  // what a message calls it; an object's type_name
  const std::type_info* id = nullptr;

  Elements elements{};

  std::vector<std::pair<std::int64_t, std::string>> names{};  // enumeration
  std::int64_t (*get)(const void*) = nullptr;
  void (*put)(void*, std::int64_t) = nullptr;

  std::vector<Field> fields{};  // object
  std::vector<Computed> computed{};
  int version = 1;
  void (*validate)(const void*, Issues&) = nullptr;
  void (*upgrade)(Node&, int) = nullptr;
  const void* defaults = nullptr;
  std::shared_ptr<void> (*make)() = nullptr;
  std::shared_ptr<void> (*clone)(const void*) = nullptr;

  std::string family{};  // poly: key of its alternatives
};

Node save_value(const Type& type, const void* value, Save how);
// Reads and checks. `patch`: what the node does not name keeps its value.
void load_value(const Type& type, void* value, const Meta& meta, const Node& node, const std::string& pointer,
                bool patch, Issues& issues);
void check_value(const Type& type, const void* value, const Meta& meta, const std::string& pointer, std::int64_t line,
                 Issues& issues);
void set_values(const Type& type, void* value, const std::vector<std::string>& assignments);
std::string help_text(const Type& type);
Node schema(const Type& type);

void register_alternative(const std::string& family, const Type& type);
std::vector<const Type*> alternatives(const std::string& family);  // in order of registration
const Type* find_alternative(const std::string& family, std::string_view name);

Type scalar(Kind kind, const char* name);
void add_field(Type& type, const char* name, std::ptrdiff_t offset, TypeFn member, const Meta& meta);

// The listing of fields(), examined at compile time.
struct Probe {
  std::string_view names[128] = {};
  std::size_t count = 0;
  bool clean = true;  // no name twice, none empty, reserved or with a path separator

  template <class C, class M>
  constexpr void operator()(const char* name, M C::*, const Meta& = {}) {
    const std::string_view word = name;
    clean = clean && !word.empty() && word != "type" && word != "version" &&
            word.find_first_of("./*~=") == std::string_view::npos;
    for (std::size_t i = 0; i < count; ++i) clean = clean && names[i] != word;
    names[count++] = word;
  }
};

template <class T>
constexpr Probe listing() {
  Probe probe;
  T::fields(probe);
  return probe;
}

// The number of members of an aggregate: the largest number of initialisers that it takes.
struct Anything {
  template <class T>
  operator T() const;
};
template <class T, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), Anything{})...}; };
}
template <class T, std::size_t N = 0>
constexpr std::size_t member_count() {
  constexpr bool more = takes<T>(std::make_index_sequence<N + 1>{});
  if constexpr (takes<T>(std::make_index_sequence<N>{}) && !more) {
    return N;
  } else {
    static_assert(N < 128, "the members of this config cannot be counted: it needs default-constructible members");
    return member_count<T, N + 1>();
  }
}

}  // namespace table

// A config: an aggregate with a type_name and fields().
template <class T>
concept Described = std::is_class_v<T> && requires(table::Probe probe) {
  T::fields(probe);
  { T::type_name } -> std::convertible_to<const char*>;
};

class PolyBase;

namespace table {

template <class T>
const Type& type_of();

template <class T>
Type object_type() {
  static_assert(std::is_aggregate_v<T>, "a config is a plain aggregate: no constructors, no private members");
  static constexpr Probe listed = listing<T>();
  static_assert(listed.clean, "fields() names a member twice, or with a reserved or unusable name");
  static_assert(listed.count == member_count<T>(), "fields() must list every member of this config exactly once");
  static const T defaults{};
  Type type{.kind = Kind::object, .name = T::type_name, .id = &typeid(T)};
  const auto field = [&type]<class M>(const char* name, M T::*member, const Meta& meta = {}) {
    const auto offset = reinterpret_cast<const char*>(&(defaults.*member)) - reinterpret_cast<const char*>(&defaults);
    add_field(type, name, offset, &type_of<M>, meta);
  };
  T::fields(field);
  const auto computed = [&type]<class R>(const char* name, R (T::*value)() const, const char* help = "") {
    type.computed.push_back({name, help, &type_of<std::decay_t<R>>, [value](const void* p) {
                               const std::decay_t<R> result = (static_cast<const T*>(p)->*value)();
                               return save_value(type_of<std::decay_t<R>>(), &result, Save::full);
                             }});
  };
  if constexpr (requires { T::computed(computed); }) T::computed(computed);
  if constexpr (requires(const T& v, Issues& issues) { v.validate(issues); }) {
    type.validate = [](const void* p, Issues& issues) { static_cast<const T*>(p)->validate(issues); };
  }
  if constexpr (requires { T::version; }) type.version = T::version;
  if constexpr (requires(Node & node) { T::upgrade(node, 1); }) {
    type.upgrade = [](Node& node, int from) { T::upgrade(node, from); };
  } else if constexpr (requires { T::version; }) {
    static_assert(T::version == 1, "a config with a version above 1 needs upgrade(io::Node&, int from)");
  }
  type.defaults = &defaults;
  type.make = []() -> std::shared_ptr<void> { return std::make_shared<T>(); };
  type.clone = [](const void* p) -> std::shared_ptr<void> { return std::make_shared<T>(*static_cast<const T*>(p)); };
  return type;
}

template <class T>
struct Maker {
  static Type make() {
    static_assert(Described<T>,
                  "this member type has no config description: use bool, int, int64_t, double, std::string, an enum "
                  "with names(), optional, vector, array, map, Poly, or a struct with type_name and fields()");
    if constexpr (Described<T>) return object_type<T>();
    return scalar(Kind::object, "");
  }
};

template <>
struct Maker<bool> {
  static Type make() { return scalar(Kind::boolean, "boolean"); }
};
template <>
struct Maker<std::int32_t> {
  static Type make() { return scalar(Kind::int32, "integer"); }
};
template <>
struct Maker<std::int64_t> {
  static Type make() { return scalar(Kind::int64, "integer"); }
};
template <>
struct Maker<double> {
  static Type make() { return scalar(Kind::real, "number"); }
};
template <>
struct Maker<std::string> {
  static Type make() { return scalar(Kind::string, "string"); }
};

template <class E>
requires std::is_enum_v<E>
struct Maker<E> {
  static Type make() {
    Type type = scalar(Kind::enumeration, "choice");
    for (const auto& [value, name] : names(static_cast<E*>(nullptr))) {
      type.names.emplace_back(static_cast<std::int64_t>(value), name);
    }
    type.get = [](const void* p) { return static_cast<std::int64_t>(*static_cast<const E*>(p)); };
    type.put = [](void* p, std::int64_t v) { *static_cast<E*>(p) = static_cast<E>(v); };
    return type;
  }
};

template <class E>
struct Maker<std::optional<E>> {
  using C = std::optional<E>;
  static Type make() {
    Type type = scalar(Kind::optional, "optional");
    type.elements = {.type = &type_of<E>,
                     .size = [](const void* p) -> std::size_t { return static_cast<const C*>(p)->has_value(); },
                     .at = [](void* p, std::size_t) -> void* { return &**static_cast<C*>(p); },
                     .clear = [](void* p) { static_cast<C*>(p)->reset(); },
                     .append = [](void* p, const std::string&) -> void* { return &static_cast<C*>(p)->emplace(); }};
    return type;
  }
};

template <class E>
struct Maker<std::vector<E>> {
  static_assert(!std::is_same_v<E, bool>, "std::vector<bool> has no addressable elements: use a vector of an enum");
  using C = std::vector<E>;
  static Type make() {
    Type type = scalar(Kind::list, "list");
    type.elements = {
        .type = &type_of<E>,
        .size = [](const void* p) { return static_cast<const C*>(p)->size(); },
        .at = [](void* p, std::size_t i) -> void* { return &(*static_cast<C*>(p))[i]; },
        .clear = [](void* p) { static_cast<C*>(p)->clear(); },
        .append = [](void* p, const std::string&) -> void* { return &static_cast<C*>(p)->emplace_back(); }};
    return type;
  }
};

template <class E, std::size_t N>
struct Maker<std::array<E, N>> {
  using C = std::array<E, N>;
  static Type make() {
    Type type = scalar(Kind::array, "list");
    type.elements = {.type = &type_of<E>,
                     .size = [](const void*) { return N; },
                     .at = [](void* p, std::size_t i) -> void* { return &(*static_cast<C*>(p))[i]; }};
    return type;
  }
};

template <class E>
struct Maker<std::map<std::string, E>> {
  using C = std::map<std::string, E>;
  static auto nth(const C& c, std::size_t i) { return std::next(c.begin(), static_cast<std::ptrdiff_t>(i)); }
  static Type make() {
    Type type = scalar(Kind::map, "map");
    type.elements = {
        .type = &type_of<E>,
        .size = [](const void* p) { return static_cast<const C*>(p)->size(); },
        .at = [](void* p, std::size_t i) -> void* { return &const_cast<E&>(nth(*static_cast<C*>(p), i)->second); },
        .clear = [](void* p) { static_cast<C*>(p)->clear(); },
        .append = [](void* p, const std::string& key) -> void* { return &(*static_cast<C*>(p))[key]; },
        .key = [](const void* p, std::size_t i) -> const std::string& {
          return nth(*static_cast<const C*>(p), i)->first;
        },
        .erase = [](void* p, std::size_t i) { static_cast<C*>(p)->erase(nth(*static_cast<C*>(p), i)); }};
    return type;
  }
};

template <std::derived_from<PolyBase> P>
struct Maker<P> {
  static Type make() {
    Type type = scalar(Kind::poly, "choice");
    type.family = P::family_key();
    return type;
  }
};

template <class T>
const Type& type_of() {
  static const Type type = Maker<T>::make();
  return type;
}

}  // namespace table
}  // namespace tapedeck::io
