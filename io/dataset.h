// A set of recordings: scanned, checked, decoded to mono at one rate, split, and cut into windows.
#pragma once
#include <tapedeck/io/audio.h>
#include <tapedeck/io/node.h>
#include <tapedeck/io/sound_files.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::io {

enum class Split { train, valid };

struct SoundSetOptions {
  int sample_rate = 0;           // Hz; 0: the one most files have (of two as common, the lower)
  int channel = mix_channels;    // as ReadOptions
  bool strict = false;           // skip files that hold less than their header promises
  bool repair = false;           // set NaN and Inf samples to 0 instead of skipping the file
  std::int64_t min_samples = 1;  // at the set's rate; shorter files are skipped
  std::string min_why = {};      // what asks for so many; ends the messages
  double valid_fraction = 0.05;  // held out, above 0 and below 1
  std::int64_t max_bytes = 0;    // of decoded samples; 0: no limit
};

struct SoundFile {
  std::string path;            // relative to the set's root
  std::string sha256;          // of the file's bytes
  AudioInfo info;              // as in the file
  std::vector<float> samples;  // mono, at the set's rate
  float peak = 0, rms = 0;
  double silence = 0;  // share of its 20 ms blocks below -60 dB of full scale (RMS)
  std::vector<std::string> notes;
};

// One stretch of one file that belongs to one side of the split: all of the file, unless it is the only one.
struct Region {
  std::int64_t file, begin, end;
};

struct Window {
  std::int64_t file, start;
  bool operator==(const Window&) const = default;
};

// The windows of `length` samples that begin every `stride` samples of each region, numbered from 0. With stride 1
// these are all valid positions: a uniform number below size() is a uniform window.
class WindowIndex {
 public:
  WindowIndex(std::span<const Region> regions, std::int64_t length, std::int64_t stride);
  std::int64_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  Window operator[](std::int64_t i) const;  // O(log files); ValueError outside 0 .. size() - 1
  const std::vector<Region>& too_short() const { return too_short_; }  // regions with less than `length` samples

 private:
  std::vector<Region> regions_, too_short_;
  std::vector<std::int64_t> ends_;  // windows up to and including each region
  std::int64_t stride_;
};

class SoundSet {
 public:
  // Reads everything that `source` names (find_sound_files). What cannot be used is skipped with its reason; DataError
  // when nothing can, MemoryError beyond max_bytes.
  //
  // Held out are the files whose SHA-256, read as a fraction, is at most valid_fraction: adding or renaming files moves
  // no other file to the other side, and equal files stay together. At least one file is on each side: else the one
  // with the lowest hash is held out, or the one with the highest is trained on. Of a single file the last part is
  // held out, as long as the fraction says but min_samples at least.
  explicit SoundSet(const std::string& source, const SoundSetOptions& options = {});

  const std::string& source() const { return source_; }
  int sample_rate() const { return sample_rate_; }
  const std::vector<SoundFile>& files() const { return files_; }
  const std::vector<SkippedFile>& skipped() const { return skipped_; }
  const std::vector<std::string>& runs() const { return found_.runs; }  // run folders left out, relative to the root
  const std::vector<Region>& regions(Split split) const { return regions_[static_cast<int>(split)]; }
  std::int64_t samples(Split split) const;

  WindowIndex windows(Split split, std::int64_t length, std::int64_t stride = 1) const;
  std::span<const float> samples(Window window, std::int64_t length) const;  // ValueError beyond the file's end
  // "NAME: needs >= LENGTH samples, has N" for each file without a window.
  std::vector<std::string> unused(Split split, std::int64_t length) const;

  // SHA-256 of the used files' paths and hashes.
  std::string fingerprint() const;
  // {"source", "sample_rate", "fingerprint", "files": [{"path", "sha256", "samples"}]}: what a run remembers.
  Node manifest() const;
  // What differs from a remembered manifest(), naming files; empty when nothing does. FormatError for another node.
  std::string describe_change(const Node& saved) const;

  Node report() const;              // everything, for machines
  std::string report_text() const;  // a screenful, for people

 private:
  bool read(const std::string& path, const SoundSetOptions& options);
  void unify_rate(const SoundSetOptions& options);
  void drop_short(const SoundSetOptions& options);
  void split_files(const SoundSetOptions& options);
  [[noreturn]] void nothing_usable() const;

  std::string source_;
  SoundFiles found_;
  int sample_rate_ = 0;
  double valid_fraction_;
  std::vector<SoundFile> files_;
  std::vector<SkippedFile> skipped_;
  std::vector<Region> regions_[2];
};

}  // namespace tapedeck::io
