#include <fmt/format.h>
#include <tapedeck/train/progress.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tapedeck::train {

std::string duration_text(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "-";
  const auto s = static_cast<std::int64_t>(std::llround(seconds));
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

double Progress::steady() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Progress::Progress(std::int64_t done, std::int64_t total, Style style, std::FILE* to, Clock clock)
    : total_(total), step_(done), style_(style), to_(to), clock_(std::move(clock)), shown_(clock_()), last_(shown_) {
  if (style_ == Style::automatic) style_ = ::isatty(::fileno(to_)) == 1 ? Style::terminal : Style::plain;
}

double Progress::rate() const { return seconds_per_step_ > 0 ? 1 / seconds_per_step_ : 0; }

void Progress::update(std::int64_t step, const std::function<std::string()>& what) {
  const double now = clock_();
  if (step > step_) {
    // A mean over the last hundred steps or so, and a plain mean before.
    const double each = (now - last_) / static_cast<double>(step - step_);
    const double keep = seconds_per_step_ == 0 ? 0 : 0.98;
    seconds_per_step_ = keep * seconds_per_step_ + (1 - keep) * each;
  }
  step_ = step;
  last_ = now;
  const double every = style_ == Style::terminal ? 0.1 : 10;
  if (style_ == Style::quiet || now - shown_ < every) return;
  shown_ = now;
  const double left = seconds_per_step_ * static_cast<double>(total_ - step);
  const std::string speed = rate() < 100 ? fmt::format("{:.3g}", rate()) : fmt::format("{:.0f}", rate());
  const std::string text = fmt::format("step {}/{} {} {} it/s ETA {}", step, total_, what(), speed,
                                       seconds_per_step_ > 0 ? duration_text(left) : "-");
  if (style_ == Style::terminal) {
    std::fputs(fmt::format("\r{:<{}}", text, drawn_).c_str(), to_);
    drawn_ = text.size();
  } else {
    std::fputs(fmt::format("{}\n", text).c_str(), to_);
  }
  std::fflush(to_);
}

void Progress::line(const std::string& text) {
  if (style_ == Style::quiet) return;
  if (drawn_ > 0) std::fputs(fmt::format("\r{:<{}}\r", "", drawn_).c_str(), to_);
  drawn_ = 0;
  std::fputs(fmt::format("{}\n", text).c_str(), to_);
  std::fflush(to_);
}

void Progress::finish() {
  if (drawn_ > 0) std::fputs(fmt::format("\n").c_str(), to_);
  drawn_ = 0;
  std::fflush(to_);
}

}  // namespace tapedeck::train
