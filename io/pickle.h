// Python pickles read as data (protocols 2 to 4, the opcodes that files of weights use). Nothing is ever called: a call
// stays a value that names what it would call, and only names on the caller's list are let in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tapedeck::io {

struct PickleValue {
  // call: items = {callable, arguments, state if any}; persistent: items = {id}; dict: items = key, value, key, …
  enum class Kind { none, boolean, integer, real, text, bytes, list, tuple, dict, global, call, persistent };
  Kind kind = Kind::none;
  std::int64_t integer = 0;  // of a boolean too
  double real = 0;
  std::string text;                 // of text, bytes; of a global "module.name"
  std::vector<std::int32_t> items;  // places in Pickle::values
};

struct Pickle {
  std::vector<PickleValue> values;  // values may be shared, and may even hold themselves
  std::int32_t root = 0;

  const PickleValue& operator[](std::int32_t i) const { return values[static_cast<std::size_t>(i)]; }
};

// FormatError names the byte and the rule: an opcode or a global that is not let in, a damaged or endless stream.
// "collections.OrderedDict" called without arguments is a dict. At most a million values are made.
// Bytes behind its end are left; `used`, when given, gets where that is.
Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& name,
                    std::span<const std::string_view> globals, std::size_t* used = nullptr);

}  // namespace tapedeck::io
