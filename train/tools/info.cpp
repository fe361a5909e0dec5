// tapedeck info: what a run, a checkpoint, a .safetensors file, a config or a recording holds.
#include <tapedeck/io/audio.h>
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/safetensors.h>
#include <tapedeck/train/trained.h>

#include <algorithm>
#include <filesystem>

#include "command.h"

namespace tapedeck::tools {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string path;
  bool json = false;
};

io::Node tensors(const std::string& path) {
  const io::SafeTensorsHeader header = io::read_safetensors_header(path);
  io::Node list = io::Node::array();
  std::int64_t elements = 0;
  for (const io::TensorEntry& e : header.entries) {
    io::Node shape = io::Node::array();
    for (int i = 0; i < e.shape.rank(); ++i) shape.push(e.shape[i]);
    elements += e.shape.numel();
    list.push(io::Node::object({{"name", io::printable(e.name)}, {"dtype", name(e.dtype)}, {"shape", shape}}));
  }
  io::Node metadata = io::Node::object();
  for (const auto& [key, value] : header.metadata) metadata[io::printable(key)] = io::printable(value);
  return io::Node::object({{"kind", "safetensors"}, {"elements", elements}, {"metadata", metadata}, {"tensors", list}});
}

void print_tensors(const io::Node& node) {
  result("safetensors: {} tensors, {} elements\n", node.at("tensors").size(), node.at("elements").integer());
  for (const auto& [key, value] : node.at("metadata").members()) result("metadata {} = {}\n", key, value.string());
  for (const io::Node& t : node.at("tensors").items()) {
    result("{:<5} {:<16} {}\n", t.at("dtype").string(), io::dump_json(t.at("shape"), -1), t.at("name").string());
  }
}

io::Node config_facts(const train::RunConfig& config) {
  const auto network = train::build_network(config);
  return io::Node::object({{"network", config.net.type()},
                           {"parameters", network->parameter_count()},
                           {"receptive_field", network->receptive_field()},
                           {"shift", network->shift()},
                           {"config", io::save(config)}});
}

void print_config(const io::Node& node) {
  result("network {}: {} parameters, receptive field {} samples, shift {}\n", node.at("network").string(),
         node.at("parameters").integer(), node.at("receptive_field").integer(), node.at("shift").integer());
  result("{}\n", io::dump_json(node.at("config")));
}

// Every step-N folder, and whether it is as it was saved.
io::Node checkpoints(const std::string& folder) {
  std::vector<std::pair<std::int64_t, std::string>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("step-")) continue;
    const std::string digits = name.substr(5);
    if (digits.empty() || digits.size() > 18 || digits.find_first_not_of("0123456789") != std::string::npos) continue;
    found.emplace_back(std::stoll(digits), entry.path().string());
  }
  std::ranges::sort(found);
  io::Node list = io::Node::array();
  for (const auto& [step, path] : found) {
    const auto problems = io::checkpoint_problems(path);
    list.push(io::Node::object({{"step", step}, {"problem", problems.empty() ? io::Node() : io::Node(problems[0])}}));
  }
  return list;
}

io::Node run_facts(const std::string& path) {
  std::vector<std::string> ignored;
  const std::string at = train::checkpoint_of(path, train::Which::latest, ignored);
  const std::string config = (at.empty() ? path : at) + "/config.json";
  io::Node node = io::Node::object({{"kind", at == path ? "checkpoint" : "run"}});
  const io::Node facts = config_facts(io::load<train::RunConfig>(train::read_state(config), config));
  for (const auto& [key, value] : facts.members()) node[key] = value;
  if (at != path) node["checkpoints"] = checkpoints(path + "/checkpoints");
  return node;
}

void print_run(const io::Node& node) {
  result("{}\n", node.at("kind").string());
  print_config(node);
  const io::Node* list = node.find("checkpoints");
  if (list == nullptr) return;
  result("{} checkpoints\n", list->size());
  for (const io::Node& c : list->items()) {
    result("  step {:<10} {}\n", c.at("step").integer(),
           c.at("problem").is_null() ? "verified" : "damaged: " + c.at("problem").string());
  }
}

io::Node sound_facts(const std::string& path) {
  const io::AudioInfo info = io::probe_audio(path);
  return io::Node::object({{"kind", "recording"},
                           {"format", info.format},
                           {"channels", info.channels},
                           {"sample_rate", info.sample_rate},
                           {"frames", info.frames}});
}

void print_sound(const io::Node& node) {
  result("recording: {}, {} channels, {} Hz, {} frames\n", node.at("format").string(), node.at("channels").integer(),
         node.at("sample_rate").integer(), node.at("frames").integer());
}

int info(const Options& o) {
  train::register_all();
  std::error_code error;
  io::Node (*facts)(const std::string&);
  void (*print)(const io::Node&);
  if (fs::is_directory(o.path, error)) {
    TD_CHECK(fs::exists(o.path + "/config.json", error), FormatError, io::printable(o.path),
             ": is neither a run nor a checkpoint: it has no config.json");
    facts = run_facts;
    print = print_run;
  } else {
    TD_CHECK(fs::exists(o.path, error), FormatError, io::printable(o.path), ": there is no such file or folder");
    const std::string extension = fs::path(o.path).extension().string();
    const bool json = extension == ".json", weights = extension == ".safetensors";
    facts = json ? [](const std::string& path) {
      io::Node node = config_facts(io::load_file<train::RunConfig>(path));
      node["kind"] = "config";
      return node;
    } : weights ? tensors : sound_facts;
    print = json ? print_config : weights ? print_tensors : print_sound;
  }
  const io::Node node = facts(o.path);
  o.json ? result_json(node) : print(node);
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Run& run) {
  auto [sub, o] = command<Options>(app, run, "info", "What a run, checkpoint, .safetensors, config or recording holds",
                                   "  tapedeck info RUN\n"
                                   "  tapedeck info RUN/checkpoints/step-2000/model.safetensors\n"
                                   "  tapedeck info cfg.json --json",
                                   info);
  sub->add_option("PATH", o->path, "a folder or a file")->required();
  sub->add_flag("--json", o->json, "for machines");
}

}  // namespace tapedeck::tools
