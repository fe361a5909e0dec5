#include <fcntl.h>
#include <sys/stat.h>
#include <tapedeck/io/file.h>
#include <tapedeck/tensor/error.h>
#include <tapedeck/train/metrics.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tapedeck::train {

LineFile::LineFile(const std::string& path, std::int64_t keep)
    : path_(path), fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  TD_CHECK(fd_ >= 0, IoError, io::printable(path), ": cannot be opened for writing: ", std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(fd_, &status) == 0;
  bytes_ = keep < 0 ? status.st_size : keep;
  const bool fits = known && bytes_ <= status.st_size;
  const bool cut = fits && ::ftruncate(fd_, bytes_) == 0;
  if (cut) return;
  const int error = errno;
  const std::int64_t size = status.st_size;
  ::close(fd_);
  TD_CHECK(!known || fits, FormatError, io::printable(path), ": holds ", size,
           " bytes, but the checkpoint was saved after byte ", keep, "; restore the file, or start a new run");
  TD_FAIL(IoError, io::printable(path), ": cannot be cut: ", std::strerror(error));
}

LineFile::~LineFile() { ::close(fd_); }

void LineFile::sync() {
  write();
  TD_CHECK(::fsync(fd_) == 0 || errno == EINVAL || errno == ENOSYS, IoError, io::printable(path_),
           ": cannot be written to the disk: ", std::strerror(errno));
  io::sync_folder(io::folder_of(path_));
}

void LineFile::append(const std::string& line) {
  waiting_ += line;
  waiting_ += '\n';
  write();
}

void LineFile::write() {
  std::size_t done = 0;
  while (done < waiting_.size()) {
    const ssize_t n =
        ::pwrite(fd_, waiting_.data() + done, waiting_.size() - done, bytes_ + static_cast<std::int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      problem_ = std::strerror(errno);
      if (::ftruncate(fd_, bytes_) != 0) problem_ += " (and the file may end in a part of a line)";
      return;
    }
    done += static_cast<std::size_t>(n);
  }
  bytes_ += static_cast<std::int64_t>(waiting_.size());
  waiting_.clear();
  problem_.clear();
}

}  // namespace tapedeck::train
