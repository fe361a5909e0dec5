#include <tapedeck/io/file.h>
#include <tapedeck/io/pickle.h>
#include <tapedeck/tensor/error.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

namespace tapedeck::io {
namespace {

using Kind = PickleValue::Kind;

constexpr std::size_t kMostValues = 1'000'000;

// The opcodes' names and codes are those of Python's pickletools.
enum Op : unsigned char {
  MARK = '(',
  STOP = '.',
  POP = '0',
  POP_MARK = '1',
  BINFLOAT = 'G',
  BININT = 'J',
  BININT1 = 'K',
  BININT2 = 'M',
  NONE = 'N',
  BINPERSID = 'Q',
  REDUCE = 'R',
  BINBYTES = 'B',
  SHORT_BINBYTES = 'C',
  BINUNICODE = 'X',
  EMPTY_LIST = ']',
  APPEND = 'a',
  BUILD = 'b',
  GLOBAL = 'c',
  APPENDS = 'e',
  BINGET = 'h',
  LONG_BINGET = 'j',
  BINPUT = 'q',
  LONG_BINPUT = 'r',
  SETITEM = 's',
  TUPLE = 't',
  EMPTY_TUPLE = ')',
  SETITEMS = 'u',
  EMPTY_DICT = '}',
  PROTO = 0x80,
  TUPLE1 = 0x85,
  TUPLE2 = 0x86,
  TUPLE3 = 0x87,
  NEWTRUE = 0x88,
  NEWFALSE = 0x89,
  LONG1 = 0x8a,
  SHORT_BINUNICODE = 0x8c,
  BINUNICODE8 = 0x8d,
  STACK_GLOBAL = 0x93,
  MEMOIZE = 0x94,
  FRAME = 0x95,
};

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& name, std::span<const std::string_view> globals)
      : bytes_(bytes), name_(name), globals_(globals) {}

  Pickle run() {
    while (step()) {
    }
    if (stack_.size() != 1 || !marks_.empty()) fail("ends with ", stack_.size(), " values instead of one");
    out_.root = stack_[0];
    return std::move(out_);
  }
  std::size_t at() const { return at_; }

 private:
  template <class... P>
  [[noreturn]] void fail(const P&... what) const {
    TD_FAIL(FormatError, printable(name_), ": its pickle ", what..., " (byte ", op_at_, ")");
  }

  std::span<const std::byte> take(std::uint64_t n) {
    if (n > bytes_.size() - at_) fail("is cut off: ", n, " bytes are wanted and ", bytes_.size() - at_, " are left");
    const auto piece = bytes_.subspan(at_, n);
    at_ += n;
    return piece;
  }
  template <class T>
  T number() {
    T v;
    std::memcpy(&v, take(sizeof v).data(), sizeof v);
    return v;
  }
  std::string text(std::uint64_t n) {
    const auto piece = take(n);
    return {reinterpret_cast<const char*>(piece.data()), piece.size()};
  }
  std::string line() {
    const auto rest = bytes_.subspan(at_);
    const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
    if (end == rest.end()) fail("is cut off within a name");
    std::string s = text(static_cast<std::uint64_t>(end - rest.begin()));
    ++at_;
    return s;
  }

  std::int32_t push(PickleValue v) {
    if (out_.values.size() == kMostValues) fail("makes more than ", kMostValues, " values");
    out_.values.push_back(std::move(v));
    stack_.push_back(static_cast<std::int32_t>(out_.values.size() - 1));
    return stack_.back();
  }
  PickleValue& value(std::int32_t i) { return out_.values[static_cast<std::size_t>(i)]; }
  std::int32_t pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("takes a value where there is none");
    const std::int32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }
  std::vector<std::int32_t> pop_mark() {
    if (marks_.empty()) fail("closes what was never opened");
    const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<std::int32_t> items(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return items;
  }
  std::int32_t peek() {
    const std::int32_t top = pop();
    stack_.push_back(top);
    return top;
  }
  void push_items(Kind kind, std::vector<std::int32_t> items) {
    PickleValue v;
    v.kind = kind, v.items = std::move(items);
    push(std::move(v));
  }
  void push_tuple(int n) {
    std::vector<std::int32_t> items(static_cast<std::size_t>(n));
    for (auto i = items.rbegin(); i != items.rend(); ++i) *i = pop();
    push_items(Kind::tuple, std::move(items));
  }
  void push_integer(std::int64_t integer, Kind kind = Kind::integer) {
    PickleValue v;
    v.kind = kind, v.integer = integer;
    push(std::move(v));
  }
  void push_text(std::string s, Kind kind = Kind::text) {
    PickleValue v;
    v.kind = kind, v.text = std::move(s);
    push(std::move(v));
  }
  void extend(const std::vector<std::int32_t>& items, Kind kind) {
    PickleValue& target = value(peek());
    if (target.kind != kind) fail("puts items into what is no ", kind == Kind::dict ? "dict" : "list");
    if (kind == Kind::dict && items.size() % 2 != 0) fail("gives a dict a key without a value");
    target.items.insert(target.items.end(), items.begin(), items.end());
  }
  void push_global(const std::string& full) {
    if (std::find(globals_.begin(), globals_.end(), full) == globals_.end())
      fail("asks for \"", printable(std::string_view(full).substr(0, 80)),
           "\", which no file of weights needs; save a state_dict of plain dense tensors");
    push_text(full, Kind::global);
  }
  void reduce() {
    const std::int32_t arguments = pop(), callable = pop();
    if (value(callable).kind != Kind::global || value(arguments).kind != Kind::tuple)
      fail("calls what is no known name with a tuple");
    if (value(callable).text == "collections.OrderedDict" && value(arguments).items.empty())
      return push_items(Kind::dict, {});
    push_items(Kind::call, {callable, arguments});
  }
  void build() {
    const std::int32_t state = pop();
    PickleValue& target = value(peek());
    if (target.kind == Kind::dict) return;  // attributes of an OrderedDict, such as _metadata
    if (target.kind != Kind::call || target.items.size() != 2) fail("sets the state of what is no object");
    target.items.push_back(state);
  }
  void put(std::uint32_t key) { memo_[key] = peek(); }
  void get(std::uint32_t key) {
    const auto hit = memo_.find(key);
    if (hit == memo_.end()) fail("recalls value ", key, ", which it never kept");
    stack_.push_back(hit->second);
  }

  bool step() {
    op_at_ = at_;
    const auto op = number<unsigned char>();
    switch (op) {
      case PROTO:
        if (const int version = number<unsigned char>(); version < 2 || version > 5)
          fail("is of protocol ", version, "; 2 to 5 can be read");
        break;
      case FRAME:
        take(8);
        break;
      case STOP:
        return false;
      case MARK:
        marks_.push_back(stack_.size());
        break;
      case POP:
        pop();
        break;
      case POP_MARK:
        pop_mark();
        break;
      case NONE:
        push({});
        break;
      case NEWTRUE:
        push_integer(1, Kind::boolean);
        break;
      case NEWFALSE:
        push_integer(0, Kind::boolean);
        break;
      case BININT:
        push_integer(number<std::int32_t>());
        break;
      case BININT1:
        push_integer(number<std::uint8_t>());
        break;
      case BININT2:
        push_integer(number<std::uint16_t>());
        break;
      case LONG1: {
        const std::size_t n = number<std::uint8_t>();
        if (n > 8) fail("has an integer of ", n, " bytes; 64 bits can be read");
        std::int64_t v = 0;
        const auto piece = take(n);
        if (n > 0) std::memcpy(&v, piece.data(), n);
        if (n > 0 && n < 8)
          v = static_cast<std::int64_t>(static_cast<std::uint64_t>(v) << (64 - 8 * n)) >> (64 - 8 * n);
        push_integer(v);
        break;
      }
      case BINFLOAT: {
        PickleValue v;
        v.kind = Kind::real;
        v.real = std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>()));
        push(std::move(v));
        break;
      }
      case BINUNICODE:
        push_text(text(number<std::uint32_t>()));
        break;
      case SHORT_BINUNICODE:
        push_text(text(number<std::uint8_t>()));
        break;
      case BINUNICODE8:
        push_text(text(number<std::uint64_t>()));
        break;
      case BINBYTES:
        push_text(text(number<std::uint32_t>()), Kind::bytes);
        break;
      case SHORT_BINBYTES:
        push_text(text(number<std::uint8_t>()), Kind::bytes);
        break;
      case EMPTY_LIST:
        push_items(Kind::list, {});
        break;
      case EMPTY_DICT:
        push_items(Kind::dict, {});
        break;
      case EMPTY_TUPLE:
        push_items(Kind::tuple, {});
        break;
      case TUPLE:
        push_items(Kind::tuple, pop_mark());
        break;
      case TUPLE1:
        push_tuple(1);
        break;
      case TUPLE2:
        push_tuple(2);
        break;
      case TUPLE3:
        push_tuple(3);
        break;
      case APPEND: {
        const std::int32_t item = pop();
        extend({item}, Kind::list);
        break;
      }
      case APPENDS:
        extend(pop_mark(), Kind::list);
        break;
      case SETITEM: {
        const std::int32_t item = pop(), key = pop();
        extend({key, item}, Kind::dict);
        break;
      }
      case SETITEMS:
        extend(pop_mark(), Kind::dict);
        break;
      case GLOBAL: {
        const std::string module = line();
        push_global(module + "." + line());
        break;
      }
      case STACK_GLOBAL: {
        const std::int32_t n = pop(), module = pop();
        if (value(n).kind != Kind::text || value(module).kind != Kind::text) fail("asks for a name that is no text");
        push_global(value(module).text + "." + value(n).text);
        break;
      }
      case REDUCE:
        reduce();
        break;
      case BUILD:
        build();
        break;
      case BINPERSID: {
        const std::int32_t id = pop();
        push_items(Kind::persistent, {id});
        break;
      }
      case BINPUT:
        put(number<std::uint8_t>());
        break;
      case LONG_BINPUT:
        put(number<std::uint32_t>());
        break;
      case MEMOIZE:
        put(static_cast<std::uint32_t>(memo_.size()));
        break;
      case BINGET:
        get(number<std::uint8_t>());
        break;
      case LONG_BINGET:
        get(number<std::uint32_t>());
        break;
      default:
        fail("has opcode ", static_cast<int>(op), ", which no file of weights needs");
    }
    return true;
  }

  std::span<const std::byte> bytes_;
  const std::string& name_;
  std::span<const std::string_view> globals_;
  std::size_t at_ = 0, op_at_ = 0;
  Pickle out_;
  std::vector<std::int32_t> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::unordered_map<std::uint32_t, std::int32_t> memo_;
};

}  // namespace

Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& name,
                    std::span<const std::string_view> globals, std::size_t* used) {
  Machine machine(bytes, name, globals);
  Pickle pickle = machine.run();
  if (used != nullptr) *used = machine.at();
  return pickle;
}

}  // namespace tapedeck::io
