#include <tapedeck/tensor/cores.h>
#include <tapedeck/tensor/env.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/tensor/fork.h>
#include <tapedeck/tensor/parallel.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace tapedeck {
namespace {

thread_local bool inside = false;  // this thread is running a chunk: nested calls run inline

using Body = FunctionRef<void(std::int64_t, std::int64_t)>;
constexpr auto nothing = [](std::int64_t, std::int64_t) {};

struct Chunks {
  Body body = nothing;
  std::int64_t n = 0, grain = 1, count = 0;
  void run(std::int64_t c) const { body(c * grain, c * grain + std::min(grain, n - c * grain)); }
};

// Runs chunks and keeps the exception of the lowest that failed.
class Outcome {
 public:
  void run(const Chunks& chunks, std::int64_t c) {
    try {
      chunks.run(c);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (chunk_ < 0 || c < chunk_) chunk_ = c, failure_ = std::current_exception();
    }
  }
  // Takes one chunk after the other until all have been taken.
  void run_all(const Chunks& chunks, std::atomic<std::int64_t>& next) {
    inside = true;
    for (std::int64_t c; (c = next.fetch_add(1, std::memory_order_relaxed)) < chunks.count;) run(chunks, c);
    inside = false;
  }
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::mutex mutex_;
  std::int64_t chunk_ = -1;
  std::exception_ptr failure_;
};

// A job is an offer of chunks: who wants one takes it by counting `left` down, and nobody else has to wait for that.
// What costs time is a cache line's way from one core to another, so the offer is one line, which has all that a worker
// needs, and the count of what workers have done is another.
class Pool {
 public:
  explicit Pool(int threads) {
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {  // the system gives no more: those that are there do all the work
    }
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }

  // Waits for the chunks that workers took, not for workers that had not woken up before all was done.
  void run(const Chunks& chunks, Outcome& outcome) {
    offer_.chunks = chunks, offer_.outcome = &outcome, offer_.core = this_core();
    done_.store(0, std::memory_order_relaxed);
    const std::int64_t before = offer_.left.exchange(chunks.count - 1, std::memory_order_acq_rel);
    if (before & kSleeper) {
      { const std::lock_guard lock(mutex_); }  // a worker that goes to sleep holds it until it does
      wake_.notify_all();
    }
    inside = true;
    std::int64_t mine = 0;
    for (std::int64_t c = 0; c >= 0; c = take(), ++mine) outcome.run(chunks, c);
    inside = false;
    const auto done = [&] { return (done_.load(std::memory_order_acquire) & ~kSleeper) == chunks.count - mine; };
    for (int spin = 0; spin < kSpins && !done(); ++spin) pause_core();
    if (done()) return;
    std::unique_lock lock(mutex_);
    done_.fetch_or(kSleeper, std::memory_order_acq_rel);
    all_done_.wait(lock, done);
  }

 private:
  static constexpr int kSpins = 2000;  // a few microseconds: park early, a spinning thread steals a core from others
  static constexpr std::int64_t kSleeper = std::int64_t{1} << 62;  // in a count: somebody sleeps until it changes

  // The number of a chunk that is the caller's to do, or -1. The offer stands until it is counted as done.
  std::int64_t take() {
    for (std::int64_t left = offer_.left.load(std::memory_order_acquire); (left & ~kSleeper) > 0;)
      if (offer_.left.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel, std::memory_order_acquire))
        return offer_.chunks.count - (left & ~kSleeper);
    return -1;
  }

  void work() {
    inside = true;
    for (;;) {
      for (int spin = 0; spin < kSpins && (offer_.left.load(std::memory_order_relaxed) & ~kSleeper) == 0; ++spin)
        pause_core();
      std::int64_t c = take(), mine = 0;
      if (c < 0) {
        std::unique_lock lock(mutex_);
        while (!stop_ && (offer_.left.fetch_or(kSleeper, std::memory_order_acq_rel) & ~kSleeper) == 0) wake_.wait(lock);
        if (stop_) return;
        continue;
      }
      leave_core(offer_.core);
      for (; c >= 0; c = take(), ++mine) offer_.outcome->run(offer_.chunks, c);
      if (done_.fetch_add(mine, std::memory_order_acq_rel) & kSleeper) {
        { const std::lock_guard lock(mutex_); }
        all_done_.notify_one();
      }
    }
  }

  struct alignas(64) Offer {
    std::atomic<std::int64_t> left{0};
    Chunks chunks;  // this and what follows: written while nobody holds a chunk, read by those who do
    Outcome* outcome = nullptr;
    int core = -1;  // the caller's
  };
  static_assert(sizeof(Offer) == 64);
  Offer offer_;
  alignas(64) std::atomic<std::int64_t> done_{0};
  alignas(64) std::mutex mutex_;
  std::condition_variable wake_, all_done_;
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

int default_threads() {
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const std::string wanted = env("TAPEDECK_THREADS");
  if (wanted.empty()) return cores;
  int threads = 0;
  const auto [end, error] = std::from_chars(wanted.data(), wanted.data() + wanted.size(), threads);
  TD_CHECK(error == std::errc() && end == wanted.data() + wanted.size() && threads >= 1 && threads <= 256, ValueError,
           "TAPEDECK_THREADS: expected 1 to 256 threads, got '", wanted, "'");
  return threads;
}

// The pool has one job at a time: `busy` is held while one runs, and while the pool is made anew.
struct Shared {
  std::mutex busy;
  std::atomic<int> threads{default_threads()};
  std::unique_ptr<Pool> pool;  // made by the first job that is worth it
  int forks_before = 0;        // it was made
  Executor executor;           // runs the jobs in its place

  ~Shared() { drop_pool(); }
  void drop_pool() {
    if (forks() != forks_before) static_cast<void>(pool.release());  // its threads are another process's
    pool.reset();
  }
  Pool& the_pool() {
    if (forks() != forks_before) drop_pool();
    if (!pool) forks_before = forks(), pool = std::make_unique<Pool>(threads);
    return *pool;
  }
};
Shared& shared() {
  static Shared s;
  return s;
}

}  // namespace

void parallel_for(std::int64_t n, std::int64_t grain, FunctionRef<void(std::int64_t, std::int64_t)> body) {
  if (n <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  const std::int64_t chunks = (n - 1) / grain + 1;
  if (chunks == 1) return body(0, n);
  const Chunks all{body, n, grain, chunks};
  if (inside) {  // nested: the same chunks, one after another
    for (std::int64_t c = 0; c < chunks; ++c) all.run(c);
    return;
  }
  Shared& s = shared();
  // With one thread, or when another thread's job holds the pool, the caller works alone.
  const std::unique_lock busy =
      s.threads == 1 ? std::unique_lock<std::mutex>() : std::unique_lock(s.busy, std::try_to_lock);
  Outcome outcome;
  if (busy.owns_lock() && !s.executor) {
    s.the_pool().run(all, outcome);
  } else {
    std::atomic<std::int64_t> next{0};
    if (busy.owns_lock())
      s.executor(static_cast<int>(std::min<std::int64_t>(chunks, s.threads)), [&](int) { outcome.run_all(all, next); });
    outcome.run_all(all, next);  // what an executor that ran fewer tasks has left
  }
  outcome.rethrow();
}

int num_threads() { return shared().threads; }

void set_num_threads(int n) {
  TD_CHECK(n >= 1 && n <= 256, ValueError, "set_num_threads: expected 1 to 256 threads, got ", n);
  TD_CHECK(!inside, ValueError, "set_num_threads: called inside a parallel_for; call it before or after");
  Shared& s = shared();
  const std::lock_guard lock(s.busy);
  if (n == s.threads) return;
  s.drop_pool();
  s.threads = n;
}

void set_executor(Executor executor) {
  TD_CHECK(!inside, ValueError, "set_executor: called inside a parallel_for; call it before or after");
  Shared& s = shared();
  const std::lock_guard lock(s.busy);
  s.drop_pool();
  s.executor = std::move(executor);
}

}  // namespace tapedeck
