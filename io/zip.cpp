#include <tapedeck/io/zip.h>
#include <tapedeck/tensor/error.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <unordered_set>

static_assert(std::endian::native == std::endian::little, "ZIP numbers are little-endian");

namespace tapedeck::io {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                        kLocator64 = 0x07064b50;
constexpr std::int64_t kEndBytes = 22, kLocatorBytes = 20, kEnd64Bytes = 56, kCentralBytes = 46, kLocalBytes = 30;
constexpr std::int64_t kAlignment = 64;
constexpr std::uint16_t kZip64Field = 1, kPaddingField = 0x4246;  // "FB", as PyTorch pads

template <class T>
T number(std::span<const std::byte> bytes, std::size_t at) {
  T v;
  std::memcpy(&v, bytes.data() + at, sizeof v);
  return v;
}

// A list of little-endian numbers that are put together to a record.
class Record {
 public:
  template <class T>
  Record& put(T v) {
    const auto* p = reinterpret_cast<const std::byte*>(&v);
    bytes_.insert(bytes_.end(), p, p + sizeof v);
    return *this;
  }
  Record& text(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Record& pad(std::size_t n) {
    bytes_.resize(bytes_.size() + n);
    return *this;
  }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

std::uint32_t small(std::int64_t v) { return v >= 0xFFFFFFFF ? 0xFFFFFFFFu : static_cast<std::uint32_t>(v); }

std::uint32_t checksum(std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

void FileSource::read(std::int64_t at, std::span<std::byte> into) {
  file_.seek(at);
  TD_CHECK(file_.read(into) == into.size(), FormatError, printable(path_), ": has no bytes ", at, " to ",
           at + std::ssize(into), "; the file is cut off");
}

void MemorySource::read(std::int64_t at, std::span<std::byte> into) {
  TD_CHECK(at >= 0 && at <= size() && std::ssize(into) <= size() - at, FormatError, printable(name_), ": has no bytes ",
           at, " to ", at + std::ssize(into), "; it is cut off");
  std::copy_n(bytes_.begin() + at, into.size(), into.begin());
}

// Where the directory begins: the end record lies within the last 64 KiB, before an archive comment.
std::int64_t ZipReader::find_end(std::int64_t& count, std::int64_t& start) const {
  const std::int64_t size = source_.size();
  std::vector<std::byte> tail(static_cast<std::size_t>(std::min<std::int64_t>(size, kEndBytes + 0xFFFF)));
  source_.read(size - std::ssize(tail), tail);
  for (std::int64_t i = std::ssize(tail) - kEndBytes; i >= 0; --i) {
    const auto end = std::span(std::as_const(tail)).subspan(static_cast<std::size_t>(i));
    if (number<std::uint32_t>(end, 0) != kEnd || number<std::uint16_t>(end, 20) != std::ssize(end) - kEndBytes)
      continue;
    const std::int64_t at = size - std::ssize(tail) + i;
    count = number<std::uint16_t>(end, 10), start = number<std::uint32_t>(end, 16);
    if (at < kLocatorBytes) return at;
    std::array<std::byte, kLocatorBytes> locator;
    source_.read(at - kLocatorBytes, locator);
    if (number<std::uint32_t>(locator, 0) != kLocator64) return at;
    const auto at64 = number<std::uint64_t>(locator, 8);
    TD_CHECK(at64 <= static_cast<std::uint64_t>(at - kLocatorBytes) &&
                 at - kLocatorBytes - static_cast<std::int64_t>(at64) >= kEnd64Bytes,
             FormatError, printable(name_), ": its ZIP64 end record would begin at ", at64, " of ", size, " bytes");
    std::array<std::byte, kEnd64Bytes> end64;
    source_.read(static_cast<std::int64_t>(at64), end64);
    TD_CHECK(number<std::uint32_t>(end64, 0) == kEnd64, FormatError, printable(name_),
             ": has no ZIP64 end record where it says");
    const auto count64 = number<std::uint64_t>(end64, 32), start64 = number<std::uint64_t>(end64, 48);
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    count = static_cast<std::int64_t>(std::min(count64, most)),
    start = static_cast<std::int64_t>(std::min(start64, most));
    return static_cast<std::int64_t>(at64);
  }
  TD_FAIL(FormatError, printable(name_), ": is no ZIP archive, or its end is missing");
}

ZipReader::ZipReader(ByteSource& source, std::string name, const ZipLimits& limits)
    : source_(source), name_(std::move(name)) {
  std::int64_t count = 0, at = 0;
  const std::int64_t end = find_end(count, at);
  TD_CHECK(count <= limits.entries, FormatError, printable(name_), ": has ", count, " entries; the limit is ",
           limits.entries);
  TD_CHECK(at <= end && count <= (end - at) / kCentralBytes, FormatError, printable(name_), ": a directory of ", count,
           " entries does not fit between byte ", at, " and its end record at ", end);
  std::unordered_set<std::string> names;
  for (std::int64_t i = 0; i < count; ++i) {
    std::array<std::byte, kCentralBytes> fixed;
    TD_CHECK(kCentralBytes <= end - at, FormatError, printable(name_), ": directory entry ", i, " is cut off");
    source_.read(at, fixed);
    TD_CHECK(number<std::uint32_t>(fixed, 0) == kCentral, FormatError, printable(name_), ": directory entry ", i,
             " is damaged");
    const auto flags = number<std::uint16_t>(fixed, 8), method = number<std::uint16_t>(fixed, 10);
    const std::int64_t name_bytes = number<std::uint16_t>(fixed, 28), extra_bytes = number<std::uint16_t>(fixed, 30),
                       comment_bytes = number<std::uint16_t>(fixed, 32);
    const std::int64_t whole = kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    TD_CHECK(whole <= end - at, FormatError, printable(name_), ": directory entry ", i, " is cut off");
    TD_CHECK(name_bytes <= limits.name_bytes, FormatError, printable(name_), ": the name of entry ", i, " has ",
             name_bytes, " bytes; the limit is ", limits.name_bytes);
    std::vector<std::byte> rest(static_cast<std::size_t>(name_bytes + extra_bytes));
    source_.read(at + kCentralBytes, rest);

    ZipEntry e;
    e.name.assign(reinterpret_cast<const char*>(rest.data()), static_cast<std::size_t>(name_bytes));
    const auto fail = [&](const auto&... what) {
      TD_FAIL(FormatError, printable(name_), ": entry \"", printable(e.name), "\" ", what...);
    };
    std::uint64_t size = number<std::uint32_t>(fixed, 24), packed = number<std::uint32_t>(fixed, 20),
                  header = number<std::uint32_t>(fixed, 42);
    e.crc = number<std::uint32_t>(fixed, 16);
    auto extra = std::span<const std::byte>(rest).subspan(static_cast<std::size_t>(name_bytes));
    while (extra.size() >= 4) {
      const auto id = number<std::uint16_t>(extra, 0);
      const std::size_t bytes = number<std::uint16_t>(extra, 2);
      if (bytes > extra.size() - 4) fail("has a damaged extra field");
      if (id == kZip64Field) {
        auto field = extra.subspan(4, bytes);
        for (std::uint64_t* v : {&size, &packed, &header}) {
          if (*v != 0xFFFFFFFF) continue;
          if (field.size() < 8) fail("has a ZIP64 field of ", bytes, " bytes, which is too short");
          *v = number<std::uint64_t>(field, 0), field = field.subspan(8);
        }
      }
      extra = extra.subspan(4 + bytes);
    }
    const auto total = static_cast<std::uint64_t>(source_.size());
    if (flags & 1u) fail("is encrypted; only plain archives can be read");
    if (method != 0 && method != 8) fail("uses packing method ", method, "; only stored and deflated can be read");
    e.deflated = method == 8;
    if (packed > total || header > total - packed)
      fail("would lie at byte ", header, " of ", total, ", ", packed, " long");
    if (!e.deflated && size != packed) fail("is stored, but ", packed, " bytes in the file are to be ", size);
    if (e.deflated && size > packed * static_cast<std::uint64_t>(limits.ratio) + 1024)
      fail("would unpack ", packed, " bytes to ", size, "; the limit is ", limits.ratio, " times");
    e.size = static_cast<std::int64_t>(size), e.packed = static_cast<std::int64_t>(packed);
    e.header = static_cast<std::int64_t>(header);
    if (!names.insert(e.name).second) fail("is there twice");
    entries_.push_back(std::move(e));
    at += whole;
  }
}

const ZipEntry* ZipReader::find(std::string_view name) const {
  const auto hit = std::find_if(entries_.begin(), entries_.end(), [&](const ZipEntry& e) { return e.name == name; });
  return hit == entries_.end() ? nullptr : &*hit;
}

void ZipReader::read(const ZipEntry& e, std::span<std::byte> into) const {
  const auto fail = [&](const auto&... what) {
    TD_FAIL(FormatError, printable(name_), ": entry \"", printable(e.name), "\" ", what...);
  };
  TD_CHECK(std::ssize(into) == e.size, ValueError, "zip: room of ", into.size(), " bytes for an entry of ", e.size);
  std::array<std::byte, kLocalBytes> local;
  source_.read(e.header, local);
  if (number<std::uint32_t>(local, 0) != kLocal) fail("does not begin where the directory says");
  const std::int64_t at = e.header + kLocalBytes + number<std::uint16_t>(local, 26) + number<std::uint16_t>(local, 28);
  if (at > source_.size() || e.packed > source_.size() - at) fail("is cut off");
  if (!e.deflated) {
    source_.read(at, into);
  } else {
    z_stream z{};
    z.avail_out = 1;
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) fail("cannot be unpacked: no memory");
    struct Ended {
      z_stream& z;
      ~Ended() { inflateEnd(&z); }
    } ended{z};
    std::vector<std::byte> piece(1 << 16);
    std::int64_t done = 0, out = 0;
    int code = Z_OK;
    // zlib counts in unsigned: both sides go in pieces.
    while (code == Z_OK && (z.avail_in > 0 || done < e.packed || z.avail_out == 0)) {
      if (z.avail_in == 0 && done < e.packed) {
        const auto n = static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(piece), e.packed - done));
        source_.read(at + done, std::span(piece).first(n));
        z.next_in = reinterpret_cast<Bytef*>(piece.data()), z.avail_in = static_cast<uInt>(n);
        done += static_cast<std::int64_t>(n);
      }
      const auto room = static_cast<uInt>(std::min<std::int64_t>(1 << 30, e.size - out));
      Bytef nothing = 0;
      z.next_out = room > 0 ? reinterpret_cast<Bytef*>(into.data() + out) : &nothing;
      z.avail_out = room > 0 ? room : 1;  // one byte more than there should be shows that it is too long
      code = inflate(&z, Z_NO_FLUSH);
      const auto got = room > 0 ? room - z.avail_out : 1 - z.avail_out;
      if (room == 0 && got > 0) fail("unpacks to more than its ", e.size, " bytes");
      out += got;
    }
    if (code != Z_STREAM_END) fail("is damaged: its packed data ends or breaks after ", out, " of ", e.size, " bytes");
    if (out != e.size) fail("unpacks to ", out, " bytes instead of ", e.size);
  }
  if (checksum(into) != e.crc) fail("does not have its checksum; the file is damaged");
}

std::vector<std::byte> ZipReader::read(const ZipEntry& e, std::int64_t max_bytes) const {
  TD_CHECK(e.size <= max_bytes, FormatError, printable(name_), ": entry \"", printable(e.name), "\" has ", e.size,
           " bytes; the limit is ", max_bytes);
  std::vector<std::byte> out(static_cast<std::size_t>(e.size));
  read(e, out);
  return out;
}

// ---- writing --------------------------------------------------------------------------------------------------------
namespace {

constexpr std::uint16_t kVersion = 45, kUtf8 = 1 << 11;  // 45: may need ZIP64
constexpr std::uint16_t kFirstDay = 0x21;                // 1980-01-01: the same content gives the same bytes

void put_common(Record& r, const ZipEntry& e) {
  r.put(kVersion).put(kUtf8).put(std::uint16_t{0}).put(std::uint16_t{0}).put(kFirstDay).put(e.crc);
}

}  // namespace

void ZipWriter::put(std::span<const std::byte> bytes) {
  sink_(bytes);
  at_ += std::ssize(bytes);
}

void ZipWriter::add(const std::string& name, std::span<const std::byte> data) {
  ZipEntry e{name, std::ssize(data), std::ssize(data), at_, checksum(data), false};
  const bool wide = e.size >= 0xFFFFFFFF;
  const std::int64_t fields = (wide ? 20 : 0) + 4;
  const std::int64_t start = at_ + kLocalBytes + std::ssize(name) + fields;
  const auto padding = static_cast<std::size_t>((kAlignment - start % kAlignment) % kAlignment);
  Record r;
  r.put(kLocal);
  put_common(r, e);
  r.put(small(e.packed)).put(small(e.size)).put(static_cast<std::uint16_t>(name.size()));
  r.put(static_cast<std::uint16_t>(fields + static_cast<std::int64_t>(padding))).text(name);
  if (wide) r.put(kZip64Field).put(std::uint16_t{16}).put(e.size).put(e.packed);
  r.put(kPaddingField).put(static_cast<std::uint16_t>(padding)).pad(padding);
  put(r.bytes());
  put(data);
  entries_.push_back(std::move(e));
}

void ZipWriter::finish() {
  const std::int64_t start = at_, count = std::ssize(entries_);
  for (const ZipEntry& e : entries_) {
    const bool wide = e.size >= 0xFFFFFFFF, far = e.header >= 0xFFFFFFFF;
    const int extra = (wide || far ? 4 : 0) + (wide ? 16 : 0) + (far ? 8 : 0);
    Record r;
    r.put(kCentral).put(kVersion);
    put_common(r, e);
    r.put(small(e.packed)).put(small(e.size)).put(static_cast<std::uint16_t>(e.name.size()));
    r.put(static_cast<std::uint16_t>(extra)).pad(2 + 2 + 2 + 4).put(small(e.header)).text(e.name);
    if (extra > 0) r.put(kZip64Field).put(static_cast<std::uint16_t>(extra - 4));
    if (wide) r.put(e.size).put(e.packed);
    if (far) r.put(e.header);
    put(r.bytes());
  }
  const std::int64_t bytes = at_ - start, end64 = at_;
  Record r;
  if (start >= 0xFFFFFFFF || count >= 0xFFFF) {
    r.put(kEnd64).put(std::int64_t{kEnd64Bytes - 12}).put(kVersion).put(kVersion).pad(8);
    r.put(count).put(count).put(bytes).put(start);
    r.put(kLocator64).pad(4).put(end64).put(std::uint32_t{1});
  }
  const auto some = static_cast<std::uint16_t>(std::min<std::int64_t>(count, 0xFFFF));
  r.put(kEnd).pad(4).put(some).put(some).put(small(bytes)).put(small(start)).pad(2);
  put(r.bytes());
}

}  // namespace tapedeck::io
