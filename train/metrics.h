// metrics.jsonl and train.log: files that grow a line at a time, and never stop a training run.
#pragma once
#include <tapedeck/io/node.h>

#include <cstdint>
#include <string>

namespace tapedeck::train {

// Lines at the end of a file. What cannot be written (disk full) is kept and tried again with the next line.
class LineFile {
 public:
  // Creates the file, or cuts it after its first `keep` bytes (-1: keeps all). IoError.
  explicit LineFile(const std::string& path, std::int64_t keep = -1);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  void append(const std::string& line);
  void sync();                                      // what is written survives a power cut; IoError
  std::int64_t bytes() const { return bytes_; }     // whole lines in the file
  std::string problem() const { return problem_; }  // why the last line waits; "" when all are written

 private:
  void write();
  std::string path_;
  int fd_;
  std::int64_t bytes_ = 0;
  std::string waiting_, problem_;
};

}  // namespace tapedeck::train
