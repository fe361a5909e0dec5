// What must hold for any bytes given to the audio reader: a DataError, or sound that is what it says. Used by the
// fuzzer and by the replay of its corpus.
#pragma once
#include <tapedeck/io/audio.h>
#include <tapedeck/tensor/error.h>

#include <cmath>
#include <optional>
#include <string>

namespace tapedeck {

inline std::optional<io::Audio> decoded_or_refused(std::span<const std::byte> bytes, const io::ReadOptions& options,
                                                   std::string* refusal) {
  try {
    return io::decode_audio(bytes, "input", options);
  } catch (const DataError& e) {
    *refusal = e.what();
    return std::nullopt;
  }
}

// The promise that is broken, or "". `refusal` gets the reader's message when it refuses.
inline std::string broken_promise(std::span<const std::byte> bytes, std::string* refusal) {
  io::ReadOptions all;
  all.channel = io::all_channels;
  all.max_bytes = 16 << 20;
  const auto audio = decoded_or_refused(bytes, all, refusal);
  if (!audio) {
    if (!refusal->starts_with("input: ") || refusal->find('\n') != std::string::npos)
      return "a bad message: " + *refusal;
    return "";
  }
  const auto channels = static_cast<std::size_t>(audio->channels);
  if (audio->channels < 1 || audio->channels > 64) return "channels: " + std::to_string(audio->channels);
  if (audio->sample_rate < 1 || audio->sample_rate > 768'000) return "rate: " + std::to_string(audio->sample_rate);
  if (audio->samples.empty() || audio->samples.size() % channels != 0) return "not whole frames";
  for (const float x : audio->samples) {
    if (!std::isfinite(x)) return "a sample that is not finite";
  }
  const io::AudioInfo info = io::probe_audio(bytes, "input");
  if (info.channels != audio->channels || info.sample_rate != audio->sample_rate) return "probing says otherwise";
  io::ReadOptions first = all;
  first.channel = 0;
  const auto left = decoded_or_refused(bytes, first, refusal);
  if (!left || left->frames() != audio->frames()) return "another decoding has another length";
  for (std::size_t i = 0; i < left->samples.size(); ++i) {
    if (left->samples[i] != audio->samples[i * channels]) return "another decoding has other samples";
  }
  return "";
}

}  // namespace tapedeck
