// SIGINT and SIGTERM as a request to stop, looked at between steps.
#pragma once
#include <signal.h>

namespace tapedeck::train {

// While alive, the first SIGINT or SIGTERM is remembered; a second SIGINT ends the process at once with 130. One at a
// time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static int received();  // the signal, 0 when there was none

 private:
  struct sigaction interrupt_, terminate_;  // what was installed before
};

}  // namespace tapedeck::train
