// Node: our ordered value tree. JSON text in and out; nothing of the JSON library shows here.
#pragma once
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace tapedeck::io {

// A JSON value: null, bool, int64, double, string, array, object (keys in file order, unique).
class Node {
 public:
  enum class Kind { null, boolean, integer, real, string, array, object };
  using Member = std::pair<std::string, Node>;

  Node() = default;
  Node(bool v) : kind_(Kind::boolean), integer_(v) {}
  Node(int v) : kind_(Kind::integer), integer_(v) {}
  Node(std::int64_t v) : kind_(Kind::integer), integer_(v) {}
  template <std::integral I>
  Node(I v)
      : kind_(Kind::integer),
        integer_(std::is_signed_v<I> ? static_cast<std::int64_t>(v) : whole(static_cast<std::uint64_t>(v))) {}
  Node(double v) : kind_(Kind::real), real_(v) {}
  Node(const char* v) : kind_(Kind::string), string_(v) {}
  Node(std::string_view v) : kind_(Kind::string), string_(v) {}
  Node(std::string v) : kind_(Kind::string), string_(std::move(v)) {}
  Node(const void*) = delete;  // a pointer is not a bool
  static Node array(std::vector<Node> items = {});
  static Node object(std::vector<Member> members = {});

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::null; }
  bool is_object() const { return kind_ == Kind::object; }
  bool is_array() const { return kind_ == Kind::array; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_number() const { return kind_ == Kind::integer || kind_ == Kind::real; }
  const char* kind_name() const;  // "null", "boolean", "integer", "number", "string", "array", "object"

  // Typed access; FormatError naming both kinds when the kind differs. No conversion except integer -> double.
  bool boolean() const;
  std::int64_t integer() const;
  double real() const;
  const std::string& string() const;

  // Arrays and objects.
  std::size_t size() const;
  const std::vector<Node>& items() const;  // array
  std::vector<Node>& items();
  const std::vector<Member>& members() const;  // object
  std::vector<Member>& members();
  void push(Node v) { items().push_back(std::move(v)); }
  const Node* find(std::string_view key) const;  // nullptr when absent or not an object
  Node* find(std::string_view key);
  const Node& at(std::string_view key) const;  // FormatError when absent
  // Object: find or append; a null node becomes an object. Appending may move the members: copy one before.
  Node& operator[](std::string_view key);
  bool rename(std::string_view key, std::string_view to);  // false when absent; FormatError when `to` is taken
  bool erase(std::string_view key);

  std::int64_t line() const { return line_; }  // line in the text it was parsed from, 0 when built in code
  void set_line(std::int64_t line) { line_ = line; }

  bool operator==(const Node& other) const;  // values (0.0 is not -0.0) and key order; lines do not count

 private:
  static std::int64_t whole(std::uint64_t v);  // ValueError beyond 2^63 - 1

  Kind kind_ = Kind::null;
  std::int64_t integer_ = 0;
  double real_ = 0;
  std::string string_;
  std::vector<Node> items_;
  std::vector<Member> members_;
  std::int64_t line_ = 0;
};

struct ParseLimits {
  std::int64_t depth = 64;
  std::int64_t bytes = 1 << 20;
  std::int64_t values = 100'000;
  std::int64_t string_bytes = 1 << 16;
  bool comments = false;  // // and /* */ as in hand-written configs
};

// Strict JSON: limits, duplicate keys, invalid UTF-8, numbers outside int64/double, trailing text are FormatErrors
// "name:line: rule". `name` is the file named in messages.
Node parse_json(std::string_view text, const std::string& name, const ParseLimits& limits = {});
Node read_json(const std::string& path, const ParseLimits& limits = {});  // IoError when unreadable

// Canonical text: members in their order, shortest numbers that round-trip, reals always with '.' or exponent; an
// array of scalars stays on one line when it fits into 100 columns. indent < 0: one line. Non-finite reals and
// strings that are not UTF-8 are ValueErrors.
std::string dump_json(const Node& node, int indent = 2);

}  // namespace tapedeck::io
