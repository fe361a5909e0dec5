// NumPy's files: .npy, one array (format versions 1 to 3, numpy.lib.format), and .npz, a ZIP archive of them. No
// objects are ever read: only plain numbers.
#pragma once
#include <tapedeck/io/safetensors.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::io {

// The array on the CPU, row-major whatever the file's order. f2 f4 f8 i4 i8 u1 b1 keep their type; i1 i2 u2 become i32
// and u4 i64; either byte order. FormatError for everything else; IoError when the file cannot be read.
Tensor read_npy(const std::string& path);
Tensor parse_npy(std::span<const std::byte> bytes, const std::string& name);
// All arrays in the order of the archive, by name without ".npy".
std::vector<NamedTensor> read_npz(const std::string& path);
std::vector<NamedTensor> parse_npz(std::span<const std::byte> bytes, const std::string& name);

// ValueError for bf16, which NumPy does not have: cast it to f32 first.
std::vector<std::byte> serialize_npy(const Tensor& x);
void write_npy(const std::string& path, const Tensor& x, bool overwrite = false);
void write_npz(const std::string& path, const std::vector<NamedTensor>& arrays, bool overwrite = false);

}  // namespace tapedeck::io
