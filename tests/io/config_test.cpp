#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include <cmath>
#include <random>

#include "temp_folder.h"
#include "test_configs.h"
#include "throws.h"

namespace tapedeck::io {

using namespace testing_configs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Tree {  // a recursive type
  int value = 0;
  std::vector<Tree> children{};
  static constexpr const char* type_name = "Tree";
  static constexpr void fields(auto&& f) {
    f("value", &Tree::value, Meta{.min = 0});
    f("children", &Tree::children);
  }
};

struct Needy {
  std::string data;
  int size = 0;
  static constexpr const char* type_name = "Needy";
  static constexpr void fields(auto&& f) {
    f("data", &Needy::data, Meta{.help = "a folder", .required = true});
    f("size", &Needy::size, Meta{.min = 1, .required = true, .aliases = {"length"}});
  }
};

struct NeedyHolder {
  Needy inner{};
  static constexpr const char* type_name = "NeedyHolder";
  static constexpr void fields(auto&& f) { f("inner", &NeedyHolder::inner); }
};

struct Versioned {
  double seconds = 1;
  static constexpr const char* type_name = "Versioned";
  static constexpr int version = 3;
  static constexpr void fields(auto&& f) { f("seconds", &Versioned::seconds, Meta{.min = 0}); }
  static void upgrade(Node& node, int from) {
    if (from < 2) {
      node.at("ms");  // FormatError without it
      node.rename("ms", "milliseconds");
    }
    if (from < 3 && node.find("milliseconds")) {
      node["seconds"] = node.at("milliseconds").real() / 1000;
      node.erase("milliseconds");
    }
  }
};

struct Impostor {
  static constexpr const char* type_name = "Adam";
  static constexpr void fields(auto&&) {}
};
struct Stranger {
  int x = 0;
  static constexpr const char* type_name = "Stranger";
  static constexpr void fields(auto&& f) { f("x", &Stranger::x); }
};

// Counting of members, which makes a forgotten one a compile error (tests/compile_fail has the error itself).
struct Mixed {
  std::string a;
  std::vector<std::map<std::string, int>> b;
  std::optional<std::array<double, 3>> c;
  Padding d;
  Poly<OptimizerFamily> e;
  Conv f;
  std::array<int, 4> g;
};
static_assert(table::member_count<Mixed>() == 7);
static_assert(table::member_count<Impostor>() == 0);
static_assert(table::member_count<RunConfig>() == 14);
static_assert(table::listing<RunConfig>().count == 14);
static_assert(!Described<Mixed> && Described<RunConfig> && !Described<int>);

struct TwiceListed {
  int a = 0, b = 0;
  static constexpr void fields(auto&& f) {
    f("a", &TwiceListed::a);
    f("a", &TwiceListed::b);
  }
};
struct ReservedName {
  int a = 0;
  static constexpr void fields(auto&& f) { f("type", &ReservedName::a); }
};
static_assert(!table::listing<TwiceListed>().clean && !table::listing<ReservedName>().clean);
static_assert(table::listing<RunConfig>().clean);

namespace {

class Config : public ::testing::Test {
 protected:
  void SetUp() override { register_all(); }
};

template <class T = RunConfig>
T loaded(const std::string& text) {
  return load<T>(parse_json(text, "cfg.json"), "cfg.json");
}
template <class T = RunConfig>
std::string refused(const std::string& text) {
  return error_of<ConfigError>([&] { loaded<T>(text); });
}

TEST_F(Config, EmptyObjectGivesTheDefaults) {
  const RunConfig run = loaded("{}");
  EXPECT_TRUE(equal(run, RunConfig{}));
  EXPECT_EQ(run.net.channels, 32);
  EXPECT_EQ(run.optim.type(), "Adam");
}

TEST_F(Config, EveryKindIsRead) {
  const RunConfig run =
      loaded(R"({"type": "Run", "version": 1, "name": "n\u00e4", "seed": 9007199254740993, "rate": 8000,
    "resume": true, "window": "hamming", "net": {"taps": 5, "padding": "causal", "dropout": 0.5},
    "blocks": [{}, {"kernel": 7}], "dilations": [1, 8], "clip": null, "post": {"dilation": 2},
    "weights": {"a": 2, "b": 0.5}, "optim": {"type": "Sgd", "lr": 2}, "others": [{"type": "Adam"}, {"type": "Sgd"}],
    "pair": [{"channels": 5}, {}]})");
  EXPECT_EQ(run.name, "n\xc3\xa4");
  EXPECT_EQ(run.seed, 9007199254740993);
  EXPECT_EQ(run.rate, 8000);
  EXPECT_TRUE(run.resume);
  EXPECT_EQ(run.window, "hamming");
  EXPECT_EQ(run.net.kernel, 5);  // by its older name
  EXPECT_EQ(run.net.channels, 32);
  EXPECT_EQ(run.net.padding, Padding::causal);
  ASSERT_EQ(run.blocks.size(), 2u);
  EXPECT_EQ(run.blocks[0].channels, 64);
  EXPECT_EQ(run.blocks[1].kernel, 7);
  EXPECT_THAT(run.dilations, ElementsAre(1, 8));
  EXPECT_FALSE(run.clip.has_value());
  EXPECT_EQ(run.post.value().dilation, 2);
  EXPECT_EQ(run.weights, (std::map<std::string, double>{{"a", 2.0}, {"b", 0.5}}));  // replaces the default map
  ASSERT_NE(run.optim.get_if<Sgd>(), nullptr);
  EXPECT_EQ(run.optim.get_if<Sgd>()->lr, 2.0);
  EXPECT_EQ(run.optim.get_if<Adam>(), nullptr);
  EXPECT_EQ(run.others[1].type(), "Sgd");
  EXPECT_EQ(run.pair[0].channels, 5);
  EXPECT_EQ(run.pair[1].channels, 2);
}

TEST_F(Config, SilentConversionsAreErrors) {
  EXPECT_EQ(refused(R"({"net": {"kernel": 3.7}})"), "cfg.json:1: /net/kernel: needs an integer, got 3.7");
  EXPECT_EQ(refused(R"({"net": {"kernel": 3.0}})"), "cfg.json:1: /net/kernel: needs an integer, got 3.0");
  EXPECT_EQ(refused(R"({"net": {"dilation": 5000000000}})"),
            "cfg.json:1: /net/dilation: must be between 1 and 2147483647, got 5000000000");
  EXPECT_EQ(refused<Stranger>(R"({"x": -2147483649})"),
            "cfg.json:1: /x: must be between -2147483648 and 2147483647, got -2147483649");
  EXPECT_EQ(refused(R"({"net": {"kernel": true}})"), "cfg.json:1: /net/kernel: needs an integer, got true");
  EXPECT_EQ(refused(R"({"resume": 1})"), "cfg.json:1: /resume: needs true or false, got 1");
  EXPECT_EQ(refused(R"({"net": {"kernel": -1}})"),
            "cfg.json:1: /net/kernel: must be between 1 and 1023 samples, got -1");
  EXPECT_EQ(refused(R"({"name": 5})"), "cfg.json:1: /name: needs a string, got 5");
  EXPECT_EQ(refused(R"({"net": {"dropout": "0.5"}})"), "cfg.json:1: /net/dropout: needs a number, got \"0.5\"");
  EXPECT_EQ(refused(R"({"net": null})"), "cfg.json:1: /net: needs an object (Conv), got null");
  EXPECT_EQ(refused(R"({"clip": 9007199254740993})"),
            "cfg.json:1: /clip: needs a number that 53 bits hold exactly, got 9007199254740993");
  Node nan = Node::object();
  nan["clip"] = std::nan("");
  EXPECT_THAT(error_of<ConfigError>([&] { load<RunConfig>(nan, "x"); }),
              HasSubstr("/clip: must be a finite number, got nan"));
  EXPECT_EQ(loaded(R"({"clip": 3})").clip, 3.0);  // an integer is a number
}

TEST_F(Config, AllProblemsAreReportedWithPointerAndLine) {
  const std::string text = R"({
  "net": {
    "kernle": 5,
    "kernel": 5.5,
    "padding": "cuasal"
  },
  "dilations": [1,
    0, 2,
    "x"],
  "optim": {"type": "Adma"},
  "weights": {"a/b": -1},
  "window": "han",
  "pair": [{}],
  "zzz": 1
})";
  EXPECT_EQ(refused(text), R"(cfg.json:3: /net/kernle: Conv has no such key; did you mean "kernel"?
cfg.json:4: /net/kernel: needs an integer, got 5.5
cfg.json:5: /net/padding: must be one of "same", "valid", "causal", got "cuasal"; did you mean "causal"?
cfg.json:8: /dilations/1: must be between 1 and 4096, got 0
cfg.json:9: /dilations/3: needs an integer, got "x"
cfg.json:10: /optim/type: must be one of "Adam", "Sgd", got "Adma"; did you mean "Adam"?
cfg.json:11: /weights/a~1b: must be between 0 and 100, got -1
cfg.json:12: /window: must be one of "hann", "hamming", "rectangular", got "han"; did you mean "hann"?
cfg.json:13: /pair: needs a list of 2 values, got 1
cfg.json:14: /zzz: Run has no such key)");
}

TEST_F(Config, ThousandsOfProblemsAreCut) {
  Node list = Node::array(std::vector<Node>(5000, Node("x")));
  const std::string message = error_of<ConfigError>([&] {
    load<RunConfig>(Node::object({{"dilations", list}}), "cfg.json");
  });
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 50);
  EXPECT_THAT(message, HasSubstr("cfg.json: and 4950 more"));
}

TEST_F(Config, ChoicesHoldForIntegersToo) {
  EXPECT_EQ(refused(R"({"rate": 22050})"), "cfg.json:1: /rate: must be one of 8000, 16000, 44100, got 22050");
}

TEST_F(Config, AnAliasAndItsNameTogetherAreRefused) {
  EXPECT_THAT(refused(R"({"net": {"kernel": 2, "taps": 3}})"), HasSubstr("/net/kernel: is given twice"));
}

TEST_F(Config, RequiredMembersAreAllNamed) {
  EXPECT_EQ(refused<Needy>("{}"),
            "cfg.json:1: /data: is required: a string, a folder\ncfg.json:1: /size: is required: an integer");
  EXPECT_THAT(refused<NeedyHolder>("{}"), HasSubstr("/inner/data: is required"));
  EXPECT_EQ(loaded<Needy>(R"({"data": "x", "length": 1})").size, 1);
  EXPECT_EQ(dump_json(save(Needy{}, Save::minimal), -1), R"({"type":"Needy","version":1,"data":"","size":0})");
}

TEST_F(Config, ValidateSeesCompleteObjectsOnly) {
  EXPECT_EQ(refused("{\n\"net\": {\"padding\": \"causal\",\n\"kernel\": 1}}"),
            "cfg.json:3: /net/kernel: must be at least 2 with causal padding");
  EXPECT_EQ(refused(R"({"blocks": [{}, {"padding": "causal", "kernel": 1}]})"),
            "cfg.json:1: /blocks/1/kernel: must be at least 2 with causal padding");
  const std::string both = refused(R"({"net": {"padding": "causal", "kernel": 0}})");
  EXPECT_THAT(both, HasSubstr("between 1 and 1023"));
  EXPECT_THAT(both, ::testing::Not(HasSubstr("causal")));
}

TEST_F(Config, TypeAndVersionOfAnObjectMustFit) {
  EXPECT_THAT(refused(R"({"type": "Conv"})"), HasSubstr("/type: must be \"Run\" here, got \"Conv\""));
  EXPECT_THAT(refused(R"({"version": 2})"), HasSubstr("the file is newer than this program"));
  EXPECT_THAT(refused(R"({"version": 0})"), HasSubstr("/version: must be a version of Run between 1 and 1"));
  EXPECT_THAT(refused(R"({"version": "1"})"), HasSubstr("/version"));
  EXPECT_THAT(refused("[1]"), HasSubstr("cfg.json:1: needs an object (Run), got [1]"));
}

TEST_F(Config, OlderVersionsAreUpgraded) {
  EXPECT_EQ(loaded<Versioned>(R"({"version": 1, "ms": 250})").seconds, 0.25);
  EXPECT_EQ(loaded<Versioned>(R"({"version": 2, "milliseconds": 250})").seconds, 0.25);
  EXPECT_EQ(loaded<Versioned>(R"({"version": 3, "seconds": 4})").seconds, 4);
  EXPECT_EQ(loaded<Versioned>(R"({"seconds": 4})").seconds, 4);  // no version: today's
  EXPECT_THAT(refused<Versioned>(R"({"ms": 4})"), HasSubstr("no such key"));
  EXPECT_THAT(refused<Versioned>(R"({"version": 1})"), HasSubstr("cannot be upgraded from version 1: "));
  EXPECT_THAT(refused<Versioned>("{\n\"version\": 1, \"ms\": -250}"),
              HasSubstr("cfg.json:1: /seconds: must be at least 0"));
}

TEST_F(Config, ComputedFieldsAreExtendedAndMustAgree) {
  const Conv conv{.kernel = 4, .dilation = 8};
  EXPECT_EQ(save(conv).find("receptive_field"), nullptr);
  Node extended = save(conv, Save::extended);
  EXPECT_EQ(extended.at("receptive_field").integer(), 25);
  EXPECT_EQ(extended.at("divided").integer(), 256);
  EXPECT_TRUE(equal(load<Conv>(extended, "x"), conv));
  EXPECT_NE(save(RunConfig{}, Save::extended).at("net").find("receptive_field"), nullptr);
  extended["receptive_field"] = 24;
  EXPECT_EQ(error_of<ConfigError>([&] { load<Conv>(extended, "x"); }),
            "x: /receptive_field: is computed and must be 25 for these members, got 24; correct it or leave it out");
  EXPECT_THAT(refused<Conv>(R"({"kernel": 0, "divided": 1})"), HasSubstr("/kernel: must be between"));  // not asked
}

// ---- Poly

TEST_F(Config, PolyNeedsARegisteredType) {
  EXPECT_THAT(refused(R"({"optim": {"lr": 1}})"),
              HasSubstr("/optim: needs an object with a \"type\", one of \"Adam\", \"Sgd\""));
  EXPECT_THAT(refused(R"({"optim": {"type": "Conv"}})"), HasSubstr("/optim/type: must be one of \"Adam\", \"Sgd\""));
  EXPECT_THAT(refused(R"({"optim": {"type": 5}})"), HasSubstr("got 5"));
  EXPECT_THAT(refused(R"({"optim": null})"), HasSubstr("/optim: needs"));
  EXPECT_THAT(refused(R"({"optim": {"type": "Sgd", "betas": []}})"), HasSubstr("/optim/betas: Sgd has no such key"));
  EXPECT_THAT(refused(R"({"others": [{"type": "Sgd"}, {"type": "Sgd", "lr": 11}]})"), HasSubstr("/others/1/lr"));
}

TEST_F(Config, PolyRegistry) {
  EXPECT_THAT(Poly<OptimizerFamily>::known(), ElementsAre("Adam", "Sgd"));
  EXPECT_NO_THROW(Poly<OptimizerFamily>::add<Adam>());  // again
  EXPECT_THAT(Poly<OptimizerFamily>::known(), ElementsAre("Adam", "Sgd"));
  EXPECT_THAT(error_of<ConfigError>([] { Poly<OptimizerFamily>::add<Impostor>(); }), HasSubstr("\"Adam\""));
  struct Elsewhere {};
  EXPECT_THAT(Poly<Elsewhere>::known(), ElementsAre());
  EXPECT_NO_THROW(Poly<Elsewhere>::add<Impostor>());  // names are per family
}

TEST_F(Config, PolyIsAValue) {
  Poly<OptimizerFamily> a = Sgd{.lr = 0.5};
  Poly<OptimizerFamily> b = a;
  b.get_if<Sgd>()->lr = 0.25;
  EXPECT_EQ(a.get_if<Sgd>()->lr, 0.5);
  a = b;
  EXPECT_EQ(a.get_if<Sgd>()->lr, 0.25);
  Poly<OptimizerFamily> c = std::move(a);
  EXPECT_EQ(c.type(), "Sgd");
  EXPECT_TRUE(a.empty());  // NOLINT: a moved-from Poly is empty
  EXPECT_EQ(a.type(), "");
  a = c;
  EXPECT_FALSE(a.empty());
  c = Poly<OptimizerFamily>();
  EXPECT_TRUE(c.empty());
}

// ---- check, patch

TEST_F(Config, CheckFindsWhatCodeBuiltWrongly) {
  EXPECT_NO_THROW(check(RunConfig{}, "Run"));
  RunConfig run;
  run.net.kernel = -1;
  run.clip = std::nan("");
  run.dilations = {1, 9999};
  run.window = "hat";
  run.name = "\xff";
  run.net.padding = static_cast<Padding>(7);
  run.optim = Poly<OptimizerFamily>();
  run.others = {Stranger{}};
  run.weights["x"] = HUGE_VAL;
  EXPECT_EQ(error_of<ConfigError>([&] { check(run, "Run"); }),
            R"(Run: /name: must be UTF-8, got "\xff"
Run: /window: must be one of "hann", "hamming", "rectangular", got "hat"
Run: /net/kernel: must be between 1 and 1023 samples, got -1
Run: /net/padding: must be one of "same", "valid", "causal", got the unnamed value 7
Run: /dilations/1: must be between 1 and 4096, got 9999
Run: /clip: must be a finite number, got nan
Run: /weights/x: must be a finite number, got inf
Run: /optim: needs an object with a "type", one of "Adam", "Sgd"
Run: /others/0: "Stranger" is not registered in its family; register it with Poly<Family>::add())");
  EXPECT_EQ(error_of<ConfigError>([&] { check(Conv{.kernel = 1, .padding = Padding::causal}, "Conv"); }),
            "Conv: /kernel: must be at least 2 with causal padding");
}

TEST_F(Config, PatchChangesOnlyWhatIsNamed) {
  RunConfig run;
  run.net.dropout = 0.25;
  run.post = Conv{.kernel = 9};
  patch(run,
        parse_json(R"({"net": {"kernel": 5}, "weights": {"kl": 2}, "post": {"dilation": 3},
                            "optim": {"lr": 0.5}})",
                   "p"),
        "p");
  EXPECT_EQ(run.net.kernel, 5);
  EXPECT_EQ(run.net.dropout, 0.25);
  EXPECT_EQ(run.net.channels, 32);
  EXPECT_EQ(run.weights.at("nll"), 1.0);
  EXPECT_EQ(run.weights.at("kl"), 2.0);
  EXPECT_EQ(run.post->kernel, 9);
  EXPECT_EQ(run.post->dilation, 3);
  EXPECT_EQ(run.optim.get_if<Adam>()->lr, 0.5);
  patch(run, parse_json(R"({"optim": {"type": "Sgd"}})", "p"), "p");  // another type starts from its defaults
  EXPECT_EQ(run.optim.get_if<Sgd>()->lr, 0.1);
}

TEST_F(Config, PatchHasTheStrongGuarantee) {
  RunConfig run;
  const RunConfig before = run;
  EXPECT_THROW(patch(run, parse_json(R"({"net": {"kernel": 5}, "seed": "x"})", "p"), "p"), ConfigError);
  EXPECT_TRUE(equal(run, before));
}

// ---- dumps

TEST_F(Config, DumpsAreCanonical) {
  EXPECT_EQ(dump_json(save(Conv{}), -1),
            R"({"type":"Conv","version":1,"channels":64,"kernel":3,"dilation":1,"padding":"same","dropout":0.0})");
  const std::string text = dump_json(save(RunConfig{}));
  EXPECT_EQ(dump_json(save(loaded(text))), text);
  const std::string shuffled = R"({"seed": 1, "name": "x", "net": {"dropout": 0, "channels": 32}})";
  EXPECT_EQ(dump_json(save(loaded(shuffled))), dump_json(save(RunConfig{.name = "x", .seed = 1})));
}

TEST_F(Config, MinimalDumpHoldsTheDifferenceFromTheDefaults) {
  EXPECT_EQ(dump_json(save(RunConfig{}, Save::minimal), -1), R"({"type":"Run","version":1})");
  RunConfig run;
  run.net.channels = 64;  // Conv's default, but not Run's
  run.blocks = {Conv{}, Conv{.kernel = 5}};
  run.optim = Sgd{.lr = 0.5};
  run.clip.reset();
  run.pair[1].kernel = 2;
  EXPECT_EQ(dump_json(save(run, Save::minimal), -1),
            R"({"type":"Run","version":1,"net":{"version":1,"channels":64},"blocks":[{"version":1},)"
            R"({"version":1,"kernel":5}],"clip":null,"optim":{"type":"Sgd","version":1,"lr":0.5},)"
            R"("pair":[{"version":1},{"version":1,"kernel":2}]})");
  EXPECT_TRUE(equal(load<RunConfig>(save(run, Save::minimal), "x"), run));
}

TEST_F(Config, AnEnumValueWithoutANameCannotBeSaved) {
  EXPECT_THAT(error_of<ConfigError>([] { save(Conv{.padding = static_cast<Padding>(9)}); }), HasSubstr("9"));
}

TEST_F(Config, RecursiveTypes) {
  const Tree tree{.value = 1, .children = {Tree{.value = 2, .children = {Tree{}}}, Tree{.value = 3}}};
  const Tree back = load<Tree>(parse_json(dump_json(save(tree)), "t"), "t");
  EXPECT_TRUE(equal(back, tree));
  EXPECT_EQ(back.children[0].children.size(), 1u);
  EXPECT_THAT(refused<Tree>(R"({"children": [{"children": [{"value": -1}]}]})"),
              HasSubstr("/children/0/children/0/value"));
}

Conv random_conv(std::mt19937& g) {
  const auto pick = [&](int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(g); };
  return {.channels = pick(1, 65536),
          .kernel = pick(2, 1023),
          .dilation = pick(1, 1 << 30),
          .padding = static_cast<Padding>(pick(0, 2)),
          .dropout = std::uniform_real_distribution<double>(0, 0.9)(g)};
}

RunConfig random_run(std::mt19937& g) {
  const auto pick = [&](int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(g); };
  const auto text = [&] {
    std::string s;
    for (int i = pick(0, 8); i > 0; --i)
      s += std::array{"a", "\"", "\\", "/", "~", "\n", "\xc3\xa4", "\x01"}[pick(0, 7)];
    return s;
  };
  const auto optimizer = [&]() -> Poly<OptimizerFamily> {
    const double u = std::uniform_real_distribution<double>(1e-7, 1)(g);
    if (pick(0, 1)) return Adam{.lr = u, .betas = {u / 2, 0.5}};
    return Sgd{.lr = 10 * u, .nesterov = pick(0, 1) == 1};
  };
  RunConfig run{.name = text(),
                .seed = static_cast<std::int64_t>((std::uint64_t{g()} << 32) | g()),
                .rate = std::array{8000, 16000, 44100}[pick(0, 2)],
                .resume = pick(0, 1) == 1,
                .net = random_conv(g),
                .optim = optimizer()};
  for (int i = pick(0, 3); i > 0; --i) run.blocks.push_back(random_conv(g));
  run.dilations.assign(static_cast<std::size_t>(pick(0, 5)), pick(1, 4096));
  if (pick(0, 1)) run.clip.reset();
  if (pick(0, 1)) run.post = random_conv(g);
  if (pick(0, 1)) run.weights.clear();
  for (int i = pick(0, 3); i > 0; --i) run.weights[text()] = pick(0, 100) / 3.5;
  for (int i = pick(0, 2); i > 0; --i) run.others.push_back(optimizer());
  if (pick(0, 1)) run.pair[0] = random_conv(g);
  return run;
}

TEST_F(Config, LoadUndoesSaveForRandomConfigs) {
  std::mt19937 g(7);
  for (int i = 0; i < 500; ++i) {
    const RunConfig run = random_run(g);
    const std::string full = dump_json(save(run));
    for (Save how : {Save::full, Save::minimal, Save::extended}) {
      const RunConfig back = loaded(dump_json(save(run, how), i % 3 - 1));
      ASSERT_EQ(dump_json(save(back)), full);
      ASSERT_TRUE(diff(run, back).empty());
      ASSERT_EQ(hash(back), hash(run));
    }
  }
}

// ---- comparing

TEST_F(Config, DiffNamesPathBeforeAndAfter) {
  RunConfig a, b;
  EXPECT_TRUE(diff(a, b).empty());
  EXPECT_TRUE(equal(a, b));
  b.net.kernel = 5;
  b.dilations = {1, 2, 8};
  b.blocks.resize(1);
  b.weights = {{"kl", 2.0}};
  b.optim = Sgd{};
  b.pair[1].dropout = 0.5;
  const auto d = diff(a, b);
  std::vector<std::string> paths;
  for (const Difference& x : d) paths.push_back(x.path);
  EXPECT_THAT(paths, ElementsAre("net.kernel", "blocks", "dilations.2", "weights.nll", "weights.kl", "optim",
                                 "pair.1.dropout"));
  EXPECT_EQ(d[0].before, Node(3));
  EXPECT_EQ(d[0].after, Node(5));
  EXPECT_TRUE(d[3].after.is_null());
  EXPECT_TRUE(d[4].before.is_null());
  EXPECT_EQ(d[5].after.at("type"), Node("Sgd"));
  EXPECT_FALSE(equal(a, b));
  EXPECT_NE(hash(a), hash(b));
}

TEST_F(Config, TheHashIsStable) {
  EXPECT_EQ(hash(Node("a")), 0xD4272417D7C77EEAu);  // FNV-1a of the three bytes "a" with its quotes
  EXPECT_EQ(hash(Conv{}), hash(load<Conv>(Node::object(), "x")));
}

TEST_F(Config, NearestWord) {
  EXPECT_EQ(nearest("kernle", {"channels", "kernel"}), "kernel");
  EXPECT_EQ(nearest("Learning-Rate", {"learning_rate"}), "learning_rate");
  EXPECT_EQ(nearest("lr", {"rl", "x"}), "rl");
  EXPECT_EQ(nearest("zzz", {"kernel", "a"}), "");
  EXPECT_EQ(nearest("", {"a"}), "");
  EXPECT_EQ(nearest("abc", {}), "");
  EXPECT_EQ(nearest(std::string(100'000, 'a'), {"kernel"}), "");
}

// ---- files

TEST_F(Config, FilesMayHaveCommentsAndErrorsNameThem) {
  TempFolder folder;
  write_file_atomic(folder / "a.json", "// how we train\n{\"seed\": 5 /* any */}");
  EXPECT_EQ(load_file<RunConfig>(folder / "a.json").seed, 5);
  write_file_atomic(folder / "b.json", "{\n\"seed\": 1.5}");
  EXPECT_THAT(error_of<ConfigError>([&] { load_file<RunConfig>(folder / "b.json"); }),
              HasSubstr("b.json:2: /seed: needs an integer"));
  write_file_atomic(folder / "c.json", "{\n\"seed\": 1,\n\"seed\": 2}");
  EXPECT_THAT(error_of<ConfigError>([&] { load_file<RunConfig>(folder / "c.json"); }),
              HasSubstr("c.json:3: duplicate key"));
  EXPECT_THAT(error_of<IoError>([&] { load_file<RunConfig>(folder / "d.json"); }), HasSubstr("d.json"));
  EXPECT_THAT(error_of<ConfigError>([&] { load_file<RunConfig>(folder.path()); }), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of<ConfigError>([&] { load_file<RunConfig>("/dev/zero"); }), HasSubstr("not a regular file"));
  write_file_atomic(folder / "e.json", std::string((1 << 20) + 1, ' '));
  EXPECT_THAT(error_of<ConfigError>([&] { load_file<RunConfig>(folder / "e.json"); }), HasSubstr("1048577 bytes"));
}

}  // namespace
}  // namespace tapedeck::io
