// What must hold for any bytes given to the safetensors reader: a one-line FormatError, or tensors that are written and
// read again as they are. Used by the fuzzer and by the replay of its corpus.
#pragma once
#include <tapedeck/io/safetensors.h>

#include <algorithm>
#include <string>

namespace tapedeck {

inline bool same_tensors(const io::SafeTensors& a, const io::SafeTensors& b) {
  if (a.metadata != b.metadata || a.tensors.size() != b.tensors.size()) return false;
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    const auto& [name, x] = a.tensors[i];
    const auto& [other, y] = b.tensors[i];
    if (name != other || x.dtype() != y.dtype() || !(x.sizes() == y.sizes())) return false;
    if (!std::ranges::equal(io::raw_bytes(x), io::raw_bytes(y))) return false;
  }
  return true;
}

// The promise that is broken, or "". `refusal` gets the reader's message when it refuses.
inline std::string broken_safetensors_promise(std::span<const std::byte> bytes, std::string* refusal) {
  io::SafeTensors content;
  try {
    content = io::parse_safetensors(bytes, "input");
  } catch (const FormatError& e) {
    *refusal = e.what();
    const bool line = refusal->starts_with("input") && refusal->find('\n') == std::string::npos;
    return line ? "" : "a bad message: " + *refusal;
  }
  refusal->clear();
  std::size_t data = 0;
  for (const auto& t : content.tensors) data += io::raw_bytes(t.tensor).size();
  if (data >= bytes.size()) return "more data than the file has";
  const auto written = io::serialize_safetensors(content, "output");
  if (!same_tensors(io::parse_safetensors(written, "output"), content)) return "writing and reading changes it";
  if (io::serialize_safetensors(content, "again") != written) return "writing twice gives other bytes";
  return "";
}

}  // namespace tapedeck
