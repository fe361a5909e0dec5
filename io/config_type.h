// How a config struct becomes a table that ordinary functions walk. User code includes config.h; this is its engine.
#pragma once
#include <tapedeck/io/node.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
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

// What a type is, in one sentence, and where it was published ("" when it is common knowledge). What lists, pages and
// schemas say of it.
struct Doc {
  const char* what = "";
  const char* source = "";
};

// What is known about a member besides its type, name and default. Ranges are inclusive; on an optional, a list, an
// array or a map they and the choices hold for each element. An integer type's own limits count without being named.
struct Meta {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  const char* help = "";
  const char* unit = "";
  bool required = false;  // a file must give it
  bool log = false;       // a form shows it on a logarithmic scale
  Words choices{};        // strings or numbers: the only values allowed
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

using Owned = std::unique_ptr<void, void (*)(void*)>;  // a config of any type
template <class T>
Owned own(T* value) {
  return {value, [](void* p) { delete static_cast<T*>(p); }};
}

enum class Kind { boolean, integer, real, string, enumeration, optional, list, array, map, object, poly };

// What optional (none or one element), list, array and map have in common.
struct Element {
  const std::string* key;  // of a map, else nullptr
  void* value;
};
struct Elements {
  TypeFn type = nullptr;
  std::size_t (*size)(const void*) = nullptr;
  std::vector<Element> (*all)(void*) = nullptr;
  void (*clear)(void*) = nullptr;
  void* (*append)(void*, const std::string& key) = nullptr;  // a default element; a map's element if it has the key
  void (*erase)(void*, std::size_t) = nullptr;               // list, map
};

// How reading treats what the node does not name.
enum class Reading {
  whole,  // it has its default
  over,   // it keeps its value, and required members must be named all the same
  patch   // it keeps its value
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
  Doc doc{};  // object

  Elements elements{};

  std::vector<std::pair<std::int64_t, std::string>> names{};  // enumeration
  std::int64_t (*get)(const void*) = nullptr;                 // enumeration, integer
  void (*put)(void*, std::int64_t) = nullptr;
  std::int64_t lowest = 0, highest = 0;  // integer; what an unsigned one holds beyond is negative in get()
  bool single = false;                   // real: a float

  std::vector<Field> fields{};  // object
  std::vector<Computed> computed{};
  int version = 1;
  void (*validate)(const void*, Issues&) = nullptr;
  void (*upgrade)(Node&, int) = nullptr;
  const void* defaults = nullptr;
  Owned (*make)(const void* original) = nullptr;  // a copy, or a default one of nullptr

  std::string family{};  // poly: key of its alternatives
};

Node save_value(const Type& type, const void* value, Save how);
// Reads and checks.
void load_value(const Type& type, void* value, const Meta& meta, const Node& node, const std::string& pointer,
                Reading how, Issues& issues);
void check_value(const Type& type, const void* value, const Meta& meta, const std::string& pointer, std::int64_t line,
                 Issues& issues);
void set_values(const Type& type, void* value, const std::vector<std::string>& assignments);
void set_node(const Type& type, void* value, const std::string& path, const Node& node);
std::string help_text(const Type& type);
// The rows of it, those of nested configs below their member ("mlp.hidden", "layers.N.width", "optimizer<Adam>.eps").
struct HelpRow {
  std::string path, kind, initial, help;  // kind: type and range; initial: the default
};
std::vector<HelpRow> help_rows(const Type& type);
Node schema(const Type& type);

void register_alternative(const std::string& family, const Type& type);
std::vector<const Type*> alternatives(const std::string& family);  // in order of registration
const Type* find_alternative(const std::string& family, std::string_view name);

Type scalar(Kind kind, const char* name);
void add_field(Type& type, const char* name, std::ptrdiff_t offset, TypeFn member, const Meta& meta);

// The integers; characters are not numbers.
template <class T>
concept Whole =
    std::integral<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, char> && !std::is_same_v<T, wchar_t> &&
    !std::is_same_v<T, char8_t> && !std::is_same_v<T, char16_t> && !std::is_same_v<T, char32_t>;

// What a member holds at the end: its element's element, and so on.
template <class M>
struct Leaf {
  using type = M;
};
template <class E>
struct Leaf<std::optional<E>> : Leaf<E> {};
template <class E>
struct Leaf<std::vector<E>> : Leaf<E> {};
template <class E, std::size_t N>
struct Leaf<std::array<E, N>> : Leaf<E> {};
template <class E>
struct Leaf<std::map<std::string, E>> : Leaf<E> {};

// The listing of fields() and computed(), examined at compile time.
struct Probe {
  std::string_view names[256] = {};
  std::size_t named = 0, count = 0;
  bool clean = true;    // no name or alias twice, none empty, reserved or with a path separator
  bool ranges = true;   // none is empty
  bool fitting = true;  // rules of numbers for numbers alone, choices for numbers and strings

  constexpr void add(std::string_view word) {
    clean = clean && !word.empty() && word != "type" && word != "version" &&
            word.find_first_of("./*~=") == std::string_view::npos;
    for (std::size_t i = 0; i < named; ++i) clean = clean && names[i] != word;
    names[named++] = word;
  }
  template <class C, class M>
  constexpr void operator()(const char* name, M C::*, const Meta& meta = {}) {
    if constexpr (!std::is_function_v<M>) ++count;
    ranges = ranges && meta.min <= meta.max;
    using L = typename Leaf<M>::type;
    constexpr bool number = Whole<L> || std::is_floating_point_v<L>;
    const bool open = meta.min == Meta{}.min && meta.max == Meta{}.max && !meta.log;
    fitting = fitting && (number || open) && (number || std::is_same_v<L, std::string> || meta.choices.empty());
    for (const std::string_view choice : meta.choices) {
      const auto digit = [](char c) { return c >= '0' && c <= '9'; };
      const bool negative = choice.starts_with('-');
      const bool like_number = choice.size() > (negative ? 1 : 0) && digit(choice[negative]) && digit(choice.back());
      fitting = fitting && (!number || like_number);
    }
    add(name);
    for (const char* alias : meta.aliases) add(alias);
  }
  template <class C, class M>
  constexpr void operator()(const char* name, M C::*, const char*) {  // computed, with its help
    add(name);
  }
};

template <class T>
constexpr Probe listing() {
  Probe probe;
  T::fields(probe);
  if constexpr (requires { T::computed(probe); }) T::computed(probe);
  return probe;
}

// The listing of a config, member by member: those of its own, those of a config that it derives from, and whether none
// is listed twice (each is compared with those of its own type).
template <class P>
struct Occurrences {
  P member;
  std::size_t count = 0;
  template <class Q>
  constexpr void operator()(const char*, Q other, const Meta& = {}) {
    if constexpr (std::is_same_v<P, Q>) count += other == member ? 1 : 0;
  }
};
template <class T>
struct Census {
  std::size_t own = 0, inherited = 0;
  std::size_t base = 0;  // the members of the config derived from
  bool distinct = true;

  template <class C, class M>
  constexpr void operator()(const char*, M C::*member, const Meta& = {}) {
    if constexpr (std::is_same_v<C, T>) {
      ++own;
    } else {
      ++inherited;
      const std::size_t listed = listing<C>().count;
      if (listed > base) base = listed;
    }
    Occurrences<M C::*> same{member};
    T::fields(same);
    distinct = distinct && same.count == 1;
  }
};
template <class T>
constexpr Census<T> census() {
  Census<T> all;
  T::fields(all);
  return all;
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
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
const Type& type_of();

template <class T>
Type object_type() {
  static_assert(std::is_aggregate_v<T>, "a config is a plain aggregate: no constructors, no private members");
  static constexpr Probe listed = listing<T>();
  static_assert(listed.clean, "fields() names a member twice, or with a reserved or unusable name or alias");
  static_assert(listed.ranges, "fields() gives a member a range that holds nothing: min is above max");
  static_assert(listed.fitting,
                "fields() gives a range or a log scale to what is no number, or choices to what is "
                "neither a number nor a string, or choices that are no numbers to a number");
  static constexpr Census<T> all = census<T>();
  constexpr std::size_t covered = all.own + (all.inherited > 0 ? 1 : 0);  // a base counts as one
  static_assert(covered == member_count<T>(), "fields() must list every member of this config exactly once");
  static_assert(all.inherited == all.base, "fields() must list every member of the config that it derives from");
  static_assert(all.distinct, "fields() lists one member under two names, and so forgets another");
  static const T defaults{};
  Type type{.kind = Kind::object, .name = T::type_name, .id = &typeid(T)};
  const auto field = [&type]<class C, class M>(const char* name, M C::*member, const Meta& meta = {}) {
    const auto offset = reinterpret_cast<const char*>(&(defaults.*member)) - reinterpret_cast<const char*>(&defaults);
    add_field(type, name, offset, &type_of<M>, meta);
  };
  T::fields(field);
  const auto computed = [&type]<class C, class R>(const char* name, R (C::*value)() const, const char* help = "") {
    type.computed.push_back({name, help, &type_of<std::decay_t<R>>, [value](const void* p) {
                               const std::decay_t<R> result = (static_cast<const T*>(p)->*value)();
                               return save_value(type_of<std::decay_t<R>>(), &result, Save::full);
                             }});
  };
  if constexpr (requires { T::computed(computed); }) T::computed(computed);
  if constexpr (requires(const T& v, Issues& issues) { v.validate(issues); }) {
    type.validate = [](const void* p, Issues& issues) { static_cast<const T*>(p)->validate(issues); };
  }
  if constexpr (requires { T::doc; }) type.doc = T::doc;
  if constexpr (requires { T::version; }) type.version = T::version;
  if constexpr (requires(Node & node) { T::upgrade(node, 1); }) {
    type.upgrade = [](Node& node, int from) { T::upgrade(node, from); };
  } else if constexpr (requires { T::version; }) {
    static_assert(T::version == 1, "a config with a version above 1 needs upgrade(io::Node&, int from)");
  }
  type.defaults = &defaults;
  type.make = [](const void* original) { return own(original ? new T(*static_cast<const T*>(original)) : new T()); };
  return type;
}

template <class T>
struct Maker {
  static Type make() {
    static_assert(
        Described<T>,
        "this member type has no config description: use bool, an integer, float, double, std::string, an enum "
        "with names(), optional, vector, array, map with string keys, Poly, or a struct with type_name and "
        "fields()");
    if constexpr (Described<T>) return object_type<T>();
    return scalar(Kind::object, "");
  }
};

template <>
struct Maker<bool> {
  static Type make() { return scalar(Kind::boolean, "boolean"); }
};
template <>
struct Maker<double> {
  static Type make() { return scalar(Kind::real, "number"); }
};
template <>
struct Maker<float> {
  static Type make() {
    Type type = scalar(Kind::real, "number");
    type.single = true;
    return type;
  }
};
template <>
struct Maker<std::string> {
  static Type make() { return scalar(Kind::string, "string"); }
};

template <class V>
void through_int64(Type& type) {
  type.get = [](const void* p) { return static_cast<std::int64_t>(*static_cast<const V*>(p)); };
  type.put = [](void* p, std::int64_t v) { *static_cast<V*>(p) = static_cast<V>(v); };
}

template <Whole I>
struct Maker<I> {
  static Type make() {
    constexpr std::uint64_t top = std::numeric_limits<I>::max(), most = std::numeric_limits<std::int64_t>::max();
    Type type = scalar(Kind::integer, "integer");
    type.lowest = static_cast<std::int64_t>(std::numeric_limits<I>::min());
    type.highest = static_cast<std::int64_t>(top < most ? top : most);
    through_int64<I>(type);
    return type;
  }
};

template <class E>
requires std::is_enum_v<E>
struct Maker<E> {
  static Type make() {
    constexpr bool named = requires { names(static_cast<E*>(nullptr)); };
    static_assert(named, "this enum has no names: write constexpr auto names(E*) beside it, as io::enum_names shows");
    Type type = scalar(Kind::enumeration, "choice");
    if constexpr (named) {
      for (const auto& [value, name] : names(static_cast<E*>(nullptr))) {
        type.names.emplace_back(static_cast<std::int64_t>(value), name);
      }
    }
    through_int64<E>(type);
    return type;
  }
};

template <class C>
std::vector<Element> all_of(C& values) {
  std::vector<Element> out;
  for (auto& value : values) out.push_back({nullptr, &value});
  return out;
}
template <class E>
std::vector<Element> all_of(std::optional<E>& value) {
  return value ? std::vector<Element>{{nullptr, &*value}} : std::vector<Element>();
}
template <class C>
void erase_at(C& values, std::size_t i) {
  values.erase(std::next(values.begin(), static_cast<std::ptrdiff_t>(i)));
}

template <class E>
struct Maker<std::optional<E>> {
  static_assert(!is_optional<E>, "JSON has one null: an optional of an optional cannot be told apart in it");
  using C = std::optional<E>;
  static Type make() {
    Type type = scalar(Kind::optional, "optional");
    type.elements = {.type = &type_of<E>,
                     .size = [](const void* p) -> std::size_t { return static_cast<const C*>(p)->has_value(); },
                     .all = [](void* p) { return all_of(*static_cast<C*>(p)); },
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
    type.elements = {.type = &type_of<E>,
                     .size = [](const void* p) { return static_cast<const C*>(p)->size(); },
                     .all = [](void* p) { return all_of(*static_cast<C*>(p)); },
                     .clear = [](void* p) { static_cast<C*>(p)->clear(); },
                     .append = [](void* p, const std::string&) -> void* { return &static_cast<C*>(p)->emplace_back(); },
                     .erase = [](void* p, std::size_t i) { erase_at(*static_cast<C*>(p), i); }};
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
                     .all = [](void* p) { return all_of(*static_cast<C*>(p)); }};
    return type;
  }
};

template <class E>
struct Maker<std::map<std::string, E>> {
  using C = std::map<std::string, E>;
  static Type make() {
    Type type = scalar(Kind::map, "map");
    type.elements = {.type = &type_of<E>,
                     .size = [](const void* p) { return static_cast<const C*>(p)->size(); },
                     .all =
                         [](void* p) {
                           std::vector<Element> out;
                           for (auto& [key, value] : *static_cast<C*>(p)) out.push_back({&key, &value});
                           return out;
                         },
                     .clear = [](void* p) { static_cast<C*>(p)->clear(); },
                     .append = [](void* p, const std::string& key) -> void* { return &(*static_cast<C*>(p))[key]; },
                     .erase = [](void* p, std::size_t i) { erase_at(*static_cast<C*>(p), i); }};
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
