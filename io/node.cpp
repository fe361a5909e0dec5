#include <tapedeck/io/file.h>
#include <tapedeck/io/node.h>
#include <tapedeck/tensor/error.h>

#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace tapedeck::io {

Node Node::array(std::vector<Node> items) {
  Node n;
  n.kind_ = Kind::array;
  n.items_ = std::move(items);
  return n;
}

Node Node::object(std::vector<Member> members) {
  Node n;
  n.kind_ = Kind::object;
  n.members_ = std::move(members);
  return n;
}

std::int64_t Node::whole(std::uint64_t v) {
  TD_CHECK(v <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()), ValueError, "the number ",
           std::to_string(v), " is outside the 64-bit range of a JSON integer, which ends at 2^63 - 1");
  return static_cast<std::int64_t>(v);
}

const char* Node::kind_name() const {
  constexpr const char* names[] = {"null", "boolean", "integer", "number", "string", "array", "object"};
  return names[static_cast<int>(kind_)];
}

namespace {

void require(bool right, const Node& node, const char* wanted) {
  TD_CHECK(right, FormatError, "a JSON value is used as ", wanted, " but it is of kind ", node.kind_name(),
           node.line() > 0 ? detail::join({" (line ", node.line(), ")"}) : std::string());
}

}  // namespace

bool Node::boolean() const {
  require(kind_ == Kind::boolean, *this, "boolean");
  return integer_ != 0;
}

std::int64_t Node::integer() const {
  require(kind_ == Kind::integer, *this, "integer");
  return integer_;
}

double Node::real() const {
  require(is_number(), *this, "number");
  return kind_ == Kind::integer ? static_cast<double>(integer_) : real_;
}

const std::string& Node::string() const {
  require(kind_ == Kind::string, *this, "string");
  return string_;
}

std::size_t Node::size() const {
  require(is_array() || is_object(), *this, "array or object");
  return is_array() ? items_.size() : members_.size();
}

const std::vector<Node>& Node::items() const {
  require(is_array(), *this, "array");
  return items_;
}

std::vector<Node>& Node::items() { return const_cast<std::vector<Node>&>(std::as_const(*this).items()); }

const std::vector<Node::Member>& Node::members() const {
  require(is_object(), *this, "object");
  return members_;
}

std::vector<Node::Member>& Node::members() { return const_cast<std::vector<Member>&>(std::as_const(*this).members()); }

const Node* Node::find(std::string_view key) const {
  for (const auto& [name, value] : members_) {
    if (name == key) return &value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

const Node& Node::at(std::string_view key) const {
  require(is_object(), *this, "object");
  const Node* found = find(key);
  TD_CHECK(found, FormatError, "a JSON object has no key \"", key, "\"",
           line_ > 0 ? detail::join({" (line ", line_, ")"}) : std::string());
  return *found;
}

Node& Node::operator[](std::string_view key) {
  if (is_null()) kind_ = Kind::object;
  require(is_object(), *this, "object");
  if (Node* found = find(key)) return *found;
  return members_.emplace_back(std::string(key), Node()).second;
}

bool Node::rename(std::string_view key, std::string_view to) {
  for (auto& [name, value] : members_) {
    if (name != key) continue;
    TD_CHECK(key == to || !find(to), FormatError, "a JSON object has both \"", key, "\" and its newer name \"", to,
             "\"");
    name = to;
    return true;
  }
  return false;
}

bool Node::erase(std::string_view key) {
  return std::erase_if(members_, [&](const Member& m) { return m.first == key; }) > 0;
}

bool Node::operator==(const Node& other) const {
  if (kind_ != other.kind_) return false;
  switch (kind_) {
    case Kind::null:
      return true;
    case Kind::boolean:
    case Kind::integer:
      return integer_ == other.integer_;
    case Kind::real:
      return real_ == other.real_ && std::signbit(real_) == std::signbit(other.real_);
    case Kind::string:
      return string_ == other.string_;
    case Kind::array:
      return items_ == other.items_;
    case Kind::object:
      return members_ == other.members_;
  }
  return false;
}

namespace {

// Walks the text and knows the line of the last byte that is not white space: at the moment of a SAX event that is
// the line of the value, because the lexer reads at most one byte (after a number) too far.
struct Position {
  std::int64_t line = 1, column = 0;
  std::int64_t token_line = 1;

  void pass(char c) {
    ++column;
    if (c == '\n') {
      ++line;
      column = 0;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      token_line = line;
    }
  }
};

class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, Position* position) : at_(at), position_(position) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    position_->pass(*at_++);
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  Position* position_;
};

// Builds the tree from SAX events. Every refusal is thrown from the event, so nothing is built beyond a limit.
class Builder {
 public:
  using json = nlohmann::json;

  Builder(const std::string& name, const ParseLimits& limits, const Position& position)
      : name_(name), limits_(limits), position_(position) {}

  bool null() { return scalar({}); }
  bool boolean(bool v) { return scalar(v); }
  bool number_integer(json::number_integer_t v) { return scalar(static_cast<std::int64_t>(v)); }
  bool number_unsigned(json::number_unsigned_t v) {
    if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) outside(std::to_string(v));
    return scalar(static_cast<std::int64_t>(v));
  }
  bool number_float(json::number_float_t v, const std::string& text) {
    if (text.find_first_of(".eE") == std::string::npos) outside(text);  // the lexer's way out of a large integer
    const std::string_view digits = std::string_view(text).substr(0, text.find_first_of("eE"));
    if (v == 0 && digits.find_first_of("123456789") != std::string_view::npos) {
      refuse({"the number ", text.substr(0, 40), " is too small for 64 bits and would become 0"});
    }
    return scalar(v);
  }
  bool string(std::string& v) {
    check_length(v);
    return scalar(std::move(v));
  }
  bool binary(json::binary_t&) { return false; }  // no JSON text has it

  bool start_object(std::size_t) { return open(Node::object()); }
  bool start_array(std::size_t) { return open(Node::array()); }
  bool end_object() {
    keys_.pop_back();
    return end_array();
  }
  bool end_array() {
    open_.pop_back();
    return true;
  }
  bool key(std::string& v) {
    check_length(v);
    if (!keys_.back().insert(v).second) refuse({"duplicate key \"", printable(v), "\""});
    open_.back()->members().emplace_back(std::move(v), Node());
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ..." without its first half.
    std::string what = e.what();
    const std::size_t column = what.find("column ");
    const std::size_t rule = column == std::string::npos ? what.find("] ") : what.find(": ", column);
    if (rule != std::string::npos) what.erase(0, rule + 2);
    if (what.size() > 200) what = what.substr(0, 150) + " ... " + what.substr(what.size() - 40);
    refuse({"column ", position_.column, ": ", printable(what)});
  }

  Node take() { return std::move(root_); }

  [[noreturn]] void refuse(std::initializer_list<detail::Part> rule) const {
    TD_FAIL(FormatError, printable(name_), ":", position_.token_line, ": ", detail::join(rule));
  }

 private:
  [[noreturn]] void outside(const std::string& text) const {
    refuse({"the integer ", text.substr(0, 40), " is outside the 64-bit range"});
  }

  void check_length(const std::string& v) const {
    if (static_cast<std::int64_t>(v.size()) > limits_.string_bytes) {
      refuse({"a string of ", v.size(), " bytes is longer than the limit of ", limits_.string_bytes});
    }
  }

  Node* place(Node v) {
    if (++values_ > limits_.values) refuse({"more than the limit of ", limits_.values, " values"});
    v.set_line(position_.token_line);
    if (open_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    Node& parent = *open_.back();
    Node& slot = parent.is_array() ? parent.items().emplace_back() : parent.members().back().second;
    slot = std::move(v);
    return &slot;
  }

  bool scalar(Node v) {
    place(std::move(v));
    return true;
  }

  bool open(Node v) {
    if (static_cast<std::int64_t>(open_.size()) >= limits_.depth) {
      refuse({"nested deeper than the limit of ", limits_.depth, " levels"});
    }
    open_.push_back(place(std::move(v)));
    if (open_.back()->is_object()) keys_.emplace_back();
    return true;
  }

  const std::string& name_;
  const ParseLimits& limits_;
  const Position& position_;
  Node root_;
  std::vector<Node*> open_;  // a parent does not grow while its child is open, so these stay valid
  std::vector<std::unordered_set<std::string>> keys_;
  std::int64_t values_ = 0;
};

class Writer {
 public:
  explicit Writer(int indent) : indent_(indent) {}

  std::string take() { return std::move(out_); }

  void value(const Node& node, int level) {
    switch (node.kind()) {
      case Node::Kind::null:
        out_ += "null";
        break;
      case Node::Kind::boolean:
        out_ += node.boolean() ? "true" : "false";
        break;
      case Node::Kind::integer:
        out_ += std::to_string(node.integer());
        break;
      case Node::Kind::real:
        real(node.real());
        break;
      case Node::Kind::string:
        string(node.string());
        break;
      case Node::Kind::array:
        array(node.items(), level);
        break;
      case Node::Kind::object: {
        const auto& members = node.members();
        between('{', '}', members.size(), indent_ >= 0, level, [&](std::size_t i) {
          string(members[i].first);
          out_ += indent_ >= 0 ? ": " : ":";
          value(members[i].second, level + 1);
        });
      }
    }
  }

 private:
  void array(const std::vector<Node>& items, int level) {
    const auto item = [&](std::size_t i) { value(items[i], level + 1); };
    bool tall = false;
    for (const Node& n : items) tall = tall || n.is_array() || n.is_object();
    if (indent_ >= 0 && !tall) {
      const std::size_t start = out_.size();
      between('[', ']', items.size(), false, level, item);
      if (out_.size() - start <= 100) return;
      out_.resize(start);
    }
    between('[', ']', items.size(), indent_ >= 0, level, item);
  }

  template <class F>
  void between(char first, char last, std::size_t count, bool lines, int level, F&& item) {
    const auto next_line = [&](int depth) {
      if (lines) out_.append(1, '\n').append(static_cast<std::size_t>(indent_ * depth), ' ');
    };
    out_ += first;
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0) out_ += lines || indent_ < 0 ? "," : ", ";
      next_line(level + 1);
      item(i);
    }
    if (count > 0) next_line(level);
    out_ += last;
  }

  void real(double v) {
    TD_CHECK(std::isfinite(v), ValueError, "JSON cannot hold the number ", v, "; only finite numbers can be written");
    char digits[32];
    const std::string_view text(digits, std::to_chars(digits, digits + sizeof digits, v).ptr - digits);
    out_ += text;
    if (text.find_first_of(".e") == std::string_view::npos) out_ += ".0";
  }

  void string(std::string_view s) {
    constexpr const char* hex = "0123456789abcdef";
    out_ += '"';
    while (!s.empty()) {
      const std::size_t length = utf8_length(s);
      TD_CHECK(length > 0, ValueError, "JSON cannot hold the string \"", printable(s), "\", which is not UTF-8 there");
      const char c = s[0];
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_.append({'\\', c});
      } else if (c == '\n' || c == '\t' || c == '\r') {
        out_.append({'\\', c == '\n' ? 'n' : c == '\t' ? 't' : 'r'});
      } else if (byte < 0x20 || byte == 0x7F) {
        out_.append({'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]});
      } else {
        out_.append(s.substr(0, length));
      }
      s.remove_prefix(length);
    }
    out_ += '"';
  }

  int indent_;
  std::string out_;
};

}  // namespace

Node parse_json(std::string_view text, const std::string& name, const ParseLimits& limits) {
  TD_CHECK(static_cast<std::int64_t>(text.size()) <= limits.bytes, FormatError, printable(name), ": ", text.size(),
           " bytes are more than the limit of ", limits.bytes);
  Position position;
  Builder builder(name, limits, position);
  // The lexer would take a NUL byte for the end of the text and ignore what follows.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    for (char c : text.substr(0, nul + 1)) position.pass(c);
    builder.refuse({"column ", position.column, ": a NUL byte"});
  }
  nlohmann::json::sax_parse(CountingIterator(text.data(), &position),
                            CountingIterator(text.data() + text.size(), &position), &builder,
                            nlohmann::json::input_format_t::json, true, limits.comments);
  return builder.take();
}

Node read_json(const std::string& path, const ParseLimits& limits) {
  return parse_json(read_text_file(path, limits.bytes), path, limits);
}

std::string dump_json(const Node& node, int indent) {
  Writer writer(indent);
  writer.value(node, 0);
  return writer.take();
}

}  // namespace tapedeck::io
