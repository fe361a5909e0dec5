#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <tapedeck/io/checkpoint.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/hash.h>
#include <tapedeck/io/node.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <unordered_set>

namespace tapedeck::io {

namespace fs = std::filesystem;

namespace {

constexpr const char* kManifest = "manifest.json";
constexpr std::int64_t kVersion = 1;
constexpr ParseLimits kManifestLimits{.depth = 8, .bytes = 64 << 20, .values = 2'000'000};
constexpr std::int64_t kLargest = std::int64_t{1} << 62;

std::string step_name(std::int64_t step) { return "step-" + std::to_string(step); }

// N of "step-N" as step_name writes it.
std::optional<std::int64_t> step_of(const std::string& name) {
  std::int64_t step = -1;
  if (!name.starts_with("step-")) return std::nullopt;
  std::from_chars(name.data() + 5, name.data() + name.size(), step);
  if (step < 0 || step_name(step) != name) return std::nullopt;
  return step;
}

bool plain_name(const std::string& name) {
  return !name.empty() && name[0] != '.' && name.find('/') == name.npos && printable(name) == name && name.size() < 200;
}

// Whether something has that name; not to know is an IoError, for what is missing counts as torn.
bool exists(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return true;
  TD_CHECK(errno == ENOENT || errno == ENOTDIR, IoError, printable(path),
           ": cannot be looked at: ", std::strerror(errno));
  return false;
}

void rename_or_fail(const std::string& from, const std::string& to) {
  TD_CHECK(::rename(from.c_str(), to.c_str()) == 0, IoError, printable(from), ": cannot be renamed to ", printable(to),
           ": ", std::strerror(errno));
}

void make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return;
  const int error = errno;
  TD_CHECK(error == EEXIST && fs::is_directory(path), IoError, printable(path),
           ": this folder cannot be made: ", std::strerror(error));
}

// Names of the entries of a folder; none when it does not exist.
std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  TD_CHECK(!error || error == std::errc::no_such_file_or_directory, IoError, printable(folder),
           ": this folder cannot be read: ", error.message());
  return names;
}

// Moves CHECKPOINTS/NAME (or `from`) to CHECKPOINTS/PLACE/NAME, or NAME-2, NAME-3, … when taken; where it went.
std::string move_aside(const std::string& checkpoints, const std::string& from, const char* place,
                       const std::string& name) {
  make_folder(checkpoints + "/" + place);
  std::string to = checkpoints + "/" + place + "/" + name;
  for (int i = 2; exists(to); ++i) to = checkpoints + "/" + place + "/" + name + "-" + std::to_string(i);
  rename_or_fail(from, to);
  sync_folder(checkpoints + "/" + place);
  sync_folder(checkpoints);
  return to;
}

// The folder in the making; removed unless it was moved away.
struct TemporaryFolder {
  std::string path;
  explicit TemporaryFolder(std::string p) : path(std::move(p)) {
    std::error_code ignored;
    fs::remove_all(path, ignored);  // what a process that had our id left, or an earlier attempt of ours
    TD_CHECK(::mkdir(path.c_str(), 0777) == 0, IoError, printable(path),
             ": this folder cannot be made: ", std::strerror(errno));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
};

using Sink = FunctionRef<void(std::span<const std::byte>)>;

void produce(const CheckpointFile& file, Sink sink) {
  if (const auto* text = std::get_if<std::string>(&file.content)) return sink(std::as_bytes(std::span(*text)));
  serialize_safetensors(std::get<SafeTensors>(file.content), file.name, sink);
}

std::int64_t size_of_file(const CheckpointFile& file) {
  std::int64_t bytes = 0;
  produce(file, [&](std::span<const std::byte> b) { bytes += std::ssize(b); });
  return bytes;
}

void check_room(const std::string& folder, std::int64_t bytes) {
  struct statvfs status {};
  if (::statvfs(folder.c_str(), &status) != 0 || status.f_blocks == 0) return;  // writing will tell
  const double room = static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize);
  const double need = 1.1 * static_cast<double>(bytes) + 65536;
  TD_CHECK(room >= need, IoError, printable(folder), ": the checkpoint needs ", static_cast<std::int64_t>(need),
           " bytes but the disk has ", static_cast<std::int64_t>(room), " left: ", std::strerror(ENOSPC));
}

// Writes one file and describes it for the manifest. Tensors with values that are not finite are noted.
Node write_file(const std::string& folder, const CheckpointFile& file, std::int64_t bytes,
                std::vector<std::string>& notes) {
  Sha256 sha;
  OutputFile out(folder + "/" + file.name, false);
  out.reserve(bytes);
  produce(file, [&](std::span<const std::byte> b) {
    sha.update(b);
    out.write(b);
  });
  out.commit();
  Node entry = Node::object({{"bytes", Node(bytes)}, {"sha256", Node(sha.hex())}});
  if (const auto* content = std::get_if<SafeTensors>(&file.content)) {
    Node sums = Node::object();
    for (const auto& [name, tensor] : content->tensors) {
      const Tensor host = to_host(tensor);
      sums.members().emplace_back(name, Node(std::int64_t{crc32c(raw_bytes(host))}));
      if (!all_finite(host)) {
        notes.push_back(file.name + ": tensor \"" + printable(name) + "\" has values that are not finite");
      }
    }
    entry.members().emplace_back("crc32c", std::move(sums));
  }
  return entry;
}

// The manifest vouches for itself: its last member is the SHA-256 of the text without it.
std::string seal(Node manifest) {
  manifest.erase("sha256");
  manifest["sha256"] = sha256_hex(dump_json(manifest));
  return dump_json(manifest) + "\n";
}

// What is torn will never be a checkpoint again; one of another release, or without permission, may well be good.
enum class Fault { torn, foreign, unreadable };
struct Problem {
  std::string text;
  Fault fault = Fault::torn;
};
bool any(const std::vector<Problem>& problems, Fault fault) {
  return std::ranges::any_of(problems, [fault](const Problem& p) { return p.fault == fault; });
}
bool all_torn(const std::vector<Problem>& problems) {
  return !any(problems, Fault::foreign) && !any(problems, Fault::unreadable);
}

// Names of the tensors whose bytes changed, for a safetensors file whose checksum differs.
std::string changed_tensors(const std::string& path, const Node& sums) {
  std::string names;
  try {
    const auto bytes = read_file(path, kLargest);
    const SafeTensorsHeader header = read_safetensors_header(path);
    for (const TensorEntry& e : header.entries) {
      const Node* sum = sums.find(e.name);
      const auto data = std::span(bytes).subspan(static_cast<std::size_t>(header.data_start + e.begin),
                                                 static_cast<std::size_t>(e.end - e.begin));
      if (!sum || sum->integer() != crc32c(data)) names += (names.empty() ? " in tensor \"" : ", \"") + e.name + "\"";
    }
  } catch (const FormatError&) {
  }
  return names.empty() ? " in its header" : printable(names);
}

void check_file(const std::string& folder, const std::string& name, const Node& entry, std::vector<Problem>& problems) {
  const std::string path = folder + "/" + name;
  if (!plain_name(name)) return problems.push_back({"manifest.json names a file \"" + printable(name) + "\""});
  if (!exists(path)) return problems.push_back({name + " is missing"});
  const std::int64_t expected = entry.at("bytes").integer(), bytes = InputFile(path).size();
  if (bytes != expected) {
    return problems.push_back({detail::join({name, " has ", bytes, " bytes but ", expected, " were saved"})});
  }
  const std::string sha = sha256_file(path), &saved = entry.at("sha256").string();
  if (sha == saved) return;
  const Node* sums = entry.find("crc32c");
  problems.push_back({name + " changed since it was saved" + (sums ? changed_tensors(path, *sums) : "") +
                      ": its SHA-256 is " + sha.substr(0, 16) + "… instead of " + saved.substr(0, 16) + "…"});
}

std::vector<Problem> inspect(const std::string& folder) {
  std::vector<Problem> problems;
  const std::string path = folder + "/" + kManifest;
  try {
    if (!exists(path)) return {{"manifest.json is missing"}};
    const std::string text = read_text_file(path, kManifestLimits.bytes);
    const Node manifest = parse_json(text, kManifest, kManifestLimits);
    if (!manifest.is_object() || seal(manifest) != text) return {{"manifest.json changed since it was saved"}};
    if (const std::int64_t v = manifest.at("format_version").integer(); v != kVersion) {
      return {
          {detail::join({"it has format version ", v, " but this program reads version ", kVersion}), Fault::foreign}};
    }
    const std::int64_t step = manifest.at("step").integer();
    if (const auto named = step_of(fs::path(folder).filename().string()); named && *named != step) {
      problems.push_back({detail::join({"manifest.json is of step ", step}), Fault::foreign});
    }
    for (const auto& [name, entry] : manifest.at("files").members()) check_file(folder, name, entry, problems);
  } catch (const FormatError& e) {
    problems.push_back({e.what()});
  } catch (const IoError& e) {
    problems.push_back({e.what(), Fault::unreadable});
  }
  return problems;
}

std::string joined(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& p : problems) text += (text.empty() ? "" : "; ") + p.text;
  return text;
}

// What LATEST or BEST names: a step, or -1.
std::int64_t named_by(const std::string& pointer) {
  if (!exists(pointer)) return -1;
  std::string text = read_text_file(pointer, 4096);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return step_of(text).value_or(-1);
}

void point(const std::string& checkpoints, const char* pointer, std::int64_t step) {
  write_file_atomic(checkpoints + "/" + pointer, step_name(step) + "\n", true);
}

// Deletes old checkpoints. What cannot be deleted is noted: the new checkpoint is in place all the same.
void prune(const std::string& checkpoints, std::int64_t saved, const SaveOptions& options,
           std::vector<std::string>& notes) {
  try {
    const auto steps = checkpoint_steps(checkpoints);
    if (std::ssize(steps) <= options.keep_last) return;
    const std::int64_t best = named_by(checkpoints + "/BEST");
    std::vector<std::int64_t> old;
    std::int64_t newest = 0, verified = 1;  // the one just saved
    for (const std::int64_t step : steps) {
      const bool keep = newest++ < options.keep_last || step == saved || step == best;
      if (!keep && verified >= 2) {
        old.push_back(step);
      } else if (verified < 2 && step != saved && inspect(checkpoints + "/" + step_name(step)).empty()) {
        ++verified;
      }
    }
    for (const std::int64_t step : old) {
      // Renamed first: a step-N that is there is whole.
      const std::string doomed = checkpoints + "/.tmp-old-" + step_name(step) + "-" + std::to_string(::getpid());
      rename_or_fail(checkpoints + "/" + step_name(step), doomed);
      std::error_code error;
      fs::remove_all(doomed, error);
      if (error) notes.push_back(printable(doomed) + ": cannot be deleted: " + error.message());
    }
  } catch (const IoError& e) {
    notes.push_back(e.what());
  }
}

void check_request(std::int64_t step, const std::vector<CheckpointFile>& files, const SaveOptions& options) {
  TD_CHECK(step >= 0, ValueError, "save_checkpoint: the step must be at least 0 but is ", step);
  TD_CHECK(options.keep_last >= 1, ValueError, "save_checkpoint: keep_last must be at least 1 but is ",
           options.keep_last);
  std::unordered_set<std::string> names{kManifest};
  for (const CheckpointFile& f : files) {
    TD_CHECK(plain_name(f.name), ValueError, "save_checkpoint: \"", printable(f.name), "\" is no plain file name");
    TD_CHECK(names.insert(f.name).second, ValueError, "save_checkpoint: two files are called \"", f.name, "\"");
  }
}

// Puts the finished temporary folder in its place, unless the same checkpoint is there already.
void put_in_place(const std::string& temporary, const std::string& checkpoints, const std::string& name,
                  const std::string& manifest, std::vector<std::string>& notes) {
  const std::string folder = checkpoints + "/" + name;
  if (exists(folder)) {
    const auto problems = inspect(folder);
    if (problems.empty()) {
      TD_CHECK(read_text_file(folder + "/" + kManifest, kManifestLimits.bytes) == manifest, ValueError,
               printable(folder), ": exists already with other content; move it away or save to another folder");
      return;
    }
    TD_CHECK(problems.front().fault == Fault::torn, IoError, printable(folder),
             ": exists already and cannot be checked: ", joined(problems));
    notes.push_back(printable(folder) + ": " + joined(problems) + "; moved to " +
                    printable(move_aside(checkpoints, folder, "corrupt", name)));
  }
  rename_or_fail(temporary, folder);
  sync_folder(checkpoints);
}

// The process whose id ends the name of a temporary folder is gone, or is this one.
bool left_behind(const std::string& name) {
  const auto dash = name.rfind('-');
  int pid = 0;
  const auto result = std::from_chars(name.data() + dash + 1, name.data() + name.size(), pid);
  if (result.ec != std::errc() || result.ptr != name.data() + name.size() || pid <= 0) return false;
  return pid == ::getpid() || (::kill(pid, 0) != 0 && errno == ESRCH);
}

}  // namespace

SavedCheckpoint save_checkpoint(const std::string& checkpoints, std::int64_t step,
                                const std::vector<CheckpointFile>& files, const SaveOptions& options) {
  check_request(step, files, options);
  make_folders(checkpoints);
  SavedCheckpoint saved;
  std::vector<std::int64_t> sizes;
  for (const CheckpointFile& f : files) saved.bytes += sizes.emplace_back(size_of_file(f));
  check_room(checkpoints, saved.bytes);

  const TemporaryFolder temporary(checkpoints + "/.tmp-" + step_name(step) + "-" + std::to_string(::getpid()));
  Node described = Node::object();
  for (std::size_t i = 0; i < files.size(); ++i) {
    described.members().emplace_back(files[i].name, write_file(temporary.path, files[i], sizes[i], saved.notes));
  }
  saved.finite = saved.notes.empty();
  const std::string manifest =
      seal(Node::object({{"format_version", Node(kVersion)}, {"step", Node(step)}, {"files", std::move(described)}}));
  write_file_atomic(temporary.path + "/" + kManifest, manifest);
  sync_folder(temporary.path);
  const auto problems = inspect(temporary.path);
  TD_CHECK(problems.empty(), IoError, printable(temporary.path),
           ": what was written reads back differently: ", joined(problems));

  const std::string name = step_name(step);
  if (!saved.finite) {
    saved.folder = move_aside(checkpoints, temporary.path, "bad", name);
    return saved;
  }
  saved.folder = checkpoints + "/" + name;
  put_in_place(temporary.path, checkpoints, name, manifest, saved.notes);
  point(checkpoints, "LATEST", step);
  if (options.best) point(checkpoints, "BEST", step);
  prune(checkpoints, step, options, saved.notes);
  return saved;
}

std::vector<std::int64_t> checkpoint_steps(const std::string& checkpoints) {
  std::vector<std::int64_t> steps;
  for (const std::string& name : entries(checkpoints)) {
    if (const auto step = step_of(name)) steps.push_back(*step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

std::vector<std::string> checkpoint_problems(const std::string& folder) {
  std::vector<std::string> lines;
  for (Problem& p : inspect(folder)) lines.push_back(printable(folder) + ": " + std::move(p.text));
  return lines;
}

void verify_checkpoint(const std::string& folder) {
  std::string text;
  for (const std::string& line : checkpoint_problems(folder)) text += (text.empty() ? "" : "\n") + line;
  TD_CHECK(text.empty(), FormatError, text);
}

namespace {

using Skipped = std::vector<std::pair<std::int64_t, std::vector<Problem>>>;

// Checkpoints were made here, and none is left that can be used.
void refuse_nothing(const std::string& checkpoints, const Skipped& skipped) {
  const std::int64_t latest = skipped.empty() ? named_by(checkpoints + "/LATEST") : -1;
  TD_CHECK(latest < 0, FormatError, printable(checkpoints), ": LATEST names ", step_name(latest),
           " but no checkpoint is here; bring it back from a copy");
  if (skipped.empty()) return;
  std::string text = printable(checkpoints) + ": no checkpoint can be used; bring one back from a copy";
  bool unreadable = false;
  for (const auto& [step, problems] : skipped) {
    text += "\n" + printable(checkpoints + "/" + step_name(step)) + ": " + joined(problems);
    unreadable = unreadable || any(problems, Fault::unreadable);
  }
  TD_CHECK(!unreadable, IoError, text);
  throw FormatError(text);
}

// What a process that was killed left unfinished.
void tidy(const std::string& checkpoints, const FoundCheckpoint& found) {
  for (const std::string& name : entries(checkpoints)) {
    std::error_code ignored;
    if (name.starts_with(".tmp-") && left_behind(name)) fs::remove_all(checkpoints + "/" + name, ignored);
    if (name.starts_with(".tapedeck-") && name.ends_with(".tmp")) fs::remove(checkpoints + "/" + name, ignored);
  }
  if (found.step >= 0 && named_by(checkpoints + "/LATEST") != found.step) point(checkpoints, "LATEST", found.step);
}

}  // namespace

FoundCheckpoint find_checkpoint(const std::string& checkpoints, bool repair) {
  FoundCheckpoint found;
  Skipped skipped;
  for (const std::int64_t step : checkpoint_steps(checkpoints)) {
    const std::string folder = checkpoints + "/" + step_name(step);
    auto problems = inspect(folder);
    if (problems.empty()) {
      found.folder = folder;
      found.step = step;
      break;
    }
    skipped.emplace_back(step, std::move(problems));
  }
  if (found.folder.empty()) refuse_nothing(checkpoints, skipped);
  for (const auto& [step, problems] : skipped) {
    const std::string folder = checkpoints + "/" + step_name(step);
    std::string fate = "skipped";
    if (repair && all_torn(problems)) {
      try {
        fate = "moved to " + printable(move_aside(checkpoints, folder, "corrupt", step_name(step)));
      } catch (const IoError& e) {
        fate = std::string("skipped (") + e.what() + ")";
      }
    }
    found.notes.push_back(printable(folder) + ": " + joined(problems) + "; " + fate);
  }
  try {
    if (repair) tidy(checkpoints, found);
  } catch (const IoError& e) {
    found.notes.push_back(e.what());
  }
  return found;
}

std::string best_checkpoint(const std::string& checkpoints) {
  const std::string pointer = checkpoints + "/BEST";
  if (!exists(pointer)) return "";
  std::int64_t step = named_by(pointer);
  // A run that goes on may have marked another one meanwhile, and deleted this one.
  if (!exists(checkpoints + "/" + step_name(step))) step = named_by(pointer);
  TD_CHECK(step >= 0, FormatError, printable(pointer), ": names no step-N; take the latest checkpoint");
  const std::string folder = checkpoints + "/" + step_name(step);
  const auto problems = exists(folder) ? inspect(folder) : std::vector<Problem>{{"it is not here"}};
  const std::string text =
      detail::join({printable(pointer), ": names ", step_name(step), ", which cannot be used: ", joined(problems),
                    "; bring it back from a copy, or take the latest"});
  TD_CHECK(!any(problems, Fault::unreadable), IoError, text);
  TD_CHECK(problems.empty(), FormatError, text);
  return folder;
}

void mark_best(const std::string& checkpoints, std::int64_t step) {
  const std::string pointer = checkpoints + "/BEST";
  const std::int64_t named = named_by(pointer);
  const bool stands = named >= 0 && exists(checkpoints + "/" + step_name(named));
  if (stands && named == step) return;
  if (inspect(checkpoints + "/" + step_name(step)).empty()) return point(checkpoints, "BEST", step);
  if (exists(pointer) && !stands)  // what it named was put aside
    TD_CHECK(std::remove(pointer.c_str()) == 0, IoError, printable(pointer), ": cannot be deleted");
}

}  // namespace tapedeck::io
