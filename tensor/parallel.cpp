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

struct Job {
  FunctionRef<void(std::int64_t, std::int64_t)> body;
  std::int64_t n, grain, chunks;
  std::atomic<std::int64_t> next{0};
  std::mutex mutex;
  std::int64_t failed_chunk = -1;
  std::exception_ptr failure;

  void run(std::int64_t c) { body(c * grain, c * grain + std::min(grain, n - c * grain)); }
  void work() {
    inside = true;
    for (std::int64_t c; (c = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
      try {
        run(c);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (failed_chunk < 0 || c < failed_chunk) failed_chunk = c, failure = std::current_exception();
      }
    }
    inside = false;
  }
};

class Pool {
 public:
  explicit Pool(int threads) {
    try {
      for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { run(); });
    } catch (const std::system_error&) {  // the system gives no more: those that are there do all the work
    }
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (auto& w : workers_) w.join();
  }

  // Waits for the workers that took part, not for those that had not woken up before all was done.
  void run(Job& job) {
    {
      const std::lock_guard lock(mutex_);
      job_ = &job;
      caller_core_ = this_core();
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    job.work();
    {
      const std::lock_guard lock(mutex_);
      job_ = nullptr;
    }
    for (int spin = 0; active_.load(std::memory_order_acquire) != 0 && spin < kSpins; ++spin) pause_core();
    if (active_.load(std::memory_order_acquire) == 0) return;
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return active_.load(std::memory_order_acquire) == 0; });
  }

 private:
  static constexpr int kSpins = 2000;  // a few microseconds: park early, a spinning thread steals a core from others

  void run() {
    std::uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; generation_.load(std::memory_order_acquire) == seen && spin < kSpins; ++spin) pause_core();
      Job* job;
      int caller_core;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        seen = generation_.load(std::memory_order_relaxed);
        if (stop_) return;
        job = job_, caller_core = caller_core_;
        if (job) active_.fetch_add(1, std::memory_order_relaxed);
      }
      leave_core(caller_core);
      if (!job) continue;  // too late
      job->work();
      if (active_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        const std::lock_guard lock(mutex_);
        done_.notify_one();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<int> active_{0};  // workers in the job
  Job* job_ = nullptr;
  int caller_core_ = -1;
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
  Job job{body, n, grain, chunks, {}, {}, -1, nullptr};
  if (inside) {  // nested: the same chunks, one after another
    for (std::int64_t c = 0; c < chunks; ++c) job.run(c);
    return;
  }
  Shared& s = shared();
  // With one thread, or when another thread's job holds the pool, the caller works alone.
  const std::unique_lock busy =
      s.threads == 1 ? std::unique_lock<std::mutex>() : std::unique_lock(s.busy, std::try_to_lock);
  if (!busy.owns_lock()) {
    job.work();
  } else if (s.executor) {
    s.executor(static_cast<int>(std::min<std::int64_t>(chunks, s.threads)), [&job](int) { job.work(); });
    job.work();  // what an executor that ran fewer tasks has left
  } else {
    s.the_pool().run(job);
  }
  if (job.failure) std::rethrow_exception(job.failure);
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
