#include <tapedeck/io/dataset.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/hash.h>
#include <tapedeck/io/sound_header.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace tapedeck::io {
namespace {

// The reason of an error about `name`, without the name.
std::string reason_of(const Error& error, const std::string& name) {
  const std::string text = error.what(), head = name + ": ";
  return text.starts_with(head) ? text.substr(head.size()) : text;
}

void measure(SoundFile& file, int sample_rate) {
  const int block = std::max(1, sample_rate / 50);
  double energy = 0, block_energy = 0;
  std::int64_t blocks = 0, silent = 0;
  for (std::size_t i = 0; i < file.samples.size(); ++i) {
    const double x = file.samples[i];
    file.peak = std::max(file.peak, std::abs(file.samples[i]));
    energy += x * x;
    block_energy += x * x;
    const auto length = static_cast<int>(i % static_cast<std::size_t>(block)) + 1;
    if (length == block || i + 1 == file.samples.size()) {
      ++blocks;
      silent += block_energy < 1e-6 * length;
      block_energy = 0;
    }
  }
  file.rms = static_cast<float>(std::sqrt(energy / static_cast<double>(file.samples.size())));
  file.silence = static_cast<double>(silent) / static_cast<double>(blocks);
  if (file.peak == 0) file.notes.push_back("is all silence");
}

std::int64_t length_of(const SoundFile& file) { return std::ssize(file.samples); }

std::int64_t bytes_of(const SoundFile& file) { return length_of(file) * static_cast<std::int64_t>(sizeof(float)); }

// The first 52 bits of a hash as a fraction in [0, 1).
double hash_fraction(const std::string& sha256) {
  return static_cast<double>(std::stoull(sha256.substr(0, 13), nullptr, 16)) * 0x1p-52;
}

}  // namespace

WindowIndex::WindowIndex(std::span<const Region> regions, std::int64_t length, std::int64_t stride) : stride_(stride) {
  TD_CHECK(length >= 1 && stride >= 1, ValueError, "windows: length ", length, " and stride ", stride,
           " must be at least 1");
  for (const Region& r : regions) {
    const std::int64_t room = r.end - r.begin - length;
    if (room < 0) {
      too_short_.push_back(r);
      continue;
    }
    regions_.push_back(r);
    ends_.push_back(size() + room / stride + 1);
  }
}

Window WindowIndex::operator[](std::int64_t i) const {
  TD_CHECK(i >= 0 && i < size(), ValueError, "windows: number ", i, " is not in 0 to ", size() - 1);
  const auto region = static_cast<std::size_t>(std::ranges::upper_bound(ends_, i) - ends_.begin());
  const std::int64_t first = region == 0 ? 0 : ends_[region - 1];
  return {regions_[region].file, regions_[region].begin + (i - first) * stride_};
}

SoundSet::SoundSet(const std::string& source, const SoundSetOptions& options)
    : source_(source), found_(find_sound_files(source)), valid_fraction_(options.valid_fraction) {
  TD_CHECK(options.valid_fraction > 0 && options.valid_fraction < 1, ValueError, "SoundSet: valid_fraction ",
           options.valid_fraction, " is not between 0 and 1");
  TD_CHECK(options.min_samples >= 1, ValueError, "SoundSet: min_samples ", options.min_samples, " is not at least 1");
  TD_CHECK(options.max_bytes >= 0, ValueError, "SoundSet: max_bytes ", options.max_bytes, " is negative");
  TD_CHECK(options.channel != all_channels, ValueError, "SoundSet: is mono; choose mix_channels or a channel number");
  TD_CHECK(options.sample_rate >= 0 && options.sample_rate <= max_sample_rate, ValueError, "SoundSet: sample rate ",
           options.sample_rate, " Hz is not in 0 (the most common) to ", max_sample_rate);
  skipped_ = found_.skipped;
  std::int64_t bytes = 0;
  for (const std::string& path : found_.paths) {
    if (!read(path, options)) continue;
    bytes += bytes_of(files_.back());
    TD_CHECK(options.max_bytes == 0 || bytes <= options.max_bytes, MemoryError, "'", printable(source_),
             "': its decoded samples take more than the limit of ", options.max_bytes, " bytes; reached at file ",
             files_.size(), " of ", found_.paths.size(), "; raise the limit or use fewer files");
  }
  if (files_.empty()) nothing_usable();
  unify_rate(options);
  drop_short(options);
  if (files_.empty()) nothing_usable();
  for (SoundFile& file : files_) measure(file, sample_rate_);
  std::ranges::stable_sort(skipped_, {}, &SkippedFile::path);
  split_files(options);
}

// Decodes one file at its own rate, from the very bytes that are hashed.
bool SoundSet::read(const std::string& path, const SoundSetOptions& options) {
  const std::string full = found_.root + "/" + path;
  SoundFile file;
  file.path = path;
  try {
    ReadOptions how;
    how.channel = options.channel, how.strict = options.strict, how.repair = options.repair;
    how.repair_by = "train --set io.repair=true, data inspect --repair";
    const std::vector<std::byte> bytes = read_file(full, how.max_bytes);
    file.sha256 = sha256_hex(bytes);
    file.info = probe_audio(bytes, full);
    Audio audio = decode_audio(bytes, full, how);
    file.samples = std::move(audio.samples);
    file.notes = std::move(audio.notes);
  } catch (const DataError& e) {
    skipped_.push_back({path, reason_of(e, printable(full))});
    return false;
  } catch (const IoError& e) {
    skipped_.push_back({path, reason_of(e, printable(full))});
    return false;
  }
  files_.push_back(std::move(file));
  return true;
}

void SoundSet::unify_rate(const SoundSetOptions& options) {
  sample_rate_ = options.sample_rate;
  if (sample_rate_ == 0) {
    std::map<int, int> count;
    for (const SoundFile& f : files_) ++count[f.info.sample_rate];
    sample_rate_ = std::ranges::max_element(count, {}, [](const auto& c) { return c.second; })->first;
  }
  std::int64_t bytes = 0;
  for (SoundFile& file : files_) {
    if (file.info.sample_rate != sample_rate_) {
      file.samples = resample(file.samples, 1, file.info.sample_rate, sample_rate_);
      file.notes.push_back("resampled from " + std::to_string(file.info.sample_rate) + " Hz to " +
                           std::to_string(sample_rate_) + " Hz");
    }
    bytes += bytes_of(file);
    TD_CHECK(options.max_bytes == 0 || bytes <= options.max_bytes, MemoryError, "'", printable(source_), "': at ",
             sample_rate_, " Hz its samples take more than the limit of ", options.max_bytes,
             " bytes; raise the limit, lower the rate or use fewer files");
  }
}

void SoundSet::drop_short(const SoundSetOptions& options) {
  std::erase_if(files_, [&](const SoundFile& file) {
    if (length_of(file) >= options.min_samples) return false;
    skipped_.push_back({file.path, detail::join({"needs >= ", options.min_samples, " samples at ", sample_rate_,
                                                 " Hz, has ", length_of(file), options.min_why})});
    return true;
  });
}

void SoundSet::split_files(const SoundSetOptions& options) {
  auto& train = regions_[static_cast<int>(Split::train)];
  auto& valid = regions_[static_cast<int>(Split::valid)];
  if (files_.size() == 1) {
    const std::int64_t n = length_of(files_[0]), least = options.min_samples;
    TD_CHECK(n >= 2 * least, DataError, printable(found_.root + "/" + files_[0].path),
             ": is the only usable file and needs >= ", 2 * least, " samples to have a part held out, has ", n,
             options.min_why);
    const auto wanted = static_cast<std::int64_t>(options.valid_fraction * static_cast<double>(n));
    const std::int64_t cut = n - std::clamp(wanted, least, n - least);
    train.push_back({0, 0, cut});
    valid.push_back({0, cut, n});
    return;
  }
  std::vector<double> key;
  for (const SoundFile& f : files_) key.push_back(hash_fraction(f.sha256));
  const auto [low, high] = std::ranges::minmax(key);
  const double bar = std::max(options.valid_fraction, low);
  const bool all_held_out = high <= bar;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const auto file = static_cast<std::int64_t>(i);
    // All files equal: the last of them is held out, as nothing else tells them apart.
    const bool held_out = low == high ? i + 1 == files_.size() : key[i] <= bar && !(all_held_out && key[i] == high);
    (held_out ? valid : train).push_back({file, 0, length_of(files_[i])});
  }
}

void SoundSet::nothing_usable() const {
  std::string extensions, reasons;
  for (const std::string& e : sound_extensions()) extensions += " ." + e;
  constexpr std::size_t shown = 10;
  for (std::size_t i = 0; i < std::min(skipped_.size(), shown); ++i) {
    reasons += (i ? "; " : "") + printable(skipped_[i].path) + ": " + skipped_[i].reason;
  }
  const std::size_t left_out = found_.runs.size();
  const std::string runs = left_out == 0
                               ? ""
                               : "; " + std::to_string(left_out) + " run folder" + (left_out == 1 ? "" : "s") +
                                     " left out: name one to use the sounds in it";
  if (skipped_.size() > shown) reasons += "; and " + std::to_string(skipped_.size() - shown) + " more";
  TD_CHECK(found_.how != "file", DataError, printable(source_), ": ", skipped_[0].reason);
  TD_CHECK(!skipped_.empty() || found_.how != "glob", DataError, "'", printable(source_), "': no file matches");
  TD_CHECK(!skipped_.empty(), DataError, "'", printable(source_), "': holds no sound file; looked for", extensions,
           " among its ", found_.other_files, " files", runs);
  TD_FAIL(DataError, "'", printable(source_), "': holds no usable sound file (looked for", extensions, "), ",
          skipped_.size(), " skipped: ", reasons, runs);
}

std::int64_t SoundSet::samples(Split split) const {
  std::int64_t sum = 0;
  for (const Region& r : regions(split)) sum += r.end - r.begin;
  return sum;
}

WindowIndex SoundSet::windows(Split split, std::int64_t length, std::int64_t stride) const {
  return WindowIndex(regions(split), length, stride);
}

std::span<const float> SoundSet::samples(Window w, std::int64_t length) const {
  TD_CHECK(w.file >= 0 && w.file < std::ssize(files_), ValueError, "SoundSet: file ", w.file, " is not in 0 to ",
           files_.size() - 1);
  const SoundFile& file = files_[static_cast<std::size_t>(w.file)];
  TD_CHECK(w.start >= 0 && length >= 0 && w.start <= length_of(file) - length, ValueError, printable(file.path),
           ": has ", length_of(file), " samples, not ", length, " from ", w.start);
  return std::span(file.samples).subspan(static_cast<std::size_t>(w.start), static_cast<std::size_t>(length));
}

std::vector<std::string> SoundSet::unused(Split split, std::int64_t length) const {
  std::vector<std::string> out;
  const WindowIndex index = windows(split, length);
  for (const Region& r : index.too_short()) {
    out.push_back(printable(files_[static_cast<std::size_t>(r.file)].path) + ": needs >= " + std::to_string(length) +
                  " samples, has " + std::to_string(r.end - r.begin));
  }
  return out;
}

std::string SoundSet::fingerprint() const {
  Sha256 hash;
  for (const SoundFile& f : files_) {
    const std::string line = f.sha256 + " " + std::to_string(f.path.size()) + " " + f.path + "\n";
    hash.update(std::as_bytes(std::span(line)));
  }
  return hash.hex();
}

}  // namespace tapedeck::io
