// Reading and writing whole files: written under a temporary name, fsynced, then renamed, so that a file under its
// final name is always complete.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tapedeck::io {

// Length of the valid UTF-8 sequence at the start of the text, 0 when there is none (RFC 3629).
std::size_t utf8_length(std::string_view text);
bool is_utf8(std::string_view text);  // all of it

// A path or name for messages: control characters, quotes' escapes and invalid UTF-8 become \n or \xHH.
std::string printable(std::string_view text);
std::string from_printable(std::string_view text);  // the text that printable() was given, whatever its bytes

std::string folder_of(const std::string& path);  // "." for a name alone

// A regular file open for reading. Anything else (folder, pipe, device) is an IoError, and so is every failure.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Fills the span unless the file ends; bytes read. 0 is the end.
  std::size_t read(std::span<std::byte> into);
  void seek(std::int64_t position);
  std::int64_t size() const { return size_; }  // when it was opened

 private:
  std::string path_;
  int fd_;
  std::int64_t size_;
};

// The whole file; IoError when unreadable or longer than max_bytes.
std::vector<std::byte> read_file(const std::string& path, std::int64_t max_bytes);
std::string read_text_file(const std::string& path, std::int64_t max_bytes);

// A file in the making, under a temporary name beside its final one. commit() puts it in place; without it, or after
// any failure, nothing is left. IoError names the file and the system's reason; ValueError when the final name
// exists and `overwrite` is false (also when it appears in between).
class OutputFile {
 public:
  OutputFile(const std::string& path, bool overwrite);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void reserve(std::int64_t bytes);  // room on the disk, where the file system can promise it; the size stays
  void write(std::span<const std::byte> bytes);
  void commit();  // fsync, rename, fsync of the folder

 private:
  [[noreturn]] void fail(const char* what, int error);
  std::string path_, folder_, temporary_;
  bool overwrite_;
  int fd_ = -1;
};

void write_file_atomic(const std::string& path, std::span<const std::byte> bytes, bool overwrite = false);
void write_file_atomic(const std::string& path, std::string_view text, bool overwrite = false);

// Makes a folder and those above it, as far as they are missing, and syncs their names. IoError, also for an empty
// path.
void make_folders(const std::string& path);

// Makes the names in a folder survive a power cut. Some file systems refuse to sync a folder; that is not a failure.
void sync_folder(const std::string& folder);

// ValueError "... exists; pass --force to overwrite it" when something has that name. For checks before long work.
void refuse_existing(const std::string& path);

}  // namespace tapedeck::io
