// Sound files in and out: WAV, FLAC, Ogg (Vorbis, Opus, FLAC), MP3 and AIFF by libsndfile, resampling by soxr.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::io {

struct Audio {
  std::vector<float> samples;  // frames * channels, interleaved, full scale is [-1, 1]
  int channels = 1;
  int sample_rate = 0;             // Hz
  std::vector<std::string> notes;  // what was done or is odd: resampled, cut short, beyond full scale, repaired
  std::int64_t frames() const { return static_cast<std::int64_t>(samples.size()) / channels; }
};

struct AudioInfo {
  std::string format;  // "wav pcm16", "flac pcm24", "ogg vorbis", ...
  int channels = 0;
  int sample_rate = 0;       // Hz
  std::int64_t frames = -1;  // that the header promises; -1 when it does not say
};

// Besides a channel number from 0 (0 is the left one): their mean, or every one interleaved.
constexpr int mix_channels = -1, all_channels = -2;

struct ReadOptions {
  int channel = mix_channels;
  int sample_rate = 0;                 // 0: the file's own
  bool strict = false;                 // refuse a file that holds less than its header promises, or is damaged
  bool repair = false;                 // NaN and Inf become 0 (a note counts them) instead of a DataError
  std::string repair_by = {};          // how people ask for that, for the DataError; "": they cannot
  std::int64_t max_bytes = 4LL << 30;  // of decoded samples
};

// "mix", "all", "left", "right" or a channel number from 0, as ReadOptions::channel; ValueError for anything else.
int channel_policy(const std::string& name);

// Reads and checks the header alone. DataError: one sentence naming the file and the rule it breaks.
AudioInfo probe_audio(const std::string& path);

// Decodes a whole file of 1 to 64 channels; memory follows what is really in the file, never what its header says.
// PCM of b bits gives exactly n / 2^(b-1) (for 32 bits: rounded to float). DataError as above.
Audio read_audio(const std::string& path, const ReadOptions& options = {});

// The same for a file that is in memory; `name` is what messages call it.
Audio decode_audio(std::span<const std::byte> bytes, const std::string& name, const ReadOptions& options = {});
AudioInfo probe_audio(std::span<const std::byte> bytes, const std::string& name);

// Band-limited resampling of interleaved frames (soxr VHQ, linear phase, no delay).
std::vector<float> resample(std::span<const float> samples, int channels, int from_rate, int to_rate);

enum class WavFormat { pcm16, pcm24, float32 };

// Writes a WAV file atomically (io/file.h: ValueError when it exists and may not be overwritten, IoError for the
// disk). Returns how many samples lay beyond [-1, 1] and were clipped (float32 keeps them: 0). NaN, Inf: ValueError.
std::int64_t write_wav(const std::string& path, std::span<const float> samples, int channels, int sample_rate,
                       WavFormat format = WavFormat::pcm16, bool overwrite = false);

}  // namespace tapedeck::io
