#include <tapedeck/train/signals.h>
#include <unistd.h>

namespace tapedeck::train {
namespace {

volatile sig_atomic_t caught = 0;

void on_signal(int signal) {
  if (caught != 0 && signal == SIGINT) ::_exit(130);
  if (caught == 0) caught = signal;
}

}  // namespace

StopSignals::StopSignals() {
  caught = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, &interrupt_);
  ::sigaction(SIGTERM, &action, &terminate_);
}

StopSignals::~StopSignals() {
  ::sigaction(SIGINT, &interrupt_, nullptr);
  ::sigaction(SIGTERM, &terminate_, nullptr);
}

int StopSignals::received() { return caught; }

}  // namespace tapedeck::train
