// Prints, one JSON value a line, a schema and then configs that it describes, right ones and ones with mistakes, each
// with what the loader says; schema_check.py asks a validator that we did not write.
//   schema_cases CASES
#include <tapedeck/io/config.h>
#include <tapedeck/tensor/error.h>

#include <cstdio>
#include <cstdlib>

#include "../io/rich_config.h"

namespace tapedeck::io {
namespace {

using namespace testing_configs;

void print(const Node& node) { std::printf("%s\n", dump_json(node, -1).c_str()); }

// A node somewhere inside, each about as likely.
Node& somewhere(Node& node, Randomiser& random) {
  const bool inner = (node.is_object() || node.is_array()) && node.size() > 0;
  if (!inner || random.pick(0, 3) == 0) return node;
  const auto i = static_cast<std::size_t>(random.pick(0, static_cast<int>(node.size()) - 1));
  return somewhere(node.is_object() ? node.members()[i].second : node.items()[i], random);
}

// One mistake, or something that looks like one. No real number without a fraction: a schema takes 3.0 for an integer.
void change(Node& root, Randomiser& random) {
  Node& node = somewhere(root, random);
  const std::vector<Node> values{Node(),
                                 true,
                                 0,
                                 1,
                                 -1,
                                 300,
                                 5'000'000'000,
                                 0.5,
                                 -7.25,
                                 "",
                                 "off",
                                 "one",
                                 Node::array(),
                                 Node::object(),
                                 Node::array({1, Node()}),
                                 Node::object({{"type", "Dense"}})};
  const auto any = [&] {
    return values[static_cast<std::size_t>(random.pick(0, static_cast<int>(values.size()) - 1))];
  };
  const int way = random.pick(0, 7);
  if (node.is_object() && way < 6) {
    auto& members = node.members();
    constexpr std::array<std::pair<const char*, const char*>, 3> names{
        {{"numbers", "figures"}, {"width", "units"}, {"path", "file"}}};
    const auto i = static_cast<std::size_t>(random.pick(0, static_cast<int>(members.size())));
    if (way == 0) {
      node["zzz"] = any();
    } else if (way == 1) {
      node["type"] = random.pick(0, 1) ? Node("Dense") : any();
    } else if (way == 2) {
      node["version"] = any();
    } else if (way < 5) {  // another name, or both
      for (const auto& [name, alias] : names) {
        if (!node.find(name)) continue;
        const Node copy = node.at(name);
        if (way == 3) node.erase(name);
        node[alias] = copy;
      }
    } else if (i < members.size()) {
      members.erase(members.begin() + static_cast<std::ptrdiff_t>(i));
    }
  } else if (node.is_array() && way < 4) {
    if (way == 0) node.push(any());
    if (way > 0 && node.size() > 0) node.items().pop_back();
  } else {
    node = any();
  }
}

int main_of(int cases) {
  register_rich();
  print(schema<Plain>());
  Randomiser random(11);
  for (int i = 0; i < cases; ++i) {
    Node node = save(random.make<Plain>(3), i % 2 ? Save::full : Save::minimal);
    for (int n = i % 4; n > 0; --n) change(node, random);
    std::string problem;
    try {
      load<Plain>(node, "case " + std::to_string(i));
    } catch (const ConfigError& e) {
      problem = e.what();
    }
    print(Node::object({{"config", node}, {"problem", problem}}));
  }
  return 0;
}

}  // namespace
}  // namespace tapedeck::io

int main(int argc, char** argv) { return tapedeck::io::main_of(argc > 1 ? std::atoi(argv[1]) : 100); }
