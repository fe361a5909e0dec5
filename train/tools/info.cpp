// tapedeck info: what a run, a checkpoint, a file of weights, a config or a recording holds.
#include <tapedeck/io/audio.h>
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/config.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/weights.h>
#include <tapedeck/nn/infer.h>
#include <tapedeck/train/run_folder.h>
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

io::Node list_of(const std::vector<std::string>& lines) {
  io::Node list = io::Node::array();
  for (const std::string& line : lines) list.push(line);
  return list;
}

// Weights of any format, and what they tell of their network.
io::Node tensors(const std::string& path) {
  const io::WeightFormat format = io::weight_format(path);
  std::vector<nn::WeightInfo> weights;
  io::Node metadata = io::Node::object();
  if (format == io::WeightFormat::safetensors) {
    const io::SafeTensorsHeader header = io::read_safetensors_header(path);
    for (const io::TensorEntry& e : header.entries) weights.push_back({e.name, e.shape, e.dtype});
    for (const auto& [key, value] : header.metadata) metadata[io::printable(key)] = io::printable(value);
  } else {
    weights = nn::weight_infos(io::read_weights(path));
  }
  io::Node list = io::Node::array();
  std::int64_t elements = 0;
  for (const nn::WeightInfo& w : weights) {
    io::Node shape = io::Node::array();
    for (int i = 0; i < w.shape.rank(); ++i) shape.push(w.shape[i]);
    elements += w.shape.numel();
    list.push(io::Node::object({{"name", io::printable(w.name)}, {"dtype", name(w.dtype)}, {"shape", shape}}));
  }
  const nn::Inferred inferred = nn::infer_hparams(weights);
  io::Node modules = io::Node::array();
  for (const nn::InferredPart& part : inferred.parts)
    modules.push(io::Node::object({{"path", io::printable(part.path)},
                                   {"hparams", part.hparams},
                                   {"also", list_of(part.also)},
                                   {"unknown", list_of(part.unknown)}}));
  std::vector<std::string> unplaced;
  for (const std::string& each : inferred.unplaced) unplaced.push_back(io::printable(each));
  io::Node node = io::Node::object({{"kind", io::name(format)},
                                    {"elements", elements},
                                    {"metadata", metadata},
                                    {"tensors", list},
                                    {"inferred", io::Node::object({{"modules", modules},
                                                                   {"unplaced", list_of(unplaced)},
                                                                   {"unknown", list_of(inferred.unknown)}})}});
  // A file of a checkpoint has a manifest beside it, that knows its bytes.
  const fs::path folder = fs::absolute(path).parent_path();
  std::error_code error;
  if (fs::exists(folder / "manifest.json", error)) node["problems"] = list_of(io::checkpoint_problems(folder.string()));
  return node;
}

void print_inferred(const io::Node& inferred) {
  if (inferred.at("modules").size() > 0) result("\nthe modules that such weights belong to\n");
  for (const io::Node& m : inferred.at("modules").items()) {
    io::Node sizes = m.at("hparams");
    const std::string type = sizes.at("type").string(), path = m.at("path").string();
    sizes.erase("type");
    std::string also;
    for (const io::Node& other : m.at("also").items()) also += (also.empty() ? "  or " : ", ") + other.string();
    result("{:<24} {:<18} {}{}\n", path.empty() ? "(all)" : path, type, io::dump_json(sizes, -1), also);
  }
  if (inferred.at("unplaced").size() > 0) result("\nin no module that is known here\n");
  for (const io::Node& each : inferred.at("unplaced").items()) result("{}\n", each.string());
  if (inferred.at("unknown").size() > 0) result("\nwhat weights do not tell\n");
  for (const io::Node& each : inferred.at("unknown").items()) result("{}\n", each.string());
}

void print_tensors(const io::Node& node) {
  result("{}: {} tensors, {} elements\n", node.at("kind").string(), node.at("tensors").size(),
         node.at("elements").integer());
  for (const auto& [key, value] : node.at("metadata").members()) result("metadata {} = {}\n", key, value.string());
  for (const io::Node& t : node.at("tensors").items()) {
    result("{:<5} {:<16} {}\n", t.at("dtype").string(), io::dump_json(t.at("shape"), -1), t.at("name").string());
  }
  print_inferred(node.at("inferred"));
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

// A run or a checkpoint: what its config says, and everything that is wrong with it under "problems".
io::Node folder_facts(const std::string& path) {
  std::error_code error;
  const bool run = fs::exists(path + "/run.json", error) || !fs::exists(path + "/manifest.json", error);
  train::RunHealth health;
  if (run) {
    health = train::run_health(path);
  } else {
    health.problems = io::checkpoint_problems(path);
  }
  io::Node node = io::Node::object({{"kind", run ? "run" : "checkpoint"}});
  for (const std::string& from : {path, health.newest}) {
    try {
      if (from.empty() || node.find("config")) continue;
      const io::Node facts = config_facts(train::read_run_config(from + "/config.json"));
      for (const auto& [key, value] : facts.members()) node[key] = value;
    } catch (const Error& problem) {
      if (!run) health.problems.push_back(problem.what());  // run_health has said so
    }
  }
  io::Node list = io::Node::array();
  for (const auto& c : health.checkpoints) {
    list.push(io::Node::object({{"step", c.step}, {"problem", c.problems.empty() ? io::Node() : c.problems[0]}}));
    health.problems.insert(health.problems.end(), c.problems.begin(), c.problems.end());
  }
  if (run) node["checkpoints"] = list;
  node["problems"] = list_of(health.problems);
  return node;
}

void print_folder(const io::Node& node) {
  result("{}\n", node.at("kind").string());
  if (node.find("config")) print_config(node);
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
    const auto has = [&](const char* name) { return fs::exists(o.path + "/" + name, error); };
    TD_CHECK(has("config.json") || has("run.json") || has("manifest.json"), FormatError, io::printable(o.path),
             ": is neither a run nor a checkpoint: it has no config.json");
    facts = folder_facts;
    print = print_folder;
  } else {
    TD_CHECK(fs::exists(o.path, error), FormatError, io::printable(o.path), ": there is no such file or folder");
    TD_CHECK(fs::is_regular_file(o.path, error), FormatError, io::printable(o.path),
             ": is neither a folder nor a regular file");
    const std::string extension = fs::path(o.path).extension().string();
    const bool json = extension == ".json";
    const std::vector<std::string> kinds{".safetensors", ".pth", ".pt", ".ckpt", ".npz"};
    const bool weights = std::ranges::find(kinds, extension) != kinds.end();
    facts = json ? [](const std::string& path) {
      io::Node node = config_facts(io::load_file<train::RunConfig>(path));
      node["kind"] = "config";
      return node;
    } : weights ? tensors : sound_facts;
    print = json ? print_config : weights ? print_tensors : print_sound;
  }
  const io::Node node = facts(o.path);
  o.json ? result_json(node) : print(node);
  std::string text;
  if (const io::Node* problems = node.find("problems")) {
    for (const io::Node& problem : problems->items()) text += (text.empty() ? "" : "\n") + problem.string();
  }
  TD_CHECK(text.empty(), FormatError, text);
  return 0;
}

}  // namespace

void add_info(CLI::App& app, Run& run) {
  auto [sub, o] =
      command<Options>(app, run, "info", "What a run, a checkpoint, weights, a config or a recording holds",
                       "  tapedeck info RUN\n"
                       "  tapedeck info RUN/checkpoints/step-2000/model.safetensors\n"
                       "  tapedeck info weights.pth\n"
                       "  tapedeck info cfg.json --json\n"
                       "Of weights (.safetensors, .pth, .npz), also which modules they belong to, as far as names and\n"
                       "shapes tell, and what they do not tell.",
                       info);
  sub->add_option("PATH", o->path, "a folder or a file")->check(path())->required();
  sub->add_flag("--json", o->json, "for machines");
}

}  // namespace tapedeck::tools
