#include <tapedeck/io/npy.h>
#include <tapedeck/io/zip.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <unordered_set>

namespace tapedeck::io {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::int64_t kHeaderLimit = 65'536, kStart = 10;  // magic, version, length of version 1
constexpr std::int64_t kNpzFactor = 200;

// How a NumPy type is read: its bytes in the file, and our type.
struct Element {
  std::string_view code;  // without the byte order
  int bytes;
  DType dtype;
};
constexpr Element kElements[] = {
    {"f4", 4, DType::f32}, {"f8", 8, DType::f64}, {"f2", 2, DType::f16},     {"i8", 8, DType::i64},
    {"i4", 4, DType::i32}, {"u1", 1, DType::u8},  {"b1", 1, DType::boolean}, {"i1", 1, DType::i32},
    {"i2", 2, DType::i32}, {"u2", 2, DType::i32}, {"u4", 4, DType::i64},
};

struct Header {
  Element element{};
  bool swapped = false, fortran = false;
  Shape shape;
};

// The header is a Python dict of three known keys; this reads exactly that.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& file) : rest_(text), file_(file) {}

  Header read() {
    Header h;
    bool has_descr = false, has_order = false, has_shape = false;
    want("{");
    while (!take("}")) {
      const std::string_view key = quoted();
      want(":");
      if (key == "descr" && !has_descr) {
        has_descr = true, descr(h);
      } else if (key == "fortran_order" && !has_order) {
        has_order = true;
        h.fortran = take("True");
        if (!h.fortran) want("False");
      } else if (key == "shape" && !has_shape) {
        has_shape = true, shape(h);
      } else {
        fail("has the key \"", printable(key.substr(0, 40)), "\"; descr, fortran_order and shape are known, each once");
      }
      if (!take(",")) {
        want("}");
        break;
      }
    }
    blanks();
    if (!rest_.empty()) fail("goes on after its end");
    if (!has_descr || !has_order || !has_shape) fail("must have descr, fortran_order and shape");
    return h;
  }

 private:
  template <class... P>
  [[noreturn]] void fail(const P&... what) const {
    TD_FAIL(FormatError, printable(file_), ": its .npy header ", what...);
  }
  void blanks() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool take(std::string_view what) {
    blanks();
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }
  void want(std::string_view what) {
    if (!take(what)) fail("should have ", what, " before \"", printable(rest_.substr(0, 20)), "\"");
  }
  std::string_view quoted() {
    blanks();
    const char quote = rest_.empty() ? ' ' : rest_[0];
    const auto end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos)
      fail("should have a quoted text before \"", printable(rest_.substr(0, 20)), "\"");
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }
  void descr(Header& h) {
    blanks();
    if (rest_.starts_with('[')) fail("describes records; only arrays of plain numbers can be read");
    std::string_view code = quoted();
    const std::string shown = printable(code.substr(0, 20));
    if (!code.empty() && std::string_view("<>|=").find(code[0]) != std::string_view::npos) {
      h.swapped = code[0] == '>';
      code.remove_prefix(1);
    }
    const auto hit =
        std::find_if(std::begin(kElements), std::end(kElements), [&](const Element& e) { return e.code == code; });
    if (hit == std::end(kElements))
      fail("has elements of type \"", shown, "\"; f2, f4, f8, i1, i2, i4, i8, u1, u2, u4 and b1 can be read");
    h.element = *hit;
  }
  void shape(Header& h) {
    want("(");
    while (!take(")")) {
      blanks();
      std::int64_t size = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      if (error != std::errc() || size < 0) fail("has a size that is no integer from 0 to 2^63 - 1");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      if (h.shape.rank() == kMaxRank) fail("has more than ", kMaxRank, " dimensions");
      h.shape.push(size);
      if (!addressable(h.shape)) fail("has a shape of too many elements: ", to_string(h.shape));
      if (!take(",")) {
        want(")");
        break;
      }
    }
  }

  std::string_view rest_;
  const std::string& file_;
};

template <class To, class From>
void widen(std::span<const std::byte> from, void* to) {
  for (std::size_t i = 0; i < from.size() / sizeof(From); ++i) {
    From v;
    std::memcpy(&v, from.data() + i * sizeof v, sizeof v);
    static_cast<To*>(to)[i] = v;
  }
}

// Elements in the file's order and type into a fresh tensor of `shape`.
Tensor elements(const Header& h, const Shape& shape, std::span<std::byte> bytes, const std::string& file) {
  const auto width = static_cast<std::size_t>(h.element.bytes);
  if (h.swapped)
    for (std::size_t i = 0; i < bytes.size(); i += width)
      std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(i),
                   bytes.begin() + static_cast<std::ptrdiff_t>(i + width));
  Tensor x = empty(shape, {h.element.dtype, kCpu});
  const std::string_view code = h.element.code;
  if (code == "i1")
    widen<std::int32_t, std::int8_t>(bytes, x.data());
  else if (code == "i2")
    widen<std::int32_t, std::int16_t>(bytes, x.data());
  else if (code == "u2")
    widen<std::int32_t, std::uint16_t>(bytes, x.data());
  else if (code == "u4")
    widen<std::int64_t, std::uint32_t>(bytes, x.data());
  else if (!bytes.empty())
    std::memcpy(x.data(), bytes.data(), bytes.size());
  if (code == "b1") {
    const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
    TD_CHECK(bad == bytes.end(), FormatError, printable(file), ": element ", bad - bytes.begin(), " of type b1 is ",
             static_cast<int>(*bad), "; only 0 and 1 are");
  }
  return x;
}

// The same numbers with the dimensions in the other order, row-major.
Tensor turned(const Tensor& x) {
  Shape shape, strides;
  for (int d = x.dim() - 1; d >= 0; --d) shape.push(x.sizes()[d]), strides.push(x.strides()[d]);
  x.impl()->storage->retain();
  return to_host(detail::make_tensor(x.impl()->storage, x.impl()->offset, shape, strides, x.dtype()));
}

Tensor read_array(ByteSource& source, const std::string& file) {
  std::array<std::byte, kStart + 2> start{};
  const std::int64_t size = source.size();
  TD_CHECK(size >= kStart, FormatError, printable(file), ": is no .npy file: it has ", size, " bytes");
  source.read(0, std::span(start).first(static_cast<std::size_t>(std::min<std::int64_t>(size, kStart + 2))));
  TD_CHECK(std::memcmp(start.data(), kMagic.data(), kMagic.size()) == 0, FormatError, printable(file),
           ": is no .npy file: it does not begin with \\x93NUMPY");
  const int version = std::to_integer<int>(start[6]);
  TD_CHECK(version >= 1 && version <= 3, FormatError, printable(file), ": is .npy version ", version,
           "; 1 to 3 can be read");
  std::int64_t length = 0, begin = version == 1 ? kStart : kStart + 2;
  std::memcpy(&length, start.data() + 8, version == 1 ? 2 : 4);
  TD_CHECK(length <= kHeaderLimit && length <= size - begin, FormatError, printable(file), ": its .npy header of ",
           length, " bytes is longer than the ", std::min(kHeaderLimit, std::max<std::int64_t>(0, size - begin)),
           " that can be");
  std::string text(static_cast<std::size_t>(length), '\0');
  source.read(begin, std::as_writable_bytes(std::span(text)));
  const Header h = HeaderText(text, file).read();
  begin += length;
  const std::int64_t bytes = h.shape.numel() * h.element.bytes;
  TD_CHECK(bytes == size - begin, FormatError, printable(file), ": shape ", to_string(h.shape), " takes ", bytes,
           " bytes, but the file has ", size - begin, " after its header");
  std::vector<std::byte> data(static_cast<std::size_t>(bytes));
  source.read(begin, data);
  Shape in_file;
  for (int d = 0; d < h.shape.rank(); ++d) in_file.push(h.shape[h.fortran ? h.shape.rank() - 1 - d : d]);
  const Tensor x = elements(h, in_file, data, file);
  return h.fortran && h.shape.rank() > 1 ? turned(x) : x;
}

std::vector<NamedTensor> read_archive(ByteSource& source, const std::string& file) {
  const ZipReader zip(source, file);
  std::vector<NamedTensor> out;
  std::unordered_set<std::string> names;
  std::int64_t total = 0;
  for (const ZipEntry& e : zip.entries()) {
    std::string name = e.name.ends_with(".npy") ? e.name.substr(0, e.name.size() - 4) : e.name;
    TD_CHECK(names.insert(name).second, FormatError, printable(file), ": two arrays are called \"", printable(name),
             "\"");
    total += e.size;
    TD_CHECK(total <= kNpzFactor * source.size(), FormatError, printable(file), ": its arrays would take more than ",
             kNpzFactor, " times its ", source.size(), " bytes");
    const std::vector<std::byte> bytes = zip.read(e, e.size);
    out.push_back({std::move(name), parse_npy(bytes, file + ": " + e.name)});
  }
  return out;
}

}  // namespace

Tensor read_npy(const std::string& path) {
  FileSource source(path);
  return read_array(source, path);
}

Tensor parse_npy(std::span<const std::byte> bytes, const std::string& name) {
  MemorySource source(bytes, name);
  return read_array(source, name);
}

std::vector<NamedTensor> read_npz(const std::string& path) {
  FileSource source(path);
  return read_archive(source, path);
}

std::vector<NamedTensor> parse_npz(std::span<const std::byte> bytes, const std::string& name) {
  MemorySource source(bytes, name);
  return read_archive(source, name);
}

std::vector<std::byte> serialize_npy(const Tensor& x) {
  TD_CHECK(x.defined(), ValueError, "npy: an undefined tensor cannot be written");
  const auto hit =
      std::find_if(std::begin(kElements), std::end(kElements), [&](const Element& e) { return e.dtype == x.dtype(); });
  TD_CHECK(hit != std::end(kElements), ValueError, "npy: NumPy has no ", name(x.dtype()), "; cast it to f32 first",
           arg("x", x));
  std::string header = "{'descr': '" + std::string(hit->bytes == 1 ? "|" : "<") + std::string(hit->code) +
                       "', 'fortran_order': False, 'shape': (";
  for (int d = 0; d < x.dim(); ++d)
    header += std::to_string(x.sizes()[d]) + (x.dim() == 1 ? "," : d + 1 < x.dim() ? ", " : "");
  header += "), }";
  while ((static_cast<std::int64_t>(header.size()) + kStart + 1) % 64 != 0) header += ' ';
  header += '\n';
  const auto length = static_cast<std::uint16_t>(header.size());
  std::string start(kMagic);
  start += {'\1', '\0', static_cast<char>(length & 0xFF), static_cast<char>(length >> 8)};
  start += header;
  const Tensor host = to_host(x);
  const auto front = std::as_bytes(std::span(start)), data = raw_bytes(host);
  std::vector<std::byte> out(front.begin(), front.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

void write_npy(const std::string& path, const Tensor& x, bool overwrite) {
  write_file_atomic(path, std::span<const std::byte>(serialize_npy(x)), overwrite);
}

void write_npz(const std::string& path, const std::vector<NamedTensor>& arrays, bool overwrite) {
  std::unordered_set<std::string> names;
  for (const auto& [name, t] : arrays)
    TD_CHECK(names.insert(name).second, ValueError, printable(path), ": two arrays are called \"", printable(name),
             "\"");
  OutputFile file(path, overwrite);
  ZipWriter zip([&](std::span<const std::byte> b) { file.write(b); });
  for (const auto& [name, t] : arrays) zip.add(name + ".npy", serialize_npy(t));
  zip.finish();
  file.commit();
}

}  // namespace tapedeck::io
