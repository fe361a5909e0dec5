// What a SoundSet tells: to a run's memory, to machines, to people.
#include <tapedeck/io/dataset.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/text.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace tapedeck::io {
namespace {

// 12.3 s, 25.5 min, 3.2 h
std::string duration(double seconds) {
  if (seconds < 120) return fixed(seconds, seconds < 1 ? 3 : 1) + " s";
  if (seconds < 7200) return fixed(seconds / 60, 1) + " min";
  return fixed(seconds / 3600, 1) + " h";
}

std::string decibels(double amplitude) {
  if (amplitude <= 0) return "silence";
  return fixed(std::round(200 * std::log10(amplitude)) / 10 + 0.0, 1) + " dB";  // + 0.0: no "-0.0"
}

std::string counted(std::int64_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

Node strings(const std::vector<std::string>& list) {
  Node out = Node::array();
  for (const std::string& s : list) out.push(s);
  return out;
}

std::vector<std::string> printed(std::vector<std::string> names) {
  for (std::string& name : names) name = printable(name);
  return names;
}

// ", 3 added (a, b, c)"; at most five names.
std::string change(const std::vector<std::string>& names, const char* what) {
  if (names.empty()) return "";
  constexpr std::size_t shown = 5;
  std::string out = ", " + counted(std::ssize(names), "file") + " " + what + " (";
  for (std::size_t i = 0; i < std::min(names.size(), shown); ++i) out += (i ? ", " : "") + printable(names[i]);
  if (names.size() > shown) out += ", and " + std::to_string(names.size() - shown) + " more";
  return out + ")";
}

// "8000 Hz (568 files)" or "8000 Hz (560), 44100 Hz (8)", the most common first.
std::string tally(const std::map<std::string, std::int64_t>& counts) {
  std::vector<std::pair<std::string, std::int64_t>> sorted(counts.begin(), counts.end());
  std::ranges::stable_sort(sorted, std::greater{}, [](const auto& c) { return c.second; });
  std::string out;
  for (const auto& [name, n] : sorted) out += (out.empty() ? "" : ", ") + name + " (" + std::to_string(n) + ")";
  return out;
}

}  // namespace

Node SoundSet::manifest() const {
  Node files = Node::array();
  for (const SoundFile& f : files_) {
    Node file = Node::object();
    file["path"] = printable(f.path);
    file["sha256"] = f.sha256;
    file["samples"] = static_cast<std::int64_t>(f.samples.size());
    files.push(std::move(file));
  }
  Node out = Node::object();
  out["source"] = printable(source_);
  out["sample_rate"] = sample_rate_;
  out["fingerprint"] = fingerprint();
  out["files"] = std::move(files);
  return out;
}

std::string SoundSet::describe_change(const Node& saved) const {
  std::map<std::string, std::string> before;
  for (const Node& file : saved.at("files").items()) before[file.at("path").string()] = file.at("sha256").string();
  std::vector<std::string> added, removed, changed;
  for (const SoundFile& f : files_) {
    const auto old = before.find(printable(f.path));
    if (old == before.end()) {
      added.push_back(f.path);
    } else {
      if (old->second != f.sha256) changed.push_back(f.path);
      before.erase(old);
    }
  }
  for (const auto& [path, hash] : before) removed.push_back(path);
  std::string out = change(added, "added") + change(removed, "removed") + change(changed, "changed");
  const std::int64_t rate = saved.at("sample_rate").integer();
  if (rate != sample_rate_) {
    out += ", sample rate " + std::to_string(rate) + " Hz became " + std::to_string(sample_rate_) + " Hz";
  }
  return out.empty() ? out : out.substr(2);
}

Node SoundSet::report() const {
  Node out = manifest();
  out["how"] = found_.how;
  out["valid_fraction"] = valid_fraction_;
  const auto seconds = [&](std::int64_t n) { return static_cast<double>(n) / sample_rate_; };
  for (const Split split : {Split::train, Split::valid}) {
    Node side = Node::object();
    side["files"] = static_cast<std::int64_t>(regions(split).size());
    side["samples"] = samples(split);
    side["seconds"] = seconds(samples(split));
    out[split == Split::train ? "train" : "valid"] = std::move(side);
  }
  std::vector<const char*> sides(files_.size(), "both");
  if (files_.size() > 1) {
    for (const Region& r : regions(Split::train)) sides[static_cast<std::size_t>(r.file)] = "train";
    for (const Region& r : regions(Split::valid)) sides[static_cast<std::size_t>(r.file)] = "valid";
  }
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const SoundFile& f = files_[i];
    Node& file = out["files"].items()[i];
    file["seconds"] = seconds(std::ssize(f.samples));
    file["format"] = f.info.format;
    file["file_sample_rate"] = f.info.sample_rate;
    file["file_channels"] = f.info.channels;
    file["split"] = sides[i];
    file["peak"] = static_cast<double>(f.peak);
    file["rms"] = static_cast<double>(f.rms);
    file["silence"] = f.silence;
    file["notes"] = strings(f.notes);
  }
  Node skipped = Node::array();
  for (const SkippedFile& s : skipped_) {
    Node file = Node::object();
    file["path"] = printable(s.path);
    file["reason"] = s.reason;
    skipped.push(std::move(file));
  }
  out["skipped"] = std::move(skipped);
  out["run_folders"] = strings(printed(found_.runs));
  out["other_files"] = found_.other_files;
  return out;
}

std::string SoundSet::report_text() const {
  std::map<std::string, std::int64_t> rates, channels, formats;
  std::int64_t total = 0, shortest = std::ssize(files_[0].samples), longest = shortest;
  double energy = 0, silence = 0;
  float peak = 0;
  for (const SoundFile& f : files_) {
    ++rates[std::to_string(f.info.sample_rate) + " Hz"];
    ++channels[f.info.channels == 1 ? "mono" : f.info.channels == 2 ? "stereo" : counted(f.info.channels, "channel")];
    ++formats[f.info.format];
    const std::int64_t n = std::ssize(f.samples);
    total += n, shortest = std::min(shortest, n), longest = std::max(longest, n);
    energy += static_cast<double>(f.rms) * f.rms * static_cast<double>(n);
    silence += f.silence * static_cast<double>(n);
    peak = std::max(peak, f.peak);
  }
  const double rate = sample_rate_, all = static_cast<double>(total);
  const auto files = std::ssize(files_);
  std::string out = printable(source_) + " (" + found_.how + ")\n";
  out += "  used      " + counted(files, "file") + ", " + duration(all / rate) + " at " + std::to_string(sample_rate_) +
         " Hz mono; each " + duration(static_cast<double>(shortest) / rate) + " to " +
         duration(static_cast<double>(longest) / rate) + "\n";
  out += "  rates     " + tally(rates) + "\n  channels  " + tally(channels) + "\n  formats   " + tally(formats) + "\n";
  out += "  level     peak " + decibels(peak) + ", RMS " + decibels(std::sqrt(energy / all)) + ", " +
         fixed(100 * silence / all, 1) + " % silence (20 ms blocks below -60 dB)\n";
  const auto side = [&](Split s) { return duration(static_cast<double>(samples(s)) / rate); };
  if (files == 1) {
    out += "  split     by position: the last " + side(Split::valid) + " held out, " + side(Split::train) +
           " to train on\n";
  } else {
    out += "  split     by file hash: " + counted(std::ssize(regions(Split::train)), "file") + " (" +
           side(Split::train) + ") to train on, " + counted(std::ssize(regions(Split::valid)), "file") + " (" +
           side(Split::valid) + ") held out\n";
  }
  out += "  hash      " + fingerprint() + "\n";
  const auto section = [&](const std::string& title, const std::vector<std::string>& lines) {
    constexpr std::size_t shown = 50;
    if (lines.empty()) return;
    out += "  " + title + "\n";
    for (std::size_t i = 0; i < std::min(lines.size(), shown); ++i) out += "    " + lines[i] + "\n";
    if (lines.size() > shown) out += "    and " + std::to_string(lines.size() - shown) + " more (all with --json)\n";
  };
  std::vector<std::string> noted, left_out;
  for (const SoundFile& f : files_) {
    for (const std::string& note : f.notes) noted.push_back(printable(f.path) + ": " + note);
  }
  for (const SkippedFile& s : skipped_) left_out.push_back(printable(s.path) + ": " + s.reason);
  section(counted(std::ssize(noted), "note"), noted);
  section("skipped " + counted(std::ssize(left_out), "file"), left_out);
  section(counted(std::ssize(runs()), "run folder") + " left out", printed(runs()));
  if (found_.other_files > 0) out += "  besides   " + counted(found_.other_files, "file") + " of other kinds\n";
  return out;
}

}  // namespace tapedeck::io
