// One writer per run folder. Readers need no lock.
#pragma once
#include <string>

namespace tapedeck::io {

// Holds RUN/run.lock for this process while it lives; the system frees the lock when the process ends, however it does.
// ValueError naming process and host when another one holds it; IoError when the file cannot be made. The folder must
// exist.
class RunLock {
 public:
  static constexpr const char* file_name = "run.lock";
  explicit RunLock(const std::string& run_folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int fd_;
};

}  // namespace tapedeck::io
