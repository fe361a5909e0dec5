#include <tapedeck/autograd/recording.h>

#include <utility>

namespace tapedeck {

namespace detail {
constinit thread_local Recording* innermost = nullptr;
constinit thread_local const char* running_rule = "";
constinit thread_local Note note;
}  // namespace detail

using detail::innermost;
using detail::Pass;

// Lives as long as its thread: recordings that outlive it are in no list any more.
struct RecordingList {
  ~RecordingList() {
    for (; innermost; innermost = innermost->outer_) innermost->innermost_ = nullptr;
  }
};

Recording::Recording(Tape* tape, Tape* noted) : tape_(tape), noted_(noted), outer_(innermost), innermost_(&innermost) {
  thread_local RecordingList list;
  static_cast<void>(list);
  innermost = this;
}

Recording::~Recording() {
  if (!innermost_) return;
  Recording** place = innermost_;
  while (*place != this) place = &(*place)->outer_;
  *place = outer_;
}

// ---- checkpoints ----------------------------------------------------------------------------------------------------
namespace {
constinit thread_local Pass current_pass = Pass::plain;
}

bool replaying() { return current_pass == Pass::replay; }
Pass detail::pass() { return current_pass; }

// A checkpoint inside one that replays is a part of the replay.
detail::FirstPass::FirstPass(Tape& tape) : Recording(nullptr, &tape), outer_(current_pass) {
  if (outer_ == Pass::plain) current_pass = Pass::first;
}
detail::FirstPass::~FirstPass() { current_pass = outer_; }
detail::Replay::Replay() : outer_(std::exchange(current_pass, Pass::replay)) {}
detail::Replay::~Replay() { current_pass = outer_; }

}  // namespace tapedeck
