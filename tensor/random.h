// Where random numbers come from: a scope names seed, step and rows, so that a draw is the same for any thread count,
// batch split or rank, and on replay. Outside a scope a per-thread generator counts draws.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace tapedeck {

std::uint64_t hash64(std::string_view text);            // FNV-1a, then mixed; stable across machines
std::uint64_t mix64(std::uint64_t a, std::uint64_t b);  // order matters

// Everything one random op needs: its Philox key, and the global ids of the rows of dimension 0 (empty: 0, 1, 2, …).
struct RandomStream {
  std::uint64_t key = 0;
  std::span<const std::int64_t> rows;
  std::uint64_t row(std::int64_t i) const {
    return static_cast<std::uint64_t>(rows.empty() ? i : rows[static_cast<std::size_t>(i)]);
  }
};

// RAII: while alive, random ops of this thread draw from key = hash(seed, step, module path, op, n-th draw there).
class RandomScope {
 public:
  RandomScope(std::uint64_t seed, std::uint64_t step, std::vector<std::int64_t> row_ids = {});
  ~RandomScope();
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

 private:
  friend RandomStream next_stream(const char*, std::int64_t);
  friend struct RandomState;
  RandomScope* outer_;
  std::uint64_t key_;
  std::vector<std::int64_t> rows_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> draws_;  // (path and op) -> draws so far
};

// Position of this thread's random numbers, to replay from (checkpoint).
struct RandomState {
  static RandomState capture();
  void restore() const;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> draws;
  std::uint64_t path = 0;
  std::uint64_t global_draws = 0;
};

namespace detail {
extern constinit thread_local std::uint64_t module_path;  // hash of the innermost module's path; 0 outside of any
}

// RAII: adds a module's path to the key of the draws made inside.
class RandomPath {
 public:
  explicit RandomPath(std::uint64_t path_hash) : outer_(detail::module_path) { detail::module_path = path_hash; }
  ~RandomPath() { detail::module_path = outer_; }
  RandomPath(const RandomPath&) = delete;

 private:
  std::uint64_t outer_;
};

// The stream for the next draw of `op`. Row ids apply when their number equals `rows` (the size of dimension 0).
RandomStream next_stream(const char* op, std::int64_t rows);
void manual_seed(std::uint64_t seed);  // restarts this thread's generator (used outside any scope)

}  // namespace tapedeck
