#include <tapedeck/io/file.h>
#include <tapedeck/train/run_folder.h>
#include <tapedeck/train/trained.h>

#include <filesystem>

namespace tapedeck::train {
namespace {

namespace fs = std::filesystem;

const char* const kFiles[] = {"config.json", "run.json", "metrics.jsonl", "train.log", "samples", "checkpoints"};

bool holds_anything(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename() != "run.lock") return true;
  }
  return false;
}

}  // namespace

void RunFolder::check_new(const std::string& path, bool force) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  TD_CHECK(fs::is_directory(path, error), ValueError, io::printable(path), ": exists and is not a folder");
  TD_CHECK(force || !holds_anything(path), ValueError, io::printable(path),
           ": the folder is not empty; choose another --out, go on with --resume, or pass --force to start anew");
  // Starting anew deletes: only what is a run, never somebody's folder.
  TD_CHECK(!holds_anything(path) || fs::is_regular_file(path + "/run.json", error), ValueError, io::printable(path),
           ": holds files but no run (no run.json), and --force replaces runs only; choose another --out");
}

RunFolder RunFolder::create(const std::string& path, const RunConfig& config, const io::Node& about, bool force) {
  RunFolder run(path);
  std::error_code error;
  if (!fs::exists(path, error)) {
    fs::create_directories(path, error);
    TD_CHECK(!error, IoError, io::printable(path), ": the run folder cannot be made: ", error.message());
  }
  check_new(path, force);
  run.lock_ = std::make_unique<io::RunLock>(path);
  check_new(path, force);  // another process may have been here in between
  for (const char* name : kFiles) {
    fs::remove_all(run.file(name), error);
    TD_CHECK(!error, IoError, io::printable(run.file(name)), ": cannot be deleted: ", error.message());
  }
  run.about_ = about;
  io::write_file_atomic(run.file("run.json"), io::dump_json(about) + "\n");
  run.set_config(config);
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
  register_all();
  try {
    run.config_ = io::load<RunConfig>(read_state(run.file("config.json")), run.file("config.json"));
  } catch (const ConfigError& problem) {
    throw FormatError(problem.what());
  }
  run.about_ = read_state(run.file("run.json"));
  return run;
}

void RunFolder::set_config(const RunConfig& config) {
  config_ = config;
  io::write_file_atomic(file("config.json"), io::dump_json(io::save(config)) + "\n", true);
}

}  // namespace tapedeck::train
