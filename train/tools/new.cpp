// tapedeck new: a config to start from, of a run or of any type.
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/catalog.h>
#include <tapedeck/train/run_config.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "command.h"

namespace tapedeck::tools {
namespace {

struct Options {
  std::string name, file, output;
  std::optional<std::string> preset;
  std::vector<std::string> set;
  bool list = false, schema = false, fields = false, force = false;
};

std::string list_of(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

constexpr const char* kSeeAll = "; tapedeck new --list and tapedeck describe --list show all";

std::string meant(const std::string& word, const std::vector<std::string>& candidates) {
  const std::string near = io::nearest(word, candidates);
  return near.empty() ? "" : "; did you mean \"" + near + "\"?";
}

io::Node read_over(const std::string& file) {
  std::error_code error;
  TD_CHECK(std::filesystem::exists(file, error), ConfigError, io::printable(file), ": there is no such config file");
  return io::read_config(file);
}

// ---- a run ----------------------------------------------------------------------------------------------------------
io::Node run_config(const Options& o, train::RunConfig config) {
  if (!o.file.empty()) config = io::load<train::RunConfig>(read_over(o.file), o.file, std::move(config));
  io::set(config, o.set);
  train::build_network(config);
  return io::save(config);
}

// ---- any other type -------------------------------------------------------------------------------------------------
// The presets of a network are those of its runs.
io::Node preset_of(const Options& o, const train::CatalogEntry& type) {
  std::vector<std::string> names;
  for (const train::Preset& p : train::presets()) {
    if (p.config.net.type() != type.name) continue;
    if (p.name == *o.preset) return io::save(p.config.net);
    names.push_back(p.name);
  }
  TD_CHECK(!names.empty(), ConfigError, "new: ", type.name, " has no presets; leave --preset out");
  TD_FAIL(ConfigError, "new: there is no preset \"", io::printable(*o.preset), "\"", meant(*o.preset, names), "; ",
          type.name, " has ", list_of(names));
}

io::Node type_config(const Options& o, const train::CatalogEntry& type) {
  const io::Node start = o.preset ? preset_of(o, type) : train::default_config(type);
  if (!type.config) {
    TD_CHECK(o.file.empty() && o.set.empty(), ConfigError, "new: ", type.name,
             " is made of parts and has no members of its own; leave --file and --set out");
    return type.module && type.module->example.hparams ? type.module->example.hparams() : start;
  }
  const io::table::Owned value = type.config->make(nullptr);
  const auto load = [&](io::Node node, const std::string& where, io::table::Reading how) {
    if (const io::Node* name = node.find("type"); name && name->is_string() && name->string() == type.name)
      node["type"] = type.config->name;  // of a module that derives from the one with this config
    io::Issues issues;
    io::table::load_value(*type.config, value.get(), {}, node, "", how, issues);
    issues.raise(where);
  };
  load(start, type.name, io::table::Reading::whole);
  if (!o.file.empty()) load(read_over(o.file), o.file, io::table::Reading::over);
  io::table::set_values(*type.config, value.get(), o.set);
  io::Node node = io::table::save_value(*type.config, value.get(), io::Save::full);
  node["type"] = type.name;
  if (type.module) return nn::build(node, type.name)->hparams();
  return node;
}

// ---- which of them --------------------------------------------------------------------------------------------------
struct Target {
  std::optional<train::RunConfig> run;
  std::optional<train::CatalogEntry> type;
};

Target find(const Options& o, const std::vector<train::Preset>& all) {
  TD_CHECK(!o.name.empty(), ConfigError, "new: name a network or a type", kSeeAll);
  std::vector<std::string> names, presets;
  const std::string preset = o.preset.value_or("small");
  for (const train::Preset& p : all) {
    if (std::ranges::find(names, p.network) == names.end()) names.push_back(p.network);
    if (p.network != o.name) continue;
    presets.push_back(p.name);
    if (p.name == preset) return {p.config, {}};
  }
  TD_CHECK(presets.empty(), ConfigError, "new: there is no preset \"", io::printable(preset), "\"",
           meant(preset, presets), "; ", o.name, " has ", list_of(presets));
  for (const train::CatalogEntry& e : train::catalog()) {
    if (e.name == o.name) return {{}, e};
    names.push_back(e.name);
  }
  TD_FAIL(ConfigError, "new: there is no network or type \"", io::printable(o.name), "\"", meant(o.name, names),
          kSeeAll);
}

int make(const Options& o) {
  train::register_all();
  const std::vector<train::Preset> all = train::presets();
  if (o.list) {
    for (const train::Preset& p : all) result("{:<10} --preset {:<8} {}\n", p.network, p.name, p.help);
    note("and every type that tapedeck describe --list shows");
    return 0;
  }
  const bool shown = o.schema || o.fields;
  const Target target = shown && o.name.empty() ? Target{train::RunConfig{}, {}} : find(o, all);
  if (shown) {
    const io::table::Type* type = target.run ? &io::table::type_of<train::RunConfig>() : target.type->config;
    TD_CHECK(type, ConfigError, "new: ", o.name, " is made of parts and has no members of its own");
    if (o.schema) result_json(io::table::schema(*type));
    if (o.fields) result("{}\n", io::table::help_text(*type));
    return 0;
  }
  const io::Node config = target.run ? run_config(o, *target.run) : type_config(o, *target.type);
  const std::string text = io::dump_json(config) + "\n";
  if (o.output.empty()) {
    result("{}", text);
    return 0;
  }
  io::write_file_atomic(o.output, text, o.force);
  const std::string file = io::printable(o.output);
  if (target.run) {
    note("{}: written; edit it, or train with: tapedeck train {} --data SOUNDS --out RUN", file, file);
  } else {
    note("{}: written", file);
  }
  return 0;
}

}  // namespace

void add_new(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "new", "Write a config to start from",
                                   "  tapedeck new wavenet --preset small -o cfg.json\n"
                                   "  tapedeck new wavenet --set net.channels=48 -o cfg.json\n"
                                   "  tapedeck new wavenet --preset tiny --file mine.json -o cfg.json\n"
                                   "  tapedeck new Conv1d --set kernel_size=5\n"
                                   "  tapedeck new --list\n"
                                   "  tapedeck new --schema > schema.json",
                                   make);
  sub->add_option("NETWORK", o->name,
                  "the kind of network, for a run: see --list; or a type, for its own config: see tapedeck describe");
  sub->add_option("--preset", o->preset, "its size: see --list (default of a run: small)");
  sub->add_option("--file", o->file, "config file whose values go before the preset's")->check(path());
  sub->add_option("-o,--output", o->output, "file to write (default: standard output)")->check(path());
  sub->add_option("--set", o->set,
                  "path=value, path=@file.json, **.name=value or ~path: change the config, as often as needed")
      ->type_name("PATH=VALUE");
  sub->add_flag("--list", o->list, "networks and presets");
  sub->add_flag("--schema", o->schema, "JSON Schema of the config: of a run, or of the type that was named");
  sub->add_flag("--fields", o->fields, "every field of a config with type, range and meaning");
  sub->add_flag("--force", o->force, "overwrite the file");
}

}  // namespace tapedeck::tools
