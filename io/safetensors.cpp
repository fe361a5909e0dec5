#include <tapedeck/io/file.h>
#include <tapedeck/io/node.h>
#include <tapedeck/io/safetensors.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <unordered_set>

static_assert(std::endian::native == std::endian::little, "safetensors data is little-endian");

namespace tapedeck::io {

namespace {

constexpr const char* kFormatNames[kDTypes] = {"F32", "F64", "BF16", "F16", "I64", "I32", "U8", "BOOL"};
constexpr std::int64_t kLengthBytes = 8;  // the header's length stands in front of it
constexpr std::int64_t kAlignment = 8;    // of the data's start, on writing

// One problem of a file: `FILE: tensor "NAME": rule`.
struct Where {
  const std::string& file;
  const std::string* tensor = nullptr;

  template <class... P>
  [[noreturn]] void refuse(const P&... parts) const {
    const std::string what = detail::join({detail::Part(parts)...});
    if (!tensor) TD_FAIL(FormatError, printable(file), ": ", what);
    TD_FAIL(FormatError, printable(file), ": tensor \"", printable(tensor->substr(0, 80)), "\": ", what);
  }
};

// A name is one line of plain text: it is shown to people and compared by them.
bool plain_text(const std::string& text) {
  std::string escaped;
  for (const char c : text) escaped += c == '\\' ? std::string("\\\\") : std::string(1, c);
  return printable(text) == escaped;
}

const Node& member(const Where& where, const Node& entry, const char* key, Node::Kind kind, const char* wanted) {
  const Node* value = entry.find(key);
  if (!value) where.refuse("has no \"", key, "\"");
  if (value->kind() != kind) where.refuse("\"", key, "\" must be ", wanted, ", not ", value->kind_name());
  return *value;
}

std::int64_t count(const Where& where, const char* key, const Node& value) {
  if (value.kind() != Node::Kind::integer || value.integer() < 0) {
    where.refuse("\"", key, "\" takes integers from 0 to 2^63 - 1 only");
  }
  return value.integer();
}

TensorEntry read_entry(const std::string& file, const std::string& name, const Node& node,
                       const SafeTensorsLimits& limits) {
  const Where where{file, &name};
  TensorEntry entry;
  entry.name = name;
  if (std::ssize(name) > limits.name_bytes) {
    where.refuse("its name of ", name.size(), " bytes is longer than the limit of ", limits.name_bytes);
  }
  if (!plain_text(name)) where.refuse("its name has control or direction characters");
  if (!node.is_object()) where.refuse("its description must be an object, not ", node.kind_name());
  for (const auto& [key, value] : node.members()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      where.refuse("has a key \"", printable(key.substr(0, 80)), "\"; only dtype, shape and data_offsets are known");
    }
  }
  const std::string& dtype = member(where, node, "dtype", Node::Kind::string, "a string").string();
  const auto found = std::find(std::begin(kFormatNames), std::end(kFormatNames), dtype);
  if (found == std::end(kFormatNames)) {
    where.refuse("has elements of type \"", printable(dtype.substr(0, 20)),
                 "\"; F32, F64, BF16, F16, I64, I32, U8 and BOOL can be read");
  }
  entry.dtype = static_cast<DType>(found - std::begin(kFormatNames));

  const auto& sizes = member(where, node, "shape", Node::Kind::array, "an array").items();
  if (sizes.size() > kMaxRank) where.refuse("has ", sizes.size(), " dimensions; the limit is ", kMaxRank);
  for (const Node& size : sizes) {
    entry.shape.push(count(where, "shape", size));
    if (!addressable(entry.shape)) where.refuse("its shape ", to_string(entry.shape), " has too many elements");
  }
  const std::int64_t bytes = entry.shape.numel() * static_cast<std::int64_t>(size_of(entry.dtype));
  const auto& offsets = member(where, node, "data_offsets", Node::Kind::array, "an array").items();
  if (offsets.size() != 2) where.refuse("\"data_offsets\" must be [begin, end], but has ", offsets.size(), " numbers");
  entry.begin = count(where, "data_offsets", offsets[0]);
  entry.end = count(where, "data_offsets", offsets[1]);
  if (entry.begin > entry.end) where.refuse("its data begins at ", entry.begin, ", after its end ", entry.end);
  if (entry.end - entry.begin != bytes) {
    where.refuse("its data_offsets [", entry.begin, ",", entry.end, "] hold ", entry.end - entry.begin,
                 " bytes but shape ", to_string(entry.shape), " of ", dtype, " takes ", bytes);
  }
  return entry;
}

void read_metadata(const std::string& file, const Node& node, const SafeTensorsLimits& limits,
                   SafeTensorsHeader& header) {
  const Where where{file};
  if (!node.is_object()) where.refuse("__metadata__ must be an object, not ", node.kind_name());
  std::size_t bytes = 0;
  for (const auto& [key, value] : node.members()) {
    if (!value.is_string()) {
      where.refuse("__metadata__ \"", printable(key.substr(0, 80)), "\" must be a string, not ", value.kind_name());
    }
    bytes += key.size() + value.string().size();
    header.metadata.emplace_back(key, value.string());
  }
  if (static_cast<std::int64_t>(bytes) > limits.metadata_bytes) {
    where.refuse("__metadata__ of ", bytes, " bytes is longer than the limit of ", limits.metadata_bytes);
  }
}

// The tensors cover the data from its first byte to its last, without holes or overlap.
void check_layout(const std::string& file, const std::vector<TensorEntry>& entries, std::int64_t data_bytes) {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::int64_t at = 0;
  for (const TensorEntry* e : order) {
    const Where where{file, &e->name};
    if (e->end > data_bytes) where.refuse("its data ends at ", e->end, " but the file has ", data_bytes, " data bytes");
    if (e->begin < at) where.refuse("its data begins at ", e->begin, ", inside the tensor that ends at ", at);
    if (e->begin > at) where.refuse("its data begins at ", e->begin, "; bytes from ", at, " belong to no tensor");
    at = e->end;
  }
  if (at != data_bytes) {
    Where{file}.refuse("the last tensor ends at ", at, " but the file has ", data_bytes, " data bytes");
  }
}

// The length of the header, from the first 8 bytes of a file of `size` bytes.
std::int64_t header_length(const std::string& file, std::span<const std::byte> start, std::int64_t size,
                           const SafeTensorsLimits& limits) {
  const Where where{file};
  if (size < kLengthBytes + 2) where.refuse("has ", size, " bytes; a safetensors file has at least 10");
  std::uint64_t length;
  std::memcpy(&length, start.data(), sizeof length);
  if (length > static_cast<std::uint64_t>(std::max(size, limits.header_bytes))) {  // of another format, not cut off
    where.refuse("is no .safetensors, .pth or .npz file: a header of ", std::to_string(length),
                 " bytes would begin it, and it has ", size);
  }
  if (length > static_cast<std::uint64_t>(size - kLengthBytes)) {
    where.refuse("its header claims ", std::to_string(length), " bytes but the file has ", size);
  }
  if (length > static_cast<std::uint64_t>(limits.header_bytes)) {
    where.refuse("its header of ", length, " bytes is longer than the limit of ", limits.header_bytes);
  }
  return static_cast<std::int64_t>(length);
}

SafeTensorsHeader parse_header(const std::string& file, std::string_view text, std::int64_t file_bytes,
                               const SafeTensorsLimits& limits) {
  const Where where{file};
  if (const auto first = text.find_first_not_of(" \t\r\n"); first == text.npos || text[first] != '{') {
    where.refuse("its header is not a JSON object");
  }
  // "-0" is an integer like any other to a JSON reader, but no size and no offset has a sign.
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') inside = !inside;
    if (inside && text[i] == '\\') ++i;
    if (!inside && text[i] == '-') where.refuse("its header has a signed number (byte ", i, ")");
  }
  ParseLimits json;
  json.depth = 3;
  json.bytes = limits.header_bytes;
  json.values = 16 + static_cast<std::int64_t>(text.size()) / 4;  // no description is shorter: bounds the memory
  json.string_bytes = limits.metadata_bytes;
  const Node root = parse_json(text, file + " (header)", json);
  const Node* metadata = root.find("__metadata__");
  const auto tensors = static_cast<std::int64_t>(root.size()) - (metadata ? 1 : 0);
  if (tensors > limits.tensors) where.refuse("has ", tensors, " tensors; the limit is ", limits.tensors);

  SafeTensorsHeader header;
  if (metadata) read_metadata(file, *metadata, limits, header);
  header.entries.reserve(static_cast<std::size_t>(tensors));
  for (const auto& [name, node] : root.members()) {
    if (&node != metadata) header.entries.push_back(read_entry(file, name, node, limits));
  }
  header.data_start = kLengthBytes + static_cast<std::int64_t>(text.size());
  check_layout(file, header.entries, file_bytes - header.data_start);
  return header;
}

SafeTensorsHeader read_header(const std::string& path, InputFile& file, const SafeTensorsLimits& limits) {
  std::array<std::byte, kLengthBytes> start{};
  file.read(start);
  std::string text(static_cast<std::size_t>(header_length(path, start, file.size(), limits)), '\0');
  const std::size_t got = file.read(std::as_writable_bytes(std::span(text)));
  if (got != text.size()) Where{path}.refuse("became shorter while it was read");
  return parse_header(path, text, file.size(), limits);
}

// `read` fills a span with the next bytes of the data; false when there are not enough.
template <class Read>
SafeTensors read_tensors(const std::string& file, SafeTensorsHeader header, Read&& read) {
  SafeTensors out;
  out.metadata = std::move(header.metadata);
  std::vector<std::size_t> order(header.entries.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return header.entries[a].begin < header.entries[b].begin; });
  out.tensors.resize(order.size());
  for (const std::size_t i : order) {
    const TensorEntry& entry = header.entries[i];
    const Tensor t = empty(entry.shape, {entry.dtype, kCpu});
    const std::span<std::byte> bytes(static_cast<std::byte*>(t.data()),
                                     static_cast<std::size_t>(entry.end - entry.begin));
    const Where where{file, &entry.name};
    if (!read(bytes)) where.refuse("the file became shorter while it was read");
    if (entry.dtype == DType::boolean) {
      const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; });
      if (bad != bytes.end()) {
        where.refuse("element ", bad - bytes.begin(), " of type BOOL is ", static_cast<int>(*bad),
                     "; only 0 and 1 are");
      }
    }
    out.tensors[i] = {entry.name, t};
  }
  return out;
}

}  // namespace

const Tensor* SafeTensors::find(std::string_view name) const {
  for (const NamedTensor& t : tensors) {
    if (t.name == name) return &t.tensor;
  }
  return nullptr;
}

SafeTensorsHeader read_safetensors_header(const std::string& path, const SafeTensorsLimits& limits) {
  InputFile file(path);
  return read_header(path, file, limits);
}

SafeTensors read_safetensors(const std::string& path, const SafeTensorsLimits& limits) {
  InputFile file(path);
  SafeTensorsHeader header = read_header(path, file, limits);
  return read_tensors(path, std::move(header), [&](std::span<std::byte> b) { return file.read(b) == b.size(); });
}

SafeTensors parse_safetensors(std::span<const std::byte> bytes, const std::string& name,
                              const SafeTensorsLimits& limits) {
  const auto length = static_cast<std::size_t>(header_length(name, bytes, std::ssize(bytes), limits));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes, length);
  SafeTensorsHeader header = parse_header(name, text, std::ssize(bytes), limits);
  std::span<const std::byte> rest = bytes.subspan(static_cast<std::size_t>(header.data_start));
  return read_tensors(name, std::move(header), [&](std::span<std::byte> b) {
    std::copy_n(rest.begin(), b.size(), b.begin());
    rest = rest.subspan(b.size());
    return true;
  });
}

Tensor to_host(const Tensor& x) {
  if (x.is_contiguous()) return x.to(kCpu);
  TD_CHECK(x.device() == kCpu, ShapeError, "to_host: only contiguous tensors move between devices", arg("x", x));
  Tensor out = empty(x.sizes(), x.options());
  const std::size_t width = size_of(x.dtype());
  auto* to = static_cast<std::byte*>(out.data());
  std::int64_t index[kMaxRank] = {}, offset = 0;
  for (std::int64_t n = x.numel(); n > 0; --n, to += width) {
    std::memcpy(to, static_cast<const std::byte*>(x.data()) + offset * static_cast<std::int64_t>(width), width);
    for (int d = x.dim() - 1; d >= 0; --d) {
      offset += x.strides()[d];
      if (++index[d] < x.sizes()[d]) break;
      offset -= x.sizes()[d] * x.strides()[d];
      index[d] = 0;
    }
  }
  return out;
}

bool all_finite(const Tensor& host) {
  if (!is_real(host.dtype())) return true;
  return visit(host.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* p = static_cast<const T*>(host.data());
    return std::all_of(p, p + host.numel(), [](T v) {
      if constexpr (requires { v.to_float(); })
        return std::isfinite(v.to_float());
      else
        return std::isfinite(static_cast<double>(v));
    });
  });
}

std::span<const std::byte> raw_bytes(const Tensor& host) {
  return {static_cast<const std::byte*>(host.data()), static_cast<std::size_t>(host.numel()) * size_of(host.dtype())};
}

void serialize_safetensors(const SafeTensors& content, const std::string& name,
                           FunctionRef<void(std::span<const std::byte>)> sink) {
  for (const auto& [key, t] : content.tensors) {
    TD_CHECK(t.defined(), ValueError, printable(name), ": tensor \"", printable(key), "\" is undefined");
  }
  std::vector<std::size_t> order(content.tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto width = [&](std::size_t i) { return size_of(content.tensors[i].tensor.dtype()); };
    return width(a) != width(b) ? width(a) > width(b) : a < b;
  });
  std::vector<std::int64_t> begin(order.size());
  std::int64_t at = 0;
  const auto bytes_of = [&](std::size_t i) {
    const Tensor& t = content.tensors[i].tensor;
    return t.numel() * static_cast<std::int64_t>(size_of(t.dtype()));
  };
  for (const std::size_t i : order) {
    begin[i] = at;
    at += bytes_of(i);
  }

  Node header = Node::object();
  std::unordered_set<std::string_view> keys{"__metadata__"};
  if (!content.metadata.empty()) {
    Node metadata = Node::object();
    std::unordered_set<std::string_view> metadata_keys;
    for (const auto& [key, value] : content.metadata) {
      TD_CHECK(metadata_keys.insert(key).second, ValueError, printable(name), ": two metadata entries are called \"",
               printable(key), "\"");
      metadata.members().emplace_back(key, Node(value));
    }
    header.members().emplace_back("__metadata__", std::move(metadata));
  }
  for (std::size_t i = 0; i < content.tensors.size(); ++i) {
    const auto& [key, t] = content.tensors[i];
    TD_CHECK(keys.insert(key).second, ValueError, printable(name), ": two tensors are called \"", printable(key), "\"");
    Node shape = Node::array();
    for (const std::int64_t size : t.sizes()) shape.push(size);
    Node offsets = Node::array({Node(begin[i]), Node(begin[i] + bytes_of(i))});
    header.members().emplace_back(key, Node::object({{"dtype", Node(kFormatNames[static_cast<int>(t.dtype())])},
                                                     {"shape", std::move(shape)},
                                                     {"data_offsets", std::move(offsets)}}));
  }
  std::string text = dump_json(header, -1);
  while (text.size() % kAlignment != 0) text += ' ';  // the format pads with blanks
  // What we would not read we do not write: the same checks on the header that comes out.
  const auto file_bytes = kLengthBytes + std::ssize(text) + at;
  const auto length = static_cast<std::uint64_t>(text.size());
  const auto length_bytes = std::as_bytes(std::span(&length, 1));
  try {
    header_length(name, length_bytes, file_bytes, {});
    parse_header(name, text, file_bytes, {});
  } catch (const FormatError& e) {
    TD_FAIL(ValueError, e.what(), "; it was not written");
  }
  sink(length_bytes);
  sink(std::as_bytes(std::span(text)));
  for (const std::size_t i : order) {
    const Tensor host = to_host(content.tensors[i].tensor);
    sink(raw_bytes(host));
  }
}

std::vector<std::byte> serialize_safetensors(const SafeTensors& content, const std::string& name) {
  std::vector<std::byte> out;
  serialize_safetensors(content, name,
                        [&](std::span<const std::byte> b) { out.insert(out.end(), b.begin(), b.end()); });
  return out;
}

void write_safetensors(const std::string& path, const SafeTensors& content, bool overwrite) {
  OutputFile file(path, overwrite);
  serialize_safetensors(content, path, [&](std::span<const std::byte> b) { file.write(b); });
  file.commit();
}

}  // namespace tapedeck::io
