#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace tapedeck::io {

std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const unsigned a = byte(0), b = byte(1);
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    const bool good = tail(1) && tail(2) && !(a == 0xE0 && b < 0xA0) && !(a == 0xED && b > 0x9F);
    return good ? 3 : 0;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    const bool good = tail(1) && tail(2) && tail(3) && !(a == 0xF0 && b < 0x90) && !(a == 0xF4 && b > 0x8F);
    return good ? 4 : 0;
  }
  return 0;
}

bool is_utf8(std::string_view s) {
  for (std::size_t n; !s.empty(); s.remove_prefix(n)) {
    n = utf8_length(s);
    if (n == 0) return false;
  }
  return true;
}

namespace {

std::string reason(int error) { return std::strerror(error); }

// A read, write or open interrupted by a signal is repeated.
template <class F>
auto retry(F&& call) {
  decltype(call()) r;
  do r = call();
  while (r < 0 && errno == EINTR);
  return r;
}

template <class Container>
Container read_whole(const std::string& path, std::int64_t max_bytes) {
  InputFile file(path);
  const auto too_long = [&](std::int64_t size) {
    TD_CHECK(size <= max_bytes, IoError, printable(path), ": is longer than the limit of ", max_bytes, " bytes");
  };
  too_long(file.size());
  // One byte more than announced, so that a file that grew, or one of /proc, shows.
  Container out;
  std::size_t used = 0;
  for (std::size_t room = static_cast<std::size_t>(file.size()) + 1;; room = std::max<std::size_t>(used, 4096)) {
    out.resize(used + room);
    const std::size_t n = file.read(std::as_writable_bytes(std::span(out)).subspan(used));
    used += n;
    too_long(static_cast<std::int64_t>(used));
    if (n < room) break;
  }
  out.resize(used);
  return out;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  char hex[8];
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    const auto c = static_cast<unsigned char>(text[0]);
    // U+0080..U+009F are controls too, and the bidirectional marks U+202A..2E and U+2066..69 reorder a terminal line.
    const bool c1 = n == 2 && c == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    const bool bidi = n == 3 && c == 0xE2 &&
                      ((text[1] == '\x80' && text[2] >= '\xAA' && text[2] <= '\xAE') ||
                       (text[1] == '\x81' && text[2] >= '\xA6' && text[2] <= '\xA9'));
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\\') {
      out += "\\\\";
    } else if (n == 0 || c < 0x20 || c == 0x7F || c1 || bidi) {
      for (std::size_t i = 0; i < std::max<std::size_t>(n, 1); ++i) {
        std::snprintf(hex, sizeof hex, "\\x%02x", static_cast<unsigned char>(text[i]));
        out += hex;
      }
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

std::string from_printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t length = 1;
    char c = text[0];
    unsigned byte = 0;
    if (text.starts_with("\\\\")) {
      length = 2;
    } else if (text.starts_with("\\n")) {
      length = 2, c = '\n';
    } else if (text.starts_with("\\x") && text.size() >= 4 &&
               std::from_chars(text.data() + 2, text.data() + 4, byte, 16).ptr == text.data() + 4) {
      length = 4, c = static_cast<char>(byte);
    }
    out += c;
    text.remove_prefix(length);
  }
  return out;
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

InputFile::InputFile(const std::string& path) : path_(path) {
  // O_NONBLOCK: opening a pipe that nobody writes must not wait; it means nothing for a regular file.
  fd_ = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
  TD_CHECK(fd_ >= 0, IoError, printable(path), ": cannot be opened: ", reason(errno));
  struct stat status {};
  const int error = ::fstat(fd_, &status) == 0 ? 0 : errno;
  const bool regular = error == 0 && S_ISREG(status.st_mode);
  if (!regular) ::close(fd_);
  TD_CHECK(error == 0, IoError, printable(path), ": cannot be looked at: ", reason(error));
  TD_CHECK(regular, IoError, printable(path), ": is not a regular file");
  size_ = status.st_size;
}

InputFile::~InputFile() { ::close(fd_); }

std::size_t InputFile::read(std::span<std::byte> into) {
  std::size_t done = 0;
  while (done < into.size()) {
    const auto n = retry([&] { return ::read(fd_, into.data() + done, into.size() - done); });
    TD_CHECK(n >= 0, IoError, printable(path_), ": cannot be read: ", reason(errno));
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

void InputFile::seek(std::int64_t position) {
  TD_CHECK(::lseek(fd_, position, SEEK_SET) == position, IoError, printable(path_), ": cannot seek to byte ", position,
           ": ", reason(errno));
}

std::vector<std::byte> read_file(const std::string& path, std::int64_t max_bytes) {
  return read_whole<std::vector<std::byte>>(path, max_bytes);
}

std::string read_text_file(const std::string& path, std::int64_t max_bytes) {
  return read_whole<std::string>(path, max_bytes);
}

void refuse_existing(const std::string& path) {
  struct stat status {};
  TD_CHECK(::lstat(path.c_str(), &status) != 0, ValueError, printable(path),
           ": exists already; pass --force to overwrite it");
}

OutputFile::OutputFile(const std::string& path, bool overwrite) : path_(path), overwrite_(overwrite) {
  struct stat status {};
  if (!overwrite) refuse_existing(path);
  TD_CHECK(::lstat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode) || S_ISLNK(status.st_mode), IoError,
           printable(path), ": cannot be overwritten: it is not a regular file");
  folder_ = folder_of(path);
  TD_CHECK(!path.empty() && !path.ends_with('/'), IoError, "'", printable(path), "': a file name is needed");
  do {
    std::uint64_t random = 0;
    TD_CHECK(::getrandom(&random, sizeof random, 0) == sizeof random, IoError, printable(path),
             ": no random name for its temporary file: ", reason(errno));
    char name[48];
    std::snprintf(name, sizeof name, "/.tapedeck-%016llx.tmp", static_cast<unsigned long long>(random));
    temporary_ = folder_ + name;
    fd_ = retry([&] { return ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
  } while (fd_ < 0 && errno == EEXIST);
  TD_CHECK(fd_ >= 0, IoError, printable(path), ": cannot be created: ", reason(errno));
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) ::close(fd_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void OutputFile::fail(const char* what, int error) {
  TD_FAIL(IoError, printable(path_), ": ", what, ": ", reason(error), "; nothing was left in its place");
}

void OutputFile::reserve(std::int64_t bytes) {
  if (bytes <= 0) return;
  const int failed = retry([&] { return ::fallocate(fd_, FALLOC_FL_KEEP_SIZE, 0, bytes); });
  if (failed && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) fail("no room for it on the disk", errno);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = retry([&] { return ::write(fd_, bytes.data(), bytes.size()); });
    if (n < 0) fail("cannot be written", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void OutputFile::commit() {
  if (::fsync(fd_) != 0) fail("cannot be written to the disk", errno);
  const int fd = std::exchange(fd_, -1);
  if (::close(fd) != 0) fail("cannot be closed", errno);
  if (overwrite_) {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be renamed into place", errno);
  } else if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST) refuse_existing(path_);
    if (errno != EINVAL && errno != ENOSYS) fail("cannot be renamed into place", errno);
    refuse_existing(path_);  // a file system without the exclusive rename: the best that is left
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be renamed into place", errno);
  }
  temporary_.clear();
  sync_folder(folder_);
}

void sync_folder(const std::string& folder) {
  const int fd = retry([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0 && errno == EACCES) return;  // writable, but not readable
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    if (::fsync(fd) != 0) error = errno;
    ::close(fd);
  }
  TD_CHECK(error == 0 || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP, IoError, printable(folder),
           ": this folder cannot be written to the disk: ", reason(error));
}

void make_folders(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<fs::path> missing;
  for (fs::path p = fs::absolute(path, error); p.has_relative_path() && !fs::exists(p, error); p = p.parent_path()) {
    missing.push_back(p);
  }
  fs::create_directories(path, error);
  TD_CHECK(!error, IoError, printable(path), ": this folder cannot be made: ", error.message());
  for (const fs::path& p : missing) sync_folder(p.parent_path().string());
}

void write_file_atomic(const std::string& path, std::span<const std::byte> bytes, bool overwrite) {
  OutputFile file(path, overwrite);
  file.write(bytes);
  file.commit();
}

void write_file_atomic(const std::string& path, std::string_view text, bool overwrite) {
  write_file_atomic(path, std::as_bytes(std::span(text)), overwrite);
}

}  // namespace tapedeck::io
