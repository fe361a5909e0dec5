// SIGINT, SIGTERM and SIGHUP as a request to stop, looked at between steps.
#pragma once
#include <signal.h>

namespace tapedeck::train {

// While alive, the first of these signals is remembered; a second one that is a SIGINT ends the process at once with
// 130. A SIGHUP that is ignored (nohup) stays so. One at a time.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static int received();  // the signal, 0 when there was none

 private:
  struct sigaction before_[3];  // what was installed
};

}  // namespace tapedeck::train
