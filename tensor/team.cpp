#include <tapedeck/tensor/cores.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/fork.h>
#include <tapedeck/tensor/team.h>

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace tapedeck {
namespace {

// Spins, then lets others have the core: the one that is waited for may need it.
template <class Ready>
void spin_until(const Ready& ready) {
  for (int spin = 0; !ready(); ++spin) spin < 2000 ? pause_core() : std::this_thread::yield();
}

struct alignas(128) Marks {  // a pair of cache lines of its own
  std::atomic<int> passed{0};
};

}  // namespace

struct Team::State {
  explicit State(int all) : size(all), forks_before(forks()), marks(static_cast<std::size_t>(all)) {
    try {
      for (int t = 1; t < size; ++t) threads.emplace_back([this, t] { work(t); });
    } catch (const std::system_error&) {
      const std::size_t made = threads.size() + 1;
      end();
      TD_FAIL(MemoryError, "Team: the system gives ", made, " of ", size, " threads; ask for fewer");
    }
  }
  void end() {
    stop = true;
    start();
    for (std::thread& t : threads) t.join();
  }

  void work(int thread) {
    for (std::uint32_t seen = 0;;) {
      for (int spin = 0; round.load(std::memory_order_acquire) == seen && spin < kSpins; ++spin) pause_core();
      round.wait(seen, std::memory_order_acquire);
      seen = round.load(std::memory_order_acquire);
      if (stop) return;
      leave_core(caller_core);
      (*body)(thread);
      ended.fetch_add(1, std::memory_order_release);
    }
  }
  void start() {
    round.fetch_add(1, std::memory_order_release);
    round.notify_all();
  }

  static constexpr int kSpins = 20000;
  const int size, forks_before;  // forks before the threads were made
  std::vector<Marks> marks;
  std::atomic<std::uint32_t> round{0};
  std::atomic<int> ended{0};
  bool stop = false;
  int caller_core = -1;
  const FunctionRef<void(int)>* body = nullptr;
  std::vector<std::thread> threads;
};

Team::Team(int threads) {
  TD_CHECK(threads >= 1 && threads <= 64, ValueError, "Team: expected 1 to 64 threads, got ", threads);
  state_ = std::make_unique<State>(threads);
}

Team::~Team() {
  if (forks() == state_->forks_before)
    state_->end();
  else
    static_cast<void>(state_.release());  // its threads are another process's
}

int Team::size() const { return state_->size; }

void Team::run(FunctionRef<void(int)> body) {
  if (forks() != state_->forks_before) [[unlikely]] {
    auto anew = std::make_unique<State>(state_->size);
    static_cast<void>(state_.release()), state_ = std::move(anew);
  }
  State& s = *state_;
  for (Marks& m : s.marks) m.passed.store(0, std::memory_order_relaxed);
  s.ended.store(0, std::memory_order_relaxed);
  s.body = &body, s.caller_core = this_core();
  if (s.size > 1) s.start();
  body(0);
  spin_until([&] { return s.ended.load(std::memory_order_acquire) == s.size - 1; });
}

void Team::passed(int thread, int marks) {
  state_->marks[static_cast<std::size_t>(thread)].passed.store(marks, std::memory_order_release);
}

void Team::wait_for(int marks) {
  for (Marks& m : state_->marks) spin_until([&] { return m.passed.load(std::memory_order_acquire) >= marks; });
}

}  // namespace tapedeck
