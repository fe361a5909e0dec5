#include <tapedeck/io/canvas.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/spectrogram.h>
#include <tapedeck/io/text.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace tapedeck::io {
namespace {

// The largest of 1, 2, 5 times a power of ten that gives at least four ticks.
double tick_step(double range) {
  double step = std::pow(10, std::floor(std::log10(range)));
  for (const double part : {1.0, 0.5, 0.2, 0.1}) {
    if (range / (step * part) >= 4) return step * part;
  }
  return step * 0.1;
}

// As many digits as the step has after its point.
std::string tick_text(double value, double step) {
  return fixed(value, std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9))));
}

// Perceptual colours from dark to light: lightness rises evenly while the hue goes from blue over red to yellow. Our
// own polynomial through a dark blue, violet, red, orange and pale yellow.
Rgb loudness_colour(double v) {
  v = std::clamp(v, 0.0, 1.0);
  constexpr double stops[5][3] = {{8, 8, 28}, {80, 22, 110}, {188, 50, 90}, {246, 140, 40}, {252, 252, 176}};
  double out[3] = {0, 0, 0};
  for (int i = 0; i < 5; ++i) {  // Lagrange's form of the quartic through the five stops
    double weight = 1;
    for (int j = 0; j < 5; ++j) {
      if (j != i) weight *= (v * 4 - j) / (i - j);
    }
    for (int c = 0; c < 3; ++c) out[c] += weight * stops[i][c];
  }
  const auto byte = [](double x) { return static_cast<std::uint8_t>(std::clamp(std::lround(x), 0L, 255L)); };
  return {byte(out[0]), byte(out[1]), byte(out[2])};
}

constexpr Rgb white{255, 255, 255}, black{30, 30, 34}, grey{120, 120, 126};
constexpr int left = 58, right = 84, top = 18, bottom = 40, plot_width = 860, plot_height = 400;
constexpr double range_db = 80;

// The loudest of the bins and frames that a pixel covers; between bins, interpolated.
class Sampler {
 public:
  Sampler(const Spectrogram& s, double samples) : s_(s), samples_(samples) {}
  double at(int x, int y) const {
    const auto frame = [&](int column) {
      const auto t = static_cast<std::int64_t>(column * samples_ / plot_width / static_cast<double>(s_.hop));
      return std::clamp<std::int64_t>(t, 0, s_.frames - 1);
    };
    const double low = static_cast<double>(y) / plot_height * static_cast<double>(s_.bins - 1);
    const double high = static_cast<double>(y + 1) / plot_height * static_cast<double>(s_.bins - 1);
    float best = floor_db;
    for (std::int64_t t = frame(x); t <= std::max(frame(x), frame(x + 1) - 1); ++t) {
      const float* row = s_.db.data() + t * s_.bins;
      const double middle = (low + high) / 2;
      const auto k = std::min(static_cast<std::int64_t>(middle), s_.bins - 2);
      best = std::max(best, std::lerp(row[k], row[k + 1], static_cast<float>(middle - static_cast<double>(k))));
      for (auto j = static_cast<std::int64_t>(std::ceil(low)); static_cast<double>(j) < high; ++j) {
        best = std::max(best, row[j]);
      }
    }
    return best;
  }

 private:
  const Spectrogram& s_;
  double samples_;
};

}  // namespace

void fft(std::span<std::complex<double>> x) {
  const std::size_t n = x.size();
  TD_CHECK(std::has_single_bit(n), ValueError, "fft: length ", n, " is not a power of two");
  for (std::size_t i = 1, j = 0; i < n; ++i) {  // bit-reversed order
    std::size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  std::vector<std::complex<double>> turn(n / 2);
  for (std::size_t k = 0; k < n / 2; ++k) {
    turn[k] = std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n));
  }
  for (std::size_t half = 1; half < n; half *= 2) {
    for (std::size_t start = 0; start < n; start += 2 * half) {
      for (std::size_t k = 0; k < half; ++k) {
        const auto odd = x[start + k + half] * turn[k * (n / (2 * half))], even = x[start + k];
        x[start + k] = even + odd;
        x[start + k + half] = even - odd;
      }
    }
  }
}

Spectrogram spectrogram(std::span<const float> samples, std::int64_t size, std::int64_t hop) {
  TD_CHECK(size >= 16 && std::has_single_bit(static_cast<std::uint64_t>(size)), ValueError, "spectrogram: window size ",
           size, " is not a power of two from 16");
  TD_CHECK(hop >= 1, ValueError, "spectrogram: hop ", hop, " is not at least 1");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    TD_CHECK(std::isfinite(samples[i]), ValueError, "spectrogram: sample ", i, " is not a finite number");
  }
  const std::int64_t n = std::ssize(samples);
  Spectrogram out{.frames = n == 0 ? 0 : (n - 1) / hop + 1, .bins = size / 2 + 1, .hop = hop, .db = {}};
  out.db.reserve(static_cast<std::size_t>(out.frames * out.bins));
  std::vector<double> window(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < window.size(); ++i) {
    window[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(size));
  }
  std::vector<std::complex<double>> x(window.size());
  for (std::int64_t t = 0; t < out.frames; ++t) {
    for (std::int64_t i = 0; i < size; ++i) {
      const std::int64_t at = t * hop - size / 2 + i;
      const double sample = at >= 0 && at < n ? samples[static_cast<std::size_t>(at)] : 0.0;
      x[static_cast<std::size_t>(i)] = sample * window[static_cast<std::size_t>(i)];
    }
    fft(x);
    for (std::int64_t k = 0; k < out.bins; ++k) {
      const double amplitude = std::abs(x[static_cast<std::size_t>(k)]) * 4 / static_cast<double>(size);
      out.db.push_back(static_cast<float>(std::max<double>(floor_db, 20 * std::log10(amplitude + 1e-12))));
    }
  }
  return out;
}

void write_spectrogram_png(const std::string& path, std::span<const float> samples, int sample_rate, bool overwrite) {
  TD_CHECK(!samples.empty(), ValueError, printable(path), ": there are no samples to draw");
  TD_CHECK(sample_rate >= 1, ValueError, printable(path), ": sample rate ", sample_rate, " Hz is not at least 1");
  if (!overwrite) refuse_existing(path);
  // 32 ms windows tell harmonics of a voice apart; the hop gives a frame a pixel, with none of the sound left out.
  const auto wanted = std::bit_ceil(static_cast<std::uint64_t>(sample_rate) * 32 / 1000);
  const auto size = static_cast<std::int64_t>(std::clamp<std::uint64_t>(wanted, 64, 8192));
  const auto hop = std::clamp<std::int64_t>(std::ssize(samples) / plot_width, 1, size / 2);
  const Spectrogram s = spectrogram(samples, size, hop);
  const double loudest = std::max<double>(std::ranges::max(s.db), floor_db + range_db);
  const Sampler sampler(s, static_cast<double>(samples.size()));

  Canvas canvas(left + plot_width + right, top + plot_height + bottom, white);
  for (int y = 0; y < plot_height; ++y) {
    for (int x = 0; x < plot_width; ++x) {
      const double db = sampler.at(x, y);
      canvas.set(left + x, top + plot_height - 1 - y, loudness_colour((db - loudest) / range_db + 1));
    }
  }
  const int base = top + plot_height;
  canvas.frame(left - 1, top - 1, plot_width + 2, plot_height + 2, grey);

  const double seconds = static_cast<double>(samples.size()) / sample_rate;
  const double time_step = tick_step(seconds);
  for (int i = 0; i * time_step <= seconds * (1 + 1e-9); ++i) {
    const int x = left + std::min(plot_width - 1, static_cast<int>(i * time_step / seconds * plot_width));
    canvas.fill(x, base + 1, 1, 5, grey);
    canvas.text(x, base + 9, tick_text(i * time_step, time_step), black, Align::middle);
  }
  canvas.text(left + plot_width / 2, base + 25, "s", black, Align::middle);

  const bool kilo = sample_rate >= 4000;
  const double nyquist = sample_rate / (kilo ? 2000.0 : 2.0), frequency_step = tick_step(nyquist);
  for (int i = 0; i * frequency_step <= nyquist * (1 + 1e-9); ++i) {
    const int y = base - 1 - std::min(plot_height - 1, static_cast<int>(i * frequency_step / nyquist * plot_height));
    canvas.fill(left - 6, y, 5, 1, grey);
    canvas.text(left - 9, y - 3, tick_text(i * frequency_step, frequency_step), black, Align::right);
  }
  canvas.text(8, top - 14, kilo ? "kHz" : "Hz", black, Align::left);

  const int bar = left + plot_width + 18;
  constexpr int bar_width = 14;
  for (int y = 0; y < plot_height; ++y) {
    canvas.fill(bar, base - 1 - y, bar_width, 1, loudness_colour(static_cast<double>(y) / (plot_height - 1)));
  }
  canvas.frame(bar - 1, top - 1, bar_width + 2, plot_height + 2, grey);
  for (double db = std::floor(loudest / 20) * 20; db >= loudest - range_db; db -= 20) {
    const int y = base - 1 - static_cast<int>(((db - loudest) / range_db + 1) * (plot_height - 1));
    canvas.fill(bar + bar_width + 1, y, 5, 1, grey);
    canvas.text(bar + bar_width + 9, y - 3, fixed(db, 0), black, Align::left);
  }
  canvas.text(bar, top - 14, "dB", black, Align::left);
  canvas.save_png(path, overwrite);
}

}  // namespace tapedeck::io
