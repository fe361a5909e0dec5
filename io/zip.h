// ZIP archives as NumPy and PyTorch write them: entries stored or deflated, ZIP64 (PKWARE APPNOTE 6.3.10). The reader
// trusts nothing: sizes are checked against the file before anything is allocated, and each entry against its checksum.
#pragma once
#include <tapedeck/io/file.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tapedeck::io {

// Bytes that are read in any order. `read` fills the span from byte `at`; FormatError where they do not exist.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::int64_t size() const = 0;
  virtual void read(std::int64_t at, std::span<std::byte> into) = 0;
};
class FileSource : public ByteSource {
 public:
  explicit FileSource(const std::string& path) : path_(path), file_(path) {}  // IoError
  std::int64_t size() const override { return file_.size(); }
  void read(std::int64_t at, std::span<std::byte> into) override;

 private:
  std::string path_;
  InputFile file_;
};
class MemorySource : public ByteSource {
 public:
  MemorySource(std::span<const std::byte> bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}
  std::int64_t size() const override { return std::ssize(bytes_); }
  void read(std::int64_t at, std::span<std::byte> into) override;

 private:
  std::span<const std::byte> bytes_;
  std::string name_;
};

struct ZipLimits {
  std::int64_t entries = 65'536;
  std::int64_t name_bytes = 512;
  std::int64_t ratio = 200;  // a deflated entry may be this many times its packed bytes (and 1 KiB)
};

struct ZipEntry {
  std::string name;
  std::int64_t size = 0, packed = 0;  // bytes, and as they lie in the file
  std::int64_t header = 0;            // where its local header begins
  std::uint32_t crc = 0;
  bool deflated = false;
};

class ZipReader {
 public:
  // Reads the directory. FormatError: no archive, damaged, beyond a limit, two entries of one name. `name` is the file
  // named in messages; `source` must outlive the reader.
  ZipReader(ByteSource& source, std::string name, const ZipLimits& limits = {});

  const std::vector<ZipEntry>& entries() const { return entries_; }
  const ZipEntry* find(std::string_view name) const;  // nullptr when absent
  // Fills `into`, which must have the entry's size. FormatError when it does not unpack to that or to its checksum.
  void read(const ZipEntry& entry, std::span<std::byte> into) const;
  std::vector<std::byte> read(const ZipEntry& entry, std::int64_t max_bytes) const;

 private:
  std::int64_t find_end(std::int64_t& count, std::int64_t& start) const;
  ByteSource& source_;
  std::string name_;
  std::vector<ZipEntry> entries_;
};

// Writes entries stored, their data at multiples of 64 bytes so that it can be mapped.
class ZipWriter {
 public:
  using Sink = std::function<void(std::span<const std::byte>)>;
  explicit ZipWriter(Sink sink) : sink_(std::move(sink)) {}
  void add(const std::string& name, std::span<const std::byte> data);
  void finish();  // the directory; nothing can be added afterwards

 private:
  void put(std::span<const std::byte> bytes);
  Sink sink_;
  std::vector<ZipEntry> entries_;
  std::int64_t at_ = 0;
};

}  // namespace tapedeck::io
