// What must hold for any bytes given to the readers of .npy and .npz: a one-line FormatError, or arrays that are
// written and read again as they are.
#pragma once
#include <tapedeck/io/npy.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tapedeck {

// The promise that is broken, or "". `refusal` gets the reader's message when it refuses.
inline std::string broken_npy_promise(std::span<const std::byte> bytes, std::string* refusal) {
  std::vector<io::NamedTensor> arrays;
  try {
    if (bytes.size() >= 2 && bytes[0] == std::byte{'P'} && bytes[1] == std::byte{'K'})
      arrays = io::parse_npz(bytes, "input");
    else
      arrays = {{"array", io::parse_npy(bytes, "input")}};
  } catch (const FormatError& e) {
    *refusal = e.what();
    const bool line = refusal->starts_with("input") && refusal->find('\n') == std::string::npos;
    return line ? "" : "a bad message: " + *refusal;
  }
  refusal->clear();
  for (const auto& [name, x] : arrays) {
    const auto written = io::serialize_npy(x);
    const Tensor y = io::parse_npy(written, "output");
    if (x.dtype() != y.dtype() || !(x.sizes() == y.sizes()) || !std::ranges::equal(io::raw_bytes(x), io::raw_bytes(y)))
      return "writing and reading changes an array";
    if (io::serialize_npy(y) != written) return "writing twice gives other bytes";
  }
  return "";
}

}  // namespace tapedeck
