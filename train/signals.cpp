#include <tapedeck/train/signals.h>
#include <unistd.h>

#include <iterator>

namespace tapedeck::train {
namespace {

constexpr int stopping[] = {SIGINT, SIGTERM, SIGHUP};
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
  for (std::size_t i = 0; i < std::size(stopping); ++i) {
    ::sigaction(stopping[i], nullptr, &before_[i]);
    if (stopping[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) continue;
    ::sigaction(stopping[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < std::size(stopping); ++i) ::sigaction(stopping[i], &before_[i], nullptr);
}

int StopSignals::received() { return caught; }

}  // namespace tapedeck::train
