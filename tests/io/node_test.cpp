#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/node.h>
#include <tapedeck/tensor/error.h>

#include <cmath>
#include <limits>

#include "temp_folder.h"
#include "throws.h"

namespace tapedeck::io {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string refusal(std::string_view text, const ParseLimits& limits = {}) {
  return error_of<FormatError>([&] { parse_json(text, "a.json", limits); });
}

TEST(Node, KindsAndAccess) {
  const Node n = parse_json(R"({"b":true,"i":-3,"r":2.5,"s":"x","a":[1,null],"o":{}})", "a.json");
  EXPECT_TRUE(n.at("b").boolean());
  EXPECT_EQ(n.at("i").integer(), -3);
  EXPECT_EQ(n.at("i").real(), -3.0);
  EXPECT_EQ(n.at("r").real(), 2.5);
  EXPECT_EQ(n.at("s").string(), "x");
  EXPECT_EQ(n.at("a").size(), 2u);
  EXPECT_TRUE(n.at("a").items()[1].is_null());
  EXPECT_TRUE(n.at("o").is_object());
  EXPECT_EQ(n.find("missing"), nullptr);
  EXPECT_EQ(n.at("s").find("x"), nullptr);
}

TEST(Node, WrongUseNamesBothKinds) {
  const Node n = parse_json("{\n\"r\": 2.5}", "a.json");
  EXPECT_THAT(error_of<FormatError>([&] { (void)n.at("r").integer(); }), HasSubstr("integer but it is of kind number"));
  EXPECT_THAT(error_of<FormatError>([&] { (void)n.at("r").integer(); }), HasSubstr("(line 2)"));
  EXPECT_THAT(error_of<FormatError>([&] { (void)Node(true).real(); }), HasSubstr("boolean"));
  EXPECT_THAT(error_of<FormatError>([&] { (void)n.items(); }), HasSubstr("array"));
  EXPECT_THAT(error_of<FormatError>([&] { (void)Node("s").size(); }), HasSubstr("string"));
  EXPECT_THAT(error_of<FormatError>([&] { (void)n.at("q"); }), HasSubstr("no key \"q\""));
}

TEST(Node, ObjectsGrowAndKeepTheirOrder) {
  Node n;
  n["z"] = 1;
  n["a"] = Node::array({1, 2.0, "x"});
  n["z"] = 2;
  n["a"].push(true);
  EXPECT_EQ(dump_json(n, -1), R"({"z":2,"a":[1,2.0,"x",true]})");
  EXPECT_FALSE(n.rename("q", "r"));
  EXPECT_THAT(error_of<FormatError>([&] { n.rename("a", "z"); }), HasSubstr("both \"a\""));
  EXPECT_TRUE(n.rename("z", "y"));
  EXPECT_EQ(n.members()[0].first, "y");
  EXPECT_TRUE(n.rename("y", "z"));
  EXPECT_TRUE(n.erase("z"));
  EXPECT_FALSE(n.erase("z"));
  EXPECT_EQ(n.size(), 1u);
}

TEST(Node, EqualityIsOfValuesAndOrder) {
  EXPECT_EQ(parse_json("{\"a\":\n1}", "x"), parse_json("{\"a\":1}", "y"));
  EXPECT_NE(parse_json(R"({"a":1,"b":2})", "x"), parse_json(R"({"b":2,"a":1})", "x"));
  EXPECT_NE(Node(1), Node(1.0));
  EXPECT_NE(Node(1), Node(true));
  EXPECT_NE(Node(), Node(0));
}

TEST(ParseJson, RecordsTheLineOfEveryValue) {
  const Node n = parse_json("\n{\n \"a\": 5\n,\n\"b\"\n:\n[7\n,\n\"x\",true\n],\"c\":\n{}}\n\n", "a.json");
  EXPECT_EQ(n.line(), 2);
  EXPECT_EQ(n.at("a").line(), 3);  // the number ends with the end of its line
  EXPECT_EQ(n.at("b").line(), 7);
  EXPECT_EQ(n.at("b").items()[0].line(), 7);
  EXPECT_EQ(n.at("b").items()[1].line(), 9);
  EXPECT_EQ(n.at("b").items()[2].line(), 9);
  EXPECT_EQ(n.at("c").line(), 11);
}

TEST(ParseJson, SyntaxErrorsNameTheLine) {
  EXPECT_THAT(refusal(""), StartsWith("a.json:1: "));
  EXPECT_THAT(refusal("{\n\"a\": tru\n}"), StartsWith("a.json:2: "));
  EXPECT_THAT(refusal("{\n\"a\": 1\n\"b\": 2}"), StartsWith("a.json:3: "));
  EXPECT_THAT(refusal("{} x"), HasSubstr("syntax error"));
  for (const char* text :
       {"{",     "[1,]",   "{\"a\"}", "{'a':1}",   "[01]",        "[+1]",  "[.5]", "[1.]",    "[NaN]",    "[Infinity]",
        "[0x1]", "\"\t\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "[1 2]", "nul",  "// c\n1", "\xEF\xBB", "-"}) {
    EXPECT_THAT(refusal(text), StartsWith("a.json:")) << text;
  }
}

TEST(ParseJson, TheNameIsMadePrintable) {
  EXPECT_THAT(error_of<FormatError>([] { parse_json("x", "a\nb"); }), StartsWith("a\\nb:1: "));
}

TEST(ParseJson, RefusesWhatFollowsANulByte) {
  EXPECT_THAT(refusal(std::string_view("{}\n\0 garbage", 12)), HasSubstr("a.json:2: column 1: a NUL byte"));
}

TEST(ParseJson, RefusesDuplicateKeysAtAnyDepth) {
  EXPECT_THAT(refusal("{\"a\":1,\n\"a\":2}"), HasSubstr("a.json:2: duplicate key \"a\""));
  EXPECT_THAT(refusal(R"([{"b":{"x":1,"y":2,"\u0078":3}}])"), HasSubstr("duplicate key \"x\""));
  EXPECT_NO_THROW(parse_json(R"([{"a":1},{"a":2,"b":{"a":3}}])", "a.json"));
}

TEST(ParseJson, RefusesInvalidUtf8) {
  for (const char* text : {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xe2\x82\""}) {
    EXPECT_THAT(refusal(text), HasSubstr("a.json:1: ")) << text;
  }
  EXPECT_EQ(parse_json("\"\xc3\xa4 \\u00e4 \\ud83d\\ude00\"", "a").string(), "\xc3\xa4 \xc3\xa4 \xf0\x9f\x98\x80");
}

TEST(ParseJson, NumbersKeepTheirKindAndRange) {
  EXPECT_EQ(parse_json("9223372036854775807", "a").integer(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse_json("-9223372036854775808", "a").integer(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(parse_json("1.0", "a").kind(), Node::Kind::real);
  EXPECT_EQ(parse_json("1e2", "a").kind(), Node::Kind::real);
  for (const char* text :
       {"9223372036854775808", "-9223372036854775809", "18446744073709551616", "123456789012345678901234567890"}) {
    EXPECT_THAT(refusal(text), HasSubstr("outside the 64-bit range")) << text;
  }
  EXPECT_THAT(refusal("[1,\n1e999]"), StartsWith("a.json:2: "));
  EXPECT_THAT(refusal("-1e309"), HasSubstr("overflow"));
}

TEST(ParseJson, DepthLimit) {
  const auto nested = [](int n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_NO_THROW(parse_json(nested(64), "a.json"));
  EXPECT_THAT(refusal(nested(65)), HasSubstr("deeper than the limit of 64"));
  std::string objects;
  for (int i = 0; i < 65; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), HasSubstr("deeper than the limit of 64"));
}

TEST(ParseJson, TwoHundredKilobytesOfBracketsAreRefusedQuietly) {
  EXPECT_THAT(refusal(std::string(200'000, '[')), HasSubstr("deeper"));
  ParseLimits limits;
  limits.depth = 100'000;
  limits.values = 1000;
  EXPECT_THAT(refusal(std::string(200'000, '['), limits), HasSubstr("more than the limit of 1000 values"));
}

TEST(ParseJson, SizeLimits) {
  ParseLimits limits;
  limits.bytes = 10;
  limits.values = 3;
  limits.string_bytes = 4;
  EXPECT_NO_THROW(parse_json("[1,2]     ", "a", limits));
  EXPECT_THAT(refusal("[1,2]      ", limits), HasSubstr("11 bytes are more than the limit of 10"));
  EXPECT_THAT(refusal("[1,2,3]", limits), HasSubstr("3 values"));
  EXPECT_THAT(refusal("\"12345\"", limits), HasSubstr("5 bytes is longer than the limit of 4"));
  EXPECT_THAT(refusal("{\"12345\":1", limits), HasSubstr("longer than the limit"));
}

TEST(ParseJson, CommentsOnRequest) {
  const std::string text = "// head\n{ /* two\nlines */ \"a\": 1 // end\n}";
  EXPECT_THAT(refusal(text), StartsWith("a.json:1: "));
  ParseLimits limits;
  limits.comments = true;
  const Node n = parse_json(text, "a.json", limits);
  EXPECT_EQ(n.at("a").integer(), 1);
  EXPECT_EQ(n.at("a").line(), 3);
  EXPECT_THAT(refusal("{} /* open", limits), StartsWith("a.json:1: "));
}

TEST(ReadJson, NamesTheFile) {
  TempFolder folder;
  write_file_atomic(folder / "a.json", "{\n]");
  EXPECT_THAT(error_of<FormatError>([&] { read_json(folder / "a.json"); }), HasSubstr("a.json:2: "));
  EXPECT_THAT(error_of<IoError>([&] { read_json(folder / "none.json"); }), HasSubstr("none.json"));
}

TEST(DumpJson, NumbersRoundTripInTheirShortestForm) {
  EXPECT_EQ(dump_json(0.1, -1), "0.1");
  EXPECT_EQ(dump_json(3.0, -1), "3.0");
  EXPECT_EQ(dump_json(-0.0, -1), "-0.0");
  EXPECT_EQ(dump_json(1e22, -1), "1e+22");
  for (double v : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 1e15, 123456789.125, -2.5e-7}) {
    const Node back = parse_json(dump_json(v, -1), "a");
    EXPECT_EQ(back.kind(), Node::Kind::real) << v;
    EXPECT_EQ(back.real(), v);
  }
  EXPECT_EQ(dump_json(std::numeric_limits<std::int64_t>::min(), -1), "-9223372036854775808");
}

TEST(DumpJson, StringsAreEscapedAndComeBack) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "\xc3\xa4\xf0\x9f\x98\x80";
  const std::string text = dump_json(all, -1);
  EXPECT_EQ(parse_json(text, "a").string(), all);
  EXPECT_THAT(text, HasSubstr("\\u0000"));
  EXPECT_THAT(text, HasSubstr("\\n"));
  EXPECT_THAT(text, HasSubstr("\\\"#"));
}

TEST(DumpJson, RefusesWhatJsonCannotHold) {
  EXPECT_THAT(error_of<ValueError>([] { dump_json(std::nan("")); }), HasSubstr("nan"));
  EXPECT_THAT(error_of<ValueError>([] { dump_json(HUGE_VAL); }), HasSubstr("inf"));
  EXPECT_THAT(error_of<ValueError>([] { dump_json("a\xff"); }), HasSubstr("UTF-8"));
}

TEST(DumpJson, LayoutIsFixed) {
  const Node n = parse_json(R"({"a":[1,2],"b":{},"c":[],"d":{"e":[[1],{"f":null}]}})", "a");
  EXPECT_EQ(dump_json(n, -1), R"({"a":[1,2],"b":{},"c":[],"d":{"e":[[1],{"f":null}]}})");
  EXPECT_EQ(dump_json(n), R"({
  "a": [1, 2],
  "b": {},
  "c": [],
  "d": {
    "e": [
      [1],
      {
        "f": null
      }
    ]
  }
})");
  Node wide = Node::array();
  for (int i = 0; i < 60; ++i) wide.push(i);
  EXPECT_THAT(dump_json(wide), StartsWith("[\n  0,\n  1,\n"));
}

}  // namespace
}  // namespace tapedeck::io
