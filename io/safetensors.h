// safetensors: named tensors in one file, a JSON header in front (https://github.com/huggingface/safetensors). The
// reader trusts nothing: every rule is checked before anything is allocated, and a file that breaks one is a
// FormatError that names the tensor and the numbers.
#pragma once
#include <tapedeck/tensor/parallel.h>
#include <tapedeck/tensor/tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tapedeck::io {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

// Metadata {"format": "pt"} is what Python's loaders expect to see.
struct SafeTensors {
  std::vector<NamedTensor> tensors;
  std::vector<std::pair<std::string, std::string>> metadata = {{"format", "pt"}};

  const Tensor* find(std::string_view name) const;  // nullptr when absent
};

struct SafeTensorsLimits {
  std::int64_t header_bytes = 8 << 20;  // the format allows up to 100,000,000
  std::int64_t tensors = 65'536;
  std::int64_t name_bytes = 512;
  std::int64_t metadata_bytes = 1 << 20;
};

// What the header says of one tensor; its bytes are [begin, end) of the data that follows the header.
struct TensorEntry {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::int64_t begin = 0, end = 0;
};
struct SafeTensorsHeader {
  std::vector<TensorEntry> entries;  // in the order of the header
  std::vector<std::pair<std::string, std::string>> metadata;
  std::int64_t data_start = 0;  // first byte of the data in the file
};

// The header alone, with all checks that do not need the data. `name` is the file named in messages.
SafeTensorsHeader read_safetensors_header(const std::string& path, const SafeTensorsLimits& limits = {});

// All tensors on the CPU, in the order of the header. IoError when the file cannot be read.
SafeTensors read_safetensors(const std::string& path, const SafeTensorsLimits& limits = {});
SafeTensors parse_safetensors(std::span<const std::byte> bytes, const std::string& name,
                              const SafeTensorsLimits& limits = {});

// The file's bytes, in pieces: the header, then each tensor's elements (larger element types first, so that all are
// aligned; otherwise in the given order). The header keeps the given order. ValueError for names that a reader with the
// default limits would refuse; `name` is the file named in messages.
void serialize_safetensors(const SafeTensors& content, const std::string& name,
                           FunctionRef<void(std::span<const std::byte>)> sink);
std::vector<std::byte> serialize_safetensors(const SafeTensors& content, const std::string& name);
void write_safetensors(const std::string& path, const SafeTensors& content, bool overwrite = false);

// The tensor itself when it is contiguous and on the CPU, else such a copy; and the raw bytes of such a tensor.
Tensor to_host(const Tensor& x);
std::span<const std::byte> raw_bytes(const Tensor& host);
bool all_finite(const Tensor& host);  // no NaN and no Inf; of integers always so

}  // namespace tapedeck::io
