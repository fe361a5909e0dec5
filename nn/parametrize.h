// Parameters that are made of others whenever they are read: weight norm, spectral norm, low-rank adapters. They are
// part of hparams(), so build() and clone() keep them. Each function takes the root of a tree, materialised or not (a
// materialised one keeps its values and is laid out anew: layout() grows), works on the parameters whose path matches
// the glob, and returns how many did: ValueError for none, and for one that is parametrised already.
#pragma once
#include <tapedeck/nn/module.h>

#include <optional>

namespace tapedeck::nn {

// weight = weight_g * weight_v / |weight_v|, one norm for each index of `dim`, or one for all (Salimans and Kingma,
// 2016). The weight itself stays as it is.
std::int64_t weight_norm(Module& root, std::string_view glob = "**.weight", std::optional<int> dim = 0);

// weight = weight_orig / its largest singular value (Miyato et al., 2018), which each forward while training follows by
// power iterations on the buffers weight_u and weight_v.
std::int64_t spectral_norm(Module& root, std::string_view glob = "**.weight", int iterations = 1, int dim = 0,
                           double eps = 1e-12);

// Low-rank adapters (Hu et al., 2021): weight + alpha / rank * weight_lora_B weight_lora_A, of weights [out, in...]
// seen as [out, in * ...]. B starts at 0, so that nothing changes at first.
struct LoraOptions {
  std::int64_t rank = 8;
  double alpha = 8;
  bool freeze = true;  // everything else in the tree
};
std::int64_t attach_lora(Module& root, std::string_view glob = "**.weight", const LoraOptions& options = {});

// One parameter under two names: `path` is from now on the parameter `to`, of the same shape, with its values, gradient
// and initial values. So it is in the arenas, the state and parameter_groups() under the name `to` alone; a state that
// is loaded may have both names, with the same values, or either. ValueError when one of the two is no plain parameter
// (tied and parametrised ones are none), and between parts of a root that is a ModuleList or ModuleDict, whose
// hparams() have no place for it. fold(root, path, "tied") gives each a parameter of its own again.
void tie_weights(Module& root, const std::string& path, const std::string& to);

// Plain parameters again, with the values that they had ("type" of the parametrisation; "": of any): folding weight
// norm for generation, merging adapters into the weights. What attach_lora froze stays frozen.
std::int64_t fold(Module& root, std::string_view glob = "**", std::string_view type = "");
inline std::int64_t merge_lora(Module& root, std::string_view glob = "**") { return fold(root, glob, "lora"); }

}  // namespace tapedeck::nn
