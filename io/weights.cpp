#include <tapedeck/io/npy.h>
#include <tapedeck/io/torch_file.h>
#include <tapedeck/io/weights.h>
#include <tapedeck/io/zip.h>

#include <algorithm>
#include <array>

namespace tapedeck::io {

WeightFormat weight_format(const std::string& path) {
  FileSource source(path);
  std::array<std::byte, 2> start{};
  if (source.size() < std::ssize(start)) return WeightFormat::safetensors;
  source.read(0, start);
  if (start[0] == std::byte{0x80}) return WeightFormat::pth;  // a pickle: PyTorch's older format
  if (start != std::array{std::byte{'P'}, std::byte{'K'}}) return WeightFormat::safetensors;
  const ZipReader zip(source, path);
  const bool arrays = std::ranges::all_of(zip.entries(), [](const ZipEntry& e) { return e.name.ends_with(".npy"); });
  return arrays ? WeightFormat::npz : WeightFormat::pth;
}

std::vector<NamedTensor> read_weights(const std::string& path) {
  switch (weight_format(path)) {
    case WeightFormat::pth:
      return read_torch(path).tensors;
    case WeightFormat::npz:
      return read_npz(path);
    default:
      return read_safetensors(path).tensors;
  }
}

void write_weights(const std::string& path, const std::vector<NamedTensor>& tensors, WeightFormat format,
                   bool overwrite) {
  switch (format) {
    case WeightFormat::pth:
      return write_torch(path, tensors, overwrite);
    case WeightFormat::npz:
      return write_npz(path, tensors, overwrite);
    default:
      return write_safetensors(path, {.tensors = tensors}, overwrite);
  }
}

}  // namespace tapedeck::io
