// Files of weights, whichever kind they are: safetensors, PyTorch's .pth, NumPy's .npz.
#pragma once
#include <tapedeck/io/safetensors.h>

#include <string>
#include <vector>

namespace tapedeck::io {

enum class WeightFormat { safetensors, pth, npz };
constexpr const char* name(WeightFormat format) {
  return format == WeightFormat::safetensors ? "safetensors" : format == WeightFormat::pth ? "pth" : "npz";
}

// By the first bytes and, of a ZIP archive, its entries: the file's name does not count. IoError when unreadable,
// FormatError for a damaged archive.
WeightFormat weight_format(const std::string& path);

// All tensors of the file, by their paths, on the CPU. FormatError and IoError as its reader has them.
std::vector<NamedTensor> read_weights(const std::string& path);

// ValueError for what the format does not hold (two tensors of one name; bf16 in .npz).
void write_weights(const std::string& path, const std::vector<NamedTensor>& tensors, WeightFormat format,
                   bool overwrite = false);

}  // namespace tapedeck::io
