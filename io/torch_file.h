// PyTorch's own files (torch.save: a ZIP archive with a pickle and raw storages; before 1.6, pickles and storages one
// behind the other). The pickle is read as data: nothing in it can run. Conv and linear weights keep PyTorch's order of
// dimensions.
#pragma once
#include <tapedeck/io/node.h>
#include <tapedeck/io/safetensors.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tapedeck::io {

// A file holds a state dict, or dicts and lists around some. A tensor's name is its path, "model.conv.weight".
struct TorchFile {
  std::vector<NamedTensor> tensors;  // on the CPU, row-major, in the order of the file
  Node others =
      Node::object();  // what is no tensor, by path: numbers (not finite: "nan", "inf", "-inf"), texts, booleans, null

  const Tensor* find(std::string_view name) const;  // nullptr when absent
};

// i8 and i16 storages become i32. FormatError for anything but plain tensors, numbers, texts and their dicts, lists and
// tuples, by name; for storages that do not hold their tensors; for damaged archives. IoError when unreadable.
TorchFile read_torch(const std::string& path);
TorchFile parse_torch(std::span<const std::byte> bytes, const std::string& name);

// An OrderedDict of tensors that torch.load(path, weights_only=True) takes. ValueError for two tensors of one name.
std::vector<std::byte> serialize_torch(const std::vector<NamedTensor>& tensors, const std::string& name);
void write_torch(const std::string& path, const std::vector<NamedTensor>& tensors, bool overwrite = false);

// Weight normalisation folded: "X_g" and "X_v" (torch.nn.utils.weight_norm), or "parametrizations.X.original0" and
// "…original1" (torch.nn.utils.parametrizations.weight_norm), become X = g v / |v|, with the norm over all dimensions
// but the one where g is not of size 1. Everything else stays. FormatError when a pair does not fit.
std::vector<NamedTensor> fold_weight_norm(const std::vector<NamedTensor>& tensors);

}  // namespace tapedeck::io
