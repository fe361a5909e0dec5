// Sound files for tests: WAV bytes made field by field, so that each can lie, and any format through libsndfile.
#pragma once
#include <sndfile.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <span>
#include <string>
#include <vector>

namespace tapedeck {

struct WavBytes {
  std::uint16_t code = 1, channels = 1, align = 2, bits = 16;
  std::uint32_t rate = 8000;
  std::string data = std::string(200, '\1');
  std::int64_t promised = -1;  // bytes that the data chunk claims; -1: the truth
  std::string before, after;   // whole chunks around the data chunk

  static std::string number(std::uint64_t v, int bytes) {
    return {reinterpret_cast<const char*>(&v), std::size_t(bytes)};
  }
  static std::string chunk(const std::string& id, const std::string& body) {
    return id + number(body.size(), 4) + body + std::string(body.size() % 2, '\0');
  }
  std::string format() const {
    return number(code, 2) + number(channels, 2) + number(rate, 4) + number(std::uint64_t{rate} * align, 4) +
           number(align, 2) + number(bits, 2);
  }
  std::string bytes() const {
    const std::string body = "WAVE" + chunk("fmt ", format()) + before + "data" +
                             number(promised < 0 ? data.size() : std::uint64_t(promised), 4) + data + after;
    return "RIFF" + number(body.size(), 4) + body;
  }
};

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Channel c is a sine of 200 (c + 1) Hz and amplitude 0.5.
inline std::vector<double> sines(int channels, int rate, int frames) {
  std::vector<double> out;
  for (int i = 0; i < frames; ++i) {
    for (int c = 0; c < channels; ++c) out.push_back(0.5 * std::sin(2 * std::numbers::pi * 200 * (c + 1) * i / rate));
  }
  return out;
}

// False when libsndfile cannot make such a file.
inline bool make_sound(const std::string& path, int format, int channels, int rate,
                       const std::vector<double>& samples) {
  SF_INFO info{};
  info.format = format, info.channels = channels, info.samplerate = rate;
  if (!sf_format_check(&info)) return false;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (!file) return false;
  const auto frames = static_cast<sf_count_t>(samples.size()) / channels;
  const bool good = sf_writef_double(file, samples.data(), frames) == frames;
  sf_close(file);
  return good;
}

}  // namespace tapedeck
