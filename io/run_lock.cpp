#include <fcntl.h>
#include <sys/file.h>
#include <tapedeck/io/file.h>
#include <tapedeck/io/run_lock.h>
#include <tapedeck/tensor/error.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace tapedeck::io {

namespace {

// What the holder wrote. It has the lock a moment before it writes, so an empty file is looked at again.
std::string holder(int fd) {
  std::array<char, 400> text{};
  for (int attempt = 0; attempt < 40; ++attempt) {
    const auto n = ::pread(fd, text.data(), text.size() - 1, 0);
    if (n > 0 && text[static_cast<std::size_t>(n) - 1] == '\n') {
      return printable({text.data(), static_cast<std::size_t>(n) - 1});
    }
    const timespec pause{0, 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return "another process";
}

}  // namespace

RunLock::RunLock(const std::string& run_folder) {
  const std::string path = run_folder + "/" + file_name;
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  TD_CHECK(fd_ >= 0, IoError, printable(path), ": cannot be opened: ", std::strerror(errno));
  try {
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      TD_CHECK(error == EWOULDBLOCK, IoError, printable(path), ": cannot be locked: ", std::strerror(error));
      TD_FAIL(ValueError, printable(run_folder), ": is in use by ", holder(fd_),
              "; wait until it ends, or use another folder");
    }
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    const std::string text = "process " + std::to_string(::getpid()) + " on " + host.data() + "\n";
    const bool written = ::ftruncate(fd_, 0) == 0 && ::pwrite(fd_, text.data(), text.size(), 0) == std::ssize(text);
    TD_CHECK(written, IoError, printable(path), ": cannot be written: ", std::strerror(errno));
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

RunLock::~RunLock() {
  // Emptied, not deleted: a file deleted here could be one that another process has just opened.
  [[maybe_unused]] const int ignored = ::ftruncate(fd_, 0);
  ::close(fd_);
}

}  // namespace tapedeck::io
