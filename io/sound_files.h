// Which sound files a data source names: a file, a folder, a glob or a list.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tapedeck::io {

struct SkippedFile {
  std::string path;    // relative to the source's root
  std::string reason;  // one phrase
};

struct SoundFiles {
  std::string root;                  // the folder that paths are relative to
  std::vector<std::string> paths;    // relative, sorted, each file once
  std::vector<SkippedFile> skipped;  // listed but missing, unreadable folders
  std::vector<std::string> runs;     // relative, sorted: run folders, left out with all that is in them
  std::int64_t other_files = 0;      // in the folder without a sound file's extension
  std::string how;                   // "file", "folder", "glob", "metadata.csv", "LJSpeech metadata.csv"
};

// File extensions that a folder scan takes, in lower case, without the dot.
const std::vector<std::string>& sound_extensions();

// - a file: itself, whatever its name;
// - a folder: every file below it with a sound extension, symbolic links followed, each folder entered once, names
//   that begin with a dot left out; but when it holds a metadata.csv, what that lists;
// - below a folder or a pattern's fixed part, folders that hold a run (run.json and config.json) are left out: the
// sounds
//   that a run makes are not its data;
// - a .csv file: its `file_name` column, relative to its folder, or the LJSpeech form id|text (wavs/id.wav);
// - a pattern with * ? [] and ** (any folders): the files that match.
// DataError when there is no such thing.
SoundFiles find_sound_files(const std::string& source);

}  // namespace tapedeck::io
