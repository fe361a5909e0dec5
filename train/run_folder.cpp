#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/hash.h>
#include <tapedeck/train/run_folder.h>
#include <tapedeck/train/trained.h>

#include <algorithm>
#include <filesystem>

namespace tapedeck::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInit = "init.safetensors";
// Deleted in this order: what is left of a run after a kill is still known for one by its run.json.
const char* const kFiles[] = {"samples", "checkpoints", "metrics.jsonl", "train.log", kInit, "config.json", "run.json"};

bool holds_anything(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename() != "run.lock") return true;
  }
  return false;
}

// metrics.jsonl holds all that it held when the checkpoint was made.
void check_metrics(const std::string& run, const std::string& checkpoint) {
  const std::string path = run + "/metrics.jsonl";
  const std::int64_t saved = read_state(checkpoint + "/trainer_state.json").at("metrics_bytes").integer(),
                     bytes = io::InputFile(path).size();
  TD_CHECK(bytes >= saved, FormatError, io::printable(path), ": holds ", bytes,
           " bytes, but the checkpoint was saved after byte ", saved, "; restore the file, or start a new run");
}

// The folder is made with the run: where it is gone, so are the checkpoints of the steps that metrics.jsonl tells of.
void check_checkpoints(const std::string& run) {
  std::error_code error, none;
  const std::string path = run + "/checkpoints";
  const auto bytes = fs::file_size(run + "/metrics.jsonl", none);
  TD_CHECK(fs::exists(path, error) || error || none || bytes == 0, FormatError, io::printable(path),
           ": is missing, but metrics.jsonl tells of steps; bring it back from a copy (or make it anew to begin at "
           "step 0 again)");
}

// What cannot change once a checkpoint is there.
void check_config(const std::string& run, const RunConfig& config, const std::string& checkpoint) {
  const RunConfig saved = read_run_config(checkpoint + "/config.json");
  TD_CHECK(io::equal(config.net, saved.net) && io::equal(config.io, saved.io), FormatError, io::printable(run),
           "/config.json: describes another net or io than the newest checkpoint does; take it from ",
           io::printable(checkpoint), "/config.json, or start a new run with it and another --out");
}

// The weights that a run starts from, as they were; "" when it was given none.
std::string verified_init(const std::string& run, const io::Node& about) {
  const io::Node* init = about.find("init");
  if (init == nullptr) return "";
  const std::string path = run + "/" + kInit;
  std::error_code error;
  TD_CHECK(fs::is_regular_file(path, error) && io::sha256_file(path) == init->at("sha256").string(), FormatError,
           io::printable(path),
           ": is missing or changed, and the run has no checkpoint yet; bring the file back from a ",
           "copy, or start a new run");
  return path;
}

}  // namespace

io::Node read_about(const std::string& path) {
  io::Node about = read_state(path);
  try {
    const io::Node& data = about.at("data");
    data.at("source").string();
    data.at("sample_rate").integer();
    for (const io::Node& sound : data.at("files").items()) {
      sound.at("path").string();
      sound.at("sha256").string();
    }
  } catch (const FormatError& problem) {
    throw FormatError(io::printable(path) + ": " + problem.what());
  }
  return about;
}

void RunFolder::check_new(const std::string& path, bool force) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  TD_CHECK(fs::is_directory(path, error), ValueError, io::printable(path), ": exists and is not a folder");
  if (!holds_anything(path)) return;
  // Starting anew deletes: only what is a run, never somebody's folder.
  TD_CHECK(fs::is_regular_file(path + "/run.json", error), ValueError, io::printable(path),
           ": holds files but no run (no run.json)", force ? ", and --force replaces runs only" : "",
           "; choose another --out");
  TD_CHECK(force, ValueError, io::printable(path),
           ": the folder is not empty; choose another --out, go on with --resume, or pass --force to start anew");
}

RunFolder RunFolder::create(const std::string& path, const RunConfig& config, const io::Node& about, bool force,
                            const std::optional<Init>& init) {
  RunFolder run(path);
  std::error_code error;
  if (!fs::exists(path, error)) io::make_folders(path);
  check_new(path, force);
  run.lock_ = std::make_unique<io::RunLock>(path);
  check_new(path, force);  // another process may have been here in between
  for (const char* name : kFiles) {
    fs::remove_all(run.file(name), error);
    TD_CHECK(!error, IoError, io::printable(run.file(name)), ": cannot be deleted: ", error.message());
  }
  run.about_ = about;
  std::vector<std::byte> weights;
  if (init) {
    weights = io::serialize_safetensors(to_safetensors(init->weights), kInit);
    run.about_["init"] =
        io::Node::object({{"source", io::printable(init->source)}, {"sha256", io::sha256_hex(weights)}});
  }
  io::write_file_atomic(run.file("run.json"), io::dump_json(run.about_) + "\n");
  if (init) io::write_file_atomic(run.file(kInit), weights);
  io::make_folders(run.checkpoints());
  run.set_config(config);  // the last file: without it, it is no run yet
  return run;
}

RunFolder RunFolder::open(const std::string& path) {
  RunFolder run(path);
  std::error_code error;
  for (const char* name : {"config.json", "run.json"}) {
    TD_CHECK(fs::is_regular_file(run.file(name), error), FormatError, io::printable(path), ": is not a run: it has no ",
             name);
  }
  run.lock_ = std::make_unique<io::RunLock>(path);
  run.config_ = read_run_config(run.file("config.json"));
  run.about_ = read_state(run.file("run.json"));
  return run;
}

void RunFolder::load_init(nn::Module& network) const {
  const std::string weights = verified_init(path_, about_);
  if (!weights.empty()) load_weights(network, weights, {});
}

io::FoundCheckpoint RunFolder::find_checkpoint() const {
  io::FoundCheckpoint found;
  try {
    check_checkpoints(path_);
    found = io::find_checkpoint(checkpoints(), true);
  } catch (const FormatError& error) {
    const std::string run = io::printable(path_);
    TD_FAIL(FormatError, error.what(), "\nor start anew with: tapedeck train ", run,
            "/config.json --data SOUNDS --out ", run, " --force");
  }
  if (!found.folder.empty()) check_config(path_, config_, found.folder);
  return found;
}

void RunFolder::set_config(const RunConfig& config) {
  config_ = config;
  io::write_file_atomic(file("config.json"), io::dump_json(io::save(config)) + "\n", true);
}

void RunFolder::set_about(const io::Node& about) {
  about_ = about;
  io::write_file_atomic(file("run.json"), io::dump_json(about) + "\n", true);
}

RunHealth run_health(const std::string& path) {
  RunHealth health;
  std::error_code error;
  const std::string checkpoints = path + "/checkpoints";
  for (const std::int64_t step : io::checkpoint_steps(checkpoints)) {
    const std::string folder = checkpoints + "/step-" + std::to_string(step);
    auto problems = io::checkpoint_problems(folder);
    if (!fs::exists(folder, error)) continue;  // the process that trains has just deleted it
    if (problems.empty() && health.newest.empty()) health.newest = folder;
    health.checkpoints.push_back({step, std::move(problems)});
  }
  std::ranges::reverse(health.checkpoints);
  const auto check = [&](auto&& part) {
    try {
      part();
    } catch (const Error& problem) {
      health.problems.push_back(problem.what());
    }
  };
  io::Node about;
  RunConfig config;
  check([&] { config = read_run_config(path + "/config.json"); });
  const bool readable = health.problems.empty();
  check([&] { about = read_about(path + "/run.json"); });
  if (!health.newest.empty()) {
    check([&] { check_metrics(path, health.newest); });
    if (readable) check([&] { check_config(path, config, health.newest); });
  } else if (health.checkpoints.empty()) {
    check([&] { check_checkpoints(path); });
    check([&] { io::find_checkpoint(checkpoints, false); });
    if (about.is_object()) check([&] { verified_init(path, about); });
  }
  return health;
}

}  // namespace tapedeck::train
