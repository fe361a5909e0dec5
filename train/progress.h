// Progress of long work for people, on stderr: one redrawn line on a terminal, now and then a plain line elsewhere.
#pragma once
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

namespace tapedeck::train {

// "7m36s", "2h05m", "12s"; "-" when not known (negative or not finite).
std::string duration_text(double seconds);

class Progress {
 public:
  enum class Style { automatic, terminal, plain, quiet };
  using Clock = std::function<double()>;  // seconds, never going back

  // From step `done` to `total`. `automatic` looks whether `to` is a terminal. Plain lines come at most every 10 s.
  Progress(std::int64_t done, std::int64_t total, Style style = Style::automatic, std::FILE* to = stderr,
           Clock clock = steady);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `what` stands between "step N/M" and the speed; it is asked for only when a line is shown.
  void update(std::int64_t step, const std::function<std::string()>& what);
  void line(const std::string& text);  // a line that stays, above the redrawn one
  void finish();                       // ends the redrawn line
  bool plain() const { return style_ == Style::plain; }
  double rate() const;  // steps per second of late, 0 at first
  static double steady();

 private:
  std::int64_t total_, step_;
  Style style_;
  std::FILE* to_;
  Clock clock_;
  double shown_, last_, seconds_per_step_ = 0;
  std::size_t drawn_ = 0;  // characters of the redrawn line
};

}  // namespace tapedeck::train
