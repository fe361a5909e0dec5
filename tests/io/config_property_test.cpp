// What holds for every config: random ones with members of every kind, and hostile input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include <limits>

#include "rich_config.h"
#include "temp_folder.h"
#include "throws.h"

namespace tapedeck::io {

using namespace testing_configs;
using ::testing::HasSubstr;

struct Unruly {  // its own code fails
  int x = 1;
  static constexpr const char* type_name = "Unruly";
  static constexpr int version = 2;
  int twice() const {
    if (x == 7) throw std::runtime_error("seven\nis too much");
    return 2 * x;
  }
  void validate(Issues& issues) const {
    if (x == 8) throw std::out_of_range("eight");
    if (x == 9) issues.add("/x", "is nine\nindeed");
  }
  static constexpr void fields(auto&& f) { f("x", &Unruly::x); }
  static constexpr void computed(auto&& f) { f("twice", &Unruly::twice); }
  static void upgrade(Node& node, int) {
    if (node.find("x")) throw std::length_error("no\tway");
    node = 5;
  }
};

struct Table {
  std::map<std::string, double> entries{};
  std::vector<int> list{};
  static constexpr const char* type_name = "Table";
  static constexpr void fields(auto&& f) {
    f("entries", &Table::entries);
    f("list", &Table::list);
  }
};

struct Precise {
  std::int64_t exact = 0;
  double step = 0;
  float small = 0;
  double rate = 0.1234567;
  static constexpr const char* type_name = "Precise";
  static constexpr void fields(auto&& f) {
    f("exact", &Precise::exact, Meta{.min = -0x1p53, .max = 0x1p53});
    f("step", &Precise::step, Meta{.max = 0.12345678901});
    f("small", &Precise::small, Meta{.max = 0.1});
    f("rate", &Precise::rate, Meta{.choices = {"0.1234567", "1"}});
  }
};

struct Base {
  int a = 1;
  std::vector<int> b{1};
  int sum() const { return a + static_cast<int>(b.size()); }
  void validate(Issues& issues) const {
    if (a == 13) issues.add("/a", "brings bad luck");
  }
  static constexpr const char* type_name = "Base";
  static constexpr void fields(auto&& f) {
    f("a", &Base::a, Meta{.min = 0});
    f("b", &Base::b);
  }
  static constexpr void computed(auto&& f) { f("sum", &Base::sum); }
};
struct Derived : Base {
  double c = 0.5;
  static constexpr const char* type_name = "Derived";
  static constexpr void fields(auto&& f) {
    Base::fields(f);
    f("c", &Derived::c);
  }
};
struct Third : Derived {
  static constexpr const char* type_name = "Third";
};

namespace {

class ConfigProperty : public ::testing::Test {
 protected:
  void SetUp() override { register_rich(); }

  template <class T>
  static T loaded(const std::string& text) {
    return load<T>(parse_json(text, "cfg.json"), "cfg.json");
  }
  template <class T>
  static std::string refused(const std::string& text) {
    return error_of<ConfigError>([&] { loaded<T>(text); });
  }
  static Rich random_rich(Randomiser& random) {
    Rich rich = random.make<Rich>();
    if (rich.low > rich.high) std::swap(rich.low, rich.high);
    return rich;
  }
};

TEST_F(ConfigProperty, EveryDumpComesBackToTheSameBytes) {
  Randomiser random(1);
  for (int i = 0; i < 400; ++i) {
    const Rich rich = random_rich(random);
    ASSERT_NO_THROW(check(rich, "random"));
    const std::string full = dump_json(save(rich));
    for (Save how : {Save::full, Save::minimal, Save::extended}) {
      const std::string text = dump_json(save(rich, how), i % 3 - 1);
      const Rich back = loaded<Rich>(text);
      ASSERT_EQ(dump_json(save(back)), full);
      ASSERT_EQ(dump_json(save(back, how), i % 3 - 1), text);
      ASSERT_TRUE(equal(back, rich) && diff(back, rich).empty());
      ASSERT_EQ(hash(back), hash(rich));
    }
  }
}

TEST_F(ConfigProperty, TheOrderOfKeysIsIrrelevant) {
  Randomiser random(2);
  const std::function<void(Node&)> shuffle = [&](Node& node) {
    if (node.is_array()) {
      for (Node& item : node.items()) shuffle(item);
    } else if (node.is_object()) {
      auto& members = node.members();
      for (std::size_t i = members.size(); i > 1; --i) {
        std::swap(members[i - 1], members[static_cast<std::size_t>(random.pick(0, static_cast<int>(i) - 1))]);
      }
      for (auto& [key, value] : members) shuffle(value);
    }
  };
  for (int i = 0; i < 300; ++i) {
    const Rich rich = random_rich(random);
    Node node = save(rich);
    shuffle(node);
    ASSERT_EQ(dump_json(save(load<Rich>(node, "shuffled"))), dump_json(save(rich)));
  }
}

TEST_F(ConfigProperty, DiffIsEmptyExactlyWhenTheBytesAreEqual) {
  Randomiser random(3);
  for (int i = 0; i < 300; ++i) {
    const Numbers a = random.make<Numbers>(), b = i % 3 ? random.make<Numbers>() : a;
    const bool same = dump_json(save(a)) == dump_json(save(b));
    ASSERT_EQ(diff(a, b).empty(), same);
    ASSERT_EQ(hash(a) == hash(b), same);
    Numbers c = a;  // and what it says leads from one to the other
    for (const Difference& d : diff(a, b)) set(c, d.path, d.after);
    ASSERT_TRUE(equal(c, b));
  }
}

TEST_F(ConfigProperty, APatchWithTheDumpOfAnotherGivesTheOther) {
  Randomiser random(4);
  for (int i = 0; i < 300; ++i) {
    Numbers a = random.make<Numbers>();
    const Numbers b = random.make<Numbers>();
    patch(a, save(b), "patch");
    ASSERT_TRUE(equal(a, b));
  }
}

TEST_F(ConfigProperty, TheHashIsTheSameOnEveryMachine) {  // FNV-1a of the text, computed by other means
  EXPECT_EQ(dump_json(save(Dense{}), -1), R"({"type":"Dense","version":1,"width":8,"gain":0.1,"mode":"fast one"})");
  EXPECT_EQ(hash(Dense{}), 0x7EDE9AE5C203D74Au);
}

// ---- the kinds of numbers

TEST_F(ConfigProperty, EveryIntegerTypeHasItsOwnLimits) {
  const Numbers edges{.tiny = -128,
                      .byte = 0,
                      .small = 32767,
                      .port = 65535,
                      .whole = 2147483647,
                      .natural = 1000000000,
                      .wide = std::numeric_limits<long>::min(),
                      .seed = 9223372036854775807u,
                      .wider = 9007199254740992,
                      .widest = 0};
  EXPECT_TRUE(equal(loaded<Numbers>(dump_json(save(edges))), edges));
  EXPECT_EQ(refused<Numbers>(R"({"tiny": 128})"), "cfg.json:1: /tiny: must be between -128 and 127, got 128");
  EXPECT_EQ(refused<Numbers>(R"({"byte": -1})"), "cfg.json:1: /byte: must be between 0 and 255, got -1");
  EXPECT_EQ(refused<Numbers>(R"({"small": 40000})"), "cfg.json:1: /small: must be between -32768 and 32767, got 40000");
  EXPECT_EQ(refused<Numbers>(R"({"port": 65536})"), "cfg.json:1: /port: must be between 1024 and 65535, got 65536");
  EXPECT_EQ(refused<Numbers>(R"({"natural": -1})"), "cfg.json:1: /natural: must be between 0 and 1000000000, got -1");
  EXPECT_EQ(refused<Numbers>(R"({"seed": -5})"), "cfg.json:1: /seed: must be at least 0, got -5");
  EXPECT_EQ(refused<Numbers>(R"({"seed": 1.0})"), "cfg.json:1: /seed: needs an integer, got 1.0");
  EXPECT_EQ(refused<Numbers>(R"({"even": 3})"), "cfg.json:1: /even: must be one of 2, 4, -6, got 3");
  const Numbers beyond{.seed = 1ull << 63};
  EXPECT_EQ(error_of<ConfigError>([&] { check(beyond, "code"); }),
            "code: /seed: must be at most 9223372036854775807, got 9223372036854775808");
  EXPECT_THAT(error_of<ConfigError>([&] { save(beyond); }), HasSubstr("got 9223372036854775808"));
}

TEST_F(ConfigProperty, RangesAndChoicesAreExact) {
  EXPECT_EQ(loaded<Precise>(R"({"exact": 9007199254740992})").exact, 9007199254740992);
  EXPECT_THAT(refused<Precise>(R"({"exact": 9007199254740993})"), HasSubstr("/exact: must be between"));
  EXPECT_EQ(refused<Precise>(R"({"step": 0.12345678902})"),
            "cfg.json:1: /step: must be at most 0.12345678901, got 0.12345678902");
  EXPECT_EQ(loaded<Precise>(R"({"small": 0.1})").small, 0.1F);  // though 0.1F is above 0.1
  EXPECT_NO_THROW(check(Precise{.small = 0.1F}, "code"));
  EXPECT_EQ(refused<Precise>(R"({"rate": 0.12345671})"),
            "cfg.json:1: /rate: must be one of 0.1234567, 1, got 0.12345671");
  EXPECT_EQ(loaded<Precise>(R"({"rate": 1})").rate, 1);
}

TEST_F(ConfigProperty, AFloatIsWrittenAsItIsMeant) {
  EXPECT_EQ(save(Numbers{.single = 0.1F}).at("single"), Node(0.1));
  EXPECT_EQ(loaded<Numbers>(R"({"single": 3.4028235e38})").single, std::numeric_limits<float>::max());
  EXPECT_THAT(refused<Numbers>(R"({"single": 1e39})"),
              HasSubstr("/single: is too large for 32 bits, which end at 3.4028235e+38"));
  EXPECT_EQ(refused<Numbers>(R"({"single": 1e-60})"),
            "cfg.json:1: /single: is too small for 32 bits and would become 0, got 1e-60");
  EXPECT_EQ(refused<Numbers>(R"({"single": 16777217})"),
            "cfg.json:1: /single: needs a number that 24 bits hold exactly, got 16777217");
  std::mt19937 bits(5);
  for (int i = 0; i < 20'000; ++i) {
    const auto v = std::bit_cast<float>(static_cast<std::uint32_t>(bits()));
    if (!std::isfinite(v)) continue;
    ASSERT_EQ(loaded<Numbers>(dump_json(save(Numbers{.single = v}), -1)).single, v);
  }
}

TEST_F(ConfigProperty, MinusZeroIsAnotherValue) {
  const Numbers zero{.real = 0.0};  // the default is -0.0
  EXPECT_FALSE(equal(zero, Numbers{}));
  EXPECT_EQ(std::signbit(load<Numbers>(save(zero, Save::minimal), "x").real), false);
  EXPECT_EQ(diff(zero, Numbers{}).at(0).path, "real");
}

// ---- layers of values

TEST_F(ConfigProperty, DefaultsThenPresetThenFileThenSet) {
  const Rich preset{
      .plain = {.numbers = {.tiny = 3, .byte = 4}, .layer = Dense{.width = 5, .gain = 0.25F}}, .low = -3, .high = 3};
  const Node file = parse_json(R"({
    "high": 5,
    "plain": {"needed": {"file": "data"}, "numbers": {"byte": 6}, "layer": {"type": "Dense", "size": 7},
              "curves": {"new": []}, "rows": [[9]]}
  })",
                               "cfg.json");
  Rich rich = load<Rich>(file, "cfg.json", preset);
  set(rich, "plain.layer.mode", "slow");
  EXPECT_EQ(rich.plain.numbers.wide, 1);  // a default
  EXPECT_EQ(rich.low, -3);                // of the preset
  EXPECT_EQ(rich.plain.numbers.tiny, 3);
  EXPECT_EQ(rich.plain.numbers.byte, 6);  // of the file
  EXPECT_EQ(rich.high, 5);
  EXPECT_EQ(rich.plain.needed.path, "data");
  const Dense& dense = *rich.plain.layer.get_if<Dense>();
  EXPECT_EQ(dense.width, 7);
  EXPECT_EQ(dense.gain, 0.25F);
  EXPECT_EQ(dense.mode, Mode::slow);
  EXPECT_EQ(rich.plain.curves.size(), 3u);
  EXPECT_EQ(rich.plain.rows, (std::vector<std::vector<unsigned>>{{9}}));
  EXPECT_EQ(error_of<ConfigError>([&] { load<Rich>(parse_json("{\n\"plain\": {}}", "cfg.json"), "cfg.json", preset); }),
            "cfg.json:2: /plain/needed/path: is required: a string");
  EXPECT_EQ(error_of<ConfigError>([&] { load<Rich>(Node::object(), "cfg.json", preset); }),
            "cfg.json: /plain/needed/path: is required: a string");
}

TEST_F(ConfigProperty, AConfigMayDeriveFromAnother) {
  Derived derived = loaded<Derived>(R"({"type": "Derived", "a": 2, "c": 1, "sum": 3})");
  EXPECT_EQ(dump_json(save(derived), -1), R"({"type":"Derived","version":1,"a":2,"b":[1],"c":1.0})");
  EXPECT_EQ(save(derived, Save::extended).at("sum").integer(), 3);
  set(derived, "**/a", 5);
  EXPECT_EQ(derived.a, 5);
  EXPECT_EQ(refused<Derived>(R"({"a": -1})"), "cfg.json:1: /a: must be between 0 and 2147483647, got -1");
  EXPECT_EQ(refused<Derived>(R"({"a": 13})"), "cfg.json:1: /a: brings bad luck");
  EXPECT_EQ(dump_json(save(Third{}), -1), R"({"type":"Third","version":1,"a":1,"b":[1],"c":0.5})");
  Randomiser random(6);
  for (int i = 0; i < 100; ++i) {
    auto any = random.make<Derived>();
    any.a = std::max(any.a, 14);
    ASSERT_TRUE(equal(load<Derived>(save(any), "x"), any));
  }
}

TEST_F(ConfigProperty, PatchingAnArrayKeepsWhatItsElementsAreNotGiven) {
  Plain plain;
  plain.pair[1].byte = 9;
  patch(plain, parse_json(R"({"pair": [{"tiny": 5}, {}], "single": {"k": [{"type": "Dense"}]}})", "p"), "p");
  EXPECT_EQ(plain.pair[0].tiny, 5);
  EXPECT_EQ(plain.pair[1].byte, 9);
  patch(plain, parse_json(R"({"single": {"k": [{"width": 4}]}})", "p"), "p");  // of the type that is there
  EXPECT_EQ(plain.single.at("k")[0].get_if<Dense>()->width, 4);
}

TEST_F(ConfigProperty, AnyKindMayBeTheWhole) {
  const auto layer = load<Poly<LayerFamily>>(parse_json(R"({"type": "Dense", "width": 3})", "x"), "x");
  EXPECT_EQ(layer.get_if<Dense>()->width, 3);
  EXPECT_EQ(dump_json(save(layer), -1), R"({"type":"Dense","version":1,"width":3,"gain":0.1,"mode":"fast one"})");
  EXPECT_EQ(load<std::vector<unsigned>>(parse_json("[1, 2]", "x"), "x"), (std::vector<unsigned>{1, 2}));
  EXPECT_EQ(error_of<ConfigError>([] { load<std::vector<unsigned>>(parse_json("[1, -2]", "x"), "x"); }),
            "x:1: /1: must be between 0 and 4294967295, got -2");
}

TEST_F(ConfigProperty, SetTakesValuesToo) {
  Rich rich{.plains = std::vector<Plain>(2)};
  set(rich, "**/gain", 0.5);
  set(rich, "plains.*.flag", false);
  set(rich, "**/units", 9u);  // an alias
  EXPECT_EQ(rich.plain.layer.get_if<Dense>()->gain, 0.5F);
  EXPECT_EQ(rich.plains[1].layer.get_if<Dense>()->gain, 0.5F);
  EXPECT_EQ(rich.plains[1].layer.get_if<Dense>()->width, 9);
  EXPECT_FALSE(rich.plains[0].flag);
  set(rich, "plain.text", "@not a file");
  EXPECT_EQ(rich.plain.text, "@not a file");
  set(rich, "plain.layer.type", "Stack of/~%layers");
  EXPECT_EQ(rich.plain.layer.type(), "Stack of/~%layers");
  EXPECT_EQ(error_of<ConfigError>([&] { set(rich, "**/dropout", 0.1); }),
            "**/dropout: the path matches nothing in this config");
  EXPECT_EQ(error_of<ConfigError>([&] { set(rich, "low", true); }), "low: /low: needs an integer, got true");
  EXPECT_EQ(error_of<ConfigError>([&] { set(rich, "low", 5000); }),
            "low: /low: must be between -1000 and 1000, got 5000");
  EXPECT_EQ(error_of<ConfigError>([&] { set(rich, "low", 50); }), "low: /low: must not be above high");
  EXPECT_EQ(rich.low, 1);
}

TEST_F(ConfigProperty, RemovalReachesListsToo) {
  Rich rich{.plains = std::vector<Plain>(2)};
  rich.plains[0].text = "first";
  rich.plain.curves["a"] = {};
  set(rich, {"~plain.curves.a", "~plains.0", "~plain.holes", "~plain.rows.1"});
  ASSERT_EQ(rich.plains.size(), 1u);
  EXPECT_EQ(rich.plains[0].text, "t");
  EXPECT_EQ(rich.plain.curves.size(), 2u);
  EXPECT_FALSE(rich.plain.holes.has_value());
  EXPECT_EQ(rich.plain.rows.size(), 1u);
  EXPECT_THAT(error_of<ConfigError>([&] { set(rich, "~plains.1"); }), HasSubstr("no such entry to remove"));
}

// ---- five mistakes in one file

TEST_F(ConfigProperty, FiveMistakesGiveFiveLines) {
  TempFolder folder;
  write_file_atomic(folder / "five.json", R"({
  // a config with five mistakes
  "low": 1.5,
  "hihg": 20,
  "plain": {
    "needed": {"path": "data", "limit": 5000000000},
    "layer": {"type": "Dense", "width": true,
              "mode": "slwo"}
  }
})");
  const std::string message = error_of<ConfigError>([&] { load_file<Rich>(folder / "five.json"); });
  std::string lines = message;
  const std::string name = folder / "five.json";
  for (std::size_t at; (at = lines.find(name)) != std::string::npos;) lines.replace(at, name.size(), "five.json");
  EXPECT_EQ(lines, R"(five.json:3: /low: needs an integer, got 1.5
five.json:4: /hihg: Rich has no such key; did you mean "high"?
five.json:6: /plain/needed/limit: must be between 0 and 2147483647, got 5000000000
five.json:7: /plain/layer/width: needs an integer, got true
five.json:8: /plain/layer/mode: must be one of "off", "slow", "fast one", got "slwo"; did you mean "slow"?)");
}

// ---- hostile input

TEST_F(ConfigProperty, WhatUsersCodeThrowsIsAnIssue) {
  EXPECT_EQ(refused<Unruly>(R"({"x": 8})"), "cfg.json:1: eight");
  EXPECT_EQ(refused<Unruly>(R"({"x": 9})"), "cfg.json:1: /x: is nine\\nindeed");
  EXPECT_EQ(refused<Unruly>(R"({"x": 7, "twice": 14})"),
            "cfg.json:1: /twice: is computed, which fails for these members: seven\\nis too much");
  EXPECT_EQ(refused<Unruly>(R"({"version": 1, "x": 1})"), "cfg.json:1: cannot be upgraded from version 1: no\\x09way");
  EXPECT_EQ(refused<Unruly>(R"({"version": 1})"),
            "cfg.json:1: cannot be upgraded from version 1: upgrade() made no object of it but: 5");
}

TEST_F(ConfigProperty, APolyTakesTheValueOfItsOwnPart) {
  for (const bool moved : {false, true}) {
    Poly<LayerFamily> poly = Stack{.layers = {Stack{.layers = {Dense{.width = 77}}}}};
    for (int i = 0; i < 2; ++i) {
      auto& part = poly.get_if<Stack>()->layers[0];
      moved ? poly = std::move(part) : poly = part;
    }
    EXPECT_EQ(poly.get_if<Dense>()->width, 77);
  }
}

TEST_F(ConfigProperty, KeysOfMapsMustBeText) {
  const Node node = Node::object({{"entries", Node::object({{"a\xff", 1.0}})}});
  EXPECT_EQ(error_of<ConfigError>([&] { load<Table>(node, "code"); }),
            R"(code: /entries: has the key "a\xff", which must be UTF-8)");
  EXPECT_EQ(error_of<ConfigError>([&] {
              check(Table{.entries = {{"\xff", 1}}}, "code");
            }),
            R"(code: /entries: has the key "\xff", which must be UTF-8)");
  const Node twice = Node::object({{"entries", Node::object({{"a", 1.0}, {"a", 2.0}})}});
  EXPECT_EQ(error_of<ConfigError>([&] { load<Table>(twice, "code"); }), "code: /entries/a: is given twice");
}

TEST_F(ConfigProperty, BigMapsAndManyMistakesDoNotHang) {
  std::string map = R"({"entries": {)", mistakes = "{";
  for (int i = 0; i < 60'000; ++i) {
    map += (i ? ",\"" : "\"") + std::to_string(i) + "\":1";
    mistakes += (i ? ",\"entrees" : "\"entrees") + std::to_string(i) + "\":1";
  }
  const Table big = loaded<Table>(map + "}}");
  EXPECT_EQ(big.entries.size(), 60'000u);
  Table other = big;
  set(other, "entries.77", 5.0);
  EXPECT_EQ(diff(big, other).size(), 1u);
  EXPECT_TRUE(equal(load<Table>(save(big, Save::minimal), "x"), big));
  EXPECT_THAT(refused<Table>(mistakes + "}"), HasSubstr("and 59950 more"));
  Table stars;
  EXPECT_THROW(set(stars, "**.**.**.**.e*e*e*e*e*e*e*e*e*e*e*e*e*e*e*e*x", 1), ConfigError);
  std::string path;
  for (int i = 0; i < 50'000; ++i) path += "**.";
  set(stars, path + "list", Node::array({1}));
  EXPECT_EQ(stars.list.size(), 1u);
}

TEST_F(ConfigProperty, HelpOfARecursiveFamilyEnds) {
  const std::string help = help_text<Rich>();
  EXPECT_LT(help.size(), 100'000u);
  EXPECT_THAT(help, HasSubstr("layer<Dense>.width"));
  EXPECT_THAT(help, HasSubstr("outputs (also size, units)"));
}

TEST_F(ConfigProperty, NumbersThatWouldVanishAreRefused) {
  EXPECT_THAT(error_of<FormatError>([] { parse_json("[1,\n1e-400]", "a.json"); }),
              HasSubstr("a.json:2: the number 1e-400 is too small for 64 bits and would become 0"));
  EXPECT_EQ(parse_json("0e-400", "a.json").real(), 0.0);
  EXPECT_EQ(parse_json("4.9406564584124654e-324", "a.json").real(), std::numeric_limits<double>::denorm_min());
  EXPECT_EQ(Node(7ull).integer(), 7);
  EXPECT_EQ(Node(static_cast<short>(-7)).integer(), -7);
  EXPECT_THAT(error_of<ValueError>([] { Node(1ull << 63); }), HasSubstr("9223372036854775808"));
}

}  // namespace
}  // namespace tapedeck::io
