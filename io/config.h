// Configs: plain aggregates that describe themselves once; reading, writing, checking, comparing, overriding and
// showing them follow from the description. A config looks like this:
//
//   struct ConvConfig {
//     std::int64_t channels = 64;
//     double dropout = 0;
//     static constexpr const char* type_name = "Conv";
//     static constexpr io::Doc doc{"what it is, in one sentence.", "where it was published"};  // optional
//     static constexpr void fields(auto&& f) {
//       f("channels", &ConvConfig::channels, io::Meta{.min = 1, .max = 65536, .help = "width of the output"});
//       f("dropout", &ConvConfig::dropout, io::Meta{.min = 0, .max = 1});
//     }
//     void validate(io::Issues& issues) const;             // optional: rules across members
//     static constexpr void computed(auto&& f);            // optional: f("key", &C::const_function, "help")
//     static constexpr int version = 2;                    // optional, with
//     static void upgrade(io::Node& node, int from);       // what turns an older file's object into today's
//   };
//
// Members are bool, the integers, double, float, std::string, an enum with `constexpr auto names(E*)` beside it,
// std::optional, std::vector, std::array, std::map<std::string, T>, Poly<Family> and further configs. An unsigned
// integer holds up to 2^63 - 1; a float is written with the fewest digits that give it back. A config may derive from
// one other; its fields() then begins with Base::fields(f), and it needs a type_name of its own.
#pragma once
#include <tapedeck/io/config_type.h>

namespace tapedeck::io {

// A value of one of the configs that are registered in a family, chosen by "type". Family is any class; its
// `static constexpr const char* family_name`, when it has one, is used in messages. Copies are deep.
class PolyBase {
 public:
  PolyBase() = default;
  PolyBase(const PolyBase& other) { *this = other; }
  PolyBase(PolyBase&&) noexcept = default;
  PolyBase& operator=(const PolyBase& other);
  PolyBase& operator=(PolyBase&& other) noexcept;

  bool empty() const { return !value_; }
  const std::string& type() const;  // "" when empty

  // The table's view of it.
  const table::Type* described() const { return type_; }
  const void* value() const { return value_.get(); }
  void* value() { return value_.get(); }
  void assign(const table::Type& type, table::Owned value);

 private:
  const table::Type* type_ = nullptr;
  table::Owned value_{nullptr, nullptr};
};

template <class Family>
class Poly : public PolyBase {
 public:
  Poly() = default;
  template <Described T>
  Poly(T value) {
    assign(table::type_of<T>(), table::own(new T(std::move(value))));
  }

  // The value when it is a T, else nullptr.
  template <Described T>
  const T* get_if() const {
    return described() && *described()->id == typeid(T) ? static_cast<const T*>(value()) : nullptr;
  }
  template <Described T>
  T* get_if() {
    return const_cast<T*>(std::as_const(*this).template get_if<T>());
  }

  // Makes T known to the family under its type_name; ConfigError when another type has that name. Registering twice
  // does nothing.
  template <Described T>
  static void add() {
    table::register_alternative(family_key(), table::type_of<T>());
  }
  static std::vector<std::string> known() {
    std::vector<std::string> names;
    for (const table::Type* type : table::alternatives(family_key())) names.push_back(type->name);
    return names;
  }
  static std::string family_key() { return typeid(Family).name(); }
};

// For the names() of an enum: constexpr auto names(Padding*) { return io::enum_names<Padding>({{...}, {...}}); }
template <class E, std::size_t N>
constexpr std::array<std::pair<E, const char*>, N> enum_names(const std::pair<E, const char*> (&pairs)[N]) {
  std::array<std::pair<E, const char*>, N> out{};
  for (std::size_t i = 0; i < N; ++i) out[i] = pairs[i];
  return out;
}

template <class T>
Node save(const T& value, Save how = Save::full) {
  return table::save_value(table::type_of<T>(), &value, how);
}

// The config that the node describes, members not named having their defaults. ConfigError with every problem, one
// per line: `cfg.json:12: /net/kernle: WaveNet has no such key; did you mean "kernel"?`. `where` names the file.
template <class T>
T load(const Node& node, const std::string& where) {
  T value{};
  Issues issues;
  table::load_value(table::type_of<T>(), &value, {}, node, "", table::Reading::whole, issues);
  issues.raise(where);
  return value;
}

// As load, over a base such as a preset: what the node does not name is as in the base, inside maps, optionals and
// Poly values of the same type too; lists are replaced. What is required must stand in the node.
template <class T>
T load(const Node& node, const std::string& where, T base) {
  Issues issues;
  table::load_value(table::type_of<T>(), &base, {}, node, "", table::Reading::over, issues);
  issues.raise(where);
  return base;
}

// As load, from a file in which comments are allowed; what is no JSON, no regular file or too long is a ConfigError
// too, a missing file an IoError.
Node read_config(const std::string& path);
template <class T>
T load_file(const std::string& path) {
  return load<T>(read_config(path), path);
}
template <class T>
T load_file(const std::string& path, T base) {
  return load<T>(read_config(path), path, std::move(base));
}

// Changes what the node names. On a ConfigError the value is unchanged.
template <class T>
void patch(T& value, const Node& node, const std::string& where) {
  T next = value;
  Issues issues;
  table::load_value(table::type_of<T>(), &next, {}, node, "", table::Reading::patch, issues);
  issues.raise(where);
  value = std::move(next);
}

// Ranges, choices and validate(), for configs that were built in code. ConfigError as load.
template <class T>
void check(const T& value, const std::string& where) {
  Issues issues;
  table::check_value(table::type_of<T>(), &value, {}, "", 0, issues);
  issues.raise(where);
}

// Command-line overrides, applied in order, checked together; on a ConfigError the value is unchanged.
//   net.kernel=3  net.blocks.1=5  optim.type=Sgd  **.dropout=0.1  net=@net.json  name=any text  ~train.clip
// `*` stands for one part of a path, `**` for any number; a glob that matches nothing is an error. The value is JSON
// or, failing that, a bare string; @ reads it from a file (a string that starts so is written "@x", with quotes);
// objects are patched into what is there. `~` empties an optional or removes an entry of a map or a list.
template <class T>
void set(T& value, const std::vector<std::string>& assignments) {
  T next = value;
  table::set_values(table::type_of<T>(), &next, assignments);
  value = std::move(next);
}
template <class T>
void set(T& value, std::initializer_list<std::string> assignments) {
  set(value, std::vector<std::string>(assignments));
}
template <class T>
void set(T& value, const std::string& assignment) {
  set(value, std::vector<std::string>{assignment});
}

// The same from code: set(config, "**/dropout", 0.1).
template <class T>
void set(T& value, const std::string& path, const Node& node) {
  T next = value;
  table::set_node(table::type_of<T>(), &next, path, node);
  value = std::move(next);
}

struct Difference {
  std::string path;    // with dots
  Node before, after;  // null where there is nothing
};
std::vector<Difference> diff(const Node& before, const Node& after);
template <class T>
requires(!std::is_same_v<T, Node>) std::vector<Difference> diff(const T& before, const T& after) {
  return diff(save(before), save(after));
}

template <class T>
bool equal(const T& a, const T& b) {
  return save(a) == save(b);
}

// 64 bits of the canonical text (FNV-1a): the same on every machine and in every run.
std::uint64_t hash(const Node& node);
template <class T>
requires(!std::is_same_v<T, Node>) std::uint64_t hash(const T& value) { return hash(save(value)); }

// One line a member: path, type and range, default, help.
template <class T>
std::string help_text() {
  return table::help_text(table::type_of<T>());
}

// JSON Schema 2020-12, with "x-widget" (checkbox, slider, select, list, number, text), "x-scale": "log" and "x-unit".
template <class T>
Node schema() {
  return table::schema(table::type_of<T>());
}

// The candidate that was probably meant (small edit distance, case ignored), "" when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace tapedeck::io
