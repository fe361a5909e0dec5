// The WAV writer of audio.h.
#include <tapedeck/io/audio.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/sound_header.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tapedeck::io {
namespace {

class LittleEndian {
 public:
  explicit LittleEndian(std::vector<std::byte>& out) : out_(out) {}
  void text(const char* four) { put(four, 4); }
  void number(std::uint32_t v, std::size_t bytes) { put(&v, bytes); }  // x86 is little-endian itself
  void real(float v) { put(&v, 4); }

 private:
  void put(const void* p, std::size_t n) {
    const auto* b = static_cast<const std::byte*>(p);
    out_.insert(out_.end(), b, b + n);
  }
  std::vector<std::byte>& out_;
};

std::vector<std::byte> wav_header(std::uint32_t data_bytes, std::uint32_t frames, int channels, int rate,
                                  std::uint32_t width, bool real) {
  std::vector<std::byte> out;
  LittleEndian w(out);
  const std::uint32_t align = static_cast<std::uint32_t>(channels) * width, fmt = real ? 18 : 16, fact = real ? 12 : 0;
  w.text("RIFF");
  w.number(4 + 8 + fmt + fact + 8 + data_bytes + data_bytes % 2, 4);
  w.text("WAVE");
  w.text("fmt ");
  w.number(fmt, 4);
  w.number(real ? 3 : 1, 2);
  w.number(static_cast<std::uint32_t>(channels), 2);
  w.number(static_cast<std::uint32_t>(rate), 4);
  w.number(static_cast<std::uint32_t>(rate) * align, 4);
  w.number(align, 2);
  w.number(width * 8, 2);
  if (real) {  // what is not PCM says that it has no extension, and how many frames there are
    w.number(0, 2);
    w.text("fact");
    w.number(4, 4);
    w.number(frames, 4);
  }
  w.text("data");
  w.number(data_bytes, 4);
  return out;
}

}  // namespace

std::int64_t write_wav(const std::string& path, std::span<const float> samples, int channels, int sample_rate,
                       WavFormat format, bool overwrite) {
  TD_CHECK(channels >= 1 && channels <= max_channels, ValueError, "write_wav: ", channels, " channels are not in 1 to ",
           max_channels);
  TD_CHECK(sample_rate >= 1 && sample_rate <= max_sample_rate, ValueError, "write_wav: a sample rate of ", sample_rate,
           " Hz is not in 1 to ", max_sample_rate);
  const auto count = static_cast<std::uint64_t>(samples.size()), wide = static_cast<std::uint64_t>(channels);
  TD_CHECK(count % wide == 0, ValueError, "write_wav: ", count, " samples are not whole frames of ", channels,
           " channels");
  const bool real = format == WavFormat::float32;
  const std::uint32_t width = format == WavFormat::pcm16 ? 2 : format == WavFormat::pcm24 ? 3 : 4;
  TD_CHECK(count * width < 0xFFFFFF00, ValueError, printable(path), ": ", count * width,
           " bytes of samples do not fit a WAV file (4 GiB); write several");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    TD_CHECK(std::isfinite(samples[i]), ValueError, printable(path), ": sample ",
             std::isnan(samples[i]) ? "NaN" : "Inf", " at frame ", i / wide, " cannot be written");
  }
  OutputFile file(path, overwrite);
  const auto data_bytes = static_cast<std::uint32_t>(count * width);
  file.write(wav_header(data_bytes, static_cast<std::uint32_t>(count / wide), channels, sample_rate, width, real));
  const float scale = format == WavFormat::pcm16 ? 0x1p15f : 0x1p23f;
  std::int64_t clipped = 0;
  std::vector<std::byte> block;
  for (std::size_t at = 0; at < samples.size();) {
    block.clear();
    LittleEndian w(block);
    for (const std::size_t end = std::min(at + 65536, samples.size()); at < end; ++at) {
      const float x = samples[at];
      if (real) {
        w.real(x);
        continue;
      }
      clipped += std::abs(x) > 1;
      const float code = std::clamp(std::nearbyint(x * scale), -scale, scale - 1);
      w.number(static_cast<std::uint32_t>(static_cast<std::int32_t>(code)), width);
    }
    file.write(block);
  }
  const std::byte padding{};
  if (data_bytes % 2 != 0) file.write({&padding, 1});
  file.commit();
  return clipped;
}

}  // namespace tapedeck::io
