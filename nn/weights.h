// A module's state among the tensors of a file of weights, whatever stands around it there.
#pragma once
#include <tapedeck/io/safetensors.h>
#include <tapedeck/nn/module.h>

#include <optional>
#include <string>
#include <vector>

namespace tapedeck::nn {

// Checkpoints nest state dicts ("model.…" beside "optimizer.…"), and DataParallel puts "module." in front of every
// name.
struct FoundState {
  StateDict state;                  // for load_state, which says what is missing or does not fit
  std::string prefix;               // what its names began with in the file
  std::vector<std::string> beside;  // names that did not begin so: left out
  bool folded = false;              // weight norm, which the module has none of, was folded to plain weights
};

// The prefix is the one below which most names of the module's state are; without any such name, or when none is
// needed, "". Weight norm takes the module's spelling, or is folded when the module has none. FormatError when several
// prefixes fit alike (name one), and when no name begins with the given one.
FoundState find_state(const Module& module, const std::vector<io::NamedTensor>& tensors,
                      const std::optional<std::string>& prefix = {});

// A name of torch.nn.utils.parametrizations.weight_norm in the older spelling, which is ours: "X_g" for
// "parametrizations.X.original0", "X_v" for "…original1"; any other as it is.
std::string weight_norm_name(const std::string& name);

}  // namespace tapedeck::nn
