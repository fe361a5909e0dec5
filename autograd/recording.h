// What a thread records on: its live tapes and pauses, innermost first; and whether a checkpoint is replaying.
#pragma once
#include <cstddef>
#include <span>

namespace tapedeck {

class Tape;
class Tensor;

// They may end in any order; on another thread only while their own is not recording (it waits, or has ended).
class Recording {
 public:
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 protected:
  // tape: nullptr records nothing. noted: the tape that learns which parameters are used meanwhile (or nullptr).
  explicit Recording(Tape* tape, Tape* noted = nullptr);
  ~Recording();

 private:
  friend class Tape;
  friend struct RecordingList;
  friend bool record_wanted(std::span<const Tensor* const>);
  Tape *tape_, *noted_;
  Recording* outer_;
  Recording** innermost_;  // of its thread; nullptr once that has ended
};

// Pauses recording on this thread while alive.
class NoGrad : private Recording {
 public:
  NoGrad() : Recording(nullptr) {}
};

// Is a checkpoint running its function again? What must happen once a call stands still meanwhile: module hooks, call
// counts, running statistics.
bool replaying();

namespace detail {
enum class Pass { plain, first, replay };  // first: a checkpoint will run this again
Pass pass();

// A checkpoint's function runs: unrecorded and noted by `tape`, or once more.
class FirstPass : private Recording {
 public:
  explicit FirstPass(Tape& tape);
  ~FirstPass();

 private:
  Pass outer_;
};
class Replay {
 public:
  Replay();
  ~Replay();
  Replay(const Replay&) = delete;

 private:
  Pass outer_;
};

extern constinit thread_local Recording* innermost;
extern constinit thread_local const char* running_rule;  // op whose rule is running, or ""

// What is known of an op before it is recorded.
struct Note {
  std::size_t saved_bytes = 0;  // of the tensors that its rule keeps
  double flops = 0;             // of a contraction, while a trace is written
};
extern constinit thread_local Note note;
}  // namespace detail

}  // namespace tapedeck
