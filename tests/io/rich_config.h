// A config with members of every kind in every nesting, and random values for any config by its table.
#pragma once
#include <tapedeck/io/config.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace tapedeck::io::testing_configs {

enum class Mode : std::uint8_t { off, slow = 200, fast = 201 };
constexpr auto names(Mode*) {
  return enum_names<Mode>({{Mode::off, "off"}, {Mode::slow, "slow"}, {Mode::fast, "fast one"}});
}

struct LayerFamily {
  static constexpr const char* family_name = "layer";
};

struct Dense {
  std::uint16_t width = 8;
  float gain = 0.1F;
  Mode mode = Mode::fast;
  static constexpr const char* type_name = "Dense";
  static constexpr void fields(auto&& f) {
    f("width", &Dense::width, Meta{.min = 1, .help = "outputs", .aliases = {"size", "units"}});
    f("gain", &Dense::gain, Meta{.min = 0, .max = 0.75, .unit = "dB", .log = true});
    f("mode", &Dense::mode);
  }
};

struct Stack {  // holds its own family
  std::vector<Poly<LayerFamily>> layers{Dense{}};
  std::map<std::string, Poly<LayerFamily>> named{};
  std::optional<Poly<LayerFamily>> head{};
  static constexpr const char* type_name = "Stack of/~%layers";  // every character that a JSON pointer in a URI escapes
  static constexpr void fields(auto&& f) {
    f("layers", &Stack::layers);
    f("named", &Stack::named);
    f("head", &Stack::head);
  }
};

struct Numbers {
  std::int8_t tiny = -1;
  std::uint8_t byte = 255;
  short small = 7;
  unsigned short port = 8080;
  int whole = 0;
  unsigned natural = 1;
  long wide = 1;
  unsigned long seed = 2;
  long long wider = 3;
  unsigned long long widest = 4;
  std::int64_t even = 4;
  float single = 0.1F;
  double real = -0.0;
  double half = 0.5;
  static constexpr const char* type_name = "Numbers";
  static constexpr void fields(auto&& f) {
    f("tiny", &Numbers::tiny);
    f("byte", &Numbers::byte);
    f("small", &Numbers::small);
    f("port", &Numbers::port, Meta{.min = 1024});
    f("whole", &Numbers::whole, Meta{.min = -1e9});
    f("natural", &Numbers::natural, Meta{.max = 1e9});
    f("wide", &Numbers::wide);
    f("seed", &Numbers::seed);
    f("wider", &Numbers::wider, Meta{.max = 0x1p53});
    f("widest", &Numbers::widest);
    f("even", &Numbers::even, Meta{.choices = {"2", "4", "-6"}});
    f("single", &Numbers::single);
    f("real", &Numbers::real);
    f("half", &Numbers::half, Meta{.choices = {"0.5", "0.25", "1e-3"}});
  }
};

struct Needed {
  std::string path;
  std::optional<int> limit{};
  static constexpr const char* type_name = "Needed";
  static constexpr void fields(auto&& f) {
    f("path", &Needed::path, Meta{.required = true, .aliases = {"file"}});
    f("limit", &Needed::limit, Meta{.min = 0});
  }
};

// No rule but those of the single members: what a JSON Schema can say in full.
struct Plain {
  bool flag = true;
  std::string text = "t";
  std::string word = "one";
  Mode mode = Mode::off;
  Numbers numbers{.tiny = 5};
  Needed needed{.path = "here"};
  std::optional<bool> maybe{};
  std::optional<std::vector<std::optional<int>>> holes{{1, std::nullopt}};
  std::optional<std::map<std::string, Mode>> modes{};
  std::vector<std::vector<unsigned>> rows{{1, 2}, {}};
  std::array<std::array<float, 2>, 2> matrix{{{1, 0.1F}, {0, 1}}};
  std::array<Numbers, 2> pair{{{.tiny = 1}, {.tiny = 2}}};
  std::map<std::string, std::vector<double>> curves{{"a.b/c~d", {1, 0.5}}, {"", {}}};
  std::map<std::string, std::map<std::string, std::string>> words{};
  std::vector<Plain> inner{};
  Poly<LayerFamily> layer = Dense{.width = 3};
  std::map<std::string, std::array<Poly<LayerFamily>, 1>> single{};
  static constexpr const char* type_name = "Plain";
  static constexpr void fields(auto&& f) {
    f("flag", &Plain::flag, Meta{.help = "a switch"});
    f("text", &Plain::text);
    f("word", &Plain::word, Meta{.choices = {"one", "two words", "\"three\""}});
    f("mode", &Plain::mode);
    f("numbers", &Plain::numbers, Meta{.aliases = {"figures"}});
    f("needed", &Plain::needed);
    f("maybe", &Plain::maybe);
    f("holes", &Plain::holes, Meta{.min = -5, .max = 5});
    f("modes", &Plain::modes);
    f("rows", &Plain::rows, Meta{.max = 100});
    f("matrix", &Plain::matrix, Meta{.min = -2, .max = 2});
    f("pair", &Plain::pair);
    f("curves", &Plain::curves);
    f("words", &Plain::words);
    f("inner", &Plain::inner);
    f("layer", &Plain::layer);
    f("single", &Plain::single);
  }
};

// And with rules across members, computed members and a past.
struct Rich {
  Plain plain{.flag = false};
  int low = 1, high = 10;
  std::vector<Plain> plains{};
  static constexpr const char* type_name = "Rich";
  static constexpr int version = 3;

  std::int64_t width() const { return std::int64_t{high} - low; }
  std::map<std::string, double> limits() const { return {{"low", low}, {"high", high}}; }
  void validate(Issues& issues) const {
    if (low > high) issues.add("/low", "must not be above high");
  }
  static constexpr void fields(auto&& f) {
    f("plain", &Rich::plain);
    f("low", &Rich::low, Meta{.min = -1000, .max = 1000});
    f("high", &Rich::high, Meta{.min = -1000, .max = 1000, .aliases = {"top"}});
    f("plains", &Rich::plains);
  }
  static constexpr void computed(auto&& f) {
    f("width", &Rich::width, "of the range");
    f("limits", &Rich::limits);
  }
  static void upgrade(Node& node, int from) {
    if (from < 2) node.rename("lower", "low");
    if (from < 3 && node.find("middle")) {
      const std::int64_t middle = std::clamp<std::int64_t>(node.at("middle").integer(), -500, 500);
      node["low"] = middle - 1;
      node["high"] = middle + 1;
      node.erase("middle");
    }
  }
};

inline void register_rich() {
  Poly<LayerFamily>::add<Dense>();
  Poly<LayerFamily>::add<Stack>();
}

// Random values that obey the rules of each member. `depth` ends recursion.
class Randomiser {
 public:
  explicit Randomiser(unsigned seed) : random_(seed) {}

  template <class T>
  T make(int depth = 4) {
    T value{};
    fill(table::type_of<T>(), &value, {}, depth);
    return value;
  }

  int pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  std::string text() {
    constexpr std::array parts{"a",
                               "b",
                               "\"",
                               "\\",
                               "/",
                               "~",
                               ".",
                               "*",
                               "@",
                               "\n",
                               "\x7",
                               " ",
                               "\xc3\xa4",
                               "\xc2\x85",
                               "\xef\xbf\xbf",
                               "\xf0\x9f\x98\x80",
                               "=",
                               "type"};
    std::string out;
    for (int i = pick(0, 5); i > 0; --i) out += parts[static_cast<std::size_t>(pick(0, parts.size() - 1))];
    if (pick(0, 9) == 0) out += '\0';
    return out;
  }

 private:
  void fill(const table::Type& type, void* value, const Meta& meta, int depth) {
    using table::Kind;
    switch (type.kind) {
      case Kind::boolean:
        *static_cast<bool*>(value) = pick(0, 1) == 1;
        break;
      case Kind::integer:
        type.put(value, integer(type, meta));
        break;
      case Kind::real:
        if (type.single) {
          *static_cast<float*>(value) = static_cast<float>(real(meta, 127));
        } else {
          *static_cast<double*>(value) = real(meta, 1023);
        }
        break;
      case Kind::string:
        *static_cast<std::string*>(value) = meta.choices.empty() ? text() : choice(meta);
        break;
      case Kind::enumeration:
        type.put(value, type.names[static_cast<std::size_t>(pick(0, static_cast<int>(type.names.size()) - 1))].first);
        break;
      case Kind::object:
        for (const table::Field& f : type.fields) {
          if (pick(0, 3) > 0) fill(f.type(), static_cast<char*>(value) + f.offset, f.meta, depth - 1);
        }
        break;
      case Kind::poly: {
        const auto all = table::alternatives(type.family);
        const table::Type* one =
            depth > 0 ? all[static_cast<std::size_t>(pick(0, static_cast<int>(all.size()) - 1))] : all[0];
        auto made = one->make(nullptr);
        fill(*one, made.get(), {}, depth - 1);
        static_cast<PolyBase*>(value)->assign(*one, std::move(made));
        break;
      }
      case Kind::array:
        for (const table::Element& e : type.elements.all(value)) fill(type.elements.type(), e.value, meta, depth - 1);
        break;
      case Kind::optional:
      case Kind::list:
      case Kind::map:
        type.elements.clear(value);
        if (depth <= 0) break;
        for (int i = pick(0, type.kind == Kind::optional ? 1 : 3); i > 0; --i) {
          fill(type.elements.type(), type.elements.append(value, text()), meta, depth - 1);
        }
        break;
    }
  }

  std::string choice(const Meta& meta) {
    return meta.choices.begin()[pick(0, static_cast<int>(meta.choices.end() - meta.choices.begin()) - 1)];
  }

  std::int64_t integer(const table::Type& type, const Meta& meta) {
    if (!meta.choices.empty()) return std::stoll(choice(meta));
    const auto bound = [](double wanted, std::int64_t own) {
      return std::abs(wanted) < 9e18 ? static_cast<std::int64_t>(wanted) : own;
    };
    const std::int64_t low = std::max(type.lowest, bound(meta.min, type.lowest));
    const std::int64_t high = std::min(type.highest, bound(meta.max, type.highest));
    const int way = pick(0, 5);
    if (way == 0) return low;
    if (way == 1) return high;
    if (way < 4) return std::clamp<std::int64_t>(pick(-9, 9), low, high);
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }

  double real(const Meta& meta, int exponent) {
    if (!meta.choices.empty()) return std::stod(choice(meta));
    const double low = std::isfinite(meta.min) ? meta.min : -std::ldexp(1, exponent);
    const double high = std::isfinite(meta.max) ? meta.max : std::ldexp(1, exponent);
    const int way = pick(0, 5);
    if (way == 0) return low;
    if (way == 1) return high;
    if (way == 2) return std::clamp(pick(0, 1) ? -0.0 : 0.0, low, high);
    if (way == 3) return std::clamp<double>(pick(-9, 9), low, high);
    const double u = std::uniform_real_distribution<double>(-1, 1)(random_);
    return std::clamp(std::ldexp(u, pick(way == 4 ? -exponent : -9, way == 4 ? exponent : 9)), low, high);
  }

  std::mt19937 random_;
};

}  // namespace tapedeck::io::testing_configs
