#include <fnmatch.h>
#include <sys/stat.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/sound_files.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <span>

namespace tapedeck::io {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool has_sound_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  if (extension.empty()) return false;
  extension.erase(0, 1);
  for (char& c : extension) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return std::ranges::find(sound_extensions(), extension) != sound_extensions().end();
}

bool is_run(const std::string& folder) {
  std::error_code error;
  return fs::is_regular_file(folder + "/run.json", error) && fs::is_regular_file(folder + "/config.json", error);
}

// Regular files below a folder. A folder is entered once however many links lead to it: real folders first, so that
// a file has the same name whatever the links are called.
class Walk {
 public:
  Walk(SoundFiles& out, std::size_t max_depth) : out_(out), max_depth_(max_depth) { enter("", 1); }
  std::vector<std::string> files;

 private:
  void enter(const std::string& relative, std::size_t depth) {
    const std::string path = out_.root + (relative.empty() ? "" : "/" + relative);
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !entered_.insert({status.st_dev, status.st_ino}).second) return;
    if (!relative.empty() && is_run(path)) return out_.runs.push_back(relative);
    std::error_code error;
    std::map<std::string, bool> folders;  // name -> is a link
    for (fs::directory_iterator i(path, error), end; !error && i != end; i.increment(error)) {
      const std::string name = i->path().filename().string();
      if (name.starts_with('.')) continue;
      const std::string inner = relative.empty() ? name : relative + "/" + name;
      std::error_code gone;
      if (i->is_directory(gone)) {
        folders[name] = i->is_symlink(gone);
      } else if (i->is_regular_file(gone)) {
        files.push_back(inner);
      } else if (i->is_symlink(gone) && has_sound_extension(name)) {
        out_.skipped.push_back({inner, "is a link to nothing"});
      }
    }
    if (error) out_.skipped.push_back({relative.empty() ? "." : relative, "folder cannot be read: " + error.message()});
    if (depth == max_depth_) return;
    for (const bool links : {false, true}) {
      for (const auto& [name, is_link] : folders) {
        if (is_link == links) enter(relative.empty() ? name : relative + "/" + name, depth + 1);
      }
    }
  }

  SoundFiles& out_;
  std::size_t max_depth_;
  std::set<std::pair<dev_t, ino_t>> entered_;
};

// Whether path parts match pattern parts; ** stands for any number of parts.
bool matches(std::span<const std::string> pattern, std::span<const std::string> path) {
  if (pattern.empty()) return path.empty();
  if (pattern[0] == "**") {
    for (std::size_t n = 0; n <= path.size(); ++n) {
      if (matches(pattern.subspan(1), path.subspan(n))) return true;
    }
    return false;
  }
  return !path.empty() && ::fnmatch(pattern[0].c_str(), path[0].c_str(), FNM_PERIOD) == 0 &&
         matches(pattern.subspan(1), path.subspan(1));
}

bool is_pattern(const std::string& text) { return text.find_first_of("*?[") != std::string::npos; }

void find_by_pattern(const std::string& source, SoundFiles& out) {
  out.how = "glob";
  std::vector<std::string> pattern = split_path(source);
  out.root = source.starts_with('/') ? "/" : "";
  while (!is_pattern(pattern[0])) {
    out.root += pattern[0] + "/";
    pattern.erase(pattern.begin());
  }
  if (out.root.empty()) out.root = ".";
  if (out.root.size() > 1 && out.root.ends_with('/')) out.root.pop_back();
  pattern.erase(
      std::unique(pattern.begin(), pattern.end(), [](const auto& a, const auto& b) { return a == "**" && b == "**"; }),
      pattern.end());
  const bool deep = std::ranges::find(pattern, "**") != pattern.end();
  for (const std::string& file : Walk(out, deep ? 64 : pattern.size()).files) {
    if (matches(pattern, split_path(file))) out.paths.push_back(file);
  }
}

// The rows of a CSV text: fields in quotes may hold separators, line ends and doubled quotes (RFC 4180).
std::vector<std::vector<std::string>> csv_rows(std::string_view text, char separator, bool quotes) {
  std::vector<std::vector<std::string>> rows(1, {""});
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    std::string& field = rows.back().back();
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += text[++i];
      } else {
        quoted = false;
      }
    } else if (quotes && c == '"' && field.empty()) {
      quoted = true;
    } else if (c == separator) {
      rows.back().emplace_back();
    } else if (c == '\n') {
      rows.push_back({""});
    } else if (c != '\r') {
      field += c;
    }
  }
  std::erase_if(rows, [](const auto& row) { return row.size() == 1 && row[0].empty(); });
  return rows;
}

void find_by_list(const std::string& csv, SoundFiles& out) {
  constexpr std::int64_t max_csv_bytes = 256 << 20;
  const std::string text = read_text_file(csv, max_csv_bytes);
  std::string_view body = text;
  if (body.starts_with("\xEF\xBB\xBF")) body.remove_prefix(3);
  out.how = "metadata.csv";
  std::string_view first = body.substr(0, body.find('\n'));
  const char separator = first.find('|') != first.npos ? '|' : ',';
  auto rows = csv_rows(body, separator, separator == ',');
  TD_CHECK(!rows.empty(), DataError, printable(csv), ": is empty");
  const auto header = std::ranges::find(rows[0], "file_name");
  const auto column = static_cast<std::size_t>(header - rows[0].begin());
  const bool named = header != rows[0].end();
  TD_CHECK(named || separator == '|', DataError, printable(csv),
           ": its first line has no column file_name, nor is it of the form id|text (LJSpeech)");
  if (named) rows.erase(rows.begin());
  if (!named) out.how = "LJSpeech metadata.csv";
  for (const auto& row : rows) {
    const std::string name = named ? (column < row.size() ? row[column] : "") : row[0];
    const auto parts = split_path(name);
    if (name.empty() || name.starts_with('/') || std::ranges::find(parts, "..") != parts.end()) {
      out.skipped.push_back({name, name.empty() ? "a row names no file" : "leaves the folder of " + printable(csv)});
      continue;
    }
    std::vector<std::string> candidates = {name};
    if (!named) candidates = {"wavs/" + name + ".wav", name + ".wav", name};
    const auto found =
        std::ranges::find_if(candidates, [&](const auto& c) { return fs::is_regular_file(out.root + "/" + c); });
    if (found != candidates.end()) {
      out.paths.push_back(*found);
    } else {
      out.skipped.push_back({candidates[0], "does not exist"});
    }
  }
}

}  // namespace

const std::vector<std::string>& sound_extensions() {
  static const std::vector<std::string> names = {"wav",  "wave", "flac", "ogg",  "oga",
                                                 "opus", "mp3",  "aif",  "aiff", "aifc"};
  return names;
}

SoundFiles find_sound_files(const std::string& source) {
  SoundFiles out;
  std::error_code error;
  if (fs::is_directory(source, error)) {
    out.root = source;
    while (out.root.size() > 1 && out.root.ends_with('/')) out.root.pop_back();
    if (fs::is_regular_file(out.root + "/metadata.csv", error)) {
      find_by_list(out.root + "/metadata.csv", out);
    } else {
      out.how = "folder";
      for (const std::string& file : Walk(out, 64).files) {
        if (has_sound_extension(file)) {
          out.paths.push_back(file);
        } else {
          ++out.other_files;
        }
      }
    }
  } else if (fs::exists(source, error)) {
    out.root = folder_of(source);
    if (source.ends_with(".csv")) {
      find_by_list(source, out);
    } else {
      out.how = "file";
      out.paths.push_back(fs::path(source).filename().string());
    }
  } else {
    TD_CHECK(is_pattern(source), DataError, "'", printable(source), "': there is no such file or folder");
    find_by_pattern(source, out);
  }
  std::ranges::sort(out.paths);
  out.paths.erase(std::unique(out.paths.begin(), out.paths.end()), out.paths.end());
  std::ranges::sort(out.skipped, {}, &SkippedFile::path);
  std::ranges::sort(out.runs);
  return out;
}

}  // namespace tapedeck::io
