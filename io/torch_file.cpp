#include <tapedeck/autograd/ops.h>
#include <tapedeck/io/pickle.h>
#include <tapedeck/io/torch_file.h>
#include <tapedeck/io/zip.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace tapedeck::io {
namespace {

using Kind = PickleValue::Kind;

constexpr std::int64_t kPickleLimit = 32 << 20, kDepth = 64, kVisits = 500'000, kNameLimit = 512;
constexpr std::int64_t kAllNames = 32 << 20;  // bytes of all names together
constexpr std::int64_t kUnpackFactor = 16;    // tensors may share storages, and take this many times the file's bytes

// A storage class of PyTorch: bytes of an element in the file, and our type.
struct StorageType {
  std::string_view global;
  int bytes;
  DType dtype;
};
constexpr StorageType kStorages[] = {
    {"torch.FloatStorage", 4, DType::f32}, {"torch.DoubleStorage", 8, DType::f64},
    {"torch.HalfStorage", 2, DType::f16},  {"torch.BFloat16Storage", 2, DType::bf16},
    {"torch.LongStorage", 8, DType::i64},  {"torch.IntStorage", 4, DType::i32},
    {"torch.ByteStorage", 1, DType::u8},   {"torch.BoolStorage", 1, DType::boolean},
    {"torch.ShortStorage", 2, DType::i32}, {"torch.CharStorage", 1, DType::i32},
};
constexpr std::string_view kGlobals[] = {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch.Size",
    "torch.device",
    "torch.FloatStorage",
    "torch.DoubleStorage",
    "torch.HalfStorage",
    "torch.BFloat16Storage",
    "torch.LongStorage",
    "torch.IntStorage",
    "torch.ByteStorage",
    "torch.BoolStorage",
    "torch.ShortStorage",
    "torch.CharStorage",
    "torch.ComplexFloatStorage",
    "torch.ComplexDoubleStorage",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.dtype",
    "_codecs.encode",
};
// The older format begins with a pickle of the number 0x1950a86a20f9469cfc6c.
constexpr std::string_view kLegacy = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

class Reader {
 public:
  Reader(ByteSource& source, const std::string& file) : source_(source), file_(file) {}

  TorchFile read_archive() {
    zip_.emplace(source_, file_);
    const ZipEntry* data = nullptr;
    for (const ZipEntry& e : zip_->entries()) {
      if (e.name != "data.pkl" && !e.name.ends_with("/data.pkl")) continue;
      if (data) fail("has two entries data.pkl");
      data = &e;
    }
    if (!data) fail("has no entry data.pkl: it was not made by torch.save");
    folder_ = data->name.substr(0, data->name.size() - std::strlen("data.pkl"));
    if (zip_->find(folder_ + "constants.pkl"))
      fail("is a TorchScript program; save model.state_dict() with torch.save instead");
    if (const ZipEntry* order = zip_->find(folder_ + "byteorder"); order && order->size <= 16) {
      const auto bytes = zip_->read(*order, 16);
      if (std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()) != "little")
        fail("has numbers in big-endian order; save it again on a little-endian machine");
    }
    const auto bytes = zip_->read(*data, kPickleLimit);
    pickle_ = parse_pickle(bytes, file_ + ": " + data->name, kGlobals);
    walk(pickle_.root, "", 0);
    return std::move(out_);
  }

  // Before PyTorch 1.6: pickles one behind the other (the number, a version, the machine, the content, the names of its
  // storages), then each storage: its number of elements and they.
  TorchFile read_legacy() {
    std::vector<std::byte> front(static_cast<std::size_t>(std::min(source_.size(), kPickleLimit)));
    source_.read(0, front);
    std::size_t at = kLegacy.size();
    const auto next = [&](const char* what) {
      std::size_t used = 0;
      Pickle p = parse_pickle(std::span(front).subspan(at), file_ + ": " + what, kGlobals, &used);
      at += used;
      return p;
    };
    const Pickle version = next("version"), machine = next("machine");
    if (version[version.root].kind != Kind::integer || version[version.root].integer != 1001)
      fail("is in a format of PyTorch's that is not known; load it in Python and torch.save it again");
    const PickleValue& facts = machine[machine.root];
    for (std::size_t k = 0; facts.kind == Kind::dict && k < facts.items.size(); k += 2)
      if (machine[facts.items[k]].text == "little_endian" && machine[facts.items[k + 1]].integer == 0)
        fail("has numbers in big-endian order; save it again on a little-endian machine");
    pickle_ = next("content");
    const Pickle names = next("storages");
    std::unordered_map<std::string, const StorageType*> types;
    for (const PickleValue& v : pickle_.values)
      if (v.kind == Kind::persistent && at_storage(v)) types[at_storage(v)->first] = at_storage(v)->second;
    const PickleValue& list = names[names.root];
    if (list.kind != Kind::list) fail("has no list of its storages");
    std::int64_t place = static_cast<std::int64_t>(at);
    for (const std::int32_t i : list.items) {
      const std::string& key = names[i].text;
      const auto type = types.find(key);
      if (names[i].kind != Kind::text || type == types.end())
        fail("names the storage \"", printable(key.substr(0, 80)), "\", which no tensor has");
      std::int64_t numel = 0;
      source_.read(place, std::as_writable_bytes(std::span(&numel, 1)));
      place += std::ssize(std::as_bytes(std::span(&numel, 1)));
      const std::int64_t width = type->second->bytes;
      if (numel < 0 || numel > (source_.size() - place) / width)
        fail("is cut off: the storage \"", printable(key), "\" would have ", numel, " elements of ", width,
             " bytes, and ", source_.size() - place, " bytes are left");
      if (!places_.emplace(key, std::pair(place, numel * width)).second)
        fail("has the storage \"", printable(key), "\" twice");
      place += numel * width;
    }
    if (place != source_.size()) fail("has ", source_.size() - place, " bytes behind its last storage");
    walk(pickle_.root, "", 0);
    return std::move(out_);
  }

 private:
  template <class... P>
  [[noreturn]] void fail(const P&... what) const {
    TD_FAIL(FormatError, printable(file_), ": ", what...);
  }
  template <class... P>
  [[noreturn]] void refuse(const std::string& path, const P&... what) const {
    fail("\"", printable(std::string_view(path).substr(0, 80)), "\" ", what...);
  }
  const PickleValue& at(std::int32_t i) const { return pickle_[i]; }

  // The arguments when v is a call of that name.
  const PickleValue* call(const PickleValue& v, std::string_view global) const {
    return v.kind == Kind::call && at(v.items[0]).text == global ? &at(v.items[1]) : nullptr;
  }

  void walk(std::int32_t i, const std::string& path, int depth) {
    if (++visits_ > kVisits) fail("has more than ", kVisits, " values, shared ones counted each time");
    if (depth > kDepth) refuse(path, "lies more than ", kDepth, " levels deep");
    if (std::ssize(path) > kNameLimit) refuse(path, "has a name of more than ", kNameLimit, " bytes");
    const PickleValue& v = at(i);
    const auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
    if (v.kind == Kind::dict) {
      for (std::size_t k = 0; k < v.items.size(); k += 2) {
        const PickleValue& key = at(v.items[k]);
        if (key.kind != Kind::text && key.kind != Kind::integer)
          refuse(path, "is a dict with a key that is neither a text nor an integer");
        if (key.kind == Kind::text && !is_utf8(key.text)) refuse(path, "has a key that is not UTF-8");
        walk(v.items[k + 1], below(key.kind == Kind::text ? key.text : std::to_string(key.integer)), depth + 1);
      }
    } else if (const PickleValue* size = call(v, "torch.Size"); size || v.kind == Kind::list || v.kind == Kind::tuple) {
      const PickleValue& list = size ? one(path, *size, Kind::tuple) : v;
      for (std::size_t k = 0; k < list.items.size(); ++k) walk(list.items[k], below(std::to_string(k)), depth + 1);
    } else if (const PickleValue* parameter = call(v, "torch._utils._rebuild_parameter")) {
      if (parameter->items.empty()) refuse(path, "is a parameter without a tensor");
      walk(parameter->items[0], path, depth + 1);
    } else if (const PickleValue* arguments = call(v, "torch._utils._rebuild_tensor_v2")) {
      keep(path, tensor(path, *arguments));
    } else {
      keep(path, scalar_value(path, v));
    }
  }

  // The only argument of a call, of that kind.
  const PickleValue& one(const std::string& path, const PickleValue& arguments, Kind kind) const {
    if (arguments.items.size() != 1 || at(arguments.items[0]).kind != kind) refuse(path, "is damaged");
    return at(arguments.items[0]);
  }

  void new_name(const std::string& path) {
    name_bytes_ += std::ssize(path);
    if (name_bytes_ > kAllNames) fail("has names of more than ", kAllNames, " bytes together");
    if (!names_.insert(path).second) refuse(path, "is there twice");
  }
  void keep(const std::string& path, Tensor x) {
    new_name(path);
    out_.tensors.push_back({path, std::move(x)});
  }
  void keep(const std::string& path, Node value) {
    new_name(path);
    out_.others.members().emplace_back(path, std::move(value));
  }

  // JSON has no such numbers: they become "nan", "inf" and "-inf".
  static Node real(double v) {
    if (std::isnan(v)) return Node("nan");
    if (std::isinf(v)) return Node(v > 0 ? "inf" : "-inf");
    return Node(v);
  }

  Node scalar_value(const std::string& path, const PickleValue& v) const {
    switch (v.kind) {
      case Kind::none:
        return Node();
      case Kind::boolean:
        return Node(v.integer != 0);
      case Kind::integer:
        return Node(v.integer);
      case Kind::real:
        return real(v.real);
      case Kind::text:
        if (!is_utf8(v.text)) refuse(path, "is a text that is not UTF-8");
        return Node(v.text);
      case Kind::call:
        break;
      default:
        refuse(path, "is neither a tensor nor a number, text, dict, list or tuple");
    }
    if (const PickleValue* device = call(v, "torch.device")) {
      if (device->items.empty() || at(device->items[0]).kind != Kind::text) refuse(path, "is damaged");
      return Node(printable(at(device->items[0]).text));
    }
    for (const std::string_view name : {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"})
      if (const PickleValue* number = call(v, name)) return numpy_scalar(path, *number);
    refuse(path, "is made by \"", printable(at(v.items[0]).text), "\", which gives no tensor");
  }

  // scalar(dtype('f8', …), bytes); protocol 2 writes bytes as _codecs.encode(text, 'latin1').
  Node numpy_scalar(const std::string& path, const PickleValue& arguments) const {
    if (arguments.items.size() != 2) refuse(path, "is damaged");
    const PickleValue* type = call(at(arguments.items[0]), "numpy.dtype");
    if (!type || type->items.empty() || at(type->items[0]).kind != Kind::text) refuse(path, "is damaged");
    const PickleValue& raw = at(arguments.items[1]);
    std::string bytes;
    if (raw.kind == Kind::bytes) {
      bytes = raw.text;
    } else if (const PickleValue* encoded = call(raw, "_codecs.encode");
               encoded && !encoded->items.empty() && at(encoded->items[0]).kind == Kind::text) {
      const std::string_view text = at(encoded->items[0]).text;  // characters up to U+00FF as UTF-8
      for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c < 0x80)
          bytes += text[i];
        else if ((c == 0xC2 || c == 0xC3) && i + 1 < text.size())
          bytes += static_cast<char>((c & 3u) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3Fu));
        else
          refuse(path, "is damaged");
      }
    } else {
      refuse(path, "is damaged");
    }
    const std::string& code = at(type->items[0]).text;
    const auto as = [&](auto zero) {
      if (bytes.size() != sizeof zero) refuse(path, "is damaged");
      std::memcpy(&zero, bytes.data(), sizeof zero);
      return zero;
    };
    if (code == "f8") return real(as(double{}));
    if (code == "f4") return real(static_cast<double>(as(float{})));
    if (code == "i8") return Node(as(std::int64_t{}));
    if (code == "i4") return Node(static_cast<std::int64_t>(as(std::int32_t{})));
    if (code == "b1") return Node(as(char{}) != 0);
    refuse(path, "is a NumPy number of type \"", printable(code.substr(0, 20)),
           "\"; f4, f8, i4, i8 and b1 can be read");
  }

  struct Storage {
    const StorageType* type;
    std::int64_t numel;
    std::vector<std::byte> bytes;
  };

  // Key and type of a storage's description, ('storage', torch.FloatStorage, key, location, numel).
  std::optional<std::pair<std::string, const StorageType*>> at_storage(const PickleValue& v) const {
    const PickleValue& id = at(v.items[0]);
    if (id.kind != Kind::tuple || id.items.size() < 5 || at(id.items[1]).kind != Kind::global ||
        at(id.items[2]).kind != Kind::text)
      return std::nullopt;
    const auto type = std::find_if(std::begin(kStorages), std::end(kStorages),
                                   [&](const StorageType& s) { return s.global == at(id.items[1]).text; });
    if (type == std::end(kStorages)) return std::nullopt;
    return std::pair(at(id.items[2]).text, &*type);
  }

  const Storage& storage(const std::string& path, const PickleValue& v) {
    if (v.kind != Kind::persistent) refuse(path, "is a tensor without a storage");
    const PickleValue& id = at(v.items[0]);
    if (id.kind != Kind::tuple || id.items.size() < 5 || at(id.items[1]).kind != Kind::global ||
        at(id.items[2]).kind != Kind::text || at(id.items[4]).kind != Kind::integer)
      refuse(path, "is a tensor whose storage is not described as PyTorch does");
    const std::string &global = at(id.items[1]).text, &key = at(id.items[2]).text;
    const auto type = std::find_if(std::begin(kStorages), std::end(kStorages),
                                   [&](const StorageType& s) { return s.global == global; });
    if (type == std::end(kStorages))
      refuse(path, "has a storage of type ", printable(global), "; real numbers, integers and booleans can be read");
    const std::int64_t numel = at(id.items[4]).integer;
    const auto known = storages_.find(key);
    if (known != storages_.end()) {
      if (known->second.type != type || known->second.numel != numel)
        refuse(path, "shares a storage that is described differently elsewhere");
      return known->second;
    }
    if (id.items.size() > 5 && at(id.items[5]).kind != Kind::none)
      refuse(path,
             "has a storage that is part of another, as PyTorch before 0.4 wrote; load it in Python and save it again");
    const ZipEntry* e = zip_ ? zip_->find(folder_ + "data/" + key) : nullptr;
    const auto place = places_.find(key);
    if (!e && place == places_.end())
      refuse(path, "has its data in \"", printable(folder_), "data/", printable(key.substr(0, 80)),
             "\", which is missing");
    const std::int64_t held = e ? e->size : place->second.second;
    if (numel < 0 || numel > held / type->bytes || numel * type->bytes != held)
      refuse(path, "has a storage of ", numel, " elements of ", type->bytes, " bytes, but the file holds ", held);
    charge(path, held);
    std::vector<std::byte> bytes(static_cast<std::size_t>(held));
    e ? zip_->read(*e, bytes) : source_.read(place->second.first, bytes);
    return storages_.emplace(key, Storage{&*type, numel, std::move(bytes)}).first->second;
  }

  void charge(const std::string& path, std::int64_t bytes) {
    total_ += bytes;
    if (total_ > kUnpackFactor * source_.size() + 1024)
      refuse(path, "would bring the tensors to more than ", kUnpackFactor, " times the ", source_.size(),
             " bytes of the file");
  }

  Shape numbers(const std::string& path, const PickleValue& given, const char* what) const {
    const PickleValue* inner = call(given, "torch.Size");
    const PickleValue& v = inner ? one(path, *inner, Kind::tuple) : given;
    if (v.kind != Kind::tuple || v.items.size() > kMaxRank)
      refuse(path, "has a ", what, " that is no tuple of up to ", kMaxRank);
    Shape s;
    for (const std::int32_t i : v.items) {
      if (at(i).kind != Kind::integer || at(i).integer < 0) refuse(path, "has a ", what, " that is no integer from 0");
      s.push(at(i).integer);
    }
    return s;
  }

  // {"conj": True, "neg": True}: views whose storage holds other numbers than the tensor.
  void plain_view(const std::string& path, const PickleValue& v) const {
    for (std::size_t k = 0; v.kind == Kind::dict && k < v.items.size(); k += 2)
      if (at(v.items[k + 1]).kind == Kind::boolean && at(v.items[k + 1]).integer != 0)
        refuse(path, "is a view of the kind \"", printable(at(v.items[k]).text.substr(0, 20)),
               "\", which stands for other numbers than are stored; save it after resolve_conj() and resolve_neg()");
  }

  // _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, metadata)
  Tensor tensor(const std::string& path, const PickleValue& arguments) {
    if (arguments.items.size() < 4 || at(arguments.items[1]).kind != Kind::integer) refuse(path, "is a damaged tensor");
    if (arguments.items.size() > 6) plain_view(path, at(arguments.items[6]));
    const Shape size = numbers(path, at(arguments.items[2]), "size"),
                stride = numbers(path, at(arguments.items[3]), "stride");
    const std::int64_t offset = at(arguments.items[1]).integer;
    const Storage& s = storage(path, at(arguments.items[0]));
    if (size.rank() != stride.rank()) refuse(path, "has ", size.rank(), " sizes but ", stride.rank(), " strides");
    const std::int64_t numel = addressable(size) ? size.numel() : -1;
    std::int64_t last = offset;
    bool fits = numel >= 0 && offset >= 0;
    for (int d = 0; d < size.rank(); ++d) {
      std::int64_t span = 0;
      fits = fits && !__builtin_mul_overflow(std::max<std::int64_t>(0, size[d] - 1), stride[d], &span) &&
             !__builtin_add_overflow(last, span, &last);
    }
    fits = fits && (numel == 0 || last < s.numel);
    if (!fits)
      refuse(path, "of size ", to_string(size), ", stride ", to_string(stride), " and offset ", offset,
             " does not fit its storage of ", s.numel, " elements");
    charge(path, numel * static_cast<std::int64_t>(size_of(s.type->dtype)));
    const Tensor x = empty(size, {s.type->dtype, kCpu});
    copy(path, s, offset, size, stride, x);
    return x;
  }

  void copy(const std::string& path, const Storage& s, std::int64_t offset, const Shape& size, const Shape& stride,
            const Tensor& x) const {
    const auto width = static_cast<std::int64_t>(s.type->bytes);
    auto* to = static_cast<std::byte*>(x.data());
    std::int64_t index[kMaxRank] = {};
    for (std::int64_t n = x.numel(); n > 0; --n) {
      const std::byte* from = s.bytes.data() + offset * width;
      if (s.type->global == "torch.ShortStorage") {
        std::int16_t v;
        std::memcpy(&v, from, sizeof v);
        const std::int32_t wide = v;
        std::memcpy(to, &wide, sizeof wide), to += sizeof wide;
      } else if (s.type->global == "torch.CharStorage") {
        const std::int32_t wide = static_cast<signed char>(*from);
        std::memcpy(to, &wide, sizeof wide), to += sizeof wide;
      } else {
        if (s.type->dtype == DType::boolean && *from > std::byte{1})
          refuse(path, "has the boolean ", std::to_integer<int>(*from), "; only 0 and 1 are");
        std::memcpy(to, from, static_cast<std::size_t>(width)), to += width;
      }
      for (int d = size.rank() - 1; d >= 0; --d) {
        offset += stride[d];
        if (++index[d] < size[d]) break;
        offset -= size[d] * stride[d];
        index[d] = 0;
      }
    }
  }

  ByteSource& source_;
  const std::string& file_;
  std::optional<ZipReader> zip_;
  std::string folder_;
  std::unordered_map<std::string, std::pair<std::int64_t, std::int64_t>> places_;  // of the older format: where, bytes
  Pickle pickle_;
  TorchFile out_;
  std::unordered_set<std::string> names_;
  std::unordered_map<std::string, Storage> storages_;
  std::int64_t visits_ = 0, total_ = 0, name_bytes_ = 0;
};

TorchFile read_source(ByteSource& source, const std::string& file) {
  std::array<char, kLegacy.size()> start{};
  const auto there = static_cast<std::size_t>(std::min(source.size(), std::ssize(start)));
  source.read(0, std::as_writable_bytes(std::span(start)).first(there));
  Reader reader(source, file);
  if (std::string_view(start.data(), start.size()) == kLegacy) return reader.read_legacy();
  TD_CHECK(start[0] != kLegacy[0], FormatError, printable(file),
           ": is a bare pickle, no file of torch.save; save the state_dict with torch.save");
  return reader.read_archive();
}

// ---- writing --------------------------------------------------------------------------------------------------------
class PickleText {
 public:
  PickleText& raw(std::string_view codes) {
    out_ += codes;
    return *this;
  }
  PickleText& text(std::string_view s) {
    out_ += 'X';
    return fixed(static_cast<std::uint32_t>(s.size())).raw(s);
  }
  PickleText& integer(std::int64_t v) {
    if (v >= 0 && v < 256) return raw("K").fixed(static_cast<std::uint8_t>(v));
    if (v >= INT32_MIN && v <= INT32_MAX) return raw("J").fixed(static_cast<std::int32_t>(v));
    return raw("\x8a\x08").fixed(v);
  }
  PickleText& tuple(const Shape& s) {
    raw("(");
    for (const std::int64_t v : s) integer(v);
    return raw("t");
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(out_)); }

 private:
  template <class T>
  PickleText& fixed(T v) {
    out_.append(reinterpret_cast<const char*>(&v), sizeof v);
    return *this;
  }
  std::string out_;
};

void write(const std::vector<NamedTensor>& tensors, const std::string& file, const ZipWriter::Sink& sink) {
  std::unordered_set<std::string> names;
  PickleText p;
  p.raw(
      "\x80\x02"
      "ccollections\nOrderedDict\n)R(");
  std::vector<Tensor> hosts;
  for (const auto& [name, t] : tensors) {
    TD_CHECK(t.defined(), ValueError, printable(file), ": tensor \"", printable(name), "\" is undefined");
    TD_CHECK(names.insert(name).second, ValueError, printable(file), ": two tensors are called \"", printable(name),
             "\"");
    const auto type = std::find_if(std::begin(kStorages), std::end(kStorages),
                                   [&](const StorageType& s) { return s.dtype == t.dtype(); });
    const Tensor host = to_host(t);
    p.text(name).raw("ctorch._utils\n_rebuild_tensor_v2\n((").text("storage");
    p.raw("ctorch\n")
        .raw(type->global.substr(6))
        .raw("\n")
        .text(std::to_string(hosts.size()))
        .text("cpu")
        .integer(host.numel());
    p.raw("tQK").raw(std::string_view("\0", 1)).tuple(host.sizes()).tuple(contiguous_strides(host.sizes()));
    p.raw(
        "\x89"
        "ccollections\nOrderedDict\n)RtR");  // no gradient, no hooks
    hosts.push_back(host);
  }
  p.raw("u.");
  ZipWriter zip(sink);
  const auto text = [](std::string_view s) { return std::as_bytes(std::span(s)); };
  zip.add("archive/data.pkl", p.bytes());
  zip.add("archive/byteorder", text("little"));
  for (std::size_t i = 0; i < hosts.size(); ++i) zip.add("archive/data/" + std::to_string(i), raw_bytes(hosts[i]));
  zip.add("archive/version", text("3\n"));
  zip.finish();
}

}  // namespace

const Tensor* TorchFile::find(std::string_view name) const {
  const auto hit = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  return hit == tensors.end() ? nullptr : &hit->tensor;
}

TorchFile read_torch(const std::string& path) {
  FileSource source(path);
  return read_source(source, path);
}

TorchFile parse_torch(std::span<const std::byte> bytes, const std::string& name) {
  MemorySource source(bytes, name);
  return read_source(source, name);
}

std::vector<std::byte> serialize_torch(const std::vector<NamedTensor>& tensors, const std::string& name) {
  std::vector<std::byte> out;
  write(tensors, name, [&](std::span<const std::byte> b) { out.insert(out.end(), b.begin(), b.end()); });
  return out;
}

void write_torch(const std::string& path, const std::vector<NamedTensor>& tensors, bool overwrite) {
  OutputFile file(path, overwrite);
  write(tensors, path, [&](std::span<const std::byte> b) { file.write(b); });
  file.commit();
}

std::vector<NamedTensor> fold_weight_norm(const std::vector<NamedTensor>& tensors) {
  const NoGrad no_grad;
  std::map<std::string, const Tensor*> by_name;
  for (const auto& [name, t] : tensors) by_name[name] = &t;
  // The folded name and the name of its partner when `name` is a direction.
  const auto parts = [](const std::string& name) -> std::optional<std::pair<std::string, std::string>> {
    constexpr std::string_view direction = ".original1", spelled = "parametrizations.";
    if (name.ends_with("_v")) {
      const std::string stem = name.substr(0, name.size() - 2);
      return std::pair(stem, stem + "_g");
    }
    const auto at = name.rfind(spelled);
    if (!name.ends_with(direction) || at == std::string::npos || (at > 0 && name[at - 1] != '.')) return std::nullopt;
    const std::string stem = name.substr(0, name.size() - direction.size());
    return std::pair(name.substr(0, at) + stem.substr(at + spelled.size()), stem + ".original0");
  };
  std::unordered_set<std::string> folded;
  for (const auto& [name, t] : tensors)
    if (const auto p = parts(name); p && by_name.contains(p->second)) folded.insert(p->second);
  std::vector<NamedTensor> out;
  for (const auto& [name, v] : tensors) {
    if (folded.contains(name)) continue;
    const auto p = parts(name);
    if (!p || !by_name.contains(p->second)) {
      out.push_back({name, v});
      continue;
    }
    const Tensor& g = *by_name[p->second];
    bool fits = g.dim() == v.dim() && is_real(v.dtype()) && g.dtype() == v.dtype();
    Tensor squares = fits ? square(v) : Tensor();
    for (int d = 0; fits && d < v.dim(); ++d) {
      fits = g.size(d) == 1 || g.size(d) == v.size(d);
      if (g.size(d) == 1) squares = sum(squares, {d}, true);
    }
    TD_CHECK(fits, FormatError, "fold_weight_norm: \"", printable(p->second), "\" is no size for \"", printable(name),
             "\"", arg("g", g), arg("v", v));
    out.push_back({p->first, v * (g / sqrt(squares))});
  }
  return out;
}

}  // namespace tapedeck::io
