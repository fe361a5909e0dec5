#include <tapedeck/tensor/error.h>

#include <charconv>

namespace tapedeck {

void Error::name(std::string_view where) {
  const std::string_view now = what();
  if (now.starts_with(where) && now.substr(where.size()).starts_with(":")) return;
  within_ = std::string(where).append(": ").append(now);
}

}  // namespace tapedeck

namespace tapedeck::detail {

std::string join(std::initializer_list<Part> parts) {
  std::string out;
  char digits[40];
  for (const Part& p : parts) {
    switch (p.kind) {
      case Part::Kind::text:
        out += p.text;
        break;
      case Part::Kind::integer:
        out.append(digits, std::to_chars(digits, digits + sizeof digits, p.integer).ptr);
        break;
      case Part::Kind::real:
        out.append(digits, std::to_chars(digits, digits + sizeof digits, p.real).ptr);
        break;
    }
  }
  return out;
}

}  // namespace tapedeck::detail
