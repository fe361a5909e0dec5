// Errors: every failure a user can cause is one of these, with one sentence: where, the rule, the numbers, the remedy.
#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tapedeck {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  const char* what() const noexcept override { return within_.empty() ? std::runtime_error::what() : within_.c_str(); }
  void name(std::string_view where);  // the sentence begins with `where: ` from now on, unless it does already

 private:
  std::string within_;
};
class ShapeError : public Error {
 public:
  using Error::Error;
};
class DTypeError : public Error {
 public:
  using Error::Error;
};
class ValueError : public Error {
 public:
  using Error::Error;
};
class DeviceError : public Error {
 public:
  using Error::Error;
};
class TapeError : public Error {
 public:
  using Error::Error;
};
class ConfigError : public Error {
 public:
  using Error::Error;
};
class DataError : public Error {
 public:
  using Error::Error;
};
class FormatError : public Error {
 public:
  using Error::Error;
};
class IoError : public Error {
 public:
  using Error::Error;
};
class MemoryError : public Error {
 public:
  using Error::Error;
};

namespace detail {

// One piece of an error sentence. Text is borrowed: it must live until the end of the full expression.
struct Part {
  enum class Kind { text, integer, real } kind;
  std::string_view text{};
  std::int64_t integer = 0;
  double real = 0;
  Part(std::string_view s) : kind(Kind::text), text(s) {}
  Part(const char* s) : kind(Kind::text), text(s) {}
  Part(const std::string& s) : kind(Kind::text), text(s) {}
  Part(std::integral auto v) : kind(Kind::integer), integer(static_cast<std::int64_t>(v)) {}
  Part(std::floating_point auto v) : kind(Kind::real), real(v) {}
};

std::string join(std::initializer_list<Part> parts);

template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void fail(std::initializer_list<Part> parts) {
  throw E(join(parts));
}

}  // namespace detail
}  // namespace tapedeck

// TD_CHECK(rule, ErrorType, parts...): one predictable branch; the parts are evaluated only on failure.
#define TD_CHECK(condition, ErrorType, ...)               \
  do {                                                    \
    if (!(condition)) [[unlikely]]                        \
      ::tapedeck::detail::fail<ErrorType>({__VA_ARGS__}); \
  } while (0)
#define TD_FAIL(ErrorType, ...) ::tapedeck::detail::fail<ErrorType>({__VA_ARGS__})
