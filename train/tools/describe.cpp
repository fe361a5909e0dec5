// tapedeck describe: what every type is, from where it is registered.
#include <tapedeck/io/file.h>
#include <tapedeck/train/catalog.h>

#include <algorithm>
#include <map>
#include <optional>

#include "command.h"

namespace tapedeck::tools {
namespace {

using train::CatalogEntry;

struct Options {
  std::optional<std::string> name, kind;
  std::string output;
  bool list = false, docs = false, json = false, force = false;
};

constexpr const char* kCost =
    "Costs are those of one call of the example in eval mode: multiply-adds of contractions, recurrences and Fourier "
    "transforms";  // a sentence to be ended

const std::string& text_of(const io::Node& node, const char* key) {
  static const std::string none;
  const io::Node* found = node.find(key);
  return found ? found->string() : none;
}
// "a, b, c" of what f makes of the elements.
template <class F>
std::string joined(const io::Node& list, F&& f) {
  std::string out;
  for (const io::Node& each : list.items()) out += (out.empty() ? "" : ", ") + f(each);
  return out;
}
std::string word(const io::Node& node) { return node.string(); }
std::string tensor_text(const io::Node& t) { return t.at("name").string() + " " + io::dump_json(t.at("shape"), -1); }
// "conv1d 192, linear 12": what the ops of the example have most of.
std::string ops_text(const io::Node& ops, const char* what) {
  std::string out;
  for (const io::Node& op : ops.items()) {
    if (op.at(what).integer() == 0) continue;
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", op.at("op").string(), op.at(what).integer());
  }
  return out;
}
std::string cost_text(const io::Node& example) {
  const std::int64_t products = example.at("multiply_adds").integer(), elements = example.at("elements").integer();
  return fmt::format("{} multiply-adds, {} elements written", products, elements);
}
std::string call_text(const io::Node& example) {
  return joined(example.at("inputs"), word) + " -> " + joined(example.at("outputs"), word);
}

// ---- one type -------------------------------------------------------------------------------------------------------
void print_line(const char* key, const std::string& text) {
  if (!text.empty()) result("{:<12}{}\n", key, text);
}

void print_example(const io::Node& example) {
  result("\nexample\n{}\n", io::dump_json(example.at("hparams")));
  print_line("call", call_text(example));
  const std::int64_t parameters = example.at("parameters").integer();
  print_line("parameters",
             std::to_string(parameters) + (parameters > 0 ? ": " + joined(example.at("tensors"), tensor_text) : ""));
  print_line("cost", cost_text(example));
  print_line("  products", ops_text(example.at("ops"), "multiply_adds"));
  print_line("  elements", ops_text(example.at("ops"), "elements"));
  if (const io::Node* field = example.find("receptive_field"))
    print_line("context", fmt::format("receptive field {}, shift {}", field->integer(), example.at("shift").integer()));
}

void print(const CatalogEntry& entry) {
  const io::Node node = describe_type(entry);
  result("{} ({}): {}\n", entry.name, entry.kind, text_of(node, "what"));
  print_line("source", text_of(node, "source"));
  print_line("shapes", text_of(node, "shapes"));
  if (const io::Node* state = node.find("state"))
    print_line("keeps", joined(*state, word) + ", for each parameter (of a default one)");
  if (const io::Node* presets = node.find("presets"))
    print_line("presets", joined(*presets, word) + "; tapedeck new --list");
  if (!entry.config) {
    result("\nmade of parts: the members are the modules inside\n");
  } else if (entry.config->fields.empty()) {
    result("\nno members\n");
  } else {
    result("\nmembers\n{}", io::table::help_text(*entry.config));
  }
  if (const io::Node* example = node.find("example")) print_example(*example);
}

// ---- all of them ----------------------------------------------------------------------------------------------------
void print_list(const std::vector<CatalogEntry>& all, bool json) {
  if (!json) {
    for (const CatalogEntry& e : all) result("{:<28} {:<10} {}\n", e.name, e.kind, e.doc.what);
    return;
  }
  io::Node list = io::Node::array();
  for (const CatalogEntry& e : all)
    list.push(io::Node::object({{"name", e.name}, {"kind", e.kind}, {"what", e.doc.what}, {"source", e.doc.source}}));
  result_json(list);
}

std::string cell(std::string text) {  // of a table of Markdown
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, 1, '\\');
  return text;
}

// Long lists of choices stand in the page once.
class Choices {
 public:
  std::string text(const std::string& type, const std::string& member, const std::string& kind) {
    constexpr std::string_view none = " or null";
    const bool optional = kind.ends_with(none);
    const std::string choices = kind.substr(0, kind.size() - (optional ? none.size() : 0));
    if (!choices.starts_with("one of") || choices.size() < 100) return kind;
    const auto [found, fresh] = first_.emplace(choices, fmt::format("as `{}` of {}", member, type));
    return fresh ? kind : found->second + std::string(optional ? none : "");
  }

 private:
  std::map<std::string, std::string> first_;
};

std::string section(const CatalogEntry& entry, Choices& choices) {
  const io::Node node = describe_type(entry);
  std::string out = fmt::format("### {}\n", entry.name);
  if (const std::string& shapes = text_of(node, "shapes"); !shapes.empty()) out += fmt::format("`{}`\n", shapes);
  if (const io::Node* state = node.find("state"))
    out += fmt::format("Keeps {}, for each parameter (of a default one).\n", joined(*state, word));
  if (const io::Node* members = node.find("members"); members && members->size() > 0) {
    out += "\n| member | type | default | |\n|---|---|---|---|\n";
    for (const io::Node& m : members->items()) {
      const std::string& path = m.at("path").string();
      out += fmt::format("| `{}` | {} | {} | {} |\n", path, cell(choices.text(entry.name, path, m.at("type").string())),
                         cell(m.at("default").string()), cell(m.at("help").string()));
    }
  }
  if (const io::Node* example = node.find("example"))
    out += fmt::format("\nExample: `{}`: {}; {} parameters, {} multiply-adds.\n",
                       io::dump_json(example->at("hparams"), -1), call_text(*example),
                       example->at("parameters").integer(), example->at("multiply_adds").integer());
  return out + "\n";
}

std::string page(const std::vector<CatalogEntry>& all) {
  std::string out =
      "# Types\n"
      "What a config, a file of hyper-parameters or a command can name. `tapedeck describe --docs` writes this "
      "page.\n" +
      std::string(kCost) + ".\n";
  Choices choices;
  for (std::size_t i = 0; i < all.size();) {
    const std::size_t begin = i;
    std::string rows, sections;
    for (; i < all.size() && all[i].kind == all[begin].kind; ++i) {
      rows += fmt::format("| {} | {} | {} |\n", all[i].name, cell(all[i].doc.what), cell(all[i].doc.source));
      sections += section(all[i], choices);
    }
    out += fmt::format("\n## {} ({})\n\n| type | what it is | source |\n|---|---|---|\n{}\n{}", all[begin].kind,
                       i - begin, rows, sections);
    out.pop_back();
  }
  return out;
}

int describe(const Options& o) {
  const int asked = (o.name ? 1 : 0) + (o.list ? 1 : 0) + (o.docs ? 1 : 0);
  TD_CHECK(asked > 0, ConfigError, "describe: name a type; tapedeck describe --list shows all");
  TD_CHECK(asked == 1, ConfigError, "describe: a name, --list and --docs exclude each other");
  TD_CHECK(!o.kind || o.list, ConfigError, "describe: --kind goes with --list");
  TD_CHECK(o.output.empty() || o.docs, ConfigError, "describe: --output goes with --docs");
  TD_CHECK(!o.json || !o.docs, ConfigError, "describe: --docs writes Markdown; use --list --json");
  if (o.name) {
    const CatalogEntry entry = train::catalog_entry(*o.name);
    if (!o.json) return print(entry), 0;
    io::Node node = describe_type(entry);
    if (entry.config) node["schema"] = io::table::schema(*entry.config);
    return result_json(node), 0;
  }
  std::vector<CatalogEntry> all = train::catalog();
  if (o.kind) {
    const std::vector<std::string> kinds = train::catalog_kinds();
    const std::string near = io::nearest(*o.kind, kinds);
    TD_CHECK(std::ranges::find(kinds, *o.kind) != kinds.end(), ConfigError, "describe: there is no kind \"",
             io::printable(*o.kind), "\"", near.empty() ? "" : "; did you mean \"" + near + "\"?", "; there are ",
             fmt::format("{}", fmt::join(kinds, ", ")));
    std::erase_if(all, [&](const CatalogEntry& e) { return e.kind != *o.kind; });
  }
  if (o.list) return print_list(all, o.json), 0;
  const std::string text = page(all);
  if (o.output.empty()) {
    result("{}", text);
  } else {
    io::write_file_atomic(o.output, text, o.force);
    note("{}: written", io::printable(o.output));
  }
  return 0;
}

}  // namespace

void add_describe(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "describe", "What a layer, loss, feature, optimizer or any other type is",
                                   "  tapedeck describe Conv1d\n"
                                   "  tapedeck describe Adam --json\n"
                                   "  tapedeck describe --list --kind loss\n"
                                   "  tapedeck describe --docs -o types.md\n\n" +
                                       std::string(kCost) + ", and the elements that all ops wrote.",
                                   describe);
  sub->add_option("TYPE", o->name, "its name: see --list");
  sub->add_flag("--list", o->list, "all types, one a line");
  sub->add_option("--kind", o->kind, "of those that --list shows");
  sub->add_flag("--json", o->json, "for machines; of one type with its JSON Schema");
  sub->add_flag("--docs", o->docs, "a page of all types, in Markdown");
  sub->add_option("-o,--output", o->output, "file to write the page to (default: standard output)")->check(path());
  sub->add_flag("--force", o->force, "overwrite the file");
}

}  // namespace tapedeck::tools
