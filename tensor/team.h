// A few threads that work in step: they start together, tell each other how far they are, and wait by spinning. For
// work of microseconds that is cut so finely that a parallel_for for each piece would cost more than the piece.
#pragma once
#include <tapedeck/tensor/parallel.h>

#include <memory>

namespace tapedeck {

class Team {
 public:
  // The caller of run() is one of them; ValueError unless 1 to 64, MemoryError when the system does not give them.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;

  int size() const;
  // body(0) here and body(1) … body(size() - 1) on the other threads, all at once; returns when all have. They must not
  // throw. One caller at a time. Threads that wait for the next run spin for some microseconds, then sleep.
  void run(FunctionRef<void(int)> body);

  // Within a run: `thread` has passed this many marks (it begins with 0), and what it wrote before is seen by whoever
  // waits for that.
  void passed(int thread, int marks);
  // Until every thread has passed as many.
  void wait_for(int marks);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tapedeck
