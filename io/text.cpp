#include <tapedeck/io/text.h>

#include <charconv>

namespace tapedeck::io {

std::string fixed(double v, int digits) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, v, std::chars_format::fixed, digits);
  return end.ec == std::errc() ? std::string(text, end.ptr) : "huge";
}

}  // namespace tapedeck::io
