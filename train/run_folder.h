// RunFolder: where a training run keeps its files, owned by one process at a time.
#pragma once
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/run_lock.h>
#include <tapedeck/nn/module.h>
#include <tapedeck/train/run_config.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tapedeck::train {

class RunFolder {
 public:
  struct Init {
    std::string source;  // where the weights are from, for people
    nn::StateDict weights;
  };
  // A new run: the folder is made (or is empty), locked, and gets config.json and run.json. ValueError when something
  // is in it, unless `force`, which deletes an older run's files and nothing else; IoError; ValueError when another
  // process trains there. With `init` the run keeps those weights as init.safetensors and starts from them.
  static void check_new(const std::string& path, bool force);  // what create() refuses, before long work
  static RunFolder create(const std::string& path, const RunConfig& config, const io::Node& about, bool force,
                          const std::optional<Init>& init = std::nullopt);
  // An older run, locked, to go on with. FormatError when it is none.
  static RunFolder open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  const RunConfig& config() const { return config_; }
  void set_config(const RunConfig& config);         // and writes it
  const io::Node& about() const { return about_; }  // run.json: data, versions, seed
  void set_about(const io::Node& about);            // and writes it
  // The newest checkpoint that verifies, to go on from, and what was put aside (io::find_checkpoint with repair).
  // FormatError when there were some and none can be used, or when config.json is of another network.
  io::FoundCheckpoint find_checkpoint() const;
  // Loads the weights that the run starts from, if it was given any; FormatError when they are not as they were.
  void load_init(nn::Module& network) const;

 private:
  explicit RunFolder(const std::string& path) : path_(path) {}
  std::string path_;
  std::unique_ptr<io::RunLock> lock_;
  RunConfig config_;
  io::Node about_;
};

io::Node read_about(const std::string& path);  // a run.json; FormatError when it lacks what is used of it

// How a run and its checkpoints are, read without a lock; nothing is changed.
struct RunHealth {
  struct Checkpoint {
    std::int64_t step;
    std::vector<std::string> problems;  // checkpoint_problems: none when it verifies
  };
  std::vector<Checkpoint> checkpoints;  // oldest first
  std::string newest;                   // the folder of the newest one that verifies, "" when none does
  std::vector<std::string> problems;    // what else would keep the run from going on, one line each
};
RunHealth run_health(const std::string& path);

}  // namespace tapedeck::train
