// What the first bytes of a sound file claim, checked against the file itself: the decoder library lets lies pass.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::io {

// A sound file's bytes, in a file or in memory: read(position, into) gives the bytes read.
struct ByteSource {
  std::int64_t size = 0;
  std::function<std::size_t(std::int64_t, std::span<std::byte>)> read;
};

enum class Container { wav, flac, ogg, mp3, aiff };

struct SoundHeader {
  Container container;
  std::int64_t frames = -1;         // promised; -1 when the header does not say
  std::int64_t wav_size_at = -1;    // where a WAV file keeps the size of its samples, when that says nothing
  std::vector<std::string> shorts;  // where the file holds less than the header promises, one phrase each
};

constexpr int max_channels = 64, max_sample_rate = 768'000;

// DataError "name: ..." when this is none of the containers, or its header is cut off or breaks a rule.
SoundHeader inspect_header(const ByteSource& source, const std::string& name);

const char* container_name(Container container);

}  // namespace tapedeck::io
