// RunFolder: where a training run keeps its files, owned by one process at a time.
#pragma once
#include <tapedeck/io/run_lock.h>
#include <tapedeck/train/run_config.h>

#include <memory>
#include <string>

namespace tapedeck::train {

class RunFolder {
 public:
  // A new run: the folder is made (or is empty), locked, and gets config.json and run.json. ValueError when something
  // is in it, unless `force`, which deletes an older run's files and nothing else; IoError; ValueError when another
  // process trains there.
  static void check_new(const std::string& path, bool force);  // what create() refuses, before long work
  static RunFolder create(const std::string& path, const RunConfig& config, const io::Node& about, bool force);
  // An older run, locked, to go on with. FormatError when it is none.
  static RunFolder open(const std::string& path);

  const std::string& path() const { return path_; }
  std::string checkpoints() const { return path_ + "/checkpoints"; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  const RunConfig& config() const { return config_; }
  void set_config(const RunConfig& config);         // and writes it
  const io::Node& about() const { return about_; }  // run.json: data, versions, seed

 private:
  explicit RunFolder(const std::string& path) : path_(path) {}
  std::string path_;
  std::unique_ptr<io::RunLock> lock_;
  RunConfig config_;
  io::Node about_;
};

}  // namespace tapedeck::train
