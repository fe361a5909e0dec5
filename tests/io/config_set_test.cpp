// Overrides as on the command line, and the derived views: help text and JSON Schema.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>

#include "temp_folder.h"
#include "test_configs.h"
#include "throws.h"

namespace tapedeck::io {

using namespace testing_configs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

struct Outer {
  std::optional<Poly<OptimizerFamily>> optim{};
  std::map<std::string, Conv> nets{};
  std::optional<std::string> note{};
  std::vector<std::string> tags{};
  double wide = 1;
  double rate = 0.5;
  static constexpr const char* type_name = "Outer";
  static constexpr void fields(auto&& f) {
    f("optim", &Outer::optim);
    f("nets", &Outer::nets);
    f("note", &Outer::note);
    f("tags", &Outer::tags);
    f("wide", &Outer::wide, Meta{.min = 1e-3, .max = 1e3, .unit = "s"});
    f("rate", &Outer::rate, Meta{.min = 0, .max = 1, .required = true});
  }
};

struct Undecided {
  Poly<OptimizerFamily> optim{};
  static constexpr const char* type_name = "Undecided";
  static constexpr void fields(auto&& f) { f("optim", &Undecided::optim); }
};

struct Node2 {
  int value = 0;
  std::vector<Node2> children{};
  static constexpr const char* type_name = "Node2";
  static constexpr void fields(auto&& f) {
    f("value", &Node2::value);
    f("children", &Node2::children, Meta{.help = "below"});
  }
};

namespace {

class ConfigSet : public ::testing::Test {
 protected:
  void SetUp() override { register_all(); }

  template <class T>
  static std::string refused(T& value, const std::vector<std::string>& assignments) {
    const std::string before = dump_json(save(value));
    const std::string message = error_of<ConfigError>([&] { set(value, assignments); });
    EXPECT_EQ(dump_json(save(value)), before) << "the strong guarantee";
    return message;
  }

  RunConfig run_;
};

TEST_F(ConfigSet, PathsReachEveryKind) {
  set(run_, {"name=two words = one", "seed=-3", "resume=true", "net.kernel=5", "net/padding=causal", "/net/dropout=0.5",
             "dilations=[1,2]", "dilations.1=5", "clip=2", "weights.kl=0.5", "optim.lr=0.25", "pair.1.channels=9"});
  EXPECT_EQ(run_.name, "two words = one");
  EXPECT_EQ(run_.seed, -3);
  EXPECT_TRUE(run_.resume);
  EXPECT_EQ(run_.net.kernel, 5);
  EXPECT_EQ(run_.net.padding, Padding::causal);
  EXPECT_EQ(run_.net.dropout, 0.5);
  EXPECT_THAT(run_.dilations, ElementsAre(1, 5));
  EXPECT_EQ(run_.clip, 2.0);
  EXPECT_EQ(run_.weights.at("kl"), 0.5);
  EXPECT_EQ(run_.optim.get_if<Adam>()->lr, 0.25);
  EXPECT_EQ(run_.pair[1].channels, 9);
  set(run_, "net.taps=7");  // an alias
  EXPECT_EQ(run_.net.kernel, 7);
  set(run_, "net={\"dropout\": 0.1}");  // an object is patched in
  EXPECT_EQ(run_.net.kernel, 7);
  EXPECT_EQ(run_.net.dropout, 0.1);
}

TEST_F(ConfigSet, StringsAreTakenAsTheyStand) {
  set(run_, "name=123");
  EXPECT_EQ(run_.name, "123");
  set(run_, "name=true");
  EXPECT_EQ(run_.name, "true");
  set(run_, "name=");
  EXPECT_EQ(run_.name, "");
  set(run_, "name=\"quoted \\u00e4\"");
  EXPECT_EQ(run_.name, "quoted \xc3\xa4");
  Outer outer;
  set(outer, "note=hello");
  EXPECT_EQ(outer.note, "hello");
  set(outer, "note=null");
  EXPECT_EQ(outer.note, std::nullopt);
}

TEST_F(ConfigSet, OptionalsAndMapsAreMadeOnTheWay) {
  set(run_, "post.kernel=9");
  EXPECT_EQ(run_.post.value().kernel, 9);
  Outer outer;
  set(outer, {"optim.type=Sgd", "optim.lr=0.5", "nets.a.kernel=5"});
  EXPECT_EQ(outer.optim->get_if<Sgd>()->lr, 0.5);
  EXPECT_EQ(outer.nets.at("a").kernel, 5);
}

TEST_F(ConfigSet, PolyTypeIsAPath) {
  set(run_, {"optim.lr=0.5", "optim.type=Sgd"});
  EXPECT_EQ(run_.optim.get_if<Sgd>()->lr, 0.1);  // another type starts from its defaults
  set(run_, {"optim.lr=0.5", "optim.type=Sgd"});
  EXPECT_EQ(run_.optim.get_if<Sgd>()->lr, 0.5);  // the same type stays as it is
  EXPECT_THAT(refused(run_, {"optim.type=Sdg"}), HasSubstr("optim.type=Sdg: /optim/type: must be one of"));
  EXPECT_THAT(refused(run_, {"net.type=Sgd"}), HasSubstr("must be \"Conv\" here"));
  Undecided open;
  EXPECT_THAT(refused(open, {"optim.lr=1"}), HasSubstr("set its \"type\" first"));
  set(open, {"optim.type=Sgd", "optim.lr=1"});
  EXPECT_EQ(open.optim.get_if<Sgd>()->lr, 1.0);
}

TEST_F(ConfigSet, Globs) {
  run_.blocks.resize(2);
  run_.others = {Sgd{}, Adam{}};
  set(run_, "**.dropout=0.5");
  EXPECT_EQ(run_.net.dropout, 0.5);
  EXPECT_EQ(run_.blocks[1].dropout, 0.5);
  EXPECT_EQ(run_.pair[0].dropout, 0.5);
  set(run_, "blocks.*.kernel=9");
  EXPECT_EQ(run_.blocks[0].kernel, 9);
  EXPECT_EQ(run_.net.kernel, 3);
  set(run_, "**/lr=0.125");
  EXPECT_EQ(run_.optim.get_if<Adam>()->lr, 0.125);
  EXPECT_EQ(run_.others[0].get_if<Sgd>()->lr, 0.125);
  set(run_, "n*.ker*l=4");
  EXPECT_EQ(run_.net.kernel, 4);
  set(run_, "**.type=Sgd");
  EXPECT_EQ(run_.optim.type() + run_.others[1].type(), "SgdSgd");
  set(run_, "**.seed=5");  // ** may stand for nothing
  EXPECT_EQ(run_.seed, 5);
  EXPECT_EQ(refused(run_, {"**.dropuot=0.1"}), "**.dropuot=0.1: the path matches nothing in this config");
  EXPECT_THAT(refused(run_, {"**.dropout=2"}), HasSubstr("/blocks/1/dropout: must be between 0 and 0.9"));
  EXPECT_THAT(refused(run_, {"net.**=1"}), HasSubstr("write the name after it"));
}

TEST_F(ConfigSet, AGlobMayMatchAPartAndItsWhole) {
  Node2 tree{.children = {Node2{.children = {Node2{}, Node2{}}}, Node2{}}};
  set(tree, "**.children=[]");
  EXPECT_TRUE(tree.children.empty());
}

TEST_F(ConfigSet, Removal) {
  set(run_, {"~clip", "~weights.nll"});
  EXPECT_FALSE(run_.clip.has_value());
  EXPECT_TRUE(run_.weights.empty());
  EXPECT_THAT(refused(run_, {"~weights.nll"}),
              HasSubstr("~weights.nll: /weights/nll: there is no such entry to remove"));
  EXPECT_THAT(refused(run_, {"~seed"}),
              HasSubstr("only an optional value or an entry of a map or a list can be removed"));
  EXPECT_THAT(refused(run_, {"~*.seed"}), HasSubstr("without *"));
  EXPECT_THAT(refused(run_, {"~post.kernel"}), HasSubstr("/post/kernel: there are no parts here"));
}

TEST_F(ConfigSet, FilesAsValues) {
  TempFolder folder;
  write_file_atomic(folder / "net.json", "{\n  // wide\n  \"channels\": 128}");
  set(run_, "net=@" + folder / "net.json");
  EXPECT_EQ(run_.net.channels, 128);
  write_file_atomic(folder / "bad.json", "{\n\"chanels\": 128}");
  EXPECT_THAT(refused(run_, {"net=@" + folder / "bad.json"}),
              HasSubstr("bad.json:2: /net/chanels: Conv has no such key"));
  EXPECT_THAT(refused(run_, {"net=@" + folder / "none.json"}), HasSubstr("none.json"));
}

TEST_F(ConfigSet, ErrorsNameTheOverrideAndAllAreReported) {
  EXPECT_EQ(refused(run_, {"net.kernle=5", "seed=1.5", "dilations.7=1", "seed.x=1", "net.padding=sam", "clip=-1"}),
            R"(net.kernle=5: /net/kernle: Conv has no such key; did you mean "kernel"?
seed=1.5: /seed: needs an integer, got 1.5
dilations.7=1: /dilations/7: the list has 3 elements; name one by its index, counted from 0
seed.x=1: /seed/x: there are no parts here: the value above is an integer
net.padding=sam: /net/padding: must be one of "same", "valid", "causal", got "sam"; did you mean "same"?
clip=-1: /clip: must be at least 0, got -1)");
  EXPECT_THAT(refused(run_, {"seed"}), HasSubstr("seed: an override is written path=value"));
  EXPECT_THAT(refused(run_, {"=5"}), HasSubstr("empty part"));
  EXPECT_THAT(refused(run_, {"net..kernel=5"}), HasSubstr("empty part"));
  EXPECT_THAT(refused(run_, {"dilations=[1,"}), HasSubstr("syntax error"));
  EXPECT_THAT(refused(run_, {"seed=abc"}), HasSubstr("needs an integer, got \"abc\""));
  EXPECT_THAT(refused(run_, {"dilations=[1,0]"}), HasSubstr("dilations=[1,0]: /dilations/1: must be"));
}

TEST_F(ConfigSet, RulesAcrossMembersAreAskedAtTheEnd) {
  set(run_, {"net.padding=causal", "net.kernel=2"});
  EXPECT_EQ(refused(run_, {"net.kernel=1"}), "net.kernel=1: /net/kernel: must be at least 2 with causal padding");
  set(run_, {"net.kernel=1", "net.padding=same"});  // wrong in between, right at the end
  EXPECT_EQ(run_.net.kernel, 1);
}

TEST_F(ConfigSet, HelpText) {
  const std::string help = help_text<RunConfig>();
  EXPECT_THAT(help, HasSubstr("shown in the log\n"));
  const auto line = [&](const std::string& path) {
    const std::size_t at = ("\n" + help).find("\n" + path + " ");
    return at == std::string::npos ? path + " is missing" : help.substr(at, help.find('\n', at) - at);
  };
  EXPECT_THAT(line("net.channels"), HasSubstr("integer between 1 and 65536"));
  EXPECT_THAT(line("net.channels"), HasSubstr(" 32 "));  // Run's default, not Conv's
  EXPECT_THAT(line("net.channels"), HasSubstr("width of the output"));
  EXPECT_THAT(line("net.kernel"), HasSubstr("1 and 1023 samples"));
  EXPECT_THAT(line("blocks.N.kernel"), HasSubstr("integer"));
  EXPECT_THAT(line("optim"), HasSubstr(R"(one of "Adam", "Sgd")"));
  EXPECT_THAT(line("optim<Sgd>.nesterov"), HasSubstr("boolean"));
  EXPECT_THAT(line("rate"), HasSubstr("one of 8000, 16000, 44100"));
  EXPECT_THAT(line("clip"), HasSubstr("number at least 0 or null"));
  EXPECT_THAT(help_text<Outer>(), HasSubstr("required"));
  EXPECT_THAT(help_text<Node2>(), HasSubstr("children"));  // ends, though the type is recursive
}

TEST_F(ConfigSet, SchemaHasAWidgetForEveryKind) {
  const Node schema = io::schema<RunConfig>();
  EXPECT_EQ(schema.at("$schema").string(), "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(schema.at("$ref").string(), "#/$defs/Run");
  const Node& run = schema.at("$defs").at("Run").at("properties");
  const Node& conv = schema.at("$defs").at("Conv").at("properties");
  const auto widget = [](const Node& n) { return n.at("x-widget").string(); };
  EXPECT_EQ(widget(run.at("resume")), "checkbox");
  EXPECT_EQ(widget(run.at("name")), "text");
  EXPECT_EQ(widget(run.at("seed")), "number");
  EXPECT_EQ(widget(run.at("window")), "select");
  EXPECT_EQ(widget(run.at("rate")), "select");
  EXPECT_EQ(widget(run.at("optim")), "select");
  EXPECT_EQ(widget(run.at("dilations")), "list");
  EXPECT_EQ(widget(run.at("weights")), "list");
  EXPECT_EQ(widget(run.at("pair")), "list");
  EXPECT_EQ(widget(conv.at("padding")), "select");
  EXPECT_EQ(widget(conv.at("kernel")), "slider");
  EXPECT_EQ(conv.at("kernel").at("x-scale").string(), "log");  // 1 to 1023
  EXPECT_EQ(conv.at("kernel").at("x-unit").string(), "samples");
  EXPECT_EQ(conv.at("dropout").find("x-scale"), nullptr);
  EXPECT_EQ(conv.at("dropout").at("maximum").real(), 0.9);
  EXPECT_EQ(conv.at("channels").at("description").string(), "width of the output");
  EXPECT_TRUE(conv.at("taps").at("deprecated").boolean());
  EXPECT_TRUE(conv.at("receptive_field").at("readOnly").boolean());
  EXPECT_EQ(run.at("net").at("default").at("channels").integer(), 32);
  EXPECT_EQ(run.at("optim").at("oneOf").size(), 2u);
  EXPECT_EQ(run.at("rate").at("enum"), Node::array({8000, 16000, 44100}));
  EXPECT_FALSE(schema.at("$defs").at("Run").at("additionalProperties").boolean());
  EXPECT_EQ(schema.at("$defs").at("Conv").at("description").string(), "a convolution");
  EXPECT_EQ(schema.at("$defs").at("Run").find("description"), nullptr);

  const Node outers = io::schema<Outer>(), trees = io::schema<Node2>();
  const Node& outer = outers.at("$defs").at("Outer");
  EXPECT_EQ(outer.at("required"), Node::array({"rate"}));
  EXPECT_EQ(outer.at("properties").at("rate").find("default"), nullptr);
  EXPECT_EQ(outer.at("properties").at("wide").at("x-scale").string(), "log");
  const Node& tree = trees.at("$defs").at("Node2");
  EXPECT_EQ(tree.at("properties").at("children").at("items").at("$ref").string(), "#/$defs/Node2");
}

}  // namespace
}  // namespace tapedeck::io
