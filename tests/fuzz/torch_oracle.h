// What must hold for any bytes given to the reader of PyTorch's files: a one-line FormatError, or tensors and values
// that are written and read again as they are. Bytes that begin as neither an archive nor PyTorch's older format are
// taken as the pickle of one with the storages data/0 (64 bytes) and data/1 (16 bytes), so that a fuzzer need not find
// checksums.
#pragma once
#include <tapedeck/io/torch_file.h>
#include <tapedeck/io/zip.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tapedeck {

inline std::vector<std::byte> archive_of(std::span<const std::byte> pickle) {
  std::vector<std::byte> bytes, storage(64);
  for (std::size_t i = 0; i < storage.size(); ++i) storage[i] = static_cast<std::byte>(i % 2);
  io::ZipWriter zip([&](std::span<const std::byte> b) { bytes.insert(bytes.end(), b.begin(), b.end()); });
  zip.add("a/data.pkl", pickle);
  zip.add("a/data/0", storage);
  zip.add("a/data/1", std::span(storage).first(16));
  zip.finish();
  return bytes;
}

// The promise that is broken, or "". `refusal` gets the reader's message when it refuses.
inline std::string broken_torch_promise(std::span<const std::byte> given, std::string* refusal) {
  const bool archive = given.size() >= 2 && given[0] == std::byte{'P'} && given[1] == std::byte{'K'};
  const bool older =
      given.size() >= 4 && given[0] == std::byte{0x80} && given[2] == std::byte{0x8a} && given[3] == std::byte{0x0a};
  const std::vector<std::byte> bytes = archive || older ? std::vector(given.begin(), given.end()) : archive_of(given);
  io::TorchFile file;
  try {
    file = io::parse_torch(bytes, "input");
  } catch (const FormatError& e) {
    *refusal = e.what();
    const bool line = refusal->starts_with("input") && refusal->find('\n') == std::string::npos;
    return line ? "" : "a bad message: " + *refusal;
  }
  refusal->clear();
  std::size_t total = 0;
  for (const auto& t : file.tensors) total += io::raw_bytes(t.tensor).size();
  if (total > 16 * bytes.size() + 1024) return "more tensors than the file may give";
  const auto written = io::serialize_torch(file.tensors, "output");
  const io::TorchFile back = io::parse_torch(written, "output");
  if (back.tensors.size() != file.tensors.size()) return "writing and reading changes it";
  for (std::size_t i = 0; i < back.tensors.size(); ++i) {
    const auto& [name, x] = file.tensors[i];
    const auto& [other, y] = back.tensors[i];
    if (name != other || x.dtype() != y.dtype() || !(x.sizes() == y.sizes()) ||
        !std::ranges::equal(io::raw_bytes(x), io::raw_bytes(y)))
      return "writing and reading changes a tensor";
  }
  if (io::serialize_torch(back.tensors, "output") != written) return "writing twice gives other bytes";
  io::dump_json(file.others);
  return "";
}

}  // namespace tapedeck
