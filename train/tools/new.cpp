// tapedeck new: a config to start from.
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/train/run_config.h>

#include <filesystem>

#include "command.h"

namespace tapedeck::tools {
namespace {

struct Options {
  std::string network, preset = "small", file, output;
  std::vector<std::string> set;
  bool list = false, schema = false, fields = false, force = false;
};

const train::Preset& find(const std::vector<train::Preset>& all, const Options& o) {
  std::vector<std::string> networks, names;
  for (const train::Preset& p : all) {
    networks.push_back(p.network);
    if (p.network == o.network) names.push_back(p.name);
    if (p.network == o.network && p.name == o.preset) return p;
  }
  const bool known = !names.empty();
  const std::string& word = known ? o.preset : o.network;
  const std::string near = io::nearest(word, known ? names : networks);
  TD_FAIL(ConfigError, "new: there is no ", known ? "preset" : "network", " \"", io::printable(word), "\"",
          near.empty() ? "" : "; did you mean \"" + near + "\"?", "; tapedeck new --list shows all");
}

int make(const Options& o) {
  train::register_all();
  const std::vector<train::Preset> all = train::presets();
  if (o.list) {
    for (const train::Preset& p : all) result("{:<10} --preset {:<8} {}\n", p.network, p.name, p.help);
    return 0;
  }
  if (o.schema || o.fields) {
    if (o.schema) result_json(io::schema<train::RunConfig>());
    if (o.fields) result("{}\n", io::help_text<train::RunConfig>());
    return 0;
  }
  TD_CHECK(!o.network.empty(), ConfigError, "new: name a network; tapedeck new --list shows all");
  train::RunConfig config = find(all, o).config;
  if (!o.file.empty()) {
    std::error_code error;
    TD_CHECK(std::filesystem::exists(o.file, error), ConfigError, io::printable(o.file),
             ": there is no such config file");
    config = io::load_file(o.file, std::move(config));
  }
  io::set(config, o.set);
  train::build_network(config);
  const std::string text = io::dump_json(io::save(config)) + "\n";
  if (o.output.empty()) {
    result("{}", text);
  } else {
    io::write_file_atomic(o.output, text, o.force);
    note("{}: written; edit it, or train with: tapedeck train {} --data SOUNDS --out RUN", io::printable(o.output),
         io::printable(o.output));
  }
  return 0;
}

}  // namespace

void add_new(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "new", "Write a config to start from",
                                   "  tapedeck new wavenet --preset small -o cfg.json\n"
                                   "  tapedeck new wavenet --set net.channels=48 -o cfg.json\n"
                                   "  tapedeck new wavenet --preset tiny --file mine.json -o cfg.json\n"
                                   "  tapedeck new --list\n"
                                   "  tapedeck new --schema > schema.json",
                                   make);
  sub->add_option("NETWORK", o->network, "the kind of network: see --list");
  sub->add_option("--preset", o->preset, "its size: see --list")->capture_default_str();
  sub->add_option("--file", o->file, "config file whose values go before the preset's")->check(path());
  sub->add_option("-o,--output", o->output, "file to write (default: standard output)")->check(path());
  sub->add_option("--set", o->set,
                  "path=value, path=@file.json, **.name=value or ~path: change the config, as often as needed")
      ->type_name("PATH=VALUE");
  sub->add_flag("--list", o->list, "networks and presets");
  sub->add_flag("--schema", o->schema, "JSON Schema of a config");
  sub->add_flag("--fields", o->fields, "every field of a config with type, range and meaning");
  sub->add_flag("--force", o->force, "overwrite the file");
}

}  // namespace tapedeck::tools
